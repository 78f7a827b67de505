package sfnworker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"
)

// activity hands out tasks and remembers their answers. A poll without a task waits until it is given up.
type activity struct {
	tasks chan string
	empty bool // polls bring nothing at once
	fail  error
	gone  bool // heartbeats are refused
	taken chan struct{}

	mu      sync.Mutex
	answers []string
	beats   int
}

func (a *activity) GetActivityTask(ctx context.Context, _ *sfn.GetActivityTaskInput, _ ...func(*sfn.Options)) (*sfn.GetActivityTaskOutput, error) {
	if a.fail != nil {
		return nil, a.fail
	}
	if a.empty {
		return &sfn.GetActivityTaskOutput{}, nil
	}
	select {
	case input := <-a.tasks:
		if a.taken != nil {
			close(a.taken)
		}
		return &sfn.GetActivityTaskOutput{TaskToken: aws.String("token"), Input: &input}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// awaitTaken waits until a worker has taken the task.
func (a *activity) awaitTaken(t *testing.T) {
	t.Helper()
	select {
	case <-a.taken:
	case <-t.Context().Done():
		t.Fatal("no task was taken")
	}
}

func (a *activity) answer(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = append(a.answers, text)
}

func (a *activity) SendTaskSuccess(_ context.Context, in *sfn.SendTaskSuccessInput, _ ...func(*sfn.Options)) (*sfn.SendTaskSuccessOutput, error) {
	a.answer("success " + *in.Output)
	return &sfn.SendTaskSuccessOutput{}, nil
}

func (a *activity) SendTaskFailure(_ context.Context, in *sfn.SendTaskFailureInput, _ ...func(*sfn.Options)) (*sfn.SendTaskFailureOutput, error) {
	a.answer("failure " + *in.Error + ": " + *in.Cause)
	return &sfn.SendTaskFailureOutput{}, nil
}

func (a *activity) SendTaskHeartbeat(context.Context, *sfn.SendTaskHeartbeatInput, ...func(*sfn.Options)) (*sfn.SendTaskHeartbeatOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.beats++
	if a.gone {
		return nil, &types.TaskTimedOut{}
	}
	return &sfn.SendTaskHeartbeatOutput{}, nil
}

func options(t *testing.T, a *activity, script string) Options {
	return Options{
		API: a, ActivityARN: "arn", Name: "w", Command: []string{"sh", "-c", script}, Concurrency: 1, Once: true,
		Note: func(format string, args ...any) { t.Logf(format, args...) },
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, script, want string }{
		{"output", "cat", `success {"a":1}`},
		{"nothing", "true", "success null"},
		{"space", "echo '  [1]  '", "success [1]"},
		{"token", `echo "\"$GUST_SFN_TASK_TOKEN $GUST_SFN_ACTIVITY_ARN\""`, `success "token arn"`},
		{"exit code", "echo no paper >&2; exit 7", "failure Gust.CommandFailed: exit code 7: no paper"},
		{"signal", "kill -9 $$", "failure Gust.CommandFailed: exit code signal: killed"},
		{"no JSON", "echo hello", "failure Gust.OutputNotJSON: the command printed what is not JSON: hello"},
		{"too much", "head -c 300000 /dev/zero | tr '\\0' 1", "failure Gust.OutputTooLarge: the command printed more than 262144 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &activity{tasks: make(chan string, 1)}
			a.tasks <- `{"a":1}`
			if err := Run(t.Context(), t.Context(), options(t, a, tt.script)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.want}, a.answers); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoSuchCommand(t *testing.T) {
	t.Parallel()
	a := &activity{tasks: make(chan string, 1)}
	a.tasks <- "{}"
	o := options(t, a, "")
	o.Command = []string{"/no/such/command"}
	if err := Run(t.Context(), t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(a.answers) != 1 || !strings.HasPrefix(a.answers[0], "failure Gust.CommandFailed: fork/exec /no/such/command") {
		t.Errorf("answers %q", a.answers)
	}
}

// TestDrains: after the first signal what runs is answered, and nothing more is taken.
func TestDrains(t *testing.T) {
	t.Parallel()
	a := &activity{tasks: make(chan string, 1), taken: make(chan struct{})}
	a.tasks <- "1"
	ctx, drain := context.WithCancel(t.Context())
	defer drain()
	o := options(t, a, "sleep 0.2; cat")
	o.Once = false
	done := make(chan error, 1)
	go func() { done <- Run(ctx, t.Context(), o) }()
	a.awaitTaken(t)
	drain()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"success 1"}, a.answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// TestKill: the second signal ends commands and polls, and fails what was begun.
func TestKill(t *testing.T) {
	t.Parallel()
	a := &activity{tasks: make(chan string, 1), taken: make(chan struct{})}
	a.tasks <- "1"
	kill, end := context.WithCancel(t.Context())
	defer end()
	o := options(t, a, "echo x >&2; sleep 600")
	o.Once, o.Concurrency = false, 2
	ctx, drain := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, kill, o) }()
	a.awaitTaken(t)
	drain()
	end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"failure Gust.WorkerStopped: the worker was stopped while the command ran"}, a.answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// TestTaskThatIsGoneEndsItsCommand: nobody waits for the answer of a task that timed out.
func TestTaskThatIsGoneEndsItsCommand(t *testing.T) {
	t.Parallel()
	a := &activity{tasks: make(chan string, 1), gone: true}
	a.tasks <- "1"
	o := options(t, a, "sleep 600")
	o.Heartbeat = 10 * time.Millisecond
	if err := Run(t.Context(), t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(a.answers) != 0 || a.beats == 0 {
		t.Errorf("answers %q after %d heartbeats", a.answers, a.beats)
	}
}

func TestPolls(t *testing.T) {
	t.Parallel()
	if err := Run(t.Context(), t.Context(), options(t, &activity{empty: true}, "false")); err != nil {
		t.Errorf("a poll that brings nothing: %v", err)
	}
	err := Run(t.Context(), t.Context(), options(t, &activity{fail: &types.ActivityDoesNotExist{}}, "false"))
	var coded interface{ ExitCode() int }
	if !errors.As(err, &coded) || coded.ExitCode() != 254 {
		t.Errorf("an activity that is not there: %v", err)
	}
}

func TestWorkerName(t *testing.T) {
	t.Parallel()
	if got := WorkerName("my host/1", 42); got != "my-host-1-42" {
		t.Errorf("%q", got)
	}
	if got := WorkerName(strings.Repeat("x", 200), 42); len(got) != 80 {
		t.Errorf("%q has %d characters", got, len(got))
	}
}
