//go:build unix

package pyworker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"gust/internal/childprocess"
)

func callFunc(tb testing.TB, p *Pool, file, fn string, args ...any) (string, error) {
	tb.Helper()
	var log logBook
	res, err := p.Call(tb.Context(), &Request{
		Callable: Callable{File: file, Name: fn}, Args: args, WantValue: true, Log: log.logger(),
	})
	if err != nil {
		return "", err
	}
	return string(res.Value), nil
}

func mustCall(tb testing.TB, p *Pool, file, fn string, args ...any) string {
	tb.Helper()
	v, err := callFunc(tb, p, file, fn, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

const lifeFunctions = `
import os, signal, subprocess, sys, time
STATE = []
def leak(): STATE.append(1); sys.modules["leaked"] = os; return [len(STATE), os.getpid(), os.getppid()]
def version(): return list(sys.version_info[:2])
def deaf(fifo):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait(fifo)
def polite(fifo):
    try: wait(fifo)
    finally: print("cleaned up")
def group(fifo):
    a = subprocess.Popen(["sh", "-c", "trap '' TERM; exec sleep 1000"])
    b = subprocess.Popen(["setsid", "sleep", "1000"])
    wait(fifo, [str(a.pid), str(b.pid)])
def background():
    return subprocess.Popen(["sleep", "1000"]).pid
def escapes():
    return subprocess.Popen(["setsid", "sleep", "1000"]).pid
def wait(fifo, more=()):
    with open(fifo, "w") as f: f.write(" ".join([str(os.getpid()), *more]) + "\n")
    while True: time.sleep(1000)
def noop(): pass
`

// interrupt calls fn(fifo), ends the call's context with cause once the function has written to the fifo, and returns
// what it wrote, the log, and how the call ended.
func interrupt(t *testing.T, p *Pool, fn string, cause error) (said string, log *logBook, err error) {
	t.Helper()
	file := module(t, lifeFunctions)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	log, ended := &logBook{}, make(chan error, 1)
	go func() {
		_, err := p.Call(ctx, &Request{
			Callable: Callable{File: file, Name: fn}, Args: []any{fifo}, Log: log.logger(),
			Env: []string{"GUST_ATTEMPT=" + t.Name()}, Mark: "GUST_ATTEMPT=" + t.Name(),
		})
		ended <- err
	}()
	opened := make(chan string, 1)
	go func() {
		f, err := os.Open(fifo) // blocks until the function opens it
		if err != nil {
			opened <- err.Error()
			return
		}
		text, _ := io.ReadAll(f)
		_ = f.Close() // only read
		opened <- string(text)
	}()
	select {
	case said = <-opened:
	case err := <-ended:
		t.Fatalf("the call ended early: %v\n%s", err, log)
	}
	cancel(cause)
	return said, log, <-ended
}

func gone(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestKill(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	cause := errors.New("killed by the test")
	p := newPool(t, func(o *Options) { o.CleanupTime = 300 * time.Millisecond })
	for fn, want := range map[string]string{
		"polite": `msg="cleaned up" source=stdout`, "deaf": "sending SIGKILL", "group": "Sending SIGTERM",
	} {
		t.Run(fn, func(t *testing.T) {
			t.Parallel()
			said, log, err := interrupt(t, p, fn, cause)
			if !errors.Is(err, cause) {
				t.Errorf("error %v, want the cause", err)
			}
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
			for _, pid := range strings.Fields(said) {
				eventually(t, "the end of process "+pid, func() bool { return gone(pid) })
			}
		})
	}
}

// TestNothingIsLeft: what a function leaves running ends with it, even when it took leave of the group and holds the
// output.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	p, file := newPool(t, nil), module(t, lifeFunctions)
	for _, fn := range []string{"background", "escapes"} {
		var log logBook
		mark := "GUST_ATTEMPT=" + childprocess.HomeID(t.TempDir()) + "/" + fn
		res, err := p.Call(t.Context(), &Request{
			Callable: Callable{File: file, Name: fn}, WantValue: true, Log: log.logger(), Env: []string{mark}, Mark: mark,
		})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, fn, func() bool { return gone(string(res.Value)) })
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s: in vain", what)
		case <-tick.C:
		}
	}
}

func TestStateDoesNotLeakAndChangesCount(t *testing.T) {
	t.Parallel()
	p, file := newPool(t, nil), module(t, lifeFunctions)
	parents, pids := map[float64]bool{}, map[float64]bool{}
	for range 5 {
		var v []float64
		if err := json.Unmarshal([]byte(mustCall(t, p, file, "leak")), &v); err != nil || v[0] != 1 {
			t.Fatalf("%v, %v", v, err)
		}
		pids[v[1]], parents[v[2]] = true, true
	}
	if len(parents) != 1 || len(pids) != 5 {
		t.Errorf("%d processes of %d interpreters, want 5 of 1", len(pids), len(parents))
	}
	for i := range 3 {
		if err := os.WriteFile(file, []byte(fmt.Sprintf("def leak(): return %d\n", i)), 0o600); err != nil {
			t.Fatal(err)
		}
		if v := mustCall(t, p, file, "leak"); v != fmt.Sprint(i) {
			t.Errorf("%s after change %d", v, i)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(file), "__pycache__")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a cache was left beside the pipeline: %v", err)
	}
}

func TestInterpreters(t *testing.T) {
	t.Parallel()
	p, file := newPool(t, func(o *Options) { o.Interpreter = "python3-that-is-not-there" }), module(t, lifeFunctions)
	_, err := callFunc(t, p, file, "noop")
	var missing *InterpreterError
	want := `the Python interpreter "python3-that-is-not-there" was not found on PATH; install Python 3.8 or later, or set ` +
		`python.interpreter (GUST__PYTHON__INTERPRETER), or python or virtualenv of the task`
	if !errors.As(err, &missing) || err.Error() != want {
		t.Errorf("error %v", err)
	}
	for script, want := range map[string]string{
		"#!/bin/sh\nexec false\n":                             "did not start (exit status 1)",
		"#!/bin/sh\necho hello\necho 'no module' >&2\n":       "hello\nno module",
		"#!/bin/sh\necho GUST-OLD 2.7 >&2; exit 70\n":         "is Python 2.7; Python 3.8 or later is needed",
		"#!/bin/sh\nprintf 'nonsense\\n' >&3; exec sleep 3\n": `it greeted with "nonsense"`,
	} {
		fake := filepath.Join(t.TempDir(), "python")
		if err := os.WriteFile(fake, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		var log logBook
		_, err := p.Call(t.Context(), &Request{Interpreter: fake, Callable: Callable{Path: "os.getcwd"}, Log: log.logger()})
		if err == nil || !strings.Contains(err.Error()+fmt.Sprint(errors.Unwrap(err)), want) {
			t.Errorf("%q: error %v, want %q", script, err, want)
		}
	}
}

// TestLimits: interpreters beyond the limit end when they are not needed; idle ones end by themselves; dead ones are
// replaced.
func TestLimits(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	p, file := newPool(t, func(o *Options) { o.Warm = 1 }), module(t, lifeFunctions)
	parent := func(v string) string {
		var pids []int
		if err := json.Unmarshal([]byte(v), &pids); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(pids[2])
	}
	first := parent(mustCall(t, p, file, "leak"))
	real, err := p.Find("")
	if err != nil {
		t.Fatal(err)
	}
	// A second program: a link to the first.
	link := filepath.Join(t.TempDir(), "python-too")
	if err := os.WriteFile(link, []byte("#!/bin/sh\nexec "+real+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var log logBook
	res, err := p.Call(t.Context(), &Request{
		Interpreter: link, Callable: Callable{File: file, Name: "leak"}, WantValue: true, Log: log.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the interpreter that had to make room", func() bool { return gone(first) })
	second := parent(string(res.Value))
	pid := 0
	if _, err := fmt.Sscan(second, &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the interpreter that was killed", func() bool { return gone(second) })
	if third := parent(mustCall(t, p, file, "leak")); third == second {
		t.Error("a dead interpreter was used")
	}

	idle := newPool(t, func(o *Options) { o.Idle = 20 * time.Millisecond })
	lone := parent(mustCall(t, idle, file, "leak"))
	eventually(t, "the end of an idle interpreter", func() bool { return gone(lone) })
	cold := newPool(t, func(o *Options) { o.Warm = 0 })
	lone = parent(mustCall(t, cold, file, "leak"))
	eventually(t, "the end of an interpreter that is not kept", func() bool { return gone(lone) })
	cold.Close()
	if _, err := callFunc(t, cold, file, "leak"); err == nil || !strings.Contains(err.Error(), "the daemon stops") {
		t.Errorf("a call after Close: %v", err)
	}
}

// TestInterpreterDies: a call whose interpreter is killed fails and leaves nothing.
func TestInterpreterDies(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	p, file := newPool(t, nil), module(t, `
import os, signal, time
def patricide():
    os.kill(os.getppid(), signal.SIGKILL)
    while True: time.sleep(1000)
`)
	if _, err := callFunc(t, p, file, "patricide"); err == nil || !strings.Contains(err.Error(), "has ended, and the function with it") {
		t.Errorf("error %v", err)
	}
	if v := mustCall(t, p, module(t, lifeFunctions), "noop"); v != "null" {
		t.Error(v)
	}
}

func TestOldestPython(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"python3.8", "python3.13"} {
		p := newPool(t, func(o *Options) { o.Interpreter = name })
		v, err := callFunc(t, p, module(t, lifeFunctions), "version")
		var missing *InterpreterError
		if errors.As(err, &missing) {
			t.Logf("%s is not installed: %v", name, err)
			continue
		}
		if err != nil || compact(v) != "["+strings.ReplaceAll(name[len("python"):], ".", ",")+"]" {
			t.Errorf("%s: %s, %v", name, v, err)
		}
	}
}

// FuzzReader: whatever the other side says, reading it ends, and within the limit.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"log":"INFO","message":"x"}` + "\n" + `{"ask":"variable","args":{"key":1}}` + "\n"))
	f.Add([]byte(`{"raised":{"class":"X","reschedule_at":"2024-01-01T00:00:00.000000Z"}}` + "\n{\n"))
	f.Add([]byte(`{"done":{"value":1,"rendered":{"a":1}}}` + "\n" + `{"started":1`))
	f.Add(bytes.Repeat([]byte("x"), 70000))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newReader(bytes.NewReader(data), 1<<16)
		read := 0
		for {
			var m message
			err := r.next(&m)
			if err != nil {
				if !errors.Is(err, io.EOF) && err.Error() == "" {
					t.Error("an error without a text")
				}
				return
			}
			if read++; read > bytes.Count(data, []byte("\n")) {
				t.Fatalf("%d messages in %d lines", read, bytes.Count(data, []byte("\n")))
			}
			if m.Ask != "" {
				c := &call{request: &Request{Host: &host{}}}
				_ = c.reply(context.Background(), &m)
			}
		}
	})
}

func BenchmarkCall(b *testing.B) {
	p, file := newPool(b, nil), module(b, "def noop(): pass\n")
	mustCall(b, p, file, "noop")
	b.ReportAllocs()
	for b.Loop() {
		mustCall(b, p, file, "noop")
	}
}

func BenchmarkCallParallel(b *testing.B) {
	p, file := newPool(b, nil), module(b, "def noop(): pass\n")
	mustCall(b, p, file, "noop")
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mustCall(b, p, file, "noop")
		}
	})
}

func BenchmarkCallWithContext(b *testing.B) {
	p, file := newPool(b, nil), module(b, "def noop(): pass\n")
	mustCall(b, p, file, "noop")
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var log logBook
			if _, err := p.Call(b.Context(), &Request{
				Callable: Callable{File: file, Name: "noop"}, Context: sampleContext(), Log: log.logger(), Host: &host{},
			}); err != nil {
				b.Error(err)
			}
		}
	})
}
