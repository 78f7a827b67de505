package awslambda

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"

	"gust/connections/awsconn"
	"gust/connections/awsconn/mototest"
	"gust/operators"
	"gust/operators/operatorstest"
)

// answer is what the endpoint says to one call.
type answer struct {
	status                       int
	payload, failure, log, fault string
	drop                         bool
}

type call struct {
	Path, Type, Log, Context, Qualifier, Body string
}

// bench is an endpoint that speaks Lambda's REST protocol.
type bench struct {
	reg  *operators.Registry
	task *operatorstest.Task

	mu      sync.Mutex
	answers []answer
	calls   []call
	hold    chan struct{} // when not nil, calls wait for it, or for the caller to hang up
	arrived chan struct{}
}

func setUp(t *testing.T, answers ...answer) *bench {
	t.Helper()
	b := &bench{reg: operators.NewRegistry(), task: operatorstest.NewTask(t), answers: answers, arrived: make(chan struct{}, 100)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.task.Connections["aws_default"] = mototest.Connection("aws_default", server.URL)
	register(t, b.reg)
	return b
}

func register(t *testing.T, reg *operators.Registry) {
	t.Helper()
	err := Register(reg, Deps{
		Clients: FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))), Backoff: func(int) time.Duration { return time.Millisecond },
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.calls = append(b.calls, call{
		Path: r.URL.Path, Type: r.Header.Get("X-Amz-Invocation-Type"), Log: r.Header.Get("X-Amz-Log-Type"),
		Context: r.Header.Get("X-Amz-Client-Context"), Qualifier: r.URL.Query().Get("Qualifier"), Body: string(body),
	})
	a := answer{status: 200}
	if len(b.answers) > 0 {
		a, b.answers = b.answers[0], b.answers[1:]
	}
	b.mu.Unlock()
	b.arrived <- struct{}{}
	if b.hold != nil {
		select {
		case <-b.hold:
		case <-r.Context().Done():
			return
		}
	}
	if a.drop {
		panic(http.ErrAbortHandler)
	}
	if a.fault != "" {
		w.Header().Set("X-Amzn-Errortype", a.fault)
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(`{"message": "said the endpoint"}`))
		return
	}
	if a.failure != "" {
		w.Header().Set("X-Amz-Function-Error", a.failure)
	}
	if a.log != "" {
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(a.log)))
	}
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.payload))
}

// seen are the calls so far.
func (b *bench) seen() []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

func (b *bench) run(t *testing.T, params map[string]any) (string, error) {
	t.Helper()
	all := map[string]any{"function_name": "greet"}
	for k, v := range params {
		all[k] = v
	}
	op, err := operatorstest.TryBuild(b.reg, "LambdaInvokeFunctionOperator", all)
	if err != nil {
		return "", err
	}
	res, err := op.Execute(t.Context(), b.task)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(res.Value)
	return string(raw), err
}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, setUp(t).reg)
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	context64 := base64.StdEncoding.EncodeToString([]byte(`{"client":{"a":1}}`))
	for _, c := range []struct {
		name   string
		params map[string]any
		answer answer
		call   call
		want   string
	}{
		{"an object", map[string]any{"payload": map[string]any{"name": "Ada <3"}}, answer{status: 200, payload: `{"n": 1.50}`},
			call{Type: "RequestResponse", Body: `{"name":"Ada <3"}`}, `{"n":1.50}`},
		{"JSON as text", map[string]any{"payload": `{"a": 1}`, "qualifier": "live"}, answer{status: 200, payload: `"x"`},
			call{Type: "RequestResponse", Body: `{"a": 1}`, Qualifier: "live"}, `"x"`},
		{"no payload, an answer that is no JSON", nil, answer{status: 200, payload: "plain"}, call{Type: "RequestResponse"}, `"plain"`},
		{"an event", map[string]any{"invocation_type": "Event"}, answer{status: 202}, call{Type: "Event"}, "null"},
		{"a dry run", map[string]any{"invocation_type": "DryRun"}, answer{status: 204}, call{Type: "DryRun"}, "null"},
		{"a context", map[string]any{"client_context": map[string]any{"client": map[string]any{"a": 1}}}, answer{status: 200},
			call{Type: "RequestResponse", Context: context64}, "null"},
		{"an encoded context", map[string]any{"client_context": context64}, answer{status: 200},
			call{Type: "RequestResponse", Context: context64}, "null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, c.answer)
			got, err := b.run(t, c.params)
			if err != nil || got != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
			c.call.Path = "/2015-03-31/functions/greet/invocations"
			if diff := cmp.Diff([]call{c.call}, b.seen()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogTail(t *testing.T) {
	t.Parallel()
	b := setUp(t, answer{status: 200, log: "START\n\nhello\n"}, answer{status: 200, log: "START\n\nhello\n"})
	if _, err := b.run(t, map[string]any{"log_type": "Tail", "keep_empty_log_lines": false}); err != nil {
		t.Fatal(err)
	}
	if b.seen()[0].Log != "Tail" || !b.task.Logged("msg=START\nlevel=INFO msg=hello\n") {
		t.Error(b.task.LogText())
	}
	if _, err := b.run(t, map[string]any{"log_type": "Tail"}); err != nil {
		t.Fatal(err)
	}
	if !b.task.Logged("msg=START\nlevel=INFO msg=\"\"\nlevel=INFO msg=hello\n") {
		t.Error(b.task.LogText())
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	trace := `{"errorMessage": "no such order", "errorType": "KeyError", "stackTrace": ["  File \"a.py\", line 3\n"]}`
	for _, c := range []struct {
		name    string
		params  map[string]any
		answers []answer
		want    string
		calls   int
		final   bool
	}{
		{"the function fails", nil, []answer{{status: 200, failure: "Unhandled", payload: trace, log: "boom"}},
			"Lambda function execution resulted in error: unhandled of greet: KeyError: no such order\n  File \"a.py\", line 3", 1, false},
		{"it fails without words", nil, []answer{{status: 200, failure: "Handled", payload: `"sorry"`}}, `handled of greet: "sorry"`, 1, false},
		{"no such function", nil, []answer{{status: 404, fault: "ResourceNotFoundException"}}, "ResourceNotFoundException: said the endpoint", 1, false},
		{"an endpoint without Lambda", nil, []answer{{status: 400, fault: "UnknownOperationException"}}, "define aws_default for AWS", 1, false},
		{"the service fails: it may have run", nil, []answer{{status: 500, fault: "ServiceException"}}, "ServiceException", 1, false},
		{"the answer is lost: it may have run", nil, []answer{{drop: true}}, "Invoke", 1, false},
		{"a text that is not JSON", map[string]any{"payload": "Ada"}, nil, "payload is a text that is not JSON", 0, true},
		{"too large", map[string]any{"payload": []any{strings.Repeat("x", maxPayload)}}, nil, "Lambda takes at most 6291456", 0, true},
		{"too large an event", map[string]any{"payload": []any{strings.Repeat("x", maxEventPayload)}, "invocation_type": "Event"}, nil, "at most 1048576", 0, true},
		{"too large a context", map[string]any{"client_context": strings.Repeat("x", 3000)}, nil, "at most 3583", 0, true},
		{"no name", map[string]any{"function_name": ""}, nil, "function_name is empty", 0, true},
		{"a bad type", map[string]any{"invocation_type": "Evnt"}, nil, `did you mean "Event"?`, 0, false},
		{"a bad log type", map[string]any{"log_type": "All"}, nil, "expected one of None, Tail", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, c.answers...)
			_, err := b.run(t, c.params)
			if err == nil || !strings.Contains(err.Error(), c.want) || operators.NoRetry(err) != c.final {
				t.Errorf("%v; want %s, final %v", err, c.want, c.final)
			}
			if n := len(b.seen()); n != c.calls {
				t.Errorf("%d calls; want %d", n, c.calls)
			}
		})
	}
}

// TestRefusedCallsAreRepeated: throttling costs no try.
func TestRefusedCallsAreRepeated(t *testing.T) {
	t.Parallel()
	b := setUp(t, answer{status: 429, fault: "TooManyRequestsException"}, answer{status: 409, fault: "ResourceConflictException"},
		answer{status: 200, payload: "1"})
	if got, err := b.run(t, nil); err != nil || got != "1" || len(b.seen()) != 3 {
		t.Errorf("%s, %v after %d calls", got, err, len(b.seen()))
	}
	if !b.task.Logged("Lambda has refused the call for now") {
		t.Error(b.task.LogText())
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.hold = make(chan struct{})
	defer close(b.hold)
	ctx, cancel := context.WithCancelCause(t.Context())
	op := operatorstest.Build(t, b.reg, "LambdaInvokeFunctionOperator", map[string]any{"function_name": "greet"})
	go func() {
		<-b.arrived
		cancel(&operators.KilledError{Reason: "by a user"})
	}()
	if _, err := op.Execute(ctx, b.task); !errors.Is(err, operators.ErrKilled) {
		t.Errorf("killed: %v", err)
	}
}

// TestMoto runs the operator against another implementation of Lambda.
func TestMoto(t *testing.T) {
	t.Parallel()
	endpoint := mototest.Start(t, `{"lambda": {"use_docker": false}}`)
	mototest.Query(t, endpoint, "iam", url.Values{
		"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"r"}, "AssumeRolePolicyDocument": {
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`},
	})
	task := operatorstest.NewTask(t)
	task.Connections["aws_default"] = mototest.Connection("aws_default", endpoint)
	client, _, err := awsconn.NewPool(slog.New(slog.DiscardHandler)).Lambda(t.Context(), task, awsconn.Params{AWSConnID: "aws_default"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("greet"), Role: aws.String("arn:aws:iam::123456789012:role/r"), Handler: aws.String("a.b"),
		Runtime: types.RuntimePython312, Code: &types.FunctionCode{ZipFile: archive(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := mototest.Post(endpoint+"/moto-api/static/lambda-simple/response", `{"results": ["{\"greeting\": \"hello\"}"]}`); err != nil {
		t.Fatal(err)
	}
	b := &bench{reg: operators.NewRegistry(), task: task}
	register(t, b.reg)
	if got, err := b.run(t, map[string]any{"payload": map[string]any{"name": "Ada"}}); err != nil || got != `{"greeting":"hello"}` {
		t.Errorf("%s, %v", got, err)
	}
}

func archive(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.Create("a.py")
	if err == nil {
		_, err = f.Write([]byte("def b(event, context): pass\n"))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
