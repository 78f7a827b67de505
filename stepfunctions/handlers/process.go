package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// stderrTail is how much of a failed command's standard error goes into the cause.
const stderrTail = 2000

// command runs a program with the input on its standard input.
func command(ctx context.Context, h Handler, name string, r Request, input string) ([]byte, error) {
	// The thread is kept for the life of the child, because Linux ties the child's death signal to it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...) //nolint:gosec // configured by the user
	cmd.Dir = h.Dir
	cmd.Env = append(os.Environ(), "AWS_LAMBDA_FUNCTION_NAME="+name, "GUST_SFN_EXECUTION_ARN="+r.ExecutionARN,
		"GUST_SFN_STATE="+r.State)
	if r.Token != "" {
		cmd.Env = append(cmd.Env, "GUST_SFN_TASK_TOKEN="+r.Token)
	}
	cmd.Env = append(cmd.Env, h.Env...)
	cmd.Stdin = strings.NewReader(input)
	stdout, stderr := &limited{max: maxOutputBytes}, &limited{max: 1 << 20}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if stdout.full {
		return nil, &Error{Type: "Function.ResponseSizeTooLarge",
			Message: fmt.Sprintf("The answer is larger than %d bytes.", maxOutputBytes)}
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		message := "Runtime exited with error: " + exit.String()
		if tail := bytes.TrimSpace(stderr.buf.Bytes()); len(tail) > 0 {
			message += "\n" + strings.ToValidUTF8(string(tail[max(0, len(tail)-stderrTail):]), "")
		}
		return stdout.buf.Bytes(), &Error{Type: "Runtime.ExitError", Message: message}
	case err != nil:
		return nil, &Error{Type: "Runtime.InvalidEntrypoint", Message: err.Error()}
	}
	return stdout.buf.Bytes(), nil
}

// limited keeps the first max bytes written to it and remembers whether there were more.
type limited struct {
	buf  bytes.Buffer
	max  int
	full bool
}

// Write never fails, so that a talkative program is not stopped by a broken pipe.
func (l *limited) Write(p []byte) (int, error) {
	room := l.max - l.buf.Len()
	if len(p) > room {
		l.full = true
		l.buf.Write(p[:room])
		return len(p), nil
	}
	return l.buf.Write(p)
}

// client calls HTTP handlers. Its bound is the context's.
var client = &http.Client{
	Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second},
}

// CloseIdleConnections closes the connections to HTTP handlers that are not in use.
func (s *Set) CloseIdleConnections() {
	client.CloseIdleConnections()
	loopbackClient.CloseIdleConnections()
}

// post sends the input to an HTTP endpoint.
func post(ctx context.Context, url, input string) (body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(input))
	if err != nil {
		return nil, &Error{Type: "Lambda.SdkClientException", Message: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, &Error{Type: "Lambda.SdkClientException", Message: err.Error()}
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxOutputBytes+1))
	switch {
	case err != nil:
		return nil, &Error{Type: "Lambda.SdkClientException", Message: err.Error()}
	case len(body) > maxOutputBytes:
		return nil, &Error{Type: "Function.ResponseSizeTooLarge",
			Message: fmt.Sprintf("The answer is larger than %d bytes.", maxOutputBytes)}
	case res.StatusCode >= http.StatusBadRequest || res.Header.Get("X-Amz-Function-Error") != "":
		return body, &Error{Type: "Lambda.ServiceException", Message: fmt.Sprintf("HTTP status %s: %s", res.Status,
			strings.ToValidUTF8(string(body[:min(len(body), stderrTail)]), ""))}
	}
	return body, nil
}
