package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"gust/dag"
	"gust/store"
)

// limit writes recorded batches into SQLite and does nothing else: one connection, one prepared statement for each kind
// of row, the driver called directly. Schema, durability and statements are the store's, so what the engine takes
// longer is what the engine costs.
type limit struct {
	db         *sql.DB
	conn       *sql.Conn
	statements map[string]preparedStatement
}

type preparedStatement interface {
	driver.Stmt
	driver.StmtExecContext
}

const (
	runInsert = `INSERT INTO dag_run (dag_id, run_id, state, run_type, logical_date, run_after, data_interval_start,
		data_interval_end, queued_at, start_date, end_date, conf, triggered_by, dag_hash, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	runUpdate = `UPDATE dag_run SET state = ?, run_type = ?, logical_date = ?, run_after = ?, data_interval_start = ?,
		data_interval_end = ?, queued_at = ?, start_date = ?, end_date = ?, conf = ?, triggered_by = ?, dag_hash = ?,
		reason = ? WHERE dag_id = ? AND run_id = ? AND state IS NOT DISTINCT FROM ?`
	taskInsert = `INSERT INTO task_instance (dag_id, run_id, task_id, map_index, state, try_number, max_tries, operator,
		pool, pool_slots, priority_weight, queued_dttm, start_date, end_date, first_start_date, not_before, error)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	taskUpdate = `UPDATE task_instance SET state = ?, try_number = ?, max_tries = ?, operator = ?, pool = ?,
		pool_slots = ?, priority_weight = ?, queued_dttm = ?, start_date = ?, end_date = ?, first_start_date = ?,
		not_before = ?, error = ?, trigger_kind = NULL, trigger_kwargs = NULL, trigger_state = NULL, trigger_since = NULL,
		trigger_timeout = NULL, trigger_length = NULL, trigger_event = NULL, trigger_error = NULL
		WHERE dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ?
		AND state IS NOT DISTINCT FROM ? AND try_number = ?`
	xcomInsert = `INSERT INTO xcom (dag_id, run_id, task_id, map_index, key, try_number, value, timestamp, previous)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`
)

// openLimit makes a database with the store's schema in an empty folder and opens it bare.
func openLimit(ctx context.Context, dir string) (*limit, error) {
	path := filepath.Join(dir, "gust.db")
	schema, err := openStore(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := schema.Close(); err != nil {
		return nil, err
	}
	const settings = "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=temp_store(MEMORY)"
	db, err := sql.Open("sqlite", "file:"+path+settings)
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &limit{db: db, conn: conn, statements: map[string]preparedStatement{}}, nil
}

func (l *limit) close() error {
	var err error
	for _, st := range l.statements {
		err = errors.Join(err, st.Close())
	}
	return errors.Join(err, l.conn.Close(), l.db.Close())
}

// write commits the batches one after the other and returns how long that took.
func (l *limit) write(ctx context.Context, batches []store.Changes) (took time.Duration, err error) {
	err = l.conn.Raw(func(raw any) error {
		conn, ok := raw.(driver.ConnPrepareContext)
		if !ok {
			return errors.New("the SQLite driver cannot prepare statements")
		}
		start := time.Now()
		for i := range batches {
			if err := l.commit(ctx, conn, &batches[i]); err != nil {
				return err
			}
		}
		took = time.Since(start)
		return nil
	})
	return took, err
}

func (l *limit) commit(ctx context.Context, conn driver.ConnPrepareContext, c *store.Changes) error {
	if len(c.Runs)+len(c.Tasks)+len(c.XComs) == 0 {
		return nil // a heartbeat, or the DAG itself: not the load that is measured
	}
	exec := func(query string, rows int64, args ...driver.Value) error {
		return l.exec(ctx, conn, query, rows, args)
	}
	if err := exec("BEGIN IMMEDIATE", -1); err != nil {
		return err
	}
	for i := range c.Runs {
		if err := writeRun(exec, &c.Runs[i]); err != nil {
			return err
		}
	}
	for i := range c.Tasks {
		if err := writeTask(exec, &c.Tasks[i]); err != nil {
			return err
		}
	}
	for i := range c.XComs {
		x := &c.XComs[i]
		err := exec(xcomInsert, 1, x.DagID, x.RunID, x.TaskID, int64(x.MapIndex), x.Name, int64(x.Try), string(x.Value),
			micros(x.At))
		if err != nil {
			return err
		}
	}
	return exec("COMMIT", -1)
}

func writeRun(exec func(string, int64, ...driver.Value) error, c *store.RunChange) error {
	r := &c.Run
	values := []driver.Value{
		string(r.State), string(r.Type), micros(r.LogicalDate), micros(r.RunAfter), micros(r.IntervalStart),
		micros(r.IntervalEnd), micros(r.QueuedAt), micros(r.StartDate), micros(r.EndDate), nil, string(r.TriggeredBy),
		r.DagVersion, r.Reason,
	}
	if c.New {
		return exec(runInsert, 1, append([]driver.Value{r.DagID, r.RunID}, values...)...)
	}
	return exec(runUpdate, 1, append(values, r.DagID, r.RunID, string(c.From))...)
}

func writeTask(exec func(string, int64, ...driver.Value) error, c *store.TaskChange) error {
	t := &c.Task
	if c.New {
		return exec(taskInsert, 1, t.DagID, t.RunID, t.TaskID, int64(t.MapIndex), state(t.State), int64(t.TryNumber),
			int64(t.MaxTries), t.Operator, t.Pool, int64(t.PoolSlots), int64(t.Priority), micros(t.QueuedAt),
			micros(t.StartDate), micros(t.EndDate), micros(t.FirstStart), micros(t.NotBefore), t.Error)
	}
	return exec(taskUpdate, 1, state(t.State), int64(t.TryNumber), int64(t.MaxTries), t.Operator, t.Pool,
		int64(t.PoolSlots), int64(t.Priority), micros(t.QueuedAt), micros(t.StartDate), micros(t.EndDate), micros(t.FirstStart),
		micros(t.NotBefore), t.Error, t.DagID, t.RunID, t.TaskID, int64(t.MapIndex), state(c.From), int64(c.FromTry))
}

// exec runs a statement, prepared once. It must change so many rows, unless that is negative.
func (l *limit) exec(
	ctx context.Context, conn driver.ConnPrepareContext, query string, rows int64, values []driver.Value,
) error {
	st, ok := l.statements[query]
	if !ok {
		prepared, err := conn.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		if st, ok = prepared.(preparedStatement); !ok {
			return errors.Join(errors.New("the SQLite driver cannot run prepared statements"), prepared.Close())
		}
		l.statements[query] = st
	}
	args := make([]driver.NamedValue, len(values))
	for i, v := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	done, err := st.ExecContext(ctx, args)
	if err != nil || rows < 0 {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != rows {
		return errors.Join(fmt.Errorf("%d rows changed instead of %d by %s with %v", n, rows, query, values), err)
	}
	return nil
}

func micros(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func state(s dag.State) driver.Value {
	if s == dag.StateNone {
		return nil
	}
	return string(s)
}
