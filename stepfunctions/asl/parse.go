package asl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"gust/internal/param"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// Limits of a definition.
const (
	// MaxDefinitionBytes is the longest definition AWS accepts.
	MaxDefinitionBytes = 1_048_576
	maxStateName       = 80
	maxSeconds         = 99_999_999
	maxScopeDepth      = 20
)

// Parse checks and compiles a definition. When the definition has errors the machine is nil. The diagnostics hold
// warnings even when the machine is valid.
func Parse(definition string) (*Machine, Diagnostics) {
	p := &parser{}
	if strings.TrimSpace(definition) == "" {
		p.errorf(CodeSchema, "", messageInvalidJSONDef)
		return nil, p.found
	}
	doc, err := jsonvalue.ParseDocument(definition)
	if err != nil {
		p.syntaxError(definition, err)
		return nil, p.found
	}
	if doc.Root.Kind() != jsonvalue.Object {
		p.errorf(CodeSchema, "", messageInvalidJSONDef)
		return nil, p.found
	}
	p.doc = doc
	m := p.machine(doc.Root)
	if len(p.found.Errors()) > 0 {
		return nil, p.found
	}
	return m, p.found
}

// parser collects the model and the problems.
type parser struct {
	doc   *jsonvalue.Document
	found Diagnostics
	m     *Machine
	depth int
	// variables holds the names assigned by the scopes around the current one.
	variables []map[string]bool
}

func (p *parser) errorf(code, location, format string, args ...any) {
	p.report(SeverityError, code, location, format, args...)
}

func (p *parser) warnf(code, location, format string, args ...any) {
	p.report(SeverityWarning, code, location, format, args...)
}

func (p *parser) report(severity Severity, code, location, format string, args ...any) {
	d := Diagnostic{Severity: severity, Code: code, Message: fmt.Sprintf(format, args...), Location: location}
	if p.doc != nil {
		pos := p.position(location)
		d.Line, d.Column = pos.Line, pos.Column
	}
	p.found = append(p.found, d)
}

// hint adds the nearest valid name to the latest diagnostic.
func (p *parser) hint(name string, valid []string) {
	p.found[len(p.found)-1].Hint = param.Nearest(name, valid)
}

// position finds the place of a location or of the nearest thing around it.
func (p *parser) position(location string) jsonvalue.Position {
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

func (p *parser) machine(root jsonvalue.Value) *Machine {
	for _, location := range p.doc.Duplicates {
		code, what := CodeSchema, "field"
		if parts := strings.Split(location, "/"); len(parts) >= 3 && parts[len(parts)-2] == "States" {
			code, what = CodeDuplicateState, "state name"
		}
		p.errorf(code, location, "Duplicate %s: '%s'", what, location[strings.LastIndexByte(location, '/')+1:])
	}
	m := &Machine{all: map[string]*State{}, QueryLanguage: JSONPath}
	p.m = m
	o := p.open(root, "")
	m.Comment = o.str("Comment")
	m.Version = o.str("Version")
	if o.has("Version") && m.Version != "1.0" {
		p.errorf(CodeSchema, "/Version", "The field 'Version' should have one of these values: [1.0]")
	}
	m.QueryLanguage = o.queryLanguage(JSONPath)
	if n, ok := o.integer("TimeoutSeconds", 1, maxSeconds); ok {
		m.TimeoutSeconds = n
	}
	p.scopeFields(&m.Scope, o, nil)
	o.done()
	return m
}

// scopeFields reads StartAt and States.
func (p *parser) scopeFields(scope *Scope, o *object, parent *State) {
	scope.Parent = parent
	scope.byName = map[string]*State{}
	if p.depth++; p.depth > maxScopeDepth {
		p.errorf(CodeTooDeeplyNested, o.location, "States may nest at most %d deep", maxScopeDepth)
		return
	}
	defer func() { p.depth-- }()
	o.required("States", "StartAt")
	scope.StartAt = o.str("StartAt")
	states, ok := o.child("States")
	if !ok {
		return
	}
	if states.Len() == 0 {
		p.errorf(CodeSchema, o.location+"/States", "The field 'States' must not be empty")
		return
	}
	assigned := map[string]bool{}
	p.variables = append(p.variables, assigned)
	for i, v := range states.Items() {
		name := states.Key(i)
		location := o.location + "/States/" + name
		s := p.state(name, v, scope, location)
		if s == nil {
			continue
		}
		scope.States = append(scope.States, s)
		scope.byName[name] = s
		if p.m.all[name] != nil {
			p.errorf(CodeDuplicateState, location, "Duplicate state name: '%s'", name)
		}
		p.m.all[name] = s
	}
	p.variables = p.variables[:len(p.variables)-1]
	p.checkTransitions(scope, o, states)
}

// checkTransitions verifies that every transition of a scope stays in it and that the scope can end.
func (p *parser) checkTransitions(scope *Scope, o *object, states jsonvalue.Value) {
	target := func(field, name, location string) {
		if name == "" {
			return
		}
		if _, ok := states.Get(name); !ok {
			p.errorf(CodeMissingTarget, location, "Missing '%s' target: %s", field, name)
			p.hint(name, slices.Sorted(maps.Keys(scope.byName)))
		}
	}
	target("StartAt", scope.StartAt, o.location+"/StartAt")
	terminal := len(scope.States) < states.Len()
	for _, s := range scope.States {
		terminal = terminal || s.Terminal()
		target("Next", s.Next, s.Location+"/Next")
		for i, c := range s.Catch {
			target("Next", c.Next, fmt.Sprintf("%s/Catch/%d/Next", s.Location, i))
		}
		if s.Choice != nil {
			target("Default", s.Choice.Default, s.Location+"/Default")
			for i, r := range s.Choice.Rules {
				target("Next", r.Next, fmt.Sprintf("%s/Choices/%d/Next", s.Location, i))
			}
		}
	}
	if !terminal {
		p.errorf(CodeMissingEnd, o.location+"/States", "There is no terminal state: one state must be a Succeed or Fail "+
			"state or have \"End\": true")
	}
	p.warnUnreachable(scope)
}

func (p *parser) warnUnreachable(scope *Scope) {
	reached := map[string]bool{}
	todo := []string{scope.StartAt}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		s := scope.byName[name]
		if s == nil || reached[name] {
			continue
		}
		reached[name] = true
		todo = append(todo, s.targets()...)
	}
	for _, s := range scope.States {
		if !reached[s.Name] && scope.byName[scope.StartAt] != nil {
			p.warnf(CodeMissingTarget, s.Location, "State \"%s\" is not reachable.", s.Name)
		}
	}
}

// targets lists the names of all states that may follow.
func (s *State) targets() []string {
	var names []string
	if s.Next != "" {
		names = append(names, s.Next)
	}
	for _, c := range s.Catch {
		names = append(names, c.Next)
	}
	if s.Choice != nil {
		if s.Choice.Default != "" {
			names = append(names, s.Choice.Default)
		}
		for _, r := range s.Choice.Rules {
			names = append(names, r.Next)
		}
	}
	return names
}

// path compiles a path field.
func (p *parser) path(text, location string) *jsonpath.Path {
	path, err := jsonpath.Parse(text)
	if err != nil {
		p.errorf(CodeSchema, location, "Value is not a valid JSONPath: %s", text)
		return nil
	}
	return path
}

// referencePath compiles a path that must name a single place.
func (p *parser) referencePath(text, location string) *jsonpath.Path {
	path, err := jsonpath.Parse(text)
	if err != nil || !path.IsReference() {
		p.errorf(CodeSchema, location, "Value is not a Reference Path: %s", text)
		return nil
	}
	return path
}
