package triggerer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gust/dag"
)

// TestNextChecks: a wait tells when it is looked at next; what is not held is left out, and a stopped loop knows nothing.
func TestNextChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Minute)})
		held, strange := deferred("t", "k", 0), deferred("stranger", "k", 0)
		b.Park(held)
		began := time.Now()
		time.Sleep(10 * time.Second) // the first look is over
		next := b.NextChecks(t.Context(), []dag.Attempt{held.Attempt(), strange.Attempt()})
		at, ok := next[held.Attempt()]
		if len(next) != 1 || !ok || at.Before(began.Add(50*time.Second)) || at.After(began.Add(70*time.Second)) {
			t.Errorf("parked at %v: %v", began, next)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		b.stop(t)
		if next := b.NextChecks(over, []dag.Attempt{held.Attempt()}); len(next) != 0 {
			t.Errorf("a stopped loop says %v", next)
		}
	})
}
