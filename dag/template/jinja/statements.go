package jinja

import (
	"slices"
	"strings"

	"gust/internal/param"
)

// tagParser returns the parser of a statement, or nil.
func tagParser(name string) func(*parser, token) (stmt, *Error) {
	switch name {
	case "if":
		return (*parser).ifTag
	case "for":
		return (*parser).forTag
	case "set":
		return (*parser).setTag
	case "with":
		return (*parser).withTag
	case "filter":
		return (*parser).filterTag
	case "do":
		return (*parser).doTag
	case "macro":
		return (*parser).macroTag
	case "call":
		return (*parser).callTag
	case "block":
		return (*parser).blockTag
	}
	return nil
}

var tagNames = []string{"if", "for", "set", "with", "filter", "do", "macro", "call", "block", "raw"}

// body parses until the end of the template or a tag in until, which is left in place (its name is the current token).
func (p *parser) body(until ...string) ([]stmt, *Error) {
	leave, err := p.nest()
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []stmt
	for {
		t := p.cur()
		switch t.kind {
		case tokEOF:
			if len(until) > 0 {
				return nil, t.fail("unexpected end of the template; expected {%% %s %%}", strings.Join(until, " %} or {% "))
			}
			return list, nil
		case tokData:
			list = append(list, &dataStmt{p.next().text})
			continue
		case tokVarBegin:
			p.next()
			x, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			if _, err := p.expectKind(tokVarEnd, "\"}}\""); err != nil {
				return nil, err
			}
			list = append(list, &outputStmt{x})
			continue
		}
		p.next() // {%
		name, err := p.expectKind(tokName, "a tag name")
		if err != nil {
			return nil, err
		}
		if slices.Contains(until, name.text) {
			p.i--
			return list, nil
		}
		s, err := p.tag(name, until)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
}

func (p *parser) tag(name token, until []string) (stmt, *Error) {
	if parse := tagParser(name.text); parse != nil {
		return parse(p, name)
	}
	switch name.text {
	case "include", "import", "from", "extends":
		return nil, name.fail("{%% %s %%} is not allowed: a template cannot load another one", name.text)
	case "break", "continue":
		return nil, name.fail("{%% %s %%} is not available in Airflow's templates", name.text)
	}
	e := name.fail("unknown tag %q", name.text)
	if len(until) > 0 {
		e.Msg += "; expected {% " + strings.Join(until, " %} or {% ") + " %}"
	}
	e.Nearest = param.Nearest(name.text, append(slices.Clone(until), tagNames...))
	return nil, e
}

func (p *parser) blockEnd() *Error {
	_, err := p.expectKind(tokBlockEnd, "\"%}\"")
	return err
}

// section parses "%} body {% end" up to the "%}" that closes it, for one of several ends, and says which.
func (p *parser) section(until ...string) ([]stmt, string, *Error) {
	if err := p.blockEnd(); err != nil {
		return nil, "", err
	}
	body, err := p.body(until...)
	if err != nil {
		return nil, "", err
	}
	return body, p.next().text, nil
}

func (p *parser) ifTag(token) (stmt, *Error) {
	s := &ifStmt{}
	for end := "elif"; end == "elif"; {
		cond, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		var body []stmt
		if body, end, err = p.section("elif", "else", "endif"); err != nil {
			return nil, err
		}
		s.conds, s.bodies = append(s.conds, cond), append(s.bodies, body)
		if end == "else" {
			if s.orElse, _, err = p.section("endif"); err != nil {
				return nil, err
			}
		}
	}
	return s, p.blockEnd()
}

func (p *parser) forTag(name token) (stmt, *Error) {
	s := &forStmt{pos: name.pos}
	var err *Error
	if s.target, err = p.target(false); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		t := p.cur()
		return nil, t.fail("unexpected %s; expected \"in\"", t.describe())
	}
	if s.iter, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if s.cond, err = p.expression(); err != nil {
			return nil, err
		}
	}
	s.recursive = p.skipName("recursive")
	var end string
	if s.body, end, err = p.section("else", "endfor"); err != nil {
		return nil, err
	}
	if end == "else" {
		if s.orElse, _, err = p.section("endfor"); err != nil {
			return nil, err
		}
	}
	return s, p.blockEnd()
}

// target parses what an assignment binds.
func (p *parser) target(withAttr bool) (target, *Error) {
	t, err := p.oneTarget(withAttr)
	if err != nil || !p.isOp(",") {
		return t, err
	}
	list := target{pos: t.pos, parts: []target{t}}
	for p.skipOp(",") {
		if p.isName("in") || p.isOp("=") || p.isOp(")") {
			break
		}
		if t, err = p.oneTarget(withAttr); err != nil {
			return t, err
		}
		list.parts = append(list.parts, t)
	}
	return list, nil
}

func (p *parser) oneTarget(withAttr bool) (target, *Error) {
	leave, err := p.nest()
	if err != nil {
		return target{}, err
	}
	defer leave()
	if p.skipOp("(") {
		t, err := p.target(withAttr)
		if err == nil {
			err = p.expectOp(")")
		}
		if t.parts == nil {
			t = target{pos: t.pos, parts: []target{t}}
		}
		return t, err
	}
	name, err := p.expectKind(tokName, "a name to assign to")
	if err != nil {
		return target{}, err
	}
	if _, constant := constants[name.text]; constant || slices.Contains(reserved, name.text) {
		return target{}, name.fail("cannot assign to %q", name.text)
	}
	t := target{pos: name.pos, name: name.text}
	if withAttr && p.skipOp(".") {
		attr, err := p.expectKind(tokName, "a name")
		t.attr = attr.text
		return t, err
	}
	return t, nil
}

func (p *parser) setTag(token) (stmt, *Error) {
	t, err := p.target(true)
	if err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		v, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return &setStmt{t, v}, p.blockEnd()
	}
	s := &setBlockStmt{target: t}
	if p.isOp("|") {
		if s.filters, err = p.filterChain(); err != nil {
			return nil, err
		}
	}
	if s.body, _, err = p.section("endset"); err != nil {
		return nil, err
	}
	return s, p.blockEnd()
}

// filterChain parses "| a | b(1)" without the value in front.
func (p *parser) filterChain() (*filterExpr, *Error) {
	var x expr
	for p.skipOp("|") {
		f, err := p.filter(x)
		if err != nil {
			return nil, err
		}
		x = f
	}
	chain, _ := x.(*filterExpr)
	return chain, nil
}

func (p *parser) withTag(token) (stmt, *Error) {
	s := &withStmt{}
	for p.cur().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		t, err := p.oneTarget(false)
		if err == nil {
			err = p.expectOp("=")
		}
		var v expr
		if err == nil {
			v, err = p.expression()
		}
		if err != nil {
			return nil, err
		}
		s.targets, s.values = append(s.targets, t), append(s.values, v)
	}
	var err *Error
	if s.body, _, err = p.section("endwith"); err != nil {
		return nil, err
	}
	return s, p.blockEnd()
}

func (p *parser) filterTag(token) (stmt, *Error) {
	f, err := p.filter(nil)
	if err == nil && p.isOp("|") {
		first := f
		var rest *filterExpr
		if rest, err = p.filterChain(); err == nil {
			inner := rest
			for inner.x != nil {
				inner, _ = inner.x.(*filterExpr)
			}
			inner.x, f = first, rest
		}
	}
	if err != nil {
		return nil, err
	}
	s := &filterStmt{filters: f}
	if s.body, _, err = p.section("endfilter"); err != nil {
		return nil, err
	}
	return s, p.blockEnd()
}

func (p *parser) doTag(token) (stmt, *Error) {
	x, err := p.tuple(true)
	if err != nil {
		return nil, err
	}
	return &doStmt{x}, p.blockEnd()
}

func (p *parser) blockTag(token) (stmt, *Error) {
	name, err := p.expectKind(tokName, "the name of the block")
	if err != nil {
		return nil, err
	}
	for p.isName("scoped") || p.isName("required") {
		p.next()
	}
	body, _, err := p.section("endblock")
	if err != nil {
		return nil, err
	}
	p.skipName(name.text)
	return &scopeStmt{body}, p.blockEnd()
}

func (p *parser) macroTag(token) (stmt, *Error) {
	name, err := p.expectKind(tokName, "the name of the macro")
	if err != nil {
		return nil, err
	}
	m := &macro{pos: name.pos, name: name.text}
	if err := p.signature(m); err != nil {
		return nil, err
	}
	if m.body, _, err = p.section("endmacro"); err != nil {
		return nil, err
	}
	m.inspect()
	return &macroStmt{m}, p.blockEnd()
}

func (p *parser) callTag(name token) (stmt, *Error) {
	m := &macro{pos: name.pos, name: "caller"}
	if p.isOp("(") {
		if err := p.signature(m); err != nil {
			return nil, err
		}
	}
	at := p.cur()
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, at.fail("expected a call, such as {%% call name() %%}")
	}
	if m.body, _, err = p.section("endcall"); err != nil {
		return nil, err
	}
	m.inspect()
	return &callStmt{call, m}, p.blockEnd()
}

func (p *parser) signature(m *macro) *Error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.skipOp(")") {
		if len(m.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		name, err := p.expectKind(tokName, "the name of a parameter")
		if err != nil {
			return err
		}
		m.params = append(m.params, name.text)
		if p.skipOp("=") {
			d, err := p.expression()
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, d)
		} else if len(m.defaults) > 0 {
			return name.fail("the parameter %q without a default follows one with a default", name.text)
		}
	}
	return nil
}
