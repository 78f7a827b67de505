package interp

import (
	"fmt"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// failure is an error in the sense of the language. A Fail state may leave out its name or cause.
type failure struct{ name, cause *string }

func newFailure(name, cause string) *failure { return &failure{name: &name, cause: &cause} }

func (f *failure) errorName() string {
	if f.name == nil {
		return ""
	}
	return *f.name
}

func tooLarge(what string) *failure {
	return newFailure(asl.ErrDataLimitExceeded, fmt.Sprintf("The state/task '%s' returned a result with a size "+
		"exceeding the maximum number of bytes service limit.", what))
}

// output is what a catcher sees.
func (f *failure) output() jsonvalue.Value {
	b := jsonvalue.NewObjectBuilder(2)
	if f.name != nil {
		b.Set("Error", jsonvalue.NewString(*f.name))
	}
	if f.cause != nil {
		b.Set("Cause", jsonvalue.NewString(*f.cause))
	}
	return b.Value()
}

// fail handles the failure of a thread's state: by a retrier, by a catcher, or by failing what is around it.
func (x *Execution) fail(t *thread, s *asl.State, f *failure) { x.failed(t, s, f, false) }

// failed is fail; inner tells that a branch or iteration of the state was what failed.
func (x *Execution) failed(t *thread, s *asl.State, f *failure, inner bool) {
	x.cancelTask(t)
	t.clearTimers()
	if x.retry(t, s, f) {
		return
	}
	if inner {
		typ := history.ParallelStateFailed
		if s.Type == asl.Map {
			typ = history.MapStateFailed
		}
		x.follow(t, typ, nil)
	}
	for _, c := range s.Catch {
		if asl.Matches(c.Errors, f.errorName()) {
			x.caught(t, s, c, f)
			return
		}
	}
	x.unhandled(t, f)
}

// retry starts the state again later when a retrier covers the failure and has attempts left. The first retrier that
// covers it decides.
func (x *Execution) retry(t *thread, s *asl.State, f *failure) bool {
	for i, r := range s.Retry {
		if !asl.Matches(r.Errors, f.errorName()) {
			continue
		}
		if t.Attempts == nil {
			t.Attempts = make([]int64, len(s.Retry))
		}
		if t.Attempts[i] >= r.MaxAttempts {
			return false
		}
		t.Attempts[i]++
		t.RetryCount++
		delay := r.Delay(t.Attempts[i], func() float64 { return float64(x.random()>>11) / (1 << 53) })
		x.removeChildren(t)
		t.Phase, t.Wake = retrying, x.now.Add(x.scaled(delay))
		return true
	}
	return false
}

// caught leaves the state through a catcher.
func (x *Execution) caught(t *thread, s *asl.State, c *asl.Catcher, f *failure) {
	x.removeChildren(t)
	e := x.env(t, s, t.Input)
	assigned, failed := e.assigned(c.Assign, f.output())
	var output jsonvalue.Value
	if failed == nil {
		output, failed = e.place(c.ResultPath, t.Input, f.output())
	}
	if failed == nil && len(output.String()) > MaxPayloadBytes {
		failed = tooLarge(s.Name)
	}
	if failed != nil {
		x.unhandled(t, failed)
		return
	}
	x.exit(t, s, c.Next, output, assigned)
}

// unhandled ends the thread's scope, and the execution when that is the outermost.
func (x *Execution) unhandled(t *thread, f *failure) {
	t.Phase = stopped
	if t.Parent == 0 {
		x.emit(t.Previous, history.ExecutionFailed, history.NewDetails("executionFailedEventDetails").
			Optional("error", f.name).Optional("cause", f.cause))
		x.state.Error, x.state.Cause = f.name, f.cause
		x.finish(Failed)
		return
	}
	parent := x.live[t.Parent]
	s := x.machine.State(parent.State)
	if s.Type == asl.Map {
		x.emit(t.Previous, history.MapIterationFailed, iteration("mapIterationFailedEventDetails", s, t.Index))
	}
	for _, sibling := range x.children(parent) {
		if sibling != t {
			x.abort(sibling, s)
		}
	}
	parent.Previous = t.Previous
	x.failed(parent, s, f, true)
}

// abortedTypes are the event types of states that end because a sibling failed.
var abortedTypes = map[asl.Type]history.Type{
	asl.Task: "TaskStateAborted", asl.Wait: "WaitStateAborted",
	asl.Parallel: history.ParallelStateAborted, asl.Map: history.MapStateAborted,
}

// abort stops a branch or iteration and everything in it.
func (x *Execution) abort(t *thread, parent *asl.State) {
	if t.Phase == stopped {
		return
	}
	s := x.machine.State(t.State)
	for _, child := range x.children(t) {
		x.abort(child, s)
	}
	x.cancelTask(t)
	t.clearTimers()
	if typ, ok := abortedTypes[s.Type]; ok && t.Phase != ready {
		x.follow(t, typ, nil)
	}
	if parent.Type == asl.Map {
		x.emit(t.Previous, history.MapIterationAborted, iteration("mapIterationAbortedEventDetails", parent, t.Index))
	}
	t.Phase = stopped
}

func (x *Execution) children(t *thread) []*thread {
	var children []*thread
	if t.Fork == nil {
		return nil
	}
	for _, other := range x.state.Threads {
		if other.Parent == t.ID {
			children = append(children, other)
		}
	}
	return children
}

// removeChildren forgets everything inside a Parallel or Map state.
func (x *Execution) removeChildren(t *thread) {
	for _, child := range x.children(t) {
		x.removeChildren(child)
		x.cancelTask(child)
		x.removeThread(child)
	}
	t.Fork = nil
}

func (ev Abort) apply(x *Execution) {
	x.state.Error, x.state.Cause = ev.Error, ev.Cause
	x.emit(0, history.ExecutionAborted, history.NewDetails("executionAbortedEventDetails").
		Optional("error", ev.Error).Optional("cause", ev.Cause))
	x.finish(Aborted)
}

// failTooLong ends an execution that has used up its history.
func (x *Execution) failTooLong() {
	x.overflow = false
	f := newFailure(asl.ErrRuntime, fmt.Sprintf("The execution reached the maximum number of history events (%d).",
		history.MaxEvents))
	x.emit(x.state.LastEvent, history.ExecutionFailed, history.NewDetails("executionFailedEventDetails").
		Optional("error", f.name).Optional("cause", f.cause))
	x.state.Error, x.state.Cause = f.name, f.cause
	x.finish(Failed)
}

// apply resumes every thread that was stopped: tasks are scheduled again, other states are evaluated again, a Fail
// state is entered again, and a Parallel or Map state goes on with the branches and items that had not succeeded.
func (Redrive) apply(x *Execution) {
	st := &x.state
	st.Status, st.StopTime, st.Error, st.Cause = Running, time.Time{}, nil, nil
	st.Redrives++
	st.RedriveAt = x.now
	if x.machine.TimeoutSeconds > 0 {
		st.Deadline = x.now.Add(time.Duration(x.machine.TimeoutSeconds) * time.Second)
	}
	redriven := x.emit(st.LastEvent, history.ExecutionRedriven,
		history.NewDetails("executionRedrivenEventDetails").Int("redriveCount", int64(st.Redrives)))
	for _, t := range append([]*thread(nil), st.Threads...) {
		if x.state.Status != Running || x.live[t.ID] != t {
			continue
		}
		t.Attempts, t.RetryCount, t.TaskID = nil, 0, 0
		t.clearTimers()
		if t.Fork != nil && len(x.children(t)) > 0 {
			t.Phase = forked
			continue
		}
		t.Previous = redriven
		s := x.machine.State(t.State)
		if s.Type == asl.Fail || t.Phase == ready {
			t.Phase = ready
			x.wakeUp(t)
			continue
		}
		t.Fork = nil
		t.Phase = ready
		x.execute(t, s)
	}
}
