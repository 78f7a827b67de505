package triggerer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gust/dag"
	"gust/runner/attempt"
	"gust/triggers"
)

var (
	// ErrNotHeld says that the loop holds no wait of this attempt.
	ErrNotHeld = errors.New("the trigger loop does not hold it")
	// ErrStopped says that the loop has stopped.
	ErrStopped = errors.New("the trigger loop does not run")
)

// Shown is what the loop knows about one wait that it holds.
type Shown struct {
	dag.Attempt
	// Doing says where the wait is: "parking" (a sensor is being parked), "waiting", "checking", "finishing".
	Doing string
	// Kind, Key and Place say with which waits it is looked at; Together is how many there are of that key.
	Kind, Key, Place string
	Together         int
	// HasSubject says that news can end the wait.
	HasSubject bool
	// Checks is how often it has been looked at since the loop started. LastCheck is when its key was looked at last.
	Checks               int
	Since, Deadline      time.Time
	LastCheck, NextCheck time.Time
	// Explained is how the checker looks at the waits of the key, and why, in lines for people.
	Explained []string
}

// Show tells about one wait. The error is ErrNotHeld, ErrStopped or that of ctx.
func (l *Loop) Show(ctx context.Context, a dag.Attempt) (*Shown, error) {
	var explainer triggers.Explainer
	shown, err := ask(ctx, l, func() *Shown {
		ref, held := l.slots.find(a)
		if !held {
			return nil
		}
		s := l.slots.at(ref)
		if s.group != nil {
			explainer, _ = s.group.kind.checker.(triggers.Explainer)
		}
		return l.show(a, s)
	})
	if err != nil {
		return nil, err
	}
	if shown == nil {
		return nil, fmt.Errorf("%s: %w", a, ErrNotHeld)
	}
	if explainer != nil {
		attempt.Guard(&err, func() error {
			shown.Explained = explainer.Explain(shown.Key)
			return nil
		})
	}
	return shown, err
}

func (l *Loop) show(a dag.Attempt, s *slot) *Shown {
	out := &Shown{Attempt: a, Doing: s.phase.String(), Checks: int(s.checks), Since: moment(s.since), Deadline: moment(s.deadline)}
	if g := s.group; g != nil {
		out.Kind, out.Key, out.Place, out.Together, out.LastCheck = g.name, g.key, g.place(), g.members, g.lastCheck
		out.HasSubject, out.NextCheck = s.subject != 0, moment(s.due)
	}
	return out
}

// moment is a time as slots keep it, 0 for none.
func moment(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// ask has the loop's goroutine answer a question.
func ask[T any](ctx context.Context, l *Loop, answer func() T) (T, error) {
	answers := make(chan T, 1)
	l.post(func() { answers <- answer() })
	var none T
	select {
	case a := <-answers:
		return a, nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-l.done:
		return none, ErrStopped
	}
}
