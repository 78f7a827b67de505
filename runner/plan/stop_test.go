package plan_test

import (
	"testing"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
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
