package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with the configuration. Line and Column are 1-based; both are 0 for a variable or
// when only the file is concerned, Column alone when only the line is known.
type Problem struct {
	// Source is the file as it was named, or "environment".
	Source       string
	Line, Column int
	// Key is the section, or section and key, or the variable's name.
	Key  string
	Text string
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Source)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// LoadErrors is everything that is wrong with the configuration, in order of appearance, one per line.
type LoadErrors []Problem

func (p LoadErrors) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}
