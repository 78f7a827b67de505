package graphdraw

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// Measures of the SVG drawing, in pixels.
const (
	charWidth  = 7.5
	boxHeight  = 30.0
	rowHeight  = 24.0 // rows are two apart within a layer
	layerGap   = 60.0
	svgPadding = 20.0
)

// SVG draws the graph left to right as a self-contained SVG document.
func (g *Graph) SVG() string {
	p := g.layout()
	x := make([]float64, len(p.layers)+1)
	widths := make([]float64, len(p.layers))
	bottom := 0
	x[0] = svgPadding
	for l, layer := range p.layers {
		for _, v := range layer {
			bottom = max(bottom, p.vertices[v].row)
			if n := p.vertices[v].node; n >= 0 {
				widths[l] = max(widths[l], charWidth*float64(utf8.RuneCountInString(g.Nodes[n].text()))+24)
			}
		}
		x[l+1] = x[l] + widths[l] + layerGap
	}
	y := func(v vertex) float64 { return svgPadding + boxHeight/2 + rowHeight*float64(v.row) }
	width, height := x[len(p.layers)]-layerGap+svgPadding, rowHeight*float64(bottom)+boxHeight+2*svgPadding
	if len(p.layers) == 0 {
		width = 2 * svgPadding
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="monospace" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(g.Name))
	b.WriteString(`<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker></defs>` + "\n")
	for _, v := range p.vertices {
		for _, t := range v.next {
			w := p.vertices[t]
			x1, x2 := x[v.layer]+widths[v.layer], x[w.layer]
			mid, arrow := (x1+x2)/2, ""
			if w.node >= 0 {
				arrow = ` marker-end="url(#a)"`
			}
			fmt.Fprintf(&b, `<path d="M%.1f,%.1f C%.1f,%.1f %.1f,%.1f %.1f,%.1f" fill="none" stroke="#666"%s/>`+"\n", x1, y(v), mid, y(v), mid, y(w), x2, y(w), arrow)
		}
		if v.node < 0 {
			fmt.Fprintf(&b, `<path d="M%.1f,%.1f H%.1f" fill="none" stroke="#666"/>`+"\n", x[v.layer], y(v), x[v.layer]+widths[v.layer])
			continue
		}
		n := g.Nodes[v.node]
		stroke := "#333"
		if n.Class != "" {
			stroke = colour(n.Class)
		}
		fmt.Fprintf(&b, `<g><rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="6" fill="white" stroke="%s" stroke-width="1.5"/>`, x[v.layer], y(v)-boxHeight/2, widths[v.layer], boxHeight, stroke)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle" dominant-baseline="central">%s</text></g>`+"\n", x[v.layer]+widths[v.layer]/2, y(v), html.EscapeString(n.text()))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
