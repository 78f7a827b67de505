package dagfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gust/dag"
	"gust/internal/param"
)

// The ways to name another task's value: request.output, request.output['key'], XcomArg(request), +request and
// +request['key'].
var (
	outputPattern = regexp.MustCompile(`^\s*([\w.-]+?)\.output(?:\[['"](.*)['"]\])?\s*$`)
	argPattern    = regexp.MustCompile(`^\s*X[cC]om[aA]rg\(\s*['"]?([\w.-]+)['"]?\s*\)(?:\[['"](.*)['"]\])?\s*$`)
	plusPattern   = regexp.MustCompile(`^\+([\w.-]*)(?:\[['"](.*)['"]\])?$`)
)

// reference is a task's value as a file names it.
type reference struct {
	name string
	item *string
}

// xcomReference reads a text that names another task's value; false for any other text.
func xcomReference(text string) (reference, bool) {
	for _, pattern := range []*regexp.Regexp{plusPattern, outputPattern, argPattern} {
		m := pattern.FindStringSubmatchIndex(text)
		if m == nil {
			continue
		}
		ref := reference{name: text[m[2]:m[3]]}
		if m[4] >= 0 {
			item := text[m[4]:m[5]]
			ref.item = &item
		}
		return ref, true
	}
	return reference{}, false
}

// upstreamRef finds the task whose value n uses, by its name in the file or its full id, and makes it upstream of n.
func (b *builder) upstreamRef(n *node, name string, at pos, path string) (*node, bool) {
	from := b.byName[name]
	if from == nil {
		from = b.byFullID(name)
	}
	switch {
	case from == n:
		b.errorf(at, path, "task %q refers to its own output", clip(name))
		return nil, false
	case from != nil:
		n.deps = append(n.deps, dependency{name: from.name, pos: at, path: path})
		return from, true
	}
	p := Problem{Message: fmt.Sprintf("unknown task %q", clip(name)), Nearest: b.nearest(name, sortedKeys(b.byName))}
	if b.byGroup[name] != nil {
		p = Problem{Message: fmt.Sprintf("%q is a task group, which has no output", clip(name)), Expected: "the name of a task"}
	}
	b.fail(at, path, p)
	return nil, false
}

// mapping reads expand, partial and map_index_template of an operator task. It runs after the task's own keys.
func (b *builder) mapping(p *operatorParams, s *scope) {
	n := p.n
	expand, partial := n.cfg.find("expand"), n.cfg.find("partial")
	index, indexPath := n.cfg.find("map_index_template"), n.path+".map_index_template"
	if expand == nil {
		if partial != nil {
			b.fail(partial.pos, n.path+".partial", Problem{
				Message: "partial without expand", Hint: "add expand, or move the arguments into the task itself",
			})
		}
		if index != nil && !index.val.isNull() {
			b.warn(index.pos, indexPath, Problem{Message: "has no effect: the task is not mapped", Hint: "add expand"})
		}
		return
	}
	m := &dag.Mapping{}
	if a, ok := s.args["map_index_template"]; ok && index == nil {
		index, indexPath = &entry{pos: a.val.pos, val: a.val}, a.path
	}
	if index != nil && !index.val.isNull() {
		m.IndexTemplate, _ = b.text(index.val, indexPath)
	}
	if partial != nil {
		b.partial(p, partial.val, n.path+".partial")
	}
	path := n.path + ".expand"
	args, ok := b.dict(expand.val, path, "a dict of parameters to lists, dicts or outputs of tasks")
	if !ok {
		return
	}
	if len(args.keys) == 0 {
		b.fail(expand.pos, path, Problem{Message: "nothing to expand", Expected: "at least one parameter"})
		return
	}
	for _, e := range args.keys {
		f, ok := b.mappedField(p, e, path+"."+e.key)
		p.expanding = append(p.expanding, f.Name)
		if ok {
			m.Fields = append(m.Fields, f)
		}
	}
	slices.SortFunc(m.Fields, func(x, y dag.MappedField) int { return strings.Compare(x.Name, y.Name) })
	n.task.Mapped = m
	if n.task.TriggerRule == dag.Always && len(m.Sources()) > 0 {
		b.errorf(b.ruleAt(n), n.path+".trigger_rule",
			"trigger_rule always on a task that is mapped over the output of another: how many instances there are is known only afterwards")
	}
}

// ruleAt is the position of a task's trigger rule, or of the task.
func (b *builder) ruleAt(n *node) pos {
	if e := n.cfg.find("trigger_rule"); e != nil {
		return e.pos
	}
	return n.pos
}

// partial reads the arguments that all instances of a mapped task share.
func (b *builder) partial(p *operatorParams, v *value, path string) {
	args, ok := b.dict(v, path, "a dict of parameters")
	if !ok {
		return
	}
	for _, e := range args.keys {
		at := path + "." + e.key
		if p.n.cfg.find(e.key) != nil {
			b.fail(e.pos, at, Problem{Message: "the argument is given twice, in the task and in partial"})
			continue
		}
		b.taskKey(p, e, at)
	}
}

// mappedField reads one argument of expand.
func (b *builder) mappedField(p *operatorParams, e entry, path string) (dag.MappedField, bool) {
	f := dag.MappedField{Name: e.key}
	field, declared := p.schemaField(e.key)
	name, isArgument := p.mapsOver(e.key)
	_, isBase := baseArgs[e.key]
	switch {
	case p.spec == nil: // the operator is the problem
	case isArgument:
		f.Name = name
	case declared:
		f.Name = field.Name
	case isBase, isTaskArgument(e.key), slices.Contains(taskStructure, e.key):
		b.fail(e.pos, path, Problem{
			Message: "the argument cannot be mapped over: all instances have the same one", Hint: "move it into partial or the task",
		})
		return f, false
	default:
		b.fail(e.pos, path, Problem{
			Message: "unknown parameter of " + p.spec.Name, Nearest: b.nearest(e.key, p.schema.Names()),
		})
		return f, false
	}
	if other := p.find(f.Name); other != nil {
		where := "the task"
		if strings.HasPrefix(other.path, p.n.path+".partial.") {
			where = "partial"
		}
		b.fail(e.pos, path, Problem{Message: fmt.Sprintf("the argument is given twice, in expand and in %s", where)})
		return f, false
	}
	return f, b.mappedValue(p.n, &f, e.val, path)
}

// mappedValue reads what a field is mapped over: a list, a dict, or the output of a task.
func (b *builder) mappedValue(n *node, f *dag.MappedField, v *value, path string) bool {
	v = b.plain(v, path)
	if text, ok := v.text(); ok {
		ref, ok := xcomReference(text)
		if !ok {
			p := Problem{Message: "wrong type: " + v.describe(), Expected: mappedWords}
			if param.HasTemplate(text) {
				p.Message, p.Hint = "a template cannot be mapped over", "write the output of the task that makes the list: name.output"
			}
			b.fail(v.pos, path, p)
			return false
		}
		from, ok := b.upstreamRef(n, ref.name, v.pos, path)
		if !ok {
			return false
		}
		f.Source = &dag.XComRef{TaskID: from.task.ID, Key: dag.ReturnValue, Item: ref.item}
		return true
	}
	if v.kind != kindList && (v.kind != kindDict || v.typeName() != "") {
		b.mismatch(v, path, mappedWords)
		return false
	}
	x, ok := b.json(v, path)
	f.Value = x
	if ok && param.HasTemplate(x) {
		b.warn(v.pos, path, Problem{
			Message: "the templates are not rendered: what a task is mapped over is taken as it is",
			Hint:    "use the template in a parameter that is not mapped",
		})
	}
	return ok
}

const mappedWords = "a list, a dict, or the output of a task: name.output, XcomArg(name) or +name"

// unmappable are operators whose return value is never a list or an object.
var unmappable = map[string]string{"BashOperator": "a text", "EmptyOperator": "nothing"}

// checkSources warns about tasks that are mapped over what cannot be mapped over. It runs once all tasks are read.
func (b *builder) checkSources() {
	for _, n := range b.nodes {
		if n.task.Mapped == nil || n.cfg.get("expand") == nil {
			continue
		}
		for _, e := range n.cfg.get("expand").keys {
			text, _ := e.val.text()
			ref, ok := xcomReference(text)
			if !ok {
				continue
			}
			from := b.byName[ref.name]
			if from == nil {
				from = b.byFullID(ref.name)
			}
			if from == nil || from.task.Mapped != nil {
				continue
			}
			if what := unmappable[from.task.Operator]; what != "" {
				b.warn(e.val.pos, n.path+".expand."+e.key, Problem{
					Message: fmt.Sprintf("task %q returns %s, which cannot be mapped over", from.task.ID, what),
					Hint:    "have the list made by a Python task, a query or a request",
				})
			}
		}
	}
}

// decodeMapped checks the parameters of a mapped task: all together with each item of its literal fields. A field that
// comes from a task is not known yet.
func (p *operatorParams) decodeMapped(raw map[string]any) []*param.Error {
	fields := p.n.task.Mapped.Fields
	open := map[string]bool{}
	for _, name := range p.expanding {
		open[fmt.Sprintf("missing required parameter %q", name)] = true
	}
	decode := func(params map[string]any) []*param.Error {
		return slices.DeleteFunc(p.schema.Decode(p.spec.New(), params, true), func(e *param.Error) bool {
			return len(e.Path) == 0 && open[e.Problem]
		})
	}
	if errs := decode(raw); len(errs) > 0 {
		return errs
	}
	for _, f := range fields {
		count, literal := f.Len()
		literal = literal && !strings.Contains(f.Name, ".") // arguments of a function have no types
		for i := 0; literal && i < min(count, maxCheckedItems); i++ {
			item, _ := dag.Item(f.Value, i)
			if p.checkItem(f, i, item, decode(map[string]any{f.Name: item})) {
				break
			}
		}
	}
	return nil
}

// maxCheckedItems bounds how many items of a literal list are checked when a file is loaded.
const maxCheckedItems = 1000

// checkItem reports the errors of one item, missing parameters aside.
func (p *operatorParams) checkItem(f dag.MappedField, i int, item any, errs []*param.Error) bool {
	found := false
	for _, e := range errs {
		if len(e.Path) == 0 {
			continue
		}
		found = true
		v, path := p.expanded(f.Name)
		if v != nil && v.kind == kindList && i < len(v.items) {
			v, path = v.items[i], fmt.Sprintf("%s[%d]", path, i)
		}
		at := p.n.pos
		if v != nil {
			at = v.pos
		}
		problem := Problem{Message: e.Problem, Expected: e.Expected, Nearest: e.Nearest}
		if _, pair := item.([]any); pair && v != nil && v.kind == kindDict {
			problem.Hint = "each instance gets one [key, value] pair of the dict"
		}
		p.b.fail(at, path, problem)
	}
	return found
}

// expanded is what a field of expand holds in the file.
func (p *operatorParams) expanded(name string) (*value, string) {
	path := p.n.path + ".expand"
	args := p.n.cfg.get("expand")
	if args == nil {
		return nil, path
	}
	for _, e := range args.keys {
		if f, ok := p.schemaField(e.key); ok && f.Name == name {
			return p.b.plain(e.val, path+"."+e.key), path + "." + e.key
		}
	}
	return nil, path
}

func (p *operatorParams) schemaField(name string) (*param.Field, bool) {
	if p.schema == nil {
		return nil, false
	}
	return p.schema.Field(name)
}
