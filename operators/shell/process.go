package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gust/internal/childprocess"
)

// drainTime is how long the output is read on after the shell's end: something in its background may still be writing
// the last lines (a process substitution). What holds the pipe longer is killed.
const drainTime = 2 * time.Second

// command is one process group and its output.
type command struct {
	args     []string
	dir      string
	env      []string
	marker   string // this attempt's entry of env
	cleanup  time.Duration
	log      *slog.Logger
	decode   func([]byte) string
	keepLast bool
	// stdin is the standard input; nil is none.
	stdin *os.File
	// out reads the standard output to its end instead of having it logged; nil logs it.
	out func(io.Reader)
	// tail gets the standard error as well as the log; nil for nobody.
	tail io.Writer

	stdout, stderr childprocess.Lines
}

// exit is how a process ended.
type exit struct {
	status int
	signal syscall.Signal
}

func (e exit) code() string {
	if e.signal != 0 {
		return strconv.Itoa(-int(e.signal))
	}
	return strconv.Itoa(e.status)
}

func (e exit) signalName() string { return fmt.Sprintf("%d (%s)", int(e.signal), e.signal) }

var bashPath = sync.OnceValues(func() (string, error) { return exec.LookPath("bash") })

// run starts the command and returns when nothing of it is left. An error says that it could not start, or that ctx
// ended it.
func (c *command) run(ctx context.Context, s *childprocess.Starter) (exit, error) {
	path, err := bashPath()
	if err != nil {
		return exit{}, fmt.Errorf("bash is needed to run this task: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return exit{}, fmt.Errorf("the command was not started: %w", context.Cause(ctx))
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return exit{}, fmt.Errorf("a pipe for the output: %w", err)
	}
	defer func() { _ = outR.Close() }() // closed twice at worst
	errR, errW, err := os.Pipe()
	if err != nil {
		return exit{}, errors.Join(fmt.Errorf("a pipe for the output: %w", err), outW.Close())
	}
	defer func() { _ = errR.Close() }() // closed twice at worst
	stdin := c.stdin
	if stdin == nil {
		stdin = s.Null()
	}
	proc, err := s.Start(path, c.args, &os.ProcAttr{Dir: c.dir, Env: c.env, Files: []*os.File{stdin, outW, errW}})
	err = errors.Join(err, outW.Close(), errW.Close())
	if err != nil {
		return exit{}, fmt.Errorf("starting bash: %w", err)
	}
	c.stdout = childprocess.Lines{Log: c.log.With("source", "stdout"), Decode: c.decode, Keep: c.keepLast}
	c.stderr = childprocess.Lines{Log: c.log.With("source", "stderr"), Decode: c.decode}
	var readers sync.WaitGroup
	readers.Go(func() { c.readOutput(outR) })
	readers.Go(func() { c.readErrors(errR) })
	drained := make(chan struct{})
	go func() { readers.Wait(); close(drained) }()

	killed := c.await(ctx, proc)
	state, err := c.clearUp(proc, drained, outR, errR)
	switch {
	case killed != nil:
		return exit{}, fmt.Errorf("the command was stopped: %w", killed)
	case err != nil:
		return exit{}, fmt.Errorf("waiting for bash: %w", err)
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exit{signal: ws.Signal()}, nil
	}
	return exit{status: state.ExitCode()}, nil
}

func (c *command) readOutput(r io.Reader) {
	if c.out != nil {
		c.out(r)
		return
	}
	c.stdout.Read(r)
}

func (c *command) readErrors(r io.Reader) {
	if c.tail != nil {
		r = io.TeeReader(r, c.tail)
	}
	c.stderr.Read(r)
}

// await waits for the shell's end. When ctx ends first, it ends the group and returns the cause.
func (c *command) await(ctx context.Context, proc *childprocess.Child) error {
	ended := make(chan struct{})
	go func() { proc.Await(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	c.log.Warn("Sending SIGTERM signal to process group", "reason", cause.Error())
	childprocess.SignalGroup(proc.Pid, syscall.SIGTERM)
	grace := time.NewTimer(c.cleanup)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		c.log.Warn("the command did not end in time after SIGTERM; sending SIGKILL", "after", c.cleanup.String())
		childprocess.SignalGroup(proc.Pid, syscall.SIGKILL)
		<-ended
	}
	return cause
}

// clearUp reads the rest of the output, kills what the shell left behind and reaps it. The shell is still a zombie when
// its group is killed, so the group's number cannot belong to anybody else.
func (c *command) clearUp(proc *childprocess.Child, drained chan struct{}, pipes ...*os.File) (*os.ProcessState, error) {
	drain := time.NewTimer(drainTime)
	defer drain.Stop()
	select {
	case <-drained:
		childprocess.SignalGroup(proc.Pid, syscall.SIGKILL)
	case <-drain.C:
		c.log.Warn("the command left processes behind that hold its output; killing them")
		childprocess.SignalGroup(proc.Pid, syscall.SIGKILL)
		childprocess.KillMarked(c.marker)
	}
	state, err := proc.Reap()
	for _, p := range pipes {
		// Ends the readers even if a process that no mark tells survives.
		_ = p.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // a pipe that is closed needs none
	}
	<-drained
	return state, err
}

func (c *command) last() (string, bool) { return c.stdout.Last() }
