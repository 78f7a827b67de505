package asl

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

var jsonataFields = []string{"Arguments", "Output", "Items"}

// state reads one state; nil when it is no object or has no known type.
func (p *parser) state(name string, v jsonvalue.Value, scope *Scope, location string) *State {
	if n := utf8.RuneCountInString(name); n == 0 || n > maxStateName {
		p.errorf(CodeStateName, location, "A state's name must have 1 to %d characters", maxStateName)
	}
	if v.Kind() != jsonvalue.Object {
		p.errorf(CodeSchema, location, "Expected value of type Object")
		return nil
	}
	o := p.open(v, location)
	if !o.required("Type") {
		return nil
	}
	s := &State{Name: name, Scope: scope, Location: location, position: p.position(location)}
	s.Type = Type(o.str("Type"))
	o.str("Comment")
	s.QueryLanguage = o.queryLanguage(p.m.QueryLanguage)
	if s.QueryLanguage == JSONata {
		// The language itself has been refused with one clear diagnostic; its fields would only add noise.
		return nil
	}
	for _, field := range jsonataFields {
		if o.has(field) {
			o.used[field] = true
			p.errorf(CodeSchema, o.field(field), "The field '%s' is only supported with the query language JSONata", field)
		}
	}
	if !p.stateByType(s, o) {
		return nil
	}
	o.done()
	return s
}

func (p *parser) stateByType(s *State, o *object) bool {
	switch s.Type {
	case Pass:
		p.passState(s, o)
	case Task:
		p.taskState(s, o)
	case Choice:
		p.choiceState(s, o)
	case Wait:
		p.waitState(s, o)
	case Succeed:
		s.InputPath, s.OutputPath = o.selector("InputPath"), o.selector("OutputPath")
	case Fail:
		p.failState(s, o)
	case Parallel:
		p.parallelState(s, o)
	case Map:
		p.mapState(s, o)
	default:
		p.errorf(CodeSchema, o.field("Type"),
			"The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]")
		return false
	}
	return true
}

// transition reads Next or End.
func (s *State) transition(o *object) {
	s.Next = o.str("Next")
	end := o.boolean("End")
	switch {
	case o.has("Next") && o.has("End"):
		o.exclusive("Next", "End")
	case !o.has("Next") && !o.has("End"):
		o.p.errorf(CodeSchema, o.at(), "One of these fields is required: [Next, End]")
	case o.has("End") && !end:
		o.p.errorf(CodeSchema, o.field("End"), "The field 'End' must be true")
	case o.has("Next") && s.Next == "":
		o.p.errorf(CodeMissingTarget, o.field("Next"), "Missing 'Next' target: ")
	}
}

// inputOutput reads InputPath, OutputPath, Assign and the transition.
func (s *State) inputOutput(o *object) {
	s.InputPath, s.OutputPath = o.selector("InputPath"), o.selector("OutputPath")
	s.Assign = o.assign()
	s.transition(o)
}

func (p *parser) passState(s *State, o *object) {
	s.inputOutput(o)
	s.Parameters = o.template("Parameters")
	s.ResultPath = o.resultPath()
	if v, ok := o.get("Result"); ok {
		s.Result = &v
		if v.Kind() == jsonvalue.String && strings.HasPrefix(v.Text(), "$.") {
			p.warnf(CodePassResultStatic, o.field("Result"), "The value of the field 'Result' is not evaluated: %s", v.Text())
		}
	}
}

func (p *parser) taskState(s *State, o *object) {
	s.inputOutput(o)
	s.Parameters, s.ResultSelector = o.template("Parameters"), o.template("ResultSelector")
	s.ResultPath = o.resultPath()
	t := &TaskFields{Credentials: o.template("Credentials")}
	s.Task = t
	if o.required("Resource") {
		t.Resource = p.resource(o.str("Resource"), o.field("Resource"))
	}
	t.Timeout = o.seconds("TimeoutSeconds", 1)
	t.Heartbeat = o.seconds("HeartbeatSeconds", 1)
	if t.Timeout != nil && t.Heartbeat != nil && t.Timeout.Path == nil && t.Heartbeat.Path == nil &&
		t.Heartbeat.Value >= t.Timeout.Value {
		p.errorf(CodeSchema, o.at(), "HeartbeatSeconds must be smaller than TimeoutSeconds")
	}
	p.errorHandling(s, o)
}

// seconds reads XSeconds or XSecondsPath.
func (o *object) seconds(name string, low int64) *Seconds {
	o.exclusive(name, name+"Path")
	if path := o.ref(name + "Path"); path != nil {
		return &Seconds{Path: path}
	}
	if n, ok := o.integer(name, low, maxSeconds); ok {
		return &Seconds{Value: n}
	}
	return nil
}

func (p *parser) waitState(s *State, o *object) {
	s.inputOutput(o)
	w := &WaitFields{}
	s.Wait = w
	fields := []string{"Seconds", "SecondsPath", "Timestamp", "TimestampPath"}
	given := 0
	for _, f := range fields {
		if o.has(f) {
			given++
		}
	}
	if given != 1 {
		p.errorf(CodeSchema, o.at(), "Exactly one of these fields is required: [%s]", strings.Join(fields, ", "))
	}
	if path := o.ref("SecondsPath"); path != nil {
		w.Seconds = &Seconds{Path: path}
	}
	if n, ok := o.integer("Seconds", 0, maxSeconds); ok {
		w.Seconds = &Seconds{Value: n}
	}
	w.TimestampPath = o.ref("TimestampPath")
	if o.has("Timestamp") {
		at, err := ParseTimestamp(o.str("Timestamp"))
		if err != nil {
			p.errorf(CodeSchema, o.field("Timestamp"), "String does not match RFC3339 timestamp")
		}
		w.Timestamp = &at
	}
}

// ParseTimestamp reads an instant in the form of RFC 3339 with upper-case T and Z, as the language demands.
func ParseTimestamp(text string) (time.Time, error) {
	if strings.ContainsAny(text, "tz,") {
		return time.Time{}, fmt.Errorf("%q is not an RFC 3339 timestamp", text)
	}
	return time.Parse(time.RFC3339Nano, text)
}

func (p *parser) failState(s *State, o *object) {
	s.Fail = &FailFields{Error: o.textSource("Error"), Cause: o.textSource("Cause")}
}

// stringFunctions are the functions that may yield the text of ErrorPath and CausePath.
var stringFunctions = map[string]bool{
	"States.Format": true, "States.JsonToString": true, "States.ArrayGetItem": true, "States.Base64Encode": true,
	"States.Base64Decode": true, "States.Hash": true, "States.UUID": true,
}

func (o *object) textSource(name string) *TextSource {
	o.exclusive(name, name+"Path")
	if o.has(name) {
		return &TextSource{Text: o.str(name)}
	}
	if !o.has(name + "Path") {
		return nil
	}
	text, location := o.str(name+"Path"), o.field(name+"Path")
	if !intrinsic.Is(text) {
		return &TextSource{Path: o.p.referencePath(text, location)}
	}
	call, err := intrinsic.Parse(text)
	if err != nil || !stringFunctions[call.Name()] {
		o.p.errorf(CodeSchema, location, "Value is not a Reference Path or a function that returns a string: %s", text)
	}
	return &TextSource{Call: call}
}

func (p *parser) parallelState(s *State, o *object) {
	s.inputOutput(o)
	s.Parameters, s.ResultSelector = o.template("Parameters"), o.template("ResultSelector")
	s.ResultPath = o.resultPath()
	s.Parallel = &ParallelFields{}
	o.required("Branches")
	branches, _ := o.list("Branches")
	if o.has("Branches") && len(branches) == 0 {
		p.errorf(CodeSchema, o.field("Branches"), "The field 'Branches' must not be empty")
	}
	for i, v := range branches {
		location := fmt.Sprintf("%s/Branches/%d", s.Location, i)
		if v.Kind() != jsonvalue.Object {
			p.errorf(CodeSchema, location, "Expected value of type Object")
			continue
		}
		s.Parallel.Branches = append(s.Parallel.Branches, p.innerScope(v, location, s))
	}
	p.errorHandling(s, o)
}

func (p *parser) innerScope(v jsonvalue.Value, location string, parent *State) *Scope {
	scope := &Scope{}
	o := p.open(v, location)
	o.str("Comment")
	if parent.Type == Map {
		p.processorConfig(o)
	}
	p.scopeFields(scope, o, parent)
	o.done()
	return scope
}

func (p *parser) processorConfig(o *object) {
	v, ok := o.child("ProcessorConfig")
	if !ok {
		return
	}
	config := p.open(v, o.field("ProcessorConfig"))
	mode := config.str("Mode")
	config.oneOf("Mode", mode, "INLINE", "DISTRIBUTED")
	config.oneOf("ExecutionType", config.str("ExecutionType"), "STANDARD", "EXPRESS")
	if mode == "DISTRIBUTED" {
		p.errorf(CodeSchema, config.field("Mode"),
			"The Map mode DISTRIBUTED is not supported by this service yet; use INLINE")
	}
	config.done()
}

// distributedFields belong to a Map in DISTRIBUTED mode.
var distributedFields = []string{"ItemReader", "ItemBatcher", "ResultWriter", "Label", "ToleratedFailureCount",
	"ToleratedFailureCountPath", "ToleratedFailurePercentage", "ToleratedFailurePercentagePath"}

func (p *parser) mapState(s *State, o *object) {
	s.inputOutput(o)
	m := &MapFields{}
	s.Map = m
	o.exclusive("ItemSelector", "Parameters")
	s.Parameters = o.template("Parameters")
	if selector := o.template("ItemSelector"); selector != nil {
		s.Parameters = selector
	}
	s.ResultSelector, s.ResultPath = o.template("ResultSelector"), o.resultPath()
	if o.has("ItemsPath") {
		m.ItemsPath = p.path(o.str("ItemsPath"), o.field("ItemsPath"))
	}
	m.MaxConcurrency = o.seconds("MaxConcurrency", 0)
	for _, field := range distributedFields {
		if o.has(field) {
			o.used[field] = true
			p.errorf(CodeSchema, o.field(field), "The field '%s' belongs to the Map mode DISTRIBUTED, which is not supported "+
				"by this service yet", field)
		}
	}
	o.exclusive("ItemProcessor", "Iterator")
	name := "ItemProcessor"
	if o.has("Iterator") {
		name = "Iterator"
	}
	o.required(name)
	if v, ok := o.child(name); ok {
		m.Processor = p.innerScope(v, o.field(name), s)
	}
	p.errorHandling(s, o)
}

// VariableReferences returns, for each state that reads workflow variables, their names in alphabetical order.
func (m *Machine) VariableReferences() map[string][]string {
	all := map[string][]string{}
	for name, s := range m.all {
		if names := s.variables(); len(names) > 0 {
			all[name] = names
		}
	}
	return all
}

func (s *State) variables() []string {
	seen := map[string]bool{}
	s.paths(func(p *jsonpath.Path) {
		if p.Root() == jsonpath.Variable {
			seen[p.Variable()] = true
		}
	})
	return sortedKeys(seen)
}
