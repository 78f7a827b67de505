package asl

import (
	"strings"
	"unicode/utf8"

	"gust/stepfunctions/jsonpath"
)

// maxVariableName is the longest name of a variable in characters.
const maxVariableName = 80

// assignment is a variable that a scope assigns.
type assignment struct{ name, location string }

// variableScope is what a States field assigns. Names of the scopes around it may not be assigned again.
type variableScope struct {
	parent      *variableScope
	assignments []assignment
	names       map[string]bool
}

// assign reads Assign, notes the variables and checks their names.
func (o *object) assign() *Template {
	in, ok := o.child("Assign")
	if !ok {
		return nil
	}
	for i := range in.v.Len() {
		name := in.v.Key(i)
		if o.language == JSONPath {
			name = strings.TrimSuffix(name, ".$")
		}
		o.p.variable(name, in.field(in.v.Key(i)))
	}
	return in.templateOf(in.v, in.location)
}

func (p *parser) variable(name, location string) {
	switch {
	case name == "states":
		p.errorf(CodeReservedVariable, location, "Cannot assign to reserved variable '$states'.")
		return
	case utf8.RuneCountInString(name) > maxVariableName:
		p.errorf(CodeVariableName, location, "Invalid variable name '%s': the variable name exceeds the %d-character limit "+
			"allowed by the service", name, maxVariableName)
		return
	case !validVariable(name):
		p.errorf(CodeVariableName, location, "Invalid variable name '%s': the variable name contains invalid characters.", name)
		return
	}
	if s := p.scope; s != nil {
		s.assignments = append(s.assignments, assignment{name: name, location: location})
		s.names[name] = true
	}
}

// validVariable reports whether a name starts with a letter and goes on with letters, digits and underscores in the
// sense of Unicode's identifiers.
func validVariable(name string) bool {
	path, err := jsonpath.Parse("$" + name)
	return err == nil && path.Root() == jsonpath.Variable && path.IsRoot()
}

// enterVariables opens the scope of a States field. The children of a map run see nothing of what is around them.
func (p *parser) enterVariables(separate bool) (leave func()) {
	outer := p.scope
	s := &variableScope{names: map[string]bool{}}
	if !separate {
		s.parent = outer
	}
	p.scope = s
	p.scopes = append(p.scopes, s)
	return func() { p.scope = outer }
}

// checkVariables reports inner assignments to outer names. It runs last, when all assignments are known.
func (p *parser) checkVariables() {
	for _, s := range p.scopes {
		for _, a := range s.assignments {
			for outer := s.parent; outer != nil; outer = outer.parent {
				if outer.names[a.name] {
					p.errorf(CodeDuplicateVariable, a.location, "The variable name '%s' was already defined in a parent scope.",
						a.name)
					break
				}
			}
		}
	}
}
