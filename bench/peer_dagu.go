package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// daguAtOnce is how many dagu commands run at once; more are no faster on few cores.
	daguAtOnce = 8
	// daguWithin is how long its daemon may take for a job.
	daguWithin = 2 * time.Minute
)

// dagu is the peer. Every job gets a home folder of its own.
type dagu struct {
	bench   *bench
	program string
}

func (d *dagu) do(ctx context.Context, j job) (o outcome, err error) {
	dir, err := d.bench.folder("dagu-job")
	if err == nil {
		if j.queued {
			o, err = d.queued(ctx, j, dir)
		} else {
			o, err = d.started(ctx, j, dir)
		}
	}
	if err != nil {
		return o, fmt.Errorf("dagu: %w", err)
	}
	return o, nil
}

// command is a dagu command on the home below dir. HOME is changed too: that is where it looks for its settings.
func (d *dagu) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DAGU_HOME="+filepath.Join(dir, "home"), "HOME="+dir)
	return cmd
}

// started runs "dagu start" once for each run.
func (d *dagu) started(ctx context.Context, j job, dir string) (o outcome, err error) {
	// A DAG runs once at a time there, so every run gets a file of its own.
	files := map[string]string{"warm.yaml": daguYAML(1, true)}
	commands := make([][]string, j.runs)
	for i := range j.runs {
		name := fmt.Sprintf("job%03d.yaml", i)
		files[name] = daguYAML(j.steps, j.chain)
		if j.light {
			files[lightFile] = lightModule
			files[name] = daguSteps(j.steps, j.chain, fmt.Sprintf("    command: python3 %s\n", filepath.Join(dir, lightFile)))
		}
		commands[i] = []string{"start", "-q", name}
	}
	if err := writeFiles(dir, files); err != nil {
		return o, err
	}
	running := &processes{}
	// Its first start writes example files.
	if err := d.one(ctx, dir, []string{"start", "-q", "warm.yaml"}, running); err != nil {
		return o, err
	}
	memory := startSampler(running.list)
	defer func() { o.memory = memory.end() }()
	start := time.Now()
	err = d.all(ctx, dir, commands, running)
	o.took = time.Since(start)
	return o, err
}

// queued starts its daemon, puts the runs into a queue that lets all of them run at once, and waits for their ends.
func (d *dagu) queued(ctx context.Context, j job, dir string) (o outcome, err error) {
	settings := "queues:\n  enabled: true\n  config:\n" +
		"    - name: main\n      maxConcurrency: 100\n      maxActiveRuns: 100\n"
	file := "queue: main\nmaxActiveRuns: 100\n" + daguYAML(j.steps, j.chain)
	homeDir := filepath.Join(dir, "home")
	err = errors.Join(writeFiles(homeDir, map[string]string{"config.yaml": settings}),
		writeFiles(filepath.Join(homeDir, "dags"), map[string]string{"job.yaml": file}))
	if err != nil {
		return o, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, daguWithin, fmt.Errorf("not done within %s", daguWithin))
	defer cancel()
	daemon := d.command(ctx, dir, "scheduler")
	log := &daguLog{started: make(chan struct{}), ended: make(chan struct{}), runs: j.runs, seen: map[string]bool{}}
	daemon.Stderr, daemon.Stdout = log, log
	if err := daemon.Start(); err != nil {
		return o, err
	}
	defer func() {
		cancel()          // kills it; it takes its time for SIGTERM
		_ = daemon.Wait() // and says so
	}()
	if err := log.wait(ctx, log.started); err != nil {
		return o, err
	}
	memory := startSampler(func() []int { return append(children(daemon.Process.Pid), daemon.Process.Pid) })
	defer func() { o.memory = memory.end() }()
	start := time.Now()
	enqueue := slices.Repeat([][]string{{"enqueue", "-q", filepath.Join(homeDir, "dags", "job.yaml")}}, j.runs)
	if err := d.all(ctx, dir, enqueue, &processes{}); err != nil {
		return o, err
	}
	err = log.wait(ctx, log.ended)
	o.took = time.Since(start)
	return o, err
}

// all executes commands, a few at once.
func (d *dagu) all(ctx context.Context, dir string, commands [][]string, running *processes) error {
	todo := make(chan []string, len(commands))
	for _, c := range commands {
		todo <- c
	}
	close(todo)
	failures := make([]error, daguAtOnce)
	var workers sync.WaitGroup
	for i := range daguAtOnce {
		workers.Go(func() {
			for args := range todo {
				failures[i] = errors.Join(failures[i], d.one(ctx, dir, args, running))
			}
		})
	}
	workers.Wait()
	return errors.Join(failures...)
}

func (d *dagu) one(ctx context.Context, dir string, args []string, running *processes) error {
	cmd := d.command(ctx, dir, args...)
	output := newTail("")
	cmd.Stderr = output
	if err := cmd.Start(); err != nil {
		return err
	}
	running.add(cmd.Process.Pid)
	err := cmd.Wait()
	running.remove(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("dagu %v: %w\n%s", args, err, output)
	}
	return nil
}

// processes is a set of processes.
type processes struct {
	mu   sync.Mutex
	pids []int
}

func (p *processes) add(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pids = append(p.pids, pid)
}

func (p *processes) remove(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pids = slices.DeleteFunc(p.pids, func(other int) bool { return other == pid })
}

func (p *processes) list() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.pids)
}

// daguLog reads the messages of its daemon: when it has started, and which runs have succeeded.
type daguLog struct {
	started, ended chan struct{}
	runs           int // to wait for

	mu    sync.Mutex
	rest  []byte
	begun bool
	seen  map[string]bool
	last  string
}

var daguRun = regexp.MustCompile(`run-id=(\S+) status=succeeded`)

// Write takes messages.
func (l *daguLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		l.line(string(line))
		l.rest = rest
	}
}

func (l *daguLog) line(text string) {
	l.last = text
	if !l.begun && strings.Contains(text, "Scheduler started") {
		l.begun = true
		close(l.started)
	}
	run := daguRun.FindStringSubmatch(text)
	if run == nil || l.seen[run[1]] {
		return
	}
	if l.seen[run[1]] = true; len(l.seen) == l.runs {
		close(l.ended)
	}
}

// wait waits for an event of the log.
func (l *daguLog) wait(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("%w: %d of %d runs have succeeded; its last message: %s",
			context.Cause(ctx), len(l.seen), l.runs, l.last)
	}
}
