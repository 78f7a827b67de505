package asl

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonvalue"
)

// stateFields lists the fields of every type of state, as AWS's validation accepts them.
var stateFields = func() map[Type]*fieldSet {
	inputOutput := []string{"InputPath", "OutputPath"}
	set := func(both, jsonPath, jsonata string) *fieldSet {
		return &fieldSet{both: strings.Fields("Type Comment QueryLanguage " + both), jsonPath: strings.Fields(jsonPath),
			jsonata: strings.Fields(jsonata)}
	}
	all := map[Type]*fieldSet{
		Pass: set("Assign Next End", "Parameters Result ResultPath", "Output"),
		Task: set("Assign Next End Resource Credentials TimeoutSeconds HeartbeatSeconds Retry Catch",
			"Parameters ResultSelector ResultPath TimeoutSecondsPath HeartbeatSecondsPath", "Arguments Output"),
		Wait:     set("Assign Next End Seconds Timestamp", "SecondsPath TimestampPath", "Output"),
		Parallel: set("Assign Next End Branches Retry Catch", "Parameters ResultSelector ResultPath", "Arguments Output"),
		Map: set("Assign Next End ItemProcessor Iterator ItemSelector ItemReader ItemBatcher ResultWriter MaxConcurrency "+
			"ToleratedFailurePercentage ToleratedFailureCount Label Retry Catch",
			"Parameters ResultSelector ResultPath ItemsPath MaxConcurrencyPath ToleratedFailurePercentagePath "+
				"ToleratedFailureCountPath", "Items Output"),
		Choice:  set("Assign Choices Default", "", "Output"),
		Succeed: set("", "", "Output"),
	}
	for _, s := range all {
		s.jsonPath = slices.Concat(inputOutput, s.jsonPath)
	}
	all[Fail] = set("Error Cause", "ErrorPath CausePath", "")
	return all
}()

// state reads one state; nil when it is no object or has no known type.
func (p *parser) state(name string, v jsonvalue.Value, scope *Scope, location string) *State {
	switch {
	case name == "":
		p.errorf(CodeStateName, location, "State name cannot be empty")
	case utf8.RuneCountInString(name) > maxStateName:
		p.errorf(CodeStateName, location, "State name '%s' exceeds the %d-character limit allowed by the service", name,
			maxStateName)
	}
	if v.Kind() != jsonvalue.Object {
		p.errorf(CodeSchema, location, "Expected value of type Object")
		return nil
	}
	o := p.open(v, location, p.m.QueryLanguage)
	o.state = location
	if !o.has("Type") {
		p.errorf(CodeSchema, o.at(), "The field 'Type' is required")
		return nil
	}
	s := &State{Name: name, Scope: scope, Location: location, position: p.position(location)}
	s.Type = Type(o.str("Type"))
	set := stateFields[s.Type]
	if set == nil {
		p.errorf(CodeSchema, o.field("Type"),
			"The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]")
		return nil
	}
	language, ok := o.queryLanguage(p.m.QueryLanguage)
	s.QueryLanguage, o.language = language, language
	if !ok {
		// One problem, one diagnostic: which fields belong to which language is only checked when the language is settled.
		unsettled := *o
		unsettled.language = ""
		unsettled.allow(set)
	} else {
		o.allow(set)
	}
	o.reportQueryLanguage()
	o.str("Comment")
	p.stateByType(s, o)
	return s
}

func (p *parser) stateByType(s *State, o *object) {
	s.InputPath, s.OutputPath = o.selector("InputPath"), o.selector("OutputPath")
	switch s.Type {
	case Pass:
		p.passState(s, o)
	case Task:
		p.taskState(s, o)
	case Choice:
		s.Assign, s.Output = o.assign(), o.output()
		p.choiceState(s, o)
	case Wait:
		p.waitState(s, o)
	case Succeed:
		s.Output = o.output()
		s.ends = true
		s.Next = o.misplacedNext()
	case Fail:
		s.Fail = &FailFields{Error: o.textSource("Error"), Cause: o.textSource("Cause")}
		s.ends = true
		s.Next = o.misplacedNext()
	case Parallel:
		p.parallelState(s, o)
	case Map:
		p.mapState(s, o)
	}
}

// misplacedNext reads the Next of a state that may have none, so that what it names is not unreachable, too.
func (o *object) misplacedNext() string {
	next, _ := o.v.Get("Next")
	if next.Kind() != jsonvalue.String {
		return ""
	}
	return next.Text()
}

// transition reads Next or End.
func (s *State) transition(o *object) {
	s.Next = o.str("Next")
	end := o.boolean("End")
	s.ends = end
	switch v, given := o.v.Get("End"); {
	case o.has("Next") && given && v.Bool():
		o.single(true, "Next", "End")
	case !o.has("Next") && !end:
		o.p.errorf(CodeSchema, o.at(), "This object should have only one of the following fields: [Next, End]")
	case o.has("Next") && s.Next == "":
		o.p.errorf(CodeMissingTarget, o.field("Next"), "Missing 'Next' target: ")
	}
}

// output reads Output.
func (o *object) output() *Template {
	if o.language != JSONata {
		return nil
	}
	return o.template("Output")
}

// result reads what a state with a result does with it.
func (s *State) result(o *object) {
	o = o.with(statesScope{result: true})
	s.ResultPath = o.resultPath()
	s.Assign, s.Output = o.assign(), o.output()
	if o.language == JSONPath {
		s.ResultSelector = o.template("ResultSelector")
	}
}

// effective reads what builds the effective input: Parameters or Arguments.
func (s *State) effective(o *object) {
	if o.language == JSONata {
		s.Arguments = o.template("Arguments")
	} else {
		s.Parameters = o.template("Parameters")
	}
}

func (p *parser) passState(s *State, o *object) {
	s.transition(o)
	s.Assign, s.Output = o.assign(), o.output()
	if o.language == JSONata {
		return
	}
	s.Parameters = o.template("Parameters")
	s.ResultPath = o.resultPath()
	if v, ok := o.v.Get("Result"); ok {
		s.Result = &v
		p.warnStatic(v, o.field("Result"))
	}
}

// warnStatic warns about paths in the constant Result of a Pass state.
func (p *parser) warnStatic(v jsonvalue.Value, location string) {
	switch v.Kind() {
	case jsonvalue.String:
		if looksComputed(v.Text()) {
			p.warnf(CodePassResultStatic, location, "The value of the field 'Result' is static and is not evaluated: %s", v.Text())
		}
	case jsonvalue.Array:
		for i, item := range v.Items() {
			p.warnStatic(item, indexed(location, i))
		}
	case jsonvalue.Object:
		for i, item := range v.Items() {
			p.warnStatic(item, location+"/"+v.Key(i))
		}
	default:
	}
}

func (p *parser) taskState(s *State, o *object) {
	s.transition(o)
	s.effective(o)
	s.result(o)
	t := &TaskFields{Credentials: o.template("Credentials")}
	s.Task = t
	if o.required("Resource") {
		if text := o.str("Resource"); text != "" {
			t.Resource = p.resource(text, o.field("Resource"))
			p.integration(s, o)
		}
	}
	if c, ok := o.v.Get("Credentials"); ok {
		p.credentials(c, t, o)
	}
	t.Timeout = o.integer("TimeoutSeconds", 1, maxSeconds)
	t.Heartbeat = o.integer("HeartbeatSeconds", 1, maxSeconds)
	if t.Timeout.constant() && t.Heartbeat.constant() && t.Heartbeat.Value >= t.Timeout.Value {
		p.errorf(CodeSchema, o.at(), "HeartbeatSeconds must be smaller than TimeoutSeconds")
	}
	p.errorHandling(s, o)
}

func (i *Integer) constant() bool { return i != nil && i.Path == nil && i.Expression == nil }

func (p *parser) credentials(v jsonvalue.Value, t *TaskFields, o *object) {
	if t.Resource.Kind == Activity {
		p.errorf(CodeSchema, o.at(), "The field 'Credentials' is not supported for activities")
		return
	}
	if v.Kind() != jsonvalue.Object {
		return
	}
	if _, ok := v.Get("RoleArn"); ok {
		return
	}
	if _, ok := v.Get("RoleArn.$"); !ok {
		p.errorf(CodeSchema, o.field("Credentials"), "The field 'RoleArn' is required but was missing")
	}
}

func (p *parser) waitState(s *State, o *object) {
	s.transition(o)
	s.Assign, s.Output = o.assign(), o.output()
	w := &WaitFields{}
	s.Wait = w
	if o.language == JSONPath {
		o.single(true, "SecondsPath", "Seconds", "TimestampPath", "Timestamp")
	} else {
		o.single(true, "Seconds", "Timestamp")
	}
	if o.has("Seconds") || o.has("SecondsPath") {
		w.Seconds = o.integer("Seconds", 0, maxSeconds)
	}
	path, expression, ok := o.computed("Timestamp")
	switch {
	case ok:
		w.TimestampPath, w.TimestampExpression = path, expression
	case o.has("Timestamp"):
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

// stringFunctions are the functions that may yield the text of ErrorPath and CausePath.
var stringFunctions = map[string]bool{
	"States.Format": true, "States.JsonToString": true, "States.ArrayGetItem": true, "States.Base64Encode": true,
	"States.Base64Decode": true, "States.Hash": true, "States.UUID": true,
}

// textSource reads Error or Cause, the Path form of a JSONPath state included.
func (o *object) textSource(name string) *TextSource {
	v, ok := o.v.Get(name)
	switch {
	case ok && o.language == JSONPath && o.has(name+"Path"):
		o.single(false, name, name+"Path")
		return nil
	case ok && o.language == JSONata && v.Kind() == jsonvalue.String && o.isExpression(v.Text(), o.field(name)):
		return &TextSource{Expression: o.expression(v.Text(), o.field(name))}
	case ok:
		text := o.str(name)
		if o.language == JSONPath && looksComputed(text) {
			o.p.warnf(CodeNoPath, o.field(name), "The value of the field '%s' looks like a path but is not evaluated; use the "+
				"field '%sPath'", name, name)
		}
		return &TextSource{Text: text}
	case o.language != JSONPath || !o.has(name+"Path"):
		return nil
	}
	location := o.field(name + "Path")
	path, _ := o.v.Get(name + "Path")
	text := path.Text()
	if !intrinsic.Is(text) {
		return &TextSource{Path: o.pathOf(name + "Path")}
	}
	call, err := intrinsic.Parse(text)
	if err != nil || !stringFunctions[call.Name()] {
		o.p.errorf(CodeSchema, location, "Value must be a valid JSONPath or a valid intrinsic function call that returns a string")
	}
	return &TextSource{Call: call}
}

var branchFields = &fieldSet{both: []string{"Comment", "StartAt", "States"}}

func (p *parser) parallelState(s *State, o *object) {
	s.transition(o)
	s.effective(o)
	s.result(o)
	s.Parallel = &ParallelFields{}
	o.required("Branches")
	o.notEmpty("Branches")
	for _, branch := range o.entries("Branches") {
		branch.allow(branchFields)
		branch.str("Comment")
		scope := &Scope{}
		p.scopeFields(scope, branch, s)
		s.Parallel.Branches = append(s.Parallel.Branches, scope)
	}
	p.errorHandling(s, o)
}
