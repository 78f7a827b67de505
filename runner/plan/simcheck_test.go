package plan_test

import (
	"context"
	"slices"
	"strings"

	"gust/dag"
	"gust/store"
)

// onCommit checks what must hold after every commit.
func (m *sim) onCommit(c *store.Changes) {
	for _, t := range c.Tasks {
		if t.From.Finished() {
			m.t.Fatalf("finished task %s moves from %s to %s", t.Task.Key, t.From, t.Task.State)
		}
		if st := t.Task.State; st.Finished() || st == dag.StateUpForRetry {
			m.ended[t.Task.Attempt()] = true
		}
	}
	m.checkCallbacks(c)
	m.checkAssets(c)
	m.checkBackfills()
	running := map[string]int{}
	pools := map[string]int{}
	perDag := map[dag.Key]int{}
	for _, r := range m.store.AllRuns() {
		tasks, _ := m.store.TaskInstanceList(context.Background(), r.RunKey)
		if r.State == dag.RunRunning && r.BackfillID == 0 {
			running[r.DagID]++
		}
		d := m.dags[slices.IndexFunc(m.dags, func(d *dag.DAG) bool { return d.ID == r.DagID })]
		active := 0
		for _, ti := range tasks {
			task := d.Task(ti.TaskID)
			switch ti.State {
			case dag.StateQueued, dag.StateRunning:
				if task.Parks {
					if m.pools[ti.Pool].IncludeDeferred {
						pools[ti.Pool] += ti.PoolSlots
					}
					continue
				}
				active++
				pools[ti.Pool] += ti.PoolSlots
				perDag[dag.Key{DagID: ti.DagID, TaskID: ti.TaskID}]++
				if n := task.MaxActivePerDAG; n > 0 && perDag[dag.Key{DagID: ti.DagID, TaskID: ti.TaskID}] > n {
					m.t.Fatalf("task %s exceeds max_active_tis_per_dag", ti.Key)
				}
			case dag.StateDeferred:
				if got, want := string(ti.Deferral.Args), string(argsOf(ti.Attempt())); got != want {
					m.t.Fatalf("%s waits with the arguments %s, want %s", ti.Attempt(), got, want)
				}
				if m.pools[ti.Pool].IncludeDeferred {
					pools[ti.Pool] += ti.PoolSlots
				}
			}
		}
		if active > d.MaxActiveTasks {
			m.t.Fatalf("run %s has %d active tasks, max_active_tasks is %d", r.RunID, active, d.MaxActiveTasks)
		}
		if running[r.DagID] > d.MaxActiveRuns {
			m.t.Fatalf("DAG %s has %d running runs, max_active_runs is %d", r.DagID, running[r.DagID], d.MaxActiveRuns)
		}
		if r.State.Finished() && !m.over[r.RunKey] {
			m.over[r.RunKey] = true
			m.checkEnd(d, &r, tasks)
		}
	}
	for name, used := range pools {
		if p := m.pools[name]; used > p.Slots {
			m.t.Fatalf("pool %s has %d of %d slots in use", name, used, p.Slots)
		}
	}
}

// checkEnd checks a run at its end: nothing in it could go on, and its outcome is that of its leaves.
func (m *sim) checkEnd(d *dag.DAG, r *dag.Run, tasks []dag.TaskInstance) {
	states := map[string]dag.State{} // of a mapped task, the worst of its instances
	for _, ti := range tasks {
		if old, ok := states[ti.TaskID]; !ok || !old.FailedState() && !ti.State.Succeeded() {
			states[ti.TaskID] = ti.State
		}
	}
	want, reason := dag.RunSuccess, ""
	for _, t := range d.Tasks {
		st := states[t.ID]
		if !st.Finished() {
			m.t.Fatalf("run %s ended as %s while task %s is %s", r.RunID, r.State, t.ID, st)
		}
		if st.FailedState() && (decides(d, t) || d.FailFast && (!t.Teardown || t.OnFailureFailRun)) {
			want, reason = dag.RunFailed, "task_failure"
		}
	}
	if d.DagrunTimeout > 0 && r.Reason == "timed_out" {
		want, reason = dag.RunFailed, "timed_out"
	}
	if r.State != want || r.Reason != reason {
		m.t.Fatalf("run %s is %s (%s), want %s (%s); tasks %v", r.RunID, r.State, r.Reason, want, reason, states)
	}
}

// checkOver checks everything at the end of a simulation.
func (m *sim) checkOver() {
	m.t.Helper()
	m.checkExtras()
	if len(m.out)+len(m.parked) > 0 {
		m.t.Fatalf("still out: %v, parked: %v", m.out, m.parked)
	}
	for _, r := range m.store.AllRuns() {
		d := m.dags[slices.IndexFunc(m.dags, func(d *dag.DAG) bool { return d.ID == r.DagID })]
		past := slices.ContainsFunc(d.Tasks, func(t *dag.Task) bool { return t.DependsOnPast || t.WaitForDownstream })
		if !r.State.Finished() && !past {
			m.t.Fatalf("run %s is %s at the end", r.RunID, r.State)
		}
		if m.edited[r.RunKey] {
			continue
		}
		tasks, _ := m.store.TaskInstanceList(context.Background(), r.RunKey)
		for _, ti := range tasks {
			m.checkTries(d.Task(ti.TaskID), ti)
		}
	}
}

// decides reports whether no task lies behind t but teardowns that do not count.
func decides(d *dag.DAG, t *dag.Task) bool {
	ignored := func(t *dag.Task) bool { return t.Teardown && !t.OnFailureFailRun }
	return !ignored(t) && !slices.ContainsFunc(t.Downstream, func(id string) bool { return !ignored(d.Task(id)) })
}

// checkTries: a task that ran has used exactly the tries that its outcomes ask for, and archived all but the last.
func (m *sim) checkTries(t *dag.Task, ti dag.TaskInstance) {
	m.t.Helper()
	if t.Inline || ti.TryNumber == 0 || !slices.Contains([]dag.State{dag.StateSuccess, dag.StateFailed}, ti.State) {
		return
	}
	if strings.Contains(ti.Error, "fail_fast") {
		return
	}
	try := 1
	for m.fails(dag.Attempt{Key: ti.Key, TryNumber: try}) && try <= t.Retries {
		try++
	}
	if ti.TryNumber != try {
		m.t.Fatalf("%s is %s after try %d, want %d", ti.Key, ti.State, ti.TryNumber, try)
	}
	if n := len(m.store.Tries(ti.Key)); n != try-1 {
		m.t.Fatalf("%s has %d archived tries, want %d", ti.Key, n, try-1)
	}
}
