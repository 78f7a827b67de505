package pyvalue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Attr is x.name: an attribute, else an item, else undefined.
func (st *State) Attr(x any, name string) (any, error) {
	if u, ok := x.(*Undefined); ok {
		return nil, u.Err()
	}
	if strings.HasPrefix(name, "__") {
		return nil, Errorf("access to attribute %q of %s is not allowed", name, TypeName(x))
	}
	if o, ok := x.(Object); ok {
		v, ok, err := o.Attr(st, name)
		if ok || err != nil {
			return v, err
		}
	} else if m := st.Method(x, name); m != nil {
		return m, nil
	}
	if v, ok, err := st.lookupItem(x, name); ok || err != nil {
		return v, err
	}
	return st.UndefinedAttr(x, name), nil
}

// UndefinedAttr is the undefined value of an attribute or key that does not exist.
func (st *State) UndefinedAttr(x any, name string) *Undefined {
	var known []string
	what := "attribute"
	switch x := x.(type) {
	case *Dict:
		what = "key"
		x.Each(func(k, _ any) bool {
			if s, ok := k.(string); ok {
				known = append(known, s)
			}
			return true
		})
	case Lister:
		known = x.AttrNames()
	default:
		known = slices.Sorted(maps.Keys(st.methods.of(x)))
	}
	e := Missing(what, name, known)
	e.Msg = fmt.Sprintf("%s has no %s %q", TypeName(x), what, name)
	return NewUndefined(e)
}

// lookupItem is x[key] without slices. It reports false where Python raises a LookupError or TypeError.
func (st *State) lookupItem(x, key any) (any, bool, error) {
	switch x := x.(type) {
	case *Dict:
		v, ok := x.Get(key)
		return v, ok, nil
	case *List:
		return index(x.Items, key)
	case Tuple:
		return index(x, key)
	case *NamedTuple:
		return index(x.Items, key)
	case Range:
		i, ok := key.(int)
		if ok && i < 0 {
			i += x.Len()
		}
		if !ok || i < 0 || i >= x.Len() {
			return nil, false, nil
		}
		return x.Start + i*x.Step, true, nil
	case string:
		if err := st.Charge(x); err != nil {
			return nil, false, err
		}
		runes := []rune(x)
		i, ok := key.(int)
		if ok && i < 0 {
			i += len(runes)
		}
		if !ok || i < 0 || i >= len(runes) {
			return nil, false, nil
		}
		return string(runes[i]), true, nil
	case Keyed:
		return x.Item(st, key)
	}
	return nil, false, nil
}

func index(items []any, key any) (any, bool, error) {
	i, ok := key.(int)
	if ok && i < 0 {
		i += len(items)
	}
	if !ok || i < 0 || i >= len(items) {
		return nil, false, nil
	}
	return items[i], true, nil
}

// Item is x[key]: an item, else for a string an attribute, else undefined.
func (st *State) Item(x, key any) (any, error) {
	if u, ok := key.(*Undefined); ok {
		return nil, u.Err()
	}
	if v, ok, err := st.lookupItem(x, key); ok || err != nil {
		return v, err
	}
	if name, ok := key.(string); ok {
		return st.Attr(x, name)
	}
	k, err := st.Repr(key)
	if err != nil {
		return nil, err
	}
	if n, ok := Len(x); ok && TypeName(key) == "int" {
		if _, dict := x.(*Dict); !dict {
			return NewUndefined(Errorf("index %s is out of range of a %s of length %d", k, TypeName(x), n)), nil
		}
	}
	return NewUndefined(Errorf("%s has no element %s", TypeName(x), k)), nil
}
