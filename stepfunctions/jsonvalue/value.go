// Package jsonvalue holds JSON values the way AWS Step Functions treats them: objects keep the order of their keys and
// numbers keep their literal text, so that what goes in comes out unchanged (0.0 stays 0.0).
//
// A [Value] is immutable: every method that changes something returns a new value that shares what did not change.
// Values may therefore be kept, copied and used by many goroutines freely.
package jsonvalue

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Kind is the JSON type of a value.
type Kind uint8

// The six JSON types. The zero Value is null.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String returns the type's name as JSONata and AWS's messages write it: null, boolean, number, string, array, object.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "boolean"
	case Number:
		return "number"
	case String:
		return "string"
	case Array:
		return "array"
	case Object:
		return "object"
	}
	return "unknown"
}

// indexFrom is the object size from which keys are found through a map; below it a scan is faster.
const indexFrom = 16

// Value is one JSON value. Its zero value is null.
type Value struct {
	kind Kind
	flag bool
	text string
	node *node
}

// node is the content of an array (keys is nil) or an object.
type node struct {
	keys  []string
	items []Value
	index map[string]int
}

// NewBool returns true or false.
func NewBool(b bool) Value { return Value{kind: Bool, flag: b} }

// NewString returns a string.
func NewString(s string) Value { return Value{kind: String, text: s} }

// NewInt returns an integer number.
func NewInt(n int64) Value { return Value{kind: Number, text: strconv.FormatInt(n, 10)} }

// NewFloat returns a number in its shortest form; a whole number is written without a fraction.
func NewFloat(f float64) Value {
	return Value{kind: Number, text: strconv.FormatFloat(f, 'g', -1, 64)}
}

// NewArray returns an array of the given items, which must not be changed afterwards.
func NewArray(items []Value) Value { return Value{kind: Array, node: &node{items: items}} }

// EmptyObject returns {}.
func EmptyObject() Value { return Value{kind: Object, node: &node{}} }

// Kind returns the JSON type.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether the value is null.
func (v Value) IsNull() bool { return v.kind == Null }

// Bool returns the boolean; false for every other type.
func (v Value) Bool() bool { return v.kind == Bool && v.flag }

// Text returns the content of a string or the literal of a number; "" for every other type.
func (v Value) Text() string { return v.text }

// Len returns the number of items of an array or of fields of an object; 0 for every other type.
func (v Value) Len() int {
	if v.node == nil {
		return 0
	}
	return len(v.node.items)
}

// At returns the i-th item of an array or the i-th field's value of an object.
func (v Value) At(i int) Value { return v.node.items[i] }

// Key returns the name of the i-th field of an object.
func (v Value) Key(i int) string { return v.node.keys[i] }

// Items returns the items of an array, or the field values of an object. The slice must not be changed.
func (v Value) Items() []Value {
	if v.node == nil {
		return nil
	}
	return v.node.items
}

// Get returns the field of an object.
func (v Value) Get(key string) (Value, bool) {
	if v.kind != Object {
		return Value{}, false
	}
	if i := v.node.find(key); i >= 0 {
		return v.node.items[i], true
	}
	return Value{}, false
}

func (n *node) find(key string) int {
	if n.index != nil {
		if i, ok := n.index[key]; ok {
			return i
		}
		return -1
	}
	return slices.Index(n.keys, key)
}

// Float returns the number as a float64; ok is false for every other type.
func (v Value) Float() (f float64, ok bool) {
	if v.kind != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	// Out of range yields an infinity, which orders correctly against every finite number.
	return f, err == nil || f != 0
}

// Int returns the number when it is a whole number that fits an int64. 3.0 counts as whole.
func (v Value) Int() (int64, bool) {
	if v.kind != Number {
		return 0, false
	}
	if n, err := strconv.ParseInt(v.text, 10, 64); err == nil {
		return n, true
	}
	f, ok := v.Float()
	if !ok || f != float64(int64(f)) || f >= 1<<63 || f < -1<<63 {
		return 0, false
	}
	return int64(f), true
}

// IsIntLiteral reports whether the value is a number written without fraction and exponent.
func (v Value) IsIntLiteral() bool {
	return v.kind == Number && !strings.ContainsAny(v.text, ".eE")
}

// With returns a copy of an object with the field set: in place when it exists, appended otherwise.
func (v Value) With(key string, item Value) Value {
	b := NewObjectBuilder(v.Len() + 1)
	for i := range v.Len() {
		b.Set(v.Key(i), v.At(i))
	}
	b.Set(key, item)
	return b.Value()
}

// WithItem returns a copy of an array with the i-th item replaced.
func (v Value) WithItem(i int, item Value) Value {
	items := slices.Clone(v.node.items)
	items[i] = item
	return NewArray(items)
}

// Equal reports deep equality: objects regardless of key order, numbers by value.
func Equal(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case Null:
		return true
	case Bool:
		return a.flag == b.flag
	case Number:
		return CompareNumbers(a, b) == 0
	case String:
		return a.text == b.text
	}
	if a.Len() != b.Len() {
		return false
	}
	for i, item := range a.Items() {
		if a.kind == Array {
			if !Equal(item, b.At(i)) {
				return false
			}
			continue
		}
		if other, ok := b.Get(a.Key(i)); !ok || !Equal(item, other) {
			return false
		}
	}
	return true
}

// CompareNumbers orders two numbers: -1, 0 or +1. Integers of any size are compared exactly.
func CompareNumbers(a, b Value) int {
	if a.text == b.text {
		return 0
	}
	if a.IsIntLiteral() && b.IsIntLiteral() && (len(a.text) > 15 || len(b.text) > 15) {
		x, okX := new(big.Int).SetString(a.text, 10)
		y, okY := new(big.Int).SetString(b.text, 10)
		if okX && okY {
			return x.Cmp(y)
		}
	}
	x, _ := a.Float()
	y, _ := b.Float()
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// ObjectBuilder collects the fields of an object in order. A field set twice keeps its first place and its last value.
type ObjectBuilder struct{ n *node }

// NewObjectBuilder returns a builder with room for size fields.
func NewObjectBuilder(size int) *ObjectBuilder {
	return &ObjectBuilder{n: &node{keys: make([]string, 0, size), items: make([]Value, 0, size)}}
}

// Set adds or replaces a field and returns the builder.
func (b *ObjectBuilder) Set(key string, v Value) *ObjectBuilder {
	if i := b.n.find(key); i >= 0 {
		b.n.items[i] = v
		return b
	}
	b.n.keys = append(b.n.keys, key)
	b.n.items = append(b.n.items, v)
	if b.n.index != nil {
		b.n.index[key] = len(b.n.keys) - 1
	} else if len(b.n.keys) > indexFrom {
		b.n.index = make(map[string]int, 2*len(b.n.keys))
		for i, k := range b.n.keys {
			b.n.index[k] = i
		}
	}
	return b
}

// Value returns the object; the builder must not be used afterwards.
func (b *ObjectBuilder) Value() Value { return Value{kind: Object, node: b.n} }

// String returns the compact JSON text.
func (v Value) String() string {
	if v.kind == Number {
		return v.text
	}
	return string(v.Append(nil))
}

// Append appends the compact JSON text to dst.
func (v Value) Append(dst []byte) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(dst, v.flag)
	case Number:
		return append(dst, v.text...)
	case String:
		return AppendString(dst, v.text)
	case Array:
		dst = append(dst, '[')
		for i, item := range v.node.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.Append(dst)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i, item := range v.node.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendString(dst, v.node.keys[i]), ':')
			dst = item.Append(dst)
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

const upperHex = "0123456789ABCDEF"

// AppendString appends s as a JSON string; only quotes, backslashes and control characters are escaped.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}

// MarshalJSON writes the compact text, so that a value can sit inside encoding/json structures.
func (v Value) MarshalJSON() ([]byte, error) { return v.Append(nil), nil }

// UnmarshalJSON reads any JSON text.
func (v *Value) UnmarshalJSON(data []byte) error {
	parsed, err := Parse(string(data))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}
