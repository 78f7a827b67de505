package stepfunctions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"go.uber.org/goleak"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/stepfunctions"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const arn = "arn:aws:states:us-east-1:000000000000:execution:pseudo-state-machine:one"

type fixture struct {
	*stepfunctionstest.Server
	checker triggers.Checker
}

func setUp(t *testing.T) fixture {
	t.Helper()
	srv := stepfunctionstest.New(t)
	task := operatorstest.NewTask(t)
	task.Connections["aws_default"] = srv.Connection("aws_default")
	r := triggers.NewRegistry()
	pool := awsconn.NewPool(slog.New(slog.DiscardHandler))
	if err := stepfunctions.Register(r, stepfunctions.Deps{Clients: stepfunctions.FromPool(pool), Connections: task}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(stepfunctions.Kind)
	if err != nil {
		t.Fatal(err)
	}
	return fixture{srv, c}
}

func params() awsconn.Params { return awsconn.Params{AWSConnID: "aws_default"} }

func wait(t *testing.T, args stepfunctions.Args, since time.Time) triggers.Wait {
	t.Helper()
	tr, err := args.Trigger()
	if err != nil {
		t.Fatal(err)
	}
	return triggers.Wait{ID: "w", Args: tr.Args, Since: since}
}

func (f fixture) check(t *testing.T, now time.Time, w triggers.Wait) triggers.Verdict {
	t.Helper()
	return f.checker.Check(t.Context(), now, []triggers.Wait{w})[0]
}

func outcome(t *testing.T, v triggers.Verdict) stepfunctions.Outcome {
	t.Helper()
	if v.Event == nil {
		t.Fatalf("no event: %+v", v)
	}
	var o stepfunctions.Outcome
	if err := json.Unmarshal(v.Event.Payload, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

var now = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// Every status of an execution: the ones that end the wait end it at once.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"SUCCEEDED": stepfunctions.StatusSuccess, "FAILED": stepfunctions.StatusError, "TIMED_OUT": stepfunctions.StatusError, "ABORTED": stepfunctions.StatusError,
		"RUNNING": "", "PENDING_REDRIVE": "", "A_STATUS_OF_TOMORROW": "",
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			f.Update(arn, func(e *stepfunctionstest.Execution) {
				e.Status, e.Output = status, `{"z":1,"a":2.0}`
				if status == "FAILED" {
					e.Error, e.Cause, e.Output = "States.TaskFailed", "boom", ""
					e.History = history(t, "task")
				}
			})
			v := f.check(t, now, wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute, WithOutput: true}, now))
			if want == "" {
				if v.Event != nil || v.Err != nil || !v.Again.After(now) || !strings.HasSuffix(v.Log, status) {
					t.Errorf("%+v; want to look again", v)
				}
				return
			}
			o := outcome(t, v)
			if o.Status != want || o.ExecutionStatus != status || o.ExecutionARN != arn {
				t.Errorf("%+v", o)
			}
			switch status {
			case "SUCCEEDED":
				if o.Output == nil || *o.Output != `{"z":1,"a":2.0}` {
					t.Errorf("output %v", o.Output)
				}
			case "FAILED":
				text := `execution ` + arn + ` ended FAILED: States.TaskFailed: boom; failing state: "Ship"`
				if o.Failure() != text {
					t.Errorf("failure\n%s\nwant\n%s", o.Failure(), text)
				}
			}
		})
	}
}

func history(t *testing.T, name string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "history", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Events []json.RawMessage }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	events := make([]string, len(file.Events))
	for i, e := range file.Events {
		events[len(events)-1-i] = string(e) // newest first
	}
	return events
}

// The history files name the state that failed.
func TestFailedState(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/history/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want struct{ FailedState string }
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			f := setUp(t)
			f.Update(arn, func(e *stepfunctionstest.Execution) {
				e.Status, e.History = "FAILED", history(t, strings.TrimSuffix(filepath.Base(file), ".json"))
			})
			o := outcome(t, f.check(t, now, wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute}, now)))
			if o.FailedState != want.FailedState {
				t.Errorf("failed state %q, want %q", o.FailedState, want.FailedState)
			}
			in := f.Calls("GetExecutionHistory")[0].Input
			if in["reverseOrder"] != true || in["includeExecutionData"] != false {
				t.Errorf("history asked for with %v", in)
			}
		})
	}
}

func TestHistoryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.Update(arn, func(e *stepfunctionstest.Execution) { e.Status, e.Error = "FAILED", "E" })
	f.Fail("GetExecutionHistory", stepfunctionstest.Fault{Code: "AccessDeniedException"})
	o := outcome(t, f.check(t, now, wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute}, now)))
	if o.Failure() != "execution "+arn+" ended FAILED: E" {
		t.Error(o.Failure())
	}
}

// E10 to E12: what passes costs no attempt, however often; what does not ends the wait.
func TestTrouble(t *testing.T) {
	t.Parallel()
	type fault = stepfunctionstest.Fault
	for name, c := range map[string]struct {
		fault fault
		final bool
	}{
		"throttled":           {fault: fault{Code: "ThrottlingException"}},
		"throttled by KMS":    {fault: fault{Code: "KmsThrottlingException"}},
		"unavailable":         {fault: fault{Code: "ServiceUnavailableException", Status: 503}},
		"internal failure":    {fault: fault{Code: "SomethingElse", Status: 500}},
		"too many requests":   {fault: fault{Code: "Whatever", Status: 429}},
		"connection lost":     {fault: fault{Drop: true}},
		"garbage":             {fault: fault{Body: "<html>a proxy's page</html>"}},
		"access denied":       {fault: fault{Code: "AccessDeniedException"}, final: true},
		"expired token":       {fault: fault{Code: "ExpiredTokenException"}}, // until there are new ones
		"invalid ARN":         {fault: fault{Code: "InvalidArn"}, final: true},
		"unrecognized client": {fault: fault{Code: "UnrecognizedClientException"}, final: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			f.Update(arn, func(*stepfunctionstest.Execution) {})
			w := wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute}, now)
			at := now
			for range 40 {
				f.Fail("DescribeExecution", c.fault)
				v := f.check(t, at, w)
				if c.final {
					if v.Err == nil || !strings.Contains(v.Err.Error(), arn) {
						t.Errorf("%+v; want an error that names the execution", v)
					}
					return
				}
				if v.Err != nil || v.Event != nil || !v.Again.After(at) || v.Again.Sub(at) > 2*time.Minute {
					t.Fatalf("%+v; want to look again", v)
				}
				at, w.State, w.Checks = v.Again, v.State, w.Checks+1
			}
			f.Update(arn, func(e *stepfunctionstest.Execution) { e.Status = "SUCCEEDED" })
			if o := outcome(t, f.check(t, at, w)); o.Status != stepfunctions.StatusSuccess {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestErrorsAreForgotten(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.Update(arn, func(*stepfunctionstest.Execution) {})
	w := wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute}, now)
	f.Fail("DescribeExecution", stepfunctionstest.Fault{Code: "ThrottlingException"})
	w.State = f.check(t, now, w).State
	if v := f.check(t, now, w); string(v.State) != "{}" {
		t.Errorf("state %s after a good look, want {}", v.State)
	}
}

func TestExecutionNotKnownYet(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w := wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute}, now)
	if v := f.check(t, now.Add(3*time.Second), w); v.Err != nil || v.Again != now.Add(4*time.Second) {
		t.Errorf("%+v; want to look again in a second", v)
	}
	v := f.check(t, now.Add(stepfunctions.Settle), w)
	var missing *types.ExecutionDoesNotExist
	if !errors.As(v.Err, &missing) {
		t.Errorf("error %v, want ExecutionDoesNotExist", v.Err)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.Update(arn, func(*stepfunctionstest.Execution) {})
	w := wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute, Deadline: now.Add(30 * time.Minute)}, now)
	if v := f.check(t, now.Add(29*time.Minute+50*time.Second), w); v.Again != now.Add(30*time.Minute) {
		t.Errorf("next look at %s, want the deadline", v.Again)
	}
	o := outcome(t, f.check(t, now.Add(30*time.Minute), w))
	if o.Status != stepfunctions.StatusError || !strings.Contains(o.Failure(), "did not end within 30m0s (it is RUNNING)") {
		t.Errorf("%+v", o)
	}
	f.Fail("DescribeExecution", stepfunctionstest.Fault{Code: "ThrottlingException"})
	o = outcome(t, f.check(t, now.Add(30*time.Minute), w))
	if !strings.Contains(o.Failure(), "ThrottlingException") {
		t.Errorf("%+v", o)
	}
	f.Update(arn, func(e *stepfunctionstest.Execution) { e.Status = "SUCCEEDED" })
	if o := outcome(t, f.check(t, now.Add(time.Hour), w)); o.Status != stepfunctions.StatusSuccess {
		t.Errorf("an execution that has ended meanwhile counts: %+v", o)
	}
}

// After a redrive AWS may for a moment describe the end before it.
func TestEndBeforeARedrive(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.Update(arn, func(e *stepfunctionstest.Execution) { e.Status, e.RedriveCount = "FAILED", 1 })
	w := wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute, Redrives: 2}, now)
	if v := f.check(t, now, w); v.Event != nil {
		t.Errorf("%+v; want to look again", v)
	}
	f.Update(arn, func(e *stepfunctionstest.Execution) { e.RedriveCount = 2 })
	if o := outcome(t, f.check(t, now, w)); o.Status != stepfunctions.StatusError {
		t.Errorf("%+v", o)
	}
}

func TestManyWaits(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	var waits []triggers.Wait
	for i := range 50 {
		one := fmt.Sprintf("%s%d", arn, i)
		f.Update(one, func(e *stepfunctionstest.Execution) {
			if i%2 == 0 {
				e.Status = "SUCCEEDED"
			}
		})
		waits = append(waits, wait(t, stepfunctions.Args{ExecutionARN: one, Params: params(), Delay: time.Minute}, now))
	}
	waits[7].Args = json.RawMessage(`{"execution_arn":""}`)
	for i, v := range f.checker.Check(t.Context(), now, waits) {
		switch {
		case i == 7:
			if v.Err == nil {
				t.Error("broken arguments were accepted")
			}
		case (v.Event != nil) != (i%2 == 0):
			t.Errorf("wait %d: %+v", i, v)
		}
	}
}

func TestNoClient(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	args := stepfunctions.Args{ExecutionARN: arn, Params: awsconn.Params{AWSConnID: "nowhere"}, Delay: time.Minute}
	if v := f.check(t, now, wait(t, args, now)); !connections.IsNotFound(v.Err) {
		t.Errorf("%+v; want the missing connection", v)
	}
	args.Params = awsconn.Params{AWSConnID: "aws_default", BotocoreConfig: map[string]any{"no_such_key": 1}}
	w := wait(t, args, now)
	for n := 1; ; n++ {
		v := f.check(t, now, w)
		if v.Err != nil {
			if n != 5 || !strings.Contains(v.Err.Error(), "no_such_key") {
				t.Errorf("look %d: %v", n, v.Err)
			}
			return
		}
		if n > 5 {
			t.Fatal("an error that does not pass is borne for ever")
		}
		w.State = v.State
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	local := awsconn.Info{Endpoint: "http://127.0.0.1:8083"}
	vpc := awsconn.Info{Endpoint: "https://vpce-1.states.eu-west-1.vpce.amazonaws.com"}
	for _, c := range []struct {
		waited, delay time.Duration
		info          awsconn.Info
		want          time.Duration
	}{
		{0, time.Minute, awsconn.Info{}, time.Second},
		{10 * time.Second, time.Minute, awsconn.Info{}, 5 * time.Second},
		{10 * time.Second, time.Minute, vpc, 5 * time.Second},
		{time.Hour, time.Minute, awsconn.Info{}, time.Minute},
		{0, 200 * time.Millisecond, awsconn.Info{}, 200 * time.Millisecond},
		{0, time.Minute, local, 100 * time.Millisecond},
		{10 * time.Second, time.Minute, local, 2 * time.Second},
		{time.Hour, time.Minute, local, time.Minute},
	} {
		if got := stepfunctions.Interval(c.waited, c.delay, c.info); got != c.want {
			t.Errorf("after %s of %s at %q: %s, want %s", c.waited, c.delay, c.info.Endpoint, got, c.want)
		}
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.Update(arn, func(*stepfunctionstest.Execution) {})
	pace := triggers.Pace{Interval: time.Minute, Exponential: true, Start: now, Seed: "d#t#" + triggers.Stamp(now)}
	w := wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params(), Delay: time.Minute, Pace: &pace}, now)
	if v := f.check(t, now, w); v.Again.Sub(now) != pace.Step(1) {
		t.Errorf("next look after %s, want %s", v.Again.Sub(now), pace.Step(1))
	}
}
