package awsconn

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// TestLargeAnswersOfFastServers: the SDK closes a request's body as soon as the answer begins; the transport must not take
// that for a failed upload and close the connection under a long answer.
func TestLargeAnswersOfFastServers(t *testing.T) {
	t.Parallel()
	answer := fmt.Sprintf(`{"executionArn": "e", "stateMachineArn": "m", "status": "SUCCEEDED", "startDate": 1, "output": %q}`, strings.Repeat("x", 200_000))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if _, err := w.Write([]byte(answer)); err != nil {
			t.Logf("the client has gone: %v", err)
		}
	}))
	t.Cleanup(server.Close)
	f := newFake(t, false)
	c := f.conn(t, record{"endpoint_url": server.URL, "config_kwargs": record{"retries": record{"total_max_attempts": 1}}})
	client, _ := mustSFN(t, testPool(), c, Params{})
	for i := range 300 {
		if _, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String("e")}); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
}
