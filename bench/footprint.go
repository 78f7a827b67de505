package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// footprint measures the binary, and the daemon while nothing happens: with no pipeline file and with 1,000.
func (b *bench) footprint(ctx context.Context) (results []result, err error) {
	binary, err := b.binary(ctx)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	results = []result{
		result{Name: "stripped binary", Value: float64(info.Size()) / 1e6, Unit: "MB"}.atMost(45, "under 45 MB"),
	}
	idle := []*idleDaemon{{files: 0, startAim: 100}, {files: 1000, startAim: 300}}
	defer func() {
		for _, d := range idle {
			err = errors.Join(err, d.stop())
		}
	}()
	for _, d := range idle {
		if err := d.start(ctx, b, binary); err != nil {
			return results, err
		}
	}
	if err := watchIdle(ctx, idle, b.profile.idle); err != nil {
		return results, err
	}
	for _, d := range idle {
		results = append(results, d.results(b.profile.idle)...)
	}
	return results, nil
}

// idleDaemon is a daemon on pipelines of which none is due.
type idleDaemon struct {
	files    int
	startAim float64 // milliseconds
	daemon   *daemon
	starts   []float64 // milliseconds, each with the files unchanged since the start before
	busy     time.Duration
	resident float64
}

// start writes the files, lets a daemon read them once, and then takes the time of further starts. The last one stays.
func (d *idleDaemon) start(ctx context.Context, b *bench, binary string) error {
	dir, err := b.folder(fmt.Sprintf("idle-%d", d.files))
	if err != nil {
		return err
	}
	files := map[string]string{}
	for i := range d.files {
		id := fmt.Sprintf("daily_%04d", i)
		files[id+".yaml"] = gustYAML(id, "0 3 * * *", 5, true)
	}
	home, pipelines := filepath.Join(dir, "home"), filepath.Join(dir, "pipelines")
	if err := errors.Join(writeFiles(home, nil), writeFiles(pipelines, files)); err != nil {
		return err
	}
	for i := range 2 + b.profile.repeats {
		if d.daemon != nil {
			if err := d.stop(); err != nil {
				return err
			}
		}
		if d.daemon, err = startDaemon(ctx, binary, home, pipelines); err != nil {
			return err
		}
		if i > 0 {
			d.starts = append(d.starts, d.daemon.took.Seconds()*1000)
		}
	}
	return nil
}

func (d *idleDaemon) stop() error {
	if d.daemon == nil {
		return nil
	}
	err := d.daemon.stop()
	d.daemon = nil
	return err
}

// watchIdle lets the daemons calm down and then takes their processor time over a window, all at the same time.
func watchIdle(ctx context.Context, idle []*idleDaemon, window time.Duration) error {
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	before := make([]time.Duration, len(idle))
	var err error
	for i, d := range idle {
		if before[i], err = processorTime(d.daemon.pid()); err != nil {
			return err
		}
	}
	if err := pause(ctx, window); err != nil {
		return err
	}
	for i, d := range idle {
		after, err := processorTime(d.daemon.pid())
		if err != nil {
			return err
		}
		d.busy = after - before[i]
		if d.resident, err = residentMB(d.daemon.pid()); err != nil {
			return err
		}
	}
	return nil
}

func (d *idleDaemon) results(window time.Duration) []result {
	with := fmt.Sprintf(", %s pipeline files", number(float64(d.files)))
	if d.files == 0 {
		with = ", no pipeline files"
	}
	memory := result{Name: "idle memory (RSS)" + with, Value: d.resident, Unit: "MB"}
	if d.files == 0 {
		memory = memory.atMost(35, "under 35 MB")
	}
	return []result{
		result{Name: "start to ready" + with, Value: median(d.starts), Unit: "ms"}.
			atMost(d.startAim, fmt.Sprintf("under %.0f ms", d.startAim)),
		memory,
		result{Name: "idle processor" + with, Value: 100 * d.busy.Seconds() / window.Seconds(), Unit: "% of a core"}.
			atMost(0.1, "under 0.1 %"),
	}
}
