//go:build unix

// Package filelock is an exclusive lock between processes. The operating system releases it when its holder ends, also
// by kill -9, so a stale lock cannot exist.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHeld means that another process, or another holder in this process, has the lock.
var ErrHeld = errors.New("lock is held")

// retryEvery is how often Acquire looks again: flock has no wait that a context can end.
const retryEvery = 5 * time.Millisecond

// Lock is a held lock.
type Lock struct {
	file *os.File
	once sync.Once
	err  error
}

// Try takes the lock on path at once, or returns ErrHeld. Path is a file, created with mode 0600 when absent, or an
// existing folder, which then is the lock itself and leaves no file behind.
func Try(path string) (*Lock, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	return try(f)
}

// Acquire waits for the lock on path until ctx ends.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock on %s: %w", path, context.Cause(ctx))
		case <-timer.C:
		}
		l, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return l, err
		}
		timer.Reset(retryEvery)
	}
}

func open(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return os.Open(path)
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

func try(f *os.File) (*Lock, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return &Lock{file: f}, nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		name := f.Name()
		_ = f.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", name, ErrHeld)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
}

// File is the locked file, for the holder to describe itself in. It must not be closed.
func (l *Lock) File() *os.File { return l.file }

// Release gives the lock back. It may be called more than once.
func (l *Lock) Release() error {
	l.once.Do(func() { l.err = l.file.Close() })
	return l.err
}
