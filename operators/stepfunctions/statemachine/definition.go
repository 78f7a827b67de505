package statemachine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gust/internal/param"
)

// definition is the text that is deployed, and the way back to what was written.
type definition struct {
	text string
	// mapping: it was written as a mapping of the pipeline file, whose values have positions of their own.
	mapping bool
	shifts  []shift
	// open: it holds placeholders whose values are not known yet.
	open bool
}

// shift is what a substitution did to the columns behind it.
type shift struct{ line, column, by int }

// placeholder is one of DefinitionSubstitutions, in the notation of CloudFormation and SAM.
var placeholder = regexp.MustCompile(`\$\{([A-Za-z0-9_.]+)\}`)

// definitionText makes the text. With substitutions that are not known yet (nil) placeholders stay.
func definitionText(value any, substitutions map[string]any) (*definition, error) {
	d := &definition{}
	switch v := value.(type) {
	case string:
		d.text = v
	case map[string]any:
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return nil, &param.Error{Path: []string{"definition"}, Problem: "it cannot be written as JSON: " + err.Error()}
		}
		d.text, d.mapping = strings.TrimSuffix(buf.String(), "\n"), true
	default:
		return nil, &param.Error{
			Path: []string{"definition"}, Problem: fmt.Sprintf("wrong type: %T", value),
			Expected: "a mapping, a text that holds JSON, or the name of a file that ends in .json or .asl",
		}
	}
	if substitutions == nil {
		d.open = placeholder.MatchString(d.text)
		return d, nil
	}
	return d, d.substitute(substitutions)
}

// substitute puts the values in the place of ${Name}. A text is escaped as part of a JSON string.
func (d *definition) substitute(values map[string]any) error {
	var out strings.Builder
	var problems []error
	used := map[string]bool{}
	rest, line, column := d.text, 1, 1
	emit := func(text string) {
		out.WriteString(text)
		if i := strings.LastIndexByte(text, '\n'); i >= 0 {
			line, column, text = line+strings.Count(text, "\n"), 1, text[i+1:]
		}
		column += utf8.RuneCountInString(text)
	}
	for {
		m := placeholder.FindStringSubmatchIndex(rest)
		if m == nil {
			break
		}
		name, whole := rest[m[2]:m[3]], rest[m[0]:m[1]]
		emit(rest[:m[0]])
		rest = rest[m[1]:]
		value, known := values[name]
		if !known {
			problems = append(problems, &param.Error{
				Path: []string{"definition"}, Problem: fmt.Sprintf("%s is not among definition_substitutions", whole),
				Nearest: param.Nearest(name, slices.Sorted(maps.Keys(values))), Line: line, Column: column,
			})
			emit(whole)
			continue
		}
		used[name] = true
		text, err := substitution(value)
		if err != nil {
			problems = append(problems, &param.Error{Path: []string{"definition_substitutions", name}, Problem: err.Error()})
		}
		emit(text)
		d.shifts = append(d.shifts, shift{line, column, utf8.RuneCountInString(whole) - utf8.RuneCountInString(text)})
	}
	emit(rest)
	d.text = out.String()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !used[name] {
			problems = append(problems, &param.Error{
				Path: []string{"definition_substitutions", name}, Problem: fmt.Sprintf("the definition has no ${%s}", name),
			})
		}
	}
	return errors.Join(problems...)
}

func substitution(value any) (string, error) {
	switch value.(type) {
	case string, bool, int, int64, float64, json.Number:
	default:
		return "", fmt.Errorf("wrong type: %T; expected a text, a number or a boolean", value)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "", err
	}
	text := strings.TrimSuffix(buf.String(), "\n")
	if _, ok := value.(string); ok {
		text = text[1 : len(text)-1]
	}
	return text, nil
}

// written is the place before the substitutions.
func (d *definition) written(line, column int) int {
	for _, s := range slices.Backward(d.shifts) {
		if s.line == line && s.column <= column {
			return max(column+d.before(s), 1)
		}
	}
	return column
}

// before is what the substitutions of a line up to one have done to the columns.
func (d *definition) before(last shift) int {
	sum := 0
	for _, s := range d.shifts {
		if s.line == last.line && s.column <= last.column {
			sum += s.by
		}
	}
	return sum
}

// check diagnoses the definition and reports problems where they were written.
func (d *definition) check(diagnose Diagnose, machineType string) error {
	if diagnose == nil {
		return nil
	}
	var problems []error
	for _, p := range diagnose(d.text, machineType) {
		if d.open && (p.Location == "" || d.placeholderAt(p.Location)) {
			continue // it depends on values that are not known yet
		}
		e := &param.Error{Path: []string{"definition"}, Problem: p.Text, Nearest: p.Nearest}
		if d.mapping {
			e.Path = append(e.Path, steps(p.Location)...)
		} else if p.Line > 0 {
			e.Line, e.Column = p.Line, d.written(p.Line, p.Column)
		}
		problems = append(problems, e)
	}
	return errors.Join(problems...)
}

// steps are the keys and indexes of a location.
func steps(location string) []string {
	var out []string
	for _, step := range strings.Split(strings.Trim(location, "/"), "/") {
		key, indexes, _ := strings.Cut(step, "[")
		if key != "" {
			out = append(out, key)
		}
		for _, index := range strings.Split(indexes, "[") {
			if n, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil {
				out = append(out, strconv.Itoa(n))
			}
		}
	}
	return out
}

// placeholderAt reports whether the value at a location holds a placeholder.
func (d *definition) placeholderAt(location string) bool {
	var at any
	if err := json.Unmarshal([]byte(d.text), &at); err != nil {
		return false
	}
	for _, step := range steps(location) {
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return false
			}
			at = v[i]
		}
	}
	text, err := json.Marshal(at)
	return err == nil && placeholder.Match(text)
}

// sameDefinition reports whether two definitions are the same JSON, however they are laid out.
func sameDefinition(a, b string) bool {
	if a == b {
		return true
	}
	x, err := tokens(a)
	if err != nil {
		return false
	}
	y, err := tokens(b)
	return err == nil && x == y
}

// tokens is the text without white space between its tokens. The order of keys is kept: it is seen in outputs.
func tokens(text string) (string, error) {
	var buf bytes.Buffer
	err := json.Compact(&buf, []byte(text))
	return buf.String(), err
}
