package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/store"
)

func testLoadEmpty(t *testing.T, s store.Store) {
	got, err := s.EngineLoad(t.Context())
	noError(t, err)
	if len(got.Active)+len(got.Versions)+len(got.LastScheduled)+len(got.Dags)+len(got.Queued) != 0 {
		t.Errorf("a new store loads %+v", got)
	}
	if len(got.Pools) != 1 {
		t.Errorf("a new store loads the pools %+v, want default_pool", got.Pools)
	}
}

// loadFixture is a store in the middle of its life, and what EngineLoad makes of it.
func loadFixture(t *testing.T, s store.Store) *store.Snapshot {
	t.Helper()
	v1, v2, old := NewDAG("orders", "v1"), NewDAG("orders", "v2"), NewDAG("orders", "old")
	scheduled := func(dagID string, n int) dag.Run {
		r := NewRun(dagID, n)
		r.Type, r.RunID = dag.RunScheduled, "scheduled__"+Time(n).Format(time.RFC3339Nano)
		return r
	}
	past := Finished(Started(scheduled("orders", 1), "old"), dag.RunSuccess)
	failed := Finished(Started(scheduled("orders", 5), "old"), dag.RunFailed)
	running := Started(NewRun("orders", 7), "v1")
	queued := NewRun("orders", 9)
	waiting := scheduled("orders", 3)
	bills := Finished(Started(NewRun("bills", 2), "b1"), dag.RunSuccess)

	extract := InState(NewTask(running.RunKey, "extract"), dag.StateSuccess)
	wait := InState(NewTask(running.RunKey, "wait"), dag.StateDeferred)
	load := NewTask(running.RunKey, "load")
	done := InState(NewTask(bills.RunKey, "done"), dag.StateFailed)
	for _, r := range []dag.Run{past, failed, queued, waiting} {
		CreateRun(t, s, r, NewTask(r.RunKey, "extract"))
	}
	CreateRun(t, s, running, extract, wait, load)
	CreateRun(t, s, bills, done)
	broken := store.ImportError{FileLoc: "/dags/broken.yaml", Text: "bad", At: Time(1)}
	orders := NewDagRow("orders")
	Commit(t, s, &store.Changes{
		Dags: []store.DagRow{orders}, Versions: []*dag.DAG{v1, v2, old}, ImportErrors: []store.ImportError{broken},
	})
	skips := []store.XCom{newXCom(extract.Key, 1, store.SkipKey, `{"followed":["load"]}`)}
	Commit(t, s, &store.Changes{XComs: []store.XCom{
		newXCom(load.Key, 1, store.SkipKey, `{"skipped":[]}`), newXCom(done.Key, 1, store.SkipKey, `{"skipped":[]}`),
	}})
	Commit(t, s, &store.Changes{
		XComsClear: []dag.Key{load.Key}, XComs: append(skips, newXCom(extract.Key, 1, "other", `1`)),
	})
	active := func(r dag.Run, tasks ...dag.TaskInstance) store.ActiveRun {
		return store.ActiveRun{Run: r, Tasks: tasks}
	}
	return &store.Snapshot{
		Refresh: store.Refresh{
			Dags:   []store.DagRow{orders},
			Pools:  []store.Pool{{Name: dag.DefaultPool, Slots: 128, Description: "Default pool"}},
			Queued: []dag.Run{waiting, queued},
		},
		Active: []store.ActiveRun{
			active(waiting, NewTask(waiting.RunKey, "extract")),
			{Run: running, Tasks: []dag.TaskInstance{extract, wait, load}, Skips: skips},
			active(queued, NewTask(queued.RunKey, "extract")),
		},
		Versions:      map[string]*dag.DAG{"v1": v1},
		LastScheduled: map[string]dag.Run{"orders": failed},
		ImportErrors:  []store.ImportError{broken},
	}
}

func testLoad(t *testing.T, s store.Store) {
	want := loadFixture(t, s)
	got, err := s.EngineLoad(t.Context())
	noError(t, err)
	equalSnapshots(t, "snapshot", want, got)
	if got.Versions["v1"].Task("load") == nil {
		t.Error("the loaded DAG has no index of its tasks")
	}
}

// equalSnapshots compares snapshots; task instances come in any order.
func equalSnapshots(t *testing.T, what string, want, got *store.Snapshot) {
	t.Helper()
	for _, snapshot := range []*store.Snapshot{want, got} {
		for i := range snapshot.Active {
			sortTasks(snapshot.Active[i].Tasks)
		}
	}
	equal(t, what, want, got)
}

func sortTasks(tasks []dag.TaskInstance) {
	slices.SortFunc(tasks, func(a, b dag.TaskInstance) int { return strings.Compare(a.TaskID, b.TaskID) })
}

func testRefresh(t *testing.T, s store.Store) {
	want := loadFixture(t, s).Refresh
	look := func(what string) {
		t.Helper()
		for range 2 {
			got, err := s.EngineRefresh(t.Context())
			noError(t, err)
			equal(t, what, &want, got)
		}
	}
	look("at first")
	noError(t, s.DagSetPaused(t.Context(), "orders", true))
	want.Dags[0].IsPaused = true
	look("after a pause")
	noError(t, s.PoolSet(t.Context(), &store.Pool{Name: "etl", Slots: 1}))
	want.Pools = append(want.Pools, store.Pool{Name: "etl", Slots: 1})
	look("after a new pool")
	run := NewRun("orders", 8)
	noError(t, s.RunCreate(t.Context(), &run))
	want.Queued = []dag.Run{want.Queued[0], run, want.Queued[1]}
	look("after a trigger")
	Commit(t, s, &store.Changes{Runs: []store.RunChange{{From: dag.RunQueued, Run: Started(run, "v1")}}})
	want.Queued = []dag.Run{want.Queued[0], want.Queued[2]}
	look("after a start")
	Commit(t, s, &store.Changes{Heartbeat: &store.Heartbeat{Host: "h", At: Time(1)}})
	look("after a heartbeat")
}

// everything is a batch that touches all that a batch can touch, on top of loadFixture. Its parts are legal.
func everything(snapshot *store.Snapshot) *store.Changes {
	running := snapshot.Active[1]
	load := running.Tasks[2]
	run := NewRun("fresh", 50)
	row := NewDagRow("fresh")
	return &store.Changes{
		Dags: []store.DagRow{row}, Pauses: []string{"fresh"}, Versions: []*dag.DAG{NewDAG("fresh", "f1")},
		ImportErrors:     []store.ImportError{{FileLoc: "/dags/new.yaml", Text: "bad", At: Time(2)}},
		ImportErrorsGone: []string{"/dags/broken.yaml"},
		Runs: []store.RunChange{
			{New: true, Run: run}, {From: dag.RunRunning, Run: Finished(running.Run, dag.RunSuccess)},
		},
		Tasks: []store.TaskChange{
			{New: true, Task: NewTask(run.RunKey, "extract")}, Move(load, InState(load, dag.StateRunning)),
		},
		History:    []dag.TaskInstance{InState(load, dag.StateFailed)},
		XComs:      []store.XCom{newXCom(load.Key, 1, "return_value", `1`)},
		XComsClear: []dag.Key{running.Tasks[0].Key},
		Heartbeat:  &store.Heartbeat{Host: "h", PID: 1, StartedAt: Time(0), At: Time(1)},
	}
}

// content reads back all that everything writes.
func content(t *testing.T, s store.Store, snapshot *store.Snapshot) map[string]any {
	t.Helper()
	ctx := t.Context()
	out := map[string]any{}
	read := func(name string, value any, err error) {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if err == nil {
			out[name] = value
		}
	}
	running := snapshot.Active[1]
	load := running.Tasks[2].Key
	fresh := NewRun("fresh", 50).RunKey
	dags, err := s.DagList(ctx)
	read("dags", dags, err)
	version, err := s.DagVersionGet(ctx, "f1")
	read("version", version, err)
	broken, err := s.ImportErrorList(ctx)
	read("import errors", broken, err)
	runs, err := s.RunList(ctx, &store.RunListParams{})
	read("runs", runs, err)
	tasks, err := s.TaskInstanceList(ctx, running.Run.RunKey)
	read("tasks", tasks, err)
	tasks, err = s.TaskInstanceList(ctx, fresh)
	read("fresh tasks", tasks, err)
	tries, err := s.TaskInstanceTries(ctx, load)
	read("history", tries, err)
	pushed, err := s.XComList(ctx, load)
	read("pushed", pushed, err)
	kept, err := s.XComList(ctx, running.Tasks[0].Key)
	read("kept", kept, err)
	heartbeat, err := s.HeartbeatGet(ctx)
	read("heartbeat", heartbeat, err)
	return out
}

func testCommitEverything(t *testing.T, s store.Store) {
	snapshot := loadFixture(t, s)
	Commit(t, s, &store.Changes{XComs: []store.XCom{newXCom(snapshot.Active[1].Tasks[0].Key, 1, "x", `1`)}})
	changes := everything(snapshot)
	before := content(t, s, snapshot)
	Commit(t, s, changes)
	got := content(t, s, snapshot)
	orders, fresh := NewDagRow("orders"), NewDagRow("fresh")
	fresh.IsPaused = true
	running := snapshot.Active[1]
	beforeRuns := before["runs"].([]dag.Run)
	wantRuns := append([]dag.Run{changes.Runs[0].Run}, beforeRuns...)
	for i := range wantRuns {
		if wantRuns[i].RunKey == running.Run.RunKey {
			wantRuns[i] = changes.Runs[1].Run
		}
	}
	equal(t, "after the commit", map[string]any{
		"dags": []store.DagRow{fresh, orders}, "version": NewDAG("fresh", "f1"), "import errors": changes.ImportErrors,
		"runs":        wantRuns,
		"tasks":       []dag.TaskInstance{running.Tasks[0], running.Tasks[1], changes.Tasks[1].Task},
		"fresh tasks": []dag.TaskInstance{changes.Tasks[0].Task}, "history": changes.History, "pushed": changes.XComs,
		"kept": []store.XCom(nil), "heartbeat": changes.Heartbeat,
	}, got)
	Commit(t, s, &store.Changes{})
	equal(t, "after an empty commit", got, content(t, s, snapshot))
}

func testCommitAtomic(t *testing.T, s store.Store) {
	snapshot := loadFixture(t, s)
	Commit(t, s, &store.Changes{XComs: []store.XCom{newXCom(snapshot.Active[1].Tasks[0].Key, 1, "x", `1`)}})
	before := content(t, s, snapshot)
	load := snapshot.Active[1].Tasks[2]
	for name, test := range map[string]struct {
		spoil func(*store.Changes)
		want  error
	}{
		"a pause of nothing": {func(c *store.Changes) { c.Pauses = append(c.Pauses, "nothing") }, store.ErrNotFound},
		"a run that exists":  {func(c *store.Changes) { c.Runs = append(c.Runs, c.Runs[0]) }, store.ErrExists},
		"a run in another state": {func(c *store.Changes) {
			c.Runs = append(c.Runs, store.RunChange{From: dag.RunQueued, Run: Finished(snapshot.Active[1].Run, dag.RunFailed)})
		}, store.ErrConflict},
		"an illegal run": {func(c *store.Changes) { c.Runs[0].Run.State = "odd" }, store.ErrInvalid},
		"a task that exists": {func(c *store.Changes) {
			c.Tasks = append(c.Tasks, store.TaskChange{New: true, Task: snapshot.Active[1].Tasks[1]})
		}, store.ErrExists},
		"a task in another state": {func(c *store.Changes) {
			c.Tasks[1].From = dag.StateQueued
		}, store.ErrConflict},
		"an illegal task": {func(c *store.Changes) { c.Tasks[1].Task.StartDate = time.Time{} }, store.ErrInvalid},
		"a task that does not follow": {func(c *store.Changes) {
			c.Tasks = append(c.Tasks, Move(load, InState(load, dag.StateQueued)))
		}, store.ErrConflict},
		"an XCom without a value": {func(c *store.Changes) {
			c.XComs = append(c.XComs, newXCom(load.Key, 1, "empty", ""))
		}, store.ErrInvalid},
	} {
		changes := everything(snapshot)
		test.spoil(changes)
		err := s.EngineCommit(t.Context(), changes)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want one that is %q", name, err, test.want)
		}
		equal(t, name+": nothing is applied", before, content(t, s, snapshot))
	}
	Commit(t, s, everything(snapshot)) // and the store still works
}

func testEndedContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("shutting down")
	cancel(reason)
	run := NewRun("orders", 1)
	for name, call := range map[string]func() error{
		"commit": func() error {
			return s.EngineCommit(ctx, &store.Changes{Runs: []store.RunChange{{New: true, Run: run}}})
		},
		"create":  func() error { return s.RunCreate(ctx, &run) },
		"load":    func() error { _, err := s.EngineLoad(ctx); return err },
		"refresh": func() error { _, err := s.EngineRefresh(ctx); return err },
		"list":    func() error { _, err := s.RunList(ctx, &store.RunListParams{}); return err },
	} {
		if err := call(); !errors.Is(err, reason) {
			t.Errorf("%s with an ended context: %v, want %v", name, err, reason)
		}
	}
	runs, err := s.RunList(t.Context(), &store.RunListParams{})
	noError(t, err)
	equal(t, "nothing was written", []dag.Run(nil), runs)
}

func testSchema(t *testing.T, s store.Store) {
	noError(t, s.SchemaMigrate(t.Context()))
	noError(t, s.SchemaCheck(t.Context()))
	loadFixture(t, s)
	noError(t, s.SchemaCheck(t.Context()))
	noError(t, s.SchemaReset(t.Context()))
	noError(t, s.SchemaCheck(t.Context()))
	testLoadEmpty(t, s)
	loadFixture(t, s)
}

func testOddIdentities(t *testing.T, s store.Store) {
	odd := []string{
		"ünïcödé.任务", "with space", "a'b\"c", "%_?1 $1 :x", "semi;DROP TABLE dag_run;--", "line\nbreak", "nul\x00byte",
		"UPPER", "upper", "trailing ", "-1", "0x10", "1e3", "NULL", "[0]", "\\", "\xff\xfe",
	}
	for i, id := range odd {
		run := Started(NewRun(id, i), "v")
		run.RunID = id
		ti := InState(NewTask(run.RunKey, id), dag.StateRunning)
		CreateRun(t, s, run, ti)
		Commit(t, s, &store.Changes{
			Tasks: []store.TaskChange{Move(ti, InState(ti, dag.StateSuccess))},
			XComs: []store.XCom{newXCom(ti.Key, 1, id, `1`)},
		})
		noError(t, s.VariableSet(t.Context(), &store.Variable{Key: id, Value: id}))
	}
	for _, id := range odd {
		key := dag.Key{DagID: id, RunID: id, TaskID: id, MapIndex: -1}
		got := getTask(t, s, key)
		if got.Key != key || got.State != dag.StateSuccess {
			t.Errorf("%q came back as %+v", id, got)
		}
		x, err := s.XComGet(t.Context(), key, id)
		noError(t, err)
		v, err := s.VariableGet(t.Context(), id)
		noError(t, err)
		if x.Name != id || v.Key != id || v.Value != id {
			t.Errorf("%q came back as XCom %q and variable %q", id, x.Name, v.Key)
		}
	}
	runs, err := s.RunList(t.Context(), &store.RunListParams{})
	noError(t, err)
	if len(runs) != len(odd) {
		t.Errorf("%d runs, want %d", len(runs), len(odd))
	}
}
