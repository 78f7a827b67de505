package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// findDagu is Dagu, if its binary is there.
func (b *bench) findDagu(ctx context.Context) (rival, error) {
	program := filepath.Join(b.tools, "dagu", "package", "bin", "dagu")
	if !isFile(program) {
		return rival{}, errors.New("its binary is absent; fetch it with ./scripts/bench-tools.sh DIR and give -tools DIR")
	}
	name, err := daguName(ctx, program)
	d := &dagu{b, program}
	return rival{name: name, do: d.do, wait: d.wait, crash: d.crash}, err
}

// daguName is its name and version.
func daguName(ctx context.Context, program string) (string, error) {
	version, err := exec.CommandContext(ctx, program, "version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("dagu version: %w", err)
	}
	if words := strings.Fields(string(version)); len(words) > 0 {
		return "Dagu " + words[len(words)-1], nil
	}
	return "Dagu", nil
}

// wait has one run of many steps look for a file, each again and again.
func (d *dagu) wait(ctx context.Context, sensors int) (o sensorOutcome, err error) {
	flag, err := d.bench.flagFile()
	if err != nil {
		return o, err
	}
	dir, err := d.bench.folder("dagu-sensors")
	if err != nil {
		return o, err
	}
	file := daguSteps(sensors, false, fmt.Sprintf("    command: test -f %s\n    repeatPolicy:\n      repeat: until\n      exitCode: [0]\n"+
		"      intervalSec: %.0f\n", flag, peerPoke.Seconds()))
	if err := writeFiles(dir, map[string]string{"sensors.yaml": file}); err != nil {
		return o, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Minute, errors.New("not done within 15 minutes"))
	defer cancel()
	run := d.command(ctx, dir, "start", "-q", "sensors.yaml")
	if err := run.Start(); err != nil {
		return o, err
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	if err := o.watch(ctx, run.Process.Pid); err != nil {
		cancel()
		return o, errors.Join(err, <-ended)
	}
	released := time.Now()
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		cancel()
		return o, errors.Join(err, <-ended)
	}
	err = <-ended
	// One process holds the run; when single steps ended it shows to the second only.
	o.released = []time.Duration{time.Since(released)}
	return o, err
}

// crash kills a run with all of its processes, starts the scheduler, which looks for such runs, and asks until the run is
// not shown as running any more.
func (d *dagu) crash(ctx context.Context) (took time.Duration, shown string, err error) {
	dir, err := d.bench.folder("dagu-crash")
	if err != nil {
		return 0, "", err
	}
	dags := filepath.Join(dir, "home", "dags")
	if err := writeFiles(dags, map[string]string{"crash.yaml": crashYAML(false)}); err != nil {
		return 0, "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("still shown as running after five minutes"))
	defer cancel()
	file := filepath.Join(dags, "crash.yaml")
	run := d.command(ctx, dir, "start", "-q", file)
	if err := run.Start(); err != nil {
		return 0, "", err
	}
	if err := pause(ctx, time.Second); err != nil {
		return 0, "", err
	}
	killed := time.Now()
	killAll(descendants([]int{run.Process.Pid}))
	_ = run.Wait() // reports the kill
	scheduler := d.command(ctx, dir, "scheduler")
	if err := scheduler.Start(); err != nil {
		return 0, "", err
	}
	defer func() {
		killAll(descendants([]int{scheduler.Process.Pid}))
		_ = scheduler.Wait() // reports the kill
	}()
	for {
		out, err := d.command(ctx, dir, "status", file).CombinedOutput()
		if ctx.Err() != nil {
			return 0, "", context.Cause(ctx)
		}
		state, _, _ := strings.Cut(string(out), " ")
		switch {
		case err != nil:
			return 0, "", fmt.Errorf("dagu status: %w: %s", err, out)
		case state != "Running":
			return time.Since(killed), "the run is shown as " + strings.ToLower(state) + " and is not resumed", nil
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return 0, "", err
		}
	}
}

// killAll kills processes as kill -9 does; those that have ended meanwhile do not matter.
func killAll(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
