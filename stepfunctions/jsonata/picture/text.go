package picture

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// NumberText prints a number as JavaScript does: the shortest digits that read back, with an exponent from 1e21 on and
// below 1e-6.
func NumberText(value float64) string {
	switch {
	case math.IsNaN(value):
		return "NaN"
	case math.IsInf(value, 0):
		return strings.TrimPrefix(strconv.FormatFloat(value, 'g', -1, 64)[:1], "+") + "Infinity"
	case value == 0:
		return "0"
	}
	if size := math.Abs(value); size >= 1e-6 && size < 1e21 {
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	text := strconv.FormatFloat(value, 'e', -1, 64)
	digits, exponent, _ := strings.Cut(text, "e")
	return digits + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0")
}

// The slices below follow JavaScript's strings where indices leave the text: an empty needle is found everywhere, a
// negative index counts from the end.

func isOnly(s []rune, r rune) bool { return len(s) == 1 && s[0] == r }

func index(text, needle []rune, from int) int {
	for i := min(from, len(text)); i+len(needle) <= len(text); i++ {
		if slices.Equal(text[i:i+len(needle)], needle) {
			return i
		}
	}
	return -1
}

func lastIndex(text, needle []rune) int {
	for i := len(text) - len(needle); i >= 0; i-- {
		if slices.Equal(text[i:i+len(needle)], needle) {
			return i
		}
	}
	return -1
}

func contains(text, needle []rune) bool { return index(text, needle, 0) >= 0 }

func count(text []rune, is func(rune) bool) int {
	n := 0
	for _, r := range text {
		if is(r) {
			n++
		}
	}
	return n
}

func cut(text []rune, from, to int) []rune {
	from, to = min(max(from, 0), len(text)), min(max(to, 0), len(text))
	if from > to {
		from, to = to, from
	}
	return text[from:to]
}

func insert(text []rune, at int, piece []rune) []rune {
	if at < 0 {
		at = max(len(text)+at, 0)
	}
	at = min(at, len(text))
	return slices.Concat(text[:at], piece, text[at:])
}

// groupEvery inserts a separator at every multiple of a distance left of end.
func groupEvery(text []rune, end, distance int, separator []rune) []rune {
	out := make([]rune, 0, len(text)+max(end/distance, 0)*len(separator))
	for i, r := range text {
		if left := end - i; i > 0 && left > 0 && left%distance == 0 {
			out = append(out, separator...)
		}
		out = append(out, r)
	}
	return out
}

func splitRunes(text, separator []rune) [][]rune {
	if len(separator) == 0 {
		var out [][]rune
		for i := range text {
			out = append(out, text[i:i+1])
		}
		return out
	}
	var out [][]rune
	for {
		at := index(text, separator, 0)
		if at < 0 {
			return append(out, text)
		}
		out, text = append(out, text[:at]), text[at+len(separator):]
	}
}
