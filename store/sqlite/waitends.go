package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"

	"gust/dag"
	"gust/store"
)

const (
	waitEndInsertSQL = `INSERT INTO wait_end (dag_id, run_id, task_id, map_index, try_number, event, error, stop, created_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`
	waitEndListSQL = `SELECT id, dag_id, run_id, task_id, map_index, try_number, event, error, stop, created_at
		FROM wait_end ORDER BY id`
	waitEndGetSQL = `SELECT id FROM wait_end
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4 AND try_number = ?5`
	waitEndDeleteSQL = `DELETE FROM wait_end WHERE id = ?1`
)

// WaitEndRequest implements store.Edits.
func (s *Store) WaitEndRequest(ctx context.Context, e *store.WaitEnd) error {
	if (e.Event == nil) == (e.Failed == "") || e.Event != nil && !json.Valid(e.Event) {
		return fmt.Errorf("end of the wait of %s: %w: it needs an event, as JSON, or an error", e.Attempt, store.ErrInvalid)
	}
	return s.write(ctx, "end wait", func(t *transaction) error {
		t.visible = true
		ti, err := t.task(e.Key)
		if err != nil {
			return err
		}
		if ti.State != dag.StateDeferred || ti.TryNumber != e.TryNumber {
			return fmt.Errorf("end of the wait of %s: %w: it is %s, try %d", e.Attempt, store.ErrConflict, ti.State, ti.TryNumber)
		}
		identity := []driver.Value{e.DagID, e.RunID, e.TaskID, int64(e.MapIndex), int64(e.TryNumber)}
		if r, err := t.first(waitEndGetSQL, identity...); err != nil || r != nil {
			if err == nil {
				err = store.ErrExists
			}
			return fmt.Errorf("end of the wait of %s: %w", e.Attempt, err)
		}
		var failed driver.Value
		if e.Event == nil {
			failed = e.Failed
		}
		_, err = t.exec(waitEndInsertSQL, append(identity, jsonText(e.Event), failed, e.Stop, micros(e.At))...)
		return err
	})
}

// loadWaitEnds reads the requested ends together with the waits that they are for.
func loadWaitEnds(ctx context.Context, v view) ([]store.WaitEnd, error) {
	ends, err := list(ctx, v, decodeWaitEnd, waitEndListSQL)
	if err != nil {
		return nil, err
	}
	for i := range ends {
		e := &ends[i]
		ti, err := one(ctx, v, e.Key.String(), taskOf, taskGetSQL, e.DagID, e.RunID, e.TaskID, e.MapIndex)
		switch {
		case errors.Is(err, store.ErrNotFound): // deleted meanwhile
		case err != nil:
			return nil, err
		case ti.State == dag.StateDeferred && ti.TryNumber == e.TryNumber:
			e.Deferral = ti.Deferral
		}
	}
	return ends, nil
}

func decodeWaitEnd(r row) (store.WaitEnd, error) {
	return store.WaitEnd{
		ID: int64(r.int(0)),
		Attempt: dag.Attempt{
			Key: dag.Key{DagID: r.text(1), RunID: r.text(2), TaskID: r.text(3), MapIndex: r.int(4)}, TryNumber: r.int(5),
		},
		Event: r.json(6), Failed: r.text(7), Stop: r.text(8), At: r.time(9),
	}, nil
}

func (t *transaction) deleteWaitEnds(ids []int64) error {
	for _, id := range ids {
		t.visible = true
		if _, err := t.exec(waitEndDeleteSQL, id); err != nil {
			return err
		}
	}
	return nil
}
