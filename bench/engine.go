package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"gust/connections"
	"gust/dag"
	"gust/internal/childprocess"
	"gust/internal/pyworker"
	"gust/operators"
	"gust/operators/python"
	"gust/operators/shell"
	"gust/runner/attempt"
	"gust/runner/executor/local"
	"gust/runner/plan"
	"gust/runner/scheduler"
	"gust/runner/tasklog"
	"gust/runner/triggerer"
	"gust/runner/worker"
	"gust/store/sqlite"
	"gust/triggers"
)

// engine is the daemon's machinery on a database of its own: everything between a queued run and its last row, but no
// pipeline files and no command line.
type engine struct {
	scheduler *scheduler.Scheduler
	triggers  *triggerer.Loop
	list      *listenChecker
	store     *recorder
	starter   *childprocess.Starter
	python    *pyworker.Pool
	runs      int
}

// startEngine starts an engine on an empty folder, which runs so many attempts at once. watch, unless nil, is told when
// no-op tasks begin and end.
func startEngine(ctx context.Context, dir string, parallelism int, watch *stopwatch) (*engine, error) {
	return startEngineWith(ctx, dir, parallelism, watch, 1)
}

// startEngineWith says how many Python interpreters are kept warm.
func startEngineWith(
	ctx context.Context, dir string, parallelism int, watch *stopwatch, warm int,
) (_ *engine, err error) {
	rows, err := openStore(ctx, filepath.Join(dir, "gust.db"))
	if err != nil {
		return nil, err
	}
	e := &engine{store: &recorder{Store: rows}, list: &listenChecker{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	if e.starter, err = childprocess.NewStarter(); err != nil {
		return nil, err
	}
	registry := operators.NewRegistry()
	if err := shell.Register(registry, shell.Deps{Home: dir, Starter: e.starter}); err != nil {
		return nil, err
	}
	if e.python, err = pyworker.NewPool(pyworker.Options{Home: dir, Starter: e.starter, Warm: warm}); err != nil {
		return nil, err
	}
	if err := python.Register(registry, python.Deps{Pool: e.python, Home: dir}); err != nil {
		return nil, err
	}
	if err := registerNoOp(registry, watch); err != nil {
		return nil, err
	}
	kinds := triggers.NewRegistry()
	if err := kinds.Register(e.list); err != nil {
		return nil, err
	}
	masker := &connections.Masker{}
	env := &attempt.Env{
		Operators: registry, XComs: e.store, Mask: masker.Mask, MaxMapLength: mappedLimit, Triggers: kinds,
		Logs: &tasklog.Files{Base: filepath.Join(dir, "logs"), Mask: masker.Mask},
	}
	e.triggers = triggerer.New(triggerer.Config{Env: env, Triggers: kinds, Waits: e.store})
	s := scheduler.New(scheduler.Options{
		Store: e.store, Executor: local.New(&worker.Worker{Env: env}, parallelism, nil),
		Triggers: e.triggers, MaxMapLength: mappedLimit,
	})
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	e.scheduler = s
	return e, nil
}

func openStore(ctx context.Context, path string) (*sqlite.Store, error) {
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := s.SchemaMigrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// stop ends the engine in order; its database stays in the folder.
func (e *engine) stop(ctx context.Context) error {
	return errors.Join(e.scheduler.Stop(ctx), e.close())
}

func (e *engine) close() error {
	var err error
	if e.python != nil {
		e.python.Close()
	}
	if e.starter != nil {
		err = e.starter.Close()
	}
	return errors.Join(err, e.store.Close())
}

// deploy makes a DAG known, as the loading of its file does, and warms the engine up with another one.
func (e *engine) deploy(ctx context.Context, d *dag.DAG) error {
	warm, err := flat("warm_up", 100, noOps)
	if err != nil {
		return err
	}
	for _, d := range []*dag.DAG{warm, d} {
		e.scheduler.FileChanged(plan.File{Path: d.FileLoc, DAGs: []*dag.DAG{d}})
	}
	if err := e.scheduler.Sync(ctx); err != nil {
		return err
	}
	_, err = e.run(ctx, warm, 1)
	return err
}

// run creates so many runs of a DAG and returns how long it took until the last one's end was durable.
func (e *engine) run(ctx context.Context, d *dag.DAG, runs int) (time.Duration, error) {
	ended := e.store.expect(runs)
	start := time.Now()
	for range runs {
		e.runs++
		now := time.Now().UTC()
		r := &dag.Run{
			RunKey: dag.RunKey{DagID: d.ID, RunID: fmt.Sprintf("manual__%s_%d", now.Format(time.RFC3339Nano), e.runs)},
			State:  dag.RunQueued, Type: dag.RunManual, RunAfter: now, QueuedAt: now, TriggeredBy: dag.ByTest,
		}
		if err := e.scheduler.CreateRun(ctx, r); err != nil {
			return 0, err
		}
	}
	select {
	case err := <-ended:
		return time.Since(start), err
	case <-e.scheduler.Done():
		return 0, fmt.Errorf("the scheduler has stopped: %w", e.scheduler.Err())
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}
