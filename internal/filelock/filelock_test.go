//go:build unix

package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLock(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, path := range map[string]string{"file": filepath.Join(folder, "lock"), "folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, err := Try(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Try(path); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), path) {
				t.Errorf("second holder: %v", err)
			}
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			if _, err := Acquire(ctx, path); !errors.Is(err, cause) {
				t.Errorf("waiting with an ended context: %v", err)
			}
			for range 2 {
				if err := first.Release(); err != nil {
					t.Fatal(err)
				}
			}
			second, err := Acquire(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if err := second.Release(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestOnlyOneAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var inside, most atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, err := Acquire(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			most.Store(max(most.Load(), inside.Add(1)))
			inside.Add(-1)
			if err := l.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held the lock at once", most.Load())
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("lock file: %v, %v; want mode 0600", info, err)
	}
}

func TestNoFolder(t *testing.T) {
	t.Parallel()
	if _, err := Try(filepath.Join(t.TempDir(), "none", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a missing folder: %v", err)
	}
}
