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
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
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

func TestVariableReferencesOfExpressions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/valid/jsonata_all_states.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"Task": {"v", "w"}, "Choice": {"v"}, "Wait": {"v"}, "Parallel": {"v"}, "P1": {"v"}, "Map": {"v"}, "Fail": {"w"}}
	m := valid(t, string(text))
	if d := cmp.Diff(want, m.VariableReferences()); d != "" {
		t.Error(d)
	}
	var fields []string
	for _, tmpl := range []*asl.Template{m.State("Pass").Output, m.State("Task").Catch[0].Output, m.State("Choice").Choice.Rules[0].Output} {
		_, err := tmpl.Eval(quoting{&fields})
		if err != nil {
			t.Error(err)
		}
	}
	wantFields := []string{"Output/a: $states.input.a", "Output/b[0]: 1", "Output/b[2]/c: $states.context.Execution.Id",
		"Catch[0]/Output: $states.errorOutput.Cause", "Choices[0]/Output: $v"}
	if d := cmp.Diff(wantFields, fields); d != "" {
		t.Error(d)
	}
	if _, err := m.State("Pass").Output.Eval(nil); err == nil {
		t.Error("an environment without expressions evaluated one")
	}
}

func TestVariableReferencesOfMaps(t *testing.T) {
	t.Parallel()
	m := valid(t, `{"StartAt": "M", "States": {
		"M": {"Type": "Map", "ItemsPath": "$a.x", "MaxConcurrencyPath": "$b", "ToleratedFailureCountPath": "$c",
			"ToleratedFailurePercentagePath": "$d", "ItemSelector": {"v.$": "States.Array($e, $$.Map.Item.Value)"},
			"ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket.$": "$f", "Key": "$no"},
				"ReaderConfig": {"InputType": "JSONL", "MaxItemsPath": "$g"}},
			"ItemBatcher": {"MaxItemsPerBatchPath": "$h", "MaxInputBytesPerBatchPath": "$i", "BatchInput": {"x.$": "$j"}},
			"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket.$": "$k"}},
			"ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed", "OutputPath": "$l"}}}, "Next": "W"},
		"W": {"Type": "Wait", "SecondsPath": "$m", "Next": "X"}, "X": {"Type": "Wait", "TimestampPath": "$n", "Next": "F"},
		"F": {"Type": "Fail", "ErrorPath": "$o", "CausePath": "States.Format('{}', $p)"}}}`)
	want := map[string][]string{"M": {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}, "I": {"l"}, "W": {"m"}, "X": {"n"}, "F": {"o", "p"}}
	if d := cmp.Diff(want, m.VariableReferences()); d != "" {
		t.Error(d)
	}
	names := make([]string, 0, 5)
	for _, s := range m.All() {
		names = append(names, s.Name)
	}
	if d := cmp.Diff([]string{"F", "I", "M", "W", "X"}, names); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"I"}, m.State("M").Inner()); d != "" {
		t.Error(d)
	}
}

// quoting notes the expressions that a template evaluates.
type quoting struct{ seen *[]string }

func (q quoting) Evaluate(e *asl.Expression) (jsonvalue.Value, error) {
	*q.seen = append(*q.seen, e.Field+": "+e.Text)
	return jsonvalue.NewString(e.Text), nil
}
func (quoting) Resolve(*jsonpath.Path) (jsonvalue.Value, error) { return jsonvalue.Value{}, nil }
func (quoting) Random() uint64                                  { return 0 }

func TestExpress(t *testing.T) {
	t.Parallel()
	task := `{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "%s", "Parameters": {}, "End": true}}}`
	for definition, want := range map[string]string{
		fmt.Sprintf(task, "arn:aws:states:::aws-sdk:sqs:sendMessage.waitForTaskToken"): "SCHEMA_VALIDATION_FAILED: Express state " +
			"machine does not support '.waitForTaskToken' service integration  at /States/T/Resource",
		fmt.Sprintf(task, "arn:aws:states:::batch:submitJob.sync"): "SCHEMA_VALIDATION_FAILED: Express state machine does not " +
			"support '.sync' service integration  at /States/T/Resource",
		fmt.Sprintf(task, "arn:aws:states:us-east-1:123456789012:activity:a"): "SCHEMA_VALIDATION_FAILED: Express state machine " +
			"does not support Activity ARN at /States/T/Resource",
		fmt.Sprintf(task, "arn:aws:states:::batch:submitJob"): "",
		`{"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [{"StartAt": "M", "States": {"M": {"Type": "Map",
			"Iterator": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, "StartAt": "I",
			"States": {"I": {"Type": "Succeed"}}}, "End": true}}}], "End": true}}}`: "SCHEMA_VALIDATION_FAILED: The field 'Mode' with " +
			"value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines at " +
			"/States/P/Branches[0]/States/M/Iterator/ProcessorConfig/Mode",
	} {
		valid(t, definition)
		m, found := asl.ParseFor(definition, true)
		if found.String() != want || (m == nil) != (want != "") {
			t.Errorf("%s\ngot  %v\nwant %s", definition, found, want)
		}
		if m, found := asl.ParseFor(definition, false); m == nil {
			t.Errorf("%s as STANDARD: %v", definition, found)
		}
	}
}

func TestParseState(t *testing.T) {
	t.Parallel()
	s, found := asl.ParseState(`{"Type": "Pass", "Assign": {"a.$": "$x.b"}, "Next": "Nowhere"}`)
	if s == nil || s.Name != asl.LoneState || s.Next != "Nowhere" || s.Scope == nil {
		t.Errorf("state %+v, problems %v", s, found)
	}
	s, found = asl.ParseState("{\n \"Type\": \"Wait\",\n \"Seconds\": -1,\n \"End\": true}")
	if want := "SCHEMA_VALIDATION_FAILED: Minimum value is 0 at /States/StateName/Seconds"; s != nil || found.String() != want ||
		found[0].Line != 3 {
		t.Errorf("state %+v, problems %+v", s, found)
	}
	if s, found = asl.ParseState(`{"States": {}}`); s != nil || len(found.Errors()) == 0 {
		t.Errorf("state %+v, problems %+v", s, found)
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
		{"States.TaskFailed", "States.DataLimitExceeded", true},
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
		if s, found := asl.ParseState(text); (s == nil) != (len(found.Errors()) > 0) {
			t.Fatalf("state %v with problems %v", s, found)
		}
		m, found := asl.ParseFor(text, true)
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
