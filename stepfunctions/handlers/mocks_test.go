package handlers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/handlers"
)

const mocks = `{
  "StateMachines": {"M": {"TestCases": {"Happy": {"A": "Ok", "B": "Retry"}, "Hybrid": {"A": "Ok"}}}},
  "MockedResponses": {
    "Ok": {"0": {"Return": {"x": 1.0}}},
    "Retry": {"1-2": {"Throw": {"Error": "E", "Cause": "C"}}, "0": {"Throw": {"Error": "F"}}, "3": {"Return": null}}
  }
}`

func TestMocks(t *testing.T) {
	t.Parallel()
	m, err := handlers.ParseMocks("mocks.json", mocks)
	if err != nil {
		t.Fatal(err)
	}
	s := set(t, map[string]handlers.Handler{"f": {Answer: `"real"`}})
	s.UseMocks(m)
	for _, c := range []struct {
		machine, testCase, state string
		attempt                  int64
		want                     string
	}{
		{"M", "Happy", "A", 0, `{"x":1.0}`}, {"M", "Happy", "B", 0, "F: "}, {"M", "Happy", "B", 1, "E: C"}, {"M", "Happy", "B", 2, "E: C"},
		{"M", "Happy", "B", 3, "null"}, {"M", "Hybrid", "B", 0, `"real"`}, {"M", "", "A", 0, `"real"`}, {"Other", "Happy", "A", 0, `"real"`},
		{"M", "Happy", "A", 1, `States.Runtime: mocks.json: the response "Ok" of the state "A" has nothing for the attempt 1. Add "1" to it.`},
	} {
		got := do(t, s, handlers.Request{Resource: lambda("f"), Input: "{}", Machine: c.machine, TestCase: c.testCase, State: c.state, Attempt: c.attempt})
		if got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
	for pattern, done := range map[asl.Pattern]bool{asl.RequestResponse: false, asl.Sync: true, asl.WaitForTaskToken: true} {
		out, err := s.Do(t.Context(), handlers.Request{Resource: nested(pattern), Input: "{}", Machine: "M", TestCase: "Happy", State: "A"})
		if err != nil || (out.Result != nil) != done || out.Execution != "" {
			t.Errorf("%s: %+v %v", pattern, out, err)
		}
	}
}

func TestMocksCheck(t *testing.T) {
	t.Parallel()
	m, err := handlers.ParseMocks("mocks.json", mocks)
	if err != nil {
		t.Fatal(err)
	}
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	for _, c := range []struct{ machine, testCase, want string }{
		{"M", "Happy", ""},
		{"M", "Hapy", `mocks.json has no test case "Hapy" of the state machine "M"; it has: Happy, Hybrid. Did you mean "Happy"?`},
		{"N", "Happy", `mocks.json has no state machine "N"; it has: M`},
	} {
		if got := text(m.Check(c.machine, c.testCase)); got != c.want {
			t.Errorf("%s#%s: %s", c.machine, c.testCase, got)
		}
	}
	if got := text((*handlers.Mocks)(nil).Check("M", "Happy")); got != `the test case "Happy" needs a file of mocked responses: set stepfunctions.mock_config` {
		t.Error(got)
	}
	if got := text(m.CheckStates("M", []string{"A", "Bee"})); got != `mocks.json: the test case "Happy" of the state machine "M" names the state "B", which it does not have. Did you mean "Bee"?` &&
		got != `mocks.json: the test case "Happy" of the state machine "M" names the state "B", which it does not have` {
		t.Error(got)
	}
	if err := m.CheckStates("M", []string{"A", "B"}); err != nil {
		t.Error(err)
	}
}

func TestMistakesInMocks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`{"StateMachines":`:    {`m.json:1:18: Unexpected end-of-input`},
		`[]`:                   {`m.json:1:1: /: expected an object, got array`, `m.json:1:1: /: the field StateMachines is needed`},
		`{"StateMachine": {}}`: {`m.json:1:2: /StateMachine: unknown field "StateMachine"; expected StateMachines or MockedResponses. Did you mean "StateMachines"?`, `m.json:1:1: /: the field StateMachines is needed`},
		"{\n \"StateMachines\": {\"M\": {\"TestCases\": {\"T\": {\"A\": \"Okk\"}}}},\n \"MockedResponses\": {\"Ok\": {\"0\": {\"Return\": 1}}}}": {
			`m.json:2:46: /StateMachines/M/TestCases/T/A: expected the name of a response in MockedResponses, got "Okk". Did you mean "Ok"?`},
		`{"StateMachines": {"M": {}}}`:                                                                {`m.json:1:20: /StateMachines/M: the field TestCases is needed`},
		`{"StateMachines": {}, "MockedResponses": {"R": {}}}`:                                         {`m.json:1:43: /MockedResponses/R: a response needs at least the attempt "0"`},
		`{"StateMachines": {}, "MockedResponses": {"R": {"0": {"Return": 1}, "2": {"Return": 1}}}}`:   {`m.json:1:43: /MockedResponses/R: the attempts must follow each other from 0 without gaps and overlaps: expected 1, got 2`},
		`{"StateMachines": {}, "MockedResponses": {"R": {"0-1": {"Return": 1}, "1": {"Return": 1}}}}`: {`m.json:1:43: /MockedResponses/R: the attempts must follow each other from 0 without gaps and overlaps: expected 2, got 1`},
		`{"StateMachines": {}, "MockedResponses": {"R": {"x": {"Return": 1}}}}`:                       {`m.json:1:49: /MockedResponses/R/x: expected the number of an attempt such as "0", or a range such as "1-2", got "x"`},
		`{"StateMachines": {}, "MockedResponses": {"R": {"0": {}}}}`:                                  {`m.json:1:49: /MockedResponses/R/0: exactly one of Return and Throw is needed`},
		`{"StateMachines": {}, "MockedResponses": {"R": {"0": {"Throw": {"Errors": "x", "Cause": 1}}}}}`: {
			`m.json:1:65: /MockedResponses/R/0/Throw/Errors: unknown field "Errors"; expected Error or Cause. Did you mean "Error"?`,
			`m.json:1:80: /MockedResponses/R/0/Throw/Cause: expected a text, got number`, `m.json:1:55: /MockedResponses/R/0/Throw: the field Error is needed`},
	} {
		_, err := handlers.ParseMocks("m.json", text)
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		if d := cmp.Diff(want, strings.Split(err.Error(), "\n")); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestLoadMocks(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "MockConfigFile.json")
	if _, err := handlers.LoadMocks(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte(mocks), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := handlers.LoadMocks(file); err != nil || m.Check("M", "Happy") != nil {
		t.Errorf("%v %v", m, err)
	}
}
