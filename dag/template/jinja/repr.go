package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// str is Python's str().
func (st *State) str(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int:
		return strconv.Itoa(v), nil
	case *Undefined:
		if v.lenient {
			return "", nil
		}
		return "", v.error()
	case Stringer:
		return v.Str(), nil
	}
	var b limitedWriter
	b.max = st.env.limits.Output
	if err := st.repr(&b, v, 0); err != nil {
		return "", err
	}
	return b.String(), nil
}

// reprOf is Python's repr() of a value.
func (st *State) reprOf(v any) (string, error) {
	var b limitedWriter
	b.max = st.env.limits.Output
	err := st.repr(&b, v, 0)
	return b.String(), err
}

// repr writes Python's repr().
func (st *State) repr(b *limitedWriter, v any, depth int) error {
	if depth > maxDepth {
		return errf("a value nests too deeply to be printed")
	}
	if err := st.step(); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return b.put("None")
	case bool:
		if v {
			return b.put("True")
		}
		return b.put("False")
	case int:
		return b.put(strconv.Itoa(v))
	case float64:
		return b.put(FloatRepr(v))
	case string:
		return b.put(StringRepr(v))
	case *List:
		return st.reprSeq(b, v.Items, "[", "]", depth)
	case Tuple:
		if len(v) == 1 {
			return st.reprSeq(b, v, "(", ",)", depth)
		}
		return st.reprSeq(b, v, "(", ")", depth)
	case *Dict:
		return st.reprDict(b, v, depth)
	case Range:
		s := fmt.Sprintf("range(%d, %d)", v.Start, v.Stop)
		if v.Step != 1 {
			s = fmt.Sprintf("range(%d, %d, %d)", v.Start, v.Stop, v.Step)
		}
		return b.put(s)
	case *view:
		if err := b.put(v.name); err != nil {
			return err
		}
		return st.reprSeq(b, v.items, "([", "])", depth)
	case *groupOf:
		return st.reprSeq(b, []any{v.grouper, v.list}, "(", ")", depth)
	case *Undefined:
		return v.error()
	case Representer:
		return b.put(v.Repr())
	case Stringer:
		return b.put(v.Str())
	}
	return b.put("<" + typeName(v) + ">")
}

func (st *State) reprSeq(b *limitedWriter, items []any, open, closing string, depth int) error {
	if err := b.put(open); err != nil {
		return err
	}
	for i, item := range items {
		if i > 0 {
			if err := b.put(", "); err != nil {
				return err
			}
		}
		if err := st.repr(b, item, depth+1); err != nil {
			return err
		}
	}
	return b.put(closing)
}

func (st *State) reprDict(b *limitedWriter, d *Dict, depth int) error {
	err := b.put("{")
	first := true
	d.Each(func(k, v any) bool {
		if !first {
			err = b.put(", ")
		}
		first = false
		if err == nil {
			err = st.repr(b, k, depth+1)
		}
		if err == nil {
			err = b.put(": ")
		}
		if err == nil {
			err = st.repr(b, v, depth+1)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return b.put("}")
}

// FloatRepr prints a float as Python's repr does.
func FloatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, err := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if err == nil && -4 <= exp && exp < 16 {
		s = strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.ContainsRune(s, '.') {
			s += ".0"
		}
	}
	return s
}

// StringRepr prints a string as Python's repr does.
func StringRepr(s string) string {
	quote := byte('\'')
	if strings.ContainsRune(s, '\'') && !strings.ContainsRune(s, '"') {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0x7f && !strconv.IsPrint(r) && r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0x7f && !strconv.IsPrint(r) && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r > 0x7f && !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte(quote)
	return b.String()
}
