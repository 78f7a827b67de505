package interp

import (
	"errors"
	"math"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonvalue"
)

// complete ends a state with a result: Assign, ResultSelector, ResultPath, OutputPath.
func (x *Execution) complete(t *thread, s *asl.State, result jsonvalue.Value) {
	e := x.env(t, s, t.Input)
	assigned, f := e.assigned(s.Assign, result)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	output, f := e.output(t.Input, result)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	x.exit(t, s, s.Next, output, assigned)
}

func (x *Execution) pass(t *thread, s *asl.State) {
	in, f := x.env(t, s, t.Input).effectiveInput()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	if s.Result != nil {
		in = *s.Result
	}
	x.complete(t, s, in)
}

func (x *Execution) succeed(t *thread, s *asl.State) {
	e := x.env(t, s, t.Input)
	in, f := e.selectInput()
	if f == nil {
		in, f = e.with(in).selected(s.OutputPath)
	}
	if f != nil {
		x.fail(t, s, f)
		return
	}
	x.exit(t, s, "", in, jsonvalue.Value{})
}

func (x *Execution) failState(t *thread, s *asl.State) {
	e := x.env(t, s, t.Input)
	name, f := e.text(s.Fail.Error, "ErrorPath")
	if f != nil {
		x.fail(t, s, f)
		return
	}
	cause, f := e.text(s.Fail.Cause, "CausePath")
	if f != nil {
		x.fail(t, s, f)
		return
	}
	x.fail(t, s, &failure{name: name, cause: cause})
}

// text evaluates Error or Cause of a Fail state.
func (e *env) text(src *asl.TextSource, field string) (*string, *failure) {
	if src == nil {
		return nil, nil
	}
	var v jsonvalue.Value
	var err error
	switch {
	case src.Call != nil:
		v, err = src.Call.Eval(e)
		var call *intrinsic.Error
		if errors.As(err, &call) {
			return nil, e.intrinsicFailure(call)
		}
	case src.Path != nil:
		v, err = e.Resolve(src.Path)
		if err != nil {
			return nil, e.runtime("%v", err)
		}
	default:
		return &src.Text, nil
	}
	if v.Kind() != jsonvalue.String {
		return nil, e.runtime("The %s field must resolve to a string but was: %s", field, v)
	}
	text := v.Text()
	return &text, nil
}

func (x *Execution) choose(t *thread, s *asl.State) {
	e := x.env(t, s, t.Input)
	in, f := e.selectInput()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	next, assign := s.Choice.Default, s.Assign
	for _, rule := range s.Choice.Rules {
		matched, err := e.with(in).matches(rule.Condition)
		if err != nil {
			x.fail(t, s, e.runtime("%v", err))
			return
		}
		if matched {
			next, assign = rule.Next, rule.Assign
			break
		}
	}
	if next == "" {
		x.fail(t, s, e.stateFailure(asl.ErrNoChoiceMatched,
			"Failed to transition out of the state. The state does not point to a next state."))
		return
	}
	assigned, f := e.assigned(assign, in)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	output, f := e.with(in).selected(s.OutputPath)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	x.exit(t, s, next, output, assigned)
}

// wait parks the thread until its time; a time that has passed ends the state at once.
func (x *Execution) wait(t *thread, s *asl.State) {
	e := x.env(t, s, t.Input)
	in, f := e.selectInput()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	d, f := e.with(in).waitFor(s.Wait)
	if f != nil {
		x.fail(t, s, f)
		return
	}
	if d <= 0 {
		x.waited(t, s)
		return
	}
	t.Phase, t.Wake = waiting, x.now.Add(x.scaled(d))
}

// waited ends a Wait state.
func (x *Execution) waited(t *thread, s *asl.State) {
	e := x.env(t, s, t.Input)
	in, f := e.selectInput()
	var assigned, output jsonvalue.Value
	if f == nil {
		assigned, f = e.assigned(s.Assign, in)
	}
	if f == nil {
		output, f = e.with(in).selected(s.OutputPath)
	}
	if f != nil {
		x.fail(t, s, f)
		return
	}
	t.clearTimers()
	x.exit(t, s, s.Next, output, assigned)
}

// maxWaitSeconds is the longest wait, the longest life of an execution.
const maxWaitSeconds = 31_536_000

// waitFor returns how long a Wait state waits.
func (e *env) waitFor(w *asl.WaitFields) (time.Duration, *failure) {
	switch {
	case w.Timestamp != nil:
		return w.Timestamp.Sub(e.x.now), nil
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
		if at.Sub(e.x.now) > maxWaitSeconds*time.Second {
			return 0, e.runtime("Wait state delay is too long.")
		}
		return at.Sub(e.x.now), nil
	case w.Seconds.Path == nil:
		return time.Duration(w.Seconds.Value) * time.Second, nil
	}
	n, f := e.seconds("SecondsPath", w.Seconds, 0)
	if f == nil && n > maxWaitSeconds {
		return 0, e.runtime("Wait state delay is too long.")
	}
	return time.Duration(n) * time.Second, f
}

// seconds evaluates a number of seconds found by a path.
func (e *env) seconds(field string, sec *asl.Seconds, low int64) (int64, *failure) {
	if sec.Path == nil {
		return sec.Value, nil
	}
	v, err := e.Resolve(sec.Path)
	if err != nil {
		return 0, e.runtime("The %s parameter does not reference an input value: %s", field, sec.Path)
	}
	if !v.IsIntLiteral() {
		return 0, e.runtime("The %s parameter cannot be parsed as a long value: %s == %s", field, sec.Path, plain(v))
	}
	n, ok := v.Int()
	if !ok {
		n = math.MaxInt64
	}
	if n < low {
		kind := "negative"
		if n == 0 {
			kind = "zero"
		}
		return 0, e.runtime("The %s parameter references a %s value: %s == %s", field, kind, sec.Path, plain(v))
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

func (Tick) apply(x *Execution) {
	due := func(at time.Time) bool { return !at.IsZero() && !at.After(x.now) }
	if due(x.state.Deadline) {
		x.timeOut()
		return
	}
	// A copy, because threads come and go while it is walked.
	for _, t := range append([]*thread(nil), x.state.Threads...) {
		if x.state.Status != Running {
			return
		}
		if x.live[t.ID] != t {
			continue
		}
		s := x.machine.State(t.State)
		switch {
		case t.Phase == waiting && due(t.Wake):
			x.waited(t, s)
		case t.Phase == retrying && due(t.Wake):
			t.clearTimers()
			x.execute(t, s)
		case t.Phase == working && due(t.HeartbeatAt) && !t.HeartbeatAt.After(later(t.TimeoutAt, t.HeartbeatAt)):
			x.taskTimedOut(t, s, asl.ErrHeartbeatTimeout)
		case t.Phase == working && due(t.TimeoutAt):
			x.taskTimedOut(t, s, asl.ErrTimeout)
		}
	}
}

// later returns at, or other when at is not set.
func later(at, other time.Time) time.Time {
	if at.IsZero() {
		return other
	}
	return at
}

// timeOut ends an execution that ran longer than the machine allows.
func (x *Execution) timeOut() {
	name := asl.ErrTimeout
	x.state.Error = &name
	x.emit(0, history.ExecutionTimedOut, history.NewDetails("executionTimedOutEventDetails").Text("error", name))
	x.finish(TimedOut)
}
