package plan_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// TestStopSurvivesACrash: when the plan ends attempts on its own, that they are to be stopped is stored with their end. A
// process that dies between the two does so after its next start.
func TestStopSurvivesACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan.Config{Slots: 4, StateLag: -1})
	w.step(load(plantest.Build("etl fail_fast\nfalls\nparked\nworks")))
	w.trigger(manual("etl", "m1", epoch))
	key := func(id string) dag.Key { return dag.Key{DagID: "etl", RunID: "m1", TaskID: id, MapIndex: -1} }
	w.report(executor.Report{
		Attempt: w.try(key("parked")), Kind: executor.Deferred, Deferral: &dag.Deferral{Kind: "some.wait", Args: []byte(`{"of":1}`), Since: epoch},
	})
	w.crashing = afterCommit
	w.report(executor.Report{Attempt: w.try(key("falls")), Kind: executor.Failed})
	w.step()
	stops := map[string]string{}
	for _, c := range w.notified {
		if c.Callback.Event == dag.StopAttempt {
			waits, err := w.store.WaitsGet(t.Context(), []dag.Attempt{{Key: c.Key, TryNumber: c.TryNumber}})
			if err != nil {
				t.Fatal(err)
			}
			stops[c.TaskID] = ""
			if waits[0].Task != nil {
				stops[c.TaskID] = waits[0].Task.Deferral.Kind
			}
		}
	}
	if len(stops) != 2 || stops["parked"] != "some.wait" || stops["works"] != "" {
		t.Errorf("to be stopped after the crash: %q", stops)
	}
	if len(w.killed) > 0 || len(w.parked) > 0 {
		t.Errorf("killed %v, parked %v", w.killed, w.parked)
	}
}

// clearedBehindItsKill is a world whose task was cleared after its run had timed out. The killed attempt, which it
// returns, is still in the executor.
func clearedBehindItsKill(t *testing.T) (*world, dag.Attempt) {
	t.Helper()
	w := newWorld(t, plan.Config{Slots: 4, StateLag: -1})
	w.step(load(plantest.Build("etl timeout=1h\nworks")))
	w.trigger(manual("etl", "m1", epoch))
	killed := w.try(dag.Key{DagID: "etl", RunID: "m1", TaskID: "works", MapIndex: -1})
	w.now = w.now.Add(2 * time.Hour)
	w.step()
	if w.killed[killed] == "" {
		t.Fatalf("%s is not killed", killed)
	}
	edit := &store.Edit{At: w.now, Clear: []store.ClearTask{{Key: killed.Key}}}
	if err := w.store.EditApply(t.Context(), edit); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	return w, killed
}

// TestNextTryWaitsForTheKilled: a killed attempt may start something until it leaves the executor, and the next try of
// its task begins after that. With the process the attempt is gone.
func TestNextTryWaitsForTheKilled(t *testing.T) {
	t.Parallel()
	check := func(w *world, when string, want dag.Attempt) {
		if out := slices.Collect(maps.Keys(w.out)); !slices.Equal(out, []dag.Attempt{want}) {
			t.Errorf("%s %v is out, want %s", when, out, want)
		}
	}
	w, killed := clearedBehindItsKill(t)
	check(w, "before the killed attempt has left", killed)
	w.report(executor.Report{Attempt: killed, Kind: executor.Failed})
	next := dag.Attempt{Key: killed.Key, TryNumber: 2}
	check(w, "when the killed attempt has left", next)

	w, _ = clearedBehindItsKill(t)
	w.crash()
	w.step()
	check(w, "after a restart", next)
}

// TestStopWaitsForTheKilled: what a killed attempt has started is stopped when the attempt has left the executor, so
// that nothing is started after its stop. With the process the attempt is gone.
func TestStopWaitsForTheKilled(t *testing.T) {
	t.Parallel()
	check := func(w *world, when string, want int) {
		if len(w.notified) != want {
			t.Errorf("%s %d stops are asked for, want %d: %+v", when, len(w.notified), want, w.notified)
		}
	}
	w, killed := clearedBehindItsKill(t)
	check(w, "before the killed attempt has left", 0)
	w.report(executor.Report{Attempt: killed, Kind: executor.Failed})
	check(w, "when the killed attempt has left", 1)

	w, _ = clearedBehindItsKill(t)
	w.crash()
	w.step()
	check(w, "after a restart", 1)

	w, killed = clearedBehindItsKill(t)
	w.step(plan.CallbackDone{ID: w.callback(t)}) // by a notifier that had it before the state was loaded again
	w.report(executor.Report{Attempt: killed, Kind: executor.Failed})
	check(w, "after a stop that is done", 0)
}

// callback is the only callback that is stored.
func (w *world) callback(t *testing.T) int64 {
	t.Helper()
	snap, err := w.store.EngineLoad(t.Context())
	if err != nil || len(snap.Callbacks) != 1 {
		t.Fatalf("stored callbacks: %+v, %v", snap, err)
	}
	return snap.Callbacks[0].ID
}

// TestStopIsTriedAgain: what an attempt could not stop at its end is asked for.
func TestStopIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan.Config{Slots: 4, StateLag: -1})
	w.step(load(plantest.Build("etl\nworks")))
	w.trigger(manual("etl", "m1", epoch))
	key := dag.Key{DagID: "etl", RunID: "m1", TaskID: "works", MapIndex: -1}
	w.report(executor.Report{Attempt: w.try(key), Kind: executor.Failed, Unstopped: "it ran too long"})
	if len(w.notified) != 1 || w.notified[0].Key != key || w.notified[0].TryNumber != 1 ||
		w.notified[0].Callback.Event != dag.StopAttempt || w.notified[0].Reason != "it ran too long" {
		t.Errorf("asked for: %+v", w.notified)
	}
}
