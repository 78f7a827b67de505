package jsonatatest

import (
	"errors"
	"math"
	"strings"
	"time"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonvalue"
)

// Gust evaluates a case with this repository's engine.
func Gust(c Case, limits jsonata.Limits) Answer {
	compiled, err := jsonata.Compile(c.Expr)
	if err != nil {
		return failed(err)
	}
	env := &jsonata.Env{Now: time.UnixMilli(c.Now).UTC(), Limits: limits}
	if len(c.Input) > 0 {
		if env.Input, err = jsonvalue.Parse(string(c.Input)); err != nil {
			return failed(err)
		}
		env.HasInput = true
	}
	value, defined, err := compiled.Eval(env)
	switch {
	case errors.Is(err, jsonata.ErrFunctionResult):
		return Answer{IsFunction: true}
	case err != nil:
		return failed(err)
	case !defined:
		return Answer{Undefined: true}
	}
	return Answer{Value: &value}
}

func failed(err error) Answer {
	code := ""
	var coded *jsonata.Error
	if errors.As(err, &coded) {
		code = coded.Code
	}
	return Answer{Error: &code, Message: err.Error()}
}

// rounding is how far numbers may be apart, relatively, where powers of doubles are taken: the last digits of those differ
// between engines, and the reference's are off by one in the last place in one of seven.
const rounding = 1e-14

// Agree says whether ours is the same answer as the reference's: the same value, with numbers compared as doubles and
// objects without regard to the order of their fields, or the same error code. Where the reference lets a JavaScript
// error without a code through, any error agrees.
func Agree(c Case, reference, ours Answer) bool {
	switch {
	case reference.Error != nil:
		return ours.Error != nil && (*reference.Error == "" || *reference.Error == *ours.Error)
	case reference.Undefined:
		return ours.Undefined
	case reference.IsFunction:
		return ours.IsFunction
	}
	tolerance := 0.0
	if strings.Contains(c.Expr, "$power") || strings.Contains(c.Expr, "$parseInteger") {
		tolerance = rounding
	}
	return ours.Value != nil && equal(*reference.Value, *ours.Value, tolerance)
}

func equal(a, b jsonvalue.Value, tolerance float64) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() {
		return false
	}
	switch a.Kind() {
	case jsonvalue.Number:
		x, okX := a.Float()
		y, okY := b.Float()
		return okX && okY && math.Abs(x-y) <= tolerance*math.Abs(x)
	case jsonvalue.Array:
		for i := range a.Len() {
			if !equal(a.At(i), b.At(i), tolerance) {
				return false
			}
		}
		return true
	case jsonvalue.Object:
		for i := range a.Len() {
			item, ok := b.Get(a.Key(i))
			if !ok || !equal(a.At(i), item, tolerance) {
				return false
			}
		}
		return true
	}
	return jsonvalue.Equal(a, b)
}
