package jsonata

import (
	"errors"

	"gust/stepfunctions/jsonata/ecmaregexp"
)

// callable is a function: one of the library, a lambda with its scope, a matcher, or built from others.
type callable struct {
	name  string
	sig   *signature
	arity int
	// native is the code of a library function.
	native func(c call) (value, error)
	// value is the function as a value, kept for library functions so that naming one costs nothing.
	value value

	lambda *expr
	env    *frame
	self   value

	// bound are the arguments of a partial application of base, with holes where they are still to come.
	base  *callable
	bound []value
	holes []bool

	// then is called with the result of base in a chain of functions.
	then *callable

	pattern *ecmaregexp.Regexp
}

// call is what a native function gets. Arguments that were left out are undefined.
type call struct {
	ev   *evaluator
	args []value
	in   value
}

func (c call) arg(i int) value {
	if i < len(c.args) {
		return c.args[i]
	}
	return value{}
}

// call evaluates a function call. applied is the value that ~> puts before the written arguments.
func (ev *evaluator) call(e *expr, in value, env *frame, applied *value) (value, error) {
	fn, args, in, err := ev.prepare(e, in, env, applied)
	if err != nil {
		return value{}, err
	}
	v, err := ev.apply(fn, args, in)
	if err != nil {
		return value{}, within(err, e)
	}
	return v, nil
}

// within puts a failure inside a called function at the call, which is where the reference library reports it.
func within(err error, e *expr) error {
	var fault *Error
	if errors.As(err, &fault) {
		fault.Position = 0
	}
	return at(err, e.pos, e.lhs.calledName())
}

// prepare evaluates the function and the arguments of a call, and gives the context for arguments left out.
func (ev *evaluator) prepare(e *expr, in value, env *frame, applied *value) (fn *callable, args []value, context value, err error) {
	proc, err := ev.eval(e.lhs, in, env)
	if err != nil {
		return nil, nil, in, err
	}
	if name, ok := ev.meant(e, proc, env); ok {
		return nil, nil, in, failure("T1005", e.pos, name, name)
	}
	args = make([]value, 0, len(e.list)+1)
	if applied != nil {
		args = append(args, *applied)
	}
	for _, a := range e.list {
		v, err := ev.eval(a, in, env)
		if err != nil {
			return nil, nil, in, err
		}
		if v.kind == kindFunction {
			v.marks |= markPassed
		}
		args = append(args, v)
	}
	if proc.kind != kindFunction {
		return nil, nil, in, failure("T1006", e.pos, e.lhs.calledName())
	}
	if proc.marks&markPassed != 0 {
		in = nullValue
	}
	return proc.node.fn, args, in, nil
}

// meant reports whether a call of a field that is not there would have been one of a variable.
func (ev *evaluator) meant(e *expr, proc value, env *frame) (string, bool) {
	if proc.defined() || e.lhs.form != formPath {
		return "", false
	}
	name := e.lhs.list[0].text
	v := ev.variable(&expr{form: formVariable, text: name, builtin: e.builtin}, value{}, env)
	return name, v.defined()
}

// calledName is the name of what is called, for messages.
func (e *expr) calledName() string {
	switch e.form {
	case formPath:
		return e.list[0].text
	case formVariable:
		return e.text
	case formLiteral:
		return showJSON(e.konst)
	case formCall, formPartial:
		return "("
	}
	return ""
}

// maxCalls is how deep calls may nest that are no evaluations of expressions, as in chains of composed functions.
const maxCalls = 10_000

// apply calls a function. in is the context for arguments that are left out.
func (ev *evaluator) apply(fn *callable, args []value, in value) (value, error) {
	if ev.calls++; ev.calls > maxCalls {
		return value{}, bound(tooDeep, 0)
	}
	v, err := ev.run(fn, args, in)
	ev.calls--
	return v, err
}

func (ev *evaluator) run(fn *callable, args []value, in value) (value, error) {
	if err := ev.work(1); err != nil {
		return value{}, err
	}
	if fn.sig != nil {
		var err error
		if args, err = fn.sig.validate(args, in, fn.name); err != nil {
			return value{}, err
		}
	}
	switch {
	case fn.native != nil:
		return fn.native(call{ev: ev, args: args, in: in})
	case fn.lambda != nil:
		return ev.applyLambda(fn, args)
	case fn.then != nil:
		ev.depth++
		v, err := ev.apply(fn.base, args, in)
		ev.depth--
		if err != nil {
			return value{}, err
		}
		return ev.apply(fn.then, []value{unwrap(v, false)}, nullValue)
	case fn.pattern != nil:
		return ev.firstMatch(fn.pattern, args)
	default:
		filled := make([]value, len(fn.bound))
		for i, hole := range fn.holes {
			if !hole {
				filled[i] = fn.bound[i]
			} else if len(args) > 0 {
				filled[i], args = args[0], args[1:]
			}
		}
		return ev.apply(fn.base, filled, nullValue)
	}
}

// applyLambda runs a lambda. A call in tail position takes the place of the one that made it, so that loops written as
// recursion need no stack.
func (ev *evaluator) applyLambda(fn *callable, args []value) (value, error) {
	for {
		v, next, err := ev.tail(fn.lambda.rhs, fn.self, fn.scope(args))
		if err != nil || next == nil {
			return v, err
		}
		callee, given, context, err := ev.prepare(next.e, next.in, next.env, nil)
		if err != nil {
			return value{}, err
		}
		if callee.lambda == nil {
			v, err := ev.apply(callee, given, context)
			if err != nil {
				return value{}, within(err, next.e)
			}
			return v, nil
		}
		if fn, args = callee, given; fn.sig != nil {
			if args, err = fn.sig.validate(args, context, fn.name); err != nil {
				return value{}, within(err, next.e)
			}
		}
	}
}

// scope binds the parameters of a lambda.
func (fn *callable) scope(args []value) *frame {
	params := fn.lambda.list
	f := &frame{parent: fn.env, names: make([]string, 0, len(params)), vals: make([]value, 0, len(params))}
	for i, p := range params {
		var v value
		if i < len(args) {
			v = args[i]
		}
		f.bind(p.text, v)
	}
	return f
}

// tailCall is a call that is the last thing a lambda does, not yet made.
type tailCall struct {
	e   *expr
	in  value
	env *frame
}

// tail evaluates a lambda's body up to the call it ends with, if it ends with one.
func (ev *evaluator) tail(e *expr, in value, env *frame) (value, *tailCall, error) {
	last := e.form == formCall || e.form == formBlock || e.form == formCondition || e.form == formElvis || e.form == formCoalesce
	if !last || e.predicates != nil || e.group != nil || e.keepArray {
		v, err := ev.eval(e, in, env)
		return v, nil, err
	}
	if err := ev.enter(e); err != nil {
		return value{}, nil, err
	}
	v, next, err := ev.tailParts(e, in, env)
	ev.depth--
	return v, next, err
}

func (ev *evaluator) tailParts(e *expr, in value, env *frame) (value, *tailCall, error) {
	switch e.form {
	case formCall:
		return value{}, &tailCall{e, in, env}, nil
	case formBlock:
		if len(e.list) == 0 {
			return value{}, nil, nil
		}
		scope := &frame{parent: env}
		last := len(e.list) - 1
		for _, part := range e.list[:last] {
			if _, err := ev.eval(part, in, scope); err != nil {
				return value{}, nil, err
			}
		}
		return ev.tail(e.list[last], in, scope)
	}
	part, v, decided, err := ev.branch(e, in, env)
	if decided {
		return v, nil, err
	}
	return ev.tail(part, in, env)
}

// invoke calls a function from within a library function.
func (ev *evaluator) invoke(fn *callable, args ...value) (value, error) {
	return ev.apply(fn, args, nullValue)
}

// each calls a function of one, two or three parameters for an item: with the item, its position or key, and the whole.
func (ev *evaluator) each(fn *callable, item, place, whole value) (value, error) {
	args := []value{item, place, whole}
	return ev.invoke(fn, args[:min(max(fn.arity, 1), 3)]...)
}

// partial is a call with question marks for arguments that come later.
func (ev *evaluator) partial(e *expr, in value, env *frame) (value, error) {
	fn := &callable{bound: make([]value, len(e.list)), holes: make([]bool, len(e.list))}
	for i, a := range e.list {
		if a.form == formPlaceholder {
			fn.holes[i] = true
			fn.arity++
			continue
		}
		var err error
		if fn.bound[i], err = ev.eval(a, in, env); err != nil {
			return value{}, err
		}
	}
	proc, err := ev.eval(e.lhs, in, env)
	if err != nil {
		return value{}, err
	}
	if name, ok := ev.meant(e, proc, env); ok {
		return value{}, failure("T1007", e.pos, name, name)
	}
	if proc.kind != kindFunction {
		return value{}, failure("T1008", e.pos, e.lhs.calledName())
	}
	fn.base = proc.node.fn
	return functionValue(fn), nil
}

// chain is the operator ~>: it calls the right side with the left, or composes two functions.
func (ev *evaluator) chain(e *expr, in value, env *frame) (value, error) {
	left, err := ev.eval(e.lhs, in, env)
	if err != nil {
		return value{}, err
	}
	if e.rhs.form == formCall {
		// Predicates on the call have no effect here, in the reference library.
		return ev.call(e.rhs, in, env, &left)
	}
	right, err := ev.eval(e.rhs, in, env)
	if err != nil {
		return value{}, err
	}
	if right.kind != kindFunction {
		return value{}, failure("T2006", e.pos, "")
	}
	if left.kind == kindFunction {
		return functionValue(&callable{base: left.node.fn, then: right.node.fn, arity: 1}), nil
	}
	v, err := ev.apply(right.node.fn, []value{left}, nullValue)
	return v, at(err, e.pos, "")
}
