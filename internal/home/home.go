// Package home is the folder that holds everything Gust writes: database, key, logs, the scheduler's lock and the wake
// file.
package home

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gust/internal/filelock"
)

// Names inside a home.
const (
	LockFile = "scheduler.lock"
	WakeFile = "wake"
	KeyFile  = "fernet.key"
)

// Create makes the folder, readable for its owner only (0700), with the folders above it. An existing one keeps its
// mode.
func Create(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("create the home folder: %w; set GUST_HOME to a folder that this user may write to", err)
		}
		return fmt.Errorf("create the home folder: %w", err)
	}
	return nil
}

// Holder is the process that holds a lock.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

// HeldError says that another scheduler runs on this home. Holder.PID is 0 when it could not be told who.
type HeldError struct {
	Home   string
	Holder Holder
}

func (e *HeldError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("another scheduler uses %s; stop it, or set GUST_HOME to another folder", e.Home)
	}
	return fmt.Sprintf("another scheduler uses %s: process %d on %s, started %s; stop it, or set GUST_HOME to another "+
		"folder", e.Home, e.Holder.PID, e.Holder.Host, e.Holder.Started.Local().Format("2006-01-02 15:04:05"))
}

// lockPatience is how long Lock waits for somebody who only looked whether there is a scheduler, or is just being killed.
const lockPatience = 250 * time.Millisecond

// Lock makes this process the home's only scheduler until Release is called or the process ends, in whatever way. It
// returns *HeldError when there is one.
func Lock(home string, started time.Time) (*filelock.Lock, error) {
	path := filepath.Join(home, LockFile)
	lock, err := filelock.Try(path)
	if errors.Is(err, filelock.ErrHeld) {
		ctx, cancel := context.WithTimeoutCause(context.Background(), lockPatience, filelock.ErrHeld)
		lock, err = filelock.Acquire(ctx, path)
		cancel()
	}
	if errors.Is(err, filelock.ErrHeld) {
		held := &HeldError{Home: home}
		// Best effort: the holder may just be writing this down.
		if text, err := os.ReadFile(path); err == nil {
			_ = json.Unmarshal(text, &held.Holder)
		}
		return nil, held
	}
	if err != nil {
		return nil, fmt.Errorf("lock the home folder: %w", err)
	}
	if err := describe(lock.File(), started); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the home folder: %w", err), lock.Release())
	}
	return lock, nil
}

// Alive reports whether a scheduler runs on the home.
func Alive(home string) bool {
	path := filepath.Join(home, LockFile)
	if _, err := os.Stat(path); err != nil {
		return false
	}
	lock, err := filelock.Try(path)
	if err != nil {
		return errors.Is(err, filelock.ErrHeld)
	}
	_ = lock.Release() // it was only to see whether somebody holds it
	return false
}

func describe(f *os.File, started time.Time) error {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	text, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Started: started.UTC()})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	return err
}
