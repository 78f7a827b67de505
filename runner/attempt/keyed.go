package attempt

import (
	"fmt"

	"gust/dag"
	"gust/triggers"
)

// Keyed returns a wait that tells with which others it is looked at and what it is about, as its checker has it from its
// arguments. The error is that of a wait that nobody can look at.
func Keyed(registry *triggers.Registry, d *dag.Deferral) (*dag.Deferral, error) {
	checker, err := registry.Checker(d.Kind)
	if err != nil {
		return nil, err
	}
	out := *d
	out.Keyed, out.Subject = true, 0
	Guard(&err, func() (err error) {
		out.Key, err = checker.Key(d.Args)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", d.Kind, err)
	}
	if hearer, ok := checker.(triggers.Hearer); ok {
		var subject string
		Guard(&err, func() (err error) {
			subject, err = hearer.Subject(d.Args)
			return err
		})
		if err == nil { // without a subject it is checked all the same
			out.Subject = triggers.HashSubject(subject)
		}
	}
	return &out, nil
}
