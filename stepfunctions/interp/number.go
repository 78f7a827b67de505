package interp

import (
	"math"
	"strconv"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// maxWaitSeconds is the longest wait, the longest life of an execution.
const maxWaitSeconds = 31_536_000

// waitFor returns how long a Wait state waits.
func (e *env) waitFor(w *asl.WaitFields) (time.Duration, *failure) {
	switch {
	case w.Timestamp != nil:
		return w.Timestamp.Sub(e.x.now), nil
	case w.TimestampExpression != nil:
		v, f := e.expression(w.TimestampExpression, jsonvalue.String)
		if f != nil {
			return 0, f
		}
		at, err := asl.ParseTimestamp(v.Text())
		if err != nil {
			f = e.queryFailure(w.TimestampExpression.Field, "The %s field cannot be parsed as an ISO-8601 extended offset "+
				"date-time format string: %s", w.TimestampExpression.Field, v.Text())
			f.afterEntered = true
			return 0, f
		}
		return e.until(at)
	case w.TimestampPath != nil:
		v, err := e.Resolve(w.TimestampPath)
		if err != nil {
			return 0, e.runtime("The TimestampPath parameter does not reference an input value: %s", w.TimestampPath)
		}
		at, err := asl.ParseTimestamp(v.Text())
		if v.Kind() != jsonvalue.String || err != nil {
			return 0, e.runtime("The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time "+
				"format string: %s == %s", w.TimestampPath, plain(v))
		}
		return e.until(at)
	}
	n, f := e.integer("Seconds", w.Seconds, 0)
	if f == nil && n > maxWaitSeconds {
		f = e.waitTooLong()
	}
	return time.Duration(n) * time.Second, f
}

func (e *env) until(at time.Time) (time.Duration, *failure) {
	if at.Sub(e.x.now) > maxWaitSeconds*time.Second {
		return 0, e.waitTooLong()
	}
	return at.Sub(e.x.now), nil
}

func (e *env) waitTooLong() *failure {
	if e.jsonata() {
		return e.queryFailure("", "Wait state delay is too long.")
	}
	return e.runtime("Wait state delay is too long.")
}

// integer evaluates a whole number of at least low; field is its name without "Path". A missing number is 0.
func (e *env) integer(field string, src *asl.Integer, low int64) (int64, *failure) {
	switch {
	case src == nil:
		return 0, nil
	case src.Expression != nil:
		return e.computed(field, src.Expression, low)
	case src.Path == nil:
		return src.Value, nil
	}
	v, err := e.Resolve(src.Path)
	if err != nil {
		return 0, e.runtime("The %sPath parameter does not reference an input value: %s", field, src.Path)
	}
	n, ok := parseLong(v)
	if !ok {
		return 0, e.runtime("The %sPath parameter cannot be parsed as a long value: %s == %s", field, src.Path, plain(v))
	}
	if n < low {
		return 0, e.runtime("The %sPath parameter references a %s value: %s == %s", field, tooSmall(n), src.Path, plain(v))
	}
	return n, nil
}

// parseLong returns the whole number a path refers to, which may be written as a string, too.
func parseLong(v jsonvalue.Value) (int64, bool) {
	if v.Kind() == jsonvalue.String {
		n, err := strconv.ParseInt(v.Text(), 10, 64)
		return n, err == nil
	}
	return long(v), v.IsIntLiteral()
}

// computed evaluates the expression of a whole number.
func (e *env) computed(field string, x *asl.Expression, low int64) (int64, *failure) {
	v, f := e.expression(x, jsonvalue.Number)
	if f != nil {
		return 0, f
	}
	n, whole := v.Int()
	if float, _ := v.Float(); !whole && float != math.Trunc(float) {
		return 0, e.queryFailure(x.Field, "The %s field cannot be parsed as an integer: %s", field, v)
	}
	if !whole {
		n = long(v)
	}
	switch {
	case n < low && n == 0:
		return 0, e.queryFailure(x.Field, "The %s field has a zero value: %s", field, v)
	case n < low:
		return 0, e.queryFailure(x.Field, "%s must be between 0 and 99999999 but was: %s", field, v)
	}
	return n, nil
}

// long returns a whole number, the nearest one there is when it does not fit.
func long(v jsonvalue.Value) int64 {
	n, ok := v.Int()
	if ok {
		return n
	}
	if float, _ := v.Float(); float < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}

func tooSmall(n int64) string {
	if n == 0 {
		return "zero"
	}
	return "negative"
}

// count evaluates a whole number of a Map that must not be negative, such as MaxConcurrency. A missing one is 0.
func (e *env) count(field string, src *asl.Integer) (int64, *failure) {
	n, f := e.anyCount(field, src)
	switch {
	case f != nil || n >= 0:
		return n, f
	case src.Expression != nil:
		return n, e.queryFailure(src.Expression.Field, "%s cannot be negative.", field)
	}
	return n, e.runtime("%s cannot be negative.", field)
}

// anyCount is count for a number whose sign is judged elsewhere.
func (e *env) anyCount(field string, src *asl.Integer) (int64, *failure) {
	if src == nil || src.Path == nil {
		return e.integer(field, src, math.MinInt64)
	}
	v, err := e.Resolve(src.Path)
	if err != nil {
		return 0, e.runtime("The %sPath parameter does not reference an input value: %s", field, src.Path)
	}
	n, ok := v.Int()
	if !ok || !v.IsIntLiteral() {
		return 0, e.runtime(`The %sPath field refers to value "%s" which is not a valid integer: %s`, field, plain(v), src.Path)
	}
	return n, nil
}

// percentage evaluates ToleratedFailurePercentage.
func (e *env) percentage(src *asl.Number) (float64, *failure) {
	const field = "ToleratedFailurePercentage"
	const rangeText = field + " must be between 0 and 100."
	inRange := func(n float64) bool { return n >= 0 && n <= 100 }
	switch {
	case src.Expression != nil:
		v, f := e.expression(src.Expression, jsonvalue.Number)
		if f != nil {
			return 0, f
		}
		n, _ := v.Float()
		if !inRange(n) {
			return 0, e.queryFailure(src.Expression.Field, rangeText)
		}
		return n, nil
	case src.Path == nil:
		return src.Value, nil
	}
	v, err := e.Resolve(src.Path)
	if err != nil {
		return 0, e.runtime("The %sPath parameter does not reference an input value: %s", field, src.Path)
	}
	n, ok := v.Float()
	if !ok {
		return 0, e.runtime(`The %sPath field refers to value "%s" which is not a valid float: %s`, field, plain(v), src.Path)
	}
	if !inRange(n) {
		return 0, e.runtime(rangeText)
	}
	return n, nil
}

// plain writes a value for a message: a string without quotes, anything else as JSON.
func plain(v jsonvalue.Value) string {
	if v.Kind() == jsonvalue.String {
		return v.Text()
	}
	return v.String()
}
