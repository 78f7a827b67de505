// Package handlers serves task resources locally: what AWS would run as a Lambda function or call as a service is
// here a command, an HTTP endpoint or a Go function.
package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gust/internal/param"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// maxOutputBytes is the largest answer that is read from a handler, Lambda's own limit.
const maxOutputBytes = 6 << 20

// Handler does the work of one resource. Exactly one of Command, URL and Func is set.
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
	// Func is a Go function. A returned [*Error] fails the task with its type and message.
	Func func(ctx context.Context, input []byte) ([]byte, error)
	// Timeout bounds one call; 0 means 15 minutes, Lambda's longest.
	Timeout time.Duration
}

// Request is one task to do.
type Request struct {
	// Resource is what the Task state names.
	Resource asl.Resource
	// Input is the JSON text of the task's effective input.
	Input string
	// ExecutionARN and State tell where the task comes from.
	ExecutionARN, State string
}

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

// Set finds the handler of a resource.
type Set struct{ byName map[string]Handler }

// NewSet checks and returns handlers by name. A name is a Lambda function's name or ARN, or the ARN of a service
// integration such as arn:aws:states:::sqs:sendMessage.
func NewSet(byName map[string]Handler) (*Set, error) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		h := byName[name]
		given := 0
		for _, set := range []bool{len(h.Command) > 0, h.URL != "", h.Func != nil} {
			if set {
				given++
			}
		}
		if given != 1 {
			return nil, fmt.Errorf("handler %q: exactly one of command, URL and function is needed, got %d", name, given)
		}
	}
	return &Set{byName: maps.Clone(byName)}, nil
}

// defaultTimeout bounds a call whose handler sets no bound.
const defaultTimeout = 15 * time.Minute

// Do performs a task and returns the JSON text of its result. A failure of the task is a [*TaskError]; any other
// error means that ctx ended.
func (s *Set) Do(ctx context.Context, r Request) (string, error) {
	if r.Resource.Kind == asl.Service && r.Resource.Service == "lambda" && r.Resource.API == "invoke" {
		return s.invoke(ctx, r)
	}
	name := r.Resource.ARN
	h, ok := s.find(r.Resource)
	if !ok {
		return "", s.unknown(r.Resource, name)
	}
	return s.call(ctx, h, functionName(name), r, r.Input)
}

// find looks a resource up by its ARN and, for a Lambda function, by its unqualified ARN and its name.
func (s *Set) find(r asl.Resource) (Handler, bool) {
	if h, ok := s.byName[r.ARN]; ok || r.Kind != asl.LambdaFunction {
		return h, ok
	}
	return s.function(r.ARN)
}

// function finds the handler of a function given by name, partial ARN or full ARN, with or without a qualifier.
func (s *Set) function(name string) (Handler, bool) {
	if h, ok := s.byName[name]; ok {
		return h, true
	}
	short := functionName(name)
	if i := strings.Index(name, ":function:"+short); i >= 0 {
		if h, ok := s.byName[name[:i]+":function:"+short]; ok {
			return h, true
		}
	}
	h, ok := s.byName[short]
	return h, ok
}

// functionName cuts a function's ARN or qualified name down to the name.
func functionName(name string) string {
	if _, after, ok := strings.Cut(name, ":function:"); ok {
		name = after
	}
	short, _, _ := strings.Cut(name, ":")
	return short
}

func (s *Set) unknown(r asl.Resource, name string) *TaskError {
	known := slices.Sorted(maps.Keys(s.byName))
	hint := "Configure one for it: a command that reads JSON on standard input, or an HTTP endpoint."
	if nearest := param.Nearest(name, known); nearest != "" {
		hint = fmt.Sprintf("Did you mean %q? ", nearest) + hint
	}
	if r.Kind == asl.LambdaFunction || r.Service == "lambda" {
		return &TaskError{Name: "Lambda.ResourceNotFoundException",
			Cause: fmt.Sprintf("Function not found: %s. The local Step Functions service has no handler for it. %s", name, hint)}
	}
	return &TaskError{Name: asl.ErrTaskFailed,
		Cause: fmt.Sprintf("The local Step Functions service has no handler for the resource %s. %s", name, hint)}
}

// invoke serves arn:aws:states:::lambda:invoke: the function's answer wrapped as the Lambda API returns it.
func (s *Set) invoke(ctx context.Context, r Request) (string, error) {
	in, err := jsonvalue.Parse(r.Input)
	if err != nil {
		return "", &TaskError{Name: asl.ErrRuntime, Cause: err.Error()}
	}
	nameValue, _ := in.Get("FunctionName")
	name := nameValue.Text()
	if name == "" {
		return "", &TaskError{Name: "Lambda.ValidationException", Cause: "The parameter FunctionName is required."}
	}
	h, ok := s.function(name)
	if !ok {
		return "", s.unknown(r.Resource, name)
	}
	payload := "{}"
	if p, ok := in.Get("Payload"); ok {
		payload = p.String()
	}
	out, err := s.call(ctx, h, functionName(name), r, payload)
	if err != nil {
		return "", err
	}
	result, err := jsonvalue.Parse(out)
	if err != nil {
		return "", &TaskError{Name: asl.ErrRuntime, Cause: err.Error()}
	}
	return lambdaResponse(result).String(), nil
}

func lambdaResponse(payload jsonvalue.Value) jsonvalue.Value {
	text := jsonvalue.NewString
	id := uuid.NewString()
	length := fmt.Sprint(len(payload.String()))
	headers := []struct{ name, value string }{
		{"X-Amz-Executed-Version", "$LATEST"}, {"Content-Length", length}, {"x-amzn-RequestId", id},
		{"Content-Type", "application/json"},
	}
	all, single := jsonvalue.NewObjectBuilder(len(headers)), jsonvalue.NewObjectBuilder(len(headers))
	for _, h := range headers {
		all.Set(h.name, jsonvalue.NewArray([]jsonvalue.Value{text(h.value)}))
		single.Set(h.name, text(h.value))
	}
	return jsonvalue.NewObjectBuilder(5).
		Set("ExecutedVersion", text("$LATEST")).
		Set("Payload", payload).
		Set("SdkHttpMetadata", jsonvalue.NewObjectBuilder(3).Set("AllHttpHeaders", all.Value()).
			Set("HttpHeaders", single.Value()).Set("HttpStatusCode", jsonvalue.NewInt(200)).Value()).
		Set("SdkResponseMetadata", jsonvalue.NewObjectBuilder(1).Set("RequestId", text(id)).Value()).
		Set("StatusCode", jsonvalue.NewInt(200)).Value()
}

// call runs a handler once.
func (s *Set) call(ctx context.Context, h Handler, name string, r Request, input string) (string, error) {
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out []byte
	var err error
	switch {
	case h.Func != nil:
		out, err = callFunc(limited, h.Func, []byte(input))
	case h.URL != "":
		out, err = post(limited, h.URL, input)
	default:
		out, err = command(limited, h, name, r, input)
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if limited.Err() != nil {
		late := &Error{Type: "Sandbox.Timedout", Message: fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds())}
		return "", &TaskError{Name: late.Type, Cause: late.cause()}
	}
	return result(out, err)
}

// callFunc calls a Go function and turns a panic of it into an error.
func callFunc(ctx context.Context, f func(context.Context, []byte) ([]byte, error), input []byte) (
	out []byte, err error,
) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Type: "Runtime.Panic", Message: fmt.Sprint(p)}
		}
	}()
	return f(ctx, input)
}

// result turns a handler's answer into the task's result or failure.
func result(out []byte, err error) (string, error) {
	var reported *Error
	if err != nil && !errors.As(err, &reported) {
		reported = &Error{Type: "Lambda.Unknown", Message: err.Error()}
	}
	v, parseErr := jsonvalue.Parse(string(out))
	if parseErr == nil {
		if failed := failureIn(v); failed != nil {
			return "", failed
		}
	}
	switch {
	case reported != nil:
		return "", &TaskError{Name: reported.Type, Cause: reported.cause()}
	case len(strings.TrimSpace(string(out))) == 0:
		return "null", nil
	case parseErr != nil:
		e := &Error{Type: "Runtime.MarshalError", Message: "The handler's answer is not JSON: " + parseErr.Error()}
		return "", &TaskError{Name: e.Type, Cause: e.cause()}
	}
	return v.String(), nil
}

// failureIn recognises an object with errorType and errorMessage.
func failureIn(v jsonvalue.Value) *TaskError {
	typ, okType := v.Get("errorType")
	message, okMessage := v.Get("errorMessage")
	if !okType || !okMessage || typ.Kind() != jsonvalue.String || message.Kind() != jsonvalue.String {
		return nil
	}
	return &TaskError{Name: typ.Text(), Cause: v.String()}
}

// MarshalJSON writes a handler without its function and environment, for configuration listings.
func (h Handler) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Command []string `json:"command,omitempty"`
		Dir     string   `json:"dir,omitempty"`
		URL     string   `json:"url,omitempty"`
	}{h.Command, h.Dir, h.URL})
}
