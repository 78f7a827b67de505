package handlers

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"gust/internal/param"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// Mocks are mocked responses, as AWS's MockConfigFile.json holds them: the test cases of state machines say which
// response their states get, and a response says what each attempt returns or throws.
type Mocks struct {
	file     string
	machines map[string]map[string]testCase
}

// testCase maps the names of states to their responses.
type testCase map[string]*mockedResponse

type mockedResponse struct {
	name string
	// attempts are in order and without gaps.
	attempts []mockedAttempt
}

// mockedAttempt is the answer to the attempts from first to last, counted from 0.
type mockedAttempt struct {
	first, last int64
	output      string
	failed      *TaskError
}

// maxMockBytes bounds the file.
const maxMockBytes = 64 << 20

// LoadMocks reads a file of mocked responses. Every mistake in it is named with its place.
func LoadMocks(path string) (*Mocks, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("mocked responses: %w", err)
	}
	if info.Size() > maxMockBytes {
		return nil, fmt.Errorf("mocked responses: %s is larger than %d bytes", path, maxMockBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("mocked responses: %w", err)
	}
	return ParseMocks(path, string(text))
}

// ParseMocks reads mocked responses; name names the text in messages.
func ParseMocks(name, text string) (*Mocks, error) {
	doc, err := jsonvalue.ParseDocument(text)
	if err != nil {
		var syntax *jsonvalue.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("%s:%d:%d: %s", name, syntax.Line, syntax.Column, syntax.Message)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &mockParser{file: name, doc: doc, responses: map[string]*mockedResponse{}}
	for _, path := range doc.Duplicates {
		p.errorf(path, "the key occurs twice")
	}
	root := p.object(doc.Root, "", "StateMachines", "MockedResponses")
	p.mockedResponses(root["MockedResponses"])
	m := &Mocks{file: name, machines: map[string]map[string]testCase{}}
	p.stateMachines(m, root["StateMachines"])
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return m, nil
}

// mockParser collects the mistakes of a file.
type mockParser struct {
	file      string
	doc       *jsonvalue.Document
	responses map[string]*mockedResponse
	errs      []error
}

func (p *mockParser) errorf(path, format string, args ...any) {
	at := p.doc.Positions[path]
	where := path
	if where == "" {
		where = "/"
	}
	p.errs = append(p.errs, fmt.Errorf("%s:%d:%d: %s: %s", p.file, at.Line, at.Column, where, fmt.Sprintf(format, args...)))
}

// object returns the fields of an object and reports those that are not among the known ones; none known allows all.
func (p *mockParser) object(v jsonvalue.Value, path string, known ...string) map[string]jsonvalue.Value {
	if v.Kind() != jsonvalue.Object {
		p.errorf(path, "expected an object, got %s", v.Kind())
		return nil
	}
	fields := make(map[string]jsonvalue.Value, v.Len())
	for i, field := range v.Items() {
		name := v.Key(i)
		if len(known) > 0 && !slices.Contains(known, name) {
			p.errorf(path+"/"+name, "unknown field %q; expected %s%s", name, strings.Join(known, " or "), didYouMean(name, known))
			continue
		}
		fields[name] = field
	}
	return fields
}

func didYouMean(name string, known []string) string {
	if nearest := param.Nearest(name, known); nearest != "" {
		return fmt.Sprintf(". Did you mean %q?", nearest)
	}
	return ""
}

func (p *mockParser) mockedResponses(v jsonvalue.Value) {
	const path = "/MockedResponses"
	if v.IsNull() {
		return
	}
	all := p.object(v, path)
	for _, name := range sortedKeys(all) {
		at := path + "/" + name
		r := &mockedResponse{name: name}
		p.responses[name] = r
		attempts := p.object(all[name], at)
		for _, key := range sortedKeys(attempts) {
			if a, ok := p.attempt(key, attempts[key], at+"/"+key); ok {
				r.attempts = append(r.attempts, a)
			}
		}
		slices.SortFunc(r.attempts, func(a, b mockedAttempt) int { return int(a.first - b.first) })
		next := int64(0)
		for _, a := range r.attempts {
			if a.first != next {
				p.errorf(at, "the attempts must follow each other from 0 without gaps and overlaps: expected %d, got %d", next, a.first)
				break
			}
			next = a.last + 1
		}
		if len(attempts) == 0 {
			p.errorf(at, `a response needs at least the attempt "0"`)
		}
	}
}

func (p *mockParser) attempt(key string, v jsonvalue.Value, path string) (mockedAttempt, bool) {
	from, to, ranged := strings.Cut(key, "-")
	if !ranged {
		to = from
	}
	first, err1 := strconv.ParseUint(from, 10, 32)
	last, err2 := strconv.ParseUint(to, 10, 32)
	if err1 != nil || err2 != nil || last < first {
		p.errorf(path, `expected the number of an attempt such as "0", or a range such as "1-2", got %q`, key)
		return mockedAttempt{}, false
	}
	a := mockedAttempt{first: int64(first), last: int64(last)}
	fields := p.object(v, path, "Return", "Throw")
	returned, returns := fields["Return"]
	thrown, throws := fields["Throw"]
	switch {
	case returns == throws:
		p.errorf(path, "exactly one of Return and Throw is needed")
		return a, false
	case returns:
		a.output = returned.String()
		return a, true
	}
	failure := p.object(thrown, path+"/Throw", "Error", "Cause")
	for _, name := range []string{"Error", "Cause"} {
		if f, ok := failure[name]; ok && f.Kind() != jsonvalue.String {
			p.errorf(path+"/Throw/"+name, "expected a text, got %s", f.Kind())
		}
	}
	if failure["Error"].Text() == "" {
		p.errorf(path+"/Throw", "the field Error is needed")
	}
	a.failed = &TaskError{Name: failure["Error"].Text(), Cause: failure["Cause"].Text()}
	return a, true
}

func (p *mockParser) stateMachines(m *Mocks, v jsonvalue.Value) {
	const path = "/StateMachines"
	if v.IsNull() {
		p.errorf("", "the field StateMachines is needed")
		return
	}
	machines := p.object(v, path)
	for _, machine := range sortedKeys(machines) {
		at := path + "/" + machine
		m.machines[machine] = map[string]testCase{}
		cases, ok := p.object(machines[machine], at, "TestCases")["TestCases"]
		if !ok {
			p.errorf(at, "the field TestCases is needed")
			continue
		}
		at += "/TestCases"
		named := p.object(cases, at)
		for _, name := range sortedKeys(named) {
			m.machines[machine][name] = p.testCase(named[name], at+"/"+name)
		}
	}
}

func (p *mockParser) testCase(v jsonvalue.Value, path string) testCase {
	c := testCase{}
	states := p.object(v, path)
	for _, state := range sortedKeys(states) {
		name := states[state]
		r := p.responses[name.Text()]
		if name.Kind() != jsonvalue.String || r == nil {
			p.errorf(path+"/"+state, "expected the name of a response in MockedResponses, got %s%s", name,
				didYouMean(name.Text(), sortedKeys(p.responses)))
			continue
		}
		c[state] = r
	}
	return c
}

// Check reports whether a state machine has a test case; the error says what there is.
func (m *Mocks) Check(machine, name string) error {
	if m == nil {
		return fmt.Errorf("the test case %q needs a file of mocked responses: set stepfunctions.mock_config", name)
	}
	cases, ok := m.machines[machine]
	if !ok {
		return fmt.Errorf("%s has no state machine %q; it has: %s%s", m.file, machine,
			strings.Join(sortedKeys(m.machines), ", "), didYouMean(machine, sortedKeys(m.machines)))
	}
	if _, ok := cases[name]; !ok {
		return fmt.Errorf("%s has no test case %q of the state machine %q; it has: %s%s", m.file, name, machine,
			strings.Join(sortedKeys(cases), ", "), didYouMean(name, sortedKeys(cases)))
	}
	return nil
}

// CheckStates reports the states that the test cases of a machine name and its definition does not have.
func (m *Mocks) CheckStates(machine string, states []string) error {
	if m == nil {
		return nil
	}
	var errs []error
	for _, name := range sortedKeys(m.machines[machine]) {
		for _, state := range sortedKeys(m.machines[machine][name]) {
			if !slices.Contains(states, state) {
				errs = append(errs, fmt.Errorf("%s: the test case %q of the state machine %q names the state %q, which it does not have%s",
					m.file, name, machine, state, didYouMean(state, states)))
			}
		}
	}
	return errors.Join(errs...)
}

// response is the mocked outcome of a task; mocked is false when the task is to be performed.
func (m *Mocks) response(r Request) (out Outcome, mocked bool, err error) {
	if m == nil || r.TestCase == "" {
		return Outcome{}, false, nil
	}
	response := m.machines[r.Machine][r.TestCase][r.State]
	if response == nil {
		return Outcome{}, false, nil
	}
	for _, a := range response.attempts {
		if r.Attempt < a.first || r.Attempt > a.last {
			continue
		}
		if a.failed != nil {
			return Outcome{}, true, a.failed
		}
		out := Outcome{Output: a.output}
		if r.Resource.Pattern != asl.RequestResponse {
			out.Result = &a.output
		}
		return out, true, nil
	}
	// A test that did not expect the attempt must not pass by catching its failure.
	return Outcome{}, true, &TaskError{Name: asl.ErrRuntime, Cause: fmt.Sprintf("%s: the response %q of the state %q has nothing for "+
		"the attempt %d. Add %q to it.", m.file, response.name, r.State, r.Attempt, strconv.FormatInt(r.Attempt, 10))}
}
