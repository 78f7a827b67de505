package journal

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"
)

// Execution is one execution.
type Execution struct {
	// ID is the row's number; larger ones were started later.
	ID int64
	// ARN and Name identify the execution, MachineARN and MachineName its state machine.
	ARN, Name, MachineARN, MachineName string
	// Machine and Revision are the row numbers of the machine and of the revision it runs.
	Machine, Revision int64
	// Status is AWS's status.
	Status string
	// Started and Stopped are when it began and ended; Stopped is zero while it runs.
	Started, Stopped time.Time
	// Input is the JSON text it was started with.
	Input string
	// Output, Error and Cause are the result.
	Output, Error, Cause *string
	// TraceHeader is passed through.
	TraceHeader *string
	// Wake is when it wants to be woken; zero when it waits for answers only.
	Wake time.Time
	// HasTasks tells that tasks are handed out.
	HasTasks bool
	// LastEvent is the id of the newest history event.
	LastEvent int64
	// Redrives counts redrives, Redriven is when the last was, RedriveTokens is a JSON array of the latest client tokens.
	Redrives      int
	Redriven      time.Time
	RedriveTokens *string
	// State is the interpreter's snapshot; nil when nothing can continue it.
	State []byte
}

// Chunk is a piece of a history: consecutive events as JSON objects, one per line.
type Chunk struct {
	// First and Last are the ids of the first and last event.
	First, Last int64
	// Events are the lines.
	Events []byte
}

const (
	insertExecution = `INSERT INTO executions (id, arn, machine, machine_arn, machine_name, name, revision, status,
		started, stopped, input, output, error, cause, trace_header, wake, tasks, last_event, state)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (arn) DO NOTHING`
	updateExecution = `UPDATE executions SET status=?, stopped=?, output=?, error=?, cause=?, wake=?, tasks=?,
		last_event=?, redrives=?, redriven=?, redrive_tokens=?, state=? WHERE id = ? AND last_event <= ?`
	insertHistory = `INSERT INTO history (execution, first, last, events) VALUES (?,?,?,?)`
)

func (t *tx) addHistory(execution int64, c Chunk) error {
	if len(c.Events) == 0 {
		return nil
	}
	_, err := t.exec(insertHistory, execution, c.First, c.Last, c.Events)
	return err
}

// ExecutionCreate stores a new execution with the beginning of its history. created is false when the ARN is taken;
// then nothing is stored.
func (j *Journal) ExecutionCreate(e *Execution, c Chunk) (created bool, err error) {
	err = j.write(func(t *tx) error {
		created = false
		n, err := t.exec(insertExecution, e.ID, e.ARN, e.Machine, e.MachineARN, e.MachineName, e.Name, e.Revision, e.Status,
			millis(e.Started), optionalMillis(e.Stopped), e.Input, e.Output, e.Error, e.Cause, e.TraceHeader,
			optionalMillis(e.Wake), e.HasTasks, e.LastEvent, e.State)
		if err != nil || n == 0 {
			return err
		}
		created = true
		return t.addHistory(e.ID, c)
	})
	return created && err == nil, err
}

// ExecutionSave stores the new state of an execution and what was added to its history.
func (j *Journal) ExecutionSave(e *Execution, c Chunk) error {
	return j.write(func(t *tx) error {
		n, err := t.exec(updateExecution, e.Status, optionalMillis(e.Stopped), e.Output, e.Error, e.Cause,
			optionalMillis(e.Wake), e.HasTasks, e.LastEvent, e.Redrives, optionalMillis(e.Redriven), e.RedriveTokens, e.State,
			e.ID, e.LastEvent)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		return t.addHistory(e.ID, c)
	})
}

// summaryColumns are those that lists need, without payloads.
const summaryColumns = `id, arn, name, machine_arn, machine_name, machine, revision, status, started, stopped,
	last_event, redrives, redriven`

const selectExecution = `SELECT ` + summaryColumns + `, input, output, error, cause, trace_header, wake, tasks,
	redrive_tokens, state FROM executions `

type executionRow struct {
	Execution
	started                 int64
	stopped, redriven, wake sql.NullInt64
}

func (r *executionRow) summary() []any {
	return []any{&r.ID, &r.ARN, &r.Name, &r.MachineARN, &r.MachineName, &r.Machine, &r.Revision, &r.Status, &r.started,
		&r.stopped, &r.LastEvent, &r.Redrives, &r.redriven}
}

func (r *executionRow) result(err error) (*Execution, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	r.Started, r.Stopped, r.Redriven, r.Wake = fromMillis(r.started), timeOf(r.stopped), timeOf(r.redriven), timeOf(r.wake)
	return &r.Execution, err
}

func (j *Journal) execution(ctx context.Context, where string, key any) (*Execution, error) {
	var r executionRow
	row := j.reader.QueryRowContext(ctx, selectExecution+where, key)
	err := row.Scan(append(r.summary(), &r.Input, &r.Output, &r.Error, &r.Cause, &r.TraceHeader, &r.wake, &r.HasTasks,
		&r.RedriveTokens, &r.State)...)
	return r.result(err)
}

// ExecutionGet returns an execution by its ARN, or ErrNotFound.
func (j *Journal) ExecutionGet(ctx context.Context, arn string) (*Execution, error) {
	return j.execution(ctx, "WHERE arn = ?", arn)
}

// ExecutionByID returns an execution by its number, or ErrNotFound.
func (j *Journal) ExecutionByID(ctx context.Context, id int64) (*Execution, error) {
	return j.execution(ctx, "WHERE id = ?", id)
}

// ExecutionList returns up to limit executions of a machine, newest first, with numbers below before (0: from the
// newest); status restricts them when it is not empty. Payloads are left out.
func (j *Journal) ExecutionList(ctx context.Context, machine int64, status string, before int64, limit int) (
	list []*Execution, err error,
) {
	query := "SELECT " + summaryColumns + " FROM executions WHERE machine = ?"
	args := []any{machine}
	if status != "" {
		query += " AND status = ?"
		args = append(args, status)
	}
	if before > 0 {
		query += " AND id < ?"
		args = append(args, before)
	}
	rows, err := j.reader.QueryContext(ctx, query+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r executionRow
		e, err := r.result(rows.Scan(r.summary()...))
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// OpenExecution is what a restart needs to know about a running execution.
type OpenExecution struct {
	// ID is the execution's number.
	ID int64
	// Wake is when it wants to be woken; zero: never.
	Wake time.Time
	// HasTasks tells that tasks were handed out and must be handed out again.
	HasTasks bool
}

// ExecutionsOpen calls visit with every running execution, of one machine or, with machine 0, of all.
func (j *Journal) ExecutionsOpen(ctx context.Context, machine int64, visit func(OpenExecution)) (err error) {
	query, args := "SELECT id, wake, tasks FROM executions WHERE status = 'RUNNING'", []any{}
	if machine != 0 {
		query, args = query+" AND machine = ?", append(args, machine)
	}
	rows, err := j.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var o OpenExecution
		var wake sql.NullInt64
		if err := rows.Scan(&o.ID, &wake, &o.HasTasks); err != nil {
			return err
		}
		o.Wake = timeOf(wake)
		visit(o)
	}
	return rows.Err()
}

// ExecutionLastID returns the largest execution number, 0 when there is none.
func (j *Journal) ExecutionLastID(ctx context.Context) (id int64, err error) {
	err = j.reader.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM executions").Scan(&id)
	return id, err
}

// ExecutionCounts returns the number of executions by status.
func (j *Journal) ExecutionCounts(ctx context.Context) (counts map[string]int64, err error) {
	rows, err := j.reader.QueryContext(ctx, "SELECT status, COUNT(*) FROM executions GROUP BY status")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	counts = map[string]int64{}
	for rows.Next() {
		var status string
		var n int64
		if err := rows.Scan(&status, &n); err != nil {
			return nil, err
		}
		counts[status] = n
	}
	return counts, rows.Err()
}

// History returns up to limit events, one JSON object each: those with ids from first upwards, or, reversed, from first
// downwards.
func (j *Journal) History(ctx context.Context, execution, first int64, reverse bool, limit int) (
	events [][]byte, err error,
) {
	query := "SELECT first, events FROM history WHERE execution = ? AND last >= ? ORDER BY first"
	if reverse {
		query = "SELECT first, events FROM history WHERE execution = ? AND first <= ? ORDER BY first DESC"
	}
	rows, err := j.reader.QueryContext(ctx, query, execution, first)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for len(events) < limit && rows.Next() {
		var from int64
		var chunk []byte
		if err := rows.Scan(&from, &chunk); err != nil {
			return nil, err
		}
		lines := bytes.Split(bytes.TrimSuffix(chunk, []byte("\n")), []byte("\n"))
		for i := range lines {
			at := i
			if reverse {
				at = len(lines) - 1 - i
			}
			id := from + int64(at)
			if reverse == (id <= first) || id == first {
				if len(events) < limit {
					events = append(events, lines[at])
				}
			}
		}
	}
	return events, rows.Err()
}
