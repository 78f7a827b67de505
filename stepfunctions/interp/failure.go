package interp

import (
	"fmt"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonvalue"
)

// failure is an error in the sense of the language. A Fail state may leave out its name or cause.
type failure struct {
	name, cause *string
	// query is set when an expression could not be evaluated: the field it stands in, which may be empty.
	query *string
	// afterEntered makes the record of such a failure follow the state's own event even on entry.
	afterEntered bool
}

func newFailure(name, cause string) *failure { return &failure{name: &name, cause: &cause} }

// workerFailure is what a worker reports: it may leave out either.
func workerFailure(name, cause string) *failure {
	f := &failure{}
	if name != "" {
		f.name = &name
	}
	if cause != "" {
		f.cause = &cause
	}
	return f
}

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

// runtime is a fault of the definition or its data; nothing retries or catches it.
func (e *env) runtime(format string, args ...any) *failure {
	return e.stateFailure(asl.ErrRuntime, format, args...)
}

// queryFailure is a fault of an expression; location is the field it stands in, empty when it is the state's input that
// is at fault.
func (e *env) queryFailure(location, format string, args ...any) *failure {
	f := e.stateFailure(asl.ErrQueryEvaluation, format, args...)
	f.query = &location
	return f
}

// intrinsicFailure is a function call that failed. AWS reports it as States.Runtime, not as the States.IntrinsicFailure of
// the language's specification.
func (e *env) intrinsicFailure(call *intrinsic.Error) *failure { return e.runtime("%v", call) }

// stateFailure words a failure of the state itself.
func (e *env) stateFailure(name, format string, args ...any) *failure {
	return newFailure(name, e.where()+fmt.Sprintf(format, args...))
}

// where begins the cause of a state's failure.
func (e *env) where() string {
	if e.bare {
		return ""
	}
	return fmt.Sprintf("An error occurred while executing the state '%s' (entered at the event id #%d). ", e.s.Name, e.t.entered)
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

// details writes error and cause.
func (f *failure) details(d *history.Details) *history.Details {
	return d.Optional("error", f.name).Optional("cause", f.cause)
}

// fail handles the failure of a thread's state: by a retrier, by a catcher, or by failing what is around it.
func (x *Execution) fail(t *thread, f *failure) {
	if f.query == nil {
		x.failed(t, f, false)
		return
	}
	x.recordQueryFailure(t, f)
	x.failed(t, f, t.state.Type == asl.Parallel || t.state.Type == asl.Map)
}

// recordQueryFailure writes that an expression could not be evaluated. On entry to the state the record follows what led
// to the state, not the state's own event.
func (x *Execution) recordQueryFailure(t *thread, f *failure) {
	d := history.NewDetails("evaluationFailedEventDetails").Text("state", t.state.Name)
	if *f.query != "" {
		d.Text("location", *f.query)
	}
	previous := t.previous
	if t.entering && !f.afterEntered && t.previous == t.entered {
		previous = t.cause
	}
	t.previous = x.emit(previous, history.EvaluationFailed, f.details(d))
}

// failed is fail once the failure is recorded; bracket tells that the state, a Parallel or Map, writes its own failure
// too.
func (x *Execution) failed(t *thread, f *failure, bracket bool) {
	x.touch(t)
	x.stopTask(t)
	x.clearTimers(t)
	if f.errorName() == asl.ErrRuntime {
		x.failExecution(t, f)
		return
	}
	if x.retry(t, f) {
		return
	}
	for _, child := range t.children() {
		x.abort(child)
	}
	if bracket {
		typ := history.ParallelStateFailed
		if t.state.Type == asl.Map {
			typ = history.MapStateFailed
		}
		x.follow(t, typ, nil)
	}
	for _, c := range t.state.Catch {
		if asl.Matches(c.Errors, f.errorName()) {
			x.caught(t, c, f)
			return
		}
	}
	x.unhandled(t, f)
}

// retry starts the state again later when a retrier covers the failure and has attempts left. The first retrier that
// covers it decides.
func (x *Execution) retry(t *thread, f *failure) bool {
	for i, r := range t.state.Retry {
		if !asl.Matches(r.Errors, f.errorName()) {
			continue
		}
		if t.attempts == nil {
			t.attempts = make([]int64, len(t.state.Retry))
		}
		if t.attempts[i] >= r.MaxAttempts {
			return false
		}
		t.attempts[i]++
		t.retries++
		delay := r.Delay(t.attempts[i], func() float64 { return float64(x.random()>>11) / (1 << 53) })
		x.removeChildren(t)
		t.phase, t.wake = retrying, x.after(delay)
		x.schedule(t)
		return true
	}
	return false
}

// caught leaves the state through a catcher.
func (x *Execution) caught(t *thread, c *asl.Catcher, f *failure) {
	x.removeChildren(t)
	t.entering = false
	o, failed := x.env(t).withError(c, f.output())
	if failed == nil && len(o.output.String()) > MaxPayloadBytes {
		failed = tooLarge(t.state.Name)
	}
	if failed == nil {
		failed = x.assignable(t, o.assigned)
	}
	if failed == nil {
		x.exit(t, c.Next, o.output, o.assigned)
		return
	}
	if failed.query != nil {
		x.recordQueryFailure(t, failed)
	}
	if failed.errorName() == asl.ErrRuntime {
		x.failExecution(t, failed)
		return
	}
	x.unhandled(t, failed)
}

// unhandled ends the thread's scope, and the execution when that is the outermost.
func (x *Execution) unhandled(t *thread, f *failure) {
	if t.parent == nil {
		x.failExecution(t, f)
		return
	}
	t.phase = stopped
	parent := t.parent
	if parent.state.Type == asl.Map {
		x.emit(t.previous, history.MapIterationFailed, iteration("mapIterationFailedEventDetails", parent, t.index))
	}
	for _, sibling := range parent.children() {
		if sibling != t {
			x.abort(sibling)
		}
	}
	parent.previous = t.previous
	x.failed(parent, f, true)
}

// failExecution ends the execution by the failure of a thread, whatever is around it.
func (x *Execution) failExecution(t *thread, f *failure) {
	for p := t; p != nil; p = p.parent {
		x.touch(p)
	}
	t.phase = stopped
	x.emit(t.previous, history.ExecutionFailed, f.details(history.NewDetails("executionFailedEventDetails")))
	x.state.err, x.state.cause = f.name, f.cause
	x.finish(Failed)
}

// abortedTypes are the event types of states that end because a sibling failed.
var abortedTypes = map[asl.Type]history.Type{
	asl.Task: history.TaskStateAborted, asl.Wait: history.WaitStateAborted,
	asl.Parallel: history.ParallelStateAborted, asl.Map: history.MapStateAborted,
}

// abort stops a branch or iteration and everything in it. What it writes does not lengthen the chains.
func (x *Execution) abort(t *thread) {
	if t.phase == stopped {
		return
	}
	x.touch(t)
	for _, child := range t.children() {
		x.abort(child)
	}
	if t.task != nil && t.task.mapRun != nil {
		x.emit(t.previous, history.MapRunAborted, nil)
	}
	x.stopTask(t)
	x.clearTimers(t)
	if typ, ok := abortedTypes[t.state.Type]; ok && t.phase != ready {
		x.emit(t.previous, typ, nil)
	}
	if t.parent.state.Type == asl.Map {
		x.emit(t.previous, history.MapIterationAborted, iteration("mapIterationAbortedEventDetails", t.parent, t.index))
	}
	t.phase = stopped
}

// removeChildren forgets everything inside a Parallel or Map state.
func (x *Execution) removeChildren(t *thread) {
	for _, child := range t.children() {
		x.removeChildren(child)
		x.stopTask(child)
		x.removeThread(child)
	}
	x.dropFork(t)
}

// failTooLong ends an execution that has used up its history.
func (x *Execution) failTooLong() {
	x.overflow = false
	f := newFailure(asl.ErrRuntime, fmt.Sprintf("The execution reached the maximum number of history events (%d).",
		history.MaxEvents))
	x.emit(x.state.lastEvent, history.ExecutionFailed, f.details(history.NewDetails("executionFailedEventDetails")))
	x.state.err, x.state.cause = f.name, f.cause
	x.finish(Failed)
}
