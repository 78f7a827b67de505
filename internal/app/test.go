package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gust/dag"
	"gust/internal/config"
	"gust/runner/plan"
	"gust/runner/scheduler"
	"gust/store/sqlite"
)

// TestRun asks for one run of one DAG in the foreground.
type TestRun struct {
	DAG *dag.DAG
	// Task limits the run to one task, without its dependencies; "" runs all.
	Task string
	Run  *dag.Run
	// Recorded, with Task, is a recorded run of the DAG: the task sees the values that its other tasks have pushed.
	Recorded *dag.RunKey
	// Watch is called with every transition, from one goroutine.
	Watch func(scheduler.Transition)
	// OnStart is called once for each execution that the embedded service really starts.
	OnStart func(executionARN string)
	// Abort, when closed after the context has ended, kills what does not end by itself: the second Ctrl-C.
	Abort <-chan struct{}
}

// TestResult is how a test run ended.
type TestResult struct {
	Run   dag.Run
	Tasks []dag.TaskInstance
}

// Test runs a DAG once without a daemon: the engine is the daemon's, its state lives in memory and leaves no row behind.
// Connections, variables and pools are the home's. aws_default, unless it is defined, is the embedded service of a running
// `gust standalone`, else one of its own for this run. When ctx ends, what runs is interrupted and its cause returned.
func Test(ctx context.Context, cfg *config.Config, opts Options, test TestRun) (_ *TestResult, err error) {
	opts.StorePath = sqlite.InMemory
	if opts.EmbeddedEndpoint == "" {
		opts.EmbeddedEndpoint = announced(cfg.Home())
	}
	if opts.EmbeddedEndpoint == "" && cfg.StepFunctions.Enabled {
		service, err := Embedded(ctx, cfg, EmbeddedOptions{Ephemeral: true, OnStart: test.OnStart})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, within(ctx, service.Stop)) }()
		opts.EmbeddedEndpoint = service.Endpoint()
	}
	a, err := Open(ctx, cfg, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if own, ok := a.Store.(*overlay); ok && test.Recorded != nil {
		own.task, own.recorded = test.Task, *test.Recorded
	}
	d, err := test.alone()
	if err != nil {
		return nil, err
	}
	e, err := a.newEngine()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.endTest(ctx, test.Abort)) }()
	if err := e.scheduler.Start(ctx); err != nil {
		return nil, err
	}
	if test.Watch != nil {
		defer e.scheduler.Watch(test.Watch)()
	}
	e.scheduler.FileChanged(plan.File{Path: d.FileLoc, DAGs: []*dag.DAG{d}})
	if err := e.scheduler.Sync(ctx); err != nil {
		return nil, err
	}
	if err := e.scheduler.CreateRun(ctx, test.Run); err != nil {
		return nil, err
	}
	run, err := e.scheduler.WaitRun(ctx, test.Run.RunKey)
	if err != nil {
		return nil, err
	}
	if err := a.settle(ctx); err != nil {
		return nil, err
	}
	tasks, err := a.Store.TaskInstanceList(ctx, test.Run.RunKey)
	if err != nil {
		return nil, err
	}
	return &TestResult{Run: *run, Tasks: tasks}, nil
}

const (
	// settleEvery is the time between two looks for callbacks that are due, in a database in memory.
	settleEvery = 5 * time.Millisecond
	// settleWithin bounds the wait for them: tries and their timeouts included.
	settleWithin = 3 * time.Minute
)

// settle waits until the callbacks that are due have been carried out or given up. A daemon does that in its own time; after
// a test run nobody would.
func (a *App) settle(ctx context.Context) error {
	late := time.After(settleWithin)
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		snap, err := a.Store.EngineLoad(ctx)
		if err != nil || len(snap.Callbacks) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late:
			a.Log.Warn("the run has ended, but not its callbacks", "callbacks", len(snap.Callbacks))
			return nil
		case <-tick.C:
		}
	}
}

// endTest stops the engine. When ctx has ended the tasks that still run are ended at once: nobody waits for them.
func (e *engine) endTest(ctx context.Context, abort <-chan struct{}) error {
	if ctx.Err() == nil {
		return within(ctx, e.stop)
	}
	ended, watcher := make(chan struct{}), sync.WaitGroup{}
	watcher.Go(func() {
		select {
		case <-abort:
			e.abort()
		case <-ended:
		}
	})
	err := e.stop(ctx)
	close(ended)
	watcher.Wait()
	return err
}

// within calls a stop with its own time limit, also after ctx has ended.
func within(ctx context.Context, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return stop(ctx)
}

// alone is the DAG as it is tested: without a schedule of its own and not paused; with Task, only that task.
func (t *TestRun) alone() (*dag.DAG, error) {
	d := *t.DAG
	running := false
	d.Schedule = dag.Schedule{Kind: dag.ScheduleNone, Text: t.DAG.Schedule.Text}
	d.IsPausedUponCreation = &running
	if t.Task == "" {
		return &d, nil
	}
	task := t.DAG.Task(t.Task)
	if task == nil {
		return nil, fmt.Errorf("DAG %s has no task %q", d.ID, t.Task)
	}
	only := *task
	only.Upstream, only.Downstream, only.TriggerRule, only.DependsOnPast = nil, nil, dag.AllSuccess, false
	d.Tasks = []*dag.Task{&only}
	d.Index()
	return &d, nil
}
