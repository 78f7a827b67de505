package storetest

import (
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/store"
)

func testDags(t *testing.T, s store.Store) {
	rows, err := s.DagList(t.Context())
	noError(t, err)
	equal(t, "no DAGs", []store.DagRow(nil), rows)
	_, err = s.DagGet(t.Context(), "orders")
	wantError(t, err, store.ErrNotFound, "orders")

	orders, bills := NewDagRow("orders"), NewDagRow("bills")
	bills.NextRun, bills.Tags, bills.Stale = time.Time{}, nil, true
	Commit(t, s, &store.Changes{Dags: []store.DagRow{orders, bills}})
	rows, err = s.DagList(t.Context())
	noError(t, err)
	equal(t, "DAGs by id", []store.DagRow{bills, orders}, rows)

	// Later entries for one key win, in one batch and over batches.
	first, last := orders, orders
	first.Version, last.Version, last.Owners = "v2", "v3", "me"
	Commit(t, s, &store.Changes{Dags: []store.DagRow{first, last}})
	got, err := s.DagGet(t.Context(), "orders")
	noError(t, err)
	equal(t, "the last entry", &last, got)
}

func testDagVersions(t *testing.T, s store.Store) {
	_, err := s.DagVersionGet(t.Context(), "v1")
	wantError(t, err, store.ErrNotFound, "v1")

	d := NewDAG("orders", "v1")
	Commit(t, s, &store.Changes{Versions: []*dag.DAG{d, d}})
	Commit(t, s, &store.Changes{Versions: []*dag.DAG{d}})
	got, err := s.DagVersionGet(t.Context(), "v1")
	noError(t, err)
	equal(t, "the stored DAG", d, got)
	if got.Task("load") == nil || got.Task("nothing") != nil {
		t.Error("the stored DAG has no index of its tasks")
	}
	err = s.EngineCommit(t.Context(), &store.Changes{Versions: []*dag.DAG{NewDAG("orders", "")}})
	wantError(t, err, store.ErrInvalid, "orders", "version")
}

func testPausedSurvives(t *testing.T, s store.Store) {
	wantError(t, s.DagSetPaused(t.Context(), "orders", true), store.ErrNotFound, "orders")
	row := NewDagRow("orders")
	row.IsPaused = true
	Commit(t, s, &store.Changes{Dags: []store.DagRow{row}})
	paused := func(want bool) {
		t.Helper()
		got, err := s.DagGet(t.Context(), "orders")
		noError(t, err)
		if got.IsPaused != want {
			t.Fatalf("paused is %t, want %t", got.IsPaused, want)
		}
	}
	paused(true)
	noError(t, s.DagSetPaused(t.Context(), "orders", false))
	// The scheduler parses the file again, not knowing of the command yet.
	Commit(t, s, &store.Changes{Dags: []store.DagRow{row}})
	paused(false)
	Commit(t, s, &store.Changes{Dags: []store.DagRow{row}, Pauses: []string{"orders"}})
	paused(true)
	err := s.EngineCommit(t.Context(), &store.Changes{Pauses: []string{"nothing"}})
	wantError(t, err, store.ErrNotFound, "nothing")
}

func testImportErrors(t *testing.T, s store.Store) {
	a := store.ImportError{FileLoc: "/dags/a.yaml", Text: "a.yaml:1:1: bad\na.yaml:2:1: worse", At: Time(1)}
	b := store.ImportError{FileLoc: "/dags/b.yaml", Text: "b.yaml:9:2: bad", At: Time(2)}
	Commit(t, s, &store.Changes{ImportErrors: []store.ImportError{b, a}})
	got, err := s.ImportErrorList(t.Context())
	noError(t, err)
	equal(t, "import errors by file", []store.ImportError{a, b}, got)

	a.Text, a.At = "a.yaml:1:1: other", Time(3)
	Commit(t, s, &store.Changes{
		ImportErrors: []store.ImportError{a}, ImportErrorsGone: []string{b.FileLoc, "/dags/c.yaml"},
	})
	got, err = s.ImportErrorList(t.Context())
	noError(t, err)
	equal(t, "what is left", []store.ImportError{a}, got)
}

func testHeartbeat(t *testing.T, s store.Store) {
	_, err := s.HeartbeatGet(t.Context())
	wantError(t, err, store.ErrNotFound)
	for i := range 2 {
		h := store.Heartbeat{Host: "laptop", PID: 4711 + i, StartedAt: Time(0), At: Time(5 * i)}
		Commit(t, s, &store.Changes{Heartbeat: &h})
		got, err := s.HeartbeatGet(t.Context())
		noError(t, err)
		equal(t, "heartbeat", &h, got)
	}
}

func testVariables(t *testing.T, s store.Store) {
	_, err := s.VariableGet(t.Context(), "k")
	wantError(t, err, store.ErrNotFound, "k")
	wantError(t, s.VariableDelete(t.Context(), "k"), store.ErrNotFound, "k")

	k := store.Variable{Key: "k", Value: "värde\n\x00end", Description: "d", Encrypted: true}
	a := store.Variable{Key: "a"}
	noError(t, s.VariableSet(t.Context(), &store.Variable{Key: "k", Value: "old"}))
	noError(t, s.VariableSet(t.Context(), &k))
	noError(t, s.VariableSet(t.Context(), &a))
	got, err := s.VariableGet(t.Context(), "k")
	noError(t, err)
	equal(t, "variable", &k, got)
	all, err := s.VariableList(t.Context())
	noError(t, err)
	equal(t, "variables by key", []store.Variable{a, k}, all)
	noError(t, s.VariableDelete(t.Context(), "k"))
	_, err = s.VariableGet(t.Context(), "k")
	wantError(t, err, store.ErrNotFound)
}

func testConnections(t *testing.T, s store.Store) {
	_, err := s.ConnectionGet(t.Context(), "aws")
	wantError(t, err, store.ErrNotFound, "aws")
	wantError(t, s.ConnectionDelete(t.Context(), "aws"), store.ErrNotFound, "aws")

	aws := store.ConnectionRow{ID: "aws", Type: "aws", Sealed: "gAAAA-first"}
	noError(t, s.ConnectionPut(t.Context(), &aws, false))
	err = s.ConnectionPut(t.Context(), &store.ConnectionRow{ID: "aws", Sealed: "other"}, false)
	wantError(t, err, store.ErrExists, "aws")
	if strings.Contains(err.Error(), "other") {
		t.Errorf("error shows the sealed value: %v", err)
	}
	got, err := s.ConnectionGet(t.Context(), "aws")
	noError(t, err)
	equal(t, "the first one", &aws, got)
	aws.Sealed = "gAAAA-second"
	noError(t, s.ConnectionPut(t.Context(), &aws, true))
	noError(t, s.ConnectionPut(t.Context(), &store.ConnectionRow{ID: "AWS", Type: "http", Sealed: "x"}, true))
	all, err := s.ConnectionList(t.Context())
	noError(t, err)
	equal(t, "connections by id", []store.ConnectionRow{{ID: "AWS", Type: "http", Sealed: "x"}, aws}, all)
	noError(t, s.ConnectionDelete(t.Context(), "aws"))
	_, err = s.ConnectionGet(t.Context(), "aws")
	wantError(t, err, store.ErrNotFound)
}

func testPools(t *testing.T, s store.Store) {
	all, err := s.PoolList(t.Context())
	noError(t, err)
	if len(all) != 1 || all[0].Name != dag.DefaultPool || all[0].Slots != 128 {
		t.Fatalf("pools of a new store: %+v, want default_pool with 128 slots", all)
	}
	_, err = s.PoolGet(t.Context(), "etl")
	wantError(t, err, store.ErrNotFound, "etl")
	wantError(t, s.PoolDelete(t.Context(), "etl"), store.ErrNotFound, "etl")
	wantError(t, s.PoolDelete(t.Context(), dag.DefaultPool), store.ErrInvalid, dag.DefaultPool)
	wantError(t, s.PoolSet(t.Context(), &store.Pool{Name: "etl", Slots: -2}), store.ErrInvalid, "etl")

	etl := store.Pool{Name: "etl", Slots: -1, Description: "no limit", IncludeDeferred: true}
	noError(t, s.PoolSet(t.Context(), &store.Pool{Name: "etl", Slots: 3}))
	noError(t, s.PoolSet(t.Context(), &etl))
	got, err := s.PoolGet(t.Context(), "etl")
	noError(t, err)
	equal(t, "pool", &etl, got)
	noError(t, s.PoolSet(t.Context(), &store.Pool{Name: dag.DefaultPool, Slots: 2}))
	all, err = s.PoolList(t.Context())
	noError(t, err)
	equal(t, "pools by name", []store.Pool{{Name: dag.DefaultPool, Slots: 2}, etl}, all)
	noError(t, s.SchemaMigrate(t.Context()))
	again, err := s.PoolGet(t.Context(), dag.DefaultPool)
	noError(t, err)
	if again.Slots != 2 {
		t.Errorf("a second migration set default_pool back to %d slots", again.Slots)
	}
	noError(t, s.PoolDelete(t.Context(), "etl"))
	_, err = s.PoolGet(t.Context(), "etl")
	wantError(t, err, store.ErrNotFound)
}

func testPoolUsage(t *testing.T, s store.Store) {
	noError(t, s.PoolSet(t.Context(), &store.Pool{Name: "idle", Slots: 1}))
	run := Started(NewRun("orders", 1), "v1")
	var tasks []dag.TaskInstance
	for i, state := range dag.TaskStates {
		ti := InState(NewTask(run.RunKey, "t"+state.String()), state)
		ti.PoolSlots = i + 1
		tasks = append(tasks, ti)
	}
	heavy := InState(NewTask(run.RunKey, "heavy"), dag.StateRunning)
	heavy.Pool, heavy.PoolSlots = "gone", 5
	CreateRun(t, s, run, append(tasks, heavy)...)
	got, err := s.PoolUsage(t.Context())
	noError(t, err)
	equal(t, "pool usage", map[string]store.PoolUse{
		dag.DefaultPool: {Scheduled: 2, Queued: 3, Running: 4, Deferred: 12}, "idle": {}, "gone": {Running: 5},
	}, got)
}
