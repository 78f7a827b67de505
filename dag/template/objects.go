package template

import (
	"context"
	"fmt"
	"strings"

	"gust/dag"
	"gust/dag/template/pytime"
	"gust/dag/template/pyvalue"
)

// refuse is a method that templates must not call.
func refuse(name, why string) *pyvalue.Func {
	return &pyvalue.Func{Name: name, TakesRest: true, TakesKw: true, Do: func(*pyvalue.State, pyvalue.Args) (any, error) {
		return nil, pyvalue.Errorf("%s() cannot be called in a template: %s", name, why)
	}}
}

// none turns an empty text into None.
func none(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func texts(list []string) *pyvalue.List {
	out := &pyvalue.List{Items: make([]any, len(list))}
	for i, s := range list {
		out.Items[i] = s
	}
	return out
}

// tiObject is the variable ti.
type tiObject struct{ v *Vars }

func (o *tiObject) TypeName() string { return "TaskInstance" }

func (o *tiObject) Str() string {
	state := o.v.TI.State
	if state == dag.StateNone {
		state = dag.StateRunning
	}
	index := ""
	if o.v.TI.MapIndex >= 0 {
		index = fmt.Sprintf(" map_index=%d", o.v.TI.MapIndex)
	}
	return fmt.Sprintf("<TaskInstance: %s.%s %s%s [%s]>", o.v.TI.DagID, o.v.TI.TaskID, o.v.TI.RunID, index, state)
}

var tiAttrs = strings.Fields(`task_id dag_id run_id map_index try_number max_tries prev_attempted_tries
next_try_number start_date
end_date duration state operator pool pool_slots queue priority_weight logical_date execution_date task dag_run key
xcom_pull xcom_push get_dagrun hostname unixname task_display_name`)

func (o *tiObject) AttrNames() []string { return tiAttrs }

func (o *tiObject) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	ti := &o.v.TI
	switch name {
	case "task_id", "task_display_name":
		return ti.TaskID, true, nil
	case "dag_id":
		return ti.DagID, true, nil
	case "run_id":
		return ti.RunID, true, nil
	case "map_index":
		return ti.MapIndex, true, nil
	case "try_number":
		return ti.TryNumber, true, nil
	case "prev_attempted_tries":
		return max(ti.TryNumber-1, 0), true, nil
	case "next_try_number":
		return ti.TryNumber + 1, true, nil
	case "max_tries":
		return ti.MaxTries, true, nil
	case "start_date":
		return pytime.OrNone(ti.StartDate), true, nil
	case "end_date":
		return pytime.OrNone(ti.EndDate), true, nil
	case "state":
		return none(string(ti.State)), true, nil
	case "operator":
		return none(ti.Operator), true, nil
	case "pool":
		return none(ti.Pool), true, nil
	case "pool_slots":
		return ti.PoolSlots, true, nil
	case "priority_weight":
		return ti.Priority, true, nil
	case "queue":
		if o.v.Task == nil {
			return nil, true, nil
		}
		return none(o.v.Task.Queue), true, nil
	case "duration", "hostname", "unixname":
		return nil, true, nil
	case "logical_date", "execution_date":
		return pytime.OrNone(o.v.Run.LogicalDate), true, nil
	case "task":
		return &taskObject{o.v}, true, nil
	case "dag_run":
		return &runObject{o.v}, true, nil
	case "get_dagrun":
		return pyvalue.Constant(name, &runObject{o.v}), true, nil
	case "key":
		return pyvalue.Tuple{ti.DagID, ti.TaskID, ti.RunID, ti.TryNumber, ti.MapIndex}, true, nil
	case "xcom_pull":
		return pyvalue.NewFunc(name, o.pull, opt("task_ids", nil), opt("dag_id", nil), opt("key", "return_value"),
			opt("include_prior_dates", false), opt("session", nil), opt("map_indexes", nil), opt("default", nil),
			opt("run_id", nil)), true, nil
	case "xcom_push":
		return refuse(name, "rendering must not change anything; push from the task"), true, nil
	}
	return nil, false, nil
}

// pull is ti.xcom_pull: one task id (or none: this task) gives a value, a list of ids or of map indexes gives a list.
func (o *tiObject) pull(st *pyvalue.State, a []any) (any, error) {
	base := XCom{DagID: o.v.TI.DagID, RunID: o.v.TI.RunID, PriorDates: a[3] == true}
	for _, p := range []struct {
		to   *string
		v    any
		what string
	}{{&base.DagID, a[1], "dag_id"}, {&base.Key, a[2], "key"}, {&base.RunID, a[7], "run_id"}} {
		if p.v == nil {
			continue
		}
		var err error
		if *p.to, err = pyvalue.Text(p.v, p.what); err != nil {
			return nil, err
		}
	}
	if base.Key == "" {
		base.Key = "return_value"
	}
	tasks, manyTasks, err := oneOrMany(a[0], o.v.TI.TaskID, "task_ids")
	if err != nil {
		return nil, err
	}
	indexes, manyIndexes, err := oneOrMany(a[5], nil, "map_indexes")
	if err != nil {
		return nil, err
	}
	out := &pyvalue.List{}
	for _, task := range tasks {
		if base.TaskID, err = pyvalue.Text(task, "a task id"); err != nil {
			return nil, err
		}
		for _, index := range indexes {
			x := base
			if index != nil {
				n, err := pyvalue.Int(index, "a map index")
				if err != nil {
					return nil, err
				}
				x.MapIndex = &n
			}
			value, err := o.v.pullOne(st.Context(), x, a[6])
			if err != nil {
				return nil, err
			}
			if !manyTasks && !manyIndexes {
				return value, nil
			}
			out.Items = append(out.Items, value)
		}
	}
	return out, nil
}

// oneOrMany reads an argument that is one value or a list of them.
func oneOrMany(v, absent any, what string) ([]any, bool, error) {
	switch v := v.(type) {
	case nil:
		return []any{absent}, false, nil
	case *pyvalue.List:
		return v.Items, true, nil
	case pyvalue.Tuple:
		return v, true, nil
	case string, int:
		return []any{v}, false, nil
	}
	return nil, false, pyvalue.Errorf("%s must be one value or a list", what)
}

func (v *Vars) pullOne(ctx context.Context, x XCom, fallback any) (any, error) {
	if v.XComPull == nil {
		return nil, pyvalue.Errorf("xcom_pull() is not available here")
	}
	raw, ok, err := v.XComPull(ctx, x)
	if err != nil {
		return nil, fmt.Errorf("xcom_pull(task_ids=%q, key=%q): %w", x.TaskID, x.Key, err)
	}
	if !ok {
		return fallback, nil
	}
	value, err := pyvalue.DecodeJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("xcom_pull(task_ids=%q, key=%q): %w", x.TaskID, x.Key, err)
	}
	if value == nil {
		return fallback, nil
	}
	return value, nil
}

// runObject is the variable dag_run.
type runObject struct{ v *Vars }

func (o *runObject) TypeName() string { return "DagRun" }

func (o *runObject) Str() string {
	when := "None"
	if !o.v.Run.LogicalDate.IsZero() {
		when = pytime.Of(o.v.Run.LogicalDate).Str()
	}
	return fmt.Sprintf("<DagRun %s @ %s: %s, state:%s, queued_at: %s. run_type: %s>", o.v.Run.DagID, when, o.v.Run.RunID,
		o.v.Run.State, printed(pytime.OrNone(o.v.Run.QueuedAt)), o.v.Run.Type)
}

func printed(v any) string {
	if d, ok := v.(pytime.DateTime); ok {
		return d.Str()
	}
	return "None"
}

var runAttrs = strings.Fields(`dag_id run_id run_type conf state logical_date execution_date run_after
data_interval_start
data_interval_end queued_at start_date end_date triggered_by external_trigger dag_version`)

func (o *runObject) AttrNames() []string { return runAttrs }

func (o *runObject) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	r := &o.v.Run
	switch name {
	case "dag_id":
		return r.DagID, true, nil
	case "run_id":
		return r.RunID, true, nil
	case "run_type":
		return string(r.Type), true, nil
	case "conf":
		conf, err := object(r.Conf, "dag_run.conf")
		return conf, true, err
	case "state":
		return none(string(r.State)), true, nil
	case "logical_date", "execution_date":
		return pytime.OrNone(r.LogicalDate), true, nil
	case "run_after":
		return pytime.OrNone(r.RunAfter), true, nil
	case "data_interval_start":
		return pytime.OrNone(r.IntervalStart), true, nil
	case "data_interval_end":
		return pytime.OrNone(r.IntervalEnd), true, nil
	case "queued_at":
		return pytime.OrNone(r.QueuedAt), true, nil
	case "start_date":
		return pytime.OrNone(r.StartDate), true, nil
	case "end_date":
		return pytime.OrNone(r.EndDate), true, nil
	case "triggered_by":
		return none(string(r.TriggeredBy)), true, nil
	case "external_trigger":
		return r.Type == dag.RunManual, true, nil
	case "dag_version":
		return none(r.DagVersion), true, nil
	}
	return nil, false, nil
}

// dagObject is the variable dag.
type dagObject struct{ v *Vars }

func (o *dagObject) TypeName() string { return "DAG" }
func (o *dagObject) Str() string      { return "<DAG: " + o.v.TI.DagID + ">" }

var dagAttrs = strings.Fields(`dag_id dag_display_name description tags start_date end_date timezone catchup
max_active_runs
max_active_tasks fileloc doc_md params task_ids schedule owner folder`)

func (o *dagObject) AttrNames() []string { return dagAttrs }

func (o *dagObject) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	if name == "dag_id" {
		return o.v.TI.DagID, true, nil
	}
	d := o.v.DAG
	if d == nil {
		d = &dag.DAG{}
	}
	switch name {
	case "dag_display_name":
		if d.DisplayName == "" {
			return o.v.TI.DagID, true, nil
		}
		return d.DisplayName, true, nil
	case "description":
		return none(d.Description), true, nil
	case "doc_md":
		return none(d.DocMD), true, nil
	case "tags":
		return texts(d.Tags), true, nil
	case "start_date":
		return pytime.OrNone(d.StartDate), true, nil
	case "end_date":
		return pytime.OrNone(d.EndDate), true, nil
	case "timezone":
		return d.Timezone, true, nil
	case "catchup":
		return d.Catchup, true, nil
	case "max_active_runs":
		return d.MaxActiveRuns, true, nil
	case "max_active_tasks":
		return d.MaxActiveTasks, true, nil
	case "fileloc":
		return d.FileLoc, true, nil
	case "folder":
		return d.FileLoc[:max(strings.LastIndexAny(d.FileLoc, `/\`), 0)], true, nil
	case "schedule":
		return none(d.Schedule.Text), true, nil
	case "params":
		params, err := object(d.Params, "dag.params")
		return params, true, err
	case "owner":
		var owners []string
		for _, t := range d.Tasks {
			owners = appendNew(owners, t.Owner)
		}
		return strings.Join(owners, ", "), true, nil
	case "task_ids":
		ids := make([]string, len(d.Tasks))
		for i, t := range d.Tasks {
			ids[i] = t.ID
		}
		return texts(ids), true, nil
	}
	return nil, false, nil
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// taskObject is the variable task.
type taskObject struct{ v *Vars }

func (o *taskObject) TypeName() string { return "Task" }

func (o *taskObject) spec() *dag.Task {
	if o.v.Task != nil {
		return o.v.Task
	}
	return &dag.Task{ID: o.v.TI.TaskID, Operator: o.v.TI.Operator}
}

func (o *taskObject) Str() string {
	t := o.spec()
	return "<Task(" + t.Operator + "): " + t.ID + ">"
}

var taskAttrs = strings.Fields(`task_id dag_id task_type operator_name owner retries retry_delay max_retry_delay
execution_timeout
pool pool_slots queue priority_weight weight_rule trigger_rule depends_on_past wait_for_downstream do_xcom_push
multiple_outputs start_date end_date upstream_task_ids downstream_task_ids params doc dag task_display_name label`)

func (o *taskObject) AttrNames() []string { return taskAttrs }

func (o *taskObject) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	t := o.spec()
	if v, ok := taskField(t, name); ok {
		return v, true, nil
	}
	switch name {
	case "dag_id":
		return o.v.TI.DagID, true, nil
	case "dag":
		return &dagObject{o.v}, true, nil
	case "params":
		params, err := object(o.v.Params, "params")
		return params, true, err
	}
	// The operator's own parameters: as it got them, or as written.
	if v, ok := o.v.Rendered[name]; ok {
		return pyvalue.Import(v), true, nil
	}
	if v, ok := t.Params[name]; ok {
		return pyvalue.Import(v), true, nil
	}
	return nil, false, nil
}

func taskField(t *dag.Task, name string) (any, bool) {
	switch name {
	case "task_id", "task_display_name":
		return t.ID, true
	case "label":
		return t.ID[strings.LastIndexByte(t.ID, '.')+1:], true
	case "task_type", "operator_name":
		return t.Operator, true
	case "owner":
		return t.Owner, true
	case "retries":
		return t.Retries, true
	case "retry_delay":
		return pytime.Delta(t.RetryDelay), true
	case "max_retry_delay":
		return orNone(t.MaxRetryDelay > 0, pytime.Delta(t.MaxRetryDelay)), true
	case "execution_timeout":
		return orNone(t.ExecutionTimeout > 0, pytime.Delta(t.ExecutionTimeout)), true
	case "pool":
		return t.Pool, true
	case "pool_slots":
		return t.PoolSlots, true
	case "queue":
		return t.Queue, true
	case "priority_weight":
		return t.PriorityWeight, true
	case "weight_rule":
		return string(t.WeightRule), true
	case "trigger_rule":
		return string(t.TriggerRule), true
	case "depends_on_past":
		return t.DependsOnPast, true
	case "wait_for_downstream":
		return t.WaitForDownstream, true
	case "do_xcom_push":
		return t.DoXComPush, true
	case "multiple_outputs":
		return t.MultipleOutputs, true
	case "start_date":
		return pytime.OrNone(t.StartDate), true
	case "end_date":
		return pytime.OrNone(t.EndDate), true
	case "upstream_task_ids":
		return texts(t.Upstream), true
	case "downstream_task_ids":
		return texts(t.Downstream), true
	case "doc":
		return none(t.Doc), true
	}
	return nil, false
}

func orNone(ok bool, v any) any {
	if ok {
		return v
	}
	return nil
}
