package stepfunctions

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"gust/operators"
	"gust/triggers/stepfunctions"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

// A crash at each push: the attempt is repeated and starts no second execution.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"_state_machine_details", "_execution_attempt", "execution_arn",
		"_state_machine_executions_details", "return_value"} {
		for _, params := range []map[string]any{
			with(plainStart, "deferrable", true), with(plainStart, "deferrable", true, "name", "fixed"),
		} {
			for _, ended := range []bool{false, true} {
				b := setUp(t)
				b.crashAt(key, 1)
				if _, err := b.start(t, params); !errors.Is(err, errCrash) {
					t.Fatalf("%s: %v", key, err)
				}
				b.task.OnPush = nil
				if ended {
					for _, c := range b.Calls("StartExecution") {
						b.Update(executions+c.Input["name"].(string), func(e *stepfunctionstest.Execution) { e.Status = "SUCCEEDED" })
					}
				}
				res := b.mustStart(t, params)
				if res.Deferral == nil || b.Executions() != 1 {
					t.Errorf("%s, %v: %d executions, %+v", key, params["name"], b.Executions(), res)
				}
			}
		}
	}
}

// A retry goes on with the previous try's execution while it runs, and starts a new one otherwise.
func TestRetry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status string
		params map[string]any
		starts int
		log    string
	}{
		{"RUNNING", with(plainStart, "deferrable", true), 1, "still runs"},
		{"PENDING_REDRIVE", with(plainStart, "deferrable", true), 1, "still runs"},
		{"RUNNING", plainStart, 2, ""}, // without waiting, a new try is a new wish
		{"FAILED", with(plainStart, "deferrable", true), 2, ""},
		{"SUCCEEDED", with(plainStart, "deferrable", true), 2, ""},
		{"SUCCEEDED", with(plainStart, "deferrable", true, "retry_mode", "redrive"), 2, ""},
		{"FAILED", with(plainStart, "deferrable", true, "retry_mode", "redrive"), 1, "Redrove"},
		{"ABORTED", with(plainStart, "deferrable", true, "retry_mode", "redrive"), 1, "Redrove"},
		{"RUNNING", with(plainStart, "deferrable", true, "retry_mode", "redrive"), 1, "still runs"},
	} {
		b := setUp(t)
		b.mustStart(t, c.params)
		first := b.arn(t)
		b.Update(first, func(e *stepfunctionstest.Execution) { e.Status, e.Redrivable = c.status, true })
		b.task = b.task.NextTry(t)
		res := b.mustStart(t, c.params)
		if n := len(b.Calls("StartExecution")); n != c.starts || !b.task.Logged(c.log) {
			t.Errorf("%s %v: %d starts, want %d\n%s", c.status, c.params, n, c.starts, b.task.LogText())
		}
		if again := b.arn(t) == first; again != (c.starts == 1) {
			t.Errorf("%s %v: execution %s after %s", c.status, c.params, b.arn(t), first)
		}
		if c.log == "Redrove" {
			var args stepfunctions.Args
			if err := json.Unmarshal(res.Deferral.Trigger.Args, &args); err != nil || args.Redrives != 1 {
				t.Errorf("redrives %d, want 1", args.Redrives)
			}
		}
	}
}

func TestRetryWithoutThePreviousExecution(t *testing.T) {
	t.Parallel()
	for _, previous := range []any{
		executions + "gone", "", nil, 7, "arn:aws:states:us-east-1:000000000000:execution:another-machine:x",
	} {
		b := setUp(t)
		b.Update("arn:aws:states:us-east-1:000000000000:execution:another-machine:x", func(*stepfunctionstest.Execution) {})
		b.task.Previous["execution_arn"] = previous
		b.mustStart(t, with(plainStart, "deferrable", true))
		if n := len(b.Calls("StartExecution")); n != 1 {
			t.Errorf("%v: %d starts", previous, n)
		}
	}
	b := setUp(t)
	b.task.Previous["execution_arn"] = executions + "secret"
	b.Fail("DescribeExecution", stepfunctionstest.Fault{Code: "AccessDeniedException"})
	b.mustStart(t, with(plainStart, "deferrable", true))
	if !b.task.Logged("cannot be looked at; starting a new one") {
		t.Error(b.task.LogText())
	}
}

// A try that was taken away after its execution was started, and before its ARN was known, is followed by one that goes on
// with the execution.
func TestRetryAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for _, started := range []bool{true, false} {
		b := setUp(t)
		params := with(plainStart, "deferrable", true)
		before := executions + "of-the-try-before"
		b.Update(before, func(e *stepfunctionstest.Execution) { e.Status = "FAILED" })
		b.task.Previous["execution_arn"] = before
		lost := errors.New("lost")
		b.task.OnPush = func(k string, _ json.RawMessage) error {
			if k == "execution_arn" || !started && k == "_state_machine_executions_details" {
				return lost
			}
			return nil
		}
		if !started {
			b.Fail("StartExecution", stepfunctionstest.Fault{Code: "InvalidArn"})
		}
		if _, err := b.start(t, params); err == nil {
			t.Fatal("no error")
		}
		b.task = b.task.NextTry(t)
		b.mustStart(t, params)
		if n := b.Executions(); n != 2 {
			t.Errorf("started %v: %d executions, want the one before and one more\n%s", started, n, b.task.LogText())
		}
	}
}

// A try that was taken away after it had redriven an execution, whose ARN no try came to know, is followed by one that
// goes on with it.
func TestRetryAfterALostRedrive(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	params := with(plainStart, "deferrable", true, "retry_mode", "redrive")
	for range 2 {
		b.crashAt("execution_arn", 1)
		if _, err := b.start(t, params); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		arn := executions + b.Calls("StartExecution")[0].Input["name"].(string)
		if len(b.Calls("RedriveExecution")) == 0 {
			b.Update(arn, func(e *stepfunctionstest.Execution) { e.Status, e.Redrivable = "ABORTED", true })
		}
		b.task = b.task.NextTry(t)
	}
	b.mustStart(t, params)
	if n := b.Executions(); n != 1 {
		t.Errorf("%d executions, want the one that was redriven\n%s", n, b.task.LogText())
	}
}

// A new try that re-attached to an execution which was being stopped starts a new one instead of failing.
func TestRetryMeetsAStoppedExecution(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	params := with(plainStart, "deferrable", true)
	b.mustStart(t, params)
	b.task = b.task.NextTry(t)
	res := b.mustStart(t, params)
	old := b.arn(t)
	b.Update(old, func(e *stepfunctionstest.Execution) { e.Status, e.Error = "ABORTED", stopError })
	res, err := b.fire(t, params, res)
	if err != nil || res.Deferral == nil || b.arn(t) == old || b.Executions() != 2 {
		t.Fatalf("%+v, %v, %d executions", res, err, b.Executions())
	}
	b.Update(b.arn(t), func(e *stepfunctionstest.Execution) { e.Status, e.Error = "ABORTED", stopError })
	if _, err = b.fire(t, params, res); err == nil {
		t.Error("stopped again, it must fail")
	}
}

func TestFixedNames(t *testing.T) {
	t.Parallel()
	fixed := with(plainStart, "name", "fixed", "deferrable", true, "state_machine_input", map[string]any{"a": 1, "b": 2})
	t.Run("running with the same input", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.Update(executions+"fixed", func(e *stepfunctionstest.Execution) { e.Input = `{ "b": 2, "a": 1 }` })
		if res := b.mustStart(t, fixed); res.Deferral == nil || b.arn(t) != executions+"fixed" {
			t.Errorf("%+v", res)
		}
	})
	t.Run("running with another input", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.Update(executions+"fixed", func(e *stepfunctionstest.Execution) { e.Input = `{}` })
		_, err := b.start(t, fixed)
		wantError(t, err, `the name "fixed" is taken`, "(RUNNING)", "another input")
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.Update(executions+"fixed", func(e *stepfunctionstest.Execution) { e.Status = "FAILED" })
		b.task.Task.Params = map[string]any{"name": "fixed"}
		_, err := b.start(t, fixed)
		wantError(t, err, `(FAILED)`, "90 days", `name: "fixed-{{ ts_nodash }}-{{ ti.try_number }}"`, "ExecutionAlreadyExists")
		if !operators.NoRetry(err) {
			t.Error("a retry would meet the same name")
		}
	})
	t.Run("closed, the name is a template", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.Update(executions+"fixed", func(e *stepfunctionstest.Execution) { e.Status = "FAILED" })
		b.task.Task.Params = map[string]any{"name": "fix{{ 'ed' }}"}
		if _, err := b.start(t, fixed); err == nil || operators.NoRetry(err) {
			t.Errorf("%v; a retry may have another name", err)
		}
	})
	t.Run("an older one is not taken for the attempt's own after a crash", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.Update(executions+"fixed", func(e *stepfunctionstest.Execution) {
			e.Status, e.Started = "SUCCEEDED", time.Now().Add(-time.Hour)
		})
		for range 2 { // the second time the attempt finds its record
			_, err := b.start(t, fixed)
			wantError(t, err, "is taken")
		}
	})
}

// O11, H3, H4, E8, E9: redrive.
func TestRedrive(t *testing.T) {
	t.Parallel()
	base := with(plainStart, "is_redrive_execution", true, "name", "random-123")
	for name, params := range map[string]map[string]any{
		"plain": base, "alias": with(base, "state_machine_arn", machine+":PROD"), "text": with(base, "is_redrive_execution", "True"),
	} {
		b := setUp(t)
		b.Update(executions+"random-123", func(e *stepfunctionstest.Execution) { e.Status, e.Redrivable = "FAILED", true })
		res := b.mustStart(t, params)
		calls := b.Calls("RedriveExecution")
		if len(calls) != 1 || calls[0].Input["executionArn"] != executions+"random-123" || res.Value != executions+"random-123" {
			t.Errorf("%s: %v, %+v", name, calls, res)
		}
		if token, _ := calls[0].Input["clientToken"].(string); len(token) != 32 {
			t.Errorf("client token %q", token)
		}
		if len(b.Calls("StartExecution")) != 0 {
			t.Error("started as well")
		}
	}
	b := setUp(t)
	_, err := b.start(t, map[string]any{"state_machine_arn": machine, "is_redrive_execution": true})
	wantError(t, err, "Execution name is required to start RedriveExecution for "+machine)
	if !operators.NoRetry(err) {
		t.Error("it is final")
	}
	if b.mustStart(t, with(base, "is_redrive_execution", "False")); len(b.Calls("StartExecution")) != 1 {
		t.Error(`"False" redrove`)
	}
	b = setUp(t)
	_, err = b.start(t, with(base, "name", "gone"))
	wantError(t, err, "ExecutionDoesNotExist")
	b.Update(executions+"random-123", func(e *stepfunctionstest.Execution) { e.Status = "SUCCEEDED" })
	_, err = b.start(t, base)
	wantError(t, err, "cannot be redriven", "Execution is SUCCEEDED")
}

func TestRedriveCrashes(t *testing.T) {
	t.Parallel()
	params := with(plainStart, "is_redrive_execution", true, "name", "x", "deferrable", true, "state_machine_input", "{}")
	for _, key := range []string{"_execution_attempt", "execution_arn"} {
		for _, after := range []string{"RUNNING", "FAILED", "SUCCEEDED"} {
			b := setUp(t)
			b.Update(executions+"x", func(e *stepfunctionstest.Execution) { e.Status, e.Redrivable = "FAILED", true })
			b.crashAt(key, 1)
			if _, err := b.start(t, params); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			b.task.OnPush = nil
			b.Update(executions+"x", func(e *stepfunctionstest.Execution) {
				e.Redriven = e.Redriven.Add(-time.Hour) // the clocks differ
				if e.RedriveCount > 0 {
					e.Status = after
				}
			})
			b.mustStart(t, params)
			if n := len(b.Calls("RedriveExecution")); n != 1 {
				t.Errorf("%s, %s: redriven %d times", key, after, n)
			}
		}
	}
}
