package clienttest

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// TestSyncHost runs a client that puts AWS's "sync-" before the host, where a name server or /etc/hosts leads that name
// to loopback.
func TestSyncHost(t *testing.T) {
	t.Parallel()
	endpoint := Start(t, functions())
	var dialed string
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed = address
		return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(address, "sync-"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	c := sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
	})
	out, err := c.TestState(t.Context(), &sfn.TestStateInput{
		Definition: aws.String(`{"Type":"Succeed"}`), RoleArn: aws.String(Role), Input: aws.String("1"),
	})
	if err != nil || out.Status != types.TestExecutionStatusSucceeded || aws.ToString(out.Output) != "1" {
		t.Errorf("%+v, %v", out, err)
	}
	if !strings.HasPrefix(dialed, "sync-127.0.0.1:") {
		t.Errorf("the client asked %s", dialed)
	}
}
