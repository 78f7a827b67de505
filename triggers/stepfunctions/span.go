package stepfunctions

import (
	"encoding/json"
	"fmt"
	"time"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/triggers"
)

// span is a wait in time: what every look at something has in common.
type span struct {
	wait *triggers.Wait
	now  time.Time
	// delay is the longest time between two looks, deadline ends the wait; zero is none.
	delay    time.Duration
	deadline time.Time
}

func (s *span) waited() time.Duration { return s.now.Sub(s.wait.Since) }

func (s *span) pastDeadline() bool { return !s.deadline.IsZero() && !s.now.Before(s.deadline) }

func (s *span) bounded(at time.Time) time.Time {
	if !s.deadline.IsZero() && at.After(s.deadline) {
		return s.deadline
	}
	return at
}

// state is what a wait remembers between looks: how many errors it met in a row, and how many of them were unclear.
type state struct {
	Errors  int `json:"errors,omitempty"`
	Unclear int `json:"unclear,omitempty"`
}

// maxUnclear is how many errors in a row that may or may not pass end the wait.
const maxUnclear = 5

// noClient is the trouble of a client that cannot be made.
func noClient(err error) awsconn.Trouble {
	if connections.IsNotFound(err) {
		return awsconn.Final
	}
	return awsconn.Unclear
}

// trouble judges an error: the wait ends with it, or looks again. late ends a wait whose deadline has passed; it gets
// the last thing known.
func (s *span) trouble(kind awsconn.Trouble, err error, late func(what string) triggers.Verdict) triggers.Verdict {
	var past state
	if len(s.wait.State) > 0 {
		if bad := json.Unmarshal(s.wait.State, &past); bad != nil {
			past = state{}
		}
	}
	past.Errors++
	if kind == awsconn.Unclear {
		past.Unclear++
	}
	if kind == awsconn.Final || past.Unclear >= maxUnclear {
		return triggers.Verdict{Err: err}
	}
	if s.pastDeadline() {
		return late("unknown: " + err.Error())
	}
	pause := min(time.Second<<min(past.Errors-1, 6), max(s.delay, 10*time.Second))
	raw, bad := json.Marshal(past)
	if bad != nil {
		return triggers.Verdict{Err: bad}
	}
	v := triggers.Verdict{Again: s.bounded(s.now.Add(pause + s.jitter(pause))), State: raw}
	if past.Errors == 1 || kind == awsconn.Unclear {
		v.Log = fmt.Sprintf("Waiter encountered retriable error: %s. Retrying...", err)
	}
	return v
}

// clear is a state without errors, nil when there is nothing to clear.
func (s *span) clear() json.RawMessage {
	if len(s.wait.State) == 0 {
		return nil
	}
	return json.RawMessage(`{}`)
}

// jitter spreads waits that met the same error together. It is up to half of the pause and depends on the wait alone.
func (s *span) jitter(pause time.Duration) time.Duration {
	var h uint32 = 2166136261
	for _, c := range []byte(s.wait.ID) {
		h = (h ^ uint32(c)) * 16777619
	}
	return time.Duration(float64(pause) / 2 * float64(h) / float64(1<<32))
}
