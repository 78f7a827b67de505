package plan

import (
	"cmp"
	"fmt"
	"slices"

	"gust/dag"
)

const defaultMaxMapLength = 1024

// all yields every task instance of the run; of an expanded task its instances.
func (r *run) all(yield func(*task) bool) {
	for i := range r.tasks {
		for t := range r.tasks[i].each {
			if !yield(t) {
				return
			}
		}
	}
}

// each yields the instances of a task: itself, unless it is mapped and expanded, or has none in this run.
func (t *task) each(yield func(*task) bool) {
	switch {
	case t.expanded:
		for i := range t.instances {
			if !yield(&t.instances[i]) {
				return
			}
		}
	case !t.absent:
		yield(t)
	}
}

// find returns the task instance with this key, nil when the run has none.
func (r *run) find(key dag.Key) *task {
	i, ok := r.graph.index[key.TaskID]
	if !ok {
		return nil
	}
	return r.at(i, key.MapIndex)
}

// at returns an instance of task i by its map index, -1 for a task that is not expanded.
func (r *run) at(i, mapIndex int) *task {
	t := &r.tasks[i]
	switch {
	case t.absent || t.expanded != (mapIndex >= 0) || mapIndex >= len(t.instances):
		return nil
	case t.expanded:
		return &t.instances[mapIndex]
	}
	return t
}

// upstream counts the states of the direct upstream tasks; all instances of a mapped task share them.
func (t *task) upstream() dag.Upstream {
	if t.base != nil {
		t = t.base
	}
	if t.up == nil {
		return dag.Upstream{}
	}
	return *t.up
}

// name is the task's id, with the number of a mapped instance.
func (t *task) name() string {
	if t.base != nil {
		return fmt.Sprintf("%s[%d]", t.spec.ID, t.row.MapIndex)
	}
	return t.spec.ID
}

// whole is the state of a task as its dependents in the next run see it: of a mapped task, that of the first instance
// that has not succeeded.
func (t *task) whole() dag.State {
	for u := range t.each {
		if !u.row.State.Succeeded() {
			return u.row.State
		}
	}
	if t.expanded {
		return dag.StateSuccess
	}
	return t.row.State
}

// buildMapped takes in the stored instances of a mapped task. When all of them have been cleared, the task is expanded
// again: its sources may have another length now.
func (s *State) buildMapped(t *task, rows []dag.TaskInstance) {
	slices.SortFunc(rows, func(a, b dag.TaskInstance) int { return cmp.Compare(a.MapIndex, b.MapIndex) })
	cleared := !slices.ContainsFunc(rows, func(row dag.TaskInstance) bool {
		return row.State != dag.StateNone && row.State != dag.StateRemoved
	})
	if cleared {
		t.former = rows
		return
	}
	s.instantiate(t, present(rows), rows)
}

// present is how many instances there are, without those at the end that a shorter list has removed.
func present(rows []dag.TaskInstance) int {
	n := 0
	for i := range rows {
		if rows[i].State != dag.StateRemoved {
			n = rows[i].MapIndex + 1
		}
	}
	return n
}

// restore gives a task that waits to be expanded again its former instances, so that each can be finished.
func (s *State) restore(t *task) {
	if t.former == nil {
		return
	}
	s.grow(t, present(t.former))
}

// instantiate makes n instances; rows are those that are stored, by map index. What is stored beyond n is removed.
func (s *State) instantiate(t *task, n int, rows []dag.TaskInstance) {
	r := t.run
	s.seq++
	t.instances, t.expanded, t.untouched, t.expansion = make([]task, n), true, 0, s.seq
	for i := range t.instances {
		u := &t.instances[i]
		u.run, u.spec, u.index, u.base, u.mapping = r, t.spec, t.index, t, &unmapped
		u.fresh, u.row = true, s.newRow(t, i)
	}
	for i := range rows {
		row := &rows[i]
		if row.MapIndex >= n {
			s.removeRow(row)
			continue
		}
		u := &t.instances[row.MapIndex]
		u.fresh, u.row, u.saved, u.savedTry = false, s.rowOf(row), row.State, int32(row.TryNumber)
		if row.State == dag.StateRemoved { // the task has grown again
			u.row.State = dag.StateNone
			s.mark(u)
		}
	}
	for i := range t.instances {
		u := &t.instances[i]
		if u.fresh {
			s.mark(u)
		}
		if u.row.State == dag.StateNone {
			t.untouched++
		}
	}
}

// sources is the verdict of the tasks that a mapped task runs over, whatever its trigger rule says: all must have ended;
// one that failed or was skipped decides for the mapped task (Airflow: MappedTaskUpstreamDep).
func (t *task) sources() dag.Verdict {
	v := dag.Verdict{Run: true}
	for _, ref := range t.spec.Mapped.Sources() {
		i, ok := t.run.graph.index[ref.TaskID]
		if !ok {
			continue // the look-up of the lengths says what is wrong
		}
		skipped := true
		for u := range t.run.tasks[i].each {
			switch st := u.row.State; {
			case !st.Finished():
				return dag.Verdict{}
			case st.FailedState():
				v.Set = dag.StateUpstreamFailed
			}
			skipped = skipped && u.row.State == dag.StateSkipped
		}
		if skipped && v.Set == dag.StateNone && !t.run.tasks[i].absent {
			v.Set = dag.StateSkipped
		}
	}
	return v
}

// expand makes the instances of a mapped task, once the lengths of its fields are known.
func (s *State) expand(t *task) {
	switch v := t.sources(); {
	case v.Set != dag.StateNone:
		s.finish(t, v.Set, s.now)
		return
	case !v.Run:
		return // looked at again when the next upstream task ends
	}
	lengths := make([]int, len(t.spec.Mapped.Fields))
	for i := range t.spec.Mapped.Fields {
		n, literal := t.spec.Mapped.Fields[i].Len()
		if !literal {
			if !t.asked {
				t.asked = true
				t.run.asking++
				s.d.Needs = append(s.d.Needs, Need{Mapped: t.spec, DAG: t.run.graph.dag, Run: t.run.row.RunKey})
			}
			return
		}
		lengths[i] = n
	}
	s.expandTo(t, lengths)
}

// lengthsLoaded takes in the answer to the question that expand has asked.
func (s *State) lengthsLoaded(e Lengths) {
	r := s.runs[e.Run]
	if r == nil || r.tasks == nil {
		return
	}
	i, ok := r.graph.index[e.TaskID]
	if !ok {
		return
	}
	t := &r.tasks[i]
	if !t.asked {
		return
	}
	t.asked = false
	r.asking--
	if t.row.State != dag.StateNone { // skipped meanwhile
		return
	}
	if e.Problem != "" {
		s.cannotExpand(t, e.Problem)
		return
	}
	s.expandTo(t, e.Items)
}

// cannotExpand fails a mapped task as a whole.
func (s *State) cannotExpand(t *task, problem string) {
	s.restore(t)
	for u := range t.each {
		u.row.setError(problem)
		s.finish(u, dag.StateFailed, s.now)
	}
}

// expandTo makes as many instances as there are combinations. No combination skips the task.
func (s *State) expandTo(t *task, lengths []int) {
	limit := cmp.Or(s.cfg.MaxMapLength, defaultMaxMapLength)
	n := t.spec.Mapped.Count(lengths, limit)
	switch {
	case n > limit:
		s.cannotExpand(t, fmt.Sprintf("the task maps to more than %d instances (%v items); core.max_map_length allows %d",
			limit, lengths, limit))
	case n == 0:
		s.finish(t, dag.StateSkipped, s.now)
	default:
		s.grow(t, n)
		s.look(t)
	}
}

// grow replaces a task that waits to be expanded by n instances, in the counters of its run and of the tasks behind it.
func (s *State) grow(t *task, n int) {
	r := t.run
	s.instantiate(t, n, t.former)
	t.former = nil
	s.mark(t) // its own row, if there is one, goes
	t.row.State = dag.StateNone
	r.unfinished += n - 1
	if dependsOnPast(t.spec) {
		r.pastOpen += n - 1
	}
	for _, j := range r.graph.down[t.index] {
		r.tasks[j].up.Total += n - 1
	}
}
