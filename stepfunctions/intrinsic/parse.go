// Package intrinsic parses and evaluates the intrinsic functions of the Amazon States Language (JSONPath mode):
// States.Format, States.Array and sixteen more.
package intrinsic

import (
	"fmt"
	"strings"

	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// MaxNesting is how deep calls may nest in each other.
const MaxNesting = 10

// SyntaxError is a text that is not a call of an intrinsic function.
type SyntaxError struct {
	// Text is the expression.
	Text string
	// Offset is the byte at which reading stopped.
	Offset int
	// Message says what was expected.
	Message string
}

// Error names the expression, the place and what was expected.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid intrinsic function %q at offset %d: %s", e.Text, e.Offset, e.Message)
}

// Call is a parsed function call. It may be used by many goroutines.
type Call struct {
	text string
	name string
	fn   function
	args []argument
}

// argument is a literal, a path or a nested call.
type argument struct {
	literal jsonvalue.Value
	// raw is the text of a string literal with its escapes, which States.Format needs.
	raw  string
	path *jsonpath.Path
	call *Call
}

// String returns the call as it was written.
func (c *Call) String() string { return c.text }

// Name returns the function's name with the States prefix.
func (c *Call) Name() string { return c.name }

// Paths calls visit with every path among the arguments, nested calls included.
func (c *Call) Paths(visit func(*jsonpath.Path)) {
	for _, a := range c.args {
		if a.path != nil {
			visit(a.path)
		}
		if a.call != nil {
			a.call.Paths(visit)
		}
	}
}

// Is reports whether a text is meant as an intrinsic function call.
func Is(text string) bool { return strings.HasPrefix(text, "States.") }

// Parse reads one call, such as States.Format('Hello {}', $.name).
func Parse(text string) (*Call, error) {
	p := &callParser{text: text}
	c, err := p.call(1)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(text) {
		return nil, p.fail("unexpected text after the call")
	}
	return c, nil
}

type callParser struct {
	text string
	at   int
}

func (p *callParser) fail(format string, args ...any) error {
	return &SyntaxError{Text: p.text, Offset: p.at, Message: fmt.Sprintf(format, args...)}
}

func (p *callParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *callParser) accept(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *callParser) call(depth int) (*Call, error) {
	if depth > MaxNesting {
		return nil, p.fail("calls may nest at most %d deep", MaxNesting)
	}
	start := p.at
	open := strings.IndexByte(p.text[p.at:], '(')
	if open < 0 {
		return nil, p.fail("expected ( after the function's name")
	}
	name := strings.TrimSpace(p.text[p.at : p.at+open])
	fn, known := functions[name]
	if !known {
		return nil, p.fail("unknown function %q", name)
	}
	p.at += open + 1
	c := &Call{name: name, fn: fn}
	if !p.accept(')') {
		for {
			a, err := p.argument(depth)
			if err != nil {
				return nil, err
			}
			c.args = append(c.args, a)
			if p.accept(')') {
				break
			}
			if !p.accept(',') {
				return nil, p.fail("expected , or )")
			}
		}
	}
	c.text = p.text[start:p.at]
	return c, nil
}

func (p *callParser) argument(depth int) (argument, error) {
	p.space()
	if p.at == len(p.text) {
		return argument{}, p.fail("expected an argument")
	}
	switch c := p.text[p.at]; {
	case c == '\'':
		return p.stringLiteral()
	case c == '$':
		end := p.pathEnd()
		path, err := jsonpath.Parse(strings.TrimSpace(p.text[p.at:end]))
		if err != nil {
			return argument{}, p.fail("%v", err)
		}
		p.at = end
		return argument{path: path}, nil
	case Is(p.text[p.at:]):
		call, err := p.call(depth + 1)
		return argument{call: call}, err
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n,)", p.text[p.at]) < 0 {
		p.at++
	}
	v, err := jsonvalue.Parse(p.text[start:p.at])
	if err != nil || v.Kind() == jsonvalue.String || v.Kind() == jsonvalue.Array || v.Kind() == jsonvalue.Object {
		p.at = start
		return argument{}, p.fail("expected a 'string', a number, true, false, null, a path or a function call")
	}
	return argument{literal: v}, nil
}

// pathEnd finds the comma or parenthesis that ends a path, outside its own brackets and strings.
func (p *callParser) pathEnd() int {
	depth := 0
	for i := p.at; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '[', '(':
			depth++
		case ']':
			depth--
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		case '\'', '"':
			if depth == 0 {
				continue
			}
			for i++; i < len(p.text) && p.text[i] != c; i++ {
				if p.text[i] == '\\' {
					i++
				}
			}
		}
	}
	return len(p.text)
}

// stringLiteral reads a string in single quotes. A backslash escapes quotes, braces and itself, and nothing else.
func (p *callParser) stringLiteral() (argument, error) {
	p.at++
	start := p.at
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == '\'' {
			a := argument{literal: jsonvalue.NewString(b.String()), raw: p.text[start:p.at]}
			p.at++
			return a, nil
		}
		if c == '\\' {
			if p.at+1 == len(p.text) || !escapable(p.text[p.at+1]) {
				return argument{}, p.fail(`a backslash must be followed by ', {, } or \`)
			}
			p.at++
			c = p.text[p.at]
		}
		b.WriteByte(c)
		p.at++
	}
	p.at = start
	return argument{}, p.fail("unterminated string")
}

// escapable reports whether a backslash may stand before a character.
func escapable(c byte) bool { return strings.IndexByte(`'{}\`, c) >= 0 }
