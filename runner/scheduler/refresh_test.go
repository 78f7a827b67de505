package scheduler_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gust/dag"
	"gust/runner/plan/plantest"
	"gust/runner/scheduler"
	"gust/store"
)

// fixed is a store that answers every refresh with what it is told.
type fixed struct {
	*plantest.Store
	refresh atomic.Pointer[store.Refresh]
}

func (f *fixed) EngineRefresh(context.Context) (*store.Refresh, error) { return f.refresh.Load(), nil }

// TestUnchangedRefresh: what the store calls unchanged, by the same pointer, costs nothing. To see that, the test breaks
// the contract and changes what it points to.
func TestUnchangedRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fixed{Store: plantest.NewStore()}
		seen, err := f.Store.EngineRefresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.refresh.Store(seen)
		h := start(t, f.Store, nil, func(o *scheduler.Options) { o.Store, o.RefreshEvery = f, time.Second })
		defer h.halt()
		h.load("etl\na")
		now := time.Now().UTC()
		run := dag.Run{RunKey: dag.RunKey{DagID: "etl", RunID: "m1"}, State: dag.RunQueued, Type: dag.RunManual,
			RunAfter: now, QueuedAt: now, TriggeredBy: dag.ByTest}
		if err := f.RunCreate(t.Context(), &run); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		seen.Queued = []dag.Run{run}
		time.Sleep(time.Minute)
		if st := f.Run(run.RunKey).State; st != dag.RunQueued {
			t.Errorf("an unchanged refresh was looked at: the run is %s", st)
		}
		changed := *seen
		f.refresh.Store(&changed)
		time.Sleep(time.Minute)
		if st := f.Run(run.RunKey).State; st != dag.RunSuccess {
			t.Errorf("a new refresh was not looked at: the run is %s", st)
		}
	})
}
