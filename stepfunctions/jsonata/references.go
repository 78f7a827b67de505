package jsonata

import "slices"

// scopes are the names bound round an expression, innermost last.
type scopes struct {
	names []string
	found []Reference
}

// references finds the free variables of a resolved expression.
func references(root *expr) []Reference {
	s := &scopes{}
	s.visit(root, nil)
	slices.SortStableFunc(s.found, func(a, b Reference) int { return a.Position - b.Position })
	return s.found
}

// visit collects from e. rest are the steps of the path that follow it.
func (s *scopes) visit(e *expr, rest []*expr) {
	if e == nil {
		return
	}
	switch e.form {
	case formVariable:
		s.variable(e, rest)
	case formPath:
		s.path(e)
	case formBlock:
		outer := len(s.names)
		s.all(e.list)
		s.names = s.names[:outer]
	case formLambda:
		outer := len(s.names)
		for _, p := range e.list {
			s.names = append(s.names, p.text)
		}
		s.visit(e.rhs, nil)
		s.names = s.names[:outer]
	case formBind:
		// A function may call itself, so that its name is known on the right side.
		if e.rhs.form == formLambda {
			s.names = append(s.names, e.lhs.text)
		}
		s.visit(e.rhs, nil)
		s.names = append(s.names, e.lhs.text)
	default:
		s.visit(e.lhs, nil)
		s.all(e.list)
		s.visit(e.rhs, nil)
		s.visit(e.third, nil)
		s.extras(e)
		return
	}
	s.extras(e)
}

func (s *scopes) all(list []*expr) {
	for _, e := range list {
		s.visit(e, nil)
	}
}

// path visits the steps; @ and # bind for the steps that follow.
func (s *scopes) path(e *expr) {
	outer := len(s.names)
	for i, step := range e.list {
		s.visit(step, e.list[i+1:])
		for _, name := range []string{step.focus, step.index} {
			if name != "" {
				s.names = append(s.names, name)
			}
		}
		for _, st := range step.stages {
			if st.index != "" {
				s.names = append(s.names, st.index)
			}
			s.visit(st.filter, nil)
		}
	}
	// The grouping of a path sees what its steps bound.
	if e.group != nil {
		s.extras(e.group)
	}
	s.names = s.names[:outer]
}

// extras visits what hangs on any expression.
func (s *scopes) extras(e *expr) {
	for _, p := range e.pairs {
		s.visit(p.key, nil)
		s.visit(p.val, nil)
	}
	for _, t := range e.terms {
		s.visit(t.by, nil)
	}
	for _, p := range e.predicates {
		s.visit(p.filter, nil)
	}
	if e.group != nil && e.form != formPath {
		s.extras(e.group)
	}
}

func (s *scopes) variable(e *expr, rest []*expr) {
	if e.text == "" || e.text == "$" || slices.Contains(s.names, e.text) {
		return
	}
	if e.builtin != nil {
		return
	}
	ref := Reference{Name: e.text, Position: e.pos}
	if e.predicates == nil && e.stages == nil && e.group == nil {
		for _, step := range rest {
			if step.form != formName {
				break
			}
			ref.Path = append(ref.Path, step.text)
			if step.stages != nil {
				break
			}
		}
	}
	s.found = append(s.found, ref)
}
