// Package filters has the filters and tests of Jinja, without those that only make web pages (urlize, xmlattr).
package filters

import (
	"maps"
	"slices"

	"gust/dag/template/pyvalue"
	"gust/internal/param"
)

var (
	req = pyvalue.Req
	opt = pyvalue.Opt
)

// Builtin returns Jinja's filters and tests by name. The two maps know each other, because map and select take names of
// filters and tests: what is added to them, templates find.
func Builtin() (filters, tests map[string]*pyvalue.Func) {
	filters, tests = map[string]*pyvalue.Func{}, map[string]*pyvalue.Func{}
	for _, group := range [][]*pyvalue.Func{
		numberFilters, sequenceFilters, orderFilters, textFilters, htmlFilters, valueFilters, applyFilters(filters, tests),
	} {
		for _, f := range group {
			filters[f.Name] = f
		}
	}
	for alias, name := range map[string]string{"count": "length", "d": "default", "e": "escape", "forceescape": "escape"} {
		filters[alias] = filters[name]
	}
	addTests(filters, tests)
	return filters, tests
}

// valueFilters take values of every kind.
var valueFilters = []*pyvalue.Func{
	{Name: "default", Params: []pyvalue.Param{req("value"), opt("default_value", ""), opt("boolean", false)},
		TakesUndefined: true, Do: func(_ *pyvalue.State, a pyvalue.Args) (any, error) { return defaultFilter(a.Values) }},
	pyvalue.NewFunc("attr", attrFilter, req("value"), req("name")),
}

func defaultFilter(a []any) (any, error) {
	boolean, err := pyvalue.Truth(a[2])
	if err != nil {
		return nil, err
	}
	if _, undefined := a[0].(*pyvalue.Undefined); undefined {
		return a[1], nil
	}
	if ok, err := pyvalue.Truth(a[0]); boolean && err == nil && !ok {
		return a[1], nil
	}
	return a[0], nil
}

// attrFilter finds attributes only, where a dot finds items too.
func attrFilter(st *pyvalue.State, a []any) (any, error) {
	name, err := pyvalue.Text(a[1], "the name")
	if err != nil {
		return nil, err
	}
	if _, ok := a[0].(*pyvalue.Dict); ok && st.Method(a[0], name) == nil {
		return st.UndefinedAttr(a[0], name), nil
	}
	return st.Attr(a[0], name)
}

// Unknown is the error for the name of a filter or test that does not exist among known ones.
func Unknown(kind, name string, known map[string]*pyvalue.Func) *pyvalue.Error {
	e := pyvalue.Errorf("unknown %s %q", kind, name)
	e.Nearest = param.Nearest(name, slices.Sorted(maps.Keys(known)))
	return e
}
