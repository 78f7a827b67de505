package stepfunctions_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
)

func TestStopExecution(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stuck := handlers.Handler{Func: func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }}
	s := start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": stuck}})
	c := client(s)
	machine := create(t, c, "m", oneTask)
	out, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine})
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: out.ExecutionArn, Error: aws.String("E"), Cause: aws.String("C")})
	if err != nil {
		t.Fatal(err)
	}
	d := finish(t, c, *out.ExecutionArn)
	if d.Status != types.ExecutionStatusAborted || *d.Error != "E" || *d.Cause != "C" || !d.StopDate.Equal(*stopped.StopDate) {
		t.Errorf("%+v", d)
	}
	again, err := c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: out.ExecutionArn})
	if err != nil || !again.StopDate.Equal(*stopped.StopDate) {
		t.Errorf("stopped twice: %v %v", again, err)
	}
	idle(t, s)
}

func TestRedriveExecution(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var calls atomic.Int64
	flaky := handlers.Handler{Func: func(context.Context, []byte) ([]byte, error) {
		if calls.Add(1) == 1 {
			return nil, &handlers.Error{Type: "First", Message: "not yet"}
		}
		return []byte(`"ok"`), nil
	}}
	c := client(start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": flaky}}))
	failed := run(t, c, create(t, c, "m", oneTask), "e", "{}")
	if failed.Status != types.ExecutionStatusFailed || *failed.Error != "First" {
		t.Fatalf("%+v", failed)
	}
	first, err := c.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: failed.ExecutionArn, ClientToken: aws.String("token")})
	if err != nil {
		t.Fatal(err)
	}
	done := finish(t, c, *failed.ExecutionArn)
	if done.Status != types.ExecutionStatusSucceeded || *done.Output != `"ok"` || *done.RedriveCount != 1 || done.Error != nil ||
		!done.RedriveDate.Equal(*first.RedriveDate) {
		t.Errorf("%+v", done)
	}
	again, err := c.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: failed.ExecutionArn, ClientToken: aws.String("token")})
	if err == nil && !again.RedriveDate.Equal(*first.RedriveDate) || err != nil && !strings.HasPrefix(code(err), "ExecutionNotRedrivable") {
		t.Errorf("the repeated redrive: %v %s", again, code(err))
	}
	h, err := c.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: failed.ExecutionArn})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range h.Events {
		kinds = append(kinds, string(e.Type))
	}
	want := "ExecutionStarted TaskStateEntered LambdaFunctionScheduled LambdaFunctionStarted LambdaFunctionFailed ExecutionFailed " +
		"ExecutionRedriven LambdaFunctionScheduled LambdaFunctionStarted LambdaFunctionSucceeded TaskStateExited ExecutionSucceeded"
	if d := cmp.Diff(want, strings.Join(kinds, " ")); d != "" {
		t.Error(d)
	}
}

func TestMaxTasksBoundsTheHandlers(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int64
	work := handlers.Handler{Func: func(context.Context, []byte) ([]byte, error) {
		n := running.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		defer running.Add(-1)
		return []byte("1"), nil
	}}
	c := client(start(t, stepfunctions.Config{MaxTasks: 2, Handlers: map[string]handlers.Handler{"work": work}}))
	out := run(t, c, create(t, c, "m", `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"T","States":{
		"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work","End":true}}},"End":true}}}`), "", "[1,2,3,4,5,6,7,8]")
	if out.Status != types.ExecutionStatusSucceeded || *out.Output != "[1,1,1,1,1,1,1,1]" || most.Load() > 2 {
		t.Errorf("%s %v, at most %d at once", out.Status, aws.ToString(out.Output), most.Load())
	}
}

func TestWaitScaleAndTimers(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{WaitScale: 1e-6}))
	machine := create(t, c, "m", waitForever)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if out := run(t, c, machine, fmt.Sprint("e", i), "{}"); out.Status != types.ExecutionStatusSucceeded {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
}

func TestDeletingAMachineAbortsItsExecutions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	machine := create(t, c, "m", waitForever)
	out, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: &machine}); err != nil {
		t.Fatal(err)
	}
	if d := finish(t, c, *out.ExecutionArn); d.Status != types.ExecutionStatusAborted {
		t.Errorf("%+v", d)
	}
	for {
		_, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
		var gone *types.StateMachineDoesNotExist
		if errors.As(err, &gone) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMockedTestCases chooses mocked responses with the test case behind the machine's ARN.
func TestMockedTestCases(t *testing.T) {
	t.Parallel()
	mocks := filepath.Join(t.TempDir(), "MockConfigFile.json")
	if err := os.WriteFile(mocks, []byte(`{"StateMachines":{"m":{"TestCases":{"Good":{"T":"Answer"},"Bad":{"T":"Broken"}}}},
		"MockedResponses":{"Answer":{"0":{"Return":{"mocked":true}}},"Broken":{"0":{"Throw":{"Error":"E","Cause":"C"}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	real := handlers.Handler{Func: func(context.Context, []byte) ([]byte, error) { return []byte(`"real"`), nil }}
	c := client(start(t, stepfunctions.Config{MockFile: mocks, Handlers: map[string]handlers.Handler{"work": real}}))
	machine := create(t, c, "m", oneTask)
	for suffix, want := range map[string]string{"": `"real"`, "#Good": `{"mocked":true}`, "#Bad": "E: C"} {
		out := run(t, c, machine+suffix, "", "{}")
		got := aws.ToString(out.Output)
		if out.Status == types.ExecutionStatusFailed {
			got = *out.Error + ": " + *out.Cause
		}
		if got != want || *out.StateMachineArn != machine {
			t.Errorf("%s: got %s want %s", suffix, got, want)
		}
	}
	_, err := c.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(machine + "#Godo")})
	if !strings.HasPrefix(code(err), "ValidationException: ") || !strings.Contains(code(err), `"Good"`) {
		t.Error(code(err))
	}
}
