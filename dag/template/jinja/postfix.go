package jinja

import (
	"slices"
	"strconv"

	"gust/dag/template/filters"
)

func (p *parser) postfix(x expr) (expr, *Error) {
	for {
		t := p.cur()
		if t.kind != tokOp {
			return x, nil
		}
		var err *Error
		switch t.text {
		case ".", "[":
			x, err = p.subscript(x)
		case "(":
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) subscript(x expr) (expr, *Error) {
	open := p.next()
	if open.text == "." {
		t := p.next()
		switch t.kind {
		case tokName:
			return &attrExpr{t.pos, x, t.text}, nil
		case tokInt:
			n, err := strconv.Atoi(t.text)
			if err != nil {
				return nil, t.fail("the number %s is too large", t.text)
			}
			return &itemExpr{t.pos, x, &constExpr{t.pos, n}}, nil
		}
		return nil, t.fail("unexpected %s; expected a name or a number after \".\"", t.describe())
	}
	var args []expr
	for !p.isOp("]") {
		if len(args) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		a, err := p.subscribed()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	if err := p.expectOp("]"); err != nil {
		return nil, err
	}
	switch len(args) {
	case 0:
		return nil, open.fail("expected an index or a key between [ and ]")
	case 1:
		return &itemExpr{open.pos, x, args[0]}, nil
	}
	return &itemExpr{open.pos, x, &tupleExpr{open.pos, args}}, nil
}

func (p *parser) subscribed() (expr, *Error) {
	start := p.cur().pos
	part := func() (expr, *Error) {
		if p.isOp(":") || p.isOp("]") || p.isOp(",") {
			return nil, nil
		}
		return p.expression()
	}
	lo, err := part()
	if err != nil || !p.isOp(":") {
		if lo == nil && err == nil {
			t := p.cur()
			return nil, t.fail("unexpected %s; expected an index", t.describe())
		}
		return lo, err
	}
	s := &sliceExpr{pos: start, lo: lo}
	p.next()
	if s.hi, err = part(); err == nil && p.skipOp(":") {
		s.step, err = part()
	}
	return s, err
}

func (p *parser) call(fn expr) (*callExpr, *Error) {
	at := p.cur().pos
	args, err := p.arguments()
	return &callExpr{at, fn, args}, err
}

// arguments parses a parenthesised argument list.
func (p *parser) arguments() (a callArgs, err *Error) {
	if err := p.expectOp("("); err != nil {
		return a, err
	}
	for first := true; !p.isOp(")"); first = false {
		if !first {
			if err := p.expectOp(","); err != nil {
				return a, err
			}
			if p.isOp(")") {
				break
			}
		}
		if err := p.argument(&a); err != nil {
			return a, err
		}
	}
	p.next()
	return a, nil
}

func (p *parser) argument(a *callArgs) *Error {
	t := p.cur()
	var err *Error
	switch {
	case p.isOp("*") && a.star == nil && a.starStar == nil:
		p.next()
		a.star, err = p.expression()
	case p.isOp("**") && a.starStar == nil:
		p.next()
		a.starStar, err = p.expression()
	case t.kind == tokName && p.peek().kind == tokOp && p.peek().text == "=":
		p.next()
		p.next()
		if slices.Contains(a.names, t.text) {
			return t.fail("the argument %q is given twice", t.text)
		}
		var v expr
		v, err = p.expression()
		a.names, a.values = append(a.names, t.text), append(a.values, v)
	default:
		if len(a.names) > 0 || a.star != nil || a.starStar != nil {
			return t.fail("a positional argument follows a named one")
		}
		var v expr
		v, err = p.expression()
		a.args = append(a.args, v)
	}
	return err
}

// filters parses what may follow a value: filters, tests and calls.
func (p *parser) filters(x expr) (expr, *Error) {
	for {
		var err *Error
		switch {
		case p.isOp("|"):
			p.next()
			x, err = p.filter(x)
		case p.isName("is"):
			p.next()
			x, err = p.test(x)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// dotted parses the name of a filter or a test.
func (p *parser) dotted(what string) (token, *Error) {
	t, err := p.expectKind(tokName, "the name of a "+what)
	for err == nil && p.isOp(".") {
		p.next()
		var part token
		if part, err = p.expectKind(tokName, "a name"); err == nil {
			t.text += "." + part.text
		}
	}
	return t, err
}

func (p *parser) filter(x expr) (*filterExpr, *Error) {
	t, err := p.dotted("filter")
	if err != nil {
		return nil, err
	}
	f := &filterExpr{pos: t.pos, x: x, name: t.text}
	if p.env.filters[t.text] == nil {
		return nil, t.at(filters.Unknown("filter", t.text, p.env.filters))
	}
	if p.isOp("(") {
		f.args, err = p.arguments()
	}
	return f, err
}

func (p *parser) test(x expr) (expr, *Error) {
	negated := p.skipName("not")
	t, err := p.dotted("test")
	if err != nil {
		return nil, err
	}
	e := &testExpr{pos: t.pos, x: x, name: t.text}
	if p.env.tests[t.text] == nil {
		return nil, t.at(filters.Unknown("test", t.text, p.env.tests))
	}
	switch cur := p.cur(); {
	case p.isOp("("):
		e.args, err = p.arguments()
	case p.isName("else") || p.isName("or") || p.isName("and"):
	case p.isName("is"):
		return nil, cur.fail("tests cannot be chained; join them with \"and\"")
	case cur.kind == tokName && !slices.Contains(reserved, cur.text), cur.kind == tokString, cur.kind == tokInt,
		cur.kind == tokFloat, p.isOp("["), p.isOp("{"):
		var a expr
		if a, err = p.primary(); err == nil {
			a, err = p.postfix(a)
		}
		e.args.args = []expr{a}
	}
	if err != nil {
		return nil, err
	}
	if negated {
		return &notExpr{t.pos, e}, nil
	}
	return e, nil
}
