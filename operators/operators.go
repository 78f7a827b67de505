// Package operators is the contract between a task and the engine: what an operator is, what it may ask for while it
// runs, how it ends, and the registry that maps the names used in pipeline files to implementations.
//
// An operator is a Go struct whose tags declare its parameters (see internal/param). A new value is made, decoded and
// dropped for each attempt; nothing survives in it from Execute to Resume.
package operators

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"gust/connections"
	"gust/dag"
	"gust/triggers"
)

// Operator runs one attempt of a task. Its parameters are decoded into the receiver before the call.
type Operator interface {
	// Execute does the work and returns how it ended. It must return soon after ctx ends: ctx carries the execution
	// timeout, a kill and the daemon's stop as its cause. A panic fails the attempt with its stack.
	Execute(ctx context.Context, t Task) (Result, error)
}

// Resumer is an operator that defers: after the trigger's event the task goes on here, on a worker, with the same try
// number and freshly rendered parameters.
type Resumer interface {
	Resume(ctx context.Context, t Task, event triggers.Event) (Result, error)
}

// Stopper is an operator with something to stop outside this process (a Step Functions execution). Stop is called when
// an attempt is killed, cleared, marked, or timed out, also while it is deferred; then trigger is the stored trigger.
// It is not called when the daemon stops or crashes: then the attempt is repeated and finds its remote job again.
type Stopper interface {
	Stop(ctx context.Context, t Task, reason string, trigger *triggers.Trigger) error
}

// Parker is a sensor that can wait without a worker. The trigger loop renders and decodes the parameters, calls Park,
// stores the trigger, and, when the trigger fires, calls Finish. Both must be quick and must not block on I/O other
// than connection look-ups.
type Parker interface {
	// Parks reports, from parameters alone, whether this instance waits in the trigger loop (deferrable: true).
	Parks() bool
	// Park returns the wait. Timeout 0 means none.
	Park(ctx context.Context, t Task) (Deferral, error)
	// Finish turns the end of the wait into the task's result: an event, or the error that ended it instead
	// (the trigger's own, or a *DeferralTimeoutError).
	Finish(ctx context.Context, t Task, event *triggers.Event, failure error) (Result, error)
}

// Validator is an operator that checks its parameters against each other. It is called when the pipeline is loaded,
// with templated parameters possibly still empty, and again before Execute.
type Validator interface {
	Validate() error
}

// Task is what a running attempt may see and do. It reaches neither the store nor the scheduler.
type Task interface {
	// Attempt identifies the try. The same attempt may be executed again after a crash of the daemon.
	Attempt() dag.Attempt
	// Run describes the DAG run.
	Run() RunInfo
	// Spec is the task as loaded from the file (retries, downstream, ...). It must not be changed.
	Spec() *dag.Task
	// Connection resolves a connection id; see connections.Resolver. Its secrets are registered with the log masker.
	Connection(ctx context.Context, id string) (*connections.Connection, error)
	// XComPush stores a value that marshals to JSON under key, durably, before it returns.
	XComPush(ctx context.Context, key string, value any) error
	// XComPull reads a value pushed in the same run. An empty taskID means this task: a value that this very attempt
	// pushed before a crash or a deferral is visible; values of earlier tries are under PreviousXCom.
	XComPull(ctx context.Context, taskID, key string) (json.RawMessage, bool, error)
	// PreviousXCom reads what the previous try of this task pushed under key.
	PreviousXCom(ctx context.Context, key string) (json.RawMessage, bool, error)
	// Log writes to the attempt's log file. Secrets are masked.
	Log() *slog.Logger
	// Now is the engine's clock.
	Now() time.Time
	// FirstStart is when the task first ran or was parked since its run began or it was cleared: the clock of a
	// sensor's timeout, across tries, reschedules and restarts.
	FirstStart() time.Time
}

// RunInfo is the part of a DAG run that operators and templates see. Times are zero when Airflow has None.
type RunInfo struct {
	dag.RunKey
	Type          dag.RunType     `json:"run_type"`
	LogicalDate   time.Time       `json:"logical_date,omitzero"`
	RunAfter      time.Time       `json:"run_after"`
	IntervalStart time.Time       `json:"data_interval_start,omitzero"`
	IntervalEnd   time.Time       `json:"data_interval_end,omitzero"`
	StartDate     time.Time       `json:"start_date,omitzero"`
	Conf          json.RawMessage `json:"conf,omitempty"` // object or nil
	TriggeredBy   dag.TriggeredBy `json:"triggered_by,omitempty"`
	// NextAfter is when the timetable's next run after this one is due, zero for none (LatestOnlyOperator).
	NextAfter time.Time `json:"next_after,omitzero"`
}

// Deferral is a wait with its deadline.
type Deferral struct {
	Trigger triggers.Trigger
	// Timeout is the longest wait; 0 means none. For operators the clock starts at this deferral and a timeout is a
	// failure that may be retried. For sensors see Sensor timeouts in package sensors.
	Timeout time.Duration
}

// Result is how an attempt ended without an error. Build it with Done, Skip, Defer, Reschedule, Branch, ShortCircuit.
type Result struct {
	// Value is the return value, pushed to XCom as "return_value" when do_xcom_push is set and Value is not nil.
	Value any
	// Skipped ends the task as skipped, with Reason in its log.
	Skipped bool
	Reason  string
	// Deferral parks the task.
	Deferral *Deferral
	// RescheduleAt frees the worker until then (state up_for_reschedule).
	RescheduleAt time.Time
	// Follow, when not nil, is a branch: of the direct downstream tasks those not named, and not reachable from a
	// named one, are skipped. An empty list skips all of them. Names are task ids or task group ids.
	Follow *[]string
	// SkipAll skips every descendant regardless of trigger rules (ShortCircuitOperator with
	// ignore_downstream_trigger_rules). With Follow set to an empty list only direct downstream tasks are skipped.
	SkipAll bool
}

// Done ends the task successfully with a return value (nil = none).
func Done(value any) Result { return Result{Value: value} }

// Skip ends the task as skipped.
func Skip(reason string) Result { return Result{Skipped: true, Reason: reason} }

// Defer parks the task until the trigger fires.
func Defer(trigger triggers.Trigger, timeout time.Duration) Result {
	return Result{Deferral: &Deferral{Trigger: trigger, Timeout: timeout}}
}

// Reschedule frees the worker; the task is executed again, same try, at or after the time.
func Reschedule(at time.Time) Result { return Result{RescheduleAt: at} }

// Branch ends the task successfully and skips the direct downstream tasks that are not followed.
func Branch(value any, follow ...string) Result {
	if follow == nil {
		follow = []string{}
	}
	return Result{Value: value, Follow: &follow}
}
