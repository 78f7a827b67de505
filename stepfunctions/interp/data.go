package interp

import (
	"errors"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonvalue"
)

// outcome is what a state ends with: its output and the variables it sets, null when there are none.
type outcome struct{ output, assigned jsonvalue.Value }

// effectiveInput is what the state works on: InputPath and Parameters, or Arguments in a JSONata state.
func (e *env) effectiveInput() (jsonvalue.Value, *failure) {
	stage := "afterArguments"
	in, t, inner := e.input, e.s.Arguments, e
	if !e.jsonata() {
		var f *failure
		if in, f = e.selected(e.s.InputPath); f != nil {
			return in, f
		}
		e.show("afterInputPath", in)
		stage, t, inner = "afterParameters", e.s.Parameters, e.with(in)
	}
	in, f := inner.filled(t, in)
	if f == nil {
		e.show(stage, in)
	}
	return in, f
}

// selected applies InputPath or OutputPath to "$". JSONata states have neither.
func (e *env) selected(sel *asl.Selector) (jsonvalue.Value, *failure) {
	switch {
	case sel == nil:
		return e.input, nil
	case sel.Path == nil:
		return jsonvalue.EmptyObject(), nil
	}
	v, err := e.Resolve(sel.Path)
	if err != nil {
		return v, e.runtime("%v", err)
	}
	return v, nil
}

// filled evaluates a template, or returns a value where there is none.
func (e *env) filled(t *asl.Template, otherwise jsonvalue.Value) (jsonvalue.Value, *failure) {
	if t == nil {
		return otherwise, nil
	}
	return e.template(t)
}

// template evaluates a payload template of either language.
func (e *env) template(t *asl.Template) (jsonvalue.Value, *failure) {
	v, err := t.Eval(e)
	if err == nil {
		return v, nil
	}
	var query *queryError
	if errors.As(err, &query) {
		return v, e.queryFailure(query.location, "%s", query.cause)
	}
	var call *intrinsic.Error
	if errors.As(err, &call) {
		return v, e.intrinsicFailure(call)
	}
	var field *asl.FieldError
	var missing *pathError
	if errors.As(err, &field) && errors.As(err, &missing) {
		return v, e.runtime("The JSONPath '%s' specified for the field '%s' could not be found in the input '%s'", field.Path,
			field.Field, missing.in)
	}
	return v, e.runtime("%v", err)
}

// withResult ends a state that has a result: Task, Parallel and Map, and Pass in JSONPath.
func (e *env) withResult(result jsonvalue.Value) (o outcome, f *failure) {
	if e.jsonata() {
		c := *e
		c.result = &result
		return c.composed(e.s.Assign, e.s.Output, result)
	}
	if o.assigned, f = e.with(result).filled(e.s.Assign, o.assigned); f != nil {
		return o, f
	}
	if result, f = e.with(result).filled(e.s.ResultSelector, result); f != nil {
		return o, f
	}
	e.show("afterResultSelector", result)
	if result, f = e.place(e.s.ResultPath, e.input, result); f != nil {
		return o, f
	}
	e.show("afterResultPath", result)
	o.output, f = e.with(result).selected(e.s.OutputPath)
	return o, f
}

// withoutResult ends a state that has none: Wait, Succeed and Choice. A choice rule brings its own fields.
func (e *env) withoutResult(assign, output *asl.Template) (o outcome, f *failure) {
	if e.jsonata() {
		return e.composed(assign, output, e.input)
	}
	in, f := e.selected(e.s.InputPath)
	if f != nil {
		return o, f
	}
	inner := e.with(in)
	if o.assigned, f = inner.filled(assign, o.assigned); f != nil {
		return o, f
	}
	o.output, f = inner.selected(e.s.OutputPath)
	return o, f
}

// withError leaves a state through a catcher.
func (e *env) withError(c *asl.Catcher, errorOutput jsonvalue.Value) (o outcome, f *failure) {
	if e.jsonata() {
		inner := *e
		inner.errorOutput = &errorOutput
		return inner.composed(c.Assign, c.Output, errorOutput)
	}
	if o.assigned, f = e.with(errorOutput).filled(c.Assign, o.assigned); f != nil {
		return o, f
	}
	o.output, f = e.place(c.ResultPath, e.input, errorOutput)
	return o, f
}

// composed evaluates Assign and Output of a JSONata state, both with the variables the state was entered with.
func (e *env) composed(assign, output *asl.Template, otherwise jsonvalue.Value) (o outcome, f *failure) {
	if o.assigned, f = e.filled(assign, o.assigned); f != nil {
		return o, f
	}
	o.output, f = e.filled(output, otherwise)
	return o, f
}

// place applies a ResultPath.
func (e *env) place(rp *asl.ResultPath, raw, result jsonvalue.Value) (jsonvalue.Value, *failure) {
	switch {
	case rp == nil:
		return result, nil
	case rp.Path == nil:
		return raw, nil
	}
	v, err := rp.Path.Set(raw, result)
	if err != nil {
		return v, e.stateFailure(asl.ErrResultPathMatchFailure, "Unable to apply ReferencePath %s to input %s", rp.Path, raw)
	}
	return v, nil
}

// leave exits the state, or fails it when its outcome could not be made.
func (x *Execution) leave(t *thread, next string, o outcome, f *failure) {
	if f != nil {
		x.fail(t, f)
		return
	}
	x.exit(t, next, o.output, o.assigned)
}
