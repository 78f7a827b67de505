package pyvalue

import (
	"strconv"

	"gust/internal/param"
)

// Param is a parameter of a Func.
type Param struct {
	Name string
	// Default is the value when the argument is absent. Required parameters have none.
	Default  any
	Required bool
}

// Req declares a required parameter.
func Req(name string) Param { return Param{Name: name, Required: true} }

// Opt declares a parameter with a default.
func Opt(name string, value any) Param { return Param{Name: name, Default: value} }

// Args are the arguments of a call, bound to the parameters.
type Args struct {
	// Values are the parameters' values, in order.
	Values []any
	// Rest are further positional arguments, if the Func takes them.
	Rest []any
	// Kw are further named arguments, if the Func takes them.
	Kw *Dict
}

// Func is a callable value: a function, a method, a filter or a test.
type Func struct {
	Name   string
	Params []Param
	// TakesRest and TakesKw allow arguments beyond the parameters (*args, **kwargs).
	TakesRest, TakesKw bool
	// TakesUndefined hands undefined values to Do. Otherwise they are errors, because nothing can be done with them.
	TakesUndefined bool
	Do             func(st *State, a Args) (any, error)
}

// NewFunc returns a Func with plain parameters.
func NewFunc(name string, do func(st *State, a []any) (any, error), params ...Param) *Func {
	return &Func{Name: name, Params: params, Do: func(st *State, a Args) (any, error) { return do(st, a.Values) }}
}

// Constant is a function without parameters that returns v, such as a method whose result is known.
func Constant(name string, v any) *Func {
	return NewFunc(name, func(*State, []any) (any, error) { return v, nil })
}

// Call binds arguments to parameters as Python does and calls the function.
func (f *Func) Call(st *State, args []any, names []string, values []any) (any, error) {
	if !f.TakesUndefined {
		for _, list := range [][]any{args, values} {
			for _, v := range list {
				if u, ok := v.(*Undefined); ok {
					return nil, u.Err()
				}
			}
		}
	}
	if err := st.Charge(args...); err != nil {
		return nil, err
	}
	a, err := f.bind(args, names, values)
	if err != nil {
		return nil, err
	}
	return f.Do(st, a)
}

// Unset is what a parameter without an argument gets when its default is Unset{}, where None has a meaning of its own.
type Unset struct{}

func (f *Func) bind(args []any, names []string, values []any) (a Args, err error) {
	a.Values = make([]any, len(f.Params))
	n := copy(a.Values, args)
	for i := n; i < len(a.Values); i++ {
		a.Values[i] = Unset{}
	}
	if len(args) > n {
		if !f.TakesRest {
			return a, Errorf("%s() takes %s, got %d", f.Name, plural(len(f.Params), "argument"), len(args))
		}
		a.Rest = args[n:]
	}
	if f.TakesKw {
		a.Kw = NewDict(len(names))
	}
	for i, name := range names {
		if err := f.bindNamed(&a, name, values[i]); err != nil {
			return a, err
		}
	}
	for i, p := range f.Params {
		if _, missing := a.Values[i].(Unset); missing {
			if p.Required {
				return a, Errorf("%s() needs the argument %q", f.Name, p.Name)
			}
			a.Values[i] = p.Default
		}
	}
	return a, nil
}

func (f *Func) bindNamed(a *Args, name string, v any) error {
	for i, p := range f.Params {
		if p.Name != name {
			continue
		}
		if _, free := a.Values[i].(Unset); !free {
			return Errorf("%s() got the argument %q twice", f.Name, name)
		}
		a.Values[i] = v
		return nil
	}
	if !f.TakesKw {
		var known []string
		for _, p := range f.Params {
			known = append(known, p.Name)
		}
		e := Errorf("%s() has no argument %q", f.Name, name)
		e.Nearest, e.Available = param.Nearest(name, known), known
		return e
	}
	a.Kw.Set(name, v)
	return nil
}

func plural(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Conversions of arguments. what names the argument in errors.

// Text returns a string argument.
func Text(v any, what string) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", Errorf("%s must be a string, not %s", what, TypeName(v))
	}
	return s, nil
}

// Int returns a whole number argument.
func Int(v any, what string) (int, error) {
	switch v := v.(type) {
	case int:
		return v, nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	}
	return 0, Errorf("%s must be a whole number, not %s", what, TypeName(v))
}

// Float returns a number argument.
func Float(v any, what string) (float64, error) {
	if f, ok := v.(float64); ok {
		return f, nil
	}
	n, err := Int(v, what)
	if err != nil {
		return 0, Errorf("%s must be a number, not %s", what, TypeName(v))
	}
	return float64(n), nil
}

// Callable is an Object that can be called (macros.datetime).
type Callable interface{ Func() *Func }
