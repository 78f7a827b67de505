package jinja

import (
	"strconv"
	"strings"
)

// path reads the attribute argument of a filter: a name, a number, or names joined by dots.
func path(v any) ([]any, error) {
	switch v := v.(type) {
	case int:
		return []any{v}, nil
	case string:
		var parts []any
		for p := range strings.SplitSeq(v, ".") {
			if n, err := strconv.Atoi(p); err == nil {
				parts = append(parts, n)
			} else {
				parts = append(parts, p)
			}
		}
		return parts, nil
	}
	return nil, errf("an attribute must be a name, not %s", typeName(v))
}

// attribute follows a path. The result may be undefined.
func (st *State) attribute(v any, parts []any) (any, error) {
	for _, p := range parts {
		if u, ok := v.(*Undefined); ok {
			return nil, u.error()
		}
		var err error
		if v, err = st.item(v, p); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// attributes maps items to one of their attributes. A missing one takes the default, or is an error.
func (st *State) attributes(items []any, attribute, fallback any) ([]any, error) {
	parts, err := path(attribute)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, item := range items {
		v, err := st.attribute(item, parts)
		if err != nil {
			return nil, err
		}
		if u, undefined := v.(*Undefined); undefined {
			if fallback == nil {
				return nil, u.error()
			}
			v = fallback
		}
		out[i] = v
	}
	return out, nil
}

func selectFilters(add func(*Func, ...string)) {
	add(&Func{Name: "map", Params: []Param{Req("value")}, TakesRest: true, TakesKw: true, Do: mapFilter})
	for _, name := range []string{"select", "reject", "selectattr", "rejectattr"} {
		keep, attr := strings.HasPrefix(name, "select"), strings.HasSuffix(name, "attr")
		add(&Func{Name: name, Params: []Param{Req("value")}, TakesRest: true, TakesKw: true,
			Do: func(st *State, a Args) (any, error) { return st.choose(a, keep, attr) }})
	}
}

func mapFilter(st *State, a Args) (any, error) {
	items, err := st.iterate(a.Values[0])
	if err != nil {
		return nil, err
	}
	if attribute, ok := a.Kw.Get("attribute"); ok && len(a.Rest) == 0 {
		fallback, _ := a.Kw.Get("default")
		out, err := st.attributes(items, attribute, fallback)
		return &List{out}, err
	}
	if len(a.Rest) == 0 {
		return nil, errf("map needs the name of a filter or attribute=")
	}
	name, err := Text(a.Rest[0], "the name of the filter")
	if err != nil {
		return nil, err
	}
	names, values := keywords(a.Kw)
	out := &List{make([]any, len(items))}
	for i, item := range items {
		args := append([]any{item}, a.Rest[1:]...)
		if out.Items[i], err = st.filter(name, args, names, values); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func keywords(d *Dict) (names []string, values []any) {
	d.Each(func(k, v any) bool {
		name, _ := k.(string) // keyword names are strings
		names, values = append(names, name), append(values, v)
		return true
	})
	return names, values
}

// choose is select, reject, selectattr and rejectattr.
func (st *State) choose(a Args, keep, attr bool) (any, error) {
	items, err := st.iterate(a.Values[0])
	if err != nil {
		return nil, err
	}
	rest := a.Rest
	var parts []any
	if attr {
		if len(rest) == 0 {
			return nil, errf("the name of the attribute is missing")
		}
		if parts, err = path(rest[0]); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	names, values := keywords(a.Kw)
	out := &List{}
	for _, item := range items {
		v, err := st.attribute(item, parts)
		if err != nil {
			return nil, err
		}
		ok, err := st.holds(v, rest, names, values)
		if err != nil {
			return nil, err
		}
		if ok == keep {
			out.Items = append(out.Items, item)
		}
	}
	return out, nil
}

// holds applies a test by name; without one it asks for truth.
func (st *State) holds(v any, rest []any, names []string, values []any) (bool, error) {
	if len(rest) == 0 {
		return truth(v)
	}
	name, err := Text(rest[0], "the name of the test")
	if err != nil {
		return false, err
	}
	f := st.env.tests[name]
	if f == nil {
		e := errf("unknown test %q", name)
		e.Nearest = nearest(name, st.env.tests)
		return false, e
	}
	result, err := f.call(st, append([]any{v}, rest[1:]...), names, values)
	if err != nil {
		return false, err
	}
	return truth(result)
}

// sortKey folds the case of strings unless the filter is case sensitive.
func sortKey(v any, caseSensitive bool) any {
	if s, ok := v.(string); ok && !caseSensitive {
		return strings.ToLower(s)
	}
	return v
}

func orderFilters(add func(*Func, ...string)) {
	add(NewFunc("sort", func(st *State, a []any) (any, error) { return st.sortFilter(a[0], a[1], a[2], a[3]) },
		Req("value"), Opt("reverse", false), Opt("case_sensitive", false), Opt("attribute", nil)))
	add(NewFunc("unique", func(st *State, a []any) (any, error) { return st.unique(a[0], a[1], a[2]) },
		Req("value"), Opt("case_sensitive", false), Opt("attribute", nil)))
	for _, name := range []string{"min", "max"} {
		add(NewFunc(name, func(st *State, a []any) (any, error) { return st.extreme(name, a[0], a[1], a[2]) },
			Req("value"), Opt("case_sensitive", false), Opt("attribute", nil)))
	}
	add(NewFunc("dictsort", func(st *State, a []any) (any, error) { return st.dictSort(a[0], a[1], a[2], a[3]) },
		Req("value"), Opt("case_sensitive", false), Opt("by", "key"), Opt("reverse", false)))
	add(NewFunc("groupby", func(st *State, a []any) (any, error) { return st.groupBy(a[0], a[1], a[2], a[3]) },
		Req("value"), Req("attribute"), Opt("default", nil), Opt("case_sensitive", false)))
}

// keysOf returns the sort keys of items by an attribute, or by several joined with commas.
func (st *State) keysOf(items []any, attribute, fallback any, caseSensitive bool) ([]any, error) {
	var columns [][]any
	names := []any{attribute}
	if s, ok := attribute.(string); ok {
		names = nil
		for part := range strings.SplitSeq(s, ",") {
			names = append(names, part)
		}
	}
	for _, name := range names {
		column := items
		if name != nil {
			var err error
			if column, err = st.attributes(items, name, fallback); err != nil {
				return nil, err
			}
		}
		columns = append(columns, column)
	}
	keys := make([]any, len(items))
	for i := range items {
		key := make(Tuple, len(columns))
		for j := range columns {
			key[j] = sortKey(columns[j][i], caseSensitive)
		}
		if keys[i] = key; len(key) == 1 {
			keys[i] = key[0]
		}
	}
	return keys, nil
}

// order returns the items' indices in the order of their keys.
func (st *State) orderBy(items, keys []any, reverse bool) ([]any, error) {
	index := make([]any, len(items))
	for i := range index {
		index[i] = i
	}
	return st.sorted(index, reverse, func(v any) (any, error) {
		i, err := Int(v, "an index")
		if err != nil {
			return nil, err
		}
		return keys[i], nil
	})
}

func (st *State) sortFilter(v, reverse, caseSensitive, attribute any) (any, error) {
	items, cs, err := st.itemsAndCase(v, caseSensitive)
	if err != nil {
		return nil, err
	}
	down, err := truth(reverse)
	if err != nil {
		return nil, err
	}
	keys, err := st.keysOf(items, attribute, nil, cs)
	if err != nil {
		return nil, err
	}
	index, err := st.orderBy(items, keys, down)
	if err != nil {
		return nil, err
	}
	out := &List{make([]any, len(items))}
	for i, j := range index {
		n, _ := j.(int) // orderBy returns indices
		out.Items[i] = items[n]
	}
	return out, nil
}

func (st *State) itemsAndCase(v, caseSensitive any) ([]any, bool, error) {
	items, err := st.iterate(v)
	if err != nil {
		return nil, false, err
	}
	cs, err := truth(caseSensitive)
	return items, cs, err
}

func (st *State) unique(v, caseSensitive, attribute any) (any, error) {
	items, cs, err := st.itemsAndCase(v, caseSensitive)
	if err != nil {
		return nil, err
	}
	keys, err := st.keysOf(items, attribute, nil, cs)
	if err != nil {
		return nil, err
	}
	seen := NewDict(len(items))
	out := &List{}
	for i, item := range items {
		if _, dup := seen.Get(keys[i]); dup {
			continue
		}
		if !seen.Set(keys[i], true) {
			return nil, errf("a value of type %s cannot be compared by unique", typeName(keys[i]))
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func (st *State) extreme(name string, v, caseSensitive, attribute any) (any, error) {
	items, cs, err := st.itemsAndCase(v, caseSensitive)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return NewUndefined(errf("no %s item: the sequence is empty", name)), nil
	}
	keys, err := st.keysOf(items, attribute, nil, cs)
	if err != nil {
		return nil, err
	}
	op := map[string]string{"min": "<", "max": ">"}[name]
	best := 0
	for i := range items {
		better, err := st.compare(op, keys[i], keys[best])
		if err != nil {
			return nil, err
		}
		if better {
			best = i
		}
	}
	return items[best], nil
}

func (st *State) dictSort(v, caseSensitive, by, reverse any) (any, error) {
	d, ok := v.(*Dict)
	if !ok {
		return nil, errf("dictsort needs a dict, not %s", typeName(v))
	}
	if by != "key" && by != "value" {
		return nil, errf("by must be \"key\" or \"value\"")
	}
	list := &List{}
	d.Each(func(k, v any) bool { list.Items = append(list.Items, Tuple{k, v}); return true })
	column := 0
	if by == "value" {
		column = 1
	}
	return st.sortFilter(list, reverse, caseSensitive, column)
}

// groupOf is one group of groupby: a pair that can be unpacked, with attributes grouper and list.
type groupOf struct {
	grouper any
	list    *List
}

func (g *groupOf) TypeName() string            { return "tuple" }
func (g *groupOf) Items(*State) ([]any, error) { return []any{g.grouper, g.list}, nil }
func (g *groupOf) Export() any                 { out, _ := exportItems([]any{g.grouper, g.list}, 0); return out }

func (g *groupOf) Attr(_ *State, name string) (any, bool, error) {
	switch name {
	case "grouper":
		return g.grouper, true, nil
	case "list":
		return g.list, true, nil
	}
	return nil, false, nil
}

func (g *groupOf) Item(_ *State, key any) (any, bool, error) {
	return index([]any{g.grouper, g.list}, key)
}

func (st *State) groupBy(v, attribute, fallback, caseSensitive any) (any, error) {
	items, cs, err := st.itemsAndCase(v, caseSensitive)
	if err != nil {
		return nil, err
	}
	labels, err := st.attributes(items, attribute, fallback)
	if err != nil {
		return nil, err
	}
	keys, err := st.keysOf(labels, nil, nil, cs)
	if err != nil {
		return nil, err
	}
	sorted, err := st.orderBy(items, keys, false)
	if err != nil {
		return nil, err
	}
	out := &List{}
	var last *groupOf
	var lastKey any
	for _, j := range sorted {
		n, _ := j.(int) // orderBy returns indices
		same := false
		if last != nil {
			if same, err = st.equal(lastKey, keys[n]); err != nil {
				return nil, err
			}
		}
		if !same {
			last, lastKey = &groupOf{grouper: labels[n], list: &List{}}, keys[n]
			out.Items = append(out.Items, last)
		}
		last.list.Items = append(last.list.Items, items[n])
	}
	return out, nil
}
