package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"gust/store"
)

const (
	beginSQL    = `BEGIN IMMEDIATE`
	commitSQL   = `COMMIT`
	rollbackSQL = `ROLLBACK`
)

// statement is a prepared statement of the writer's connection, run without database/sql in between: that saves the
// conversion and copying of every argument, a fifth of the cost of an update.
type statement struct {
	prepared driver.Stmt
	exec     driver.StmtExecContext
	query    driver.StmtQueryContext
	args     []driver.NamedValue
}

// transaction is one transaction of the writer.
type transaction struct {
	writer *writer
	driver driver.ConnPrepareContext
	// visible is set when the transaction changes what EngineRefresh reads.
	visible bool
}

func (t *transaction) run(f func(*transaction) error) error {
	if _, err := t.exec(beginSQL); err != nil {
		return err
	}
	err := f(t)
	if err == nil {
		_, err = t.exec(commitSQL)
	}
	if err == nil {
		if t.visible {
			t.writer.commits++
		}
		return nil
	}
	// SQLite itself rolls back on the grave errors (disk full, I/O), also when COMMIT meets them; then this ROLLBACK
	// finds no transaction, and nothing was applied either.
	if _, rollbackErr := t.exec(rollbackSQL); rollbackErr != nil && !noTransaction(rollbackErr) {
		return fmt.Errorf("%w: %w (and the rollback failed: %w)", store.ErrUncertain, err, rollbackErr)
	}
	return err
}

func noTransaction(err error) bool {
	return resultCode(err)&0xff == codeError && strings.Contains(err.Error(), "no transaction is active")
}

// exec runs a statement, prepared once per connection, and returns the number of rows it changed.
func (t *transaction) exec(query string, args ...driver.Value) (int64, error) {
	st, err := t.prepare(query, len(args))
	if err != nil {
		return 0, err
	}
	for i, v := range args {
		st.args[i].Value = v
	}
	result, err := st.exec.ExecContext(context.Background(), st.args)
	clearValues(st.args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// first returns the first row of a query, or nil.
func (t *transaction) first(query string, args ...driver.Value) (row, error) {
	st, err := t.prepare(query, len(args))
	if err != nil {
		return nil, err
	}
	for i, v := range args {
		st.args[i].Value = v
	}
	rows, err := st.query.QueryContext(context.Background(), st.args)
	clearValues(st.args)
	if err != nil {
		return nil, err
	}
	values := make([]driver.Value, len(rows.Columns()))
	err = rows.Next(values)
	closeErr := rows.Close()
	if isEOF(err) {
		return nil, closeErr
	}
	if err = errors.Join(err, closeErr); err != nil {
		return nil, err
	}
	out := make(row, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out, nil
}

func (t *transaction) prepare(query string, args int) (*statement, error) {
	if st, ok := t.writer.statements[query]; ok {
		return st, nil
	}
	st, err := prepare(t.driver, query, args)
	if err == nil {
		t.writer.statements[query] = st
	}
	return st, err
}

func prepare(c driver.ConnPrepareContext, query string, args int) (*statement, error) {
	prepared, err := c.PrepareContext(context.Background(), anonymous(query, args))
	if err != nil {
		return nil, err
	}
	st := &statement{prepared: prepared, args: make([]driver.NamedValue, args)}
	for i := range st.args {
		st.args[i].Ordinal = i + 1
	}
	st.exec, _ = prepared.(driver.StmtExecContext)
	st.query, _ = prepared.(driver.StmtQueryContext)
	if st.exec == nil || st.query == nil {
		return nil, errors.Join(errors.New("the SQLite driver lacks prepared statements with context"), prepared.Close())
	}
	return st, nil
}

// anonymous replaces ?1, ?2, ... by ? when they stand in this order, each once: the driver looks a numbered placeholder
// up by name at every execution. Other queries are left alone.
func anonymous(query string, args int) string {
	var b strings.Builder
	rest, next := query, 1
	for {
		i := strings.IndexByte(rest, '?')
		if i < 0 {
			break
		}
		number := fmt.Sprint(next)
		after, ok := strings.CutPrefix(rest[i+1:], number)
		if !ok || (after != "" && after[0] >= '0' && after[0] <= '9') {
			return query
		}
		b.WriteString(rest[:i+1])
		rest, next = after, next+1
	}
	if next != args+1 {
		return query
	}
	return b.String() + rest
}

func clearValues(args []driver.NamedValue) {
	for i := range args {
		args[i].Value = nil
	}
}

// once runs a statement that is not worth keeping prepared.
func (t *transaction) once(query string) error {
	prepared, err := t.driver.PrepareContext(context.Background(), query)
	if err != nil {
		return err
	}
	_, err = prepared.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	return errors.Join(err, prepared.Close())
}
