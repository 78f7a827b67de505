package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gust/dag"
	"gust/operators/core"
	"gust/store"
)

// runAccess lets TriggerDagRunOperator and ExternalTaskSensor reach the runs of other DAGs, and nothing else of the store.
type runAccess struct {
	app  *App
	wake func()
}

var _ core.Runs = runAccess{}

// FindRun implements external.RunStates.
func (r runAccess) FindRun(ctx context.Context, dagID string, date time.Time) (*dag.Run, error) {
	runs, err := r.app.Store.RunList(ctx, &store.RunListParams{DagID: dagID, LogicalDate: date, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		runs, err = r.app.Store.RunList(ctx, &store.RunListParams{DagID: dagID, Before: date.Add(time.Microsecond), Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(runs) == 0 || !runs[0].RunAfter.Equal(date) {
			return nil, nil //nolint:nilnil // the contract: no such run
		}
	}
	return &runs[0], nil
}

// GetRun implements external.RunStates.
func (r runAccess) GetRun(ctx context.Context, key dag.RunKey) (*dag.Run, error) {
	run, err := r.app.Store.RunGet(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // the contract: no such run
	}
	return run, err
}

// TaskStates implements external.RunStates.
func (r runAccess) TaskStates(ctx context.Context, key dag.RunKey) ([]dag.TaskInstance, error) {
	return r.app.Store.TaskInstanceList(ctx, key)
}

// FindDAG implements external.RunStates.
func (r runAccess) FindDAG(ctx context.Context, dagID string) (*dag.DAG, error) {
	row, err := r.app.Store.DagGet(ctx, dagID)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Stale {
		return nil, nil //nolint:nilnil // the contract: no such DAG
	}
	if err != nil {
		return nil, err
	}
	return r.app.Store.DagVersionGet(ctx, row.Version)
}

// IsPaused implements core.Runs.
func (r runAccess) IsPaused(ctx context.Context, dagID string) (bool, error) {
	row, err := r.app.Store.DagGet(ctx, dagID)
	if errors.Is(err, store.ErrNotFound) {
		return false, core.ErrNoSuchDAG
	}
	if err != nil {
		return false, err
	}
	return row.IsPaused, nil
}

// TriggerRun implements core.Runs. It writes the row and lets the scheduler of this process look.
func (r runAccess) TriggerRun(ctx context.Context, q core.TriggerRequest) error {
	d, err := r.FindDAG(ctx, q.DagID)
	if err != nil {
		return err
	}
	if d == nil {
		return core.ErrNoSuchDAG
	}
	if err := CheckConf(d, q.Conf); err != nil {
		return err
	}
	run, err := r.app.NewRun(d, TriggerRequest{
		DagID: q.DagID, RunID: q.RunID, Conf: q.Conf, LogicalDate: q.LogicalDate, By: dag.ByOperator,
	})
	if err != nil {
		return err
	}
	if err := r.app.Store.RunCreate(ctx, run); err != nil {
		if errors.Is(err, store.ErrExists) {
			return fmt.Errorf("%w: %w", core.ErrRunExists, err)
		}
		return err
	}
	r.wake()
	return nil
}

// ResetRun implements core.Runs: a finished run is queued again with all its tasks cleared, with Airflow's attempt
// arithmetic (the try number goes on, the retries are granted anew). A run that is still going is refused.
func (r runAccess) ResetRun(ctx context.Context, key dag.RunKey) error {
	run, err := r.app.Store.RunGet(ctx, key)
	if err != nil {
		return err
	}
	if !run.State.Finished() {
		return fmt.Errorf("run %s of DAG %s is %s: only a finished run can be reset", key.RunID, key.DagID, run.State)
	}
	tasks, err := r.app.Store.TaskInstanceList(ctx, key)
	if err != nil {
		return err
	}
	version, err := r.app.Store.DagVersionGet(ctx, run.DagVersion)
	if err != nil {
		return err
	}
	again := *run
	again.State, again.Reason, again.StartDate, again.EndDate = dag.RunQueued, "", time.Time{}, time.Time{}
	again.QueuedAt = r.app.Now().UTC().Truncate(time.Microsecond)
	changes := &store.Changes{Runs: []store.RunChange{{From: run.State, Run: again}}}
	for _, before := range tasks {
		cleared := before
		cleared.State, cleared.Error, cleared.Deferral = dag.StateNone, "", nil
		cleared.StartDate, cleared.EndDate, cleared.QueuedAt = time.Time{}, time.Time{}, time.Time{}
		cleared.FirstStart, cleared.NotBefore = time.Time{}, time.Time{}
		if t := version.Task(before.TaskID); t != nil {
			cleared.MaxTries = before.TryNumber + t.Retries
		}
		changes.Tasks = append(changes.Tasks, store.TaskChange{From: before.State, FromTry: before.TryNumber, Task: cleared})
		if before.TryNumber > 0 {
			changes.History = append(changes.History, before)
		}
	}
	if err := r.app.Store.EngineCommit(ctx, changes); err != nil {
		return err
	}
	r.wake()
	return nil
}
