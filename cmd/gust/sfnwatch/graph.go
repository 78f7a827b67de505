package sfnwatch

import (
	"fmt"
	"slices"

	"gust/internal/graphdraw"
	"gust/stepfunctions/jsonvalue"
)

// The nodes for beginning and end.
const (
	startNode = "●"
	endNode   = "◎"
)

// Graph draws a definition, which must be valid. Map and Parallel states lead to the states inside them, whose ends lead to
// what follows. An edge back to an earlier state, which a drawing in layers cannot show, is told in the label of its origin;
// Mermaid and DOT show it too. classes colours states.
func Graph(name, definition string, classes map[string]string) (*graphdraw.Graph, error) {
	root, err := jsonvalue.Parse(definition)
	if err != nil {
		return nil, fmt.Errorf("the definition is not JSON: %w", err)
	}
	b := &grapher{graph: &graphdraw.Graph{Name: name}, classes: classes}
	b.node(startNode, "", "")
	b.scope(root, []string{startNode}, []string{endNode})
	b.node(endNode, "", "")
	b.tellLoops()
	return b.graph, nil
}

type grapher struct {
	graph   *graphdraw.Graph
	classes map[string]string
}

func (b *grapher) node(id, label, class string) {
	if !slices.ContainsFunc(b.graph.Nodes, func(n graphdraw.Node) bool { return n.ID == id }) {
		b.graph.Nodes = append(b.graph.Nodes, graphdraw.Node{ID: id, Label: label, Class: class})
	}
}

func (b *grapher) edge(from, to string) {
	e := graphdraw.Edge{From: from, To: to}
	if from != to && !slices.Contains(b.graph.Edges, e) {
		b.graph.Edges = append(b.graph.Edges, e)
	}
	if from == to {
		b.relabel(from, " ↺")
	}
}

func (b *grapher) relabel(id, more string) {
	for i := range b.graph.Nodes {
		if n := &b.graph.Nodes[i]; n.ID == id {
			n.Label = n.Label + more
		}
	}
}

// scope adds the states of a machine, a branch or an item processor: from lead into it, its ends lead to next.
func (b *grapher) scope(scope jsonvalue.Value, from, next []string) {
	states, _ := scope.Get("States")
	for i, s := range states.Items() {
		b.node(states.Key(i), label(states.Key(i), s), b.classes[states.Key(i)])
	}
	start, _ := scope.Get("StartAt")
	for _, f := range from {
		b.edge(f, start.Text())
	}
	for i, s := range states.Items() {
		b.state(states.Key(i), s, next)
	}
}

// label is a state's name, with a mark for the kinds that lead to several.
func label(name string, state jsonvalue.Value) string {
	kind, _ := state.Get("Type")
	mark := map[string]string{"Choice": "◇ ", "Parallel": "∥ ", "Map": "⁝ ", "Wait": "◷ ", "Fail": "✗ "}[kind.Text()]
	return mark + name
}

func (b *grapher) state(name string, s jsonvalue.Value, end []string) {
	after := end
	if next, ok := s.Get("Next"); ok {
		after = []string{next.Text()}
	}
	kind, _ := s.Get("Type")
	switch kind.Text() {
	case "Choice":
		choices, _ := s.Get("Choices")
		for _, c := range choices.Items() {
			if next, ok := c.Get("Next"); ok {
				b.edge(name, next.Text())
			}
		}
		if next, ok := s.Get("Default"); ok {
			b.edge(name, next.Text())
		}
	case "Parallel":
		branches, _ := s.Get("Branches")
		for _, branch := range branches.Items() {
			b.scope(branch, []string{name}, after)
		}
	case "Map":
		inner, ok := s.Get("ItemProcessor")
		if !ok {
			inner, _ = s.Get("Iterator")
		}
		b.scope(inner, []string{name}, after)
	default:
		for _, to := range after {
			b.edge(name, to)
		}
	}
	catchers, _ := s.Get("Catch")
	for _, c := range catchers.Items() {
		if next, ok := c.Get("Next"); ok {
			b.edge(name, next.Text())
		}
	}
}

// tellLoops names in each label where edges lead back to.
func (b *grapher) tellLoops() {
	down := map[string][]string{}
	for _, e := range b.graph.Edges {
		down[e.From] = append(down[e.From], e.To)
	}
	state := map[string]int{} // 1 on the path, 2 done
	var visit func(string)
	visit = func(id string) {
		state[id] = 1
		for _, to := range down[id] {
			switch state[to] {
			case 0:
				visit(to)
			case 1:
				b.relabel(id, " ↺ "+to)
			}
		}
		state[id] = 2
	}
	for _, n := range b.graph.Nodes {
		if state[n.ID] == 0 {
			visit(n.ID)
		}
	}
}

// Classes are the classes of an execution's states.
func (x *Execution) Classes() map[string]string {
	classes := map[string]string{}
	for _, s := range x.States {
		classes[s.Name] = s.Class
	}
	return classes
}
