package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/server"
)

// startExecution serves arn:aws:states:::states:startExecution in its patterns. It returns as soon as the execution is
// started; its end is the caller's to watch.
func (s *Set) startExecution(ctx context.Context, r Request) (Outcome, error) {
	in, failed := wireInput(r, "StartExecution")
	if failed != nil {
		return Outcome{}, failed
	}
	waits := r.Resource.Pattern == asl.Sync || r.Resource.Pattern == asl.Sync2
	if _, named := in.Get("name"); !named {
		// The same task always names its execution the same, so that a repetition after a crash finds it.
		in = in.With("name", jsonvalue.NewString(childName(r)))
	}
	id := uuid.NewString()
	body, err := s.api.Invoke(ctx, server.Call{Operation: "StartExecution", Region: r.Region, RequestID: id, Body: in.Append(nil)})
	if err != nil {
		return Outcome{}, optimizedError(ctx, err, id)
	}
	answer, err := jsonvalue.Parse(string(body))
	if err != nil {
		return Outcome{}, fmt.Errorf("read the answer of StartExecution: %w", err)
	}
	arn, _ := answer.Get("executionArn")
	started, _ := answer.Get("startDate")
	b := jsonvalue.NewObjectBuilder(4).Set("ExecutionArn", arn)
	out := metadata(b, id, http.StatusOK, []header{
		{"x-amzn-RequestId", id}, {"connection", "keep-alive"},
		{"Content-Length", strconv.Itoa(len(body) - len(started.Text()) + len(wireInstant))},
		{"Date", httpDate()}, {"Content-Type", "application/x-amz-json-1.0"},
	}).Set("StartDate", milliseconds(started)).Value().String()
	switch {
	case !waits:
		return Outcome{Output: out}, nil
	case arns.IsExpress(arn.Text()):
		return Outcome{Output: out, Failure: s.unobservable(ctx, r, arn)}, nil
	}
	return Outcome{Output: out, Execution: arn.Text()}, nil
}

// unobservable returns why an express execution cannot be waited for: nobody can ask for its description.
func (s *Set) unobservable(ctx context.Context, r Request, arn jsonvalue.Value) *TaskError {
	id := uuid.NewString()
	question := jsonvalue.NewObjectBuilder(1).Set("executionArn", arn).Value()
	_, err := s.api.Invoke(ctx, server.Call{Operation: "DescribeExecution", Region: r.Region, RequestID: id, Body: question.Append(nil)})
	var failed *TaskError
	if err == nil || !errors.As(optimizedError(ctx, err, id), &failed) {
		return &TaskError{Name: asl.ErrTaskFailed, Cause: "An express execution cannot be waited for: " + arn.Text()}
	}
	return failed
}

// wireInstant is how AWS writes an instant into the answer whose length it tells: a Java double of seconds with
// microseconds. That is what the recorded length of an answer leaves for it in a region with a name like us-east-1.
const wireInstant = "1.731339123456789E9"

// childName derives the name of an execution from the task that starts it.
func childName(r Request) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(r.ExecutionARN+"#"+strconv.FormatInt(r.TaskID, 10))).String()
}

// optimizedError is a refusal as an optimized integration reports it.
func optimizedError(ctx context.Context, err error, requestID string) error {
	var refused *server.Error
	switch {
	case errors.As(err, &refused):
		return &TaskError{Name: "StepFunctions." + exception(refused.Code),
			Cause: fmt.Sprintf("%s (Service: AWSStepFunctions; Status Code: %d; Error Code: %s; Request ID: %s; Proxy: null)",
				refused.Message, status(refused), refused.Code, requestID)}
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return &TaskError{Name: "StepFunctions.AWSStepFunctionsException", Cause: fmt.Sprintf("%v (Service: AWSStepFunctions; "+
			"Status Code: 500; Error Code: InternalServerError; Request ID: %s; Proxy: null)", err, requestID)}
	}
}

func status(e *server.Error) int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// milliseconds turns an instant of the API, in seconds, into one of the optimized integrations.
func milliseconds(seconds jsonvalue.Value) jsonvalue.Value {
	f, ok := seconds.Float()
	if !ok {
		return seconds
	}
	return jsonvalue.NewInt(int64(f*1000 + 0.5))
}

// ChildResult turns the description of an ended execution, DescribeExecution's answer, into the result of the task that
// waited for it with .sync or .sync:2, or into its failure, a [*TaskError].
func (s *Set) ChildResult(r asl.Resource, describeExecution []byte) (string, error) {
	described, err := jsonvalue.Parse(string(describeExecution))
	if err != nil {
		return "", fmt.Errorf("read the description of an execution: %w", err)
	}
	// AWS writes the fields in the order of their names.
	b := jsonvalue.NewObjectBuilder(16)
	for _, name := range []string{
		"Cause", "Error", "ExecutionArn", "Input", "InputDetails", "MapRunArn", "Name", "Output", "OutputDetails", "RedriveCount",
		"RedriveDate", "RedriveStatus", "RedriveStatusReason", "StartDate", "StateMachineAliasArn", "StateMachineArn",
		"StateMachineVersionArn", "Status", "StopDate", "TraceHeader",
	} {
		v, ok := described.Get(camel(name))
		if !ok {
			continue
		}
		switch name {
		case "StartDate", "StopDate", "RedriveDate":
			v = milliseconds(v)
		case "InputDetails", "OutputDetails":
			v = pascalFields(v)
		case "Input", "Output":
			if r.Pattern == asl.Sync2 {
				if v, err = jsonvalue.Parse(v.Text()); err != nil {
					return "", fmt.Errorf("read the %s of an execution: %w", camel(name), err)
				}
			}
		}
		b.Set(name, v)
	}
	text := b.Value().String()
	if status, _ := described.Get("status"); status.Text() != "SUCCEEDED" {
		return "", &TaskError{Name: asl.ErrTaskFailed, Cause: text}
	}
	return text, nil
}
