package jinja

import (
	"maps"
	"slices"

	"gust/dag/template/pyvalue"
)

// globals are the functions of every template.
var globals = map[string]*pyvalue.Func{
	"range": {Name: "range", TakesRest: true, Do: rangeFunc},
	"dict": {Name: "dict", TakesRest: true, TakesKw: true, Do: func(st *pyvalue.State, a pyvalue.Args) (any, error) {
		return merged(st, a)
	}},
	"namespace": {Name: "namespace", TakesRest: true, TakesKw: true,
		Do: func(st *pyvalue.State, a pyvalue.Args) (any, error) {
			d, err := merged(st, a)
			return &namespace{d}, err
		}},
	"cycler": {Name: "cycler", TakesRest: true, Do: func(_ *pyvalue.State, a pyvalue.Args) (any, error) {
		if len(a.Rest) == 0 {
			return nil, pyvalue.Errorf("cycler() needs an argument")
		}
		return &cycler{items: a.Rest}, nil
	}},
	"joiner": pyvalue.NewFunc("joiner", func(_ *pyvalue.State, a []any) (any, error) {
		used := false
		return pyvalue.NewFunc("joiner", func(*pyvalue.State, []any) (any, error) {
			if used {
				return a[0], nil
			}
			used = true
			return "", nil
		}), nil
	}, pyvalue.Opt("sep", ", ")),
}

var globalNames = slices.Sorted(maps.Keys(globals))

// merged makes a dict of the arguments of dict(...).
func merged(st *pyvalue.State, a pyvalue.Args) (*pyvalue.Dict, error) {
	d := pyvalue.NewDict(a.Kw.Len())
	for _, other := range append(a.Rest, a.Kw) {
		if err := st.Merge(d, other); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func rangeFunc(st *pyvalue.State, a pyvalue.Args) (any, error) {
	if len(a.Rest) < 1 || len(a.Rest) > 3 {
		return nil, pyvalue.Errorf("range() takes 1 to 3 arguments, got %d", len(a.Rest))
	}
	var n [3]int
	for i, v := range a.Rest {
		var err error
		if n[i], err = pyvalue.Int(v, "an argument of range()"); err != nil {
			return nil, err
		}
	}
	r := pyvalue.Range{Start: 0, Stop: n[0], Step: 1}
	if len(a.Rest) > 1 {
		r = pyvalue.Range{Start: n[0], Stop: n[1], Step: 1}
	}
	if len(a.Rest) > 2 {
		r.Step = n[2]
	}
	if r.Step == 0 {
		return nil, pyvalue.Errorf("the step of range() must not be zero")
	}
	if size := r.Len(); size < 0 || size > st.Limits().Items {
		return nil, pyvalue.Errorf("range() is too long (limit %d)", st.Limits().Items)
	}
	return r, nil
}

// namespace is an object whose attributes can be set from inner scopes.
type namespace struct{ attrs *pyvalue.Dict }

func (n *namespace) TypeName() string { return "namespace" }

func (n *namespace) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	v, ok := n.attrs.Get(name)
	return v, ok, nil
}

func (n *namespace) SetAttr(name string, v any) { n.attrs.Set(name, v) }

// cycler is what cycler() returns.
type cycler struct {
	items []any
	i     int
}

func (c *cycler) TypeName() string { return "cycler" }

func (c *cycler) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	switch name {
	case "current":
		return c.items[c.i], true, nil
	case "next":
		return pyvalue.NewFunc("next", func(*pyvalue.State, []any) (any, error) {
			v := c.items[c.i]
			c.i = (c.i + 1) % len(c.items)
			return v, nil
		}), true, nil
	case "reset":
		return pyvalue.NewFunc("reset", func(*pyvalue.State, []any) (any, error) { c.i = 0; return nil, nil }), true, nil
	}
	return nil, false, nil
}
