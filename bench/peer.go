package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gust/dag"
	"gust/internal/home"
	"gust/store"
	"gust/store/sqlite"
)

// job is what Gust and the peer both do.
type job struct {
	name  string
	steps int
	chain bool
	runs  int
}

var jobs = []job{
	{"100 in sequence", 100, true, 1},
	{"200 in parallel", 200, false, 1},
	{"100 runs of 5 in sequence", 5, true, 100},
}

func (j job) tasks() float64 { return float64(j.steps * j.runs) }

// outcome is how a job went.
type outcome struct {
	took   time.Duration
	memory float64 // MB at its peak, without the bash processes
}

// peer runs the same jobs by Gust's daemon and by Dagu.
func (b *bench) peer(ctx context.Context) ([]result, error) {
	dagu := filepath.Join(b.tools, "dagu", "package", "bin", "dagu")
	if _, err := os.Stat(dagu); b.tools == "" || err != nil {
		return []result{{Name: "Dagu", Note: "not measured: its binary is absent; fetch it with ./scripts/bench-tools.sh DIR and give -tools DIR"}}, nil
	}
	version, err := exec.CommandContext(ctx, dagu, "version").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("dagu version: %w", err)
	}
	lines := strings.Fields(string(version))
	name := "Dagu " + lines[len(lines)-1]
	binary, err := b.binary(ctx)
	if err != nil {
		return nil, err
	}
	var rates, memories []result
	for _, j := range jobs {
		ours, theirs, err := b.compete(ctx, j, binary, dagu)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.name, err)
		}
		rate := func(o outcome) float64 { return j.tasks() / o.took.Seconds() }
		rates = append(rates, result{Name: j.name, Value: rate(ours), Unit: "tasks/s"}.
			times(rate(theirs), name).atLeast(10, "at least 10x"))
		memories = append(memories, result{Name: j.name + ", memory", Value: ours.memory, Unit: "MB"}.
			times(theirs.memory, name).atMost(0.1, "at most 0.1x"))
	}
	rates[0].Note = "from the request to the end of the last run, both writing to this disk; Gust: its daemon with default " +
		"settings; Dagu: dagu start, the fastest way it has"
	rates[2].Note = fmt.Sprintf("Dagu runs each in a process of its own, here %d at once; its queue is slower", daguAtOnce)
	memories[0].Note = "PSS at its peak, of the daemon and of the dagu processes, without the bash processes of either"
	return append(rates, memories...), nil
}

// compete lets both do a job in turns and returns the medians.
func (b *bench) compete(ctx context.Context, j job, binary, dagu string) (ours, theirs outcome, err error) {
	var gustTook, daguTook, gustMemory, daguMemory []float64
	for range b.profile.repeats {
		o, err := b.gustJob(ctx, j, binary)
		if err != nil {
			return ours, theirs, fmt.Errorf("gust: %w", err)
		}
		gustTook, gustMemory = append(gustTook, o.took.Seconds()), append(gustMemory, o.memory)
		if o, err = b.daguJob(ctx, j, dagu); err != nil {
			return ours, theirs, fmt.Errorf("dagu: %w", err)
		}
		daguTook, daguMemory = append(daguTook, o.took.Seconds()), append(daguMemory, o.memory)
	}
	middle := func(took, memory []float64) outcome {
		return outcome{time.Duration(median(took) * float64(time.Second)), median(memory)}
	}
	return middle(gustTook, gustMemory), middle(daguTook, daguMemory), nil
}

// gustJob starts a daemon, queues the runs in its database as "gust dags trigger" does, and waits for their ends.
func (b *bench) gustJob(ctx context.Context, j job, binary string) (o outcome, err error) {
	dir, err := b.folder("gust-job")
	if err != nil {
		return o, err
	}
	homeDir, pipelines := filepath.Join(dir, "home"), filepath.Join(dir, "pipelines")
	files := map[string]string{"job.yaml": gustYAML("job", "", j.steps, j.chain), "warm.yaml": gustYAML("warm", "", 1, true)}
	if err := errors.Join(writeFiles(homeDir, nil), writeFiles(pipelines, files)); err != nil {
		return o, err
	}
	d, err := startDaemon(ctx, binary, homeDir, pipelines)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	rows, err := sqlite.Open(ctx, filepath.Join(homeDir, "gust.db"), sqlite.Options{})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if _, err := triggerAndWait(ctx, rows, homeDir, "warm", 1); err != nil {
		return o, err
	}
	memory := startSampler(d.pid())
	defer func() { o.memory = memory.end() }()
	o.took, err = triggerAndWait(ctx, rows, homeDir, "job", j.runs)
	return o, err
}

func triggerAndWait(ctx context.Context, rows *sqlite.Store, homeDir, dagID string, runs int) (time.Duration, error) {
	start := time.Now()
	for i := range runs {
		now := time.Now().UTC()
		r := &dag.Run{
			RunKey: dag.RunKey{DagID: dagID, RunID: fmt.Sprintf("manual__%s_%d", now.Format(time.RFC3339), i)},
			State:  dag.RunQueued, Type: dag.RunManual, RunAfter: now, QueuedAt: now, TriggeredBy: dag.ByCLI,
		}
		if err := rows.RunCreate(ctx, r); err != nil {
			return 0, err
		}
		if err := home.Wake(homeDir); err != nil {
			return 0, err
		}
	}
	unfinished := &store.RunListParams{DagID: dagID, States: []dag.RunState{dag.RunQueued, dag.RunRunning}, Limit: 1}
	for {
		open, err := rows.RunList(ctx, unfinished)
		if err != nil {
			return 0, err
		}
		if len(open) == 0 {
			break
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return 0, err
		}
	}
	took := time.Since(start)
	failed, err := rows.RunList(ctx, &store.RunListParams{DagID: dagID, States: []dag.RunState{dag.RunFailed}, Limit: 1})
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("run %s failed: %s", failed[0].RunID, failed[0].Reason)
	}
	return took, err
}

// daguAtOnce is how many dagu processes run at once: more are no faster on few cores.
const daguAtOnce = 8

// daguJob runs "dagu start" once for each run.
func (b *bench) daguJob(ctx context.Context, j job, dagu string) (o outcome, err error) {
	dir, err := b.folder("dagu-job")
	if err != nil {
		return o, err
	}
	// A DAG runs once at a time, so every run gets a file of its own.
	files := map[string]string{"warm.yaml": daguYAML(1, true)}
	todo := make(chan string, j.runs)
	for i := range j.runs {
		name := fmt.Sprintf("job%03d.yaml", i)
		files[name] = daguYAML(j.steps, j.chain)
		todo <- name
	}
	close(todo)
	if err := writeFiles(dir, files); err != nil {
		return o, err
	}
	memory := startSampler()
	defer func() { o.memory = memory.end() }()
	if err := daguStart(ctx, dagu, dir, "warm.yaml", memory); err != nil { // the first start writes its example files
		return o, err
	}
	failures := make([]error, daguAtOnce)
	var workers sync.WaitGroup
	start := time.Now()
	for i := range daguAtOnce {
		workers.Go(func() {
			for name := range todo {
				failures[i] = errors.Join(failures[i], daguStart(ctx, dagu, dir, name, memory))
			}
		})
	}
	workers.Wait()
	o.took = time.Since(start)
	return o, errors.Join(failures...)
}

func daguStart(ctx context.Context, dagu, dir, file string, memory *sampler) error {
	cmd := exec.CommandContext(ctx, dagu, "start", "-q", file)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DAGU_HOME="+filepath.Join(dir, "home"), "HOME="+dir)
	output := newTail("")
	cmd.Stderr = output
	if err := cmd.Start(); err != nil {
		return err
	}
	memory.add(cmd.Process.Pid)
	err := cmd.Wait()
	memory.remove(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("dagu start %s: %w\n%s", file, err, output)
	}
	return nil
}
