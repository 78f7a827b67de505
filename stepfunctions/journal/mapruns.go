package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// MapRun is a run of a distributed Map.
type MapRun struct {
	// ID is the row's number.
	ID int64
	// ARN identifies the run.
	ARN string
	// Execution is the row number of the execution that it belongs to, Task its number there.
	Execution, Task int64
	// MachineName is the name of the state machine, Label that of the Map, State the state's name.
	MachineName, Label, State string
	// Status is AWS's status.
	Status string
	// Started and Stopped are when it began and ended; Stopped is zero while it runs.
	Started, Stopped time.Time
	// MaxConcurrency, ToleratedCount and ToleratedPercentage are the current bounds.
	MaxConcurrency, ToleratedCount int64
	ToleratedPercentage            float64
	// Items and Children are how many items and child executions there are, Written how many results were written.
	Items, Children, Written int64
	// Redrives counts redrives, Redriven is when the last was.
	Redrives int
	Redriven time.Time
}

// startMapRun stores a map run that begins, or begins again: then its unsuccessful children wait for their redrive.
func (t *tx) startMapRun(execution int64, m *MapRun) error {
	_, err := t.exec(`INSERT INTO map_runs (arn, execution, task, machine_name, label, state, status, started, max_concurrency,
		tolerated_count, tolerated_percentage, items, children, results_written, redrives)
		VALUES (?,?,?,?,?,?,'RUNNING',?,?,?,?,0,0,0,0)
		ON CONFLICT (arn) DO UPDATE SET status = 'RUNNING', stopped = NULL, redrives = ?, redriven = ?`,
		m.ARN, execution, m.Task, m.MachineName, m.Label, m.State, millis(m.Started), m.MaxConcurrency, m.ToleratedCount,
		m.ToleratedPercentage, m.Redrives, millis(m.Started))
	if err == nil && m.Redrives > 0 {
		_, err = t.exec(pendChildren+"(SELECT id FROM map_runs WHERE arn = ?)", m.ARN)
	}
	return err
}

const pendChildren = `UPDATE executions SET pending_redrive = 1 WHERE status IN ('FAILED','TIMED_OUT','ABORTED') AND map_run = `

// MapRunChildrenPend marks the unsuccessful children of a map run as waiting for their redrive.
func (j *Journal) MapRunChildrenPend(id int64) error {
	return j.write(func(t *tx) error {
		_, err := t.exec(pendChildren+"?", id)
		return err
	})
}

const selectMapRun = `SELECT id, arn, execution, task, machine_name, label, state, status, started, stopped, max_concurrency,
	tolerated_count, tolerated_percentage, items, children, results_written, redrives, redriven FROM map_runs `

func scanMapRun(row scanner) (*MapRun, error) {
	var m MapRun
	var started int64
	var stopped, redriven sql.NullInt64
	err := row.Scan(&m.ID, &m.ARN, &m.Execution, &m.Task, &m.MachineName, &m.Label, &m.State, &m.Status, &started, &stopped,
		&m.MaxConcurrency, &m.ToleratedCount, &m.ToleratedPercentage, &m.Items, &m.Children, &m.Written, &m.Redrives, &redriven)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	m.Started, m.Stopped, m.Redriven = fromMillis(started), timeOf(stopped), timeOf(redriven)
	return &m, err
}

// MapRunSave stores what changes about a map run: status, end, bounds and counts.
func (j *Journal) MapRunSave(m *MapRun) error {
	return j.write(func(t *tx) error {
		_, err := t.exec(`UPDATE map_runs SET status = ?, stopped = ?, max_concurrency = ?, tolerated_count = ?,
			tolerated_percentage = ?, items = ?, children = ?, results_written = ? WHERE id = ?`, m.Status, optionalMillis(m.Stopped),
			m.MaxConcurrency, m.ToleratedCount, m.ToleratedPercentage, m.Items, m.Children, m.Written, m.ID)
		return err
	})
}

// MapRunGet returns a map run by its ARN, or ErrNotFound.
func (j *Journal) MapRunGet(ctx context.Context, arn string) (*MapRun, error) {
	return scanMapRun(j.reader.QueryRowContext(ctx, selectMapRun+"WHERE arn = ?", arn))
}

// MapRunByID returns a map run by its number, or ErrNotFound.
func (j *Journal) MapRunByID(ctx context.Context, id int64) (*MapRun, error) {
	return scanMapRun(j.reader.QueryRowContext(ctx, selectMapRun+"WHERE id = ?", id))
}

// MapRunList returns up to limit map runs of an execution, newest first, with row numbers below before (0: from the
// newest).
func (j *Journal) MapRunList(ctx context.Context, execution, before int64, limit int) ([]*MapRun, error) {
	return collect(ctx, j, scanMapRun, selectMapRun+"WHERE execution = ? AND (id < ? OR ? = 0) ORDER BY id DESC LIMIT ?",
		execution, before, before, limit)
}

// Tally counts children of a map run: how many executions and items have a status, and how many of the executions cannot
// be redriven because their history is full.
type Tally struct {
	Status            string
	Executions, Items int64
	Unredrivable      int64
}

// MapRunTally counts the children of a map run by status; those that wait for a redrive count as PENDING_REDRIVE.
// maxEvents is the length of a history at which an execution cannot be redriven.
func (j *Journal) MapRunTally(ctx context.Context, id, maxEvents int64) ([]*Tally, error) {
	return collect(ctx, j, func(row scanner) (*Tally, error) {
		var t Tally
		return &t, row.Scan(&t.Status, &t.Executions, &t.Items, &t.Unredrivable)
	}, `SELECT CASE WHEN pending_redrive THEN 'PENDING_REDRIVE' ELSE status END, COUNT(*), SUM(item_count),
		SUM(status IN ('FAILED','TIMED_OUT','ABORTED') AND last_event >= ?)
		FROM executions WHERE map_run = ? GROUP BY 1`, maxEvents, id)
}

// MapRunChildren calls visit with the children of a map run in the order of their items, payloads included.
func (j *Journal) MapRunChildren(ctx context.Context, id int64, visit func(*Execution) error) (err error) {
	rows, err := j.reader.QueryContext(ctx, selectExecution+"WHERE map_run = ? ORDER BY item", id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r executionRow
		e, err := r.result(rows.Scan(append(r.summary(), &r.Input, &r.Output, &r.Error, &r.Cause, &r.TraceHeader, &r.wake,
			&r.HasTasks, &r.RedriveTokens, &r.State, &r.TestCase, &r.parent, &r.parentTask)...))
		if err != nil {
			return err
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return rows.Err()
}
