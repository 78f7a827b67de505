package scheduler_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/runner/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a scheduler with a store in memory and an executor whose attempts succeed at once, unless a test says else.
type house struct {
	*scheduler.Scheduler
	t     *testing.T
	store *plantest.Store
	exec  *plantest.Executor
	loop  *plantest.Triggers
	log   *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type play func(ctx context.Context, w executor.Work, report func(executor.Report)) executor.Report

func succeed(_ context.Context, _ executor.Work, report func(executor.Report)) executor.Report {
	report(executor.Report{Kind: executor.Started})
	return executor.Report{Kind: executor.Succeeded}
}

// start makes a house on a store (nil: a new one) and starts it.
func start(t *testing.T, st *plantest.Store, run play, change func(*scheduler.Options)) *house {
	t.Helper()
	if st == nil {
		st = plantest.NewStore()
	}
	if run == nil {
		run = succeed
	}
	h := &house{t: t, store: st, exec: &plantest.Executor{N: 4, Run: run}, loop: &plantest.Triggers{}, log: &logBuffer{}}
	o := scheduler.Options{Store: st, Executor: h.exec, Triggers: h.loop, Log: slog.New(slog.NewTextHandler(h.log, nil))}
	if change != nil {
		change(&o)
	}
	h.Scheduler = scheduler.New(o)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// halt stops the scheduler and fails the test when that has an error.
func (h *house) halt() {
	h.t.Helper()
	if err := h.Stop(context.Background()); err != nil {
		h.t.Errorf("stop: %v", err)
	}
}

func (h *house) load(text string) *dag.DAG {
	d := plantest.Build(text)
	h.FileChanged(plan.File{Path: d.FileLoc, DAGs: []*dag.DAG{d}})
	return d
}

func (h *house) create(dagID, runID string) dag.RunKey {
	h.t.Helper()
	now := time.Now().UTC()
	r := dag.Run{RunKey: dag.RunKey{DagID: dagID, RunID: runID}, State: dag.RunQueued, Type: dag.RunManual,
		RunAfter: now, QueuedAt: now, TriggeredBy: dag.ByTest}
	if err := h.CreateRun(h.t.Context(), &r); err != nil {
		h.t.Fatal(err)
	}
	return r.RunKey
}

// run creates a run and waits for its end.
func (h *house) run(dagID, runID string) *dag.Run {
	h.t.Helper()
	r, err := h.WaitRun(h.t.Context(), h.create(dagID, runID))
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) task(run dag.RunKey, id string) dag.TaskInstance {
	h.t.Helper()
	ti, ok := h.store.Task(dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: id, MapIndex: -1})
	if !ok {
		h.t.Fatalf("no task %s in %v", id, run)
	}
	return ti
}
