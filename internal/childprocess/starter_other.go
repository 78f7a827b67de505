//go:build unix && !linux

package childprocess

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Starter starts processes. This system has no parent death signal: after the daemon was killed with SIGKILL a command
// runs on until it ends by itself.
type Starter struct {
	stdin   *os.File
	scratch scratch
}

// NewStarter prepares the starter. Close frees it.
func NewStarter() (*Starter, error) {
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("standard input for commands: %w", err)
	}
	return &Starter{stdin: stdin}, nil
}

// Close frees the starter.
func (s *Starter) Close() error {
	s.scratch.remove()
	if err := s.stdin.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Start starts a process in a process group of its own.
func (s *Starter) Start(path string, args []string, attr *os.ProcAttr) (*Child, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true}
	proc, err := os.StartProcess(path, args, attr)
	return &Child{Process: proc}, err
}

// Child is a started process. There is no portable way to wait without reaping, so Await reaps.
type Child struct {
	*os.Process
	state *os.ProcessState
	err   error
}

// Await returns when the process has ended.
func (c *Child) Await() { c.state, c.err = c.Wait() }

// Reap returns how the process ended.
func (c *Child) Reap() (*os.ProcessState, error) { return c.state, c.err }

// Null is an open /dev/null, the standard input of children.
func (s *Starter) Null() *os.File { return s.stdin }
