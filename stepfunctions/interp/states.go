package interp

import (
	"errors"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonvalue"
)

func (x *Execution) pass(t *thread) {
	e := x.env(t)
	if e.jsonata() {
		o, f := e.withoutResult(t.state.Assign, t.state.Output)
		x.leave(t, t.state.Next, o, f)
		return
	}
	in, f := e.effectiveInput()
	if f != nil {
		x.fail(t, f)
		return
	}
	if t.state.Result != nil {
		in = *t.state.Result
	}
	x.complete(t, in)
}

// complete ends a state with a result.
func (x *Execution) complete(t *thread, result jsonvalue.Value) {
	o, f := x.env(t).withResult(result)
	x.leave(t, t.state.Next, o, f)
}

func (x *Execution) succeed(t *thread) {
	o, f := x.env(t).withoutResult(nil, t.state.Output)
	x.leave(t, "", o, f)
}

func (x *Execution) failState(t *thread) { x.fail(t, x.env(t).fails()) }

// fails is the failure that a Fail state stands for, or that of its fields.
func (e *env) fails() *failure {
	name, f := e.text(e.s.Fail.Error, "ErrorPath")
	if f != nil {
		return f
	}
	cause, f := e.text(e.s.Fail.Cause, "CausePath")
	if f != nil {
		return f
	}
	return &failure{name: name, cause: cause}
}

// text evaluates Error or Cause of a Fail state; field is the name of its path form.
func (e *env) text(src *asl.TextSource, field string) (*string, *failure) {
	if src == nil {
		return nil, nil
	}
	var v jsonvalue.Value
	var err error
	switch {
	case src.Expression != nil:
		var f *failure
		if v, f = e.expression(src.Expression, jsonvalue.String); f != nil {
			return nil, f
		}
	case src.Call != nil:
		v, err = src.Call.Eval(e)
		var call *intrinsic.Error
		if errors.As(err, &call) {
			return nil, e.intrinsicFailure(call)
		}
	case src.Path != nil:
		v, err = e.Resolve(src.Path)
	default:
		return &src.Text, nil
	}
	if err != nil {
		return nil, e.runtime("%v", err)
	}
	if v.Kind() != jsonvalue.String {
		return nil, e.runtime("The %s field must resolve to a string but was: %s", field, v)
	}
	text := v.Text()
	return &text, nil
}

func (x *Execution) choose(t *thread) {
	e := x.env(t)
	next, assign, output, f := e.choice()
	if f != nil {
		x.fail(t, f)
		return
	}
	o, f := e.withoutResult(assign, output)
	x.leave(t, next, o, f)
}

// choice finds the first rule that holds, or the default: where the state goes, and with which Assign and Output.
func (e *env) choice() (next string, assign, output *asl.Template, f *failure) {
	in, f := e.selected(e.s.InputPath)
	if f != nil {
		return "", nil, nil, f
	}
	inner := e.with(in)
	for _, rule := range e.s.Choice.Rules {
		holds, f := inner.holds(rule.Condition)
		if f != nil {
			return "", nil, nil, f
		}
		if holds {
			return rule.Next, rule.Assign, rule.Output, nil
		}
	}
	if e.s.Choice.Default == "" {
		return "", nil, nil, e.runtime("Failed to transition out of the state. The state does not point to a next state.")
	}
	return e.s.Choice.Default, e.s.Assign, e.s.Output, nil
}

// holds evaluates a rule's condition in either language.
func (e *env) holds(c *asl.Condition) (bool, *failure) {
	if !e.jsonata() {
		ok, err := e.matches(c)
		if err != nil {
			return false, e.runtime("%v", err)
		}
		return ok, nil
	}
	if c.Expression == nil {
		return c.Literal.Bool(), nil
	}
	v, f := e.expression(c.Expression, jsonvalue.Bool)
	return v.Bool(), f
}

// wait parks the thread until its time; a time that has passed ends the state at once.
func (x *Execution) wait(t *thread) {
	e := x.env(t)
	in, f := e.selected(t.state.InputPath)
	if f != nil {
		x.fail(t, f)
		return
	}
	d, f := e.with(in).waitFor(t.state.Wait)
	if f != nil {
		x.fail(t, f)
		return
	}
	t.entering = false
	if d <= 0 {
		x.waited(t)
		return
	}
	t.phase, t.wake = waiting, x.after(d)
	x.schedule(t)
}

// waited ends a Wait state.
func (x *Execution) waited(t *thread) {
	o, f := x.env(t).withoutResult(t.state.Assign, t.state.Output)
	x.leave(t, t.state.Next, o, f)
}
