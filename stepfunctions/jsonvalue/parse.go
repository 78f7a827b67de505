package jsonvalue

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 1000

// expectedValue ends the messages about a token that starts no value.
const expectedValue = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"

// SyntaxError is a text that is not JSON. The message is worded like Jackson's, because that is what AWS shows its
// users.
type SyntaxError struct {
	// Message says what is wrong, without the place.
	Message string
	// Line and Column are counted from 1; Column is in bytes.
	Line, Column int
}

// Error returns the message followed by the place.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s (line %d, column %d)", e.Message, e.Line, e.Column)
}

// Position is a place in a text: line and column from 1, the column in bytes.
type Position struct{ Line, Column int }

// Document is a parsed text that knows where its values stood.
type Document struct {
	Root Value
	// Positions holds the place of every field name and array item, by JSON-pointer-like path ("/States/A/Next", the
	// root is ""). Names are not escaped.
	Positions map[string]Position
	// Duplicates lists the paths of fields that occur more than once in their object.
	Duplicates []string
}

// Parse reads one JSON value. A key that occurs twice keeps its first place and its last value.
func Parse(text string) (Value, error) {
	p := parser{text: text}
	return p.document()
}

// ParseDocument reads one JSON value and remembers positions.
func ParseDocument(text string) (*Document, error) {
	p := parser{text: text, doc: &Document{Positions: map[string]Position{}}}
	root, err := p.document()
	if err != nil {
		return nil, err
	}
	p.doc.Root = root
	return p.doc, nil
}

type parser struct {
	text  string
	at    int
	depth int
	doc   *Document
	path  []byte
}

func (p *parser) document() (Value, error) {
	p.space()
	if p.at == len(p.text) {
		return Value{}, p.errorAt(p.at, "No content to map due to end-of-input")
	}
	p.mark(p.at)
	v, err := p.value()
	if err != nil {
		return Value{}, err
	}
	p.space()
	if p.at < len(p.text) {
		return Value{}, p.unexpected("expected end of input")
	}
	return v, nil
}

// mark records the position of the current path.
func (p *parser) mark(at int) {
	if p.doc != nil {
		p.doc.Positions[string(p.path)] = p.position(at)
	}
}

func (p *parser) position(at int) Position {
	before := p.text[:at]
	return Position{Line: 1 + strings.Count(before, "\n"), Column: at - strings.LastIndexByte(before, '\n')}
}

func (p *parser) errorAt(at int, format string, args ...any) error {
	pos := p.position(at)
	return &SyntaxError{Message: fmt.Sprintf(format, args...), Line: pos.Line, Column: pos.Column}
}

func (p *parser) unexpected(expected string) error {
	if p.at >= len(p.text) {
		return p.errorAt(p.at, "Unexpected end-of-input")
	}
	r, size := utf8.DecodeRuneInString(p.text[p.at:])
	return p.errorAt(p.at+size, "Unexpected character ('%c' (code %d)): %s", r, r, expected)
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) value() (Value, error) {
	if p.at == len(p.text) {
		return Value{}, p.unexpected("")
	}
	switch c := p.text[p.at]; {
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == '"':
		s, err := p.string()
		return NewString(s), err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	default:
		return p.word()
	}
}

func (p *parser) word() (Value, error) {
	end := p.at
	for end < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[end:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '$' {
			break
		}
		end += size
	}
	token := p.text[p.at:end]
	if token == "" {
		return Value{}, p.unexpected("expected a valid value " + expectedValue)
	}
	p.at = end
	switch token {
	case "true":
		return NewBool(true), nil
	case "false":
		return NewBool(false), nil
	case "null":
		return Value{}, nil
	}
	return Value{}, p.errorAt(p.at, "Unrecognized token '%s': was expecting %s", token, expectedValue)
}

func (p *parser) digits() int {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

func (p *parser) peek(chars string) bool {
	return p.at < len(p.text) && strings.IndexByte(chars, p.text[p.at]) >= 0
}

func (p *parser) number() (Value, error) {
	start := p.at
	if p.peek("-") {
		p.at++
	}
	first := p.at
	n := p.digits()
	if n == 0 {
		return Value{}, p.unexpected("expected digit (0-9) to follow minus sign, for valid numeric value")
	}
	if n > 1 && p.text[first] == '0' {
		return Value{}, p.errorAt(p.at, "Invalid numeric value: Leading zeroes not allowed")
	}
	if p.peek(".") {
		p.at++
		if p.digits() == 0 {
			return Value{}, p.unexpected("Decimal point not followed by a digit")
		}
	}
	if p.peek("eE") {
		p.at++
		if p.peek("+-") {
			p.at++
		}
		if p.digits() == 0 {
			return Value{}, p.unexpected("Exponent indicator not followed by a digit")
		}
	}
	if p.at < len(p.text) {
		if r, _ := utf8.DecodeRuneInString(p.text[p.at:]); unicode.IsLetter(r) {
			return Value{}, p.unexpected("Expected space separating root-level values")
		}
	}
	return Value{kind: Number, text: p.text[start:p.at]}, nil
}

func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.errorAt(p.at, "Document nesting depth (%d) exceeds the maximum allowed (%d)", p.depth, MaxDepth)
	}
	p.at++
	p.space()
	return nil
}

func (p *parser) array() (Value, error) {
	start := p.at
	if err := p.enter(); err != nil {
		return Value{}, err
	}
	var items []Value
	if !p.peek("]") {
		for {
			mark := len(p.path)
			if p.doc != nil {
				p.path = strconv.AppendInt(append(p.path, '/'), int64(len(items)), 10)
				p.mark(p.at)
			}
			v, err := p.value()
			if err != nil {
				return Value{}, err
			}
			p.path = p.path[:mark]
			items = append(items, v)
			more, err := p.separator(start, ']', "Array")
			if err != nil {
				return Value{}, err
			}
			if !more {
				break
			}
		}
	}
	p.at++
	p.depth--
	return NewArray(items), nil
}

// separator consumes a comma and reports true, or stops before the closing mark and reports false.
func (p *parser) separator(start int, closing byte, what string) (bool, error) {
	p.space()
	if p.at == len(p.text) {
		pos := p.position(start)
		return false, p.errorAt(p.at, "Unexpected end-of-input: expected close marker for %s (start marker at line: %d, "+
			"column: %d)", what, pos.Line, pos.Column)
	}
	if p.text[p.at] == closing {
		return false, nil
	}
	if p.text[p.at] != ',' {
		return false, p.unexpected("was expecting comma to separate " + what + " entries")
	}
	p.at++
	p.space()
	return true, nil
}

func (p *parser) object() (Value, error) {
	start := p.at
	if err := p.enter(); err != nil {
		return Value{}, err
	}
	b := NewObjectBuilder(4)
	if !p.peek("}") {
		for {
			if err := p.field(b); err != nil {
				return Value{}, err
			}
			more, err := p.separator(start, '}', "Object")
			if err != nil {
				return Value{}, err
			}
			if !more {
				break
			}
		}
	}
	p.at++
	p.depth--
	return b.Value(), nil
}

func (p *parser) field(b *ObjectBuilder) error {
	if !p.peek(`"`) {
		return p.unexpected("was expecting double-quote to start field name")
	}
	nameAt := p.at
	key, err := p.string()
	if err != nil {
		return err
	}
	p.space()
	if !p.peek(":") {
		return p.unexpected("was expecting a colon to separate field name and value")
	}
	p.at++
	p.space()
	mark := len(p.path)
	if p.doc != nil {
		p.path = append(append(p.path, '/'), key...)
		if b.n.find(key) >= 0 {
			p.doc.Duplicates = append(p.doc.Duplicates, string(p.path))
		}
		p.mark(nameAt)
	}
	v, err := p.value()
	if err != nil {
		return err
	}
	p.path = p.path[:mark]
	b.Set(key, v)
	return nil
}

// string reads a quoted string. Without escapes it shares the memory of the text.
func (p *parser) string() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			s := p.text[start:p.at]
			p.at++
			return strings.ToValidUTF8(s, "\uFFFD"), nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", p.errorAt(p.at, "Illegal unquoted character ((CTRL-CHAR, code %d)): has to be escaped using "+
				"backslash to be included in string value", c)
		}
		p.at++
	}
	return "", p.errorAt(p.at, "Unexpected end-of-input in VALUE_STRING")
}

func (p *parser) escaped(start int) (string, error) {
	buf := []byte(p.text[start:p.at])
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return strings.ToValidUTF8(string(buf), "\uFFFD"), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			buf = utf8.AppendRune(buf, r)
		case c < 0x20:
			return "", p.errorAt(p.at, "Illegal unquoted character ((CTRL-CHAR, code %d)): has to be escaped using "+
				"backslash to be included in string value", c)
		default:
			buf = append(buf, c)
			p.at++
		}
	}
	return "", p.errorAt(p.at, "Unexpected end-of-input in VALUE_STRING")
}

func (p *parser) escape() (rune, error) {
	p.at++
	if p.at == len(p.text) {
		return 0, p.errorAt(p.at, "Unexpected end-of-input in character escape sequence")
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.unicodeEscape()
	}
	return 0, p.errorAt(p.at, "Unrecognized character escape '%c' (code %d)", c, c)
}

func (p *parser) hex4() (rune, bool) {
	if p.at+4 > len(p.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(p.text[p.at:p.at+4], 16, 32)
	if err != nil {
		return 0, false
	}
	p.at += 4
	return rune(n), true
}

func (p *parser) unicodeEscape() (rune, error) {
	r, ok := p.hex4()
	if !ok {
		return 0, p.unexpected("expected a hex-digit for character escape sequence")
	}
	if r < 0xD800 || r > 0xDFFF {
		return r, nil
	}
	if r < 0xDC00 && strings.HasPrefix(p.text[p.at:], `\u`) {
		mark := p.at
		p.at += 2
		if low, ok := p.hex4(); ok && low >= 0xDC00 && low <= 0xDFFF {
			return (r-0xD800)<<10 + (low - 0xDC00) + 0x10000, nil
		}
		p.at = mark
	}
	// A lone half of a surrogate pair has no UTF-8 form.
	return utf8.RuneError, nil
}
