package filters

import (
	"strings"

	"gust/dag/template/pyvalue"
)

// addTests adds Jinja's tests. Two of them ask which filters and tests exist.
func addTests(filters, tests map[string]*pyvalue.Func) {
	// Questions about the kind of a value may be asked of undefined ones too.
	for name, is := range kinds {
		f := pyvalue.NewFunc(name, func(_ *pyvalue.State, a []any) (any, error) { return is(a[0]), nil }, req("value"))
		f.TakesUndefined = true
		tests[name] = f
	}
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"}, "<": {"<", "lt", "lessthan"}, "<=": {"<=", "le"},
		">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"}, "in": {"in"},
	} {
		f := pyvalue.NewFunc(names[len(names)-1], func(st *pyvalue.State, a []any) (any, error) {
			return st.Compare(op, a[0], a[1])
		}, req("value"), req("other"))
		for _, name := range names {
			tests[name] = f
		}
	}
	for _, f := range []*pyvalue.Func{
		textTest("lower", func(s string) bool { return s == strings.ToLower(s) && s != strings.ToUpper(s) }),
		textTest("upper", func(s string) bool { return s == strings.ToUpper(s) && s != strings.ToLower(s) }),
		remainderTest("odd", 2, 1),
		remainderTest("even", 2, 0),
		pyvalue.NewFunc("divisibleby", func(st *pyvalue.State, a []any) (any, error) {
			return remainderIs(st, a[0], a[1], 0)
		}, req("value"), req("num")),
		pyvalue.NewFunc("sameas", sameAs, req("value"), req("other")),
		nameTest("filter", filters),
		nameTest("test", tests),
	} {
		tests[f.Name] = f
	}
}

// kinds are the tests that look at the kind of a value.
var kinds = map[string]func(v any) bool{
	"defined":   func(v any) bool { _, undefined := v.(*pyvalue.Undefined); return !undefined },
	"undefined": func(v any) bool { _, undefined := v.(*pyvalue.Undefined); return undefined },
	"none":      func(v any) bool { return v == nil },
	"boolean":   func(v any) bool { _, ok := v.(bool); return ok },
	"true":      func(v any) bool { return v == true },
	"false":     func(v any) bool { return v == false },
	"integer":   func(v any) bool { _, ok := v.(int); return ok },
	"float":     func(v any) bool { _, ok := v.(float64); return ok },
	"number":    func(v any) bool { _, _, _, ok := pyvalue.Number(v); return ok },
	"string":    func(v any) bool { _, ok := v.(string); return ok },
	"mapping":   func(v any) bool { _, ok := v.(*pyvalue.Dict); return ok },
	"escaped":   func(any) bool { return false },
	"sequence":  func(v any) bool { _, ok := pyvalue.Len(v); return ok },
	"iterable":  func(v any) bool { _, ok := pyvalue.Len(v); _, it := v.(pyvalue.Iterator); return ok || it },
	"callable": func(v any) bool {
		switch v.(type) {
		case *pyvalue.Func, pyvalue.Callable:
			return true
		}
		return false
	},
}

func sameAs(st *pyvalue.State, a []any) (any, error) {
	if pyvalue.TypeName(a[0]) != pyvalue.TypeName(a[1]) {
		return false, nil
	}
	switch x := a[0].(type) {
	case *pyvalue.List:
		return x == a[1], nil
	case *pyvalue.Dict:
		return x == a[1], nil
	}
	return st.Equal(a[0], a[1])
}

// nameTest asks whether a filter or test of a name exists.
func nameTest(name string, known map[string]*pyvalue.Func) *pyvalue.Func {
	return pyvalue.NewFunc(name, func(_ *pyvalue.State, a []any) (any, error) {
		s, ok := a[0].(string)
		return ok && known[s] != nil, nil
	}, req("value"))
}

func textTest(name string, is func(string) bool) *pyvalue.Func {
	return pyvalue.NewFunc(name, func(st *pyvalue.State, a []any) (any, error) {
		s, err := st.Str(a[0])
		return is(s), err
	}, req("value"))
}

func remainderTest(name string, by, rest int) *pyvalue.Func {
	return pyvalue.NewFunc(name, func(st *pyvalue.State, a []any) (any, error) {
		return remainderIs(st, a[0], by, rest)
	}, req("value"))
}

func remainderIs(st *pyvalue.State, v, by any, rest int) (any, error) {
	m, err := st.Binary("%", v, by)
	if err != nil {
		return nil, err
	}
	return st.Equal(m, rest)
}
