package stepfunctions

import (
	"errors"
	"testing"
	"time"

	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

var waitingStart = with(plainStart, "deferrable", true)

// A try that died between the start of its execution and the note of its ARN is followed by one that finds it.
func TestNextTryFindsWhatWasStartedUnnoticed(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.crashAt("execution_arn", 1)
	if _, err := b.start(t, waitingStart); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	b.task = b.task.NextTry(t)
	b.mustStart(t, waitingStart)
	if n := b.Executions(); n != 1 {
		t.Errorf("%d executions, want 1", n)
	}
}

// DescribeExecution may not know yet what the previous try has started a moment ago, after calls that were throttled.
func TestNextTryAsksAgainForAYoungExecution(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.mustStart(t, waitingStart)
	b.task = b.task.NextTry(t)
	b.task.Clock = func() time.Time { return time.Now().Add(time.Minute) }
	b.Fail("DescribeExecution", stepfunctionstest.Fault{Code: "ExecutionDoesNotExist"},
		stepfunctionstest.Fault{Code: "ExecutionDoesNotExist"})
	b.mustStart(t, waitingStart)
	if n := b.Executions(); n != 1 {
		t.Errorf("%d executions, want 1", n)
	}
}

// reattach lets a second try go on with the execution of the first, which is then stopped.
func reattach(t *testing.T) (*bench, operators.Result) {
	t.Helper()
	b := setUp(t)
	b.mustStart(t, waitingStart)
	b.task = b.task.NextTry(t)
	res := b.mustStart(t, waitingStart)
	b.Update(b.arn(t), func(e *stepfunctionstest.Execution) { e.Status, e.Error = "ABORTED", stopError })
	return b, res
}

// An attempt that dies while it replaces a stopped execution by a new one goes on with the new one.
func TestInterruptedWhileStartingAfresh(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		key string
		n   int
	}{{"_execution_attempt", 1}, {"execution_arn", 1}, {"_execution_attempt", 2}, {"execution_arn", 2}} {
		b, res := reattach(t)
		old := b.arn(t)
		b.crashAt(at.key, at.n)
		if _, err := b.fire(t, waitingStart, res); !errors.Is(err, errCrash) {
			t.Fatalf("%v: %v", at, err)
		}
		b.task.OnPush = nil
		again, err := b.fire(t, waitingStart, res) // with the event that is stored
		if err != nil || again.Deferral == nil || b.arn(t) == old || b.Executions() != 2 {
			t.Errorf("%v: %+v, %v, %d executions", at, again, err, b.Executions())
		}
	}
}

// What is stopped is the new execution, although the stored wait is that for the old one.
func TestStopWhileStartingAfresh(t *testing.T) {
	t.Parallel()
	b, res := reattach(t)
	b.crashAt("execution_arn", 2)
	if _, err := b.fire(t, waitingStart, res); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	b.stopNow(t, res)
	starts := b.Calls("StartExecution")
	name := starts[len(starts)-1].Input["name"].(string)
	if e, _ := b.Get(executions + name); len(starts) != 2 || e.Status != "ABORTED" {
		t.Errorf("%d starts, the last is %+v", len(starts), e)
	}
}

// A try that is killed before it has found the execution of the previous one stops that.
func TestStopBeforeTheTryHasItsExecution(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.mustStart(t, waitingStart)
	arn := b.arn(t)
	b.task = b.task.NextTry(t)
	b.stopNow(t, operators.Result{})
	if e, _ := b.Get(arn); e.Status != "ABORTED" {
		t.Errorf("%+v", e)
	}
}

func (b *bench) stopNow(t *testing.T, res operators.Result) {
	t.Helper()
	op := operatorstest.Build(t, b.registry, startName, waitingStart).(operators.Stopper)
	var trigger *triggers.Trigger
	if res.Deferral != nil {
		trigger = &res.Deferral.Trigger
	}
	if err := op.Stop(t.Context(), b.task, "marked failed", trigger); err != nil {
		t.Fatal(err)
	}
}
