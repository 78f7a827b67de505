package pyvalue

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// List is a Python list. Templates may append to it.
type List struct{ Items []any }

// Tuple is a Python tuple.
type Tuple []any

// NamedTuple is a tuple whose items are attributes too.
type NamedTuple struct {
	Fields []string
	Items  Tuple
}

// TypeName is that of a tuple.
func (t *NamedTuple) TypeName() string { return "tuple" }

// AttrNames are the fields.
func (t *NamedTuple) AttrNames() []string { return t.Fields }

// Attr returns the item of a field.
func (t *NamedTuple) Attr(_ *State, name string) (any, bool, error) {
	i := slices.Index(t.Fields, name)
	if i < 0 {
		return nil, false, nil
	}
	return t.Items[i], true, nil
}

// Range is what range() returns.
type Range struct{ Start, Stop, Step int }

// Len is the number of values.
func (r Range) Len() int {
	switch {
	case r.Step > 0 && r.Start < r.Stop:
		return (r.Stop-r.Start-1)/r.Step + 1
	case r.Step < 0 && r.Start > r.Stop:
		return (r.Start-r.Stop-1)/-r.Step + 1
	}
	return 0
}

// Dict is a Python dict: it keeps the order of insertion.
type Dict struct {
	index map[any]int
	keys  []any
	vals  []any
	gone  int // deleted entries still in keys
}

// NewDict returns an empty dict with room for n entries.
func NewDict(n int) *Dict {
	return &Dict{index: make(map[any]int, n), keys: make([]any, 0, n), vals: make([]any, 0, n)}
}

type deleted struct{}

// tupleKey is a tuple as a dict key.
type tupleKey string

// maxKey bounds the text that a tuple is hashed by.
const maxKey = 1 << 14

// hashable turns a key into a comparable value: as in Python 1, 1.0 and True are one key.
func hashable(k any) (any, bool) {
	switch k := k.(type) {
	case bool:
		if k {
			return 1, true
		}
		return 0, true
	case float64:
		if k == math.Trunc(k) && math.Abs(k) < 1<<53 {
			return int(k), true
		}
		return k, true
	case nil, int, string:
		return k, true
	case Tuple:
		var b strings.Builder
		for _, item := range k {
			h, ok := hashable(item)
			if !ok || b.Len() > maxKey {
				return nil, false
			}
			fmt.Fprintf(&b, "%T:%v\x00", h, h)
		}
		return tupleKey(b.String()), true
	case Hasher:
		return k.Hash(), true
	}
	return nil, false
}

// Hasher is an Object that may be a dict key.
type Hasher interface{ Hash() any }

// Get returns the value of a key.
func (d *Dict) Get(key any) (any, bool) {
	h, ok := hashable(key)
	if !ok {
		return nil, false
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// Set stores a value. It reports false for a key that cannot be hashed.
func (d *Dict) Set(key, value any) bool {
	h, ok := hashable(key)
	if !ok {
		return false
	}
	if i, ok := d.index[h]; ok {
		d.vals[i] = value
		return true
	}
	d.index[h] = len(d.keys)
	d.keys, d.vals = append(d.keys, key), append(d.vals, value)
	return true
}

// Delete removes a key.
func (d *Dict) Delete(key any) (any, bool) {
	h, ok := hashable(key)
	if !ok {
		return nil, false
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	v := d.vals[i]
	delete(d.index, h)
	d.keys[i], d.vals[i] = deleted{}, nil
	d.gone++
	return v, true
}

// Len is the number of entries.
func (d *Dict) Len() int { return len(d.keys) - d.gone }

// Each calls visit with every entry in order until it returns false.
func (d *Dict) Each(visit func(key, value any) bool) {
	for i := 0; i < len(d.keys); i++ {
		if _, gone := d.keys[i].(deleted); !gone && !visit(d.keys[i], d.vals[i]) {
			return
		}
	}
}

// Keys lists the keys in order.
func (d *Dict) Keys() []any {
	keys := make([]any, 0, d.Len())
	d.Each(func(k, _ any) bool { keys = append(keys, k); return true })
	return keys
}

// Pairs lists the entries in order as tuples of key and value.
func (d *Dict) Pairs() []any {
	pairs := make([]any, 0, d.Len())
	d.Each(func(k, v any) bool { pairs = append(pairs, Tuple{k, v}); return true })
	return pairs
}

func (d *Dict) clone() *Dict {
	c := NewDict(d.Len())
	d.Each(func(k, v any) bool { return c.Set(k, v) })
	return c
}

// Object is a purpose-built value: a date, a task instance.
type Object interface {
	// TypeName is the name of the type as Python would say it.
	TypeName() string
	// Attr returns an attribute or a method. It reports false when there is none.
	Attr(st *State, name string) (any, bool, error)
}

// Optional abilities of an Object.
type (
	// Lister names the attributes, for "did you mean".
	Lister interface{ AttrNames() []string }
	// Keyed is an object with items: x['key'].
	Keyed interface {
		Item(st *State, key any) (any, bool, error)
	}
	// Stringer is an object with its own str().
	Stringer interface{ Str() string }
	// Representer is an object with its own repr().
	Representer interface{ Repr() string }
	// Truther is an object that may be false.
	Truther interface{ True() bool }
	// Iterator is an object that can be iterated.
	Iterator interface {
		Items(st *State) ([]any, error)
	}
	// Operator is an object with arithmetic. reflected means that the object is the right operand. It reports false
	// when it does not know the operation.
	Operator interface {
		Operate(st *State, op string, other any, reflected bool) (any, bool, error)
	}
	// Comparer is an object with an order. It reports false when the two cannot be compared.
	Comparer interface{ Compare(other any) (int, bool) }
	// AttrSetter is an object whose attributes can be assigned with {% set x.y = 1 %}.
	AttrSetter interface{ SetAttr(name string, v any) }
	// Exporter is an object with a form outside of templates, in native rendering and JSON.
	Exporter interface{ Export() any }
)

// Undefined is the value of a name or key that does not exist. Every use but "is defined" and default is an error.
type Undefined struct {
	err *Error
	// lenient is set for the value of an inline if without else: it prints as nothing, as in Jinja.
	Lenient bool
}

// NewUndefined returns an undefined value with the message of its use.
func NewUndefined(e *Error) *Undefined {
	e.Undefined = true
	return &Undefined{err: e}
}

// Err is the error of its use.
func (u *Undefined) Err() *Error {
	e := *u.err
	return &e
}

// Locate notes where the value comes from, unless it is known.
func (u *Undefined) Locate(line, col int) {
	if u.err.Line == 0 {
		u.err.Line, u.err.Col = line, col
	}
}

// TypeName is the name of a value's type as Python says it.
func TypeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *List:
		return "list"
	case Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case Range:
		return "range"
	case *Func:
		return "function"
	case *Undefined:
		return "undefined"
	case Object:
		return v.TypeName()
	}
	return fmt.Sprintf("%T", v)
}

// Truth is Python's bool().
func Truth(v any) (bool, error) {
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	case int:
		return v != 0, nil
	case float64:
		return v != 0, nil
	case string:
		return v != "", nil
	case *List:
		return len(v.Items) > 0, nil
	case Tuple:
		return len(v) > 0, nil
	case *Dict:
		return v.Len() > 0, nil
	case Range:
		return v.Len() > 0, nil
	case *Undefined:
		if v.Lenient {
			return false, nil
		}
		return false, v.Err()
	case Truther:
		return v.True(), nil
	}
	return true, nil
}

// Len is Python's len(). It reports false for a value without one.
func Len(v any) (int, bool) {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v), true
	case *List:
		return len(v.Items), true
	case Tuple:
		return len(v), true
	case *Dict:
		return v.Len(), true
	case Range:
		return v.Len(), true
	case *view:
		return len(v.items), true
	case *NamedTuple:
		return len(v.Items), true
	}
	return 0, false
}

// Iterate lists the items of a value: those of a list, the keys of a dict, the characters of a string.
func (st *State) Iterate(v any) ([]any, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, st.ReserveItems(len(v.Items))
	case Tuple:
		return v, nil
	case *NamedTuple:
		return v.Items, nil
	case *Dict:
		if err := st.ReserveItems(v.Len()); err != nil {
			return nil, err
		}
		return v.Keys(), nil
	case string:
		n := utf8.RuneCountInString(v)
		if err := st.ReserveItems(n); err != nil {
			return nil, err
		}
		items := make([]any, 0, n)
		for _, r := range v {
			items = append(items, string(r))
		}
		return items, nil
	case Range:
		n := v.Len()
		if err := st.ReserveItems(n); err != nil {
			return nil, err
		}
		items := make([]any, n)
		for i := range items {
			items[i] = v.Start + i*v.Step
		}
		return items, nil
	case Iterator:
		return v.Items(st)
	case *Undefined:
		return nil, v.Err()
	}
	return nil, Errorf("a value of type %s cannot be iterated", TypeName(v))
}

// Unpack lists the items of a value, which must be n: a, b = v.
func (st *State) Unpack(v any, n int) ([]any, error) {
	items, err := st.Iterate(v)
	if err == nil && len(items) != n {
		err = Errorf("%s to unpack into %s", plural(len(items), "value"), plural(n, "name"))
	}
	return items, err
}
