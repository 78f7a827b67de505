package plan

import (
	"gust/dag"
	"gust/runner/executor"
	"gust/store"
)

// waitEnds applies the ends that people have given to waits.
func (s *State) waitEnds(ends []store.WaitEnd) {
	known := s.waitsEnded
	s.waitsEnded = make(map[int64]bool, len(ends))
	for i := range ends {
		e := &ends[i]
		s.waitsEnded[e.ID] = true
		if !known[e.ID] { // else committed with the Step before; the row was read earlier
			s.d.Changes.WaitEndsDone = append(s.d.Changes.WaitEndsDone, e.ID)
			s.endWait(e)
		}
	}
}

// endWait lets a task go on with the end of its wait, on a worker, as if its trigger had told it. An end comes too late
// when the wait is over.
func (s *State) endWait(e *store.WaitEnd) {
	run := s.runs[e.Run()]
	if run == nil || run.tasks == nil || e.Deferral == nil {
		return
	}
	t := run.find(e.Key)
	if t == nil || t.attempt() != e.Attempt || t.row.State != dag.StateDeferred || answered(t.row.Deferral) {
		return
	}
	d := *e.Deferral
	d.Event, d.Failed = e.Event, e.Failed
	if t.parked {
		s.unpark(t, "") // what it has started is stopped by the request, if at all
	}
	if e.Stop != "" { // stored with the end: the process may die before it has stopped anything
		ti := t.instance()
		ti.Deferral = e.Deferral
		s.call(dag.StopRequest(&ti, e.Stop, s.now))
	}
	s.fired(t, &executor.Report{Attempt: e.Attempt, Deferral: &d})
}
