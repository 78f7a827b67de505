package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"gust/dag"
	"gust/store"
)

const (
	taskColumns = `dag_id, run_id, task_id, map_index, state, try_number, max_tries, operator, pool, pool_slots,
		priority_weight, queued_dttm, start_date, end_date, first_start_date, not_before, error, trigger_kind,
		trigger_kwargs, trigger_state, trigger_since, trigger_timeout, trigger_length, trigger_event, trigger_error, trigger_clock,
		rendered_map_index, trigger_key, trigger_subject`

	taskValues = `(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
		?23, ?24, ?25, ?26, ?27, ?28, ?29)`

	taskInsertSQL = `INSERT INTO task_instance (` + taskColumns + `) VALUES ` + taskValues

	// A task without a wait is by far the most frequent write: its trigger columns need no arguments.
	taskInsertPlainSQL = `INSERT INTO task_instance (dag_id, run_id, task_id, map_index, state, try_number, max_tries,
		operator, pool, pool_slots, priority_weight, queued_dttm, start_date, end_date, first_start_date, not_before,
		error, rendered_map_index)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)`

	// "IS NOT DISTINCT FROM" compares with NULL, and it keeps SQLite from preparing the statement anew at every
	// execution: for "state = ?" it looks at each bound value, in case a partial index on the state fits.
	taskUpdateSQL = `UPDATE task_instance SET state = ?1, try_number = ?2, max_tries = ?3, operator = ?4, pool = ?5,
		pool_slots = ?6, priority_weight = ?7, queued_dttm = ?8, start_date = ?9, end_date = ?10, first_start_date = ?11,
		not_before = ?12, error = ?13, trigger_kind = ?14, trigger_kwargs = ?15, trigger_state = ?16, trigger_since = ?17,
		trigger_timeout = ?18, trigger_length = ?19, trigger_event = ?20, trigger_error = ?21,
		trigger_clock = ?22, trigger_key = ?23, trigger_subject = ?24, rendered_map_index = ?25
		WHERE dag_id = ?26 AND run_id = ?27 AND task_id = ?28
		AND map_index = ?29 AND state IS NOT DISTINCT FROM ?30 AND try_number = ?31`

	// The wait stays as it is.
	taskUpdateKeepSQL = `UPDATE task_instance SET state = ?1, try_number = ?2, max_tries = ?3, operator = ?4, pool = ?5,
		pool_slots = ?6, priority_weight = ?7, queued_dttm = ?8, start_date = ?9, end_date = ?10, first_start_date = ?11,
		not_before = ?12, error = ?13, trigger_state = coalesce(?14, trigger_state), rendered_map_index = ?15
		WHERE dag_id = ?16 AND run_id = ?17 AND task_id = ?18 AND map_index = ?19
		AND state IS NOT DISTINCT FROM ?20 AND try_number = ?21`

	taskUpdatePlainSQL = `UPDATE task_instance SET state = ?1, try_number = ?2, max_tries = ?3, operator = ?4, pool = ?5,
		pool_slots = ?6, priority_weight = ?7, queued_dttm = ?8, start_date = ?9, end_date = ?10, first_start_date = ?11,
		not_before = ?12, error = ?13, trigger_kind = NULL, trigger_kwargs = NULL, trigger_state = NULL,
		trigger_since = NULL, trigger_timeout = NULL, trigger_length = NULL, trigger_event = NULL, trigger_error = NULL,
		trigger_clock = NULL, trigger_key = NULL, trigger_subject = NULL, rendered_map_index = ?14
		WHERE dag_id = ?15 AND run_id = ?16 AND task_id = ?17 AND map_index = ?18
		AND state IS NOT DISTINCT FROM ?19 AND try_number = ?20`

	taskStateSQL = `SELECT state, try_number FROM task_instance
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4`

	taskDeleteSQL = `DELETE FROM task_instance
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4 AND state IS ?5 AND try_number = ?6`

	historySQL = `INSERT OR REPLACE INTO task_instance_history (` + taskColumns + `) VALUES ` + taskValues

	taskGetSQL = `SELECT ` + taskColumns + `, note FROM task_instance
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4`

	taskListSQL = `SELECT ` + taskColumns + `, note FROM task_instance WHERE dag_id = ?1 AND run_id = ?2 ORDER BY id`

	taskTriesSQL = `SELECT ` + taskColumns + `, '' FROM task_instance_history
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4 ORDER BY try_number`

	taskDeferredSQL = `SELECT ` + taskColumns + `, note FROM task_instance WHERE state = 'deferred'
		ORDER BY trigger_since, id LIMIT ?1`
)

// TaskInstanceGet implements store.TaskInstances.
func (s *Store) TaskInstanceGet(ctx context.Context, key dag.Key) (ti *dag.TaskInstance, err error) {
	err = s.read(ctx, "get task instance", func(v view) error {
		ti, err = one(ctx, v, key.String(), taskOf, taskGetSQL, key.DagID, key.RunID, key.TaskID, key.MapIndex)
		return err
	})
	return ti, err
}

// TaskInstanceList implements store.TaskInstances.
func (s *Store) TaskInstanceList(ctx context.Context, run dag.RunKey) (out []dag.TaskInstance, err error) {
	err = s.read(ctx, "list task instances", func(v view) error {
		out, err = list(ctx, v, taskOf, taskListSQL, run.DagID, run.RunID)
		return err
	})
	return out, err
}

// TaskInstanceTries implements store.TaskInstances.
func (s *Store) TaskInstanceTries(ctx context.Context, key dag.Key) (out []dag.TaskInstance, err error) {
	err = s.read(ctx, "list tries", func(v view) error {
		out, err = list(ctx, v, taskOf, taskTriesSQL, key.DagID, key.RunID, key.TaskID, key.MapIndex)
		return err
	})
	return out, err
}

// DeferredList implements store.TaskInstances.
func (s *Store) DeferredList(ctx context.Context, limit int) (out []dag.TaskInstance, err error) {
	err = s.read(ctx, "list deferred task instances", func(v view) error {
		out, err = list(ctx, v, taskOf, taskDeferredSQL, bounded(limit))
		return err
	})
	return out, err
}

// bounded applies the limits of every list: 100 when nothing is asked for, at most 10,000.
func bounded(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, 10_000)
}

func (t *transaction) insertTask(ti *dag.TaskInstance) error {
	var err error
	if ti.Deferral == nil {
		_, err = t.exec(taskInsertPlainSQL, ti.DagID, ti.RunID, ti.TaskID, int64(ti.MapIndex), stateValue(ti.State),
			int64(ti.TryNumber), int64(ti.MaxTries), ti.Operator, ti.Pool, int64(ti.PoolSlots), int64(ti.Priority),
			micros(ti.QueuedAt), micros(ti.StartDate), micros(ti.EndDate), micros(ti.FirstStart), micros(ti.NotBefore),
			ti.Error, optional(ti.RenderedMapIndex))
	} else {
		err = t.putTask(taskInsertSQL, ti)
	}
	if err == nil {
		return nil
	}
	if taken(err) {
		return fmt.Errorf("task instance %s: %w: %w", ti.Key, store.ErrExists, err)
	}
	return fmt.Errorf("task instance %s: %w", ti.Key, err)
}

// deleteTask deletes a row whose place is taken by mapped instances.
func (t *transaction) deleteTask(c *store.TaskChange) error {
	k := c.Task.Key
	changed, err := t.exec(taskDeleteSQL, k.DagID, k.RunID, k.TaskID, int64(k.MapIndex), stateValue(c.From), int64(c.FromTry))
	if err != nil {
		return fmt.Errorf("task instance %s: %w", k, err)
	}
	if changed == 1 {
		return nil
	}
	return t.taskConflict(c)
}

// putTask runs a statement that takes all of taskColumns.
func (t *transaction) putTask(query string, ti *dag.TaskInstance) error {
	d := deferral(ti)
	_, err := t.exec(query, ti.DagID, ti.RunID, ti.TaskID, int64(ti.MapIndex), stateValue(ti.State),
		int64(ti.TryNumber), int64(ti.MaxTries), ti.Operator, ti.Pool, int64(ti.PoolSlots), int64(ti.Priority),
		micros(ti.QueuedAt), micros(ti.StartDate), micros(ti.EndDate), micros(ti.FirstStart), micros(ti.NotBefore),
		ti.Error, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], optional(ti.RenderedMapIndex), d[9], d[10])
	return err
}

func (t *transaction) updateTask(c *store.TaskChange) error {
	ti := &c.Task
	args := make([]driver.Value, 0, 31)
	args = append(args, stateValue(ti.State), int64(ti.TryNumber), int64(ti.MaxTries), ti.Operator, ti.Pool,
		int64(ti.PoolSlots), int64(ti.Priority), micros(ti.QueuedAt), micros(ti.StartDate), micros(ti.EndDate),
		micros(ti.FirstStart), micros(ti.NotBefore), ti.Error)
	query := taskUpdatePlainSQL
	switch {
	case c.KeepWait:
		query = taskUpdateKeepSQL
		if ti.Deferral != nil {
			args = append(args, jsonText(ti.Deferral.State))
		} else {
			args = append(args, nil)
		}
	case ti.Deferral != nil:
		query = taskUpdateSQL
		d := deferral(ti)
		args = append(args, d[:]...)
	}
	args = append(args, optional(ti.RenderedMapIndex), ti.DagID, ti.RunID, ti.TaskID, int64(ti.MapIndex),
		stateValue(c.From), int64(c.FromTry))
	changed, err := t.exec(query, args...)
	if err != nil {
		return fmt.Errorf("task instance %s: %w", ti.Key, err)
	}
	if changed == 1 {
		return nil
	}
	return t.taskConflict(c)
}

func (t *transaction) taskConflict(c *store.TaskChange) error {
	k := c.Task.Key
	found, err := t.first(taskStateSQL, k.DagID, k.RunID, k.TaskID, int64(k.MapIndex))
	if err != nil {
		return fmt.Errorf("task instance %s: %w", k, err)
	}
	if found == nil {
		return fmt.Errorf("task instance %s: %w: there is no such row, expected %s (try %d)",
			k, store.ErrConflict, c.From, c.FromTry)
	}
	return fmt.Errorf("task instance %s: %w: it is %s (try %d), expected %s (try %d)",
		k, store.ErrConflict, dag.State(found.text(0)), found.int(1), c.From, c.FromTry)
}

// stateValue is a state as stored: NULL for none.
func stateValue(s dag.State) driver.Value { return optional(s) }

// What trigger_clock adds up: the deadline is that of execution_timeout, the deadline has passed.
const (
	clockByExecutionTimeout = 1
	clockTimedOut           = 2
)

// deferral is the trigger_ columns of a task.
func deferral(ti *dag.TaskInstance) (columns [11]driver.Value) {
	if d := ti.Deferral; d != nil {
		columns = [11]driver.Value{
			d.Kind, jsonText(d.Args), jsonText(d.State), micros(d.Since), micros(d.Deadline), nil,
			jsonText(d.Event), optional(d.Failed), clock(d), nil, nil,
		}
		if d.Keyed {
			columns[9] = d.Key
		}
		if d.Subject != 0 {
			columns[10] = int64(d.Subject)
		}
		if d.Timeout != 0 {
			columns[5] = d.Timeout.Microseconds()
		}
	}
	return columns
}

func clock(d *dag.Deferral) int64 {
	var n int64
	if d.ByExecutionTimeout {
		n |= clockByExecutionTimeout
	}
	if d.TimedOut {
		n |= clockTimedOut
	}
	return n
}

func taskOf(r row) (dag.TaskInstance, error) { return decodeTask(r), nil }

func decodeTask(r row) dag.TaskInstance {
	ti := dag.TaskInstance{
		Key:   decodeKey(r),
		State: dag.State(r.text(4)), TryNumber: r.int(5), MaxTries: r.int(6), Operator: r.text(7), Pool: r.text(8),
		PoolSlots: r.int(9), Priority: r.int(10), QueuedAt: r.time(11), StartDate: r.time(12), EndDate: r.time(13),
		FirstStart: r.time(14), NotBefore: r.time(15), Error: r.text(16), RenderedMapIndex: r.text(26), Note: r.text(29),
	}
	if r[17] != nil {
		ti.Deferral = &dag.Deferral{
			Kind: r.text(17), Args: r.json(18), State: r.json(19), Since: r.time(20), Deadline: r.time(21),
			Timeout: r.micros(22), Event: r.json(23), Failed: r.text(24),
			ByExecutionTimeout: r.int(25)&clockByExecutionTimeout != 0, TimedOut: r.int(25)&clockTimedOut != 0,
			Keyed: r[27] != nil, Key: r.text(27), Subject: uint64(r.int(28)),
		}
	}
	return ti
}

func decodeKey(r row) dag.Key {
	return dag.Key{DagID: r.text(0), RunID: r.text(1), TaskID: r.text(2), MapIndex: r.int(3)}
}
