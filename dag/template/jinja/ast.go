package jinja

// expr is an expression. eval is called through State.eval, which counts work and adds positions to errors.
type expr interface {
	place() pos
	eval(ev *evaluation) (any, error)
	children(visit func(expr))
}

// stmt is a piece of a template's body.
type stmt interface {
	run(ev *evaluation) error
	walk(w *walker)
}

func (p pos) place() pos { return p }

type (
	constExpr struct {
		pos
		value any
	}
	nameExpr struct {
		pos
		name string
	}
	listExpr struct {
		pos
		items []expr
	}
	tupleExpr struct {
		pos
		items []expr
	}
	dictExpr struct {
		pos
		keys, values []expr
	}
	attrExpr struct {
		pos
		x    expr
		name string
	}
	itemExpr struct {
		pos
		x, index expr
	}
	// sliceExpr is the a:b:c of an index; absent parts are nil.
	sliceExpr struct {
		pos
		lo, hi, step expr
	}
	callExpr struct {
		pos
		fn   expr
		args callArgs
	}
	filterExpr struct {
		pos
		x    expr
		name string
		args callArgs
	}
	testExpr struct {
		pos
		x    expr
		name string
		args callArgs
	}
	unaryExpr struct {
		pos
		op string
		x  expr
	}
	binaryExpr struct {
		pos
		op   string
		l, r expr
	}
	concatExpr struct {
		pos
		items []expr
	}
	compareExpr struct {
		pos
		first expr
		ops   []string
		rest  []expr
	}
	logicExpr struct {
		pos
		and  bool
		l, r expr
	}
	notExpr struct {
		pos
		x expr
	}
	condExpr struct {
		pos
		x, cond, alt expr
	}
)

// callArgs are the arguments of a call, a filter or a test.
type callArgs struct {
	args           []expr
	names          []string // of the keyword arguments
	values         []expr
	star, starStar expr
}

func (a *callArgs) children(visit func(expr)) {
	visitAll(visit, a.args...)
	visitAll(visit, a.values...)
	visitAll(visit, a.star, a.starStar)
}

func visitAll(visit func(expr), list ...expr) {
	for _, e := range list {
		if e != nil {
			visit(e)
		}
	}
}

func (e *constExpr) children(func(expr))       {}
func (e *nameExpr) children(func(expr))        {}
func (e *listExpr) children(visit func(expr))  { visitAll(visit, e.items...) }
func (e *tupleExpr) children(visit func(expr)) { visitAll(visit, e.items...) }
func (e *dictExpr) children(visit func(expr)) {
	visitAll(visit, e.keys...)
	visitAll(visit, e.values...)
}
func (e *attrExpr) children(visit func(expr))   { visit(e.x) }
func (e *itemExpr) children(visit func(expr))   { visitAll(visit, e.x, e.index) }
func (e *sliceExpr) children(visit func(expr))  { visitAll(visit, e.lo, e.hi, e.step) }
func (e *callExpr) children(visit func(expr))   { visit(e.fn); e.args.children(visit) }
func (e *filterExpr) children(visit func(expr)) { visitAll(visit, e.x); e.args.children(visit) }
func (e *testExpr) children(visit func(expr))   { visit(e.x); e.args.children(visit) }
func (e *unaryExpr) children(visit func(expr))  { visit(e.x) }
func (e *binaryExpr) children(visit func(expr)) { visitAll(visit, e.l, e.r) }
func (e *concatExpr) children(visit func(expr)) { visitAll(visit, e.items...) }
func (e *compareExpr) children(visit func(expr)) {
	visit(e.first)
	visitAll(visit, e.rest...)
}
func (e *logicExpr) children(visit func(expr)) { visitAll(visit, e.l, e.r) }
func (e *notExpr) children(visit func(expr))   { visit(e.x) }
func (e *condExpr) children(visit func(expr))  { visitAll(visit, e.x, e.cond, e.alt) }

type (
	dataStmt   struct{ text string }
	outputStmt struct{ x expr }
	ifStmt     struct {
		conds  []expr
		bodies [][]stmt
		orElse []stmt
	}
	forStmt struct {
		pos
		target    target
		iter      expr
		cond      expr
		body      []stmt
		orElse    []stmt
		recursive bool
	}
	setStmt struct {
		target target
		value  expr
	}
	setBlockStmt struct {
		target  target
		filters *filterExpr // applied to the body's text, innermost x is nil
		body    []stmt
	}
	withStmt struct {
		targets []target
		values  []expr
		body    []stmt
	}
	filterStmt struct {
		filters *filterExpr
		body    []stmt
	}
	doStmt    struct{ x expr }
	scopeStmt struct{ body []stmt } // {% block %}
	macroStmt struct{ macro *macro }
	callStmt  struct {
		call   *callExpr
		caller *macro
	}
)

// target is what an assignment binds: a name, an attribute of a namespace, or a tuple of targets.
type target struct {
	pos
	name  string
	attr  string
	parts []target
}

// names calls visit with every plain name the target binds.
func (t target) names(visit func(string)) {
	if t.parts == nil && t.attr == "" {
		visit(t.name)
	}
	for _, p := range t.parts {
		p.names(visit)
	}
}

// macro is a macro definition, or the body of a call block.
type macro struct {
	pos
	name     string
	params   []string
	defaults []expr // aligned to the end of params
	body     []stmt
	// Jinja gives a macro varargs, kwargs and caller only if its body uses them.
	usesVarargs, usesKwargs, usesCaller bool
}
