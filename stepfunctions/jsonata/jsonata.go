// Package jsonata evaluates JSONata 2.x expressions the way AWS Step Functions offers them: the whole language and its
// functions without $eval, with AWS's $partition, $range, $hash, $random(seed), $uuid and $parse.
//
// The reference is the npm package jsonata 2.2, quirks included. Where AWS is known to differ, AWS is followed: numbers that
// are not finite leave as the strings "Infinity" and "NaN", bounds are AWS's and have no code, objects keep the order in
// which their keys were written even when those look like numbers. Number literals of the input that only pass through
// keep their text. Not followed are faults of the reference itself: items of an array or object are evaluated in order,
// so that the first failure is the one reported, and nothing changes the input.
//
// An expression is compiled once and may then be evaluated by many goroutines at the same time. Every evaluation is
// bounded in steps, depth and memory ([Limits]); a bound that is reached is an [*Error] like any other. Given the same
// [Env], an evaluation gives the same result.
package jsonata

import (
	"time"

	"gust/stepfunctions/jsonvalue"
)

// Expr is a compiled expression.
type Expr struct {
	text       string
	root       *expr
	references []Reference
}

// Env is what an expression sees of the world.
type Env struct {
	// Input is the context value $ and $$; undefined unless HasInput.
	Input    jsonvalue.Value
	HasInput bool
	// Variable finds $name; nil means there are none. Variables hide library functions of the same name.
	Variable func(name string) (jsonvalue.Value, bool)
	// Now is what $now and $millis tell.
	Now time.Time
	// Random gives 64 random bits for $random, $shuffle and $uuid. Nil gives a fixed sequence.
	Random func() uint64
	Limits Limits
}

// Reference is a free variable of an expression: one that it uses without binding it.
type Reference struct {
	// Name is without the dollar sign.
	Name string
	// Path are the names of the fields looked up in it, as far as they are fixed: $states.input.x gives [input x].
	Path []string
	// Position is the offset in bytes just behind the variable's name.
	Position int
}

// Compile parses an expression. Its error is an [*Error].
func Compile(text string) (*Expr, error) {
	parsed, err := parse(text)
	if err != nil {
		return nil, err
	}
	root, err := resolve(parsed)
	if err != nil {
		return nil, err
	}
	return &Expr{text: text, root: root, references: references(root)}, nil
}

// String returns the text of the expression.
func (e *Expr) String() string { return e.text }

// References lists the free variables in order of appearance; library functions are not among them.
func (e *Expr) References() []Reference { return e.references }

// Eval computes the expression. defined is false for JSONata's undefined. Errors are an [*Error], or [ErrFunctionResult].
func (e *Expr) Eval(env *Env) (v jsonvalue.Value, defined bool, err error) {
	if env == nil {
		env = &Env{}
	}
	ev := &evaluator{env: env, limits: env.Limits.withDefaults()}
	if env.Limits.Time > 0 {
		ev.until = time.Now().Add(env.Limits.Time)
	}
	in := value{}
	if env.HasInput {
		in = fromJSON(env.Input)
		ev.root = in
		if in.kind == kindArray {
			in = value{kind: kindArray, marks: markSequence | markOuter, node: &node{items: []value{in}}}
		}
	}
	out, err := ev.eval(e.root, in, &frame{})
	if err != nil || !out.defined() {
		return jsonvalue.Value{}, false, err
	}
	if out.kind == kindArray && out.marks&markOuter != 0 {
		out = out.items()[0]
	}
	v, err = ev.export(out, 0)
	return v, err == nil, err
}
