// Package mototest starts moto's server, an imitation of AWS, for tests. It is skipped where moto is not installed.
package mototest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gust/connections"
)

// startTimeout is how long the server may take until it answers.
const startTimeout = time.Minute

// Start starts a server on a free port of the loopback interface, configured with the JSON that moto's /moto-api/config
// takes, and returns its URL. It ends with the test.
func Start(tb testing.TB, config string, environ ...string) string {
	tb.Helper()
	server := filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin", "moto_server")
	if _, err := os.Stat(server); os.Getenv("GUST_TEST_TOOLS") == "" || err != nil {
		tb.Skip("moto's server is missing: `make test` installs it")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, server, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s", "AWS_DEFAULT_REGION=us-east-1")
	cmd.Env = append(cmd.Env, environ...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		cancel()
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed on purpose
		http.DefaultClient.CloseIdleConnections()
	})
	endpoint := "http://" + address
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		err := Post(endpoint+"/moto-api/config", config)
		if err == nil {
			return endpoint
		}
		select {
		case <-retry.C:
		case <-deadline.C:
			tb.Fatalf("moto does not answer: %v\n%s", err, output.String())
		}
	}
}

// Post sends JSON to moto's own API.
func Post(address, body string) error {
	return sent(http.Post(address, "application/json", strings.NewReader(body)))
}

// Query calls an AWS service that speaks the query protocol.
func Query(tb testing.TB, endpoint, service string, form url.Values) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20240101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	if err := sent(http.DefaultClient.Do(req)); err != nil {
		tb.Fatalf("%s: %v", form.Get("Action"), err)
	}
}

func sent(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return err
}

// Connection is an AWS connection to an endpoint, without retries of the SDK.
func Connection(id, endpoint string) *connections.Connection {
	login, password := "k", "secret-of-moto"
	return &connections.Connection{ID: id, Type: "aws", Login: &login, Password: &password, Extra: fmt.Appendf(nil,
		`{"region_name":"us-east-1","endpoint_url":%q,`+
			`"config_kwargs":{"retries":{"mode":"standard","total_max_attempts":1}}}`, endpoint)}
}
