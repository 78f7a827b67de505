//go:build unix && !linux

package shell

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

func (s *Starter) start(path string, args []string, attr *os.ProcAttr) (*child, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true}
	proc, err := os.StartProcess(path, args, attr)
	return &child{Process: proc}, err
}

// child is a started process. There is no portable way to wait without reaping, so await reaps.
type child struct {
	*os.Process
	state *os.ProcessState
	err   error
}

func (c *child) await() { c.state, c.err = c.Wait() }

func (c *child) reap() (*os.ProcessState, error) { return c.state, c.err }
