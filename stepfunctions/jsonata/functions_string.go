package jsonata

import (
	"math"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

func stringFunctions(add adder) {
	add("string", "<x-b?:s>", 1, stringFunction)
	add("length", "<s-:n>", 1, onText(func(_ call, s string) (value, error) {
		return numberValue(float64(characters(s))), nil
	}))
	add("substring", "<s-nn?:s>", 3, substring)
	add("substringBefore", "<s-s:s>", 2, substringBefore)
	add("substringAfter", "<s-s:s>", 2, substringAfter)
	add("uppercase", "<s-:s>", 1, onText(func(c call, s string) (value, error) { return c.ev.text(upper(s)) }))
	add("lowercase", "<s-:s>", 1, onText(func(c call, s string) (value, error) { return c.ev.text(lower(s)) }))
	add("trim", "<s-:s>", 1, onText(trim))
	add("pad", "<s-ns?:s>", 3, pad)
	add("join", "<a<s>s?:s>", 2, join)
}

// onText makes a function of one string: undefined in, undefined out.
func onText(f func(c call, s string) (value, error)) func(call) (value, error) {
	return func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		return f(c, c.arg(0).str)
	}
}

func stringFunction(c call) (value, error) {
	v := c.arg(0)
	if !v.defined() {
		return value{}, nil
	}
	s, err := c.ev.stringOf(v, c.arg(1).isTrue())
	if err != nil {
		return value{}, err
	}
	return c.ev.text(s)
}

// whole turns a position into characters: fractions are cut off, and what is no number counts as 0.
func whole(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return math.Trunc(f)
}

func substring(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	s := c.arg(0).str
	length := float64(characters(s))
	start := c.arg(1).num
	if length+start < 0 {
		start = 0
	}
	from := whole(start)
	if from < 0 {
		from = max(0, length+from)
	}
	to := length
	if n := c.arg(2); n.defined() {
		if n.num <= 0 || !c.arg(1).defined() {
			return stringValue(""), nil
		}
		if start >= 0 {
			to = whole(start + n.num)
		} else {
			to = whole(length + start + n.num)
		}
	}
	from, to = min(from, length), min(to, length)
	if from >= to {
		return stringValue(""), nil
	}
	begin := offset(s, int(from))
	return c.ev.text(s[begin : begin+offset(s[begin:], int(to-from))])
}

func substringBefore(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	s := c.arg(0).str
	if i := strings.Index(s, scripted(c.arg(1))); i >= 0 {
		s = s[:i]
	}
	return stringValue(s), nil
}

func substringAfter(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	s, mark := c.arg(0).str, scripted(c.arg(1))
	if i := strings.Index(s, mark); i >= 0 {
		s = s[i+len(mark):]
	}
	return stringValue(s), nil
}

// upper and lower map whole strings: one character may become several, and the last sigma of a word is its own letter.
func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// trim cuts white space at the ends and makes every run of blanks, tabs and line ends inside one blank.
func trim(c call, s string) (value, error) {
	var b strings.Builder
	space := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\n', '\r':
			space = true
		default:
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteByte(s[i])
		}
	}
	return c.ev.text(b.String())
}

func pad(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	s, width := c.arg(0).str, c.arg(1).num
	fill := c.arg(2).str
	if fill == "" {
		fill = " "
	}
	missing := math.Trunc(math.Abs(width)) - float64(characters(s))
	if !(missing > 0) {
		return stringValue(s), nil
	}
	if missing > maxText {
		return value{}, bound(tooBig, 0)
	}
	if err := c.ev.write(int(missing) * len(fill) / max(1, characters(fill))); err != nil {
		return value{}, err
	}
	padding := strings.Repeat(fill, int(missing)/characters(fill)+1)
	padding = padding[:offset(padding, int(missing))]
	if width < 0 {
		return stringValue(padding + s), nil
	}
	return stringValue(s + padding), nil
}

func join(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	items, separator := c.arg(0).items(), c.arg(1).str
	size := 0
	for _, item := range items {
		size += len(item.str) + len(separator)
	}
	if err := c.ev.write(size); err != nil {
		return value{}, err
	}
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = item.str
	}
	return stringValue(joinSurrogates(strings.Join(parts, separator))), nil
}

// splitText cuts a string at every separator; limit is how many parts to give at most, negative for all.
func splitText(s, separator string, limit int) []string {
	if separator != "" {
		parts := strings.Split(s, separator)
		if limit >= 0 && limit < len(parts) {
			parts = parts[:limit]
		}
		return parts
	}
	var parts []string
	for len(s) > 0 && (limit < 0 || len(parts) < limit) {
		// JavaScript splits into code units; characters beyond U+FFFF fall into their halves.
		r, size := decode(s)
		if r > 0xFFFF {
			high, low := (r-0x10000)>>10+0xD800, (r-0x10000)&0x3FF+0xDC00
			parts = append(parts, string(appendUnit(nil, uint16(high))), string(appendUnit(nil, uint16(low))))
		} else {
			parts = append(parts, s[:size])
		}
		s = s[size:]
	}
	if limit >= 0 && len(parts) > limit {
		parts = parts[:limit]
	}
	return parts
}

// wellFormed reports whether a string holds no lone surrogates.
func wellFormed(s string) bool { return strings.IndexByte(s, 0xED) < 0 || utf8.ValidString(s) }
