package jsonata

import "slices"

// contextReader collects the places where an expression looks at the top-level context.
type contextReader struct{ found []string }

// ContextReferences lists, in order of appearance and each once, the first steps that are evaluated against the top-level
// context: "phone" for phone.x, "$" for $.phone, "$$" for $$, "*", "**" and "%" for those. What runs against another
// context does not count: later steps, predicates, sort terms and groupings.
func (e *Expr) ContextReferences() []string {
	r := &contextReader{}
	r.visit(e.root)
	return r.found
}

func (r *contextReader) add(name string) {
	if !slices.Contains(r.found, name) {
		r.found = append(r.found, name)
	}
}

// visit looks at an expression that is evaluated against the top-level context.
func (r *contextReader) visit(e *expr) {
	if e == nil {
		return
	}
	switch e.form {
	case formName:
		r.add(e.text)
	case formVariable:
		switch e.text {
		case "":
			r.add("$")
		case "$":
			r.add("$$")
		}
	case formWildcard:
		r.add("*")
	case formDescendant:
		r.add("**")
	case formParent:
		r.add("%")
	case formPath:
		r.visit(e.list[0])
		for _, step := range e.list[1:] {
			r.roots(step)
		}
	case formLambda:
		r.visit(e.rhs)
	case formTransform:
		for _, part := range []*expr{e.lhs, e.rhs, e.third} {
			r.roots(part)
		}
	default:
		r.parts(e, r.visit)
	}
	r.hanging(e)
}

// parts visits the operands, items and pairs of an expression.
func (r *contextReader) parts(e *expr, visit func(*expr)) {
	visit(e.lhs)
	for _, part := range e.list {
		visit(part)
	}
	visit(e.rhs)
	visit(e.third)
	for _, p := range e.pairs {
		visit(p.key)
		visit(p.val)
	}
}

// roots looks for $$ in an expression that is evaluated against another context: it means the top level everywhere.
func (r *contextReader) roots(e *expr) {
	if e == nil {
		return
	}
	if e.form == formVariable && e.text == "$" {
		r.add("$$")
	}
	r.parts(e, r.roots)
	for _, t := range e.terms {
		r.roots(t.by)
	}
	r.hanging(e)
}

// hanging looks for $$ in the predicates and groupings of an expression.
func (r *contextReader) hanging(e *expr) {
	for _, stages := range [][]stage{e.stages, e.predicates} {
		for _, s := range stages {
			r.roots(s.filter)
		}
	}
	r.roots(e.group)
}
