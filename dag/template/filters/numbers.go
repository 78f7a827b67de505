package filters

import (
	"math"
	"strconv"
	"strings"

	"gust/dag/template/pyvalue"
)

// numberFilters are the filters of numbers.
var numberFilters = []*pyvalue.Func{
	pyvalue.NewFunc("abs", abs, req("value")),
	pyvalue.NewFunc("int", intFilter, req("value"), opt("default", 0), opt("base", 10)),
	pyvalue.NewFunc("float", func(_ *pyvalue.State, a []any) (any, error) {
		if f, ok := toFloat(a[0]); ok {
			return f, nil
		}
		return a[1], nil
	}, req("value"), opt("default", 0.0)),
	pyvalue.NewFunc("round", func(_ *pyvalue.State, a []any) (any, error) { return round(a[0], a[1], a[2]) },
		req("value"), opt("precision", 0), opt("method", "common")),
	pyvalue.NewFunc("filesizeformat", func(_ *pyvalue.State, a []any) (any, error) { return fileSize(a[0], a[1]) },
		req("value"), opt("binary", false)),
}

func abs(st *pyvalue.State, a []any) (any, error) {
	i, f, isInt, ok := pyvalue.Number(a[0])
	switch {
	case ok && isInt && i < 0:
		return st.Unary("-", i)
	case ok && isInt:
		return i, nil
	case ok:
		return math.Abs(f), nil
	}
	if o, isOperator := a[0].(pyvalue.Operator); isOperator {
		if v, ok, err := o.Operate(st, "abs", nil, false); ok || err != nil {
			return v, err
		}
	}
	return nil, pyvalue.Errorf("abs needs a number, not %s", pyvalue.TypeName(a[0]))
}

func intFilter(_ *pyvalue.State, a []any) (any, error) {
	base, err := pyvalue.Int(a[2], "the base")
	if err != nil {
		return nil, err
	}
	if base < 0 || base == 1 || base > 36 {
		return nil, pyvalue.Errorf("the base is %d; expected 2 to 36", base)
	}
	return toInt(a[0], a[1], base), nil
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
	i, f, isInt, ok := pyvalue.Number(v)
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
	i, f, isInt, ok := pyvalue.Number(v)
	if !ok {
		return nil, pyvalue.Errorf("round needs a number, not %s", pyvalue.TypeName(v))
	}
	p, err := pyvalue.Int(precision, "the precision")
	if err != nil {
		return nil, err
	}
	if p < -300 || p > 300 {
		return nil, pyvalue.Errorf("the precision is %d; expected -300 to 300", p)
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
	return nil, pyvalue.Errorf("the method must be common, ceil or floor")
}

func fileSize(v, binary any) (any, error) {
	f, ok := toFloat(v)
	if !ok {
		return nil, pyvalue.Errorf("filesizeformat needs a number, not %s", pyvalue.TypeName(v))
	}
	units, base := []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}, 1000.0
	if b, err := pyvalue.Truth(binary); err != nil {
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
	for i, name := range units {
		unit := math.Pow(base, float64(i+2))
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
	_, f, _, ok := pyvalue.Number(v)
	return f, ok
}
