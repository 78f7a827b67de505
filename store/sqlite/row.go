package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gust/store"
)

// Columns are written and read by hand, without reflection: a value is nil, int64, float64 or string on both ways.

// micros is a time as stored: UTC microseconds, NULL for the zero time.
func micros(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// jsonText is a JSON value as stored, NULL for none.
func jsonText(j json.RawMessage) driver.Value {
	if len(j) == 0 {
		return nil
	}
	return string(j)
}

func optional[S ~string](s S) driver.Value {
	if s == "" {
		return nil
	}
	return string(s)
}

func flag(b bool) driver.Value {
	if b {
		return int64(1)
	}
	return int64(0)
}

// row is one row of a query.
type row []any

func (r row) text(i int) string {
	s, _ := r[i].(string)
	return s
}

func (r row) int(i int) int {
	n, _ := r[i].(int64)
	return int(n)
}

func (r row) real(i int) float64 {
	switch x := r[i].(type) {
	case float64:
		return x
	case int64:
		return float64(x)
	}
	return 0
}

func (r row) flag(i int) bool { return r.int(i) != 0 }

func (r row) time(i int) time.Time {
	if n, ok := r[i].(int64); ok {
		return time.UnixMicro(n).UTC()
	}
	return time.Time{}
}

func (r row) micros(i int) time.Duration { return time.Duration(r.int(i)) * time.Microsecond }

func (r row) json(i int) json.RawMessage {
	if s, ok := r[i].(string); ok {
		return json.RawMessage(s)
	}
	return nil
}

// view is a consistent look at the database: one read transaction.
type view struct {
	reader *reader
	conn   *sql.Conn // of the transaction
	tx     *sql.Tx   // nil: every query sees the latest commit
}

// read runs f with queries that each see the latest commit.
func (s *Store) read(ctx context.Context, operation string, f func(v view) error) error {
	return s.look(ctx, operation, func() error { return f(view{reader: s.reader}) })
}

// snapshot runs f with queries that all see the same commit.
func (s *Store) snapshot(ctx context.Context, operation string, f func(v view) error) error {
	return s.lend(ctx, operation, func(conn *sql.Conn) error {
		tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		err = f(view{reader: s.reader, conn: conn, tx: tx})
		if rollbackErr := tx.Rollback(); err == nil && !errors.Is(rollbackErr, sql.ErrTxDone) {
			err = rollbackErr
		}
		return err
	})
}

// lend runs f with a connection for reading.
func (s *Store) lend(ctx context.Context, operation string, f func(conn *sql.Conn) error) error {
	return s.look(ctx, operation, func() error {
		conn, err := s.reader.connection(ctx)
		if err != nil {
			return err
		}
		err = f(conn)
		if s.reader.pool != nil {
			err = errors.Join(err, conn.Close())
		}
		return err
	})
}

func (s *Store) look(ctx context.Context, operation string, f func() error) error {
	if s.reader.turn != nil {
		if err := s.take(ctx, s.reader.turn); err != nil {
			return fmt.Errorf("store: %s: %w", operation, err)
		}
		defer func() { s.reader.turn <- struct{}{} }()
	}
	return s.translate(operation, ended(ctx, f()))
}

// list reads all rows of a query.
func list[T any](ctx context.Context, v view, decode func(row) (T, error), query string, args ...any) ([]T, error) {
	st, err := v.reader.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if v.tx != nil {
		st = v.tx.StmtContext(ctx, st) //nolint:sqlclosecheck // the transaction closes it
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, targets := make(row, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	var out []T
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		item, err := decode(values)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, rows.Err()
}

// one reads the first row of a query, or ErrNotFound with what was looked for.
func one[T any](
	ctx context.Context, v view, what string, decode func(row) (T, error), query string, args ...any,
) (*T, error) {
	rows, err := list(ctx, v, decode, query, args...)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return &rows[0], nil
}
