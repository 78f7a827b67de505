package dagfile

import (
	"fmt"
	"math"
	"slices"
	"time"

	"gust/dag"
)

// scope is what tasks inherit: the DAG's default_args, or a task group's over its parent's.
type scope struct {
	zone  *time.Location
	proto dag.Task            // the BaseOperator arguments, callbacks included
	args  map[string]argument // everything else, for operators that declare it
	order []string            // its keys, sorted
	task  paramSet            // params of groups, for TaskParams
}

// argument is a value of default_args that an operator may declare.
type argument struct {
	val  *value
	path string
}

// newScope reads a default_args dict over those of the parent (nil: the DAG level).
func (b *builder) newScope(parent *scope, v *value, path string) *scope {
	s := &scope{proto: b.root, args: map[string]argument{}, zone: b.zoneArgs, task: newParamSet()}
	if parent != nil {
		s.proto = parent.proto
		for k, a := range parent.args {
			s.args[k] = a
		}
		s.task = parent.task
	}
	args, ok := b.dict(v, path, "a dict")
	if !ok {
		args = newDict(b.pos, nil)
	}
	for _, e := range args.keys {
		b.defaultArg(s, e, path+"."+e.key, parent == nil)
	}
	s.proto.Callbacks = b.callbacksOf(path).callbacks(s.proto.Callbacks, args)
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
	case isCallback(e.key): // see callbacks
	case e.key == "map_index_template":
		s.args[e.key] = argument{e.val, path}
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
	return base || idle || key == "params" || key == "map_index_template" || isCallback(key)
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
	s.task = s.task.over(b.paramValues(v, path, b.declared))
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
	"inlets":  base(func(t *dag.Task) *[]dag.AssetRef { return &t.Inlets }, (*builder).assetRefs),
	"outlets": base(func(t *dag.Task) *[]dag.AssetRef { return &t.Outlets }, (*builder).assetRefs),
	"wait_for_past_depends_before_skipping": base(
		func(t *dag.Task) *bool { return &t.WaitForPastBeforeSkipping }, (*builder).boolean,
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
