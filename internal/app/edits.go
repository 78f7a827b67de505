package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"gust/dag"
	"gust/runner/edit"
	"gust/store"
)

// ClearRequest says what is cleared.
type ClearRequest struct {
	// DagIDs are the DAGs; RunID limits them to one run, From and Until to logical dates (inclusive; zero means open).
	DagIDs      []string
	RunID       string
	From, Until time.Time
	Options     edit.ClearOptions
	// LatestVersion lets the runs go on with the latest version of their DAG.
	LatestVersion bool
}

// Cleared is what a ClearRequest comes to.
type Cleared struct {
	Tasks []store.ClearTask
	// Instances are the task instances of Tasks as they are now, in the same order.
	Instances []dag.TaskInstance
	edit      *store.Edit
}

// PlanClear finds out what a request clears, and changes nothing.
func (a *App) PlanClear(ctx context.Context, r ClearRequest) (*Cleared, error) {
	out := &Cleared{edit: &store.Edit{At: a.Now().UTC(), LatestVersion: r.LatestVersion}}
	for _, id := range r.DagIDs {
		runs, err := a.runsFor(ctx, id, r)
		if err != nil {
			return nil, err
		}
		for i := range runs {
			run, err := a.editable(ctx, &runs[i])
			if err != nil {
				return nil, err
			}
			tasks := edit.Clear(run, r.Options)
			out.Tasks = append(out.Tasks, tasks...)
			out.Instances = append(out.Instances, instancesOf(run, tasks)...)
		}
	}
	out.edit.Clear = out.Tasks
	return out, nil
}

// instancesOf are the task instances that are cleared.
func instancesOf(run *edit.Run, tasks []store.ClearTask) []dag.TaskInstance {
	byKey := make(map[dag.Key]*dag.TaskInstance, len(run.Tasks))
	for i := range run.Tasks {
		byKey[run.Tasks[i].Key] = &run.Tasks[i]
	}
	out := make([]dag.TaskInstance, len(tasks))
	for i := range tasks {
		out[i] = *byKey[tasks[i].Key]
	}
	return out
}

// Clear carries out what PlanClear found.
func (a *App) Clear(ctx context.Context, c *Cleared) error { return a.apply(ctx, c.edit) }

// maxEditRuns bounds how many runs one command may concern.
const maxEditRuns = 10_000

func (a *App) runsFor(ctx context.Context, dagID string, r ClearRequest) ([]dag.Run, error) {
	if r.RunID != "" {
		run, err := a.Store.RunGet(ctx, dag.RunKey{DagID: dagID, RunID: r.RunID})
		if err != nil {
			return nil, err
		}
		return []dag.Run{*run}, nil
	}
	return a.Store.RunList(ctx, &store.RunListParams{
		DagID: dagID, LogicalFrom: r.From, LogicalUntil: r.Until, Limit: maxEditRuns,
	})
}

// editable loads what there is to know of a run for an edit.
func (a *App) editable(ctx context.Context, run *dag.Run) (*edit.Run, error) {
	tasks, err := a.Store.TaskInstanceList(ctx, run.RunKey)
	if err != nil {
		return nil, err
	}
	out := &edit.Run{Run: *run, Tasks: tasks, DAG: &dag.DAG{ID: run.DagID}}
	if run.DagVersion != "" {
		if out.DAG, err = a.Store.DagVersionGet(ctx, run.DagVersion); err != nil {
			return nil, fmt.Errorf("the version that run %s of DAG %s runs on: %w", run.RunID, run.DagID, err)
		}
	}
	return out, nil
}

func (a *App) apply(ctx context.Context, e *store.Edit) error {
	if len(e.Clear)+len(e.Tasks)+len(e.Runs) == 0 {
		return nil
	}
	e.At = a.Now().UTC()
	if err := a.Store.EditApply(ctx, e); err != nil {
		return err
	}
	a.Wake()
	return nil
}

// PlanMarkTasks finds out what marking tasks of a run with a state changes.
func (a *App) PlanMarkTasks(ctx context.Context, key dag.RunKey, tasks *regexp.Regexp, mapIndex *int, state dag.State) (*store.Edit, error) {
	run, err := a.Store.RunGet(ctx, key)
	if err != nil {
		return nil, err
	}
	r, err := a.editable(ctx, run)
	if err != nil {
		return nil, err
	}
	var keys []dag.Key
	for i := range r.Tasks {
		ti := &r.Tasks[i]
		if tasks.MatchString(ti.TaskID) && (mapIndex == nil || ti.MapIndex == *mapIndex) {
			keys = append(keys, ti.Key)
		}
	}
	return edit.MarkTasks(r, keys, state), nil
}

// PlanMarkRun finds out what ending a run with a state changes.
func (a *App) PlanMarkRun(ctx context.Context, key dag.RunKey, state dag.RunState) (*store.Edit, error) {
	run, err := a.Store.RunGet(ctx, key)
	if err != nil {
		return nil, err
	}
	r, err := a.editable(ctx, run)
	if err != nil {
		return nil, err
	}
	return edit.MarkRun(r, state), nil
}

// Apply carries out an edit that one of the Plan functions has found.
func (a *App) Apply(ctx context.Context, e *store.Edit) error { return a.apply(ctx, e) }

// DagsMatching lists the DAGs of the database whose ids match, sorted.
func (a *App) DagsMatching(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	rows, err := a.Store.DagList(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := range rows {
		if pattern.MatchString(rows[i].DagID) {
			ids = append(ids, rows[i].DagID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// errNoSchedule refuses a backfill of a DAG that no clock schedules.
var errNoSchedule = errors.New("only a DAG with a clock schedule can be backfilled")
