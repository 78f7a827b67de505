package handlers_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/server"
)

// api records the calls it gets and answers them by operation.
type api struct {
	calls   []server.Call
	answers map[string]string
	err     error
}

func (a *api) Invoke(_ context.Context, c server.Call) ([]byte, error) {
	a.calls = append(a.calls, c)
	if a.err != nil {
		return nil, a.err
	}
	return []byte(a.answers[c.Operation]), nil
}

func nested(pattern asl.Pattern) asl.Resource {
	return asl.Resource{ARN: "arn:aws:states:::states:startExecution" + string(pattern), Kind: asl.Service, Service: "states",
		API: "startExecution", Pattern: pattern}
}

func sdk(operation string) asl.Resource {
	return asl.Resource{ARN: "arn:aws:states:::aws-sdk:sfn:" + operation, Kind: asl.Service, Service: "aws-sdk:sfn", API: operation, SDK: true}
}

const started = `{"executionArn":"arn:child","startDate":1700000000.123}`

var (
	requestIDs = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	dates      = regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT`)
)

func TestStartExecution(t *testing.T) {
	t.Parallel()
	const answer = `{"ExecutionArn":"arn:child","SdkHttpMetadata":{"AllHttpHeaders":{"x-amzn-RequestId":["ID"],"connection":["keep-alive"],"Content-Length":["60"],"Date":["DATE"],"Content-Type":["application/x-amz-json-1.0"]},"HttpHeaders":{"connection":"keep-alive","Content-Length":"60","Content-Type":"application/x-amz-json-1.0","Date":"DATE","x-amzn-RequestId":"ID"},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":"ID"},"StartDate":1700000000123}`
	for _, c := range []struct {
		pattern          asl.Pattern
		input, body, job string
	}{
		{asl.RequestResponse, `{"StateMachineArn":"arn:m","Input":null,"Name":"n"}`, `{"stateMachineArn":"arn:m","name":"n"}`, ""},
		{asl.Sync, `{"StateMachineArn":"arn:m","Input":{"a":1.0},"Name":"n"}`, `{"stateMachineArn":"arn:m","input":"{\"a\":1.0}","name":"n"}`, "arn:child"},
		{asl.Sync2, `{"StateMachineArn":"arn:m","Input":"{\"a\": 1}","Name":"n"}`, `{"stateMachineArn":"arn:m","input":"{\"a\": 1}","name":"n"}`, "arn:child"},
		{asl.WaitForTaskToken, `{"StateMachineArn":"arn:m","Input":"hello","TraceHeader":"t","Name":"n"}`, `{"stateMachineArn":"arn:m","input":"\"hello\"","traceHeader":"t","name":"n"}`, ""},
	} {
		a := &api{answers: map[string]string{"StartExecution": started}}
		s := set(t, nil)
		s.UseAPI(a)
		out, err := s.Do(t.Context(), handlers.Request{Resource: nested(c.pattern), Input: c.input, Region: "eu-west-1"})
		if err != nil {
			t.Fatal(err)
		}
		if len(a.calls) != 1 || string(a.calls[0].Body) != c.body || a.calls[0].Region != "eu-west-1" {
			t.Errorf("%s: calls %s", c.pattern, a.calls[0].Body)
		}
		got := dates.ReplaceAllString(requestIDs.ReplaceAllString(out.Output, "ID"), "DATE")
		if got != answer || out.Execution != c.job || out.Result != nil {
			t.Errorf("%s: %+v\ngot  %s\nwant %s", c.pattern, out, got, answer)
		}
	}
}

func TestStartExecutionNamesItsChildAfterTheTask(t *testing.T) {
	t.Parallel()
	a := &api{answers: map[string]string{"StartExecution": started}}
	s := set(t, nil)
	s.UseAPI(a)
	for _, r := range []handlers.Request{{ExecutionARN: "arn:p", TaskID: 1}, {ExecutionARN: "arn:p", TaskID: 1}, {ExecutionARN: "arn:p", TaskID: 2}} {
		r.Resource, r.Input = nested(asl.Sync), `{"StateMachineArn":"arn:m"}`
		if _, err := s.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	first, again, other := string(a.calls[0].Body), string(a.calls[1].Body), string(a.calls[2].Body)
	if first != again || first == other || !requestIDs.MatchString(first) {
		t.Errorf("names: %s, %s, %s", first, again, other)
	}
}

func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err      error
		resource asl.Resource
		want     string
	}{
		{server.Errorf("StateMachineDoesNotExist", "State Machine Does Not Exist: 'arn:m'"), nested(asl.Sync),
			"StepFunctions.StateMachineDoesNotExistException: State Machine Does Not Exist: 'arn:m' (Service: AWSStepFunctions; Status Code: 400; Error Code: StateMachineDoesNotExist; Request ID: ID; Proxy: null)"},
		{&server.Error{Code: "ConflictException", Message: "m", Status: 409}, sdk("publishStateMachineVersion"), "Sfn.ConflictException: m (Service: Sfn, Status Code: 409, Request ID: ID)"},
		{server.Errorf("InvalidToken", "Invalid Token: 'Invalid token'"), sdk("sendTaskSuccess"), "Sfn.InvalidTokenException: Invalid Token: 'Invalid token' (Service: Sfn, Status Code: 400, Request ID: ID)"},
		{errors.New("disk full"), sdk("listActivities"), "Sfn.SfnException: disk full (Service: Sfn, Status Code: 500, Request ID: ID)"},
		{errors.New("disk full"), nested(asl.RequestResponse), "StepFunctions.AWSStepFunctionsException: disk full (Service: AWSStepFunctions; Status Code: 500; Error Code: InternalServerError; Request ID: ID; Proxy: null)"},
	} {
		s := set(t, nil)
		s.UseAPI(&api{err: c.err})
		if got := requestIDs.ReplaceAllString(do(t, s, handlers.Request{Resource: c.resource, Input: "{}"}), "ID"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	s := set(t, nil)
	s.UseAPI(&api{})
	if got := do(t, s, handlers.Request{Resource: sdk("listActivities"), Input: "[]"}); got != "States.Runtime: The parameters of ListActivities must be an object, got: array" {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.UseAPI(&api{err: context.Canceled})
	for _, r := range []asl.Resource{sdk("listActivities"), nested(asl.Sync)} {
		if _, err := s.Do(ctx, handlers.Request{Resource: r, Input: "{}"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", r.ARN, err)
		}
	}
}

func TestSDK(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ operation, input, body, answer, want string }{
		{"createStateMachine", `{"Name":"n","Definition":{"StartAt":"A"},"LoggingConfiguration":{"Level":"ALL"},"Tags":[{"Key":"K","Value":"V"}],"Publish":null}`,
			`{"name":"n","definition":"{\"StartAt\":\"A\"}","loggingConfiguration":{"level":"ALL"},"tags":[{"key":"K","value":"V"}]}`,
			`{"stateMachineArn":"arn:m","creationDate":1700000000}`, `{"StateMachineArn":"arn:m","CreationDate":"2023-11-14T22:13:20Z"}`},
		{"getExecutionHistory", `{"ExecutionArn":"arn:e"}`, `{"executionArn":"arn:e"}`,
			`{"events":[{"timestamp":1700000000.120,"type":"PassStateExited","stateExitedEventDetails":{"assignedVariables":{"x":"1"},"output":"{\"a\":1}"}}]}`,
			`{"Events":[{"Timestamp":"2023-11-14T22:13:20.120Z","Type":"PassStateExited","StateExitedEventDetails":{"AssignedVariables":{"x":"1"},"Output":"{\"a\":1}"}}]}`},
		{"describeStateMachine", `{}`, `{}`, `{"variableReferences":{"state":["$x"]},"revisionId":null}`, `{"VariableReferences":{"state":["$x"]},"RevisionId":null}`},
		{"sendTaskSuccess", `{"TaskToken":"t","Output":[1]}`, `{"taskToken":"t","output":"[1]"}`, `{}`, `{}`},
	} {
		a := &api{answers: map[string]string{strings.ToUpper(c.operation[:1]) + c.operation[1:]: c.answer}}
		s := set(t, nil)
		s.UseAPI(a)
		if got := do(t, s, handlers.Request{Resource: sdk(c.operation), Input: c.input}); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.operation, got, c.want)
		}
		if string(a.calls[0].Body) != c.body {
			t.Errorf("%s: sent %s\nwant %s", c.operation, a.calls[0].Body, c.body)
		}
	}
}

func TestChildResult(t *testing.T) {
	t.Parallel()
	const succeeded = `{"executionArn":"arn:child","stateMachineArn":"arn:m","name":"n","status":"SUCCEEDED","startDate":1.5,"stopDate":2,"input":"{\"k\":1}","inputDetails":{"included":true},"output":"[1.0]","outputDetails":{"included":true},"redriveCount":0,"redriveStatus":"NOT_REDRIVABLE"}`
	const failed = `{"executionArn":"arn:child","stateMachineArn":"arn:m","name":"n","status":"FAILED","startDate":1,"stopDate":2,"input":"{}","inputDetails":{"included":true},"error":"E","cause":"C"}`
	for _, c := range []struct {
		pattern        asl.Pattern
		describe, want string
	}{
		{asl.Sync, succeeded, `{"ExecutionArn":"arn:child","Input":"{\"k\":1}","InputDetails":{"Included":true},"Name":"n","Output":"[1.0]","OutputDetails":{"Included":true},"RedriveCount":0,"RedriveStatus":"NOT_REDRIVABLE","StartDate":1500,"StateMachineArn":"arn:m","Status":"SUCCEEDED","StopDate":2000}`},
		{asl.Sync2, succeeded, `{"ExecutionArn":"arn:child","Input":{"k":1},"InputDetails":{"Included":true},"Name":"n","Output":[1.0],"OutputDetails":{"Included":true},"RedriveCount":0,"RedriveStatus":"NOT_REDRIVABLE","StartDate":1500,"StateMachineArn":"arn:m","Status":"SUCCEEDED","StopDate":2000}`},
		{asl.Sync, failed, `States.TaskFailed: {"Cause":"C","Error":"E","ExecutionArn":"arn:child","Input":"{}","InputDetails":{"Included":true},"Name":"n","StartDate":1000,"StateMachineArn":"arn:m","Status":"FAILED","StopDate":2000}`},
	} {
		got, err := set(t, nil).ChildResult(nested(c.pattern), []byte(c.describe))
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.pattern, got, c.want)
		}
	}
	if _, err := set(t, nil).ChildResult(nested(asl.Sync), []byte("{")); err == nil {
		t.Error("a broken description was read")
	}
}
