package asl

import (
	"maps"
	"slices"

	"gust/stepfunctions/jsonpath"
)

// VariableReferences returns, for each state that reads workflow variables, their names in alphabetical order.
func (m *Machine) VariableReferences() map[string][]string {
	all := map[string][]string{}
	for name, s := range m.all {
		if names := s.variables(); len(names) > 0 {
			all[name] = names
		}
	}
	return all
}

func (s *State) variables() []string {
	seen := map[string]bool{}
	s.visit(func(p *jsonpath.Path) {
		if p != nil && p.Root() == jsonpath.Variable {
			seen[p.Variable()] = true
		}
	}, func(e *Expression) {
		for _, name := range e.variables() {
			seen[name] = true
		}
	})
	return slices.Sorted(maps.Keys(seen))
}

// visit calls the functions with every path and expression of the state itself, those of inner states excluded. A path may
// be nil.
func (s *State) visit(path func(*jsonpath.Path), expression func(*Expression)) {
	template := func(all ...*Template) {
		for _, t := range all {
			t.visit(path, expression)
		}
	}
	for _, sel := range []*Selector{s.InputPath, s.OutputPath} {
		if sel != nil {
			path(sel.Path)
		}
	}
	template(s.Parameters, s.Arguments, s.ResultSelector, s.Assign, s.Output)
	for _, c := range s.Catch {
		template(c.Assign, c.Output)
	}
	if t := s.Task; t != nil {
		template(t.Credentials)
		t.Timeout.visit(path, expression)
		t.Heartbeat.visit(path, expression)
	}
	if w := s.Wait; w != nil {
		w.Seconds.visit(path, expression)
		visitComputed(w.TimestampPath, w.TimestampExpression, path, expression)
	}
	if f := s.Fail; f != nil {
		f.Error.visit(path, expression)
		f.Cause.visit(path, expression)
	}
	if c := s.Choice; c != nil {
		for _, r := range c.Rules {
			r.Condition.visit(path, expression)
			template(r.Assign, r.Output)
		}
	}
	if m := s.Map; m != nil {
		m.visit(path, expression)
	}
}

func (m *MapFields) visit(path func(*jsonpath.Path), expression func(*Expression)) {
	path(m.ItemsPath)
	m.Items.visit(path, expression)
	m.MaxConcurrency.visit(path, expression)
	m.ToleratedFailureCount.visit(path, expression)
	if n := m.ToleratedFailurePercentage; n != nil {
		visitComputed(n.Path, n.Expression, path, expression)
	}
	if r := m.ItemReader; r != nil {
		r.Parameters.visit(path, expression)
		r.Config.MaxItems.visit(path, expression)
	}
	if b := m.ItemBatcher; b != nil {
		b.BatchInput.visit(path, expression)
		b.MaxItemsPerBatch.visit(path, expression)
		b.MaxInputBytesPerBatch.visit(path, expression)
	}
	if w := m.ResultWriter; w != nil {
		w.Parameters.visit(path, expression)
	}
}

func (i *Integer) visit(path func(*jsonpath.Path), expression func(*Expression)) {
	if i != nil {
		visitComputed(i.Path, i.Expression, path, expression)
	}
}

func visitComputed(p *jsonpath.Path, e *Expression, path func(*jsonpath.Path), expression func(*Expression)) {
	path(p)
	if e != nil {
		expression(e)
	}
}

func (t *TextSource) visit(path func(*jsonpath.Path), expression func(*Expression)) {
	if t == nil {
		return
	}
	visitComputed(t.Path, t.Expression, path, expression)
	if t.Call != nil {
		t.Call.Paths(path)
	}
}

func (c *Condition) visit(path func(*jsonpath.Path), expression func(*Expression)) {
	path(c.Variable)
	visitComputed(c.OtherPath, c.Expression, path, expression)
	for _, child := range c.Children {
		child.visit(path, expression)
	}
}
