package handlers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gust/internal/param"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// defaultTimeout bounds a call whose handler sets no bound.
const defaultTimeout = 15 * time.Minute

// find looks a resource up by its ARN, with and without its pattern, and a Lambda function by its unqualified ARN and
// its name.
func (s *Set) find(r asl.Resource) (Handler, bool) {
	if h, ok := s.byName[r.ARN]; ok {
		return h, ok
	}
	if r.Kind == asl.LambdaFunction {
		return s.function(r.ARN)
	}
	h, ok := s.byName[strings.TrimSuffix(r.ARN, string(r.Pattern))]
	return h, ok
}

// unknown is the failure of a task that nothing does.
func (s *Set) unknown(r asl.Resource, name string) *TaskError {
	bare := strings.TrimSuffix(name, string(r.Pattern))
	hint := ""
	if nearest := param.Nearest(bare, sortedKeys(s.byName)); nearest != "" {
		hint = fmt.Sprintf("Did you mean %q? ", nearest)
	}
	if r.Kind == asl.LambdaFunction || r.Service == "lambda" {
		return &TaskError{Name: "Lambda.ResourceNotFoundException",
			Cause: fmt.Sprintf("Function not found: %s. The local Step Functions service has no handler for it. %s%s",
				name, hint, howTo(functionName(name)))}
	}
	return &TaskError{Name: asl.ErrTaskFailed,
		Cause: fmt.Sprintf("The local Step Functions service has no handler for the resource %s. %s%s", name, hint,
			howTo(bare))}
}

// howTo says how a handler is configured.
func howTo(name string) string {
	return fmt.Sprintf("Configure one as stepfunctions.handlers: {%q: HANDLER}, where HANDLER is a command that gets the "+
		"input as JSON on standard input and prints the result as JSON, the http:// address of an endpoint that is sent "+
		"the same, answer:JSON for a fixed result, or fault:NAME CAUSE. Or mock the state in the file of "+
		"stepfunctions.mock_config and start the execution with the ARN followed by #TestCase.", name)
}

// call runs a handler once.
func (s *Set) call(ctx context.Context, h Handler, name string, r Request, input string) (string, error) {
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out []byte
	var err error
	switch {
	case h.Fault != nil:
		return "", h.Fault
	case h.Answer != "":
		out = []byte(h.Answer)
	case h.Func != nil:
		out, err = callFunc(limited, h.Func, []byte(input))
	case h.URL != "":
		out, err = post(limited, h.URL, input)
	default:
		out, err = command(limited, h, name, r, input)
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if limited.Err() != nil {
		late := &Error{Type: "Sandbox.Timedout", Message: fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds())}
		return "", &TaskError{Name: late.Type, Cause: late.cause()}
	}
	return result(out, err)
}

// callFunc calls a Go function and turns a panic of it into an error.
func callFunc(ctx context.Context, f func(context.Context, []byte) ([]byte, error), input []byte) (
	out []byte, err error,
) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Type: "Runtime.Panic", Message: fmt.Sprint(p)}
		}
	}()
	return f(ctx, input)
}

// result turns a handler's answer into the task's result or failure.
func result(out []byte, err error) (string, error) {
	var reported *Error
	if err != nil && !errors.As(err, &reported) {
		reported = &Error{Type: "Lambda.Unknown", Message: err.Error()}
	}
	v, parseErr := jsonvalue.Parse(string(out))
	if parseErr == nil {
		if failed := failureIn(v); failed != nil {
			return "", failed
		}
	}
	switch {
	case reported != nil:
		return "", &TaskError{Name: reported.Type, Cause: reported.cause()}
	case len(strings.TrimSpace(string(out))) == 0:
		return "null", nil
	case parseErr != nil:
		e := &Error{Type: "Runtime.MarshalError", Message: "The handler's answer is not JSON: " + parseErr.Error()}
		return "", &TaskError{Name: e.Type, Cause: e.cause()}
	}
	return v.String(), nil
}

// failureIn recognises an object with errorType and errorMessage.
func failureIn(v jsonvalue.Value) *TaskError {
	typ, okType := v.Get("errorType")
	message, okMessage := v.Get("errorMessage")
	if !okType || !okMessage || typ.Kind() != jsonvalue.String || message.Kind() != jsonvalue.String {
		return nil
	}
	return &TaskError{Name: typ.Text(), Cause: v.String()}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
