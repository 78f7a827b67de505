package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/runner/tasklog"
	"gust/runner/worker"
)

// runner runs attempts as a function does.
type runner func(ctx context.Context, w *executor.Work, r executor.Reporter)

func (f runner) Run(ctx context.Context, w *executor.Work, r executor.Reporter) { f(ctx, w, r) }

func report(a dag.Attempt, k executor.Kind) executor.Report {
	return executor.Report{Attempt: a, Kind: k}
}

// sleeper succeeds after d, and is interrupted or failed when ctx ends.
func sleeper(d time.Duration) runner {
	return func(ctx context.Context, w *executor.Work, r executor.Reporter) {
		r.Report(report(w.Attempt(), executor.Started))
		select {
		case <-time.After(d):
			r.Report(report(w.Attempt(), executor.Succeeded))
		case <-ctx.Done():
			rep := report(w.Attempt(), executor.Interrupted)
			if cause := context.Cause(ctx); errors.Is(cause, operators.ErrKilled) {
				rep = executor.Report{Attempt: w.Attempt(), Kind: executor.Failed, Error: cause.Error()}
			}
			r.Report(rep)
		}
	}
}

func work(i int) executor.Work { return attempttest.Work(fmt.Sprintf("t%d", i), "plain", nil) }

func attemptOf(i int) dag.Attempt {
	w := work(i)
	return w.Attempt()
}

func start(t *testing.T, r Runner, parallelism int) (*Executor, *attempttest.Recorder) {
	t.Helper()
	e, rec := New(r, parallelism, nil), &attempttest.Recorder{}
	if err := e.Start(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	return e, rec
}

func count(rec *attempttest.Recorder, k executor.Kind) int {
	n := 0
	for _, kind := range rec.Kinds(dag.Attempt{}) {
		if kind == k {
			n++
		}
	}
	return n
}

func TestRunsUpToItsSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, rec := start(t, sleeper(time.Second), 3)
		began := time.Now()
		for i := range 9 {
			e.Dispatch(work(i))
			e.Dispatch(work(i)) // out already
		}
		synctest.Wait()
		if n := count(rec, executor.Started); n != 3 || e.Slots() != 3 {
			t.Errorf("%d started", n)
		}
		rec.Await(t, attempttest.Last(attemptOf(8)))
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		if err := e.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := count(rec, executor.Succeeded); n != 9 {
			t.Errorf("%d succeeded", n)
		}
	})
}

// The scheduler may dispatch an attempt again (a reschedule) while it takes the report that ended it.
func TestDispatchAgainFromTheReport(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	var e *Executor
	rec := &attempttest.Recorder{OnReport: func(rep executor.Report) error {
		if rep.Kind == executor.Rescheduled {
			e.Dispatch(work(1))
		}
		return nil
	}}
	e = New(runner(func(_ context.Context, w *executor.Work, r executor.Reporter) {
		if n.Add(1) < 100 {
			r.Report(report(w.Attempt(), executor.Rescheduled))
		} else {
			r.Report(report(w.Attempt(), executor.Succeeded))
		}
	}), 1, nil)
	e.Dispatch(work(1)) // waits for Start
	if err := e.Start(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	rec.Await(t, attempttest.Kind(executor.Succeeded))
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNothingAfterTheLastReport(t *testing.T) {
	t.Parallel()
	lost := make(chan error, 1)
	e, rec := start(t, runner(func(_ context.Context, w *executor.Work, r executor.Reporter) {
		r.Report(report(w.Attempt(), executor.Succeeded))
		r.Report(report(w.Attempt(), executor.Failed))
		late := report(w.Attempt(), executor.Pushed)
		late.Committed = func(err error) { lost <- err }
		r.Report(late)
	}), 1)
	e.Dispatch(work(1))
	if err := <-lost; err == nil {
		t.Error("a push after the end was accepted")
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if kinds := rec.Kinds(dag.Attempt{}); len(kinds) != 1 || kinds[0] != executor.Succeeded {
		t.Errorf("got %v", kinds)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, rec := start(t, sleeper(time.Hour), 1)
		e.Dispatch(work(1))
		e.Dispatch(work(2)) // waits for a slot
		e.Kill(attemptOf(2), "cleared")
		e.Kill(attemptOf(2), "twice")
		e.Kill(attemptOf(3), "unknown")
		if rep := rec.Await(t, attempttest.Last(attemptOf(2))); rep.Kind != executor.Failed ||
			rep.Error != "killed: cleared" {
			t.Errorf("got %+v", rep)
		}
		e.Kill(attemptOf(1), "marked failed")
		if rep := rec.Await(t, attempttest.Last(attemptOf(1))); rep.Error != "killed: marked failed" {
			t.Errorf("got %+v", rep)
		}
		e.Dispatch(work(4))
		synctest.Wait()
		if e.running != 1 {
			t.Errorf("%d running: a slot was counted wrong", e.running)
		}
		e.Kill(attemptOf(4), "")
		if err := e.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopWaitsThenInterrupts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long, short := sleeper(time.Hour), sleeper(2*time.Second)
		e, rec := start(t, runner(func(ctx context.Context, w *executor.Work, r executor.Reporter) {
			if w.Task.ID == "t1" {
				short(ctx, w, r)
			} else {
				long(ctx, w, r)
			}
		}), 2)
		for i := 1; i <= 3; i++ {
			e.Dispatch(work(i))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %s", took)
		}
		e.Dispatch(work(5))
		for i, want := range []executor.Kind{executor.Succeeded, executor.Interrupted, executor.Interrupted} {
			if rep := rec.Await(t, attempttest.Last(attemptOf(i+1))); rep.Kind != want {
				t.Errorf("t%d: got %d, want %d", i+1, rep.Kind, want)
			}
		}
		if n := len(rec.Kinds(attemptOf(3))); n != 1 {
			t.Errorf("t3 has %d reports: it must not begin", n)
		}
		if len(e.out) != 0 || e.running != 0 {
			t.Errorf("%d out, %d running", len(e.out), e.running)
		}
	})
}

// A second Stop ends at once what ignores its end.
func TestSecondStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		e, rec := start(t, runner(func(_ context.Context, w *executor.Work, r executor.Reporter) {
			<-release
			r.Report(report(w.Attempt(), executor.Succeeded))
		}), 2)
		e.Dispatch(work(1))
		synctest.Wait()
		first := make(chan error, 1)
		go func() { first <- e.Stop(t.Context()) }()
		synctest.Wait()
		for _, err := range []error{e.Stop(t.Context()), <-first} {
			if err == nil || !strings.Contains(err.Error(), "1 attempt, d.t1 r try 1; it will be repeated") {
				t.Errorf("got %v", err)
			}
		}
		if rep := rec.Await(t, attempttest.Last(attemptOf(1))); rep.Kind != executor.Interrupted {
			t.Errorf("got %+v", rep)
		}
		close(release)
		synctest.Wait()
		if n := len(rec.All()); n != 1 {
			t.Errorf("%d reports", n)
		}
	})
}

func TestStartOnce(t *testing.T) {
	t.Parallel()
	e, rec := start(t, sleeper(0), 1)
	if e.Start(t.Context(), rec) == nil {
		t.Error("started twice")
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	idle := New(sleeper(0), 0, nil)
	idle.Dispatch(work(1))
	if err := idle.Stop(t.Context()); err != nil || idle.Slots() != DefaultParallelism {
		t.Error(err, idle.Slots())
	}
	if idle.Start(t.Context(), rec) == nil {
		t.Error("started after its stop")
	}
}

// Many goroutines dispatch, kill and stop; every attempt that was taken ends exactly once.
func TestStress(t *testing.T) {
	t.Parallel()
	e, rec := start(t, runner(func(ctx context.Context, w *executor.Work, r executor.Reporter) {
		r.Report(report(w.Attempt(), executor.Started))
		if w.Task.ID[len(w.Task.ID)-1] == '7' {
			<-ctx.Done()
		}
		r.Report(report(w.Attempt(), executor.Failed))
	}), 4)
	const n = 500
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; i < n; i += 4 {
				e.Dispatch(work(i))
			}
		})
		wg.Go(func() {
			for i := g; i < n; i += 4 {
				e.Kill(attemptOf(i), "x")
			}
		})
	}
	wg.Wait()
	for i := range n {
		e.Kill(attemptOf(i), "x")
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	ends := map[dag.Attempt]int{}
	for _, rep := range rec.All() {
		if rep.Kind != executor.Started {
			ends[rep.Attempt]++
		}
	}
	for i := range n {
		if ends[attemptOf(i)] != 1 {
			t.Errorf("t%d ended %d times", i, ends[attemptOf(i)])
		}
	}
}

type counter struct{ left chan struct{} }

func (c counter) Report(r executor.Report) {
	if r.Kind != executor.Started {
		c.left <- struct{}{}
	}
}

// BenchmarkNoop runs attempts that do nothing through executor and worker, with as many out as there are slots.
func BenchmarkNoop(b *testing.B) {
	for _, logs := range []bool{false, true} {
		b.Run(fmt.Sprintf("logs=%v", logs), func(b *testing.B) {
			env := &attempt.Env{Operators: attempttest.Registry(b, &attempttest.Op{})}
			if logs {
				env.Logs = &tasklog.Files{Base: b.TempDir(), OnError: func(err error) { b.Error(err) }}
			}
			const slots = 32
			e, free := New(&worker.Worker{Env: env}, slots, nil), counter{make(chan struct{}, slots)}
			for range slots {
				free.left <- struct{}{}
			}
			if err := e.Start(b.Context(), free); err != nil {
				b.Fatal(err)
			}
			w := attempttest.Work("t", "plain", nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				<-free.left
				w.Instance.TaskID = fmt.Sprintf("t%d", i%1000)
				w.Instance.RunID = fmt.Sprintf("manual__%d", i/1000)
				e.Dispatch(w)
			}
			for range slots {
				<-free.left
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "attempts/s")
			if err := e.Stop(b.Context()); err != nil {
				b.Error(err)
			}
		})
	}
}
