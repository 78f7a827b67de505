package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// sfnClient calls a Step Functions endpoint as AWS's clients do, by HTTP on connections that it keeps, and takes as
// little of the machine from the service as it can: no SDK, and no goroutine beside the caller's.
type sfnClient struct {
	endpoint string
	callers  int
	idle     chan *sfnConn
}

// sfnConn is a connection and what was read ahead of it.
type sfnConn struct {
	net.Conn
	reader *bufio.Reader
}

func newSFNClient(endpoint string, callers int) *sfnClient {
	return &sfnClient{endpoint, callers, make(chan *sfnConn, callers)}
}

func (c *sfnClient) host() string { return strings.TrimPrefix(c.endpoint, "http://") }

func (c *sfnClient) close() {
	for {
		select {
		case conn := <-c.idle:
			_ = conn.Close() // nothing is under way on it
		default:
			return
		}
	}
}

func (c *sfnClient) conn(ctx context.Context) (*sfnConn, error) {
	select {
	case conn := <-c.idle:
		return conn, nil
	default:
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.host())
	if err != nil {
		return nil, err
	}
	return &sfnConn{conn, bufio.NewReader(conn)}, nil
}

const (
	callHeader = "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nX-Amz-Target: AWSStepFunctions.%s\r\n" +
		"Authorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/states/aws4_request, SignedHeaders=host, " +
		"Signature=0\r\nContent-Length: %d\r\n\r\n"
	callTimeout = time.Minute
)

// call makes one call of the API; out may be nil.
func (c *sfnClient) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := c.post(ctx, "/", operation, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// post sends a body and returns the answer's.
func (c *sfnClient) post(ctx context.Context, path, operation string, body []byte) ([]byte, error) {
	conn, err := c.conn(ctx)
	if err != nil {
		return nil, err
	}
	answer, keep, err := conn.exchange(ctx, fmt.Appendf(nil, callHeader, path, c.host(), "application/x-amz-json-1.0", operation,
		len(body)), body)
	if keep {
		select {
		case c.idle <- conn:
			return answer, err
		default:
		}
	}
	_ = conn.Close() // it is not used again
	return answer, err
}

func (c *sfnConn) exchange(ctx context.Context, header, body []byte) (answer []byte, keep bool, err error) {
	deadline := time.Now().Add(callTimeout)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := c.SetDeadline(deadline); err != nil {
		return nil, false, err
	}
	if _, err := c.Write(append(header, body...)); err != nil {
		return nil, false, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, false, err
	}
	answer, err = io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, false, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(answer))
	}
	return answer, !response.Close, err
}
