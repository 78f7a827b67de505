package jsonata

import (
	"math/rand/v2"
	"time"
)

// evaluator is one run of an expression.
type evaluator struct {
	env    *Env
	limits Limits
	root   value
	steps  int64
	depth  int
	calls  int
	bytes  int64
	// fallback gives random numbers when the environment has none.
	fallback *rand.PCG
	// until is the wall-clock bound; zero means none.
	until time.Time
}

// frame is a scope of variables.
type frame struct {
	parent *frame
	names  []string
	vals   []value
}

func (f *frame) lookup(name string) (value, bool) {
	for ; f != nil; f = f.parent {
		for i, n := range f.names {
			if n == name {
				return f.vals[i], true
			}
		}
	}
	return value{}, false
}

func (f *frame) bind(name string, v value) {
	for i, n := range f.names {
		if n == name {
			f.vals[i] = v
			return
		}
	}
	f.names = append(f.names, name)
	f.vals = append(f.vals, v)
}

// eval computes an expression for the context value in.
func (ev *evaluator) eval(e *expr, in value, env *frame) (value, error) {
	if e.form == formLiteral && e.predicates == nil && e.group == nil {
		if ev.steps++; ev.depth >= ev.limits.Depth {
			return value{}, bound(tooDeep, e.pos)
		}
		return e.konst, nil
	}
	if err := ev.enter(e); err != nil {
		return value{}, err
	}
	v, err := ev.compute(e, in, env)
	ev.depth--
	if err != nil {
		return value{}, err
	}
	return ev.finish(e, v, env)
}

// finish applies what follows an expression outside a path: predicates, grouping, the unwrapping of sequences.
func (ev *evaluator) finish(e *expr, v value, env *frame) (value, error) {
	var err error
	for _, s := range e.predicates {
		if v, err = ev.filter(s.filter, v, env); err != nil {
			return value{}, err
		}
	}
	if e.group != nil && e.form != formPath {
		if v, err = ev.construct(e.group, v, env); err != nil {
			return value{}, err
		}
	}
	return unwrap(v, e.keepArray), nil
}

// unwrap makes a sequence of one item that item, and an empty one undefined.
func unwrap(v value, keep bool) value {
	if v.kind != kindArray || v.marks&(markSequence|markTuples) != markSequence {
		return v
	}
	if keep {
		v.marks |= markKeep
	}
	switch items := v.items(); {
	case len(items) == 0:
		return value{}
	case len(items) == 1 && v.marks&markKeep == 0:
		return items[0]
	}
	return v
}

func (ev *evaluator) compute(e *expr, in value, env *frame) (value, error) {
	switch e.form {
	case formLiteral:
		return e.konst, nil
	case formPath:
		return ev.path(e, in, env)
	case formName:
		return ev.lookup(in, e.text)
	case formVariable:
		return ev.variable(e, in, env), nil
	case formBinary:
		return ev.binary(e, in, env)
	case formNegate:
		return ev.negate(e, in, env)
	case formArray:
		return ev.array(e, in, env)
	case formObject:
		return ev.construct(e, in, env)
	case formBlock:
		return ev.block(e, in, env)
	case formCall:
		return ev.call(e, in, env, nil)
	case formPartial:
		return ev.partial(e, in, env)
	case formLambda:
		return functionValue(&callable{lambda: e, env: env, self: in, sig: e.sig, arity: len(e.list)}), nil
	case formCondition, formElvis, formCoalesce:
		return ev.condition(e, in, env)
	case formBind:
		v, err := ev.eval(e.rhs, in, env)
		if err == nil {
			env.bind(e.lhs.text, v)
		}
		return v, err
	case formApply:
		return ev.chain(e, in, env)
	case formTransform:
		return ev.transform(e, in, env), nil
	case formWildcard:
		return ev.wildcard(in)
	case formDescendant:
		return ev.descendants(in)
	case formParent:
		v, _ := env.lookup(e.slot.label)
		return v, nil
	case formRegex:
		return functionValue(matcher(e.regex)), nil
	case formRange:
		return ev.span(e, in, env)
	default:
		return value{}, failure("S0201", e.pos, e.text)
	}
}

func (ev *evaluator) variable(e *expr, in value, env *frame) value {
	switch e.text {
	case "":
		if in.marks&markOuter != 0 && in.kind == kindArray {
			return in.items()[0]
		}
		return in
	case "$":
		return ev.root
	}
	if v, ok := env.lookup(e.text); ok {
		return v
	}
	if ev.env.Variable != nil {
		if v, ok := ev.env.Variable(e.text); ok {
			return fromJSON(v)
		}
	}
	if e.builtin != nil {
		return e.builtin.value
	}
	return value{}
}

// branch picks the part of a condition to go on with; nil when there is none. When decided is set, v is the outcome.
func (ev *evaluator) branch(e *expr, in value, env *frame) (part *expr, v value, decided bool, err error) {
	v, err = ev.eval(e.lhs, in, env)
	if err != nil {
		return nil, value{}, true, err
	}
	if e.form == formCoalesce {
		if v.defined() {
			return nil, v, true, nil
		}
		return e.rhs, value{}, false, nil
	}
	yes, err := holds(v)
	switch {
	case err != nil:
		return nil, value{}, true, err
	case e.form == formElvis && yes:
		return nil, v, true, nil
	case e.form == formElvis || yes:
		return e.rhs, value{}, false, nil
	}
	return e.third, value{}, e.third == nil, nil
}

func (ev *evaluator) condition(e *expr, in value, env *frame) (value, error) {
	part, v, decided, err := ev.branch(e, in, env)
	if decided {
		return v, err
	}
	return ev.eval(part, in, env)
}

func (ev *evaluator) block(e *expr, in value, env *frame) (value, error) {
	inner := &frame{parent: env}
	var v value
	for _, part := range e.list {
		var err error
		if v, err = ev.eval(part, in, inner); err != nil {
			return value{}, err
		}
	}
	return v, nil
}

func (ev *evaluator) negate(e *expr, in value, env *frame) (value, error) {
	v, err := ev.eval(e.lhs, in, env)
	if err != nil || !v.defined() {
		return value{}, err
	}
	ok, err := numeric(v)
	if err != nil {
		return value{}, err
	}
	if !ok {
		return value{}, failure("D1002", e.pos, e.text, showJSON(v))
	}
	return numberValue(-v.num), nil
}

// array builds an array constructor: items are joined flat unless they are written as arrays themselves.
func (ev *evaluator) array(e *expr, in value, env *frame) (value, error) {
	if len(e.list) == 1 && e.list[0].form == formRange {
		// The items of a lone range are nobody else's, so that they need not be copied.
		v, err := ev.eval(e.list[0], in, env)
		if err != nil {
			return value{}, err
		}
		if v.kind == kindArray {
			return value{kind: kindArray, marks: consMark(e), node: v.node}, nil
		}
		if v.defined() {
			return value{kind: kindArray, marks: consMark(e), node: &node{items: []value{v}}}, nil
		}
		return value{kind: kindArray, marks: consMark(e), node: &node{}}, nil
	}
	items := make([]value, 0, len(e.list))
	for _, part := range e.list {
		v, err := ev.eval(part, in, env)
		if err != nil {
			return value{}, err
		}
		switch {
		case !v.defined():
		case v.kind == kindArray && part.form != formArray:
			items = append(items, v.items()...)
		default:
			items = append(items, v)
		}
	}
	if err := ev.spend(len(items)); err != nil {
		return value{}, err
	}
	return value{kind: kindArray, marks: consMark(e), node: &node{items: items}}, nil
}

func consMark(e *expr) marks {
	if e.cons {
		return markCons
	}
	return 0
}

// holds is truthy for conditions, where an infinite number is a failure.
func holds(v value) (bool, error) {
	if v.kind == kindNumber {
		if _, err := numeric(v); err != nil {
			return false, err
		}
	}
	return truthy(v), nil
}

// truthy is JSONata's boolean cast, with undefined as false.
func truthy(v value) bool {
	switch v.kind {
	case kindBool, kindNumber:
		return v.num != 0 && v.num == v.num
	case kindString:
		return v.str != ""
	case kindObject:
		return v.length() > 0
	case kindArray:
		// Looking is bounded: nested arrays may share their parts.
		budget := 1 << 16
		return anyTruthy(v, &budget)
	}
	return false
}

// anyTruthy reports whether an array holds something true at any depth.
func anyTruthy(v value, budget *int) bool {
	for _, item := range v.items() {
		if *budget--; *budget < 0 {
			return false
		}
		if item.kind == kindArray {
			if anyTruthy(item, budget) {
				return true
			}
		} else if truthy(item) {
			return true
		}
	}
	return false
}
