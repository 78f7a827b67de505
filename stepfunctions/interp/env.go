package interp

import (
	"errors"
	"fmt"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// env is what paths and functions see at one point of a state: $ is input, $$ the context object, $name a variable.
type env struct {
	x     *Execution
	t     *thread
	s     *asl.State
	input jsonvalue.Value
	// item is the Map.Item of the context object, null elsewhere.
	item jsonvalue.Value
}

func (x *Execution) env(t *thread, s *asl.State, input jsonvalue.Value) *env {
	return &env{x: x, t: t, s: s, input: input}
}

// with returns the same environment with another "$".
func (e *env) with(input jsonvalue.Value) *env {
	c := *e
	c.input = input
	return &c
}

// pathError is a path that found nothing, with the value it was looked for in.
type pathError struct {
	err error
	in  jsonvalue.Value
}

func (e *pathError) Error() string          { return e.err.Error() }
func (e *pathError) Unwrap() error          { return e.err }
func (e *pathError) Input() jsonvalue.Value { return e.in }

// Resolve returns the value of a path.
func (e *env) Resolve(p *jsonpath.Path) (jsonvalue.Value, error) {
	var in jsonvalue.Value
	switch p.Root() {
	case jsonpath.Input:
		in = e.input
	case jsonpath.Context:
		in = e.context()
	case jsonpath.Variable:
		v, ok := e.x.variable(e.t, p.Variable())
		if !ok {
			return v, &pathError{err: &jsonpath.NotFoundError{Path: p.String(), Reason: "the variable is not assigned"}}
		}
		in = v
	}
	v, err := p.Eval(in)
	if err != nil {
		return v, &pathError{err: err, in: in}
	}
	return v, nil
}

// Random returns the next of the execution's own random numbers.
func (e *env) Random() uint64 { return e.x.random() }

// variable looks a variable up in the thread's scope and the scopes around it.
func (x *Execution) variable(t *thread, name string) (jsonvalue.Value, bool) {
	for t != nil {
		if v, ok := t.Variables.Get(name); ok {
			return v, true
		}
		t = x.live[t.Parent]
	}
	return jsonvalue.Value{}, false
}

// context builds the context object.
func (e *env) context() jsonvalue.Value {
	x := e.x
	text := jsonvalue.NewString
	execution := jsonvalue.NewObjectBuilder(7).
		Set("Id", text(x.info.ExecutionARN)).
		Set("Input", x.input).
		Set("StartTime", text(timestamp(x.info.StartTime))).
		Set("Name", text(x.info.ExecutionName)).
		Set("RoleArn", text(x.info.RoleARN)).
		Set("RedriveCount", jsonvalue.NewInt(int64(x.state.Redrives)))
	if x.state.Redrives > 0 {
		execution.Set("RedriveTime", text(timestamp(x.state.RedriveAt)))
	}
	machine := jsonvalue.NewObjectBuilder(2).Set("Id", text(x.info.MachineARN)).Set("Name", text(x.info.MachineName))
	st := jsonvalue.NewObjectBuilder(3).Set("Name", text(e.s.Name)).Set("EnteredTime", text(timestamp(e.t.EnteredAt)))
	if e.s.Type == asl.Task {
		st.Set("RetryCount", jsonvalue.NewInt(e.t.RetryCount))
	}
	ctx := jsonvalue.NewObjectBuilder(4).
		Set("Execution", execution.Value()).
		Set("StateMachine", machine.Value()).
		Set("State", st.Value())
	if !e.item.IsNull() {
		ctx.Set("Map", jsonvalue.NewObjectBuilder(1).Set("Item", e.item).Value())
	}
	return ctx.Value()
}

// timestamp writes an instant like Java's Instant: no fraction, or three digits of it.
func timestamp(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond() < int(time.Millisecond) {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// selectInput applies InputPath.
func (e *env) selectInput() (jsonvalue.Value, *failure) { return e.selected(e.s.InputPath) }

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

// effectiveInput applies InputPath and Parameters.
func (e *env) effectiveInput() (jsonvalue.Value, *failure) {
	in, f := e.selectInput()
	if f != nil || e.s.Parameters == nil {
		return in, f
	}
	return e.with(in).template(e.s.Parameters)
}

// template evaluates a payload template.
func (e *env) template(t *asl.Template) (jsonvalue.Value, *failure) {
	v, err := t.Eval(e)
	if err == nil {
		return v, nil
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

func (e *env) intrinsicFailure(call *intrinsic.Error) *failure {
	if call.MissingPath {
		return e.runtime("%v", call)
	}
	return e.stateFailure(asl.ErrIntrinsicFailure, "%v", call)
}

// runtime is a fault of the definition or its data; nothing retries or catches it.
func (e *env) runtime(format string, args ...any) *failure {
	return e.stateFailure(asl.ErrRuntime, format, args...)
}

// stateFailure words a failure of the state itself.
func (e *env) stateFailure(name, format string, args ...any) *failure {
	cause := fmt.Sprintf("An error occurred while executing the state '%s' (entered at the event id #%d). %s", e.s.Name,
		e.t.Entered, fmt.Sprintf(format, args...))
	return &failure{name: &name, cause: &cause}
}

// output merges a result into the state's raw input and applies ResultSelector, ResultPath and OutputPath.
func (e *env) output(raw, result jsonvalue.Value) (jsonvalue.Value, *failure) {
	var f *failure
	if e.s.ResultSelector != nil {
		if result, f = e.with(result).template(e.s.ResultSelector); f != nil {
			return result, f
		}
	}
	if result, f = e.place(e.s.ResultPath, raw, result); f != nil {
		return result, f
	}
	return e.with(result).selected(e.s.OutputPath)
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
		return v, e.stateFailure("States.ResultPathMatchFailure",
			"Unable to apply ReferencePath %s to input %s", rp.Path, raw)
	}
	return v, nil
}

// assigned evaluates an Assign field; null when there is none.
func (e *env) assigned(t *asl.Template, value jsonvalue.Value) (jsonvalue.Value, *failure) {
	if t == nil {
		return jsonvalue.Value{}, nil
	}
	return e.with(value).template(t)
}
