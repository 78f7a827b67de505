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
	// The scheduler gives its callbacks IDs that count up; those that others ask for count down.
	callbackLeastSQL  = `SELECT min(0, coalesce(min(id), 0)) FROM callback`
	callbackDeleteSQL = `DELETE FROM callback WHERE id = ?1`
	callbackListSQL   = `SELECT dag_id, run_id, task_id, map_index, try_number, data, reason, created_at, id FROM callback ORDER BY id`
)

func (t *transaction) putCallbacks(c *store.Changes) error {
	for i := range c.Callbacks {
		if err := t.putCallback(&c.Callbacks[i]); err != nil {
			return err
		}
	}
	for _, id := range c.CallbacksDone {
		if _, err := t.exec(callbackDeleteSQL, id); err != nil {
			return fmt.Errorf("callback %d: %w", id, err)
		}
	}
	return nil
}

func (t *transaction) putCallback(c *dag.CallbackRequest) error {
	data, err := json.Marshal(c.Callback)
	if err == nil {
		_, err = t.exec(callbackInsertSQL, c.ID, c.DagID, c.RunID, c.TaskID, int64(c.MapIndex), int64(c.TryNumber), string(data),
			c.Reason, micros(c.At))
	}
	if err != nil {
		return fmt.Errorf("callback of %s: %w", c.Key, err)
	}
	return nil
}

// requestStop stores that what an attempt has started is to be stopped. The scheduler finds it when it loads what it
// continues with.
func (t *transaction) requestStop(c dag.CallbackRequest) error {
	least, err := t.first(callbackLeastSQL)
	if err != nil {
		return fmt.Errorf("stop request of %s: %w", c.Key, err)
	}
	c.ID = int64(least.int(0)) - 1
	return t.putCallback(&c)
}

func decodeCallback(r row) (dag.CallbackRequest, error) {
	c := dag.CallbackRequest{Key: decodeKey(r), TryNumber: r.int(4), Reason: r.text(6), At: r.time(7), ID: int64(r.int(8))}
	if err := json.Unmarshal([]byte(r.text(5)), &c.Callback); err != nil {
		return c, fmt.Errorf("callback %d: %w: %w", c.ID, store.ErrCorrupt, err)
	}
	return c, nil
}
