package plan

import (
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/store"
)

// report takes in one report and tells whether it was about a current attempt. An attempt that ended frees its place in
// the executor or trigger loop even when nobody is interested in it any more.
func (s *State) report(r *executor.Report) bool {
	run := s.runs[r.Attempt.Run()]
	if run == nil || run.tasks == nil {
		s.leave(nil, r)
		return false
	}
	t := run.find(r.Attempt.Key)
	s.leave(t, r)
	if t == nil || int(t.row.TryNumber) != r.Attempt.TryNumber {
		return false
	}
	var stop dag.CallbackRequest
	if r.Unstopped != "" {
		stop = t.stopRequest(r.Unstopped, s.now)
	}
	if !s.accept(t, r) {
		return false
	}
	if r.Unstopped != "" {
		s.call(stop)
	}
	for _, x := range r.XComs {
		x.Key, x.Try = t.key(), r.Attempt.TryNumber
		if x.At.IsZero() {
			x.At = s.now
		}
		s.d.Changes.XComs = append(s.d.Changes.XComs, x)
	}
	return true
}

// leave notes that an attempt has left the executor or the trigger loop. t is its task instance, perhaps with another
// attempt by now, nil when there is none.
func (s *State) leave(t *task, r *executor.Report) {
	fromLoop := func() {
		if t != nil && t.attempt() == r.Attempt {
			s.setParked(t, false)
		}
	}
	switch r.Kind {
	case executor.Deferred, executor.Rescheduled:
		s.land(t, r.Attempt)
	case executor.Fired:
		fromLoop()
	case executor.Succeeded, executor.Skipped, executor.Failed, executor.Interrupted:
		if s.out.has(r.Attempt) {
			s.land(t, r.Attempt)
		} else {
			fromLoop()
		}
	case executor.Started, executor.Pushed, executor.Parked, executor.Noted:
	}
}

// land frees the place of an attempt in the executor. The stop of what it has started may have waited for that
// (notify), and the task's next try (offer).
func (s *State) land(t *task, a dag.Attempt) {
	if !s.out.has(a) {
		return
	}
	s.out.remove(a)
	s.stopAfter(a)
	if t != nil && t.waiting() {
		s.offer(t)
	}
}

// accept applies a report to the task it is about, unless the task's state says that it comes too late.
func (s *State) accept(t *task, r *executor.Report) bool {
	state := t.row.State
	active := state == dag.StateQueued || state == dag.StateRunning
	if state == dag.StateRestarting {
		return s.restarted(t, r)
	}
	switch r.Kind {
	case executor.Started:
		if state == dag.StateQueued {
			s.callTask(t, dag.OnExecute, "")
			s.started(t, s.at(r))
			s.move(t, dag.StateRunning)
			s.lag(t)
		}
		return active
	case executor.Pushed:
		return active || state == dag.StateDeferred
	case executor.Succeeded, executor.Skipped, executor.Failed:
		if !active && state != dag.StateDeferred {
			return false
		}
		s.ended(t, r)
		return true
	case executor.Deferred:
		return active && s.deferred(t, r)
	case executor.Parked:
		return (active || state == dag.StateDeferred) && s.parkedBy(t, r)
	case executor.Noted:
		return state == dag.StateDeferred && s.noted(t, r)
	case executor.Fired:
		return state == dag.StateDeferred && s.fired(t, r)
	case executor.Rescheduled:
		if active {
			s.started(t, s.at(r))
			s.release(t, heldSlot|heldPool)
			t.row.NotBefore = momentOf(r.RescheduleAt)
			t.row.setWait(nil)
			s.move(t, dag.StateUpForReschedule)
			s.sleep(t)
		}
		return active
	case executor.Interrupted:
		if active || state == dag.StateDeferred {
			s.interrupted(t)
			return true
		}
	}
	return false
}

// at is when the report says that it happened.
func (s *State) at(r *executor.Report) time.Time {
	if r.At.IsZero() {
		return s.now
	}
	return r.At.UTC()
}

// started notes when the try and the task began, unless that is known: an attempt that is repeated after a crash, a
// deferral or a reschedule belongs to the try that began earlier.
func (s *State) started(t *task, at time.Time) {
	if t.row.StartDate == 0 {
		t.row.StartDate = momentOf(at)
	}
	if t.row.FirstStart == 0 {
		t.row.FirstStart = momentOf(at)
	}
	s.mark(t)
}

func (s *State) ended(t *task, r *executor.Report) {
	at := s.at(r)
	s.started(t, at)
	if r.MapLabel != "" {
		t.row.setRare(func(x *rare) { x.RenderedMapIndex = r.MapLabel })
	}
	switch r.Kind {
	case executor.Succeeded:
		t.row.setError("")
		s.callTask(t, dag.OnSuccess, "")
		s.decide(t, r)
		s.finish(t, dag.StateSuccess, at)
	case executor.Skipped:
		t.row.setError("")
		s.callTask(t, dag.OnSkipped, r.Error)
		s.finish(t, dag.StateSkipped, at)
	default:
		t.row.setError(r.Error)
		if r.NoRetry || !t.row.mayRetry() {
			s.callTask(t, dag.OnFailure, r.Error)
			s.finish(t, dag.StateFailed, at)
			return
		}
		s.callTask(t, dag.OnRetry, r.Error)
		delay := max(r.RetryAfter, t.spec.NextRetryDelay(t.run.row.DagID, t.run.row.LogicalDate, int(t.row.TryNumber)))
		s.retryLater(t, at, delay)
	}
}

// retryLater puts a task whose try has failed to sleep until its next one.
func (s *State) retryLater(t *task, at time.Time, delay time.Duration) {
	s.release(t, heldSlot|heldPool)
	if start := t.row.StartDate.time(); at.Before(start) {
		at = start
	}
	t.row.EndDate = momentOf(at)
	t.row.NotBefore = momentOf(at.Add(delay))
	t.row.setWait(nil)
	s.move(t, dag.StateUpForRetry)
	s.sleep(t)
}

// sleep wakes the task at its NotBefore.
func (s *State) sleep(t *task) {
	s.setTimer(timer{at: t.row.NotBefore.time(), run: t.run, task: int(t.index), instance: int(t.row.MapIndex)})
}

// restarted begins a new try of a task that was cleared while it ran, once its attempt has ended, however it did.
func (s *State) restarted(t *task, r *executor.Report) bool {
	switch r.Kind {
	case executor.Succeeded, executor.Skipped, executor.Failed, executor.Deferred, executor.Rescheduled,
		executor.Interrupted, executor.Fired:
		if r.Kind == executor.Deferred { // nobody is going to wait for what it has started
			left := t.instance()
			left.Deferral = r.Deferral
			s.call(dag.StopRequest(&left, "the task was cleared", s.now))
		}
		t.row.setError(r.Error)
		t.row.MaxTries = max(t.row.MaxTries, t.row.TryNumber)
		s.retryLater(t, s.at(r), 0)
		return true
	case executor.Started, executor.Pushed, executor.Parked, executor.Noted:
	}
	return false
}

// deferred parks a task on behalf of its operator: the worker is free, the trigger loop takes over.
func (s *State) deferred(t *task, r *executor.Report) bool {
	if r.Deferral == nil {
		return false
	}
	s.started(t, s.at(r))
	t.row.setWait(r.Deferral)
	s.hold(t)
	s.park(t)
	return true
}

// parkedBy notes what the trigger loop parked a sensor on.
func (s *State) parkedBy(t *task, r *executor.Report) bool {
	if r.Deferral == nil {
		return false
	}
	s.started(t, s.at(r))
	t.row.setWait(r.Deferral)
	s.hold(t)
	return true
}

// hold moves a task to deferred. It keeps its place in a pool that includes deferred tasks, and nothing else.
func (s *State) hold(t *task) {
	if s.pool(t.row.Pool).deferred {
		s.release(t, heldSlot)
		s.take(t, heldPool)
	} else {
		s.release(t, heldSlot|heldPool)
	}
	s.move(t, dag.StateDeferred)
}

// noted stores the new state of a wait.
func (s *State) noted(t *task, r *executor.Report) bool {
	if r.Deferral == nil {
		return false
	}
	if t.row.wait == waitWritten {
		d := *t.row.Deferral // shared with work that was handed out
		d.State = r.Deferral.State
		t.row.Deferral = &d
	} else {
		t.row.Deferral, t.row.wait = &dag.Deferral{State: r.Deferral.State}, waitNoted
	}
	s.mark(t)
	return true
}

// fired queues a task whose wait has ended before all new work.
func (s *State) fired(t *task, r *executor.Report) bool {
	if !answered(r.Deferral) {
		return false
	}
	t.row.setWait(r.Deferral)
	t.resumed = true
	s.enqueue(t)
	return true
}

// interrupted lets an attempt that the daemon stopped begin again, same try.
func (s *State) interrupted(t *task) {
	s.release(t, heldSlot)
	if !s.pool(t.row.Pool).deferred || !answered(t.row.Deferral) {
		s.release(t, heldPool)
	}
	if t.row.State == dag.StateDeferred { // the wait is stored; it is parked again
		s.hold(t)
		s.park(t)
		return
	}
	t.resumed = true
	s.enqueue(t)
}

// decide applies a branch's or short circuit's decision and remembers it.
func (s *State) decide(t *task, r *executor.Report) {
	var c choice
	switch {
	case r.SkipAll:
		c = s.skipAll(t)
	case r.Follow != nil:
		c = s.follow(t, *r.Follow)
	default:
		return
	}
	s.skip(t, c)
	s.d.Changes.XComs = append(s.d.Changes.XComs, store.XCom{
		Key: t.key(), Name: store.SkipKey, Try: int(t.row.TryNumber), Value: c.json(), At: s.now,
	})
}
