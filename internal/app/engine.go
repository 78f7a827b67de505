package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"gust/connections/sqlconn"
	"gust/dag/template"
	"gust/internal/childprocess"
	"gust/internal/pyworker"
	"gust/internal/variables"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/callback"
	"gust/runner/executor/local"
	"gust/runner/scheduler"
	"gust/runner/tasklog"
	"gust/runner/triggerer"
	"gust/runner/worker"
	"gust/triggers"
	"gust/triggers/httpreq"
	"gust/triggers/stepfunctions/events"
)

// catalog is what pipeline files are checked against.
type catalog struct {
	operators *operators.Registry
	templates *template.Environment
}

func (a *App) catalog() (*catalog, error) {
	registry, err := Catalog()
	if err != nil {
		return nil, err
	}
	return &catalog{operators: registry, templates: template.New(template.Options{})}, nil
}

// templates renders the parameters of tasks.
func (a *App) templates(testMode bool) *attempt.Templates {
	return &attempt.Templates{
		Runs: a.Store, TestMode: testMode, AssetEvents: a.Store.AssetEventsGet,
		Variable: func(ctx context.Context, key string) (string, bool, error) {
			value, err := a.Variables.Get(ctx, key)
			var missing *variables.NotFoundError
			// Only a variable that is not defined is "not found": a database error must not turn into a default.
			return value, !errors.As(err, &missing), err
		},
	}
}

// engine is the machinery that runs tasks: scheduler, executor, trigger loop, and what their tasks use.
type engine struct {
	home      string
	scheduler *scheduler.Scheduler
	executor  *local.Executor
	triggerer *triggerer.Loop
	operators *operators.Registry
	triggers  *triggers.Registry
	starter   *childprocess.Starter
	python    *pyworker.Pool
	http      *httpreq.Client
	sql       *sqlconn.Pool
	logs      *tasklog.Files
	templates *template.Environment
	aborted   atomic.Bool
	receiver  atomic.Pointer[events.Receiver] // nil without a queue of events
}

// newEngine builds the machinery; nothing runs before start.
func (a *App) newEngine() (*engine, error) {
	starter, err := childprocess.NewStarter()
	if err != nil {
		return nil, err
	}
	e := &engine{
		home: a.Config.Home(), starter: starter, http: httpreq.NewClient(), sql: &sqlconn.Pool{},
		templates: template.New(template.Options{}),
	}
	e.python, err = pyworker.NewPool(pyworker.Options{
		Interpreter: a.Config.Python.Interpreter, Warm: a.Config.Python.WarmInterpreters, Idle: a.Config.Python.IdleTimeout,
		CleanupTime: a.Config.Core.KilledTaskCleanupTime, Home: e.home, Starter: starter,
	})
	if err != nil {
		return nil, errors.Join(err, starter.Close())
	}
	p := partsOf(a.Config)
	p.mask, p.log = a.Masker.Mask, a.Log
	p.starter, p.python, p.aws, p.http, p.sql, p.connections = starter, e.python, a.AWS, e.http, e.sql, a.Connections
	p.eventsArrive = e.eventsArrive
	p.runs = runAccess{app: a, wake: func() {
		if e.scheduler != nil {
			e.scheduler.Refresh()
		}
	}}
	if e.operators, e.triggers, err = register(p); err != nil {
		return nil, errors.Join(err, starter.Close())
	}
	e.logs = &tasklog.Files{
		Base: a.Config.Logging.BaseLogFolder, Mask: a.Masker.Mask,
		OnError: func(err error) { a.Log.Error("task logs cannot be written", "error", err) },
	}
	renderer := a.templates(false)
	renderer.Function = pythonMacro(e.python, a)
	env := &attempt.Env{
		Operators: e.operators, Triggers: e.triggers, Connections: a.Connections, XComs: a.Store, Renderer: renderer,
		Logs: e.logs, Mask: a.Masker.Mask, Now: a.Now, XComMaxBytes: a.Config.Core.XComMaxBytes,
		MaxMapLength: a.Config.Core.MaxMapLength,
	}
	runner := &worker.Worker{Env: env, KillGrace: a.Config.Core.KilledTaskCleanupTime + killMargin}
	e.triggerer = triggerer.New(triggerer.Config{
		Env: env, Triggers: e.triggers, Waits: a.Store, Checks: a.Config.Triggerer.Checks, Log: a.Log,
	})
	e.executor = local.New(runner, a.Config.Core.Parallelism, a.Now)
	e.scheduler = scheduler.New(scheduler.Options{
		Store: a.Store, Executor: e.executor, Triggers: e.triggerer,
		Notifier:     callback.New(callback.Options{Store: a.Store, Env: env, Log: a.Log.With(slog.String("logger", "callbacks"))}),
		MaxMapLength: a.Config.Core.MaxMapLength,
		Log:          a.Log.With(slog.String("logger", "scheduler")), Now: a.Now,
		PausedAtCreation: a.Config.Core.DagsArePausedAtCreation,
		RefreshEvery:     a.Config.Scheduler.IdleSleepTime, HeartbeatEvery: a.Config.Scheduler.Heartbeat,
	})
	return e, nil
}

// sweep ends the processes that tasks of a killed daemon left behind.
func (a *App) sweep() error {
	killed, err := childprocess.SweepOrphans(a.Config.Home())
	if killed > 0 {
		a.Log.Warn("ended processes that a killed daemon left behind", "processes", killed)
	}
	if err != nil {
		return fmt.Errorf("end processes that a killed daemon left behind: %w", err)
	}
	return nil
}

// stop stops the scheduler, giving running attempts until ctx ends, and frees the rest.
func (e *engine) stop(ctx context.Context) error {
	err := e.scheduler.Stop(ctx)
	if e.aborted.Load() {
		_, endErr := childprocess.EndCommands(e.home)
		err = errors.Join(err, endErr)
	}
	e.python.Close()
	e.http.Close()
	e.sql.Close()
	return errors.Join(err, e.starter.Close())
}

// abort makes stop end at once, whether it has begun or will: attempts that do not return are given back without them.
func (e *engine) abort() {
	e.aborted.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// Of two stops of the executor the second ends both, and the scheduler's reports what is left.
	_ = e.executor.Stop(ctx)
}
