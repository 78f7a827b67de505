package scheduler_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/store"
)

// state waits for a run and compares its state.
func (h *house) wantRun(key dag.RunKey, want dag.RunState) {
	h.t.Helper()
	r, err := h.WaitRun(h.t.Context(), key)
	if err != nil || r.State != want {
		h.t.Fatalf("run %s is %s (%s), %v; want %s", key.RunID, r.State, r.Reason, err, want)
	}
}

func TestDependsOnPastAcrossRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		h.load("etl\na past\nold past")
		h.run("etl", "m1")
		time.Sleep(time.Second)
		h.load("etl\na past")
		h.run("etl", "m2")
		h.halt()
		time.Sleep(time.Second)

		// old comes back: the previous run does not have it, but one before that does, so it is not its first time.
		h = start(t, h.store, nil, nil)
		defer h.halt()
		h.load("etl\na past\nold past\nnew past")
		key := h.create("etl", "m3")
		time.Sleep(time.Second)
		for id, want := range map[string]dag.State{"a": dag.StateSuccess, "old": dag.StateNone, "new": dag.StateSuccess} {
			if st := h.task(key, id).State; st != want {
				t.Errorf("%s is %s, want %s", id, st, want)
			}
		}
	})
}

func TestBrokenFileKeepsTheLastGoodVersion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		h.load("etl\na")
		h.run("etl", "m1")
		h.halt()
		h = start(t, h.store, nil, nil)
		defer h.halt()
		h.FileChanged(plan.File{Path: "etl.yaml", Error: "line 1: no"})
		h.wantRun(h.create("etl", "m2"), dag.RunSuccess)
		if text := h.store.ImportError("etl.yaml"); text != "line 1: no" {
			t.Errorf("import error is %q", text)
		}
		h.Scanned(nil) // the file is gone
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if row, _ := h.store.Dag("etl"); !row.Stale || h.store.ImportError("etl.yaml") != "" {
			t.Errorf("row %+v, import error %q", row, h.store.ImportError("etl.yaml"))
		}
	})
}

func TestFailuresPauseTheDAG(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, func(context.Context, executor.Work, func(executor.Report)) executor.Report {
			return executor.Report{Kind: executor.Failed, Error: "boom"}
		}, nil)
		defer h.halt()
		h.load("etl max_consecutive_failed=2\na")
		for _, id := range []string{"m1", "m2"} {
			h.wantRun(h.create("etl", id), dag.RunFailed)
			time.Sleep(time.Second)
		}
		if row, _ := h.store.Dag("etl"); !row.IsPaused {
			t.Error("the DAG is not paused")
		}
		if !strings.Contains(h.log.String(), "latest 2 runs have failed") {
			t.Errorf("log: %s", h.log)
		}
	})
}

func TestRunTimeoutKillsAndDrops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var killed atomic.Bool
		h := start(t, nil, func(ctx context.Context, _ executor.Work, _ func(executor.Report)) executor.Report {
			<-ctx.Done()
			killed.Store(true)
			return executor.Report{}
		}, nil)
		defer h.halt()
		h.load("etl timeout=1m\nlong\nsensor parks\nlong >> after")
		began := time.Now()
		key := h.create("etl", "m1")
		h.wantRun(key, dag.RunFailed)
		if d := time.Since(began); d < time.Minute || d > 61*time.Second {
			t.Errorf("the run took %v", d)
		}
		synctest.Wait()
		if !killed.Load() || len(h.loop.Parked()) > 0 {
			t.Errorf("killed %v, still parked %v", killed.Load(), h.loop.Parked())
		}
	})
}

func TestClearedRunIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		defer h.halt()
		h.load("etl\na >> b")
		key := h.run("etl", "m1").RunKey
		b := h.task(key, "b").Key
		h.store.Clear(b)
		h.Refresh()
		h.wantRun(key, dag.RunSuccess)
		if a, b := h.task(key, "a"), h.task(key, "b"); a.TryNumber != 1 || b.TryNumber != 2 {
			t.Errorf("a used %d tries, b %d; want 1 and 2", a.TryNumber, b.TryNumber)
		}
	})
}

// TestChangedUnderARunningAttempt: another process marks a running task; its attempt is killed and its report dropped.
func TestChangedUnderARunningAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		h := start(t, nil, func(ctx context.Context, w executor.Work, _ func(executor.Report)) executor.Report {
			switch w.Task.ID {
			case "long":
				<-ctx.Done()
				ended.Add(1)
			case "short":
				time.Sleep(time.Minute)
			}
			return executor.Report{Kind: executor.Succeeded}
		}, nil)
		defer h.halt()
		h.load("etl\nlong\nshort\nlong >> after")
		key := h.create("etl", "m1")
		time.Sleep(time.Second)
		h.store.Clear(h.task(key, "long").Key)
		h.store.FailNext(nil) // whatever comes next is tried for real
		time.Sleep(2 * time.Minute)
		// long was cleared: the conflict is noticed when its row is written next, here by the end of the kill.
		if st := h.task(key, "short").State; st != dag.StateSuccess {
			t.Errorf("short is %s", st)
		}
		h.exec.Kill(dag.Attempt{Key: h.task(key, "long").Key, TryNumber: 1}, "test")
		time.Sleep(time.Second)
		if ended.Load() != 1 {
			t.Errorf("the old attempt ended %d times", ended.Load())
		}
		if ti := h.task(key, "long"); ti.TryNumber != 2 || ti.State != dag.StateRunning && ti.State != dag.StateQueued {
			t.Errorf("long is %s try %d, want a second try", ti.State, ti.TryNumber)
		}
		h.exec.Kill(dag.Attempt{Key: h.task(key, "long").Key, TryNumber: 2}, "enough")
	})
}

func TestCreateRunTwice(t *testing.T) {
	t.Parallel()
	h := start(t, nil, nil, nil)
	defer h.halt()
	h.load("etl\na")
	key := h.run("etl", "m1").RunKey
	if err := h.CreateRun(t.Context(), &dag.Run{RunKey: key}); err == nil {
		t.Error("the same run was created twice")
	}
	if _, err := h.WaitRun(t.Context(), dag.RunKey{DagID: "etl", RunID: "none"}); err == nil {
		t.Error("waited for a run that does not exist")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	blocked := h.create("missing", "m2")
	if _, err := h.WaitRun(ctx, blocked); err == nil {
		t.Error("waited beyond the context")
	}
}

// TestUncertainCommitWithAnAnswer: the answer about the previous run was read before that run ended in a commit of
// which nobody can say whether it happened. It did, and the old answer must not hold the next run back.
func TestUncertainCommitWithAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := start(t, nil, func(ctx context.Context, w executor.Work, report func(executor.Report)) executor.Report {
			switch {
			case w.Run.RunID == "m2" && w.Task.ID == "b":
				time.Sleep(time.Second) // a is looked at again only after the commit in question
			case w.Run.RunID == "m1" && w.Task.ID == "a":
				report(executor.Report{Kind: executor.Started})
				select {
				case <-release:
				case <-ctx.Done():
				}
			}
			return executor.Report{Kind: executor.Succeeded}
		}, nil)
		defer h.halt()
		h.load("etl\nb\na past\nb >> a")
		first := h.create("etl", "m1")
		time.Sleep(time.Second)
		running := h.task(first, "a")
		attempt := running.Attempt()
		h.store.Before = func(c *store.Changes) {
			for i := range c.Runs {
				if r := &c.Runs[i].Run; r.RunID == "m2" && r.State == dag.RunRunning {
					h.store.Before = nil
					h.Report(executor.Report{Kind: executor.Succeeded, Attempt: attempt})
					h.store.FailNext(nil, store.ErrUncertain)
				}
			}
		}
		second := h.create("etl", "m2")
		time.Sleep(time.Minute)
		close(release)
		if r := h.store.Run(second); r.State != dag.RunSuccess {
			t.Errorf("run m2 is %s, its task %s", r.State, h.task(second, "a").State)
		}
	})
}
