package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// LaterError is the error with which an [Invoker] says that the answer comes later. The connection then waits without a
// goroutine and without buffers: a waiting request costs little more than its socket. It may only be returned when
// [MayWait] says so.
type LaterError struct {
	// Park takes the request over. It is called once, and must not block.
	Park func(*Waiting)
}

// Error makes it an error.
func (*LaterError) Error() string { return "the answer comes later" }

type mayWaitKey struct{}

// MayWait reports whether an operation may return [LaterError]: the request comes over a connection that can be kept.
func MayWait(ctx context.Context) bool { return ctx.Value(mayWaitKey{}) != nil }

// Waiting is a request whose answer comes later. Answer must be called exactly once.
type Waiting struct {
	conn   net.Conn
	server *Server
	call   Call
	drop   bool
}

// writeTimeout bounds the writing of a late answer to a client that does not read.
const writeTimeout = 5 * time.Second

// park takes the connection from the HTTP server and hands the request to whoever will answer it.
func (s *Server) park(w http.ResponseWriter, c Call, later *LaterError, drop bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.fail(w, c.Operation, err)
		return
	}
	// The server's deadlines are not those of the answer.
	_ = conn.SetDeadline(time.Time{}) // a broken connection shows when it is used
	c.Body = nil
	later.Park(&Waiting{conn: conn, server: s, call: c, drop: drop})
}

// Gone reports whether the client has hung up.
func (p *Waiting) Gone() bool { return hungUp(p.conn) }

// Answer sends the output, or the error, and closes the connection.
func (p *Waiting) Answer(out []byte, err error) {
	defer func() { _ = p.conn.Close() }() // nothing depends on a clean end
	if p.drop {
		return
	}
	r := &lateResponse{header: http.Header{"X-Amzn-Requestid": {p.call.RequestID}, "Connection": {"close"}}}
	if err != nil {
		p.server.fail(r, p.call.Operation, err)
	} else {
		write(r, http.StatusOK, out)
	}
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // a broken connection shows in the next line
	_, _ = p.conn.Write(r.text())                             // the client is gone when this fails
}

// lateResponse collects a response and writes it as HTTP/1.1 wants it.
type lateResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the headers to set.
func (r *lateResponse) Header() http.Header { return r.header }

// WriteHeader sets the status.
func (r *lateResponse) WriteHeader(status int) { r.status = status }

// Write adds to the body.
func (r *lateResponse) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *lateResponse) text() []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(r.status) + " " + http.StatusText(r.status) + "\r\n")
	r.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = r.header.Write(&b) // a buffer never fails
	b.WriteString("\r\n")
	b.Write(r.body.Bytes())
	return b.Bytes()
}

// isEnd reports whether a read found the end of a connection. Having nothing to read, and being in use, is no end.
func isEnd(n int, err error, wouldBlock func(error) bool) bool {
	return err == nil && n == 0 || errors.Is(err, io.EOF) || err != nil && !wouldBlock(err)
}
