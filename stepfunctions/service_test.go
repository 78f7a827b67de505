package stepfunctions_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.uber.org/goleak"

	"gust/stepfunctions"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(serveVariable); path != "" {
		serve(path)
	}
	code := m.Run()
	transport.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// idle waits until no execution is in memory: an execution is answered for a moment before it is put away.
func idle(t *testing.T, s *stepfunctions.Service) stepfunctions.Stats {
	t.Helper()
	for {
		st, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.InMemory == 0 {
			return st
		}
	}
}

const role = "arn:aws:iam::123456789012:role/test"

// start runs a service for the length of a test.
func start(t *testing.T, c stepfunctions.Config) *stepfunctions.Service {
	t.Helper()
	s, err := stepfunctions.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// client returns a real AWS client of the service; without a service, the options must set the endpoint.
func client(s *stepfunctions.Service, options ...func(*sfn.Options)) *sfn.Client {
	o := sfn.Options{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
		HTTPClient: &http.Client{Transport: plainBodies{}}}
	if s != nil {
		o.BaseEndpoint = aws.String(s.Endpoint())
	}
	return sfn.New(o, options...)
}

// localHost keeps the SDK from putting "sync-" before the host, which no loopback name has.
func localHost(o *sfn.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("localHost", func(ctx context.Context, in middleware.InitializeInput,
			next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
		}), middleware.Before)
	})
}

// plainBodies hides WriteTo of the SDK's request bodies. With it, net/http may find a body closed by the SDK after a very
// fast answer, take that for a failed upload, and close the connection while the answer is read.
type plainBodies struct{}

func (plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return transport.RoundTrip(r)
}

// transport is shared by all clients, so that its connections can be closed in the end.
var transport = &http.Transport{MaxIdleConnsPerHost: 64}

func create(t *testing.T, c *sfn.Client, name, definition string) string {
	t.Helper()
	out, err := c.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: &name, Definition: &definition, RoleArn: aws.String(role)})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return *out.StateMachineArn
}

// finish waits until an execution has ended.
func finish(t *testing.T, c *sfn.Client, arn string) *sfn.DescribeExecutionOutput {
	t.Helper()
	for {
		out, err := c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
		if err != nil {
			t.Fatalf("describe %s: %v", arn, err)
		}
		if out.Status != types.ExecutionStatusRunning {
			return out
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test ended first")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func run(t *testing.T, c *sfn.Client, machine, name, input string) *sfn.DescribeExecutionOutput {
	t.Helper()
	in := &sfn.StartExecutionInput{StateMachineArn: &machine, Input: &input}
	if name != "" {
		in.Name = &name
	}
	out, err := c.StartExecution(t.Context(), in)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	return finish(t, c, *out.ExecutionArn)
}

// code returns the error code of a failed call, "" when it did not fail.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

const threePasses = `{"StartAt":"A","States":{
	"A":{"Type":"Pass","Parameters":{"greeting.$":"States.Format('Hello {}', $.name)"},"Next":"B"},
	"B":{"Type":"Pass","Result":{"n":1.0},"ResultPath":"$.result","Next":"C"},
	"C":{"Type":"Pass","End":true}}}`

func TestRunMachine(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{}))
	out := run(t, c, create(t, c, "three", threePasses), "first", `{"name":"you"}`)
	if out.Status != types.ExecutionStatusSucceeded || *out.Output != `{"greeting":"Hello you","result":{"n":1.0}}` {
		t.Errorf("got %s %v", out.Status, aws.ToString(out.Output))
	}
	if *out.ExecutionArn != "arn:aws:states:us-east-1:123456789012:execution:three:first" {
		t.Errorf("arn %s", *out.ExecutionArn)
	}
}
