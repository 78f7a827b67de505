package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"gust/internal/config"
)

const echoMachine = `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Parameters":{"QueueUrl":"u","MessageBody":"b"},"End":true}}}`

// settings is a configuration of the embedded service with these further lines and, beside it, this mocks.json.
func settings(t *testing.T, lines, mocks string) *config.Config {
	t.Helper()
	root := t.TempDir()
	text := "stepfunctions:\n  port: 0\n  state_machines_folder: machines\n  handlers_folder: handlers\n" + lines
	for name, content := range map[string]string{"config.yaml": text, "mocks.json": mocks} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(root, "config.yaml"), []string{"HOME=" + root})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cfg.Home(), 0o700); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestEmbeddedSettings starts the service with the settings that only it has, and sees each of them at work.
func TestEmbeddedSettings(t *testing.T) {
	t.Parallel()
	cfg := settings(t, `
  access_keys: {AKID: secret}
  handlers: {"arn:aws:states:::sqs:sendMessage": 'answer:{"MessageId":"1"}'}
  mock_config: mocks.json
  faults: {ListActivities: throttle}
  events_queue: executions
  events_file: events.jsonl
`, `{"StateMachines":{"m":{"TestCases":{"Down":{"A":"Down"}}}},"MockedResponses":{"Down":{"0":{"Throw":{"Error":"E","Cause":"C"}}}}}`)
	service, err := Embedded(t.Context(), cfg, EmbeddedOptions{Ephemeral: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := aws.String(service.Endpoint())
	with := func(secret string) *sfn.Client {
		return sfn.New(sfn.Options{Region: "us-east-1", BaseEndpoint: endpoint, Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider("AKID", secret, "")})
	}
	if _, err := with("wrong").ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{}); err == nil || !strings.Contains(err.Error(), "InvalidSignatureException") {
		t.Errorf("a wrong signature: %v", err)
	}
	c := with("secret")
	if _, err := c.ListActivities(t.Context(), &sfn.ListActivitiesInput{}); err == nil || !strings.Contains(err.Error(), "ThrottlingException") {
		t.Errorf("a fault: %v", err)
	}
	machine, err := c.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: aws.String("m"), Definition: aws.String(echoMachine), RoleArn: aws.String("arn:aws:iam::123456789012:role/r")})
	if err != nil {
		t.Fatal(err)
	}
	queues := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: endpoint, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")})
	for _, run := range []struct{ arn, status, rest string }{
		{*machine.StateMachineArn, "SUCCEEDED", `{"MessageId":"1"}`}, {*machine.StateMachineArn + "#Down", "FAILED", ""},
	} {
		if _, err := c.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: &run.arn}); err != nil {
			t.Fatal(err)
		}
		status, output := ended(t, queues, service.Endpoint())
		if status != run.status || output != run.rest {
			t.Errorf("%s: %s %s", run.arn, status, output)
		}
	}
	if err := service.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(cfg.Home(), "events.jsonl"))
	if err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("%v: %s", err, text)
	}
}

// ended waits for the event of an execution's end.
func ended(t *testing.T, queues *sqs.Client, endpoint string) (status, output string) {
	t.Helper()
	for {
		got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(endpoint + "/123456789012/executions"), WaitTimeSeconds: 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got.Messages {
			if _, err := queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(endpoint + "/123456789012/executions"), ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
			var e struct {
				Detail struct{ Status, Output string }
			}
			if err := json.Unmarshal([]byte(*m.Body), &e); err != nil {
				t.Fatal(err)
			}
			if e.Detail.Status != "RUNNING" {
				return e.Detail.Status, e.Detail.Output
			}
		}
	}
}

func TestBadEmbeddedSettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"handlers: {f: ' '}":                            "stepfunctions.handlers: f: expected a command",
		"faults: {'*': tea}":                            `stepfunctions.faults: faults of *: "tea" is no effect`,
		"events_faults: {noise: '1'}":                   "stepfunctions.events_faults: noise: expected loss, duplicates, reordering or delay",
		"events_queue: a b":                             "stepfunctions.events_queue: InvalidParameterValueException: Can only include alphanumeric characters",
		"events_file: nowhere/events":                   "stepfunctions.events_file: events: open ",
		"mock_config: nothing.json":                     "mocked responses: stat ",
		"events_faults: {loss: '2'}\n  events_queue: q": "the probability of loss must be from 0 to 1, got 2",
	} {
		cfg := settings(t, "  "+text+"\n", "")
		service, err := Embedded(t.Context(), cfg, EmbeddedOptions{Ephemeral: true, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			t.Errorf("%s was accepted: %v", text, service.Stop(t.Context()))
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
