// Package server speaks AWS's JSON 1.0 protocol over HTTP: it finds the operation, the region and the body of a
// request, lets an [Invoker] do the work, and writes the answer or the error in AWS's form.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"gust/stepfunctions/jsonvalue"
)

// Limits of a request's body. The operations that carry a definition get room for its escapes.
const (
	maxBodyBytes       = 1 << 20
	maxDefinitionBytes = 4 << 20
)

// targetPrefix starts the X-Amz-Target header of every request.
const targetPrefix = "AWSStepFunctions."

// Call is one API request.
type Call struct {
	// Operation is the operation's name, such as StartExecution.
	Operation string
	// Region is the region of the request's credential scope; empty when the request is not signed.
	Region string
	// RequestID is the id in the answer's header.
	RequestID string
	// AccessKey is the id of the key that the request is signed with; empty when it is not signed. It is only known to be
	// the caller's when the server has keys.
	AccessKey string
	// Body is the JSON text of the input.
	Body []byte
}

// Invoker does the work of an operation and returns the JSON text of its output. An [*Error] becomes AWS's error
// answer.
type Invoker interface {
	Invoke(ctx context.Context, c Call) ([]byte, error)
}

// Error is an answer in AWS's error form.
type Error struct {
	// Code is the error's name, such as StateMachineDoesNotExist.
	Code string
	// Message is the text.
	Message string
	// Status is the HTTP status; 0 means 400.
	Status int
	// Fields are further members of the body, such as reason.
	Fields map[string]string
}

// Error joins code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf returns an error with status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) body() []byte {
	b := jsonvalue.NewObjectBuilder(2+len(e.Fields)).Set("__type", jsonvalue.NewString(e.Code)).
		Set("message", jsonvalue.NewString(e.Message))
	for name, text := range e.Fields {
		b.Set(name, jsonvalue.NewString(text))
	}
	return b.Value().Append(nil)
}

// Options say how a server behaves.
type Options struct {
	// Faults make requests fail on purpose; nil never does.
	Faults *Faults
	// Keys are secret access keys by the ids of their keys. When there are any, every request must be signed with one of
	// them; otherwise signatures are not looked at.
	Keys map[string]string
	// OnInternal is told about errors that are not the caller's; nil tells nobody.
	OnInternal func(operation string, err error)
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time
}

// Server is the HTTP handler of the API.
type Server struct {
	invoker Invoker
	options Options
}

// New returns the handler. faults may be nil. onInternal is called with every error that is not an [*Error].
func New(invoker Invoker, faults *Faults, onInternal func(operation string, err error)) *Server {
	return NewWith(invoker, Options{Faults: faults, OnInternal: onInternal})
}

// NewWith returns the handler.
func NewWith(invoker Invoker, o Options) *Server {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.OnInternal == nil {
		o.OnInternal = func(string, error) {}
	}
	return &Server{invoker: invoker, options: o}
}

// ServeHTTP answers one request. The host it was sent to does not matter, so that requests to the "sync-" prefix are
// served as well.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, region := credentialScope(r.Header.Get("Authorization"))
	c := Call{RequestID: uuid.NewString(), Region: region, AccessKey: key}
	w.Header().Set("X-Amzn-Requestid", c.RequestID)
	if r.Method != http.MethodPost {
		writeError(w, &Error{Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: "AWS Step Functions answers POST requests with the header X-Amz-Target: AWSStepFunctions.<Operation>"})
		return
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if !ok {
		writeError(w, Errorf("UnknownOperationException",
			"The header X-Amz-Target must name an operation: AWSStepFunctions.<Operation>"))
		return
	}
	c.Operation = operation
	var err error
	if c.Body, err = readBody(w, r, operation); err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			writeError(w, &Error{Code: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
				Message: fmt.Sprintf("Request body is larger than the maximum of %d bytes", tooLong.Limit)})
		}
		return
	}
	if len(s.options.Keys) > 0 {
		if err := verify(r, c.Body, s.options.Keys, s.options.Clock()); err != nil {
			writeError(w, err)
			return
		}
	}
	s.answer(w, r, c)
}

// answer carries an authentic request out, with the faults that hit it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c Call) {
	now := s.options.Clock()
	fault := s.options.Faults.next(c.Operation)
	if !fault.before(w, r) {
		return
	}
	if !s.options.Faults.allow(c, now, s.invoker) {
		writeError(w, Errorf("ThrottlingException", "Rate exceeded"))
		return
	}
	ctx := r.Context()
	if c.Operation != "GetActivityTask" {
		// The work goes on when the client hangs up: its effect must not depend on the connection. A poll has no effect
		// before it is answered, and a client that has gone must not get a task.
		ctx = context.WithoutCancel(ctx)
	} else if _, ok := w.(http.Hijacker); ok {
		ctx = context.WithValue(ctx, mayWaitKey{}, true)
	}
	out, err := s.options.Faults.consistent(ctx, c, now, s.invoker)
	var later *LaterError
	if errors.As(err, &later) {
		s.park(w, c, later, fault.dropsAfter())
		return
	}
	if fault.dropsAfter() {
		drop(w)
		return
	}
	if err != nil {
		s.fail(w, c.Operation, err)
		return
	}
	write(w, http.StatusOK, out)
}

func readBody(w http.ResponseWriter, r *http.Request, operation string) ([]byte, error) {
	limit := int64(maxBodyBytes)
	switch operation {
	case "CreateStateMachine", "UpdateStateMachine", "ValidateStateMachineDefinition", "TestState":
		limit = maxDefinitionBytes
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
}

func (s *Server) fail(w http.ResponseWriter, operation string, err error) {
	var known *Error
	if errors.As(err, &known) {
		writeError(w, known)
		return
	}
	s.options.OnInternal(operation, err)
	writeError(w, &Error{Code: "InternalServerError", Status: http.StatusInternalServerError, Message: err.Error()})
}

func writeError(w http.ResponseWriter, e *Error) {
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	w.Header().Set("X-Amzn-Errortype", e.Code)
	write(w, status, e.body())
}

func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone when this fails
}

// Region returns the region of the credential scope of a Signature V4 header; empty when there is none.
func Region(authorization string) string {
	_, region := credentialScope(authorization)
	return region
}

// credentialScope returns the key and the region of the credential scope of a Signature V4 header.
func credentialScope(authorization string) (key, region string) {
	_, scope, ok := strings.Cut(authorization, "Credential=")
	if !ok {
		return "", ""
	}
	scope, _, _ = strings.Cut(scope, ",")
	// accessKey/date/region/service/aws4_request, and the key may hold slashes.
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if len(parts) < 5 {
		return "", ""
	}
	return strings.Join(parts[:len(parts)-4], "/"), parts[len(parts)-3]
}

// Loopback reports whether a listen address only reaches this machine.
func Loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
