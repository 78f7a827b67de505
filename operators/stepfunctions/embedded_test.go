package stepfunctions

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/operators"
	"gust/operators/operatorstest"
	service "gust/stepfunctions"
	"gust/stepfunctions/clienttest"
	"gust/stepfunctions/handlers"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// embedded is the embedded service and a task that uses it.
type embedded struct {
	*sfn.Client
	registry *operators.Registry
	task     *operatorstest.Task
}

func embed(t *testing.T, c service.Config) *embedded {
	t.Helper()
	endpoint := clienttest.Start(t, c)
	e := &embedded{Client: clienttest.Client(t, endpoint), registry: operators.NewRegistry(), task: operatorstest.NewTask(t)}
	extra, err := json.Marshal(map[string]any{"region_name": "us-east-1", "endpoint_url": endpoint})
	if err != nil {
		t.Fatal(err)
	}
	login, password := "any", "thing"
	e.task.Connections["aws_default"] = &connections.Connection{
		ID: "aws_default", Type: "aws", Login: &login, Password: &password, Extra: extra,
	}
	err = Register(e.registry, Deps{
		Clients: stepfunctions.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))),
		Backoff: func(int) time.Duration { return time.Millisecond },
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *embedded) machine(t *testing.T, name, definition string, typ types.StateMachineType) string {
	t.Helper()
	out, err := e.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String(name), Definition: aws.String(definition), RoleArn: aws.String(clienttest.Role), Type: typ,
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.StateMachineArn)
}

func (e *embedded) started(t *testing.T, machine, input string) string {
	t.Helper()
	out, err := e.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(machine), Input: aws.String(input)})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.ExecutionArn)
}

// until returns the execution when it has this status.
func (e *embedded) until(t *testing.T, arn string, status types.ExecutionStatus) *sfn.DescribeExecutionOutput {
	t.Helper()
	for {
		d, err := e.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
		if err != nil {
			t.Fatal(err)
		}
		if d.Status == status {
			return d
		}
		if err := triggers.Pause(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

func (e *embedded) run(t *testing.T, name string, params map[string]any) (operators.Result, error) {
	t.Helper()
	return operatorstest.Build(t, e.registry, name, params).Execute(t.Context(), e.task)
}

const waits = `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":3600,"End":true}}}`

func TestStopExecution(t *testing.T) {
	t.Parallel()
	e := embed(t, service.Config{})
	arn := e.started(t, e.machine(t, "waits", waits, types.StateMachineTypeStandard), "{}")
	stop := map[string]any{"execution_arn": arn, "error": "Late", "cause": "no longer needed"}
	for range 2 { // a repetition finds it ended
		if res, err := e.run(t, "StepFunctionStopExecutionOperator", stop); err != nil || res.Value != arn {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	d := e.until(t, arn, types.ExecutionStatusAborted)
	if aws.ToString(d.Error) != "Late" || aws.ToString(d.Cause) != "no longer needed" {
		t.Errorf("error %q, cause %q", aws.ToString(d.Error), aws.ToString(d.Cause))
	}
	if !e.task.Logged("has ended already (ABORTED)") {
		t.Error(e.task.LogText())
	}
	none := map[string]any{"execution_arn": arn + "x"}
	_, err := e.run(t, "StepFunctionStopExecutionOperator", none)
	wantError(t, err, "ExecutionDoesNotExist")
	if _, err := e.run(t, "StepFunctionStopExecutionOperator", with(none, "missing_ok", true)); err != nil {
		t.Error(err)
	}
	_, err = operatorstest.TryBuild(e.registry, "StepFunctionStopExecutionOperator", with(none, "error", strings.Repeat("e", 257)))
	wantError(t, err, "error has 257 characters")
}

// gateway is a Lambda function that fails until it is mended.
func gateway(broken *atomic.Bool) service.Config {
	return service.Config{Handlers: map[string]handlers.Handler{"gateway": {Func: func(context.Context, []byte) ([]byte, error) {
		if broken.Load() {
			return nil, &handlers.Error{Type: "Unavailable", Message: "down"}
		}
		return []byte(`"paid"`), nil
	}}}}
}

const pays = `{"StartAt":"Pay","States":{"Pay":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:gateway","End":true}}}`

func TestRedriveExecution(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	e := embed(t, gateway(&broken))
	arn := e.started(t, e.machine(t, "pays", pays, types.StateMachineTypeStandard), "{}")
	e.until(t, arn, types.ExecutionStatusFailed)
	redrive := map[string]any{"execution_arn": arn, "wait_for_completion": true, "deferrable": false, "waiter_delay": 1}
	_, err := e.run(t, "StepFunctionRedriveExecutionOperator", redrive)
	wantError(t, err, "Step function failed", "Unavailable", "Pay")
	broken.Store(false)
	e.task = e.task.NextTry(t)
	if res, err := e.run(t, "StepFunctionRedriveExecutionOperator", redrive); err != nil || res.Value != arn {
		t.Fatalf("%+v, %v\n%s", res, err, e.task.LogText())
	}
	if d := e.until(t, arn, types.ExecutionStatusSucceeded); aws.ToInt32(d.RedriveCount) != 2 {
		t.Errorf("%d redrives, want 2", aws.ToInt32(d.RedriveCount))
	}
	// Another try finds that the execution has succeeded since the last one redrove it.
	e.task = e.task.NextTry(t)
	if res, err := e.run(t, "StepFunctionRedriveExecutionOperator", redrive); err != nil || res.Value != arn {
		t.Errorf("%+v, %v", res, err)
	}
	e.task = operatorstestTask(t, e.task)
	_, err = e.run(t, "StepFunctionRedriveExecutionOperator", redrive)
	wantError(t, err, "cannot be redriven")
}

// operatorstestTask is a task that has no previous try.
func operatorstestTask(t *testing.T, like *operatorstest.Task) *operatorstest.Task {
	t.Helper()
	fresh := operatorstest.NewTask(t)
	fresh.Connections = like.Connections
	return fresh
}

// An attempt that crashed after its redrive, before it was parked, does not redrive again.
func TestRedriveSurvivesACrash(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	e := embed(t, gateway(&broken))
	arn := e.started(t, e.machine(t, "pays", pays, types.StateMachineTypeStandard), "{}")
	e.until(t, arn, types.ExecutionStatusFailed)
	crash := context.Canceled
	e.task.OnPush = func(key string, _ json.RawMessage) error {
		if key == keyARN {
			return crash
		}
		return nil
	}
	redrive := map[string]any{"execution_arn": arn, "deferrable": true}
	if _, err := e.run(t, "StepFunctionRedriveExecutionOperator", redrive); err == nil {
		t.Fatal("no crash")
	}
	e.task.OnPush = nil
	res, err := e.run(t, "StepFunctionRedriveExecutionOperator", redrive)
	if err != nil || res.Deferral == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	if d := e.until(t, arn, types.ExecutionStatusFailed); aws.ToInt32(d.RedriveCount) != 1 {
		t.Errorf("%d redrives, want 1", aws.ToInt32(d.RedriveCount))
	}
}

func TestGetExecutionHistory(t *testing.T) {
	t.Parallel()
	e := embed(t, service.Config{})
	arn := e.started(t, e.machine(t, "hello", `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","Result":{"z":1.0,"a":2},"End":true}}}`, ""), `{"k":1}`)
	e.until(t, arn, types.ExecutionStatusSucceeded)
	history := func(more ...any) []string {
		t.Helper()
		res, err := e.run(t, "StepFunctionGetExecutionHistoryOperator", with(map[string]any{"execution_arn": arn}, more...))
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, raw := range res.Value.([]json.RawMessage) {
			var event struct {
				Type, Timestamp string
				ID              int
			}
			if err := json.Unmarshal(raw, &event); err != nil || event.ID == 0 || !strings.HasSuffix(event.Timestamp, "Z") {
				t.Errorf("event %s: %v", raw, err)
			}
			out = append(out, event.Type)
		}
		return out
	}
	all := "ExecutionStarted PassStateEntered PassStateExited PassStateEntered PassStateExited ExecutionSucceeded"
	for _, c := range []struct {
		more []any
		want string
	}{
		{nil, all},
		{[]any{"reverse_order", true, "max_events", 2}, "ExecutionSucceeded PassStateExited"},
		{[]any{"event_types", []any{"Execution*", "*Exited"}}, "ExecutionStarted PassStateExited PassStateExited ExecutionSucceeded"},
		{[]any{"event_types", []any{"TaskFailed"}}, ""},
	} {
		if got := strings.Join(history(c.more...), " "); got != c.want {
			t.Errorf("%v: %s, want %s", c.more, got, c.want)
		}
	}
	_, err := operatorstest.TryBuild(e.registry, "StepFunctionGetExecutionHistoryOperator",
		map[string]any{"execution_arn": arn, "event_types": []any{"TaskFaild"}})
	wantError(t, err, "event_types.0", `did you mean "TaskFailed"?`)

	file := filepath.Join(t.TempDir(), "history.jsonl")
	res, err := e.run(t, "StepFunctionGetExecutionHistoryOperator", map[string]any{"execution_arn": arn, "output_file": file})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := (written{Path: file, Events: 6, Bytes: len(text)}); res.Value != want || strings.Count(string(text), "\n") != 6 {
		t.Errorf("%+v, want %+v\n%s", res.Value, want, text)
	}
	if want := `"stateExitedEventDetails":{"name":"B","output":"{\"z\":1.0,\"a\":2}","outputDetails":{"truncated":false}}`; !strings.Contains(string(text), want) {
		t.Errorf("%s lacks %s", text, want)
	}
}

func TestStartSyncExecution(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	e := embed(t, gateway(&broken))
	machine := e.machine(t, "express", pays, types.StateMachineTypeExpress)
	run := map[string]any{"state_machine_arn": machine, "state_machine_input": map[string]any{"n": 1}}
	res, err := e.run(t, "StepFunctionStartSyncExecutionOperator", run)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := encode(res.Value); err != nil || got != `"paid"` {
		t.Errorf("output %s, %v", got, err)
	}
	if arn := e.task.XCom(keyARN); !strings.Contains(arn, ":express:express:"+deriveName(e.task, "")+":") {
		t.Errorf("execution %s", arn)
	}
	broken.Store(true)
	_, err = e.run(t, "StepFunctionStartSyncExecutionOperator", run)
	wantError(t, err, "Step function failed", "FAILED", "Unavailable")
	_, err = e.run(t, "StepFunctionStartSyncExecutionOperator",
		map[string]any{"state_machine_arn": e.machine(t, "standard", pays, types.StateMachineTypeStandard)})
	wantError(t, err, "is a STANDARD state machine", "StepFunctionStartExecutionOperator")
	if !operators.NoRetry(err) {
		t.Error("a retry would meet the same")
	}
}
