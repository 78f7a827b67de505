package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// latency measures the time from the end of a task to the start of its downstream task, and beside it what the disk
// alone takes of that: one fsync.
func (b *bench) latency(ctx context.Context) ([]result, error) {
	dir, err := b.folder("latency")
	if err != nil {
		return nil, err
	}
	d, err := chain("latency", 100, noOps)
	if err != nil {
		return nil, err
	}
	watch := &stopwatch{}
	e, err := startEngine(ctx, dir, noOpParallelism, watch)
	if err != nil {
		return nil, err
	}
	if err := e.deploy(ctx, d); err != nil {
		return nil, withStop(ctx, e, err)
	}
	var handOvers, fsyncs []time.Duration
	for len(handOvers) < b.profile.chain*b.profile.repeats {
		probed, err := probeFsync(dir, len(d.Tasks))
		if err != nil {
			return nil, withStop(ctx, e, err)
		}
		fsyncs = append(fsyncs, probed...)
		watch.reset()
		if _, err := e.run(ctx, d, 1); err != nil {
			return nil, withStop(ctx, e, err)
		}
		handOvers = append(handOvers, watch.handOvers()...)
		e.store.recorded() // forget
	}
	if err := e.stop(ctx); err != nil {
		return nil, err
	}
	return []result{
		latencyAt(handOvers, fsyncs, 0.50, "p50").atMost(2, "at most 2 ms more"),
		latencyAt(handOvers, fsyncs, 0.99, "p99"),
	}, nil
}

func latencyAt(handOvers, fsyncs []time.Duration, q float64, name string) result {
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	r := result{Name: name, Value: ms(quantile(handOvers, q)), Unit: "ms"}
	return r.beyond(ms(quantile(fsyncs, q)), name+" of fsync")
}

// probeFsync overwrites pages of a file and makes each durable, as a commit in the steady state does with the log.
func probeFsync(dir string, times int) (took []time.Duration, err error) {
	const page, pages = 4096, 256
	file, err := os.OpenFile(filepath.Join(dir, "fsync"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.WriteAt(make([]byte, page*pages), 0); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	content := make([]byte, page)
	for i := range times {
		content[0] = byte(i)
		start := time.Now()
		if _, err := file.WriteAt(content, int64(i%pages)*page); err != nil {
			return nil, err
		}
		if err := file.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}
