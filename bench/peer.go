package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// job is what Gust and the peer both do.
type job struct {
	name  string
	steps int
	chain bool
	runs  int
	// queued says that the peer's daemon gets the runs through its queue, as Gust's does. Otherwise "dagu start" executes
	// them, a process each and without its daemon, which is the fastest that it can do.
	queued bool
	// light says that a task computes a little in Python; otherwise it is bash -c true.
	light bool
}

var jobs = []job{
	{name: "100 in sequence", steps: 100, chain: true, runs: 1},
	{name: "200 in parallel", steps: 200, runs: 1},
	{name: "100 runs of 5, by its daemon", steps: 5, chain: true, runs: 100, queued: true},
	{name: "100 runs of 5, by dagu start", steps: 5, chain: true, runs: 100},
}

func (j job) tasks() float64 { return float64(j.steps * j.runs) }

// outcome is how a job went.
type outcome struct {
	took   time.Duration
	memory float64 // MB at its peak, without the bash processes
}

// contestant does jobs.
type contestant func(context.Context, job) (outcome, error)

// peer runs the same jobs by Gust's daemon and by Dagu.
func (b *bench) peer(ctx context.Context) ([]result, error) {
	program := filepath.Join(b.tools, "dagu", "package", "bin", "dagu")
	if !isFile(program) {
		const absent = "not measured: its binary is absent; fetch it with ./scripts/bench-tools.sh DIR and give -tools DIR"
		return []result{{Name: "Dagu", Note: absent}}, nil
	}
	name, err := daguName(ctx, program)
	if err != nil {
		return nil, err
	}
	if _, err := b.binary(ctx); err != nil {
		return nil, err
	}
	var rates, memories []result
	for _, j := range jobs {
		ours, theirs, err := b.compete(ctx, j, b.gustJob, (&dagu{b, program}).do)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.name, err)
		}
		rate := func(o outcome) float64 { return j.tasks() / o.took.Seconds() }
		rates = append(rates, result{Name: j.name, Value: rate(ours), Unit: "tasks/s"}.
			times(rate(theirs), name).atLeast(10, "at least 10x"))
		memories = append(memories, result{Name: j.name + ", memory", Value: ours.memory, Unit: "MB"}.
			times(theirs.memory, name).atMost(0.1, "at most 0.1x"))
	}
	return annotate(ctx, rates, memories)
}

// annotate says what was measured, and what the machine can do at best.
func annotate(ctx context.Context, rates, memories []result) ([]result, error) {
	const processes, atOnce = 200, 8
	alone, err := forkAndExec(ctx, "bash", "true", processes, 1)
	if err != nil {
		return nil, err
	}
	together, err := forkAndExec(ctx, "bash", "true", processes, atOnce)
	if err != nil {
		return nil, err
	}
	rates[0].Note = fmt.Sprintf("from the request to the end of the last run, both durable on this disk, Gust by its "+
		"daemon with default settings. Nobody can do more than plain fork and exec: %.0f processes/s in sequence, "+
		"%.0f/s %d at once",
		processes/alone.Seconds(), processes/together.Seconds(), atOnce)
	rates[3].Note = fmt.Sprintf("one process for each run, %d at once, without the peer's daemon and queue", daguAtOnce)
	memories[0].Note = "PSS at its peak, of the daemon and of the dagu processes, without the bash processes of either"
	return append(rates, memories...), nil
}

// compete lets both do a job in turns and returns the medians.
func (b *bench) compete(ctx context.Context, j job, gust, dagu contestant) (ours, theirs outcome, err error) {
	contestants := []contestant{gust, dagu}
	took, memory := make([][]float64, 2), make([][]float64, 2)
	for range b.profile.repeats {
		for i, do := range contestants {
			o, err := do(ctx, j)
			if err != nil {
				return ours, theirs, err
			}
			took[i], memory[i] = append(took[i], o.took.Seconds()), append(memory[i], o.memory)
		}
	}
	middle := func(i int) outcome {
		return outcome{time.Duration(median(took[i]) * float64(time.Second)), median(memory[i])}
	}
	return middle(0), middle(1), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
