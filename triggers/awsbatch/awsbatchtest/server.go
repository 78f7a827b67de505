// Package awsbatchtest is an AWS Batch endpoint for tests: it speaks Batch's protocol on loopback, and so much of
// CloudWatch Logs as is read of a job; it holds jobs whose state the test decides, counts calls, and can fail.
package awsbatchtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/connections"
	"gust/connections/awsconn/mototest"
)

// Fault is what happens to a call instead of, or after, its effect.
type Fault struct {
	// Code and Status answer with an AWS error of this code and HTTP status.
	Code   string
	Status int
	// Drop closes the connection without an answer.
	Drop bool
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

	mu     sync.Mutex
	jobs   map[string]map[string]any
	order  []string
	calls  []Call
	faults map[string][]Fault
	// Hidden hides jobs from ListJobs so many times: listing is eventually consistent.
	Hidden int
	// Lines are what GetLogEvents returns.
	Lines []string
}

// New starts a server that ends with the test.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{jobs: map[string]map[string]any{}, faults: map[string][]Fault{}}
	server := httptest.NewServer(s)
	s.URL = server.URL
	tb.Cleanup(server.Close)
	return s
}

// Connection is a connection to the server.
func (s *Server) Connection(id string) *connections.Connection { return mototest.Connection(id, s.URL) }

// Fail lets the next calls of an operation meet these faults, one each.
func (s *Server) Fail(op string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = append(s.faults[op], faults...)
}

// Set changes members of a job, which is created when there is none with this id.
func (s *Server) Set(id string, members map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[id] == nil {
		s.jobs[id] = map[string]any{"jobId": id, "createdAt": time.Now().UnixMilli(), "status": "RUNNABLE"}
		s.order = append(s.order, id)
	}
	for name, value := range members {
		s.jobs[id][name] = value
	}
}

// Job returns a member of a job.
func (s *Server) Job(id, member string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id][member]
}

// Jobs lists the ids in the order of their submission.
func (s *Server) Jobs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// Calls lists the calls of an operation.
func (s *Server) Calls(op string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Call
	for _, c := range s.calls {
		if c.Op == op {
			found = append(found, c)
		}
	}
	return found
}

// ServeHTTP answers a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := strings.TrimPrefix(r.URL.Path, "/v1/")
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		op = target[strings.LastIndex(target, ".")+1:]
	}
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{op, in})
	var fault *Fault
	if len(s.faults[op]) > 0 {
		fault = &s.faults[op][0]
		s.faults[op] = s.faults[op][1:]
	}
	var out any
	if fault == nil || fault.After {
		out = s.effect(op, in)
	}
	switch {
	case fault == nil:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out)
	case fault.Drop:
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("X-Amzn-Errortype", fault.Code)
		w.WriteHeader(fault.Status)
		_, _ = w.Write([]byte(`{"message": "said the endpoint"}`))
	}
}

type object = map[string]any

func (s *Server) effect(op string, in object) any {
	switch op {
	case "submitjob":
		id := fmt.Sprintf("job-%d", len(s.order)+1)
		s.order = append(s.order, id)
		s.jobs[id] = object{
			"jobId": id, "jobName": in["jobName"], "jobQueue": in["jobQueue"], "jobDefinition": in["jobDefinition"],
			"status": "SUBMITTED", "createdAt": time.Now().UnixMilli(),
		}
		return object{"jobId": id, "jobName": in["jobName"]}
	case "describejobs":
		var jobs []object
		ids, _ := in["jobs"].([]any)
		for _, id := range ids {
			if job := s.jobs[fmt.Sprint(id)]; job != nil {
				jobs = append(jobs, job)
			}
		}
		return object{"jobs": jobs}
	case "listjobs":
		return s.list(in)
	case "terminatejob":
		if job := s.jobs[fmt.Sprint(in["jobId"])]; job != nil {
			job["isTerminated"], job["statusReason"] = true, in["reason"]
		}
		return object{}
	case "GetLogEvents":
		var events []object
		for i, line := range s.Lines {
			events = append(events, object{"timestamp": i, "message": line})
		}
		return object{"events": events}
	}
	return object{}
}

// list answers two jobs to a page.
func (s *Server) list(in object) any {
	if s.Hidden > 0 {
		s.Hidden--
		return object{"jobSummaryList": []any{}}
	}
	filters, _ := in["filters"].([]any)
	name := ""
	if len(filters) == 1 {
		if values, _ := filters[0].(object)["values"].([]any); len(values) == 1 {
			name = fmt.Sprint(values[0])
		}
	}
	var found []object
	for _, id := range slices.Backward(s.order) {
		job := s.jobs[id]
		if strings.EqualFold(fmt.Sprint(job["jobName"]), name) && job["jobQueue"] == in["jobQueue"] {
			found = append(found, object{"jobId": id, "jobName": job["jobName"], "createdAt": job["createdAt"], "status": job["status"]})
		}
	}
	start := 0
	if token, ok := in["nextToken"].(string); ok {
		_, _ = fmt.Sscan(token, &start)
	}
	end := min(start+2, len(found))
	out := object{"jobSummaryList": found[start:end]}
	if end < len(found) {
		out["nextToken"] = fmt.Sprint(end)
	}
	return out
}
