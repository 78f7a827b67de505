package plan

import (
	"time"

	"gust/dag"
)

// examineTask asks whether a task without a state may run now, or is finished without running.
func (s *State) examineTask(t *task) {
	if t.row.State != dag.StateNone || t.expanded || t.run.row.State != dag.RunRunning {
		return // expanded: fail_fast has ended its instances since it was put on the list
	}
	switch v := t.verdict(); {
	case v.Set == dag.StateSkipped && t.spec.WaitForPastBeforeSkipping && t.pastReason() != "":
		// looked at again when the task of the run before has ended
	case v.Set != dag.StateNone:
		s.finish(t, v.Set, s.now)
	case v.Run && t.pastReason() == "":
		if t.spec.Mapped != nil && t.base == nil {
			s.expand(t)
			return
		}
		s.newTry(t)
	}
}

// verdict is what the trigger rule says, and the setups in whose scope the task is.
func (t *task) verdict() dag.Verdict {
	if t.spec.Teardown {
		return dag.EvaluateTeardown(t.upstream(), t.ownSetups())
	}
	v := t.spec.TriggerRule.Evaluate(t.upstream())
	if g := t.run.graph; v.Run && g.setups != nil {
		for _, i := range g.setups[t.index] {
			switch st := t.run.tasks[i].whole(); {
			case t.run.tasks[i].absent:
			case st.FailedState():
				return dag.Verdict{Set: dag.StateUpstreamFailed}
			case st == dag.StateSkipped:
				return dag.Verdict{Set: dag.StateSkipped}
			case !st.Finished():
				v.Run = false
			}
		}
	}
	return v
}

// ownSetups counts the states of a teardown's setups.
func (t *task) ownSetups() dag.Upstream {
	var u dag.Upstream
	for _, id := range t.spec.Setups {
		if i, ok := t.run.graph.index[id]; ok {
			for s := range t.run.tasks[i].each {
				u.Total++
				u.Add(s.row.State, 1)
			}
		}
	}
	return u
}

// newTry makes a task ready for its next try. A finished try before it is archived.
func (s *State) newTry(t *task) {
	if t.row.State != dag.StateNone && t.row.TryNumber > 0 {
		old := t.instance()
		old.State, old.NotBefore = dag.StateFailed, time.Time{}
		t.row.setRare(func(x *rare) { x.archive = &old })
	}
	t.row.TryNumber++
	t.row.StartDate, t.row.EndDate, t.row.QueuedAt = 0, 0, 0
	t.row.setWait(nil)
	s.enqueue(t)
}

// enqueue makes a task ready for the try it has.
func (s *State) enqueue(t *task) {
	t.row.NotBefore = 0
	s.move(t, scheduled)
	if t.spec.Inline && t.run.pipeline.pause.limit < 0 {
		s.runInline(t)
		return
	}
	s.lag(t)
	s.offer(t)
}

// lag lets the row of a task follow later, if it is still in this state then.
func (s *State) lag(t *task) {
	if s.cfg.StateLag > 0 {
		t.since = momentOf(s.now)
		s.lagging.push(lag{t, t.since})
	}
}

// runInline finishes a task that does nothing, without a worker.
func (s *State) runInline(t *task) {
	t.row.StartDate = momentOf(s.now)
	if t.row.FirstStart == 0 {
		t.row.FirstStart = t.row.StartDate
	}
	s.callTask(t, dag.OnExecute, "")
	s.callTask(t, dag.OnSuccess, "")
	s.finish(t, dag.StateSuccess, s.now)
}

// move changes a task's state and everything that counts states.
func (s *State) move(t *task, to dag.State) {
	from, r := t.row.State, t.run
	t.row.State = to
	s.mark(t)
	if b := t.base; b != nil && from == dag.StateNone && to != dag.StateNone {
		b.untouched--
	}
	wasLive, isLive := from != dag.StateNone && !from.Finished(), to != dag.StateNone && !to.Finished()
	switch {
	case isLive && !wasLive:
		r.live++
	case wasLive && !isLive:
		r.live--
	}
	if from.Finished() || !to.Finished() {
		return
	}
	r.unfinished--
	if dependsOnPast(t.spec) {
		r.pastOpen--
	}
	for _, j := range r.graph.down[t.index] {
		d := &r.tasks[j]
		d.up.Add(to, 1)
		if d.row.State == dag.StateNone || d.expanded {
			s.look(d)
		}
	}
	if r.graph.scope != nil {
		for _, j := range r.graph.scope[t.index] {
			s.look(&r.tasks[j])
		}
	}
	for _, n := range r.next {
		s.lookPast(n, t.spec)
	}
	s.touchRun(r)
}

// finish ends a task. Its slots become free; what waited for it is looked at again.
func (s *State) finish(t *task, to dag.State, at time.Time) {
	if t.former != nil {
		s.restore(t)
		for u := range t.each {
			s.finish(u, to, at)
		}
		return
	}
	s.release(t, heldSlot|heldPool)
	t.row.EndDate = max(momentOf(at), t.row.StartDate) // the clock may have gone back
	t.row.NotBefore = 0
	t.row.setWait(nil)
	s.move(t, to)
	if to == dag.StateSuccess && len(t.spec.Outlets) > 0 {
		s.produced(t)
	}
	if to == dag.StateFailed && t.run.graph.dag.FailFast && t.run.row.State == dag.RunRunning {
		s.failFast(t)
	}
}
