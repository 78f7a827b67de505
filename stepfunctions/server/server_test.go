package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/stepfunctions/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// invoker answers by the operation's name and counts its calls.
type invoker struct{ calls atomic.Int64 }

func (i *invoker) Invoke(_ context.Context, c server.Call) ([]byte, error) {
	i.calls.Add(1)
	switch c.Operation {
	case "Echo":
		return append([]byte(c.Region+" "), c.Body...), nil
	case "Fail":
		return nil, &server.Error{Code: "ValidationException", Message: "bad <input>", Fields: map[string]string{"reason": "R"}}
	case "Conflict":
		return nil, &server.Error{Code: "ConflictException", Message: "m", Status: http.StatusConflict}
	default:
		return nil, errors.New("disk full")
	}
}

type fixture struct {
	invoker  invoker
	faults   server.Faults
	internal atomic.Int64
	http     *httptest.Server
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{}
	f.http = httptest.NewServer(server.New(&f.invoker, &f.faults, func(string, error) { f.internal.Add(1) }))
	t.Cleanup(f.http.Close)
	return f
}

func (f *fixture) post(t *testing.T, target, body string, header map[string]string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.http.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", target)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := f.http.Client().Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, c := range []struct {
		target, body string
		status       int
		want         string
	}{
		{"AWSStepFunctions.Echo", `{"a":1}`, 200, `eu-west-1 {"a":1}`},
		{"AWSStepFunctions.Fail", `{}`, 400, `{"__type":"ValidationException","message":"bad <input>","reason":"R"}`},
		{"AWSStepFunctions.Conflict", `{}`, 409, `{"__type":"ConflictException","message":"m"}`},
		{"AWSStepFunctions.Break", `{}`, 500, `{"__type":"InternalServerError","message":"disk full"}`},
		{"DynamoDB.Echo", `{}`, 400, `{"__type":"UnknownOperationException","message":"The header X-Amz-Target must name an operation: AWSStepFunctions.<Operation>"}`},
		{"AWSStepFunctions.Echo", strings.Repeat("x", 1<<20+1), 413, `{"__type":"RequestEntityTooLargeException","message":"Request body is larger than the maximum of 1048576 bytes"}`},
	} {
		res, body, err := f.post(t, c.target, c.body, map[string]string{
			"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/20240101/eu-west-1/states/aws4_request, SignedHeaders=host, Signature=x"})
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != c.status || body != c.want {
			t.Errorf("%s: %d %s want %d %s", c.target, res.StatusCode, body, c.status, c.want)
		}
		if len(res.Header.Get("x-amzn-RequestId")) != 36 || res.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
			t.Errorf("headers %v", res.Header)
		}
	}
	if f.internal.Load() != 1 {
		t.Errorf("%d internal errors were reported", f.internal.Load())
	}
	if _, body, err := f.post(t, "AWSStepFunctions.CreateStateMachine", strings.Repeat("x", 1<<20+1), nil); err != nil ||
		!strings.Contains(body, "disk full") {
		t.Errorf("a large definition did not get through: %.80s %v", body, err)
	}
	res, err := f.http.Client().Get(f.http.URL) //nolint:noctx // a plain GET
	if err != nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("GET: %v %v", res, err)
	}
	_ = res.Body.Close()
}

func TestRegion(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "", "Bearer x": "", "AWS4-HMAC-SHA256 Credential=AK/20240101/us-west-2/states/aws4_request": "us-west-2",
		"AWS4-HMAC-SHA256 Credential=a/b,": "",
	} {
		if got := server.Region(header); got != want {
			t.Errorf("%q: %q want %q", header, got, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "10.0.0.1": false} {
		if got := server.Loopback(&net.TCPAddr{IP: net.ParseIP(ip)}); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	f := start(t)
	call := func() string {
		res, body, err := f.post(t, "AWSStepFunctions.Echo", "x", nil)
		if err != nil {
			return "dropped"
		}
		return res.Status[:3] + " " + body
	}
	check := func(what string, wantCalls int64, want ...string) {
		t.Helper()
		before := f.invoker.calls.Load()
		for i, w := range want {
			if got := call(); got != w {
				t.Errorf("%s, request %d: %s want %s", what, i+1, got, w)
			}
		}
		if got := f.invoker.calls.Load() - before; got != wantCalls {
			t.Errorf("%s: %d calls took effect, want %d", what, got, wantCalls)
		}
	}
	const throttled = `400 {"__type":"ThrottlingException","message":"Rate exceeded"}`
	f.faults.Set(server.Fault{Operation: "Echo", Effect: server.Throttle, Skip: 1, Count: 2})
	check("throttle", 2, "200  x", throttled, throttled, "200  x")
	f.faults.Set(server.Fault{Effect: server.DropBefore, Count: 1})
	check("drop before", 1, "dropped", "200  x")
	f.faults.Set(server.Fault{Effect: server.DropAfter, Count: 1})
	check("drop after", 2, "dropped", "200  x")
	f.faults.Set(server.Fault{Operation: "Other", Effect: server.ServerError})
	check("another operation", 1, "200  x")
	f.faults.Set(server.Fault{Effect: server.ServerError})
	check("server error", 0, `500 {"__type":"InternalFailure","message":"The request processing has failed because of an unknown error, exception or failure."}`)
	f.faults.Set(server.Fault{Effect: server.Latency, Delay: time.Millisecond})
	check("latency", 1, "200  x")
	f.faults.Set()
	check("none", 1, "200  x")
}
