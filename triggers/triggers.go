// Package triggers is the contract of a wait: what a deferred task waits for, written as data, and how to look at many
// such waits at once. A parked task is a row with a Trigger and, in memory, a heap entry; never a goroutine.
package triggers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Trigger describes a wait. It is stored in the task's row and survives restarts. Args hold no secrets: connections
// are named, never copied.
type Trigger struct {
	Kind string          `json:"kind"` // "stepfunctions.execution", "time", ...
	Args json.RawMessage `json:"args"`
}

// New builds a Trigger from a kind and a value that marshals to a JSON object.
func New(kind string, args any) (Trigger, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return Trigger{}, fmt.Errorf("trigger %s: %w", kind, err)
	}
	return Trigger{Kind: kind, Args: raw}, nil
}

// Wait is one parked wait as a checker sees it.
type Wait struct {
	// ID identifies the wait among those of one Check call and in logs.
	ID   string
	Args json.RawMessage
	// State is what the checker returned with its last Again verdict (nil at first). It survives restarts.
	State json.RawMessage
	// Since is when the task was parked; Checks counts the checks made so far (not across restarts).
	Since  time.Time
	Checks int
	// News is what events have told about the wait's subject, oldest first; only Hear is given any.
	News []json.RawMessage
}

// Verdict is the answer to one Wait. Exactly one of Event, Again, Err is set.
type Verdict struct {
	// Event ends the wait: it is delivered to the task once.
	Event *Event
	// Again asks to be checked again at this time. State, when not nil, replaces the wait's state.
	Again time.Time
	State json.RawMessage
	// Err fails the wait: the task fails with this error and is retried as its retries allow. An error that a later
	// check may not meet (throttling, a lost connection) is an Again instead.
	Err error
	// Log is one line for the task's log, or "".
	Log string
}

// Event is what ended a wait.
type Event struct {
	Payload json.RawMessage `json:"payload"`
	// At is when what was awaited ended, as far as the checker knows; the loop measures by it how soon it noticed.
	At time.Time `json:"-"`
}

// NewEvent builds an event from any value that marshals to JSON.
func NewEvent(payload any) (*Event, error) {
	raw, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("trigger event: %w", err)
	}
	return &Event{Payload: raw}, nil
}

// Checker looks at the waits of one kind.
type Checker interface {
	Kind() string
	// Key groups waits that one Check call may look at together (same connection, region, state machine). Waits with
	// different keys are checked concurrently; those with one key never are. An error fails the wait.
	Key(args json.RawMessage) (string, error)
	// Check looks at every wait once and answers in the same order. It must return when ctx ends; the loop then
	// treats all of them as not looked at. now is the loop's clock.
	Check(ctx context.Context, now time.Time, waits []Wait) []Verdict
}

// Placed is a Checker whose groups reach different services. Groups of one place share the bound on checks at one time,
// so that a slow or throttled service delays nobody but itself. Without it all groups of a kind are at one place.
type Placed interface {
	// Place names the service behind a key: an endpoint, an account and region.
	Place(key string) string
}

// Hearer is a Checker whose waits may also end by news: events that come from outside and name what they are about.
// News are hints. They may be repeated, late, out of order, lost, or about things that nobody waits for; checks go on.
type Hearer interface {
	// Subject names what a wait is about, in the words of the news: the ARN of an execution. "" is nothing.
	Subject(args json.RawMessage) (string, error)
	// Hear judges waits by their News, as Check does, perhaps beside a Check of the same key. Again says when to look
	// next; the loop keeps an earlier time that it has.
	Hear(ctx context.Context, now time.Time, waits []Wait) []Verdict
}

// News is one event from outside about a subject.
type News struct {
	Kind    string // of the triggers that it may concern
	Subject string
	Text    json.RawMessage
}

// Firer is a Checker whose waits a person may end without saying how: as if what they wait for had come.
type Firer interface {
	// Fire is the event of a good end.
	Fire(args json.RawMessage, now time.Time) (*Event, error)
}

// Explainer is a Checker that chooses between ways to look at the waits of a key.
type Explainer interface {
	// Explain tells people how the waits of this key were looked at last and why, in one line each; nil before a look.
	Explain(key string) []string
}

// Registry maps kinds to checkers.
type Registry struct{ checkers map[string]Checker }

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{checkers: map[string]Checker{}} }

// Register adds a checker; a kind registered twice is an error.
func (r *Registry) Register(c Checker) error {
	if _, dup := r.checkers[c.Kind()]; dup {
		return fmt.Errorf("trigger kind %q is registered twice", c.Kind())
	}
	r.checkers[c.Kind()] = c
	return nil
}

// Checker returns the checker of this kind.
func (r *Registry) Checker(kind string) (Checker, error) {
	c, ok := r.checkers[kind]
	if !ok {
		return nil, fmt.Errorf("no trigger of kind %q; known: %v", kind, r.Kinds())
	}
	return c, nil
}

// Kinds lists the registered kinds, sorted.
func (r *Registry) Kinds() []string {
	kinds := make([]string, 0, len(r.checkers))
	for k := range r.checkers {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}
