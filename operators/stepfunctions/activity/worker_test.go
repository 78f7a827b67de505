package activity

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"go.uber.org/goleak"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/stepfunctions"
	"gust/stepfunctions/clienttest"
	"gust/triggers"
	waits "gust/triggers/stepfunctions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "StepFunctionActivityOperator"

// bench is an execution whose only state is a task of an activity, and a task that works for it.
type bench struct {
	*sfn.Client
	clients   waits.Clients
	registry  *operators.Registry
	task      *operatorstest.Task
	activity  string
	execution string
	// run is what the command does.
	run func(ctx context.Context, c Command) (Ended, error)
}

func setUp(t *testing.T) *bench {
	t.Helper()
	endpoint := clienttest.Start(t, stepfunctions.Config{})
	b := &bench{
		Client: clienttest.Client(t, endpoint), clients: waits.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))),
		registry: operators.NewRegistry(), task: operatorstest.NewTask(t),
	}
	extra, err := json.Marshal(map[string]any{"region_name": "us-east-1", "endpoint_url": endpoint})
	if err != nil {
		t.Fatal(err)
	}
	login, password := "any", "thing"
	b.task.Connections["aws_default"] = &connections.Connection{
		ID: "aws_default", Type: "aws", Login: &login, Password: &password, Extra: extra,
	}
	err = Register(b.registry, Deps{
		Clients: b.clients, Backoff: func(int) time.Duration { return time.Millisecond },
		Run: func(ctx context.Context, _ operators.Task, c Command) (Ended, error) { return b.run(ctx, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.start(t)
	return b
}

func (b *bench) start(t *testing.T) {
	t.Helper()
	created, err := b.CreateActivity(t.Context(), &sfn.CreateActivityInput{Name: aws.String("approve")})
	if err != nil {
		t.Fatal(err)
	}
	b.activity = aws.ToString(created.ActivityArn)
	machine, err := b.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("approvals"), RoleArn: aws.String(clienttest.Role),
		Definition: aws.String(`{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"` + b.activity + `","End":true}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	started, err := b.StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: machine.StateMachineArn, Input: aws.String(`{"order": 7}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.execution = aws.ToString(started.ExecutionArn)
}

func (b *bench) params(more ...any) map[string]any {
	out := map[string]any{"activity_arn": b.activity, "command": "approve.py", "deferrable": false}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func (b *bench) execute(t *testing.T, more ...any) (operators.Result, error) {
	t.Helper()
	return operatorstest.Build(t, b.registry, name, b.params(more...)).Execute(t.Context(), b.task)
}

// ended waits for the execution's end.
func (b *bench) ended(t *testing.T) *sfn.DescribeExecutionOutput {
	t.Helper()
	for {
		d, err := b.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(b.execution)})
		if err != nil {
			t.Fatal(err)
		}
		if d.Status != types.ExecutionStatusRunning {
			return d
		}
		if err := triggers.Pause(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// answers counts the events that end the activity's task.
func (b *bench) answers(t *testing.T) int {
	t.Helper()
	out, err := b.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(b.execution)})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range out.Events {
		if e.Type == types.HistoryEventTypeActivitySucceeded || e.Type == types.HistoryEventTypeActivityFailed {
			n++
		}
	}
	return n
}

func prints(output string) func(context.Context, Command) (Ended, error) {
	return func(context.Context, Command) (Ended, error) { return Ended{Output: []byte(output), Code: "0"}, nil }
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		ended         Ended
		output, error string
	}{
		"output":       {Ended{Output: []byte("{\"ok\": 1.0}\n"), Code: "0"}, `{"ok": 1.0}`, ""},
		"nothing":      {Ended{Code: "0"}, "null", ""},
		"exit code":    {Ended{Output: []byte("1"), Code: "3", Errors: "no such order"}, "", "Gust.CommandFailed"},
		"not JSON":     {Ended{Output: []byte("done"), Code: "0"}, "", "Gust.OutputNotJSON"},
		"out of space": {Ended{Output: []byte("1"), Cut: true, Code: "0"}, "", "Gust.OutputTooLarge"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			b.run = func(_ context.Context, cmd Command) (Ended, error) {
				if cmd.Line != "approve.py" || strings.ReplaceAll(string(cmd.Input), " ", "") != `{"order":7}` {
					t.Errorf("command %q with input %s", cmd.Line, cmd.Input)
				}
				return c.ended, nil
			}
			res, err := b.execute(t)
			d := b.ended(t)
			if aws.ToString(d.Error) != c.error || strings.ReplaceAll(aws.ToString(d.Output), " ", "") != strings.ReplaceAll(c.output, " ", "") {
				t.Errorf("execution: output %s, error %s (%s)", aws.ToString(d.Output), aws.ToString(d.Error), aws.ToString(d.Cause))
			}
			if c.error != "" {
				if err == nil || !strings.Contains(err.Error(), c.error) {
					t.Errorf("task: %v", err)
				}
				return
			}
			if err != nil || string(res.Value.(done).Output) != c.output {
				t.Errorf("task: %+v, %v", res, err)
			}
		})
	}
}

// The task is taken by the trigger, as in the trigger loop.
func TestParked(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.run = prints(`"yes"`)
	res, err := b.execute(t, "deferrable", true)
	if err != nil || res.Deferral == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	r := triggers.NewRegistry()
	if err := waits.Register(r, waits.Deps{Clients: b.clients, Connections: b.task}); err != nil {
		t.Fatal(err)
	}
	checker, err := r.Checker(res.Deferral.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	v := checker.Check(t.Context(), time.Now(), []triggers.Wait{{ID: "w", Args: res.Deferral.Trigger.Args, Since: time.Now()}})[0]
	if v.Event == nil {
		t.Fatalf("%+v", v)
	}
	op := operatorstest.Build(t, b.registry, name, b.params())
	if _, err := op.(operators.Resumer).Resume(t.Context(), b.task, *v.Event); err != nil {
		t.Fatal(err)
	}
	if d := b.ended(t); aws.ToString(d.Output) != `"yes"` {
		t.Errorf("output %s", aws.ToString(d.Output))
	}
	// The time is up before a poll begins.
	late := waits.ActivityArgs{ActivityARN: b.activity, Worker: "w", Params: awsconn.Params{AWSConnID: "aws_default"}, Deadline: time.Now()}
	trigger, err := late.Trigger()
	if err != nil {
		t.Fatal(err)
	}
	v = checker.Check(t.Context(), time.Now(), []triggers.Wait{{ID: "w", Args: trigger.Args, Since: time.Now()}})[0]
	if v.Event == nil {
		t.Fatalf("%+v", v)
	}
	if res, err := op.(operators.Resumer).Resume(t.Context(), b.task, *v.Event); err != nil || !res.Skipped {
		t.Errorf("%+v, %v", res, err)
	}
	op = operatorstest.Build(t, b.registry, name, b.params("soft_fail", false))
	if _, err := op.(operators.Resumer).Resume(t.Context(), b.task, *v.Event); err == nil {
		t.Error("no error without soft_fail")
	}
}

// A crash between taking the task, running the command, writing the answer down and sending it.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"run", keyAnswer, "sent"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			runs, crash := 0, errors.New("the daemon is killed")
			b.run = func(context.Context, Command) (Ended, error) {
				if runs++; at == "run" && runs == 1 {
					return Ended{}, crash
				}
				return Ended{Output: []byte("1"), Code: "0"}, nil
			}
			b.task.OnPush = func(key string, _ json.RawMessage) error {
				if key == at {
					return crash
				}
				return nil
			}
			_, err := b.execute(t)
			if at != "sent" && !errors.Is(err, crash) {
				t.Fatalf("no crash: %v", err)
			}
			b.task.OnPush = nil
			if _, err := b.execute(t); err != nil {
				t.Fatal(err)
			}
			if d := b.ended(t); d.Status != types.ExecutionStatusSucceeded || b.answers(t) != 1 {
				t.Errorf("execution %s, %d answers", d.Status, b.answers(t))
			}
			want := map[string]int{"run": 2, keyAnswer: 2, "sent": 1}[at]
			if runs != want {
				t.Errorf("the command ran %d times, want %d", runs, want)
			}
		})
	}
}

func TestStopFailsTheTask(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	b.run = func(ctx context.Context, _ Command) (Ended, error) {
		cancel(operators.ErrKilled)
		<-ctx.Done()
		return Ended{}, context.Cause(ctx)
	}
	op := operatorstest.Build(t, b.registry, name, b.params())
	if _, err := op.Execute(ctx, b.task); !errors.Is(err, operators.ErrKilled) {
		t.Fatalf("%v", err)
	}
	if err := op.(operators.Stopper).Stop(t.Context(), b.task, "killed by ada", nil); err != nil {
		t.Fatal(err)
	}
	if d := b.ended(t); aws.ToString(d.Error) != "Gust.TaskStopped" || !strings.Contains(aws.ToString(d.Cause), "killed by ada") {
		t.Errorf("error %s: %s", aws.ToString(d.Error), aws.ToString(d.Cause))
	}
}

// A heartbeat that finds the task gone ends the command.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.run = func(ctx context.Context, _ Command) (Ended, error) {
		_, err := b.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: aws.String(b.execution)})
		if err != nil {
			return Ended{}, err
		}
		<-ctx.Done()
		return Ended{}, context.Cause(ctx)
	}
	if _, err := b.execute(t, "heartbeat_interval", 0.01); !errors.Is(err, errTaskGone) {
		t.Errorf("%v", err)
	}
}

func TestFamily(t *testing.T) {
	t.Parallel()
	r := operators.NewRegistry()
	if err := Register(r, Deps{Clients: waits.FromPool(awsconn.NewPool(nil)), Run: func(context.Context, operators.Task, Command) (Ended, error) {
		return Ended{}, nil
	}}); err != nil {
		t.Fatal(err)
	}
	operatorstest.TestFamily(t, r)
	_, err := operatorstest.TryBuild(r, name, map[string]any{"activity_arn": "approve", "command": "x"})
	if err == nil || !strings.Contains(err.Error(), "is not the ARN of an activity") {
		t.Errorf("%v", err)
	}
}
