package pyvalue

import "slices"

// methodOf is a method of a built-in type: a Func without its receiver.
type methodOf struct {
	params []Param
	rest   bool
	kw     bool
	do     func(st *State, self any, a Args) (any, error)
}

// Methods are the methods of the built-in types, by type. They are immutable: make them once.
type Methods struct{ str, list, tuple, dict, integer, float map[string]methodOf }

// NewMethods returns the methods of Python's types.
func NewMethods() *Methods {
	return &Methods{strMethods(), listMethods(), tupleMethods(), dictMethods(), intMethods(), floatMethods()}
}

func (m *Methods) of(x any) map[string]methodOf {
	switch x.(type) {
	case string:
		return m.str
	case *List:
		return m.list
	case Tuple:
		return m.tuple
	case *Dict:
		return m.dict
	case int, bool:
		return m.integer
	case float64:
		return m.float
	}
	return nil
}

// Method binds a method of a built-in value, or returns nil.
func (st *State) Method(x any, name string) *Func {
	m, ok := st.methods.of(x)[name]
	if !ok {
		return nil
	}
	return &Func{Name: name, Params: m.params, TakesRest: m.rest, TakesKw: m.kw,
		Do: func(st *State, a Args) (any, error) {
			if err := st.Charge(x); err != nil {
				return nil, err
			}
			return m.do(st, x, a)
		}}
}

func intMethods() map[string]methodOf {
	return map[string]methodOf{
		"bit_length": {do: func(_ *State, self any, _ Args) (any, error) {
			n, err := Int(self, "the number")
			bits := 0
			for n = max(n, -n); n > 0; n >>= 1 {
				bits++
			}
			return bits, err
		}},
	}
}

func floatMethods() map[string]methodOf {
	return map[string]methodOf{
		"is_integer": {do: func(_ *State, self any, _ Args) (any, error) {
			f, err := Float(self, "the number")
			return f == float64(int(f)), err
		}},
	}
}

func tupleMethods() map[string]methodOf {
	return map[string]methodOf{
		"index": {params: []Param{Req("value")}, do: func(st *State, self any, a Args) (any, error) {
			return st.indexOf(self, a.Values[0])
		}},
		"count": {params: []Param{Req("value")}, do: func(st *State, self any, a Args) (any, error) {
			return st.countOf(self, a.Values[0])
		}},
	}
}

func (st *State) indexOf(seq, v any) (any, error) {
	items, err := st.Iterate(seq)
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if eq, err := st.Equal(item, v); err != nil || eq {
			return i, err
		}
	}
	text, err := st.Repr(v)
	if err != nil {
		return nil, err
	}
	return nil, Errorf("%s is not in the %s", text, TypeName(seq))
}

func (st *State) countOf(seq, v any) (any, error) {
	items, err := st.Iterate(seq)
	n := 0
	for _, item := range items {
		eq, err := st.Equal(item, v)
		if err != nil {
			return nil, err
		}
		if eq {
			n++
		}
	}
	return n, err
}

func listMethods() map[string]methodOf {
	shared := tupleMethods()
	return map[string]methodOf{
		"index":   shared["index"],
		"count":   shared["count"],
		"append":  {params: []Param{Req("value")}, do: onList(appendItem)},
		"extend":  {params: []Param{Req("iterable")}, do: onList(extendList)},
		"insert":  {params: []Param{Req("index"), Req("value")}, do: onList(insertItem)},
		"pop":     {params: []Param{Opt("index", -1)}, do: onList(popItem)},
		"remove":  {params: []Param{Req("value")}, do: onList(removeItem)},
		"reverse": {do: onList(func(_ *State, l *List, _ []any) (any, error) { slices.Reverse(l.Items); return nil, nil })},
		"sort":    {params: []Param{Opt("reverse", false)}, do: onList(sortList)},
		"clear":   {do: onList(func(_ *State, l *List, _ []any) (any, error) { l.Items = nil; return nil, nil })},
		"copy": {do: onList(func(_ *State, l *List, _ []any) (any, error) {
			return &List{slices.Clone(l.Items)}, nil
		})},
	}
}

func onList(f func(st *State, l *List, a []any) (any, error)) func(*State, any, Args) (any, error) {
	return func(st *State, self any, a Args) (any, error) {
		l, ok := self.(*List)
		if !ok {
			return nil, Errorf("expected a list, not %s", TypeName(self))
		}
		return f(st, l, a.Values)
	}
}

func appendItem(st *State, l *List, a []any) (any, error) {
	if err := st.ReserveItems(len(l.Items) + 1); err != nil {
		return nil, err
	}
	l.Items = append(l.Items, a[0])
	return nil, nil
}

func extendList(st *State, l *List, a []any) (any, error) {
	more, err := st.Iterate(a[0])
	if err == nil {
		err = st.ReserveItems(len(l.Items) + len(more))
	}
	if err == nil {
		l.Items = append(l.Items, more...)
	}
	return nil, err
}

func insertItem(st *State, l *List, a []any) (any, error) {
	i, err := Int(a[0], "the index")
	if err == nil {
		err = st.ReserveItems(len(l.Items) + 1)
	}
	if err != nil {
		return nil, err
	}
	if i < 0 {
		i += len(l.Items)
	}
	l.Items = slices.Insert(l.Items, max(0, min(i, len(l.Items))), a[1])
	return nil, nil
}

func popItem(_ *State, l *List, a []any) (any, error) {
	i, err := Int(a[0], "the index")
	if err != nil {
		return nil, err
	}
	if i < 0 {
		i += len(l.Items)
	}
	if i < 0 || i >= len(l.Items) {
		return nil, Errorf("the index of pop() is out of range of a list of length %d", len(l.Items))
	}
	v := l.Items[i]
	l.Items = slices.Delete(l.Items, i, i+1)
	return v, nil
}

func removeItem(st *State, l *List, a []any) (any, error) {
	found, err := st.indexOf(l, a[0])
	if i, ok := found.(int); ok {
		l.Items = slices.Delete(l.Items, i, i+1)
	}
	return nil, err
}

func sortList(st *State, l *List, a []any) (any, error) {
	reverse, err := Truth(a[0])
	if err != nil {
		return nil, err
	}
	l.Items, err = st.sorted(l.Items, reverse)
	return nil, err
}

// sorted returns the items in their order. The sort is stable.
func (st *State) sorted(items []any, reverse bool) ([]any, error) {
	order, err := st.Order(items, reverse)
	out := make([]any, len(items))
	for i, j := range order {
		out[i] = items[j]
	}
	return out, err
}

// Order returns the indices of keys in the order of the keys. The sort is stable.
func (st *State) Order(keys []any, reverse bool) ([]int, error) {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	var failed error
	slices.SortStableFunc(order, func(a, b int) int {
		if failed != nil {
			return 0
		}
		if reverse {
			a, b = b, a
		}
		less, err := st.Compare("<", keys[a], keys[b])
		if err == nil && !less {
			var greater bool
			if greater, err = st.Compare("<", keys[b], keys[a]); greater {
				return 1
			}
		}
		failed = err
		if less {
			return -1
		}
		return 0
	})
	return order, failed
}

func dictMethods() map[string]methodOf {
	return map[string]methodOf{
		"get": {params: []Param{Req("key"), Opt("default", nil)}, do: onDict(func(_ *State, d *Dict, a Args) (any, error) {
			if v, ok := d.Get(a.Values[0]); ok {
				return v, nil
			}
			return a.Values[1], nil
		})},
		"items": {do: onDict(func(_ *State, d *Dict, _ Args) (any, error) {
			return &view{"dict_items", d.Pairs()}, nil
		})},
		"keys": {do: onDict(func(_ *State, d *Dict, _ Args) (any, error) { return &view{"dict_keys", d.Keys()}, nil })},
		"values": {do: onDict(func(_ *State, d *Dict, _ Args) (any, error) {
			items := make([]any, 0, d.Len())
			d.Each(func(_, v any) bool { items = append(items, v); return true })
			return &view{"dict_values", items}, nil
		})},
		"copy":  {do: onDict(func(_ *State, d *Dict, _ Args) (any, error) { return d.clone(), nil })},
		"clear": {do: onDict(func(_ *State, d *Dict, _ Args) (any, error) { *d = *NewDict(0); return nil, nil })},
		"pop": {params: []Param{Req("key"), Opt("default", Unset{})}, do: onDict(func(_ *State, d *Dict, a Args) (any,
			error) {
			if v, ok := d.Delete(a.Values[0]); ok {
				return v, nil
			}
			if _, none := a.Values[1].(Unset); none {
				return nil, Errorf("the key of pop() is not in the dict")
			}
			return a.Values[1], nil
		})},
		"setdefault": {params: []Param{Req("key"), Opt("default", nil)},
			do: onDict(func(st *State, d *Dict, a Args) (any, error) {
				if v, ok := d.Get(a.Values[0]); ok {
					return v, nil
				}
				return a.Values[1], st.put(d, a.Values[0], a.Values[1])
			})},
		"update": {params: []Param{Opt("other", nil)}, kw: true, do: onDict(func(st *State, d *Dict, a Args) (any, error) {
			for _, other := range []any{a.Values[0], a.Kw} {
				if err := st.Merge(d, other); err != nil {
					return nil, err
				}
			}
			return nil, nil
		})},
	}
}

func onDict(f func(st *State, d *Dict, a Args) (any, error)) func(*State, any, Args) (any, error) {
	return func(st *State, self any, a Args) (any, error) {
		d, ok := self.(*Dict)
		if !ok {
			return nil, Errorf("expected a dict, not %s", TypeName(self))
		}
		return f(st, d, a)
	}
}

// put stores an entry within the limits.
func (st *State) put(d *Dict, k, v any) error {
	if err := st.ReserveItems(d.Len() + 1); err != nil {
		return err
	}
	if !d.Set(k, v) {
		return Errorf("a value of type %s cannot be a key", TypeName(k))
	}
	return nil
}

// Merge adds the entries of a dict, or of a list of pairs, to d.
func (st *State) Merge(d *Dict, other any) error {
	if other == nil {
		return nil
	}
	if o, ok := other.(*Dict); ok {
		var err error
		o.Each(func(k, v any) bool { err = st.put(d, k, v); return err == nil })
		return err
	}
	pairs, err := st.Iterate(other)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		kv, err := st.Iterate(p)
		if err != nil {
			return err
		}
		if len(kv) != 2 {
			return Errorf("expected pairs of a key and a value, got %s", plural(len(kv), "item"))
		}
		if err := st.put(d, kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

// view is what dict.items(), keys() and values() return.
type view struct {
	name  string
	items []any
}

func (v *view) TypeName() string                       { return v.name }
func (v *view) Attr(*State, string) (any, bool, error) { return nil, false, nil }
func (v *view) Items(*State) ([]any, error)            { return v.items, nil }
func (v *view) True() bool                             { return len(v.items) > 0 }
func (v *view) Export() any                            { out, _ := exportItems(v.items, 0); return out }
