package dagfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gust/dag"
	"gust/operators"
)

// decorators are the operators behind Airflow's task decorators.
var decorators = map[string]string{
	"task": "PythonOperator", "task.python": "PythonOperator", "task.branch": "BranchPythonOperator",
	"task.short_circuit": "ShortCircuitOperator", "task.external_python": "ExternalPythonOperator",
	"task.branch_external_python": "BranchPythonOperator", "task.sensor": "PythonSensor",
	"task.virtualenv": "PythonVirtualenvOperator",
	"setup":           "PythonOperator", "teardown": "PythonOperator",
}

// missingDecorators are those that Gust does not have, with the nearest thing.
var missingDecorators = map[string]string{
	"task.branch_virtualenv": venvHint,
	"task.bash":              "use BashOperator",
	"task.docker":            "run docker in a BashOperator",
	"task.kubernetes":        missingOperators["KubernetesPodOperator"],
}

const venvHint = "make the environment once (python3 -m venv, pip install) and name its folder in virtualenv of a BranchPythonOperator"

// decoratorPaths are the modules that decorators are imported from.
var decoratorPaths = []string{"airflow.sdk.definitions.decorators.", "airflow.decorators.", "airflow.sdk."}

// contextNames are the arguments that Airflow's context fills.
var contextNames = []string{
	"conf", "conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "exception",
	"execution_date", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros", "map_index_template", "next_ds",
	"next_ds_nodash", "next_execution_date", "outlet_events", "outlets", "params", "prev_data_interval_end_success",
	"prev_data_interval_start_success", "prev_ds", "prev_ds_nodash", "prev_end_date_success", "prev_execution_date",
	"prev_execution_date_success", "prev_start_date_success", "reason", "run_id", "start_date", "task", "task_instance",
	"task_instance_key_str", "task_reschedule_count", "templates_dict", "test_mode", "ti", "tomorrow_ds", "tomorrow_ds_nodash",
	"triggering_asset_events", "ts", "ts_nodash", "ts_nodash_with_tz", "var", "yesterday_ds", "yesterday_ds_nodash",
}

// decorated is a task made of a decorator: keys that are arguments of its function go to the function.
type decorated struct {
	// known is the function's signature, nil when its source was not found: then every key that the task does not know
	// is an argument.
	known *signature
	args  []entry  // in file order
	paths []string // of args
}

// decorator resolves a decorator task's operator; nil after a problem.
func (b *builder) decorator(n *node, e *entry) *operators.Spec {
	path := n.path + ".decorator"
	written, ok := b.text(e.val, path)
	if !ok {
		return nil
	}
	name := written
	for _, module := range decoratorPaths {
		if rest, ok := strings.CutPrefix(written, module); ok {
			name = rest
			break
		}
	}
	n.task.Written = written
	if operator := decorators[name]; operator != "" {
		if spec, ok := b.opts.Operators.Lookup(operator); ok {
			return spec
		}
	}
	p := Problem{Message: fmt.Sprintf("unknown decorator %q", clip(written)), Nearest: b.nearest(name, sortedKeys(decorators))}
	if hint := missingDecorators[name]; hint != "" {
		p = Problem{Message: fmt.Sprintf("decorator %q is not supported", clip(written)), Hint: hint}
	}
	b.fail(e.val.pos, path, p)
	return nil
}

// decorate prepares a decorator task: what of its function can be known.
func (p *operatorParams) decorate() {
	n := p.n
	if p.spec == nil || !n.cfg.get("operator").isNull() {
		return
	}
	p.fn = &decorated{}
	if !p.declares("python_callable") {
		return
	}
	if file, name := n.cfg.get("python_callable_file"), n.cfg.get("python_callable_name"); !file.isNull() && !name.isNull() {
		path, isText := file.text()
		function, ok := name.text()
		if isText && ok {
			p.fn.known = p.b.signatureOf(p.b.beside(path), function)
		}
		return
	}
	written := n.cfg.get("python_callable")
	if written.isNull() {
		return
	}
	if path, ok := written.text(); ok && dag.IsImportPath(path) {
		i := strings.LastIndexByte(path, '.')
		module := filepath.Join(strings.Split(path[:i], ".")...)
		for _, folder := range []string{p.b.opts.Root, filepath.Dir(p.b.path)} {
			if folder == "" {
				continue
			}
			for _, candidate := range []string{module + ".py", filepath.Join(module, "__init__.py")} {
				if p.fn.known = p.b.signatureOf(filepath.Join(folder, candidate), path[i+1:]); p.fn.known != nil {
					return
				}
			}
		}
	}
}

// signatureOf reads a function's signature; nil when it is not found. The file is read again when it changes.
func (b *builder) signatureOf(file, name string) *signature {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	b.depends[file] = true
	return readSignature(string(text), name)
}

// argument takes a key as an argument of a decorated function. Of a known function it is one when the function has such
// a parameter, whatever else the key could mean; of an unknown one when it could mean nothing else (last).
func (p *operatorParams) argument(e entry, path string, last bool) bool {
	if p.fn == nil || !p.fn.takes(e.key, last) {
		return false
	}
	for _, other := range p.fn.args {
		if other.key == e.key {
			p.b.fail(e.pos, path, Problem{Message: "the argument is given twice"})
			return true
		}
	}
	p.fn.args, p.fn.paths = append(p.fn.args, e), append(p.fn.paths, path)
	return true
}

func (d *decorated) takes(key string, last bool) bool {
	if d.known != nil {
		return slices.Contains(d.known.names, key) && !d.known.positional[key] || last && d.known.wildcard
	}
	return last
}

// what names the operator for people, or the function of a decorator task.
func (p *operatorParams) what() string {
	if p.fn != nil && p.fn.known != nil {
		return fmt.Sprintf("%s and argument of %s", p.spec.Name, p.fn.known)
	}
	return p.spec.Name
}

// mapsOver tells the field that maps over an argument of a decorated function.
func (p *operatorParams) mapsOver(key string) (string, bool) {
	_, isBase := baseArgs[key]
	switch {
	case p.fn == nil:
		return "", false
	case p.fn.takes(key, false):
	case p.declares(key), isBase, isTaskArgument(key), slices.Contains(taskStructure, key), !p.fn.takes(key, true):
		return "", false
	}
	return mappedArgument + key, true
}

// mappedArgument begins the name of a field that is an argument.
const mappedArgument = "op_kwargs."

// callArguments turns the arguments of a decorated function into op_kwargs, and checks them.
func (p *operatorParams) callArguments() {
	d := p.fn
	if d == nil || p.spec == nil {
		return
	}
	b, n := p.b, p.n
	at := n.cfg.find("decorator")
	p.vals["decorated"] = argument{boolValue(at.val), n.path + ".decorator"}
	if n.cfg.find("multiple_outputs") == nil && p.declares("infer_outputs") {
		p.vals["infer_outputs"] = argument{boolValue(at.val), n.path + ".decorator"}
	}
	given, isGiven := p.vals["op_kwargs"]
	if len(d.args) > 0 {
		keys := make([]entry, 0, len(d.args))
		if isGiven && given.val.kind == kindDict {
			keys = append(keys, given.val.keys...)
		}
		for i, e := range d.args {
			if slices.ContainsFunc(keys, func(k entry) bool { return k.key == e.key }) {
				b.fail(e.pos, d.paths[i], Problem{Message: "the argument is given twice, also in op_kwargs"})
				continue
			}
			if slices.Contains(p.expanding, mappedArgument+e.key) {
				b.fail(e.pos, d.paths[i], Problem{Message: "the argument is given twice, also in expand"})
				continue
			}
			e.val = b.taskValue(n, e.val, d.paths[i])
			keys = append(keys, e)
		}
		p.vals["op_kwargs"] = argument{newDict(d.args[0].pos, keys), n.path}
	}
	p.missing()
}

// taskValue replaces "+task" and "+task['key']" by a reference that is resolved when the task runs.
func (b *builder) taskValue(n *node, v *value, path string) *value {
	text, ok := v.text()
	if !ok {
		return v
	}
	m := plusPattern.FindStringSubmatch(text)
	if m == nil {
		return v
	}
	ref, _ := xcomReference(text)
	from, ok := b.upstreamRef(n, ref.name, v.pos, path)
	if !ok {
		return v
	}
	keys := []entry{textEntry("task_id", v, from.task.ID), textEntry("key", v, dag.ReturnValue)}
	if ref.item != nil {
		keys = append(keys, textEntry("item", v, *ref.item))
	}
	return newDict(v.pos, []entry{{key: "__xcom__", kind: kindText, pos: v.pos, val: newDict(v.pos, keys)}})
}

func boolValue(at *value) *value { return &value{kind: kindBool, pos: at.pos, data: true, size: 1} }

// missing reports the arguments without a default that a known function gets from nowhere.
func (p *operatorParams) missing() {
	known := p.fn.known
	if known == nil || !p.n.cfg.get("op_args").isNull() || p.spec.Name == "PythonCallback" {
		return
	}
	have := append([]string{}, contextNames...)
	for _, name := range p.expanding {
		have = append(have, strings.TrimPrefix(name, mappedArgument))
	}
	if a, ok := p.vals["op_kwargs"]; ok {
		for _, e := range a.val.keys {
			have = append(have, e.key)
		}
	}
	if slices.Contains(p.expanding, "op_kwargs") || slices.Contains(p.expanding, "op_args") {
		return
	}
	for _, name := range known.names {
		if !known.optional[name] && !slices.Contains(have, name) {
			p.b.fail(p.n.pos, p.n.path, Problem{
				Message: fmt.Sprintf("missing argument %q of %s", name, known),
				Hint:    "give it as a key of the task",
			})
		}
	}
}

// callableFile looks for python_callable_file, and checks that the import path is one.
func (p *operatorParams) callableFile() {
	if !p.declares("python_callable_file") {
		return
	}
	if a, ok := p.vals["python_callable_file"]; ok && a.val.kind == kindText {
		p.b.pythonFile(a.val, a.path)
	}
	a, ok := p.vals["python_callable"]
	if !ok {
		p.eitherCondition()
		return
	}
	if text, ok := a.val.text(); ok && !dag.IsImportPath(text) {
		problem := Problem{
			Message: fmt.Sprintf("%q is not the import path of a function", clip(text)), Expected: "a dotted name such as \"reports.daily\"",
		}
		if !strings.Contains(text, ".") {
			problem.Hint = "name the module too, or give python_callable_name and python_callable_file"
		}
		p.b.fail(a.val.pos, a.path, problem)
	}
}

// eitherCondition asks ShortCircuitOperator for one of its two forms. A template may be either, so only the loader can
// tell that there is none.
func (p *operatorParams) eitherCondition() {
	for _, key := range []string{"condition", "python_callable_name", "python_callable_file"} {
		if _, given := p.vals[key]; given {
			return
		}
	}
	if p.declares("condition") {
		p.b.fail(p.n.pos, p.n.path, Problem{
			Message: "missing condition of " + p.spec.Name, Expected: "condition (a template expression) or python_callable (a Python function)",
		})
	}
}
