package pyvalue

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Str is Python's str().
func (st *State) Str(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int:
		return strconv.Itoa(v), nil
	case *Undefined:
		if v.Lenient {
			return "", nil
		}
		return "", v.Err()
	case Stringer:
		return v.Str(), nil
	}
	b := st.NewWriter()
	if err := st.writeRepr(b, v, 0); err != nil {
		return "", err
	}
	return b.String(), nil
}

// Repr is Python's repr() of a value.
func (st *State) Repr(v any) (string, error) {
	b := st.NewWriter()
	err := st.writeRepr(b, v, 0)
	return b.String(), err
}

// repr writes Python's repr().
func (st *State) writeRepr(b *Writer, v any, depth int) error {
	if depth > maxDepth {
		return Errorf("a value nests too deeply to be printed")
	}
	if err := st.Step(); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return b.Put("None")
	case bool:
		if v {
			return b.Put("True")
		}
		return b.Put("False")
	case int:
		return b.Put(strconv.Itoa(v))
	case float64:
		return b.Put(FloatRepr(v))
	case string:
		return b.Put(StringRepr(v))
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
		return b.Put(s)
	case *view:
		if err := b.Put(v.name); err != nil {
			return err
		}
		return st.reprSeq(b, v.items, "([", "])", depth)
	case *NamedTuple:
		return st.writeRepr(b, v.Items, depth)
	case *Undefined:
		return v.Err()
	case Representer:
		return b.Put(v.Repr())
	case Stringer:
		return b.Put(v.Str())
	}
	return b.Put("<" + TypeName(v) + ">")
}

func (st *State) reprSeq(b *Writer, items []any, open, closing string, depth int) error {
	if err := b.Put(open); err != nil {
		return err
	}
	for i, item := range items {
		if i > 0 {
			if err := b.Put(", "); err != nil {
				return err
			}
		}
		if err := st.writeRepr(b, item, depth+1); err != nil {
			return err
		}
	}
	return b.Put(closing)
}

func (st *State) reprDict(b *Writer, d *Dict, depth int) error {
	err := b.Put("{")
	first := true
	d.Each(func(k, v any) bool {
		if !first {
			err = b.Put(", ")
		}
		first = false
		if err == nil {
			err = st.writeRepr(b, k, depth+1)
		}
		if err == nil {
			err = b.Put(": ")
		}
		if err == nil {
			err = st.writeRepr(b, v, depth+1)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return b.Put("}")
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
