package jinja

import "fmt"

func (st *State) run(body []stmt) error {
	if err := st.enter(); err != nil {
		return err
	}
	defer st.leave()
	for _, s := range body {
		if err := st.step(); err != nil {
			return err
		}
		if err := s.run(st); err != nil {
			return err
		}
	}
	return nil
}

// inScope runs f with a new innermost scope.
func (st *State) inScope(f func() error) error {
	outer := st.scope
	st.scope = &scope{outer: outer}
	err := f()
	st.scope = outer
	return err
}

// capture runs f and returns what it writes.
func (st *State) capture(f func() error) (string, error) {
	out := st.out
	st.out = &limitedWriter{max: st.env.limits.Output}
	err := f()
	text := st.out.String()
	st.out = out
	return text, err
}

func (s *dataStmt) run(st *State) error { return st.write(s.text) }

func (st *State) write(text string) error {
	if err := st.charge(text); err != nil {
		return err
	}
	return st.out.put(text)
}

func (s *outputStmt) run(st *State) error {
	v, err := st.eval(s.x)
	if err != nil {
		return err
	}
	text, err := st.str(v)
	if err == nil {
		err = st.write(text)
	}
	if err != nil {
		return located(s.x.place(), err)
	}
	return nil
}

func (s *doStmt) run(st *State) error {
	_, err := st.eval(s.x)
	return err
}

func (s *scopeStmt) run(st *State) error { return st.inScope(func() error { return st.run(s.body) }) }

func (s *ifStmt) run(st *State) error {
	for i, cond := range s.conds {
		v, err := st.eval(cond)
		if err != nil {
			return err
		}
		ok, err := truth(v)
		if err != nil {
			return located(cond.place(), err)
		}
		if ok {
			return st.run(s.bodies[i])
		}
	}
	return st.run(s.orElse)
}

func (s *setStmt) run(st *State) error {
	v, err := st.eval(s.value)
	if err != nil {
		return err
	}
	return st.assign(s.target, v)
}

func (s *setBlockStmt) run(st *State) error {
	text, err := st.capture(func() error { return st.inScope(func() error { return st.run(s.body) }) })
	if err != nil {
		return err
	}
	var v any = text
	if s.filters != nil {
		if v, err = s.filters.chain(st, v); err != nil {
			return err
		}
	}
	return st.assign(s.target, v)
}

// assign binds a value to a target in the innermost scope.
func (st *State) assign(t target, v any) error {
	switch {
	case t.parts != nil:
		items, err := st.iterate(v)
		if err != nil {
			return located(t.pos, err)
		}
		if len(items) != len(t.parts) {
			return t.fail("%s to unpack into %s", plural(len(items), "value"), plural(len(t.parts), "name"))
		}
		for i, p := range t.parts {
			if err := st.assign(p, items[i]); err != nil {
				return err
			}
		}
	case t.attr != "":
		x, err := (&nameExpr{t.pos, t.name}).eval(st)
		if err != nil {
			return err
		}
		ns, ok := x.(AttrSetter)
		if !ok {
			return t.fail("cannot assign an attribute of %s; only a namespace() has assignable attributes", typeName(x))
		}
		ns.SetAttr(t.attr, v)
	default:
		st.scope.set(t.name, v)
	}
	return nil
}

func (s *withStmt) run(st *State) error {
	values, err := st.evalAll(s.values)
	if err != nil {
		return err
	}
	return st.inScope(func() error {
		for i, t := range s.targets {
			if err := st.assign(t, values[i]); err != nil {
				return err
			}
		}
		return st.run(s.body)
	})
}

func (s *filterStmt) run(st *State) error {
	text, err := st.capture(func() error { return st.inScope(func() error { return st.run(s.body) }) })
	if err != nil {
		return err
	}
	v, err := s.filters.chain(st, text)
	if err != nil {
		return err
	}
	out, err := st.str(v)
	if err != nil {
		return located(s.filters.pos, err)
	}
	return st.write(out)
}

func (s *forStmt) run(st *State) error {
	v, err := st.eval(s.iter)
	if err != nil {
		return err
	}
	return st.loop(s, v, 1)
}

func (st *State) loop(s *forStmt, iterable any, depth int) error {
	items, err := st.iterate(iterable)
	if err != nil {
		return located(s.iter.place(), err)
	}
	if s.cond != nil {
		if items, err = st.filterItems(s, items); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return st.inScope(func() error { return st.run(s.orElse) })
	}
	loop := &loopObject{items: items, depth: depth}
	if s.recursive {
		loop.recurse = func(v any) (any, error) {
			if err := st.enter(); err != nil {
				return nil, err
			}
			defer st.leave()
			return st.capture(func() error { return st.loop(s, v, depth+1) })
		}
	}
	for i, item := range items {
		loop.i = i
		if err := st.step(); err != nil {
			return located(s.pos, err)
		}
		err := st.inScope(func() error {
			st.scope.set("loop", loop)
			if err := st.assign(s.target, item); err != nil {
				return err
			}
			return st.run(s.body)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// filterItems keeps the items that meet the loop's condition.
func (st *State) filterItems(s *forStmt, items []any) ([]any, error) {
	var kept []any
	for _, item := range items {
		err := st.inScope(func() error {
			if err := st.assign(s.target, item); err != nil {
				return err
			}
			v, err := st.eval(s.cond)
			if err != nil {
				return err
			}
			ok, err := truth(v)
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

func (l *loopObject) Attr(st *State, name string) (any, bool, error) {
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
			return NewUndefined(errf("there is no previous item")), true, nil
		}
		return l.items[l.i-1], true, nil
	case "nextitem":
		if l.i == n-1 {
			return NewUndefined(errf("there is no next item")), true, nil
		}
		return l.items[l.i+1], true, nil
	case "cycle":
		return &Func{Name: "cycle", TakesRest: true, Do: func(_ *State, a Args) (any, error) {
			if len(a.Rest) == 0 {
				return nil, errf("cycle() needs an argument")
			}
			return a.Rest[l.i%len(a.Rest)], nil
		}}, true, nil
	case "changed":
		return &Func{Name: "changed", TakesRest: true, Do: func(_ *State, a Args) (any, error) {
			same := false
			if l.seen {
				var err error
				if same, err = st.equal(Tuple(l.changed), Tuple(a.Rest)); err != nil {
					return nil, err
				}
			}
			l.changed, l.seen = a.Rest, true
			return !same, nil
		}}, true, nil
	}
	return nil, false, nil
}

func (s *macroStmt) run(st *State) error {
	st.scope.set(s.macro.name, s.macro.bind(st.scope))
	return nil
}

// bind makes a callable of a macro; it sees the names of the scope it is defined in.
func (m *macro) bind(closure *scope) *Func {
	f := &Func{Name: m.name, TakesRest: m.usesVarargs, TakesKw: true, TakesUndefined: true}
	required := len(m.params) - len(m.defaults)
	for _, p := range m.params {
		f.Params = append(f.Params, Param{Name: p, Default: unset{}})
	}
	f.Do = func(st *State, a Args) (any, error) {
		outer := st.scope
		st.scope = &scope{outer: closure}
		defer func() { st.scope = outer }()
		for i, p := range m.params {
			v := a.Values[i]
			if _, missing := v.(unset); missing {
				if i < required {
					v = NewUndefined(errf("the argument %q of %s() was not given", p, m.name))
				} else {
					var err error
					if v, err = st.eval(m.defaults[i-required]); err != nil {
						return nil, err
					}
				}
			}
			st.scope.set(p, v)
		}
		if err := m.implicit(st, a); err != nil {
			return nil, err
		}
		return st.capture(func() error { return st.run(m.body) })
	}
	return f
}

// implicit sets varargs, kwargs and caller.
func (m *macro) implicit(st *State, a Args) error {
	if m.usesVarargs {
		st.scope.set("varargs", Tuple(a.Rest))
	}
	if caller, ok := a.Kw.Get("caller"); ok {
		if !m.usesCaller {
			return errf("the macro %s() was called with a call block, but does not use caller()", m.name)
		}
		st.scope.set("caller", caller)
		a.Kw.Delete("caller")
	} else if m.usesCaller {
		st.scope.set("caller", NewUndefined(errf("the macro %s() was called without a call block", m.name)))
	}
	if m.usesKwargs {
		st.scope.set("kwargs", a.Kw)
	} else if a.Kw.Len() > 0 {
		return errf("%s() has no argument %q", m.name, fmt.Sprint(a.Kw.Keys()[0]))
	}
	return nil
}

func (s *callStmt) run(st *State) error {
	v, err := st.callWith(s.call, s.caller.bind(st.scope))
	if err != nil {
		return located(s.call.pos, err)
	}
	text, err := st.str(v)
	if err != nil {
		return located(s.call.pos, err)
	}
	return st.write(text)
}
