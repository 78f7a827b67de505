package triggers

import (
	"crypto/sha1"
	"fmt"
	"math/big"
	"time"
)

// Pace says how long to wait before the next look. It is plain data: a trigger carries it in its arguments, so that a
// parked sensor looks at the same times as one on a worker.
type Pace struct {
	// Interval is poke_interval.
	Interval time.Duration `json:"interval"`
	// Exponential turns on Airflow's exponential backoff with its deterministic jitter.
	Exponential bool `json:"exponential,omitempty"`
	// MaxWait caps a backoff step; 0 is no cap.
	MaxWait time.Duration `json:"max_wait,omitempty"`
	// Timeout caps a backoff step at what is left; 0 is no cap.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Seed is what the jitter is hashed from: "{dag_id}#{task_id}#{started_at}".
	Seed string `json:"seed,omitempty"`
	// Start is when the clock began.
	Start time.Time `json:"start,omitzero"`
}

// Next is the time to wait after an unsuccessful look at now. It depends on nothing but the elapsed time, so retries
// and restarts change nothing.
func (p Pace) Next(now time.Time) time.Duration {
	if !p.Exponential {
		return p.Interval
	}
	elapsed := max(now.Sub(p.Start), 0)
	var at, step time.Duration
	for n := 1; at <= elapsed; n++ {
		step = p.Step(n)
		at += step
		if p.MaxWait > 0 && step > p.MaxWait {
			break
		}
	}
	if p.Timeout > 0 {
		step = min(step, max(p.Timeout-elapsed.Truncate(time.Second), time.Second))
	}
	if p.MaxWait > 0 {
		step = min(step, p.MaxWait)
	}
	return step
}

// maxStep bounds a backoff step: about a year, far beyond every timeout and far from overflow.
const maxStep = 365 * 24 * 3600

// Step is the n-th backoff step, counted from 1, before any cap: b plus a jitter in [0,b), where b doubles with n and
// is half the interval at first.
func (p Pace) Step(n int) time.Duration {
	b := int64(p.Interval / 2 / time.Second)
	if n > 1 {
		b = maxStep
		if n-2 < 40 {
			if seconds := p.Interval.Seconds() * float64(int64(1)<<(n-2)); seconds < maxStep {
				b = int64(seconds)
			}
		}
	}
	b = max(b, 1)
	sum := sha1.Sum(fmt.Appendf(nil, "%s#%d", p.Seed, n)) // Airflow's jitter, not a secret
	h := new(big.Int).SetBytes(sum[:])
	jitter := h.Mod(h, big.NewInt(b)).Int64()
	return time.Duration(b+jitter) * time.Second
}

// Stamp prints a time as Python's str(datetime) does; the jitter hashes it.
func Stamp(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02 15:04:05+00:00")
	}
	return t.Format("2006-01-02 15:04:05.000000+00:00")
}
