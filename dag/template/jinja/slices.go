package jinja

import "strings"

func (e *sliceExpr) eval(*State) (any, error) {
	return nil, errf("a slice is allowed as an index only")
}

// apply is x[lo:hi:step].
func (e *sliceExpr) apply(st *State, x any) (any, error) {
	bound := func(b expr) (int, bool, error) {
		if b == nil {
			return 0, false, nil
		}
		v, err := st.eval(b)
		if err != nil || v == nil {
			return 0, false, err
		}
		n, err := Int(v, "a slice index")
		return n, true, err
	}
	lo, hasLo, err := bound(e.lo)
	if err != nil {
		return nil, err
	}
	hi, hasHi, err := bound(e.hi)
	if err != nil {
		return nil, err
	}
	step, hasStep, err := bound(e.step)
	if err != nil {
		return nil, err
	}
	if !hasStep {
		step = 1
	}
	if step == 0 {
		return nil, errf("a slice step must not be zero")
	}
	n, ok := length(x)
	_, dict := x.(*Dict)
	if !ok || dict {
		return nil, errf("a value of type %s cannot be sliced", typeName(x))
	}
	if err := st.charge(x); err != nil {
		return nil, err
	}
	r := sliceRange(n, lo, hasLo, hi, hasHi, step)
	switch x := x.(type) {
	case string:
		runes := []rune(x)
		var b strings.Builder
		for i := r.Start; r.Step > 0 && i < r.Stop || r.Step < 0 && i > r.Stop; i += r.Step {
			b.WriteRune(runes[i])
		}
		return b.String(), st.text(n)
	case Tuple:
		return Tuple(pick(x, r)), nil
	case *List:
		return &List{pick(x.Items, r)}, st.items(n)
	}
	items, err := st.iterate(x)
	if err != nil {
		return nil, err
	}
	return &List{pick(items, r)}, nil
}

// sliceRange clips the bounds as Python does.
func sliceRange(n, lo int, hasLo bool, hi int, hasHi bool, step int) Range {
	clip := func(v, low, high int) int {
		if v < 0 {
			v += n
		}
		return max(low, min(v, high))
	}
	if step > 0 {
		r := Range{0, n, step}
		if hasLo {
			r.Start = clip(lo, 0, n)
		}
		if hasHi {
			r.Stop = clip(hi, 0, n)
		}
		r.Step = min(step, n+1)
		return r
	}
	r := Range{n - 1, -1, max(step, -n-1)}
	if hasLo {
		r.Start = clip(lo, -1, n-1)
	}
	if hasHi {
		r.Stop = clip(hi, -1, n-1)
	}
	return r
}

func pick(items []any, r Range) []any {
	out := make([]any, 0, r.Len())
	for i := r.Start; r.Step > 0 && i < r.Stop || r.Step < 0 && i > r.Stop; i += r.Step {
		out = append(out, items[i])
	}
	return out
}
