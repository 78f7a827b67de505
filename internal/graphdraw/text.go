package graphdraw

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Directions that a line leaves a cell in; a cell's character follows from their union.
const (
	up = 1 << iota
	down
	left
	right
)

var boxes = map[int]rune{
	left | right: '─', up | down: '│', down | right: '┌', down | left: '┐', up | right: '└', up | left: '┘',
	up | down | right: '├', up | down | left: '┤', down | left | right: '┬', up | left | right: '┴',
	up | down | left | right: '┼', left: '─', right: '─', up: '│', down: '│',
}

// Text draws the graph left to right with box-drawing characters, one line a node. colour wraps a node's text for a
// terminal and may be nil; it is given the node and its bare text.
func (g *Graph) Text(paint func(Node, string) string) string {
	if len(g.Nodes) == 0 {
		return ""
	}
	p := g.layout()
	c := &canvas{lines: map[[2]int]int{}, labels: map[[2]int]label{}}
	x := 0
	for l, layer := range p.layers {
		width := 0
		for _, v := range layer {
			if n := p.vertices[v].node; n >= 0 {
				width = max(width, utf8.RuneCountInString(g.Nodes[n].text())+2)
			}
		}
		for _, v := range layer {
			c.vertex(g, &p.vertices[v], x, width)
		}
		x += width
		if l+1 < len(p.layers) {
			x = c.gutter(p, layer, x)
		}
	}
	return c.String(paint)
}

type label struct {
	node Node
	text string
}

type canvas struct {
	lines  map[[2]int]int // {row, column} -> directions
	arrows map[[2]int]bool
	labels map[[2]int]label
	width  int
}

func (c *canvas) add(row, column, directions int) {
	c.lines[[2]int{row, column}] |= directions
	c.width = max(c.width, column+1)
}

func (c *canvas) vertex(g *Graph, v *vertex, x, width int) {
	if v.node < 0 {
		for i := range width {
			c.add(v.row, x+i, left|right)
		}
		return
	}
	text := g.Nodes[v.node].text()
	c.labels[[2]int{v.row, x + 1}] = label{g.Nodes[v.node], text}
	c.width = max(c.width, x+width)
	used := utf8.RuneCountInString(text) + 2
	if len(v.next) > 0 {
		for i := used; i < width; i++ {
			c.add(v.row, x+i, left|right)
		}
	}
}

// gutter draws the edges from one layer to the next, each source on a track of its own, and returns the column after it.
func (c *canvas) gutter(p *placed, layer []int, x int) int {
	sources := slices.DeleteFunc(slices.Clone(layer), func(v int) bool { return len(p.vertices[v].next) == 0 })
	// A source whose targets lie lower turns first when it stands lower: its track is left of those above it.
	slices.SortStableFunc(sources, func(a, b int) int { return drop(p, a) - drop(p, b) })
	end := x + 2*len(sources) + 2
	for i, s := range sources {
		u := &p.vertices[s]
		track := x + 2*i + 1
		for column := x; column < track; column++ {
			c.add(u.row, column, left|right)
		}
		c.add(u.row, track, left)
		for _, t := range u.next {
			v := &p.vertices[t]
			c.vertical(u.row, v.row, track)
			c.add(v.row, track, right)
			for column := track + 1; column < end; column++ {
				c.add(v.row, column, left|right)
			}
			if v.node >= 0 {
				if c.arrows == nil {
					c.arrows = map[[2]int]bool{}
				}
				c.arrows[[2]int{v.row, end - 1}] = true
			}
		}
	}
	return end
}

func drop(p *placed, v int) int {
	lowest := 0
	for _, t := range p.vertices[v].next {
		lowest = max(lowest, p.vertices[t].row-p.vertices[v].row)
	}
	return -p.vertices[v].row - lowest
}

func (c *canvas) vertical(from, to, column int) {
	if from == to {
		return
	}
	first, last := min(from, to), max(from, to)
	c.add(first, column, down)
	for row := first + 1; row < last; row++ {
		c.add(row, column, up|down)
	}
	c.add(last, column, up)
}

func (c *canvas) String(paint func(Node, string) string) string {
	rows := 0
	for at := range c.lines {
		rows = max(rows, at[0]+1)
	}
	for at := range c.labels {
		rows = max(rows, at[0]+1)
	}
	var b strings.Builder
	for row := range rows {
		var line strings.Builder
		for column := 0; column < c.width; column++ {
			at := [2]int{row, column}
			if l, ok := c.labels[at]; ok {
				text := l.text
				if paint != nil {
					text = paint(l.node, text)
				}
				line.WriteString(text)
				column += utf8.RuneCountInString(l.text) - 1
				continue
			}
			switch {
			case c.arrows[at]:
				line.WriteRune('▶')
			case c.lines[at] != 0:
				line.WriteRune(boxes[c.lines[at]])
			default:
				line.WriteByte(' ')
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}
