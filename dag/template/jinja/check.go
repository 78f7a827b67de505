package jinja

import (
	"slices"

	"gust/internal/param"
)

// walker visits every expression of a template and remembers what is bound where.
type walker struct {
	bound map[string]bool // names that the template assigns somewhere
	asked map[string]bool // names that the template asks about with "is defined" or default
	used  []*nameExpr
}

func (w *walker) bind(name string) { w.bound[name] = true }

func (w *walker) target(t target) {
	t.names(w.bind)
	if t.attr != "" {
		w.used = append(w.used, &nameExpr{t.pos, t.name})
	}
	for _, p := range t.parts {
		if p.attr != "" {
			w.target(p)
		}
	}
}

func (w *walker) exprs(list ...expr) { visitAll(w.expr, list...) }

func (w *walker) expr(e expr) {
	switch e := e.(type) {
	case *nameExpr:
		w.used = append(w.used, e)
	case *testExpr:
		if e.name == "defined" || e.name == "undefined" {
			w.ask(e.x)
		}
	case *filterExpr:
		if e.name == "default" || e.name == "d" {
			w.ask(e.x)
		}
	}
	e.children(w.expr)
}

// ask notes a name whose absence the template provides for.
func (w *walker) ask(e expr) {
	if n, ok := e.(*nameExpr); ok {
		w.asked[n.name] = true
	}
}

func (w *walker) body(list []stmt) {
	for _, s := range list {
		s.walk(w)
	}
}

func (w *walker) macro(m *macro) {
	for _, p := range m.params {
		w.bind(p)
	}
	w.exprs(m.defaults...)
	for _, name := range []string{"varargs", "kwargs", "caller"} {
		w.bind(name)
	}
	w.body(m.body)
}

func (s *dataStmt) walk(*walker)     {}
func (s *outputStmt) walk(w *walker) { w.expr(s.x) }
func (s *doStmt) walk(w *walker)     { w.expr(s.x) }
func (s *scopeStmt) walk(w *walker)  { w.body(s.body) }
func (s *macroStmt) walk(w *walker)  { w.bind(s.macro.name); w.macro(s.macro) }
func (s *callStmt) walk(w *walker)   { w.expr(s.call); w.macro(s.caller) }
func (s *filterStmt) walk(w *walker) { w.expr(s.filters); w.body(s.body) }

func (s *ifStmt) walk(w *walker) {
	w.exprs(s.conds...)
	for _, b := range s.bodies {
		w.body(b)
	}
	w.body(s.orElse)
}

func (s *forStmt) walk(w *walker) {
	w.target(s.target)
	w.bind("loop")
	w.exprs(s.iter, s.cond)
	w.body(s.body)
	w.body(s.orElse)
}

func (s *setStmt) walk(w *walker) { w.target(s.target); w.expr(s.value) }

func (s *setBlockStmt) walk(w *walker) {
	w.target(s.target)
	if s.filters != nil {
		w.expr(s.filters)
	}
	w.body(s.body)
}

func (s *withStmt) walk(w *walker) {
	for _, t := range s.targets {
		w.target(t)
	}
	w.exprs(s.values...)
	w.body(s.body)
}

// inspect finds out which of the implicit arguments the macro's body uses.
func (m *macro) inspect() {
	w := &walker{bound: map[string]bool{}, asked: map[string]bool{}}
	w.body(m.body)
	for _, n := range w.used {
		switch n.name {
		case "varargs":
			m.usesVarargs = true
		case "kwargs":
			m.usesKwargs = true
		case "caller":
			m.usesCaller = true
		}
	}
}

// Check reports the first name that the template uses, does not assign, does not ask about with "is defined" or a
// default, and that known rejects. names are offered as the nearest. The error is an *Error.
func (t *Template) Check(known func(name string) bool, names []string) error {
	w := &walker{bound: map[string]bool{}, asked: map[string]bool{}}
	w.body(t.body)
	for _, n := range w.used {
		if w.bound[n.name] || w.asked[n.name] || globals[n.name] != nil || known(n.name) {
			continue
		}
		e := n.fail("unknown variable %q", n.name)
		e.Undefined = true
		e.Nearest = param.Nearest(n.name, append(slices.Clone(names), globalNames...))
		return e
	}
	return nil
}
