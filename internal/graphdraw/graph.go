// Package graphdraw lays out a directed acyclic graph in layers and draws it as text for a terminal, as SVG, DOT or
// Mermaid. It knows nothing of pipelines: callers hand it nodes and edges.
package graphdraw

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is what is drawn. Edges name nodes by id; an edge to an unknown node is ignored.
type Graph struct {
	Name  string
	Nodes []Node
	Edges []Edge
}

// Node is a box.
type Node struct {
	ID string
	// Label is the text in the box; the id when empty.
	Label string
	// Class selects a colour: a task state ("success", "failed", ...) or "".
	Class string
}

// Edge is an arrow.
type Edge struct{ From, To string }

func (n Node) text() string {
	if n.Label != "" {
		return n.Label
	}
	return n.ID
}

// vertex is a node placed in a layer, or a bend (node < 0) of an edge that spans several layers.
type vertex struct {
	node       int
	layer, row int
	next, prev []int
}

// placed is the layered layout: every edge joins neighbouring layers.
type placed struct {
	vertices []vertex
	layers   [][]int // vertex indices, top to bottom
}

// sweeps is how often the barycentre ordering runs down and up; more gains nothing on graphs of pipeline size.
const sweeps = 8

// layout assigns layers by longest path, bends long edges, and orders the layers so that few edges cross. A cycle, which
// no pipeline has, is cut at the edge that closes it.
func (g *Graph) layout() *placed {
	index := make(map[string]int, len(g.Nodes))
	for i, n := range g.Nodes {
		index[n.ID] = i
	}
	down := make([][]int, len(g.Nodes))
	for _, e := range g.Edges {
		from, okFrom := index[e.From]
		to, okTo := index[e.To]
		if okFrom && okTo && from != to && !slices.Contains(down[from], to) {
			down[from] = append(down[from], to)
		}
	}
	layer := longestPaths(down)
	p := &placed{vertices: make([]vertex, len(g.Nodes))}
	for i := range g.Nodes {
		p.vertices[i] = vertex{node: i, layer: layer[i]}
	}
	for from, tos := range down {
		for _, to := range tos {
			p.connect(from, to)
		}
	}
	for i, v := range p.vertices {
		for len(p.layers) <= v.layer {
			p.layers = append(p.layers, nil)
		}
		p.layers[v.layer] = append(p.layers[v.layer], i)
	}
	p.order()
	p.assignRows()
	return p
}

// longestPaths returns each node's distance from the furthest root; edges that close a cycle are removed from down.
func longestPaths(down [][]int) []int {
	state := make([]byte, len(down)) // 0 new, 1 on the path, 2 done
	var finished []int
	var visit func(int)
	visit = func(n int) {
		state[n] = 1
		down[n] = slices.DeleteFunc(down[n], func(m int) bool { return state[m] == 1 })
		for _, m := range down[n] {
			if state[m] == 0 {
				visit(m)
			}
		}
		state[n] = 2
		finished = append(finished, n)
	}
	for n := range down {
		if state[n] == 0 {
			visit(n)
		}
	}
	layer := make([]int, len(down))
	for _, n := range slices.Backward(finished) {
		for _, m := range down[n] {
			layer[m] = max(layer[m], layer[n]+1)
		}
	}
	return layer
}

// connect joins two vertices with a chain of bends, one for each layer between them.
func (p *placed) connect(from, to int) {
	last := from
	for l := p.vertices[from].layer + 1; l < p.vertices[to].layer; l++ {
		p.vertices = append(p.vertices, vertex{node: -1, layer: l})
		p.link(last, len(p.vertices)-1)
		last = len(p.vertices) - 1
	}
	p.link(last, to)
}

func (p *placed) link(from, to int) {
	p.vertices[from].next = append(p.vertices[from].next, to)
	p.vertices[to].prev = append(p.vertices[to].prev, from)
}

// order sorts each layer by the mean position of its neighbours, down and up in turn.
func (p *placed) order() {
	position := make([]float64, len(p.vertices))
	number := func(l int) {
		for i, v := range p.layers[l] {
			position[v] = float64(i)
		}
	}
	for l := range p.layers {
		number(l)
	}
	sortLayer := func(l int, neighbours func(vertex) []int) {
		mean := func(v int) float64 {
			around := neighbours(p.vertices[v])
			if len(around) == 0 {
				return position[v]
			}
			sum := 0.0
			for _, n := range around {
				sum += position[n]
			}
			return sum / float64(len(around))
		}
		slices.SortStableFunc(p.layers[l], func(a, b int) int {
			if d := mean(a) - mean(b); d < 0 {
				return -1
			} else if d > 0 {
				return 1
			}
			return 0
		})
		number(l)
	}
	for sweep := range sweeps {
		if sweep%2 == 0 {
			for l := 1; l < len(p.layers); l++ {
				sortLayer(l, func(v vertex) []int { return v.prev })
			}
			continue
		}
		for l := len(p.layers) - 2; l >= 0; l-- {
			sortLayer(l, func(v vertex) []int { return v.next })
		}
	}
}

// assignRows gives every vertex a row (two apart within a layer) near the middle of its upstream neighbours.
func (p *placed) assignRows() {
	height := 0
	for _, layer := range p.layers {
		height = max(height, 2*len(layer)-1)
	}
	for _, layer := range p.layers {
		free := 0
		for i, v := range layer {
			want := free
			if prev := p.vertices[v].prev; len(prev) > 0 {
				sum := 0
				for _, u := range prev {
					sum += p.vertices[u].row
				}
				want = sum / len(prev)
			} else if i == 0 {
				want = (height - (2*len(layer) - 1)) / 2
			}
			// Leave room for the rest of the layer.
			want = min(want, height-1-2*(len(layer)-1-i))
			p.vertices[v].row = max(want, free)
			free = p.vertices[v].row + 2
		}
	}
}

// DOT is the graph in Graphviz' language, left to right as Airflow prints it.
func (g *Graph) DOT() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n\tgraph [label=%q labelloc=t rankdir=LR]\n\tnode [shape=rectangle style=\"filled,rounded\" fillcolor=white]\n", g.Name, g.Name)
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "\t%q [label=%q", n.ID, n.text())
		if n.Class != "" {
			fmt.Fprintf(&b, " color=%q", colour(n.Class))
		}
		b.WriteString("]\n")
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "\t%q -> %q\n", e.From, e.To)
	}
	b.WriteString("}\n")
	return b.String()
}

// Mermaid is the graph as a Mermaid flowchart.
func (g *Graph) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	names := make(map[string]string, len(g.Nodes))
	quote := strings.NewReplacer(`"`, "#quot;", "\n", " ")
	for i, n := range g.Nodes {
		names[n.ID] = fmt.Sprintf("n%d", i)
		fmt.Fprintf(&b, "    n%d[\"%s\"]\n", i, quote.Replace(n.text()))
	}
	for _, e := range g.Edges {
		if from, to := names[e.From], names[e.To]; from != "" && to != "" {
			fmt.Fprintf(&b, "    %s --> %s\n", from, to)
		}
	}
	for i, n := range g.Nodes {
		if n.Class != "" {
			fmt.Fprintf(&b, "    style n%d stroke:%s\n", i, colour(n.Class))
		}
	}
	return b.String()
}

// colour is Airflow's colour of a task state, or that of what came of a state of a state machine.
func colour(class string) string {
	if c, ok := colours[class]; ok {
		return c
	}
	return "gray"
}

var colours = map[string]string{
	"success": "green", "failed": "red", "running": "lime", "queued": "gray", "scheduled": "tan", "skipped": "hotpink",
	"upstream_failed": "orange", "up_for_retry": "gold", "up_for_reschedule": "turquoise", "deferred": "mediumpurple",
	"removed": "lightgrey", "restarting": "violet", "caught": "orange", "aborted": "hotpink",
}
