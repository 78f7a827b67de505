package asl

import (
	"fmt"
	"slices"
	"strings"

	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// object reads the fields of one JSON object of a definition.
type object struct {
	p        *parser
	v        jsonvalue.Value
	location string
	// language is that of the state around the object.
	language QueryLanguage
	// state is the location of the state around the object; empty outside of states.
	state string
	// scope is what the expressions of the object may read from $states.
	scope statesScope
}

// statesScope says which fields of $states exist besides input and context.
type statesScope struct{ result, errorOutput bool }

func (p *parser) open(v jsonvalue.Value, location string, language QueryLanguage) *object {
	return &object{p: p, v: v, location: location, language: language}
}

// inner opens an object inside o.
func (o *object) inner(v jsonvalue.Value, location string) *object {
	c := *o
	c.v, c.location = v, location
	return &c
}

// with returns the same object whose expressions see more of $states.
func (o *object) with(scope statesScope) *object {
	c := *o
	c.scope = scope
	return &c
}

// at is the location of the object itself, "/" at the top.
func (o *object) at() string {
	if o.location == "" {
		return "/"
	}
	return o.location
}

func (o *object) field(name string) string { return o.location + "/" + name }

func (o *object) has(name string) bool {
	_, ok := o.v.Get(name)
	return ok
}

// fieldSet lists the fields of a kind of object: those of both query languages and those of one only.
type fieldSet struct{ both, jsonPath, jsonata []string }

func (s *fieldSet) all() []string { return slices.Concat(s.both, s.jsonPath, s.jsonata) }

// allow reports the fields that the object may not have, or not in its query language. An empty language accepts the
// fields of both.
func (o *object) allow(set *fieldSet) {
	for i := range o.v.Len() {
		key := o.v.Key(i)
		switch other := set.languageOf(key); {
		case slices.Contains(set.both, key) || other == o.language:
		case other == "":
			o.p.errorf(CodeSchema, o.at(), "Field '%s' is not supported", key)
			o.p.hint(o.field(key), key, set.all())
		case o.language != "":
			o.p.errorf(CodeSchema, o.at(), "The QueryLanguage is set to '%s', but field '%s' is only supported for the '%s' "+
				"QueryLanguage", o.language, key, other)
			o.p.place(o.field(key))
		}
	}
}

// languageOf returns the only language that knows a field; empty when no or both languages know it.
func (s *fieldSet) languageOf(key string) QueryLanguage {
	switch {
	case slices.Contains(s.jsonPath, key):
		return JSONPath
	case slices.Contains(s.jsonata, key):
		return JSONata
	}
	return ""
}

// required reports the missing ones of the given fields in one diagnostic.
func (o *object) required(names ...string) bool {
	var missing []string
	for _, name := range names {
		if !o.has(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		o.p.errorf(CodeSchema, o.at(), "These fields are required: [%s]", strings.Join(missing, ", "))
	}
	return len(missing) == 0
}

// single reports fields of which at most one may be given, or, with must, exactly one.
func (o *object) single(must bool, names ...string) bool {
	given := 0
	for _, name := range names {
		if o.has(name) {
			given++
		}
	}
	switch {
	case given > 1:
		o.p.errorf(CodeSchema, o.at(), "There should only be one of the following fields: [%s]", strings.Join(names, ", "))
	case given == 0 && must:
		o.p.errorf(CodeSchema, o.at(), "This object should have only one of the following fields: [%s]",
			strings.Join(names, ", "))
	}
	return given == 1
}

func (o *object) wrongType(name, want string) {
	o.p.errorf(CodeSchema, o.field(name), "Expected value of type %s", want)
}

func (o *object) str(name string) string {
	v, ok := o.v.Get(name)
	if ok && v.Kind() != jsonvalue.String {
		o.wrongType(name, "String")
	}
	if v.Kind() != jsonvalue.String {
		return ""
	}
	return v.Text()
}

func (o *object) boolean(name string) bool {
	v, ok := o.v.Get(name)
	if ok && v.Kind() != jsonvalue.Bool {
		o.wrongType(name, "Boolean")
	}
	return v.Bool()
}

// enum reads a text that is one of the allowed ones; empty when it is absent or wrong.
func (o *object) enum(name string, allowed ...string) string {
	v, ok := o.v.Get(name)
	switch {
	case !ok:
		return ""
	case v.Kind() != jsonvalue.String:
		o.wrongType(name, "[STRING]")
		return ""
	case !slices.Contains(allowed, v.Text()):
		o.p.errorf(CodeSchema, o.field(name), "Value should be one of the following: [%s]", strings.Join(allowed, ", "))
		o.p.hint(o.field(name), v.Text(), allowed)
		return ""
	}
	return v.Text()
}

// whole reads a whole number within bounds.
func (o *object) whole(name string, low, high int64) (int64, bool) {
	v, ok := o.v.Get(name)
	if !ok {
		return 0, false
	}
	n, isWhole := v.Int()
	switch {
	case !isWhole:
		o.wrongType(name, "Integer")
	case n < low:
		o.p.errorf(CodeSchema, o.field(name), "Minimum value is %d", low)
	case n > high:
		o.p.errorf(CodeSchema, o.field(name), "Maximum value is %d", high)
	default:
		return n, true
	}
	return 0, false
}

// integer reads name, or namePath in a JSONPath state, or an expression in a JSONata state.
func (o *object) integer(name string, low, high int64) *Integer {
	if path, e, ok := o.computed(name); ok {
		if path == nil && e == nil {
			return nil
		}
		return &Integer{Path: path, Expression: e}
	}
	if n, ok := o.whole(name, low, high); ok {
		return &Integer{Value: n}
	}
	return nil
}

// computed reads a field that a path or an expression fills; both are nil when it does and is wrong.
func (o *object) computed(name string) (*jsonpath.Path, *Expression, bool) {
	if o.language == JSONPath {
		if !o.has(name + "Path") {
			return nil, nil, false
		}
		o.single(false, name, name+"Path")
		return o.reference(name + "Path"), nil, true
	}
	v, ok := o.v.Get(name)
	if !ok || v.Kind() != jsonvalue.String || !o.isExpression(v.Text(), o.field(name)) {
		return nil, nil, false
	}
	return nil, o.expression(v.Text(), o.field(name)), true
}

// number is like integer but allows a fraction.
func (o *object) number(name string, low, high float64) *Number {
	if path, e, ok := o.computed(name); ok {
		if path == nil && e == nil {
			return nil
		}
		return &Number{Path: path, Expression: e}
	}
	v, ok := o.v.Get(name)
	if !ok {
		return nil
	}
	f, isNumber := v.Float()
	switch {
	case !isNumber:
		o.wrongType(name, "Number")
	case f < low:
		o.p.errorf(CodeSchema, o.field(name), "Minimum value is %v", low)
	case f > high:
		o.p.errorf(CodeSchema, o.field(name), "Maximum value is %v", high)
	default:
		return &Number{Value: f}
	}
	return nil
}

// child opens a field that must be an object.
func (o *object) child(name string) (*object, bool) {
	v, ok := o.v.Get(name)
	if ok && v.Kind() != jsonvalue.Object {
		o.wrongType(name, "Object")
		return nil, false
	}
	return o.inner(v, o.field(name)), ok
}

// list reads a field that must be an array.
func (o *object) list(name string) ([]jsonvalue.Value, bool) {
	v, ok := o.v.Get(name)
	if ok && v.Kind() != jsonvalue.Array {
		o.wrongType(name, "Array")
		return nil, false
	}
	return v.Items(), ok
}

// entries opens the elements of an array of objects.
func (o *object) entries(name string) []*object {
	items, _ := o.list(name)
	all := make([]*object, 0, len(items))
	for i, v := range items {
		location := indexed(o.field(name), i)
		if v.Kind() != jsonvalue.Object {
			o.p.errorf(CodeSchema, location, "Expected value of type Object")
			continue
		}
		all = append(all, o.inner(v, location))
	}
	return all
}

func indexed(location string, i int) string { return fmt.Sprintf("%s[%d]", location, i) }

// notEmpty reports an array without elements.
func (o *object) notEmpty(name string) {
	if v, ok := o.v.Get(name); ok && v.Kind() == jsonvalue.Array && v.Len() == 0 {
		o.p.errorf(CodeSchema, o.field(name), "Value cannot be empty")
	}
}

// strings reads an array of strings.
func (o *object) strings(name string) []string {
	items, ok := o.list(name)
	if !ok {
		return nil
	}
	texts := make([]string, 0, len(items))
	for i, v := range items {
		if v.Kind() != jsonvalue.String {
			o.p.errorf(CodeSchema, indexed(o.field(name), i), "Expected value of type String")
			continue
		}
		texts = append(texts, v.Text())
	}
	return texts
}
