package connections

import (
	"context"
	"os"
	"slices"
	"strings"
)

// Prefixes are the beginnings of the environment variables that define connections, the first that is set wins.
var envPrefixes = [...]string{"GUST_CONN_", "AIRFLOW_CONN_"}

// Environment is the source of connections in environment variables: GUST_CONN_<ID>, then AIRFLOW_CONN_<ID>, the id in
// upper case. The value is a URI or JSON. An empty variable defines nothing.
type Environment struct {
	lookup  func(string) (string, bool)
	environ func() []string
}

// NewEnvironment returns the source. A nil lookup is os.LookupEnv and a nil environ is os.Environ.
func NewEnvironment(lookup func(string) (string, bool), environ func() []string) *Environment {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	if environ == nil {
		environ = os.Environ
	}
	return &Environment{lookup: lookup, environ: environ}
}

// Name is "environment".
func (*Environment) Name() string { return "environment" }

// Get reads the connection from its variable.
func (e *Environment) Get(_ context.Context, id string) (*Connection, error) {
	for _, prefix := range envPrefixes {
		name := prefix + strings.ToUpper(id)
		value, ok := e.lookup(name)
		if !ok || strings.TrimSpace(value) == "" {
			continue
		}
		c, err := Parse(id, value)
		if err != nil {
			return nil, &sourceError{where: "environment variable " + name, err: err}
		}
		return c, nil
	}
	return nil, nil
}

// List returns the ids in lower case: the environment does not tell their own.
func (e *Environment) List(context.Context) ([]string, error) {
	var ids []string
	for _, entry := range e.environ() {
		name, value, _ := strings.Cut(entry, "=")
		for _, prefix := range envPrefixes {
			id, ok := strings.CutPrefix(name, prefix)
			if ok && id != "" && strings.TrimSpace(value) != "" {
				ids = append(ids, strings.ToLower(id))
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Fixed is a source of connections that the program itself defines: the last resort of a resolver, such as the
// aws_default of `gust standalone` that points at the embedded service.
type Fixed struct {
	name  string
	byID  map[string]*Connection
	order []string
}

// NewFixed returns the source; name says where the connections come from ("built in").
func NewFixed(name string, conns ...*Connection) *Fixed {
	f := &Fixed{name: name, byID: map[string]*Connection{}}
	for _, c := range conns {
		f.byID[c.ID] = c
		f.order = append(f.order, c.ID)
	}
	slices.Sort(f.order)
	f.order = slices.Compact(f.order)
	return f
}

// Name is the name given to NewFixed.
func (f *Fixed) Name() string { return f.name }

// Get returns a copy of the connection.
func (f *Fixed) Get(_ context.Context, id string) (*Connection, error) {
	c, ok := f.byID[id]
	if !ok {
		return nil, nil
	}
	dup := *c
	return &dup, nil
}

// List returns the ids.
func (f *Fixed) List(context.Context) ([]string, error) { return slices.Clone(f.order), nil }

// sourceError says where a connection that cannot be read is.
type sourceError struct {
	where string
	err   error
}

func (e *sourceError) Error() string { return e.where + ": " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }
