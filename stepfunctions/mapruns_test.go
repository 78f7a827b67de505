package stepfunctions_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
)

// distributed is a machine of one distributed Map, whose children call the function work.
func distributed(kind, fields string) string {
	return `{"StartAt":"M","States":{"M":{"Type":"Map",` + fields + `"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"` +
		kind + `"},"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work","End":true}}},"End":true}}}`
}

// mapRun returns the only map run of an execution.
func mapRun(t *testing.T, c *sfn.Client, arn string) *sfn.DescribeMapRunOutput {
	t.Helper()
	list, err := c.ListMapRuns(t.Context(), &sfn.ListMapRunsInput{ExecutionArn: &arn})
	if err != nil || len(list.MapRuns) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	run, err := c.DescribeMapRun(t.Context(), &sfn.DescribeMapRunInput{MapRunArn: list.MapRuns[0].MapRunArn})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestDistributedMap(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			echo := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}
			c := client(start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": echo}}))
			machine := create(t, c, "m", distributed(kind, `"Label":"L","MaxConcurrency":3,"ItemSelector":{"v.$":"$$.Map.Item.Value","i.$":"$$.Map.Item.Index"},`))
			out := run(t, c, machine, "e", `["a","b","c","d","e"]`)
			want := `[{"v":"a","i":0},{"v":"b","i":1},{"v":"c","i":2},{"v":"d","i":3},{"v":"e","i":4}]`
			if out.Status != types.ExecutionStatusSucceeded || *out.Output != want {
				t.Fatalf("%s %v %v", out.Status, aws.ToString(out.Output), aws.ToString(out.Cause))
			}
			m := mapRun(t, c, *out.ExecutionArn)
			if m.Status != types.MapRunStatusSucceeded || m.ItemCounts.Succeeded != 5 || m.ItemCounts.Total != 5 || m.ExecutionCounts.Total != 5 ||
				m.ExecutionCounts.Succeeded != 5 || m.ItemCounts.Pending != 0 || m.MaxConcurrency != 3 || m.StopDate == nil || *m.ExecutionArn != *out.ExecutionArn {
				t.Errorf("%+v %+v %+v", m, m.ItemCounts, m.ExecutionCounts)
			}
			children, err := c.ListExecutions(ctx, &sfn.ListExecutionsInput{MapRunArn: m.MapRunArn, StatusFilter: types.ExecutionStatusSucceeded})
			if err != nil || len(children.Executions) != 5 {
				t.Fatalf("%+v %v", children, err)
			}
			child := children.Executions[0]
			if *child.StateMachineArn != machine+"/L" || *child.ItemCount != 1 || *child.MapRunArn != *m.MapRunArn {
				t.Errorf("%+v", child)
			}
			described, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: child.ExecutionArn})
			if err != nil || *described.MapRunArn != *m.MapRunArn || !strings.Contains(*described.Input, `"v":`) {
				t.Errorf("%+v %v", described, err)
			}
			own, err := c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine})
			if err != nil || len(own.Executions) != 1 {
				t.Errorf("children are listed with the machine's own executions: %+v %v", own, err)
			}
			_, err = c.UpdateMapRun(ctx, &sfn.UpdateMapRunInput{MapRunArn: m.MapRunArn, MaxConcurrency: aws.Int32(1)})
			if !strings.HasPrefix(code(err), "ValidationException: ") {
				t.Error(code(err))
			}
		})
	}
}

func TestMapRunToleratesFailures(t *testing.T) {
	t.Parallel()
	odd := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) {
		if strings.ContainsAny(string(in), "13579") {
			return nil, &handlers.Error{Type: "Odd", Message: string(in)}
		}
		return in, nil
	}}
	c := client(start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": odd}}))
	for name, e := range map[string]struct{ fields, status string }{
		"none":       {``, "FAILED"},
		"enough":     {`"ToleratedFailureCount":3,`, "SUCCEEDED"},
		"too few":    {`"ToleratedFailureCount":2,`, "FAILED"},
		"percent":    {`"ToleratedFailurePercentage":50,`, "SUCCEEDED"},
		"percentage": {`"ToleratedFailurePercentage":49.9,`, "FAILED"},
	} {
		out := run(t, c, create(t, c, strings.ReplaceAll(name, " ", "-"), distributed("STANDARD", `"MaxConcurrency":1,`+e.fields)), "", `[0,1,2,3,4,5]`)
		m := mapRun(t, c, *out.ExecutionArn)
		if string(out.Status) != e.status || string(m.Status) != e.status {
			t.Errorf("%s: %s, map run %s: %v", name, out.Status, m.Status, aws.ToString(out.Cause))
		}
		if e.status == "FAILED" && *out.Error != "States.ExceedToleratedFailureThreshold" {
			t.Errorf("%s: %s", name, *out.Error)
		}
	}
}

// TestMapRunOverAFile reads items from a file in batches and writes the results.
func TestMapRunOverAFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "bucket", "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "bucket", "in", "items.jsonl"), []byte("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	echo := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}
	c := client(start(t, stepfunctions.Config{S3Folder: folder, Handlers: map[string]handlers.Handler{"work": echo}}))
	machine := create(t, c, "m", distributed("STANDARD", `"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSONL"},
		"Parameters":{"Bucket":"bucket","Key":"in/items.jsonl"}},"ItemBatcher":{"MaxItemsPerBatch":2,"BatchInput":{"b":true}},
		"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"bucket","Prefix":"out"}},`))
	out := run(t, c, machine, "e", `{}`)
	if out.Status != types.ExecutionStatusSucceeded {
		t.Fatalf("%s: %s", *out.Error, *out.Cause)
	}
	m := mapRun(t, c, *out.ExecutionArn)
	id := (*m.MapRunArn)[strings.LastIndexByte(*m.MapRunArn, ':')+1:]
	if want := `{"MapRunArn":"` + *m.MapRunArn + `","ResultWriterDetails":{"Bucket":"bucket","Key":"out/` + id + `/manifest.json"}}`; *out.Output != want {
		t.Errorf("got  %s\nwant %s", *out.Output, want)
	}
	if m.ItemCounts.Total != 3 || m.ExecutionCounts.Total != 2 || m.ExecutionCounts.ResultsWritten != 2 {
		t.Errorf("%+v %+v", m.ItemCounts, m.ExecutionCounts)
	}
	written, err := os.ReadFile(filepath.Join(folder, "bucket", "out", id, "SUCCEEDED_0.json"))
	if err != nil || !strings.Contains(string(written), `{\"BatchInput\":{\"b\":true},\"Items\":[{\"n\":1},{\"n\":2}]}`) {
		t.Errorf("%s %v", written, err)
	}
	missing := run(t, c, create(t, c, "missing", strings.ReplaceAll(distributed("STANDARD", `"ItemReader":{"Resource":"arn:aws:states:::s3:getObject",
		"ReaderConfig":{"InputType":"JSONL"},"Parameters":{"Bucket":"bucket","Key":"none"}},`), "\n", " ")), "", `{}`)
	if missing.Status != types.ExecutionStatusFailed || *missing.Error != "States.ItemReaderFailed" {
		t.Errorf("%+v", missing)
	}
}

// TestMapRunIsRedriven lets a map run fail and redrives it: only the children that did not succeed run again.
func TestMapRunIsRedriven(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			var healed atomic.Bool
			flaky := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) {
				calls.Add(1)
				if string(in) == "3" && !healed.Load() {
					return nil, &handlers.Error{Type: "E", Message: "m"}
				}
				return in, nil
			}}
			c := client(start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": flaky}}))
			out := run(t, c, create(t, c, "m", distributed(kind, `"MaxConcurrency":1,`)), "", `[1,2,3,4,5]`)
			if out.Status != types.ExecutionStatusFailed || calls.Load() != 3 {
				t.Fatalf("%s after %d calls: %s", out.Status, calls.Load(), aws.ToString(out.Cause))
			}
			healed.Store(true)
			if _, err := c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: out.ExecutionArn}); err != nil {
				t.Fatal(err)
			}
			done := finish(t, c, *out.ExecutionArn)
			if done.Status != types.ExecutionStatusSucceeded || *done.Output != "[1,2,3,4,5]" || calls.Load() != 6 {
				t.Errorf("%s %v after %d calls: %s", done.Status, aws.ToString(done.Output), calls.Load(), aws.ToString(done.Cause))
			}
			m := mapRun(t, c, *out.ExecutionArn)
			if *m.RedriveCount != 1 || m.RedriveDate == nil || m.Status != types.MapRunStatusSucceeded || m.ItemCounts.Succeeded != 5 || m.ItemCounts.Failed != 0 {
				t.Errorf("%+v %+v", m, m.ItemCounts)
			}
		})
	}
}

// TestMapRunSurvivesARestart stops the service in the middle of a map run.
func TestMapRunSurvivesARestart(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sfn.db")
			half := make(chan struct{})
			var n atomic.Int64
			work := handlers.Handler{Func: func(ctx context.Context, in []byte) ([]byte, error) {
				switch n.Add(1) {
				case 10:
					close(half)
					fallthrough
				case 11, 12, 13:
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return in, nil
			}}
			first, err := stepfunctions.New(stepfunctions.Config{DataPath: path, Handlers: map[string]handlers.Handler{"work": work}})
			if err == nil {
				err = first.Start(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			c := client(first)
			machine := create(t, c, "m", distributed(kind, `"MaxConcurrency":2,`))
			var items, want []string
			for i := range 30 {
				items = append(items, fmt.Sprint(i))
			}
			want = items
			arn := begin(t, c, machine, "["+strings.Join(items, ",")+"]")
			<-half
			if err := first.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			echo := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}
			c = client(start(t, stepfunctions.Config{DataPath: path, Handlers: map[string]handlers.Handler{"work": echo}}))
			out := finish(t, c, arn)
			if d := cmp.Diff("["+strings.Join(want, ",")+"]", aws.ToString(out.Output)); d != "" {
				t.Errorf("%s %s: %s", out.Status, aws.ToString(out.Cause), d)
			}
			if m := mapRun(t, c, arn); m.ExecutionCounts.Total != 30 || m.ExecutionCounts.Succeeded != 30 {
				t.Errorf("%+v", m.ExecutionCounts)
			}
			wellFormed(t, c, arn)
		})
	}
}

// TestStoppingAnExecutionAbortsItsMapRun stops an execution whose map run waits.
func TestStoppingAnExecutionAbortsItsMapRun(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 10)
	stuck := handlers.Handler{Func: func(ctx context.Context, _ []byte) ([]byte, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		s := start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": stuck}})
		c := client(s)
		arn := begin(t, c, create(t, c, "m", distributed(kind, `"MaxConcurrency":2,`)), "[1,2,3]")
		<-entered
		<-entered
		m := mapRun(t, c, arn)
		if m.Status != types.MapRunStatusRunning || m.ItemCounts.Total != 3 || m.ItemCounts.Running != 2 || m.ExecutionCounts.Pending != 1 {
			t.Errorf("%+v %+v", m, m.ItemCounts)
		}
		if _, err := c.UpdateMapRun(t.Context(), &sfn.UpdateMapRunInput{MapRunArn: m.MapRunArn, MaxConcurrency: aws.Int32(3), ToleratedFailureCount: aws.Int64(2)}); err != nil {
			t.Error(err)
		}
		<-entered // the third child may run now
		if _, err := c.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn}); err != nil {
			t.Fatal(err)
		}
		for m.Status == types.MapRunStatusRunning {
			m = mapRun(t, c, arn)
		}
		if m.Status != types.MapRunStatusAborted || m.ExecutionCounts.Aborted != 3 || m.MaxConcurrency != 3 || m.ToleratedFailureCount != 2 {
			t.Errorf("%s: %+v %+v", kind, m, m.ExecutionCounts)
		}
	}
}

// TestMapRunIsRedrivenAtOnce redrives an execution while its map run is still being aborted.
func TestMapRunIsRedrivenAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"STANDARD", "EXPRESS"} {
		for range 5 {
			var healed atomic.Bool
			entered := make(chan struct{}, 100)
			stuck := handlers.Handler{Func: func(ctx context.Context, in []byte) ([]byte, error) {
				if healed.Load() {
					return in, nil
				}
				entered <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}}
			c := client(start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": stuck}}))
			arn := begin(t, c, create(t, c, "m", distributed(kind, "")), "[1,2,3,4,5,6,7,8]")
			<-entered
			healed.Store(true)
			if _, err := c.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: &arn}); err != nil {
				t.Fatal(err)
			}
			if out := finish(t, c, arn); out.Status != types.ExecutionStatusSucceeded || *out.Output != "[1,2,3,4,5,6,7,8]" {
				t.Errorf("%s: %s %v %v", kind, out.Status, aws.ToString(out.Output), aws.ToString(out.Cause))
			}
			if m := mapRun(t, c, arn); m.Status != types.MapRunStatusSucceeded || m.StopDate == nil {
				t.Errorf("%s: %+v", kind, m)
			}
		}
	}
}

// TestNestedExecutions starts executions from executions and waits for them.
func TestNestedExecutions(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{MaxTasks: 1}))
	child := create(t, c, "child", passing("x"))
	failing := create(t, c, "failing", `{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}`)
	waiting := create(t, c, "waiting", waitForever)
	nest := func(name, arn, pattern string) string {
		return create(t, c, name, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution`+pattern+`",
			"Parameters":{"StateMachineArn":"`+arn+`","Input":{"a":1}},"End":true}}}`)
	}
	out := run(t, c, nest("sync2", child, ".sync:2"), "", "{}")
	if out.Status != types.ExecutionStatusSucceeded || !strings.Contains(*out.Output, `"Output":"x"`) || !strings.Contains(*out.Output, `"Status":"SUCCEEDED"`) {
		t.Errorf("%+v %s", out, aws.ToString(out.Output))
	}
	want := "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskStateExited ExecutionSucceeded"
	if d := cmp.Diff(want, eventTypes(t, c, *out.ExecutionArn)); d != "" {
		t.Error(d)
	}
	if out := run(t, c, nest("twice", nest("sync", child, ".sync"), ".sync"), "", "{}"); out.Status != types.ExecutionStatusSucceeded {
		t.Errorf("%+v %s", out, aws.ToString(out.Cause))
	}
	if out := run(t, c, nest("fail", failing, ".sync"), "", "{}"); out.Status != types.ExecutionStatusFailed || *out.Error != "States.TaskFailed" || !strings.Contains(*out.Cause, `"Error":"E"`) {
		t.Errorf("%+v", out)
	}
	arn := begin(t, c, nest("stop", waiting, ".sync"), "{}")
	for !strings.Contains(eventTypes(t, c, arn), "TaskSubmitted") {
		if t.Context().Err() != nil {
			t.Fatal("the execution never started its child")
		}
	}
	if _, err := c.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn}); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &waiting})
	if err != nil || len(list.Executions) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	if out := finish(t, c, *list.Executions[0].ExecutionArn); out.Status != types.ExecutionStatusAborted {
		t.Errorf("the child goes on: %+v", out)
	}
}
