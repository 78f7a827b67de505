package stepfunctions_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/connections"
	"gust/connections/awsconn"
	service "gust/stepfunctions"
	"gust/stepfunctions/clienttest"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// resolver finds one connection, to the embedded service.
type resolver struct{ connection *connections.Connection }

func (r resolver) Connection(_ context.Context, id string) (*connections.Connection, error) {
	if r.connection == nil || id != r.connection.ID {
		return nil, &connections.NotFoundError{ID: id}
	}
	return r.connection, nil
}

func checkers(t *testing.T, endpoint string) *triggers.Registry {
	t.Helper()
	extra, err := json.Marshal(map[string]any{"region_name": "us-east-1", "endpoint_url": endpoint})
	if err != nil {
		t.Fatal(err)
	}
	login, password := "any", "thing"
	r := triggers.NewRegistry()
	err = stepfunctions.Register(r, stepfunctions.Deps{
		Clients:     stepfunctions.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))),
		Connections: resolver{&connections.Connection{ID: "aws_default", Type: "aws", Login: &login, Password: &password, Extra: extra}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func look(t *testing.T, r *triggers.Registry, trigger triggers.Trigger, err error, now time.Time) triggers.Verdict {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	checker, err := r.Checker(trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checker.Key(trigger.Args); err != nil {
		t.Error(err)
	}
	return checker.Check(t.Context(), now, []triggers.Wait{{ID: "w", Args: trigger.Args, Since: now.Add(-time.Minute)}})[0]
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	endpoint := clienttest.Start(t, service.Config{})
	r, now := checkers(t, endpoint), time.Now()
	params := awsconn.Params{AWSConnID: "aws_default"}
	args := stepfunctions.DeletionArgs{
		StateMachineARN: clienttest.Prefix + "stateMachine:m", Params: params, Delay: time.Second, Deadline: now.Add(time.Hour),
	}
	_, err := clienttest.Client(t, endpoint).CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("m"), RoleArn: aws.String(clienttest.Role),
		Definition: aws.String(`{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	trigger, err := args.Trigger()
	if v := look(t, r, trigger, err, now); !v.Again.Equal(now.Add(time.Second)) || v.Log != "Status of state machine is: ACTIVE" {
		t.Errorf("it is there: %+v", v)
	}
	args.Deadline = now
	trigger, err = args.Trigger()
	v := look(t, r, trigger, err, now)
	if v.Event == nil || !strings.Contains(string(v.Event.Payload), "is not gone after 1m0s (it is ACTIVE)") {
		t.Errorf("the time is up: %+v", v)
	}
	args.StateMachineARN += "x"
	trigger, err = args.Trigger()
	if v := look(t, r, trigger, err, now); v.Event == nil || !strings.Contains(string(v.Event.Payload), `"status":"success"`) {
		t.Errorf("it is gone: %+v", v)
	}
	args.Params.AWSConnID = "none"
	trigger, err = args.Trigger()
	if v := look(t, r, trigger, err, now); v.Err == nil {
		t.Errorf("no connection: %+v", v)
	}
}

func TestActivityTroubles(t *testing.T) {
	t.Parallel()
	r, now := checkers(t, clienttest.Start(t, service.Config{})), time.Now()
	args := stepfunctions.ActivityArgs{
		ActivityARN: clienttest.Prefix + "activity:none", Worker: "w", Params: awsconn.Params{AWSConnID: "aws_default"},
		Deadline: now.Add(time.Hour),
	}
	trigger, err := args.Trigger()
	if v := look(t, r, trigger, err, now); v.Err == nil || !strings.Contains(v.Err.Error(), "ActivityDoesNotExist") {
		t.Errorf("no activity: %+v", v)
	}
	lost := checkers(t, "http://127.0.0.1:1")
	if v := look(t, lost, trigger, err, now); v.Again.Before(now.Add(time.Second)) || v.State == nil {
		t.Errorf("nobody listens: %+v", v)
	}
}
