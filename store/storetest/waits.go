package storetest

import (
	"encoding/json"
	"testing"

	"gust/dag"
	"gust/store"
)

// keyed is a task that waits, with all that the trigger loop wants to know.
func keyed(run dag.RunKey, task string) dag.TaskInstance {
	ti := InState(NewTask(run, task), dag.StateDeferred)
	ti.Deferral = &dag.Deferral{
		Kind: "stepfunctions.execution", Args: json.RawMessage(`{"arn":"` + task + `"}`), State: json.RawMessage(`{"n":1}`),
		Since: Time(3), Deadline: Time(9), Keyed: true, Key: "eu", Subject: 7,
	}
	return ti
}

// What waits wait for is found in the row of the attempt, in the archive once the task was cleared, or nowhere.
func testWaits(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	wait, cleared, marked, fired := keyed(run.RunKey, "wait"), keyed(run.RunKey, "cleared"), keyed(run.RunKey, "marked"),
		keyed(run.RunKey, "fired")
	again := keyed(run.RunKey, "again")
	again.TryNumber = 2
	done := InState(NewTask(run.RunKey, "done"), dag.StateSuccess)
	CreateRun(t, s, run, wait, cleared, marked, fired, again, done)
	ended := fired
	d := *fired.Deferral
	d.Event = json.RawMessage(`1`)
	ended.Deferral = &d
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{Move(fired, ended)}})
	noError(t, s.EditApply(t.Context(), &store.Edit{
		At: Time(5), Clear: []store.ClearTask{{Key: cleared.Key}},
		Tasks: []store.SetTask{{Key: marked.Key, State: dag.StateFailed}},
	}))
	old := again.Attempt()
	old.TryNumber = 1
	got, err := s.WaitsGet(t.Context(), []dag.Attempt{
		again.Attempt(), wait.Attempt(), cleared.Attempt(), marked.Attempt(), fired.Attempt(), done.Attempt(), old,
	})
	noError(t, err)
	archived := cleared
	archived.EndDate = Time(5)
	failed := marked
	failed.State, failed.EndDate = dag.StateFailed, Time(5)
	equal(t, "waits", []store.Wait{
		{Task: &again, Parked: true}, {Task: &wait, Parked: true}, {Task: &archived}, {Task: &failed}, {Task: &ended}, {}, {},
	}, got)
	got, err = s.WaitsGet(t.Context(), nil)
	noError(t, err)
	equal(t, "of nobody", []store.Wait{}, got)
}

// A change may leave the wait alone, or give it a new state only.
func testWaitKept(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	wait := keyed(run.RunKey, "wait")
	CreateRun(t, s, run, wait)
	kept := func(from, to dag.TaskInstance, d *dag.Deferral) store.TaskChange {
		c := Move(from, to)
		c.KeepWait, c.Task.Deferral = true, d
		return c
	}
	want := wait
	want.Error = "so far"
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{kept(wait, want, nil)}})
	equal(t, "as it was", want, getTask(t, s, wait.Key))
	d := *wait.Deferral
	d.State = json.RawMessage(`{"n":2}`)
	want.Deferral = &d
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{kept(want, want, &dag.Deferral{State: d.State})}})
	equal(t, "with its new state", want, getTask(t, s, wait.Key))

	// Within one batch the wait that is kept is the one that the batch sets.
	plain := InState(NewTask(run.RunKey, "wait"), dag.StateRunning)
	e := *wait.Deferral
	e.State = json.RawMessage(`{"n":3}`)
	want = wait
	want.Deferral = &e
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{
		Move(want, plain), Move(plain, wait), kept(wait, wait, &dag.Deferral{State: e.State}), kept(wait, want, nil),
	}})
	equal(t, "from the batch", want, getTask(t, s, wait.Key))
	f := e
	f.State = json.RawMessage(`{"n":5}`)
	want.Deferral = &f
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{
		kept(wait, wait, &dag.Deferral{State: json.RawMessage(`{"n":4}`)}), kept(wait, wait, &dag.Deferral{State: f.State}),
		kept(wait, wait, nil),
	}})
	equal(t, "the last state", want, getTask(t, s, wait.Key))
	Commit(t, s, &store.Changes{Tasks: []store.TaskChange{kept(wait, wait, nil), Move(wait, plain)}})
	equal(t, "gone", plain, getTask(t, s, wait.Key))
}

// A start reads no arguments, except those of waits that only their arguments tell about.
func testWaitLoad(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	slim, full, ended := keyed(run.RunKey, "slim"), keyed(run.RunKey, "full"), keyed(run.RunKey, "ended")
	full.Deferral.Keyed, full.Deferral.Key, full.Deferral.Subject = false, "", 0
	ended.Deferral.Failed = "denied"
	CreateRun(t, s, run, slim, full, ended)
	noError(t, s.TaskNoteSet(t.Context(), slim.Key, "a note"))
	got, err := s.EngineLoad(t.Context())
	noError(t, err)
	slim.Deferral.Args, slim.Deferral.State = nil, nil
	tasks := got.Active[0].Tasks
	sortTasks(tasks)
	equal(t, "loaded", []dag.TaskInstance{ended, full, slim}, tasks)
}
