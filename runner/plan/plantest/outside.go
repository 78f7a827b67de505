package plantest

import (
	"slices"
	"time"

	"gust/dag"
	"gust/store"
)

// What other processes write, and what tests look at.

// SetPaused pauses or unpauses a DAG, as another process would.
func (s *Store) SetPaused(id string, paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dags[id]
	d.IsPaused = paused
	s.dags[id] = d
}

// Backfill stores a backfill with its runs.
func (s *Store) Backfill(b store.Backfill, runs []dag.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edits++
	b.ID = s.edits
	s.backfills = append(s.backfills, b)
	for _, r := range runs {
		r.BackfillID = b.ID
		s.put(&r)
	}
}

// RequestAsset asks for an event of an asset, as another process would.
func (s *Store) RequestAsset(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.requests = append(s.requests, dag.AssetEvent{ID: s.asked, Name: name, URI: name, Source: dag.Key{MapIndex: -1}})
}

// PauseBackfills pauses all backfills that are not completed, or lets them go on.
func (s *Store) PauseBackfills(paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.backfills {
		s.backfills[i].IsPaused = paused
	}
}

// SetPool creates, changes or, with slots below -1, deletes a pool.
func (s *Store) SetPool(name string, slots int, deferred bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slots < -1 {
		delete(s.pools, name)
		return
	}
	s.pools[name] = store.Pool{Name: name, Slots: slots, IncludeDeferred: deferred}
}

// Clear sets a task back to none, and its run to queued when that has ended, as `tasks clear` does.
func (s *Store) Clear(key dag.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edits++
	t := s.tasks[key]
	t.State, t.MaxTries = dag.StateNone, t.TryNumber+t.MaxTries
	s.tasks[key] = t
	if r := s.runs[key.Run()]; r.State.Finished() {
		r.State, r.StartDate, r.EndDate, r.Reason = dag.RunQueued, time.Time{}, time.Time{}, ""
		s.put(&r)
	}
}

// Run returns a run, Task a task instance, Tries its archived tries, XCom a value, Dag a row; zero when there is none.
func (s *Store) Run(key dag.RunKey) dag.Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[key]
}

// AllRuns lists every run, oldest first.
func (s *Store) AllRuns() []dag.Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sorted("", func(dag.Run) bool { return true })
}

// Task returns a task instance.
func (s *Store) Task(key dag.Key) (dag.TaskInstance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tasks[key]
	return t, ok
}

// Tries returns the archived tries of a task instance.
func (s *Store) Tries(key dag.Key) []dag.TaskInstance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.history[key])
}

// Dag returns the row of a DAG.
func (s *Store) Dag(id string) (store.DagRow, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.dags[id]
	return d, ok
}

// ImportError returns the text of a file's import error, "" when there is none.
func (s *Store) ImportError(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errors[path].Text
}

// Heartbeat returns the latest heartbeat.
func (s *Store) Heartbeat() *store.Heartbeat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beat
}
