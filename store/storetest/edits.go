package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"gust/dag"
	"gust/store"
)

func testClear(t *testing.T, s store.Store) {
	run := CreateRun(t, s, Started(NewRun("orders", 1), "v1"), NewTask(NewRun("orders", 1).RunKey, "a"))
	key := NewTask(run.RunKey, "a").Key
	first, err := s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	done := *first
	done.State, done.TryNumber, done.StartDate, done.EndDate, done.Error = dag.StateFailed, 2, Time(2), Time(3), "boom"
	ended := run
	ended.State, ended.EndDate = dag.RunFailed, Time(4)
	Commit(t, s, &store.Changes{
		Tasks: []store.TaskChange{{From: first.State, FromTry: first.TryNumber, Task: done}},
		Runs:  []store.RunChange{{From: run.State, Run: ended}},
	})
	before, err := s.EngineRefresh(t.Context())
	noError(t, err)

	noError(t, s.EditApply(t.Context(), &store.Edit{At: Time(9), Clear: []store.ClearTask{{Key: key, Retries: 3}}}))
	got, err := s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	want := *first
	want.State, want.TryNumber, want.MaxTries = dag.StateNone, 2, 5
	equal(t, "cleared task", &want, got)
	tries, err := s.TaskInstanceTries(t.Context(), key)
	noError(t, err)
	if len(tries) != 1 || tries[0].State != dag.StateFailed || tries[0].TryNumber != 2 {
		t.Errorf("archived tries: %+v", tries)
	}
	again, err := s.RunGet(t.Context(), run.RunKey)
	noError(t, err)
	if again.State != dag.RunQueued || again.ClearNumber != 1 || !again.StartDate.IsZero() || again.DagVersion != "v1" {
		t.Errorf("cleared run: %+v", again)
	}
	after, err := s.EngineRefresh(t.Context())
	noError(t, err)
	if after.Edits <= before.Edits {
		t.Errorf("an edit is not counted: %d, then %d", before.Edits, after.Edits)
	}

	// A batch that does not know of it is refused when it says what it knows.
	beat := &store.Heartbeat{Host: "h", StartedAt: Time(9), At: Time(9)}
	err = s.EngineCommit(t.Context(), &store.Changes{Edits: &before.Edits, Heartbeat: beat})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("a batch that does not know of an edit: %v, want ErrConflict", err)
	}
	Commit(t, s, &store.Changes{Edits: &after.Edits, Heartbeat: beat})

	// What runs is told to end; nothing is archived before it has.
	busy := *got
	busy.State, busy.TryNumber, busy.StartDate = dag.StateRunning, 3, Time(10)
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{{From: got.State, FromTry: got.TryNumber, Task: busy}}})
	noError(t, s.EditApply(t.Context(), &store.Edit{At: Time(11), LatestVersion: true, Clear: []store.ClearTask{{Key: key}}}))
	got, err = s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	if got.State != dag.StateRestarting || got.TryNumber != 3 || got.MaxTries != 3 {
		t.Errorf("cleared while running: %+v", got)
	}
	missing := key
	missing.TaskID = "b"
	err = s.EditApply(t.Context(), &store.Edit{
		At: Time(12), Tasks: []store.SetTask{{Key: key, State: dag.StateSuccess}, {Key: missing}},
	})
	wantError(t, err, store.ErrNotFound, "b")
	got, err = s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	if got.State != dag.StateRestarting {
		t.Errorf("a failed edit left the task %s", got.State)
	}
}

func testMark(t *testing.T, s store.Store) {
	run := CreateRun(t, s, Started(NewRun("orders", 1), "v1"), NewTask(NewRun("orders", 1).RunKey, "a"))
	key := NewTask(run.RunKey, "a").Key
	noError(t, s.EditApply(t.Context(), &store.Edit{
		At: Time(7), Tasks: []store.SetTask{{Key: key, State: dag.StateSkipped}},
		Runs: []store.SetRun{{Key: run.RunKey, State: dag.RunSuccess}},
	}))
	ti, err := s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	got, err := s.RunGet(t.Context(), run.RunKey)
	noError(t, err)
	if ti.State != dag.StateSkipped || !ti.EndDate.Equal(Time(7)) || got.State != dag.RunSuccess || !got.EndDate.Equal(Time(7)) {
		t.Errorf("marked: %+v of %+v", ti, got)
	}
	noError(t, s.EditApply(t.Context(), &store.Edit{Runs: []store.SetRun{{Key: run.RunKey, State: dag.RunQueued}}}))
	got, err = s.RunGet(t.Context(), run.RunKey)
	noError(t, err)
	if got.State != dag.RunQueued {
		t.Errorf("opened again: %+v", got)
	}
}

// testMarkStops: that something is to be stopped is stored together with the mark, or the clearing, of a task that is at
// work. One that was cleared while it ran is told to end first.
func testMarkStops(t *testing.T, s store.Store) {
	run := CreateRun(t, s, Started(NewRun("orders", 1), "v1"),
		NewTask(NewRun("orders", 1).RunKey, "parked"), NewTask(NewRun("orders", 1).RunKey, "works"), NewTask(NewRun("orders", 1).RunKey, "idle"),
		NewTask(NewRun("orders", 1).RunKey, "cleared"))
	edit := store.Edit{At: Time(7)}
	for task, state := range map[string]dag.State{
		"parked": dag.StateDeferred, "works": dag.StateRunning, "idle": dag.StateUpForRetry, "cleared": dag.StateDeferred,
	} {
		ti, err := s.TaskInstanceGet(t.Context(), NewTask(run.RunKey, task).Key)
		noError(t, err)
		begun := *ti
		begun.State, begun.TryNumber, begun.StartDate, begun.NotBefore, begun.Operator = state, 2, Time(1), Time(9), "Op"
		if state == dag.StateDeferred {
			begun.Deferral = &dag.Deferral{Kind: "some.wait", Args: []byte(`{"of":1}`), Since: Time(2)}
		}
		Commit(t, s, &store.Changes{Tasks: []store.TaskChange{{From: ti.State, FromTry: ti.TryNumber, Task: begun}}})
		if task == "cleared" {
			edit.Clear = append(edit.Clear, store.ClearTask{Key: ti.Key})
		} else {
			edit.Tasks = append(edit.Tasks, store.SetTask{Key: ti.Key, State: dag.StateFailed})
		}
	}
	noError(t, s.EditApply(t.Context(), &edit))
	snap, err := s.EngineLoad(t.Context())
	noError(t, err)
	got := map[string]*dag.Deferral{}
	var ids []int64
	for _, c := range snap.Callbacks {
		if c.Callback.Event != dag.StopAttempt || c.TryNumber != 2 || c.Callback.Operator != "Op" || c.ID >= 0 || !c.At.Equal(Time(7)) {
			t.Errorf("%+v", c)
		}
		got[c.TaskID] = c.Callback.Wait()
		ids = append(ids, c.ID)
	}
	equal(t, "what is to be stopped", map[string]*dag.Deferral{
		"parked": {Kind: "some.wait", Args: []byte(`{"of":1}`)}, "works": nil,
		"cleared": {Kind: "some.wait", Args: []byte(`{"of":1}`)},
	}, got)
	Commit(t, s, &store.Changes{CallbacksDone: ids})
}

func testNotes(t *testing.T, s store.Store) {
	run := CreateRun(t, s, Started(NewRun("orders", 1), "v1"), NewTask(NewRun("orders", 1).RunKey, "a"))
	key := NewTask(run.RunKey, "a").Key
	noError(t, s.RunNoteSet(t.Context(), run.RunKey, "look here"))
	noError(t, s.TaskNoteSet(t.Context(), key, "and here"))
	wantError(t, s.RunNoteSet(t.Context(), dag.RunKey{DagID: "orders", RunID: "none"}, "x"), store.ErrNotFound, "none")
	ti, err := s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	changed := *ti
	changed.State, changed.TryNumber = dag.StateScheduled, 1
	ended := run
	ended.State, ended.EndDate = dag.RunFailed, Time(4)
	Commit(t, s, &store.Changes{
		Tasks: []store.TaskChange{{From: ti.State, FromTry: ti.TryNumber, Task: changed}},
		Runs:  []store.RunChange{{From: run.State, Run: ended}},
	})
	ti, err = s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	got, err := s.RunGet(t.Context(), run.RunKey)
	noError(t, err)
	if ti.Note != "and here" || got.Note != "look here" {
		t.Errorf("the engine changed the notes to %q and %q", ti.Note, got.Note)
	}
}

func testWaitEnds(t *testing.T, s store.Store) {
	run := CreateRun(t, s, Started(NewRun("orders", 1), "v1"), NewTask(NewRun("orders", 1).RunKey, "a"))
	first, err := s.TaskInstanceGet(t.Context(), NewTask(run.RunKey, "a").Key)
	noError(t, err)
	fire := store.WaitEnd{Attempt: first.Attempt(), Event: []byte(`{"a": 1.0}`), At: Time(5)}
	wantError(t, s.WaitEndRequest(t.Context(), &fire), store.ErrConflict, "a")
	waits := *first
	waits.State, waits.TryNumber, waits.StartDate = dag.StateDeferred, 1, Time(2)
	waits.Deferral = &dag.Deferral{Kind: "k", Args: []byte(`{"arn":"x"}`), State: []byte(`3`), Since: Time(3)}
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{{From: first.State, FromTry: first.TryNumber, Task: waits}}})
	before, err := s.EngineRefresh(t.Context())
	noError(t, err)

	wantError(t, s.WaitEndRequest(t.Context(), &fire), store.ErrConflict, "a") // another try
	fire.Attempt = waits.Attempt()
	for _, wrong := range []store.WaitEnd{
		{Attempt: fire.Attempt}, {Attempt: fire.Attempt, Event: []byte(`1`), Failed: "no"}, {Attempt: fire.Attempt, Event: []byte(`{`)},
	} {
		wantError(t, s.WaitEndRequest(t.Context(), &wrong), store.ErrInvalid, "an event, as JSON, or an error")
	}
	missing := fire
	missing.TaskID = "b"
	wantError(t, s.WaitEndRequest(t.Context(), &missing), store.ErrNotFound, "b")
	noError(t, s.WaitEndRequest(t.Context(), &fire))
	cancel := store.WaitEnd{Attempt: fire.Attempt, Failed: "no more", Stop: "why", At: Time(6)}
	wantError(t, s.WaitEndRequest(t.Context(), &cancel), store.ErrExists, "a")

	after, err := s.EngineRefresh(t.Context())
	noError(t, err)
	if len(after.WaitEnds) != 1 || after.Edits != before.Edits {
		t.Fatalf("%d ends, edits %d then %d", len(after.WaitEnds), before.Edits, after.Edits)
	}
	want := fire
	want.ID, want.Deferral = after.WaitEnds[0].ID, waits.Deferral
	equal(t, "requested end", want, after.WaitEnds[0])
	snap, err := s.EngineLoad(t.Context())
	noError(t, err)
	equal(t, "requested ends of a snapshot", after.WaitEnds, snap.WaitEnds)

	Commit(t, s, &store.Changes{WaitEndsDone: []int64{want.ID}})
	noError(t, s.WaitEndRequest(t.Context(), &cancel))
	over := waits
	over.State, over.Deferral, over.EndDate = dag.StateFailed, nil, Time(7)
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{{From: waits.State, FromTry: 1, Task: over}}})
	after, err = s.EngineRefresh(t.Context())
	noError(t, err)
	want = cancel
	if want.ID = after.WaitEnds[0].ID; want.ID == snap.WaitEnds[0].ID {
		t.Errorf("the id %d is used twice", want.ID)
	}
	equal(t, "an end that comes too late", []store.WaitEnd{want}, after.WaitEnds)
}

func testRunsDelete(t *testing.T, s store.Store) {
	var keys []dag.RunKey
	for n := range 3 {
		run := CreateRun(t, s, Started(NewRun("orders", n), "v1"), NewTask(NewRun("orders", n).RunKey, "a"))
		keys = append(keys, run.RunKey)
		if n == 2 {
			break // goes on
		}
		ended := run
		ended.State, ended.EndDate = dag.RunSuccess, Time(100*n)
		Commit(t, s, &store.Changes{
			Runs:  []store.RunChange{{From: run.State, Run: ended}},
			XComs: []store.XCom{newXCom(NewTask(run.RunKey, "a").Key, 1, "x", `1`)},
		})
	}
	_, err := s.RunsDelete(t.Context(), &store.RunsDeleteParams{})
	wantError(t, err, store.ErrInvalid, "which runs")
	old := &store.RunsDeleteParams{DagIDs: []string{"orders"}, EndedBefore: Time(50), DryRun: true}
	n, err := s.RunsDelete(t.Context(), old)
	noError(t, err)
	if n != 1 {
		t.Errorf("a dry run counts %d runs", n)
	}
	old.DryRun = false
	n, err = s.RunsDelete(t.Context(), old)
	noError(t, err)
	if n != 1 {
		t.Errorf("%d runs were deleted", n)
	}
	_, err = s.RunGet(t.Context(), keys[0])
	wantError(t, err, store.ErrNotFound, keys[0].RunID)
	_, err = s.XComGet(t.Context(), NewTask(keys[0], "a").Key, "x")
	wantError(t, err, store.ErrNotFound, "x")
	_, err = s.RunGet(t.Context(), keys[1])
	noError(t, err)
	testLatestScheduledStays(t, s)
	wantError(t, s.DagDelete(t.Context(), "orders"), store.ErrConflict, "orders")
	_, err = s.RunGet(t.Context(), keys[2])
	noError(t, err)
}

// testLatestScheduledStays: a schedule goes on from its latest run, however old that is.
func testLatestScheduledStays(t *testing.T, s store.Store) {
	t.Helper()
	for n := range 2 {
		begun := NewRun("nightly", n)
		begun.Type, begun.RunID = dag.RunScheduled, fmt.Sprintf("scheduled__%d", n)
		run := CreateRun(t, s, Started(begun, "v1"))
		ended := run
		ended.State, ended.EndDate = dag.RunSuccess, Time(10)
		Commit(t, s, &store.Changes{Runs: []store.RunChange{{From: run.State, Run: ended}}})
	}
	n, err := s.RunsDelete(t.Context(), &store.RunsDeleteParams{DagIDs: []string{"nightly"}, EndedBefore: Time(50)})
	noError(t, err)
	left, err := s.RunList(t.Context(), &store.RunListParams{DagID: "nightly"})
	noError(t, err)
	if n != 1 || len(left) != 1 || left[0].RunID != "scheduled__1" {
		t.Errorf("%d runs were deleted, left are %+v", n, left)
	}
}

func testBackfills(t *testing.T, s store.Store) {
	old := CreateRun(t, s, Started(NewRun("orders", 1), "v1"), NewTask(NewRun("orders", 1).RunKey, "a"))
	ended := old
	ended.State, ended.EndDate = dag.RunFailed, Time(4)
	Commit(t, s, &store.Changes{Runs: []store.RunChange{{From: old.State, Run: ended}}})
	fresh := NewRun("orders", 2)
	fresh.Type = dag.RunBackfill
	b := store.Backfill{
		DagID: "orders", From: Time(1), To: Time(2), Conf: []byte(`{"a":1}`), Reprocess: store.ReprocessFailed, RunBackwards: true,
		MaxActiveRuns: 3, CreatedAt: Time(5),
	}
	noError(t, s.BackfillCreate(t.Context(), &b, []dag.Run{fresh}, []store.ClearTask{{Key: NewTask(old.RunKey, "a").Key}}))
	got, err := s.BackfillGet(t.Context(), b.ID)
	noError(t, err)
	equal(t, "backfill", &b, got)
	for _, key := range []dag.RunKey{old.RunKey, fresh.RunKey} {
		run, err := s.RunGet(t.Context(), key)
		noError(t, err)
		if run.State != dag.RunQueued || run.BackfillID != b.ID {
			t.Errorf("run of the backfill: %+v", run)
		}
	}
	another := b
	wantError(t, s.BackfillCreate(t.Context(), &another, nil, nil), store.ErrExists, "orders")
	noError(t, s.BackfillSetPaused(t.Context(), b.ID, true))
	refresh, err := s.EngineRefresh(t.Context())
	noError(t, err)
	if len(refresh.Backfills) != 1 || !refresh.Backfills[0].IsPaused {
		t.Errorf("open backfills: %+v", refresh.Backfills)
	}
	noError(t, s.BackfillCancel(t.Context(), b.ID, Time(6)))
	run, err := s.RunGet(t.Context(), fresh.RunKey)
	noError(t, err)
	if run.State != dag.RunFailed {
		t.Errorf("a queued run of a cancelled backfill is %s", run.State)
	}
	wantError(t, s.BackfillCancel(t.Context(), b.ID, Time(6)), store.ErrNotFound, "backfill")
	next := store.Backfill{DagID: "orders", From: Time(1), To: Time(2), Reprocess: store.ReprocessNone, MaxActiveRuns: 1, CreatedAt: Time(7)}
	noError(t, s.BackfillCreate(t.Context(), &next, nil, nil))
	Commit(t, s, &store.Changes{BackfillsDone: []int64{next.ID}})
	all, err := s.BackfillList(t.Context(), "orders")
	noError(t, err)
	if len(all) != 2 || all[0].ID != next.ID || all[0].CompletedAt.IsZero() {
		t.Errorf("backfills: %+v", all)
	}
}

func testXComMapped(t *testing.T, s store.Store) {
	run := NewRun("orders", 1).RunKey
	at := func(index int) dag.Key {
		return dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: "each", MapIndex: index}
	}
	ten, two := newXCom(at(10), 1, "return_value", `"ten"`), newXCom(at(2), 1, "return_value", `"two"`)
	Commit(t, s, &store.Changes{XComs: []store.XCom{ten, two, newXCom(at(3), 1, "other", `1`), newXCom(at(-1), 1, "return_value", `0`)}})
	got, err := s.XComMapped(t.Context(), run, "each", "return_value")
	noError(t, err)
	equal(t, "values by map index", []store.XCom{two, ten}, got)
}

func testTaskGone(t *testing.T, s store.Store) {
	run := CreateRun(t, s, Started(NewRun("orders", 1), "v1"), NewTask(NewRun("orders", 1).RunKey, "each"))
	ti, err := s.TaskInstanceGet(t.Context(), NewTask(run.RunKey, "each").Key)
	noError(t, err)
	stale := store.TaskChange{Gone: true, From: dag.StateRunning, FromTry: 1, Task: *ti}
	wantError(t, s.EngineCommit(t.Context(), &store.Changes{Tasks: []store.TaskChange{stale}}), store.ErrConflict, "each")
	instance := *ti
	instance.MapIndex, instance.RenderedMapIndex = 0, "first"
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{
		{Gone: true, From: ti.State, FromTry: ti.TryNumber, Task: *ti}, {New: true, Task: instance},
	}})
	all, err := s.TaskInstanceList(t.Context(), run.RunKey)
	noError(t, err)
	equal(t, "task instances", []dag.TaskInstance{instance}, all)
}

func testAssets(t *testing.T, s store.Store) {
	request := dag.AssetEvent{Name: "orders", URI: "s3://orders", At: Time(1), Extra: []byte(`{"rows":3}`)}
	noError(t, s.AssetRequest(t.Context(), &request))
	wantError(t, s.AssetRequest(t.Context(), &dag.AssetEvent{}), store.ErrInvalid, "no name")
	refresh, err := s.EngineRefresh(t.Context())
	noError(t, err)
	if len(refresh.AssetRequests) != 1 || refresh.AssetRequests[0].Name != "orders" {
		t.Fatalf("requests: %+v", refresh.AssetRequests)
	}
	asked := refresh.AssetRequests[0].ID
	first := request
	first.ID, first.Source.MapIndex = 1, -1
	second := dag.AssetEvent{
		ID: 2, Name: "items", URI: "items", At: Time(2), Aliases: []string{"any"},
		Source: dag.Key{DagID: "d", RunID: "r", TaskID: "t", MapIndex: 4},
	}
	Commit(t, s, &store.Changes{
		AssetEvents: []dag.AssetEvent{first, second}, AssetRequestsDone: []int64{asked},
		Dags: []store.DagRow{{DagID: "d", FileLoc: "d.yaml", Version: "v1", AssetCursor: 2}},
	})
	all, err := s.AssetEventList(t.Context(), "", 0)
	noError(t, err)
	equal(t, "events, newest first", []dag.AssetEvent{second, first}, all)
	one, err := s.AssetEventsGet(t.Context(), []int64{1, 99})
	noError(t, err)
	equal(t, "events by id", []dag.AssetEvent{first}, one)
	snap, err := s.EngineLoad(t.Context())
	noError(t, err)
	equal(t, "what a DAG still waits with", []dag.AssetEvent{second}, snap.AssetEvents)
	if snap.LastAssetEvent != 2 || len(snap.AssetRequests) != 0 || snap.Dags[0].AssetCursor != 2 {
		t.Errorf("snapshot: last %d, requests %v, DAG %+v", snap.LastAssetEvent, snap.AssetRequests, snap.Dags[0])
	}
	noError(t, s.AssetRequest(t.Context(), &request))
	refresh, err = s.EngineRefresh(t.Context())
	noError(t, err)
	if len(refresh.AssetRequests) != 1 || refresh.AssetRequests[0].ID == asked {
		t.Errorf("requests after the first was answered: %+v", refresh.AssetRequests)
	}
	run := NewRun("d", 1)
	run.Type, run.AssetEvents, run.DeadlinesMissed = dag.RunAsset, []int64{1, 2}, 5
	CreateRun(t, s, run)
	got, err := s.RunGet(t.Context(), run.RunKey)
	noError(t, err)
	equal(t, "asset-triggered run", &run, got)
}

func testAssetEventsDelete(t *testing.T, s store.Store) {
	var events []dag.AssetEvent
	for i, name := range []string{"orders", "items", "items", "items", "items"} {
		events = append(events, dag.AssetEvent{ID: int64(i + 1), Name: name, URI: name, At: Time(i + 1)})
	}
	Commit(t, s, &store.Changes{
		AssetEvents: events, Dags: []store.DagRow{{DagID: "d", FileLoc: "d.yaml", Version: "v1", AssetCursor: 4}},
	})
	run := NewRun("d", 1)
	run.Type, run.AssetEvents = dag.RunAsset, []int64{3}
	run = CreateRun(t, s, run)
	deletes := func(before, want int, left ...int64) {
		t.Helper()
		n, err := s.AssetEventsDelete(t.Context(), Time(before), 0)
		noError(t, err)
		all, err := s.AssetEventList(t.Context(), "", 0)
		noError(t, err)
		var ids []int64
		for i := range all {
			ids = append(ids, all[len(all)-1-i].ID)
		}
		if n != want || !slices.Equal(ids, left) {
			t.Errorf("before %d: deleted %d and left %v; want %d and %v", before, n, ids, want, left)
		}
	}
	deletes(2, 0, 1, 2, 3, 4, 5) // too young, or the latest of its asset
	deletes(99, 1, 1, 3, 4, 5)   // 3 belongs to a run, the DAG waits with 4
	Commit(t, s, &store.Changes{Runs: []store.RunChange{{From: run.State, Run: Finished(run, dag.RunSuccess)}}})
	if _, err := s.RunsDelete(t.Context(), &store.RunsDeleteParams{DagIDs: []string{"d"}}); err != nil {
		t.Fatal(err)
	}
	deletes(99, 1, 1, 4, 5)
	Commit(t, s, &store.Changes{Dags: []store.DagRow{{DagID: "d", FileLoc: "d.yaml", Version: "v1"}}})
	deletes(99, 1, 1, 5)
}

func testCallbacks(t *testing.T, s store.Store) {
	due := dag.CallbackRequest{
		ID: 7, Key: dag.Key{DagID: "d", RunID: "r", TaskID: "t", MapIndex: 1}, TryNumber: 2, Reason: "boom", At: Time(3),
		Callback: dag.Callback{Event: dag.OnFailure, Operator: "BashOperator", Params: map[string]any{"bash_command": "true"}},
	}
	Commit(t, s, &store.Changes{Callbacks: []dag.CallbackRequest{due}})
	snap, err := s.EngineLoad(t.Context())
	noError(t, err)
	equal(t, "callbacks that are due", []dag.CallbackRequest{due}, snap.Callbacks)
	Commit(t, s, &store.Changes{CallbacksDone: []int64{7, 8}})
	snap, err = s.EngineLoad(t.Context())
	noError(t, err)
	if len(snap.Callbacks) > 0 {
		t.Errorf("carried out, but still there: %+v", snap.Callbacks)
	}
}
