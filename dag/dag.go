package dag

import (
	"encoding/json"
	"time"
)

// Defaults of Airflow's [core] section that a pipeline file inherits when it is silent.
const (
	DefaultPool           = "default_pool"
	DefaultOwner          = "airflow"
	DefaultQueue          = "default"
	DefaultMaxActiveRuns  = 16
	DefaultMaxActiveTasks = 16
	DefaultRetryDelay     = 300 * time.Second
	// MaxRetryDelay caps every retry delay ([core] max_task_retry_delay).
	MaxRetryDelay = 24 * time.Hour
)

// DAG is one pipeline as loaded from a file. It is immutable once loaded: a changed file yields a new DAG with a new
// Version. It marshals to JSON and back without loss, which is how the store keeps the version a run started with.
type DAG struct {
	ID          string `json:"dag_id"`
	DisplayName string `json:"dag_display_name,omitempty"`
	Description string `json:"description,omitempty"`
	DocMD       string `json:"doc_md,omitempty"`
	// FileLoc is the file the DAG was read from, Line where it begins there (1-based).
	FileLoc string `json:"fileloc"`
	Line    int    `json:"line,omitempty"`

	Schedule  Schedule  `json:"schedule"`
	StartDate time.Time `json:"start_date,omitzero"`
	EndDate   time.Time `json:"end_date,omitzero"`
	// Timezone is the IANA name in which cron expressions are read. "UTC" when the file names none.
	Timezone string `json:"timezone"`
	Catchup  bool   `json:"catchup"`

	MaxActiveRuns  int           `json:"max_active_runs"`
	MaxActiveTasks int           `json:"max_active_tasks"`
	DagrunTimeout  time.Duration `json:"dagrun_timeout,omitempty"`

	Tags                 []string        `json:"tags,omitempty"`
	Params               json.RawMessage `json:"params,omitempty"` // object: name -> default value
	RenderNative         bool            `json:"render_template_as_native_obj,omitempty"`
	TemplateSearchPath   []string        `json:"template_searchpath,omitempty"`
	IsPausedUponCreation *bool           `json:"is_paused_upon_creation,omitempty"`
	FailFast             bool            `json:"fail_fast,omitempty"`
	UserDefinedMacros    json.RawMessage `json:"user_defined_macros,omitempty"`
	MaxConsecutiveFailed int             `json:"max_consecutive_failed_dag_runs,omitempty"`
	// ParamSchemas holds the JSON Schema of the params that have one: object, name -> schema.
	ParamSchemas json.RawMessage `json:"param_schemas,omitempty"`
	// Callbacks are those of the runs; Deadlines call when a run takes too long.
	Callbacks []Callback `json:"callbacks,omitempty"`
	Deadlines []Deadline `json:"deadlines,omitempty"`

	// Tasks in topological order, ties in file order.
	Tasks  []*Task  `json:"tasks"`
	Groups []*Group `json:"task_groups,omitempty"`

	// Version is the content hash of everything above: equal versions schedule equally.
	Version string `json:"version"`

	byID map[string]*Task
}

// ScheduleKind says which timetable a Schedule selects.
type ScheduleKind string

// Schedule kinds. The default for cron strings is the Airflow 3 trigger timetable (zero-length data interval).
const (
	ScheduleNone         ScheduleKind = "none"
	ScheduleOnce         ScheduleKind = "once"
	ScheduleContinuous   ScheduleKind = "continuous"
	ScheduleCron         ScheduleKind = "cron"          // CronTriggerTimetable
	ScheduleCronInterval ScheduleKind = "cron_interval" // CronDataIntervalTimetable
	ScheduleDelta        ScheduleKind = "delta"         // DeltaTriggerTimetable
	ScheduleDeltaIntvl   ScheduleKind = "delta_interval"
	ScheduleMultiCron    ScheduleKind = "multi_cron"    // MultipleCronTriggerTimetable
	ScheduleAsset        ScheduleKind = "asset"         // Assets alone
	ScheduleAssetOrTime  ScheduleKind = "asset_or_time" // AssetOrTimeSchedule: Assets, and Time besides
	ScheduleEvents       ScheduleKind = "events"        // EventsTimetable: Dates
)

// Schedule is a timetable as data; package dag/timetable walks it.
type Schedule struct {
	Kind ScheduleKind `json:"kind"`
	// Cron holds the expressions of the cron kinds (one, or several for multi_cron).
	Cron []string `json:"cron,omitempty"`
	// Delta is the period of the delta kinds.
	Delta time.Duration `json:"delta,omitempty"`
	// Relative is set instead of Delta for a calendar period (dateutil.relativedelta).
	Relative *RelativeDelta `json:"relative,omitempty"`
	// Interval is CronTriggerTimetable's interval: the length of the data interval that ends at each tick.
	Interval time.Duration `json:"interval,omitempty"`
	// RunImmediately is CronTriggerTimetable's run_immediately: nil (= false), true, or a window.
	RunImmediately *bool         `json:"run_immediately,omitempty"`
	RunWithin      time.Duration `json:"run_within,omitempty"`
	// Timezone overrides the DAG's for cron (a timetable object carries its own). Empty = the DAG's.
	Timezone string `json:"timezone,omitempty"`
	// Assets is the condition of the asset kinds, Time the clock part of asset_or_time.
	Assets *AssetCondition `json:"assets,omitempty"`
	Time   *Schedule       `json:"time,omitempty"`
	// Dates are the instants of events, ascending.
	Dates []time.Time `json:"dates,omitempty"`
	// Text is the schedule as the user wrote it, for display.
	Text string `json:"text,omitempty"`
}

// RelativeDelta is dateutil's relativedelta: plural fields are added, singular pointers replace.
type RelativeDelta struct {
	Years, Months, Weeks, Days, Hours, Minutes, Seconds int
	Year, Month, Day, Hour, Minute, Second              *int
}

// Task is one node of a DAG.
type Task struct {
	ID string `json:"task_id"`
	// Operator is the canonical operator name; Written is the name the file used.
	Operator string `json:"operator"`
	Written  string `json:"written,omitempty"`
	Group    string `json:"task_group,omitempty"`
	Line     int    `json:"line,omitempty"`
	Doc      string `json:"doc,omitempty"`

	// Upstream and Downstream are direct neighbours' ids, sorted in file order.
	Upstream   []string `json:"upstream,omitempty"`
	Downstream []string `json:"downstream,omitempty"`

	TriggerRule   TriggerRule   `json:"trigger_rule"`
	Owner         string        `json:"owner"`
	Retries       int           `json:"retries"`
	RetryDelay    time.Duration `json:"retry_delay"`
	MaxRetryDelay time.Duration `json:"max_retry_delay,omitempty"`
	// RetryBackoff is retry_exponential_backoff: 0 = constant delay, otherwise the multiplier (true means 2).
	RetryBackoff             float64       `json:"retry_exponential_backoff,omitempty"`
	ExecutionTimeout         time.Duration `json:"execution_timeout,omitempty"`
	DependsOnPast            bool          `json:"depends_on_past,omitempty"`
	WaitForDownstream        bool          `json:"wait_for_downstream,omitempty"`
	IgnoreFirstDependsOnPast bool          `json:"ignore_first_depends_on_past,omitempty"`
	Pool                     string        `json:"pool"`
	PoolSlots                int           `json:"pool_slots"`
	PriorityWeight           int           `json:"priority_weight"`
	WeightRule               WeightRule    `json:"weight_rule"`
	Queue                    string        `json:"queue"`
	MaxActivePerDAG          int           `json:"max_active_tis_per_dag,omitempty"`
	MaxActivePerRun          int           `json:"max_active_tis_per_dagrun,omitempty"`
	DoXComPush               bool          `json:"do_xcom_push"`
	MultipleOutputs          bool          `json:"multiple_outputs,omitempty"`
	StartDate                time.Time     `json:"start_date,omitzero"`
	EndDate                  time.Time     `json:"end_date,omitzero"`

	// Params are the operator's parameters as written, before templates are rendered: pure JSON values, durations as
	// "90s" strings, dates as RFC 3339 strings. TaskParams is Airflow's params= of this task.
	Params     map[string]any  `json:"params,omitempty"`
	TaskParams json.RawMessage `json:"task_params,omitempty"`

	// Mapped is set for a task that is expanded when its upstream tasks have ended; nil for an ordinary one.
	Mapped *Mapping `json:"mapped,omitempty"`
	// Inlets and Outlets are the assets that the task reads and updates. Its success makes an event of each outlet.
	Inlets    []AssetRef `json:"inlets,omitempty"`
	Outlets   []AssetRef `json:"outlets,omitempty"`
	Callbacks []Callback `json:"callbacks,omitempty"`

	// Setup and Teardown mark Airflow's setup and teardown tasks. Setups are the setups that a teardown belongs to. A
	// teardown does not decide the state of its run unless OnFailureFailRun is set.
	Setup            bool     `json:"is_setup,omitempty"`
	Teardown         bool     `json:"is_teardown,omitempty"`
	Setups           []string `json:"setups,omitempty"`
	OnFailureFailRun bool     `json:"on_failure_fail_dagrun,omitempty"`
	// WaitForPastBeforeSkipping delays a skip until depends_on_past is met (wait_for_past_depends_before_skipping).
	WaitForPastBeforeSkipping bool `json:"wait_for_past_depends_before_skipping,omitempty"`

	// Parks is set for a deferrable sensor: the trigger loop renders, parks and finishes it without a worker slot.
	Parks bool `json:"parks,omitempty"`
	// Inline is set for an operator that does nothing (EmptyOperator): the scheduler marks it success itself.
	Inline bool `json:"inline,omitempty"`
}

// Group is a task group: a display and naming scope, flattened into task dependencies by the loader.
type Group struct {
	ID      string `json:"group_id"` // full id, "outer.inner"
	Parent  string `json:"parent,omitempty"`
	Tooltip string `json:"tooltip,omitempty"`
}

// Task returns the task with this id, or nil.
func (d *DAG) Task(id string) *Task {
	if d.byID == nil {
		for _, t := range d.Tasks {
			if t.ID == id {
				return t
			}
		}
		return nil
	}
	return d.byID[id]
}

// Index builds the id look-up table. Loaders and decoders call it once, before the DAG is shared between goroutines.
func (d *DAG) Index() {
	d.byID = make(map[string]*Task, len(d.Tasks))
	for _, t := range d.Tasks {
		d.byID[t.ID] = t
	}
}
