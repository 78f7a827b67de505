package dagfile

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gust/dag"
)

// scope is what tasks inherit: the DAG's default_args, or a task group's over its parent's.
type scope struct {
	zone  *time.Location
	proto dag.Task            // the BaseOperator arguments
	args  map[string]argument // everything else, for operators that declare it
	order []string            // its keys, sorted
	task  map[string]any      // params of groups, for TaskParams
}

// argument is a value of default_args that an operator may declare.
type argument struct {
	val  *value
	path string
}

// newScope reads a default_args dict over those of the parent (nil: the DAG level).
func (b *builder) newScope(parent *scope, v *value, path string) *scope {
	s := &scope{proto: b.root, args: map[string]argument{}, zone: b.zoneArgs, task: map[string]any{}}
	if parent != nil {
		s.proto = parent.proto
		for k, a := range parent.args {
			s.args[k] = a
		}
		for k, p := range parent.task {
			s.task[k] = p
		}
	}
	args, ok := b.dict(v, path, "a dict")
	if !ok {
		args = newDict(b.pos, nil)
	}
	for _, e := range args.keys {
		b.defaultArg(s, e, path+"."+e.key, parent == nil)
	}
	if s.proto.WaitForDownstream {
		s.proto.DependsOnPast = true
	}
	s.order = sortedKeys(s.args)
	return s
}

func (b *builder) defaultArg(s *scope, e entry, path string, dagLevel bool) {
	set, isBase := baseArgs[e.key]
	reason, idle := taskNoEffect[e.key]
	switch {
	case e.key == "params":
		b.scopeParams(s, e.val, path, dagLevel)
	case isBase:
		set(b, &s.proto, e.val, path, s.zone)
	case isCallback(e.key):
		b.warn(e.pos, path, Problem{Message: "has no effect: " + noCallbacks})
	case idle:
		b.idle(e, path, reason)
	case removedKeys[e.key] != "":
		b.warn(e.pos, path, Problem{Message: "has no effect: dag-factory 1.0 removed this key", Hint: removedKeys[e.key]})
	case dagOnly(e.key):
		b.warn(e.pos, path, Problem{
			Message: "has no effect in default_args", Hint: "it is a DAG key: move it beside default_args",
		})
	default:
		s.args[e.key] = argument{e.val, path}
		if names := b.opts.Operators.Parameters(); e.key != "timezone" && !slices.Contains(names, e.key) {
			b.warn(e.pos, path, Problem{
				Message: "has no effect: neither a task argument nor a parameter of any operator",
				Nearest: b.nearest(e.key, slices.Concat(names, sortedKeys(baseArgs), []string{"params"})),
			})
		}
	}
}

// dagOnly reports whether a key is read on DAGs and never on tasks.
func dagOnly(key string) bool {
	reason, known := dagKeys[key]
	return known && reason == "" && key != "timezone" && !isTaskArgument(key)
}

func isTaskArgument(key string) bool {
	_, base := baseArgs[key]
	_, idle := taskNoEffect[key]
	return base || idle || key == "params"
}

// idle warns about an argument without effect, if it is set to something that one would expect an effect of.
func (b *builder) idle(e entry, path, reason string) {
	if off, isBool := e.val.data.(bool); reason == "" || e.val.isNull() || isBool && !off {
		return
	}
	b.warn(e.pos, path, Problem{Message: "has no effect: " + reason})
}

// scopeParams reads params of default_args: the DAG's become DAG params, a group's go to its tasks.
func (b *builder) scopeParams(s *scope, v *value, path string, dagLevel bool) {
	if dagLevel {
		return // see builder.params
	}
	for name, x := range b.paramValues(v, path) {
		s.task[name] = x
	}
}

// baseSetter stores a BaseOperator argument in a task. Null resets it to Airflow's default.
type baseSetter func(b *builder, t *dag.Task, v *value, path string, zone *time.Location)

func base[T any](field func(*dag.Task) *T, read func(*builder, *value, string) (T, bool)) baseSetter {
	return func(b *builder, t *dag.Task, v *value, path string, _ *time.Location) {
		if v.isNull() {
			*field(t) = *field(&b.root)
			return
		}
		if x, ok := read(b, v, path); ok {
			*field(t) = x
		}
	}
}

func baseDate(field func(*dag.Task) *time.Time) baseSetter {
	return func(b *builder, t *dag.Task, v *value, path string, zone *time.Location) {
		*field(t) = time.Time{}
		if v.isNull() {
			return
		}
		if x, ok := b.moment(v, path, zone); ok {
			*field(t) = x
		}
	}
}

// baseArgs are the BaseOperator arguments that have an effect.
var baseArgs = map[string]baseSetter{
	"owner":   base(func(t *dag.Task) *string { return &t.Owner }, (*builder).text),
	"retries": base(func(t *dag.Task) *int { return &t.Retries }, atLeast(0)),
	"retry_delay": base(
		func(t *dag.Task) *time.Duration { return &t.RetryDelay }, (*builder).duration,
	),
	"max_retry_delay": base(
		func(t *dag.Task) *time.Duration { return &t.MaxRetryDelay }, (*builder).period,
	),
	"retry_exponential_backoff": base(
		func(t *dag.Task) *float64 { return &t.RetryBackoff }, (*builder).backoff,
	),
	"execution_timeout": base(
		func(t *dag.Task) *time.Duration { return &t.ExecutionTimeout }, (*builder).period,
	),
	"depends_on_past": base(func(t *dag.Task) *bool { return &t.DependsOnPast }, (*builder).boolean),
	"wait_for_downstream": base(
		func(t *dag.Task) *bool { return &t.WaitForDownstream }, (*builder).boolean,
	),
	"ignore_first_depends_on_past": base(
		func(t *dag.Task) *bool { return &t.IgnoreFirstDependsOnPast }, (*builder).boolean,
	),
	"pool":       base(func(t *dag.Task) *string { return &t.Pool }, (*builder).text),
	"pool_slots": base(func(t *dag.Task) *int { return &t.PoolSlots }, atLeast(1)),
	"priority_weight": base(
		func(t *dag.Task) *int { return &t.PriorityWeight }, atLeast(math.MinInt32),
	),
	"weight_rule": base(
		func(t *dag.Task) *dag.WeightRule { return &t.WeightRule }, (*builder).weightRule,
	),
	"queue":                  base(func(t *dag.Task) *string { return &t.Queue }, (*builder).text),
	"max_active_tis_per_dag": base(func(t *dag.Task) *int { return &t.MaxActivePerDAG }, atLeast(1)),
	"task_concurrency":       base(func(t *dag.Task) *int { return &t.MaxActivePerDAG }, atLeast(1)),
	"max_active_tis_per_dagrun": base(
		func(t *dag.Task) *int { return &t.MaxActivePerRun }, atLeast(1),
	),
	"do_xcom_push": base(func(t *dag.Task) *bool { return &t.DoXComPush }, (*builder).boolean),
	"multiple_outputs": base(
		func(t *dag.Task) *bool { return &t.MultipleOutputs }, (*builder).boolean,
	),
	"trigger_rule": base(
		func(t *dag.Task) *dag.TriggerRule { return &t.TriggerRule }, (*builder).triggerRule,
	),
	"start_date": baseDate(func(t *dag.Task) *time.Time { return &t.StartDate }),
	"end_date":   baseDate(func(t *dag.Task) *time.Time { return &t.EndDate }),
	"doc":        base(func(t *dag.Task) *string { return &t.Doc }, (*builder).text),
	"doc_md":     base(func(t *dag.Task) *string { return &t.Doc }, (*builder).text),
	"doc_rst":    base(func(t *dag.Task) *string { return &t.Doc }, (*builder).text),
	"doc_yaml":   base(func(t *dag.Task) *string { return &t.Doc }, (*builder).text),
	"doc_json":   base(func(t *dag.Task) *string { return &t.Doc }, (*builder).text),
}

// backoff reads retry_exponential_backoff: a bool (true doubles), or the multiplier.
func (b *builder) backoff(v *value, path string) (float64, bool) {
	if on, ok := v.data.(bool); ok {
		if on {
			return 2, true
		}
		return 0, true
	}
	n, ok := v.number()
	if !ok {
		b.mismatch(v, path, "a bool, or the multiplier as a number")
		return 0, false
	}
	if n != 0 && n < 1 || math.IsInf(n, 0) || math.IsNaN(n) {
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("%s is out of range", pythonFloat(n)), Expected: "0, or a multiplier of at least 1",
		})
		return 0, false
	}
	return n, true
}

func (b *builder) weightRule(v *value, path string) (dag.WeightRule, bool) {
	rules := []string{string(dag.WeightDownstream), string(dag.WeightUpstream), string(dag.WeightAbsolute)}
	s, ok := b.oneOf(v, path, rules)
	return dag.WeightRule(s), ok
}

// successors are the trigger rules of Airflow 1 and 2 under their present names.
var successors = map[string]dag.TriggerRule{"dummy": dag.Always, "none_failed_or_skipped": dag.NoneFailedMinOneSuccess}

func (b *builder) triggerRule(v *value, path string) (dag.TriggerRule, bool) {
	if s, ok := v.text(); ok && successors[s] != "" {
		b.warn(v.pos, path, Problem{
			Message: fmt.Sprintf("deprecated name %q", s), Hint: fmt.Sprintf("write %s", successors[s]),
		})
		return successors[s], true
	}
	choices := make([]string, len(dag.TriggerRules))
	for i, r := range dag.TriggerRules {
		choices[i] = string(r)
	}
	s, ok := b.oneOf(v, path, choices)
	return dag.TriggerRule(s), ok
}

// params reads the DAG's params and those of default_args, which override them.
func (b *builder) params() {
	all := b.paramValues(b.cfg.get("params"), b.id+".params")
	for name, x := range b.paramValues(b.cfg.get("default_args").get("params"), b.id+".default_args.params") {
		all[name] = x
	}
	if len(all) > 0 {
		b.d.Params = b.jsonText(all, b.cfg, b.id+".params")
	}
}

// paramValues reads a dict of names to values or Param objects, as names to default values.
func (b *builder) paramValues(v *value, path string) map[string]any {
	out := map[string]any{}
	d, ok := b.dict(v, path, "a dict of names to values")
	if !ok {
		return out
	}
	for _, e := range d.keys {
		at := path + "." + e.key
		if className(e.val.typeName()) == "Param" {
			if x, ok := b.paramObject(e.val, at); ok {
				out[e.key] = x
			}
			continue
		}
		if x, ok := b.json(e.val, at); ok {
			out[e.key] = x
		}
	}
	return out
}

// paramObject reads {__type__: airflow.sdk.Param, default: ..., type: ..., enum: [...], ...}: the default must be of
// one of the types and in the enum.
func (b *builder) paramObject(v *value, path string) (any, bool) {
	a, ok := b.bind(v, path, []string{"default", "description"}, false, true)
	if !ok {
		return nil, false
	}
	given := a.vals["default"]
	if given == nil {
		scheduled := !b.cfg.get("schedule").isNull() || !b.cfg.get("schedule_interval").isNull()
		if scheduled {
			b.fail(v.pos, path, Problem{
				Message: "a Param without a default in a scheduled DAG", Hint: "give it a default, or set schedule: null",
			})
			return nil, false
		}
		return nil, true
	}
	x, ok := b.json(given, path+".default")
	if !ok {
		return nil, false
	}
	if types, at := a.arg("type"); types != nil {
		words, ok := b.words(types, at, "a JSON Schema type or a list of them")
		if !ok {
			return nil, false
		}
		for i, w := range words {
			if !isJSONType(w) {
				b.fail(types.pos, at, Problem{
					Message:  fmt.Sprintf("%q is not a JSON Schema type", clip(w)),
					Expected: "one of " + jsonTypes,
					Nearest:  b.nearest(w, jsonTypeList),
				})
				return nil, false
			}
			if matchesType(x, w) {
				break
			}
			if i == len(words)-1 {
				b.mismatch(given, path+".default", strings.Join(words, " or "))
				return nil, false
			}
		}
	}
	if enum, at := a.arg("enum"); enum != nil && !b.inEnum(x, enum, at) {
		b.errorf(given.pos, path+".default", "the default is not in the enum")
		return nil, false
	}
	return x, true
}

const jsonTypes = "string, number, integer, boolean, array, object, null"

var jsonTypeList = []string{"string", "number", "integer", "boolean", "array", "object", "null"}

func isJSONType(w string) bool {
	for _, t := range jsonTypeList {
		if t == w {
			return true
		}
	}
	return false
}

func matchesType(x any, word string) bool {
	switch v := x.(type) {
	case nil:
		return word == "null"
	case bool:
		return word == "boolean"
	case string:
		return word == "string"
	case int64, json.Number:
		return word == "integer" || word == "number"
	case float64:
		return word == "number" || word == "integer" && v == math.Trunc(v)
	case []any:
		return word == "array"
	}
	return word == "object"
}

// inEnum compares by JSON text. A list that is not one is reported and counts as a match.
func (b *builder) inEnum(x any, enum *value, path string) bool {
	list, ok := b.json(enum, path)
	items, isList := list.([]any)
	if !ok || !isList {
		if ok {
			b.mismatch(enum, path, "a list")
		}
		return true
	}
	want, err := json.Marshal(x)
	if err != nil {
		return true
	}
	for _, item := range items {
		if have, err := json.Marshal(item); err == nil && string(have) == string(want) {
			return true
		}
	}
	return false
}
