package asl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// object reads the fields of one JSON object of a definition and knows which were asked for, so that what is left
// over can be reported as unknown.
type object struct {
	p        *parser
	v        jsonvalue.Value
	location string
	used     map[string]bool
}

func (p *parser) open(v jsonvalue.Value, location string) *object {
	return &object{p: p, v: v, location: location, used: map[string]bool{}}
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

func (o *object) get(name string) (jsonvalue.Value, bool) {
	o.used[name] = true
	return o.v.Get(name)
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

// done reports the fields that nobody asked for.
func (o *object) done() {
	for i := range o.v.Len() {
		if key := o.v.Key(i); !o.used[key] {
			o.p.errorf(CodeSchema, o.field(key), "Field is not supported")
			o.p.hint(key, sortedKeys(o.used))
		}
	}
}

func (o *object) wrongType(name, want string) {
	o.p.errorf(CodeSchema, o.field(name), "Expected value of type %s", want)
}

func (o *object) str(name string) string {
	v, ok := o.get(name)
	if ok && v.Kind() != jsonvalue.String {
		o.wrongType(name, "String")
	}
	if v.Kind() != jsonvalue.String {
		return ""
	}
	return v.Text()
}

func (o *object) boolean(name string) bool {
	v, ok := o.get(name)
	if ok && v.Kind() != jsonvalue.Bool {
		o.wrongType(name, "Boolean")
	}
	return v.Bool()
}

// integer reads a whole number within bounds.
func (o *object) integer(name string, low, high int64) (int64, bool) {
	v, ok := o.get(name)
	if !ok {
		return 0, false
	}
	n, whole := v.Int()
	switch {
	case !whole:
		o.wrongType(name, "Integer")
	case n < low:
		o.p.errorf(CodeSchema, o.field(name), "The value must be at least %d but was: %d", low, n)
	case n > high:
		o.p.errorf(CodeSchema, o.field(name), "The value must be at most %d but was: %d", high, n)
	default:
		return n, true
	}
	return 0, false
}

// child reads a field that must be an object.
func (o *object) child(name string) (jsonvalue.Value, bool) {
	v, ok := o.get(name)
	if ok && v.Kind() != jsonvalue.Object {
		o.wrongType(name, "Object")
		return v, false
	}
	return v, ok
}

// list reads a field that must be an array.
func (o *object) list(name string) ([]jsonvalue.Value, bool) {
	v, ok := o.get(name)
	if ok && v.Kind() != jsonvalue.Array {
		o.wrongType(name, "Array")
		return nil, false
	}
	return v.Items(), ok
}

// exclusive reports fields of which at most one may be given.
func (o *object) exclusive(names ...string) bool {
	var given []string
	for _, name := range names {
		if o.has(name) {
			given = append(given, name)
			o.used[name] = true
		}
	}
	if len(given) > 1 {
		o.p.errorf(CodeSchema, o.at(), "Only one of these fields can be specified: [%s]", strings.Join(given, ", "))
	}
	return len(given) <= 1
}

func (o *object) queryLanguage(inherited QueryLanguage) QueryLanguage {
	if !o.has("QueryLanguage") {
		return inherited
	}
	switch q := QueryLanguage(o.str("QueryLanguage")); q {
	case JSONata:
		o.p.errorf(CodeSchema, o.field("QueryLanguage"), "The query language JSONata is not supported by this service yet; "+
			"use JSONPath")
		return q
	case JSONPath:
		if inherited == JSONata {
			o.p.errorf(CodeSchema, o.at(), "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine")
		}
		return q
	default:
		o.p.errorf(CodeSchema, o.field("QueryLanguage"), "The field 'QueryLanguage' should have one of these values: "+
			"[JSONPath, JSONata]")
		return inherited
	}
}

// selector reads InputPath or OutputPath; nil means the field is absent.
func (o *object) selector(name string) *Selector {
	v, ok := o.get(name)
	switch {
	case !ok:
		return nil
	case v.IsNull():
		return &Selector{}
	case v.Kind() != jsonvalue.String:
		o.wrongType(name, "String")
		return nil
	}
	return &Selector{Path: o.p.path(v.Text(), o.field(name))}
}

// resultPath reads ResultPath; nil means the field is absent.
func (o *object) resultPath() *ResultPath {
	v, ok := o.get("ResultPath")
	switch {
	case !ok:
		return nil
	case v.IsNull():
		return &ResultPath{}
	case v.Kind() != jsonvalue.String:
		o.wrongType("ResultPath", "String")
		return nil
	}
	path := o.p.referencePath(v.Text(), o.field("ResultPath"))
	if path != nil && path.Root() != jsonpath.Input {
		o.p.errorf(CodeSchema, o.field("ResultPath"), "Value is not a Reference Path: %s", v.Text())
	}
	return &ResultPath{Path: path}
}

// ref reads a field that holds a reference path; nil means it is absent.
func (o *object) ref(name string) *jsonpath.Path {
	text := o.str(name)
	if text == "" {
		return nil
	}
	return o.p.referencePath(text, o.field(name))
}

func (o *object) template(name string) *Template {
	v, ok := o.get(name)
	if !ok {
		return nil
	}
	return o.p.template(v, o.field(name))
}

// assign reads Assign and checks the variables' names.
func (o *object) assign() *Template {
	v, ok := o.child("Assign")
	if !ok {
		return nil
	}
	p := o.p
	inner := len(p.variables) - 1
	for i := range v.Len() {
		name := strings.TrimSuffix(v.Key(i), ".$")
		location := o.field("Assign") + "/" + v.Key(i)
		if !validVariable(name) {
			p.errorf(CodeSchema, location, "'%s' is not a valid variable name", name)
		}
		for _, outer := range p.variables[:inner] {
			if outer[name] {
				p.errorf(CodeSchema, location, "The variable '%s' is already assigned in an outer scope", name)
			}
		}
		p.variables[inner][name] = true
	}
	return p.template(v, o.field("Assign"))
}

// validVariable reports whether a name starts with a letter or underscore, goes on with letters, digits and
// underscores, has at most 80 characters and is not reserved.
func validVariable(name string) bool {
	if name == "" || len([]rune(name)) > maxStateName || name == "states" {
		return false
	}
	path, err := jsonpath.Parse("$" + name)
	return err == nil && path.Root() == jsonpath.Variable && path.IsRoot()
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
			o.p.errorf(CodeSchema, o.field(name)+"/"+strconv.Itoa(i), "Expected value of type String")
			continue
		}
		texts = append(texts, v.Text())
	}
	return texts
}

// oneOf reports a text that is not one of the allowed ones.
func (o *object) oneOf(name, value string, allowed ...string) {
	if o.has(name) && !slices.Contains(allowed, value) {
		o.p.errorf(CodeSchema, o.field(name), "The field '%s' should have one of these values: %s", name,
			fmt.Sprintf("[%s]", strings.Join(allowed, ", ")))
	}
}
