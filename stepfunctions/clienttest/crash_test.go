package clienttest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
)

// serveVariable makes the test binary a process that serves the file it names.
const serveVariable = "GUST_CLIENTTEST_SERVE"

// serve runs the service until the process is killed.
func serve(path string) {
	echo := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}
	s, err := stepfunctions.New(stepfunctions.Config{
		DataPath: path, Handlers: map[string]handlers.Handler{"echo": echo}, WaitScale: 0.01,
	})
	if err == nil {
		err = s.Start(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Endpoint())
	select {}
}

// The machine under load: a worker's answer (a task that was handed to a connection that a kill cut is handed out again
// after its time-out), a function, a child execution, branches, a wait.
const (
	parent = `{"StartAt":"Worker","States":{
		"Worker":{"Type":"Task","Resource":"` + Prefix + `activity:work","ResultPath":"$.answer","Next":"Function",
			"TimeoutSeconds":1,"Retry":[{"ErrorEquals":["States.Timeout"],"IntervalSeconds":1,"MaxAttempts":1000,"MaxDelaySeconds":1}]},
		"Function":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:echo","Next":"Both"},
		"Both":{"Type":"Parallel","ResultPath":"$.both","Next":"Child","Branches":[
			{"StartAt":"Wait","States":{"Wait":{"Type":"Wait","Seconds":2,"End":true}}},
			{"StartAt":"Each","States":{"Each":{"Type":"Map","ItemsPath":"$.items","End":true,"ItemProcessor":{
				"StartAt":"Item","States":{"Item":{"Type":"Pass","End":true}}}}}}]},
		"Child":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","ResultSelector":{"out.$":"$.Output"},
			"Parameters":{"StateMachineArn":"` + Prefix + `stateMachine:child","Input.$":"$.answer"},"ResultPath":"$.child","End":true}}}`
	child = `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`
)

// crash is a service process that is killed again and again, and those who use it meanwhile.
type crash struct {
	t    *testing.T
	path string

	mu     sync.RWMutex
	client *sfn.Client
	kill   func()

	answersMu sync.Mutex
	// answers are the outputs that were acknowledged, by token.
	answers map[string]string
	started []string
	// calm is closed after the last kill: until then nobody can say how long anything may take.
	calm chan struct{}
}

// spawn starts a process on the file.
func (c *crash) spawn() {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(c.t.Context(), self)
	cmd.Env = append(os.Environ(), serveVariable+"="+c.path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.t.Fatalf("the service does not start: %v", err)
	}
	client := Client(c.t, strings.TrimSpace(line))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = client
	c.kill = func() {
		_ = cmd.Process.Kill() // SIGKILL
		_ = cmd.Wait()         // reports the kill
	}
}

func (c *crash) now() *sfn.Client {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.client
}

// once switches the SDK's own repetitions off: the test counts.
func once(o *sfn.Options) { o.Retryer = aws.NopRetryer{} }

// TestKillsUnderLoad kills the service at random instants. In the end no execution that was acknowledged is lost, no
// task token was answered twice, and every history is well formed.
func TestKillsUnderLoad(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	kills := 8
	if os.Getenv("GUST_TEST_FULL") != "" {
		kills = 200
	}
	c := &crash{t: t, path: filepath.Join(t.TempDir(), "sfn.db"), answers: map[string]string{}, calm: make(chan struct{})}
	c.spawn()
	defer func() { c.kill() }()
	for name, definition := range map[string]string{"child": child, "parent": parent} {
		_, err := c.now().CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
			Name: aws.String(name), Definition: aws.String(definition), RoleArn: aws.String(Role),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.now().CreateActivity(t.Context(), &sfn.CreateActivityInput{Name: aws.String("work")}); err != nil {
		t.Fatal(err)
	}
	working, stopWorking := context.WithCancel(t.Context())
	calling, stopCalling := context.WithCancel(t.Context())
	var callers, workers sync.WaitGroup
	for i := range 24 {
		callers.Go(func() { c.call(calling, i) })
	}
	for range 8 {
		workers.Go(func() { c.work(working) })
	}
	for range kills {
		<-time.After(time.Duration(20+rand.IntN(120)) * time.Millisecond)
		c.kill()
		c.spawn()
	}
	close(c.calm)
	stopCalling()
	callers.Wait()
	stopWorking()
	c.mu.RLock()
	c.kill() // ends the long polls of the workers
	c.mu.RUnlock()
	workers.Wait()
	c.spawn()
	c.check()
	t.Logf("%d kills, %d executions, %d tokens answered", kills, len(c.started), len(c.answers))
}

// call starts executions one after the other and waits for the end of each; a start is repeated until it is answered.
func (c *crash) call(ctx context.Context, caller int) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("e-%d-%d", caller, n)
		for {
			_, err := c.now().StartExecution(c.t.Context(), &sfn.StartExecutionInput{
				StateMachineArn: aws.String(Prefix + "stateMachine:parent"), Name: aws.String(name),
				Input: aws.String(`{"items":[1,2.0]}`),
			}, once)
			var exists *types.ExecutionAlreadyExists
			if err == nil || errors.As(err, &exists) {
				break
			}
			if c.t.Context().Err() != nil {
				return
			}
		}
		arn := Prefix + "execution:parent:" + name
		c.answersMu.Lock()
		c.started = append(c.started, arn)
		c.answersMu.Unlock()
		if d := c.ended(arn); d == nil || d.Status != types.ExecutionStatusSucceeded {
			c.t.Errorf("%s: %+v", arn, d)
			return
		}
	}
}

// ended waits for an execution's end through all restarts, and a minute longer.
func (c *crash) ended(arn string) *sfn.DescribeExecutionOutput {
	var deadline time.Time
	for deadline.IsZero() || time.Now().Before(deadline) {
		if deadline.IsZero() {
			select {
			case <-c.calm:
				deadline = time.Now().Add(time.Minute)
			case <-c.t.Context().Done():
				return nil
			default:
			}
		}
		d, err := c.now().DescribeExecution(c.t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)}, once)
		var missing *types.ExecutionDoesNotExist
		if errors.As(err, &missing) {
			c.t.Errorf("%s is lost", arn)
			return nil
		}
		if err == nil && d.Status != types.ExecutionStatusRunning {
			return d
		}
		<-time.After(2 * time.Millisecond)
	}
	return nil
}

// work takes tasks and answers each until the answer is taken or refused, and then once more.
func (c *crash) work(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		task, err := c.now().GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: aws.String(Prefix + "activity:work")}, once)
		if err != nil || aws.ToString(task.TaskToken) == "" {
			<-time.After(time.Millisecond)
			continue
		}
		token, output := aws.ToString(task.TaskToken), fmt.Sprintf(`{"nonce":%d}`, rand.Int64())
		if !c.answer(token, output) {
			continue
		}
		c.answersMu.Lock()
		if before, ok := c.answers[token]; ok {
			c.t.Errorf("a token was answered twice, with %s and %s", before, output)
		}
		c.answers[token] = output
		c.answersMu.Unlock()
		if c.answer(token, `"again"`) {
			c.t.Error("a token was answered twice")
		}
	}
}

// answer sends an answer until it is taken, which is true, or refused.
func (c *crash) answer(token, output string) bool {
	for {
		_, err := c.now().SendTaskSuccess(c.t.Context(), &sfn.SendTaskSuccessInput{
			TaskToken: aws.String(token), Output: aws.String(output),
		}, once)
		var late *types.TaskTimedOut
		var unknown *types.TaskDoesNotExist
		switch {
		case err == nil:
			return true
		case errors.As(err, &late) || errors.As(err, &unknown) || c.t.Context().Err() != nil:
			return false
		}
	}
}

// check looks at every execution.
func (c *crash) check() {
	c.t.Helper()
	acknowledged := map[string]bool{}
	for _, output := range c.answers {
		acknowledged[output] = false
	}
	for _, arn := range c.started {
		events := c.history(arn)
		wellFormed(c.t, arn, events)
		last := events[len(events)-1].ExecutionSucceededEventDetails
		if last == nil {
			c.t.Errorf("%s ends with %s", arn, events[len(events)-1].Type)
			continue
		}
		answered := 0
		for _, e := range events {
			if d := e.ActivitySucceededEventDetails; d != nil {
				answered++
				acknowledged[aws.ToString(d.Output)] = true
			}
		}
		if answered != 1 {
			c.t.Errorf("%s: its activity was answered %d times", arn, answered)
		}
		var output struct {
			Answer, Child struct {
				Nonce int64
				Out   struct{ Nonce int64 }
			}
		}
		if err := json.Unmarshal([]byte(aws.ToString(last.Output)), &output); err != nil || output.Answer.Nonce != output.Child.Out.Nonce {
			c.t.Errorf("%s: output %s, %v", arn, aws.ToString(last.Output), err)
		}
	}
	for output, seen := range acknowledged {
		if !seen {
			c.t.Errorf("the acknowledged answer %s is in no history", output)
		}
	}
	children := c.count("child")
	if parents := c.count("parent"); parents != len(c.started) || children != parents {
		c.t.Errorf("%d executions and %d children, want %d of each", parents, children, len(c.started))
	}
}

func (c *crash) history(arn string) []types.HistoryEvent {
	c.t.Helper()
	var events []types.HistoryEvent
	pages := sfn.NewGetExecutionHistoryPaginator(c.now(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(arn), MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		events = append(events, page.Events...)
	}
	return events
}

func (c *crash) count(machine string) int {
	c.t.Helper()
	n := 0
	pages := sfn.NewListExecutionsPaginator(c.now(), &sfn.ListExecutionsInput{
		StateMachineArn: aws.String(Prefix + "stateMachine:" + machine), StatusFilter: types.ExecutionStatusSucceeded, MaxResults: 1000,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		n += len(page.Executions)
	}
	return n
}

// wellFormed wants dense ids, predecessors that came before, and one end, the last event.
func wellFormed(t *testing.T, arn string, events []types.HistoryEvent) {
	t.Helper()
	if len(events) == 0 {
		t.Fatalf("%s has no history", arn)
	}
	for i, e := range events {
		if e.Id != int64(i+1) || e.PreviousEventId < 0 || e.PreviousEventId >= e.Id {
			t.Errorf("%s: event %d has the id %d and follows %d", arn, i+1, e.Id, e.PreviousEventId)
		}
		end := strings.HasPrefix(string(e.Type), "Execution") && e.Type != types.HistoryEventTypeExecutionStarted
		if end != (i == len(events)-1) {
			t.Errorf("%s: event %d of %d is %s", arn, i+1, len(events), e.Type)
		}
	}
}
