package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gust/store/sqlite"
)

// gustRival is Gust's daemon with default settings.
func (b *bench) gustRival() rival {
	return rival{name: "Gust", do: b.gustJob, wait: b.gustWait, crash: b.gustCrash}
}

// gustDaemon is a daemon on one pipeline file, and its database.
type gustDaemon struct {
	*daemon
	rows *sqlite.Store
	dir  string
}

func (b *bench) startGust(ctx context.Context, name, yaml string) (*gustDaemon, error) {
	dir, err := b.folder(name)
	if err != nil {
		return nil, err
	}
	homeDir, pipelines := filepath.Join(dir, "home"), filepath.Join(dir, "pipelines")
	if err := errors.Join(writeFiles(homeDir, nil), writeFiles(pipelines, map[string]string{name + ".yaml": yaml})); err != nil {
		return nil, err
	}
	d, err := startDaemon(ctx, b.gust, homeDir, pipelines)
	if err != nil {
		return nil, err
	}
	rows, err := sqlite.Open(ctx, filepath.Join(homeDir, "gust.db"), sqlite.Options{})
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return &gustDaemon{d, rows, dir}, nil
}

func (g *gustDaemon) end() error { return errors.Join(g.rows.Close(), g.stop()) }

func (b *bench) gustWait(ctx context.Context, sensors int) (o sensorOutcome, err error) {
	flag, err := b.flagFile()
	if err != nil {
		return o, err
	}
	g, err := b.startGust(ctx, "sensors", waitYAML("sensors", sensors, func(int) string {
		return fmt.Sprintf("      operator: FileSensor\n      filepath: %s\n      poke_interval: %.0f\n", flag, peerPoke.Seconds())
	}))
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	began := time.Now()
	if err := trigger(ctx, g.rows, g.home, "sensors", 1); err != nil {
		return o, err
	}
	if err := g.awaitParked(ctx, sensors); err != nil {
		return o, err
	}
	o.parked = time.Since(began)
	if err := o.watch(ctx, g.pid()); err != nil {
		return o, err
	}
	released := time.Now()
	if err := writeFiles(filepath.Dir(flag), map[string]string{filepath.Base(flag): ""}); err != nil {
		return o, err
	}
	if err := awaitRuns(ctx, g.rows, "sensors"); err != nil {
		return o, err
	}
	tasks, err := finishedTasks(ctx, g.home, sensors)
	for _, t := range tasks {
		o.released = append(o.released, t.end.Sub(released))
	}
	return o, err
}

// flagFile is a path where no file is yet.
func (b *bench) flagFile() (string, error) {
	dir, err := os.MkdirTemp(b.dir, "flag-")
	return filepath.Join(dir, "flag"), err
}

// watch looks at what processes take that do nothing but wait: those given and all that they have started.
func (o *sensorOutcome) watch(ctx context.Context, roots ...int) error {
	if err := pause(ctx, peerPoke); err != nil { // until the first looks are over
		return err
	}
	memory := startSampler(func() []int { return descendants(roots) })
	before := processorTicks(descendants(roots))
	began := time.Now()
	if err := pause(ctx, watchSensors); err != nil {
		memory.end()
		return err
	}
	all := descendants(roots)
	o.processor = 100 * (processorTicks(all) - before) / time.Since(began).Seconds()
	o.processes = len(all)
	o.memory = memory.end()
	return nil
}

func (b *bench) gustCrash(ctx context.Context) (took time.Duration, shown string, err error) {
	g, err := b.startGust(ctx, "crash", crashYAML(true))
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	if err := trigger(ctx, g.rows, g.home, "crash", 1); err != nil {
		return 0, "", err
	}
	if err := pause(ctx, time.Second); err != nil {
		return 0, "", err
	}
	killed := time.Now()
	if err := g.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return 0, "", err
	}
	<-g.ended
	if g.daemon, err = startDaemon(ctx, b.gust, g.home, filepath.Join(g.dir, "pipelines")); err != nil {
		return 0, "", err
	}
	if err := awaitRuns(ctx, g.rows, "crash"); err != nil {
		return 0, "", err
	}
	took = time.Since(killed)
	tasks, err := finishedTasks(ctx, g.home, 2)
	for _, t := range tasks {
		if t.state != "success" || t.try != 1 {
			err = errors.Join(err, fmt.Errorf("task %s is %s in try %d", t.task, t.state, t.try))
		}
	}
	return took, "the task is repeated in the same try and the run succeeds", err
}
