package asl

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"gust/internal/param"
	"gust/stepfunctions/jsonvalue"
)

// Limits of a definition.
const (
	// MaxDefinitionBytes is the longest definition AWS accepts.
	MaxDefinitionBytes = 1_048_576
	maxStateName       = 80
	maxLabel           = 40
	maxSeconds         = 99_999_999
	maxScopeDepth      = 20
)

// Parse checks and compiles a definition. When the definition has errors the machine is nil. The diagnostics hold
// warnings even when the machine is valid.
func Parse(definition string) (*Machine, Diagnostics) {
	p := &parser{}
	root, ok := p.document(definition)
	if !ok {
		return nil, p.found
	}
	m := p.machine(root)
	p.checkVariables()
	if len(p.found.Errors()) > 0 {
		return nil, p.found
	}
	return m, p.found
}

// ParseFor is [Parse] for a type of state machine: an EXPRESS one may not have everything.
func ParseFor(definition string, express bool) (*Machine, Diagnostics) {
	m, found := Parse(definition)
	if m == nil || !express {
		return m, found
	}
	refused := m.checkExpress()
	if len(refused) > 0 {
		m = nil
	}
	return m, append(refused, found...)
}

// LoneState is the name that AWS gives a state which is tested without its state machine.
const LoneState = "StateName"

// ParseState checks and compiles one state that stands alone, without a state machine around it. Its transitions lead
// nowhere and are not checked. The state is nil when there are errors.
func ParseState(definition string) (*State, Diagnostics) {
	p := &parser{prefix: "/States/" + LoneState}
	root, ok := p.document(definition)
	if !ok {
		return nil, p.found
	}
	p.m = &Machine{all: map[string]*State{}, QueryLanguage: JSONPath}
	p.m.Scope.byName = map[string]*State{}
	p.enterVariables(false)
	s := p.state(LoneState, root, &p.m.Scope, p.prefix)
	p.checkVariables()
	if len(p.found.Errors()) > 0 || s == nil {
		return nil, p.found
	}
	p.m.States, p.m.StartAt = []*State{s}, LoneState
	p.m.byName[LoneState], p.m.all[LoneState] = s, s
	return s, p.found
}

// parser collects the model and the problems.
type parser struct {
	doc   *jsonvalue.Document
	found Diagnostics
	m     *Machine
	depth int
	// prefix precedes the locations of a state that stands alone.
	prefix string
	// scope is the innermost variable scope, and scopes holds all of them.
	scope  *variableScope
	scopes []*variableScope
	labels map[string]bool
}

// document reads the text as a JSON object.
func (p *parser) document(definition string) (jsonvalue.Value, bool) {
	if strings.TrimSpace(definition) == "" {
		p.errorf(CodeSchema, "", messageInvalidJSONDef)
		return jsonvalue.Value{}, false
	}
	doc, err := jsonvalue.ParseDocument(definition)
	if err != nil {
		p.syntaxError(definition, err)
		return jsonvalue.Value{}, false
	}
	if doc.Root.Kind() != jsonvalue.Object {
		p.errorf(CodeSchema, "", messageInvalidJSONDef)
		return doc.Root, false
	}
	p.doc = doc
	for _, location := range p.doc.Duplicates {
		name := location[strings.LastIndexByte(location, '/')+1:]
		if parts := strings.Split(location, "/"); len(parts) >= 3 && parts[len(parts)-2] == "States" {
			p.errorf(CodeDuplicateState, p.prefix+location, "Duplicate State name: %s", name)
		} else {
			p.errorf(CodeSchema, p.prefix+location, "Duplicate field: '%s'", name)
		}
	}
	return doc.Root, true
}

func (p *parser) errorf(code, location, format string, args ...any) {
	p.report(SeverityError, code, location, format, args...)
}

func (p *parser) warnf(code, location, format string, args ...any) {
	p.report(SeverityWarning, code, location, format, args...)
}

func (p *parser) report(severity Severity, code, location, format string, args ...any) {
	p.found = append(p.found,
		Diagnostic{Severity: severity, Code: code, Message: fmt.Sprintf(format, args...), Location: location})
	p.place(location)
}

// place sets the line and column of the latest diagnostic to those of a location, which may be more exact than its own.
func (p *parser) place(location string) {
	if p.doc != nil {
		pos := p.position(location)
		d := &p.found[len(p.found)-1]
		d.Line, d.Column = pos.Line, pos.Column
	}
}

// hint adds the nearest valid name to the latest diagnostic, which is about name at location.
func (p *parser) hint(location, name string, valid []string) {
	p.place(location)
	p.found[len(p.found)-1].Hint = param.Nearest(name, valid)
}

var index = regexp.MustCompile(`\[(\d+)\]`)

// position finds the place of a location or of the nearest thing around it. A location writes the elements of arrays as
// Catch[0], the document as Catch/0.
func (p *parser) position(location string) jsonvalue.Position {
	location = index.ReplaceAllString(strings.TrimPrefix(location, p.prefix), "/$1")
	for {
		if pos, ok := p.doc.Positions[location]; ok {
			return pos
		}
		cut := strings.LastIndexByte(location, '/')
		if cut < 0 {
			return p.doc.Positions[""]
		}
		location = location[:cut]
	}
}

// syntaxError reports a text that is not JSON in the words of AWS's parser.
func (p *parser) syntaxError(definition string, err error) {
	var syntax *jsonvalue.SyntaxError
	if !errors.As(err, &syntax) {
		p.errorf(CodeJSON, "", "%v", err)
		return
	}
	shown := definition
	if utf8.RuneCountInString(shown) > 500 {
		shown = string([]rune(shown)[:500]) + fmt.Sprintf("\"[truncated %d chars]", utf8.RuneCountInString(definition)-500)
	} else {
		shown += `"`
	}
	source := fmt.Sprintf(`[Source: (String)"%s; line: %d, column: %d]`, shown, syntax.Line, syntax.Column)
	p.found = append(p.found, Diagnostic{
		Severity: SeverityError, Code: CodeJSON, Message: syntax.Message + "\n at " + source, Location: source,
		Line: syntax.Line, Column: syntax.Column,
	})
}

var machineFields = &fieldSet{both: []string{"Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"}}

func (p *parser) machine(root jsonvalue.Value) *Machine {
	m := &Machine{all: map[string]*State{}, QueryLanguage: JSONPath}
	p.m = m
	o := p.open(root, "", JSONPath)
	o.allow(machineFields)
	m.Comment = o.str("Comment")
	m.Version = o.enum("Version", "1.0")
	m.QueryLanguage, _ = o.queryLanguage(JSONPath)
	o.reportQueryLanguage()
	if n, ok := o.whole("TimeoutSeconds", 0, maxSeconds); ok {
		m.TimeoutSeconds = n
	}
	p.scopeFields(&m.Scope, o, nil)
	return m
}

// queryLanguage resolves the language of a machine or state: only the exact text JSONPath means JSONPath; anything else
// that is given means JSONata, even when it is reported as wrong. It reports a state that wants to leave JSONata and
// then returns false.
func (o *object) queryLanguage(inherited QueryLanguage) (QueryLanguage, bool) {
	v, ok := o.v.Get("QueryLanguage")
	switch {
	case !ok:
		return inherited, true
	case v.Kind() != jsonvalue.String || v.Text() != string(JSONPath):
		return JSONata, true
	case inherited == JSONata:
		o.p.errorf(CodeSchema, o.at(), "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine")
		o.p.place(o.field("QueryLanguage"))
		return JSONPath, false
	}
	return JSONPath, true
}

func (o *object) reportQueryLanguage() { o.enum("QueryLanguage", string(JSONPath), string(JSONata)) }

// scopeFields reads StartAt and States.
func (p *parser) scopeFields(scope *Scope, o *object, parent *State) {
	scope.Parent = parent
	scope.byName = map[string]*State{}
	if p.depth++; p.depth > maxScopeDepth {
		p.errorf(CodeTooDeeplyNested, o.at(), "States may nest at most %d deep", maxScopeDepth)
		return
	}
	defer func() { p.depth-- }()
	o.required("States", "StartAt")
	scope.StartAt = o.str("StartAt")
	states, ok := o.child("States")
	if !ok {
		return
	}
	if states.v.Len() == 0 {
		p.errorf(CodeSchema, states.location, "Value cannot be empty")
	}
	defer p.enterVariables(parent != nil && parent.Map != nil && parent.Map.Mode == Distributed)()
	for i, v := range states.v.Items() {
		name := states.v.Key(i)
		location := states.field(name)
		s := p.state(name, v, scope, location)
		if s == nil {
			continue
		}
		scope.States = append(scope.States, s)
		scope.byName[name] = s
		if p.m.all[name] != nil {
			p.errorf(CodeDuplicateState, location, "Duplicate State name: %s", name)
		}
		p.m.all[name] = s
	}
	p.checkTransitions(scope, o, states.v)
}
