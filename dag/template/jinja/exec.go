package jinja

import (
	"fmt"

	"gust/dag/template/pyvalue"
)

func (ev *evaluation) run(body []stmt) error {
	if err := ev.Enter(); err != nil {
		return err
	}
	defer ev.Leave()
	for _, s := range body {
		if err := ev.Step(); err != nil {
			return err
		}
		if err := s.run(ev); err != nil {
			return err
		}
	}
	return nil
}

// inScope runs f with a new innermost scope.
func (ev *evaluation) inScope(f func() error) error {
	outer := ev.scope
	ev.scope = &scope{outer: outer}
	err := f()
	ev.scope = outer
	return err
}

// capture runs f and returns what it writes.
func (ev *evaluation) capture(f func() error) (string, error) {
	out := ev.out
	ev.out = ev.NewWriter()
	err := f()
	text := ev.out.String()
	ev.out = out
	return text, err
}

func (s *dataStmt) run(ev *evaluation) error { return ev.write(s.text) }

func (ev *evaluation) write(text string) error {
	if err := ev.Charge(text); err != nil {
		return err
	}
	return ev.out.Put(text)
}

func (s *outputStmt) run(ev *evaluation) error {
	v, err := ev.eval(s.x)
	if err != nil {
		return err
	}
	text, err := ev.Str(v)
	if err == nil {
		err = ev.write(text)
	}
	if err != nil {
		return located(s.x.place(), err)
	}
	return nil
}

func (s *doStmt) run(ev *evaluation) error {
	_, err := ev.eval(s.x)
	return err
}

func (s *scopeStmt) run(ev *evaluation) error {
	return ev.inScope(func() error { return ev.run(s.body) })
}

func (s *ifStmt) run(ev *evaluation) error {
	for i, cond := range s.conds {
		v, err := ev.eval(cond)
		if err != nil {
			return err
		}
		ok, err := pyvalue.Truth(v)
		if err != nil {
			return located(cond.place(), err)
		}
		if ok {
			return ev.run(s.bodies[i])
		}
	}
	return ev.run(s.orElse)
}

func (s *setStmt) run(ev *evaluation) error {
	v, err := ev.eval(s.value)
	if err != nil {
		return err
	}
	return ev.assign(s.target, v)
}

func (s *setBlockStmt) run(ev *evaluation) error {
	text, err := ev.capture(func() error { return ev.inScope(func() error { return ev.run(s.body) }) })
	if err != nil {
		return err
	}
	var v any = text
	if s.filters != nil {
		if v, err = s.filters.chain(ev, v); err != nil {
			return err
		}
	}
	return ev.assign(s.target, v)
}

// assign binds a value to a target in the innermost scope.
func (ev *evaluation) assign(t target, v any) error {
	switch {
	case t.parts != nil:
		items, err := ev.Unpack(v, len(t.parts))
		if err != nil {
			return located(t.pos, err)
		}
		for i, p := range t.parts {
			if err := ev.assign(p, items[i]); err != nil {
				return err
			}
		}
	case t.attr != "":
		x, err := (&nameExpr{t.pos, t.name}).eval(ev)
		if err != nil {
			return err
		}
		ns, ok := x.(pyvalue.AttrSetter)
		if !ok {
			return t.fail("cannot assign an attribute of %s; only a namespace() has assignable attributes", pyvalue.TypeName(x))
		}
		ns.SetAttr(t.attr, v)
	default:
		ev.scope.set(t.name, v)
	}
	return nil
}

func (s *withStmt) run(ev *evaluation) error {
	values, err := ev.evalAll(s.values)
	if err != nil {
		return err
	}
	return ev.inScope(func() error {
		for i, t := range s.targets {
			if err := ev.assign(t, values[i]); err != nil {
				return err
			}
		}
		return ev.run(s.body)
	})
}

func (s *filterStmt) run(ev *evaluation) error {
	text, err := ev.capture(func() error { return ev.inScope(func() error { return ev.run(s.body) }) })
	if err != nil {
		return err
	}
	v, err := s.filters.chain(ev, text)
	if err != nil {
		return err
	}
	out, err := ev.Str(v)
	if err != nil {
		return located(s.filters.pos, err)
	}
	return ev.write(out)
}

func (s *forStmt) run(ev *evaluation) error {
	v, err := ev.eval(s.iter)
	if err != nil {
		return err
	}
	return ev.loop(s, v, 1)
}

func (ev *evaluation) loop(s *forStmt, iterable any, depth int) error {
	items, err := ev.Iterate(iterable)
	if err != nil {
		return located(s.iter.place(), err)
	}
	if s.cond != nil {
		if items, err = ev.filterItems(s, items); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return ev.inScope(func() error { return ev.run(s.orElse) })
	}
	loop := &loopObject{items: items, depth: depth}
	if s.recursive {
		loop.recurse = func(v any) (any, error) {
			if err := ev.Enter(); err != nil {
				return nil, err
			}
			defer ev.Leave()
			return ev.capture(func() error { return ev.loop(s, v, depth+1) })
		}
	}
	for i, item := range items {
		loop.i = i
		if err := ev.Step(); err != nil {
			return located(s.pos, err)
		}
		err := ev.inScope(func() error {
			ev.scope.set("loop", loop)
			if err := ev.assign(s.target, item); err != nil {
				return err
			}
			return ev.run(s.body)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// filterItems keeps the items that meet the loop's condition.
func (ev *evaluation) filterItems(s *forStmt, items []any) ([]any, error) {
	var kept []any
	for _, item := range items {
		err := ev.inScope(func() error {
			if err := ev.assign(s.target, item); err != nil {
				return err
			}
			v, err := ev.eval(s.cond)
			if err != nil {
				return err
			}
			ok, err := pyvalue.Truth(v)
			if err != nil {
				return located(s.cond.place(), err)
			}
			if ok {
				kept = append(kept, item)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// loopObject is the special variable loop.
type loopObject struct {
	items   []any
	i       int
	depth   int
	changed []any
	seen    bool
	recurse func(any) (any, error)
}

func (l *loopObject) TypeName() string { return "loop" }

func (l *loopObject) AttrNames() []string {
	return []string{"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "cycle",
		"changed", "depth", "depth0"}
}

func (l *loopObject) Attr(st *pyvalue.State, name string) (any, bool, error) {
	n := len(l.items)
	switch name {
	case "index":
		return l.i + 1, true, nil
	case "index0":
		return l.i, true, nil
	case "revindex":
		return n - l.i, true, nil
	case "revindex0":
		return n - l.i - 1, true, nil
	case "first":
		return l.i == 0, true, nil
	case "last":
		return l.i == n-1, true, nil
	case "length":
		return n, true, nil
	case "depth":
		return l.depth, true, nil
	case "depth0":
		return l.depth - 1, true, nil
	case "previtem":
		if l.i == 0 {
			return pyvalue.NewUndefined(pyvalue.Errorf("there is no previous item")), true, nil
		}
		return l.items[l.i-1], true, nil
	case "nextitem":
		if l.i == n-1 {
			return pyvalue.NewUndefined(pyvalue.Errorf("there is no next item")), true, nil
		}
		return l.items[l.i+1], true, nil
	case "cycle":
		return &pyvalue.Func{Name: "cycle", TakesRest: true, Do: func(_ *pyvalue.State, a pyvalue.Args) (any, error) {
			if len(a.Rest) == 0 {
				return nil, pyvalue.Errorf("cycle() needs an argument")
			}
			return a.Rest[l.i%len(a.Rest)], nil
		}}, true, nil
	case "changed":
		return &pyvalue.Func{Name: "changed", TakesRest: true, Do: func(_ *pyvalue.State, a pyvalue.Args) (any, error) {
			same := false
			if l.seen {
				var err error
				if same, err = st.Equal(pyvalue.Tuple(l.changed), pyvalue.Tuple(a.Rest)); err != nil {
					return nil, err
				}
			}
			l.changed, l.seen = a.Rest, true
			return !same, nil
		}}, true, nil
	}
	return nil, false, nil
}

func (s *macroStmt) run(ev *evaluation) error {
	ev.scope.set(s.macro.name, s.macro.bind(ev))
	return nil
}

// bind makes a callable of a macro; it sees the names of the scope it is defined in.
func (m *macro) bind(ev *evaluation) *pyvalue.Func {
	closure := ev.scope
	f := &pyvalue.Func{Name: m.name, TakesRest: m.usesVarargs, TakesKw: true, TakesUndefined: true}
	required := len(m.params) - len(m.defaults)
	for _, p := range m.params {
		f.Params = append(f.Params, pyvalue.Param{Name: p, Default: pyvalue.Unset{}})
	}
	f.Do = func(_ *pyvalue.State, a pyvalue.Args) (any, error) {
		outer := ev.scope
		ev.scope = &scope{outer: closure}
		defer func() { ev.scope = outer }()
		for i, p := range m.params {
			v := a.Values[i]
			if _, missing := v.(pyvalue.Unset); missing {
				if i < required {
					v = pyvalue.NewUndefined(pyvalue.Errorf("the argument %q of %s() was not given", p, m.name))
				} else {
					var err error
					if v, err = ev.eval(m.defaults[i-required]); err != nil {
						return nil, err
					}
				}
			}
			ev.scope.set(p, v)
		}
		if err := m.implicit(ev, a); err != nil {
			return nil, err
		}
		return ev.capture(func() error { return ev.run(m.body) })
	}
	return f
}

// implicit sets varargs, kwargs and caller.
func (m *macro) implicit(ev *evaluation, a pyvalue.Args) error {
	if m.usesVarargs {
		ev.scope.set("varargs", pyvalue.Tuple(a.Rest))
	}
	if caller, ok := a.Kw.Get("caller"); ok {
		if !m.usesCaller {
			return pyvalue.Errorf("the macro %s() was called with a call block, but does not use caller()", m.name)
		}
		ev.scope.set("caller", caller)
		a.Kw.Delete("caller")
	} else if m.usesCaller {
		ev.scope.set("caller", pyvalue.NewUndefined(pyvalue.Errorf("the macro %s() was called without a call block", m.name)))
	}
	if m.usesKwargs {
		ev.scope.set("kwargs", a.Kw)
	} else if a.Kw.Len() > 0 {
		return pyvalue.Errorf("%s() has no argument %q", m.name, fmt.Sprint(a.Kw.Keys()[0]))
	}
	return nil
}

func (s *callStmt) run(ev *evaluation) error {
	v, err := ev.callWith(s.call, s.caller.bind(ev))
	if err != nil {
		return located(s.call.pos, err)
	}
	text, err := ev.Str(v)
	if err != nil {
		return located(s.call.pos, err)
	}
	return ev.write(text)
}
