package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// binary builds the gust program as a release is built, unless it is given, and returns its path.
func (b *bench) binary(ctx context.Context) (string, error) {
	if b.gust != "" {
		return b.gust, nil
	}
	path := filepath.Join(b.dir, "gust")
	b.say("building ./cmd/gust ...")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "gust/cmd/gust")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ./cmd/gust: %w\n%s", err, bytes.TrimSpace(out))
	}
	b.gust = path
	return path, nil
}

// daemon is a running "gust scheduler".
type daemon struct {
	cmd  *exec.Cmd
	home string
	// began is when the process was started.
	began time.Time
	// took is the time from the start of the process to its word that it is ready.
	took   time.Duration
	output *tail
	ended  chan struct{}
	err    error // how it ended, once ended is closed
}

const (
	readyLine   = "gust is ready"
	readyWithin = 5 * time.Minute // with a million waits in the database
	stopWithin  = 20 * time.Second
)

// startDaemon starts the daemon of a home folder on a folder of pipelines, with the default settings but for those of
// env, and waits until it is ready.
func startDaemon(ctx context.Context, binary, home, pipelines string, env ...string) (*daemon, error) {
	d := &daemon{home: home, output: newTail(readyLine), ended: make(chan struct{})}
	d.cmd = exec.Command(binary, "scheduler") //nolint:noctx // it is stopped in order, see stop
	d.cmd.Dir = home
	d.cmd.Env = append(withoutSettings(os.Environ()), "GUST_HOME="+home, "GUST__CORE__DAGS_FOLDER="+pipelines, "GUST__API__PORT=0")
	d.cmd.Env = append(d.cmd.Env, env...)
	d.cmd.Stderr = d.output
	d.began = time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(d.ended)
		d.err = d.cmd.Wait()
	}()
	timeout := time.NewTimer(readyWithin)
	defer timeout.Stop()
	select {
	case at := <-d.output.seen:
		d.took = at.Sub(d.began)
		return d, nil
	case <-d.ended:
		return nil, fmt.Errorf("gust scheduler ended before it was ready: %w\n%s", d.err, d.output)
	case <-timeout.C:
		err := fmt.Errorf("gust scheduler did not say %q within %s\n%s", readyLine, readyWithin, d.output)
		return nil, errors.Join(err, d.stop())
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), d.stop())
	}
}

func withoutSettings(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "GUST_") {
			kept = append(kept, e)
		}
	}
	return kept
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

// stop ends the daemon in order, or kills it when it takes too long.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timeout := time.NewTimer(stopWithin)
	defer timeout.Stop()
	select {
	case <-d.ended:
		return d.err
	case <-timeout.C:
	}
	err := d.cmd.Process.Kill()
	<-d.ended
	return errors.Join(fmt.Errorf("gust scheduler did not stop within %s of SIGTERM and was killed", stopWithin), err)
}

// tail takes a process's messages: it keeps the last lines and tells when one holds a text.
type tail struct {
	text string
	seen chan time.Time // has room for one

	mu    sync.Mutex
	found bool
	rest  []byte
	last  []string
}

const tailLines = 10

func newTail(text string) *tail { return &tail{text: text, seen: make(chan time.Time, 1)} }

// Write takes output of the process.
func (t *tail) Write(p []byte) (int, error) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rest = append(t.rest, p...)
	for {
		advance, line, err := bufio.ScanLines(t.rest, false)
		if err != nil || advance == 0 {
			return len(p), err
		}
		if t.last = append(t.last, string(line)); len(t.last) > tailLines {
			t.last = t.last[1:]
		}
		if !t.found && bytes.Contains(line, []byte(t.text)) {
			t.found = true
			t.seen <- now
		}
		t.rest = t.rest[advance:]
	}
}

// String is the last lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.last, "\n")
}
