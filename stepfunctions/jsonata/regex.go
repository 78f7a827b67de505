package jsonata

import (
	"time"
	"unicode/utf16"

	"github.com/dlclark/regexp2"
)

// pattern is a compiled regular expression with JavaScript's meaning.
type pattern struct{ re *regexp2.Regexp }

// matchTime bounds one search: backtracking can take exponential time.
const matchTime = time.Second

func compilePattern(text, flags string) (*pattern, error) {
	options := regexp2.RegexOptions(regexp2.ECMAScript)
	for _, f := range flags {
		switch f {
		case 'i':
			options |= regexp2.IgnoreCase
		case 'm':
			options |= regexp2.Multiline
		}
	}
	re, err := regexp2.Compile(text, options)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = matchTime
	return &pattern{re}, nil
}

// match is what a matcher finds: offsets count UTF-16 code units.
type match struct {
	text       string
	start, end float64
	groups     []value
	// next finds the following match.
	next func() (*match, error)
}

// matcher returns the function a regular expression literal stands for.
func matcher(p *pattern) *callable { return &callable{pattern: p, arity: 2} }

// firstMatch is the matcher called by an expression: it gives an object, or undefined.
func (ev *evaluator) firstMatch(p *pattern, args []value) (value, error) {
	if len(args) == 0 || args[0].kind != kindString {
		return value{}, nil
	}
	m, err := ev.search(p, args[0].str)
	if err != nil || m == nil {
		return value{}, err
	}
	return m.object(), nil
}

func (m *match) object() value {
	n := &node{}
	n.set("match", stringValue(m.text))
	n.set("start", numberValue(m.start))
	n.set("end", numberValue(m.end))
	n.set("groups", arrayValue(m.groups))
	n.set("next", functionValue(&callable{native: func(call) (value, error) {
		next, err := m.next()
		if err != nil || next == nil {
			return value{}, err
		}
		return next.object(), nil
	}}))
	return value{kind: kindObject, node: n}
}

// search finds the first match in a text.
func (ev *evaluator) search(p *pattern, text string) (*match, error) {
	if err := ev.work(1 + len(text)>>4); err != nil {
		return nil, err
	}
	runes := []rune(text)
	m, err := p.re.FindRunesMatch(runes)
	return ev.found(p, runes, m, err)
}

func (ev *evaluator) found(p *pattern, runes []rune, m *regexp2.Match, err error) (*match, error) {
	if err != nil {
		return nil, bound(tooLong, 0)
	}
	if m == nil {
		return nil, nil
	}
	out := &match{text: m.String(), start: float64(unitsIn(runes[:m.Index]))}
	out.end = out.start + float64(unitsIn(runes[m.Index:m.Index+m.Length]))
	for _, g := range m.Groups()[1:] {
		v := value{}
		if len(g.Captures) > 0 {
			v = stringValue(g.String())
		}
		out.groups = append(out.groups, v)
	}
	out.next = func() (*match, error) {
		if m.Index+m.Length >= len(runes) {
			return nil, nil
		}
		if err := ev.work(1); err != nil {
			return nil, err
		}
		following, err := p.re.FindRunesMatchStartingAt(runes, m.Index+m.Length)
		next, err := ev.found(p, runes, following, err)
		if err == nil && next != nil && next.text == "" {
			return nil, failure("D1004", 0, "")
		}
		return next, err
	}
	return out, nil
}

func unitsIn(runes []rune) int {
	n := 0
	for _, r := range runes {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// matches calls a matcher, which need not be a regular expression: any function that answers with the same fields is one.
func (ev *evaluator) matches(fn *callable, text string) (*match, error) {
	if fn.pattern != nil {
		return ev.search(fn.pattern, text)
	}
	v, err := ev.invoke(fn, stringValue(text))
	if err != nil {
		return nil, err
	}
	return ev.customMatch(v)
}

func (ev *evaluator) customMatch(v value) (*match, error) {
	if v.kind != kindObject {
		if v.defined() {
			return nil, failure("T1010", 0, "")
		}
		return nil, nil
	}
	field := func(name string) value {
		f, _ := v.field(name)
		return f
	}
	if field("start").kind != kindNumber || field("end").kind != kindNumber || field("groups").kind != kindArray ||
		field("next").kind != kindFunction {
		return nil, failure("T1010", 0, "")
	}
	m := &match{text: field("match").str, start: field("start").num, end: field("end").num, groups: field("groups").items()}
	m.next = func() (*match, error) {
		next, err := ev.invoke(field("next").node.fn)
		if err != nil {
			return nil, err
		}
		return ev.customMatch(next)
	}
	return m, nil
}
