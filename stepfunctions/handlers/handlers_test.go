package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/jsonvalue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const prefix = "arn:aws:lambda:us-east-1:123456789012:function:"

func lambda(name string) asl.Resource {
	return asl.Resource{ARN: prefix + name, Kind: asl.LambdaFunction}
}

func set(t *testing.T, byName map[string]handlers.Handler) *handlers.Set {
	t.Helper()
	s, err := handlers.NewSet(byName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.CloseIdleConnections)
	return s
}

// do performs a task and returns its output, or its error as text.
func do(t *testing.T, s *handlers.Set, r handlers.Request) string {
	t.Helper()
	out, err := s.Do(t.Context(), r)
	if err != nil {
		return err.Error()
	}
	return out.Output
}

func sh(script string) handlers.Handler {
	return handlers.Handler{Command: []string{"sh", "-c", script}}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh here")
	}
	dir := t.TempDir()
	s := set(t, map[string]handlers.Handler{
		"echo": {Command: []string{"cat"}}, "silent": sh("cat >/dev/null"), "env": sh(`echo "\"$AWS_LAMBDA_FUNCTION_NAME $GUST_SFN_STATE $MINE\""`),
		"fails": sh("echo broken >&2; exit 3"), "custom": sh(`echo '{"errorType":"Custom","errorMessage":"no"}'; exit 1`),
		"zero": sh(`echo '{"errorType":"Custom","errorMessage":"no"}'`), "garbage": sh("echo hello"), "missing": {Command: []string{"/no/such/program"}},
		"slow": {Command: []string{"sleep", "60"}, Timeout: 50 * time.Millisecond}, "huge": sh("head -c 7000000 /dev/zero"),
		"dir": {Command: []string{"pwd"}, Dir: dir}, "where": {Command: []string{"sh", "-c", `printf '"%s"' "$(pwd)"`}, Dir: dir},
	})
	for name, want := range map[string]string{
		"echo": `{"a":0.0}`, "silent": "null", "env": "", "where": `"` + dir + `"`,
		"fails":   `Runtime.ExitError: {"errorMessage":"Runtime exited with error: exit status 3\nbroken","errorType":"Runtime.ExitError"}`,
		"custom":  `Custom: {"errorType":"Custom","errorMessage":"no"}`,
		"zero":    `Custom: {"errorType":"Custom","errorMessage":"no"}`,
		"garbage": `Runtime.MarshalError: {"errorMessage":"The handler's answer is not JSON: Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false') (line 1, column 6)","errorType":"Runtime.MarshalError"}`,
		"missing": `Runtime.InvalidEntrypoint: {"errorMessage":"fork/exec /no/such/program: no such file or directory","errorType":"Runtime.InvalidEntrypoint"}`,
		"slow":    `Sandbox.Timedout: {"errorMessage":"Task timed out after 0.05 seconds","errorType":"Sandbox.Timedout"}`,
		"huge":    `Function.ResponseSizeTooLarge: {"errorMessage":"The answer is larger than 6291456 bytes.","errorType":"Function.ResponseSizeTooLarge"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := do(t, s, handlers.Request{Resource: lambda(name), Input: `{"a":0.0}`, State: "S"})
			if name == "env" {
				want = `"env S "`
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestCancellationKillsTheCommandAndItsChildren(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh here")
	}
	fifo := filepath.Join(t.TempDir(), "alive")
	if err := exec.CommandContext(t.Context(), "mkfifo", fifo).Run(); err != nil {
		t.Skipf("no mkfifo here: %v", err)
	}
	s := set(t, map[string]handlers.Handler{"f": sh("(echo up; sleep 60) > " + fifo + " & wait")})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Do(ctx, handlers.Request{Resource: lambda("f"), Input: "{}"})
		done <- err
	}()
	// Opening waits for the grandchild; reading ends when it is gone.
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	line := make([]byte, 3)
	if _, err := io.ReadFull(f, line); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(f); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/echo":
			_, _ = w.Write(body)
		case "/down":
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		case "/typed":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"errorType":"Typed","errorMessage":"m"}`)
		}
	}))
	t.Cleanup(web.Close)
	s := set(t, map[string]handlers.Handler{"echo": {URL: web.URL + "/echo"}, "down": {URL: web.URL + "/down"},
		"typed": {URL: web.URL + "/typed"}, "gone": {URL: "http://127.0.0.1:1/"}})
	for name, want := range map[string]string{
		"echo":  `[1,2]`,
		"down":  `Lambda.ServiceException: {"errorMessage":"HTTP status 503 Service Unavailable: out of order\n","errorType":"Lambda.ServiceException"}`,
		"typed": `Typed: {"errorType":"Typed","errorMessage":"m"}`,
		"gone":  `Lambda.SdkClientException: {"errorMessage":"Post \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused","errorType":"Lambda.SdkClientException"}`,
	} {
		out := do(t, s, handlers.Request{Resource: lambda(name), Input: `[1, 2]`})
		if out != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, out, want)
		}
	}
}

func TestFuncs(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]handlers.Handler{
		"ok":    {Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }},
		"typed": {Func: func(context.Context, []byte) ([]byte, error) { return nil, &handlers.Error{Type: "T", Message: "m"} }},
		"plain": {Func: func(context.Context, []byte) ([]byte, error) { return nil, errors.New("oops") }},
		"panic": {Func: func(context.Context, []byte) ([]byte, error) { panic("at the disco") }},
		"stuck": {Func: func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }, Timeout: time.Millisecond},
	})
	for name, want := range map[string]string{
		"ok": "1", "typed": `T: {"errorMessage":"m","errorType":"T"}`,
		"plain": `Lambda.Unknown: {"errorMessage":"oops","errorType":"Lambda.Unknown"}`,
		"panic": `Runtime.Panic: {"errorMessage":"at the disco","errorType":"Runtime.Panic"}`,
		"stuck": `Sandbox.Timedout: {"errorMessage":"Task timed out after 0.00 seconds","errorType":"Sandbox.Timedout"}`,
	} {
		out := do(t, s, handlers.Request{Resource: lambda(name), Input: "1"})
		if out != want {
			t.Errorf("%s: got %s want %s", name, out, want)
		}
	}
}

func TestNamesOfFunctions(t *testing.T) {
	t.Parallel()
	answer := func(text string) handlers.Handler {
		return handlers.Handler{Func: func(context.Context, []byte) ([]byte, error) { return []byte(`"` + text + `"`), nil }}
	}
	s := set(t, map[string]handlers.Handler{"short": answer("short"), prefix + "full": answer("full"),
		prefix + "full:2": answer("version"), "arn:aws:states:::sqs:sendMessage": answer("sqs")})
	for _, c := range []struct {
		resource asl.Resource
		input    string
		want     string
	}{
		{lambda("short"), "{}", `"short"`}, {lambda("short:PROD"), "{}", `"short"`}, {lambda("full"), "{}", `"full"`},
		{lambda("full:1"), "{}", `"full"`}, {lambda("full:2"), "{}", `"version"`},
		{asl.Resource{ARN: "arn:aws:states:::sqs:sendMessage", Kind: asl.Service, Service: "sqs", API: "sendMessage"}, "{}", `"sqs"`},
		{lambda("shrot"), "{}", `Lambda.ResourceNotFoundException: Function not found: ` + prefix + `shrot.`},
		{asl.Resource{ARN: "arn:aws:states:::sns:publish", Kind: asl.Service, Service: "sns", API: "publish"}, "{}",
			"States.TaskFailed: The local Step Functions service has no handler for the resource arn:aws:states:::sns:publish."},
	} {
		out := do(t, s, handlers.Request{Resource: c.resource, Input: c.input})
		if !strings.HasPrefix(out, c.want) {
			t.Errorf("%s: got %s want %s", c.resource.ARN, out, c.want)
		}
	}
}

func TestLambdaInvoke(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]handlers.Handler{"f": {Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}})
	invoke := asl.Resource{ARN: "arn:aws:states:::lambda:invoke", Kind: asl.Service, Service: "lambda", API: "invoke"}
	for _, name := range []string{"f", "f:$LATEST", prefix + "f", "123456789012:function:f"} {
		out, err := s.Do(t.Context(), handlers.Request{Resource: invoke, Input: fmt.Sprintf(`{"FunctionName":%q,"Payload":{"x":[1.0]}}`, name)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, err := jsonvalue.Parse(out.Output)
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := v.Get("Payload")
		status, _ := v.Get("StatusCode")
		if payload.String() != `{"x":[1.0]}` || status.String() != "200" {
			t.Errorf("%s: %s", name, out.Output)
		}
	}
	for input, want := range map[string]string{
		`{}`:                      "Lambda.ValidationException: The parameter FunctionName is required.",
		`{"FunctionName":"none"}`: "Lambda.ResourceNotFoundException: ",
	} {
		if _, err := s.Do(t.Context(), handlers.Request{Resource: invoke, Input: input}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}

func TestLambdaInvocationTypes(t *testing.T) {
	t.Parallel()
	calls := 0
	s := set(t, map[string]handlers.Handler{"f": {Func: func(context.Context, []byte) ([]byte, error) { calls++; return nil, errors.New("no") }}})
	invoke := asl.Resource{ARN: "arn:aws:states:::lambda:invoke", Kind: asl.Service, Service: "lambda", API: "invoke"}
	for _, c := range []struct {
		kind, status string
		calls        int
	}{{"DryRun", "204", 0}, {"Event", "202", 1}} {
		calls = 0
		v, err := jsonvalue.Parse(do(t, s, handlers.Request{Resource: invoke, Input: fmt.Sprintf(`{"FunctionName":"f","InvocationType":%q}`, c.kind)}))
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := v.Get("StatusCode"); status.String() != c.status || calls != c.calls {
			t.Errorf("%s: %s, %d calls", c.kind, v, calls)
		}
	}
}

func TestFixedAnswersAndFaults(t *testing.T) {
	t.Parallel()
	const send = "arn:aws:states:::sqs:sendMessage"
	byName := map[string]handlers.Handler{}
	for name, text := range map[string]string{
		send: `answer: {"MessageId": "1"}`, "gone": "fault:Lambda.TooManyRequestsException Slow down, please", "bare": "fault:Custom",
	} {
		h, err := handlers.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		byName[name] = h
	}
	s := set(t, byName)
	sqs := func(pattern asl.Pattern) asl.Resource {
		return asl.Resource{ARN: send + string(pattern), Kind: asl.Service, Service: "sqs", API: "sendMessage", Pattern: pattern}
	}
	for _, c := range []struct {
		resource asl.Resource
		want     string
		done     bool
	}{
		{sqs(asl.RequestResponse), `{"MessageId":"1"}`, false}, {sqs(asl.WaitForTaskToken), `{"MessageId":"1"}`, false},
		{sqs(asl.Sync), `{"MessageId":"1"}`, true},
		{lambda("gone"), "Lambda.TooManyRequestsException: Slow down, please", false}, {lambda("bare"), "Custom: ", false},
	} {
		out, err := s.Do(t.Context(), handlers.Request{Resource: c.resource, Input: "{}"})
		got := out.Output
		if err != nil {
			got = err.Error()
		}
		if got != c.want || (out.Result != nil) != c.done {
			t.Errorf("%s: %+v %v", c.resource.ARN, out, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]handlers.Handler{
		"http://127.0.0.1:9/x": {URL: "http://127.0.0.1:9/x"}, "cat -": {Command: []string{"sh", "-c", "cat -"}},
		"answer:1": {Answer: "1"}, "fault: A b c": {Fault: &handlers.TaskError{Name: "A", Cause: "b c"}},
	} {
		got, err := handlers.Parse(text)
		if err != nil || fmt.Sprintf("%+v", got.Fault) != fmt.Sprintf("%+v", want.Fault) || got.URL != want.URL ||
			got.Answer != want.Answer || fmt.Sprint(got.Command) != fmt.Sprint(want.Command) {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		" ": "got nothing", "answer:{": "the answer is not JSON", "fault:": "a fault needs a name", "answer:": "exactly one of",
	} {
		if _, err := handlers.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestUnknownResourcesSayHowToConfigureThem(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]handlers.Handler{"arn:aws:states:::sqs:sendMessage": {Answer: "1"}})
	got := do(t, s, handlers.Request{Resource: asl.Resource{ARN: "arn:aws:states:::sqs:sendMesage.waitForTaskToken", Kind: asl.Service,
		Service: "sqs", API: "sendMesage", Pattern: asl.WaitForTaskToken}, Input: "{}"})
	for _, want := range []string{"States.TaskFailed: ", `Did you mean "arn:aws:states:::sqs:sendMessage"?`,
		`stepfunctions.handlers: {"arn:aws:states:::sqs:sendMesage": HANDLER}`, "answer:JSON", "stepfunctions.mock_config"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s misses %s", got, want)
		}
	}
}

func TestNewSetRefusesAmbiguousHandlers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]handlers.Handler{"none": {}, "both": {URL: "http://x", Command: []string{"x"}}} {
		if _, err := handlers.NewSet(map[string]handlers.Handler{name: h}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
