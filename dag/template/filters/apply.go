package filters

import (
	"strconv"
	"strings"

	"gust/dag/template/pyvalue"
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
	return nil, pyvalue.Errorf("an attribute must be a name, not %s", pyvalue.TypeName(v))
}

// followPath follows a path. The result may be undefined.
func followPath(st *pyvalue.State, v any, parts []any) (any, error) {
	for _, p := range parts {
		if u, ok := v.(*pyvalue.Undefined); ok {
			return nil, u.Err()
		}
		var err error
		if v, err = st.Item(v, p); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// attributes maps items to one of their attributes. A missing one takes the default, or is an error.
func attributes(st *pyvalue.State, items []any, attribute, fallback any) ([]any, error) {
	parts, err := path(attribute)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, item := range items {
		v, err := followPath(st, item, parts)
		if err != nil {
			return nil, err
		}
		if u, undefined := v.(*pyvalue.Undefined); undefined {
			if fallback == nil {
				return nil, u.Err()
			}
			v = fallback
		}
		out[i] = v
	}
	return out, nil
}

// applyFilters are the filters that apply other filters and tests by name.
func applyFilters(filters, tests map[string]*pyvalue.Func) []*pyvalue.Func {
	list := []*pyvalue.Func{{Name: "map", Params: []pyvalue.Param{req("value")}, TakesRest: true, TakesKw: true,
		Do: func(st *pyvalue.State, a pyvalue.Args) (any, error) { return mapItems(st, a, filters) }}}
	for _, name := range []string{"select", "reject", "selectattr", "rejectattr"} {
		keep, attr := strings.HasPrefix(name, "select"), strings.HasSuffix(name, "attr")
		list = append(list, &pyvalue.Func{Name: name, Params: []pyvalue.Param{req("value")}, TakesRest: true, TakesKw: true,
			Do: func(st *pyvalue.State, a pyvalue.Args) (any, error) { return choose(st, a, keep, attr, tests) }})
	}
	return list
}

func mapItems(st *pyvalue.State, a pyvalue.Args, filters map[string]*pyvalue.Func) (any, error) {
	items, err := st.Iterate(a.Values[0])
	if err != nil {
		return nil, err
	}
	if attribute, ok := a.Kw.Get("attribute"); ok && len(a.Rest) == 0 {
		fallback, _ := a.Kw.Get("default")
		out, err := attributes(st, items, attribute, fallback)
		return &pyvalue.List{Items: out}, err
	}
	if len(a.Rest) == 0 {
		return nil, pyvalue.Errorf("map needs the name of a filter or attribute=")
	}
	name, err := pyvalue.Text(a.Rest[0], "the name of the filter")
	if err != nil {
		return nil, err
	}
	names, values := keywords(a.Kw)
	out := &pyvalue.List{Items: make([]any, len(items))}
	for i, item := range items {
		f := filters[name]
		if f == nil {
			return nil, Unknown("filter", name, filters)
		}
		if out.Items[i], err = f.Call(st, append([]any{item}, a.Rest[1:]...), names, values); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func keywords(d *pyvalue.Dict) (names []string, values []any) {
	d.Each(func(k, v any) bool {
		name, _ := k.(string) // keyword names are strings
		names, values = append(names, name), append(values, v)
		return true
	})
	return names, values
}

// choose is select, reject, selectattr and rejectattr.
func choose(st *pyvalue.State, a pyvalue.Args, keep, attr bool, tests map[string]*pyvalue.Func) (any, error) {
	items, err := st.Iterate(a.Values[0])
	if err != nil {
		return nil, err
	}
	rest := a.Rest
	var parts []any
	if attr {
		if len(rest) == 0 {
			return nil, pyvalue.Errorf("the name of the attribute is missing")
		}
		if parts, err = path(rest[0]); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	names, values := keywords(a.Kw)
	out := &pyvalue.List{}
	for _, item := range items {
		v, err := followPath(st, item, parts)
		if err != nil {
			return nil, err
		}
		ok, err := holds(st, v, tests, rest, names, values)
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
func holds(st *pyvalue.State, v any, tests map[string]*pyvalue.Func, rest []any, names []string, values []any) (
	bool, error) {
	if len(rest) == 0 {
		return pyvalue.Truth(v)
	}
	name, err := pyvalue.Text(rest[0], "the name of the test")
	if err != nil {
		return false, err
	}
	f := tests[name]
	if f == nil {
		return false, Unknown("test", name, tests)
	}
	result, err := f.Call(st, append([]any{v}, rest[1:]...), names, values)
	if err != nil {
		return false, err
	}
	return pyvalue.Truth(result)
}
