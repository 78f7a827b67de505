package jsonata

import (
	"math"
	"strings"
)

func patternFunctions(add adder) {
	add("contains", "<s-(sf):b>", 2, containsFunction)
	add("match", "<s-f<s:o>n?:a<o>>", 3, matchFunction)
	add("replace", "<s-(sf)(sf)n?:s>", 4, replace)
	add("split", "<s-(sf)n?:a<s>>", 3, split)
}

// limit reads an optional count; infinity when it is left out.
func (c call) limit(i int, code string) (float64, error) {
	v := c.arg(i)
	if !v.defined() {
		return math.Inf(1), nil
	}
	if v.num < 0 {
		return 0, failure(code, 0, "")
	}
	return v.num, nil
}

func containsFunction(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	fn := c.function(1)
	if fn == nil {
		if !c.arg(1).defined() {
			return value{}, nil
		}
		return boolValue(strings.Contains(c.arg(0).str, c.arg(1).str)), nil
	}
	m, err := c.ev.matches(fn, c.arg(0).str)
	return boolValue(m != nil), err
}

func matchFunction(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	limit, err := c.limit(2, "D3040")
	if err != nil {
		return value{}, err
	}
	var found []value
	if limit == 0 {
		return sequenceValue(nil), nil
	}
	m, err := c.ev.matches(c.function(1), c.arg(0).str)
	for err == nil && m != nil && float64(len(found)) < limit {
		n := &node{keys: []string{"match", "index", "groups"}}
		n.items = []value{stringValue(m.text), numberValue(m.start), arrayValue(m.groups)}
		found = append(found, value{kind: kindObject, node: n})
		if err = c.ev.spend(4 + len(m.groups)); err == nil {
			m, err = m.next()
		}
	}
	return sequenceValue(found), err
}

func split(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	limit, err := c.limit(2, "D3020")
	if err != nil {
		return value{}, err
	}
	if !c.arg(1).defined() {
		return value{}, c.misfit("split", 1)
	}
	if limit == 0 {
		return arrayValue(nil), nil
	}
	if fn := c.function(1); fn != nil {
		return c.splitAt(fn, limit)
	}
	s := c.arg(0).str
	if err := c.ev.work(len(s)); err != nil {
		return value{}, err
	}
	most := -1
	if limit < float64(maxText) {
		most = int(limit)
	}
	texts := splitText(s, c.arg(1).str, most)
	parts := make([]value, len(texts))
	for i, text := range texts {
		parts[i] = stringValue(text)
	}
	return arrayValue(parts), c.ev.spend(len(parts))
}

// splitAt cuts the first argument at what a matcher finds.
func (c call) splitAt(fn *callable, limit float64) (value, error) {
	var parts []value
	rest, restAt := c.arg(0).str, 0.0
	m, err := c.ev.matches(fn, rest)
	for err == nil && m != nil && float64(len(parts)) < limit {
		parts = append(parts, stringValue(rest[:unitOffset(rest, m.start-restAt)]))
		rest, restAt = rest[unitOffset(rest, m.end-restAt):], m.end
		if err = c.ev.spend(1); err == nil {
			m, err = m.next()
		}
	}
	if err != nil {
		return value{}, err
	}
	if float64(len(parts)) < limit {
		parts = append(parts, stringValue(rest))
	}
	return arrayValue(parts), nil
}

func replace(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	s := c.arg(0).str
	pattern := c.function(1)
	if !c.arg(1).defined() {
		return value{}, c.misfit("replace", 1)
	}
	if pattern == nil && c.arg(1).str == "" {
		return value{}, failure("D3010", 0, "")
	}
	limit, err := c.limit(3, "D3011")
	if err != nil {
		return value{}, err
	}
	if pattern == nil {
		return c.replaceText(s, limit)
	}
	var b strings.Builder
	m, err := c.ev.matches(pattern, s)
	rest, restAt := s, 0.0
	for count := 0.0; err == nil && m != nil && count < limit; count++ {
		b.WriteString(rest[:unitOffset(rest, m.start-restAt)])
		text, err := c.replacement(m)
		if err != nil {
			return value{}, err
		}
		b.WriteString(text)
		rest, restAt = rest[unitOffset(rest, m.end-restAt):], m.end
		if err := c.ev.write(len(text)); err != nil {
			return value{}, err
		}
		if b.Len() > maxText {
			return value{}, bound(tooBig, 0)
		}
		if m, err = m.next(); err != nil {
			return value{}, err
		}
	}
	if err != nil {
		return value{}, err
	}
	b.WriteString(rest)
	return c.ev.text(joinSurrogates(b.String()))
}

// replaceText replaces a fixed text; the replacement is a fixed text, or a function of the found text.
func (c call) replaceText(s string, limit float64) (value, error) {
	find := c.arg(1).str
	var b strings.Builder
	for count := 0.0; count < limit; count++ {
		i := strings.Index(s, find)
		if i < 0 || find == "" {
			break
		}
		b.WriteString(s[:i])
		text := scripted(c.arg(2))
		if fn := c.function(2); fn != nil {
			start := float64(units(s[:i]))
			var err error
			if text, err = c.replacement(&match{text: find, start: start, end: start + float64(units(find))}); err != nil {
				return value{}, err
			}
		}
		b.WriteString(text)
		s = s[i+len(find):]
		if err := c.ev.write(len(text) + i); err != nil {
			return value{}, err
		}
		if b.Len() > maxText {
			return value{}, bound(tooBig, 0)
		}
	}
	b.WriteString(s)
	return c.ev.text(joinSurrogates(b.String()))
}

// replacement is what a match becomes: the text with its $n filled in, or what the function answers.
func (c call) replacement(m *match) (string, error) {
	fn := c.function(2)
	if fn == nil {
		if !c.arg(2).defined() {
			return "", c.misfit("replace", 2)
		}
		return expand(c.arg(2).str, m), nil
	}
	if m.next == nil {
		m.next = func() (*match, error) { return nil, nil }
	}
	v, err := c.ev.invoke(fn, m.object())
	if err != nil {
		return "", err
	}
	if v.kind != kindString {
		return "", failure("D3012", 0, "")
	}
	return v.str, nil
}

// expand fills in $0 (the match), $1.. (the groups) and $$. Of a number longer than there are groups, the longest start
// that names a group counts; a group that is not there is empty.
func expand(template string, m *match) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(template, '$')
		if i < 0 {
			b.WriteString(template)
			return b.String()
		}
		b.WriteString(template[:i])
		template = template[i+1:]
		switch {
		case strings.HasPrefix(template, "$"):
			b.WriteByte('$')
			template = template[1:]
		case strings.HasPrefix(template, "0"):
			b.WriteString(m.text)
			template = template[1:]
		case template != "" && template[0] >= '1' && template[0] <= '9':
			n, size := groupNumber(template, len(m.groups))
			if n <= len(m.groups) && n > 0 {
				b.WriteString(m.groups[n-1].str)
			}
			template = template[size:]
		default:
			b.WriteByte('$')
		}
	}
}

// groupNumber reads the digits of a group: as many as the number of groups has, fewer when that names none.
func groupNumber(template string, groups int) (n, size int) {
	most := len(formatNumber(float64(groups)))
	for size < most && size < len(template) && template[size] >= '0' && template[size] <= '9' {
		n = n*10 + int(template[size]-'0')
		size++
	}
	for size > 1 && n > groups {
		n /= 10
		size--
	}
	return n, size
}
