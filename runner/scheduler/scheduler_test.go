package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan/plantest"
	"gust/runner/scheduler"
	"gust/store"
)

func TestRunsAChain(t *testing.T) {
	t.Parallel()
	h := start(t, nil, nil, nil)
	defer h.halt()
	h.load("etl\na >> b >> c")
	if r := h.run("etl", "m1"); r.State != dag.RunSuccess {
		t.Fatalf("run is %s (%s)", r.State, r.Reason)
	}
	h.halt() // the log line comes after those who wait for the run are told
	if !strings.Contains(h.log.String(), "run succeeded") {
		t.Errorf("the log does not tell: %s", h.log)
	}
}

// TestQuickTaskCostsOneCommit: the commit that ends a task also queues the one behind it.
func TestQuickTaskCostsOneCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		defer h.halt()
		h.load("etl\na >> b >> c >> d")
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := h.store.Commits()
		h.run("etl", "m1")
		if n := h.store.Commits() - before; n != 5 {
			t.Errorf("a run of 4 tasks took %d commits, want 5", n)
		}
	})
}

func TestReportsGatherDuringACommit(t *testing.T) {
	t.Parallel()
	const n = 50
	st := plantest.NewStore()
	var hold atomic.Bool
	held, release := make(chan struct{}), make(chan struct{})
	st.Before = func(*store.Changes) {
		if hold.CompareAndSwap(true, false) {
			close(held)
			<-release
		}
	}
	ready, wait := make(chan struct{}, n), make(chan struct{})
	var acked atomic.Int32
	h := start(t, st, func(_ context.Context, w executor.Work, _ func(executor.Report)) executor.Report {
		ready <- struct{}{}
		<-wait
		return executor.Report{Kind: executor.Succeeded, Committed: func(err error) {
			if err == nil {
				acked.Add(1)
			}
		}}
	}, func(o *scheduler.Options) { o.Executor.(*plantest.Executor).N = n })
	defer h.halt()
	var text strings.Builder
	text.WriteString("wide max_active_tasks=100\n")
	for i := range n {
		fmt.Fprintf(&text, "t%d\n", i)
	}
	h.load(text.String())
	run := h.create("wide", "m1")
	for range n {
		<-ready
	}
	hold.Store(true)
	h.load("other\na") // its commit is held
	<-held
	before := h.store.Commits()
	close(wait)
	h.exec.Wait()
	close(release)
	r, err := h.WaitRun(t.Context(), run)
	if err != nil || r.State != dag.RunSuccess {
		t.Fatalf("%v, %v", r, err)
	}
	if got := h.store.Commits() - before; got > 3 {
		t.Errorf("%d reports took %d commits", n, got)
	}
	if acked.Load() != n {
		t.Errorf("%d of %d reports were acknowledged", acked.Load(), n)
	}
}

func TestCommitErrorsThatPass(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{store.ErrBusy, store.ErrFull, store.ErrReadOnly, store.ErrConflict, store.ErrUncertain,
		errors.New("weather")} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var ran atomic.Int32
				h := start(t, nil, func(ctx context.Context, w executor.Work, report func(executor.Report)) executor.Report {
					ran.Add(1)
					return succeed(ctx, w, report)
				}, nil)
				defer h.halt()
				h.load("etl\na >> b >> c")
				if err := h.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				// The commits of the run's start, of a's end, of b's end: each fails a few times.
				fail := fmt.Errorf("commit: %w", cause)
				h.store.FailNext(fail, fail, fail, nil, fail, nil, fail, fail)
				if r := h.run("etl", "m1"); r.State != dag.RunSuccess {
					t.Fatalf("run is %s", r.State)
				}
				if ran.Load() != 3 {
					t.Errorf("%d attempts ran, want 3", ran.Load())
				}
			})
		})
	}
}

func TestDiskFullIsSaidAndWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		defer h.halt()
		h.load("etl\na")
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 200 {
			h.store.FailNext(store.ErrFull)
		}
		run := h.create("etl", "m1")
		time.Sleep(time.Minute)
		if n := len(h.exec.Tries()); n > 0 {
			t.Errorf("%d attempts began before their rows were durable", n)
		}
		if r, err := h.WaitRun(t.Context(), run); err != nil || r.State != dag.RunSuccess {
			t.Fatalf("%v %v", r, err)
		}
		log := h.log.String()
		if n := strings.Count(log, "disk is full"); n < 2 || n > 20 {
			t.Errorf("the trouble is told %d times:\n%s", n, log)
		}
		if !strings.Contains(log, "can be written again") {
			t.Errorf("the end of the trouble is not told:\n%s", log)
		}
	})
}

func TestCorruptStoreStops(t *testing.T) {
	t.Parallel()
	acks := make(chan error, 1)
	proceed := make(chan struct{})
	h := start(t, nil, func(context.Context, executor.Work, func(executor.Report)) executor.Report {
		<-proceed
		return executor.Report{Kind: executor.Succeeded, Committed: func(err error) { acks <- err }}
	}, nil)
	h.load("etl\na")
	run := h.create("etl", "m1")
	if err := h.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.store.FailNext(store.ErrCorrupt)
	close(proceed)
	<-h.Done()
	if err := h.Err(); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("err is %v", err)
	}
	if err := <-acks; !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, scheduler.ErrStopped) {
		t.Errorf("the report got %v", err)
	}
	if err := h.Stop(t.Context()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("stop: %v", err)
	}
	if st := h.store.Run(run).State; st != dag.RunRunning {
		t.Errorf("run is %s", st)
	}
	if _, err := h.WaitRun(t.Context(), run); !errors.Is(err, scheduler.ErrStopped) {
		t.Errorf("wait: %v", err)
	}
	if err := h.Sync(t.Context()); !errors.Is(err, scheduler.ErrStopped) {
		t.Errorf("sync: %v", err)
	}
}

func TestStopInterruptsAndRestartRepeats(t *testing.T) {
	t.Parallel()
	var tries sync.Map
	block := make(chan struct{})
	run := func(ctx context.Context, w executor.Work, report func(executor.Report)) executor.Report {
		report(executor.Report{Kind: executor.Started})
		if w.Task.ID == "long" {
			n, _ := tries.LoadOrStore(w.Attempt(), new(atomic.Int32))
			n.(*atomic.Int32).Add(1)
			close(block)
			<-ctx.Done()
		}
		return executor.Report{Kind: executor.Succeeded}
	}
	h := start(t, nil, run, nil)
	h.load("etl\nlong retries=1\nlong >> after")
	key := h.create("etl", "m1")
	<-block
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no grace
	if err := h.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if ti := h.task(key, "long"); ti.State != dag.StateScheduled || ti.TryNumber != 1 {
		t.Fatalf("interrupted task is %s try %d", ti.State, ti.TryNumber)
	}
	again := start(t, h.store, succeed, nil)
	defer again.halt()
	again.load("etl\nlong retries=1\nlong >> after")
	r, err := again.WaitRun(t.Context(), key)
	if err != nil || r.State != dag.RunSuccess {
		t.Fatalf("%v %v", r, err)
	}
	if ti := h.task(key, "long"); ti.TryNumber != 1 || len(h.store.Tries(ti.Key)) != 0 {
		t.Errorf("the interruption used a try: %+v", ti)
	}
}

func TestStopGivesGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, func(context.Context, executor.Work, func(executor.Report)) executor.Report {
			time.Sleep(10 * time.Second)
			return executor.Report{Kind: executor.Succeeded}
		}, nil)
		h.load("etl\na >> b")
		key := h.create("etl", "m1")
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if a, b := h.task(key, "a"), h.task(key, "b"); a.State != dag.StateSuccess || b.State != dag.StateScheduled {
			t.Errorf("a is %s, b is %s", a.State, b.State)
		}
	})
}

func TestStopDoesNotHangOnAFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		h.load("etl\na")
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			h.store.FailNext(store.ErrFull)
		}
		h.create("etl", "m1")
		time.Sleep(time.Second)
		began := time.Now()
		if err := h.Stop(t.Context()); err == nil {
			t.Error("stop has no error")
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("stop took %v", d)
		}
	})
}

func TestRetriesWakeByTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, func(_ context.Context, w executor.Work, _ func(executor.Report)) executor.Report {
			if w.Instance.TryNumber < 3 {
				return executor.Report{Kind: executor.Failed, Error: "boom"}
			}
			return executor.Report{Kind: executor.Succeeded}
		}, nil)
		defer h.halt()
		h.load("etl\na retries=2 retry_delay=1h")
		began := time.Now()
		if r := h.run("etl", "m1"); r.State != dag.RunSuccess {
			t.Fatalf("run is %s", r.State)
		}
		if d := time.Since(began); d < 2*time.Hour || d > 2*time.Hour+time.Second {
			t.Errorf("took %v, want 2h", d)
		}
	})
}

func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var offset atomic.Int64
		h := start(t, nil, nil, func(o *scheduler.Options) {
			o.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		})
		defer h.halt()
		h.load("hourly schedule=every:1h start=2000-01-01 catchup\na\n")
		time.Sleep(150 * time.Minute) // synctest begins at 2000-01-01
		if n := len(h.store.AllRuns()); n != 3 {
			t.Fatalf("%d runs, want 3", n)
		}
		offset.Store(int64(-2 * time.Hour))
		time.Sleep(2 * time.Hour)
		if n := len(h.store.AllRuns()); n != 3 {
			t.Fatalf("%d runs after the clock went back two hours, want 3", n)
		}
		time.Sleep(2 * time.Hour)
		if n := len(h.store.AllRuns()); n != 5 {
			t.Fatalf("%d runs, want 5", n)
		}
		if age := time.Now().Add(-2 * time.Hour).Sub(h.store.Heartbeat().At); age > 6*time.Second {
			t.Errorf("heartbeat is %v old", age)
		}
	})
}

func TestTakenSlotIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		defer h.halt()
		// A manual run has the logical date of the next slot.
		at := time.Now().Add(time.Hour).UTC()
		if err := h.store.RunCreate(t.Context(), &dag.Run{RunKey: dag.RunKey{DagID: "hourly", RunID: "mine"},
			State: dag.RunSuccess, Type: dag.RunManual, LogicalDate: at, RunAfter: at}); err != nil {
			t.Fatal(err)
		}
		h.load("hourly schedule=every:1h start=2000-01-01T01:00:00Z catchup\na\n")
		time.Sleep(3*time.Hour + time.Minute)
		var ids []string
		for _, r := range h.store.AllRuns() {
			ids = append(ids, r.RunID)
		}
		want := []string{"mine", "scheduled__2000-01-01T02:00:00+00:00", "scheduled__2000-01-01T03:00:00+00:00"}
		if !slices.Equal(ids, want) {
			t.Errorf("runs are %v, want %v", ids, want)
		}
		if err := h.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestDeferredGoesOnAndKeepsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, func(_ context.Context, w executor.Work, _ func(executor.Report)) executor.Report {
			if w.Task.ID == "job" && w.Instance.Deferral == nil {
				return executor.Report{Kind: executor.Deferred, Deferral: &dag.Deferral{Kind: "time", Since: time.Now()}}
			}
			return executor.Report{Kind: executor.Succeeded}
		}, func(o *scheduler.Options) { o.Executor.(*plantest.Executor).N = 1 })
		defer h.halt()
		var text strings.Builder
		text.WriteString("etl max_active_tasks=2\njob\n")
		for i := range 10 {
			fmt.Fprintf(&text, "sensor%d parks\n", i)
		}
		text.WriteString("bash")
		h.load(text.String())
		key := h.create("etl", "m1")
		time.Sleep(time.Second)
		if n := len(h.loop.Parked()); n != 11 {
			t.Fatalf("%d waits, want 11", n)
		}
		if st := h.task(key, "bash").State; st != dag.StateSuccess {
			t.Errorf("bash is %s while the sensors wait", st)
		}
		h.loop.Fire()
		if r, err := h.WaitRun(t.Context(), key); err != nil || r.State != dag.RunSuccess {
			t.Fatalf("%v %v", r, err)
		}
		if n := len(h.exec.Tries()); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
	})
}

func TestStaleReportsAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t, nil, nil, nil)
	h.load("etl\na")
	key := h.run("etl", "m1").RunKey
	ti := h.task(key, "a")
	a := ti.Attempt()
	got := make(chan error, 2)
	h.Report(executor.Report{Attempt: a, Kind: executor.Succeeded, Committed: func(err error) { got <- err }})
	if err := <-got; !errors.Is(err, executor.ErrStale) {
		t.Errorf("stale report got %v", err)
	}
	h.halt()
	h.halt() // again: nothing happens
	h.Report(executor.Report{Attempt: a, Kind: executor.Succeeded, Committed: func(err error) { got <- err }})
	if err := <-got; !errors.Is(err, scheduler.ErrStopped) {
		t.Errorf("late report got %v", err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	h := start(t, nil, nil, nil)
	defer h.halt()
	h.load("etl\na >> b")
	var seen []string
	ended := make(chan struct{})
	stop := h.Watch(func(tr scheduler.Transition) {
		if tr.Run != nil {
			seen = append(seen, string(tr.Run.State))
			if tr.Run.State.Finished() {
				close(ended)
			}
			return
		}
		seen = append(seen, fmt.Sprintf("%s %s>%s", tr.Task.TaskID, tr.From, tr.Task.State))
	})
	// A watcher that never returns does not hold anybody up.
	block := make(chan struct{})
	stopSlow := h.Watch(func(scheduler.Transition) { <-block })
	h.run("etl", "m1")
	<-ended
	stop()
	bEnded := func(s string) bool { return strings.HasPrefix(s, "b ") && strings.HasSuffix(s, ">success") }
	if last := seen[len(seen)-1]; last != "success" || !slices.ContainsFunc(seen, bEnded) {
		t.Errorf("seen %q", seen)
	}
	close(block)
	stopSlow()
}

func TestPauseAndRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, func(o *scheduler.Options) { o.PausedAtCreation = true })
		defer h.halt()
		h.load("etl\na")
		key := h.create("etl", "m1")
		time.Sleep(time.Minute)
		if st := h.store.Run(key).State; st != dag.RunQueued {
			t.Fatalf("run of a paused DAG is %s", st)
		}
		// Without a hint the slow refresh finds out.
		h.store.SetPaused("etl", false)
		time.Sleep(5*time.Second + time.Millisecond)
		if st := h.store.Run(key).State; st != dag.RunSuccess {
			t.Errorf("run is %s", st)
		}
	})
}

func TestIdleDoesLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, nil, nil)
		defer h.halt()
		h.load("etl\na")
		time.Sleep(time.Hour)
		if n := h.store.Commits(); n > 730 {
			t.Errorf("%d commits in an idle hour, want one heartbeat in 5 s", n)
		}
	})
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	s := scheduler.New(scheduler.Options{Store: broken{plantest.NewStore()}, Executor: &plantest.Executor{N: 1},
		Triggers: &plantest.Triggers{}})
	if err := s.Start(t.Context()); !errors.Is(err, store.ErrSchema) {
		t.Errorf("start: %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
}

type broken struct{ *plantest.Store }

func (broken) EngineLoad(context.Context) (*store.Snapshot, error) { return nil, store.ErrSchema }
