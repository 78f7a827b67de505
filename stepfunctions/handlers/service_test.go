package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/stepfunctions"
	"gust/stepfunctions/events"
	"gust/stepfunctions/handlers"
)

// ends is a sink that tells of executions that have ended.
type ends chan events.StatusChange

func (e ends) Publish(changes []events.StatusChange) {
	for _, c := range changes {
		if c.Status != "RUNNING" {
			e <- c
		}
	}
}

// service starts the real service around handlers and returns how to run a machine: its status, output and error.
func service(t *testing.T, c stepfunctions.Config) func(name, definition, suffix string) (status, output string) {
	t.Helper()
	done := make(ends, 1000)
	c.Events, c.Logger = done, slog.New(slog.DiscardHandler)
	s, err := stepfunctions.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	client := sfn.New(sfn.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	return func(name, definition, suffix string) (string, string) {
		t.Helper()
		machine, err := client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: &name, Definition: &definition,
			RoleArn: aws.String("arn:aws:iam::123456789012:role/r")})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		started, err := client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(*machine.StateMachineArn + suffix),
			Input: aws.String(`{"n":1.0}`)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for {
			change := <-done
			if change.ExecutionARN != *started.ExecutionArn {
				continue
			}
			switch {
			case change.Output != nil:
				return change.Status, *change.Output
			case change.Cause != nil:
				return change.Status, *change.Error + ": " + *change.Cause
			default:
				return change.Status, ""
			}
		}
	}
}

const account = "arn:aws:states:us-east-1:123456789012:"

func task(resource, parameters string) string {
	return fmt.Sprintf(`{"StartAt":"S","States":{"S":{"Type":"Task","Resource":%q,"Parameters":%s,"End":true}}}`, resource, parameters)
}

func TestIntegrationsInTheService(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ok":true}`)) }))
	t.Cleanup(web.Close)
	file := filepath.Join(t.TempDir(), "MockConfigFile.json")
	if err := os.WriteFile(file, []byte(`{"StateMachines":{"mocked":{"TestCases":{"Token":{"S":"Done"}}}},"MockedResponses":{"Done":{"0":{"Return":{"x":1.0}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := service(t, stepfunctions.Config{MockFile: file, Handlers: map[string]handlers.Handler{"arn:aws:states:::glue:startJobRun": {Answer: `{"JobRunState":"SUCCEEDED"}`}}})
	if status, output := run("child", `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`, ""); status != "SUCCEEDED" || output != `{"n":1.0}` {
		t.Fatalf("%s %s", status, output)
	}
	run("failing", `{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}`, "")
	for _, c := range []struct{ name, definition, suffix, status, want string }{
		{"sync", task("arn:aws:states:::states:startExecution.sync", `{"StateMachineArn":"`+account+`stateMachine:child","Input":{"k":1.0}}`), "", "SUCCEEDED", `"Output":"{\"k\":1.0}"`},
		{"sync2", task("arn:aws:states:::states:startExecution.sync:2", `{"StateMachineArn":"`+account+`stateMachine:child","Input.$":"$"}`), "", "SUCCEEDED", `"Output":{"n":1.0}`},
		{"fails", task("arn:aws:states:::states:startExecution.sync:2", `{"StateMachineArn":"`+account+`stateMachine:failing"}`), "", "FAILED", `States.TaskFailed: {"Cause":"C","Error":"E","ExecutionArn":`},
		{"makes", task("arn:aws:states:::aws-sdk:sfn:createStateMachine", `{"Name":"fast","Type":"EXPRESS","RoleArn":"arn:aws:iam::123456789012:role/r",
			"Definition":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}}`), "", "SUCCEEDED", `stateMachine:fast`},
		{"unobservable", task("arn:aws:states:::states:startExecution.sync:2", `{"StateMachineArn":"`+account+`stateMachine:fast"}`), "", "FAILED",
			`StepFunctions.InvalidArnException: Invalid Arn: 'Resource type not valid in this context: express' (Service: AWSStepFunctions; Status Code: 400; Error Code: InvalidArn; Request ID: `},
		{"sdk", task("arn:aws:states:::aws-sdk:sfn:describeStateMachine", `{"StateMachineArn":"`+account+`stateMachine:child"}`), "", "SUCCEEDED", `"Name":"child"`},
		{"sdknone", task("arn:aws:states:::aws-sdk:sfn:describeExecution", `{"ExecutionArn":"`+account+`execution:child:none"}`), "", "FAILED", `Sfn.ExecutionDoesNotExistException: Execution Does Not Exist: '` + account + `execution:child:none' (Service: Sfn, Status Code: 400, Request ID: `},
		{"web", task("arn:aws:states:::http:invoke", `{"ApiEndpoint":"`+web.URL+`","Method":"GET","Authentication":{"ConnectionArn":"arn:aws:events:us-east-1:123456789012:connection/c/1"}}`), "", "SUCCEEDED", `"ResponseBody":{"ok":true}`},
		{"job", task("arn:aws:states:::glue:startJobRun.sync", `{"JobName":"j"}`), "", "SUCCEEDED", `{"JobRunState":"SUCCEEDED"}`},
		{"mocked", task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", `{"QueueUrl":"u","MessageBody.$":"$$.Task.Token"}`), "#Token", "SUCCEEDED", `{"x":1.0}`},
		{"nothing", task("arn:aws:states:::sns:publish", `{"TopicArn":"t","Message":"m"}`), "", "FAILED", `stepfunctions.handlers: {"arn:aws:states:::sns:publish": HANDLER}`},
	} {
		if status, got := run(c.name, c.definition, c.suffix); status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s %s\nwant %s %s", c.name, status, got, c.status, c.want)
		}
	}
}

func TestDistributedMapOverAFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, bucket := range []string{"in", "out"} {
		if err := os.Mkdir(filepath.Join(root, bucket), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var csv strings.Builder
	csv.WriteString("id,name\n")
	for i := range 250 {
		fmt.Fprintf(&csv, "%d,n%d\n", i, i)
	}
	if err := os.WriteFile(filepath.Join(root, "in/rows.csv"), []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run := service(t, stepfunctions.Config{S3Folder: root})
	status, output := run("rows", `{"StartAt":"M","States":{"M":{"Type":"Map","End":true,"Label":"L",
		"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"CSV","CSVHeaderLocation":"FIRST_ROW"},"Parameters":{"Bucket":"in","Key":"rows.csv"}},
		"ItemSelector":{"row.$":"$$.Map.Item.Value","at.$":"$$.Map.Item.Index"},"ItemBatcher":{"MaxItemsPerBatch":100,"BatchInput":{"k":1}},
		"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"out","Prefix":"p"},"WriterConfig":{"Transformation":"COMPACT","OutputType":"JSON"}},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}}}}`, "")
	var details struct {
		ResultWriterDetails struct{ Bucket, Key string }
	}
	if err := json.Unmarshal([]byte(output), &details); status != "SUCCEEDED" || err != nil {
		t.Fatalf("%s %s %v", status, output, err)
	}
	text, err := os.ReadFile(filepath.Join(root, details.ResultWriterDetails.Bucket, filepath.Dir(details.ResultWriterDetails.Key), "SUCCEEDED_0.json"))
	if err != nil {
		t.Fatal(err)
	}
	var batches []struct {
		BatchInput struct{ K int }
		Items      []struct {
			At  int
			Row struct{ ID, Name string }
		}
	}
	if err := json.Unmarshal(text, &batches); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	items := map[int]string{}
	for _, b := range batches {
		for _, item := range b.Items {
			items[item.At] = item.Row.Name
		}
		if b.BatchInput.K != 1 || len(b.Items) > 100 {
			t.Errorf("a batch of %d items with %+v", len(b.Items), b.BatchInput)
		}
	}
	if len(batches) != 3 || len(items) != 250 || items[249] != "n249" {
		t.Errorf("%d batches, %d items", len(batches), len(items))
	}
}
