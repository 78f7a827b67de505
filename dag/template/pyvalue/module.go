package pyvalue

import (
	"maps"
	"slices"
)

// Module is a Python module: a namespace of functions and other modules. With a Call it is a class, or a module that
// shares its name with a function.
type Module struct {
	name  string
	attrs map[string]any
	call  *Func
}

// NewModule returns a module with its members, which are *Func and *Module. call is nil for what cannot be called.
func NewModule(name string, call *Func, members ...any) *Module {
	if call == nil {
		call = &Func{Name: name, TakesRest: true, TakesKw: true, Do: func(*State, Args) (any, error) {
			return nil, Errorf("the module %s cannot be called", name)
		}}
	}
	m := &Module{name: name, attrs: map[string]any{}, call: call}
	for _, x := range members {
		switch x := x.(type) {
		case *Func:
			m.attrs[x.Name] = x
		case *Module:
			m.attrs[x.name] = x
		}
	}
	return m
}

// TypeName is the module's name.
func (m *Module) TypeName() string { return m.name }

// Func makes classes callable.
func (m *Module) Func() *Func { return m.call }

// AttrNames are the names of the members.
func (m *Module) AttrNames() []string { return slices.Sorted(maps.Keys(m.attrs)) }

// Attr returns a member.
func (m *Module) Attr(_ *State, name string) (any, bool, error) {
	v, ok := m.attrs[name]
	return v, ok, nil
}
