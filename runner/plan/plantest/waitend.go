package plantest

import (
	"context"
	"fmt"
	"slices"

	"gust/dag"
	"gust/store"
)

// WaitEndRequest implements store.Edits: asks for the end of a wait, as another process would.
func (s *Store) WaitEndRequest(_ context.Context, e *store.WaitEnd) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tasks[e.Key]; t.State != dag.StateDeferred || t.TryNumber != e.TryNumber {
		return fmt.Errorf("end of the wait of %s: %w", e.Attempt, store.ErrConflict)
	}
	if slices.ContainsFunc(s.waitEnds, func(w store.WaitEnd) bool { return w.Attempt == e.Attempt }) {
		return fmt.Errorf("end of the wait of %s: %w", e.Attempt, store.ErrExists)
	}
	s.ended++
	end := *e
	end.ID = s.ended
	s.waitEnds = append(s.waitEnds, end)
	return nil
}

// requestedEnds are the requested ends of waits with the waits as they are.
func (s *Store) requestedEnds() []store.WaitEnd {
	out := slices.Clone(s.waitEnds)
	for i := range out {
		if t := s.tasks[out[i].Key]; t.State == dag.StateDeferred && t.TryNumber == out[i].TryNumber {
			out[i].Deferral = t.Deferral
		}
	}
	return out
}
