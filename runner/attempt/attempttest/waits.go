package attempttest

import (
	"context"
	"sync"

	"gust/dag"
	"gust/runner/executor"
	"gust/store"
)

// Waits is a store.Waits in memory.
type Waits struct {
	// OnGet, when not nil, is called before each read; its error fails the read.
	OnGet func([]dag.Attempt) error

	mu       sync.Mutex
	rows     map[dag.Attempt]dag.TaskInstance
	archived map[dag.Attempt]bool
}

// Archive keeps the row of an attempt as that of an earlier try, in the state that it had.
func (w *Waits) Archive(a dag.Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.archived == nil {
		w.archived = map[dag.Attempt]bool{}
	}
	w.archived[a] = true
}

// Put stores the row of a task; with a Deferral it is deferred.
func (w *Waits) Put(ti dag.TaskInstance) {
	if ti.Deferral != nil {
		ti.State = dag.StateDeferred
	}
	w.Set(ti)
}

// Set stores the row of a task as it is.
func (w *Waits) Set(ti dag.TaskInstance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows == nil {
		w.rows = map[dag.Attempt]dag.TaskInstance{}
	}
	w.rows[ti.Attempt()] = ti
}

// Row returns the row of an attempt.
func (w *Waits) Row(a dag.Attempt) dag.TaskInstance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rows[a]
}

// Observe takes in a report as the scheduler would.
func (w *Waits) Observe(rep *executor.Report) {
	row := w.Row(rep.Attempt)
	switch {
	case rep.Kind == executor.Parked:
		row.Key, row.TryNumber = rep.Attempt.Key, rep.Attempt.TryNumber
		row.State, row.Deferral = dag.StateDeferred, rep.Deferral
		if row.FirstStart.IsZero() {
			row.FirstStart = rep.At
		}
	case rep.Kind == executor.Noted && row.Deferral != nil:
		d := *row.Deferral
		d.State, row.Deferral = rep.Deferral.State, &d
	default:
		return
	}
	w.Put(row)
}

// WaitsGet implements store.Waits.
func (w *Waits) WaitsGet(_ context.Context, attempts []dag.Attempt) ([]store.Wait, error) {
	if w.OnGet != nil {
		if err := w.OnGet(attempts); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]store.Wait, len(attempts))
	for i, a := range attempts {
		if row, ok := w.rows[a]; ok && row.Deferral != nil {
			out[i] = store.Wait{Task: &row, Parked: !w.archived[a] && row.State == dag.StateDeferred && !row.Deferral.Ended()}
		}
	}
	return out, nil
}
