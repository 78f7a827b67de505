package jsonpath

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SyntaxError is a text that is not a path.
type SyntaxError struct {
	// Path is the text.
	Path string
	// Offset is the byte at which reading stopped.
	Offset int
	// Message says what was expected there.
	Message string
}

// Error names the path, the place and what was expected.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSONPath %q at offset %d: %s", e.Path, e.Offset, e.Message)
}

// maxSteps and maxNesting bound what a path may cost.
const (
	maxSteps   = 500
	maxNesting = 50
)

// Parse reads a path that starts with "$", "$$" or "$variable".
func Parse(text string) (*Path, error) {
	p := &pathParser{text: text}
	path, err := p.parse()
	if err != nil {
		return nil, err
	}
	if p.at < len(text) {
		return nil, p.fail("unexpected character %q", rest(text[p.at:]))
	}
	return path, nil
}

func rest(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	return string(r)
}

type pathParser struct {
	text  string
	at    int
	depth int
	// inFilter ends a path at operators and blanks instead of failing.
	inFilter bool
}

func (p *pathParser) fail(format string, args ...any) error {
	return &SyntaxError{Path: p.text, Offset: p.at, Message: fmt.Sprintf(format, args...)}
}

func (p *pathParser) peek(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

func (p *pathParser) accept(c byte) bool {
	if p.peek(c) {
		p.at++
		return true
	}
	return false
}

func (p *pathParser) space() {
	for p.peek(' ') || p.peek('\t') || p.peek('\n') || p.peek('\r') {
		p.at++
	}
}

func (p *pathParser) parse() (*Path, error) {
	start := p.at
	if !p.accept('$') {
		return nil, p.fail("a path starts with $")
	}
	path := &Path{definite: true}
	if p.accept('$') {
		path.root = Context
	} else if name := p.identifier(); name != "" {
		path.root, path.variable = Variable, name
	}
	if err := p.steps(path); err != nil {
		return nil, err
	}
	path.text = p.text[start:p.at]
	return path, nil
}

// identifier reads a variable name: Unicode's ID_Start, then ID_Continue.
func (p *pathParser) identifier() string {
	start := p.at
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		starts := unicode.In(r, unicode.L, unicode.Nl, unicode.Other_ID_Start)
		goesOn := unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc, unicode.Other_ID_Continue)
		if !starts && (p.at == start || !goesOn) {
			break
		}
		p.at += size
	}
	return p.text[start:p.at]
}

func (p *pathParser) steps(path *Path) error {
	for p.at < len(p.text) && (p.peek('.') || p.peek('[')) {
		if len(path.steps) == maxSteps {
			return p.fail("a path may have at most %d steps", maxSteps)
		}
		s, err := p.step()
		if err != nil {
			return err
		}
		if s.call {
			p.at += len("()")
			path.function = s.name
			if p.peek('.') || p.peek('[') {
				return p.fail("a function ends the path")
			}
			return nil
		}
		path.steps = append(path.steps, s)
		switch s.kind {
		case stepName, stepIndex:
		case stepNames:
			// Several names in the middle of a path fan out; at its end they are merged into one object.
			if p.peek('.') || p.peek('[') {
				path.definite = false
			}
		default:
			path.definite = false
		}
		if s.deep {
			path.definite = false
		}
	}
	return nil
}

func (p *pathParser) step() (step, error) {
	var s step
	if p.accept('.') {
		s.deep = p.accept('.')
		if !p.peek('[') {
			return p.dotted(s)
		}
	}
	p.at++ // the opening bracket
	return p.bracket(s)
}

// dotted reads what follows a dot: a name, "*" or a function call.
func (p *pathParser) dotted(s step) (step, error) {
	if p.accept('*') {
		s.kind = stepWildcard
		return s, nil
	}
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune(p.terminators(), rune(p.text[p.at])) {
		p.at++
	}
	s.name = p.text[start:p.at]
	if s.name == "" {
		return s, p.fail("a name must follow the dot")
	}
	s.call = p.peek('(')
	if s.call && (functions[s.name] == nil || s.deep || !strings.HasPrefix(p.text[p.at:], "()")) {
		return s, p.fail("unknown function %s()", s.name)
	}
	s.kind = stepName
	return s, nil
}

// terminators are the characters that end a dotted name.
func (p *pathParser) terminators() string {
	if p.inFilter {
		return ".[ \t\r\n()=!<>&|,]~"
	}
	return ".[ \t\r\n()"
}

func (p *pathParser) bracket(s step) (step, error) {
	p.space()
	var err error
	switch {
	case p.accept('*'):
		s.kind = stepWildcard
	case p.peek('\'') || p.peek('"'):
		err = p.names(&s)
	case p.accept('?'):
		err = p.filterStep(&s)
	default:
		err = p.numbers(&s)
	}
	if err != nil {
		return s, err
	}
	p.space()
	if !p.accept(']') {
		return s, p.fail("expected ]")
	}
	return s, nil
}

func (p *pathParser) names(s *step) error {
	for {
		name, err := p.quoted()
		if err != nil {
			return err
		}
		s.names = append(s.names, name)
		p.space()
		if !p.accept(',') {
			break
		}
		p.space()
		if !p.peek('\'') && !p.peek('"') {
			return p.fail("expected a quoted name after the comma")
		}
	}
	s.kind, s.name = stepNames, s.names[0]
	if len(s.names) == 1 {
		s.kind, s.names = stepName, nil
	}
	return nil
}

// quoted reads a string in single or double quotes; a backslash takes the next character as it is.
func (p *pathParser) quoted() (string, error) {
	quote := p.text[p.at]
	p.at++
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == quote:
			return b.String(), nil
		case c == '\\' && p.at < len(p.text):
			b.WriteByte(p.text[p.at])
			p.at++
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail("unterminated string")
}

func (p *pathParser) integer() (*int, error) {
	start := p.at
	p.accept('-')
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	if start == p.at {
		return nil, nil
	}
	n, err := strconv.ParseInt(p.text[start:p.at], 10, 32)
	if err != nil {
		return nil, p.fail("%s is not an index", p.text[start:p.at])
	}
	i := int(n)
	return &i, nil
}

func (p *pathParser) numbers(s *step) error {
	first, err := p.integer()
	if err != nil {
		return err
	}
	p.space()
	if p.accept(':') {
		p.space()
		s.kind, s.from = stepSlice, first
		s.to, err = p.integer()
		return err
	}
	if first == nil {
		return p.fail("expected a name in quotes, an index, a slice, * or a filter")
	}
	s.kind, s.indices = stepIndex, []int{*first}
	for p.accept(',') {
		p.space()
		n, err := p.integer()
		if err != nil {
			return err
		}
		if n == nil {
			return p.fail("expected an index after the comma")
		}
		s.kind, s.indices = stepIndices, append(s.indices, *n)
		p.space()
	}
	return nil
}
