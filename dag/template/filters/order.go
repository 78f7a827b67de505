package filters

import (
	"strings"

	"gust/dag/template/pyvalue"
)

// orderFilters are the filters that compare items.
var orderFilters = []*pyvalue.Func{
	pyvalue.NewFunc("sort", sortFilter,
		req("value"), opt("reverse", false), opt("case_sensitive", false), opt("attribute", nil)),
	pyvalue.NewFunc("unique", unique,
		req("value"), opt("case_sensitive", false), opt("attribute", nil)),
	pyvalue.NewFunc("min", func(st *pyvalue.State, a []any) (any, error) { return extreme(st, "min", a[0], a[1], a[2]) },
		req("value"), opt("case_sensitive", false), opt("attribute", nil)),
	pyvalue.NewFunc("max", func(st *pyvalue.State, a []any) (any, error) { return extreme(st, "max", a[0], a[1], a[2]) },
		req("value"), opt("case_sensitive", false), opt("attribute", nil)),
	pyvalue.NewFunc("dictsort", dictSort,
		req("value"), opt("case_sensitive", false), opt("by", "key"), opt("reverse", false)),
	pyvalue.NewFunc("groupby", groupBy,
		req("value"), req("attribute"), opt("default", nil), opt("case_sensitive", false)),
}

// sortKey folds the case of strings unless the filter is case sensitive.
func sortKey(v any, caseSensitive bool) any {
	if s, ok := v.(string); ok && !caseSensitive {
		return strings.ToLower(s)
	}
	return v
}

// keysOf returns the sort keys of items by an attribute, or by several joined with commas.
func keysOf(st *pyvalue.State, items []any, attribute, fallback any, caseSensitive bool) ([]any, error) {
	var columns [][]any
	names := []any{attribute}
	if s, ok := attribute.(string); ok {
		names = nil
		for part := range strings.SplitSeq(s, ",") {
			names = append(names, part)
		}
	}
	for _, name := range names {
		column := items
		if name != nil {
			var err error
			if column, err = attributes(st, items, name, fallback); err != nil {
				return nil, err
			}
		}
		columns = append(columns, column)
	}
	keys := make([]any, len(items))
	for i := range items {
		key := make(pyvalue.Tuple, len(columns))
		for j := range columns {
			key[j] = sortKey(columns[j][i], caseSensitive)
		}
		if keys[i] = key; len(key) == 1 {
			keys[i] = key[0]
		}
	}
	return keys, nil
}

func sortFilter(st *pyvalue.State, a []any) (any, error) {
	v, reverse, caseSensitive, attribute := a[0], a[1], a[2], a[3]
	items, cs, err := itemsAndCase(st, v, caseSensitive)
	if err != nil {
		return nil, err
	}
	down, err := pyvalue.Truth(reverse)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(st, items, attribute, nil, cs)
	if err != nil {
		return nil, err
	}
	index, err := st.Order(keys, down)
	if err != nil {
		return nil, err
	}
	out := &pyvalue.List{Items: make([]any, len(items))}
	for i, j := range index {
		out.Items[i] = items[j]
	}
	return out, nil
}

func itemsAndCase(st *pyvalue.State, v, caseSensitive any) ([]any, bool, error) {
	items, err := st.Iterate(v)
	if err != nil {
		return nil, false, err
	}
	cs, err := pyvalue.Truth(caseSensitive)
	return items, cs, err
}

func unique(st *pyvalue.State, a []any) (any, error) {
	v, caseSensitive, attribute := a[0], a[1], a[2]
	items, cs, err := itemsAndCase(st, v, caseSensitive)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(st, items, attribute, nil, cs)
	if err != nil {
		return nil, err
	}
	seen := pyvalue.NewDict(len(items))
	out := &pyvalue.List{}
	for i, item := range items {
		if _, dup := seen.Get(keys[i]); dup {
			continue
		}
		if !seen.Set(keys[i], true) {
			return nil, pyvalue.Errorf("a value of type %s cannot be compared by unique", pyvalue.TypeName(keys[i]))
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func extreme(st *pyvalue.State, name string, v, caseSensitive, attribute any) (any, error) {
	items, cs, err := itemsAndCase(st, v, caseSensitive)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return pyvalue.NewUndefined(pyvalue.Errorf("no %s item: the sequence is empty", name)), nil
	}
	keys, err := keysOf(st, items, attribute, nil, cs)
	if err != nil {
		return nil, err
	}
	op := map[string]string{"min": "<", "max": ">"}[name]
	best := 0
	for i := range items {
		better, err := st.Compare(op, keys[i], keys[best])
		if err != nil {
			return nil, err
		}
		if better {
			best = i
		}
	}
	return items[best], nil
}

func dictSort(st *pyvalue.State, a []any) (any, error) {
	v, caseSensitive, by, reverse := a[0], a[1], a[2], a[3]
	d, ok := v.(*pyvalue.Dict)
	if !ok {
		return nil, pyvalue.Errorf("dictsort needs a dict, not %s", pyvalue.TypeName(v))
	}
	if by != "key" && by != "value" {
		return nil, pyvalue.Errorf("by must be \"key\" or \"value\"")
	}
	column := 0
	if by == "value" {
		column = 1
	}
	return sortFilter(st, []any{&pyvalue.List{Items: d.Pairs()}, reverse, caseSensitive, column})
}

var groupFields = []string{"grouper", "list"}

// groupBy returns pairs of a grouper and a list, which are their attributes too.
func groupBy(st *pyvalue.State, a []any) (any, error) {
	v, attribute, fallback, caseSensitive := a[0], a[1], a[2], a[3]
	items, cs, err := itemsAndCase(st, v, caseSensitive)
	if err != nil {
		return nil, err
	}
	labels, err := attributes(st, items, attribute, fallback)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(st, labels, nil, nil, cs)
	if err != nil {
		return nil, err
	}
	sorted, err := st.Order(keys, false)
	if err != nil {
		return nil, err
	}
	out := &pyvalue.List{}
	var group *pyvalue.List
	var last any
	for _, n := range sorted {
		same := false
		if group != nil {
			if same, err = st.Equal(last, keys[n]); err != nil {
				return nil, err
			}
		}
		if !same {
			group, last = &pyvalue.List{}, keys[n]
			out.Items = append(out.Items, &pyvalue.NamedTuple{Fields: groupFields, Items: pyvalue.Tuple{labels[n], group}})
		}
		group.Items = append(group.Items, items[n])
	}
	return out, nil
}
