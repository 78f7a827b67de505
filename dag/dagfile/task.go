package dagfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/internal/param"
	"gust/operators"
)

// node is a task of the file.
type node struct {
	named
	index  int // in file order
	group  *group
	task   *dag.Task
	deps   []dependency
	up     []*node
	causes []dependency  // of up: which dependency made the edge
	upAt   map[*node]int // of up, when it is long
	setups []setupRef    // of a teardown, as it names them
	down   []*node
}

// readTasks reads the tasks: their place, BaseOperator arguments and operator parameters.
func (b *builder) readTasks() {
	groups := make([]string, 0, len(b.groups))
	for _, g := range b.groups {
		groups = append(groups, g.name)
	}
	for i, item := range b.namedItems("tasks", "task_id") {
		n := &node{named: item, index: i}
		b.nodes = append(b.nodes, n)
		b.byName[n.name] = n
		b.place(n, groups)
	}
	// Every task has its id before any is read, so that a reference may point forward.
	for _, n := range b.nodes {
		n.deps = b.dependencies(n.cfg.get("dependencies"), n.path+".dependencies")
		b.readTask(n)
	}
	b.markSetups()
	b.checkSources()
	b.uniqueIDs()
}

// place finds the task's group and makes its full id.
func (b *builder) place(n *node, groups []string) {
	if v := n.cfg.get("task_group_name"); !v.isNull() {
		path := n.path + ".task_group_name"
		if name, ok := b.text(v, path); ok {
			if n.group = b.byGroup[name]; n.group == nil {
				b.fail(v.pos, path, Problem{
					Message: fmt.Sprintf("unknown task group %q", clip(name)), Nearest: b.nearest(name, groups),
				})
			}
		}
	}
	for g := n.group; g != nil; g = g.parent {
		g.members = append(g.members, n)
	}
	s := b.args
	if n.group != nil {
		s = n.group.scope
	}
	t := s.proto
	_, t.Line, _ = n.pos.src.locate(n.pos)
	t.ID = n.group.childID(n.name)
	if n.group != nil {
		t.Group = n.group.id
	}
	n.task = &t
	if !validID(n.name, true) || !validID(t.ID, true) {
		b.fail(n.pos, n.path, Problem{Message: fmt.Sprintf("%q is not a task id", clip(n.name)), Expected: idRule})
	}
}

func (b *builder) uniqueIDs() {
	byID := make(map[string]*node, len(b.nodes))
	for _, g := range b.groups {
		if n := b.byName[g.name]; n != nil && n.task.ID == g.id {
			b.errorf(n.pos, n.path, "task and task group have the same id %q", g.id)
		}
	}
	for _, n := range b.nodes {
		if other := byID[n.task.ID]; other != nil {
			b.errorf(n.pos, n.path, "duplicate task id %q, also that of %s", n.task.ID, other.path)
		}
		byID[n.task.ID] = n
	}
}

// readTask fills the task from its keys and what it inherits.
func (b *builder) readTask(n *node) {
	s := b.args
	if n.group != nil {
		s = n.group.scope
	}
	spec := b.operator(n)
	p := &operatorParams{b: b, n: n, spec: spec, vals: map[string]argument{}, files: map[string]*source{}}
	if spec != nil {
		p.schema = spec.Schema()
		n.task.Operator, n.task.Inline = spec.Name, spec.Inline
	}
	p.decorate()
	for _, e := range n.cfg.keys {
		b.taskKey(p, e, n.path+"."+e.key)
	}
	n.task.Callbacks = b.callbacksOf(n.path).callbacks(n.task.Callbacks, n.cfg)
	b.setupRole(n)
	b.mapping(p, s)
	p.callArguments()
	if n.task.WaitForDownstream {
		n.task.DependsOnPast = true
	}
	if b.d.FailFast && n.task.TriggerRule != dag.AllSuccess {
		b.errorf(n.pos, n.path, "trigger_rule %s in a DAG with fail_fast, where every task must have all_success",
			n.task.TriggerRule)
	}
	b.taskParams(n, s)
	if spec != nil {
		p.variableArguments(s)
		p.callableFile()
		p.inherit(s)
		p.decode()
	}
	// As in Airflow an operator without effect runs like any other when its success has an effect.
	if t := n.task; len(t.Outlets) > 0 || slices.ContainsFunc(t.Callbacks, func(c dag.Callback) bool {
		return c.Event == dag.OnExecute || c.Event == dag.OnSuccess
	}) {
		t.Inline = false
	}
}

// taskKey handles one key of a task.
func (b *builder) taskKey(p *operatorParams, e entry, path string) {
	t := p.n.task
	reason, idle := taskNoEffect[e.key]
	set, isBase := baseArgs[e.key]
	switch {
	case e.kind != kindText:
		b.fail(e.pos, path, Problem{Message: "the key is a " + e.kind.String(), Expected: "a string", Hint: "quote it"})
	case slices.Contains(taskStructure, e.key), slices.Contains(setupKeys, e.key), isAnchorHolder(e.key), e.key == "params":
	case p.argument(e, path, false):
	case e.key == "trigger_rule" && b.teardownOnly(p.n, e.val, path):
	case p.declares(e.key):
		p.vals[e.key] = argument{e.val, path}
	case isBase:
		set(b, t, e.val, path, b.zoneDAG)
	case idle:
		b.idle(e, path, reason)
	case isCallback(e.key): // see callbacks
	case removedKeys[e.key] != "":
		b.fail(e.pos, path, Problem{Message: "dag-factory 1.0 removed this key", Hint: removedKeys[e.key]})
	case e.key == "expand_kwargs":
		b.fail(e.pos, path, Problem{Message: "expand_kwargs has no spelling in pipeline files", Expected: "expand and partial"})
	case e.key == "variables_as_arguments": // see variableArguments
	case taskPython[e.key] != "":
		if p.spec != nil { // otherwise the operator is the problem
			b.fail(e.pos, path, Problem{Message: p.spec.Name + " calls no Python code", Hint: taskPython[e.key]})
		}
	case p.argument(e, path, true):
	case p.spec != nil:
		problem := Problem{Message: "unknown parameter of " + p.what(), Nearest: b.nearest(e.key, p.names())}
		if problem.Nearest == "" && len(p.schema.Fields) > 0 {
			problem.Expected = "one of " + strings.Join(p.schema.Names(), ", ") + ", or a task argument"
		}
		b.fail(e.pos, path, problem)
	}
}

// operator resolves the task's operator; nil after a problem.
func (b *builder) operator(n *node) *operators.Spec {
	v, path := n.cfg.get("operator"), n.path+".operator"
	if v.isNull() {
		if d := n.cfg.find("decorator"); d != nil && !d.val.isNull() {
			return b.decorator(n, d)
		}
		b.fail(n.pos, n.path, Problem{
			Message:  "missing operator",
			Expected: "the name of an operator, such as BashOperator",
			Hint:     misspelt(n.cfg, "operator"),
		})
		return nil
	}
	name, ok := b.text(v, path)
	if !ok {
		return nil
	}
	n.task.Written = name
	if spec, ok := b.opts.Operators.Lookup(name); ok {
		return spec
	}
	class := className(name)
	if hint := missingOperators[class]; hint != "" {
		b.fail(v.pos, path, Problem{Message: fmt.Sprintf("operator %q is not supported", clip(name)), Hint: hint})
		return nil
	}
	p := Problem{Message: fmt.Sprintf("unknown operator %q", clip(name)), Nearest: b.nearestOperator(class)}
	switch {
	case p.Nearest != "":
	case dag.IsImportPath(name) && !strings.HasPrefix(name, "airflow."):
		p.Hint = "operator classes of your own cannot run in Gust: call their code from a PythonOperator, or as a script from a BashOperator"
	default:
		p.Hint = "see gust operators list"
	}
	b.fail(v.pos, path, p)
	return nil
}

// nearestOperator compares class names: import paths are long, and alike for unlike operators.
func (b *builder) nearestOperator(class string) string {
	if spec, ok := b.opts.Operators.Lookup(class); ok {
		return spec.Name
	}
	specs := b.opts.Operators.Specs()
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	return b.nearest(class, names)
}

// taskParams merges the task's params over those of its groups.
func (b *builder) taskParams(n *node, s *scope) {
	all, path := s.task, n.path+".params"
	if own := n.cfg.find("params"); own != nil {
		all = all.over(b.paramValues(own.val, path, b.declared))
	}
	if len(all.values) > 0 {
		n.task.TaskParams = b.jsonText(all.values, n.cfg, path)
	}
}

// operatorParams collects and checks the parameters of one task's operator.
type operatorParams struct {
	b      *builder
	n      *node
	spec   *operators.Spec
	schema *param.Schema
	vals   map[string]argument // by name as written
	order  []string            // its keys, sorted
	// expanding are the parameters that the task is mapped over.
	expanding []string
	fn        *decorated // nil for an operator task
	// files are the texts of the parameters that name a file instead of giving the text.
	files map[string]*source
}

func (p *operatorParams) declares(key string) bool {
	if p.schema == nil {
		return false
	}
	_, ok := p.schema.Field(key)
	return ok
}

// names lists everything the task may say, for the nearest name.
func (p *operatorParams) names() []string {
	var arguments []string
	if p.fn != nil && p.fn.known != nil {
		arguments = p.fn.known.names
	}
	return slices.Concat(arguments, p.schema.Names(), sortedKeys(baseArgs), taskStructure, setupKeys, []string{"params"})
}

// inherit adds the default_args that the operator declares and the task does not give.
func (p *operatorParams) inherit(s *scope) {
	for _, key := range s.order {
		if f, ok := p.schema.Field(key); ok && p.find(f.Name) == nil && !slices.Contains(p.expanding, f.Name) {
			p.vals[key] = s.args[key]
		}
	}
	p.order = sortedKeys(p.vals)
}

// decode converts the parameters to JSON and checks them as the operator will.
func (p *operatorParams) decode() {
	b, t := p.b, p.n.task
	raw, good := make(map[string]any, len(p.vals)+1), true
	for _, key := range p.order {
		a := p.vals[key]
		b.objects = key == "op_args" || key == "op_kwargs"
		x, ok := b.json(a.val, a.path)
		b.objects = false
		good = good && ok
		if key == "execution_delta" {
			x = relativeDuration(x)
		}
		raw[key] = x
	}
	if byDefault := b.opts.DefaultDeferrable; byDefault != nil && p.spec.Sensor {
		if f, ok := p.schema.Field("deferrable"); ok && p.find(f.Name) == nil {
			raw[f.Name] = *byDefault
		}
	}
	p.templates()
	if !good {
		return
	}
	if len(raw) > 0 {
		t.Params = raw
	}
	op := p.spec.New()
	raw = p.texts(raw)
	var errs []*param.Error
	if t.Mapped != nil {
		errs = p.decodeMapped(raw)
		_ = p.schema.Decode(op, raw, true)
	} else {
		errs = p.schema.Decode(op, raw, true)
	}
	for _, e := range errs {
		p.report(e)
	}
	if len(errs) > 0 {
		return
	}
	if v, ok := op.(operators.Validator); ok && t.Mapped == nil {
		for _, err := range flat(v.Validate()) {
			p.invalid(err)
		}
	}
	if parker, ok := op.(operators.Parker); ok {
		t.Parks = parker.Parks()
	}
}

// texts puts the texts of files in the place of their names.
func (p *operatorParams) texts(raw map[string]any) map[string]any {
	if len(p.files) == 0 {
		return raw
	}
	whole := maps.Clone(raw)
	for key, file := range p.files {
		whole[key] = string(file.text)
	}
	return whole
}

// relativeDuration turns dag-factory's relative text ("1 day") into a duration text; other values stay.
func relativeDuration(x any) any {
	text, ok := x.(string)
	if !ok {
		return x
	}
	s, ok := relativeSpan(text)
	if !ok {
		return x
	}
	return (time.Duration(s.days)*24*time.Hour + s.clock).String()
}

// flat splits joined errors.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, flat(e)...)
		}
		return out
	}
	return []error{err}
}

func (p *operatorParams) invalid(err error) {
	var e *param.Error
	if errors.As(err, &e) {
		p.report(e)
		return
	}
	p.b.errorf(p.n.pos, p.n.path, "%s: %v", p.spec.Name, err)
}

// report places a parameter error at the value it is about.
func (p *operatorParams) report(e *param.Error) {
	at, path := p.n.pos, p.n.path
	problem := Problem{Message: e.Problem, Expected: e.Expected, Nearest: e.Nearest}
	if len(e.Path) == 0 {
		problem.Message += " of " + p.spec.Name
		p.b.fail(at, path, problem)
		return
	}
	a := p.find(e.Path[0])
	if a == nil {
		p.b.fail(at, path+"."+strings.Join(e.Path, "."), problem)
		return
	}
	v, path := p.b.plain(a.val, a.path), a.path
	for _, key := range e.Path[1:] {
		next, nextPath := child(v, path, key)
		path = nextPath
		if next != nil {
			v = next
		}
	}
	at = v.pos
	if file := p.files[p.spelling(e.Path[0])]; file != nil {
		at = pos{file, place{1, 1}}
		if e.Line > 0 {
			at.place = place{int32(e.Line), int32(max(e.Column, 1))}
		}
	} else if e.Line > 0 && v.kind == kindText {
		at = p.b.inside(v, e.Line, max(e.Column, 1))
	}
	p.b.fail(at, path, problem)
}

// find returns the parameter under a name, its aliases included.
func (p *operatorParams) find(name string) *argument {
	if a, ok := p.vals[p.spelling(name)]; ok {
		return &a
	}
	return nil
}

// spelling is the name under which the file gives a parameter, "" when it does not.
func (p *operatorParams) spelling(name string) string {
	if _, ok := p.vals[name]; ok {
		return name
	}
	f, ok := p.schema.Field(name)
	if !ok {
		return ""
	}
	for _, n := range append([]string{f.Name}, f.Aliases...) {
		if _, ok := p.vals[n]; ok {
			return n
		}
	}
	return ""
}
