package tasklog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gust/dag"
)

func attempt(run string, try int) dag.Attempt {
	return dag.Attempt{Key: dag.Key{DagID: "orders", RunID: run, TaskID: "load", MapIndex: -1}, TryNumber: try}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPathIsAirflowsLayout(t *testing.T) {
	t.Parallel()
	a := attempt("scheduled__2026-11-21T10:00:00+00:00", 2)
	want := filepath.FromSlash(
		"/logs/dag_id=orders/run_id=scheduled__2026-11-21T10:00:00+00:00/task_id=load/attempt=2.log")
	if got := Path("/logs", a); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	a.MapIndex = 3
	if got := Path("/logs", a); !strings.HasSuffix(got, filepath.FromSlash("/task_id=load/map_index=3/attempt=2.log")) {
		t.Errorf("mapped: %s", got)
	}
}

func TestEveryIdHasItsOwnSafeFolder(t *testing.T) {
	t.Parallel()
	id := rapid.OneOf(rapid.String(), rapid.StringMatching(`[./%\\a]{0,6}`), rapid.StringN(200, 400, 600))
	rapid.Check(t, func(t *rapid.T) {
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		pa, pb := component("run_id=", a), component("run_id=", b)
		if (pa == pb) != (a == b) {
			t.Fatalf("%q and %q give %q and %q", a, b, pa, pb)
		}
		if len(pa) > maxName || strings.ContainsAny(pa, "/\x00") || !filepath.IsLocal(pa) {
			t.Fatalf("%q gives the unsafe name %q", a, pa)
		}
	})
}

func TestLinesAreAirflows(t *testing.T) {
	t.Parallel()
	files := &Files{Base: t.TempDir(), Mask: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }}
	l := files.Open(attempt("r1", 1))
	log := l.Logger()
	log.Info("hello <hunter2> \"quoted\"\n\x01\xff", "n", 3, "ok", true, "took", 1500*time.Millisecond)
	log.With("logger", "task.stdout", "pid", 7).WithGroup("g").Warn("line", "x", "hunter2", slog.Group("in", "y", 1.5))
	log.Error("bad", "error", errors.New("login hunter2 refused"), "list", []string{"hunter2", "b"}, "level", "mine")
	log.Debug("not written")
	l.Close()

	var got []map[string]any
	for line := range strings.Lines(readFile(t, Path(files.Base, attempt("r1", 1)))) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z", m["timestamp"].(string)); err != nil {
			t.Error(err)
		}
		delete(m, "timestamp")
		got = append(got, m)
	}
	want := []map[string]any{
		{"level": "info", "event": "hello <***> \"quoted\"\n\x01\ufffd", "logger": "task", "n": 3.0, "ok": true,
			"took": "1.5s"},
		{"level": "warning", "event": "line", "logger": "task.stdout", "pid": 7.0, "g.x": "***", "g.in.y": 1.5},
		{"level": "error", "event": "bad", "logger": "task", "error": "login *** refused", "list": []any{"***",
			"b"}, "level_": "mine"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNoFileWithoutALine(t *testing.T) {
	t.Parallel()
	files := &Files{Base: t.TempDir()}
	l := files.Open(attempt("r1", 1))
	l.Logger().Debug("below the level")
	l.Close()
	if entries, err := os.ReadDir(files.Base); err != nil || len(entries) > 0 {
		t.Errorf("entries %v, error %v", entries, err)
	}
}

func TestAppendsAcrossOpens(t *testing.T) {
	t.Parallel()
	files := &Files{Base: t.TempDir()}
	a := attempt("r1", 1)
	l := files.Open(a)
	l.Logger().Info("one")
	l.Close()
	files.Append(a, slog.LevelInfo, "trigger", "two")
	l.Logger().Info("three, after close")
	var b bytes.Buffer
	if err := (&Reader{W: &b}).Print(Path(files.Base, a)); err != nil {
		t.Fatal(err)
	}
	var events []string
	for line := range strings.Lines(b.String()) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), "] ")
		events = append(events, rest)
	}
	want := []string{"{task} INFO - one", "{trigger} INFO - two", "{task} INFO - three, after close"}
	if d := cmp.Diff(want, events); d != "" {
		t.Error(d)
	}
}

// A line of a running attempt is on disk shortly after it was logged, without any further call.
func TestFlushesByItself(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		files := &Files{Base: base}
		l := files.Open(attempt("r1", 1))
		l.Logger().Info("soon")
		if _, err := os.Stat(Path(base, attempt("r1", 1))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("written at once: %v", err)
		}
		time.Sleep(flushAfter)
		synctest.Wait()
		if got := readFile(t, Path(base, attempt("r1", 1))); !strings.Contains(got, "soon") {
			t.Errorf("got %q", got)
		}
		l.Close()
	})
}

func TestLargeOutputIsWrittenWhole(t *testing.T) {
	t.Parallel()
	files := &Files{Base: t.TempDir()}
	l := files.Open(attempt("r1", 1))
	log := l.Logger()
	var wg sync.WaitGroup
	const each = 2000
	for range 4 {
		wg.Go(func() {
			for range each {
				log.Info(strings.Repeat("x", 50))
			}
		})
	}
	wg.Wait()
	l.Close()
	if n := strings.Count(readFile(t, Path(files.Base, attempt("r1", 1))), "\n"); n != 4*each {
		t.Errorf("%d lines", n)
	}
}

func TestProblemsAreReportedOnce(t *testing.T) {
	t.Parallel()
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var got []error
	files := &Files{Base: blocked, OnError: func(err error) { got = append(got, err) }}
	for try := range 3 {
		l := files.Open(attempt("r1", try))
		l.Logger().Info("lost")
		l.Close()
	}
	if len(got) != 1 || !errors.Is(got[0], syscall.ENOTDIR) {
		t.Fatalf("got %v", got)
	}
	files.report(nil)
	files.report(syscall.ENOSPC)
	if len(got) != 2 || !strings.Contains(got[1].Error(), "is full") || !errors.Is(got[1], syscall.ENOSPC) {
		t.Errorf("got %v", got)
	}
}

func TestTries(t *testing.T) {
	t.Parallel()
	files := &Files{Base: t.TempDir()}
	for _, try := range []int{10, 2, 1} {
		files.Append(attempt("r1", try), slog.LevelInfo, "x", "y")
	}
	if err := os.WriteFile(filepath.Join(Dir(files.Base, attempt("r1", 1).Key), "attempt=x.log"), nil,
		0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Tries(files.Base, attempt("r1", 1).Key)
	if d := cmp.Diff([]int{1, 2, 10}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if none, err := Tries(files.Base, attempt("r2", 1).Key); err != nil || none != nil {
		t.Errorf("%v, %v", none, err)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"timestamp":"2026-11-21T10:00:00.123456Z","level":"warning","event":"hi","logger":"task","n":3,"t":"a b"}`://
		"[2026-11-21T10:00:00.123+0000] {task} WARNING - hi n=3 t=\"a b\"",
		`{"timestamp":"2026-11-21T10:00:00Z","level":"error","event":"e","logger":"task","stack":"a\nb\n","z":null}`://
		"[2026-11-21T10:00:00.000+0000] {task} ERROR - e z=null\nstack:\na\nb",
		`plain text`:            "plain text",
		`{"timestamp":"2026-1`:  `{"timestamp":"2026-1`,
		`[1,2]`:                 `[1,2]`,
		`{"event":"only this"}`: "[] {}  - only this",
	} {
		if got := Render([]byte(line)); got != want {
			t.Errorf("%s\n got %q\nwant %q", line, got, want)
		}
	}
}

func TestPrintMissing(t *testing.T) {
	t.Parallel()
	err := (&Reader{W: &bytes.Buffer{}}).Print(filepath.Join(t.TempDir(), "none.log"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

type safeBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	wake chan struct{}
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.b.Write(p)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return n, err
}

func (s *safeBuffer) await(t *testing.T, text string) {
	t.Helper()
	for {
		s.mu.Lock()
		got := s.b.String()
		s.mu.Unlock()
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-s.wake:
		case <-t.Context().Done():
			t.Fatalf("got %q, want %q in it", got, text)
		}
	}
}

// Follow waits for the file, prints what is added, and ends with the attempt, the last line included even when it is
// cut.
func TestFollow(t *testing.T) {
	t.Parallel()
	files := &Files{Base: t.TempDir()}
	a := attempt("r1", 1)
	out := &safeBuffer{wake: make(chan struct{}, 1)}
	over := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- (&Reader{W: out}).Follow(t.Context(), Path(files.Base, a), func(context.Context) (bool, error) {
			select {
			case <-over:
				return true, nil
			default:
				return false, nil
			}
		})
	}()
	l := files.Open(a)
	l.Logger().Info("first")
	l.Flush()
	out.await(t, "first")
	l.Logger().Info("second")
	l.Flush()
	out.await(t, "second")
	l.Close()
	file, err := openAppend(Path(files.Base, a))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"event":"cut`); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	close(over)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	out.await(t, `{"event":"cut`)
}

func TestFollowEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&Reader{W: &bytes.Buffer{}}).Follow(ctx, filepath.Join(t.TempDir(), "x.log"), nil); err != nil {
		t.Error(err)
	}
	boom := errors.New("database is gone")
	err := (&Reader{W: &bytes.Buffer{}}).Follow(t.Context(), filepath.Join(t.TempDir(), "x.log"),
		func(context.Context) (bool, error) { return false, boom })
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func FuzzRender(f *testing.F) {
	f.Add([]byte(`{"timestamp":"2026-11-21T10:00:00Z","level":"info","event":"x","n":[1,{"a":null}]}`))
	f.Add([]byte(`{"event":`))
	f.Add([]byte("\xff{"))
	f.Fuzz(func(_ *testing.T, line []byte) { Render(line) })
}

// FuzzQuoted holds the encoder against the standard library's decoder.
func FuzzQuoted(f *testing.F) {
	f.Add("a\"\\\n\x00é\u2028\xff\xf0\x9f")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.ReplaceAll(got, "\ufffd",
			"") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

// BenchmarkNoop is the log of a task that says nothing itself: two lines, a new folder, open, write, close.
func BenchmarkNoop(b *testing.B) {
	files := &Files{Base: b.TempDir()}
	for i := 0; b.Loop(); i++ {
		a := attempt("scheduled__2026-11-21T10:00:00+00:00", 1)
		a.TaskID = "task_" + time.Duration(i).String()
		l := files.Open(a)
		log := l.Logger()
		log.Info("starting try 1 of 3", "operator", "EmptyOperator")
		log.Info("task ended", "state", "success", "duration", 0.001)
		l.Close()
	}
}
