package pyvalue

import "strings"

// Slice is x[lo:hi:step]; absent parts are nil.
func (st *State) Slice(x, lo, hi, step any) (any, error) {
	var bounds [3]int
	for i, v := range []any{lo, hi, step} {
		if v == nil {
			continue
		}
		var err error
		if bounds[i], err = Int(v, "a slice index"); err != nil {
			return nil, err
		}
	}
	if step == nil {
		bounds[2] = 1
	}
	if bounds[2] == 0 {
		return nil, Errorf("a slice step must not be zero")
	}
	n, ok := Len(x)
	_, dict := x.(*Dict)
	if !ok || dict {
		return nil, Errorf("a value of type %s cannot be sliced", TypeName(x))
	}
	if err := st.Charge(x); err != nil {
		return nil, err
	}
	r := sliceRange(n, bounds[0], lo != nil, bounds[1], hi != nil, bounds[2])
	switch x := x.(type) {
	case string:
		runes := []rune(x)
		var b strings.Builder
		for i := r.Start; r.Step > 0 && i < r.Stop || r.Step < 0 && i > r.Stop; i += r.Step {
			b.WriteRune(runes[i])
		}
		return b.String(), st.ReserveText(n)
	case Tuple:
		return Tuple(pick(x, r)), nil
	case *List:
		return &List{pick(x.Items, r)}, st.ReserveItems(n)
	}
	items, err := st.Iterate(x)
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
