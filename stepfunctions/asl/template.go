package asl

import (
	"fmt"
	"slices"
	"strings"

	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// Template is a payload template: JSON in which a field "x.$" stands for a field "x" whose value a path or an intrinsic
// function yields.
type Template struct{ root *templateNode }

// Evaluator is what [Template.Eval] needs beyond paths and functions when the template belongs to a JSONata state: its
// [intrinsic.Env] must also be an Evaluator.
type Evaluator interface {
	// Evaluate yields the value of an expression. Undefined is an error.
	Evaluate(e *Expression) (jsonvalue.Value, error)
}

// templateNode is a constant, an expression, or an array or object with something dynamic inside.
type templateNode struct {
	constant   jsonvalue.Value
	expression *Expression
	items      []*templateNode
	// keys names the items of an object; nil for an array.
	keys []string
	// dynamic are the ".$" fields in the order in which they join the object.
	dynamic []dynamicField
	compute bool
}

type dynamicField struct {
	name string
	path *jsonpath.Path
	call *intrinsic.Call
}

// FieldError is a ".$" field that could not be evaluated.
type FieldError struct {
	// Field is the field's name as it was written, with ".$".
	Field string
	// Path is the path that found nothing; nil when a function failed.
	Path *jsonpath.Path
	// Err is the reason.
	Err error
}

// Error names the field and the reason.
func (e *FieldError) Error() string { return fmt.Sprintf("field %s: %v", e.Field, e.Err) }

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

// Eval builds the value. Its error is a [*FieldError], or that of [Evaluator.Evaluate] in a JSONata state.
//
// The order of an object's fields is AWS's: constant fields first, as written, then the dynamic ones in the order in
// which a Java hash map yields their names.
func (t *Template) Eval(env intrinsic.Env) (jsonvalue.Value, error) { return t.root.eval(env) }

// Expression returns the expression that the whole template is, nil when it is JSON around expressions or constant.
func (t *Template) Expression() *Expression { return t.root.expression }

func (n *templateNode) eval(env intrinsic.Env) (jsonvalue.Value, error) {
	if !n.compute {
		return n.constant, nil
	}
	if n.expression != nil {
		evaluator, ok := env.(Evaluator)
		if !ok {
			return jsonvalue.Value{}, fmt.Errorf("the environment %T of a JSONata template cannot evaluate expressions", env)
		}
		return evaluator.Evaluate(n.expression)
	}
	if n.keys == nil && n.dynamic == nil {
		items := make([]jsonvalue.Value, len(n.items))
		for i, item := range n.items {
			var err error
			if items[i], err = item.eval(env); err != nil {
				return jsonvalue.Value{}, err
			}
		}
		return jsonvalue.NewArray(items), nil
	}
	b := jsonvalue.NewObjectBuilder(len(n.items) + len(n.dynamic))
	for i, item := range n.items {
		v, err := item.eval(env)
		if err != nil {
			return jsonvalue.Value{}, err
		}
		b.Set(n.keys[i], v)
	}
	for _, f := range n.dynamic {
		v, err := f.eval(env)
		if err != nil {
			return jsonvalue.Value{}, &FieldError{Field: f.name + ".$", Path: f.path, Err: err}
		}
		b.Set(f.name, v)
	}
	return b.Value(), nil
}

func (f *dynamicField) eval(env intrinsic.Env) (jsonvalue.Value, error) {
	if f.call != nil {
		return f.call.Eval(env)
	}
	return env.Resolve(f.path)
}

// visit calls the functions with every path and expression in the template, those in function calls included.
func (t *Template) visit(path func(*jsonpath.Path), expression func(*Expression)) {
	if t != nil {
		t.root.visit(path, expression)
	}
}

func (n *templateNode) visit(path func(*jsonpath.Path), expression func(*Expression)) {
	if n.expression != nil {
		expression(n.expression)
	}
	for _, item := range n.items {
		item.visit(path, expression)
	}
	for _, f := range n.dynamic {
		if f.call != nil {
			f.call.Paths(path)
		} else {
			path(f.path)
		}
	}
}

// template compiles a field that is a payload template, or JSON with expressions in a JSONata state; nil when it is absent.
func (o *object) template(name string) *Template {
	v, ok := o.v.Get(name)
	if !ok {
		return nil
	}
	return o.templateOf(v, o.field(name))
}

func (o *object) templateOf(v jsonvalue.Value, location string) *Template {
	if o.language == JSONata {
		return &Template{root: o.expressionNode(v, location)}
	}
	return &Template{root: o.templateNode(v, location)}
}

// expressionNode compiles JSON whose strings may be expressions.
func (o *object) expressionNode(v jsonvalue.Value, location string) *templateNode {
	n := &templateNode{constant: v}
	switch v.Kind() {
	case jsonvalue.String:
		if o.isExpression(v.Text(), location) {
			n.expression = o.expression(v.Text(), location)
			n.compute = n.expression != nil
		}
	case jsonvalue.Array:
		for i, item := range v.Items() {
			n.add(o.expressionNode(item, indexed(location, i)))
		}
	case jsonvalue.Object:
		n.keys = []string{}
		for i, item := range v.Items() {
			n.keys = append(n.keys, v.Key(i))
			n.add(o.expressionNode(item, location+"/"+v.Key(i)))
		}
	default:
	}
	return n
}

func (o *object) templateNode(v jsonvalue.Value, location string) *templateNode {
	n := &templateNode{constant: v}
	switch v.Kind() {
	case jsonvalue.Array:
		for i, item := range v.Items() {
			n.add(o.templateNode(item, indexed(location, i)))
		}
	case jsonvalue.Object:
		n.keys = []string{}
		for i, item := range v.Items() {
			key := v.Key(i)
			name, dynamic := strings.CutSuffix(key, ".$")
			if !dynamic {
				n.keys = append(n.keys, key)
				n.add(o.templateNode(item, location+"/"+key))
				if item.Kind() == jsonvalue.String && looksComputed(item.Text()) {
					o.p.warnf(CodeNoDollar, location+"/"+key, "The value of the field '%s' looks like a JSONPath or intrinsic "+
						"function but is not evaluated; call the field '%s.$'", key, key)
				}
				continue
			}
			if _, both := v.Get(name); both {
				o.p.errorf(CodeSchema, location, "The field '%s' is given twice, as '%s' and as '%s'", name, name, key)
			}
			if f, ok := o.dynamicField(name, item, location); ok {
				n.dynamic = append(n.dynamic, f)
				n.compute = true
			}
		}
		sortLikeHashMap(n.dynamic)
	default:
	}
	return n
}

// looksComputed reports whether a plain text looks as if it should be evaluated.
func looksComputed(text string) bool {
	if intrinsic.Is(text) {
		_, err := intrinsic.Parse(text)
		return err == nil
	}
	if !strings.HasPrefix(text, "$") {
		return false
	}
	_, err := jsonpath.Parse(text)
	return err == nil
}

func (n *templateNode) add(item *templateNode) {
	n.items = append(n.items, item)
	n.compute = n.compute || item.compute
}

func (o *object) dynamicField(name string, v jsonvalue.Value, location string) (dynamicField, bool) {
	f := dynamicField{name: name}
	var err error
	switch {
	case v.Kind() != jsonvalue.String:
		err = fmt.Errorf("it is a %s", v.Kind())
	case intrinsic.Is(v.Text()):
		f.call, err = intrinsic.Parse(v.Text())
	default:
		f.path, err = jsonpath.Parse(v.Text())
	}
	if err != nil {
		o.p.errorf(CodeSchema, location, "The value for the field '%s.$' must be a valid JSONPath or a valid intrinsic "+
			"function call", name)
		o.p.place(location + "/" + name + ".$")
		return f, false
	}
	return f, true
}

// sortLikeHashMap orders fields as java.util.HashMap iterates over their names, which is what AWS's outputs show. The
// order inside a bucket is that of insertion.
func sortLikeHashMap(fields []dynamicField) {
	capacity := uint32(16)
	for uint32(len(fields))*4 > capacity*3 {
		capacity *= 2
	}
	bucket := func(f dynamicField) uint32 {
		var h uint32
		for _, r := range f.name {
			if r > 0xFFFF {
				r -= 0x10000
				h = 31*h + 0xD800 + uint32(r>>10)
				r = 0xDC00 + r&0x3FF
			}
			h = 31*h + uint32(r)
		}
		return (h ^ h>>16) & (capacity - 1)
	}
	slices.SortStableFunc(fields, func(a, b dynamicField) int { return int(bucket(a)) - int(bucket(b)) })
}
