package plantest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gust/dag"
)

// Build makes a DAG from text. The first line is its id with options, each further line a task with options or a chain
// of dependencies:
//
//	etl max_active_runs=1 catchup schedule=@daily start=2025-01-01
//	extract retries=2 retry_delay=10s
//	load rule=all_done pool=db slots=2
//	each maps=[1,2] maps2=extract
//	extract >> transform check >> load
//
// A task that only a chain names has no options. It panics on bad text: it is for tests.
func Build(text string) *dag.DAG {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	head := strings.Fields(lines[0])
	d := &dag.DAG{ID: head[0], FileLoc: head[0] + ".yaml", Timezone: "UTC", Schedule: dag.Schedule{Kind: dag.ScheduleNone},
		MaxActiveRuns: 16, MaxActiveTasks: 16}
	for _, o := range head[1:] {
		k, v, _ := strings.Cut(o, "=")
		dagOption(d, k, v)
	}
	b := &builder{dag: d, tasks: map[string]*dag.Task{}}
	for _, line := range lines[1:] {
		if strings.Contains(line, ">>") {
			b.chain(line)
		} else if f := strings.Fields(line); len(f) > 0 {
			t := b.task(f[0])
			for _, o := range f[1:] {
				k, v, _ := strings.Cut(o, "=")
				b.option(t, k, v)
			}
		}
	}
	return Finish(d)
}

// Finish sorts a DAG's tasks, connects them, and gives it its version.
func Finish(d *dag.DAG) *dag.DAG {
	dag.Connect(d.Tasks)
	d.Tasks = must(dag.Sort(d.Tasks))
	raw := must(json.Marshal(d))
	sum := sha256.Sum256(raw)
	d.Version = hex.EncodeToString(sum[:8])
	d.Index()
	return d
}

type builder struct {
	dag   *dag.DAG
	tasks map[string]*dag.Task
}

func (b *builder) task(id string) *dag.Task {
	t := b.tasks[id]
	if t == nil {
		t = Task(id)
		if group, _, ok := strings.Cut(id, "."); ok {
			t.Group = group
			b.dag.Groups = append(b.dag.Groups, &dag.Group{ID: group})
		}
		b.tasks[id] = t
		b.dag.Tasks = append(b.dag.Tasks, t)
	}
	return t
}

// Task returns a task with Airflow's defaults, except that a retry waits a second.
func Task(id string) *dag.Task {
	return &dag.Task{
		ID: id, Operator: "BashOperator", TriggerRule: dag.AllSuccess, Pool: dag.DefaultPool, PoolSlots: 1,
		PriorityWeight: 1, WeightRule: dag.WeightDownstream, RetryDelay: time.Second, IgnoreFirstDependsOnPast: true,
		Owner: dag.DefaultOwner, Queue: dag.DefaultQueue, DoXComPush: true,
	}
}

func (b *builder) chain(line string) {
	var before []string
	for _, stage := range strings.Split(line, ">>") {
		ids := strings.Fields(stage)
		for _, id := range ids {
			t := b.task(id)
			t.Upstream = append(t.Upstream, before...)
		}
		before = ids
	}
}

func dagOption(d *dag.DAG, k, v string) {
	switch k {
	case "max_active_runs":
		d.MaxActiveRuns = number(v)
	case "max_active_tasks":
		d.MaxActiveTasks = number(v)
	case "max_consecutive_failed":
		d.MaxConsecutiveFailed = number(v)
	case "catchup":
		d.Catchup = true
	case "fail_fast":
		d.FailFast = true
	case "timeout":
		d.DagrunTimeout = duration(v)
	case "start":
		d.StartDate = date(v)
	case "end":
		d.EndDate = date(v)
	case "file":
		d.FileLoc = v
	case "description":
		d.Description = v
	case "schedule":
		d.Schedule = schedule(v)
	case "call":
		for _, event := range strings.Split(v, ",") {
			d.Callbacks = append(d.Callbacks, dag.Callback{Event: dag.CallbackEvent("on_" + event + "_callback"), Operator: "BashOperator"})
		}
	case "late": // REFERENCE:INTERVAL
		reference, interval, _ := strings.Cut(v, ":")
		d.Deadlines = append(d.Deadlines, dag.Deadline{Reference: dag.DeadlineReference(reference), Interval: duration(interval),
			Callback: dag.Callback{Operator: "BashOperator"}})
	case "paused":
		paused := true
		d.IsPausedUponCreation = &paused
	default:
		panic("unknown DAG option " + k)
	}
}

func schedule(v string) dag.Schedule {
	switch {
	case strings.HasPrefix(v, "all:"), strings.HasPrefix(v, "any:"):
		return dag.Schedule{Kind: dag.ScheduleAsset, Assets: condition(v), Text: v}
	case v == "@once":
		return dag.Schedule{Kind: dag.ScheduleOnce, Text: v}
	case v == "@continuous":
		return dag.Schedule{Kind: dag.ScheduleContinuous, Text: v}
	case strings.HasPrefix(v, "every:"):
		return dag.Schedule{Kind: dag.ScheduleDelta, Delta: duration(strings.TrimPrefix(v, "every:")), Text: v}
	}
	return dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{strings.ReplaceAll(v, "_", " ")}, Text: v}
}

func (b *builder) option(t *dag.Task, k, v string) {
	switch k {
	case "rule":
		t.TriggerRule = dag.TriggerRule(v)
	case "retries":
		t.Retries = number(v)
	case "retry_delay":
		t.RetryDelay = duration(v)
	case "pool":
		t.Pool = v
	case "slots":
		t.PoolSlots = number(v)
	case "weight":
		t.PriorityWeight = number(v)
	case "weight_rule":
		t.WeightRule = dag.WeightRule(v)
	case "per_dag":
		t.MaxActivePerDAG = number(v)
	case "per_run":
		t.MaxActivePerRun = number(v)
	case "past":
		t.DependsOnPast = true
	case "wait_for_downstream":
		t.WaitForDownstream = true
	case "past_before_skipping":
		t.WaitForPastBeforeSkipping = true
	case "not_first":
		t.IgnoreFirstDependsOnPast = false
	case "inline":
		t.Inline, t.Operator = true, "EmptyOperator"
	case "parks":
		t.Parks = true
	case "start":
		t.StartDate = date(v)
	case "end":
		t.EndDate = date(v)
	case "setup":
		t.Setup = true
	case "teardown":
		t.Teardown, t.Setups = true, strings.FieldsFunc(v, func(c rune) bool { return c == ',' })
	case "call":
		for _, event := range strings.Split(v, ",") {
			t.Callbacks = append(t.Callbacks, dag.Callback{Event: dag.CallbackEvent("on_" + event + "_callback"), Operator: "BashOperator"})
		}
	case "outlet":
		t.Outlets = append(t.Outlets, dag.AssetRef{Asset: &dag.Asset{Name: v, URI: v}})
	case "decides":
		t.OnFailureFailRun = true
	default:
		if !strings.HasPrefix(k, "maps") {
			panic("unknown task option " + k)
		}
		if t.Mapped == nil {
			t.Mapped = &dag.Mapping{}
		}
		t.Mapped.Fields = append(t.Mapped.Fields, field(k, v))
	}
}

// condition is "all:a,b" or "any:a,b".
func condition(v string) *dag.AssetCondition {
	kind, names, _ := strings.Cut(v, ":")
	var parts []dag.AssetCondition
	for _, name := range strings.Split(names, ",") {
		parts = append(parts, dag.AssetCondition{Asset: &dag.Asset{Name: name, URI: name}})
	}
	if kind == "all" {
		return &dag.AssetCondition{All: parts}
	}
	return &dag.AssetCondition{Any: parts}
}

// field is a mapped field: a JSON list without spaces, or the task that pushes one.
func field(name, v string) dag.MappedField {
	if strings.HasPrefix(v, "[") {
		return dag.MappedField{Name: name, Value: must(dag.DecodeJSON([]byte(v)))}
	}
	return dag.MappedField{Name: name, Source: &dag.XComRef{TaskID: v, Key: dag.ReturnValue}}
}

func number(v string) int             { return must(strconv.Atoi(v)) }
func duration(v string) time.Duration { return must(time.ParseDuration(v)) }

func date(v string) time.Time {
	if len(v) == len(time.DateOnly) {
		return must(time.Parse(time.DateOnly, v))
	}
	return must(time.Parse(time.RFC3339, v))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("plantest: %v", err))
	}
	return v
}
