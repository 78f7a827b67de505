package interp

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gust/internal/param"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// InspectionLevel says how much [TestState] tells about the way from input to output.
type InspectionLevel string

// The levels. TRACE adds the request and response of HTTP tasks, which their handler knows.
const (
	InspectInfo  InspectionLevel = "INFO"
	InspectDebug InspectionLevel = "DEBUG"
	InspectTrace InspectionLevel = "TRACE"
)

// StateTest asks what one state does with an input, as AWS's TestState.
type StateTest struct {
	// State is the state to test.
	State *asl.State
	// Info is the execution that the state believes to run in. Its Input is the JSON text of the state's input.
	Info Info
	// Now is the time of the test.
	Now time.Time
	// Level chooses what is inspected.
	Level InspectionLevel
	// Variables are the workflow variables, an object; null when there are none.
	Variables jsonvalue.Value
	// Context is the JSON text of a context object that replaces the real one; nil when there is none.
	Context *string
	// Mock stands for the work of a Task, Map or Parallel state; nil lets a Task be performed.
	Mock *Mock
	// RevealSecrets asks for the secrets of an HTTP task in the inspection data.
	RevealSecrets bool
	// Config places the test inside retries and iterations.
	Config TestConfiguration
	// Perform does the work of a Task state. For an HTTP task it also sets Request and Response.
	Perform func(Task) (output string, f *Failure)
	// Request and Response are what went over the wire; level TRACE shows them.
	Request  *HTTPRequest
	Response *HTTPResponse
	// Items reads and groups the items of a distributed Map; nil knows JSON data only and no batches.
	Items ItemSource
}

// Mock is what the work of a state is assumed to answer: either Result or Error.
type Mock struct {
	// Result is the JSON text of the result.
	Result *string
	// Error is the failure.
	Error *MockError
	// Mode says how closely the result of a service integration must follow the API: STRICT (also when empty), PRESENT or
	// NONE.
	Mode string
}

// MockError is a mocked failure.
type MockError struct{ Error, Cause *string }

// TestConfiguration places a test inside retries and iterations.
type TestConfiguration struct {
	// RetrierRetryCount is how often the retrier that covers the error has retried already.
	RetrierRetryCount int64
	// ErrorCausedByState is the inner state that a mocked error of a Map or Parallel comes from.
	ErrorCausedByState string
	// MapIterationFailureCount is how many iterations of a Map failed; nil when not given.
	MapIterationFailureCount *int64
	// MapItemReaderData is what a Map's ItemReader reads.
	MapItemReaderData *string
}

// ItemSource reads and groups the items of a distributed Map.
type ItemSource interface {
	// Items returns the items in the data that a reader reads.
	Items(r *ItemReader, data string) ([]jsonvalue.Value, error)
	// Batches groups items into the inputs of child executions.
	Batches(b *ItemBatcher, items []jsonvalue.Value) ([]jsonvalue.Value, error)
}

// TestStatus tells how a test ended.
type TestStatus string

// The statuses of a tested state.
const (
	TestSucceeded TestStatus = "SUCCEEDED"
	TestFailed    TestStatus = "FAILED"
	TestRetriable TestStatus = "RETRIABLE"
	TestCaught    TestStatus = "CAUGHT_ERROR"
)

// TestedState is what a state did. Its JSON form is that of the API.
type TestedState struct {
	// Output is the JSON text of the output; nil when the state failed or is retried.
	Output *string `json:"output,omitempty"`
	// Error and Cause tell of a failure, a caught or retried one included.
	Error *string `json:"error,omitempty"`
	Cause *string `json:"cause,omitempty"`
	// Inspection is nil at level INFO.
	Inspection *Inspection `json:"inspectionData,omitempty"`
	// NextState is where the state goes; nil when it ends its scope or failed.
	NextState *string    `json:"nextState,omitempty"`
	Status    TestStatus `json:"status"`
	// Wait is how long a Wait state waits.
	Wait time.Duration `json:"-"`
}

// Inspection shows the steps from input to output as JSON texts. What does not apply is nil.
type Inspection struct {
	Input               *string `json:"input,omitempty"`
	AfterInputPath      *string `json:"afterInputPath,omitempty"`
	AfterParameters     *string `json:"afterParameters,omitempty"`
	AfterArguments      *string `json:"afterArguments,omitempty"`
	AfterItemsPath      *string `json:"afterItemsPath,omitempty"`
	AfterItemsPointer   *string `json:"afterItemsPointer,omitempty"`
	AfterItemSelector   *string `json:"afterItemSelector,omitempty"`
	AfterItemBatcher    *string `json:"afterItemBatcher,omitempty"`
	Result              *string `json:"result,omitempty"`
	AfterResultSelector *string `json:"afterResultSelector,omitempty"`
	AfterResultPath     *string `json:"afterResultPath,omitempty"`
	// Request and Response are those of an HTTP task, at level TRACE.
	Request  *HTTPRequest  `json:"request,omitempty"`
	Response *HTTPResponse `json:"response,omitempty"`
	// Variables are all workflow variables after the state.
	Variables *string `json:"variables,omitempty"`
	// ErrorDetails tells which retrier or catcher took a failure.
	ErrorDetails *ErrorDetails `json:"errorDetails,omitempty"`
	// MaxConcurrency and the tolerances are those of a Map; the tolerances are nil when it sets none.
	MaxConcurrency             *int64   `json:"maxConcurrency,omitempty"`
	ToleratedFailureCount      *int64   `json:"toleratedFailureCount,omitempty"`
	ToleratedFailurePercentage *float64 `json:"toleratedFailurePercentage,omitempty"`
}

// HTTPRequest is what an HTTP task sent. Headers are a JSON object.
type HTTPRequest struct {
	Protocol string `json:"protocol,omitempty"`
	Method   string `json:"method,omitempty"`
	URL      string `json:"url,omitempty"`
	Headers  string `json:"headers,omitempty"`
	Body     string `json:"body,omitempty"`
}

// HTTPResponse is what an HTTP task was answered. Headers are a JSON object.
type HTTPResponse struct {
	Protocol      string `json:"protocol,omitempty"`
	StatusCode    string `json:"statusCode,omitempty"`
	StatusMessage string `json:"statusMessage,omitempty"`
	Headers       string `json:"headers,omitempty"`
	Body          string `json:"body,omitempty"`
}

// ErrorDetails are the indices in Catch and Retry.
type ErrorDetails struct {
	CatchIndex                  *int   `json:"catchIndex,omitempty"`
	RetryIndex                  *int   `json:"retryIndex,omitempty"`
	RetryBackoffIntervalSeconds *int64 `json:"retryBackoffIntervalSeconds,omitempty"`
}

// field returns where a step of the given name is kept.
func (i *Inspection) field(stage string) **string {
	return map[string]**string{
		"input": &i.Input, "afterInputPath": &i.AfterInputPath, "afterParameters": &i.AfterParameters,
		"afterArguments": &i.AfterArguments, "afterItemsPath": &i.AfterItemsPath, "afterItemsPointer": &i.AfterItemsPointer,
		"afterItemSelector": &i.AfterItemSelector, "afterItemBatcher": &i.AfterItemBatcher, "result": &i.Result,
		"afterResultSelector": &i.AfterResultSelector, "afterResultPath": &i.AfterResultPath, "variables": &i.Variables,
	}[stage]
}

// RefusedError is a test that cannot be made, in the words of the API.
type RefusedError struct {
	// Code is the name of the API's error.
	Code string
	// Message says why.
	Message string
}

// Error returns code and message.
func (r *RefusedError) Error() string { return r.Code + ": " + r.Message }

func invalid(format string, args ...any) *RefusedError {
	return &RefusedError{Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

// syntaxMessage words an error of [jsonvalue.Parse] as AWS does, without the place in the text.
func syntaxMessage(err error) string {
	var syntax *jsonvalue.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Message
	}
	return err.Error()
}

// mockable reports whether a state's work can be mocked.
func mockable(s *asl.State) bool {
	return s.Type == asl.Task || s.Type == asl.Map || s.Type == asl.Parallel
}

// refusal returns why the test cannot be made, else nil.
func (in *StateTest) refusal() *RefusedError {
	s := in.State
	if in.Mock == nil {
		return in.unmocked()
	}
	switch m := in.Mock; {
	case !mockable(s):
		return invalid("State type '%s' is not supported when a mock is specified", s.Type)
	case in.RevealSecrets:
		return invalid("TestState does not support RevealSecrets when a mock is specified.")
	case m.Result != nil && m.Error != nil:
		return invalid("A mock can have a result or an errorOutput, not both")
	case m.Result == nil && m.Error == nil:
		return invalid("A mock must have a result or an errorOutput")
	}
	if r := in.causeRefusal(); r != nil {
		return r
	}
	if r := in.contextRefusal(); r != nil {
		return r
	}
	if in.Mock.Result == nil {
		return nil
	}
	result, err := jsonvalue.Parse(*in.Mock.Result)
	if err != nil {
		return invalid("The mocked result is not JSON: %s", syntaxMessage(err))
	}
	return in.resultRefusal(result)
}

// unmocked returns why the state cannot be tested without a mock.
func (in *StateTest) unmocked() *RefusedError {
	s := in.State
	waiting := s.Type == asl.Task && (s.Task.Resource.Kind == asl.Activity || waits(s.Task.Resource))
	switch {
	case s.Type == asl.Map || s.Type == asl.Parallel:
		return &RefusedError{Code: "InvalidDefinition",
			Message: fmt.Sprintf("TestState supports %s states only when a mock is specified", s.Type)}
	case s.Type == asl.Task && in.Info.RoleARN == "":
		return invalid("RoleArn must be specified when testing a Task state")
	case waiting:
		return &RefusedError{Code: "InvalidDefinition", Message: fmt.Sprintf("TestState supports the resource %s only when a mock "+
			"is specified", s.Task.Resource.ARN)}
	case in.Context != nil:
		return invalid("A Context object can only be provided together with a mock")
	}
	return nil
}

// contextRefusal checks a given context object.
func (in *StateTest) contextRefusal() *RefusedError {
	if in.Context == nil {
		return nil
	}
	const wrong = "Invalid Context object provided: "
	v, err := jsonvalue.Parse(*in.Context)
	switch {
	case err != nil:
		return invalid(wrong+"it is not JSON: %s", syntaxMessage(err))
	case v.Kind() != jsonvalue.Object:
		return invalid(wrong + "it must be a JSON object")
	}
	for i, item := range v.Items() {
		switch key := v.Key(i); {
		case key == "Map":
			return invalid(wrong + "'Map' field is not supported when mocking a Context object")
		case key != "Execution" && key != "State" && key != "StateMachine" && key != "Task":
			return invalid(wrong+"'%s' field is not supported", key)
		case item.Kind() != jsonvalue.Object:
			return invalid(wrong+"'%s' field must be an object", key)
		}
	}
	return nil
}

// resultRefusal checks the form of a mocked result.
func (in *StateTest) resultRefusal(result jsonvalue.Value) *RefusedError {
	s := in.State
	exported := s.Map != nil && s.Map.ResultWriter != nil && s.Map.ResultWriter.Resource != nil
	switch {
	case exported && result.Kind() != jsonvalue.Object:
		return invalid("Mocked result must be an object.")
	case !exported && s.Type != asl.Task && result.Kind() != jsonvalue.Array:
		return invalid("Mocked result must be an array.")
	case s.Type == asl.Parallel && result.Len() != len(s.Parallel.Branches):
		return invalid("Mocked result must contain the same number of items as number of Parallel branches.")
	case s.Type == asl.Task:
		return in.shapeRefusal(result)
	}
	return nil
}

// causeRefusal checks the inner state that a mocked error is said to come from.
func (in *StateTest) causeRefusal() *RefusedError {
	name := in.Config.ErrorCausedByState
	switch inner := in.State.Inner(); {
	case name == "" || slices.Contains(inner, name):
		return nil
	case len(inner) == 0:
		return invalid("errorCausedByState is only supported for Map and Parallel states")
	default:
		return invalid("errorCausedByState names the state '%s', which is not inside the tested state%s", name,
			suggestion(name, inner))
	}
}

// suggestion offers the nearest valid name.
func suggestion(name string, valid []string) string {
	if near := param.Nearest(name, valid); near != "" {
		return fmt.Sprintf(" (did you mean '%s'?)", near)
	}
	return ""
}
