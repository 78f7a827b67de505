package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers/stepfunctions"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

func TestFamily(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	operatorstest.TestFamily(t, b.registry)
	for _, name := range []string{startName, outputName} {
		if s, ok := b.registry.Lookup("airflow.providers.amazon.aws.operators.step_function." + name); !ok || s.Name != name {
			t.Errorf("%s is not found by its import path", name)
		}
	}
	if err := Register(operators.NewRegistry(), Deps{}); err == nil {
		t.Error("Register without Clients was accepted")
	}
}

// O12: the templated parameters are Airflow's.
func TestTemplatedParameters(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for name, want := range map[string][]string{
		startName: {"aws_conn_id", "is_redrive_execution", "name", "region_name", "state_machine_arn",
			"state_machine_input", "verify"},
		outputName: {"aws_conn_id", "execution_arn", "region_name", "verify"},
	} {
		spec, _ := b.registry.Lookup(name)
		var got []string
		for _, f := range spec.Schema().Fields {
			if f.Template {
				got = append(got, f.Name)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// O1, O2, O6, O7: parameters and defaults.
func TestParameters(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	op := operatorstest.Build(t, b.registry, startName, plainStart).(*StartExecution)
	if op.AWSConnID != "aws_default" || op.RegionName != "" || !op.Verify.IsZero() || op.BotocoreConfig != nil ||
		op.WaiterDelay.Std() != time.Minute || op.WaiterMaxAttempts != 30 || bool(op.IsRedriveExecution) || !op.StopOnKill ||
		op.Name != nil || op.StateMachineInput != nil || op.RetryMode != "new" || op.waits() {
		t.Errorf("defaults: %+v", op)
	}
	get := operatorstest.Build(t, b.registry, outputName, map[string]any{
		"execution_arn": executions + "x", "aws_conn_id": "aws_non_default", "region_name": "us-west-2",
		"verify": "/spam/egg.pem", "botocore_config": map[string]any{"read_timeout": 42},
	}).(*GetExecutionOutput)
	want := awsconn.Params{
		AWSConnID: "aws_non_default", RegionName: "us-west-2", Verify: awsconn.VerifyPath("/spam/egg.pem"),
		BotocoreConfig: map[string]any{"read_timeout": 42},
	}
	if diff := cmp.Diff(want, get.Params, cmp.AllowUnexported(awsconn.Verify{})); diff != "" {
		t.Error(diff)
	}
	named := operatorstest.Build(t, b.registry, startName, with(plainStart, "name", "NAME", "state_machine_input", "{}", "verify", false)).(*StartExecution)
	if *named.Name != "NAME" || named.StateMachineInput != "{}" || named.Verify != awsconn.VerifyBool(false) {
		t.Errorf("%+v", named)
	}
	for text, params := range map[string]map[string]any{
		"waiter_max_attempts is 0":           with(plainStart, "waiter_max_attempts", 0),
		"waiter_delay is 0s":                 with(plainStart, "waiter_delay", 0),
		"is not the ARN of a state machine":  {"state_machine_arn": "machine"},
		`"maybe" is not a boolean`:           with(plainStart, "is_redrive_execution", "maybe"),
		`"again" is not a legal value`:       with(plainStart, "retry_mode", "again"),
		`unknown parameter; did you mean "`:  with(plainStart, "waiter_delays", 1),
		`missing required parameter "state_`: {},
	} {
		_, err := operatorstest.TryBuild(b.registry, startName, params)
		wantError(t, err, text)
	}
}

// How deferrable, wait_for_completion and default_deferrable play together.
func TestWhetherAndHow(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, c := range []struct {
		deferrable, wait, process *bool
		waits, defers             bool
	}{
		{nil, nil, nil, false, true},
		{&yes, nil, nil, true, true}, // Airflow's combination
		{&no, nil, nil, false, false},
		{nil, &yes, nil, true, true},
		{&no, &yes, nil, true, false},
		{&yes, &no, nil, false, true},
		{nil, nil, &yes, false, true}, // default_deferrable does not turn a start into a wait
		{nil, &yes, &no, true, false},
	} {
		w := Waiting{Deferrable: c.deferrable, WaitForCompletion: c.wait}
		if w.waits() != c.waits || w.defers(c.process) != c.defers {
			t.Errorf("%+v: waits %v, defers %v", c, w.waits(), w.defers(c.process))
		}
	}
}

// O8, H2: without waiting, the ARN at once; both links.
func TestFireAndForget(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	res := b.mustStart(t, with(plainStart, "name", "NAME", "state_machine_input", "{}"))
	if res.Value != executions+"NAME" || res.Deferral != nil {
		t.Errorf("%+v", res)
	}
	if diff := cmp.Diff([]string{"_state_machine_details", "_execution_attempt", "execution_arn",
		"_state_machine_executions_details"}, b.task.Pushes()); diff != "" {
		t.Error(diff)
	}
	want := `{"region_name":"us-east-1","aws_domain":"aws.amazon.com","state_machine_arn":"` + machine + `"}`
	if got := b.task.XCom("_state_machine_details"); got != want {
		t.Errorf("link %s, want %s", got, want)
	}
	if in := b.Calls("StartExecution")[0].Input; in["name"] != "NAME" || in["input"] != "{}" || len(in) != 3 {
		t.Errorf("sent %v", in)
	}
	for _, line := range []string{"Executing Step Function State Machine: " + machine,
		"Started State Machine execution for " + machine + ": " + executions + "NAME"} {
		if !b.task.Logged(line) {
			t.Errorf("the log lacks %q", line)
		}
	}
}

// E17: without do_xcom_push the links and return_value are not pushed; the ARN is, a retry needs it.
func TestNoXComPush(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.task.Task.DoXComPush = false
	b.mustStart(t, with(plainStart, "deferrable", true))
	if diff := cmp.Diff([]string{"_execution_attempt", "execution_arn"}, b.task.Pushes()); diff != "" {
		t.Error(diff)
	}
}

// O9, G3: deferred with everything the wait needs; the ARN is pushed before; success returns it.
func TestDeferred(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	params := with(plainStart, "deferrable", true, "waiter_delay", 10, "waiter_max_attempts", 5, "region_name", "us-east-1")
	res := b.mustStart(t, params)
	if res.Deferral == nil || res.Deferral.Timeout != 50*time.Second+graceTime {
		t.Fatalf("%+v", res)
	}
	var args stepfunctions.Args
	if err := json.Unmarshal(res.Deferral.Trigger.Args, &args); err != nil {
		t.Fatal(err)
	}
	left := time.Until(args.Deadline)
	if args.ExecutionARN != b.arn(t) || args.Delay != 10*time.Second || args.AWSConnID != "aws_default" ||
		args.RegionName != "us-east-1" || left > 50*time.Second || left < 40*time.Second {
		t.Errorf("%+v", args)
	}
	if got := b.task.XCom("return_value"); got != `"`+b.arn(t)+`"` {
		t.Errorf("return_value before the end: %s", got)
	}
	b.Update(b.arn(t), func(e *stepfunctionstest.Execution) { e.Status = "SUCCEEDED" })
	end, err := b.fire(t, params, res)
	if err != nil || end.Value != b.arn(t) || !b.task.Logged("State Machine execution completed successfully") {
		t.Errorf("%+v, %v", end, err)
	}
}

func TestDeferredFailure(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"FAILED", "TIMED_OUT", "ABORTED"} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			params := with(plainStart, "deferrable", true)
			res := b.mustStart(t, params)
			b.Update(b.arn(t), func(e *stepfunctionstest.Execution) {
				e.Status, e.Error, e.Cause = status, "States.TaskFailed", "boom"
			})
			_, err := b.fire(t, params, res)
			wantError(t, err, "Step function failed: execution "+b.arn(t)+" ended "+status+": States.TaskFailed: boom")
			if operators.NoRetry(err) {
				t.Error("the failure is final; it is to be retried")
			}
		})
	}
}

func TestWaitOnTheWorker(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.OnStart = func(e *stepfunctionstest.Execution) { e.Status, e.Error = "FAILED", "E" }
	params := with(plainStart, "wait_for_completion", true, "deferrable", false)
	_, err := b.start(t, params)
	wantError(t, err, "ended FAILED: E")

	b = setUp(t)
	b.OnStart = func(e *stepfunctionstest.Execution) { e.Status = "SUCCEEDED" }
	if res := b.mustStart(t, params); res.Value != b.arn(t) {
		t.Errorf("%+v", res)
	}

	b = setUp(t)
	_, err = b.start(t, with(params, "waiter_delay", 0.05, "waiter_max_attempts", 2))
	wantError(t, err, "max attempts reached", "it is RUNNING")

	b = setUp(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	b.OnStart = func(*stepfunctionstest.Execution) {
		time.AfterFunc(20*time.Millisecond, func() { cancel(operators.ErrStopping) })
	}
	_, err = operatorstest.Build(t, b.registry, startName, params).Execute(ctx, b.task)
	if !errors.Is(err, operators.ErrStopping) {
		t.Errorf("error %v, want the cause", err)
	}
}

// 4.1 and E5 to E7: what is sent as the input and as the name.
func TestInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		input any
		sent  any
		err   string
	}{
		"none":         {nil, nil, ""},
		"dict":         {map[string]any{"b": 1, "a": "<é&>"}, `{"a":"<é&>","b":1}`, ""},
		"empty dict":   {map[string]any{}, `{}`, ""},
		"list":         {[]any{1}, `[1]`, ""},
		"number":       {3, `3`, ""},
		"false":        {false, `false`, ""},
		"JSON text":    {"{\"b\": 1, \"a\": 2.0}", "{\"b\": 1, \"a\": 2.0}", ""},
		"empty text":   {"", nil, "is a text that is not JSON: it is empty"},
		"Python repr":  {"{'a': 1}", nil, "render it with the tojson filter"},
		"just a text":  {"hello", nil, "is a text that is not JSON"},
		"quoted text":  {`"hello"`, `"hello"`, ""},
		"too much":     {strings.Repeat("9", maxInput+1), nil, "takes at most 262144"},
		"not writable": {map[string]any{"f": func() {}}, nil, "cannot be written as JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			_, err := b.start(t, with(plainStart, "state_machine_input", c.input))
			if c.err != "" {
				wantError(t, err, c.err)
				if !operators.NoRetry(err) || len(b.Calls("")) != 0 {
					t.Error("it is final and is found before any call")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Calls("StartExecution")[0].Input["input"]; got != c.sent {
				t.Errorf("sent %v, want %v", got, c.sent)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for name, text := range map[string]string{
		"": "name is empty", strings.Repeat("n", 81): "has 81 characters; expected at most 80",
		"a b": `holds ' '`, "a:b": `holds ':'`, "a\u0085b": "holds", "ä": "",
	} {
		_, err := b.start(t, with(plainStart, "name", name))
		if text == "" {
			if err != nil {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		wantError(t, err, text)
	}
}

// Names made from the attempt are legal, stable, and different for every attempt.
func TestDeriveName(t *testing.T) {
	t.Parallel()
	legal := regexp.MustCompile(`^[0-9A-Za-z_-]{1,80}$`)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := operatorstest.NewTask(t), operatorstest.NewTask(t)
		for _, task := range []*operatorstest.Task{a, b} {
			id := &task.Identity
			id.DagID = rapid.StringMatching(`[\w.-]{1,250}`).Draw(rt, "dag")
			id.TaskID = rapid.StringN(1, 60, 250).Draw(rt, "task")
			id.RunID = rapid.String().Draw(rt, "run")
			id.TryNumber = rapid.IntRange(1, 99).Draw(rt, "try")
			id.MapIndex = rapid.IntRange(-1, 9).Draw(rt, "map")
			task.RunInfo.StartDate = time.UnixMicro(rapid.Int64Range(0, 3).Draw(rt, "start"))
		}
		x, y := deriveName(a, ""), deriveName(b, "")
		if !legal.MatchString(x) {
			rt.Fatalf("%q is no legal name", x)
		}
		if x != deriveName(a, "") {
			rt.Fatal("not stable")
		}
		same := a.Identity == b.Identity && a.RunInfo.StartDate.Equal(b.RunInfo.StartDate)
		if (x == y) != same {
			rt.Fatalf("%q and %q", x, y)
		}
	})
	name := deriveName(operatorstest.NewTask(t), "")
	if !strings.HasPrefix(name, "dag-task-t1-") {
		t.Errorf("%q is not readable", name)
	}
}

// O10: an answer without an ARN.
func TestNoARN(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"executionArn":"","startDate":1}`} {
		b := setUp(t)
		b.Fail("StartExecution", stepfunctionstest.Fault{Body: body})
		_, err := b.start(t, plainStart)
		wantError(t, err, "Failed to start State Machine execution for: "+machine)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	type fault = stepfunctionstest.Fault
	for _, f := range []fault{
		{Code: "ThrottlingException"}, {Code: "ServiceUnavailable", Status: 503}, {Drop: true}, {Drop: true, After: true},
		{Code: "InternalFailure", Status: 500, After: true}, {Code: "ThrottlingException", After: true},
	} {
		b := setUp(t)
		b.Fail("StartExecution", f, f, f)
		if res := b.mustStart(t, plainStart); res.Value != b.arn(t) || b.Executions() != 1 {
			t.Errorf("%+v: %+v, %d executions; want one", f, res, b.Executions())
		}
		if n := len(b.Calls("StartExecution")); n != 4 {
			t.Errorf("%+v: %d calls, want 4", f, n)
		}
	}
	b := setUp(t)
	b.Fail("StartExecution", fault{Code: "StateMachineDoesNotExist"})
	_, err := b.start(t, plainStart)
	wantError(t, err, "StateMachineDoesNotExist")
	if n := len(b.Calls("StartExecution")); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	if _, err = b.start(t, with(plainStart, "aws_conn_id", "nowhere")); !connections.IsNotFound(err) {
		t.Errorf("error %v, want the missing connection", err)
	}
}

func TestResumeWithRubbish(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	op := operatorstest.Build(t, b.registry, startName, plainStart).(operators.Resumer)
	for _, payload := range []string{`null`, `{}`, `[]`, `7`} {
		_, err := op.Resume(t.Context(), b.task, event(payload))
		wantError(t, err, "Trigger error: event is "+payload)
	}
}

// The client of the task's connection is asked for with the task's parameters.
func TestClientParameters(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	c := &recorded{Clients: stepfunctions.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler)))}
	r := operators.NewRegistry()
	if err := Register(r, Deps{Clients: c}); err != nil {
		t.Fatal(err)
	}
	op := operatorstest.Build(t, r, startName, with(plainStart, "region_name", "eu-west-1", "verify", true,
		"botocore_config", map[string]any{"connect_timeout": 3}))
	if _, err := op.Execute(t.Context(), b.task); err != nil {
		t.Fatal(err)
	}
	want := awsconn.Params{AWSConnID: "aws_default", RegionName: "eu-west-1", Verify: awsconn.VerifyBool(true),
		BotocoreConfig: map[string]any{"connect_timeout": 3}}
	if diff := cmp.Diff(want, c.params, cmp.AllowUnexported(awsconn.Verify{})); diff != "" {
		t.Error(diff)
	}
}

type recorded struct {
	stepfunctions.Clients
	params awsconn.Params
}

func (r *recorded) SFN(ctx context.Context, res connections.Resolver, p awsconn.Params) (stepfunctions.API, awsconn.Info, error) {
	r.params = p
	return r.Clients.SFN(ctx, res, p)
}
