package plan

import (
	"fmt"
	"slices"

	"gust/dag"
	"gust/store"
)

// pastReason says why depends_on_past or wait_for_downstream holds the task back, "" when nothing does.
func (t *task) pastReason() string {
	if !dependsOnPast(t.spec) {
		return ""
	}
	r := t.run
	p := r.prev
	switch {
	case !r.prevKnown:
		return "the previous run is being looked up"
	case p == nil:
		return ""
	case r.row.BackfillID != 0 && p.row.BackfillID != r.row.BackfillID:
		return "" // the first run of a backfill does not look at what was before it
	case r.graph.dag.Catchup && !t.spec.StartDate.IsZero() && p.row.LogicalDate.Before(t.spec.StartDate):
		return ""
	}
	st, has := p.state(t.spec.ID)
	if !has {
		if t.spec.IgnoreFirstDependsOnPast && !p.prior[t.spec.ID] {
			return ""
		}
		return fmt.Sprintf("depends_on_past is true and the previous run %s has no instance of this task", p.row.RunID)
	}
	if !st.Succeeded() {
		return fmt.Sprintf("depends_on_past is true and the task is %s in the previous run %s", st, p.row.RunID)
	}
	if !t.spec.WaitForDownstream {
		return ""
	}
	for _, id := range t.spec.Downstream {
		if st, has := p.state(id); has && !st.Succeeded() {
			return fmt.Sprintf("wait_for_downstream is true and task %s is %s in the previous run %s", id, st, p.row.RunID)
		}
	}
	return ""
}

// state is the state of a task in the past run, and whether the run has an instance of it.
func (p *past) state(id string) (dag.State, bool) {
	if p.live == nil {
		st, ok := p.states[id]
		return st, ok
	}
	if p.live.tasks == nil { // still queued: its tasks are to come
		return dag.StateNone, true
	}
	i, ok := p.live.graph.index[id]
	if !ok || p.live.tasks[i].absent {
		return dag.StateNone, false
	}
	return p.live.tasks[i].whole(), true
}

// lookPast looks again at the tasks of a run that may have waited for this task of the run before.
func (s *State) lookPast(r *run, changed *dag.Task) {
	if r.tasks == nil {
		return
	}
	i, ok := r.graph.index[changed.ID]
	if !ok {
		return
	}
	s.look(&r.tasks[i])
	for _, j := range r.graph.up[i] {
		if r.tasks[j].spec.WaitForDownstream {
			s.look(&r.tasks[j])
		}
	}
}

// askPast asks for the run before, which tasks of this one depend on.
func (s *State) askPast(r *run) {
	if len(r.graph.past) == 0 || r.pastOpen == 0 {
		return
	}
	before := r.row
	s.d.Needs = append(s.d.Needs, Need{Before: &before, ScheduledOnly: r.graph.dag.Catchup, Tasks: r.graph.past})
}

func (s *State) pastLoaded(e Past) {
	r := s.runs[e.Run]
	if r == nil || r.tasks == nil || r.prevKnown {
		return
	}
	r.prevKnown = true
	if e.Previous != nil {
		r.prev = s.pastOf(r, e.Previous, e.Known)
	}
	for _, id := range r.graph.past {
		s.look(&r.tasks[r.graph.index[id]])
	}
	s.touchRun(r)
}

// pastOf links a run to the one before: to the living run when that is unfinished, else to its stored states.
func (s *State) pastOf(r *run, prev *store.ActiveRun, known map[string]bool) *past {
	if !prev.Run.State.Finished() {
		s.addQueued(prev.Run)
	}
	if live := s.runs[prev.Run.RunKey]; live != nil {
		live.next = append(live.next, r)
		return &past{row: live.row, live: live, prior: known}
	}
	p := &past{row: prev.Run, states: make(map[string]dag.State, len(prev.Tasks)), prior: known}
	for i := range prev.Tasks {
		// Of a mapped task every instance counts: one that has not succeeded stands for all.
		if row := &prev.Tasks[i]; row.State != dag.StateRemoved {
			if st, ok := p.states[row.TaskID]; !ok || st.Succeeded() {
				p.states[row.TaskID] = row.State
			}
		}
	}
	return p
}

// detach hands the final states of a run that ends to the runs after it.
func (s *State) detach(r *run) {
	if len(r.next) == 0 {
		return
	}
	states := make(map[string]dag.State, len(r.tasks))
	for i := range r.tasks {
		if t := &r.tasks[i]; !t.absent {
			states[t.spec.ID] = t.whole()
		}
	}
	for _, n := range r.next {
		n.prev.row, n.prev.live, n.prev.states = r.row, nil, states
	}
	r.next = nil
}

// leavePast stops a run that ends from being told about the run before.
func (s *State) leavePast(r *run) {
	if r.prev == nil || r.prev.live == nil {
		return
	}
	before := r.prev.live
	before.next = slices.DeleteFunc(before.next, func(n *run) bool { return n == r })
}
