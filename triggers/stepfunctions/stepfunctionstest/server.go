// Package stepfunctionstest is a Step Functions endpoint for tests: it speaks AWS JSON 1.0 on loopback, holds
// executions whose state the test decides, counts calls, and can fail in every way a network and a service can.
package stepfunctionstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/connections"
)

// Machine is the ARN of a state machine that the server takes starts for; it takes them for any other name too.
const Machine = "arn:aws:states:us-east-1:000000000000:stateMachine:pseudo-state-machine"

// Execution is one execution; the test may change it under Server.Update.
type Execution struct {
	ARN, Name, Input             string
	Status, Output, Error, Cause string
	RedriveCount                 int
	Redrivable                   bool
	Started, Redriven            time.Time
	// History is what GetExecutionHistory returns, newest first, as JSON objects.
	History []string
}

// Fault is what happens to a call instead of, or after, its effect.
type Fault struct {
	// Code and Status answer with an AWS error of this code and HTTP status (0 means 400).
	Code   string
	Status int
	// Drop closes the connection without an answer.
	Drop bool
	// Body answers with this text, whatever it is.
	Body string
	// After lets the call take effect first.
	After bool
}

// Call is a call that arrived.
type Call struct {
	Op    string
	Input map[string]any
}

// Server is the endpoint.
type Server struct {
	URL string

	mu         sync.Mutex
	executions map[string]*Execution
	calls      []Call
	faults     map[string][]Fault
	// OnStart, when not nil, sees each new execution before the answer is sent; it may finish it at once.
	OnStart func(*Execution)
}

// New starts a server that stops with the test.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{executions: map[string]*Execution{}, faults: map[string][]Fault{}}
	srv := httptest.NewServer(s)
	tb.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	s.URL = srv.URL
	return s
}

// Connection is an AWS connection to the server: keys, a region, and no retries of the SDK's own.
func (s *Server) Connection(id string) *connections.Connection {
	login, password := "AKIDEXAMPLE", "secret"
	return &connections.Connection{ID: id, Type: "aws", Login: &login, Password: &password, Extra: fmt.Appendf(nil,
		`{"region_name":"us-east-1","endpoint_url":%q,`+
			`"config_kwargs":{"retries":{"mode":"standard","total_max_attempts":1}}}`, s.URL)}
}

// Fail lets the next calls of an operation meet these faults, one each.
func (s *Server) Fail(op string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = append(s.faults[op], faults...)
}

// Update changes an execution, which is created when there is none with this ARN.
func (s *Server) Update(arn string, change func(*Execution)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.executions[arn]
	if !ok {
		name := arn[strings.LastIndex(arn, ":")+1:]
		e = &Execution{ARN: arn, Name: name, Status: "RUNNING", Input: "{}", Started: time.Now()}
		s.executions[arn] = e
	}
	change(e)
}

// Get returns a copy of an execution.
func (s *Server) Get(arn string) (Execution, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.executions[arn]
	if !ok {
		return Execution{}, false
	}
	return *e, true
}

// Executions counts the executions.
func (s *Server) Executions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.executions)
}

// Calls returns the calls of an operation, all of them for "".
func (s *Server) Calls(op string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == "" {
		return slices.Clone(s.calls)
	}
	var calls []Call
	for _, c := range s.calls {
		if c.Op == op {
			calls = append(calls, c)
		}
	}
	return calls
}

type apiError struct{ code, message string }

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{op, in})
	var fault Fault
	if queue := s.faults[op]; len(queue) > 0 {
		fault, s.faults[op] = queue[0], queue[1:]
	}
	failing := fault != Fault{}
	var out map[string]any
	var failure *apiError
	if !failing || fault.After {
		out, failure = s.serve(op, in)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	switch {
	case fault.Drop:
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case fault.Body != "":
		_, _ = w.Write([]byte(fault.Body)) // a test's client
		return
	case fault.Code != "":
		failure = &apiError{fault.Code, "as the test wished"}
	}
	status := http.StatusOK
	var body any = out
	if failure != nil {
		status, body = http.StatusBadRequest, map[string]any{"__type": failure.code, "message": failure.message}
		if fault.Status != 0 {
			status = fault.Status
		}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a test's client
}

func (s *Server) serve(op string, in map[string]any) (map[string]any, *apiError) {
	switch op {
	case "StartExecution":
		return s.start(in)
	case "ListExecutions":
		return s.list(in)
	}
	arn, _ := in["executionArn"].(string)
	e, ok := s.executions[arn]
	if !ok {
		return nil, &apiError{"ExecutionDoesNotExist", fmt.Sprintf("Execution Does Not Exist: '%s'", arn)}
	}
	switch op {
	case "DescribeExecution":
		return e.describe(), nil
	case "StopExecution":
		if e.Status == "RUNNING" {
			e.Status = "ABORTED"
			e.Error, _ = in["error"].(string)
			e.Cause, _ = in["cause"].(string)
		}
		return map[string]any{"stopDate": seconds(time.Now())}, nil
	case "RedriveExecution":
		if !e.Redrivable || e.Status == "RUNNING" || e.Status == "SUCCEEDED" {
			return nil, &apiError{"ExecutionNotRedrivable", "Execution is " + e.Status + " and cannot be redriven"}
		}
		e.Status, e.Error, e.Cause, e.Redriven = "RUNNING", "", "", time.Now()
		e.RedriveCount++
		return map[string]any{"redriveDate": seconds(e.Redriven)}, nil
	case "GetExecutionHistory":
		events := make([]json.RawMessage, len(e.History))
		for i, text := range e.History {
			events[i] = json.RawMessage(text)
		}
		return map[string]any{"events": events}, nil
	}
	return nil, &apiError{"UnknownOperationException", op}
}

// list answers with the executions of a state machine, newest first. Tokens count the executions of the pages before.
func (s *Server) list(in map[string]any) (map[string]any, *apiError) {
	machine, _ := in["stateMachineArn"].(string)
	status, _ := in["statusFilter"].(string)
	size, _ := in["maxResults"].(float64)
	token, _ := in["nextToken"].(string)
	prefix := strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":"
	var all []*Execution
	for _, e := range s.executions {
		if strings.HasPrefix(e.ARN, prefix) && (status == "" || status == e.Status) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *Execution) int {
		return cmp.Or(b.Started.Compare(a.Started), strings.Compare(b.ARN, a.ARN))
	})
	from, _ := strconv.Atoi(token)
	if from > len(all) {
		return nil, &apiError{"InvalidToken", "Invalid Token: 'Invalid token'"}
	}
	out := map[string]any{}
	to := from + cmp.Or(int(size), 100)
	if to < len(all) {
		out["nextToken"] = strconv.Itoa(to)
	}
	rows := []map[string]any{}
	for _, e := range all[from:min(to, len(all))] {
		row := e.describe()
		delete(row, "output")
		delete(row, "input")
		rows = append(rows, row)
	}
	out["executions"] = rows
	return out, nil
}

func (s *Server) start(in map[string]any) (map[string]any, *apiError) {
	machine, _ := in["stateMachineArn"].(string)
	name, _ := in["name"].(string)
	input, given := in["input"].(string)
	if !given {
		input = "{}"
	}
	parts := strings.Split(machine, ":")
	if len(parts) < 7 {
		return nil, &apiError{"InvalidArn", fmt.Sprintf("Invalid Arn: 'Invalid ARN prefix: %s'", machine)}
	}
	arn := strings.Join(append(slices.Clone(parts[:5]), "execution", parts[6], name), ":")
	if strings.HasPrefix(parts[6], "express") {
		arn = strings.Join(append(slices.Clone(parts[:5]), "express", parts[6], name, fmt.Sprint(len(s.executions))), ":")
	}
	if e, ok := s.executions[arn]; ok {
		if e.Status != "RUNNING" || e.Input != input {
			return nil, &apiError{"ExecutionAlreadyExists", fmt.Sprintf("Execution Already Exists: '%s'", arn)}
		}
		return map[string]any{"executionArn": arn, "startDate": seconds(e.Started)}, nil
	}
	e := &Execution{ARN: arn, Name: name, Input: input, Status: "RUNNING", Started: time.Now()}
	s.executions[arn] = e
	if s.OnStart != nil {
		s.OnStart(e)
	}
	return map[string]any{"executionArn": arn, "startDate": seconds(e.Started)}, nil
}

func (e *Execution) describe() map[string]any {
	d := map[string]any{
		"executionArn": e.ARN, "name": e.Name, "status": e.Status, "startDate": seconds(e.Started), "input": e.Input,
		"stateMachineArn": Machine, "redriveCount": e.RedriveCount,
	}
	for key, value := range map[string]string{"output": e.Output, "error": e.Error, "cause": e.Cause} {
		if value != "" {
			d[key] = value
		}
	}
	if !e.Redriven.IsZero() {
		d["redriveDate"] = seconds(e.Redriven)
	}
	return d
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
