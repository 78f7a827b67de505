package jinja

import (
	"errors"

	"gust/dag/template/pyvalue"
	"gust/internal/param"
)

// eval evaluates an expression: it counts the work, guards the depth and gives errors their position.
func (ev *evaluation) eval(e expr) (any, error) {
	v, err := ev.evalInner(e)
	if err == nil {
		return v, nil
	}
	return nil, located(e.place(), err)
}

func (ev *evaluation) evalInner(e expr) (any, error) {
	if err := ev.Step(); err != nil {
		return nil, err
	}
	if err := ev.Enter(); err != nil {
		return nil, err
	}
	defer ev.Leave()
	return e.eval(ev)
}

// located makes any error an *Error with a position.
func located(p pos, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return p.at(e)
	}
	return p.at(&Error{Msg: err.Error(), Err: err})
}

func (ev *evaluation) evalAll(list []expr) ([]any, error) {
	values := make([]any, len(list))
	for i, e := range list {
		v, err := ev.eval(e)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

func (e *constExpr) eval(*evaluation) (any, error) { return e.value, nil }

func (e *nameExpr) eval(ev *evaluation) (any, error) {
	if v, ok := ev.scope.get(e.name); ok {
		return v, nil
	}
	if v, ok := ev.cache[e.name]; ok {
		return v, nil
	}
	if ev.globals.Lookup != nil {
		v, ok, err := ev.globals.Lookup(ev.State, e.name)
		if err != nil {
			return nil, err
		}
		if ok {
			if ev.cache == nil {
				ev.cache = map[string]any{}
			}
			ev.cache[e.name] = v
			return v, nil
		}
	}
	if f := globals[e.name]; f != nil {
		return f, nil
	}
	err := e.fail("%q is undefined", e.name)
	err.Nearest = param.Nearest(e.name, ev.globals.Names)
	return pyvalue.NewUndefined(err), nil
}

func (e *listExpr) eval(ev *evaluation) (any, error) {
	items, err := ev.evalAll(e.items)
	return &pyvalue.List{Items: items}, err
}

func (e *tupleExpr) eval(ev *evaluation) (any, error) {
	items, err := ev.evalAll(e.items)
	return pyvalue.Tuple(items), err
}

func (e *dictExpr) eval(ev *evaluation) (any, error) {
	d := pyvalue.NewDict(len(e.keys))
	for i, ke := range e.keys {
		k, err := ev.eval(ke)
		if err != nil {
			return nil, err
		}
		v, err := ev.eval(e.values[i])
		if err != nil {
			return nil, err
		}
		if !d.Set(k, v) {
			return nil, pyvalue.Errorf("a value of type %s cannot be a key", pyvalue.TypeName(k))
		}
	}
	return d, nil
}

func (e *attrExpr) eval(ev *evaluation) (any, error) {
	x, err := ev.eval(e.x)
	if err != nil {
		return nil, err
	}
	v, err := ev.Attr(x, e.name)
	return e.mark(v), err
}

// mark notes where an undefined value comes from.
func (p pos) mark(v any) any {
	if u, ok := v.(*pyvalue.Undefined); ok {
		u.Locate(int(p.line), int(p.col))
	}
	return v
}

func (e *itemExpr) eval(ev *evaluation) (any, error) {
	x, err := ev.eval(e.x)
	if err != nil {
		return nil, err
	}
	if u, ok := x.(*pyvalue.Undefined); ok {
		return nil, u.Err()
	}
	if s, ok := e.index.(*sliceExpr); ok {
		return s.apply(ev, x)
	}
	key, err := ev.eval(e.index)
	if err != nil {
		return nil, err
	}
	v, err := ev.Item(x, key)
	return e.mark(v), err
}

func (e *sliceExpr) eval(*evaluation) (any, error) {
	return nil, pyvalue.Errorf("a slice is allowed as an index only")
}

// apply is x[lo:hi:step].
func (e *sliceExpr) apply(ev *evaluation, x any) (any, error) {
	var bounds [3]any
	for i, b := range []expr{e.lo, e.hi, e.step} {
		if b == nil {
			continue
		}
		var err error
		if bounds[i], err = ev.eval(b); err != nil {
			return nil, err
		}
	}
	return ev.Slice(x, bounds[0], bounds[1], bounds[2])
}

// arguments evaluates call arguments.
func (ev *evaluation) arguments(a *callArgs, first ...any) (args []any, names []string, values []any, err error) {
	args = append(make([]any, 0, len(first)+len(a.args)), first...)
	for _, e := range a.args {
		v, err := ev.eval(e)
		if err != nil {
			return nil, nil, nil, err
		}
		args = append(args, v)
	}
	if values, err = ev.evalAll(a.values); err != nil {
		return nil, nil, nil, err
	}
	names = a.names
	if a.star != nil {
		v, err := ev.eval(a.star)
		if err != nil {
			return nil, nil, nil, err
		}
		more, err := ev.Iterate(v)
		if err != nil {
			return nil, nil, nil, err
		}
		args = append(args, more...)
	}
	if a.starStar != nil {
		v, err := ev.eval(a.starStar)
		if err != nil {
			return nil, nil, nil, err
		}
		d, ok := v.(*pyvalue.Dict)
		if !ok {
			return nil, nil, nil, pyvalue.Errorf("the argument after ** must be a dict, not %s", pyvalue.TypeName(v))
		}
		names = append([]string(nil), names...)
		d.Each(func(k, v any) bool {
			name, isText := k.(string)
			ok = ok && isText
			names, values = append(names, name), append(values, v)
			return ok
		})
		if !ok {
			return nil, nil, nil, pyvalue.Errorf("the keys of the argument after ** must be strings")
		}
	}
	return args, names, values, nil
}

func (e *callExpr) eval(ev *evaluation) (any, error) {
	return ev.callWith(e, nil)
}

// callWith evaluates a call, with the caller of a call block.
func (ev *evaluation) callWith(e *callExpr, caller *pyvalue.Func) (any, error) {
	fn, err := ev.eval(e.fn)
	if err != nil {
		return nil, err
	}
	args, names, values, err := ev.arguments(&e.args)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		names, values = append(append([]string(nil), names...), "caller"), append(values, caller)
	}
	switch fn := fn.(type) {
	case *pyvalue.Func:
		return fn.Call(ev.State, args, names, values)
	case *loopObject:
		if fn.recurse != nil && len(args) == 1 {
			return fn.recurse(args[0])
		}
	case *pyvalue.Undefined:
		return nil, fn.Err()
	case pyvalue.Callable:
		return fn.Func().Call(ev.State, args, names, values)
	}
	return nil, pyvalue.Errorf("a value of type %s cannot be called", pyvalue.TypeName(fn))
}

func (e *filterExpr) eval(ev *evaluation) (any, error) {
	x, err := ev.eval(e.x)
	if err != nil {
		return nil, err
	}
	return e.apply(ev, x)
}

func (e *filterExpr) apply(ev *evaluation, x any) (any, error) {
	args, names, values, err := ev.arguments(&e.args, x)
	if err != nil {
		return nil, err
	}
	return ev.env.filters[e.name].Call(ev.State, args, names, values)
}

// chain applies the filters of a block to a text.
func (e *filterExpr) chain(ev *evaluation, text any) (any, error) {
	if inner, ok := e.x.(*filterExpr); ok {
		v, err := inner.chain(ev, text)
		if err != nil {
			return nil, err
		}
		text = v
	}
	v, err := e.apply(ev, text)
	if err != nil {
		return nil, located(e.pos, err)
	}
	return v, nil
}

func (e *testExpr) eval(ev *evaluation) (any, error) {
	x, err := ev.eval(e.x)
	if err != nil {
		return nil, err
	}
	args, names, values, err := ev.arguments(&e.args, x)
	if err != nil {
		return nil, err
	}
	return ev.env.tests[e.name].Call(ev.State, args, names, values)
}

func (e *unaryExpr) eval(ev *evaluation) (any, error) {
	x, err := ev.eval(e.x)
	if err != nil {
		return nil, err
	}
	return ev.Unary(e.op, x)
}

func (e *binaryExpr) eval(ev *evaluation) (any, error) {
	l, err := ev.eval(e.l)
	if err != nil {
		return nil, err
	}
	r, err := ev.eval(e.r)
	if err != nil {
		return nil, err
	}
	return ev.Binary(e.op, l, r)
}

func (e *concatExpr) eval(ev *evaluation) (any, error) {
	b := ev.NewWriter()
	for _, item := range e.items {
		v, err := ev.eval(item)
		if err != nil {
			return nil, err
		}
		s, err := ev.Str(v)
		if err != nil {
			return nil, err
		}
		if err := b.Put(s); err != nil {
			return nil, err
		}
	}
	return b.String(), ev.ReserveText(b.Len())
}

func (e *compareExpr) eval(ev *evaluation) (any, error) {
	l, err := ev.eval(e.first)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		r, err := ev.eval(e.rest[i])
		if err != nil {
			return nil, err
		}
		ok, err := ev.Compare(op, l, r)
		if err != nil || !ok {
			return false, err
		}
		l = r
	}
	return true, nil
}

func (e *logicExpr) eval(ev *evaluation) (any, error) {
	l, err := ev.eval(e.l)
	if err != nil {
		return nil, err
	}
	t, err := pyvalue.Truth(l)
	if err != nil || t != e.and {
		return l, err
	}
	return ev.eval(e.r)
}

func (e *notExpr) eval(ev *evaluation) (any, error) {
	x, err := ev.eval(e.x)
	if err != nil {
		return nil, err
	}
	t, err := pyvalue.Truth(x)
	return !t, err
}

func (e *condExpr) eval(ev *evaluation) (any, error) {
	c, err := ev.eval(e.cond)
	if err != nil {
		return nil, err
	}
	t, err := pyvalue.Truth(c)
	switch {
	case err != nil:
		return nil, err
	case t:
		return ev.eval(e.x)
	case e.alt != nil:
		return ev.eval(e.alt)
	}
	u := pyvalue.NewUndefined(e.fail("the condition of this inline if is false and it has no else"))
	u.Lenient = true
	return u, nil
}
