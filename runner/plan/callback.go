package plan

import (
	"fmt"
	"time"

	"gust/dag"
	"gust/store"
)

// maxDeadlines bounds how many deadlines of a DAG are watched: dag.Run.DeadlinesMissed has a bit for each.
const maxDeadlines = 64

// callbacksLoaded hands out again what an earlier life has not seen the end of.
func (s *State) callbacksLoaded(snap *store.Snapshot) {
	for _, c := range snap.Callbacks {
		s.lastCallback = max(s.lastCallback, c.ID)
		s.callbacks[c.ID] = true
		s.notify(c)
	}
}

// notify hands a callback to the notifier. The stop of an attempt waits until the attempt has left the executor (land):
// until then the attempt may be about to start, or to redrive, what is to be stopped. After a restart nothing is there.
func (s *State) notify(c dag.CallbackRequest) {
	a := dag.Attempt{Key: c.Key, TryNumber: c.TryNumber}
	if c.Callback.Event == dag.StopAttempt && s.out.has(a) {
		s.stops[a] = append(s.stops[a], c)
		return
	}
	s.d.Effects = append(s.d.Effects, Notify{c})
}

// stopAfter hands over the stops that have waited for an attempt to leave the executor. One that had been handed over
// before this State was loaded may be done by now.
func (s *State) stopAfter(a dag.Attempt) {
	for _, c := range s.stops[a] {
		if s.callbacks[c.ID] {
			s.d.Effects = append(s.d.Effects, Notify{c})
		}
	}
	delete(s.stops, a)
}

func (s *State) callbackDone(id int64) {
	if s.callbacks[id] {
		delete(s.callbacks, id)
		s.d.Changes.CallbacksDone = append(s.d.Changes.CallbacksDone, id)
	}
}

// callTask asks for a task's callbacks of an event.
func (s *State) callTask(t *task, event dag.CallbackEvent, reason string) {
	for _, c := range t.spec.Callbacks {
		if c.Event == event {
			s.call(dag.CallbackRequest{Key: t.key(), TryNumber: int(t.row.TryNumber), Callback: c, Reason: reason, At: s.now})
		}
	}
}

// callRun asks for a run's callbacks of an event.
func (s *State) callRun(r *run, event dag.CallbackEvent, reason string) {
	for _, c := range r.graph.dag.Callbacks {
		if c.Event == event {
			s.call(dag.CallbackRequest{Key: r.callbackKey(), Callback: c, Reason: reason, At: s.now})
		}
	}
}

func (r *run) callbackKey() dag.Key {
	return dag.Key{DagID: r.row.DagID, RunID: r.row.RunID, MapIndex: -1}
}

func (s *State) call(c dag.CallbackRequest) {
	// IDs follow the clock, so that those of callbacks that are long gone are not used again.
	s.lastCallback = max(s.lastCallback+1, s.now.UnixMicro())
	c.ID = s.lastCallback
	s.callbacks[c.ID] = true
	s.d.Changes.Callbacks = append(s.d.Changes.Callbacks, c)
	s.notify(c)
}

// watchDeadlines sets the timers for the deadlines of a run that it has not missed yet.
func (s *State) watchDeadlines(r *run) {
	for i := range min(len(r.graph.dag.Deadlines), maxDeadlines) {
		d := &r.graph.dag.Deadlines[i]
		if at := r.deadlineAt(d); !at.IsZero() && r.row.DeadlinesMissed&(1<<i) == 0 {
			s.setTimer(timer{at: at, run: r, task: wholeRun})
		}
		if d.Reference == dag.DeadlineAverageRuntime && r.average == nil {
			s.d.Needs = append(s.d.Needs, Need{Runtimes: r.row.DagID, Limit: d.Limit, Run: r.row.RunKey})
		}
	}
}

// deadlineAt is the instant of a deadline, zero when it has none or it is not known yet.
func (r *run) deadlineAt(d *dag.Deadline) time.Time {
	var from time.Time
	switch d.Reference {
	case dag.DeadlineQueuedAt:
		from = r.row.QueuedAt
	case dag.DeadlineLogicalDate:
		from = r.row.LogicalDate
	case dag.DeadlineFixedDatetime:
		from = d.At
	case dag.DeadlineAverageRuntime:
		if r.average == nil || len(r.average) < max(1, d.MinRuns) {
			return time.Time{}
		}
		var sum time.Duration
		for _, t := range r.average {
			sum += t
		}
		from = r.row.StartDate.Add(sum / time.Duration(len(r.average)))
	}
	if from.IsZero() {
		return from
	}
	return from.Add(d.Interval)
}

// runtimesLoaded takes in how long the latest finished runs took.
func (s *State) runtimesLoaded(e Runtimes) {
	r := s.runs[e.Run]
	if r == nil || r.tasks == nil || r.average != nil {
		return
	}
	r.average = append([]time.Duration{}, e.Took...)
	s.watchDeadlines(r)
}

// missDeadlines asks for the callbacks of the deadlines that have passed. The run goes on.
func (s *State) missDeadlines(r *run) {
	if r.row.State != dag.RunRunning || r.graph == nil {
		return
	}
	for i := range min(len(r.graph.dag.Deadlines), maxDeadlines) {
		d := &r.graph.dag.Deadlines[i]
		at := r.deadlineAt(d)
		if at.IsZero() || at.After(s.now) || r.row.DeadlinesMissed&(1<<i) != 0 {
			continue
		}
		r.row.DeadlinesMissed |= 1 << i
		s.markRun(r)
		c := d.Callback
		c.Event = dag.OnDeadline
		s.call(dag.CallbackRequest{
			Key: r.callbackKey(), Callback: c, At: s.now,
			Reason: fmt.Sprintf("the run has not ended by its deadline %s (%s %+v)", stamp(at), d.Reference, d.Interval),
		})
	}
}
