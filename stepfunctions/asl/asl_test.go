package asl_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/asl"
)

var update = flag.Bool("update", false, "rewrite the expected diagnostics")

// TestDiagnostics compares the problems of every definition under testdata with the .want file beside it, one problem to a
// line.
func TestDiagnostics(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d case files (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, found := asl.Parse(string(text))
			if valid := strings.Contains(file, "/valid/"); (m != nil) != valid || (len(found.Errors()) == 0) != valid {
				t.Errorf("the machine is %v, problems: %v", m, found)
			}
			var b strings.Builder
			for _, d := range found {
				fmt.Fprintf(&b, "%s %d:%d %s\n", d.Severity, d.Line, d.Column, strings.ReplaceAll(d.String(), "\n", `\n`))
				if d.Hint != "" {
					fmt.Fprintf(&b, "\tdid you mean %q?\n", d.Hint)
				}
			}
			wantFile := strings.TrimSuffix(file, ".json") + ".want"
			if *update {
				if err := os.WriteFile(wantFile, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), b.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func valid(t *testing.T, definition string) *asl.Machine {
	t.Helper()
	m, found := asl.Parse(definition)
	if m == nil {
		t.Fatal(found)
	}
	return m
}

func TestModel(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/valid/all_states.json")
	if err != nil {
		t.Fatal(err)
	}
	m := valid(t, string(text))
	if m.TimeoutSeconds != 60 || m.StartAt != "Pass" || len(m.States) != 8 {
		t.Errorf("machine %+v", m)
	}
	task := m.State("Task")
	want := asl.Resource{ARN: "arn:aws:states:::aws-sdk:sfn:startExecution.waitForTaskToken", Kind: asl.Service,
		Service: "aws-sdk:sfn", API: "startExecution", SDK: true, Pattern: asl.WaitForTaskToken}
	if d := cmp.Diff(want, task.Task.Resource); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&asl.Retrier{Errors: []string{"A"}, Interval: 3 * time.Second, BackoffRate: 1.5, MaxAttempts: 4,
		MaxDelay: 9 * time.Second, FullJitter: true}, task.Retry[0]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&asl.Retrier{Errors: []string{"States.ALL"}, Interval: time.Second, BackoffRate: 2, MaxAttempts: 3},
		task.Retry[1]); d != "" {
		t.Error(d)
	}
	inner := m.State("Inner")
	if inner == nil || inner.Scope.Parent != m.State("Map") || inner.Line() == 0 || m.Scope.State("Inner") != nil {
		t.Errorf("inner state %+v", inner)
	}
	if d := cmp.Diff(map[string][]string{"Choice": {"v"}, "Fail": {"w"}, "Inner": {"v"}}, m.VariableReferences()); d != "" {
		t.Error(d)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		equals, name string
		want         bool
	}{
		{"States.ALL", "Anything", true}, {"States.ALL", "States.Timeout", true}, {"States.ALL", "", true},
		{"States.ALL", "States.Runtime", false}, {"States.ALL", "States.DataLimitExceeded", false},
		{"States.Runtime", "States.Runtime", true}, {"States.DataLimitExceeded", "States.DataLimitExceeded", true},
		{"States.TaskFailed", "Custom", true}, {"States.TaskFailed", "States.Timeout", false},
		{"States.TaskFailed", "States.HeartbeatTimeout", false}, {"States.TaskFailed", "States.Runtime", false},
		{"States.Timeout", "States.HeartbeatTimeout", true}, {"States.HeartbeatTimeout", "States.Timeout", false},
		{"A", "B", false},
	} {
		if got := asl.Matches([]string{"Other", c.equals}, c.name); got != c.want {
			t.Errorf("%s covers %s: %v", c.equals, c.name, got)
		}
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	half := func() float64 { return 0.5 }
	for _, c := range []struct {
		r     asl.Retrier
		retry int64
		want  time.Duration
	}{
		{asl.Retrier{Interval: time.Second, BackoffRate: 2}, 1, time.Second},
		{asl.Retrier{Interval: time.Second, BackoffRate: 2}, 4, 8 * time.Second},
		{asl.Retrier{Interval: 2 * time.Second, BackoffRate: 1.5}, 3, 4500 * time.Millisecond},
		{asl.Retrier{Interval: time.Second, BackoffRate: 2, MaxDelay: 5 * time.Second}, 4, 5 * time.Second},
		{asl.Retrier{Interval: time.Second, BackoffRate: 2, FullJitter: true}, 2, time.Second},
		{asl.Retrier{Interval: time.Second, BackoffRate: 10}, 500, 366 * 24 * time.Hour},
	} {
		if got := c.r.Delay(c.retry, half); got != c.want {
			t.Errorf("%+v retry %d: %v want %v", c.r, c.retry, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, found := asl.Parse(text)
		if (m == nil) != (len(found.Errors()) > 0) {
			t.Fatalf("machine %v with problems %v", m, found)
		}
		if m == nil {
			return
		}
		for name := range m.VariableReferences() {
			if m.State(name) == nil {
				t.Fatalf("no state %q", name)
			}
		}
	})
}
