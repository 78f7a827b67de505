package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// maxNesting bounds the nesting of expressions and blocks in a text.
const maxNesting = 256

// parser is a recursive descent parser over Jinja's grammar.
type parser struct {
	env   *Env
	toks  []token
	i     int
	depth int
}

// Parse reads a template. The error is an *Error with the position of the first problem.
func (env *Env) Parse(src string) (t *Template, err error) {
	defer catch(&err)
	toks, lexErr := lex(src)
	if lexErr != nil {
		return nil, lexErr
	}
	p := &parser{env: env, toks: toks}
	body, perr := p.body()
	if perr != nil {
		return nil, perr
	}
	if tok := p.cur(); tok.kind != tokEOF {
		return nil, tok.fail("unexpected %s", tok.describe())
	}
	t = &Template{env: env, body: body}
	if len(body) == 1 {
		if o, ok := body[0].(*outputStmt); ok {
			t.only = o.x
		}
	}
	return t, nil
}

func (p *parser) cur() token { return p.toks[p.i] }

func (p *parser) peek() token { return p.toks[min(p.i+1, len(p.toks)-1)] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if p.i < len(p.toks)-1 {
		p.i++
	}
	return t
}

func (p *parser) isOp(op string) bool     { t := p.cur(); return t.kind == tokOp && t.text == op }
func (p *parser) isName(name string) bool { t := p.cur(); return t.kind == tokName && t.text == name }

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expectOp(op string) *Error {
	if !p.skipOp(op) {
		t := p.cur()
		return t.fail("unexpected %s; expected %q", t.describe(), op)
	}
	return nil
}

func (p *parser) expectKind(k tokenKind, what string) (token, *Error) {
	t := p.cur()
	if t.kind != k {
		return t, t.fail("unexpected %s; expected %s", t.describe(), what)
	}
	return p.next(), nil
}

// nest guards the recursion: Go cannot recover from an exhausted stack.
func (p *parser) nest() (func(), *Error) {
	p.depth++
	if p.depth > maxNesting {
		return nil, p.cur().fail("the template nests too deeply")
	}
	return func() { p.depth-- }, nil
}

// expression parses an expression with an optional inline if.
func (p *parser) expression() (expr, *Error) {
	leave, err := p.nest()
	if err != nil {
		return nil, err
	}
	defer leave()
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	for p.isName("if") {
		at := p.next().pos
		cond, err := p.or()
		if err != nil {
			return nil, err
		}
		var alt expr
		if p.skipName("else") {
			if alt, err = p.expression(); err != nil {
				return nil, err
			}
		}
		x = &condExpr{at, x, cond, alt}
	}
	return x, nil
}

func (p *parser) or() (expr, *Error) {
	return p.logic("or", func() (expr, *Error) { return p.logic("and", p.not) })
}

func (p *parser) logic(word string, operand func() (expr, *Error)) (expr, *Error) {
	l, err := operand()
	for err == nil && p.isName(word) {
		at := p.next().pos
		var r expr
		if r, err = operand(); err == nil {
			l = &logicExpr{at, word == "and", l, r}
		}
	}
	return l, err
}

func (p *parser) not() (expr, *Error) {
	if p.isName("not") {
		at := p.next().pos
		leave, err := p.nest()
		if err != nil {
			return nil, err
		}
		defer leave()
		x, err := p.not()
		if err != nil {
			return nil, err
		}
		return &notExpr{at, x}, nil
	}
	return p.compare()
}

var comparisons = []string{"==", "!=", "<", "<=", ">", ">="}

func (p *parser) compare() (expr, *Error) {
	first, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compareExpr{pos: first.place(), first: first}
	for {
		t := p.cur()
		op := ""
		switch {
		case t.kind == tokOp && slices.Contains(comparisons, t.text), p.isName("in"):
			op = t.text
		case p.isName("not") && p.peek().kind == tokName && p.peek().text == "in":
			op = "not in"
			p.next()
		}
		if op == "" {
			break
		}
		if len(c.ops) == 0 {
			c.pos = t.pos
		}
		p.next()
		r, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, r)
	}
	if len(c.ops) == 0 {
		return first, nil
	}
	return c, nil
}

func (p *parser) binary(operand func() (expr, *Error), ops ...string) (expr, *Error) {
	l, err := operand()
	for err == nil {
		t := p.cur()
		if t.kind != tokOp || !slices.Contains(ops, t.text) {
			break
		}
		p.next()
		var r expr
		if r, err = operand(); err == nil {
			l = &binaryExpr{t.pos, t.text, l, r}
		}
	}
	return l, err
}

func (p *parser) sum() (expr, *Error) { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() (expr, *Error) {
	x, err := p.product()
	if err != nil || !p.isOp("~") {
		return x, err
	}
	c := &concatExpr{p.cur().pos, []expr{x}}
	for p.skipOp("~") {
		if x, err = p.product(); err != nil {
			return nil, err
		}
		c.items = append(c.items, x)
	}
	return c, nil
}

func (p *parser) product() (expr, *Error) { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() (expr, *Error) {
	return p.binary(func() (expr, *Error) { return p.unary(true) }, "**")
}

func (p *parser) unary(withFilter bool) (expr, *Error) {
	leave, err := p.nest()
	if err != nil {
		return nil, err
	}
	defer leave()
	var x expr
	if t := p.cur(); t.kind == tokOp && (t.text == "-" || t.text == "+") {
		p.next()
		if x, err = p.unary(false); err == nil {
			x = &unaryExpr{t.pos, t.text, x}
		}
	} else {
		x, err = p.primary()
	}
	if err == nil {
		x, err = p.postfix(x)
	}
	if err == nil && withFilter {
		x, err = p.filters(x)
	}
	return x, err
}

var constants = map[string]any{"true": true, "True": true, "false": false, "False": false, "none": nil, "None": nil}

func (p *parser) primary() (expr, *Error) {
	t := p.next()
	switch t.kind {
	case tokName:
		if v, ok := constants[t.text]; ok {
			return &constExpr{t.pos, v}, nil
		}
		if slices.Contains(reserved, t.text) {
			return nil, t.fail("unexpected %q", t.text)
		}
		return &nameExpr{t.pos, t.text}, nil
	case tokString:
		text := t.text
		for p.cur().kind == tokString {
			text += p.next().text
		}
		return &constExpr{t.pos, text}, nil
	case tokInt:
		n, err := strconv.ParseInt(strings.ToLower(t.text), 0, 64)
		if err != nil {
			return nil, t.fail("the number %s is too large", t.text)
		}
		return &constExpr{t.pos, int(n)}, nil
	case tokFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, t.fail("the number %s is too large", t.text)
		}
		return &constExpr{t.pos, f}, nil
	case tokOp:
		switch t.text {
		case "(":
			return p.parenthesis(t)
		case "[":
			items, err := p.list("]")
			return &listExpr{t.pos, items}, err
		case "{":
			return p.dict(t)
		}
	}
	return nil, t.fail("unexpected %s; expected a value", t.describe())
}

// reserved words cannot be names.
var reserved = []string{"and", "else", "if", "in", "is", "not", "or", "elif"}

func (p *parser) parenthesis(open token) (expr, *Error) {
	if p.skipOp(")") {
		return &tupleExpr{pos: open.pos}, nil
	}
	x, err := p.tuple(true)
	if err != nil {
		return nil, err
	}
	return x, p.expectOp(")")
}

// tuple parses expressions separated by commas; a single one without a comma stays itself.
func (p *parser) tuple(withCond bool) (expr, *Error) {
	start := p.cur().pos
	var items []expr
	comma := false
	for !p.endOfTuple() || len(items) == 0 {
		parse := p.or
		if withCond {
			parse = p.expression
		}
		x, err := parse()
		if err != nil {
			return nil, err
		}
		items = append(items, x)
		if comma = p.skipOp(","); !comma {
			break
		}
	}
	if len(items) == 1 && !comma {
		return items[0], nil
	}
	return &tupleExpr{start, items}, nil
}

func (p *parser) endOfTuple() bool {
	t := p.cur()
	return t.kind == tokVarEnd || t.kind == tokBlockEnd || t.kind == tokEOF || p.isOp(")") || p.isName("recursive")
}

func (p *parser) list(end string) ([]expr, *Error) {
	var items []expr
	for !p.skipOp(end) {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.skipOp(end) {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, x)
	}
	return items, nil
}

func (p *parser) dict(open token) (expr, *Error) {
	d := &dictExpr{pos: open.pos}
	for !p.skipOp("}") {
		if len(d.keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.skipOp("}") {
				break
			}
		}
		k, err := p.expression()
		if err == nil {
			err = p.expectOp(":")
		}
		var v expr
		if err == nil {
			v, err = p.expression()
		}
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, k), append(d.values, v)
	}
	return d, nil
}
