package pyvalue

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is a format specification, of % formatting or of str.format.
type spec struct {
	fill      rune
	align     byte // '<', '>', '^', '=', 'c' (str.center) or 0
	sign      byte // '+', ' ' or 0
	alt, zero bool
	width     int
	comma     byte // ',' or '_' or 0
	precision int  // -1 for none
	verb      byte // 0 for none
}

// Percent is Python's % formatting: percent(format, arg) is format % arg.
func (st *State) Percent(format string, arg any) (any, error) {
	args, tuple := arg.(Tuple)
	if !tuple {
		args = Tuple{arg}
	}
	d, isDict := arg.(*Dict)
	b := st.NewWriter()
	used := 0
	take := func() (any, error) {
		if used >= len(args) {
			return nil, Errorf("not enough arguments for the format %s", StringRepr(format))
		}
		used++
		return args[used-1], nil
	}
	for i := 0; i < len(format); {
		j := strings.IndexByte(format[i:], '%')
		if j < 0 {
			j = len(format) - i
		}
		if err := b.Put(format[i : i+j]); err != nil {
			return nil, err
		}
		if i += j; i >= len(format) {
			break
		}
		p := percentParser{format: format, i: i + 1, take: take}
		if isDict {
			p.dict = d
		}
		text, err := p.directive(st)
		if err == nil {
			err = b.Put(text)
		}
		if err != nil {
			return nil, err
		}
		i = p.i
	}
	if used < len(args) && !isDict {
		return nil, Errorf("not all arguments were used by the format %s", StringRepr(format))
	}
	return b.String(), nil
}

type percentParser struct {
	format string
	i      int
	dict   *Dict
	take   func() (any, error)
}

func (p *percentParser) peek() byte {
	if p.i < len(p.format) {
		return p.format[p.i]
	}
	return 0
}

// directive formats one %... directive.
func (p *percentParser) directive(st *State) (string, error) {
	var key *string
	if p.peek() == '(' && p.dict != nil {
		end := strings.IndexByte(p.format[p.i:], ')')
		if end < 0 {
			return "", Errorf("the format %s has an incomplete key", StringRepr(p.format))
		}
		k := p.format[p.i+1 : p.i+end]
		key, p.i = &k, p.i+end+1
	}
	s, err := p.flags()
	if err != nil {
		return "", err
	}
	for strings.IndexByte("hlL", p.peek()) >= 0 && p.peek() != 0 {
		p.i++
	}
	if s.verb = p.peek(); s.verb == 0 {
		return "", Errorf("the format %s is incomplete", StringRepr(p.format))
	}
	p.i++
	if s.verb == '%' {
		return "%", nil
	}
	var v any
	if key != nil {
		var ok bool
		if v, ok = p.dict.Get(*key); !ok {
			return "", st.UndefinedAttr(p.dict, *key).Err()
		}
	} else if v, err = p.take(); err != nil {
		return "", err
	}
	return st.percentValue(v, s)
}

func (p *percentParser) flags() (spec, error) {
	s := spec{fill: ' ', align: '>', precision: -1}
	for {
		switch p.peek() {
		case '-':
			s.align = '<'
		case '+':
			s.sign = '+'
		case ' ':
			if s.sign == 0 {
				s.sign = ' '
			}
		case '#':
			s.alt = true
		case '0':
			s.zero = true
		default:
			var err error
			if s.width, err = p.number(); err != nil {
				return s, err
			}
			if s.width < 0 {
				s.align, s.width = '<', -s.width
			}
			if p.peek() == '.' {
				p.i++
				s.precision, err = p.number()
				s.precision = max(s.precision, 0)
			}
			return s, err
		}
		p.i++
	}
}

func (p *percentParser) number() (int, error) {
	if p.peek() == '*' {
		p.i++
		v, err := p.take()
		if err != nil {
			return 0, err
		}
		return Int(v, "the * of a format")
	}
	start := p.i
	for '0' <= p.peek() && p.peek() <= '9' {
		p.i++
	}
	if start == p.i {
		return 0, nil
	}
	n, err := strconv.Atoi(p.format[start:p.i])
	if err != nil {
		return 0, Errorf("the width in the format %s is too large", StringRepr(p.format))
	}
	return n, nil
}

func (st *State) percentValue(v any, s spec) (string, error) {
	if u, ok := v.(*Undefined); ok {
		return "", u.Err()
	}
	switch s.verb {
	case 's', 'r', 'a', 'c':
		text, err := st.percentText(v, s.verb)
		if err != nil {
			return "", err
		}
		return st.padText(text, s)
	case 'd', 'i', 'u':
		i, f, isInt, ok := Number(v)
		if !ok {
			return "", Errorf("%%%c needs a number, not %s", s.verb, TypeName(v))
		}
		if !isInt {
			i = int(f)
		}
		s.verb = 'd'
		return st.formatInt(i, s)
	case 'x', 'X', 'o':
		i, _, isInt, ok := Number(v)
		if !ok || !isInt {
			return "", Errorf("%%%c needs a whole number, not %s", s.verb, TypeName(v))
		}
		return st.formatInt(i, s)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		f, err := Float(v, "the value of %"+string(s.verb))
		if err != nil {
			return "", err
		}
		return st.formatFloat(f, s)
	}
	return "", Errorf("unknown format character %q", string(s.verb))
}

func (st *State) percentText(v any, verb byte) (string, error) {
	switch verb {
	case 's':
		return st.Str(v)
	case 'c':
		if n, ok := v.(int); ok {
			return string(rune(n)), nil
		}
		s, err := Text(v, "the value of %c")
		if err == nil && utf8.RuneCountInString(s) != 1 {
			err = Errorf("%%c needs one character")
		}
		return s, err
	}
	return st.Repr(v)
}

// padText applies precision and width to a text.
func (st *State) padText(text string, s spec) (string, error) {
	if n := utf8.RuneCountInString(text); s.precision >= 0 && s.precision < n {
		text = string([]rune(text)[:s.precision])
	}
	return st.pad("", text, s)
}

// Center is str.center with blanks.
func (st *State) Center(s string, width int) (string, error) {
	return st.pad("", s, spec{fill: ' ', align: 'c', width: width})
}

// pad fills up to the width. sign is what stands in front of the digits.
func (st *State) pad(sign, text string, s spec) (string, error) {
	missing := s.width - utf8.RuneCountInString(sign) - utf8.RuneCountInString(text)
	if missing <= 0 {
		return sign + text, nil
	}
	if err := st.ReserveText(missing*utf8.RuneLen(s.fill) + len(text)); err != nil {
		return "", err
	}
	fill := func(n int) string { return strings.Repeat(string(s.fill), n) }
	switch s.align {
	case '<':
		return sign + text + fill(missing), nil
	case 'c': // str.center: the odd one goes to the left when the width is odd
		left := missing/2 + missing&s.width&1
		return fill(left) + text + fill(missing-left), nil
	case '^':
		return fill(missing/2) + sign + text + fill(missing-missing/2), nil
	case '=':
		return sign + fill(missing) + text, nil
	}
	return fill(missing) + sign + text, nil
}

func (s spec) numeric() spec {
	if s.zero && s.align != '<' {
		s.fill, s.align = '0', '='
	}
	return s
}

func (s spec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case s.sign != 0:
		return string(s.sign)
	}
	return ""
}

func (st *State) formatInt(n int, s spec) (string, error) {
	base, prefix := 10, ""
	switch s.verb {
	case 'x', 'X':
		base, prefix = 16, "0"+string(s.verb)
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	}
	digits := strconv.FormatUint(uint64(max(n, -n)), base)
	if n == math.MinInt {
		digits = strconv.FormatUint(1<<63, base)
	}
	if s.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if s.precision > len(digits) {
		if err := st.ReserveText(s.precision); err != nil {
			return "", err
		}
		digits = strings.Repeat("0", s.precision-len(digits)) + digits
	}
	digits = group(digits, s.comma, base)
	sign := s.signOf(n < 0)
	if s.alt {
		sign += prefix
	}
	return st.pad(sign, digits, s.numeric())
}

func group(digits string, comma byte, base int) string {
	if comma == 0 {
		return digits
	}
	size := 3
	if base != 10 {
		size = 4
	}
	whole, rest, _ := strings.Cut(digits, ".")
	var b strings.Builder
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%size == 0 {
			b.WriteByte(comma)
		}
		b.WriteRune(c)
	}
	if len(rest) > 0 {
		b.WriteString("." + rest)
	}
	return b.String()
}

// maxPrecision bounds the digits of a printed float, which costs time.
const maxPrecision = 1000

func (st *State) formatFloat(f float64, s spec) (string, error) {
	precision := s.precision
	if precision < 0 {
		precision = 6
	}
	if precision > maxPrecision {
		return "", Errorf("a precision of %d is too large", precision)
	}
	negative := math.Signbit(f) && !math.IsNaN(f)
	f = math.Abs(f)
	var digits string
	switch {
	case math.IsInf(f, 0):
		digits = "inf"
	case math.IsNaN(f):
		digits = "nan"
	default:
		digits = floatDigits(f, s, precision)
		digits = group(digits, s.comma, 10)
	}
	if 'A' <= s.verb && s.verb <= 'Z' {
		digits = strings.ToUpper(digits)
	}
	if s.verb == '%' {
		digits += "%"
	}
	return st.pad(s.signOf(negative), digits, s.numeric())
}

func floatDigits(f float64, s spec, precision int) string {
	switch s.verb {
	case 'f', 'F':
		return strconv.FormatFloat(f, 'f', precision, 64)
	case '%':
		return strconv.FormatFloat(f*100, 'f', precision, 64)
	case 'e', 'E':
		return strconv.FormatFloat(f, 'e', precision, 64)
	}
	if s.verb == 0 && s.precision < 0 {
		return FloatRepr(f)
	}
	precision = max(precision, 1)
	text := strconv.FormatFloat(f, 'e', precision-1, 64)
	exp, _ := strconv.Atoi(text[strings.IndexByte(text, 'e')+1:]) // FormatFloat always writes an exponent
	limit := precision
	if s.verb == 0 {
		limit = precision - 1 // without a verb Python keeps a digit after the point
	}
	if exp < -4 || exp >= limit {
		mantissa, e, _ := strings.Cut(text, "e")
		return trimZeros(mantissa, s.alt) + "e" + e
	}
	text = trimZeros(strconv.FormatFloat(f, 'f', precision-1-exp, 64), s.alt)
	if s.verb == 0 && !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func trimZeros(s string, keep bool) string {
	if keep || !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
