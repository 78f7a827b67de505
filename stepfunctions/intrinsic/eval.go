package intrinsic

import (
	"errors"
	"fmt"

	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// Env is what a call sees of the execution.
type Env interface {
	// Resolve returns the value of a path.
	Resolve(*jsonpath.Path) (jsonvalue.Value, error)
	// Random returns the next 64 random bits; States.UUID and States.MathRandom draw from it.
	Random() uint64
}

// Error is a call that failed while it was evaluated.
type Error struct {
	// Call is the outermost function call as it was written.
	Call string
	// Reason says what went wrong.
	Reason string
	// MissingPath is true when an argument's path found nothing; AWS reports that as States.Runtime, every other failure
	// as States.IntrinsicFailure.
	MissingPath bool
}

// Error returns AWS's sentence.
func (e *Error) Error() string {
	return fmt.Sprintf("The function '%s' had the following error: %s", e.Call, e.Reason)
}

// Eval calls the function. Its error is an [*Error].
func (c *Call) Eval(env Env) (jsonvalue.Value, error) {
	v, err := c.eval(env)
	if err == nil {
		return v, nil
	}
	var missing *missingError
	return v, &Error{Call: c.text, Reason: err.Error(), MissingPath: errors.As(err, &missing)}
}

type missingError struct{ path, input string }

func (e *missingError) Error() string {
	return fmt.Sprintf("The JsonPath argument for the field '%s' could not be found in the input '%s'", e.path, e.input)
}

// Input is implemented by the errors of an Env that know the value in which a path was looked for.
type Input interface{ Input() jsonvalue.Value }

func (c *Call) eval(env Env) (jsonvalue.Value, error) {
	in := invocation{env: env, args: make([]jsonvalue.Value, len(c.args)), raw: make([]string, len(c.args))}
	for i, a := range c.args {
		var err error
		switch {
		case a.path != nil:
			if in.args[i], err = env.Resolve(a.path); err != nil {
				missing := &missingError{path: a.path.String()}
				var known Input
				if errors.As(err, &known) {
					missing.input = known.Input().String()
				}
				return jsonvalue.Value{}, missing
			}
		case a.call != nil:
			if in.args[i], err = a.call.eval(env); err != nil {
				return jsonvalue.Value{}, err
			}
		default:
			in.args[i], in.raw[i] = a.literal, a.raw
		}
	}
	return c.fn.call(&in)
}

// invocation is one call with its arguments evaluated.
type invocation struct {
	env  Env
	args []jsonvalue.Value
	// raw is the escaped text of string literals, "" for everything else.
	raw []string
}

func (in *invocation) array(i int) ([]jsonvalue.Value, error) {
	if in.args[i].Kind() != jsonvalue.Array {
		return nil, fmt.Errorf("argument %d must be an array but was: %s", i+1, in.args[i])
	}
	return in.args[i].Items(), nil
}

func (in *invocation) text(i int) (string, error) {
	if in.args[i].Kind() != jsonvalue.String {
		return "", fmt.Errorf("argument %d must be a string but was: %s", i+1, in.args[i])
	}
	return in.args[i].Text(), nil
}

// integer returns a number argument, rounded to the nearest whole number.
func (in *invocation) integer(i int) (int64, error) {
	if n, ok := in.args[i].Int(); ok {
		return n, nil
	}
	f, ok := in.args[i].Float()
	if !ok || f >= 1<<62 || f <= -1<<62 {
		return 0, fmt.Errorf("argument %d must be an integer but was: %s", i+1, in.args[i])
	}
	return roundHalfUp(f), nil
}
