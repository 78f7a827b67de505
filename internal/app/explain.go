package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gust/dag"
	"gust/runner/explain"
	"gust/store"
)

// Explain says why a task instance is in its state, one reason a line; nothing when nothing stands in its way. The task
// need not have an instance yet.
func (a *App) Explain(ctx context.Context, key dag.Key) ([]string, error) {
	run, err := a.Store.RunGet(ctx, key.Run())
	if err != nil {
		return nil, err
	}
	s := &explain.Situation{
		Key: key, Run: *run, Slots: a.Config.Core.Parallelism, Stopped: !a.SchedulerAlive(), Home: a.Config.Home(), Now: a.Now(),
	}
	if s.Tasks, err = a.Store.TaskInstanceList(ctx, run.RunKey); err != nil {
		return nil, err
	}
	if err := a.explainDAG(ctx, s); err != nil {
		return nil, err
	}
	if s.Snapshot, err = a.Store.EngineLoad(ctx); err != nil {
		return nil, err
	}
	if err := a.explainPast(ctx, s); err != nil {
		return nil, err
	}
	if err := a.explainSkips(ctx, s); err != nil {
		return nil, err
	}
	return explain.Task(s), nil
}

// explainDAG finds the version of the run, or, while it has none, the latest.
func (a *App) explainDAG(ctx context.Context, s *explain.Situation) error {
	version := s.Run.DagVersion
	if version == "" {
		row, err := a.Store.DagGet(ctx, s.Run.DagID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		version = row.Version
	}
	d, err := a.Store.DagVersionGet(ctx, version)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the version of run %s of DAG %s: %w", s.Run.RunID, s.Run.DagID, err)
	}
	s.DAG = d
	return nil
}

// explainPast finds the run before this one, when its task looks at it.
func (a *App) explainPast(ctx context.Context, s *explain.Situation) error {
	if s.DAG == nil || s.Run.LogicalDate.IsZero() {
		return nil
	}
	if t := s.DAG.Task(s.Key.TaskID); t == nil || !t.DependsOnPast && !t.WaitForDownstream {
		return nil
	}
	runs, err := a.Store.RunList(ctx, &store.RunListParams{
		DagID: s.Run.DagID, LogicalUntil: s.Run.LogicalDate.Add(-time.Microsecond), Limit: 1,
	})
	if err != nil || len(runs) == 0 {
		return err
	}
	s.Previous = &runs[0]
	s.PreviousTasks, err = a.Store.TaskInstanceList(ctx, runs[0].RunKey)
	return err
}

// explainSkips reads what the tasks before a skipped one have decided.
func (a *App) explainSkips(ctx context.Context, s *explain.Situation) error {
	if s.DAG == nil || s.DAG.Task(s.Key.TaskID) == nil {
		return nil
	}
	for i := range s.Tasks {
		if s.Tasks[i].Key == s.Key && s.Tasks[i].State != dag.StateSkipped {
			return nil
		}
	}
	before := map[string]bool{}
	for _, id := range s.DAG.Ancestors(s.Key.TaskID) {
		before[id] = true
	}
	for i := range s.Tasks {
		if !before[s.Tasks[i].TaskID] {
			continue
		}
		x, err := a.Store.XComGet(ctx, s.Tasks[i].Key, store.SkipKey)
		switch {
		case err == nil:
			s.Skips = append(s.Skips, *x)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	return nil
}
