package plan_test

import (
	"testing"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
)

// TestTeardownDoesNotFailAFailFastRun: a teardown does not decide about its run, with fail_fast neither.
func TestTeardownDoesNotFailAFailFastRun(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]dag.RunState{"": dag.RunSuccess, " decides": dag.RunFailed} {
		w := newWorld(t, plan.Config{Slots: 4, StateLag: -1})
		w.step(load(plantest.Build("etl fail_fast\nup setup\ndown teardown=up" + text + "\nup >> work >> down\nup >> down")))
		w.trigger(manual("etl", "m1", epoch))
		for _, id := range []string{"up", "work", "down"} {
			kind := executor.Succeeded
			if id == "down" {
				kind = executor.Failed
			}
			key := dag.Key{DagID: "etl", RunID: "m1", TaskID: id, MapIndex: -1}
			w.report(executor.Report{Attempt: w.try(key), Kind: kind})
		}
		if r := w.store.Run(dag.RunKey{DagID: "etl", RunID: "m1"}); r.State != want {
			t.Errorf("with a teardown that failed%s the run is %s, want %s", text, r.State, want)
		}
	}
}
