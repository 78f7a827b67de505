// Package jsonpath evaluates JSONPath the way AWS Step Functions does, which follows the Jayway implementation: a
// definite path yields exactly one value or an error that names the missing place, an indefinite one (wildcard,
// slice, filter, deep scan, several indices) always yields an array, possibly empty.
package jsonpath

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// Root says where a path starts.
type Root uint8

// The roots of a path in the Amazon States Language.
const (
	// Input is "$": the data the state works on.
	Input Root = iota
	// Context is "$$": the context object.
	Context
	// Variable is "$name": a workflow variable.
	Variable
)

// Path is a parsed JSONPath. It may be used by many goroutines.
type Path struct {
	text     string
	root     Root
	variable string
	steps    []step
	definite bool
	// function is the name of a function at the end of the path, such as length.
	function string
}

type stepKind uint8

const (
	stepName stepKind = iota
	stepNames
	stepIndex
	stepIndices
	stepSlice
	stepWildcard
	stepFilter
)

// step is one segment of a path. deep marks a segment after "..", call a name that is followed by "()".
type step struct {
	kind     stepKind
	deep     bool
	call     bool
	name     string
	names    []string
	indices  []int
	from, to *int
	filter   *filter
}

// String returns the path as it was written.
func (p *Path) String() string { return p.text }

// FromRoot writes a path into the context object as one that starts at "$": "$$.State" is "$.State". Some messages of AWS
// show it like that. Other paths are as [Path.String] writes them.
func (p *Path) FromRoot() string {
	if p.root == Context {
		return p.text[1:]
	}
	return p.text
}

// Root returns where the path starts.
func (p *Path) Root() Root { return p.root }

// Variable returns the variable's name of a path that starts with "$name", else "".
func (p *Path) Variable() string { return p.variable }

// Definite reports whether the path names a single place, so that a miss is an error.
func (p *Path) Definite() bool { return p.definite }

// IsRoot reports whether the path is just its root: "$", "$$" or "$name".
func (p *Path) IsRoot() bool { return len(p.steps) == 0 && p.function == "" }

// IsReference reports whether the path is a reference path: names and single indices only.
func (p *Path) IsReference() bool {
	for _, s := range p.steps {
		if s.deep || s.kind != stepName && s.kind != stepIndex {
			return false
		}
	}
	return p.function == ""
}

// NotFoundError is a definite path that leads nowhere. Reason is worded like Jayway's message.
type NotFoundError struct {
	// Path is the path as it was written.
	Path string
	// Reason says which part was missing.
	Reason string
}

// Error returns AWS's sentence for a path that does not exist in its input.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("Invalid path '%s' : %s", e.Path, e.Reason)
}

// Eval returns what the path selects in v, the value of its root.
func (p *Path) Eval(v jsonvalue.Value) (jsonvalue.Value, error) {
	out, err := p.evalSteps(v)
	if err != nil || p.function == "" {
		return out, err
	}
	out, err = functions[p.function](out)
	if err != nil {
		return out, &NotFoundError{Path: p.text, Reason: err.Error()}
	}
	return out, nil
}

func (p *Path) evalSteps(v jsonvalue.Value) (jsonvalue.Value, error) {
	if !p.definite {
		found, err := p.selectAll(v)
		return jsonvalue.NewArray(found), err
	}
	for i := range p.steps {
		next, ok := p.steps[i].one(v)
		if !ok {
			return jsonvalue.Value{}, &NotFoundError{Path: p.text, Reason: p.missing(i, v)}
		}
		v = next
	}
	return v, nil
}

// one follows a definite step.
func (s *step) one(v jsonvalue.Value) (jsonvalue.Value, bool) {
	switch s.kind {
	case stepName:
		return v.Get(s.name)
	case stepNames:
		return s.merge(v)
	default:
		if v.Kind() != jsonvalue.Array {
			return jsonvalue.Value{}, false
		}
		i := s.indices[0]
		if i < 0 {
			i += v.Len()
		}
		if i < 0 || i >= v.Len() {
			return jsonvalue.Value{}, false
		}
		return v.At(i), true
	}
}

// merge collects several fields into one object, as Jayway does for ['a','b'] at the end of a path.
func (s *step) merge(v jsonvalue.Value) (jsonvalue.Value, bool) {
	if v.Kind() != jsonvalue.Object {
		return jsonvalue.Value{}, false
	}
	b := jsonvalue.NewObjectBuilder(len(s.names))
	for _, name := range s.names {
		if item, ok := v.Get(name); ok {
			b.Set(name, item)
		}
	}
	return b.Value(), true
}

// missing words the failure of step i on v.
func (p *Path) missing(i int, v jsonvalue.Value) string {
	s := p.steps[i]
	where := canonical(p.steps[:i])
	switch {
	case (s.kind == stepName || s.kind == stepNames) && v.Kind() != jsonvalue.Object:
		return fmt.Sprintf("Expected to find an object with property %s in path %s but found '%s'. This is not a json "+
			"object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
			canonical(p.steps[i : i+1])[1:], where, nodeClass(v))
	case s.kind == stepIndex && v.Kind() != jsonvalue.Array:
		return fmt.Sprintf("Filter: [%d] can only be applied to arrays. Current context is: %s", s.indices[0], v)
	case i < len(p.steps)-1 && s.kind == stepName:
		return "Missing property in path " + canonical(p.steps[:i+1])
	default:
		return "No results for path: " + canonical(p.steps)
	}
}

// nodeClass names the Java class that Jayway's message shows for a value.
func nodeClass(v jsonvalue.Value) string {
	const jackson = "com.fasterxml.jackson.databind.node."
	switch v.Kind() {
	case jsonvalue.Null:
		return jackson + "NullNode"
	case jsonvalue.Bool:
		return jackson + "BooleanNode"
	case jsonvalue.String:
		return jackson + "TextNode"
	case jsonvalue.Array:
		return jackson + "ArrayNode"
	case jsonvalue.Number:
		return jackson + numberClass(v)
	}
	return jackson + "ObjectNode"
}

func numberClass(v jsonvalue.Value) string {
	if !v.IsIntLiteral() {
		return "DoubleNode"
	}
	switch n, fits := v.Int(); {
	case !fits:
		return "BigIntegerNode"
	case n < math.MinInt32 || n > math.MaxInt32:
		return "LongNode"
	}
	return "IntNode"
}

// canonical writes steps in bracket form: $['a'][0].
func canonical(steps []step) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range steps {
		if s.deep {
			b.WriteString("..")
		}
		switch s.kind {
		case stepName:
			b.WriteString("['" + s.name + "']")
		case stepNames:
			b.WriteString("['" + strings.Join(s.names, "','") + "']")
		case stepIndex, stepIndices:
			b.WriteByte('[')
			for i, n := range s.indices {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(strconv.Itoa(n))
			}
			b.WriteByte(']')
		case stepSlice:
			b.WriteByte('[')
			if s.from != nil {
				b.WriteString(strconv.Itoa(*s.from))
			}
			b.WriteByte(':')
			if s.to != nil {
				b.WriteString(strconv.Itoa(*s.to))
			}
			b.WriteByte(']')
		case stepWildcard:
			b.WriteString("[*]")
		case stepFilter:
			b.WriteString("[?]")
		}
	}
	return b.String()
}

// Set returns doc with the place that a reference path names replaced by v, as ResultPath does: missing objects on
// the way are created, fields are added or overwritten, an array index must exist.
func (p *Path) Set(doc, v jsonvalue.Value) (jsonvalue.Value, error) {
	out, ok := set(doc, p.steps, v)
	if !ok {
		return jsonvalue.Value{}, fmt.Errorf("unable to apply step %q to input %s", p.text, doc)
	}
	return out, nil
}

func set(doc jsonvalue.Value, steps []step, v jsonvalue.Value) (jsonvalue.Value, bool) {
	if len(steps) == 0 {
		return v, true
	}
	s := steps[0]
	if s.kind == stepIndex {
		i := s.indices[0]
		if doc.Kind() != jsonvalue.Array || i < 0 || i >= doc.Len() {
			return jsonvalue.Value{}, false
		}
		item, ok := set(doc.At(i), steps[1:], v)
		if !ok {
			return jsonvalue.Value{}, false
		}
		return doc.WithItem(i, item), true
	}
	if doc.Kind() != jsonvalue.Object {
		return jsonvalue.Value{}, false
	}
	child, exists := doc.Get(s.name)
	if !exists {
		child = jsonvalue.EmptyObject()
	}
	item, ok := set(child, steps[1:], v)
	if !ok {
		return jsonvalue.Value{}, false
	}
	return doc.With(s.name, item), true
}
