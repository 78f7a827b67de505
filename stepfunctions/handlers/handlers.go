// Package handlers performs tasks locally. It starts executions and calls the API of the service itself, sends HTTP
// tasks to this machine, and does everything that would be a Lambda function or another service of AWS as configured:
// by a mocked response, a command, an HTTP endpoint, a fixed answer, a fault or a Go function.
package handlers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/server"
)

// maxOutputBytes is the largest answer that is read from a handler, Lambda's own limit.
const maxOutputBytes = 6 << 20

// Handler does the work of one resource. Exactly one of Command, URL, Answer, Fault and Func is set.
//
// A command gets the task's input as JSON on standard input and prints the result as JSON on standard output; nothing
// printed means null. A non-zero exit, or a result that is an object with errorType and errorMessage, fails the task
// with that error. An HTTP endpoint gets the input as the body of a POST; a status of 400 and above, or such an
// object, fails the task.
//
// Delivery is at least once: a task that was running when the service was killed is run again after the restart.
type Handler struct {
	// Command is a program and its arguments.
	Command []string
	// Dir is the folder the command runs in; empty means the service's own.
	Dir string
	// Env holds further NAME=value pairs for the command.
	Env []string
	// URL is an HTTP endpoint.
	URL string
	// Answer is the JSON text of a fixed result.
	Answer string
	// Fault fails every call.
	Fault *TaskError
	// Func is a Go function. A returned [*Error] fails the task with its type and message.
	Func func(ctx context.Context, input []byte) ([]byte, error)
	// Timeout bounds one call; 0 means 15 minutes, Lambda's longest.
	Timeout time.Duration
}

// Parse reads a handler's text form: the URL of an HTTP endpoint, answer:JSON, fault:NAME CAUSE, or a command line for
// sh.
func Parse(text string) (Handler, error) {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return Handler{URL: text}, nil
	}
	if answer, ok := strings.CutPrefix(text, "answer:"); ok {
		h := Handler{Answer: strings.TrimSpace(answer)}
		return h, h.check()
	}
	if fault, ok := strings.CutPrefix(text, "fault:"); ok {
		name, cause, _ := strings.Cut(strings.TrimSpace(fault), " ")
		h := Handler{Fault: &TaskError{Name: name, Cause: strings.TrimSpace(cause)}}
		return h, h.check()
	}
	if strings.TrimSpace(text) == "" {
		return Handler{}, errors.New("expected a command, the URL of an HTTP endpoint, answer:JSON or fault:NAME CAUSE, got nothing")
	}
	return Handler{Command: []string{"sh", "-c", text}}, nil
}

func (h Handler) check() error {
	given := 0
	for _, set := range []bool{len(h.Command) > 0, h.URL != "", h.Answer != "", h.Fault != nil, h.Func != nil} {
		if set {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("exactly one of command, URL, answer, fault and function is needed, got %d", given)
	}
	if h.Fault != nil && h.Fault.Name == "" {
		return errors.New("a fault needs a name, such as fault:Sqs.QueueDoesNotExistException The queue is gone")
	}
	if h.Answer != "" {
		if _, err := jsonvalue.Parse(h.Answer); err != nil {
			return fmt.Errorf("the answer is not JSON: %w", err)
		}
	}
	return nil
}

// Request is one task to do.
type Request struct {
	// Resource is what the Task state names.
	Resource asl.Resource
	// Input is the JSON text of the task's effective input.
	Input string
	// ExecutionARN and State tell where the task comes from, Machine is the state machine's name.
	ExecutionARN, State, Machine string
	// TaskID is the number of the task in its execution.
	TaskID int64
	// TestCase chooses mocked responses; empty for an execution that has none.
	TestCase string
	// Attempt is how many retries went before, from 0.
	Attempt int64
	// Region and RoleARN are the execution's.
	Region, RoleARN string
	// Credentials is the JSON text of the state's Credentials; empty when there are none.
	Credentials string
	// Token is the task token, when the task has one.
	Token string
}

// Outcome is what became of a call.
type Outcome struct {
	// Output is the JSON text of the response: the task's result, or with .sync and .waitForTaskToken what was submitted.
	Output string
	// Result is the task's result when it is known although the integration waits (.sync and .waitForTaskToken); nil
	// lets the task go on until its token is answered or Execution ends.
	Result *string
	// Failure is why the task fails although what it asked for was begun; nil when it does not.
	Failure *TaskError
	// Execution is the execution whose end ends the task; empty when there is none. See [Set.ChildResult].
	Execution string
	// Sent and Received are what an HTTP task sent and what came back, also when the task failed; nil when nothing was.
	Sent     *HTTPRequest
	Received *HTTPResponse
}

// HTTPRequest is what an HTTP task sent, in the words of TestState. Headers are written as [name: value, ...].
type HTTPRequest struct{ Protocol, Method, URL, Headers, Body string }

// HTTPResponse is what came back, in the words of TestState.
type HTTPResponse struct{ Protocol, StatusCode, StatusMessage, Headers, Body string }

// TaskError is a failed task in the words of the language.
type TaskError struct {
	// Name is the error name that Retry and Catch compare.
	Name string
	// Cause describes it.
	Cause string
}

// Error joins name and cause.
func (e *TaskError) Error() string { return e.Name + ": " + e.Cause }

// Error is a failure that a Func returns on purpose.
type Error struct {
	// Type becomes the error name, Message the errorMessage in the cause.
	Type, Message string
}

// Error joins type and message.
func (e *Error) Error() string { return e.Type + ": " + e.Message }

// cause is the JSON text that Lambda puts into the cause of a failed function.
func (e *Error) cause() string {
	return jsonvalue.NewObjectBuilder(2).Set("errorMessage", jsonvalue.NewString(e.Message)).
		Set("errorType", jsonvalue.NewString(e.Type)).Value().String()
}

// API is the service that the tasks belong to.
type API interface {
	// Invoke carries out an operation as for a client.
	Invoke(ctx context.Context, c server.Call) ([]byte, error)
}

// Set does tasks.
type Set struct {
	byName map[string]Handler
	api    API
	mocks  *Mocks
}

// NewSet checks and returns handlers by name. A name is a Lambda function's name or ARN, or the ARN of a service
// integration such as arn:aws:states:::sqs:sendMessage, with or without its pattern.
func NewSet(byName map[string]Handler) (*Set, error) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if err := byName[name].check(); err != nil {
			return nil, fmt.Errorf("handler %q: %w", name, err)
		}
	}
	return &Set{byName: maps.Clone(byName)}, nil
}

// UseAPI tells the service that the tasks belong to. It is called before the first Do.
func (s *Set) UseAPI(a API) { s.api = a }

// UseMocks sets the mocked responses. It is called before the first Do.
func (s *Set) UseMocks(m *Mocks) { s.mocks = m }

// Do performs a task. A failure of the task is a [*TaskError]; any other error means that ctx ended. It does not wait
// for tokens and executions.
func (s *Set) Do(ctx context.Context, r Request) (Outcome, error) {
	if out, mocked, err := s.mocks.response(r); mocked {
		return out, err
	}
	if h, ok := s.find(r.Resource); ok && !r.is("lambda", "invoke") {
		out, err := s.call(ctx, h, functionName(r.Resource.ARN), r, r.Input)
		return outcome(r, out), err
	}
	switch {
	case r.is("lambda", "invoke"):
		out, err := s.invoke(ctx, r)
		return outcome(r, out), err
	case r.is("states", "startExecution") && s.api != nil:
		return s.startExecution(ctx, r)
	case r.Resource.Kind == asl.Service && r.Resource.Service == "aws-sdk:sfn" && s.api != nil:
		out, err := s.sdk(ctx, r)
		return outcome(r, out), err
	case r.is("http", "invoke"):
		return httpTask(ctx, r)
	default:
		return Outcome{}, s.unknown(r.Resource, r.Resource.ARN)
	}
}

func (r Request) is(service, api string) bool {
	return r.Resource.Service == service && r.Resource.API == api
}

// outcome is that of a call whose job, if any, is done with the response.
func outcome(r Request, out string) Outcome {
	switch r.Resource.Pattern {
	case asl.Sync, asl.Sync2:
		return Outcome{Output: out, Result: &out}
	default:
		return Outcome{Output: out}
	}
}
