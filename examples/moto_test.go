package examples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// TestExamplesAgainstMoto runs the same files, unchanged, against another implementation of Step Functions.
func TestExamplesAgainstMoto(t *testing.T) {
	t.Parallel()
	server := filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin", "moto_server")
	if _, err := os.Stat(server); os.Getenv("GUST_TEST_TOOLS") == "" || err != nil {
		t.Skip("moto's server is missing: `make test` installs it")
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := all[name]
			if e.beyondMoto != "" {
				t.Skip(e.beyondMoto)
			}
			// A server for each example: once moto has run an execution with a Wait state it answers every further
			// StartExecution with status 500 (it copies its running machines and cannot copy their threads).
			endpoint := startMoto(t, server)
			createMachines(t, endpoint)
			connection := fmt.Sprintf(`GUST_CONN_AWS_DEFAULT={"conn_type": "aws", "login": "k", "password": "secret-of-moto", `+
				`"extra": {"region_name": "us-east-1", "endpoint_url": %q}}`, endpoint)
			e.run(t, name, settings(t), []string{connection})
		})
	}
}

// startMoto starts the server on a free port of the loopback interface; it ends with the test.
func startMoto(t *testing.T, server string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, server, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s", "AWS_DEFAULT_REGION=us-east-1")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed on purpose
	})
	endpoint := "http://" + address
	// By default moto only pretends to execute state machines.
	body := `{"stepfunctions": {"execute_state_machine": true}}`
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		response, err := http.Post(endpoint+"/moto-api/config", "application/json", strings.NewReader(body))
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			err = errors.Join(err, response.Body.Close())
			if err == nil && response.StatusCode < 300 {
				return endpoint
			}
		}
		select {
		case <-retry.C:
		case <-deadline.C:
			t.Fatalf("moto does not answer: %v\n%s", err, output.String())
		}
	}
}

func createMachines(t *testing.T, endpoint string) {
	t.Helper()
	client := sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	})
	files, err := filepath.Glob("state_machines/*.asl.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		definition, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".asl.json")
		_, err = client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
			Name: aws.String(name), Definition: aws.String(string(definition)),
			RoleArn: aws.String("arn:aws:iam::123456789012:role/any"),
		})
		if err != nil {
			t.Fatalf("create %s: %v", name, err)
		}
	}
}
