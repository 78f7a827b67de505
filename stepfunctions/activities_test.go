package stepfunctions_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/server"
)

const activityARN = "arn:aws:states:us-east-1:123456789012:activity:act"

// activityTask is a machine of one activity task with further fields.
func activityTask(fields string) string {
	return `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"` + activityARN + `",` + fields + `"End":true}}}`
}

func createActivity(t *testing.T, c *sfn.Client) {
	t.Helper()
	out, err := c.CreateActivity(t.Context(), &sfn.CreateActivityInput{Name: aws.String("act")})
	if err != nil || *out.ActivityArn != activityARN {
		t.Fatal(out, err)
	}
}

func begin(t *testing.T, c *sfn.Client, machine, input string) string {
	t.Helper()
	out, err := c.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: &machine, Input: &input})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ExecutionArn
}

func poll(t *testing.T, c *sfn.Client) *sfn.GetActivityTaskOutput {
	t.Helper()
	out, err := c.GetActivityTask(t.Context(), &sfn.GetActivityTaskInput{ActivityArn: aws.String(activityARN), WorkerName: aws.String("w")})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eventTypes(t *testing.T, c *sfn.Client, arn string) string {
	t.Helper()
	h, err := c.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range h.Events {
		kinds = append(kinds, string(e.Type))
	}
	return strings.Join(kinds, " ")
}

func TestActivityTasksGoToWorkersInOrder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := start(t, stepfunctions.Config{})
	c := client(s)
	createActivity(t, c)
	machine := create(t, c, "m", activityTask(""))
	var arns []string
	for i := range 3 {
		arns = append(arns, begin(t, c, machine, fmt.Sprint(i)))
	}
	idle(t, s) // executions that wait for a worker are not in memory
	var tokens []string
	for i := range 3 {
		task := poll(t, c)
		if *task.Input != fmt.Sprint(i) {
			t.Errorf("task %d has the input %s", i, *task.Input)
		}
		tokens = append(tokens, *task.TaskToken)
	}
	if _, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &tokens[0], Output: aws.String(`{"done":1.0}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: &tokens[1], Error: aws.String("E"), Cause: aws.String("C")}); err != nil {
		t.Fatal(err)
	}
	if out := finish(t, c, arns[0]); out.Status != types.ExecutionStatusSucceeded || *out.Output != `{"done":1.0}` {
		t.Errorf("%+v", out)
	}
	if out := finish(t, c, arns[1]); out.Status != types.ExecutionStatusFailed || *out.Error != "E" || *out.Cause != "C" {
		t.Errorf("%+v", out)
	}
	want := "ExecutionStarted TaskStateEntered ActivityScheduled ActivityStarted ActivitySucceeded TaskStateExited ExecutionSucceeded"
	if d := cmp.Diff(want, eventTypes(t, c, arns[0])); d != "" {
		t.Error(d)
	}
	if _, err := c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: &arns[2]}); err != nil {
		t.Fatal(err)
	}
	for i, token := range tokens {
		_, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String("1")})
		if code(err) != "TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'" {
			t.Errorf("token %d was answered twice: %s", i, code(err))
		}
	}
	forged := "A" + tokens[0][1:]
	if strings.HasPrefix(tokens[0], "A") {
		forged = "B" + tokens[0][1:]
	}
	_, err := c.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &forged})
	if code(err) != "InvalidToken: Invalid Token: 'Invalid token'" {
		t.Error(code(err))
	}
}

// TestOneTaskGoesToOneWorker lets many workers ask at once, before and after there are tasks.
func TestOneTaskGoesToOneWorker(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := client(start(t, stepfunctions.Config{}))
	createActivity(t, c)
	machine := create(t, c, "m", activityTask(""))
	const tasks = 40
	var wg sync.WaitGroup
	inputs := make(chan string, tasks)
	for range tasks {
		wg.Go(func() {
			task := poll(t, c)
			inputs <- *task.Input
			if _, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: task.TaskToken, Output: task.Input}); err != nil {
				t.Error(err)
			}
		})
	}
	var arns []string
	for i := range tasks {
		arns = append(arns, begin(t, c, machine, fmt.Sprint(i)))
	}
	wg.Wait()
	seen := map[string]bool{}
	for range tasks {
		seen[<-inputs] = true
	}
	for i, arn := range arns {
		if out := finish(t, c, arn); out.Status != types.ExecutionStatusSucceeded || *out.Output != fmt.Sprint(i) {
			t.Errorf("%+v", out)
		}
	}
	if len(seen) != tasks {
		t.Errorf("%d of %d tasks were given out once", len(seen), tasks)
	}
}

func TestActivityHeartbeatAndTimeout(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{}))
	createActivity(t, c)
	machine := create(t, c, "m", activityTask(`"HeartbeatSeconds":1,"TimeoutSeconds":3600,`))
	arn := begin(t, c, machine, "{}")
	task := poll(t, c)
	if _, err := c.SendTaskHeartbeat(t.Context(), &sfn.SendTaskHeartbeatInput{TaskToken: task.TaskToken}); err != nil {
		t.Error(err)
	}
	out := finish(t, c, arn)
	if took := out.StopDate.Sub(*out.StartDate); out.Status != types.ExecutionStatusFailed || took < time.Second {
		t.Errorf("%s after %s: %+v", out.Status, took, out)
	}
	want := "ExecutionStarted TaskStateEntered ActivityScheduled ActivityStarted ActivityTimedOut ExecutionFailed"
	if d := cmp.Diff(want, eventTypes(t, c, arn)); d != "" {
		t.Error(d)
	}
	_, err := c.SendTaskHeartbeat(t.Context(), &sfn.SendTaskHeartbeatInput{TaskToken: task.TaskToken})
	if !strings.HasPrefix(code(err), "TaskTimedOut: ") {
		t.Error(code(err))
	}
}

// TestPollersLeave ends the requests of workers before there is a task: nobody who has left gets one.
func TestPollersLeave(t *testing.T) {
	t.Parallel()
	s := start(t, stepfunctions.Config{})
	c := client(s)
	createActivity(t, c)
	machine := create(t, c, "m", activityTask(""))
	const leaving = 20
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range leaving {
		wg.Go(func() {
			out, err := s.Invoke(ctx, pollCall)
			if err != nil || string(out) != "{}" {
				t.Errorf("%s %v", out, err)
			}
		})
	}
	for {
		if st, err := s.Stats(t.Context()); err != nil {
			t.Fatal(err)
		} else if st.Workers == leaving {
			break
		}
	}
	cancel()
	wg.Wait()
	arn := begin(t, c, machine, `"x"`)
	task := poll(t, c)
	if _, err := c.SendTaskSuccess(t.Context(), &sfn.SendTaskSuccessInput{TaskToken: task.TaskToken, Output: task.Input}); err != nil {
		t.Fatal(err)
	}
	if out := finish(t, c, arn); out.Status != types.ExecutionStatusSucceeded {
		t.Errorf("%+v", out)
	}
}

var pollCall = server.Call{Operation: "GetActivityTask", Body: []byte(`{"activityArn":"` + activityARN + `"}`)}

func TestThousandWorkersAreTheLimit(t *testing.T) {
	t.Parallel()
	s := start(t, stepfunctions.Config{})
	createActivity(t, client(s))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	refused := make(chan error, 1)
	// One too many: whichever comes last is refused, and then all others go.
	for range 1001 {
		wg.Go(func() {
			if _, err := s.Invoke(ctx, pollCall); err != nil {
				refused <- err
				cancel()
			}
		})
	}
	err := <-refused
	wg.Wait()
	cancel()
	var known *server.Error
	if !errors.As(err, &known) || known.Code != "ActivityWorkerLimitExceeded" {
		t.Error(err)
	}
}

// TestTasksSurviveARestart stops the service while a task is on offer, while another one is with a worker, and while a
// third waits for its token: all can be answered after the restart.
func TestTasksSurviveARestart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "sfn.db")
	var token string
	accept := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) {
		token = strings.Trim(string(in), `"`)
		return []byte(`"accepted"`), nil
	}}
	config := stepfunctions.Config{DataPath: path, Handlers: map[string]handlers.Handler{"work": accept}}
	first, err := stepfunctions.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(ctx); err != nil {
		t.Fatal(err)
	}
	c := client(first)
	createActivity(t, c)
	act := create(t, c, "act", activityTask(""))
	wait := create(t, c, "wait", `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
		"Parameters":{"FunctionName":"work","Payload.$":"$$.Task.Token"},"End":true}}}`)
	fetched := begin(t, c, act, `"fetched"`)
	task := poll(t, c)
	offered, waiting := begin(t, c, act, `"offered"`), begin(t, c, wait, "{}")
	for !strings.Contains(eventTypes(t, c, waiting), "TaskSubmitted") {
		if t.Context().Err() != nil {
			t.Fatal("the call was never accepted")
		}
	}
	if err := first.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	second := start(t, config)
	c = client(second)
	next := poll(t, c)
	if *next.Input != `"offered"` {
		t.Errorf("got %s", *next.Input)
	}
	for i, tok := range []string{*task.TaskToken, *next.TaskToken, token} {
		if _, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &tok, Output: aws.String(fmt.Sprint(i))}); err != nil {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	for i, arn := range []string{fetched, offered, waiting} {
		if out := finish(t, c, arn); out.Status != types.ExecutionStatusSucceeded || *out.Output != fmt.Sprint(i) {
			t.Errorf("%d: %+v", i, out)
		}
		wellFormed(t, c, arn)
	}
	idle(t, second)
}

func TestActivityThatDoesNotExist(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{}))
	out := run(t, c, create(t, c, "m", activityTask("")), "", "{}")
	if out.Status != types.ExecutionStatusFailed || *out.Error != "States.Runtime" || !strings.HasSuffix(*out.Cause, "The activity "+activityARN+" does not exist.") {
		t.Errorf("%+v", out)
	}
}

// TestParkedWorkers lets workers wait on real connections: those who hang up get no task, and the others are told when
// the service stops.
func TestParkedWorkers(t *testing.T) {
	t.Parallel()
	s, err := stepfunctions.New(stepfunctions.Config{})
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	createActivity(t, c)
	machine := create(t, c, "m", activityTask(""))
	const workers = 10
	waitFor := func(n int) {
		for {
			if st, err := s.Stats(t.Context()); err != nil {
				t.Fatal(err)
			} else if st.Workers == n {
				return
			}
		}
	}
	conns := make([]net.Conn, workers)
	for i := range conns {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Endpoint(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AWSStepFunctions.GetActivityTask\r\nContent-Length: %d\r\n\r\n%s",
			len(pollCall.Body), pollCall.Body); err != nil {
			t.Fatal(err)
		}
		waitFor(i + 1)
	}
	for _, conn := range conns[:workers/2] {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(conn net.Conn) string {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("X-Amzn-Requestid") == "" || !res.Close {
			t.Errorf("%d %v %s %v", res.StatusCode, res.Header, body, err)
		}
		return string(body)
	}
	begin(t, c, machine, `"x"`)
	if got := answer(conns[workers/2]); !strings.HasPrefix(got, `{"taskToken":"`) || !strings.HasSuffix(got, `,"input":"\"x\""}`) {
		t.Error(got)
	}
	waitFor(workers/2 - 1)
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, conn := range conns[workers/2+1:] {
		if got := answer(conn); got != "{}" {
			t.Error(got)
		}
		_ = conn.Close() // the server has closed it
	}
}
