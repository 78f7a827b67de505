package config

import (
	"fmt"
	"slices"
	"strings"

	"gust/internal/param"
)

// Source says where an effective value comes from.
type Source string

// Sources, later ones win.
const (
	SourceDefault Source = "default"
	SourceFile    Source = "file"
	SourceEnv     Source = "env"
)

// mask stands for a secret value.
const mask = "***"

// Entry is one setting with its effective value.
type Entry struct {
	Section string `json:"section"`
	Key     string `json:"key"`
	// Value is the effective value as a file would hold it, paths made absolute; "***" for a secret that is set.
	Value   string `json:"value"`
	Default string `json:"default"`
	Source  Source `json:"source"`
	// Origin is the file and line, or the variable, that sets it; "" for a default.
	Origin string `json:"origin,omitempty"`
	Secret bool   `json:"secret,omitempty"`
	// Variable is the environment variable that overrides it.
	Variable string `json:"variable"`
	Expected string `json:"expected"`
	Doc      string `json:"doc"`

	plain string
}

// Reveal is the effective value, also of a secret.
func (e *Entry) Reveal() string { return e.plain }

func newEntry(s *setting, value any, f found) Entry {
	e := Entry{
		Section: s.section, Key: s.key, Value: s.format(value), Default: s.standard, Source: f.source, Origin: f.origin,
		Secret: s.secret, Variable: s.variable(), Expected: s.expected(), Doc: s.doc,
	}
	if e.Source == "" {
		e.Source = SourceDefault
	}
	e.plain = e.Value
	if s.secret && e.Value != s.standard {
		e.Value = mask
	}
	return e
}

// format is a value as a file would hold it.
func (s *setting) format(value any) string {
	if text := format(value); text != "0" || !s.optional() {
		return text
	}
	return "null"
}

// Entries lists every setting in order of declaration. The result is shared and must not be changed.
func (p *place) Entries() []Entry { return p.entries }

// Entry returns a setting. The error names the nearest section or key.
func (p *place) Entry(section, key string) (*Entry, error) {
	var sections, keys []string
	for i := range p.entries {
		e := &p.entries[i]
		if e.Section == section && e.Key == key {
			return e, nil
		}
		if !slices.Contains(sections, e.Section) {
			sections = append(sections, e.Section)
		}
		if e.Section == section {
			keys = append(keys, e.Key)
		}
	}
	what, name, known := "setting", key, keys
	if len(keys) == 0 {
		what, name, known = "section", section, sections
	}
	if near := param.Nearest(name, known); near != "" {
		return nil, fmt.Errorf("unknown %s %q; did you mean %q?", what, name, near)
	}
	return nil, fmt.Errorf("unknown %s %q; there are %s", what, name, strings.Join(known, ", "))
}
