package filters

import (
	"slices"

	"gust/dag/template/pyvalue"
)

// sequenceFilters are the filters of whole sequences.
var sequenceFilters = []*pyvalue.Func{
	pyvalue.NewFunc("length", lengthFilter, req("value")),
	itemsFilter("list", func(_ *pyvalue.State, list []any, _ []any) (any, error) {
		return &pyvalue.List{Items: slices.Clone(list)}, nil
	}),
	itemsFilter("first", func(_ *pyvalue.State, list []any, _ []any) (any, error) {
		if len(list) == 0 {
			return pyvalue.NewUndefined(pyvalue.Errorf("no first item: the sequence is empty")), nil
		}
		return list[0], nil
	}),
	itemsFilter("last", func(_ *pyvalue.State, list []any, _ []any) (any, error) {
		if len(list) == 0 {
			return pyvalue.NewUndefined(pyvalue.Errorf("no last item: the sequence is empty")), nil
		}
		return list[len(list)-1], nil
	}),
	itemsFilter("random", func(st *pyvalue.State, list []any, _ []any) (any, error) {
		if len(list) == 0 {
			return pyvalue.NewUndefined(pyvalue.Errorf("no random item: the sequence is empty")), nil
		}
		return list[st.Random().IntN(len(list))], nil
	}),
	itemsFilter("reverse", reverse),
	itemsFilter("join", join, opt("d", ""), opt("attribute", nil)),
	itemsFilter("batch", func(st *pyvalue.State, list []any, a []any) (any, error) { return batch(st, list, a[1], a[2]) },
		req("linecount"), opt("fill_with", nil)),
	itemsFilter("slice", func(st *pyvalue.State, list []any, a []any) (any, error) { return slice(st, list, a[1], a[2]) },
		req("slices"), opt("fill_with", nil)),
	itemsFilter("sum", sum, opt("attribute", nil), opt("start", 0)),
	pyvalue.NewFunc("items", dictItems, req("value")),
}

// itemsFilter makes a filter of a function of a sequence's items. a[0] is the sequence itself.
func itemsFilter(name string, f func(st *pyvalue.State, items, a []any) (any, error),
	params ...pyvalue.Param) *pyvalue.Func {
	return pyvalue.NewFunc(name, func(st *pyvalue.State, a []any) (any, error) {
		list, err := st.Iterate(a[0])
		if err != nil {
			return nil, err
		}
		return f(st, list, a)
	}, append([]pyvalue.Param{req("value")}, params...)...)
}

func lengthFilter(_ *pyvalue.State, a []any) (any, error) {
	n, ok := pyvalue.Len(a[0])
	if !ok {
		return nil, pyvalue.Errorf("a value of type %s has no length", pyvalue.TypeName(a[0]))
	}
	return n, nil
}

func reverse(st *pyvalue.State, list, a []any) (any, error) {
	list = slices.Clone(list)
	slices.Reverse(list)
	if _, ok := a[0].(string); ok {
		return st.JoinText(list, "")
	}
	return &pyvalue.List{Items: list}, nil
}

func join(st *pyvalue.State, list, a []any) (any, error) {
	sep, err := st.Str(a[1])
	if err == nil && a[2] != nil {
		list, err = attributes(st, list, a[2], nil)
	}
	if err != nil {
		return nil, err
	}
	return st.JoinText(list, sep)
}

func sum(st *pyvalue.State, list, a []any) (any, error) {
	var err error
	if a[1] != nil {
		if list, err = attributes(st, list, a[1], nil); err != nil {
			return nil, err
		}
	}
	total := a[2]
	for _, item := range list {
		if total, err = st.Binary("+", total, item); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func dictItems(_ *pyvalue.State, a []any) (any, error) {
	d, ok := a[0].(*pyvalue.Dict)
	if !ok {
		return nil, pyvalue.Errorf("items needs a dict, not %s", pyvalue.TypeName(a[0]))
	}
	return &pyvalue.List{Items: d.Pairs()}, nil
}

func batch(st *pyvalue.State, list []any, count, fill any) (any, error) {
	n, err := pyvalue.Int(count, "the line count")
	if err == nil && n < 1 {
		err = pyvalue.Errorf("the line count must be positive")
	}
	if err == nil {
		err = st.ReserveItems(n)
	}
	if err != nil {
		return nil, err
	}
	out := &pyvalue.List{}
	for part := range slices.Chunk(list, n) {
		row := slices.Clone(part)
		for fill != nil && len(row) < n {
			row = append(row, fill)
		}
		out.Items = append(out.Items, &pyvalue.List{Items: row})
	}
	return out, nil
}

func slice(st *pyvalue.State, list []any, count, fill any) (any, error) {
	n, err := pyvalue.Int(count, "the number of slices")
	if err == nil && n < 1 {
		err = pyvalue.Errorf("the number of slices must be positive")
	}
	if err == nil {
		err = st.ReserveItems(n)
	}
	if err != nil {
		return nil, err
	}
	out := &pyvalue.List{}
	size, extra, at := len(list)/n, len(list)%n, 0
	for i := range n {
		end := at + size
		if i < extra {
			end++
		}
		row := slices.Clone(list[at:end])
		if fill != nil && i >= extra && extra > 0 {
			row = append(row, fill)
		}
		out.Items, at = append(out.Items, &pyvalue.List{Items: row}), end
	}
	return out, nil
}
