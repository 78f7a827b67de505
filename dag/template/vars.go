package template

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"gust/dag"
	"gust/dag/template/jinja"
	"gust/dag/template/pytime"
	"gust/dag/template/pyvalue"
)

// XCom names a value that another task pushed.
type XCom struct {
	DagID, RunID, TaskID, Key string
	// MapIndex selects one instance of a mapped task. Nil means the value of an unmapped task, or the list of all
	// values of a mapped one.
	MapIndex *int
	// PriorDates asks for the latest value of this and earlier runs (include_prior_dates).
	PriorDates bool
}

// Connection is what templates see of a connection. Empty strings and port 0 print as None.
type Connection struct {
	ID, Type, Description         string
	Host, Login, Password, Schema string
	Port                          int
	// Extra is the raw JSON object, or nil.
	Extra json.RawMessage
	// URI is the connection as a URI, for conn.x.get_uri().
	URI string
}

// PreviousRun is the latest successful run before this one.
type PreviousRun struct {
	IntervalStart, IntervalEnd, StartDate, EndDate time.Time
}

// Vars is what a template can see of one attempt. The look-ups are called only by templates that use them; nil ones are
// errors that say so. A Vars is used by one goroutine at a time; values that a template decodes are kept in it.
type Vars struct {
	DAG  *dag.DAG
	Task *dag.Task
	// TI is the task instance. TryNumber and StartDate are those of this attempt.
	TI  dag.TaskInstance
	Run dag.Run
	// Params is the merged params object; see MergeParams.
	Params json.RawMessage
	// Now is the engine's clock, for macros.datetime.now() and time.time(). Zero means that there is none.
	Now time.Time
	// TestMode is set by `tasks test` and `dags test`.
	TestMode bool
	// Exception is the text of the error that a callback is about, Reason why it is called; "" is None.
	Exception, Reason string
	// Rendered are the operator's parameters as it got them, mapped items included: what task.name is after it has run. Nil:
	// as they are written.
	Rendered map[string]any
	// Added are further names: what a Python function has put into its context, for map_index_template.
	Added map[string]any
	// Reschedules is how often the sensor was rescheduled (task_reschedule_count).
	Reschedules int

	// Function calls a Python function that a macro names; nil: calling one is an error.
	Function func(ctx context.Context, path string, args []any, kwargs map[string]any) (any, error)
	// XComPull reads a value; false means that there is none.
	XComPull func(ctx context.Context, x XCom) (json.RawMessage, bool, error)
	// Variable reads a Variable. When it is not defined found is false, and err may say what is defined.
	Variable func(ctx context.Context, key string) (value string, found bool, err error)
	// Connection reads a connection. When it is not defined found is false, and err may say what is defined.
	Connection func(ctx context.Context, id string) (c Connection, found bool, err error)
	// AssetEvents reads the asset events that the run was made for; nil means none.
	AssetEvents func(ctx context.Context) ([]dag.AssetEvent, error)
	// Previous returns the latest successful run before this one, nil when there is none.
	Previous func(ctx context.Context) (*PreviousRun, error)
	// Neighbour returns the logical date of the schedule's tick before (-1) or after (1) this run's, for the Airflow 2
	// names prev_ds and next_ds. False means that there is none.
	Neighbour func(step int) (time.Time, bool)

	rand *rand.Rand
}

// MergeParams lays params objects over each other, the later ones winning per key: the DAG's, the task's, the run's
// conf. Keys keep the order in which they first appear. What is not a JSON object is an error.
func MergeParams(layers ...json.RawMessage) (json.RawMessage, error) {
	var order []string
	merged := map[string]json.RawMessage{}
	for _, layer := range layers {
		if len(layer) == 0 || string(layer) == "null" {
			continue
		}
		v, err := pyvalue.DecodeJSON(layer)
		if err != nil {
			return nil, fmt.Errorf("params: %w", err)
		}
		d, ok := v.(*pyvalue.Dict)
		if !ok {
			return nil, fmt.Errorf("params must be an object, not %.40s", layer)
		}
		raw := map[string]json.RawMessage{}
		if err := json.Unmarshal(layer, &raw); err != nil {
			return nil, fmt.Errorf("params: %w", err)
		}
		for _, k := range d.Keys() {
			name, _ := k.(string) // JSON keys are strings
			if _, seen := merged[name]; !seen {
				order = append(order, name)
			}
			merged[name] = raw[name]
		}
	}
	out := []byte{'{'}
	for i, name := range order {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, fmt.Errorf("params: %w", err)
		}
		out = append(append(append(out, key...), ':'), merged[name]...)
	}
	return append(out, '}'), nil
}

// random is a source of random numbers that gives the same sequence whenever this attempt renders.
func (v *Vars) random() *rand.Rand {
	if v.rand == nil {
		h := fnv.New64a()
		ti := &v.TI
		_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d\x00%d", ti.DagID, ti.RunID, ti.TaskID, ti.MapIndex, ti.TryNumber)
		v.rand = rand.New(rand.NewPCG(h.Sum64(), 0))
	}
	return v.rand
}

// variableNames are the names that templates may use, sorted.
var variableNames = []string{
	"conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "exception",
	"execution_date", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros", "map_index_template",
	"next_ds", "next_ds_nodash", "next_execution_date", "outlet_events", "outlets", "params",
	"prev_data_interval_end_success", "prev_data_interval_start_success", "prev_ds", "prev_ds_nodash",
	"prev_end_date_success", "prev_execution_date", "prev_execution_date_success", "prev_start_date_success", "reason",
	"run_id", "start_date", "task", "task_instance", "task_instance_key_str", "task_reschedule_count", "test_mode",
	"ti", "tomorrow_ds", "tomorrow_ds_nodash", "triggering_asset_events", "triggering_dataset_events", "ts",
	"ts_nodash", "ts_nodash_with_tz", "var", "yesterday_ds", "yesterday_ds_nodash",
}

// globals binds the variables of one rendering.
func (e *Environment) globals(v *Vars) jinja.Globals {
	g := jinja.Globals{Names: e.names}
	if v == nil {
		v = &Vars{}
	}
	g.Lookup = func(st *pyvalue.State, name string) (any, bool, error) {
		if m, ok := e.macros[name]; ok {
			return v.macro(m), true, nil
		}
		return v.lookup(st, name)
	}
	g.Random = v.random
	return g
}

// lookup finds a variable.
func (v *Vars) lookup(st *pyvalue.State, name string) (any, bool, error) {
	if value, ok := v.dates(name); ok {
		return value, true, nil
	}
	if value, ok := v.Added[name]; ok {
		return pyvalue.Import(value), true, nil
	}
	switch name {
	case "run_id":
		return v.Run.RunID, true, nil
	case "ti", "task_instance":
		return &tiObject{v}, true, nil
	case "dag_run":
		return &runObject{v}, true, nil
	case "dag":
		return &dagObject{v}, true, nil
	case "task":
		return &taskObject{v}, true, nil
	case "params":
		params, err := object(v.Params, "params")
		return params, true, err
	case "var":
		return &varObject{v}, true, nil
	case "conn":
		return &connObject{v}, true, nil
	case "macros":
		return &macrosObject{v}, true, nil
	case "test_mode":
		return v.TestMode, true, nil
	case "task_reschedule_count":
		return v.Reschedules, true, nil
	case "task_instance_key_str":
		stamp := v.Run.RunID
		if !v.Run.LogicalDate.IsZero() {
			stamp = v.Run.LogicalDate.UTC().Format("20060102")
		}
		return v.TI.DagID + "__" + v.TI.TaskID + "__" + stamp, true, nil
	case "inlets":
		return v.assets(func(t *dag.Task) []dag.AssetRef { return t.Inlets }), true, nil
	case "outlets":
		return v.assets(func(t *dag.Task) []dag.AssetRef { return t.Outlets }), true, nil
	case "triggering_asset_events", "triggering_dataset_events":
		value, err := v.triggering(st.Context())
		return value, true, err
	case "inlet_events", "outlet_events":
		return pyvalue.NewDict(0), true, nil
	case "exception":
		return textOrNone(v.Exception), true, nil
	case "reason":
		return textOrNone(v.Reason), true, nil
	case "map_index_template":
		if v.Task != nil && v.Task.Mapped != nil {
			return textOrNone(v.Task.Mapped.IndexTemplate), true, nil
		}
		return nil, true, nil
	case "expanded_ti_count":
		return nil, true, nil
	case "prev_data_interval_start_success", "prev_data_interval_end_success", "prev_start_date_success",
		"prev_end_date_success", "prev_execution_date_success":
		value, err := v.previous(st.Context(), name)
		return value, true, err
	}
	return nil, false, nil
}

// object decodes a JSON object for templates; absent means empty.
func object(raw json.RawMessage, what string) (*pyvalue.Dict, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return pyvalue.NewDict(0), nil
	}
	value, err := pyvalue.DecodeJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	d, ok := value.(*pyvalue.Dict)
	if !ok {
		return nil, pyvalue.Errorf("%s is not an object", what)
	}
	return d, nil
}

func (v *Vars) previous(ctx context.Context, name string) (any, error) {
	if v.Previous == nil {
		return nil, nil
	}
	p, err := v.Previous(ctx)
	if err != nil || p == nil {
		return nil, err
	}
	switch name {
	case "prev_data_interval_end_success":
		return pytime.OrNone(p.IntervalEnd), nil
	case "prev_start_date_success":
		return pytime.OrNone(p.StartDate), nil
	case "prev_end_date_success":
		return pytime.OrNone(p.EndDate), nil
	}
	return pytime.OrNone(p.IntervalStart), nil
}

// dates finds the variables that are dates or made of dates.
func (v *Vars) dates(name string) (any, bool) {
	switch name {
	case "data_interval_start":
		return pytime.OrNone(v.Run.IntervalStart), true
	case "data_interval_end":
		return pytime.OrNone(v.Run.IntervalEnd), true
	case "logical_date", "execution_date":
		return pytime.OrNone(v.Run.LogicalDate), true
	case "start_date":
		return pytime.OrNone(v.TI.StartDate), true
	case "ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "yesterday_ds", "yesterday_ds_nodash", "tomorrow_ds",
		"tomorrow_ds_nodash":
		if v.Run.LogicalDate.IsZero() {
			return pyvalue.NewUndefined(&Error{Msg: fmt.Sprintf(
				"%q is undefined: the run has no logical date, because it was triggered without one", name)}), true
		}
		return stamp(v.Run.LogicalDate.UTC(), name), true
	case "prev_ds", "prev_ds_nodash", "prev_execution_date":
		return v.neighbour(name, -1), true
	case "next_ds", "next_ds_nodash", "next_execution_date":
		return v.neighbour(name, 1), true
	}
	return nil, false
}

func stamp(t time.Time, name string) string {
	switch name {
	case "ds":
		return t.Format(time.DateOnly)
	case "ds_nodash":
		return t.Format("20060102")
	case "ts":
		return pytime.Of(t).ISO()
	case "ts_nodash":
		return t.Format("20060102T150405")
	case "yesterday_ds":
		return t.AddDate(0, 0, -1).Format(time.DateOnly)
	case "yesterday_ds_nodash":
		return t.AddDate(0, 0, -1).Format("20060102")
	case "tomorrow_ds":
		return t.AddDate(0, 0, 1).Format(time.DateOnly)
	case "tomorrow_ds_nodash":
		return t.AddDate(0, 0, 1).Format("20060102")
	}
	return withTZ(pytime.Of(t))
}

// neighbour is a date of the schedule's tick before or after this run's.
func (v *Vars) neighbour(name string, step int) any {
	if v.Neighbour != nil {
		if t, ok := v.Neighbour(step); ok {
			switch name {
			case "prev_ds", "next_ds":
				return t.UTC().Format(time.DateOnly)
			case "prev_ds_nodash", "next_ds_nodash":
				return t.UTC().Format("20060102")
			}
			return pytime.OrNone(t)
		}
	}
	return pyvalue.NewUndefined(&Error{Msg: fmt.Sprintf("%q is undefined: the schedule has no run beside this one", name)})
}
