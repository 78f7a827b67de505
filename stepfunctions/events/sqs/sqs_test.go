package sqs_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"gust/stepfunctions/events/sqs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves queues and returns the SDK's client for them.
func start(t *testing.T) (*sqs.Server, *client.Client, string) {
	t.Helper()
	s := sqs.New("us-east-1", "123456789012")
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Stop()
		web.Close()
	})
	return s, client.New(client.Options{Region: "us-east-1", BaseEndpoint: aws.String(web.URL), Retryer: aws.NopRetryer{}, HTTPClient: web.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}), web.URL
}

func must[T any](t *testing.T) func(out T, err error) T {
	t.Helper()
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func TestWithTheSDK(t *testing.T) {
	t.Parallel()
	s, c, endpoint := start(t)
	ctx := t.Context()
	url := must[*client.CreateQueueOutput](t)(c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: aws.String("events"),
		Attributes: map[string]string{"VisibilityTimeout": "7"}})).QueueUrl
	if *url != endpoint+"/123456789012/events" {
		t.Errorf("url %s", *url)
	}
	found := must[*client.GetQueueUrlOutput](t)(c.GetQueueUrl(ctx, &client.GetQueueUrlInput{QueueName: aws.String("events")}))
	listed := must[*client.ListQueuesOutput](t)(c.ListQueues(ctx, &client.ListQueuesInput{QueueNamePrefix: aws.String("ev")}))
	if *found.QueueUrl != *url || len(listed.QueueUrls) != 1 || listed.QueueUrls[0] != *url {
		t.Errorf("%s, %v", *found.QueueUrl, listed.QueueUrls)
	}
	sent := must[*client.SendMessageOutput](t)(c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: url, MessageBody: aws.String("one"),
		MessageAttributes: map[string]types.MessageAttributeValue{"kind": {DataType: aws.String("String"), StringValue: aws.String("x")}}}))
	must[*client.SendMessageBatchOutput](t)(c.SendMessageBatch(ctx, &client.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("1"), MessageBody: aws.String("two")}, {Id: aws.String("2"), MessageBody: aws.String("three")}}}))
	if err := s.Send("events", "four"); err != nil {
		t.Fatal(err)
	}
	got := must[*client.ReceiveMessageOutput](t)(c.ReceiveMessage(ctx, &client.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})).Messages
	if len(got) != 4 || *got[0].Body != "one" || *got[3].Body != "four" || *got[0].MessageId != *sent.MessageId ||
		*got[0].MessageAttributes["kind"].StringValue != "x" || *got[0].MD5OfMessageAttributes != *sent.MD5OfMessageAttributes ||
		got[0].Attributes["ApproximateReceiveCount"] != "1" || got[0].Attributes["SentTimestamp"] == "" {
		t.Fatalf("%+v", got)
	}
	must[*client.DeleteMessageOutput](t)(c.DeleteMessage(ctx, &client.DeleteMessageInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle}))
	deleted := must[*client.DeleteMessageBatchOutput](t)(c.DeleteMessageBatch(ctx, &client.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[1].ReceiptHandle}, {Id: aws.String("b"), ReceiptHandle: aws.String("nonsense")}}}))
	if len(deleted.Successful) != 1 || *deleted.Successful[0].Id != "a" || len(deleted.Failed) != 1 || *deleted.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("%+v %+v", deleted.Successful, deleted.Failed)
	}
	changed := must[*client.ChangeMessageVisibilityBatchOutput](t)(c.ChangeMessageVisibilityBatch(ctx, &client.ChangeMessageVisibilityBatchInput{QueueUrl: url,
		Entries: []types.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("a"), ReceiptHandle: got[2].ReceiptHandle, VisibilityTimeout: 0}}}))
	if len(changed.Successful) != 1 {
		t.Errorf("%+v", changed)
	}
	must[*client.ChangeMessageVisibilityOutput](t)(c.ChangeMessageVisibility(ctx, &client.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: got[3].ReceiptHandle, VisibilityTimeout: 100}))
	must[*client.SetQueueAttributesOutput](t)(c.SetQueueAttributes(ctx, &client.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"DelaySeconds": "5"}}))
	attributes := must[*client.GetQueueAttributesOutput](t)(c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}})).Attributes
	for name, want := range map[string]string{"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "1", "ApproximateNumberOfMessagesDelayed": "0",
		"VisibilityTimeout": "7", "DelaySeconds": "5", "QueueArn": "arn:aws:sqs:us-east-1:123456789012:events", "MaximumMessageSize": "1048576"} {
		if attributes[name] != want {
			t.Errorf("%s is %s, want %s", name, attributes[name], want)
		}
	}
	must[*client.PurgeQueueOutput](t)(c.PurgeQueue(ctx, &client.PurgeQueueInput{QueueUrl: url}))
	some := must[*client.GetQueueAttributesOutput](t)(c.GetQueueAttributes(ctx, &client.GetQueueAttributesInput{QueueUrl: url,
		AttributeNames: []types.QueueAttributeName{"ApproximateNumberOfMessages"}})).Attributes
	if len(some) != 1 || some["ApproximateNumberOfMessages"] != "0" {
		t.Errorf("after the purge: %v", some)
	}
	dead := must[*client.CreateQueueOutput](t)(c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: aws.String("dead")}))
	_ = dead
	must[*client.SetQueueAttributesOutput](t)(c.SetQueueAttributes(ctx, &client.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"3"}`}}))
	must[*client.DeleteQueueOutput](t)(c.DeleteQueue(ctx, &client.DeleteQueueInput{QueueUrl: url}))
	_, err := c.ReceiveMessage(ctx, &client.ReceiveMessageInput{QueueUrl: url})
	var gone *types.QueueDoesNotExist
	if !errors.As(err, &gone) {
		t.Errorf("a deleted queue: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, c, endpoint := start(t)
	ctx := t.Context()
	must[*client.CreateQueueOutput](t)(c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: aws.String("q")}))
	must[*client.CreateQueueOutput](t)(c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: aws.String("q")}))
	url := aws.String(endpoint + "/123456789012/q")
	create := func(name string, attributes map[string]string) error {
		_, err := c.CreateQueue(ctx, &client.CreateQueueInput{QueueName: &name, Attributes: attributes})
		return err
	}
	long := strings.Repeat("x", 1<<20+1)
	for want, call := range map[string]func() error{
		"QueueAlreadyExists":                            func() error { return create("q", map[string]string{"DelaySeconds": "1"}) },
		"has no FIFO queues":                            func() error { return create("q.fifo", nil) },
		"Can only include alphanumeric":                 func() error { return create("a b", nil) },
		"Unknown Attribute Nothing.":                    func() error { return create("r", map[string]string{"Nothing": "1"}) },
		"Invalid value for the parameter DelaySeconds.": func() error { return create("r", map[string]string{"DelaySeconds": "x"}) },
		"Must be >= 0 and <= 900":                       func() error { return create("r", map[string]string{"DelaySeconds": "901"}) },
		"Dead letter target does not exist": func() error {
			return create("r", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"x","maxReceiveCount":1}`})
		},
		"maxReceiveCount must be": func() error { return create("r", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"x"}`}) },
		"Must be between 1 and 10": func() error {
			_, err := c.ReceiveMessage(ctx, &client.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 11})
			return err
		},
		"parameter WaitTimeSeconds is invalid": func() error {
			_, err := c.ReceiveMessage(ctx, &client.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 21})
			return err
		},
		"Message must be shorter than 1048576 bytes": func() error {
			_, err := c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: url, MessageBody: &long})
			return err
		},
		"must contain the parameter MessageBody": func() error {
			_, err := c.SendMessage(ctx, &client.SendMessageInput{QueueUrl: url, MessageBody: aws.String("")})
			return err
		},
		"ReceiptHandleIsInvalid": func() error {
			_, err := c.DeleteMessage(ctx, &client.DeleteMessageInput{QueueUrl: url, ReceiptHandle: aws.String("x")})
			return err
		},
		"AWS.SimpleQueueService.EmptyBatchRequest": func() error {
			_, err := c.DeleteMessageBatch(ctx, &client.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{}})
			return err
		},
		"AWS.SimpleQueueService.BatchEntryIdsNotDistinct": func() error {
			_, err := c.DeleteMessageBatch(ctx, &client.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("a"), ReceiptHandle: aws.String("x")}, {Id: aws.String("a"), ReceiptHandle: aws.String("x")}}})
			return err
		},
	} {
		err := call()
		var api smithy.APIError
		if !errors.As(err, &api) || !strings.Contains(fmt.Sprint(api.ErrorCode(), " ", api.ErrorMessage()), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for target, want := range map[string]string{"": "it answers AWS JSON requests", "AmazonSQS.AddPermission": "AmazonSQS.AddPermission", "AmazonSQS.SendMessage": "not valid JSON"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader("{"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", target)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), want) {
			t.Errorf("%q: %d %s %v", target, res.StatusCode, body, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestStopEndsPolls(t *testing.T) {
	t.Parallel()
	s, c, _ := start(t)
	url := must[*client.CreateQueueOutput](t)(c.CreateQueue(t.Context(), &client.CreateQueueInput{QueueName: aws.String("q")})).QueueUrl
	done := make(chan error, 1)
	go func() {
		_, err := c.ReceiveMessage(t.Context(), &client.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
		done <- err
	}()
	s.Stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWithBoto3(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil || exec.CommandContext(t.Context(), python, "-c", "import boto3").Run() != nil {
		t.Skip("no boto3 here")
	}
	_, _, endpoint := start(t)
	out, err := exec.CommandContext(t.Context(), python, "-c", `
import sys, boto3
s = boto3.client("sqs", region_name="us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="a", aws_secret_access_key="b")
url = s.create_queue(QueueName="q", Attributes={"ReceiveMessageWaitTimeSeconds": "1"})["QueueUrl"]
assert s.get_queue_url(QueueName="q")["QueueUrl"] == url
s.send_message(QueueUrl=url, MessageBody="hello", MessageAttributes={"n": {"DataType": "Number", "StringValue": "1"}, "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}})
m = s.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["b"])["Messages"][0]
assert m["Body"] == "hello" and m["MessageAttributes"] == {"b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}, m
s.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
assert "Messages" not in s.receive_message(QueueUrl=url, WaitTimeSeconds=0)
try:
    s.receive_message(QueueUrl=url + "x")
except s.exceptions.QueueDoesNotExist as e:
    assert e.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue", e.response
print("passed")
`, endpoint).CombinedOutput()
	if err != nil || string(out) != "passed\n" {
		t.Fatalf("%v: %s", err, out)
	}
}
