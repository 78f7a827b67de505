package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gust/dag"
	"gust/dag/dagfile"
	"gust/internal/config"
	"gust/internal/filelock"
	"gust/internal/home"
	"gust/internal/monitor"
	"gust/runner/dagprocessor"
	"gust/runner/plan"
	"gust/runner/scheduler"
	"gust/stepfunctions"
)

// killMargin is what an operator gets beyond killed_task_cleanup_time to return.
const killMargin = 30 * time.Second

// DaemonOptions adjust a Daemon.
type DaemonOptions struct {
	// Standalone serves the embedded Step Functions service too.
	Standalone bool
	// OnStart is called once for each execution that the embedded service really starts.
	OnStart func(executionARN string)
}

// Daemon is a running Gust: the scheduler with everything around it. Make it with StartDaemon, end it with Stop.
type Daemon struct {
	*App
	// Service is the embedded Step Functions service, nil unless standalone.
	Service *stepfunctions.Service
	// Ready is how long the start took.
	Ready time.Duration

	monitor   *monitor.Server // nil while health and metrics are not served
	engine    *engine
	processor *dagprocessor.Processor
	loaded    atomic.Bool                   // processor is set; for other goroutines
	undo      []func(context.Context) error // in order of the start
	wakes     sync.WaitGroup
}

// StartDaemon locks the home, opens it, and starts everything: embedded service, scheduler, pipelines folder, wake file.
// When it returns the pipelines have been loaded once. A part that fails to start stops those started before it.
func StartDaemon(ctx context.Context, cfg *config.Config, opts Options, daemon DaemonOptions) (_ *Daemon, err error) {
	began := time.Now()
	d := &Daemon{}
	defer func() {
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			err = errors.Join(err, d.Stop(stopCtx))
		}
	}()
	if err := home.Create(cfg.Home()); err != nil {
		return nil, err
	}
	lock, err := home.Lock(cfg.Home(), began)
	if err != nil {
		return nil, err
	}
	d.undo = append(d.undo, func(context.Context) error { return releaseLock(lock) })
	if daemon.Standalone && cfg.StepFunctions.Enabled {
		if opts.EmbeddedEndpoint, err = d.startService(ctx, cfg, opts, daemon); err != nil {
			return nil, err
		}
	}
	if d.App, err = Open(ctx, cfg, opts); err != nil {
		return nil, err
	}
	d.undo = append(d.undo, func(context.Context) error { return d.Close() })
	if err := d.sweep(); err != nil {
		return nil, err
	}
	if d.engine, err = d.newEngine(); err != nil {
		return nil, err
	}
	d.startMonitor(ctx) // it answers until the engine has stopped
	d.undo = append(d.undo, d.engine.stop)
	if err := d.engine.scheduler.Start(ctx); err != nil {
		return nil, err
	}
	if err := d.startProcessor(ctx); err != nil {
		return nil, err
	}
	if err := d.listen(ctx); err != nil {
		return nil, err
	}
	if err := d.engine.scheduler.Sync(ctx); err != nil {
		return nil, err
	}
	if err := d.startReceiver(ctx); err != nil {
		return nil, err
	}
	d.startRetention(ctx)
	if d.Service != nil {
		// A stopping daemon still serves its own tasks, but no command may begin to count on it.
		d.undo = append(d.undo, func(context.Context) error { withdraw(cfg.Home()); return nil })
	}
	d.loaded.Store(true)
	d.setReady(true)
	d.Ready = time.Since(began)
	return d, nil
}

func releaseLock(lock *filelock.Lock) error { return lock.Release() }

func (d *Daemon) startService(ctx context.Context, cfg *config.Config, opts Options, daemon DaemonOptions) (string, error) {
	log := slog.New(slog.DiscardHandler)
	if opts.Log != nil {
		log = slog.New(newLogHandler(opts.Log, cfg)).With("logger", "stepfunctions")
	}
	service, err := Embedded(ctx, cfg, EmbeddedOptions{Log: log, OnStart: daemon.OnStart})
	if err != nil {
		return "", err
	}
	d.Service = service.Service
	d.undo = append(d.undo, service.Stop)
	d.undo = append(d.undo, func(context.Context) error { withdraw(cfg.Home()); return nil })
	if err := announce(cfg.Home(), service.Endpoint()); err != nil {
		return "", err
	}
	return service.Endpoint(), nil
}

func (d *Daemon) startProcessor(ctx context.Context) error {
	root := d.Config.Core.DagsFolder
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return fmt.Errorf("the pipelines folder %s does not exist; create it, or set core.dags_folder", root)
	}
	load := d.loadOptions(&catalog{operators: d.engine.operators, templates: d.engine.templates})
	processor, err := dagprocessor.New(dagprocessor.Options{
		Root: root, Load: load, ScanInterval: d.Config.DagProcessor.RefreshInterval, Now: d.Now,
		Log: d.Log.With("logger", "dag_processor"),
	}, fileSink{d.engine.scheduler, d.Log})
	if err != nil {
		return err
	}
	d.processor = processor
	if err := processor.ScanOnce(ctx); err != nil {
		return err
	}
	if err := processor.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	d.undo = append(d.undo, func(context.Context) error { processor.Stop(); return nil })
	return nil
}

// fileSink hands what pipeline files define to the scheduler.
type fileSink struct {
	scheduler *scheduler.Scheduler
	log       *slog.Logger
}

func (s fileSink) FileLoaded(r dagprocessor.FileResult) {
	text := r.ErrorText()
	if text != "" {
		s.log.Error("a pipeline file could not be loaded", "file", r.Path, "problems", text)
	}
	for _, p := range r.Problems { // told once, since a file is delivered only when it has changed
		if p.Severity == dagfile.Warning {
			s.log.Warn("pipeline file: " + p.String())
		}
	}
	s.scheduler.FileChanged(plan.File{Path: r.Path, DAGs: r.DAGs, Error: text, Took: r.Took})
}

func (s fileSink) Scanned(files []string) { s.scheduler.Scanned(files) }

// listen refreshes the scheduler whenever a command has written something.
func (d *Daemon) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	wakes, stop, err := home.Watch(ctx, d.Config.Home())
	if err != nil {
		cancel()
		return err
	}
	d.wakes.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-wakes:
				d.engine.scheduler.Refresh()
			}
		}
	})
	d.undo = append(d.undo, func(context.Context) error {
		cancel()
		stop()
		d.wakes.Wait()
		return nil
	})
	return nil
}

// Done is closed when the scheduler has ended on its own, because its database failed for good; Stop says why.
func (d *Daemon) Done() <-chan struct{} { return d.engine.scheduler.Done() }

// Watch calls fn with every committed transition until stop is called; see scheduler.Watch.
func (d *Daemon) Watch(fn func(scheduler.Transition)) (stop func()) {
	return d.engine.scheduler.Watch(fn)
}

// WaitRun waits until a run has ended.
func (d *Daemon) WaitRun(ctx context.Context, key dag.RunKey) (*dag.Run, error) {
	return d.engine.scheduler.WaitRun(ctx, key)
}

// Parked is how many waits the trigger loop holds.
func (d *Daemon) Parked() int { return d.engine.triggerer.Held() }

// Recovered is closed when the waits that the last daemon has left are parked again.
func (d *Daemon) Recovered() <-chan struct{} { return d.engine.scheduler.Recovered() }

// Abort makes a Stop that waits, or one that is to come, end at once: attempts that run go back as they are, their
// processes are killed. It returns when they have gone back.
func (d *Daemon) Abort() { d.engine.abort() }

// Stop stops everything in the reverse order of the start: no new attempts, those that run get until ctx ends and then go
// back, the database is closed, the lock released. It may be called once.
func (d *Daemon) Stop(ctx context.Context) error {
	d.setReady(false)
	var errs []error
	for i := len(d.undo) - 1; i >= 0; i-- {
		errs = append(errs, d.undo[i](ctx))
	}
	d.undo = nil
	return errors.Join(errs...)
}
