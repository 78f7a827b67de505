package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"gust/dag"
	"gust/store"
)

func testTaskRoundTrip(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	_, err := s.TaskInstanceGet(t.Context(), NewTask(run.RunKey, "wait").Key)
	wantError(t, err, store.ErrNotFound, "wait", run.RunID)

	full := dag.TaskInstance{
		Key:   dag.Key{DagID: "orders", RunID: run.RunID, TaskID: "wait", MapIndex: 7},
		State: dag.StateDeferred, TryNumber: 3, MaxTries: 4, Operator: "StepFunctionExecutionSensor", Pool: "etl",
		PoolSlots: 2, Priority: -5, QueuedAt: Time(1), StartDate: Time(2), EndDate: Time(3), FirstStart: Time(4),
		NotBefore: Time(5), Error: "boom\n\tat line 3 — ü",
		Deferral: &dag.Deferral{
			Kind: "stepfunctions", Args: json.RawMessage(`{"arn": "a"}`), State: json.RawMessage(`{"checks":3}`),
			Since: Time(6), Deadline: Time(7), Timeout: 90 * time.Second, Event: json.RawMessage(`null`), Failed: "gone",
			ByExecutionTimeout: true, TimedOut: true, Keyed: true, Key: "eu", Subject: 1<<63 + 5,
		},
	}
	short := full
	short.MapIndex, short.Deferral = 8, &dag.Deferral{Kind: "time", Since: Time(6)}
	plain := NewTask(run.RunKey, "plain")
	CreateRun(t, s, run, full, short, plain)
	for _, want := range []dag.TaskInstance{full, short, plain} {
		equal(t, "task instance", want, getTask(t, s, want.Key))
	}
	// An update replaces every column: the wait is gone with the plain row, and comes back.
	done := InState(full, dag.StateSuccess)
	done.Deferral, done.Error = nil, ""
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{Move(full, done)}})
	equal(t, "without the wait", done, getTask(t, s, full.Key))
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{Move(done, full)}})
	equal(t, "with the wait", full, getTask(t, s, full.Key))
}

func testTaskTransitions(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	none := NewTask(run.RunKey, "extract")
	CreateRun(t, s, run, none)
	queued := InState(none, dag.StateQueued)
	refuse := func(want error, change store.TaskChange, mentions ...string) {
		t.Helper()
		err := s.EngineCommit(t.Context(), &store.Changes{Tasks: []store.TaskChange{change}})
		wantError(t, err, want, append(mentions, "extract")...)
		equal(t, "the row is as it was", none, getTask(t, s, none.Key))
	}
	refuse(store.ErrExists, store.TaskChange{New: true, Task: none}, run.RunID)
	refuse(store.ErrConflict, store.TaskChange{From: dag.StateScheduled, Task: queued}, "scheduled", "none")
	refuse(store.ErrConflict, store.TaskChange{From: dag.StateNone, FromTry: 1, Task: queued}, "try 1", "try 0")
	elsewhere := queued
	elsewhere.MapIndex = 0
	refuse(store.ErrConflict, store.TaskChange{Task: elsewhere}, "extract[0]")

	// Every state may follow every other: which ones do is the plan's business.
	current := none
	for _, from := range dag.TaskStates {
		for _, to := range dag.TaskStates {
			for _, state := range []dag.State{from, to} {
				next := InState(NewTask(run.RunKey, "extract"), state)
				next.TryNumber = max(next.TryNumber, current.TryNumber)
				Commit(t, s, &store.Changes{Tasks: []store.TaskChange{Move(current, next)}})
				current = next
			}
		}
	}
	equal(t, "at the end", current, getTask(t, s, none.Key))
}

func testTaskMerge(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	none := NewTask(run.RunKey, "extract")
	other := NewTask(run.RunKey, "other")
	queued, running := InState(none, dag.StateQueued), InState(none, dag.StateRunning)
	done := InState(none, dag.StateSuccess)
	Commit(t, s, &store.Changes{
		Runs: []store.RunChange{{New: true, Run: run}},
		Tasks: []store.TaskChange{
			{New: true, Task: none}, {New: true, Task: other}, Move(none, queued), Move(queued, running), Move(running, done),
		},
	})
	equal(t, "the last row", done, getTask(t, s, none.Key))
	equal(t, "the other row", other, getTask(t, s, other.Key))

	for name, changes := range map[string][]store.TaskChange{
		"the second leaves another state": {Move(done, queued), Move(running, done)},
		"the second leaves another try":   {Move(done, queued), {From: dag.StateQueued, FromTry: 9, Task: running}},
		"the first leaves another state":  {Move(running, queued), Move(queued, done)},
	} {
		err := s.EngineCommit(t.Context(), &store.Changes{Tasks: changes})
		wantError(t, err, store.ErrConflict, "extract")
		equal(t, name, done, getTask(t, s, none.Key))
	}
	again := &store.Changes{Tasks: []store.TaskChange{Move(done, queued), {New: true, Task: none}}}
	err := s.EngineCommit(t.Context(), again)
	wantError(t, err, store.ErrExists, "extract")
}

func testTaskOrder(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	var tasks []dag.TaskInstance
	for _, id := range []string{"z", "a", "m"} {
		tasks = append(tasks, NewTask(run.RunKey, id))
	}
	CreateRun(t, s, run, tasks...)
	other := Started(NewRun("orders", 2), "v1")
	CreateRun(t, s, other, NewTask(other.RunKey, "x"))
	moved := InState(tasks[1], dag.StateRunning)
	late := NewTask(run.RunKey, "b")
	late.MapIndex = 0
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{Move(tasks[1], moved), {New: true, Task: late}}})
	got, err := s.TaskInstanceList(t.Context(), run.RunKey)
	noError(t, err)
	equal(t, "in insertion order", []dag.TaskInstance{tasks[0], moved, tasks[2], late}, got)
	got, err = s.TaskInstanceList(t.Context(), dag.RunKey{DagID: "orders", RunID: "none"})
	noError(t, err)
	equal(t, "of no run", []dag.TaskInstance(nil), got)
}

func testTaskTries(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	ti := NewTask(run.RunKey, "extract")
	CreateRun(t, s, run, ti)
	var want []dag.TaskInstance
	for try := 1; try <= 11; try++ {
		past := InState(ti, dag.StateFailed)
		past.TryNumber, past.Error = try, fmt.Sprintf("try %d", try)
		want = append(want, past)
	}
	want[1] = InState(want[1], dag.StateDeferred)
	Commit(t, s, &store.Changes{History: want[1:]})
	Commit(t, s, &store.Changes{History: []dag.TaskInstance{want[0], want[4]}})
	got, err := s.TaskInstanceTries(t.Context(), ti.Key)
	noError(t, err)
	equal(t, "tries, oldest first", want, got)
	equal(t, "the current row", ti, getTask(t, s, ti.Key))
	ti.MapIndex = 3
	got, err = s.TaskInstanceTries(t.Context(), ti.Key)
	noError(t, err)
	equal(t, "of another task", []dag.TaskInstance(nil), got)
}

func testDeferred(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	var tasks []dag.TaskInstance
	for i, since := range []int{30, 10, 20} {
		ti := InState(NewTask(run.RunKey, fmt.Sprintf("wait%d", i)), dag.StateDeferred)
		ti.Deferral.Since = Time(since)
		tasks = append(tasks, ti)
	}
	resumed := InState(tasks[0], dag.StateRunning)
	resumed.TaskID = "resumed"
	CreateRun(t, s, run, append(tasks, resumed)...)
	name := func(ti dag.TaskInstance) string { return ti.TaskID }
	list := func(limit int, want string) {
		t.Helper()
		got, err := s.DeferredList(t.Context(), limit)
		noError(t, err)
		if states(got, name) != want {
			t.Errorf("deferred, limit %d: %s, want %s", limit, states(got, name), want)
		}
	}
	list(0, "[wait1 wait2 wait0]")
	list(2, "[wait1 wait2]")
	done := InState(NewTask(run.RunKey, "wait1"), dag.StateSuccess)
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{Move(tasks[1], done)}})
	list(10, "[wait2 wait0]")
}

func testIllegalRows(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	legal := NewTask(run.RunKey, "extract")
	CreateRun(t, s, run, legal)
	deferredOn := func(ti *dag.TaskInstance, d *dag.Deferral) { *ti = InState(*ti, dag.StateDeferred); ti.Deferral = d }
	for name, spoil := range map[string]func(*dag.TaskInstance){
		"unknown state":               func(ti *dag.TaskInstance) { ti.State = "walking" },
		"running without a start":     func(ti *dag.TaskInstance) { ti.State, ti.TryNumber = dag.StateRunning, 1 },
		"running without a try":       func(ti *dag.TaskInstance) { ti.State, ti.StartDate = dag.StateRunning, Time(1) },
		"deferred on nothing":         func(ti *dag.TaskInstance) { deferredOn(ti, nil) },
		"deferred since nothing":      func(ti *dag.TaskInstance) { deferredOn(ti, &dag.Deferral{Kind: "time"}) },
		"a retry that is never due":   func(ti *dag.TaskInstance) { ti.State = dag.StateUpForRetry },
		"a look that is never due":    func(ti *dag.TaskInstance) { ti.State = dag.StateUpForReschedule },
		"a negative try":              func(ti *dag.TaskInstance) { ti.TryNumber = -1 },
		"a map index below unmapped":  func(ti *dag.TaskInstance) { ti.MapIndex = -2 },
		"a task without an id":        func(ti *dag.TaskInstance) { ti.TaskID = "" },
		"a negative number of slots":  func(ti *dag.TaskInstance) { ti.PoolSlots = -1 },
		"a negative number of tries":  func(ti *dag.TaskInstance) { ti.MaxTries = -1 },
		"a state in the wrong letter": func(ti *dag.TaskInstance) { ti.State = "Success" },
	} {
		bad := legal
		bad.TaskID = "bad"
		spoil(&bad)
		err := s.EngineCommit(t.Context(), &store.Changes{Tasks: []store.TaskChange{{New: true, Task: bad}}})
		wantError(t, err, store.ErrInvalid, bad.TaskID)
		if bad.Key.TaskID == "bad" && bad.MapIndex == -1 {
			change := Move(legal, bad)
			change.Task.TaskID = legal.TaskID
			if err := s.EngineCommit(t.Context(), &store.Changes{Tasks: []store.TaskChange{change}}); err == nil {
				t.Errorf("%s: the update was accepted", name)
			}
		}
	}
	equal(t, "the legal row", legal, getTask(t, s, legal.Key))
	for name, spoil := range map[string]func(*dag.Run){
		"unknown state":           func(r *dag.Run) { r.State = "restarting" },
		"unknown type":            func(r *dag.Run) { r.Type = "dataset_triggered" },
		"running without a start": func(r *dag.Run) { r.State = dag.RunRunning },
		"success without an end":  func(r *dag.Run) { r.State = dag.RunSuccess },
		"no run id":               func(r *dag.Run) { r.RunID = "" },
		"no run_after":            func(r *dag.Run) { r.RunAfter = time.Time{} },
	} {
		bad := NewRun("orders", 2)
		spoil(&bad)
		err := s.EngineCommit(t.Context(), &store.Changes{Runs: []store.RunChange{{New: true, Run: bad}}})
		if err == nil {
			t.Errorf("%s: the run was accepted", name)
			continue
		}
		wantError(t, err, store.ErrInvalid, "orders")
	}
}
