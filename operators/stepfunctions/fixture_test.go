package stepfunctions

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/connections/awsconn"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/stepfunctions"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	startName  = "StepFunctionStartExecutionOperator"
	outputName = "StepFunctionGetExecutionOutputOperator"
	machine    = stepfunctionstest.Machine
	executions = "arn:aws:states:us-east-1:000000000000:execution:pseudo-state-machine:"
)

type bench struct {
	*stepfunctionstest.Server
	registry *operators.Registry
	task     *operatorstest.Task
}

func setUp(t *testing.T) *bench {
	t.Helper()
	b := &bench{Server: stepfunctionstest.New(t), registry: operators.NewRegistry(), task: operatorstest.NewTask(t)}
	b.task.Connections["aws_default"] = b.Connection("aws_default")
	deps := Deps{
		Clients: stepfunctions.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))),
		Backoff: func(int) time.Duration { return time.Millisecond },
	}
	if err := Register(b.registry, deps); err != nil {
		t.Fatal(err)
	}
	return b
}

func with(params map[string]any, more ...any) map[string]any {
	out := map[string]any{}
	for k, v := range params {
		out[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

var plainStart = map[string]any{"state_machine_arn": machine}

func (b *bench) start(t *testing.T, params map[string]any) (operators.Result, error) {
	t.Helper()
	return operatorstest.Build(t, b.registry, startName, params).Execute(t.Context(), b.task)
}

func (b *bench) mustStart(t *testing.T, params map[string]any) operators.Result {
	t.Helper()
	res, err := b.start(t, params)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.task.LogText())
	}
	return res
}

// arn is the ARN that the task pushed.
func (b *bench) arn(t *testing.T) string {
	t.Helper()
	return operators.Text(json.RawMessage(b.task.XCom("execution_arn")))
}

// fire checks the deferral's trigger as the loop does, and resumes the task with the event.
func (b *bench) fire(t *testing.T, params map[string]any, res operators.Result) (operators.Result, error) {
	t.Helper()
	if res.Deferral == nil {
		t.Fatalf("not deferred: %+v", res)
	}
	r := triggers.NewRegistry()
	err := stepfunctions.Register(r, stepfunctions.Deps{
		Clients: stepfunctions.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))), Connections: b.task,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(res.Deferral.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	v := c.Check(t.Context(), time.Now(), []triggers.Wait{{ID: "w", Args: res.Deferral.Trigger.Args, Since: time.Now()}})[0]
	if v.Event == nil {
		t.Fatalf("the trigger did not fire: %+v", v)
	}
	op, ok := operatorstest.Build(t, b.registry, startName, params).(operators.Resumer)
	if !ok {
		t.Fatal("the operator cannot resume")
	}
	return op.Resume(t.Context(), b.task, *v.Event)
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

var errCrash = errors.New("crash")

// crashAt lets the attempt die where it pushes key for the n-th time.
func (b *bench) crashAt(key string, n int) {
	b.task.OnPush = func(k string, _ json.RawMessage) error {
		if k == key {
			if n--; n == 0 {
				return errCrash
			}
		}
		return nil
	}
}
