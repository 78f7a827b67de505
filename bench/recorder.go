package main

import (
	"context"
	"fmt"
	"sync"

	"gust/dag"
	"gust/store"
	"gust/store/sqlite"
)

// recorder is an engine's store. It writes down which rows are committed together, and tells when runs have ended.
type recorder struct {
	*sqlite.Store

	mu      sync.Mutex
	batches []store.Changes
	open    int // runs that have not ended
	ended   chan error
}

// EngineCommit commits and takes note.
func (r *recorder) EngineCommit(ctx context.Context, c *store.Changes) error {
	if err := r.Store.EngineCommit(ctx, c); err != nil {
		return err
	}
	r.note(*c)
	return nil
}

// RunCreate creates a run, which is a commit too, and takes note.
func (r *recorder) RunCreate(ctx context.Context, run *dag.Run) error {
	if err := r.Store.RunCreate(ctx, run); err != nil {
		return err
	}
	r.note(store.Changes{Runs: []store.RunChange{{New: true, Run: *run}}})
	return nil
}

func (r *recorder) note(c store.Changes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, c)
	for i := range c.Runs {
		run := &c.Runs[i].Run
		if !run.State.Finished() || r.ended == nil {
			continue
		}
		r.open--
		switch {
		case run.State != dag.RunSuccess:
			r.ended <- fmt.Errorf("run %s of %s: %s (%s)", run.RunID, run.DagID, run.State, run.Reason)
			r.ended = nil
		case r.open == 0:
			r.ended <- nil
			r.ended = nil
		}
	}
}

// expect returns a channel that says when so many runs more have ended: nil, or the first failure.
func (r *recorder) expect(runs int) <-chan error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open, r.ended = runs, make(chan error, 1)
	return r.ended
}

// recorded returns what was committed since the last call.
func (r *recorder) recorded() []store.Changes {
	r.mu.Lock()
	defer r.mu.Unlock()
	batches := r.batches
	r.batches = nil
	return batches
}
