package jinja

import (
	"maps"
	"slices"
)

// globals are the functions of every template.
var globals = map[string]*Func{
	"range": {Name: "range", TakesRest: true, Do: rangeFunc},
	"dict": {Name: "dict", TakesRest: true, TakesKw: true, Do: func(st *State, a Args) (any, error) {
		d := NewDict(a.Kw.Len())
		for _, other := range append(a.Rest, a.Kw) {
			if err := st.merge(d, other); err != nil {
				return nil, err
			}
		}
		return d, nil
	}},
	"namespace": {Name: "namespace", TakesRest: true, TakesKw: true, Do: func(st *State, a Args) (any, error) {
		d := NewDict(a.Kw.Len())
		for _, other := range append(a.Rest, a.Kw) {
			if err := st.merge(d, other); err != nil {
				return nil, err
			}
		}
		return &namespace{d}, nil
	}},
	"cycler": {Name: "cycler", TakesRest: true, Do: func(_ *State, a Args) (any, error) {
		if len(a.Rest) == 0 {
			return nil, errf("cycler() needs an argument")
		}
		return &cycler{items: a.Rest}, nil
	}},
	"joiner": NewFunc("joiner", func(_ *State, a []any) (any, error) {
		used := false
		return NewFunc("joiner", func(*State, []any) (any, error) {
			if used {
				return a[0], nil
			}
			used = true
			return "", nil
		}), nil
	}, Opt("sep", ", ")),
}

var globalNames = slices.Sorted(maps.Keys(globals))

func rangeFunc(st *State, a Args) (any, error) {
	if len(a.Rest) < 1 || len(a.Rest) > 3 {
		return nil, errf("range() takes 1 to 3 arguments, got %d", len(a.Rest))
	}
	var n [3]int
	for i, v := range a.Rest {
		var err error
		if n[i], err = Int(v, "an argument of range()"); err != nil {
			return nil, err
		}
	}
	r := Range{0, n[0], 1}
	if len(a.Rest) > 1 {
		r = Range{n[0], n[1], 1}
	}
	if len(a.Rest) > 2 {
		r.Step = n[2]
	}
	if r.Step == 0 {
		return nil, errf("the step of range() must not be zero")
	}
	if size := r.Len(); size < 0 || size > st.env.limits.Items {
		return nil, errf("range() is too long (limit %d)", st.env.limits.Items)
	}
	return r, nil
}

// namespace is an object whose attributes can be set from inner scopes.
type namespace struct{ attrs *Dict }

func (n *namespace) TypeName() string { return "namespace" }

func (n *namespace) Attr(_ *State, name string) (any, bool, error) {
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

func (c *cycler) Attr(_ *State, name string) (any, bool, error) {
	switch name {
	case "current":
		return c.items[c.i], true, nil
	case "next":
		return NewFunc("next", func(*State, []any) (any, error) {
			v := c.items[c.i]
			c.i = (c.i + 1) % len(c.items)
			return v, nil
		}), true, nil
	case "reset":
		return NewFunc("reset", func(*State, []any) (any, error) { c.i = 0; return nil, nil }), true, nil
	}
	return nil, false, nil
}
