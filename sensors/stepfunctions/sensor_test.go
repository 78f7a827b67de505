package stepfunctions

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	name = "StepFunctionExecutionSensor"
	arn  = "arn:aws:states:us-east-1:000000000000:execution:pseudo-state-machine:x"
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
	clients := stepfunctions.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler)))
	if err := Register(b.registry, Deps{Clients: clients}); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFamily(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	operatorstest.TestFamily(t, b.registry)
	if _, ok := b.registry.Lookup("airflow.providers.amazon.aws.sensors.step_function." + name); !ok {
		t.Error("not found by its import path")
	}
	spec, _ := b.registry.Lookup(name)
	var templated []string
	for _, f := range spec.Schema().Fields {
		if f.Template {
			templated = append(templated, f.Name)
		}
	}
	if diff := cmp.Diff([]string{"aws_conn_id", "region_name", "verify", "execution_arn"}, templated); diff != "" {
		t.Error(diff)
	}
	if err := Register(operators.NewRegistry(), Deps{}); err == nil {
		t.Error("Register without Clients was accepted")
	}
}

// S1: parameters and defaults; parked unless told otherwise.
func TestParameters(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	s := operatorstest.Build(t, b.registry, name, map[string]any{"execution_arn": arn}).(*ExecutionSensor)
	if s.AWSConnID != "aws_default" || s.RegionName != "" || !s.Verify.IsZero() || s.BotocoreConfig != nil || !s.Parks() {
		t.Errorf("%+v", s)
	}
	s = operatorstest.Build(t, b.registry, name, map[string]any{
		"execution_arn": arn, "aws_conn_id": "c", "region_name": "us-west-2", "verify": true, "deferrable": false,
		"botocore_config": map[string]any{"read_timeout": 42}, "poke_interval": 5,
	}).(*ExecutionSensor)
	want := awsconn.Params{AWSConnID: "c", RegionName: "us-west-2", Verify: awsconn.VerifyBool(true),
		BotocoreConfig: map[string]any{"read_timeout": 42}}
	if diff := cmp.Diff(want, s.Params, cmp.AllowUnexported(awsconn.Verify{})); diff != "" || s.Parks() {
		t.Error(diff)
	}
}

// S2 to S4, E2: each status, in each of the three modes.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, mode := range []map[string]any{
		{"deferrable": true}, {"mode": "reschedule"}, {"mode": "poke", "timeout": 0, "poke_interval": 0},
	} {
		for status, want := range map[string]string{
			"SUCCEEDED": "success", "FAILED": "failed", "TIMED_OUT": "failed", "ABORTED": "failed",
			"RUNNING": "waits", "PENDING_REDRIVE": "waits",
		} {
			b := setUp(t)
			b.Update(arn, func(e *stepfunctionstest.Execution) {
				e.Status = status
				switch want {
				case "success":
					e.Output = `{"z": 1, "a": "<&>"}`
				case "failed":
					e.Output, e.Error, e.Cause = `{"test": "test"}`, "E", "boom"
				}
			})
			res, err := b.look(t, mode)
			switch want {
			case "success":
				if err != nil || res.Value != nil || b.task.XCom("output") != `{"z":1,"a":"<&>"}` || !b.task.Logged("Doing xcom_push of output") {
					t.Errorf("%v %s: %+v, %v, output %s", mode, status, res, err, b.task.XCom("output"))
				}
			case "failed":
				text := `Step Function sensor failed. State Machine Output: {"test": "test"}; execution ` + arn + " ended " + status + ": E: boom"
				if err == nil || err.Error() != text || operators.NoRetry(err) || len(b.task.Pushes()) != 0 {
					t.Errorf("%v %s: %v, want %s", mode, status, err, text)
				}
			case "waits":
				_, late := mode["timeout"]
				if late != (err != nil && strings.Contains(err.Error(), "timed out")) || !late && (err != nil || res.RescheduleAt.IsZero()) {
					t.Errorf("%v %s: %+v, %v", mode, status, res, err)
				}
			}
		}
	}
}

// look makes one look at the execution in the given mode. A parked sensor that goes on waiting is told as rescheduled.
func (b *bench) look(t *testing.T, params map[string]any) (operators.Result, error) {
	t.Helper()
	all := map[string]any{"execution_arn": arn}
	for k, v := range params {
		all[k] = v
	}
	op := operatorstest.Build(t, b.registry, name, all)
	parker := op.(operators.Parker)
	if !parker.Parks() {
		return op.Execute(t.Context(), b.task)
	}
	d, err := parker.Park(t.Context(), b.task)
	if err != nil {
		return operators.Result{}, err
	}
	r := triggers.NewRegistry()
	clients := stepfunctions.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler)))
	if err := stepfunctions.Register(r, stepfunctions.Deps{Clients: clients, Connections: b.task}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(d.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	v := c.Check(t.Context(), time.Now(), []triggers.Wait{{ID: "w", Args: d.Trigger.Args, Since: time.Now()}})[0]
	if v.Err == nil && v.Event == nil {
		return operators.Reschedule(v.Again), nil
	}
	return parker.Finish(t.Context(), b.task, v.Event, v.Err)
}

func TestSuccessWithoutOutput(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.Update(arn, func(e *stepfunctionstest.Execution) { e.Status = "SUCCEEDED" })
	b.task.Task.DoXComPush = false
	if _, err := b.look(t, nil); err != nil || b.task.XCom("output") != "null" {
		t.Errorf("output %q, %v; want null whatever do_xcom_push says", b.task.XCom("output"), err)
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	for _, mode := range []map[string]any{{"deferrable": true}, {"mode": "reschedule"}} {
		for _, f := range []stepfunctionstest.Fault{
			{Code: "ThrottlingException"}, {Drop: true}, {Code: "X", Status: 500}, {Code: "ExecutionDoesNotExist"},
		} {
			b := setUp(t)
			b.Update(arn, func(*stepfunctionstest.Execution) {})
			b.Fail("DescribeExecution", f)
			if res, err := b.look(t, mode); err != nil || res.RescheduleAt.IsZero() {
				t.Errorf("%v %+v: %+v, %v; want to wait on", mode, f, res, err)
			}
		}
		b := setUp(t)
		b.Update(arn, func(*stepfunctionstest.Execution) {})
		b.Fail("DescribeExecution", stepfunctionstest.Fault{Code: "AccessDeniedException"})
		if _, err := b.look(t, mode); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%v: %v", mode, err)
		}
		b.task.First = time.Now().Add(-time.Hour)
		b.Fail("DescribeExecution", stepfunctionstest.Fault{Code: "ExecutionDoesNotExist"})
		if mode["mode"] != nil {
			if _, err := b.look(t, mode); err == nil {
				t.Error("an execution that does not exist is waited for")
			}
		}
	}
}

func TestBadARN(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for given, want := range map[string]string{
		"": "execution_arn is empty", "None": "execution_arn is empty", "arn:aws:states:r:1:express:m:x:y": "EXPRESS",
	} {
		for _, mode := range []map[string]any{{"deferrable": true}, {"mode": "poke"}} {
			_, err := b.look(t, map[string]any{"execution_arn": given, "mode": mode["mode"], "deferrable": mode["deferrable"]})
			if err == nil || !strings.Contains(err.Error(), want) || !operators.NoRetry(err) {
				t.Errorf("%q: %v, want %q", given, err, want)
			}
		}
	}
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	op := operatorstest.Build(t, b.registry, name, map[string]any{
		"execution_arn": arn, "exponential_backoff": true, "poke_interval": 30, "max_wait": 300, "timeout": 3600,
	}).(operators.Parker)
	d, err := op.Park(t.Context(), b.task)
	if err != nil || d.Trigger.Kind != stepfunctions.Kind {
		t.Fatal(d, err)
	}
	var args stepfunctions.Args
	if err := json.Unmarshal(d.Trigger.Args, &args); err != nil {
		t.Fatal(err)
	}
	want := &triggers.Pace{Interval: 30 * time.Second, Exponential: true, MaxWait: 5 * time.Minute, Timeout: time.Hour,
		Start: b.task.First, Seed: "dag#task#" + triggers.Stamp(b.task.First)}
	if diff := cmp.Diff(want, args.Pace); diff != "" || args.Delay != 30*time.Second || !args.WithOutput {
		t.Error(diff)
	}
	if _, err := op.Finish(t.Context(), b.task, &triggers.Event{Payload: json.RawMessage(`{}`)}, nil); err == nil {
		t.Error("an empty event was accepted")
	}
}
