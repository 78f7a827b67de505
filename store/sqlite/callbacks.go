package sqlite

import (
	"encoding/json"
	"fmt"

	"gust/dag"
	"gust/store"
)

const (
	callbackInsertSQL = `INSERT INTO callback (id, dag_id, run_id, task_id, map_index, try_number, data, reason, created_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`
	callbackDeleteSQL = `DELETE FROM callback WHERE id = ?1`
	callbackListSQL   = `SELECT dag_id, run_id, task_id, map_index, try_number, data, reason, created_at, id FROM callback ORDER BY id`
)

func (t *transaction) putCallbacks(c *store.Changes) error {
	for i := range c.Callbacks {
		r := &c.Callbacks[i]
		data, err := json.Marshal(r.Callback)
		if err != nil {
			return fmt.Errorf("callback of %s: %w", r.Key, err)
		}
		_, err = t.exec(callbackInsertSQL, r.ID, r.DagID, r.RunID, r.TaskID, int64(r.MapIndex), int64(r.TryNumber), string(data),
			r.Reason, micros(r.At))
		if err != nil {
			return fmt.Errorf("callback of %s: %w", r.Key, err)
		}
	}
	for _, id := range c.CallbacksDone {
		if _, err := t.exec(callbackDeleteSQL, id); err != nil {
			return fmt.Errorf("callback %d: %w", id, err)
		}
	}
	return nil
}

func decodeCallback(r row) (dag.CallbackRequest, error) {
	c := dag.CallbackRequest{Key: decodeKey(r), TryNumber: r.int(4), Reason: r.text(6), At: r.time(7), ID: int64(r.int(8))}
	if err := json.Unmarshal([]byte(r.text(5)), &c.Callback); err != nil {
		return c, fmt.Errorf("callback %d: %w: %w", c.ID, store.ErrCorrupt, err)
	}
	return c, nil
}
