package interp_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/jsonvalue"
)

// stateTestCase is one file under testdata/teststate: a state, how it is tested, and what must come out.
type stateTestCase struct {
	Definition json.RawMessage
	StateName  string
	Input      *string
	Level      interp.InspectionLevel
	RoleARN    string
	Variables  *string
	Context    *string
	Mock       *struct {
		Result *string
		Error  *interp.MockError
		Mode   string
	}
	RevealSecrets bool
	Config        interp.TestConfiguration
	// Performed is what the work of a Task yields; Failed is its failure. NoWork makes performing a task a mistake.
	Performed *string
	Failed    *interp.Failure
	// Request and Response are those of the performed HTTP task.
	Request  *interp.HTTPRequest
	Response *interp.HTTPResponse
	// WaitSeconds is how long the state must wait.
	WaitSeconds int64
	// Want is the answer; WantRefusal is the text of a refusal instead.
	Want        json.RawMessage
	WantRefusal string
	// WantTask is the input that the performed task must get.
	WantTask *string
}

func (c *stateTestCase) run(t *testing.T) (*interp.TestedState, error) {
	t.Helper()
	in := &interp.StateTest{
		Level: c.Level, Context: c.Context, RevealSecrets: c.RevealSecrets, Config: c.Config,
		Now: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		Info: interp.Info{
			Input: "{}", RoleARN: c.RoleARN, Express: true, ExecutionName: "execution", MachineName: "machine",
			ExecutionARN: "arn:aws:states:us-east-1:123456789012:express:machine:execution",
			MachineARN:   "arn:aws:states:us-east-1:123456789012:stateMachine:machine",
			StartTime:    time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		},
	}
	in.State = testedState(t, c)
	if c.Input != nil {
		in.Info.Input = *c.Input
	}
	if c.Variables != nil {
		in.Variables = parseJSON(t, *c.Variables)
	}
	if c.Mock != nil {
		in.Mock = &interp.Mock{Result: c.Mock.Result, Error: c.Mock.Error, Mode: c.Mock.Mode}
	}
	in.Perform = func(task interp.Task) (string, *interp.Failure) {
		in.Request, in.Response = c.Request, c.Response
		switch {
		case c.WantTask != nil && *c.WantTask != task.Input:
			t.Errorf("the task got %s", task.Input)
		case c.Failed != nil:
			return "", c.Failed
		case c.Performed == nil:
			t.Errorf("the task was performed with %s", task.Input)
			return "null", nil
		}
		return *c.Performed, nil
	}
	return interp.TestState(in)
}

func testedState(t *testing.T, c *stateTestCase) *asl.State {
	t.Helper()
	var s *asl.State
	var found asl.Diagnostics
	if c.StateName == "" {
		s, found = asl.ParseState(string(c.Definition))
	} else {
		var m *asl.Machine
		if m, found = asl.Parse(string(c.Definition)); m != nil {
			s = m.State(c.StateName)
		}
	}
	if s == nil {
		t.Fatal(found)
	}
	return s
}

func parseJSON(t *testing.T, text string) jsonvalue.Value {
	t.Helper()
	v, err := jsonvalue.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTestState(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/teststate/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d case files (%v)", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases map[string]*stateTestCase
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+name, func(t *testing.T) {
				t.Parallel()
				c.check(t)
			})
		}
	}
}

func (c *stateTestCase) check(t *testing.T) {
	t.Helper()
	out, err := c.run(t)
	if c.WantRefusal != "" {
		var refusal *interp.RefusedError
		if !errors.As(err, &refusal) || refusal.Error() != c.WantRefusal {
			t.Fatalf("got %+v and %v, want the refusal %s", out, err, c.WantRefusal)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Duration(c.WaitSeconds) * time.Second; out.Wait != want {
		t.Errorf("waits %v, want %v", out.Wait, want)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(parseJSON(t, string(c.Want)).String(), string(text)); d != "" {
		t.Error(d)
	}
}

// itemsOfLines reads one item from each line of the data and makes batches of two.
type itemsOfLines struct{ err error }

func (s itemsOfLines) Items(r *interp.ItemReader, data string) ([]jsonvalue.Value, error) {
	var items []jsonvalue.Value
	for line := range strings.Lines(data) {
		items = append(items, jsonvalue.NewString(r.InputType+" "+strings.TrimSpace(line)))
	}
	return items, s.err
}

func (s itemsOfLines) Batches(b *interp.ItemBatcher, items []jsonvalue.Value) ([]jsonvalue.Value, error) {
	var batches []jsonvalue.Value
	for len(items) > 0 {
		n := min(int64(len(items)), b.MaxItems)
		batches = append(batches, jsonvalue.NewArray(items[:n]))
		items = items[n:]
	}
	return batches, s.err
}

func TestTestStateReadsAndGroupsItems(t *testing.T) {
	t.Parallel()
	s, found := asl.ParseState(`{"Type": "Map", "QueryLanguage": "JSONata", "ItemBatcher": {"MaxItemsPerBatch": 2},
		"ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Arguments": {"Bucket": "b", "Key": "k"},
			"ReaderConfig": {"InputType": "JSONL", "ItemsPointer": "/x"}},
		"ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "A",
			"States": {"A": {"Type": "Succeed"}}}, "End": true}`)
	if s == nil {
		t.Fatal(found)
	}
	data, result := "1\n2\n3", "[7]"
	in := &interp.StateTest{
		State: s, Level: interp.InspectDebug, Info: interp.Info{Input: "{}"}, Items: itemsOfLines{},
		Mock: &interp.Mock{Result: &result}, Config: interp.TestConfiguration{MapItemReaderData: &data},
	}
	out, err := interp.TestState(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `["JSONL 1","JSONL 2","JSONL 3"] [["JSONL 1","JSONL 2"],["JSONL 3"]]`
	if i := out.Inspection; i.AfterItemsPointer == nil || i.AfterItemBatcher == nil ||
		*i.AfterItemsPointer+" "+*i.AfterItemBatcher != want {
		t.Errorf("items and batches: %+v", i)
	}
	in.Items = itemsOfLines{err: &interp.Failure{Name: "States.ItemReaderFailed", Cause: "broken"}}
	if out, err = interp.TestState(in); err != nil || out.Status != interp.TestFailed || *out.Error != "States.ItemReaderFailed" ||
		*out.Cause != "broken" {
		t.Errorf("a source that fails: %+v (%v)", out, err)
	}
}

func TestTestStateBoundsTheOutput(t *testing.T) {
	t.Parallel()
	s, found := asl.ParseState(`{"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}, "End": true}`)
	if s == nil {
		t.Fatal(found)
	}
	input := `"` + strings.Repeat("x", interp.MaxPayloadBytes*2/3) + `"`
	out, err := interp.TestState(&interp.StateTest{State: s, Level: interp.InspectInfo, Info: interp.Info{Input: input}})
	if err != nil || out.Status != interp.TestFailed || *out.Error != asl.ErrDataLimitExceeded || out.Output != nil {
		t.Errorf("%+v (%v)", out, err)
	}
}

// FuzzTestState looks for definitions, inputs and mocks that no answer is found for, or none that is JSON.
func FuzzTestState(f *testing.F) {
	f.Add(`{"Type": "Map", "ItemsPath": "$.a", "ItemSelector": {"b.$": "$$.Map.Item.Value"}, "ToleratedFailureCount": 1, "Iterator":
		{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, "End": true}`, `{"a": [1]}`, `[2]`, int64(2))
	f.Add(`{"Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::sns:publish", "Arguments": {"Message": "{% $x %}"},
		"Retry": [{"ErrorEquals": ["States.ALL"]}], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}], "Next": "C"}`, `1`, `{}`, int64(3))
	f.Add(`{"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": false, "Next": "A"}]}`, `null`, ``, int64(0))
	f.Add(`{"Type": "Wait", "TimestampPath": "$.t", "Next": "A"}`, `{"t": "2024-01-01T00:00:00Z"}`, ``, int64(0))
	f.Fuzz(func(t *testing.T, definition, input, result string, n int64) {
		s, _ := asl.ParseState(definition)
		if s == nil {
			return
		}
		in := &interp.StateTest{
			State: s, Level: interp.InspectTrace, Info: interp.Info{Input: input, RoleARN: "role"},
			Config:  interp.TestConfiguration{RetrierRetryCount: n, MapIterationFailureCount: &n, MapItemReaderData: &result},
			Perform: func(interp.Task) (string, *interp.Failure) { return result, nil },
		}
		if s.Type == asl.Map || s.Type == asl.Parallel {
			in.Mock = &interp.Mock{Result: &result}
		}
		out, err := interp.TestState(in)
		if err != nil {
			return
		}
		if (out.Output == nil) != (out.Status == interp.TestFailed || out.Status == interp.TestRetriable) {
			t.Fatalf("%+v", out)
		}
		if out.Output != nil {
			if _, err := jsonvalue.Parse(*out.Output); err != nil {
				t.Fatalf("output %q: %v", *out.Output, err)
			}
		}
	})
}
