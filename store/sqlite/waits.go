package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"gust/dag"
	"gust/store"
)

const waitArchivedSQL = `SELECT ` + taskColumns + `, '' FROM task_instance_history
	WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4 AND try_number = ?5`

// WaitsGet implements store.Waits.
func (s *Store) WaitsGet(ctx context.Context, attempts []dag.Attempt) ([]store.Wait, error) {
	out := make([]store.Wait, len(attempts))
	err := s.lend(ctx, "get waits", func(conn *sql.Conn) error {
		return scan(conn, func(sc *scanner) error { return getWaits(ctx, sc, attempts, out) })
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func getWaits(ctx context.Context, sc *scanner, attempts []dag.Attempt, out []store.Wait) error {
	args := make([]driver.Value, 5)
	for i, a := range attempts {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		args[0], args[1], args[2], args[3], args[4] = a.DagID, a.RunID, a.TaskID, int64(a.MapIndex), int64(a.TryNumber)
		w := &out[i]
		take := func(r row) error {
			if ti := decodeTask(r); ti.TryNumber == a.TryNumber && ti.Deferral != nil {
				w.Task = &ti
			}
			return nil
		}
		if err := sc.rows(ctx, taskGetSQL, args[:4], take); err != nil {
			return err
		}
		if w.Task != nil {
			w.Parked = w.Task.State == dag.StateDeferred && !w.Task.Deferral.Ended()
			continue
		}
		if err := sc.rows(ctx, waitArchivedSQL, args, take); err != nil {
			return err
		}
	}
	return nil
}
