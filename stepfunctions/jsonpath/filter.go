package jsonpath

import (
	"regexp"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// filter is a predicate of "[?( ... )]": a comparison, or an and/or/not of others.
type filter struct {
	op          string
	children    []*filter
	left, right operand
	pattern     *regexp.Regexp
}

// operand is a path (relative "@" or absolute "$") or a literal.
type operand struct {
	path     *Path
	relative bool
	literal  jsonvalue.Value
}

// value returns the operand's value; ok is false when its path finds nothing.
func (o operand) value(item, root jsonvalue.Value) (jsonvalue.Value, bool) {
	if o.path == nil {
		return o.literal, true
	}
	from := root
	if o.relative {
		from = item
	}
	v, err := o.path.Eval(from)
	return v, err == nil
}

func (f *filter) match(item, root jsonvalue.Value) bool {
	switch f.op {
	case "&&":
		return f.children[0].match(item, root) && f.children[1].match(item, root)
	case "||":
		return f.children[0].match(item, root) || f.children[1].match(item, root)
	case "!":
		return !f.children[0].match(item, root)
	}
	left, ok := f.left.value(item, root)
	if f.op == "exists" {
		return ok
	}
	right, okRight := f.right.value(item, root)
	if f.op == "=~" {
		return ok && left.Kind() == jsonvalue.String && f.pattern.MatchString(left.Text())
	}
	if !ok || !okRight {
		return f.op == "!=" && ok != okRight
	}
	return compare(f.op, left, right)
}

func compare(op string, left, right jsonvalue.Value) bool {
	switch op {
	case "==":
		return jsonvalue.Equal(left, right)
	case "!=":
		return !jsonvalue.Equal(left, right)
	case "in", "nin":
		found := false
		for _, item := range right.Items() {
			found = found || jsonvalue.Equal(left, item)
		}
		return found == (op == "in")
	}
	if left.Kind() != right.Kind() {
		return false
	}
	var order int
	switch left.Kind() {
	case jsonvalue.Number:
		order = jsonvalue.CompareNumbers(left, right)
	case jsonvalue.String:
		order = strings.Compare(left.Text(), right.Text())
	default:
		return false
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

func (p *pathParser) filterStep(s *step) error {
	p.space()
	if !p.accept('(') {
		return p.fail("a filter is written [?( ... )]")
	}
	outer := p.inFilter
	p.inFilter = true
	f, err := p.orFilter()
	if err != nil {
		return err
	}
	p.inFilter = outer
	p.space()
	if !p.accept(')') {
		return p.fail("expected ) at the end of the filter")
	}
	s.kind, s.filter = stepFilter, f
	return nil
}

func (p *pathParser) chain(op string, next func() (*filter, error)) (*filter, error) {
	left, err := next()
	if err != nil {
		return nil, err
	}
	for {
		p.space()
		if !strings.HasPrefix(p.text[p.at:], op) {
			return left, nil
		}
		p.at += len(op)
		right, err := next()
		if err != nil {
			return nil, err
		}
		left = &filter{op: op, children: []*filter{left, right}}
	}
}

func (p *pathParser) orFilter() (*filter, error)  { return p.chain("||", p.andFilter) }
func (p *pathParser) andFilter() (*filter, error) { return p.chain("&&", p.unaryFilter) }

func (p *pathParser) unaryFilter() (*filter, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail("filters may nest at most %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	p.space()
	if p.accept('!') {
		child, err := p.unaryFilter()
		return &filter{op: "!", children: []*filter{child}}, err
	}
	if p.accept('(') {
		f, err := p.orFilter()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.accept(')') {
			return nil, p.fail("expected )")
		}
		return f, nil
	}
	return p.comparison()
}

var comparisons = []string{"==", "!=", "<=", ">=", "=~", "<", ">", "in ", "nin "}

func (p *pathParser) comparison() (*filter, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	for _, op := range comparisons {
		if !strings.HasPrefix(p.text[p.at:], op) {
			continue
		}
		p.at += len(op)
		f := &filter{op: strings.TrimSpace(op), left: left}
		p.space()
		if f.op == "=~" {
			f.pattern, err = p.regexp()
		} else {
			f.right, err = p.operand()
		}
		return f, err
	}
	if left.path == nil {
		return nil, p.fail("expected a comparison")
	}
	return &filter{op: "exists", left: left}, nil
}

func (p *pathParser) operand() (operand, error) {
	p.space()
	switch {
	case p.peek('@'):
		start := p.at
		p.at++
		path := &Path{definite: true}
		err := p.steps(path)
		path.text = p.text[start:p.at]
		return operand{path: path, relative: true}, err
	case p.peek('$'):
		path, err := p.parse()
		return operand{path: path}, err
	case p.peek('\'') || p.peek('"'):
		s, err := p.quoted()
		return operand{literal: jsonvalue.NewString(s)}, err
	}
	return p.literal()
}

// literal reads a JSON literal: a number, a word or an array.
func (p *pathParser) literal() (operand, error) {
	start := p.at
	if p.peek('[') {
		for p.at < len(p.text) && !p.peek(']') {
			p.at++
		}
		p.accept(']')
	} else {
		for p.at < len(p.text) && !strings.ContainsRune(" \t)=!<>&|,]", rune(p.text[p.at])) {
			p.at++
		}
	}
	v, err := jsonvalue.Parse(strings.ReplaceAll(p.text[start:p.at], "'", `"`))
	if err != nil {
		p.at = start
		return operand{}, p.fail("expected a path or a literal")
	}
	return operand{literal: v}, nil
}

// regexp reads /pattern/flags.
func (p *pathParser) regexp() (*regexp.Regexp, error) {
	if !p.accept('/') {
		return nil, p.fail("a regular expression is written /.../")
	}
	start := p.at
	for p.at < len(p.text) && !p.peek('/') {
		if p.peek('\\') {
			p.at++
		}
		p.at++
	}
	if p.at >= len(p.text) {
		p.at = start
		return nil, p.fail("unterminated regular expression")
	}
	source := p.text[start:p.at]
	p.at++
	flags := p.at
	for p.peek('i') || p.peek('m') || p.peek('s') {
		p.at++
	}
	if flags < p.at {
		source = "(?" + p.text[flags:p.at] + ")" + source
	}
	re, err := regexp.Compile("^(?:" + source + ")$")
	if err != nil {
		return nil, p.fail("%v", err)
	}
	return re, nil
}
