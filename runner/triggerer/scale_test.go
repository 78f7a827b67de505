package triggerer

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gust/dag"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/store"
	"gust/triggers"
)

// hourly is a checker that keeps nothing.
type hourly struct{}

func (hourly) Kind() string { return "fake" }

func (hourly) Key(json.RawMessage) (string, error) { return "k", nil }

func (hourly) Check(_ context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	out := make([]triggers.Verdict, len(waits))
	for i := range out {
		out[i].Again = now.Add(time.Hour)
	}
	return out
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sameRow is a store in which every wait has the same row.
type sameRow struct{ row dag.TaskInstance }

func (s *sameRow) WaitsGet(_ context.Context, attempts []dag.Attempt) ([]store.Wait, error) {
	out := make([]store.Wait, len(attempts))
	for i := range out {
		out[i] = store.Wait{Task: &s.row, Parked: true}
	}
	return out, nil
}

// memory parks n waits with deadlines under one key, in runs of a thousand tasks, and measures what one costs, and how
// many goroutines they need.
func memory(t testing.TB, n int) (perWait float64, goroutines int) {
	t.Helper()
	reg := triggers.NewRegistry()
	if err := reg.Register(hourly{}); err != nil {
		t.Fatal(err)
	}
	shared := deferred("t", "k", 7*24*time.Hour)
	tasks := make([]*dag.Task, 1000)
	for i := range tasks {
		tasks[i] = &dag.Task{ID: fmt.Sprintf("wait_%04d", i)}
	}
	l := New(Config{Env: bareEnv(t), Triggers: reg, Waits: &sameRow{shared.Instance}})
	before, alive := heapInUse(), runtime.NumGoroutine()
	if err := l.Start(t.Context(), &attempttest.Recorder{}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		w := shared
		d := *w.Instance.Deferral
		w.Run.RunID = fmt.Sprintf("manual__%06d", i/len(tasks))
		w.Task = tasks[i%len(tasks)]
		w.Instance.Key = dag.Key{DagID: w.Run.DagID, RunID: w.Run.RunID, TaskID: w.Task.ID, MapIndex: -1}
		d.Args, d.Keyed, d.Key, d.Subject = nil, true, "k", uint64(i+1)
		w.Instance.Deferral = &d
		l.Park(w)
	}
	for quiet := make(chan bool); ; {
		l.post(func() {
			quiet <- l.slots.held == n && l.checks == 0 && len(l.risen) == 0 && l.sleep(l.now()) > time.Second
		})
		if <-quiet {
			break
		}
	}
	perWait = float64(heapInUse()-before) / float64(n)
	goroutines = runtime.NumGoroutine() - alive
	if err := l.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(tasks)
	return perWait, goroutines
}

// A parked wait costs less than two hundred bytes and no goroutine. Not parallel: it reads the process's memory.
func TestWaitsAreCheap(t *testing.T) {
	perWait, goroutines := memory(t, waitsMeasured)
	t.Logf("%.0f bytes for each of %d waits, %d goroutines", perWait, waitsMeasured, goroutines)
	if perWait > 190 {
		t.Errorf("%.0f bytes for each wait", perWait)
	}
	if goroutines > 4 {
		t.Errorf("%d goroutines", goroutines)
	}
}

// BenchmarkParkFire is the way of a wait through the loop: park, check once, fire.
func BenchmarkParkFire(b *testing.B) {
	reg := triggers.NewRegistry()
	if err := reg.Register(&fake{kind: "fake", answer: after(1)}); err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	w := deferred("t", "k", time.Hour)
	l := New(Config{Env: bareEnv(b), Triggers: reg, Waits: &sameRow{w.Instance}})
	if err := l.Start(b.Context(), counter{&wg}); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		w.Instance.TryNumber = i
		wg.Add(1)
		l.Park(w)
	}
	wg.Wait()
	if err := l.Stop(b.Context()); err != nil {
		b.Error(err)
	}
}

type counter struct{ wg *sync.WaitGroup }

func (c counter) Report(executor.Report) { c.wg.Done() }

// Deadlines hold to the moment however many come at once, while every place is busy with checks that hang.
func TestManyDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: every(time.Hour), before: func(ctx context.Context, _ []triggers.Wait) { <-ctx.Done() }}
		b := start(t, f, func(c *Config) { c.CheckTimeout = time.Hour })
		began := time.Now()
		for i := range waitsMeasured / 5 {
			b.Park(deferred(fmt.Sprintf("t%d", i), fmt.Sprint(i%50), 10*time.Minute))
		}
		time.Sleep(10*time.Minute + time.Second)
		reports := b.rec.All()
		for _, rep := range reports {
			if !rep.Deferral.TimedOut || rep.At.Sub(began) != 10*time.Minute {
				t.Fatalf("%s after %s: %+v", rep.Attempt, rep.At.Sub(began), rep.Deferral)
			}
		}
		if len(reports) != waitsMeasured/5 || b.Held() != 0 {
			t.Errorf("%d ended, %d held", len(reports), b.Held())
		}
		b.stop(t)
	})
}

// TestRandomLife parks, drops and fires at random and holds the loop to a model: every wait that is not dropped ends
// exactly once, by its event or its deadline, at its time, and nothing is left.
func TestRandomLife(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { randomLife(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func randomLife(t *testing.T, r *rand.Rand) {
	began := time.Now()
	fires := map[string]time.Duration{} // by task: when the awaited thing happens
	f := &fake{answer: func(now time.Time, w triggers.Wait) triggers.Verdict {
		at := fires[w.ID]
		if now.Sub(began) >= at {
			return triggers.Verdict{Event: &triggers.Event{}}
		}
		return triggers.Verdict{Again: began.Add(at)}
	}}
	b := start(t, f, func(c *Config) { c.Checks = 2 })
	type life struct {
		end      time.Duration
		timedOut bool
		dropped  bool
	}
	lives := map[dag.Attempt]*life{}
	f.mu.Lock() // no check before the map is complete
	for i := range 300 {
		timeout := time.Duration(1+r.IntN(300)) * time.Second
		w := deferred(fmt.Sprintf("t%d", i), fmt.Sprint(r.IntN(20)), timeout)
		at := time.Duration(1+r.IntN(300)) * time.Second
		if at == timeout {
			at += time.Second
		}
		fires[w.Instance.Attempt().String()] = at
		lives[w.Instance.Attempt()] = &life{end: min(at, timeout), timedOut: timeout < at}
		b.Park(w)
	}
	f.mu.Unlock()
	for a, l := range lives {
		if r.IntN(4) == 0 {
			at := time.Duration(r.IntN(300))*time.Second + time.Second/2
			if l.dropped = at < l.end; l.dropped {
				time.AfterFunc(at, func() { b.Drop(a, "") })
			}
		}
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	seen := map[dag.Attempt]int{}
	for _, rep := range b.rec.All() {
		l := lives[rep.Attempt]
		seen[rep.Attempt]++
		if l.dropped || rep.Deferral.TimedOut != l.timedOut || rep.At.Sub(began) != l.end {
			t.Errorf("%s after %s, timed out %v; want %+v", rep.Attempt, rep.At.Sub(began), rep.Deferral.TimedOut, *l)
		}
	}
	for a, l := range lives {
		if want := 1; l.dropped == (seen[a] == want) {
			t.Errorf("%s: %d ends, want %+v", a, seen[a], *l)
		}
	}
	if b.Held() != 0 || len(b.groups) != 0 || b.deadlines != 0 {
		t.Errorf("%d held, %d groups, %d deadlines", b.Held(), len(b.groups), b.deadlines)
	}
	b.stop(t)
}
