package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"gust/dag"
	"gust/store"
)

func testRunCreate(t *testing.T, s store.Store) {
	run := NewRun("orders", 1)
	_, err := s.RunGet(t.Context(), run.RunKey)
	wantError(t, err, store.ErrNotFound, run.RunID, "orders")
	noError(t, s.RunCreate(t.Context(), &run))
	wantError(t, s.RunCreate(t.Context(), &run), store.ErrExists, run.RunID)

	sameDate := NewRun("orders", 2)
	sameDate.LogicalDate = run.LogicalDate
	wantError(t, s.RunCreate(t.Context(), &sameDate), store.ErrExists, "logical date", sameDate.RunID)
	other := NewRun("bills", 1)
	noError(t, s.RunCreate(t.Context(), &other))

	// Runs without a logical date do not collide.
	for n := range 2 {
		asset := NewRun("orders", 10+n)
		asset.LogicalDate = time.Time{}
		noError(t, s.RunCreate(t.Context(), &asset))
	}
	running := Started(NewRun("orders", 3), "v1")
	wantError(t, s.RunCreate(t.Context(), &running), store.ErrInvalid, "queued")
}

func testRunRoundTrip(t *testing.T, s store.Store) {
	full := dag.Run{
		RunKey: dag.RunKey{DagID: "orders", RunID: "scheduled__2026-03-29T00:00:00+00:00"}, State: dag.RunFailed,
		Type: dag.RunScheduled, LogicalDate: Time(1), RunAfter: Time(2), IntervalStart: Time(3), IntervalEnd: Time(4),
		QueuedAt: Time(5), StartDate: Time(6), EndDate: Time(7), Conf: json.RawMessage(`{"a": [1, "ü"]}`),
		TriggeredBy: dag.ByTimetable, DagVersion: "v1", Reason: "all_tasks_deadlocked",
	}
	bare := dag.Run{
		RunKey: dag.RunKey{DagID: "orders", RunID: "r"}, State: dag.RunQueued, Type: dag.RunAsset, RunAfter: Time(9),
	}
	for _, run := range []dag.Run{full, bare} {
		CreateRun(t, s, run)
		got, err := s.RunGet(t.Context(), run.RunKey)
		noError(t, err)
		equal(t, "run", &run, got)
	}
}

func testRunTransitions(t *testing.T, s store.Store) {
	queued := NewRun("orders", 1)
	CreateRun(t, s, queued)
	running := Started(queued, "v1")
	Commit(t, s, &store.Changes{Runs: []store.RunChange{{From: dag.RunQueued, Run: running}}})
	got, err := s.RunGet(t.Context(), queued.RunKey)
	noError(t, err)
	equal(t, "the started run", &running, got)

	err = s.EngineCommit(t.Context(), &store.Changes{Runs: []store.RunChange{{From: dag.RunQueued, Run: running}}})
	wantError(t, err, store.ErrConflict, running.RunID, "running", "queued")
	missing := NewRun("orders", 2)
	err = s.EngineCommit(t.Context(), &store.Changes{Runs: []store.RunChange{{From: dag.RunQueued, Run: missing}}})
	wantError(t, err, store.ErrConflict, missing.RunID)
	err = s.EngineCommit(t.Context(), &store.Changes{Runs: []store.RunChange{{New: true, Run: queued}}})
	wantError(t, err, store.ErrExists, queued.RunID)

	// Several changes of a run in one batch follow each other.
	failed := Finished(running, dag.RunFailed)
	failed.Reason = "task_failure"
	cleared := NewRun("orders", 1)
	Commit(t, s, &store.Changes{Runs: []store.RunChange{
		{From: dag.RunRunning, Run: failed}, {From: dag.RunFailed, Run: cleared}, {From: dag.RunQueued, Run: failed},
	}})
	got, err = s.RunGet(t.Context(), queued.RunKey)
	noError(t, err)
	equal(t, "the failed run", &failed, got)
}

func testRunList(t *testing.T, s store.Store) {
	scheduled := NewRun("orders", 1)
	scheduled.Type = dag.RunScheduled
	running := Started(NewRun("orders", 2), "v1")
	undated := NewRun("orders", 3)
	undated.LogicalDate, undated.Type = time.Time{}, dag.RunAsset
	failed := Finished(Started(NewRun("bills", 4), "v1"), dag.RunFailed)
	failed.Type = dag.RunBackfill
	for _, r := range []dag.Run{running, failed, scheduled, undated} {
		CreateRun(t, s, r)
	}
	for _, test := range []struct {
		name   string
		params store.RunListParams
		want   []dag.Run
	}{
		{"all, newest first", store.RunListParams{}, []dag.Run{failed, undated, running, scheduled}},
		{"of a DAG", store.RunListParams{DagID: "orders"}, []dag.Run{undated, running, scheduled}},
		{"of an unknown DAG", store.RunListParams{DagID: "order"}, nil},
		{"by state", store.RunListParams{States: []dag.RunState{dag.RunFailed, dag.RunRunning}}, []dag.Run{failed, running}},
		{"by type", store.RunListParams{Types: []dag.RunType{dag.RunScheduled}}, []dag.Run{scheduled}},
		{"not of types", store.RunListParams{
			NotTypes: []dag.RunType{dag.RunScheduled, dag.RunBackfill},
		}, []dag.Run{undated, running}},
		{"by logical date", store.RunListParams{LogicalDate: Time(2)}, []dag.Run{running}},
		{"between logical dates", store.RunListParams{
			LogicalFrom: Time(1), LogicalUntil: Time(2),
		}, []dag.Run{running, scheduled}},
		{"from a logical date", store.RunListParams{LogicalFrom: Time(2)}, []dag.Run{failed, running}},
		{"before", store.RunListParams{Before: Time(3)}, []dag.Run{running, scheduled}},
		{"the latest", store.RunListParams{Limit: 1}, []dag.Run{failed}},
		{"everything at once", store.RunListParams{
			DagID: "orders", States: []dag.RunState{dag.RunRunning}, Types: []dag.RunType{dag.RunManual},
			NotTypes: []dag.RunType{dag.RunAsset}, LogicalDate: Time(2), LogicalFrom: Time(2), LogicalUntil: Time(2),
			Before: Time(9), Limit: 5,
		}, []dag.Run{running}},
	} {
		got, err := s.RunList(t.Context(), &test.params)
		noError(t, err)
		equal(t, test.name, test.want, got)
	}
}

func testRunListLimits(t *testing.T, s store.Store) {
	changes := &store.Changes{}
	for n := range 10_050 {
		changes.Runs = append(changes.Runs, store.RunChange{New: true, Run: NewRun(fmt.Sprintf("d%d", n%3), n)})
	}
	Commit(t, s, changes)
	for limit, want := range map[int]int{0: 100, 1: 1, 150: 150, 20_000: 10_000} {
		got, err := s.RunList(t.Context(), &store.RunListParams{Limit: limit})
		noError(t, err)
		if len(got) != want || !got[0].RunAfter.Equal(Time(10_049)) {
			t.Errorf("limit %d gives %d runs, the first after %s; want %d, newest first", limit, len(got), got[0].RunAfter, want)
		}
	}
}

func testTimePrecision(t *testing.T, s store.Store) {
	berlin := time.FixedZone("CET", 3600)
	run := NewRun("orders", 1)
	run.RunAfter = time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC)
	run.LogicalDate = time.Date(9999, 12, 31, 23, 59, 59, 999999000, berlin)
	run.QueuedAt = time.Date(2026, 1, 1, 0, 0, 0, 1999, time.UTC)
	run.IntervalStart = time.Unix(0, 0)
	CreateRun(t, s, run)
	got, err := s.RunGet(t.Context(), run.RunKey)
	noError(t, err)
	for _, test := range []struct {
		name      string
		got, want time.Time
	}{
		{"before 1970, nanoseconds cut", got.RunAfter, time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC)},
		{"another zone", got.LogicalDate, run.LogicalDate.UTC()},
		{"below a microsecond", got.QueuedAt, time.Date(2026, 1, 1, 0, 0, 0, 1000, time.UTC)},
		{"the epoch is a time", got.IntervalStart, time.Unix(0, 0).UTC()},
		{"absent", got.EndDate, time.Time{}},
	} {
		if test.got != test.want {
			t.Errorf("%s: %s, want %s", test.name, test.got, test.want)
		}
	}
}
