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
	"fmt"
	"math/rand/v2"
	"strings"
)

// Error says what is wrong with a template or with its evaluation. Line and Col count from 1; zero means unknown.
type Error struct {
	Line, Col int
	// Msg is the problem, lower case, without a full stop.
	Msg string
	// Nearest is the nearest valid name, or empty.
	Nearest string
	// Available lists the valid names when there are few enough to be worth reading.
	Available []string
	// Err is the cause when a look-up behind the template failed.
	Err error
	// Undefined is set when the problem is a name or key that does not exist.
	Undefined bool
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Col)
	}
	b.WriteString(e.Msg)
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	if len(e.Available) > 0 {
		fmt.Fprintf(&b, " (available: %s)", strings.Join(e.Available, ", "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func errf(format string, args ...any) *Error { return &Error{Msg: fmt.Sprintf(format, args...)} }

// Limits bound one evaluation.
type Limits struct {
	// Steps is the number of expressions and loop rounds that may be evaluated. Default 2,000,000.
	Steps int
	// Output is the number of bytes that may be written, and the size of any one string. Default 1 MiB.
	Output int
	// Items is the length of any one list and of range(). Default 10,000.
	Items int
}

func (l Limits) withDefaults() Limits {
	if l.Steps == 0 {
		l.Steps = 2_000_000
	}
	if l.Output == 0 {
		l.Output = 1 << 20
	}
	if l.Items == 0 {
		l.Items = 10_000
	}
	return l
}

// maxDepth bounds the nesting of expressions, blocks, macro calls and printed values.
const maxDepth = 64

// Env is the set of filters and tests templates may use, and their limits. It is immutable.
type Env struct {
	filters map[string]*Func
	tests   map[string]*Func
	methods methodTables
	limits  Limits
}

// NewEnv returns an environment with Jinja's own filters and tests, and the given filters.
func NewEnv(l Limits, filters ...*Func) *Env {
	env := &Env{filters: builtinFilters(), tests: builtinTests(), methods: newMethodTables(), limits: l.withDefaults()}
	for _, f := range filters {
		env.filters[f.Name] = f
	}
	return env
}

// WithLimits returns an environment with the same filters and tests and other limits. The two share their tables.
func (env *Env) WithLimits(l Limits) *Env {
	c := *env
	c.limits = l.withDefaults()
	return &c
}

// Template is a parsed template. It is immutable and may be executed by many goroutines at once.
type Template struct {
	env  *Env
	body []stmt
	only expr // the expression of a template that is a single {{ ... }}, or nil
}

// Lookup finds a global name. It reports false when there is no such name.
type Lookup func(st *State, name string) (any, bool, error)

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
	st := newState(ctx, t.env, g)
	defer catch(&err)
	if err := st.run(t.body); err != nil {
		return "", err
	}
	return st.out.String(), nil
}

// Evaluate renders the template as Jinja's native environment does: a template that is a single expression yields its
// value, any other its text read as a Python literal where it is one.
func (t *Template) Evaluate(ctx context.Context, g Globals) (value any, err error) {
	st := newState(ctx, t.env, g)
	defer catch(&err)
	if t.only != nil {
		v, err := st.eval(t.only)
		if err != nil {
			return nil, err
		}
		if u, ok := v.(*Undefined); ok {
			return nil, u.error()
		}
		if s, ok := v.(string); ok {
			return literalOr(s), nil
		}
		return v, nil
	}
	if err := st.run(t.body); err != nil {
		return nil, err
	}
	return literalOr(st.out.String()), nil
}

// catch turns a panic into an error: a template must never take the process down.
func catch(err *error) {
	if r := recover(); r != nil {
		*err = errf("the template engine failed: %v", r)
	}
}

func literalOr(s string) any {
	if v, ok := Literal(s); ok {
		return v
	}
	return s
}

// State is one evaluation.
type State struct {
	ctx     context.Context
	env     *Env
	globals Globals
	cache   map[string]any
	scope   *scope
	out     *limitedWriter
	steps   int
	depth   int
}

// Context is the context of the evaluation, for look-ups behind the template.
func (st *State) Context() context.Context { return st.ctx }

// Iterate lists the items of a value: those of a list, the keys of a dict, the characters of a string.
func (st *State) Iterate(v any) ([]any, error) { return st.iterate(v) }

// JSON writes a value as Python's json.dumps does. A negative indent means one line.
func (st *State) JSON(v any, indent int, sortKeys bool) (string, error) {
	b := limitedWriter{max: st.env.limits.Output}
	err := st.dump(&b, v, indent, 0, sortKeys)
	return b.String(), err
}

func newState(ctx context.Context, env *Env, g Globals) *State {
	return &State{ctx: ctx, env: env, globals: g, scope: &scope{}, out: &limitedWriter{max: env.limits.Output}}
}

// step counts work and stops the evaluation at its limit or when its context ends.
func (st *State) step() error {
	st.steps++
	if st.steps > st.env.limits.Steps {
		return errf("the template does too much work (limit %d steps)", st.env.limits.Steps)
	}
	if st.steps&127 == 0 {
		if err := context.Cause(st.ctx); err != nil {
			return &Error{Msg: "rendering was stopped: " + err.Error(), Err: err}
		}
	}
	return nil
}

// work counts n units of work at once.
func (st *State) work(n int) error {
	st.steps += n
	return st.step()
}

// charge counts the work of looking through texts.
func (st *State) charge(values ...any) error {
	n := 0
	for _, v := range values {
		if s, ok := v.(string); ok {
			n += len(s) >> 6
		}
	}
	if n == 0 {
		return nil
	}
	return st.work(n)
}

func (st *State) enter() error {
	st.depth++
	if st.depth > maxDepth*4 {
		return errf("the template nests too deeply")
	}
	return nil
}

func (st *State) leave() { st.depth-- }

// text checks the size of a string before it is made.
func (st *State) text(n int) error {
	if n > st.env.limits.Output {
		return errf("a text grows beyond %d bytes", st.env.limits.Output)
	}
	return st.work(n >> 6)
}

// items checks the length of a list before it is made.
func (st *State) items(n int) error {
	if n > st.env.limits.Items {
		return errf("a list grows beyond %d items", st.env.limits.Items)
	}
	return st.work(n >> 2)
}

// limitedWriter collects output up to a limit.
type limitedWriter struct {
	strings.Builder
	max int
}

func (w *limitedWriter) put(s string) error {
	if w.Len()+len(s) > w.max {
		return errf("the output grows beyond %d bytes", w.max)
	}
	w.WriteString(s)
	return nil
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
