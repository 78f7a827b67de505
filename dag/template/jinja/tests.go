package jinja

import "strings"

// builtinTests are Jinja's tests.
func builtinTests() map[string]*Func {
	tests := map[string]*Func{}
	add := func(f *Func, names ...string) {
		for _, n := range names {
			tests[n] = f
		}
	}
	// Questions about the kind of a value may be asked of undefined ones too.
	kind := func(name string, is func(v any) bool, names ...string) {
		f := NewFunc(name, func(_ *State, a []any) (any, error) { return is(a[0]), nil }, Req("value"))
		f.TakesUndefined = true
		add(f, append(names, name)...)
	}
	kind("defined", func(v any) bool { _, undefined := v.(*Undefined); return !undefined })
	kind("undefined", func(v any) bool { _, undefined := v.(*Undefined); return undefined })
	kind("none", func(v any) bool { return v == nil })
	kind("boolean", func(v any) bool { _, ok := v.(bool); return ok })
	kind("true", func(v any) bool { return v == true })
	kind("false", func(v any) bool { return v == false })
	kind("integer", func(v any) bool { _, ok := v.(int); return ok })
	kind("float", func(v any) bool { _, ok := v.(float64); return ok })
	kind("number", func(v any) bool { _, _, _, ok := number(v); return ok })
	kind("string", func(v any) bool { _, ok := v.(string); return ok })
	kind("mapping", func(v any) bool { _, ok := v.(*Dict); return ok })
	kind("escaped", func(any) bool { return false })
	kind("sequence", func(v any) bool { _, ok := length(v); return ok })
	kind("iterable", func(v any) bool { _, ok := length(v); _, it := v.(Iterator); return ok || it })
	kind("callable", func(v any) bool {
		switch v.(type) {
		case *Func, Callable:
			return true
		}
		return false
	})
	add(textTest("lower", func(s string) bool { return s == strings.ToLower(s) && s != strings.ToUpper(s) }), "lower")
	add(textTest("upper", func(s string) bool { return s == strings.ToUpper(s) && s != strings.ToLower(s) }), "upper")
	add(modTest("odd", 2, 1), "odd")
	add(modTest("even", 2, 0), "even")
	add(NewFunc("divisibleby", func(st *State, a []any) (any, error) {
		m, err := st.binary("%", a[0], a[1])
		if err != nil {
			return nil, err
		}
		return st.equal(m, 0)
	}, Req("value"), Req("num")), "divisibleby")
	add(NewFunc("sameas", func(st *State, a []any) (any, error) {
		if typeName(a[0]) != typeName(a[1]) {
			return false, nil
		}
		switch x := a[0].(type) {
		case *List:
			return x == a[1], nil
		case *Dict:
			return x == a[1], nil
		}
		return st.equal(a[0], a[1])
	}, Req("value"), Req("other")), "sameas")
	comparisonTests(add)
	add(NewFunc("filter", func(st *State, a []any) (any, error) { return known(a[0], st.env.filters) }, Req("value")),
		"filter")
	add(NewFunc("test", func(st *State, a []any) (any, error) { return known(a[0], st.env.tests) }, Req("value")), "test")
	return tests
}

func comparisonTests(add func(*Func, ...string)) {
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"}, "<": {"<", "lt", "lessthan"}, "<=": {"<=", "le"},
		">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"}, "in": {"in"},
	} {
		add(NewFunc(names[len(names)-1], func(st *State, a []any) (any, error) {
			return st.compare(op, a[0], a[1])
		}, Req("value"), Req("other")), names...)
	}
}

func known[V any](name any, m map[string]V) (any, error) {
	s, ok := name.(string)
	if !ok {
		return false, nil
	}
	_, ok = m[s]
	return ok, nil
}

func textTest(name string, is func(string) bool) *Func {
	return NewFunc(name, func(st *State, a []any) (any, error) {
		s, err := st.str(a[0])
		return is(s), err
	}, Req("value"))
}

func modTest(name string, by, rest int) *Func {
	return NewFunc(name, func(st *State, a []any) (any, error) {
		m, err := st.binary("%", a[0], by)
		if err != nil {
			return nil, err
		}
		return st.equal(m, rest)
	}, Req("value"))
}
