package stepfunctions_test

import (
	"context"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
)

func express(t *testing.T, c *sfn.Client, name, definition string) string {
	t.Helper()
	out, err := c.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: &name, Definition: &definition,
		RoleArn: aws.String(role), Type: types.StateMachineTypeExpress})
	if err != nil {
		t.Fatal(err)
	}
	return *out.StateMachineArn
}

func TestStartSyncExecution(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	fail := handlers.Handler{Func: func(context.Context, []byte) ([]byte, error) { return nil, &handlers.Error{Type: "E", Message: "m"} }}
	s := start(t, stepfunctions.Config{Handlers: map[string]handlers.Handler{"work": fail}})
	c := client(s)
	good, bad := express(t, c, "good", threePasses), express(t, c, "bad", oneTask)
	out, err := c.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: &good, Name: aws.String("n"), Input: aws.String(`{"name":"you"}`)}, localHost)
	if err != nil {
		t.Fatal(err)
	}
	if out.Status != types.SyncExecutionStatusSucceeded || *out.Output != `{"greeting":"Hello you","result":{"n":1.0}}` || *out.Name != "n" ||
		*out.Input != `{"name":"you"}` || *out.StateMachineArn != good || out.BillingDetails.BilledMemoryUsedInMB != 64 ||
		out.BillingDetails.BilledDurationInMilliseconds%100 != 0 || out.BillingDetails.BilledDurationInMilliseconds < 100 {
		t.Errorf("%+v", out)
	}
	if !regexp.MustCompile(`^arn:aws:states:us-east-1:123456789012:express:good:n:[0-9a-f-]{36}$`).MatchString(*out.ExecutionArn) {
		t.Error(*out.ExecutionArn)
	}
	failed, err := c.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: &bad, IncludedData: types.IncludedDataMetadataOnly}, localHost)
	if err != nil || failed.Status != types.SyncExecutionStatusFailed || *failed.Error != "E" || failed.Output != nil || failed.Input != nil || failed.InputDetails.Included {
		t.Errorf("%+v %v", failed, err)
	}
	if st := idle(t, s); len(st.Executions) != 0 {
		t.Errorf("express executions left something behind: %+v", st)
	}
}

func TestExpressStartsAreNeverIdempotent(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "sfn.db")
	s := start(t, stepfunctions.Config{DataPath: path})
	c := client(s)
	machine := express(t, c, "m", waitForever)
	seen := map[string]bool{}
	for range 3 {
		out, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Name: aws.String("same")})
		if err != nil {
			t.Fatal(err)
		}
		seen[*out.ExecutionArn] = true
		for what, err := range map[string]error{
			"describe": ignore(c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: out.ExecutionArn})),
			"stop":     ignore(c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: out.ExecutionArn})),
			"history":  ignore(c.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: out.ExecutionArn})),
		} {
			if code(err) != "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'" {
				t.Errorf("%s: %s", what, code(err))
			}
		}
	}
	_, err := c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine})
	if code(err) != "StateMachineTypeNotSupported: This operation is not supported by this type of state machine" {
		t.Error(code(err))
	}
	if st, err := s.Stats(ctx); err != nil || len(seen) != 3 || st.InMemory != 3 || st.Waiting != 3 {
		t.Errorf("%v %+v %v", seen, st, err)
	}
}

func ignore[T any](_ T, err error) error { return err }

func TestExpressTimesOut(t *testing.T) {
	t.Parallel()
	c := client(start(t, stepfunctions.Config{}))
	machine := express(t, c, "m", `{"TimeoutSeconds":1,"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"End":true}}}`)
	out, err := c.StartSyncExecution(t.Context(), &sfn.StartSyncExecutionInput{StateMachineArn: &machine}, localHost)
	if err != nil || out.Status != types.SyncExecutionStatusTimedOut || out.Output != nil {
		t.Errorf("%+v %v", out, err)
	}
}

// TestStopEndsSynchronousExecutions stops the service while a caller waits for an execution.
func TestStopEndsSynchronousExecutions(t *testing.T) {
	t.Parallel()
	s, err := stepfunctions.New(stepfunctions.Config{})
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	machine := express(t, c, "m", waitForever)
	done := make(chan error, 1)
	go func() {
		_, err := c.StartSyncExecution(t.Context(), &sfn.StartSyncExecutionInput{StateMachineArn: &machine}, localHost,
			func(o *sfn.Options) { o.RetryMaxAttempts = 1 })
		done <- err
	}()
	for {
		if st, err := s.Stats(t.Context()); err != nil {
			t.Fatal(err)
		} else if st.Waiting == 1 {
			break
		}
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; code(err) != "ServiceUnavailable: The service is stopping." {
		t.Error(err)
	}
}
