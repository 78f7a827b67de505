package jinja

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// builtinFilters are Jinja's filters.
func builtinFilters() map[string]*Func {
	filters := map[string]*Func{}
	add := func(f *Func, names ...string) {
		for _, n := range append(names, f.Name) {
			filters[n] = f
		}
	}
	numberFilters(add)
	textFilters(add)
	sequenceFilters(add)
	selectFilters(add)
	orderFilters(add)
	htmlFilters(add)

	def := NewFunc("default", func(_ *State, a []any) (any, error) {
		boolean, err := truth(a[2])
		if err != nil {
			return nil, err
		}
		if _, undefined := a[0].(*Undefined); undefined {
			return a[1], nil
		}
		if ok, err := truth(a[0]); boolean && err == nil && !ok {
			return a[1], nil
		}
		return a[0], nil
	}, Req("value"), Opt("default_value", ""), Opt("boolean", false))
	def.TakesUndefined = true
	add(def, "d")
	add(NewFunc("attr", func(st *State, a []any) (any, error) {
		name, err := Text(a[1], "the name")
		if err != nil {
			return nil, err
		}
		if _, ok := a[0].(*Dict); ok && st.method(a[0], name) == nil {
			return st.missing(a[0], name), nil
		}
		return st.attr(a[0], name)
	}, Req("value"), Req("name")))
	return filters
}

func numberFilters(add func(*Func, ...string)) {
	add(NewFunc("abs", func(st *State, a []any) (any, error) {
		i, f, isInt, ok := number(a[0])
		switch {
		case ok && isInt && i < 0:
			return st.unary("-", i)
		case ok && isInt:
			return i, nil
		case ok:
			return math.Abs(f), nil
		}
		if o, isOperator := a[0].(Operator); isOperator {
			if v, ok, err := o.Operate(st, "abs", nil, false); ok || err != nil {
				return v, err
			}
		}
		return nil, errf("abs needs a number, not %s", typeName(a[0]))
	}, Req("value")))
	add(NewFunc("int", func(_ *State, a []any) (any, error) {
		base, err := Int(a[2], "the base")
		if err != nil {
			return nil, err
		}
		if base < 0 || base == 1 || base > 36 {
			return nil, errf("the base is %d; expected 2 to 36", base)
		}
		return toInt(a[0], a[1], base), nil
	}, Req("value"), Opt("default", 0), Opt("base", 10)))
	add(NewFunc("float", func(_ *State, a []any) (any, error) {
		if _, f, _, ok := number(a[0]); ok {
			return f, nil
		}
		if s, ok := a[0].(string); ok {
			if f, ok := parseFloat(s); ok {
				return f, nil
			}
		}
		return a[1], nil
	}, Req("value"), Opt("default", 0.0)))
	add(NewFunc("round", func(_ *State, a []any) (any, error) { return round(a[0], a[1], a[2]) },
		Req("value"), Opt("precision", 0), Opt("method", "common")))
	add(NewFunc("filesizeformat", func(_ *State, a []any) (any, error) { return fileSize(a[0], a[1]) },
		Req("value"), Opt("binary", false)))
	add(NewFunc("random", func(st *State, a []any) (any, error) {
		items, err := st.iterate(a[0])
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return NewUndefined(errf("no random item: the sequence is empty")), nil
		}
		return items[st.random().IntN(len(items))], nil
	}, Req("value")))
}

// random is the evaluation's source of random numbers: the host's, or a fixed one.
func (st *State) random() *rand.Rand {
	if st.globals.Random == nil {
		fixed := rand.New(rand.NewPCG(1, 1))
		st.globals.Random = func() *rand.Rand { return fixed }
	}
	return st.globals.Random()
}

func parseFloat(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "xXpP_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

func toInt(v, fallback any, base int) any {
	i, f, isInt, ok := number(v)
	if ok && isInt {
		return i
	}
	if s, isText := v.(string); isText {
		s = strings.TrimSpace(s)
		plain := s
		if base == 16 {
			plain = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
		}
		if n, err := strconv.ParseInt(strings.ReplaceAll(plain, "_", ""), base, 64); err == nil {
			return int(n)
		}
		f, ok = parseFloat(s)
	}
	if !ok || math.IsNaN(f) || math.Abs(f) >= 1<<63 {
		return fallback
	}
	return int(f)
}

func round(v, precision, method any) (any, error) {
	i, f, isInt, ok := number(v)
	if !ok {
		return nil, errf("round needs a number, not %s", typeName(v))
	}
	p, err := Int(precision, "the precision")
	if err != nil {
		return nil, err
	}
	if p < -300 || p > 300 {
		return nil, errf("the precision is %d; expected -300 to 300", p)
	}
	scale := math.Pow(10, float64(p))
	switch method {
	case "common":
		switch {
		case isInt && p >= 0:
			return i, nil
		case p >= 0:
			f, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', p, 64), 64)
			return f, err
		case isInt:
			return int(math.RoundToEven(f*scale) / scale), nil
		}
		return math.RoundToEven(f*scale) / scale, nil
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	}
	return nil, errf("the method must be common, ceil or floor")
}

func fileSize(v, binary any) (any, error) {
	f, ok := toFloat(v)
	if !ok {
		return nil, errf("filesizeformat needs a number, not %s", typeName(v))
	}
	units, base := []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}, 1000.0
	if b, err := truth(binary); err != nil {
		return nil, err
	} else if b {
		units, base = []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}, 1024
	}
	switch {
	case f == 1:
		return "1 Byte", nil
	case f < base:
		return strconv.Itoa(int(f)) + " Bytes", nil
	}
	unit := base
	for i, name := range units {
		unit = math.Pow(base, float64(i+2))
		if f < unit || i == len(units)-1 {
			return strconv.FormatFloat(base*f/unit, 'f', 1, 64) + " " + name, nil
		}
	}
	return nil, nil
}

func toFloat(v any) (float64, bool) {
	if s, ok := v.(string); ok {
		return parseFloat(s)
	}
	_, f, _, ok := number(v)
	return f, ok
}

func sequenceFilters(add func(*Func, ...string)) {
	items := func(name string, f func(st *State, items []any, a []any) (any, error), params ...Param) *Func {
		return NewFunc(name, func(st *State, a []any) (any, error) {
			list, err := st.iterate(a[0])
			if err != nil {
				return nil, err
			}
			return f(st, list, a)
		}, append([]Param{Req("value")}, params...)...)
	}
	add(NewFunc("length", func(_ *State, a []any) (any, error) {
		n, ok := length(a[0])
		if !ok {
			return nil, errf("a value of type %s has no length", typeName(a[0]))
		}
		return n, nil
	}, Req("value")), "count")
	add(items("list", func(_ *State, list []any, _ []any) (any, error) { return &List{slices.Clone(list)}, nil }))
	add(items("first", func(_ *State, list []any, _ []any) (any, error) {
		if len(list) == 0 {
			return NewUndefined(errf("no first item: the sequence is empty")), nil
		}
		return list[0], nil
	}))
	add(items("last", func(_ *State, list []any, _ []any) (any, error) {
		if len(list) == 0 {
			return NewUndefined(errf("no last item: the sequence is empty")), nil
		}
		return list[len(list)-1], nil
	}))
	add(NewFunc("reverse", func(st *State, a []any) (any, error) {
		list, err := st.iterate(a[0])
		if err != nil {
			return nil, err
		}
		list = slices.Clone(list)
		slices.Reverse(list)
		if _, ok := a[0].(string); ok {
			return st.joinText(list, "")
		}
		return &List{list}, nil
	}, Req("value")))
	add(items("join", func(st *State, list []any, a []any) (any, error) {
		sep, err := st.str(a[1])
		if err == nil && a[2] != nil {
			list, err = st.attributes(list, a[2], nil)
		}
		if err != nil {
			return nil, err
		}
		return st.joinText(list, sep)
	}, Opt("d", ""), Opt("attribute", nil)))
	add(items("batch", func(st *State, list []any, a []any) (any, error) { return batch(st, list, a[1], a[2]) },
		Req("linecount"), Opt("fill_with", nil)))
	add(items("slice", func(st *State, list []any, a []any) (any, error) { return slice(st, list, a[1], a[2]) },
		Req("slices"), Opt("fill_with", nil)))
	add(items("sum", func(st *State, list []any, a []any) (any, error) {
		if a[1] != nil {
			var err error
			if list, err = st.attributes(list, a[1], nil); err != nil {
				return nil, err
			}
		}
		total := a[2]
		for _, item := range list {
			var err error
			if total, err = st.binary("+", total, item); err != nil {
				return nil, err
			}
		}
		return total, nil
	}, Opt("attribute", nil), Opt("start", 0)))
	add(NewFunc("items", func(_ *State, a []any) (any, error) {
		d, ok := a[0].(*Dict)
		if !ok {
			return nil, errf("items needs a dict, not %s", typeName(a[0]))
		}
		list := &List{}
		d.Each(func(k, v any) bool { list.Items = append(list.Items, Tuple{k, v}); return true })
		return list, nil
	}, Req("value")))
}

func batch(st *State, list []any, count, fill any) (any, error) {
	n, err := Int(count, "the line count")
	if err == nil && n < 1 {
		err = errf("the line count must be positive")
	}
	if err == nil {
		err = st.items(n)
	}
	if err != nil {
		return nil, err
	}
	out := &List{}
	for part := range slices.Chunk(list, n) {
		row := slices.Clone(part)
		for fill != nil && len(row) < n {
			row = append(row, fill)
		}
		out.Items = append(out.Items, &List{row})
	}
	return out, nil
}

func slice(st *State, list []any, count, fill any) (any, error) {
	n, err := Int(count, "the number of slices")
	if err == nil && n < 1 {
		err = errf("the number of slices must be positive")
	}
	if err == nil {
		err = st.items(n)
	}
	if err != nil {
		return nil, err
	}
	out := &List{}
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
		out.Items, at = append(out.Items, &List{row}), end
	}
	return out, nil
}
