package pyvalue

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// strFormat is Python's str.format. Fields reach attributes and items of the arguments; attributes that begin with an
// underscore are refused, as in Jinja's sandbox.
func (st *State) strFormat(format string, args []any, kw *Dict) (any, error) {
	f := &formatter{st: st, args: args, kw: kw}
	return f.run(format, 0)
}

type formatter struct {
	st   *State
	args []any
	kw   *Dict
	auto int
}

func (f *formatter) run(format string, depth int) (string, error) {
	if depth > 2 {
		return "", Errorf("the format nests too deeply")
	}
	b := f.st.NewWriter()
	for i := 0; i < len(format); {
		c := format[i]
		if c != '{' && c != '}' {
			j := strings.IndexAny(format[i:], "{}")
			if j < 0 {
				j = len(format) - i
			}
			if err := b.Put(format[i : i+j]); err != nil {
				return "", err
			}
			i += j
			continue
		}
		if i+1 < len(format) && format[i+1] == c {
			if err := b.Put(string(c)); err != nil {
				return "", err
			}
			i += 2
			continue
		}
		if c == '}' {
			return "", Errorf("a single } in the format %s", StringRepr(format))
		}
		end := matchBrace(format, i)
		if end < 0 {
			return "", Errorf("a { is not closed in the format %s", StringRepr(format))
		}
		text, err := f.field(format[i+1:end], depth)
		if err == nil {
			err = b.Put(text)
		}
		if err != nil {
			return "", err
		}
		i = end + 1
	}
	return b.String(), nil
}

func matchBrace(s string, open int) int {
	depth := 0
	for i := open; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// field formats one {name!conversion:spec}.
func (f *formatter) field(text string, depth int) (string, error) {
	name, specText := text, ""
	if i := strings.IndexAny(text, "!:"); i >= 0 {
		name, specText = text[:i], text[i:]
	}
	v, err := f.lookup(name)
	if err != nil {
		return "", err
	}
	if rest, ok := strings.CutPrefix(specText, "!"); ok {
		if rest == "" {
			return "", Errorf("the conversion is missing in the field {%s}", text)
		}
		switch rest[0] {
		case 's':
			v, err = f.st.Str(v)
		case 'r', 'a':
			v, err = f.st.Repr(v)
		default:
			err = Errorf("unknown conversion %q in the field {%s}", rest[:1], text)
		}
		if err != nil {
			return "", err
		}
		specText = rest[1:]
		if specText != "" && specText[0] != ':' {
			return "", Errorf("expected \":\" after the conversion in the field {%s}", text)
		}
	}
	specText = strings.TrimPrefix(specText, ":")
	if strings.Contains(specText, "{") {
		if specText, err = f.run(specText, depth+1); err != nil {
			return "", err
		}
	}
	return f.st.formatValue(v, specText)
}

// lookup resolves "0", "", "name", "a.b[c]".
func (f *formatter) lookup(path string) (any, error) {
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	head, rest := path[:end], path[end:]
	var v any
	n, err := strconv.Atoi(head)
	switch {
	case head == "" || err == nil:
		if head == "" {
			n = f.auto
			f.auto++
		}
		if n < 0 || n >= len(f.args) {
			return nil, Errorf("format() has no argument %d", n)
		}
		v = f.args[n]
	default:
		var ok bool
		if v, ok = f.kw.Get(head); !ok {
			return nil, Errorf("format() has no argument %q", head)
		}
	}
	for rest != "" {
		if name, ok := strings.CutPrefix(rest, "."); ok {
			if end = strings.IndexAny(name, ".["); end < 0 {
				end = len(name)
			}
			if strings.HasPrefix(name, "_") {
				return nil, Errorf("access to attribute %q is not allowed", name[:end])
			}
			if v, err = f.st.Attr(v, name[:end]); err != nil {
				return nil, err
			}
			rest = name[end:]
			continue
		}
		if end = strings.IndexByte(rest, ']'); rest[0] != '[' || end < 0 {
			return nil, Errorf("the field {%s} cannot be read", path)
		}
		var key any = rest[1:end]
		if i, err := strconv.Atoi(rest[1:end]); err == nil {
			key = i
		}
		if v, err = f.st.Item(v, key); err != nil {
			return nil, err
		}
		rest = rest[end+1:]
	}
	return v, nil
}

// Formatter is an object with its own format specifications (dates take strftime's).
type Formatter interface {
	Format(spec string) (string, error)
}

// formatValue is Python's format(v, spec).
func (st *State) formatValue(v any, text string) (string, error) {
	if u, ok := v.(*Undefined); ok {
		return "", u.Err()
	}
	if o, ok := v.(Formatter); ok && text != "" {
		return o.Format(text)
	}
	if text == "" {
		return st.Str(v)
	}
	s, err := parseSpec(text)
	if err != nil {
		return "", err
	}
	i, f, isInt, isNumber := Number(v)
	if _, isBool := v.(bool); isBool && s.verb == 0 {
		isNumber = false
	}
	switch {
	case !isNumber:
		return st.formatOther(v, s)
	case s.align == 0:
		s.align = '>'
	default:
		s.zero = s.zero && s.align == '='
	}
	switch s.verb {
	case 'd', 'x', 'X', 'o', 'b', 'c':
		if !isInt {
			return "", Errorf("the format code %q does not fit a value of type float", string(s.verb))
		}
	case 0, 'n':
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		isInt = false
	default:
		return "", Errorf("unknown format code %q", string(s.verb))
	}
	switch {
	case s.verb == 'c':
		return st.pad("", string(rune(i)), s)
	case isInt && s.precision >= 0:
		return "", Errorf("a precision does not fit a whole number")
	case isInt:
		return st.formatInt(i, s)
	case s.verb == 'n':
		s.verb = 'g'
	}
	return st.formatFloat(f, s)
}

// formatOther formats the text of a value that is not a number.
func (st *State) formatOther(v any, s spec) (string, error) {
	if s.verb != 0 && s.verb != 's' {
		return "", Errorf("the format code %q does not fit a value of type %s", string(s.verb), TypeName(v))
	}
	body, err := st.Str(v)
	if err != nil {
		return "", err
	}
	if s.align == 0 {
		s.align = '<'
	}
	if s.zero {
		s.fill = '0'
	}
	return st.padText(body, s)
}

func parseSpec(text string) (spec, error) {
	s := spec{fill: ' ', precision: -1}
	rest := text
	if r, n := utf8.DecodeRuneInString(rest); len(rest) > n && strings.IndexByte("<>^=", rest[n]) >= 0 {
		s.fill, s.align, rest = r, rest[n], rest[n+1:]
	} else if strings.IndexByte("<>^=", rest[0]) >= 0 {
		s.align, rest = rest[0], rest[1:]
	}
	take := func(set string) byte {
		if rest != "" && strings.IndexByte(set, rest[0]) >= 0 {
			c := rest[0]
			rest = rest[1:]
			return c
		}
		return 0
	}
	digits := func() (int, error) {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if n == 0 {
			return 0, nil
		}
		v, err := strconv.Atoi(rest[:n])
		rest = rest[n:]
		if err != nil {
			return 0, Errorf("the format specification %q has too large a number", text)
		}
		return v, nil
	}
	if s.sign = take("+- "); s.sign == '-' {
		s.sign = 0
	}
	s.alt = take("#") != 0
	s.zero = take("0") != 0
	var err error
	if s.width, err = digits(); err != nil {
		return s, err
	}
	s.comma = take(",_")
	if take(".") != 0 {
		if s.precision, err = digits(); err != nil {
			return s, err
		}
	}
	s.verb = take("bcdeEfFgGnosxX%")
	if rest != "" {
		return s, Errorf("the format specification %q cannot be read", text)
	}
	return s, nil
}
