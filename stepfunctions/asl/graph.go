package asl

import (
	"maps"
	"slices"

	"gust/stepfunctions/jsonvalue"
)

// checkTransitions verifies that every transition of a scope stays in it, that the machine can end and that every state
// can be reached.
func (p *parser) checkTransitions(scope *Scope, o *object, states jsonvalue.Value) {
	target := func(name, location string) {
		if name == "" {
			return
		}
		if _, ok := states.Get(name); !ok {
			// AWS says 'Next' for every kind of transition.
			p.errorf(CodeMissingTarget, location, "Missing 'Next' target: %s", name)
			p.hint(location, name, slices.Sorted(maps.Keys(scope.byName)))
		}
	}
	target(scope.StartAt, o.location+"/StartAt")
	// What a state that could not be read does next is unknown.
	understood := len(scope.States) == states.Len() && scope.StartAt != ""
	ends := slices.ContainsFunc(states.Items(), func(v jsonvalue.Value) bool {
		_, typed := v.Get("Type")
		end, _ := v.Get("End")
		return typed && end.Bool()
	})
	for _, s := range scope.States {
		ends = ends || s.Terminal()
		understood = understood && (s.Terminal() || len(s.targets()) > 0)
		target(s.Next, s.Location+"/Next")
		if s.Choice != nil {
			for _, r := range s.Choice.Rules {
				target(r.Next, r.location+"/Next")
			}
			target(s.Choice.Default, s.Location+"/Default")
		}
		for _, c := range s.Catch {
			target(c.Next, c.location+"/Next")
		}
	}
	switch {
	case !ends && scope.Parent == nil:
		// AWS asks this of the whole machine only, and then does not look for unreachable states.
		p.errorf(CodeMissingEnd, "", "Workflow has no terminal state")
		p.place(o.location + "/States")
	case understood:
		p.checkReachable(scope)
	}
}

func (p *parser) checkReachable(scope *Scope) {
	reached := map[string]bool{}
	todo := []string{scope.StartAt}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		s := scope.byName[name]
		if s == nil || reached[name] {
			continue
		}
		reached[name] = true
		todo = append(todo, s.targets()...)
	}
	for _, s := range scope.States {
		if !reached[s.Name] {
			p.errorf(CodeMissingTarget, s.Location, "State \"%s\" is not reachable.", s.Name)
		}
	}
}

// targets lists the names of all states that may follow.
func (s *State) targets() []string {
	var names []string
	add := func(name string) {
		if name != "" {
			names = append(names, name)
		}
	}
	add(s.Next)
	for _, c := range s.Catch {
		add(c.Next)
	}
	if s.Choice != nil {
		add(s.Choice.Default)
		for _, r := range s.Choice.Rules {
			add(r.Next)
		}
	}
	return names
}
