package sqlite

import (
	"context"
	"fmt"
	"time"

	"gust/dag"
	"gust/store"
)

const (
	backfillColumns = `id, dag_id, from_date, to_date, dag_run_conf, is_paused, reprocess_behavior, run_backwards,
		max_active_runs, created_at, completed_at`

	backfillInsertSQL = `INSERT INTO backfill (` + backfillColumns + `)
		SELECT coalesce(max(id), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL FROM backfill RETURNING id`

	backfillGetSQL   = `SELECT ` + backfillColumns + ` FROM backfill WHERE id = ?1`
	backfillOpenSQL  = `SELECT ` + backfillColumns + ` FROM backfill WHERE completed_at IS NULL ORDER BY id`
	backfillListSQL  = `SELECT ` + backfillColumns + ` FROM backfill WHERE ?1 = '' OR dag_id = ?1 ORDER BY id DESC`
	backfillOfDagSQL = `SELECT id FROM backfill WHERE dag_id = ?1 AND completed_at IS NULL`
	backfillPauseSQL = `UPDATE backfill SET is_paused = ?1 WHERE id = ?2 AND completed_at IS NULL`
	backfillDoneSQL  = `UPDATE backfill SET completed_at = ?1 WHERE id = ?2 AND completed_at IS NULL`
	backfillFailSQL  = `UPDATE dag_run SET state = 'failed', end_date = ?1, reason = 'backfill_cancelled'
		WHERE backfill_id = ?2 AND state = 'queued'`
	backfillAssignSQL = `UPDATE dag_run SET backfill_id = ?1 WHERE dag_id = ?2 AND run_id = ?3`
)

// BackfillCreate implements store.Backfills.
func (s *Store) BackfillCreate(ctx context.Context, b *store.Backfill, runs []dag.Run, again []store.ClearTask) error {
	return s.write(ctx, "create backfill", func(t *transaction) error {
		open, err := t.first(backfillOfDagSQL, b.DagID)
		if err != nil {
			return err
		}
		if open != nil {
			return fmt.Errorf("backfill %d of dag %s %w and is not completed", open.int(0), b.DagID, store.ErrExists)
		}
		id, err := t.first(backfillInsertSQL, b.DagID, micros(b.From), micros(b.To), jsonText(b.Conf), flag(b.IsPaused),
			string(b.Reprocess), flag(b.RunBackwards), int64(b.MaxActiveRuns), micros(b.CreatedAt))
		if err != nil {
			return fmt.Errorf("backfill of dag %s: %w", b.DagID, err)
		}
		b.ID = int64(id.int(0))
		for i := range runs {
			run := runs[i]
			run.BackfillID = b.ID
			if err := t.insertRun(&run); err != nil {
				return err
			}
		}
		return t.runAgain(again, b)
	})
}

// runAgain clears existing runs for a backfill.
func (t *transaction) runAgain(tasks []store.ClearTask, b *store.Backfill) error {
	runs := map[dag.RunKey]bool{}
	for _, c := range tasks {
		if err := t.clearTask(c, b.CreatedAt); err != nil {
			return err
		}
		runs[c.Key.Run()] = true
	}
	for key := range runs {
		if err := t.reopenRun(key, b.LatestVersion); err != nil {
			return err
		}
		if _, err := t.exec(backfillAssignSQL, b.ID, key.DagID, key.RunID); err != nil {
			return err
		}
	}
	return t.countEdit()
}

// BackfillGet implements store.Backfills.
func (s *Store) BackfillGet(ctx context.Context, id int64) (b *store.Backfill, err error) {
	err = s.read(ctx, "get backfill", func(v view) error {
		b, err = one(ctx, v, fmt.Sprintf("backfill %d", id), decodeBackfill, backfillGetSQL, id)
		return err
	})
	return b, err
}

// BackfillList implements store.Backfills.
func (s *Store) BackfillList(ctx context.Context, dagID string) (out []store.Backfill, err error) {
	err = s.read(ctx, "list backfills", func(v view) error {
		out, err = list(ctx, v, decodeBackfill, backfillListSQL, dagID)
		return err
	})
	return out, err
}

// BackfillSetPaused implements store.Backfills.
func (s *Store) BackfillSetPaused(ctx context.Context, id int64, paused bool) error {
	return s.changeBackfill(ctx, "pause backfill", id, func(t *transaction) (int64, error) {
		return t.exec(backfillPauseSQL, flag(paused), id)
	})
}

// BackfillCancel implements store.Backfills.
func (s *Store) BackfillCancel(ctx context.Context, id int64, at time.Time) error {
	return s.changeBackfill(ctx, "cancel backfill", id, func(t *transaction) (int64, error) {
		n, err := t.exec(backfillDoneSQL, micros(at), id)
		if err == nil && n > 0 {
			_, err = t.exec(backfillFailSQL, micros(at), id)
		}
		return n, err
	})
}

func (s *Store) changeBackfill(
	ctx context.Context, operation string, id int64, change func(*transaction) (int64, error),
) error {
	return s.write(ctx, operation, func(t *transaction) error {
		n, err := change(t)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w, or it is completed", store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("backfill %d: %w", id, err)
		}
		return t.countEdit()
	})
}

func (t *transaction) completeBackfills(ids []int64, at time.Time) error {
	for _, id := range ids {
		t.visible = true
		if _, err := t.exec(backfillDoneSQL, micros(at), id); err != nil {
			return fmt.Errorf("backfill %d: %w", id, err)
		}
	}
	return nil
}

func decodeBackfill(r row) (store.Backfill, error) {
	return store.Backfill{
		ID: int64(r.int(0)), DagID: r.text(1), From: r.time(2), To: r.time(3), Conf: r.json(4), IsPaused: r.int(5) == 1,
		Reprocess: store.ReprocessBehavior(r.text(6)), RunBackwards: r.int(7) == 1, MaxActiveRuns: r.int(8),
		CreatedAt: r.time(9), CompletedAt: r.time(10),
	}, nil
}
