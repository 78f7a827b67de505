package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gust/dag"
	"gust/store"
)

const (
	editCountSQL = `UPDATE edit SET number = number + 1`
	editGetSQL   = `SELECT number FROM edit`

	runNoteSQL  = `UPDATE dag_run SET note = ?1 WHERE dag_id = ?2 AND run_id = ?3`
	taskNoteSQL = `UPDATE task_instance SET note = ?1 WHERE dag_id = ?2 AND run_id = ?3 AND task_id = ?4 AND map_index = ?5`

	dagDeleteSQL     = `DELETE FROM dag WHERE dag_id = ?1`
	dagUnfinishedSQL = `SELECT count(*) FROM dag_run WHERE dag_id = ?1 AND (state = 'queued' OR state = 'running')`
	versionUnusedSQL = `DELETE FROM serialized_dag WHERE dag_hash NOT IN (SELECT dag_hash FROM dag_run)
		AND dag_hash NOT IN (SELECT dag_hash FROM dag)`
	backfillDeleteSQL = `DELETE FROM backfill WHERE dag_id = ?1`
)

// EditApply implements store.Edits.
func (s *Store) EditApply(ctx context.Context, e *store.Edit) error {
	return s.write(ctx, "edit", func(t *transaction) error {
		runs := map[dag.RunKey]bool{}
		for _, c := range e.Clear {
			if err := t.clearTask(c, e.At); err != nil {
				return err
			}
			runs[c.Key.Run()] = true
		}
		for _, m := range e.Tasks {
			if err := t.setTask(m, e.At); err != nil {
				return err
			}
		}
		for key := range runs {
			if err := t.reopenRun(key, e.LatestVersion); err != nil {
				return err
			}
		}
		for _, r := range e.Runs {
			if err := t.setRun(r, e.At); err != nil {
				return err
			}
		}
		return t.countEdit()
	})
}

// countEdit tells an active scheduler that rows it holds have changed.
func (t *transaction) countEdit() error {
	t.visible = true
	_, err := t.exec(editCountSQL)
	return err
}

func (t *transaction) task(key dag.Key) (*dag.TaskInstance, error) {
	r, err := t.first(taskGetSQL, key.DagID, key.RunID, key.TaskID, int64(key.MapIndex))
	if err != nil {
		return nil, fmt.Errorf("task instance %s: %w", key, err)
	}
	if r == nil {
		return nil, fmt.Errorf("task instance %s: %w", key, store.ErrNotFound)
	}
	ti := decodeTask(r)
	return &ti, nil
}

func (t *transaction) runRow(key dag.RunKey) (*dag.Run, error) {
	r, err := t.first(runGetSQL, key.DagID, key.RunID)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", runName(key), err)
	}
	if r == nil {
		return nil, fmt.Errorf("%s: %w", runName(key), store.ErrNotFound)
	}
	run, err := decodeRun(r)
	return &run, err
}

// clearTask lets a task instance run again. An attempt in the executor is told to end and then tried again; the
// scheduler sees to that by the state restarting.
func (t *transaction) clearTask(c store.ClearTask, at time.Time) error {
	ti, err := t.task(c.Key)
	if err != nil {
		return err
	}
	change := store.TaskChange{From: ti.State, FromTry: ti.TryNumber}
	switch {
	case ti.State == dag.StateNone:
		return nil
	case ti.State == dag.StateRestarting:
		return nil
	case (ti.State == dag.StateRunning || ti.State == dag.StateQueued) && ti.TryNumber > 0:
		ti.State = dag.StateRestarting
		ti.MaxTries = ti.TryNumber + c.Retries
	default:
		if underWay(ti) {
			if err := t.requestStop(dag.StopRequest(ti, "the task was cleared", at)); err != nil {
				return err
			}
		}
		if ti.TryNumber > 0 {
			old := *ti
			if old.EndDate.IsZero() {
				old.EndDate = at
			}
			if err := t.putTask(historySQL, &old); err != nil {
				return fmt.Errorf("history of %s: %w", old.Attempt(), err)
			}
			ti.MaxTries = ti.TryNumber + c.Retries
		}
		ti.State = dag.StateNone
		ti.QueuedAt, ti.StartDate, ti.EndDate, ti.FirstStart, ti.NotBefore = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
		ti.Deferral, ti.Error, ti.RenderedMapIndex = nil, "", ""
	}
	change.Task = *ti
	return t.updateTask(&change)
}

// underWay reports whether an attempt of the task instance may have something running.
func underWay(ti *dag.TaskInstance) bool {
	switch ti.State {
	case dag.StateScheduled, dag.StateQueued, dag.StateRunning, dag.StateRestarting, dag.StateDeferred, dag.StateUpForReschedule:
		return ti.TryNumber > 0
	}
	return false
}

func (t *transaction) setTask(m store.SetTask, at time.Time) error {
	ti, err := t.task(m.Key)
	if err != nil {
		return err
	}
	// Whoever holds the wait may have to stop what it waits for: it stays readable.
	change := store.TaskChange{From: ti.State, FromTry: ti.TryNumber, KeepWait: ti.State == dag.StateDeferred}
	if underWay(ti) {
		if err := t.requestStop(dag.StopRequest(ti, "the task was marked "+string(m.State), at)); err != nil {
			return err
		}
	}
	ti.State, ti.NotBefore, ti.Deferral = m.State, time.Time{}, nil
	if ti.StartDate.IsZero() {
		ti.StartDate = at
	}
	ti.EndDate = at
	change.Task = *ti
	return t.updateTask(&change)
}

// reopenRun queues a finished run again.
func (t *transaction) reopenRun(key dag.RunKey, latest bool) error {
	run, err := t.runRow(key)
	if err != nil || !run.State.Finished() {
		return err
	}
	change := store.RunChange{From: run.State}
	run.State, run.Reason = dag.RunQueued, ""
	run.StartDate, run.EndDate = time.Time{}, time.Time{}
	run.ClearNumber++
	if latest {
		run.DagVersion = ""
	}
	change.Run = *run
	return t.updateRun(&change)
}

func (t *transaction) setRun(r store.SetRun, at time.Time) error {
	if r.State == dag.RunQueued {
		return t.reopenRun(r.Key, false)
	}
	run, err := t.runRow(r.Key)
	if err != nil {
		return err
	}
	change := store.RunChange{From: run.State}
	run.State, run.Reason = r.State, ""
	if run.StartDate.IsZero() {
		run.StartDate = at
	}
	run.EndDate = at
	change.Run = *run
	return t.updateRun(&change)
}

// RunNoteSet implements store.Edits.
func (s *Store) RunNoteSet(ctx context.Context, key dag.RunKey, note string) error {
	return s.write(ctx, "set note", func(t *transaction) error {
		changed, err := t.exec(runNoteSQL, note, key.DagID, key.RunID)
		return noteSet(runName(key), changed, err)
	})
}

// TaskNoteSet implements store.Edits.
func (s *Store) TaskNoteSet(ctx context.Context, key dag.Key, note string) error {
	return s.write(ctx, "set note", func(t *transaction) error {
		changed, err := t.exec(taskNoteSQL, note, key.DagID, key.RunID, key.TaskID, int64(key.MapIndex))
		return noteSet("task instance "+key.String(), changed, err)
	})
}

func noteSet(what string, changed int64, err error) error {
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// notLastScheduledSQL keeps the latest scheduled run of each DAG, old as it may be: the schedule goes on from it. Without
// it a DAG that catches up would run everything again.
const notLastScheduledSQL = `(run_type <> 'scheduled' OR run_after < (SELECT max(run_after) FROM dag_run AS later
	WHERE later.dag_id = dag_run.dag_id AND later.run_type = 'scheduled'))`

// runsToDelete is the condition on dag_run for what RunsDelete deletes.
func runsToDelete(p *store.RunsDeleteParams) (where string, args []any, err error) {
	conditions := []string{"(state = 'success' OR state = 'failed')"}
	anyOf(&conditions, &args, "dag_id IN", p.DagIDs)
	anyOf(&conditions, &args, "dag_id NOT IN", p.NotDagIDs)
	if p.RunID != "" {
		args = append(args, p.RunID)
		conditions = append(conditions, fmt.Sprintf("run_id = ?%d", len(args)))
	}
	if !p.EndedBefore.IsZero() {
		args = append(args, p.EndedBefore.UnixMicro())
		conditions = append(conditions, fmt.Sprintf("end_date < ?%d", len(args)), notLastScheduledSQL)
	}
	if len(args) == 0 {
		return "", nil, fmt.Errorf("%w: nothing says which runs to delete", store.ErrInvalid)
	}
	return strings.Join(conditions, " AND "), args, nil
}

// maxRunsDelete bounds a transaction that deletes runs or asset events, so that the scheduler is not kept waiting.
const maxRunsDelete = 1000

// RunsDelete implements store.Edits.
func (s *Store) RunsDelete(ctx context.Context, p *store.RunsDeleteParams) (int, error) {
	where, args, err := runsToDelete(p)
	if err != nil {
		return 0, fmt.Errorf("delete runs: %w", err)
	}
	if p.DryRun {
		var n *int
		err := s.read(ctx, "count runs", func(v view) error {
			n, err = one(ctx, v, "count", func(r row) (int, error) { return r.int(0), nil },
				`SELECT count(*) FROM dag_run WHERE `+where, args...)
			return err
		})
		if err != nil {
			return 0, err
		}
		return *n, nil
	}
	limit := p.Limit
	if limit <= 0 || limit > maxRunsDelete {
		limit = maxRunsDelete
	}
	var keys []dag.RunKey
	err = s.read(ctx, "find runs", func(v view) error {
		keys, err = list(ctx, v, func(r row) (dag.RunKey, error) { return dag.RunKey{DagID: r.text(0), RunID: r.text(1)}, nil },
			`SELECT dag_id, run_id FROM dag_run WHERE `+where+fmt.Sprintf(" ORDER BY end_date LIMIT %d", limit), args...)
		return err
	})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	deleted := 0
	err = s.write(ctx, "delete runs", func(t *transaction) error {
		for _, key := range keys {
			n, err := t.deleteRun(key)
			if err != nil {
				return err
			}
			deleted += n
		}
		_, err := t.exec(versionUnusedSQL)
		return err
	})
	return deleted, err
}

// deleteRun deletes a finished run and everything that belongs to it.
func (t *transaction) deleteRun(key dag.RunKey) (int, error) {
	n, err := t.exec(`DELETE FROM dag_run WHERE dag_id = ?1 AND run_id = ?2 AND (state = 'success' OR state = 'failed')`,
		key.DagID, key.RunID)
	if err != nil || n == 0 {
		return 0, err
	}
	for _, query := range []string{
		`DELETE FROM task_instance WHERE dag_id = ?1 AND run_id = ?2`,
		`DELETE FROM task_instance_history WHERE dag_id = ?1 AND run_id = ?2`,
		`DELETE FROM xcom WHERE dag_id = ?1 AND run_id = ?2`,
	} {
		if _, err := t.exec(query, key.DagID, key.RunID); err != nil {
			return 0, fmt.Errorf("%s: %w", runName(key), err)
		}
	}
	return 1, nil
}

// DagDelete implements store.Edits.
func (s *Store) DagDelete(ctx context.Context, dagID string) error {
	for {
		n, err := s.RunsDelete(ctx, &store.RunsDeleteParams{DagIDs: []string{dagID}})
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	return s.write(ctx, "delete dag", func(t *transaction) error {
		left, err := t.first(dagUnfinishedSQL, dagID)
		if err != nil {
			return err
		}
		if n := left.int(0); n > 0 {
			return fmt.Errorf("dag %s: %w: %d of its runs have not ended", dagID, store.ErrConflict, n)
		}
		n, err := t.exec(dagDeleteSQL, dagID)
		if err == nil && n == 0 {
			return fmt.Errorf("dag %s: %w", dagID, store.ErrNotFound)
		}
		if err == nil {
			_, err = t.exec(backfillDeleteSQL, dagID)
		}
		if err == nil {
			_, err = t.exec(versionUnusedSQL)
		}
		if err != nil {
			return fmt.Errorf("dag %s: %w", dagID, err)
		}
		return t.countEdit()
	})
}
