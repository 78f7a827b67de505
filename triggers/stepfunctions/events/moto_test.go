package events

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/connections/awsconn/mototest"
	"gust/triggers"
)

// told is a listener that hands on what it is told.
type told chan triggers.News

func (c told) Tell(_ context.Context, news []triggers.News) ([]bool, error) {
	out := make([]bool, len(news))
	for i, n := range news {
		c <- n
		out[i] = true
	}
	return out, nil
}

// TestTemplateAtWork creates the template's stack at moto, which imitates CloudFormation, EventBridge and SQS, and receives
// an event through its rule.
func TestTemplateAtWork(t *testing.T) {
	t.Parallel()
	endpoint := mototest.Start(t, "{}")
	template := filepath.Join(t.TempDir(), "gust-events.yaml")
	stack := Template{Queue: DefaultQueue, StateMachines: []string{machine}}
	if err := os.WriteFile(template, []byte(stack.Render(CloudFormation)), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin", "aws"),
			append([]string{"--endpoint-url", endpoint, "--region", "eu-west-1", "--output", "text"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s", "AWS_CONFIG_FILE=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("aws %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	aws("cloudformation", "create-stack", "--stack-name", "gust-events", "--template-body", "file://"+template)
	url := aws("cloudformation", "describe-stacks", "--stack-name", "gust-events", "--query", "Stacks[0].Outputs[0].OutputValue")
	// moto names AWS's host in the URL; requests go to moto.
	queue := endpoint + url[strings.LastIndex(url[:strings.LastIndexByte(url, '/')], "/"):]
	place, err := PlaceOf(queue)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connections.ParseURI("aws_default", "aws://k:s@")
	if err != nil {
		t.Fatal(err)
	}
	news := make(told, 10)
	r := New(Config{QueueURL: queue, Listener: news, Client: FromPool(awsconn.NewPool(nil), connections.NewResolver(nil, connections.NewFixed("test", conn)),
		awsconn.Params{AWSConnID: "aws_default", RegionName: "eu-west-1"}, place)})
	r.Start(t.Context())
	defer r.Stop()
	detail := func(name, machine string) string {
		return `[{"Source":"aws.states","DetailType":"Step Functions Execution Status Change","Detail":"{\"executionArn\":\"` + arn(name) +
			`\",\"stateMachineArn\":\"` + machine + `\",\"status\":\"SUCCEEDED\"}"}]`
	}
	aws("events", "put-events", "--entries", detail("other", machine+"x"))
	aws("events", "put-events", "--entries", detail("a", machine))
	if n := <-news; n.Subject != arn("a") {
		t.Errorf("told %+v first", n)
	}
	r.Stop()
	if left := aws("sqs", "get-queue-attributes", "--queue-url", queue, "--attribute-names", "All", "--query",
		"Attributes.[ApproximateNumberOfMessages,ApproximateNumberOfMessagesNotVisible,MessageRetentionPeriod]"); left != "0\t0\t3600" {
		t.Errorf("the queue holds %s", left)
	}
}
