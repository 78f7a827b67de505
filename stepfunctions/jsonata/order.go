package jsonata

// mergeSort sorts stably; after says that a belongs behind b. It stops at the first error.
func mergeSort[T any](items []T, after func(a, b T) (bool, error)) ([]T, error) {
	if len(items) <= 1 {
		return items, nil
	}
	middle := len(items) / 2
	left, err := mergeSort(items[:middle], after)
	if err != nil {
		return nil, err
	}
	right, err := mergeSort(items[middle:], after)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(items))
	for len(left) > 0 && len(right) > 0 {
		swap, err := after(left[0], right[0])
		if err != nil {
			return nil, err
		}
		if swap {
			out, right = append(out, right[0]), right[1:]
		} else {
			out, left = append(out, left[0]), left[1:]
		}
	}
	return append(append(out, left...), right...), nil
}

func (ev *evaluator) sorted(e *expr, items []value, env *frame) ([]value, error) {
	if err := ev.spend(len(items)); err != nil {
		return nil, err
	}
	return mergeSort(items, func(a, b value) (bool, error) { return ev.after(e, a, b, env, env) })
}

func (ev *evaluator) sortedTuples(e *expr, tuples []tuple, env *frame) ([]tuple, error) {
	if err := ev.spend(len(tuples)); err != nil {
		return nil, err
	}
	return mergeSort(tuples, func(a, b tuple) (bool, error) {
		return ev.after(e, a.at, b.at, a.frame(env), b.frame(env))
	})
}

// after reports whether a comes behind b by the terms of a sort step. Items without a value come last.
func (ev *evaluator) after(e *expr, a, b value, envA, envB *frame) (bool, error) {
	for _, t := range e.terms {
		x, err := ev.eval(t.by, a, envA)
		if err != nil {
			return false, err
		}
		y, err := ev.eval(t.by, b, envB)
		if err != nil {
			return false, err
		}
		if !x.defined() || !y.defined() {
			if x.defined() == y.defined() {
				continue
			}
			return !x.defined(), nil
		}
		if !sortable(x) || !sortable(y) {
			return false, failure("T2008", e.pos, "")
		}
		if x.kind != y.kind {
			return false, failure("T2007", e.pos, "", showJSON(x), showJSON(y))
		}
		if order := compareValues(x, y); order != 0 {
			return (order > 0) != t.descending, nil
		}
	}
	return false, nil
}

func sortable(v value) bool { return v.kind == kindString || v.kind == kindNumber }

// compareValues orders two numbers or two strings.
func compareValues(a, b value) int {
	if a.kind == kindString {
		return compareText(a.str, b.str)
	}
	switch {
	case a.num < b.num:
		return -1
	case a.num > b.num:
		return 1
	}
	return 0
}

// compareText orders strings by UTF-16 code units, as JavaScript does: beyond the common start, characters above U+FFFF
// come before U+E000..U+FFFF, unlike in UTF-8.
func compareText(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	switch {
	case i == len(a) && i == len(b):
		return 0
	case i == len(a):
		return -1
	case i == len(b):
		return 1
	}
	x, y := a[i], b[i]
	// Lead bytes F0..F4 begin characters above U+FFFF; EE and EF begin U+E000..U+FFFF.
	if (x >= 0xF0) != (y >= 0xF0) && x >= 0xEE && y >= 0xEE {
		x, y = y, x
	}
	if x < y {
		return -1
	}
	return 1
}
