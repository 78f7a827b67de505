package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/server"
)

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// answers is an invoker of fixed answers, that also knows one express state machine.
type answers struct {
	mu sync.Mutex
	by map[string]string
}

func (a *answers) Invoke(_ context.Context, c server.Call) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return []byte(a.by[c.Operation]), nil
}

func (a *answers) Express(arn string) bool { return arn == "express" }

// send posts a request signed for a region, to a handler without a network.
func send(h http.Handler, operation, region, body string) (status int, answer string) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AWSStepFunctions."+operation)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20240101/"+region+"/states/aws4_request, SignedHeaders=host, Signature=x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Unix(1700000000, 0)}
	faults := &server.Faults{}
	faults.SetThrottle(1)
	h := server.NewWith(&answers{by: map[string]string{}}, server.Options{Faults: faults, Clock: now.Now})
	burst := func(operation, region, body string) int {
		for n := 0; ; n++ {
			status, answer := send(h, operation, region, body)
			if status == http.StatusOK {
				continue
			}
			if status != http.StatusBadRequest || answer != `{"__type":"ThrottlingException","message":"Rate exceeded"}` {
				t.Fatalf("%s: %d %s", operation, status, answer)
			}
			return n
		}
	}
	// From the table of quotas in the developer guide.
	for _, c := range []struct {
		operation, region, body string
		size, refill            int
	}{
		{"DescribeExecution", "us-east-1", "{}", 300, 15}, {"DescribeExecution", "eu-central-1", "{}", 250, 10},
		{"ListExecutions", "us-west-2", "{}", 200, 5}, {"ListExecutions", "us-east-2", "{}", 100, 2},
		{"StartExecution", "eu-west-1", `{"stateMachineArn":"standard"}`, 1300, 300}, {"StartExecution", "eu-west-2", `{"stateMachineArn":"standard"}`, 800, 150},
		{"StartExecution", "eu-west-2", `{"stateMachineArn":"express"}`, 6000, 6000},
		{"CreateStateMachine", "us-east-1", "{}", 100, 1}, {"GetActivityTask", "us-east-1", "{}", 3000, 500},
	} {
		if got := burst(c.operation, c.region, c.body); got != c.size {
			t.Errorf("%s in %s: a burst of %d, want %d", c.operation, c.region, got, c.size)
		}
		now.add(time.Second)
		if got := burst(c.operation, c.region, c.body); got != c.refill {
			t.Errorf("%s in %s: %d after a second, want %d", c.operation, c.region, got, c.refill)
		}
	}
	faults.SetThrottle(0.01)
	if got := burst("DescribeExecution", "us-east-1", "{}"); got != 3 {
		t.Errorf("a burst of %d with a hundredth of the quota", got)
	}
	faults.SetThrottle(0)
	for range 400 {
		if status, _ := send(h, "DescribeExecution", "us-east-1", "{}"); status != http.StatusOK {
			t.Fatal("throttled although it has ended")
		}
	}
}

func TestOperationsAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	operations := server.Operations()
	if len(operations) != 37 || !slices.IsSorted(operations) {
		t.Errorf("%d operations: %v", len(operations), operations)
	}
	// The methods of the SDK's client are its operations, and Options.
	for _, name := range methods(&sfn.Client{}) {
		if name != "Options" && !slices.Contains(operations, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestEventualConsistency(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Unix(1700000000, 0)}
	faults := &server.Faults{}
	faults.SetLag(2 * time.Second)
	a := &answers{by: map[string]string{"StartExecution": `{"executionArn":"e1","startDate":1}`, "DescribeExecution": `{"status":"RUNNING"}`,
		"ListExecutions": `{"executions":[{"executionArn":"e1"},{"executionArn":"e0"}]}`}}
	h := server.NewWith(a, server.Options{Faults: faults, Clock: now.Now})
	expect := func(operation, body, want string) {
		t.Helper()
		if _, got := send(h, operation, "us-east-1", body); got != want {
			t.Errorf("%s %s: %s, want %s", operation, body, got, want)
		}
	}
	expect("StartExecution", "{}", `{"executionArn":"e1","startDate":1}`)
	expect("DescribeExecution", `{"executionArn":"e1"}`, `{"__type":"ExecutionDoesNotExist","message":"Execution Does Not Exist: 'e1'"}`)
	expect("DescribeExecution", `{"executionArn":"e0"}`, `{"status":"RUNNING"}`)
	expect("ListExecutions", `{}`, `{"executions":[{"executionArn":"e0"}]}`)
	now.add(time.Second)
	a.by["DescribeExecution"] = `{"status":"SUCCEEDED"}`
	expect("DescribeExecution", `{"executionArn":"e0"}`, `{"status":"RUNNING"}`)
	now.add(time.Second)
	expect("DescribeExecution", `{"executionArn":"e0"}`, `{"status":"SUCCEEDED"}`)
	expect("DescribeExecution", `{"executionArn":"e1"}`, `{"status":"SUCCEEDED"}`)
	expect("ListExecutions", `{}`, `{"executions":[{"executionArn":"e1"},{"executionArn":"e0"}]}`)
	faults.SetLag(0)
	a.by["DescribeExecution"] = `{"status":"FAILED"}`
	expect("DescribeExecution", `{"executionArn":"e1"}`, `{"status":"FAILED"}`)
}

func TestFaultsByChance(t *testing.T) {
	t.Parallel()
	counts := map[uint64]int{}
	for _, seed := range []uint64{1, 1, 2} {
		faults := &server.Faults{}
		faults.SetSeed(seed)
		faults.Set(server.Fault{Effect: server.Throttle, Probability: 0.3})
		h := server.NewWith(&answers{by: map[string]string{}}, server.Options{Faults: faults})
		hits := 0
		for range 1000 {
			if status, _ := send(h, "ListActivities", "us-east-1", "{}"); status != http.StatusOK {
				hits++
			}
		}
		if before, again := counts[seed]; again && before != hits {
			t.Errorf("the same seed gave %d and %d hits", before, hits)
		}
		counts[seed] = hits
		if hits < 240 || hits > 360 {
			t.Errorf("%d of 1000 requests were hit, about 300 expected", hits)
		}
	}
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	got, err := server.ParseFaults(map[string]string{"*": "latency delay=50ms probability=0.5", "StartExecution": "drop-after skip=1 count=2; throttle"})
	want := []server.Fault{
		{Operation: "StartExecution", Effect: server.DropAfter, Skip: 1, Count: 2}, {Operation: "StartExecution", Effect: server.Throttle},
		{Effect: server.Latency, Delay: 50 * time.Millisecond, Probability: 0.5},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	for _, c := range []struct{ operation, text, want string }{
		{"StartExecutions", "throttle", `faults: "StartExecutions" is no operation; did you mean "StartExecution"?`},
		{"*", "throtle", `faults of *: "throtle" is no effect; expected one of latency, throttle, error, drop-before, drop-after; did you mean "throttle"?`},
		{"*", "throttle cuont=1", `faults of *: "cuont" is no setting; expected one of delay, skip, count, probability; did you mean "count"?`},
		{"*", "throttle count=x", `faults of *: count=x: strconv.Atoi: parsing "x": invalid syntax`},
		{"*", "throttle probability=2", `faults of *: probability=2: it must be more than 0 and at most 1`},
		{"*", "latency", `faults of *: latency needs a delay, such as delay=50ms`},
		{"*", "", `faults of *: expected an effect: latency, throttle, error, drop-before, drop-after`},
	} {
		if _, err := server.ParseFaults(map[string]string{c.operation: c.text}); err == nil || err.Error() != c.want {
			t.Errorf("%s: got  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestAPollEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	gone := make(chan error, 1)
	arrived := make(chan struct{})
	web := httptest.NewServer(server.New(invokeFunc(func(ctx context.Context, c server.Call) ([]byte, error) {
		close(arrived)
		<-ctx.Done()
		gone <- ctx.Err()
		return nil, ctx.Err()
	}), nil, nil))
	t.Cleanup(web.Close)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, web.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "AWSStepFunctions.GetActivityTask")
	done := make(chan error, 1)
	go func() {
		_, err := web.Client().Do(req)
		done <- err
	}()
	<-arrived
	cancel()
	if err := <-done; err == nil {
		t.Error("a cancelled request was answered")
	}
	if err := <-gone; err == nil {
		t.Error("the poll went on")
	}
}

// invokeFunc is an invoker of one function.
type invokeFunc func(ctx context.Context, c server.Call) ([]byte, error)

func (f invokeFunc) Invoke(ctx context.Context, c server.Call) ([]byte, error) { return f(ctx, c) }
