// Package template renders the templated parameters of tasks with the variables, macros and filters that Airflow gives
// its templates.
//
// A template is Jinja (package jinja beside it, which says what it may cost at most). A name that does not exist is an
// error that names the nearest one. Strings without "{{", "{%" and "{#" are not templates and cost nothing.
package template

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gust/dag/template/jinja"
	"gust/dag/template/pyvalue"
)

// Error says what is wrong with a template: a position in the text, the problem, and the nearest valid name.
type Error = pyvalue.Error

// Options configure an Environment.
type Options struct {
	// Macros are the DAG's user_defined_macros: names and their constant values (strings, numbers, lists, dicts).
	Macros map[string]any
	// SearchPath are the folders in which template files are looked up: the DAG's folder, then template_searchpath.
	SearchPath []string
	// MaxOutput is the size a rendered text may reach, in bytes. Default 1 MiB.
	MaxOutput int
	// MaxItems is the length a list and a range may reach. Default 10,000.
	MaxItems int
	// MaxSteps bounds the work of one rendering. Default 2,000,000 expressions and loop rounds, about a second.
	MaxSteps int
	// CacheSize is the number of parsed templates that are kept. Default 1,024.
	CacheSize int
}

// Environment parses and renders templates. It may be used by many goroutines at once. Make one for each version of a
// DAG: parsed templates are kept in it.
type Environment struct {
	env    *jinja.Env
	macros map[string]any
	path   []string
	names  []string
	limit  int

	mu     sync.RWMutex
	parsed map[string]*jinja.Template
}

// maxSource is the size of a template's text.
const maxSource = 1 << 20

// New returns an environment.
func New(o Options) *Environment {
	e := &Environment{
		env:    airflow().WithLimits(pyvalue.Limits{Steps: o.MaxSteps, Output: o.MaxOutput, Items: o.MaxItems}),
		macros: o.Macros, path: slices.Clone(o.SearchPath), limit: o.CacheSize, names: variableNames,
		parsed: map[string]*jinja.Template{},
	}
	if e.limit <= 0 {
		e.limit = 1024
	}
	if len(o.Macros) > 0 {
		e.names = append(sortedKeys(o.Macros), variableNames...)
		slices.Sort(e.names)
	}
	return e
}

// airflow is the environment that all share, made when the first one is needed.
var airflow = sync.OnceValue(func() *jinja.Env { return jinja.NewEnv(pyvalue.Limits{}, dateFilters()...) })

// IsTemplate reports whether a text contains a template's markers.
func IsTemplate(text string) bool {
	for i := strings.IndexByte(text, '{'); i >= 0 && i+1 < len(text); {
		switch text[i+1] {
		case '{', '%', '#':
			return true
		}
		j := strings.IndexByte(text[i+1:], '{')
		if j < 0 {
			return false
		}
		i += j + 1
	}
	return false
}

// template parses a text, or finds it parsed.
func (e *Environment) template(text string) (*jinja.Template, error) {
	e.mu.RLock()
	t := e.parsed[text]
	e.mu.RUnlock()
	if t != nil {
		return t, nil
	}
	if len(text) > maxSource {
		return nil, &Error{Msg: fmt.Sprintf("the template has %d bytes; at most %d are allowed", len(text), maxSource)}
	}
	t, err := e.env.Parse(text)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.parsed) >= e.limit {
		clear(e.parsed) // rendering parses anew what is still in use
	}
	e.parsed[text] = t
	return t, nil
}

// Check reports what is wrong with a text as a template, without rendering it: the syntax, and filters, tests and
// variables that do not exist. Names that the template assigns itself, or asks about with "is defined" or default, are
// fine. The error is an *Error.
func (e *Environment) Check(text string) error {
	if !IsTemplate(text) {
		return nil
	}
	t, err := e.template(text)
	if err != nil {
		return err
	}
	return t.Check(func(name string) bool {
		_, found := slices.BinarySearch(e.names, name)
		return found
	}, e.names)
}

// CheckValue checks every string in lists and dict values, as RenderValue renders them, and calls report with the path
// to each that is wrong and its *Error.
func (e *Environment) CheckValue(value any, report func(path []any, err error)) {
	e.checkValue(value, nil, report)
}

func (e *Environment) checkValue(value any, path []any, report func([]any, error)) {
	switch v := value.(type) {
	case string:
		if err := e.Check(v); err != nil {
			report(slices.Clone(path), err)
		}
	case []any:
		for i, item := range v {
			e.checkValue(item, append(path, i), report)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			e.checkValue(v[k], append(path, k), report)
		}
	}
}

// Render renders a text. One trailing newline is dropped, as Jinja does; otherwise a text that is not a template comes
// back as it is. The error is an *Error, or wraps what a look-up returned.
func (e *Environment) Render(ctx context.Context, text string, vars *Vars) (string, error) {
	if !IsTemplate(text) {
		return strings.TrimSuffix(text, "\n"), nil
	}
	t, err := e.template(text)
	if err != nil {
		return "", err
	}
	return t.Execute(ctx, e.globals(vars))
}

// RenderValue renders every string of a value, recursively through lists and dict values (not keys). The value is not
// changed; what holds no template is shared with the result. native is render_template_as_native_obj: a template that
// is a single expression keeps the type of its value, and a text that reads as a Python literal becomes its value.
func (e *Environment) RenderValue(ctx context.Context, value any, vars *Vars, native bool) (any, error) {
	return e.RenderField(ctx, value, nil, vars, native)
}

// RenderField is RenderValue for an operator's field with file endings (".sh", ".sql"): a string that ends in one of
// them is the name of a template file.
func (e *Environment) RenderField(ctx context.Context, value any, ext []string, vars *Vars, native bool) (any, error) {
	switch v := value.(type) {
	case string:
		return e.renderString(ctx, v, ext, vars, native)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = e.RenderField(ctx, item, ext, vars, native); err != nil {
				return nil, within(fmt.Sprintf("[%d]", i), err)
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			var err error
			if out[k], err = e.RenderField(ctx, item, ext, vars, native); err != nil {
				return nil, within(k, err)
			}
		}
		return out, nil
	}
	return value, nil
}

func within(where string, err error) error { return fmt.Errorf("%s: %w", where, err) }

func (e *Environment) renderString(ctx context.Context, s string, ext []string, vars *Vars, native bool) (any, error) {
	file := s
	text, isFile, err := e.LoadFile(s, ext)
	if err != nil {
		return nil, err
	}
	if isFile {
		s = text
	}
	var out any
	if native && IsTemplate(s) {
		out, err = e.evaluate(ctx, s, vars)
	} else {
		out, err = e.Render(ctx, s, vars)
	}
	if err != nil && isFile {
		err = fmt.Errorf("template file %s: %w", file, err)
	}
	return out, err
}

func (e *Environment) evaluate(ctx context.Context, text string, vars *Vars) (any, error) {
	t, err := e.template(text)
	if err != nil {
		return nil, err
	}
	v, err := t.Evaluate(ctx, e.globals(vars))
	if err != nil {
		return nil, err
	}
	return pyvalue.Export(v)
}

// LoadFile reads the template file that a field's value names: a value that ends in one of the endings is looked up in
// the search path. It reports false for any other value (a trailing blank prevents the look-up). A name cannot leave
// the folders of the search path.
func (e *Environment) LoadFile(value string, ext []string) (text string, isFile bool, err error) {
	if !slices.ContainsFunc(ext, func(x string) bool { return x != "" && strings.HasSuffix(value, x) }) {
		return "", false, nil
	}
	name := filepath.Clean(strings.TrimLeft(filepath.FromSlash(value), string(filepath.Separator)))
	if !filepath.IsLocal(name) {
		return "", true, fmt.Errorf("template file %q lies outside of the search path", value)
	}
	for _, folder := range e.path {
		data, err := readWithin(folder, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", true, fmt.Errorf("template file %q: %w", value, err)
		}
		return string(data), true, nil
	}
	return "", true, fmt.Errorf("template file %q does not exist in %s; a value that ends in %s names a file (a trailing "+
		"blank prevents that)", value, folders(e.path), strings.Join(ext, " or "))
}

func readWithin(folder, name string) ([]byte, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	data, err := root.ReadFile(name)
	return data, errors.Join(err, root.Close())
}

func folders(path []string) string {
	if len(path) == 0 {
		return "the search path, which is empty"
	}
	return strings.Join(path, ", ")
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
