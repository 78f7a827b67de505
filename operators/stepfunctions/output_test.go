package stepfunctions

import (
	"encoding/json"
	"testing"

	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

func event(payload string) triggers.Event { return triggers.Event{Payload: json.RawMessage(payload)} }

// O3 to O5, E3, E4: what is returned of each execution.
func TestGetExecutionOutput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		execution stepfunctionstest.Execution
		want      string
	}{
		"output":            {stepfunctionstest.Execution{Status: "SUCCEEDED", Output: `{"foo": "bar"}`}, `{"foo":"bar"}`},
		"order and digits":  {stepfunctionstest.Execution{Status: "SUCCEEDED", Output: `{"z":1.0,"a":12345678901234567890}`}, `{"z":1.0,"a":12345678901234567890}`},
		"scalar":            {stepfunctionstest.Execution{Status: "SUCCEEDED", Output: `"x"`}, `"x"`},
		"JSON error":        {stepfunctionstest.Execution{Status: "FAILED", Error: `{"spam": "egg"}`}, `{"spam":"egg"}`},
		"error code":        {stepfunctionstest.Execution{Status: "FAILED", Error: "States.TaskFailed", Cause: "boom"}, `{"error":"States.TaskFailed","cause":"boom","status":"FAILED"}`},
		"output wins":       {stepfunctionstest.Execution{Status: "SUCCEEDED", Output: `1`, Error: "E"}, `1`},
		"running":           {stepfunctionstest.Execution{Status: "RUNNING"}, ""},
		"timed out":         {stepfunctionstest.Execution{Status: "TIMED_OUT"}, ""},
		"output not JSON":   {stepfunctionstest.Execution{Status: "SUCCEEDED", Output: `{`}, `"{"`},
		"aborted with text": {stepfunctionstest.Execution{Status: "ABORTED", Error: "Gust.TaskStopped"}, `{"error":"Gust.TaskStopped","cause":"","status":"ABORTED"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			arn := executions + "x"
			b.Update(arn, func(e *stepfunctionstest.Execution) {
				e.Status, e.Output, e.Error, e.Cause = c.execution.Status, c.execution.Output, c.execution.Error, c.execution.Cause
			})
			res, err := operatorstest.Build(t, b.registry, outputName, map[string]any{"execution_arn": arn}).Execute(t.Context(), b.task)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if res.Value != nil {
				if got, err = encode(res.Value); err != nil {
					t.Fatal(err)
				}
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			calls := b.Calls("")
			if len(calls) != 1 || calls[0].Op != "DescribeExecution" || calls[0].Input["executionArn"] != arn {
				t.Errorf("calls %v, want one DescribeExecution", calls)
			}
			if n := len(b.task.Pushes()); n != 1 || b.task.XCom("_state_machine_executions_details") == "" {
				t.Errorf("pushed %v, want the link once", b.task.Pushes())
			}
		})
	}
}

func TestGetExecutionOutputErrors(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	get := func(arn string) (operators.Result, error) {
		return operatorstest.Build(t, b.registry, outputName, map[string]any{"execution_arn": arn}).Execute(t.Context(), b.task)
	}
	for _, arn := range []string{"", "None"} {
		_, err := get(arn)
		wantError(t, err, "execution_arn is empty")
	}
	_, err := get(executions + "gone")
	wantError(t, err, "ExecutionDoesNotExist")
	if n := len(b.Calls("DescribeExecution")); n != newExecutionLooks {
		t.Errorf("%d looks, want %d", n, newExecutionLooks)
	}
	b.Update(executions+"x", func(e *stepfunctionstest.Execution) { e.Status, e.Output = "SUCCEEDED", "1" })
	b.Fail("DescribeExecution", stepfunctionstest.Fault{Code: "ThrottlingException"}, stepfunctionstest.Fault{Drop: true},
		stepfunctionstest.Fault{Code: "ExecutionDoesNotExist"})
	if _, err := get(executions + "x"); err != nil {
		t.Error(err)
	}
}
