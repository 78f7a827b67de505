package dag

import (
	"crypto/sha1" // Airflow's jitter formula; nothing secret depends on it
	"math"
	"math/big"
	"strconv"
	"time"
)

// NextRetryDelay is how long to wait, from the end of a failed try, before the next one (Airflow: next_retry_datetime).
//
// Without retry_exponential_backoff it is RetryDelay. With a multiplier m it is base + hash mod base seconds, where
// base = ceil(RetryDelay * m^(try-1)), at least 1, and hash is the SHA-1 of "dag_id#task_id#logical_date#try": a jitter
// that differs between tasks and stays the same when it is computed again. The result is below 2*base and at most
// MaxRetryDelay, and at most the task's own MaxRetryDelay when that is set. A zero logicalDate is Python's None.
func (t *Task) NextRetryDelay(dagID string, logicalDate time.Time, failedTry int) time.Duration {
	if t.RetryBackoff <= 0 || math.IsNaN(t.RetryBackoff) {
		return max(0, t.RetryDelay)
	}
	limit := MaxRetryDelay
	if t.MaxRetryDelay > 0 {
		limit = min(limit, t.MaxRetryDelay)
	}
	seconds := math.Ceil(t.RetryDelay.Seconds() * math.Pow(t.RetryBackoff, float64(failedTry-1)))
	if seconds >= MaxRetryDelay.Seconds() {
		return limit
	}
	base := int64(max(1, seconds))
	sum := sha1.Sum([]byte(dagID + "#" + t.ID + "#" + pythonDate(logicalDate) + "#" + strconv.Itoa(failedTry)))
	jitter := new(big.Int).SetBytes(sum[:])
	jitter.Mod(jitter, big.NewInt(base))
	return min(time.Duration(base+jitter.Int64())*time.Second, limit)
}

// pythonDate prints a time as Python's str(datetime) does in UTC: microseconds only when there are any.
func pythonDate(t time.Time) string {
	switch t = t.UTC(); {
	case t.IsZero():
		return "None"
	case t.Nanosecond() >= 1000:
		return t.Format("2006-01-02 15:04:05.000000-07:00")
	default:
		return t.Format("2006-01-02 15:04:05-07:00")
	}
}

// MayRetry reports whether a try that failed is followed by another: retries are left. A final failure (fail without
// retry) is not asked here.
func (ti *TaskInstance) MayRetry() bool { return ti.TryNumber <= ti.MaxTries }
