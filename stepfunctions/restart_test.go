package stepfunctions_test

import (
	"bufio"
	"context"
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

// serveVariable makes the test binary a service process on the file it names.
const serveVariable = "GUST_SFN_TEST_SERVE"

// serve runs the service until the process is killed.
func serve(path string) {
	echo := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}
	s, err := stepfunctions.New(stepfunctions.Config{DataPath: path, Handlers: map[string]handlers.Handler{"work": echo}, WaitScale: 0.01})
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

// spawn starts a service process and returns its endpoint and the way to kill it at once.
func spawn(t *testing.T, path string) (endpoint string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), serveVariable+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill() // SIGKILL
			_ = cmd.Wait()         // reports the kill
		})
	}
	t.Cleanup(kill)
	return strings.TrimSpace(line), kill
}

// answer is a worker: it hands its tasks' inputs back, and repeats every answer until it is acknowledged. A task that was on
// its way to a worker when the service was killed is missed by its heartbeat and tried again.
func answer(ctx context.Context, current func() *sfn.Client) {
	for ctx.Err() == nil {
		task, err := current().GetActivityTask(ctx, &sfn.GetActivityTaskInput{ActivityArn: aws.String(activityARN)})
		if err != nil || task.TaskToken == nil {
			continue
		}
		for ctx.Err() == nil {
			_, err := current().SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: task.TaskToken, Output: task.Input})
			if err == nil || strings.HasPrefix(code(err), "TaskTimedOut") {
				break
			}
		}
	}
}

// TestKilledServiceLosesAndDoublesNothing kills a service process at random instants while many callers start executions,
// each repeating its start until it is answered. In the end every name has run once and to its end.
func TestKilledServiceLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	const kills, callers, each = 4, 8, 15
	path := filepath.Join(t.TempDir(), "sfn.db")
	endpoint, kill := spawn(t, path)
	var mu sync.Mutex
	current := func() *sfn.Client {
		mu.Lock()
		defer mu.Unlock()
		return client(nil, func(o *sfn.Options) { o.BaseEndpoint = aws.String(endpoint); o.RetryMaxAttempts = 1 })
	}
	createActivity(t, current())
	child := create(t, current(), "child", oneTask)
	machine := create(t, current(), "m", `{"StartAt":"T","States":{
		"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work","Next":"W"},
		"W":{"Type":"Wait","Seconds":3,"Next":"M"},
		"M":{"Type":"Map","ItemsPath":"$.items","ResultPath":null,"Next":"A","ItemProcessor":{"StartAt":"I","States":{
			"I":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:work","End":true}}}},
		"A":{"Type":"Task","Resource":"`+activityARN+`","TimeoutSeconds":60,"HeartbeatSeconds":2,"Next":"N",
			"Retry":[{"ErrorEquals":["States.Timeout"],"MaxAttempts":9}]},
		"N":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn":"`+child+`","Input.$":"$"},
			"OutputPath":"$.Output","Next":"D"},
		"D":{"Type":"Map","ItemsPath":"$.items","MaxConcurrency":2,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
			"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}},"End":true}}}`)
	ctx, done := context.WithCancel(t.Context())
	var workers, wg sync.WaitGroup
	for range 3 {
		workers.Go(func() { answer(ctx, current) })
	}
	for caller := range callers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("e-%d-%d", caller, i)
				for t.Context().Err() == nil {
					_, err := current().StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: &machine, Name: &name,
						Input: aws.String(`{"items":[1,2.0,{"a":3}]}`)})
					if err == nil || strings.HasPrefix(code(err), "ExecutionAlreadyExists") {
						break
					}
				}
			}
		})
	}
	for range kills {
		<-time.After(time.Duration(20+rand.IntN(120)) * time.Millisecond)
		mu.Lock()
		kill()
		endpoint, kill = spawn(t, path)
		mu.Unlock()
	}
	wg.Wait()
	c := current()
	for caller := range callers {
		for i := range each {
			arn := fmt.Sprintf("arn:aws:states:us-east-1:123456789012:execution:m:e-%d-%d", caller, i)
			if out := finish(t, c, arn); out.Status != types.ExecutionStatusSucceeded || *out.Output != `[1,2.0,{"a":3}]` {
				t.Errorf("%s: %s %v %v", arn, out.Status, aws.ToString(out.Output), aws.ToString(out.Cause))
			}
			wellFormed(t, c, arn)
		}
	}
	done()
	workers.Wait()
	for what, arn := range map[string]string{"": machine, "nested ": child} {
		all, err := c.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &arn, MaxResults: 1000})
		if err != nil || len(all.Executions) != callers*each {
			t.Errorf("%d %sexecutions, want %d (%v)", len(all.Executions), what, callers*each, err)
		}
	}
}

// wellFormed checks that a history has no gaps and one end.
func wellFormed(t *testing.T, c *sfn.Client, arn string) {
	t.Helper()
	h, err := c.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: 1000})
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	for i, e := range h.Events {
		if e.Id != int64(i+1) || e.PreviousEventId >= e.Id {
			t.Errorf("%s: event %d has id %d and follows %d", arn, i+1, e.Id, e.PreviousEventId)
		}
		if e.Type == types.HistoryEventTypeExecutionSucceeded {
			ends++
		}
	}
	if ends != 1 || h.Events[len(h.Events)-1].Type != types.HistoryEventTypeExecutionSucceeded {
		t.Errorf("%s: %d ends", arn, ends)
	}
}

// TestStoppedServiceGoesOnWhereItWas stops a service in the middle of a wait and of a task.
func TestStoppedServiceGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "sfn.db")
	entered := make(chan struct{}, 1)
	stuck := handlers.Handler{Func: func(ctx context.Context, _ []byte) ([]byte, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	first, err := stepfunctions.New(stepfunctions.Config{DataPath: path, Handlers: map[string]handlers.Handler{"work": stuck}})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(ctx); err != nil {
		t.Fatal(err)
	}
	c := client(first)
	var arns []string
	for _, definition := range []string{`{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"End":true}}}`, oneTask} {
		machine := create(t, c, fmt.Sprint("m", len(arns)), definition)
		out, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Input: aws.String(`{"a":1.0}`)})
		if err != nil {
			t.Fatal(err)
		}
		arns = append(arns, *out.ExecutionArn)
	}
	<-entered
	if err := first.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	echo := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}
	c = client(start(t, stepfunctions.Config{DataPath: path, Handlers: map[string]handlers.Handler{"work": echo}}))
	for _, arn := range arns {
		if out := finish(t, c, arn); out.Status != types.ExecutionStatusSucceeded || *out.Output != `{"a":1.0}` {
			t.Errorf("%s: %s %v", arn, out.Status, aws.ToString(out.Cause))
		}
		wellFormed(t, c, arn)
	}
}

func TestNewRefusesBadConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := stepfunctions.New(stepfunctions.Config{WaitScale: -1}); err == nil {
		t.Error("a negative wait scale was accepted")
	}
	if _, err := stepfunctions.New(stepfunctions.Config{Handlers: map[string]handlers.Handler{"f": {}}}); err == nil {
		t.Error("a handler that does nothing was accepted")
	}
	s, err := stepfunctions.New(stepfunctions.Config{Addr: "256.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "listen on 256.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}
