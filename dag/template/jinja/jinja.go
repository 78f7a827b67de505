// Package jinja renders Jinja templates with the meaning Python gives them, inside hard limits.
//
// It covers the language as Airflow's sandboxed environment offers it: expressions, filters, tests, inline if, for
// loops, if, set, macros, call and filter blocks, with, raw, do, and whitespace control; undefined names are errors
// (StrictUndefined). Values print as Python prints them. Templates cannot load other templates.
//
// Safety does not rest on the host: values are plain data or purpose-built objects, no Go method is reachable, and an
// evaluation stops at a number of steps, at a size of strings, lists and output, at a depth of nesting, and when its
// context ends, whatever the template does.
package jinja

import (
	"context"
	"math/rand/v2"

	"gust/dag/template/filters"
	"gust/dag/template/pyvalue"
)

// Error says what is wrong with a template, and where.
type Error = pyvalue.Error

// Env is the set of filters and tests templates may use, and their limits. It is immutable.
type Env struct {
	filters map[string]*pyvalue.Func
	tests   map[string]*pyvalue.Func
	methods *pyvalue.Methods
	limits  pyvalue.Limits
}

// NewEnv returns an environment with Jinja's own filters and tests, and more filters.
func NewEnv(l pyvalue.Limits, more ...*pyvalue.Func) *Env {
	env := &Env{methods: pyvalue.NewMethods(), limits: l}
	env.filters, env.tests = filters.Builtin()
	for _, f := range more {
		env.filters[f.Name] = f
	}
	return env
}

// WithLimits returns an environment with the same filters and tests and other limits. The two share their tables.
func (env *Env) WithLimits(l pyvalue.Limits) *Env {
	c := *env
	c.limits = l
	return &c
}

// Template is a parsed template. It is immutable and may be executed by many goroutines at once.
type Template struct {
	env  *Env
	body []stmt
	only expr // the expression of a template that is a single {{ ... }}, or nil
}

// Lookup finds a global name. It reports false when there is no such name.
type Lookup func(st *pyvalue.State, name string) (any, bool, error)

// Globals are the names a template sees.
type Globals struct {
	Lookup Lookup
	// Names lists them, for "did you mean".
	Names []string
	// Random is the source of the random filter. Nil means a fixed sequence.
	Random func() *rand.Rand
}

// Execute renders the template.
func (t *Template) Execute(ctx context.Context, g Globals) (out string, err error) {
	ev := newEvaluation(ctx, t.env, g)
	defer catch(&err)
	if err := ev.run(t.body); err != nil {
		return "", err
	}
	return ev.out.String(), nil
}

// Evaluate renders the template as Jinja's native environment does: a template that is a single expression yields its
// value, any other its text read as a Python literal where it is one.
func (t *Template) Evaluate(ctx context.Context, g Globals) (value any, err error) {
	ev := newEvaluation(ctx, t.env, g)
	defer catch(&err)
	if t.only != nil {
		v, err := ev.eval(t.only)
		if err != nil {
			return nil, err
		}
		if u, ok := v.(*pyvalue.Undefined); ok {
			return nil, u.Err()
		}
		if s, ok := v.(string); ok {
			return literalOr(s), nil
		}
		return v, nil
	}
	if err := ev.run(t.body); err != nil {
		return nil, err
	}
	return literalOr(ev.out.String()), nil
}

// catch turns a panic into an error: a template must never take the process down.
func catch(err *error) {
	if r := recover(); r != nil {
		*err = pyvalue.Errorf("the template engine failed: %v", r)
	}
}

func literalOr(s string) any {
	if v, ok := Literal(s); ok {
		return v
	}
	return s
}

// evaluation is one rendering of a template.
type evaluation struct {
	*pyvalue.State
	env     *Env
	globals Globals
	cache   map[string]any // global names that were looked up
	scope   *scope
	out     *pyvalue.Writer
}

func newEvaluation(ctx context.Context, env *Env, g Globals) *evaluation {
	st := pyvalue.NewState(ctx, env.limits, env.methods, g.Random)
	return &evaluation{State: st, env: env, globals: g, scope: &scope{}, out: st.NewWriter()}
}

// scope holds local names. Lookups go outwards.
type scope struct {
	names  []string
	values []any
	outer  *scope
}

func (s *scope) get(name string) (any, bool) {
	for ; s != nil; s = s.outer {
		for i := len(s.names) - 1; i >= 0; i-- {
			if s.names[i] == name {
				return s.values[i], true
			}
		}
	}
	return nil, false
}

func (s *scope) set(name string, v any) {
	for i, n := range s.names {
		if n == name {
			s.values[i] = v
			return
		}
	}
	s.names, s.values = append(s.names, name), append(s.values, v)
}
