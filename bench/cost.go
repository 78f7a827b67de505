package main

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// spent is what a load took: time on the clock, and on the processors in this process and the kernel on its behalf.
type spent struct{ clock, processor time.Duration }

// cost measures what one task costs in runs of 100, 1,000 and 10,000 tasks: it must not grow with the run.
func (b *bench) cost(ctx context.Context) ([]result, error) {
	sizes := []int{100, 1000, 10_000}
	times := []int{20, 2, 1}                                                         // runs of each size
	clock, processor := make([][]float64, len(sizes)), make([][]float64, len(sizes)) // microseconds a task
	for range b.profile.repeats {
		for i, size := range sizes { // in turns: a slow minute of the machine hits all sizes
			s, err := b.runSize(ctx, size, times[i])
			if err != nil {
				return nil, err
			}
			tasks := float64(size * times[i])
			clock[i] = append(clock[i], s.clock.Seconds()*1e6/tasks)
			processor[i] = append(processor[i], s.processor.Seconds()*1e6/tasks)
		}
	}
	for i, size := range sizes {
		b.grow("time of a task, by the size of its run", "µs", size, median(clock[i]))
	}
	var results []result
	for _, kind := range []struct {
		name  string
		costs [][]float64
		aimed bool
	}{{"", clock, true}, {", processor time", processor, false}} {
		smallest := median(kind.costs[0])
		for i, size := range sizes {
			name := fmt.Sprintf("a run of %s%s", number(float64(size)), kind.name)
			r := result{Name: name, Value: median(kind.costs[i]), Unit: "µs/task"}
			if i > 0 {
				r = r.times(smallest, "run of 100")
			}
			if i > 0 && kind.aimed {
				r = r.atMost(1.25, "at most 1.25x")
			}
			results = append(results, r)
		}
	}
	return results, nil
}

// runSize runs a DAG of so many tasks so many times, one run after the other.
func (b *bench) runSize(ctx context.Context, size, times int) (sum spent, err error) {
	d, err := flat(fmt.Sprintf("flat_%d", size), size, noOps)
	if err != nil {
		return sum, err
	}
	dir, err := b.folder(d.ID)
	if err != nil {
		return sum, err
	}
	e, err := startEngine(ctx, dir, noOpParallelism, nil)
	if err != nil {
		return sum, err
	}
	if err := e.deploy(ctx, d); err != nil {
		return sum, withStop(ctx, e, err)
	}
	runtime.GC()
	before := processorTimeUsed()
	for range times {
		took, err := e.run(ctx, d, 1)
		if err != nil {
			return sum, withStop(ctx, e, err)
		}
		sum.clock += took
		e.store.recorded() // forget
	}
	sum.processor = processorTimeUsed() - before
	return sum, withStop(ctx, e, nil)
}

// processorTimeUsed is how long this process has run on a processor so far, in its own code and in the kernel.
func processorTimeUsed() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
