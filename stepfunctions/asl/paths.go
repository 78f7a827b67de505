package asl

import (
	"strings"

	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// selector reads InputPath or OutputPath; nil means the field is absent.
func (o *object) selector(name string) *Selector {
	v, ok := o.v.Get(name)
	switch {
	case !ok || o.language != JSONPath:
		return nil
	case v.IsNull():
		return &Selector{}
	}
	return &Selector{Path: o.pathOf(name)}
}

// resultPath reads ResultPath; nil means the field is absent.
func (o *object) resultPath() *ResultPath {
	v, ok := o.v.Get("ResultPath")
	switch {
	case !ok || o.language != JSONPath:
		return nil
	case v.IsNull():
		return &ResultPath{}
	}
	path := o.reference("ResultPath")
	if path != nil && path.Root() != jsonpath.Input {
		o.p.errorf(CodeSchema, o.field("ResultPath"), "Value is not a Reference Path: a result can only go into the state's "+
			"input, to a path that starts with '$.' or '$['")
	}
	return &ResultPath{Path: path}
}

// reference reads a field that holds a reference path, which names a single place; nil means it is absent or wrong.
func (o *object) reference(name string) *jsonpath.Path {
	path := o.pathOf(name)
	if path != nil && !path.IsReference() {
		o.p.errorf(CodeSchema, o.field(name), "Value is not a Reference Path: '%s' may name more than one place", path)
		return nil
	}
	return path
}

// operand reads a path of a choice rule. AWS words its mistakes in another way than those of other fields.
func (o *object) operand(name string) *jsonpath.Path {
	if v, ok := o.v.Get(name); ok && v.Kind() == jsonvalue.String && !strings.HasPrefix(v.Text(), "$") {
		o.p.errorf(CodeSchema, o.field(name), "Value is not a Reference Path: Reference path didn't start with '$'")
		return nil
	}
	return o.reference(name)
}

// pathOf reads a field that holds any path; nil means it is absent or wrong.
func (o *object) pathOf(name string) *jsonpath.Path {
	v, ok := o.v.Get(name)
	switch {
	case !ok:
		return nil
	case v.Kind() != jsonvalue.String:
		o.wrongType(name, "String")
		return nil
	}
	path, err := jsonpath.Parse(v.Text())
	if err != nil {
		o.p.errorf(CodeSchema, o.field(name), "Value must be a valid JSONPath.")
		return nil
	}
	return path
}
