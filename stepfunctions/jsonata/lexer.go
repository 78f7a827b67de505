package jsonata

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenVariable
	tokenOperator
	tokenString
	tokenNumber
	tokenLiteral // true, false, null
	tokenRegex
)

// token is one symbol of the text. end is the offset just behind it, which is how JSONata counts positions.
type token struct {
	kind tokenKind
	text string // name, operator, string content, pattern of a regular expression, word of a literal
	num  float64
	// flags are those of a regular expression.
	flags string
	end   int
	// quoted says that a name stood in backquotes, so that it is never a keyword.
	quoted bool
}

// shown is the token as messages write it, quotes included where JSONata writes them.
func (t token) shown() string {
	switch t.kind {
	case tokenEnd:
		return "(end)"
	case tokenNumber:
		return formatNumber(t.num)
	default:
		return t.text
	}
}

// operators lists the symbols, longest first among those with a common start.
var operators = []string{"..", ":=", "!=", "<=", ">=", "**", "~>", "?:", "??",
	".", "[", "]", "{", "}", "(", ")", ",", "@", "#", ";", ":", "?", "+", "-", "*", "/", "%", "|", "=", "<", ">", "^", "&", "!", "~"}

// lexer cuts a text into tokens.
type lexer struct {
	text string
	at   int
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' }

// skip passes over white space and comments.
func (l *lexer) skip() error {
	for l.at < len(l.text) {
		if isSpace(l.text[l.at]) {
			l.at++
			continue
		}
		if !strings.HasPrefix(l.text[l.at:], "/*") {
			return nil
		}
		end := strings.Index(l.text[l.at+2:], "*/")
		if end < 0 {
			return failure("S0106", l.at, "")
		}
		l.at += end + 4
	}
	return nil
}

// next returns the next token. prefix says that a value is expected here, where a slash starts a regular expression.
func (l *lexer) next(prefix bool) (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	if l.at >= len(l.text) {
		return token{kind: tokenEnd, end: len(l.text)}, nil
	}
	c := l.text[l.at]
	if prefix && c == '/' {
		return l.regex()
	}
	for _, op := range operators {
		if op[0] == c && strings.HasPrefix(l.text[l.at:], op) {
			l.at += len(op)
			if op == "!" || op == "~" {
				return token{}, failure("S0204", l.at, op)
			}
			return token{kind: tokenOperator, text: op, end: l.at}, nil
		}
	}
	switch {
	case c == '"' || c == '\'':
		return l.quotedString(c)
	case c >= '0' && c <= '9':
		return l.number()
	case c == '`':
		end := strings.IndexByte(l.text[l.at+1:], '`')
		if end < 0 {
			return token{}, failure("S0105", len(l.text), "")
		}
		name := l.text[l.at+1 : l.at+1+end]
		l.at += end + 2
		return token{kind: tokenName, text: name, end: l.at, quoted: true}, nil
	}
	return l.word(), nil
}

// word reads a name, variable or keyword: everything up to white space or an operator.
func (l *lexer) word() token {
	start := l.at
	for l.at < len(l.text) && !isSpace(l.text[l.at]) && !strings.ContainsRune(`.[]{}(),@#;:?+-*/%|=<>^&!~`, rune(l.text[l.at])) {
		l.at++
	}
	text := l.text[start:l.at]
	t := token{kind: tokenName, text: text, end: l.at}
	switch {
	case text[0] == '$':
		t.kind, t.text = tokenVariable, text[1:]
	case text == "and" || text == "or" || text == "in":
		t.kind = tokenOperator
	case text == "true" || text == "false" || text == "null":
		t.kind = tokenLiteral
	}
	return t
}

func (l *lexer) number() (token, error) {
	start, text := l.at, l.text
	digits := func(i int) int {
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		return i
	}
	end := start + 1
	if text[start] != '0' {
		end = digits(end)
	}
	if end < len(text) && text[end] == '.' {
		if e := digits(end + 1); e > end+1 {
			end = e
		}
	}
	if end < len(text) && (text[end] == 'e' || text[end] == 'E') {
		e := end + 1
		if e < len(text) && (text[e] == '+' || text[e] == '-') {
			e++
		}
		if d := digits(e); d > e {
			end = d
		}
	}
	l.at = end
	num, _ := strconv.ParseFloat(text[start:end], 64)
	if math.IsInf(num, 0) {
		return token{}, failure("S0102", start, text[start:end])
	}
	return token{kind: tokenNumber, num: num, text: text[start:end], end: end}, nil
}

// quotedString reads a string literal with JSON's escapes.
func (l *lexer) quotedString(quote byte) (token, error) {
	l.at++
	start := l.at
	var b []byte
	for ; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; c {
		case quote:
			content := string(append(b, l.text[start:l.at]...))
			l.at++
			return token{kind: tokenString, text: joinSurrogates(content), end: l.at}, nil
		case '\\':
			b = append(b, l.text[start:l.at]...)
			var err error
			if b, err = l.escape(b); err != nil {
				return token{}, err
			}
			start = l.at + 1
		}
	}
	return token{}, failure("S0101", len(l.text), "")
}

// escape appends the character that the escape sequence at the current backslash stands for, and ends on its last byte.
func (l *lexer) escape(b []byte) ([]byte, error) {
	l.at++
	if l.at >= len(l.text) {
		return b, failure("S0103", len(l.text), "")
	}
	switch c := l.text[l.at]; c {
	case '"', '\\', '/':
		return append(b, c), nil
	case 'b':
		return append(b, '\b'), nil
	case 'f':
		return append(b, '\f'), nil
	case 'n':
		return append(b, '\n'), nil
	case 'r':
		return append(b, '\r'), nil
	case 't':
		return append(b, '\t'), nil
	case 'u':
		if l.at+5 > len(l.text) {
			return b, failure("S0104", l.at, "")
		}
		unit, err := strconv.ParseUint(l.text[l.at+1:l.at+5], 16, 16)
		if err != nil {
			return b, failure("S0104", l.at, "")
		}
		l.at += 4
		return appendUnit(b, uint16(unit)), nil
	default:
		r, _ := utf8.DecodeRuneInString(l.text[l.at:])
		return b, failure("S0103", l.at, string(r))
	}
}

// regex reads a regular expression literal. A slash inside brackets, parentheses or braces does not end it.
func (l *lexer) regex() (token, error) {
	start := l.at + 1
	depth := 0
	for i := start; i < len(l.text); i++ {
		c := l.text[i]
		// Before a bracket a backslash counts even when it is escaped itself, in the reference library.
		escaped := l.text[i-1] == '\\'
		if c == '/' && (!escaped || l.text[i-2] == '\\') && depth == 0 {
			if i == start {
				l.at = i + 1
				return token{}, failure("S0301", i, "")
			}
			end := i + 1
			for end < len(l.text) && (l.text[end] == 'i' || l.text[end] == 'm') {
				end++
			}
			l.at = end
			return token{kind: tokenRegex, text: l.text[start:i], flags: l.text[i+1 : end], end: end}, nil
		}
		if !escaped {
			switch c {
			case '(', '[', '{':
				depth++
			case ')', ']', '}':
				depth--
			}
		}
	}
	return token{}, failure("S0302", len(l.text), "")
}
