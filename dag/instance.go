package dag

import (
	"encoding/json"
	"time"
)

// Run is one run of a DAG. Times are UTC; zero means absent.
type Run struct {
	RunKey
	State         RunState        `json:"state"`
	Type          RunType         `json:"run_type"`
	LogicalDate   time.Time       `json:"logical_date,omitzero"`
	RunAfter      time.Time       `json:"run_after"`
	IntervalStart time.Time       `json:"data_interval_start,omitzero"`
	IntervalEnd   time.Time       `json:"data_interval_end,omitzero"`
	QueuedAt      time.Time       `json:"queued_at,omitzero"`
	StartDate     time.Time       `json:"start_date,omitzero"`
	EndDate       time.Time       `json:"end_date,omitzero"`
	Conf          json.RawMessage `json:"conf,omitempty"` // object or nil
	TriggeredBy   TriggeredBy     `json:"triggered_by,omitempty"`
	// DagVersion is the version the run started with and finishes on ("" until it starts).
	DagVersion string `json:"dag_version,omitempty"`
	// Reason says why a run failed: "task_failure", "all_tasks_deadlocked", "timed_out", or "".
	Reason string `json:"reason,omitempty"`
	// ClearNumber counts how often the run was opened again by clearing tasks.
	ClearNumber int `json:"clear_number,omitempty"`
	// BackfillID is the backfill that the run belongs to, 0 for none.
	BackfillID int64 `json:"backfill_id,omitempty"`
	// DeadlinesMissed tells, bit by bit, which of the DAG's deadlines the run has missed already.
	DeadlinesMissed uint64 `json:"deadlines_missed,omitempty"`
	// AssetEvents are the events that an asset-triggered run was made for, oldest first.
	AssetEvents []int64 `json:"asset_events,omitempty"`
	// Note is people's; the engine never writes it.
	Note string `json:"note,omitempty"`
}

// TaskInstance is a task in a run: one row, rewritten by each transition. Times are UTC; zero means absent.
type TaskInstance struct {
	Key
	State State `json:"state"`
	// TryNumber is the current try: 0 before the first attempt, then 1, 2, ... MaxTries is the number of retries, so
	// that the last try is MaxTries+1.
	TryNumber int    `json:"try_number"`
	MaxTries  int    `json:"max_tries"`
	Operator  string `json:"operator"`
	Pool      string `json:"pool"`
	PoolSlots int    `json:"pool_slots"`
	Priority  int    `json:"priority_weight"` // effective weight, see WeightRule

	QueuedAt  time.Time `json:"queued_at,omitzero"`
	StartDate time.Time `json:"start_date,omitzero"` // of the current try
	EndDate   time.Time `json:"end_date,omitzero"`
	// FirstStart is when the task first ran or was parked since the run began or the task was cleared; a sensor's
	// timeout counts from here, across tries, reschedules and restarts.
	FirstStart time.Time `json:"first_start,omitzero"`
	// NotBefore is when an up_for_retry or up_for_reschedule task becomes eligible.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Deferral is set while the task is deferred, until its resumed attempt ends, and after a wait that was given up.
	Deferral *Deferral `json:"deferral,omitempty"`
	// Error is the message of the last failed try.
	Error string `json:"error,omitempty"`
	// RenderedMapIndex is what map_index_template came to for this instance, "" when it has none.
	RenderedMapIndex string `json:"rendered_map_index,omitempty"`
	// Note is people's; the engine never writes it.
	Note string `json:"note,omitempty"`
}

// Attempt is the identity of the current try.
func (ti *TaskInstance) Attempt() Attempt { return Attempt{ti.Key, ti.TryNumber} }

// Deferral is a parked wait as stored in the task's row. See package triggers for the meaning of kind, args and state.
//
// A wait that is loaded to go on with comes without Args and State when it is Keyed: whoever needs them reads the row.
type Deferral struct {
	Kind  string          `json:"kind"`
	Args  json.RawMessage `json:"args,omitempty"`
	State json.RawMessage `json:"state,omitempty"`
	// Keyed says that Key and Subject are known: with which waits of its kind it is looked at together, and the hash of
	// what it is about, 0 for nothing.
	Keyed   bool      `json:"keyed,omitempty"`
	Key     string    `json:"key,omitempty"`
	Subject uint64    `json:"subject,omitempty"`
	Since   time.Time `json:"since"`
	// Deadline is when the wait times out; zero = never. Timeout is the length that was asked for.
	Deadline time.Time     `json:"deadline,omitzero"`
	Timeout  time.Duration `json:"timeout,omitempty"`
	// ByExecutionTimeout is set when Deadline is where execution_timeout ends, which is sooner than Timeout.
	ByExecutionTimeout bool `json:"by_execution_timeout,omitempty"`
	// Event is the trigger's answer, once it fired; Failed is the error that ended the wait instead; TimedOut says that
	// Deadline passed.
	Event    json.RawMessage `json:"event,omitempty"`
	Failed   string          `json:"failed,omitempty"`
	TimedOut bool            `json:"timed_out,omitempty"`
}

// Ended reports whether the wait has ended: by its event, an error or its deadline.
func (d *Deferral) Ended() bool { return d.Event != nil || d.Failed != "" || d.TimedOut }
