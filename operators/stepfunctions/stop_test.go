package stepfunctions

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers/stepfunctions"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

func TestExpress(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	express := map[string]any{"state_machine_arn": strings.Replace(machine, "pseudo", "express", 1)}
	if res := b.mustStart(t, express); !stepfunctions.IsExpress(res.Value.(string)) {
		t.Errorf("%+v", res)
	}
	b = setUp(t)
	_, err := b.start(t, with(express, "deferrable", true))
	wantError(t, err, "EXPRESS", "set wait_for_completion: false")
	stop := operatorstest.Build(t, b.registry, startName, express).(operators.Stopper)
	if err := stop.Stop(t.Context(), b.task, "killed", nil); err != nil || len(b.Calls("StopExecution")) != 0 {
		t.Errorf("%v; an express execution cannot be stopped", err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	params := with(plainStart, "deferrable", true)
	stop := func(t *testing.T, b *bench, params map[string]any, res operators.Result) error {
		t.Helper()
		op := operatorstest.Build(t, b.registry, startName, params).(operators.Stopper)
		if res.Deferral == nil {
			return op.Stop(t.Context(), b.task, "marked failed", nil)
		}
		return op.Stop(t.Context(), b.task, "marked failed", &res.Deferral.Trigger)
	}
	for name, forget := range map[string]bool{"deferred": false, "running": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			res := b.mustStart(t, params)
			if forget {
				res = operators.Result{}
			}
			b.Fail("StopExecution", stepfunctionstest.Fault{Code: "ThrottlingException"}, stepfunctionstest.Fault{Drop: true})
			if err := stop(t, b, params, res); err != nil {
				t.Fatal(err)
			}
			e, _ := b.Get(b.arn(t))
			want := "task task of DAG dag, run manual__2024-01-01T00:00:00+00:00, try 1: marked failed"
			if e.Status != "ABORTED" || e.Error != stopError || e.Cause != want {
				t.Errorf("%+v", e)
			}
		})
	}
	t.Run("stop_on_kill false", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		res := b.mustStart(t, params)
		if err := stop(t, b, with(params, "stop_on_kill", false), res); err != nil || len(b.Calls("StopExecution")) != 0 {
			t.Errorf("%v, stopped", err)
		}
	})
	t.Run("started, not yet known", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.crashAt("execution_arn", 1)
		if _, err := b.start(t, params); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		if err := stop(t, b, params, operators.Result{}); err != nil {
			t.Fatal(err)
		}
		name := b.Calls("StartExecution")[0].Input["name"].(string)
		if e, _ := b.Get(executions + name); e.Status != "ABORTED" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the start is still under way", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.crashAt("execution_arn", 1)
		if _, err := b.start(t, params); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		b.Fail("StopExecution", stepfunctionstest.Fault{Code: "ExecutionDoesNotExist"}, stepfunctionstest.Fault{Code: "ExecutionDoesNotExist"})
		if err := stop(t, b, params, operators.Result{}); err != nil {
			t.Fatal(err)
		}
		if e, _ := b.Get(executions + b.Calls("StartExecution")[0].Input["name"].(string)); e.Status != "ABORTED" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the next try has not come to it", func(t *testing.T) {
		t.Parallel()
		for _, known := range []bool{true, false} { // whether the try before has heard of its execution
			b := setUp(t)
			b.task.OnPush = func(k string, _ json.RawMessage) error {
				if k == "execution_arn" && !known {
					return errors.New("killed")
				}
				return nil
			}
			if _, err := b.start(t, params); (err == nil) != known {
				t.Fatal(err)
			}
			b.task = b.task.NextTry(t)
			if err := stop(t, b, params, operators.Result{}); err != nil {
				t.Fatal(err)
			}
			if e, _ := b.Get(executions + b.Calls("StartExecution")[0].Input["name"].(string)); e.Status != "ABORTED" {
				t.Errorf("known %v: %+v", known, e)
			}
			b.task = b.task.NextTry(t)
			if err := stop(t, b, plainStart, operators.Result{}); err != nil || len(b.Calls("StopExecution")) != 1 {
				t.Errorf("%v, %v: one that does not wait has nothing to do with it", err, b.Calls("StopExecution"))
			}
		}
	})
	t.Run("nothing started", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		if err := stop(t, b, params, operators.Result{}); err != nil || len(b.Calls("")) != 0 {
			t.Errorf("%v, %v", err, b.Calls(""))
		}
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		b.Fail("StartExecution", stepfunctionstest.Fault{Code: "InvalidArn"})
		if _, err := b.start(t, params); err == nil {
			t.Fatal("started")
		}
		if err := stop(t, b, params, operators.Result{}); err != nil {
			t.Errorf("%v; there is nothing to stop", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		b := setUp(t)
		res := b.mustStart(t, params)
		b.Fail("StopExecution", stepfunctionstest.Fault{Code: "AccessDeniedException"})
		wantError(t, stop(t, b, params, res), "AccessDeniedException")
	})
}
