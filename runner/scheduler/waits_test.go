package scheduler_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/plan/plantest"
	"gust/runner/scheduler"
	"gust/runner/triggerer"
	"gust/store"
	"gust/store/sqlite"
	"gust/triggers"
)

// waits is how many parked waits TestRecovery starts with: -waits 1000000 is the size that the engine is made for.
var waits = flag.Int("waits", 50_000, "parked waits of TestRecovery")

const (
	tasksOfARun = 1000
	// bytesPerWait bounds the live memory of a parked wait, in the plan and the trigger loop together.
	bytesPerWait = 450
)

// hourly is a checker that finds everything running.
type hourly struct{}

type hourlyArgs struct {
	Key string `json:"key"`
	ARN string `json:"execution_arn"`
}

func (hourly) Kind() string { return "hourly" }

func (hourly) Key(args json.RawMessage) (string, error) {
	a, err := triggers.Decode[hourlyArgs]("hourly", args)
	if err != nil {
		return "", err
	}
	return a.Key, nil
}

func (hourly) Subject(args json.RawMessage) (string, error) {
	a, err := triggers.Decode[hourlyArgs]("hourly", args)
	if err != nil {
		return "", err
	}
	return a.ARN, nil
}

func (h hourly) Hear(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	return h.Check(ctx, now, waits)
}

func (hourly) Check(_ context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	out := make([]triggers.Verdict, len(waits))
	for i := range out {
		out[i].Again = now.Add(time.Hour)
	}
	return out
}

// parkedStore is a database with unfinished runs of a thousand deferred sensors each.
func parkedStore(tb testing.TB, n int) *sqlite.Store {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "gust.db")
	s, err := sqlite.Open(tb.Context(), path, sqlite.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := s.SchemaMigrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	d := &dag.DAG{ID: "waits", FileLoc: "waits.yaml", Timezone: "UTC"}
	for i := range min(n, tasksOfARun) {
		t := plantest.Task(fmt.Sprintf("wait_%04d", i))
		t.Parks = true
		d.Tasks = append(d.Tasks, t)
	}
	plantest.Finish(d)
	since := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
	for at := 0; at < n; at += len(d.Tasks) {
		run := dag.Run{
			RunKey: dag.RunKey{DagID: d.ID, RunID: fmt.Sprintf("manual__2026-01-01T00:00:00.%06d+00:00", at/len(d.Tasks))},
			State:  dag.RunRunning, Type: dag.RunManual, TriggeredBy: dag.ByCLI, RunAfter: since, QueuedAt: since, StartDate: since,
			DagVersion: d.Version,
		}
		c := &store.Changes{Versions: []*dag.DAG{d}, Runs: []store.RunChange{{New: true, Run: run}}}
		for i, t := range d.Tasks {
			args := hourlyArgs{
				Key: fmt.Sprintf("machine-%d", i%10),
				ARN: fmt.Sprintf("arn:aws:states:us-east-1:123456789012:execution:machine-%d:%s-%d", i%10, run.RunID, i),
			}
			trigger, err := triggers.New("hourly", args)
			if err != nil {
				tb.Fatal(err)
			}
			c.Tasks = append(c.Tasks, store.TaskChange{New: true, Task: dag.TaskInstance{
				Key:   dag.Key{DagID: d.ID, RunID: run.RunID, TaskID: t.ID, MapIndex: -1},
				State: dag.StateDeferred, TryNumber: 1, Operator: t.Operator, Pool: t.Pool, PoolSlots: 1, Priority: 1,
				QueuedAt: since, StartDate: since, FirstStart: since,
				Deferral: &dag.Deferral{
					Kind: trigger.Kind, Args: trigger.Args, Since: since, Timeout: 24 * time.Hour,
					Deadline: since.Add(24 * time.Hour), Keyed: true, Key: args.Key, Subject: triggers.HashSubject(args.ARN),
				},
			}})
		}
		if err := s.EngineCommit(tb.Context(), c); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// liveHeap is what is in use after everything else has been given back.
func liveHeap() int {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestRecovery starts on a database full of parked waits: they are all parked again, without their arguments, and each
// costs little. Not parallel: it reads the process's memory.
func TestRecovery(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes everything larger")
	}
	s := parkedStore(t, *waits)
	registry := triggers.NewRegistry()
	if err := registry.Register(hourly{}); err != nil {
		t.Fatal(err)
	}
	env := &attempt.Env{Operators: operators.NewRegistry(), Triggers: registry, XComs: s}
	loop := triggerer.New(triggerer.Config{Env: env, Triggers: registry, Waits: s})
	before := liveHeap()
	began := time.Now()
	sched := scheduler.New(scheduler.Options{Store: s, Executor: &plantest.Executor{N: 1}, Triggers: loop})
	if err := sched.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := time.Since(began)
	stats := func(done func(triggerer.Stats) bool) time.Duration {
		for !done(loop.Stats(t.Context(), 0)) {
			if err := sched.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	<-sched.Recovered()
	recovered := stats(func(s triggerer.Stats) bool { return s.Parked == *waits })
	looked := stats(func(s triggerer.Stats) bool { return s.Kinds[0].Looks == uint64(*waits) && s.Checking == 0 })
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	perWait := (liveHeap() - before) / *waits
	t.Logf("%d waits: loaded in %v, all parked after %v, all looked at after %v, %d bytes of heap each, "+
		"%d MB from the system at most", *waits, started.Round(time.Millisecond), recovered.Round(time.Millisecond),
		looked.Round(time.Millisecond), perWait, m.Sys>>20)
	if perWait > bytesPerWait {
		t.Errorf("a parked wait costs %d bytes, want at most %d", perWait, bytesPerWait)
	}
	if err := sched.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
