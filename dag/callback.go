package dag

import (
	"encoding/json"
	"time"
)

// CallbackEvent says when a callback is called, by Airflow's parameter names.
type CallbackEvent string

// Callback events. Of a DAG only success, failure and a missed deadline count.
const (
	OnExecute  CallbackEvent = "on_execute_callback"
	OnSuccess  CallbackEvent = "on_success_callback"
	OnFailure  CallbackEvent = "on_failure_callback" // of a task: no try is left
	OnRetry    CallbackEvent = "on_retry_callback"
	OnSkipped  CallbackEvent = "on_skipped_callback" // the task itself decided to be skipped
	OnDeadline CallbackEvent = "deadline"
	// StopAttempt is no callback of a pipeline: an attempt was taken away, and what it has started outside is to be stopped.
	// It is stored with the change that takes the attempt away, so that a crash right after it leaves nothing behind.
	StopAttempt CallbackEvent = "stop"
)

// Callback is an operator that is run when an event happens, beside the tasks of the run: it has no row and no state,
// and never changes those of what it is about.
type Callback struct {
	Event CallbackEvent `json:"event"`
	// Operator is the canonical name of the operator; Params are its parameters as written, before templates are rendered.
	Operator string         `json:"operator"`
	Params   map[string]any `json:"params,omitempty"`
}

// DeadlineReference is what a deadline counts from (Airflow: DeadlineReference).
type DeadlineReference string

// Deadline references.
const (
	DeadlineQueuedAt       DeadlineReference = "DAGRUN_QUEUED_AT"
	DeadlineLogicalDate    DeadlineReference = "DAGRUN_LOGICAL_DATE"
	DeadlineFixedDatetime  DeadlineReference = "FIXED_DATETIME"
	DeadlineAverageRuntime DeadlineReference = "AVERAGE_RUNTIME"
)

// Deadline asks for a callback when a run has not ended in time (Airflow: DeadlineAlert). The run goes on.
type Deadline struct {
	Reference DeadlineReference `json:"reference"`
	// At is the instant of FIXED_DATETIME.
	At time.Time `json:"at,omitzero"`
	// Limit is over how many finished runs AVERAGE_RUNTIME is taken (default 10); MinRuns is how many there must be.
	Limit   int `json:"limit,omitempty"`
	MinRuns int `json:"min_runs,omitempty"`
	// Interval is added to the reference; it may be negative.
	Interval time.Duration `json:"interval"`
	Callback Callback      `json:"callback"`
}

// CallbackRequest is a callback that is due. It is stored until it has been carried out.
type CallbackRequest struct {
	// ID counts up; the scheduler gives it.
	ID int64 `json:"id"`
	// Key is the task instance that it is about, with TryNumber; of a run's callback TaskID is empty and MapIndex -1.
	Key
	TryNumber int      `json:"try_number,omitempty"`
	Callback  Callback `json:"callback"`
	// Reason is the error of a failure, or why the run ended or is late.
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Parameters of a StopAttempt: the wait of the attempt, if it was deferred.
const (
	stopKind = "kind"
	stopArgs = "args"
)

// StopRequest asks for what the task instance's attempt has started to be stopped. It has no ID yet.
func StopRequest(ti *TaskInstance, reason string, at time.Time) CallbackRequest {
	c := CallbackRequest{
		Key: ti.Key, TryNumber: ti.TryNumber, Callback: Callback{Event: StopAttempt, Operator: ti.Operator}, Reason: reason, At: at,
	}
	if d := ti.Deferral; d != nil {
		c.Callback.Params = map[string]any{stopKind: d.Kind, stopArgs: string(d.Args)}
	}
	return c
}

// Wait is the wait of the attempt that a StopAttempt is about, nil when it was not deferred.
func (c *Callback) Wait() *Deferral {
	kind, _ := c.Params[stopKind].(string)
	args, _ := c.Params[stopArgs].(string)
	if c.Event != StopAttempt || kind == "" {
		return nil
	}
	return &Deferral{Kind: kind, Args: json.RawMessage(args)}
}
