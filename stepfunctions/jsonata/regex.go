package jsonata

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/dlclark/regexp2"
)

// pattern is a compiled regular expression with JavaScript's meaning.
type pattern struct{ re *regexp2.Regexp }

// matchTime bounds one search: backtracking can take exponential time.
const matchTime = time.Second

// A regular expression of JavaScript sees UTF-16 code units: a character beyond U+FFFF is two. Texts are searched as
// slices of units, and such characters in patterns are written as their two halves.

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
	re, err := regexp2.Compile(halved(text), options)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = matchTime
	return &pattern{re}, nil
}

// halved writes the characters of a pattern beyond U+FFFF as escapes of their halves.
func halved(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r <= 0xFFFF {
			b.WriteRune(r)
			continue
		}
		high, low := utf16.EncodeRune(r)
		fmt.Fprintf(&b, `\u%04X\u%04X`, high, low)
	}
	return b.String()
}

// toUnits cuts a text into code units.
func toUnits(text string) []rune {
	out := make([]rune, 0, len(text))
	for len(text) > 0 {
		r, size := decode(text)
		if r > 0xFFFF {
			high, low := utf16.EncodeRune(r)
			out = append(out, high, low)
		} else {
			out = append(out, r)
		}
		text = text[size:]
	}
	return out
}

// fromUnits joins code units into a text.
func fromUnits(units []rune) string {
	b := make([]byte, 0, len(units))
	for _, u := range units {
		b = appendUnit(b, uint16(u))
	}
	return joinSurrogates(string(b))
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
	subject := call{args: args}.arg(0)
	if err := ev.work(subject.length()); err != nil {
		return value{}, err
	}
	text := scripted(subject)
	from := 0.0
	if len(args) > 1 && args[1].kind == kindNumber {
		from = args[1].num
	}
	m, err := ev.search(p, text, from)
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

// search finds the first match in a text from a code unit on.
func (ev *evaluator) search(p *pattern, text string, from float64) (*match, error) {
	if err := ev.work(1 + len(text)>>4); err != nil {
		return nil, err
	}
	all := toUnits(text)
	if from > float64(len(all)) {
		return nil, nil
	}
	m, err := p.re.FindRunesMatchStartingAt(all, int(max(0, from)))
	return ev.found(p, all, m, err)
}

func (ev *evaluator) found(p *pattern, all []rune, m *regexp2.Match, err error) (*match, error) {
	if err != nil {
		return nil, bound(tooLong, 0)
	}
	if m == nil {
		return nil, nil
	}
	end := m.Index + m.Length
	out := &match{text: fromUnits(all[m.Index:end]), start: float64(m.Index), end: float64(end)}
	for _, g := range m.Groups()[1:] {
		v := value{}
		if len(g.Captures) > 0 {
			v = stringValue(fromUnits(all[g.Index : g.Index+g.Length]))
		}
		out.groups = append(out.groups, v)
	}
	if err := ev.spend(1 + len(out.groups)); err != nil {
		return nil, err
	}
	out.next = func() (*match, error) {
		if end >= len(all) {
			return nil, nil
		}
		following, err := p.re.FindRunesMatchStartingAt(all, end)
		next, err := ev.found(p, all, following, err)
		if err == nil && next != nil && next.text == "" {
			return nil, failure("D1004", 0, "")
		}
		return next, err
	}
	return out, nil
}

// matches calls a matcher, which need not be a regular expression: any function that answers with the same fields is one.
func (ev *evaluator) matches(fn *callable, text string) (*match, error) {
	if fn.pattern != nil {
		return ev.search(fn.pattern, text, 0)
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
