package home

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if Alive(dir) {
		t.Error("a scheduler is alive in a new home")
	}
	if _, err := os.Stat(filepath.Join(dir, LockFile)); err == nil {
		t.Error("looking has made a lock file")
	}
	lock, err := Lock(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !Alive(dir) {
		t.Error("a scheduler with the lock is not alive")
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if Alive(dir) {
		t.Error("a scheduler that has ended is alive")
	}
}

// TestLookingDoesNotRefuseAScheduler takes the lock again and again while others look.
func TestLookingDoesNotRefuseAScheduler(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop := make(chan struct{})
	var looking sync.WaitGroup
	for range 2 {
		looking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					Alive(dir)
				}
			}
		})
	}
	for range 200 {
		lock, err := Lock(dir, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Release(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	looking.Wait()
}
