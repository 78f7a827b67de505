package jinja

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gust/internal/param"
)

// eval evaluates an expression: it counts the work, guards the depth and gives errors their position.
func (st *State) eval(e expr) (any, error) {
	v, err := st.evalInner(e)
	if err == nil {
		return v, nil
	}
	return nil, located(e.place(), err)
}

func (st *State) evalInner(e expr) (any, error) {
	if err := st.step(); err != nil {
		return nil, err
	}
	if err := st.enter(); err != nil {
		return nil, err
	}
	defer st.leave()
	return e.eval(st)
}

// located makes any error an *Error with a position.
func located(p pos, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return p.at(e)
	}
	return p.at(&Error{Msg: err.Error(), Err: err})
}

func (st *State) evalAll(list []expr) ([]any, error) {
	values := make([]any, len(list))
	for i, e := range list {
		v, err := st.eval(e)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

func (e *constExpr) eval(*State) (any, error) { return e.value, nil }

func (e *nameExpr) eval(st *State) (any, error) {
	if v, ok := st.scope.get(e.name); ok {
		return v, nil
	}
	if v, ok := st.cache[e.name]; ok {
		return v, nil
	}
	if st.globals.Lookup != nil {
		v, ok, err := st.globals.Lookup(st, e.name)
		if err != nil {
			return nil, err
		}
		if ok {
			if st.cache == nil {
				st.cache = map[string]any{}
			}
			st.cache[e.name] = v
			return v, nil
		}
	}
	if f := globals[e.name]; f != nil {
		return f, nil
	}
	err := e.fail("%q is undefined", e.name)
	err.Nearest = param.Nearest(e.name, st.globals.Names)
	return NewUndefined(err), nil
}

func (e *listExpr) eval(st *State) (any, error) {
	items, err := st.evalAll(e.items)
	return &List{items}, err
}

func (e *tupleExpr) eval(st *State) (any, error) {
	items, err := st.evalAll(e.items)
	return Tuple(items), err
}

func (e *dictExpr) eval(st *State) (any, error) {
	d := NewDict(len(e.keys))
	for i, ke := range e.keys {
		k, err := st.eval(ke)
		if err != nil {
			return nil, err
		}
		v, err := st.eval(e.values[i])
		if err != nil {
			return nil, err
		}
		if !d.Set(k, v) {
			return nil, errf("a value of type %s cannot be a key", typeName(k))
		}
	}
	return d, nil
}

func (e *attrExpr) eval(st *State) (any, error) {
	x, err := st.eval(e.x)
	if err != nil {
		return nil, err
	}
	v, err := st.attr(x, e.name)
	return e.mark(v), err
}

// mark notes where an undefined value comes from.
func (p pos) mark(v any) any {
	if u, ok := v.(*Undefined); ok {
		p.at(u.err)
	}
	return v
}

// attr is x.name: an attribute, else an item, else undefined.
func (st *State) attr(x any, name string) (any, error) {
	if u, ok := x.(*Undefined); ok {
		return nil, u.error()
	}
	if strings.HasPrefix(name, "__") {
		return nil, errf("access to attribute %q of %s is not allowed", name, typeName(x))
	}
	if o, ok := x.(Object); ok {
		v, ok, err := o.Attr(st, name)
		if ok || err != nil {
			return v, err
		}
	} else if m := st.method(x, name); m != nil {
		return m, nil
	}
	if v, ok, err := st.lookupItem(x, name); ok || err != nil {
		return v, err
	}
	return st.missing(x, name), nil
}

func (st *State) missing(x any, name string) *Undefined {
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
		known = slices.Sorted(maps.Keys(st.env.methods.of(x)))
	}
	e := Missing(what, name, known)
	e.Msg = fmt.Sprintf("%s has no %s %q", typeName(x), what, name)
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
		if err := st.charge(x); err != nil {
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

func (e *itemExpr) eval(st *State) (any, error) {
	x, err := st.eval(e.x)
	if err != nil {
		return nil, err
	}
	if u, ok := x.(*Undefined); ok {
		return nil, u.error()
	}
	if s, ok := e.index.(*sliceExpr); ok {
		return s.apply(st, x)
	}
	key, err := st.eval(e.index)
	if err != nil {
		return nil, err
	}
	v, err := st.item(x, key)
	return e.mark(v), err
}

// item is x[key]: an item, else for a string an attribute, else undefined.
func (st *State) item(x, key any) (any, error) {
	if u, ok := key.(*Undefined); ok {
		return nil, u.error()
	}
	if v, ok, err := st.lookupItem(x, key); ok || err != nil {
		return v, err
	}
	if name, ok := key.(string); ok {
		return st.attr(x, name)
	}
	k, err := st.reprOf(key)
	if err != nil {
		return nil, err
	}
	if n, ok := length(x); ok && typeName(key) == "int" {
		if _, dict := x.(*Dict); !dict {
			return NewUndefined(errf("index %s is out of range of a %s of length %d", k, typeName(x), n)), nil
		}
	}
	return NewUndefined(errf("%s has no element %s", typeName(x), k)), nil
}

// arguments evaluates call arguments.
func (st *State) arguments(a *callArgs, first ...any) (args []any, names []string, values []any, err error) {
	args = append(make([]any, 0, len(first)+len(a.args)), first...)
	for _, e := range a.args {
		v, err := st.eval(e)
		if err != nil {
			return nil, nil, nil, err
		}
		args = append(args, v)
	}
	if values, err = st.evalAll(a.values); err != nil {
		return nil, nil, nil, err
	}
	names = a.names
	if a.star != nil {
		v, err := st.eval(a.star)
		if err != nil {
			return nil, nil, nil, err
		}
		more, err := st.iterate(v)
		if err != nil {
			return nil, nil, nil, err
		}
		args = append(args, more...)
	}
	if a.starStar != nil {
		v, err := st.eval(a.starStar)
		if err != nil {
			return nil, nil, nil, err
		}
		d, ok := v.(*Dict)
		if !ok {
			return nil, nil, nil, errf("the argument after ** must be a dict, not %s", typeName(v))
		}
		names = append([]string(nil), names...)
		d.Each(func(k, v any) bool {
			name, isText := k.(string)
			ok = ok && isText
			names, values = append(names, name), append(values, v)
			return ok
		})
		if !ok {
			return nil, nil, nil, errf("the keys of the argument after ** must be strings")
		}
	}
	return args, names, values, nil
}

func (e *callExpr) eval(st *State) (any, error) {
	return st.callWith(e, nil)
}

// callWith evaluates a call, with the caller of a call block.
func (st *State) callWith(e *callExpr, caller *Func) (any, error) {
	fn, err := st.eval(e.fn)
	if err != nil {
		return nil, err
	}
	args, names, values, err := st.arguments(&e.args)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		names, values = append(append([]string(nil), names...), "caller"), append(values, caller)
	}
	switch fn := fn.(type) {
	case *Func:
		return fn.call(st, args, names, values)
	case *loopObject:
		if fn.recurse != nil && len(args) == 1 {
			return fn.recurse(args[0])
		}
	case *Undefined:
		return nil, fn.error()
	case Callable:
		return fn.Func().call(st, args, names, values)
	}
	return nil, errf("a value of type %s cannot be called", typeName(fn))
}

// Callable is an object that can be called (macros.datetime).
type Callable interface{ Func() *Func }

func (e *filterExpr) eval(st *State) (any, error) {
	x, err := st.eval(e.x)
	if err != nil {
		return nil, err
	}
	return e.apply(st, x)
}

func (e *filterExpr) apply(st *State, x any) (any, error) {
	args, names, values, err := st.arguments(&e.args, x)
	if err != nil {
		return nil, err
	}
	return st.filter(e.name, args, names, values)
}

func (st *State) filter(name string, args []any, names []string, values []any) (any, error) {
	f := st.env.filters[name]
	if f == nil {
		e := errf("unknown filter %q", name)
		e.Nearest = nearest(name, st.env.filters)
		return nil, e
	}
	return f.call(st, args, names, values)
}

// chain applies the filters of a block to a text.
func (e *filterExpr) chain(st *State, text any) (any, error) {
	if inner, ok := e.x.(*filterExpr); ok {
		v, err := inner.chain(st, text)
		if err != nil {
			return nil, err
		}
		text = v
	}
	v, err := e.apply(st, text)
	if err != nil {
		return nil, located(e.pos, err)
	}
	return v, nil
}

func (e *testExpr) eval(st *State) (any, error) {
	x, err := st.eval(e.x)
	if err != nil {
		return nil, err
	}
	args, names, values, err := st.arguments(&e.args, x)
	if err != nil {
		return nil, err
	}
	return st.env.tests[e.name].call(st, args, names, values)
}

func (e *unaryExpr) eval(st *State) (any, error) {
	x, err := st.eval(e.x)
	if err != nil {
		return nil, err
	}
	return st.unary(e.op, x)
}

func (e *binaryExpr) eval(st *State) (any, error) {
	l, err := st.eval(e.l)
	if err != nil {
		return nil, err
	}
	r, err := st.eval(e.r)
	if err != nil {
		return nil, err
	}
	return st.binary(e.op, l, r)
}

func (e *concatExpr) eval(st *State) (any, error) {
	var b limitedWriter
	b.max = st.env.limits.Output
	for _, item := range e.items {
		v, err := st.eval(item)
		if err != nil {
			return nil, err
		}
		s, err := st.str(v)
		if err != nil {
			return nil, err
		}
		if err := b.put(s); err != nil {
			return nil, err
		}
	}
	return b.String(), st.text(b.Len())
}

func (e *compareExpr) eval(st *State) (any, error) {
	l, err := st.eval(e.first)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		r, err := st.eval(e.rest[i])
		if err != nil {
			return nil, err
		}
		ok, err := st.compare(op, l, r)
		if err != nil || !ok {
			return false, err
		}
		l = r
	}
	return true, nil
}

func (e *logicExpr) eval(st *State) (any, error) {
	l, err := st.eval(e.l)
	if err != nil {
		return nil, err
	}
	t, err := truth(l)
	if err != nil || t != e.and {
		return l, err
	}
	return st.eval(e.r)
}

func (e *notExpr) eval(st *State) (any, error) {
	x, err := st.eval(e.x)
	if err != nil {
		return nil, err
	}
	t, err := truth(x)
	return !t, err
}

func (e *condExpr) eval(st *State) (any, error) {
	c, err := st.eval(e.cond)
	if err != nil {
		return nil, err
	}
	t, err := truth(c)
	switch {
	case err != nil:
		return nil, err
	case t:
		return st.eval(e.x)
	case e.alt != nil:
		return st.eval(e.alt)
	}
	u := NewUndefined(e.fail("the condition of this inline if is false and it has no else"))
	u.lenient = true
	return u, nil
}
