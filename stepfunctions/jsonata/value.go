package jsonata

import (
	"gust/stepfunctions/jsonvalue"
)

// kind is the type of a value while an expression runs.
type kind uint8

const (
	kindUndefined kind = iota
	kindNull
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
	kindFunction
)

// marks tell what an array means to the path rules.
type marks uint8

const (
	// markSequence is a result sequence: when it holds one item it stands for that item, when it is empty it is undefined.
	markSequence marks = 1 << iota
	// markKeep keeps a sequence of one item an array.
	markKeep
	// markCons is an array written with brackets: a path step does not flatten it.
	markCons
	// markOuter is the sequence of one item that the evaluator puts round an input array.
	markOuter
	// markTuples is a stream of tuples: items with the variables bound on the way to them.
	markTuples
	// markPassed is a function that came as an argument: it is called without a context value.
	markPassed
)

// value is anything an expression can compute. Its zero value is undefined.
type value struct {
	kind  kind
	marks marks
	// num is the number, or 1 for true.
	num float64
	// str is the string. For a number that came from outside it is the literal, which goes out unchanged.
	str  string
	node *node
}

// node is the content of an array, an object or a function. It is shared by values and changed only by the transform
// operator, on its own copy.
type node struct {
	items []value
	// keys are an object's names; index finds them when there are many.
	keys  []string
	index map[string]int
	// source is the JSON the content is loaded from when it is first needed; unloaded says that is yet to come, changed
	// that source no longer tells the content.
	source            jsonvalue.Value
	unloaded, changed bool
	// room says that the spare capacity of items belongs to this array alone; see append.
	room   bool
	tuples []tuple
	fn     *callable
}

// indexFrom is the object size from which keys are found through a map; below it a scan is faster.
const indexFrom = 16

// valueBytes is what one value costs in the memory bound.
const valueBytes = 48

var (
	nullValue  = value{kind: kindNull}
	trueValue  = value{kind: kindBool, num: 1}
	falseValue = value{kind: kindBool}
)

func boolValue(b bool) value {
	if b {
		return trueValue
	}
	return falseValue
}

func numberValue(f float64) value { return value{kind: kindNumber, num: f} }

func stringValue(s string) value { return value{kind: kindString, str: s} }

func arrayValue(items []value) value { return value{kind: kindArray, node: &node{items: items}} }

// sequenceValue returns a result sequence of the items.
func sequenceValue(items []value) value {
	return value{kind: kindArray, marks: markSequence, node: &node{items: items}}
}

func functionValue(fn *callable) value { return value{kind: kindFunction, node: &node{fn: fn}} }

func (v value) defined() bool { return v.kind != kindUndefined }
func (v value) isTrue() bool  { return v.kind == kindBool && v.num != 0 }

// items returns the content of an array.
func (v value) items() []value {
	if v.kind != kindArray {
		return nil
	}
	v.node.load()
	return v.node.items
}

// length is the number of items or fields, without loading them.
func (v value) length() int {
	switch {
	case v.kind != kindArray && v.kind != kindObject:
		return 0
	case v.node.unloaded:
		return v.node.source.Len()
	default:
		return len(v.node.items)
	}
}

// field returns an object's field.
func (v value) field(name string) (value, bool) {
	n := v.node
	if n.unloaded {
		item, ok := n.source.Get(name)
		if !ok {
			return value{}, false
		}
		return fromJSON(item), true
	}
	if i := n.find(name); i >= 0 {
		return n.items[i], true
	}
	return value{}, false
}

func (n *node) find(name string) int {
	if n.index != nil {
		if i, ok := n.index[name]; ok {
			return i
		}
		return -1
	}
	for i, key := range n.keys {
		if key == name {
			return i
		}
	}
	return -1
}

// set adds or replaces an object's field; a replaced field keeps its place.
func (n *node) set(name string, v value) {
	n.changed = true
	if i := n.find(name); i >= 0 {
		n.items[i] = v
		return
	}
	n.keys = append(n.keys, name)
	n.items = append(n.items, v)
	if n.index != nil {
		n.index[name] = len(n.keys) - 1
	} else if len(n.keys) > indexFrom {
		n.reindex()
	}
}

func (n *node) reindex() {
	n.index = make(map[string]int, 2*len(n.keys))
	for i, key := range n.keys {
		n.index[key] = i
	}
}

// remove drops an object's field.
func (n *node) remove(name string) {
	i := n.find(name)
	if i < 0 {
		return
	}
	n.changed = true
	n.keys = append(n.keys[:i:i], n.keys[i+1:]...)
	n.items = append(n.items[:i:i], n.items[i+1:]...)
	if n.index != nil {
		n.reindex()
	}
}

// load fills the content from the source. The containers one level below are allocated together.
func (n *node) load() {
	if !n.unloaded {
		return
	}
	n.unloaded = false
	source := n.source
	size := source.Len()
	n.items = make([]value, size)
	containers := 0
	for _, item := range source.Items() {
		if k := item.Kind(); k == jsonvalue.Array || k == jsonvalue.Object {
			containers++
		}
	}
	slab := make([]node, containers)
	for i, item := range source.Items() {
		switch item.Kind() {
		case jsonvalue.Array, jsonvalue.Object:
			slab[0] = node{source: item, unloaded: true}
			n.items[i] = value{kind: containerKind(item), node: &slab[0]}
			slab = slab[1:]
		default:
			n.items[i] = fromJSON(item)
		}
	}
	if source.Kind() == jsonvalue.Object {
		n.keys = make([]string, size)
		for i := range size {
			n.keys[i] = source.Key(i)
		}
		if size > indexFrom {
			n.reindex()
		}
	}
}

func containerKind(v jsonvalue.Value) kind {
	if v.Kind() == jsonvalue.Object {
		return kindObject
	}
	return kindArray
}

// fromJSON returns the value of a JSON value; arrays and objects are loaded when they are first looked into.
func fromJSON(v jsonvalue.Value) value {
	switch v.Kind() {
	case jsonvalue.Bool:
		return boolValue(v.Bool())
	case jsonvalue.Number:
		f, _ := v.Float()
		return value{kind: kindNumber, num: f, str: v.Text()}
	case jsonvalue.String:
		return stringValue(v.Text())
	case jsonvalue.Array, jsonvalue.Object:
		return value{kind: containerKind(v), node: &node{source: v, unloaded: true}}
	default:
		return nullValue
	}
}

// export returns the JSON of a value. Values may share their parts, so that writing them out is
// bounded work.
func (ev *evaluator) export(v value, depth int) (jsonvalue.Value, error) {
	switch v.kind {
	case kindBool:
		return jsonvalue.NewBool(v.num != 0), nil
	case kindNumber:
		return numberJSON(v), nil
	case kindString:
		return jsonvalue.NewString(valid(v.str)), nil
	case kindFunction:
		return jsonvalue.Value{}, ErrFunctionResult
	case kindArray, kindObject:
		if v.node.untouched() {
			return v.node.source, nil
		}
	default:
		return jsonvalue.Value{}, nil
	}
	if depth >= jsonvalue.MaxDepth {
		return jsonvalue.Value{}, bound(tooDeep, 0)
	}
	n := v.node
	if err := ev.spend(len(n.items)); err != nil {
		return jsonvalue.Value{}, err
	}
	if v.kind == kindArray {
		items := make([]jsonvalue.Value, len(n.items))
		for i, item := range n.items {
			var err error
			if items[i], err = ev.export(item, depth+1); err != nil {
				return jsonvalue.Value{}, err
			}
		}
		return jsonvalue.NewArray(items), nil
	}
	b := jsonvalue.NewObjectBuilder(len(n.keys))
	for i, key := range n.keys {
		item, err := ev.export(n.items[i], depth+1)
		if err != nil {
			return jsonvalue.Value{}, err
		}
		b.Set(valid(key), item)
	}
	return b.Value(), nil
}

// same reports whether two nodes are one and the same array, object or function, or stand for the same piece of JSON.
func (n *node) same(other *node) bool {
	return n == other || (n.untouched() && other.untouched() && n.source == other.source)
}

// untouched reports whether the source still tells the content.
func (n *node) untouched() bool {
	return n.unloaded || (!n.changed && n.source.Kind() != jsonvalue.Null)
}

// typeName is what $type answers.
func (v value) typeName() string {
	switch v.kind {
	case kindNull:
		return "null"
	case kindBool:
		return "boolean"
	case kindNumber:
		return "number"
	case kindString:
		return "string"
	case kindArray:
		return "array"
	case kindObject:
		return "object"
	case kindFunction:
		return "function"
	default:
		return "undefined"
	}
}
