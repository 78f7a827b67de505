package jsonata

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Strings are UTF-8. A surrogate that JavaScript would hold alone is kept as the three bytes its code would have in
// UTF-8, so that halves that meet later still become one character; on the way out it turns into U+FFFD.

// appendUnit appends a UTF-16 code unit.
func appendUnit(b []byte, unit uint16) []byte {
	if unit < 0xD800 || unit > 0xDFFF {
		return utf8.AppendRune(b, rune(unit))
	}
	return append(b, 0xED, byte(0x80|(unit>>6)&0x3F), byte(0x80|unit&0x3F))
}

// surrogate returns the lone surrogate the string starts with.
func surrogate(s string) (rune, bool) {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 {
		return 0, false
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), true
}

// decode returns the first character of a string and its length in bytes, lone surrogates included.
func decode(s string) (rune, int) {
	if r, ok := surrogate(s); ok {
		return r, 3
	}
	return utf8.DecodeRuneInString(s)
}

// joinSurrogates replaces pairs of surrogates that stand side by side with the character they mean.
func joinSurrogates(s string) string {
	if strings.IndexByte(s, 0xED) < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		high, ok := surrogate(s[i:])
		if ok && high < 0xDC00 {
			if low, ok := surrogate(s[i+3:]); ok && low >= 0xDC00 {
				b = utf8.AppendRune(b, (high-0xD800)<<10+(low-0xDC00)+0x10000)
				i += 6
				continue
			}
		}
		b = append(b, s[i])
		i++
	}
	return string(b)
}

// valid is the string without lone surrogates.
func valid(s string) string {
	if strings.IndexByte(s, 0xED) < 0 || utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// characters counts code points.
func characters(s string) int {
	n := utf8.RuneCountInString(s)
	if strings.IndexByte(s, 0xED) < 0 {
		return n
	}
	n = 0
	for len(s) > 0 {
		_, size := decode(s)
		s = s[size:]
		n++
	}
	return n
}

// offset returns the byte offset of the n-th code point, at most the length.
func offset(s string, n int) int {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, size := decode(s[i:])
		i += size
	}
	return i
}

// units counts UTF-16 code units.
func units(s string) int {
	n := 0
	for len(s) > 0 {
		r, size := decode(s)
		if n++; r > 0xFFFF {
			n++
		}
		s = s[size:]
	}
	return n
}

// unitOffset returns the byte offset of the n-th UTF-16 code unit, at most the length.
func unitOffset(s string, n float64) int {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		r, size := decode(s[i:])
		if i += size; r > 0xFFFF {
			n--
		}
	}
	return i
}

// stringOf is $string: strings as they are, functions empty, everything else as JSON with numbers at 15 digits.
func (ev *evaluator) stringOf(v value, pretty bool) (string, error) {
	switch v.kind {
	case kindUndefined, kindFunction:
		return "", nil
	case kindString:
		return v.str, nil
	case kindNumber:
		if math.IsInf(v.num, 0) || math.IsNaN(v.num) {
			return "", failure("D3001", 0, "")
		}
		return formatNumber(shownNumber(v.num)), nil
	}
	w := writer{ev: ev, pretty: pretty}
	if v.marks&markOuter != 0 && v.kind == kindArray {
		v = v.items()[0]
	}
	if err := w.write(v, 0); err != nil {
		return "", err
	}
	return string(w.out), nil
}

// writer writes values as JSON.stringify does.
type writer struct {
	ev     *evaluator
	out    []byte
	pretty bool
}

func (w *writer) write(v value, depth int) error {
	switch v.kind {
	case kindUndefined, kindNull:
		w.out = append(w.out, "null"...)
	case kindBool:
		if v.num != 0 {
			w.out = append(w.out, "true"...)
		} else {
			w.out = append(w.out, "false"...)
		}
	case kindNumber:
		switch ok, err := numeric(v); {
		case err != nil && depth > 0:
			return err
		case !ok:
			w.out = append(w.out, "null"...)
		default:
			w.out = append(w.out, formatNumber(shownNumber(v.num))...)
		}
	case kindString:
		if err := w.ev.allocate(int64(len(v.str))); err != nil {
			return err
		}
		w.out = appendQuoted(w.out, v.str)
	case kindFunction:
		w.out = append(w.out, `""`...)
	default:
		return w.container(v, depth)
	}
	return nil
}

func (w *writer) container(v value, depth int) error {
	if depth > maxNested {
		return bound(tooDeep, 0)
	}
	v.node.load()
	n := v.node
	if err := w.ev.spend(len(n.items)); err != nil {
		return err
	}
	open, shut := byte('['), byte(']')
	if v.kind == kindObject {
		open, shut = '{', '}'
	}
	w.out = append(w.out, open)
	for i, item := range n.items {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.line(depth + 1)
		if v.kind == kindObject {
			w.out = append(appendQuoted(w.out, n.keys[i]), ':')
			if w.pretty {
				w.out = append(w.out, ' ')
			}
		}
		if err := w.write(item, depth+1); err != nil {
			return err
		}
	}
	if len(n.items) > 0 {
		w.line(depth)
	}
	w.out = append(w.out, shut)
	return nil
}

// line starts a new line when the output is for people.
func (w *writer) line(depth int) {
	if !w.pretty {
		return
	}
	w.out = append(w.out, '\n')
	for range depth {
		w.out = append(w.out, ' ', ' ')
	}
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends a JSON string with JavaScript's choice of escapes.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= 0x20 && c != 0xED:
			dst = append(dst, c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			r, ok := surrogate(s[i:])
			if c == 0xED && !ok {
				dst = append(dst, c)
				continue
			}
			if !ok {
				r = rune(c)
			} else {
				i += 2
			}
			dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		}
	}
	return append(dst, '"')
}

// shownLimit bounds the values quoted in messages.
const shownLimit = 2000

// showJSON is a value as messages quote it.
func showJSON(v value) string {
	w := writer{ev: &evaluator{env: &Env{}, limits: Limits{Steps: shownLimit, Depth: 100, Bytes: 64 * shownLimit}}}
	if err := w.write(v, 0); err != nil {
		return v.typeName() + " (too large to show)"
	}
	return string(w.out)
}
