package jsonata

import (
	"errors"
	"unicode/utf16"

	"gust/stepfunctions/jsonata/ecmaregexp"
)

// match is what a matcher finds: offsets count UTF-16 code units, as everything about regular expressions does in
// JavaScript.
type match struct {
	text       string
	start, end float64
	groups     []value
	// next finds the following match.
	next func() (*match, error)
}

// matcher returns the function a regular expression literal stands for.
func matcher(p *ecmaregexp.Regexp) *callable { return &callable{pattern: p, arity: 2} }

// firstMatch is the matcher called by an expression: it gives an object, or undefined.
func (ev *evaluator) firstMatch(p *ecmaregexp.Regexp, args []value) (value, error) {
	c := call{args: args}
	if err := ev.work(c.arg(0).length()); err != nil {
		return value{}, err
	}
	if o := c.arg(0); o.kind == kindObject && !o.node.untouched() {
		// JavaScript has no text for an object that an expression built.
		return value{}, c.misfit("", 0)
	}
	from := 0.0
	if c.arg(1).kind == kindNumber {
		from = c.arg(1).num
	}
	m, err := ev.search(p, scripted(c.arg(0)), from)
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

// toUnits cuts a text into code units.
func toUnits(text string) []uint16 {
	out := make([]uint16, 0, len(text))
	for len(text) > 0 {
		r, size := decode(text)
		if r > 0xFFFF {
			high, low := utf16.EncodeRune(r)
			out = append(out, uint16(high), uint16(low))
		} else {
			out = append(out, uint16(r))
		}
		text = text[size:]
	}
	return out
}

// fromUnits joins code units into a text.
func fromUnits(units []uint16) string {
	b := make([]byte, 0, len(units))
	for _, u := range units {
		b = appendUnit(b, u)
	}
	return joinSurrogates(string(b))
}

// search finds the first match in a text from a code unit on.
func (ev *evaluator) search(p *ecmaregexp.Regexp, text string, from float64) (*match, error) {
	if err := ev.write(2 * len(text)); err != nil {
		return nil, err
	}
	units := toUnits(text)
	if from > float64(len(units)) {
		return nil, nil
	}
	return ev.find(p, units, int(max(0, from)))
}

func (ev *evaluator) find(p *ecmaregexp.Regexp, units []uint16, from int) (*match, error) {
	// A step of the matcher is a fraction of one of the evaluator.
	found, err := p.Match(units, from, func(steps int) error { return ev.work(1 + steps/8) })
	if errors.Is(err, ecmaregexp.ErrTooLarge) {
		return nil, bound(tooBig, 0)
	}
	if err != nil || found == nil {
		return nil, err
	}
	end := found[1]
	m := &match{text: fromUnits(units[found[0]:end]), start: float64(found[0]), end: float64(end)}
	for g := 1; g <= p.Groups(); g++ {
		v := value{}
		if start, stop := found[2*g], found[2*g+1]; start >= 0 && stop >= 0 {
			v = stringValue(fromUnits(units[start:stop]))
		}
		m.groups = append(m.groups, v)
	}
	if err := ev.spend(1 + len(m.groups)); err != nil {
		return nil, err
	}
	m.next = func() (*match, error) {
		if end >= len(units) {
			return nil, nil
		}
		next, err := ev.find(p, units, end)
		if err == nil && next != nil && next.text == "" {
			return nil, failure("D1004", 0, "")
		}
		return next, err
	}
	return m, nil
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
