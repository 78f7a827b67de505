package sqlconn

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"gust/connections"
)

// Fetch says which rows of a result are wanted.
type Fetch int

// Rows that are wanted.
const (
	FetchNone Fetch = iota
	FetchOne
	FetchAll
)

// maxResult bounds the values of one result, in bytes of text: rows are kept in memory and in the database of runs.
const maxResult = 64 << 20

// Request is what to run: statements, one after the other on one database connection.
type Request struct {
	Statements []string
	// Params are bound to each statement: nil, []any or map[string]any.
	Params any
	// Autocommit makes each statement permanent by itself. Otherwise all of them are one transaction.
	Autocommit bool
	Fetch      Fetch
	// Log, when not nil, is told each statement before it runs.
	Log func(line string)
}

// Result is what a statement returned.
type Result struct {
	Columns []string
	// Rows are nil when the statement returns none by its nature (an INSERT), or none were wanted.
	Rows [][]any
}

// Split cuts a text into statements, as the target's database reads it.
func (p *Pool) Split(ctx context.Context, r connections.Resolver, t Target, text string) ([]string, error) {
	conn, err := r.Connection(ctx, t.ConnID)
	if err != nil {
		return nil, err
	}
	dialect, err := DialectOf(conn)
	if err != nil {
		return nil, err
	}
	return Split(dialect, text), nil
}

// Run runs the statements and returns one result for each. When ctx ends, the running statement is cancelled in the
// database, the transaction is rolled back, and the error is ctx's cause.
func (p *Pool) Run(ctx context.Context, r connections.Resolver, t Target, req Request) ([]Result, error) {
	c, err := p.acquire(ctx, r, t)
	if err != nil {
		return nil, err
	}
	defer p.release(c)
	s := &session{client: c, req: req}
	results, err := s.run(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%s connection %q: the statement was cancelled: %w", c.dialect, c.connID, context.Cause(ctx))
	}
	return results, err
}

// session is one use of a database connection.
type session struct {
	*client
	req  Request
	conn *sql.Conn
	size int
}

func (s *session) run(ctx context.Context) (results []Result, err error) {
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return nil, s.failed("", err)
	}
	reusable := false
	defer func() {
		if !reusable {
			// What was left in the session (settings, temporary tables, locks) must not meet another task.
			_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		_ = s.conn.Close() // returns or drops it
	}()
	guarded, done, err := s.guard(ctx)
	if err != nil {
		return nil, s.failed("", err)
	}
	defer done()
	own := controlsTransaction(s.dialect, s.req.Statements) // begun by a statement, and perhaps left open
	transaction := !s.req.Autocommit && (len(s.req.Statements) > 1 || own)
	if transaction && !own {
		if err := s.command(guarded, "BEGIN"); err != nil {
			return nil, err
		}
	}
	for _, statement := range s.req.Statements {
		res, err := s.statement(guarded, statement)
		if err == nil {
			err = ctx.Err() // MySQL's SLEEP ends without an error when it is killed
		}
		if err != nil {
			s.rollback(ctx)
			return nil, err
		}
		results = append(results, res)
	}
	if transaction {
		err := s.command(guarded, "COMMIT")
		if own && err != nil && strings.Contains(err.Error(), "no transaction is active") {
			err = nil // SQLite alone minds
		}
		if err != nil {
			s.rollback(ctx)
			return nil, err
		}
	}
	reusable = s.dialect == SQLite && s.db.Stats().MaxOpenConnections == 1 || plainOnly(s.dialect, s.req.Statements)
	return results, nil
}

func (s *session) command(ctx context.Context, command string) error {
	if _, err := s.conn.ExecContext(ctx, command); err != nil {
		return s.failed(command, err)
	}
	return nil
}

// rollbackTimeout bounds the clean-up after an error.
const rollbackTimeout = 5 * time.Second

// rollback undoes what is open. Its own failure means that there is nothing open, or no connection any more.
func (s *session) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_, _ = s.conn.ExecContext(ctx, "ROLLBACK")
}

func (s *session) statement(ctx context.Context, statement string) (res Result, err error) {
	text, args, err := s.bind(statement)
	if err != nil {
		return Result{}, err
	}
	if s.req.Log != nil {
		line := "Running statement: " + statement
		if s.req.Params != nil {
			line += fmt.Sprintf(", parameters: %v", s.req.Params)
		}
		s.req.Log(line)
	}
	res, err = s.query(ctx, text, args)
	var tooLarge *tooLargeError
	if err != nil && !errors.As(err, &tooLarge) {
		err = s.failed(statement, err)
	}
	return res, err
}

func (s *session) query(ctx context.Context, text string, args []any) (res Result, err error) {
	rows, err := s.conn.QueryContext(ctx, text, args...)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = cmp.Or(err, rows.Close(), rows.Err()) }()
	return s.fetch(rows)
}

// bind leaves a statement without placeholders alone when it is one of several: the parameters are for the others.
func (s *session) bind(statement string) (string, []any, error) {
	list, isList := s.req.Params.([]any)
	if isList && len(list) > 0 && len(s.req.Statements) > 1 {
		if _, args, err := Bind(s.dialect, statement, []any{}); err == nil && len(args) == 0 {
			return Bind(s.dialect, statement, []any{})
		}
	}
	return Bind(s.dialect, statement, s.req.Params)
}

// fetch reads the wanted rows, and lets the others pass, so that every error of the statement is met.
func (s *session) fetch(rows *sql.Rows) (Result, error) {
	var res Result
	for {
		columns, err := rows.Columns()
		if err != nil {
			return Result{}, err
		}
		wanted := s.req.Fetch != FetchNone && len(columns) > 0 && res.Rows == nil
		if wanted {
			res.Columns, res.Rows = columns, [][]any{}
		}
		if err := s.read(rows, &res, wanted); err != nil {
			return Result{}, err
		}
		if s.req.Fetch == FetchOne && res.Rows != nil || !rows.NextResultSet() {
			return res, nil
		}
	}
}

func (s *session) read(rows *sql.Rows, res *Result, wanted bool) error {
	var names []string
	if wanted {
		types, err := rows.ColumnTypes()
		if err != nil {
			return err
		}
		for _, t := range types {
			names = append(names, strings.ToUpper(strings.TrimPrefix(t.DatabaseTypeName(), "UNSIGNED ")))
		}
	}
	for rows.Next() {
		if !wanted {
			continue
		}
		values := make([]any, len(names))
		targets := make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i, v := range values {
			values[i] = jsonValue(s.dialect, names[i], v)
			s.size += sizeOf(values[i])
		}
		if s.size > maxResult {
			return &tooLargeError{}
		}
		res.Rows = append(res.Rows, values)
		if s.req.Fetch == FetchOne {
			return nil
		}
	}
	return rows.Err()
}

// tooLargeError says that a result is too large to be kept.
type tooLargeError struct{}

func (*tooLargeError) Error() string {
	return fmt.Sprintf("the result has more than %d MiB; select less, fetch one row, or set the handler to none and leave "+
		"the rows in the database", maxResult>>20)
}

// sizeOf is about how much memory a value takes.
func sizeOf(v any) int {
	const fixed = 16
	if text, ok := v.(string); ok {
		return fixed + len(text)
	}
	if raw, ok := v.([]byte); ok {
		return fixed + len(raw)
	}
	return fixed
}

// first is a statement's first word in upper case.
func first(dialect Dialect, statement string) string { return scanner{dialect, statement}.after(0) }

// controlsTransaction reports whether the statements begin and end transactions themselves.
func controlsTransaction(dialect Dialect, statements []string) bool {
	for _, s := range statements {
		switch first(dialect, s) {
		case "BEGIN", "START", "COMMIT", "ROLLBACK", "END":
			return true
		}
	}
	return false
}

// plainOnly reports whether nothing but queries and changes of data was run, which leave nothing in the session.
func plainOnly(dialect Dialect, statements []string) bool {
	for _, s := range statements {
		switch first(dialect, s) {
		case "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "VALUES", "WITH", "SHOW", "EXPLAIN", "TABLE":
		default:
			return false
		}
		lower := strings.ToLower(s)
		for _, trace := range [...]string{"set_config", "advisory", "get_lock", ":=", "last_insert_id", "into"} {
			if trace == "into" && first(dialect, s) != "SELECT" {
				continue // SELECT INTO makes a table or a variable, INSERT INTO does not
			}
			if strings.Contains(lower, trace) {
				return false
			}
		}
	}
	return true
}
