package operators

import (
	"errors"
	"fmt"
	"time"
)

// failure carries the behaviour of an error; it is asked for with the functions below, never by text.
type failure struct {
	err     error
	noRetry bool
	after   time.Duration
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Fail marks an error as final: the task fails without a retry (Airflow: AirflowFailException).
func Fail(err error) error { return &failure{err: err, noRetry: true} }

// Failf is Fail(fmt.Errorf(...)).
func Failf(format string, args ...any) error { return Fail(fmt.Errorf(format, args...)) }

// RetryAfter asks that a retry, if any is left, waits at least d.
func RetryAfter(err error, d time.Duration) error { return &failure{err: err, after: d} }

// NoRetry reports whether err is final.
func NoRetry(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.noRetry
}

// RetryDelay returns the least delay that err asks for.
func RetryDelay(err error) time.Duration {
	var f *failure
	if errors.As(err, &f) {
		return f.after
	}
	return 0
}

// SensorTimeoutError is the error of a sensor whose timeout has passed: failed without retry, skipped with soft_fail.
type SensorTimeoutError struct{ Ran, Timeout time.Duration }

func (e *SensorTimeoutError) Error() string {
	return fmt.Sprintf("Sensor has timed out; run duration of %s seconds exceeds the specified timeout of %s.", seconds(e.Ran), seconds(e.Timeout))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%g", d.Seconds()) }

// DeferralTimeoutError is delivered when a Deferral's timeout passes before its trigger fires (Airflow: TaskDeferralTimeout).
// For an operator it is a failure that may be retried; a sensor's is read as a SensorTimeoutError.
type DeferralTimeoutError struct{ Timeout time.Duration }

func (e *DeferralTimeoutError) Error() string {
	return fmt.Sprintf("Trigger timeout: the task was deferred for more than %s", e.Timeout)
}

// ErrExecutionTimeout is the cause of ctx when execution_timeout passes (Airflow: AirflowTaskTimeout).
var ErrExecutionTimeout = errors.New("execution_timeout exceeded")

// ErrStopping is the cause of ctx when the daemon stops: the attempt goes back and is repeated, no try is used.
var ErrStopping = errors.New("the daemon is stopping")

// ErrKilled is the cause of ctx when the attempt was killed, cleared or marked by a user, or its run timed out.
var ErrKilled = errors.New("killed")

// KilledError is ErrKilled with the reason, for people.
type KilledError struct{ Reason string }

func (e *KilledError) Error() string {
	if e.Reason == "" {
		return ErrKilled.Error()
	}
	return ErrKilled.Error() + ": " + e.Reason
}

// Unwrap makes errors.Is(err, ErrKilled) hold.
func (e *KilledError) Unwrap() error { return ErrKilled }
