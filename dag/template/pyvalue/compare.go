package pyvalue

import (
	"math"
	"strings"
)

// Compare is a comparison operator: == != < <= > >= in or not in.
func (st *State) Compare(op string, l, r any) (bool, error) {
	for _, v := range []any{l, r} {
		if u, ok := v.(*Undefined); ok {
			return false, u.Err()
		}
	}
	if err := st.Charge(l, r); err != nil {
		return false, err
	}
	switch op {
	case "==":
		return st.Equal(l, r)
	case "!=":
		eq, err := st.Equal(l, r)
		return !eq, err
	case "in":
		return st.contains(r, l)
	case "not in":
		in, err := st.contains(r, l)
		return !in, err
	}
	c, ok, err := st.compareOrder(l, r, 0)
	if err != nil {
		return false, err
	}
	if !ok {
		if isNaN(l) || isNaN(r) {
			return false, nil
		}
		return false, Errorf("%s is not supported between %s and %s", op, TypeName(l), TypeName(r))
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

func isNaN(v any) bool { f, ok := v.(float64); return ok && math.IsNaN(f) }

// Equal is Python's ==.
func (st *State) Equal(l, r any) (bool, error) { return st.equalDepth(l, r, 0) }

func (st *State) equalDepth(l, r any, depth int) (bool, error) {
	if err := st.Step(); err != nil {
		return false, err
	}
	if depth > maxDepth {
		return false, Errorf("a value nests too deeply to be compared")
	}
	if a, af, aInt, ok := Number(l); ok {
		b, bf, bInt, ok := Number(r)
		if aInt && bInt {
			return ok && a == b, nil
		}
		return ok && af == bf, nil
	}
	switch l := l.(type) {
	case nil:
		return r == nil, nil
	case string:
		s, ok := r.(string)
		return ok && s == l, st.Charge(l)
	case *List:
		o, ok := r.(*List)
		if !ok {
			return false, nil
		}
		return st.equalItems(l.Items, o.Items, depth)
	case Tuple:
		o, ok := r.(Tuple)
		if !ok {
			return false, nil
		}
		return st.equalItems(l, o, depth)
	case Range:
		o, ok := r.(Range)
		return ok && l == o, nil
	case *Dict:
		return st.equalDicts(l, r, depth)
	case Comparer:
		c, ok := l.Compare(r)
		return ok && c == 0, nil
	case *Func:
		o, ok := r.(*Func)
		return ok && l == o, nil
	case Object:
		o, ok := r.(Object)
		return ok && sameObject(l, o), nil
	}
	return false, nil
}

// sameObject compares identities; objects that cannot be compared are different.
func sameObject(a, b Object) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	return a == b
}

func (st *State) equalItems(a, b []any, depth int) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if eq, err := st.equalDepth(a[i], b[i], depth+1); err != nil || !eq {
			return false, err
		}
	}
	return true, nil
}

func (st *State) equalDicts(l *Dict, r any, depth int) (bool, error) {
	o, ok := r.(*Dict)
	if !ok || l.Len() != o.Len() {
		return false, nil
	}
	equal := true
	var err error
	l.Each(func(k, v any) bool {
		other, ok := o.Get(k)
		equal = ok
		if ok {
			equal, err = st.equalDepth(v, other, depth+1)
		}
		return equal && err == nil
	})
	return equal && err == nil, err
}

// compareOrder compares two values. It reports false where Python raises a TypeError.
func (st *State) compareOrder(l, r any, depth int) (int, bool, error) {
	if err := st.Step(); err != nil {
		return 0, false, err
	}
	if depth > maxDepth {
		return 0, false, Errorf("a value nests too deeply to be compared")
	}
	if a, af, aInt, ok := Number(l); ok {
		b, bf, bInt, ok := Number(r)
		switch {
		case !ok || math.IsNaN(af) || math.IsNaN(bf):
			return 0, false, nil
		case aInt && bInt:
			return compareOrdered(a, b), true, nil
		}
		return compareOrdered(af, bf), true, nil
	}
	switch l := l.(type) {
	case string:
		if s, ok := r.(string); ok {
			return strings.Compare(l, s), true, nil
		}
	case *List:
		if o, ok := r.(*List); ok {
			return st.orderItems(l.Items, o.Items, depth)
		}
	case Tuple:
		if o, ok := r.(Tuple); ok {
			return st.orderItems(l, o, depth)
		}
	case Comparer:
		c, ok := l.Compare(r)
		return c, ok, nil
	}
	return 0, false, nil
}

func compareOrdered[T int | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (st *State) orderItems(a, b []any, depth int) (int, bool, error) {
	for i := range min(len(a), len(b)) {
		eq, err := st.equalDepth(a[i], b[i], depth+1)
		if err != nil {
			return 0, false, err
		}
		if !eq {
			return st.compareOrder(a[i], b[i], depth+1)
		}
	}
	return compareOrdered(len(a), len(b)), true, nil
}

// contains is "item in container".
func (st *State) contains(container, item any) (bool, error) {
	switch c := container.(type) {
	case string:
		s, ok := item.(string)
		if !ok {
			return false, Errorf("\"in\" of a string needs a string on the left, not %s", TypeName(item))
		}
		return strings.Contains(c, s), nil
	case *Dict:
		if _, ok := hashable(item); !ok {
			return false, Errorf("a value of type %s cannot be a key", TypeName(item))
		}
		_, ok := c.Get(item)
		return ok, nil
	case Range:
		n, ok := item.(int)
		return ok && c.Len() > 0 && n >= min(c.Start, c.Stop) && n <= max(c.Start, c.Stop) && n != c.Stop &&
			(n-c.Start)%c.Step == 0, nil
	case Keyed:
		_, ok, err := c.Item(st, item)
		return ok, err
	}
	items, err := st.Iterate(container)
	if err != nil {
		return false, err
	}
	for _, i := range items {
		if eq, err := st.Equal(i, item); err != nil || eq {
			return eq, err
		}
	}
	return false, nil
}
