// Package externaltest holds DAG runs in memory, for tests of what waits for them or starts them.
package externaltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"gust/dag"
)

// Runs answers external.RunStates from memory. The zero value holds nothing.
type Runs struct {
	// Err, when not nil, is the answer to everything.
	Err error

	mu    sync.Mutex
	dags  []*dag.DAG
	runs  []dag.Run
	tasks []dag.TaskInstance
}

// AddDAG adds a DAG.
func (r *Runs) AddDAG(d *dag.DAG) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dags = append(r.dags, d)
}

// SetRun adds a run, or replaces the one with its id.
func (r *Runs) SetRun(run dag.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.index(run.RunKey); i >= 0 {
		r.runs[i] = run
		return
	}
	r.runs = append(r.runs, run)
}

func (r *Runs) index(key dag.RunKey) int {
	return slices.IndexFunc(r.runs, func(run dag.Run) bool { return run.RunKey == key })
}

// SetTask adds a task instance, or replaces it.
func (r *Runs) SetTask(run dag.RunKey, taskID string, state dag.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: taskID, MapIndex: -1}
	for i := range r.tasks {
		if r.tasks[i].Key == key {
			r.tasks[i].State = state
			return
		}
	}
	r.tasks = append(r.tasks, dag.TaskInstance{Key: key, State: state})
}

// List returns the runs.
func (r *Runs) List() []dag.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.runs)
}

// ErrTaken is Create's error.
var ErrTaken = errors.New("taken")

// Create adds a run unless its id is taken.
func (r *Runs) Create(run dag.Run) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.index(run.RunKey) >= 0 {
		return ErrTaken
	}
	r.runs = append(r.runs, run)
	return nil
}

// FindRun implements external.RunStates.
func (r *Runs) FindRun(_ context.Context, dagID string, date time.Time) (*dag.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range r.runs {
		at := run.LogicalDate
		if at.IsZero() {
			at = run.RunAfter
		}
		if run.DagID == dagID && at.Equal(date) {
			return &run, r.Err
		}
	}
	return nil, r.Err
}

// GetRun implements external.RunStates.
func (r *Runs) GetRun(_ context.Context, key dag.RunKey) (*dag.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.index(key); i >= 0 {
		run := r.runs[i]
		return &run, r.Err
	}
	return nil, r.Err
}

// TaskStates implements external.RunStates.
func (r *Runs) TaskStates(_ context.Context, key dag.RunKey) ([]dag.TaskInstance, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []dag.TaskInstance
	for _, ti := range r.tasks {
		if ti.Key.Run() == key {
			out = append(out, ti)
		}
	}
	return out, r.Err
}

// FindDAG implements external.RunStates.
func (r *Runs) FindDAG(_ context.Context, dagID string) (*dag.DAG, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.dags {
		if d.ID == dagID {
			return d, r.Err
		}
	}
	return nil, r.Err
}
