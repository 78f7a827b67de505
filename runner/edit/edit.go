// Package edit says what clearing and marking mean: which task instances and runs they concern and what becomes of them.
// It is pure; store.Edits carries the result out.
package edit

import (
	"regexp"
	"slices"

	"gust/dag"
	"gust/store"
)

// Run is a run with its task instances, and the version of the DAG that it runs on.
type Run struct {
	Run   dag.Run
	Tasks []dag.TaskInstance
	DAG   *dag.DAG
}

// ClearOptions say what is cleared (Airflow: tasks clear).
type ClearOptions struct {
	// Tasks selects task ids; nil means all.
	Tasks *regexp.Regexp
	// MapIndex, when not nil, selects one instance of mapped tasks. It does not limit what Upstream and Downstream add.
	MapIndex *int
	// Upstream and Downstream add what lies before and behind the selected tasks.
	Upstream, Downstream bool
	// OnlyFailed clears failed and upstream_failed instances only, OnlyRunning running ones.
	OnlyFailed, OnlyRunning bool
}

// Clear lists the task instances of a run that are cleared. Instances without a state are not among them. A task brings
// its setups and teardowns along.
func Clear(r *Run, o ClearOptions) []store.ClearTask {
	named := map[string]bool{}
	for _, t := range r.DAG.Tasks {
		if o.Tasks == nil || o.Tasks.MatchString(t.ID) {
			named[t.ID] = true
		}
	}
	selected := r.around(named, o.Upstream, o.Downstream)
	var out []store.ClearTask
	for i := range r.Tasks {
		ti := &r.Tasks[i]
		switch {
		case !selected[ti.TaskID], ti.State == dag.StateNone, ti.State == dag.StateRemoved:
			continue
		case o.OnlyFailed && !ti.State.FailedState():
			continue
		case o.OnlyRunning && ti.State != dag.StateRunning:
			continue
		case o.MapIndex != nil && named[ti.TaskID] && ti.MapIndex >= 0 && ti.MapIndex != *o.MapIndex:
			continue
		}
		out = append(out, store.ClearTask{Key: ti.Key, Retries: r.retries(ti.TaskID)})
	}
	return out
}

// retries are those of a task; a task that the version no longer has is not tried again by itself.
func (r *Run) retries(id string) int {
	if t := r.DAG.Task(id); t != nil {
		return max(0, t.Retries)
	}
	return 0
}

// around adds the tasks before and behind the given ones, then the setups and teardowns that belong to any of them.
func (r *Run) around(named map[string]bool, upstream, downstream bool) map[string]bool {
	ids := make([]string, 0, len(named))
	for _, t := range r.DAG.Tasks { // the DAG's order, so that the answer does not depend on a map's
		if named[t.ID] {
			ids = append(ids, t.ID)
		}
	}
	out := map[string]bool{}
	add := func(more []string) {
		for _, id := range more {
			out[id] = true
		}
	}
	add(ids)
	if upstream {
		add(r.DAG.Ancestors(ids...))
	}
	if downstream {
		add(r.DAG.Descendants(ids...))
	}
	for setup, scope := range r.DAG.SetupScopes() {
		if !slices.ContainsFunc(scope, func(id string) bool { return out[id] }) {
			continue
		}
		out[setup] = true
		for _, t := range r.DAG.Tasks {
			if t.Teardown && slices.Contains(t.Setups, setup) {
				out[t.ID] = true
			}
		}
	}
	return out
}

// MarkTasks sets the state of task instances (Airflow: mark success, failed). Marked success or skipped, what is failed or
// upstream_failed behind them is cleared, so that it runs. A finished run is opened again when something in it is
// cleared, or ends otherwise than its state says.
func MarkTasks(r *Run, keys []dag.Key, state dag.State) *store.Edit {
	e := &store.Edit{}
	marked := map[dag.Key]bool{}
	var ids []string
	for _, k := range keys {
		marked[k] = true
		if !slices.Contains(ids, k.TaskID) {
			ids = append(ids, k.TaskID)
		}
	}
	for i := range r.Tasks {
		if ti := &r.Tasks[i]; marked[ti.Key] && ti.State != state {
			e.Tasks = append(e.Tasks, store.SetTask{Key: ti.Key, State: state})
		}
	}
	if len(e.Tasks) == 0 {
		return e
	}
	if state.Succeeded() {
		behind := map[string]bool{}
		for _, id := range r.DAG.Descendants(ids...) {
			behind[id] = true
		}
		for i := range r.Tasks {
			if ti := &r.Tasks[i]; behind[ti.TaskID] && !marked[ti.Key] && ti.State.FailedState() {
				e.Clear = append(e.Clear, store.ClearTask{Key: ti.Key, Retries: r.retries(ti.TaskID)})
			}
		}
	}
	if r.Run.State.Finished() && len(e.Clear) == 0 {
		e.Runs = []store.SetRun{{Key: r.Run.RunKey, State: dag.RunQueued}} // the scheduler closes it again, as it now is
	}
	return e
}

// MarkRun ends a run (Airflow: mark success, failed): marked failed, what runs is failed and what has not begun is
// skipped; marked success, everything unfinished succeeds. Teardowns still have to run: while one has not, the run goes on
// and its end follows from its tasks, as in Airflow.
func MarkRun(r *Run, state dag.RunState) *store.Edit {
	e := &store.Edit{}
	teardown := false
	for i := range r.Tasks {
		ti := &r.Tasks[i]
		if ti.State.Finished() {
			continue
		}
		if t := r.DAG.Task(ti.TaskID); t != nil && t.Teardown {
			teardown = true
			continue
		}
		to := dag.StateSuccess
		if state == dag.RunFailed {
			to = dag.StateSkipped
			switch ti.State {
			case dag.StateRunning, dag.StateQueued, dag.StateDeferred, dag.StateRestarting, dag.StateUpForReschedule:
				to = dag.StateFailed
			}
		}
		e.Tasks = append(e.Tasks, store.SetTask{Key: ti.Key, State: to})
	}
	if r.Run.State != state && !teardown {
		e.Runs = []store.SetRun{{Key: r.Run.RunKey, State: state}}
	}
	return e
}
