// Package sensors is the contract of a task that waits for a condition, and the one place where the rules of waiting
// live: intervals, timeout, soft_fail, silent_fail, never_fail, and the three modes.
//
// A sensor answers one question, "is it so now?" (Poke), and, if it can be parked, describes its wait as a trigger. The
// embedded Base makes an operator of it.
//
// # Modes
//
// Deferrable is the default of every sensor that can be parked: the wait is a row, looked at by the trigger loop, and
// occupies no worker. mode: poke waits on a worker; mode: reschedule frees the worker between two looks. A file that
// names a mode and says nothing about deferrable gets that mode.
//
// # Timeout
//
// timeout means the same in every mode: the time since the task first ran or was parked in this run (or since it was
// cleared), across looks, retries, reschedules and restarts of the daemon. At least one look always happens. Airflow
// gives a poking sensor the full timeout again with each retry, and a deferred one with each deferral.
//
// # What an end means
//
//	what happens                                  default          soft_fail  silent_fail        never_fail
//	the timeout passes                            failed, final    skipped    failed, final      failed, final
//	a look fails for good, or execution_timeout   failed, final*   skipped    failed, final*     skipped
//	a look fails otherwise                        failed, retried  the same   logged, waits on   skipped
//	a look asks for a skip                        skipped          skipped    skipped            skipped
//
// (*) execution_timeout is retried. The rows hold in every mode. An error that ends a parked wait is "a look fails
// otherwise": soft_fail does not turn a broken connection into a skip, as it did in earlier Airflow versions.
package sensors

import (
	"context"
	"time"

	"gust/internal/param"
	"gust/operators"
	"gust/triggers"
)

// Sensor is a condition that can be looked at.
type Sensor interface {
	// Poke looks once. It should return soon after ctx ends. An error is judged by the rules in the package comment;
	// an error that the next look may not meet (throttling, a lost connection) is better a Waiting with a log line.
	Poke(ctx context.Context, t operators.Task) (Verdict, error)
}

// Waiter is a sensor that can be parked.
type Waiter interface {
	Sensor
	// Trigger describes the wait. It must not block on I/O other than connection look-ups.
	Trigger(ctx context.Context, t operators.Task, pace triggers.Pace) (triggers.Trigger, error)
	// Fired turns the trigger's event into the answer. It must not block on I/O. Waiting is not a legal answer.
	Fired(ctx context.Context, t operators.Task, event triggers.Event) (Verdict, error)
}

// Verdict is the answer of one look.
type Verdict struct {
	// Done is set when the condition holds.
	Done bool
	// Value is the return value of a task that is done (Airflow: PokeReturnValue.xcom_value); nil is none.
	Value any
	// Skip, when not empty, ends the task as skipped, for this reason.
	Skip string
}

// Waiting says that the condition does not hold yet.
func Waiting() Verdict { return Verdict{} }

// Done says that the condition holds. value becomes the return value; nil is none.
func Done(value any) Verdict { return Verdict{Done: true, Value: value} }

// Skip ends the task as skipped.
func Skip(reason string) Verdict { return Verdict{Skip: reason} }

// Modes of a sensor that is not parked.
const (
	ModePoke       = "poke"
	ModeReschedule = "reschedule"
)

// DefaultTimeout is [sensors] default_timeout when the configuration is silent.
const DefaultTimeout = 7 * 24 * time.Hour

// Defaults are the settings of the process that a task may leave out.
type Defaults struct {
	// Timeout is [sensors] default_timeout; 0 means DefaultTimeout.
	Timeout time.Duration
	// Deferrable is [operators] default_deferrable; nil leaves it to the sensor, which then is parked if it can be.
	Deferrable *bool
}

// Params are the parameters that every sensor has.
type Params struct {
	PokeInterval       param.Duration  `param:"poke_interval" default:"60s" doc:"Time between two looks. Seconds, a timedelta, or a text such as \"90s\"."`
	Timeout            *param.Duration `param:"timeout" doc:"Longest wait since the task first ran in this run, across retries, reschedules and restarts; then it fails without a retry, or is skipped with soft_fail. Default: [sensors] default_timeout, 7 days."`
	SoftFail           bool            `param:"soft_fail" default:"false" doc:"Skip instead of failing when the timeout or execution_timeout passes, or a look fails for good. Other errors still fail. Excludes never_fail."`
	Mode               string          `param:"mode" enum:"poke,reschedule" doc:"poke waits on a worker, reschedule frees the worker between two looks. Default: the sensor is parked if it can be (see deferrable), otherwise poke."`
	Deferrable         *bool           `param:"deferrable" doc:"Wait in the trigger loop, without a worker. Default: true if the sensor can be parked and mode is not given."`
	ExponentialBackoff bool            `param:"exponential_backoff" default:"false" doc:"Grow the time between two looks: it doubles with each look, with a jitter that is the same for every restart."`
	MaxWait            *param.Duration `param:"max_wait" doc:"Longest time between two looks when exponential_backoff is set."`
	SilentFail         bool            `param:"silent_fail" default:"false" doc:"Log an error of a look and go on waiting. Such a sensor is never parked: it waits in reschedule mode unless mode says poke."`
	NeverFail          bool            `param:"never_fail" default:"false" doc:"Skip when a look fails, for whatever reason. The timeout still fails. Excludes soft_fail."`
}
