package attempt

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// PanicError is a panic in an operator, sensor or trigger, caught at its boundary.
type PanicError struct {
	Value any
	// Stack is the call stack of the panic, innermost first, without the frames of the engine around it.
	Stack string
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

var errGoexit = errors.New("the operator ended its goroutine with runtime.Goexit instead of returning")

// Guard calls f and turns a panic into a *PanicError. When f ends its goroutine, out holds an error too.
func Guard(out *error, f func() error) {
	*out = errGoexit
	defer func() {
		if v := recover(); v != nil {
			*out = &PanicError{Value: v, Stack: stack()}
		}
	}()
	*out = f()
}

// stack lists the frames between the panic and Guard.
func stack() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	var b strings.Builder
	inside := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "gust/runner/attempt.Guard":
			return b.String()
		case inside && !strings.HasPrefix(f.Function, "runtime."):
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		case f.Function == "runtime.gopanic":
			inside = true
		}
		if !more {
			return b.String()
		}
	}
}
