package journal

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"strings"
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
	// HasTasks tells that something was handed out that must be handed out again after a restart.
	HasTasks bool
	// LastEvent is the id of the newest history event.
	LastEvent int64
	// Redrives counts redrives, Redriven is when the last was, RedriveTokens is a JSON array of the latest client tokens.
	Redrives      int
	Redriven      time.Time
	RedriveTokens *string
	// State is the interpreter's snapshot; nil when nothing can continue it.
	State []byte
	// VersionARN and AliasARN are what it was started by, nil when neither; TestCase is the mock test case, nil when none.
	VersionARN, AliasARN, TestCase *string
	// Parent and ParentTask are the execution and task that wait for this one; 0 when none does.
	Parent, ParentTask int64
	// MapRun is the row number of the map run whose child this is, 0 for none; Item is the index of its first item and
	// ItemCount the number of its items.
	MapRun, Item, ItemCount int64
	// PendingRedrive tells that the child waits for its turn in a redriven map run.
	PendingRedrive bool
}

// Chunk is a piece of a history: consecutive events as JSON objects, one per line.
type Chunk struct {
	// First and Last are the ids of the first and last event.
	First, Last int64
	// Events are the lines.
	Events []byte
}

// Offer is an activity task that waits for a worker.
type Offer struct {
	// Activity is the activity's ARN.
	Activity string
	// Execution and Task name the task.
	Execution, Task int64
}

// Change is what a step of an execution adds to what is stored.
type Change struct {
	// Chunk is added to the history.
	Chunk Chunk
	// Offered are new activity tasks, Withdrawn the numbers of tasks that are on offer no longer.
	Offered   []Offer
	Withdrawn []int64
	// MapRuns are map runs that were started or redriven.
	MapRuns []*MapRun
	// ClearParts deletes all parts of the interpreter's snapshot that are stored beside it; then Parts are written, or
	// deleted where they have no data.
	ClearParts bool
	Parts      []Part
}

// Part is a piece of a snapshot that is stored on its own.
type Part struct {
	ID   int64
	Data []byte
}

const (
	insertExecution = `INSERT INTO executions (id, arn, machine, machine_arn, machine_name, name, revision, status,
		started, stopped, input, output, error, cause, trace_header, wake, tasks, last_event, state, version_arn, alias_arn,
		test_case, parent, parent_task, map_run, item, item_count, opening_last, opening)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (arn) DO NOTHING`
	updateExecution = `UPDATE executions SET status=?, stopped=?, output=?, error=?, cause=?, wake=?, tasks=?,
		last_event=?, redrives=?, redriven=?, redrive_tokens=?, state=?, pending_redrive=? WHERE id = ? AND last_event <= ?`
	insertHistory = `INSERT INTO history (execution, first, last, events) VALUES (?,?,?,?)`
	insertOffer   = `INSERT INTO offers (activity, execution, task) VALUES (?,?,?) ON CONFLICT DO NOTHING`
	deleteOffer   = `DELETE FROM offers WHERE execution = ? AND task = ?`
	insertPart    = `INSERT INTO parts (execution, id, data) VALUES (?,?,?) ON CONFLICT DO UPDATE SET data = excluded.data`
	deletePart    = `DELETE FROM parts WHERE execution = ? AND id = ?`
)

func (t *tx) change(execution int64, c *Change) error {
	if len(c.Chunk.Events) > 0 {
		if _, err := t.exec(insertHistory, execution, c.Chunk.First, c.Chunk.Last, c.Chunk.Events); err != nil {
			return err
		}
	}
	for _, o := range c.Offered {
		if _, err := t.exec(insertOffer, o.Activity, execution, o.Task); err != nil {
			return err
		}
	}
	for _, task := range c.Withdrawn {
		if _, err := t.exec(deleteOffer, execution, task); err != nil {
			return err
		}
	}
	for _, m := range c.MapRuns {
		if err := t.startMapRun(execution, m); err != nil {
			return err
		}
	}
	return t.parts(execution, c)
}

func (t *tx) parts(execution int64, c *Change) error {
	if c.ClearParts {
		if _, err := t.exec("DELETE FROM parts WHERE execution = ?", execution); err != nil {
			return err
		}
	}
	for _, p := range c.Parts {
		var err error
		if p.Data == nil {
			_, err = t.exec(deletePart, execution, p.ID)
		} else {
			_, err = t.exec(insertPart, execution, p.ID, p.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ExecutionParts returns the parts that are stored beside the snapshot of an execution.
func (j *Journal) ExecutionParts(ctx context.Context, execution int64) ([]*Part, error) {
	return collect(ctx, j, func(row scanner) (*Part, error) {
		var p Part
		return &p, row.Scan(&p.ID, &p.Data)
	}, "SELECT id, data FROM parts WHERE execution = ?", execution)
}

// optionalID stores 0 as nothing.
func optionalID(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// ExecutionCreate stores a new execution with the beginning of its history. created is false when the ARN is taken;
// then nothing is stored. The history of an execution that has ended already is stored in its row: one row is written in
// place of two, and it will hardly ever be written again.
func (j *Journal) ExecutionCreate(e *Execution, c Change) (created bool, err error) {
	var item, last *int64
	var opening []byte
	if e.MapRun != 0 {
		item = &e.Item
	}
	if !e.Stopped.IsZero() && len(c.Chunk.Events) > 0 {
		opening, last = c.Chunk.Events, &c.Chunk.Last
	}
	err = j.write(func(t *tx) error {
		created = false
		n, err := t.exec(insertExecution, e.ID, e.ARN, e.Machine, e.MachineARN, e.MachineName, e.Name, e.Revision, e.Status,
			millis(e.Started), optionalMillis(e.Stopped), e.Input, e.Output, e.Error, e.Cause, e.TraceHeader,
			optionalMillis(e.Wake), e.HasTasks, e.LastEvent, e.State, e.VersionARN, e.AliasARN, e.TestCase,
			optionalID(e.Parent), optionalID(e.ParentTask), optionalID(e.MapRun), item, optionalID(e.ItemCount), last, opening)
		if err != nil || n == 0 {
			return err
		}
		created = true
		rest := c
		if opening != nil {
			rest.Chunk = Chunk{}
		}
		return t.change(e.ID, &rest)
	})
	return created && err == nil, err
}

// ExecutionSave stores the new state of an execution and what was added to its history.
func (j *Journal) ExecutionSave(e *Execution, c Change) error {
	return j.write(func(t *tx) error {
		n, err := t.exec(updateExecution, e.Status, optionalMillis(e.Stopped), e.Output, e.Error, e.Cause,
			optionalMillis(e.Wake), e.HasTasks, e.LastEvent, e.Redrives, optionalMillis(e.Redriven), e.RedriveTokens, e.State,
			e.PendingRedrive, e.ID, e.LastEvent)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		return t.change(e.ID, &c)
	})
}

// ExecutionDelete removes an execution with its history.
func (j *Journal) ExecutionDelete(id int64) error {
	return j.write(func(t *tx) error {
		if _, err := t.exec("DELETE FROM history WHERE execution = ?", id); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM executions WHERE id = ?", id)
		return err
	})
}

// summaryColumns are those that lists need, without payloads.
const summaryColumns = `id, arn, name, machine_arn, machine_name, machine, revision, status, started, stopped,
	last_event, redrives, redriven, version_arn, alias_arn, map_run, item, item_count, pending_redrive`

const selectExecution = `SELECT ` + summaryColumns + `, input, output, error, cause, trace_header, wake, tasks,
	redrive_tokens, state, test_case, parent, parent_task FROM executions `

type executionRow struct {
	Execution
	started                                     int64
	stopped, redriven, wake                     sql.NullInt64
	mapRun, item, itemCount, parent, parentTask sql.NullInt64
}

func (r *executionRow) summary() []any {
	return []any{&r.ID, &r.ARN, &r.Name, &r.MachineARN, &r.MachineName, &r.Machine, &r.Revision, &r.Status, &r.started,
		&r.stopped, &r.LastEvent, &r.Redrives, &r.redriven, &r.VersionARN, &r.AliasARN, &r.mapRun, &r.item, &r.itemCount,
		&r.PendingRedrive}
}

func (r *executionRow) result(err error) (*Execution, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	r.Started, r.Stopped, r.Redriven, r.Wake = fromMillis(r.started), timeOf(r.stopped), timeOf(r.redriven), timeOf(r.wake)
	r.MapRun, r.Item, r.ItemCount = r.mapRun.Int64, r.item.Int64, r.itemCount.Int64
	r.Parent, r.ParentTask = r.parent.Int64, r.parentTask.Int64
	return &r.Execution, err
}

func (j *Journal) execution(ctx context.Context, where string, keys ...any) (*Execution, error) {
	var r executionRow
	row := j.reader.QueryRowContext(ctx, selectExecution+where, keys...)
	err := row.Scan(append(r.summary(), &r.Input, &r.Output, &r.Error, &r.Cause, &r.TraceHeader, &r.wake, &r.HasTasks,
		&r.RedriveTokens, &r.State, &r.TestCase, &r.parent, &r.parentTask)...)
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

// ExecutionChild returns the execution that a task of another one started and waits for, or ErrNotFound.
func (j *Journal) ExecutionChild(ctx context.Context, parent, task int64) (*Execution, error) {
	return j.execution(ctx, "WHERE parent = ? AND parent_task = ?", parent, task)
}

// ExecutionFilter says which executions a list holds. Fields at their zero value restrict nothing.
type ExecutionFilter struct {
	// Machine or MapRun is the row number of what the executions belong to.
	Machine, MapRun int64
	// Status is AWS's status.
	Status string
	// VersionARN and AliasARN are what the executions were started by.
	VersionARN, AliasARN string
	// Redriven tells whether the executions have been redriven.
	Redriven *bool
	// Before is a row number that all are below.
	Before int64
}

// query builds the condition of a list.
func (f *ExecutionFilter) query() (where string, args []any) {
	var terms []string
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	if f.MapRun != 0 {
		add("map_run = ?", f.MapRun)
	} else {
		add("machine = ?", f.Machine)
	}
	switch {
	case f.Status == "":
	case f.MapRun != 0:
		add("CASE WHEN pending_redrive THEN 'PENDING_REDRIVE' ELSE status END = ?", f.Status)
	default:
		// A text in place of a parameter lets SQLite use the index of the status. Most executions succeed: those have none
		// of their own, because walking through all of the machine finds them.
		add("status = '" + strings.ReplaceAll(f.Status, "'", "''") + "'")
	}
	if f.VersionARN != "" {
		add("version_arn = ?", f.VersionARN)
	}
	if f.AliasARN != "" {
		add("alias_arn = ?", f.AliasARN)
	}
	if f.Redriven != nil {
		add("(redrives > 0) = ?", *f.Redriven)
	}
	if f.Before > 0 {
		add("id < ?", f.Before)
	}
	return strings.Join(terms, " AND "), args
}

// ExecutionList returns up to limit executions, newest first. Payloads are left out.
func (j *Journal) ExecutionList(ctx context.Context, f ExecutionFilter, limit int) (list []*Execution, err error) {
	where, args := f.query()
	rows, err := j.reader.QueryContext(ctx,
		"SELECT "+summaryColumns+" FROM executions WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
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
	// HasTasks tells that something was handed out and must be handed out again.
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
func (j *Journal) ExecutionCounts(ctx context.Context) (map[string]int64, error) {
	// Each number comes from an index; there is none of those that have succeeded, which are the rest.
	row := j.reader.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM executions),
		(SELECT COUNT(*) FROM executions WHERE status = 'RUNNING'), (SELECT COUNT(*) FROM executions WHERE status = 'FAILED'),
		(SELECT COUNT(*) FROM executions WHERE status = 'TIMED_OUT'), (SELECT COUNT(*) FROM executions WHERE status = 'ABORTED')`)
	var all, running, failed, timedOut, aborted int64
	if err := row.Scan(&all, &running, &failed, &timedOut, &aborted); err != nil {
		return nil, err
	}
	counts := map[string]int64{"RUNNING": running, "SUCCEEDED": all - running - failed - timedOut - aborted, "FAILED": failed,
		"TIMED_OUT": timedOut, "ABORTED": aborted}
	maps.DeleteFunc(counts, func(_ string, n int64) bool { return n == 0 })
	return counts, nil
}
