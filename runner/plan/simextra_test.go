package plan_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gust/dag"
	"gust/runner/edit"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// extras is what a rich simulation remembers.
type extras struct {
	edits    int
	edited   map[dag.RunKey]bool
	asked    map[int64]bool // callbacks that are due
	seen     int            // how many notifications have been looked at
	answered map[int64]bool
	pending  []int64
}

func newExtras() *extras {
	return &extras{edited: map[dag.RunKey]bool{}, asked: map[int64]bool{}, answered: map[int64]bool{}}
}

// enrich gives a drawn DAG a setup with its teardown, callbacks and outlets.
func enrich(t *rapid.T, d *dag.DAG) {
	call := func(events ...dag.CallbackEvent) []dag.Callback {
		var out []dag.Callback
		for _, e := range events {
			if rapid.Bool().Draw(t, string(e)) {
				out = append(out, dag.Callback{Event: e, Operator: "BashOperator"})
			}
		}
		return out
	}
	d.Callbacks = call(dag.OnSuccess, dag.OnFailure)
	for _, task := range d.Tasks {
		task.Callbacks = call(dag.OnExecute, dag.OnSuccess, dag.OnFailure, dag.OnRetry, dag.OnSkipped)
		if name := rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "outlet"); name != "" {
			task.Outlets = []dag.AssetRef{{Asset: &dag.Asset{Name: name, URI: name}}}
		}
	}
	if n := len(d.Tasks); n >= 3 && rapid.Bool().Draw(t, "setup") {
		up, down := d.Tasks[0], d.Tasks[n-1]
		up.Setup, up.Mapped = true, nil
		down.Teardown, down.Setups, down.Mapped = true, []string{up.ID}, nil
		down.OnFailureFailRun = rapid.Bool().Draw(t, "decides")
		work := d.Tasks[1] // between the two, whatever its rule says
		work.TriggerRule = rapid.SampledFrom([]dag.TriggerRule{dag.AllSuccess, dag.Always, dag.AllDone}).Draw(t, "scoped rule")
		for _, edge := range [][2]*dag.Task{{up, work}, {work, down}, {up, down}} {
			if edge[0] != edge[1] && !slices.Contains(edge[1].Upstream, edge[0].ID) {
				edge[1].Upstream = append(edge[1].Upstream, edge[0].ID)
			}
		}
	}
}

// drawRich draws a setting with everything.
func drawRich(t *rapid.T) *setting {
	s := drawSetting(t, true, true)
	sink := plantest.Task("end")
	sink.Inline = rapid.Bool().Draw(t, "inline sink")
	parts := []dag.AssetCondition{{Asset: &dag.Asset{Name: "a", URI: "a"}}, {Asset: &dag.Asset{Name: "b", URI: "b"}}}
	condition := &dag.AssetCondition{All: parts}
	if rapid.Bool().Draw(t, "any") {
		condition = &dag.AssetCondition{Any: parts}
	}
	s.dags = append(s.dags, plantest.Finish(&dag.DAG{ID: "sink", FileLoc: "sink.yaml", Timezone: "UTC", MaxActiveTasks: 4,
		MaxActiveRuns: rapid.IntRange(1, 3).Draw(t, "sinks"), Tasks: []*dag.Task{sink},
		Schedule: dag.Schedule{Kind: dag.ScheduleAsset, Assets: condition}}))
	if rapid.Bool().Draw(t, "backfill") {
		s.backs = append(s.backs, store.Backfill{DagID: s.dags[0].ID, MaxActiveRuns: rapid.IntRange(1, 2).Draw(t, "backfill runs"),
			RunBackwards: rapid.Bool().Draw(t, "backwards")})
	}
	return s
}

// backfill creates the backfills of the setting, four runs each.
func (m *sim) backfill() {
	for _, b := range m.backs {
		var runs []dag.Run
		for i := range 4 {
			at := epoch.AddDate(0, 0, -10+i)
			r := manual(b.DagID, fmt.Sprintf("b%d", i), at)
			r.Type, r.LogicalDate = dag.RunBackfill, at
			runs = append(runs, r)
		}
		m.store.Backfill(b, runs)
		m.refresh()
	}
}

// meddle clears or marks something now and then.
func (m *sim) meddle() {
	m.callBack(false)
	if !m.rich || m.edits >= 5 || m.crashing != nowhere || m.random.IntN(25) > 0 {
		return
	}
	all := m.store.AllRuns()
	row := all[m.random.IntN(len(all))]
	tasks, _ := m.store.TaskInstanceList(context.Background(), row.RunKey)
	if len(tasks) == 0 {
		return
	}
	d := m.dags[slices.IndexFunc(m.dags, func(d *dag.DAG) bool { return d.ID == row.DagID })]
	r := &edit.Run{Run: row, Tasks: tasks, DAG: d}
	var e *store.Edit
	switch m.random.IntN(4) {
	case 0, 1:
		e = &store.Edit{Clear: edit.Clear(r, edit.ClearOptions{OnlyFailed: m.random.IntN(3) == 0, Downstream: true})}
	case 2:
		to := []dag.State{dag.StateSuccess, dag.StateFailed, dag.StateSkipped}[m.random.IntN(3)]
		e = edit.MarkTasks(r, []dag.Key{tasks[m.random.IntN(len(tasks))].Key}, to)
	default:
		e = edit.MarkRun(r, []dag.RunState{dag.RunSuccess, dag.RunFailed}[m.random.IntN(2)])
	}
	if len(e.Clear)+len(e.Tasks)+len(e.Runs) == 0 {
		return
	}
	m.edits++
	e.At = m.now
	if err := m.store.EditApply(context.Background(), e); err != nil {
		m.t.Fatalf("edit: %v", err)
	}
	m.edited[row.RunKey] = true
	// A run that is marked has the state that people want; every other is checked when it ends.
	m.over[row.RunKey] = m.store.Run(row.RunKey).State.Finished()
	m.refresh()
}

// callBack ends a callback that has been handed out.
func (m *sim) callBack(now bool) bool {
	for ; m.seen < len(m.notified); m.seen++ {
		if id := m.notified[m.seen].ID; !slices.Contains(m.pending, id) {
			m.pending = append(m.pending, id)
		}
	}
	if len(m.pending) == 0 || m.crashing != nowhere || !now && m.random.IntN(4) > 0 {
		return false
	}
	i := m.random.IntN(len(m.pending))
	id := m.pending[i]
	m.pending = slices.Delete(m.pending, i, i+1)
	m.answered[id] = true
	m.step(plan.CallbackDone{ID: id})
	return true
}

// checkCallbacks: a success and the end of a run ask for their callbacks in the same commit, once.
func (m *sim) checkCallbacks(c *store.Changes) {
	due := map[string]int{}
	for _, r := range c.Callbacks {
		if m.asked[r.ID] {
			m.t.Fatalf("callback %d is asked for twice", r.ID)
		}
		m.asked[r.ID] = true
		due[fmt.Sprint(r.Key, r.Callback.Event)]++
	}
	want := func(has []dag.Callback, key dag.Key, event dag.CallbackEvent) {
		n := 0
		for _, c := range has {
			if c.Event == event {
				n++
			}
		}
		if got := due[fmt.Sprint(key, event)]; got != n {
			m.t.Fatalf("%s: %s is asked for %d times, want %d", key, event, got, n)
		}
	}
	for i := range c.Tasks {
		if t := &c.Tasks[i]; t.Task.State == dag.StateSuccess && !t.Gone {
			want(m.dag(t.Task.DagID).Task(t.Task.TaskID).Callbacks, t.Task.Key, dag.OnSuccess)
		}
	}
	for i := range c.Runs {
		r := &c.Runs[i].Run
		event := map[dag.RunState]dag.CallbackEvent{dag.RunSuccess: dag.OnSuccess, dag.RunFailed: dag.OnFailure}[r.State]
		if event != "" {
			want(m.dag(r.DagID).Callbacks, dag.Key{DagID: r.DagID, RunID: r.RunID, MapIndex: -1}, event)
		}
	}
}

func (m *sim) dag(id string) *dag.DAG {
	return m.dags[slices.IndexFunc(m.dags, func(d *dag.DAG) bool { return d.ID == id })]
}

// checkAssets: every success makes its events.
func (m *sim) checkAssets(c *store.Changes) {
	want := 0
	for i := range c.Tasks {
		if t := &c.Tasks[i]; t.Task.State == dag.StateSuccess && !t.Gone {
			want += len(m.dag(t.Task.DagID).Task(t.Task.TaskID).Outlets)
		}
	}
	if len(c.AssetEvents) != want {
		m.t.Fatalf("a commit has %d asset events, want %d", len(c.AssetEvents), want)
	}
}

// checkConsumers: an event belongs to one run of a DAG that waits for it, at most; the events of a run satisfy the
// condition, and those that no run has do not.
func (m *sim) checkConsumers(d *dag.DAG, events []dag.AssetEvent) {
	used := map[int64]string{}
	satisfied := func(match func(id int64) bool) bool {
		updated := map[string]bool{}
		for _, e := range events {
			updated[e.Name] = updated[e.Name] || match(e.ID)
		}
		return d.Schedule.Assets.Satisfied(func(name string) bool { return updated[name] }, nil)
	}
	for _, r := range m.store.AllRuns() {
		if r.DagID != d.ID || r.Type != dag.RunAsset {
			continue
		}
		for _, id := range r.AssetEvents {
			if other, ok := used[id]; ok {
				m.t.Fatalf("event %d belongs to the runs %s and %s", id, other, r.RunID)
			}
			used[id] = r.RunID
		}
		if !satisfied(func(id int64) bool { return slices.Contains(r.AssetEvents, id) }) {
			m.t.Fatalf("run %s is made for %v, which does not satisfy its condition", r.RunID, r.AssetEvents)
		}
	}
	if satisfied(func(id int64) bool { return used[id] == "" }) {
		m.t.Fatalf("events are left that satisfy the condition of %s", d.ID)
	}
}

// checkSetups: nothing begins in the scope of a setup that has not succeeded.
func (m *sim) checkSetups(w executor.Work) {
	if w.Task.Teardown || m.edited[w.Attempt().Run()] {
		return
	}
	for id, scope := range w.DAG.SetupScopes() {
		key := dag.Key{DagID: w.DAG.ID, RunID: w.Instance.RunID, TaskID: id, MapIndex: -1}
		if up, _ := m.store.Task(key); slices.Contains(scope, w.Task.ID) && up.State != dag.StateSuccess {
			m.t.Fatalf("%s begins while its setup %s is %s", w.Attempt(), id, up.State)
		}
	}
}

// checkBackfills: no backfill runs more at once than it may.
func (m *sim) checkBackfills() {
	if len(m.backs) == 0 {
		return
	}
	running := 0
	for _, r := range m.store.AllRuns() {
		if r.BackfillID != 0 && r.State == dag.RunRunning {
			running++
		}
	}
	if limit := m.backs[0].MaxActiveRuns; running > limit && len(m.edited) == 0 {
		m.t.Fatalf("the backfill has %d running runs of %d", running, limit)
	}
}

// checkExtras checks the end of a rich simulation.
func (m *sim) checkExtras() {
	m.t.Helper()
	snap, err := m.store.EngineLoad(context.Background())
	if err != nil {
		m.t.Fatalf("load: %v", err)
	}
	if len(snap.Callbacks) > 0 {
		m.t.Fatalf("callbacks are left: %v", snap.Callbacks)
	}
	for id := range m.asked {
		if !m.answered[id] {
			m.t.Fatalf("callback %d was due and never handed out", id)
		}
	}
	for _, b := range snap.Backfills {
		if !slices.ContainsFunc(snap.Active, func(a store.ActiveRun) bool { return a.Run.BackfillID == b.ID }) {
			m.t.Fatalf("backfill %d is not completed, and no run of it is left", b.ID)
		}
	}
	for _, d := range m.dags {
		if d.Schedule.Assets == nil {
			continue
		}
		m.checkConsumers(d, snap.AssetEvents)
	}
}

// TestSimulationOfEverything: mapped tasks, setups and teardowns, assets, callbacks, backfills, and people who clear and
// mark in the middle of it; with crashes, lost commits and interruptions.
func TestSimulationOfEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newSim(t, drawRich(t), rapid.Uint64().Draw(t, "order"), rapid.Bool().Draw(t, "faults"))
		m.play()
		m.now = m.now.Add(time.Hour)
		m.step()
		m.checkOver()
	})
}
