package interp

import (
	"errors"
	"fmt"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonvalue"
)

// queryError is an expression that could not be evaluated, in AWS's words.
type queryError struct{ location, cause string }

func (e *queryError) Error() string { return e.cause }

// queryErrorf says what went wrong with an expression.
func queryErrorf(x *asl.Expression, format string, args ...any) *queryError {
	return &queryError{location: x.Field, cause: fmt.Sprintf("The JSONata expression '%s' specified for the field '%s' %s",
		x.Text, x.Field, fmt.Sprintf(format, args...))}
}

// Evaluate yields the value of an expression of a JSONata state. Undefined is an error, and so is a function. The error
// is a [*queryError].
func (e *env) Evaluate(x *asl.Expression) (jsonvalue.Value, error) {
	v, defined, err := x.Expr.Eval(&jsonata.Env{Variable: e.lookUp, Now: e.time(), Random: e.Random})
	var thrown *jsonata.Error
	switch {
	case errors.Is(err, jsonata.ErrFunctionResult):
		return v, queryErrorf(x, "returned an unsupported result type.")
	case errors.As(err, &thrown) && thrown.Code != "":
		return v, queryErrorf(x, "threw an error during evaluation. %s: %s", thrown.Code, thrown.Message)
	case errors.As(err, &thrown):
		return v, queryErrorf(x, "threw an error during evaluation: %s", thrown.Message)
	case err != nil:
		return v, queryErrorf(x, "threw an error during evaluation: %v", err)
	case !defined:
		return v, queryErrorf(x, "returned nothing (undefined).")
	}
	return v, nil
}

// expression evaluates an expression whose value must be of one type.
func (e *env) expression(x *asl.Expression, want jsonvalue.Kind) (jsonvalue.Value, *failure) {
	v, err := e.Evaluate(x)
	if err == nil && v.Kind() != want {
		err = unexpected(x, want, v)
	}
	var query *queryError
	if errors.As(err, &query) {
		return v, e.queryFailure(query.location, "%s", query.cause)
	}
	return v, nil
}

func unexpected(x *asl.Expression, want jsonvalue.Kind, v jsonvalue.Value) *queryError {
	return queryErrorf(x, "returned an unexpected result type. Expected '%s', but was '%s' for value: %s", want, v.Kind(), v)
}

// lookUp returns what an expression finds under a name: $states or a workflow variable.
func (e *env) lookUp(name string) (jsonvalue.Value, bool) {
	if name != "states" {
		return e.t.variable(name)
	}
	states := jsonvalue.NewObjectBuilder(4).Set("input", e.input).Set("context", e.context())
	if e.result != nil {
		states.Set("result", *e.result)
	}
	if e.errorOutput != nil {
		states.Set("errorOutput", *e.errorOutput)
	}
	return states.Value(), true
}
