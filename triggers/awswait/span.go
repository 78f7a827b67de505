// Package awswait is what the waits for something in AWS have in common: when to look again, how long to bear errors that
// may pass, and how to repeat a call that met one.
package awswait

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/triggers"
)

// Span is a wait in time: what every look at something has in common.
type Span struct {
	Wait *triggers.Wait
	Now  time.Time
	// Delay is the longest time between two looks, Deadline ends the wait; zero is none.
	Delay    time.Duration
	Deadline time.Time
	// Together keeps waits that met the same error together, for a checker that looks at many with one call. Others are
	// spread over time.
	Together bool
}

// Waited is how long the wait has lasted.
func (s *Span) Waited() time.Duration { return s.Now.Sub(s.Wait.Since) }

// PastDeadline reports whether the wait must end.
func (s *Span) PastDeadline() bool { return !s.Deadline.IsZero() && !s.Now.Before(s.Deadline) }

// Bounded is a time of the next look, or the deadline if that comes first.
func (s *Span) Bounded(at time.Time) time.Time {
	if !s.Deadline.IsZero() && at.After(s.Deadline) {
		return s.Deadline
	}
	return at
}

// State is what a wait remembers between looks: the last status, where the checker tells changes of it, how many errors
// it met in a row, and how many of them were unclear.
type State struct {
	Status  string `json:"status,omitempty"`
	Errors  int    `json:"errors,omitempty"`
	Unclear int    `json:"unclear,omitempty"`
}

// maxUnclear is how many errors in a row that may or may not pass end the wait.
const maxUnclear = 5

// NoClient is the trouble of a client that cannot be made.
func NoClient(err error) awsconn.Trouble {
	if connections.IsNotFound(err) {
		return awsconn.Final
	}
	return awsconn.Unclear
}

// Past is what the look before has left; none when that cannot be read.
func (s *Span) Past() State {
	var past State
	if len(s.Wait.State) > 0 {
		if bad := json.Unmarshal(s.Wait.State, &past); bad != nil {
			return State{}
		}
	}
	return past
}

// Trouble judges an error: the wait ends with it, or looks again. late ends a wait whose deadline has passed; it gets
// the last thing known.
func (s *Span) Trouble(kind awsconn.Trouble, err error, late func(what string) triggers.Verdict) triggers.Verdict {
	past := s.Past()
	past.Errors++
	if awsconn.CredentialsExpired(err) {
		kind = awsconn.Passing // what is waited for goes on without them
	}
	if kind == awsconn.Unclear {
		past.Unclear++
	}
	if kind == awsconn.Final || past.Unclear >= maxUnclear {
		return triggers.Verdict{Err: err}
	}
	if s.PastDeadline() {
		return late("unknown: " + err.Error())
	}
	pause := min(time.Second<<min(past.Errors-1, 6), max(s.Delay, 10*time.Second))
	raw, bad := json.Marshal(past)
	if bad != nil {
		return triggers.Verdict{Err: bad}
	}
	if !s.Together {
		pause += s.jitter(pause)
	}
	v := triggers.Verdict{Again: s.Bounded(s.Now.Add(pause)), State: raw}
	if past.Errors == 1 || kind == awsconn.Unclear {
		v.Log = fmt.Sprintf("Waiter encountered retriable error: %s. Retrying...", err)
	}
	return v
}

// Clear is a state without errors, nil when there is nothing to clear.
func (s *Span) Clear() json.RawMessage {
	if len(s.Wait.State) == 0 {
		return nil
	}
	return json.RawMessage(`{}`)
}

// jitter spreads waits that met the same error together. It is up to half of the pause and depends on the wait alone.
func (s *Span) jitter(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) / 2 * Spread(s.Wait.ID))
}

// Spread is a number from 0 up to 1 that depends on a text alone: it spreads over time what would come together.
func Spread(text string) float64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	return float64(h.Sum32()) / (1 << 32)
}
