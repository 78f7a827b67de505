// Package executor is the contract of the place where an attempt runs: what it is handed, what it reports back. The
// executor decides where an attempt runs, never what: package runner/worker does the work in every executor.
package executor

import (
	"context"
	"errors"
	"time"

	"gust/dag"
	"gust/store"
)

// Work is one attempt to run. It is self-contained; its pointers are shared and must not be changed.
type Work struct {
	DAG  *dag.DAG
	Task *dag.Task
	Run  dag.Run
	// Instance is the row as committed when the attempt was queued. Its Deferral is set when a deferred attempt goes
	// on: then Deferral.Event or Deferral.Failed holds the trigger's answer.
	Instance dag.TaskInstance
	// Expansion names the expansion that a mapped instance belongs to: another number means that the lists it is mapped
	// over may have changed.
	Expansion int
	// NextAfter is when the timetable's next run is due, zero for none.
	NextAfter time.Time
}

// Attempt is the identity of the attempt.
func (w *Work) Attempt() dag.Attempt { return w.Instance.Attempt() }

// Executor runs attempts.
type Executor interface {
	// Start makes the executor ready; it backgrounds itself. Reports go to r until Stop has returned.
	Start(ctx context.Context, r Reporter) error
	// Dispatch hands over an attempt and returns at once. The scheduler never has more attempts out than Slots. An
	// attempt that is out already is ignored.
	Dispatch(w Work)
	// Kill ends an attempt: its operator's Stop is called, its processes get SIGTERM then SIGKILL. The report still
	// comes (Failed, with the reason). An attempt that is not out is ignored.
	Kill(a dag.Attempt, reason string)
	// Slots is how many attempts may be out at once ([core] parallelism).
	Slots() int
	// Stop takes no new attempts, waits for those out until ctx ends, then interrupts them: each is reported as
	// Interrupted. It returns when no attempt is left.
	Stop(ctx context.Context) error
}

// TriggerLoop holds the parked waits.
type TriggerLoop interface {
	Start(ctx context.Context, r Reporter) error
	// Park takes over a task that is to be parked (a deferrable sensor without a stored Deferral: it is rendered and
	// parked here, and reported as Parked), or whose Deferral is stored (deferred by a worker, or found after a
	// restart). When the wait ends, a sensor is finished here (reported Succeeded, Skipped, Failed), an operator is
	// reported as Fired and goes on in an executor.
	Park(w Work)
	// Drop forgets a wait. With a reason the operator's or sensor's Stop is called too (killed, cleared, marked).
	Drop(a dag.Attempt, reason string)
	Stop(ctx context.Context) error
}

// Notifier carries out callbacks. It never blocks its caller.
type Notifier interface {
	Start(ctx context.Context, r CallbackReporter) error
	// Notify takes over a callback. It is tried again when it fails, a few times, and then given up; either way it is
	// reported once. A callback that is under way already is ignored.
	Notify(c dag.CallbackRequest)
	// Stop waits for what is under way until ctx ends. What has not been reported is notified again after the next start.
	Stop(ctx context.Context) error
}

// CallbackReporter is told that a callback has been carried out or given up.
type CallbackReporter interface{ CallbackDone(id int64) }

// Reporter takes reports. Report never blocks for long, keeps the order of one attempt's reports, and may be called
// from any goroutine. After the scheduler has stopped it drops them.
type Reporter interface{ Report(r Report) }

// ErrStale is what Report.Committed is given for a report whose attempt is no longer current: nothing of it was stored.
var ErrStale = errors.New("the attempt is no longer current")

// Kind is what a report says.
type Kind int

// Kinds of reports.
const (
	// Started: the operator is about to run. At is the start.
	Started Kind = iota + 1
	// Pushed: the attempt goes on; XComs must be durable before Committed is called.
	Pushed
	// Succeeded, Skipped, Failed: the attempt ended.
	Succeeded
	Skipped
	Failed
	// Deferred: a worker's attempt parked itself; Deferral says on what.
	Deferred
	// Parked: the trigger loop parked a sensor; Deferral says on what.
	Parked
	// Fired: the wait of an operator ended; Deferral.Event or Deferral.Failed is set.
	Fired
	// Noted: a wait has new State (in Deferral) worth keeping across a restart.
	Noted
	// Rescheduled: a sensor looks again at RescheduleAt.
	Rescheduled
	// Interrupted: the daemon stopped the attempt; it is to be repeated with the same try number.
	Interrupted
)

// Report is one message about an attempt. A report of an attempt that is no longer current is dropped.
type Report struct {
	Attempt dag.Attempt
	Kind    Kind
	At      time.Time
	XComs   []store.XCom
	// Error is the message of a failure, or the reason of a skip.
	Error string
	// NoRetry makes a failure final; RetryAfter is the least delay before a retry.
	NoRetry    bool
	RetryAfter time.Duration
	// Unstopped, with the end of an attempt, is why what it has started was to be stopped, which failed and is to be tried
	// again.
	Unstopped string
	// Deferral belongs to Deferred, Parked, Fired and Noted.
	Deferral     *dag.Deferral
	RescheduleAt time.Time
	// Follow and SkipAll are a branch's or short circuit's decision; see operators.Result.
	Follow  *[]string
	SkipAll bool
	// MapLabel is what map_index_template came to, in the last report of a mapped instance.
	MapLabel string
	// Committed, when not nil, is called once, after the transaction that holds this report, with nil, or with the
	// error that lost it. It must not block.
	Committed func(error)
}
