package main

import (
	"context"
	"fmt"
	"runtime"

	"gust/dag"
	"gust/store"
)

// noOpParallelism is [core] parallelism for tasks that do nothing.
const noOpParallelism = 32

// throughput measures no-op tasks per second of a chain and of many runs in parallel, each beside its limit.
func (b *bench) throughput(ctx context.Context) ([]result, error) {
	const size = 100 // of a run, and number of runs
	deep, err := chain("chain", size*10, noOps)
	if err != nil {
		return nil, err
	}
	wide, err := flat("wide", size, noOps)
	if err != nil {
		return nil, err
	}
	inChain, err := b.compare(ctx, deep, 1, b.profile.repeats)
	if err != nil {
		return nil, err
	}
	inParallel, err := b.compare(ctx, wide, size, b.profile.pairs)
	if err != nil {
		return nil, err
	}
	return []result{
		inChain.result("a chain of 1,000"),
		inParallel.result("100 runs of 100 in parallel").atMost(2, "at most 2x slower"),
	}, nil
}

// comparison is what the engine did and what bare SQLite did with the same rows.
type comparison struct {
	engine, bare []float64 // tasks per second
	rows         int       // in the last repeat
	commits      int
	tasks        int
}

func (c *comparison) result(name string) result {
	r := result{Name: name, Value: median(c.engine), Unit: "tasks/s"}.slower(median(c.bare), "bare SQLite")
	r.Note = fmt.Sprintf("%.1f rows a task, %.0f rows a commit, %s commits a second, %d attempts at once",
		float64(c.rows)/float64(c.tasks), float64(c.rows)/float64(c.commits),
		number(r.Value*float64(c.commits)/float64(c.tasks)), noOpParallelism)
	return r
}

// compare takes turns between the engine and bare SQLite, so many each.
func (b *bench) compare(ctx context.Context, d *dag.DAG, runs, pairs int) (*comparison, error) {
	c := &comparison{tasks: runs * len(d.Tasks)}
	for range pairs {
		warmUp, batches, rate, err := b.runRecorded(ctx, d, runs)
		if err != nil {
			return nil, err
		}
		c.engine = append(c.engine, rate)
		if rate, err = b.writeBare(ctx, warmUp, batches, c.tasks); err != nil {
			return nil, err
		}
		c.bare = append(c.bare, rate)
		c.rows, c.commits = 0, len(batches)
		for i := range batches {
			c.rows += len(batches[i].Runs) + len(batches[i].Tasks) + len(batches[i].XComs)
		}
	}
	return c, nil
}

// runRecorded runs a DAG on a new engine and returns the batches of the warm-up, those of the runs, and tasks per
// second.
func (b *bench) runRecorded(
	ctx context.Context, d *dag.DAG, runs int,
) (warmUp, batches []store.Changes, rate float64, err error) {
	dir, err := b.folder(d.ID)
	if err != nil {
		return nil, nil, 0, err
	}
	e, err := startEngine(ctx, dir, noOpParallelism, nil)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := e.deploy(ctx, d); err != nil {
		return nil, nil, 0, withStop(ctx, e, err)
	}
	warmUp = e.store.recorded()
	runtime.GC() // the garbage of what was measured before is not this load's
	took, err := e.run(ctx, d, runs)
	batches = e.store.recorded()
	return warmUp, batches, float64(runs*len(d.Tasks)) / took.Seconds(), withStop(ctx, e, err)
}

// withStop stops an engine, after an error or without one.
func withStop(ctx context.Context, e *engine, err error) error {
	if stopErr := e.stop(ctx); err == nil {
		return stopErr
	}
	return err
}

func (b *bench) writeBare(ctx context.Context, warmUp, batches []store.Changes, tasks int) (rate float64, err error) {
	dir, err := b.folder("limit")
	if err != nil {
		return 0, err
	}
	l, err := openLimit(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer func() {
		if closeErr := l.close(); err == nil {
			err = closeErr
		}
	}()
	if _, err := l.write(ctx, warmUp); err != nil {
		return 0, err
	}
	runtime.GC()
	took, err := l.write(ctx, batches)
	return float64(tasks) / took.Seconds(), err
}
