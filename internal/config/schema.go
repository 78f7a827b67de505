package config

import (
	"fmt"
	"maps"
	"math"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// prefix begins the variables that override settings.
const prefix = "GUST__"

// setting is one declared setting.
type setting struct {
	section, key string
	doc          string
	standard     string // the default, as written in a file
	secret       bool
	env          string // a further variable, or ""
	base         string // "config", "home" or "": what a relative path starts from
	kind         string
	enum         []string
	required     bool
	min, max     *float64
	typ          reflect.Type
	index        [2]int
}

// section is a declared section. One whose name is "parent.name" lies within its parent, one level deep.
type section struct {
	name, doc string
	settings  []*setting
}

// within are the sections that lie in this one, or at the top for "".
func within(sections []section, parent string) []*section {
	var out []*section
	for i := range sections {
		if at := strings.LastIndexByte(sections[i].name, '.'); sections[i].name[:max(at, 0)] == parent {
			out = append(out, &sections[i])
		}
	}
	return out
}

// leaf is the name that a file has for the section, in its parent.
func (s *section) leaf() string { return s.name[strings.LastIndexByte(s.name, '.')+1:] }

// schema is the declaration as a table, in order of declaration. It fails only on a malformed declaration, which every
// test would meet.
var schema = sync.OnceValues(func() ([]section, error) {
	var out []section
	root := reflect.TypeFor[Config]()
	for i := range root.NumField() {
		field := root.Field(i)
		name := field.Tag.Get("section")
		if name == "" {
			continue
		}
		s := section{name: name, doc: field.Tag.Get("doc")}
		for j := range field.Type.NumField() {
			one, err := declared(name, field.Type.Field(j))
			if err != nil {
				return nil, fmt.Errorf("config: %s.%s: %w", field.Name, field.Type.Field(j).Name, err)
			}
			one.index = [2]int{i, j}
			s.settings = append(s.settings, one)
		}
		out = append(out, s)
	}
	return out, nil
})

func declared(section string, f reflect.StructField) (*setting, error) {
	s := &setting{
		section: section, key: f.Tag.Get("key"), doc: f.Tag.Get("doc"), standard: f.Tag.Get("default"),
		secret: f.Tag.Get("secret") == "true", env: f.Tag.Get("env"), base: f.Tag.Get("path"), kind: f.Tag.Get("kind"),
		required: f.Tag.Get("required") == "true", typ: f.Type,
	}
	if s.key == "" || s.doc == "" {
		return nil, fmt.Errorf("key and doc are required")
	}
	if e := f.Tag.Get("enum"); e != "" {
		s.enum = strings.Split(e, ",")
	}
	for tag, bound := range map[string]**float64{"min": &s.min, "max": &s.max} {
		if text := f.Tag.Get(tag); text != "" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", tag, err)
			}
			*bound = &n
		}
	}
	if _, err := s.fromText(s.standard); err != nil {
		return nil, fmt.Errorf("default: %w", err)
	}
	return s, nil
}

// name is section and key as people write them.
func (s *setting) name() string { return s.section + "." + s.key }

// variable is the environment variable that sets it.
func (s *setting) variable() string {
	return prefix + strings.ToUpper(strings.ReplaceAll(s.section, ".", "__")+"__"+s.key)
}

// Words for types, in messages and documentation.
const (
	wordText     = "a text"
	wordBool     = "true or false"
	wordInt      = "a whole number"
	wordNumber   = "a number"
	wordDuration = "a number of seconds or a duration such as 90s or 1h30m"
	wordMap      = "a map from names to texts"
)

// expected says what the value must be.
func (s *setting) expected() string {
	word := map[reflect.Type]string{
		reflect.TypeFor[string](): wordText, reflect.TypeFor[bool](): wordBool, reflect.TypeFor[int](): wordInt,
		reflect.TypeFor[float64](): wordNumber, reflect.TypeFor[time.Duration](): wordDuration,
		reflect.TypeFor[*bool](): wordBool, reflect.TypeFor[Map](): wordMap,
	}[s.typ]
	switch {
	case s.base != "":
		word = "a path"
	case len(s.enum) > 0:
		word = "one of " + strings.Join(s.enum, ", ")
	case s.kind == "timezone":
		word = "the name of a timezone such as Europe/Berlin"
	case s.kind == "pattern":
		word = "a regular expression"
	case s.kind == "host":
		word = "an IP address or a host name"
	}
	if s.max != nil {
		word += fmt.Sprintf(" from %v to %v", *s.min, *s.max)
	} else if s.min != nil {
		word += ", at least " + strconv.FormatFloat(*s.min, 'f', -1, 64)
		if s.typ == reflect.TypeFor[time.Duration]() {
			word += " seconds"
		}
	}
	if s.optional() {
		word += ", or null"
	}
	return word
}

// optional settings may be null.
func (s *setting) optional() bool { return s.standard == "null" }

// wrong is a value that does not fit; got describes it.
func (s *setting) wrong(got string) error {
	return fmt.Errorf("got %s; expected %s", got, s.expected())
}

// discreet leaves the value of a secret out of a message.
func (s *setting) discreet(err error) error {
	if s.secret {
		return fmt.Errorf("the value does not fit; expected %s", s.expected())
	}
	return err
}

// fromText reads the value of a variable or a default.
func (s *setting) fromText(text string) (any, error) {
	switch s.typ {
	case reflect.TypeFor[string]():
		return s.check(text)
	case reflect.TypeFor[bool](), reflect.TypeFor[*bool]():
		switch strings.ToLower(text) {
		case "true", "t", "1", "yes", "y", "on":
			return s.boolean(true), nil
		case "false", "f", "0", "no", "n", "off":
			return s.boolean(false), nil
		}
	}
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil || len(node.Content) != 1 {
		return nil, s.wrong(strconv.Quote(text))
	}
	return s.fromNode(node.Content[0])
}

// fromNode reads the value in a file.
func (s *setting) fromNode(n *yaml.Node) (any, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		if !s.optional() {
			return nil, fmt.Errorf("there is no value; expected %s (leave the line out for the default, %s)",
				s.expected(), s.literal())
		}
		return reflect.Zero(s.typ).Interface(), nil
	}
	if s.typ == reflect.TypeFor[Map]() {
		return s.mapping(n)
	}
	if n.Kind != yaml.ScalarNode {
		return nil, s.wrong(describe(n))
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, s.wrong(describe(n))
	}
	switch s.typ {
	case reflect.TypeFor[string]():
		if text, ok := value.(string); ok {
			return s.check(text)
		}
		if n.ShortTag() != "!!str" && len(s.enum) == 0 {
			return nil, s.wrong(describe(n) + ", which needs quotes to be a text")
		}
	case reflect.TypeFor[bool](), reflect.TypeFor[*bool]():
		if b, ok := value.(bool); ok {
			return s.boolean(b), nil
		}
	case reflect.TypeFor[int]():
		if i, ok := value.(int); ok && s.within(float64(i)) {
			return i, nil
		}
	case reflect.TypeFor[float64]():
		if f, ok := number(value); ok && s.within(f) {
			return f, nil
		}
	case reflect.TypeFor[time.Duration]():
		if d, ok := duration(value); ok && s.within(d.Seconds()) {
			return d, nil
		}
	}
	return nil, s.wrong(describe(n))
}

func (s *setting) boolean(b bool) any {
	if s.typ == reflect.TypeFor[*bool]() {
		return &b
	}
	return b
}

func (s *setting) within(f float64) bool {
	return (s.min == nil || f >= *s.min) && (s.max == nil || f <= *s.max)
}

// check reads a text.
func (s *setting) check(text string) (any, error) {
	if s.required && text == "" {
		return nil, s.wrong(quoted(text))
	}
	if len(s.enum) > 0 {
		i := slices.IndexFunc(s.enum, func(e string) bool { return strings.EqualFold(e, text) })
		if i < 0 {
			return nil, s.wrong(quoted(text))
		}
		return s.enum[i], nil
	}
	switch s.kind {
	case "timezone":
		name := text
		if strings.EqualFold(text, "utc") {
			name = "UTC"
		}
		if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
			return nil, s.wrong(quoted(text))
		}
		return name, nil
	case "pattern":
		if _, err := regexp.Compile(text); err != nil {
			return nil, fmt.Errorf("%w; expected %s", err, s.expected())
		}
	case "host":
		if net.ParseIP(text) == nil && !hostName.MatchString(text) {
			return nil, s.wrong(quoted(text))
		}
	}
	return text, nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// mapping reads a map.
func (s *setting) mapping(n *yaml.Node) (any, error) {
	if n.Kind != yaml.MappingNode {
		return nil, s.wrong(describe(n))
	}
	out := Map{}
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode || value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null" {
			return nil, fmt.Errorf("%s: %w", name.Value, s.wrong(describe(value)))
		}
		if _, twice := out[name.Value]; twice {
			return nil, fmt.Errorf("%s is there twice", quoted(name.Value))
		}
		out[name.Value] = value.Value
	}
	return out, nil
}

func number(value any) (float64, bool) {
	switch n := value.(type) {
	case int:
		return float64(n), true
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	}
	return 0, false
}

func duration(value any) (time.Duration, bool) {
	if n, ok := number(value); ok {
		return time.Duration(n * float64(time.Second)), math.Abs(n) < math.MaxInt64/float64(time.Second)
	}
	if text, ok := value.(string); ok {
		d, err := time.ParseDuration(text)
		return d, err == nil
	}
	return 0, false
}

// describe says what a node is, in a user's words.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!str":
		return quoted(n.Value)
	}
	return n.Value
}

// quoted is a text in quotes, shortened: values may be long.
func quoted(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return strconv.Quote(text)
}

// format is a value as written in a file or a variable.
func format(value any) string {
	switch v := value.(type) {
	case *bool:
		if v == nil {
			return "null"
		}
		return strconv.FormatBool(*v)
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case Map:
		return formatMap(v)
	}
	return fmt.Sprint(value)
}

func formatMap(m Map) string {
	node := yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name},
			&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: m[name]})
	}
	text, err := yaml.Marshal(&node)
	if err != nil {
		return fmt.Sprint(map[string]string(m))
	}
	return strings.TrimSpace(string(text))
}
