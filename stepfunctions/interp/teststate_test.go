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
