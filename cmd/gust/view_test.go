package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/internal/config"
	"gust/runner/scheduler"
	"gust/runner/tasklog"
)

func TestClip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line    string
		columns int
		want    string
	}{
		{"short", 10, "short"},
		{"exactly", 7, "exactly"},
		{"too long", 5, "too …"},
		{"\x1b[32mgreen\x1b[0m", 5, "\x1b[32mgreen\x1b[0m"},
		{"\x1b[32mgreen\x1b[0m thing", 7, "\x1b[32mgreen\x1b[0m …\x1b[0m"},
		{"…—…", 2, "……"},
		{"", 1, ""},
	} {
		if got := clip(c.line, c.columns); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.line, c.columns, got, c.want)
		}
		if got := visible(clip(c.line, c.columns)); got > c.columns {
			t.Errorf("clip(%q, %d) takes %d columns", c.line, c.columns, got)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 5, []string{""}},
		{"one two three", 7, []string{"one two", "three"}},
		{"one  two", 4, []string{"one", "two"}},
		{"indivisible", 4, []string{"indi", "visi", "ble"}},
		{"ab indivisible", 5, []string{"ab", "indiv", "isibl", "e"}},
	} {
		if diff := cmp.Diff(c.want, wrap(c.text, c.width)); diff != "" {
			t.Errorf("wrap(%q, %d): %s", c.text, c.width, diff)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	widths := []int{10, 200, 60}
	fit(widths, 100)
	if diff := cmp.Diff([]int{10, 45, 45}, widths); diff != "" {
		t.Error(diff)
	}
	widths = []int{5, 40, 30}
	fit(widths, 10) // there is a limit to how narrow a column becomes
	if diff := cmp.Diff([]int{5, minColumn, minColumn}, widths); diff != "" {
		t.Error(diff)
	}
}

func TestTableFormats(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 6, 0, 0, 5000, time.UTC)
	tab := &table{columns: []string{"name", "at", "open", "tags", "took"}}
	tab.add("a<b", at, true, []string{"x", "y"}, 90*time.Second)
	tab.add("", time.Time{}, false, []string(nil), time.Duration(0))
	for format, want := range map[string]string{
		"json": `[
  {"name": "a<b", "at": "2026-11-21T06:00:00.000005+00:00", "open": true, "tags": ["x","y"], "took": 90},
  {"name": "", "at": null, "open": false, "tags": [], "took": null}
]
`,
		"plain": "name  at                                open   tags  took\n" +
			"a<b   2026-11-21T06:00:00.000005+00:00  True   x, y  1m30s\n" +
			"                                        False\n",
		"table": "name | at                               | open  | tags | took\n" +
			"=====+==================================+=======+======+======\n" +
			"a<b  | 2026-11-21T06:00:00.000005+00:00 | True  | x, y | 1m30s\n" +
			"     |                                  | False |      |\n",
		"yaml": "- name: a<b\n  at: \"2026-11-21T06:00:00.000005+00:00\"\n  open: true\n  tags:\n    - x\n    - \"y\"\n  took: 90\n" +
			"- name: \"\"\n  at: null\n  open: false\n  tags: []\n  took: null\n",
	} {
		var b bytes.Buffer
		if err := tab.print(&b, format); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Core: config.Core{DefaultTimezone: "Europe/Amsterdam"}}
	for text, want := range map[string]string{
		"2026-11-21":                       "2026-11-20T23:00:00Z",
		"2026-07-21T06:00":                 "2026-07-21T04:00:00Z",
		"2026-11-21 06:00:00":              "2026-11-21T05:00:00Z",
		"2026-11-21T06:00:00.25":           "2026-11-21T05:00:00.25Z",
		"2026-11-21T06:00:00Z":             "2026-11-21T06:00:00Z",
		"2026-11-21T06:00:00+03:00":        "2026-11-21T03:00:00Z",
		"2026-11-21 06:00:00+00:00":        "2026-11-21T06:00:00Z",
		"2026-11-21T06:00:00.000001+00:00": "2026-11-21T06:00:00.000001Z",
	} {
		got, err := parseDate(cfg, text)
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("parseDate(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "now", "21-11-2026", "2026-13-01", "manual__2026-11-21T06:00:00+00:00"} {
		if at, err := parseDate(cfg, text); err == nil {
			t.Errorf("parseDate(%q) = %v, want an error", text, at)
		}
	}
}

// shown is a screen of a given size that writes into a buffer.
func shown(columns, rows int) (*screen, *bytes.Buffer) {
	var b bytes.Buffer
	return &screen{w: &b, live: true, size: func() (int, int) { return columns, rows }}, &b
}

func TestScreenRedraws(t *testing.T) {
	t.Parallel()
	columns := 10
	s, out := shown(0, 0)
	s.size = func() (int, int) { return columns, 4 }
	steps := func(what string, do func(), want string) {
		t.Helper()
		out.Reset()
		do()
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	steps("drawn", func() { s.show([]string{"one", "two"}) }, "one\ntwo\n")
	steps("unchanged", func() { s.show([]string{"one", "two"}) }, "")
	steps("written above", func() { discard(s.Write([]byte("log\nhalf"))) }, "\x1b[2A\x1b[2K\n\x1b[2K\n\x1b[2Alog\none\ntwo\n")
	steps("cut", func() { s.show([]string{"twelve chars", "2", "3", "4", "5"}) },
		"\x1b[2A\x1b[2K\n\x1b[2K\n\x1b[2Atwelve ch…\n2\n3\n")
	columns = 4 // the terminal has become narrower: the first line takes three rows now
	steps("narrower", func() { s.show([]string{"a"}) },
		"\x1b[5A"+strings.Repeat("\x1b[2K\n", 5)+"\x1b[5Aa\n")
	steps("left", s.leave, "")
	steps("written after", func() { discard(s.Write([]byte(" line\n"))) }, "half line\n")
}

func manyTasks(n int) *dag.DAG {
	d := &dag.DAG{ID: "many"}
	for i := range n {
		d.Tasks = append(d.Tasks, &dag.Task{ID: strings.Repeat("t", 1+i%5) + string(rune('a'+i%26))})
	}
	d.Index()
	return d
}

func TestRegionFitsTheTerminal(t *testing.T) {
	t.Parallel()
	run := dag.RunKey{DagID: "many", RunID: "r"}
	for _, size := range [][2]int{{0, 0}, {80, 24}, {80, 8}, {20, 3}, {300, 100}} {
		s, _ := shown(size[0], size[1])
		l := &liveRun{screen: s, dag: manyTasks(40), run: run, now: time.Now, tasks: map[string]dag.TaskInstance{}}
		for i, task := range l.dag.Tasks {
			state := []dag.State{dag.StateRunning, dag.StateSuccess, dag.StateFailed, dag.StateUpForRetry}[i%4]
			l.tasks[task.ID] = dag.TaskInstance{Key: dag.Key{TaskID: task.ID}, State: state, TryNumber: 1}
		}
		region := l.region(s.size())
		if size[1] > 3 && len(region) >= size[1] {
			t.Errorf("%v: %d lines do not fit", size, len(region))
		}
		text := strings.Join(region, "\n")
		if all := strings.Count(text, "\n") >= 41; all != (size[1] == 0 || size[1] == 100) {
			t.Errorf("%v: %d lines:\n%s", size, len(region), text)
		}
		if size[1] == 24 && !strings.Contains(text, "40 tasks:  running 10  success 10  failed 10  up_for_retry 10") {
			t.Errorf("the counts are missing:\n%s", text)
		}
	}
}

// TestLiveRunWithoutTerminal feeds transitions and logs: every line of every try comes once, in order.
func TestLiveRunWithoutTerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logs := t.TempDir()
		key := dag.Key{DagID: "d", RunID: "r", TaskID: "extract", MapIndex: -1}
		d := &dag.DAG{ID: "d", Tasks: []*dag.Task{{ID: "extract"}}}
		d.Index()
		write := func(try int, text string) {
			path := tasklog.Path(logs, dag.Attempt{Key: key, TryNumber: try})
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(text); err != nil || f.Close() != nil {
				t.Fatal(err)
			}
		}
		event := func(text string) string {
			return `{"timestamp":"2026-11-21T06:00:00Z","level":"info","event":"` + text + `"}` + "\n"
		}
		start := time.Now()
		now := func() time.Time { return start }
		l := newLiveRun(&screen{w: &out, size: func() (int, int) { return 0, 0 }}, d, dag.RunKey{DagID: "d", RunID: "r"}, logs, now)
		tell := func(state dag.State, try int, problem string) {
			l.transition(scheduler.Transition{Task: &dag.TaskInstance{
				Key: key, State: state, TryNumber: try, MaxTries: 2, StartDate: start, EndDate: start.Add(time.Second), Error: problem,
			}})
			synctest.Wait()
		}
		tell(dag.StateQueued, 1, "")
		write(1, event("first")+`{"torn`)
		tell(dag.StateRunning, 1, "")
		write(1, `": 1}`+"\n"+event(`two\nlines`))
		tell(dag.StateUpForRetry, 1, "it broke\nbadly")
		write(2, event("second try"))
		write(3, event("third try"))
		tell(dag.StateSuccess, 3, "") // the second try was not told of
		l.transition(scheduler.Transition{Task: &dag.TaskInstance{Key: dag.Key{DagID: "d", RunID: "other", TaskID: "x"}}})
		l.close()
		at, logged := clock(start), clock(time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC).Local())
		want := logged + "  extract | first\n" +
			at + "  extract  running\n" +
			at + `  extract | {"torn": 1}` + "\n" +
			logged + "  extract | two\n" + logged + "  extract | lines\n" +
			at + "  extract  up_for_retry  it broke\n" +
			logged + "  extract | second try\n" + logged + "  extract | third try\n" +
			at + "  extract  success  (1s)\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}
