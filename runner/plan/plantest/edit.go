package plantest

import (
	"context"
	"fmt"
	"time"

	"gust/dag"
	"gust/store"
)

// EditApply implements store.Edits: clears and marks, as another process would.
func (s *Store) EditApply(_ context.Context, e *store.Edit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range e.Clear {
		if _, ok := s.tasks[c.Key]; !ok {
			return fmt.Errorf("task instance %s: %w", c.Key, store.ErrNotFound)
		}
	}
	for _, m := range e.Tasks {
		if _, ok := s.tasks[m.Key]; !ok {
			return fmt.Errorf("task instance %s: %w", m.Key, store.ErrNotFound)
		}
	}
	for _, r := range e.Runs {
		if _, ok := s.runs[r.Key]; !ok {
			return fmt.Errorf("run %s: %w", r.Key.RunID, store.ErrNotFound)
		}
	}
	s.edits++
	for _, c := range e.Clear {
		s.clearTask(c, e.At)
		s.reopen(c.Key.Run(), e.LatestVersion)
	}
	for _, m := range e.Tasks {
		t := s.tasks[m.Key]
		s.requestStop(&t, "the task was marked "+string(m.State), e.At)
		if t.State != dag.StateDeferred {
			t.Deferral = nil
		}
		t.State, t.NotBefore, t.EndDate = m.State, time.Time{}, e.At
		if t.StartDate.IsZero() {
			t.StartDate = e.At
		}
		s.tasks[m.Key] = t
	}
	for _, r := range e.Runs {
		if r.State == dag.RunQueued {
			s.reopen(r.Key, false)
			continue
		}
		run := s.runs[r.Key]
		run.State, run.Reason, run.EndDate = r.State, "", e.At
		if run.StartDate.IsZero() {
			run.StartDate = e.At
		}
		s.put(&run)
	}
	return nil
}

// clearTask lets a task run again; one that is out is told to end first.
func (s *Store) clearTask(c store.ClearTask, at time.Time) {
	t := s.tasks[c.Key]
	switch t.State {
	case dag.StateNone, dag.StateRestarting:
		return
	case dag.StateQueued, dag.StateRunning:
		if t.TryNumber > 0 {
			t.State, t.MaxTries = dag.StateRestarting, t.TryNumber+c.Retries
			s.tasks[c.Key] = t
			return
		}
	}
	s.requestStop(&t, "the task was cleared", at)
	if t.TryNumber > 0 {
		old := t
		if old.EndDate.IsZero() {
			old.EndDate = at
		}
		s.history[c.Key] = append(s.history[c.Key], old)
		t.MaxTries = t.TryNumber + c.Retries
	}
	s.tasks[c.Key] = dag.TaskInstance{
		Key: t.Key, TryNumber: t.TryNumber, MaxTries: t.MaxTries, Operator: t.Operator, Pool: t.Pool, PoolSlots: t.PoolSlots,
		Priority: t.Priority, Note: t.Note,
	}
}

// requestStop asks for what an attempt has started to be stopped, when there is one that is taken away.
func (s *Store) requestStop(ti *dag.TaskInstance, reason string, at time.Time) {
	switch ti.State {
	case dag.StateScheduled, dag.StateQueued, dag.StateRunning, dag.StateRestarting, dag.StateDeferred, dag.StateUpForReschedule:
		if ti.TryNumber > 0 {
			c := dag.StopRequest(ti, reason, at)
			s.stops--
			c.ID = s.stops
			s.callbacks = append(s.callbacks, c)
		}
	}
}

// TaskInstanceGet implements store.TaskInstances.
func (s *Store) TaskInstanceGet(_ context.Context, key dag.Key) (*dag.TaskInstance, error) {
	t, ok := s.Task(key)
	if !ok {
		return nil, fmt.Errorf("task instance %s: %w", key, store.ErrNotFound)
	}
	return &t, nil
}

// reopen queues a finished run again.
func (s *Store) reopen(key dag.RunKey, latest bool) {
	r := s.runs[key]
	if !r.State.Finished() {
		return
	}
	r.State, r.Reason, r.StartDate, r.EndDate = dag.RunQueued, "", time.Time{}, time.Time{}
	r.ClearNumber++
	if latest {
		r.DagVersion = ""
	}
	s.put(&r)
}
