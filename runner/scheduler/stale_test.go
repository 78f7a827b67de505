package scheduler_test

import (
	"testing"
	"testing/synctest"

	"gust/dag"
	"gust/runner/plan/plantest"
	"gust/store"
)

// TestWhatWasReadBeforeALostCommit: a run that starts and ends in one commit is over, also when nobody can say whether
// the commit has reached the disk; that it was queued before is not taken in again.
func TestWhatWasReadBeforeALostCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := plantest.NewStore()
		h := start(t, st, nil, nil)
		defer h.halt()
		h.load("etl\na inline")
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		key := dag.RunKey{DagID: "etl", RunID: "m1"}
		if err := st.RunCreate(t.Context(), &dag.Run{RunKey: key, State: dag.RunQueued, Type: dag.RunManual}); err != nil {
			t.Fatal(err)
		}
		st.FailNext(store.ErrUncertain)
		h.Refresh()
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := st.Run(key); r.State != dag.RunSuccess {
			t.Errorf("the run is %s", r.State)
		}
		if r := h.run("etl", "m2"); r.State != dag.RunSuccess {
			t.Errorf("the next run is %s", r.State)
		}
	})
}
