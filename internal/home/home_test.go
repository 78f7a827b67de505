package home

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const envLock = "GUST_TEST_LOCK_HOME"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envLock); dir != "" {
		_, err := Lock(dir, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		fmt.Println(err)
		// Ends without releasing, when its standard input is closed.
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	}
	goleak.VerifyTestMain(m)
}

func TestCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := Create(path); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("home: %v, %v; want mode 0700", info, err)
	}
	file := filepath.Join(path, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(file); err == nil || !strings.Contains(err.Error(), "home folder") {
		t.Errorf("a file as home: %v", err)
	}
}

func TestLockBetweenProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envLock+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100)
	n, err := out.Read(answer)
	if err != nil || strings.TrimSpace(string(answer[:n])) != "<nil>" {
		t.Fatalf("the other process: %q, %v", answer[:n], err)
	}
	_, err = Lock(dir, time.Now())
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("a second scheduler: %v", err)
	}
	if held.Holder.PID != cmd.Process.Pid || !held.Holder.Started.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("holder %+v, want process %d", held.Holder, cmd.Process.Pid)
	}
	for _, want := range []string{dir, fmt.Sprintf("process %d", cmd.Process.Pid), "started 2026-01-0", "GUST_HOME"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	lock, err := Lock(dir, time.Now())
	if err != nil {
		t.Fatalf("after the holder's end: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestHeldByNobodyKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := Lock(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release() //nolint:errcheck // the test's end
	if err := os.WriteFile(filepath.Join(dir, LockFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Lock(dir, time.Now())
	var held *HeldError
	if !errors.As(err, &held) || held.Holder.PID != 0 || !strings.Contains(err.Error(), "another scheduler") {
		t.Errorf("error %v", err)
	}
	if _, err := Lock(filepath.Join(dir, "none"), time.Now()); err == nil || errors.As(err, &held) && held.Home == "" {
		t.Errorf("lock of a missing home: %v", err)
	}
}

// wait takes one wake; a second is far longer than notifications or polls take.
func wait(t *testing.T, wakes <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-wakes:
	case <-time.After(time.Second):
		t.Fatalf("%s: no wake within a second", what)
	}
}

func drain(wakes <-chan struct{}) {
	for {
		select {
		case <-wakes:
		case <-time.After(2 * pollEvery):
			return
		}
	}
}

func TestWake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Wake(dir); err != nil {
		t.Fatalf("without a watcher: %v", err)
	}
	wakes, stop, err := Watch(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for n := range 3 {
		start := time.Now()
		if err := Wake(dir); err != nil {
			t.Fatal(err)
		}
		wait(t, wakes, fmt.Sprint("wake ", n))
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Logf("wake %d took %s", n, took)
		}
		drain(wakes)
	}
	// Writes to other files in the folder are none.
	if err := os.WriteFile(filepath.Join(dir, "gust.db-wal"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-wakes:
		t.Error("woken by another file")
	case <-time.After(2 * pollEvery):
	}
	// A file that was removed and comes back still wakes.
	if err := os.Remove(filepath.Join(dir, WakeFile)); err != nil {
		t.Fatal(err)
	}
	drain(wakes)
	if err := Wake(dir); err != nil {
		t.Fatal(err)
	}
	wait(t, wakes, "wake after the file was removed")
}

func TestPoll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := &watch{path: filepath.Join(dir, WakeFile), wakes: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.run(ctx) }()
	if err := Wake(dir); err != nil {
		t.Fatal(err)
	}
	wait(t, w.wakes, "wake found by looking")
	cancel()
	<-done
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, stop, err := Watch(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	stop()
	stop()
	if _, _, err := Watch(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing home is watched")
	}
	if err := Wake(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing home is woken")
	}
}
