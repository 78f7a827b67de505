package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"

	"gust/internal/param"
)

// FileName is the configuration file that is looked for in the working directory.
const FileName = "config.yaml"

// place is where a configuration belongs in the file system, and where each value came from.
type place struct {
	file, dir, home string
	userHome        string
	entries         []Entry
}

// File is the configuration file, "" when there is none and only defaults and variables count.
func (p *place) File() string { return p.file }

// Dir is the folder of the configuration file, or the working directory when there is none.
func (p *place) Dir() string { return p.dir }

// Home is the folder for everything that Gust writes: GUST_HOME, or .gust beside the configuration. Nothing creates it
// here; see package home.
func (p *place) Home() string { return p.home }

// Load reads the configuration file at path and the variables in environ (NAME=value, as os.Environ returns them). An
// empty path means the file that GUST_CONFIG names, else config.yaml in the working directory if there is one, else the
// defaults. What is wrong is returned as LoadErrors, all at once.
func Load(path string, environ []string) (*Config, error) {
	sections, err := schema()
	if err != nil {
		return nil, err
	}
	env := environment(environ)
	c := &Config{}
	text, name, err := c.locate(path, env)
	if err != nil {
		return nil, err
	}
	l := &loader{sections: sections, name: name, found: map[*setting]found{}}
	l.readFile(text)
	l.readEnvironment(env)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	l.fill(c)
	return c, nil
}

func environment(environ []string) map[string]string {
	out := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			out[name] = value
		}
	}
	return out
}

// locate finds the file and the folders around it. name is the file as the user knows it.
func (c *Config) locate(path string, env map[string]string) (text []byte, name string, err error) {
	c.userHome = env["HOME"]
	wanted := path
	if wanted == "" {
		wanted = env["GUST_CONFIG"]
	}
	named := wanted != ""
	if !named {
		wanted = FileName
	}
	absolute, err := filepath.Abs(c.expand(wanted))
	if err != nil {
		return nil, "", fmt.Errorf("configuration %s: %w", wanted, err)
	}
	text, err = os.ReadFile(absolute)
	switch {
	case err == nil:
		c.file = absolute
	case named && errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("the configuration file %s does not exist; it is named by %s", wanted, namedBy(path))
	case named || !errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("read the configuration: %w", err)
	}
	c.dir = filepath.Dir(absolute)
	c.home = filepath.Join(c.dir, ".gust")
	if home := env["GUST_HOME"]; home != "" {
		if c.home, err = filepath.Abs(c.expand(home)); err != nil {
			return nil, "", fmt.Errorf("GUST_HOME: %w", err)
		}
	}
	return text, wanted, nil
}

func namedBy(flag string) string {
	if flag != "" {
		return "--config"
	}
	return "GUST_CONFIG"
}

// expand replaces a leading ~/ by the user's home directory.
func (p *place) expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && p.userHome != "" {
		return filepath.Join(p.userHome, rest)
	}
	return path
}

// found is a value that a file or a variable sets.
type found struct {
	value  any
	source Source
	origin string // "config.yaml:12" or the variable's name
}

type loader struct {
	sections []section
	name     string
	found    map[*setting]found
	problems LoadErrors
}

func (l *loader) problem(n *yaml.Node, key, format string, args ...any) {
	p := Problem{Source: l.name, Key: key, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	l.problems = append(l.problems, p)
}

func (l *loader) readFile(text []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, further yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return
	case err != nil:
		l.syntax(err)
		return
	}
	if err := decoder.Decode(&further); err == nil {
		l.problem(&further, "", "a second document begins here; a configuration is one document")
		return
	} else if !errors.Is(err, io.EOF) {
		l.syntax(err)
		return
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return
	}
	l.eachKey(root, "", func(name, value *yaml.Node) {
		if s := named(within(l.sections, ""), name.Value); s != nil {
			l.readSection(s, value)
			return
		}
		l.unknownSection(name)
	})
}

// named finds the section that a file calls by this name.
func named(sections []*section, name string) *section {
	i := slices.IndexFunc(sections, func(s *section) bool { return s.leaf() == name })
	if i < 0 {
		return nil
	}
	return sections[i]
}

// syntax reports what the YAML parser refuses; its errors begin "yaml: line 3: ".
func (l *loader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := Problem{Source: l.name, Text: "not valid YAML: " + text}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, rest, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				p.Line, p.Text = line, "not valid YAML: "+rest
			}
		}
	}
	l.problems = append(l.problems, p)
}

// eachKey visits the entries of a map and refuses anything else, and keys that are there twice.
func (l *loader) eachKey(n *yaml.Node, at string, visit func(name, value *yaml.Node)) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // a section whose settings are all commented out
	}
	if n.Kind != yaml.MappingNode {
		of := "settings"
		if at == "" {
			of = "sections"
		}
		l.problem(n, at, "got %s; expected a map of %s", describe(n), of)
		return
	}
	lines := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i]
		if line, twice := lines[name.Value]; twice {
			l.problem(name, join(at, name.Value), "it is there twice, first in line %d", line)
			continue
		}
		lines[name.Value] = name.Line
		visit(name, n.Content[i+1])
	}
}

func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

func (l *loader) unknownSection(name *yaml.Node) {
	var names, homes []string
	for _, s := range l.sections {
		if !strings.Contains(s.name, ".") {
			names = append(names, s.name)
		}
		for _, one := range s.settings {
			if one.key == name.Value {
				homes = append(homes, s.name)
			}
		}
	}
	hint := "; the sections are " + strings.Join(names, ", ")
	if near := param.Nearest(name.Value, names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	} else if len(homes) > 0 {
		hint = fmt.Sprintf("; it is a setting of section %s", strings.Join(homes, ", "))
	}
	for _, s := range l.sections {
		if parent, leaf, inner := strings.Cut(s.name, "."); inner && (name.Value == leaf || name.Value == s.name) {
			hint = fmt.Sprintf("; write it as %s within section %s", leaf, parent)
		}
	}
	l.problem(name, name.Value, "unknown section%s", hint)
}

func (l *loader) readSection(s *section, n *yaml.Node) {
	l.eachKey(n, s.name, func(name, value *yaml.Node) {
		if inner := named(within(l.sections, s.name), name.Value); inner != nil {
			l.readSection(inner, value)
			return
		}
		i := slices.IndexFunc(s.settings, func(one *setting) bool { return one.key == name.Value })
		if i < 0 {
			l.unknownKey(s, name)
			return
		}
		one := s.settings[i]
		v, err := one.fromNode(value)
		if err != nil {
			l.problem(value, one.name(), "%s", one.discreet(err))
			return
		}
		l.found[one] = found{v, SourceFile, fmt.Sprintf("%s:%d", l.name, name.Line)}
	})
}

func (l *loader) unknownKey(s *section, name *yaml.Node) {
	var names []string
	for _, one := range s.settings {
		names = append(names, one.key)
	}
	for _, inner := range within(l.sections, s.name) {
		names = append(names, inner.leaf())
	}
	hint := ""
	if near := param.Nearest(name.Value, names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	} else {
		for _, other := range l.sections {
			if slices.ContainsFunc(other.settings, func(one *setting) bool { return one.key == name.Value }) {
				hint = fmt.Sprintf("; it is a setting of section %s", other.name)
			}
		}
	}
	if hint == "" {
		hint = "; `gust config list` shows all"
	}
	l.problem(name, join(s.name, name.Value), "unknown setting%s", hint)
}

func (l *loader) readEnvironment(env map[string]string) {
	known := map[string]*setting{}
	for _, s := range l.sections {
		for _, one := range s.settings {
			known[one.variable()] = one
			if text, ok := env[one.env]; ok && one.env != "" {
				l.set(one, one.env, text)
			}
		}
	}
	var given []string
	for name := range env {
		if strings.HasPrefix(strings.ToUpper(name), prefix) {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	for _, name := range given {
		one, ok := known[name]
		if ok {
			l.set(one, name, env[name])
			continue
		}
		hint := "; its form is GUST__SECTION__KEY, and `gust config list` shows all settings"
		if near := l.nearestVariable(name); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		l.problems = append(l.problems, Problem{Source: "environment", Key: name, Text: "unknown setting" + hint})
	}
}

// nearestVariable compares section and key apart: all variables begin alike.
func (l *loader) nearestVariable(name string) string {
	given, key := strings.ToLower(name[len(prefix):]), ""
	if at := strings.LastIndex(given, "__"); at >= 0 {
		given, key = strings.ReplaceAll(given[:at], "__", "."), given[at+len("__"):]
	}
	var names []string
	for _, s := range l.sections {
		names = append(names, s.name)
	}
	i := slices.Index(names, param.Nearest(given, names))
	if i < 0 {
		return ""
	}
	var keys []string
	for _, one := range l.sections[i].settings {
		keys = append(keys, one.key)
	}
	if j := slices.Index(keys, param.Nearest(key, keys)); j >= 0 {
		return l.sections[i].settings[j].variable()
	}
	return ""
}

func (l *loader) set(s *setting, variable, text string) {
	v, err := s.fromText(text)
	if err != nil {
		l.problems = append(l.problems, Problem{Source: "environment", Key: variable, Text: s.discreet(err).Error()})
		return
	}
	l.found[s] = found{v, SourceEnv, variable}
}

// fill lets viper decide what counts (a variable, else the file, else the default) and writes it into the struct. viper
// never parses: it folds the case of keys, guesses types and forgets everything when a file is broken.
func (l *loader) fill(c *Config) {
	v := viper.New()
	file := map[string]any{}
	for _, s := range l.sections {
		values := map[string]any{}
		for _, one := range s.settings {
			// The default was parsed with the declaration.
			standard, _ := one.fromText(one.standard)
			v.SetDefault(one.name(), boxed{standard})
			switch f := l.found[one]; f.source {
			case SourceFile:
				values[one.key] = boxed{f.value}
			case SourceEnv:
				v.Set(one.name(), boxed{f.value})
			}
		}
		if parent, leaf, inner := strings.Cut(s.name, "."); inner {
			above, _ := file[parent].(map[string]any) // declared before
			above[leaf] = values
			continue
		}
		file[s.name] = values
	}
	// The map has only names of the declaration, so that merging cannot fail.
	_ = v.MergeConfigMap(file)
	root := reflect.ValueOf(c).Elem()
	for _, s := range l.sections {
		for _, one := range s.settings {
			box, _ := v.Get(one.name()).(boxed)
			value := box.value
			if text, ok := value.(string); ok && one.base != "" && text != "" {
				value = c.resolve(one.base, text)
			}
			root.Field(one.index[0]).Field(one.index[1]).Set(reflect.ValueOf(value))
			c.entries = append(c.entries, newEntry(one, value, l.found[one]))
		}
	}
}

// boxed keeps viper from looking into a value.
type boxed struct{ value any }

func (p *place) resolve(base, path string) string {
	path = p.expand(path)
	switch {
	case filepath.IsAbs(path):
		return filepath.Clean(path)
	case base == "home":
		return filepath.Join(p.home, path)
	}
	return filepath.Join(p.dir, path)
}
