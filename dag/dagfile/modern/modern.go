// Package modern rewrites the spellings of Airflow 2 and of dag-factory before 1.0 in pipeline files into today's. It
// changes the text at the places of the words concerned and nothing else: comments, order, quotes, anchors and
// environment variables stay as they are.
package modern

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Change is one rewritten place: 1-based line and column in the old text.
type Change struct {
	Line, Col int
	Old, New  string
}

// Rewrite returns the text in today's spelling and what was changed, in order. defaults says that the file is a
// defaults.yml, which holds the keys of a DAG. An error means that the text is no YAML; it is not changed then.
func Rewrite(text []byte, defaults bool) (_ []byte, changes []Change, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser is foreign code that reads any text
			err = fmt.Errorf("yaml: the parser failed: %v", r)
		}
	}()
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, nil, err
	}
	r := &rewriter{text: text, lines: lineStarts(text)}
	if len(doc.Content) > 0 {
		r.file(doc.Content[0], defaults)
	}
	if len(r.edits) == 0 {
		return text, nil, nil
	}
	out, changes := r.apply()
	var check yaml.Node
	if err := yaml.Unmarshal(out, &check); err != nil {
		return nil, nil, fmt.Errorf("the rewritten text would be no YAML: %w", err)
	}
	return out, changes, nil
}

// Moved is today's import path of an operator or decorator, or "" when it is not known to have moved.
func Moved(path string) string { return paths[path] }

type rewriter struct {
	text  []byte
	lines []int // offset of each line
	edits []edit
}

// edit replaces the bytes [from, to).
type edit struct {
	from, to int
	new      string
	change   Change
}

func lineStarts(text []byte) []int {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (r *rewriter) apply() ([]byte, []Change) {
	slices.SortFunc(r.edits, func(a, b edit) int { return a.from - b.from })
	var out []byte
	var changes []Change
	at := 0
	for _, e := range r.edits {
		if e.from < at {
			continue // an anchor's text that was reached twice
		}
		out = append(append(out, r.text[at:e.from]...), e.new...)
		at = e.to
		changes = append(changes, e.change)
	}
	return append(out, r.text[at:]...), changes
}

// token finds the bytes of a plain or quoted scalar on one line, quotes excluded; false when the text there is not
// exactly its value, as with escapes, tags and block scalars.
func (r *rewriter) token(n *yaml.Node) (from, to int, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Line < 1 || n.Line > len(r.lines) || n.Value == "" {
		return 0, 0, false
	}
	from = r.lines[n.Line-1]
	if n.Line == 1 && strings.HasPrefix(string(r.text), "\ufeff") {
		from += len("\ufeff")
	}
	for i := 1; i < n.Column && from < len(r.text); i++ {
		_, size := utf8.DecodeRune(r.text[from:])
		from += size
	}
	if n.Anchor != "" { // the position is that of the anchor
		rest := string(r.text[from:])
		if !strings.HasPrefix(rest, "&"+n.Anchor) {
			return 0, 0, false
		}
		after := strings.TrimLeft(rest[1+len(n.Anchor):], " \t")
		from += len(rest) - len(after)
	}
	rest := string(r.text[from:])
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		if len(rest) < 2 || rest[0] != '"' && rest[0] != '\'' || !strings.HasPrefix(rest[1:], n.Value+rest[:1]) {
			return 0, 0, false
		}
		from++
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 || !strings.HasPrefix(rest, n.Value):
		return 0, 0, false
	}
	return from, from + len(n.Value), true
}

// replace rewrites a scalar's text.
func (r *rewriter) replace(n *yaml.Node, text string) {
	if from, to, ok := r.token(n); ok && n.Value != text {
		r.edits = append(r.edits, edit{from, to, text, Change{n.Line, n.Column, n.Value, text}})
	}
}

// seconds rewrites "key_sec: 300" into "key: {__type__: datetime.timedelta, seconds: 300}".
func (r *rewriter) seconds(key, value *yaml.Node, name string) {
	keyFrom, keyTo, ok := r.token(key)
	from, to, good := r.token(value)
	if !ok || !good || value.Anchor != "" || value.Style != 0 || value.ShortTag() != "!!int" && value.ShortTag() != "!!float" {
		return
	}
	delta := "{__type__: datetime.timedelta, seconds: " + value.Value + "}"
	r.edits = append(r.edits, edit{keyFrom, keyTo, name, Change{key.Line, key.Column, key.Value, name}},
		edit{from, to, delta, Change{value.Line, value.Column, value.Value, delta}})
}

// pairs calls f with every key and value of a mapping whose key is a text.
func pairs(n *yaml.Node, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Kind == yaml.ScalarNode && key.Tag != "!!merge" {
			f(key, n.Content[i+1])
		}
	}
}

func has(n *yaml.Node, name string) bool {
	found := false
	pairs(n, func(key, _ *yaml.Node) { found = found || key.Value == name })
	return found
}

func get(n *yaml.Node, name string) *yaml.Node {
	var out *yaml.Node
	pairs(n, func(key, value *yaml.Node) {
		if key.Value == name {
			out = value
		}
	})
	return out
}

// file rewrites a document.
func (r *rewriter) file(root *yaml.Node, defaults bool) {
	r.objects(root)
	if defaults {
		r.dag(root)
		return
	}
	pairs(root, func(key, value *yaml.Node) {
		if key.Value == "vars" || strings.HasPrefix(key.Value, "x-") {
			// What an anchor holder holds may be used anywhere: as a task, default_args or a DAG.
			pairs(value, func(_, held *yaml.Node) { r.arguments(held) })
			r.arguments(value)
		}
		r.dag(value)
	})
}

// dagNames are the keys of a DAG that were renamed.
var dagNames = map[string]string{
	"schedule_interval": "schedule", "timetable": "schedule", "concurrency": "max_active_tasks", "fail_stop": "fail_fast",
}

func (r *rewriter) dag(n *yaml.Node) {
	renamed := map[string]bool{}
	pairs(n, func(key, value *yaml.Node) {
		name := dagNames[key.Value]
		switch {
		case name != "" && !has(n, name) && !renamed[name]:
			renamed[name] = true
			r.replace(key, name)
		case key.Value == "dagrun_timeout_sec" || key.Value == "dagrun_timeout_secs":
			if !has(n, "dagrun_timeout") {
				r.seconds(key, value, "dagrun_timeout")
			}
		case key.Value == "default_args":
			r.arguments(value)
		case key.Value == "tasks":
			each(value, r.arguments)
		case key.Value == "task_groups":
			each(value, func(group *yaml.Node) {
				if args := get(group, "default_args"); args != nil {
					r.arguments(args)
				}
			})
		case key.Value == "vars" || strings.HasPrefix(key.Value, "x-"):
			pairs(value, func(_, held *yaml.Node) { r.arguments(held) })
			r.arguments(value)
		}
	})
}

// each calls f with every item of a list or dict.
func each(n *yaml.Node, f func(*yaml.Node)) {
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			f(item)
		}
	case yaml.MappingNode:
		pairs(n, func(_, value *yaml.Node) { f(value) })
	}
}

// argumentNames are the arguments of tasks that were renamed, delays those that were numbers of seconds, and rules the
// trigger rules.
var (
	argumentNames = map[string]string{"task_concurrency": "max_active_tis_per_dag"}
	delays        = map[string]string{
		"retry_delay_sec": "retry_delay", "retry_delay_secs": "retry_delay", "max_retry_delay_sec": "max_retry_delay",
		"max_retry_delay_secs": "max_retry_delay", "execution_timeout_sec": "execution_timeout",
		"execution_timeout_secs": "execution_timeout", "execution_delta_sec": "execution_delta",
		"execution_delta_secs": "execution_delta",
	}
	rules = map[string]string{"dummy": "always", "none_failed_or_skipped": "none_failed_min_one_success"}
)

// arguments rewrites a task or default_args.
func (r *rewriter) arguments(n *yaml.Node) {
	pairs(n, func(key, value *yaml.Node) {
		switch name := delays[key.Value]; {
		case name != "":
			if !has(n, name) {
				r.seconds(key, value, name)
			}
		case argumentNames[key.Value] != "":
			if name := argumentNames[key.Value]; !has(n, name) {
				r.replace(key, name)
			}
		case key.Value == "trigger_rule":
			if rule := rules[value.Value]; value.Kind == yaml.ScalarNode && rule != "" {
				r.replace(value, rule)
			}
		case key.Value == "operator" || key.Value == "decorator":
			if path := Moved(value.Value); value.Kind == yaml.ScalarNode && path != "" {
				r.replace(value, path)
			}
		}
	})
}

// objects rewrites the class names of __type__ objects, wherever they are.
func (r *rewriter) objects(n *yaml.Node) {
	if n.Kind != yaml.AliasNode {
		for _, c := range n.Content {
			r.objects(c)
		}
	}
	class := get(n, "__type__")
	if class == nil || class.Kind != yaml.ScalarNode {
		return
	}
	name := classes[class.Value]
	args := get(n, "__args__")
	// A Dataset's second argument is extra, an Asset's is its uri.
	if name == "" || name == "airflow.sdk.Asset" && args != nil && len(args.Content) > 1 {
		return
	}
	r.replace(class, name)
	if strings.HasSuffix(name, "AssetOrTimeSchedule") && !has(n, "assets") {
		pairs(n, func(key, _ *yaml.Node) {
			if key.Value == "datasets" {
				r.replace(key, "assets")
			}
		})
	}
}
