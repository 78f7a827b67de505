package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gust/dag/template/pyvalue"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokData
	tokVarBegin
	tokVarEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

// pos is a place in the source, counted from 1.
type pos struct{ line, col int32 }

func (p pos) fail(format string, args ...any) *Error {
	return p.at(pyvalue.Errorf(format, args...))
}

// at gives an error the position unless it has one.
func (p pos) at(e *Error) *Error {
	if e.Line == 0 {
		e.Line, e.Col = int(p.line), int(p.col)
	}
	return e
}

type token struct {
	pos
	kind tokenKind
	text string
}

func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokData:
		return "text"
	case tokString:
		return "a string"
	}
	return "\"" + t.text + "\""
}

type lexer struct {
	src  string
	i    int
	mark int // where line and col were last computed
	line int32
	col  int32
	toks []token
}

// lex splits a template into tokens. A single trailing newline is dropped and newlines are normalised, as Jinja does.
func lex(src string) ([]token, *Error) {
	if strings.ContainsRune(src, '\r') {
		src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	}
	src = strings.TrimSuffix(src, "\n")
	l := &lexer{src: src, line: 1, col: 1}
	if err := l.run(); err != nil {
		return nil, err
	}
	l.emit(tokEOF, "", l.at(len(src)))
	return l.toks, nil
}

// at computes the position of offset i, which never goes backwards.
func (l *lexer) at(i int) pos {
	for l.mark < i {
		r, n := utf8.DecodeRuneInString(l.src[l.mark:])
		l.mark += n
		if r == '\n' {
			l.line, l.col = l.line+1, 1
		} else {
			l.col++
		}
	}
	return pos{l.line, l.col}
}

func (l *lexer) emit(k tokenKind, text string, p pos) { l.toks = append(l.toks, token{p, k, text}) }

func (l *lexer) run() *Error {
	for l.i < len(l.src) {
		start := l.i
		j := nextMarker(l.src, l.i)
		if j < 0 {
			l.emit(tokData, l.src[start:], l.at(start))
			l.i = len(l.src)
			return nil
		}
		data := l.src[start:j]
		strip := j+2 < len(l.src) && l.src[j+2] == '-'
		if strip {
			data = strings.TrimRightFunc(data, unicode.IsSpace)
		}
		if data != "" {
			l.emit(tokData, data, l.at(start))
		}
		p := l.at(j)
		l.i = j + 2
		if l.i < len(l.src) && (strip || l.src[l.i] == '+') {
			l.i++
		}
		var err *Error
		switch l.src[j+1] {
		case '#':
			err = l.comment(p)
		case '{':
			l.emit(tokVarBegin, "{{", p)
			err = l.expression(p, "}}", tokVarEnd)
		default:
			err = l.block(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func nextMarker(s string, from int) int {
	for {
		j := strings.IndexByte(s[from:], '{')
		if j < 0 || from+j+1 >= len(s) {
			return -1
		}
		switch s[from+j+1] {
		case '{', '%', '#':
			return from + j
		}
		from += j + 1
	}
}

func (l *lexer) comment(p pos) *Error {
	end := strings.Index(l.src[l.i:], "#}")
	if end < 0 {
		return p.fail("the comment is not closed; expected \"#}\"")
	}
	strip := end > 0 && l.src[l.i+end-1] == '-'
	l.i += end + 2
	l.skipSpace(strip)
	return nil
}

func (l *lexer) skipSpace(strip bool) {
	if strip {
		l.i += len(l.src[l.i:]) - len(strings.TrimLeftFunc(l.src[l.i:], unicode.IsSpace))
	}
}

func (l *lexer) block(p pos) *Error {
	if rest, ok := tagOnly(l.src[l.i:], "raw"); ok {
		return l.raw(p, rest)
	}
	l.emit(tokBlockBegin, "{%", p)
	return l.expression(p, "%}", tokBlockEnd)
}

// tagOnly matches a tag without arguments: spaces, the name, spaces, optional sign, "%}". It returns what follows.
func tagOnly(s, name string) (string, bool) {
	s, ok := strings.CutPrefix(strings.TrimLeftFunc(s, unicode.IsSpace), name)
	if !ok {
		return "", false
	}
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	if rest, ok := strings.CutPrefix(s, "-%}"); ok {
		return strings.TrimLeftFunc(rest, unicode.IsSpace), true
	}
	return strings.CutPrefix(strings.TrimPrefix(s, "+"), "%}")
}

func (l *lexer) raw(p pos, rest string) *Error {
	start := len(l.src) - len(rest)
	for i := start; ; {
		j := strings.Index(l.src[i:], "{%")
		if j < 0 {
			return p.fail("the raw block is not closed; expected \"{%% endraw %%}\"")
		}
		i += j + 2
		body, strip := l.src[i:], false
		if strings.HasPrefix(body, "-") {
			body, strip = body[1:], true
		} else {
			body = strings.TrimPrefix(body, "+")
		}
		after, ok := tagOnly(body, "endraw")
		if !ok {
			continue
		}
		data := l.src[start : i-2]
		if strip {
			data = strings.TrimRightFunc(data, unicode.IsSpace)
		}
		if data != "" {
			l.emit(tokData, data, l.at(start))
		}
		l.i = len(l.src) - len(after)
		return nil
	}
}

var operators = []string{
	"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
	":", "|", ",", ";",
}

// expression lexes up to the closing marker.
func (l *lexer) expression(begin pos, end string, kind tokenKind) *Error {
	var open []byte
	for {
		for l.i < len(l.src) && isSpace(l.src[l.i]) {
			l.i++
		}
		if l.i >= len(l.src) {
			return begin.fail("this is not closed; expected %q", end)
		}
		rest := l.src[l.i:]
		p := l.at(l.i)
		if len(open) == 0 {
			for _, sign := range []string{"-", "", "+"} {
				if strings.HasPrefix(rest, sign+end) && (sign != "+" || kind == tokBlockEnd) {
					l.emit(kind, end, p)
					l.i += len(sign) + len(end)
					l.skipSpace(sign == "-")
					return nil
				}
			}
		}
		if err := l.one(rest, p, &open); err != nil {
			return err
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\v' }

func (l *lexer) one(rest string, p pos, open *[]byte) *Error {
	c := rest[0]
	switch {
	case c == '"' || c == '\'':
		return l.str(rest, p)
	case '0' <= c && c <= '9':
		return l.number(rest, p)
	}
	if n := pyvalue.IdentifierLen(rest); n > 0 {
		l.emit(tokName, rest[:n], p)
		l.i += n
		return nil
	}
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		switch op {
		case "(", "[", "{":
			*open = append(*open, ")]}"[strings.Index("([{", op)])
		case ")", "]", "}":
			if len(*open) == 0 {
				return p.fail("unexpected %q", op)
			}
			if want := (*open)[len(*open)-1]; want != op[0] {
				return p.fail("unexpected %q; expected %q", op, string(want))
			}
			*open = (*open)[:len(*open)-1]
		}
		l.emit(tokOp, op, p)
		l.i += len(op)
		return nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return p.fail("unexpected character %q", string(r))
}

func (l *lexer) str(rest string, p pos) *Error {
	quote := rest[0]
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case quote:
			text, err := unescape(rest[1:i])
			if err != nil {
				return p.at(err)
			}
			l.emit(tokString, text, p)
			l.i += i + 1
			return nil
		}
	}
	return p.fail("the string is not closed; expected %q", string(quote))
}

// number lexes Python's integers and floats.
func (l *lexer) number(rest string, p pos) *Error {
	n, kind := scanNumber(rest)
	leadingZero := n == 1 && rest[0] == '0' && pyvalue.IdentifierLen(rest[n:]) > 0
	if n < len(rest) && (leadingZero || '0' <= rest[n] && rest[n] <= '9') {
		return p.fail("%q is not a number", rest[:n+1])
	}
	l.emit(kind, strings.ReplaceAll(rest[:n], "_", ""), p)
	l.i += n
	return nil
}

func scanNumber(s string) (int, tokenKind) {
	if len(s) > 2 && s[0] == '0' {
		set := map[byte]string{'b': "01", 'B': "01", 'o': "01234567", 'O': "01234567",
			'x': "0123456789abcdefABCDEF", 'X': "0123456789abcdefABCDEF"}[s[1]]
		if n := digits(s[2:], set); n > 0 {
			return 2 + n, tokInt
		}
	}
	const decimal = "0123456789"
	n, kind := digits(s, decimal), tokInt
	if n < len(s) && s[n] == '.' {
		if f := digits(s[n+1:], decimal); f > 0 {
			n, kind = n+1+f, tokFloat
		}
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		j := n + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if e := digits(s[j:], decimal); e > 0 {
			return j + e, tokFloat
		}
	}
	if kind == tokInt && s[0] == '0' && strings.Trim(s[:n], "0_") != "" {
		return 1, tokInt // a leading zero ends the number, which makes the next digit an error
	}
	return n, kind
}

// digits counts digits of a set with single underscores between them.
func digits(s, set string) int {
	n := 0
	for n < len(s) {
		if strings.IndexByte(set, s[n]) >= 0 {
			n++
			continue
		}
		if s[n] == '_' && n > 0 && n+1 < len(s) && s[n-1] != '_' && strings.IndexByte(set, s[n+1]) >= 0 {
			n++
			continue
		}
		break
	}
	return n
}
