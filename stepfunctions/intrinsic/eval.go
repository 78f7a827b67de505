package intrinsic

import (
	"errors"
	"fmt"
	"math"

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
	// Reason says what went wrong, in AWS's words: it names the function whose arguments are invalid and does not say why.
	Reason string
	// Missing says that an argument's path led nowhere, so that no function was called.
	Missing bool
}

// Error returns AWS's sentence.
func (e *Error) Error() string {
	if e.Missing {
		return fmt.Sprintf("The function '%s' had the following error: %s", e.Call, e.Reason)
	}
	return fmt.Sprintf("There was an error while evaluating the intrinsic function: %s. %s", e.Call, e.Reason)
}

// Eval calls the function. Its error is an [*Error].
func (c *Call) Eval(env Env) (jsonvalue.Value, error) {
	v, err := c.eval(env)
	if err == nil {
		return v, nil
	}
	var missing *missingError
	return v, &Error{Call: c.text, Reason: err.Error(), Missing: errors.As(err, &missing)}
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
	if len(c.args) < c.fn.minArgs || c.fn.maxArgs >= 0 && len(c.args) > c.fn.maxArgs {
		return jsonvalue.Value{}, c.invalid(errInvalid)
	}
	v, err := c.fn.call(&in)
	if err != nil {
		return v, c.invalid(err)
	}
	return v, nil
}

// errInvalid is what a function says about arguments that it cannot work with.
var errInvalid = errors.New("Invalid arguments")

// invalid words an error of the function itself.
func (c *Call) invalid(err error) error {
	var template *templateError
	var text *parseError
	switch {
	case errors.As(err, &text):
		return fmt.Errorf("Cannot convert String to Json in %s, caused by: %w", c.name, err)
	case errors.As(err, &template):
		return fmt.Errorf("Invalid template in %s: %w", c.name, err)
	case errors.Is(err, errPlaceholders):
		return fmt.Errorf("Invalid arguments in %s: %w", c.name, err)
	}
	return fmt.Errorf("%w in %s", errInvalid, c.name)
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
		return nil, errInvalid
	}
	return in.args[i].Items(), nil
}

func (in *invocation) text(i int) (string, error) {
	if in.args[i].Kind() != jsonvalue.String {
		return "", errInvalid
	}
	return in.args[i].Text(), nil
}

// number returns a number argument.
func (in *invocation) number(i int) (float64, error) {
	f, ok := in.args[i].Float()
	if !ok {
		return 0, errInvalid
	}
	return f, nil
}

// integer returns a number argument without its fraction: measured at AWS, whose documentation says that it is rounded.
func (in *invocation) integer(i int) (int64, error) {
	return in.whole(i, math.Trunc)
}

// rounded returns a number argument, rounded like Java's Math.round.
func (in *invocation) rounded(i int) (int64, error) {
	return in.whole(i, func(f float64) float64 { return math.Floor(f + 0.5) })
}

func (in *invocation) whole(i int, cut func(float64) float64) (int64, error) {
	f, err := in.number(i)
	if f = cut(f); err != nil || f < math.MinInt32 || f > math.MaxInt32 {
		return 0, errInvalid
	}
	return int64(f), nil
}
