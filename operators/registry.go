package operators

import (
	"fmt"
	"slices"
	"strings"

	"gust/internal/param"
)

// Spec declares one operator or sensor.
type Spec struct {
	// Name is the canonical name, Airflow's class name where there is one.
	Name string
	// Aliases are every import path under which people write it, and short names.
	Aliases []string
	// Doc is user documentation: one sentence, then details.
	Doc string
	// New returns a pointer to a new struct with its parameters' tags; it performs no I/O.
	New func() Operator
	// Sensor is set for sensors.
	Sensor bool
	// Inline is set for an operator without any effect: the scheduler marks it success itself.
	Inline bool
	// Link renders the task's links from its XCom values, or is nil.
	Links []Link
}

// Link is an external page about a task instance (Airflow: operator extra link). The XCom under XComKey is an object
// with Airflow's fields for it; its "url" is the page, absent when there is none (an endpoint that is not AWS).
type Link struct{ Name, XComKey string }

// Registry maps names to specs. It is filled once, by internal/app, then read by many goroutines.
type Registry struct {
	specs  map[string]*Spec // canonical
	byName map[string]*Spec // canonical, short and alias
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{specs: map[string]*Spec{}, byName: map[string]*Spec{}}
}

// Register adds an operator. A name or alias that is taken, or a malformed parameter declaration, is an error.
func (r *Registry) Register(s Spec) error {
	if s.Name == "" || s.New == nil {
		return fmt.Errorf("operator %q: a name and New are required", s.Name)
	}
	if _, err := param.Of(s.New()); err != nil {
		return fmt.Errorf("operator %s: %w", s.Name, err)
	}
	names := append([]string{s.Name}, s.Aliases...)
	for _, n := range names {
		if other, taken := r.byName[n]; taken {
			return fmt.Errorf("operator %s: the name %q belongs to %s", s.Name, n, other.Name)
		}
	}
	r.specs[s.Name] = &s
	for _, n := range names {
		r.byName[n] = &s
	}
	return nil
}

// Lookup returns the spec for a canonical name, a short name or an alias.
func (r *Registry) Lookup(name string) (*Spec, bool) {
	s, ok := r.byName[name]
	return s, ok
}

// Nearest returns the registered name closest to name, or "". A dotted import path is compared by its last part too.
func (r *Registry) Nearest(name string) string {
	names := make([]string, 0, len(r.byName))
	for n := range r.byName {
		names = append(names, n)
	}
	slices.Sort(names)
	if n := param.Nearest(name, names); n != "" {
		return n
	}
	return param.Nearest(name[strings.LastIndex(name, ".")+1:], names)
}

// Specs lists the operators by canonical name.
func (r *Registry) Specs() []*Spec {
	out := make([]*Spec, 0, len(r.specs))
	for _, s := range r.specs {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *Spec) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Parameters lists the names of all parameters that some operator declares, sorted.
func (r *Registry) Parameters() []string {
	var names []string
	for _, s := range r.specs {
		names = append(names, s.Schema().Names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Schema is the operator's parameter schema.
func (s *Spec) Schema() *param.Schema {
	schema, err := param.Of(s.New())
	if err != nil {
		panic(err) // proven by Register
	}
	return schema
}
