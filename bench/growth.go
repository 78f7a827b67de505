package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// growth is how a figure grows with the load: its value at each size.
type growth struct {
	Figure string        `json:"figure"`
	Unit   string        `json:"unit"`
	Points []growthPoint `json:"points"`
	// Exponent is the slope of the line through the points on logarithmic scales: 0 is a figure that does not depend on
	// the load, 1 one that grows as the load does.
	Exponent float64 `json:"exponent"`
}

type growthPoint struct {
	Size  int     `json:"size"`
	Value float64 `json:"value"`
}

// grow notes what a figure is at a size of the load.
func (b *bench) grow(figure, unit string, size int, value float64) {
	i := slices.IndexFunc(b.growths, func(g growth) bool { return g.Figure == figure })
	if i < 0 {
		i = len(b.growths)
		b.growths = append(b.growths, growth{Figure: figure, Unit: unit})
	}
	b.growths[i].Points = append(b.growths[i].Points, growthPoint{size, value})
}

// fitted are the growths that have an exponent, with it.
func fitted(growths []growth) []growth {
	var out []growth
	for _, g := range growths {
		if exponent, ok := slope(g.Points); ok {
			g.Exponent = exponent
			out = append(out, g)
		}
	}
	return out
}

// slope fits a line through the points on logarithmic scales, by least squares. Points that have no logarithm are left
// out; one size has no slope.
func slope(points []growthPoint) (exponent float64, ok bool) {
	var n, sx, sy, sxx, sxy float64
	for _, p := range points {
		if p.Size <= 0 || p.Value <= 0 {
			continue
		}
		x, y := math.Log(float64(p.Size)), math.Log(p.Value)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; n > 1 && d > 0 {
		return (n*sxy - sx*sy) / d, true
	}
	return 0, false
}

// writeGrowth prints what grows how.
func writeGrowth(w io.Writer, growths []growth) error {
	if len(growths) == 0 {
		return nil
	}
	text := &strings.Builder{}
	text.WriteString("\nthe cost of growth\tsizes\tvalues\texponent\n")
	for _, g := range growths {
		var sizes, values []string
		for _, p := range g.Points {
			sizes, values = append(sizes, count(p.Size)), append(values, number(p.Value))
		}
		fmt.Fprintf(text, "  %s\t%s\t%s %s\t%.2f\n", g.Figure, strings.Join(sizes, "  "), strings.Join(values, "  "), g.Unit,
			g.Exponent)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, text.String()); err != nil {
		return err
	}
	return table.Flush()
}
