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
	items    []*templateNode
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

// Paths calls visit with every path in the template, those in function calls included.
func (t *Template) Paths(visit func(*jsonpath.Path)) { t.root.paths(visit) }

func (n *templateNode) paths(visit func(*jsonpath.Path)) {
	for _, item := range n.items {
		item.paths(visit)
	}
	for _, f := range n.dynamic {
		if f.call != nil {
			f.call.Paths(visit)
		} else {
			visit(f.path)
		}
	}
}

// template compiles a payload template and reports its problems.
func (p *parser) template(v jsonvalue.Value, location string) *Template {
	return &Template{root: p.templateNode(v, location)}
}

func (p *parser) templateNode(v jsonvalue.Value, location string) *templateNode {
	n := &templateNode{constant: v}
	switch v.Kind() {
	case jsonvalue.Array:
		for i, item := range v.Items() {
			n.add(p.templateNode(item, fmt.Sprintf("%s/%d", location, i)))
		}
	case jsonvalue.Object:
		n.keys = []string{}
		for i, item := range v.Items() {
			key := v.Key(i)
			name, dynamic := strings.CutSuffix(key, ".$")
			if !dynamic {
				n.keys = append(n.keys, key)
				n.add(p.templateNode(item, location+"/"+key))
				continue
			}
			if _, both := v.Get(name); both {
				p.errorf(CodeSchema, location, "The field '%s' is given twice, as '%s' and as '%s'", name, name, key)
			}
			if f, ok := p.dynamicField(name, item, location); ok {
				n.dynamic = append(n.dynamic, f)
				n.compute = true
			}
		}
		sortLikeHashMap(n.dynamic)
	default:
	}
	return n
}

func (n *templateNode) add(item *templateNode) {
	n.items = append(n.items, item)
	n.compute = n.compute || item.compute
}

func (p *parser) dynamicField(name string, v jsonvalue.Value, location string) (dynamicField, bool) {
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
		p.errorf(CodeSchema, location, "The value for the field '%s.$' must be a valid JSONPath or a valid intrinsic "+
			"function call", name)
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
