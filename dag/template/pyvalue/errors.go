package pyvalue

import (
	"fmt"
	"strings"

	"gust/internal/param"
)

// Error says what is wrong with a template or with its evaluation. Line and Col count from 1; zero means unknown.
type Error struct {
	Line, Col int
	// Msg is the problem, lower case, without a full stop.
	Msg string
	// Nearest is the nearest valid name, or empty.
	Nearest string
	// Available lists the valid names when there are few enough to be worth reading.
	Available []string
	// Err is the cause when a look-up behind the template failed.
	Err error
	// Undefined is set when the problem is a name or key that does not exist.
	Undefined bool
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Col)
	}
	b.WriteString(e.Msg)
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	if len(e.Available) > 0 {
		fmt.Fprintf(&b, " (available: %s)", strings.Join(e.Available, ", "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an error of an operation or of a function called by a template. Its position is filled in.
func Errorf(format string, args ...any) *Error { return &Error{Msg: fmt.Sprintf(format, args...)} }

// Position is the place of the problem in the template's text, counted from 1; zero means unknown.
func (e *Error) Position() (line, col int) { return e.Line, e.Col }

// Missing returns an error for a name that does not exist among known ones.
func Missing(what, name string, known []string) *Error {
	e := Errorf("%s %q", strings.TrimSpace("no "+what), name)
	e.Nearest = param.Nearest(name, known)
	if len(known) <= 30 {
		e.Available = known
	}
	return e
}
