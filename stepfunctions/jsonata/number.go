package jsonata

import (
	"math"
	"strconv"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// formatNumber writes a number as JavaScript does: the shortest digits that read back the same, plain from 1e-7 up to
// 1e21, with an exponent outside.
func formatNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatInt(int64(f), 10)
	}
	return string(appendNumber(nil, f))
}

func appendNumber(dst []byte, f float64) []byte {
	switch {
	case f == 0:
		return append(dst, '0')
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 0):
		if f < 0 {
			dst = append(dst, '-')
		}
		return append(dst, "Infinity"...)
	}
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	text := strconv.FormatFloat(f, 'e', -1, 64)
	// Go writes at least two digits of exponent, JavaScript as many as it has.
	mantissa, exponent, _ := strings.Cut(text, "e")
	dst = append(append(dst, mantissa...), 'e', exponent[0])
	return append(dst, strings.TrimLeft(exponent[1:], "0")...)
}

// shownNumber is a number as $string shows it: at 15 significant digits, so that 0.1+0.2 reads 0.3.
func shownNumber(f float64) float64 {
	if f == math.Trunc(f) || math.IsInf(f, 0) || math.IsNaN(f) {
		return f
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'e', 14, 64), 64)
	if err != nil {
		return f
	}
	return rounded
}

// numberJSON is a number on its way out. A literal that only passed through keeps its text. What no JSON number can say
// becomes a string, "Infinity" or "NaN", as measured at AWS.
func numberJSON(v value) jsonvalue.Value {
	if v.str == "" || v.num == 0 && v.str[0] == '-' {
		if v.num == math.Trunc(v.num) && math.Abs(v.num) < 1e15 {
			return jsonvalue.NewInt(int64(v.num))
		}
		if math.IsInf(v.num, 0) || math.IsNaN(v.num) {
			return jsonvalue.NewString(formatNumber(v.num))
		}
		v.str = formatNumber(v.num)
	}
	out, err := jsonvalue.Parse(v.str)
	if err != nil {
		return jsonvalue.Value{}
	}
	return out
}

// numeric reports whether the value is a number, which NaN is not; one that is out of range is a failure.
func numeric(v value) (bool, error) {
	if v.kind != kindNumber || math.IsNaN(v.num) {
		return false, nil
	}
	if math.IsInf(v.num, 0) {
		return false, failure("D1001", 0, "", "null")
	}
	return true, nil
}
