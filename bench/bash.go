package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

// bash measures tasks that start a process, beside the plain start of as many processes at once.
func (b *bench) bash(ctx context.Context) ([]result, error) {
	var results []result
	for _, parallelism := range []int{8, 1} {
		engine, plain, err := b.compareBash(ctx, parallelism)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%d at once", parallelism)
		r := result{Name: name, Value: engine, Unit: "tasks/s"}.slower(plain, "fork and exec")
		if parallelism > 1 {
			r = r.atMost(1.5, "at most 1.5x slower")
		}
		results = append(results, r)
	}
	return results, nil
}

// compareBash takes turns and returns tasks and processes per second.
func (b *bench) compareBash(ctx context.Context, parallelism int) (engine, plain float64, err error) {
	n := b.profile.processes
	if parallelism == 1 {
		n /= 2
	}
	d, err := flat("bash", n, bashTrue)
	if err != nil {
		return 0, 0, err
	}
	dir, err := b.folder("bash")
	if err != nil {
		return 0, 0, err
	}
	e, err := startEngine(ctx, dir, parallelism, nil)
	if err != nil {
		return 0, 0, err
	}
	if err := e.deploy(ctx, d); err != nil {
		return 0, 0, withStop(ctx, e, err)
	}
	var engineRates, plainRates []float64
	for range b.profile.pairs {
		took, err := forkAndExec(ctx, "bash", "true", n, parallelism)
		if err != nil {
			return 0, 0, withStop(ctx, e, err)
		}
		plainRates = append(plainRates, float64(n)/took.Seconds())
		if took, err = e.run(ctx, d, 1); err != nil {
			return 0, 0, withStop(ctx, e, err)
		}
		engineRates = append(engineRates, float64(n)/took.Seconds())
	}
	return median(engineRates), median(plainRates), withStop(ctx, e, nil)
}

// forkAndExec starts a program n times with -c and what it is to do, so many at once, and waits for their ends.
func forkAndExec(ctx context.Context, program, what string, n, parallelism int) (time.Duration, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return 0, err
	}
	todo := make(chan struct{}, n)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	failures := make([]error, parallelism)
	var workers sync.WaitGroup
	start := time.Now()
	for i := range parallelism {
		workers.Go(func() {
			for range todo {
				failures[i] = errors.Join(failures[i], exec.CommandContext(ctx, path, "-c", what).Run())
			}
		})
	}
	workers.Wait()
	return time.Since(start), errors.Join(failures...)
}
