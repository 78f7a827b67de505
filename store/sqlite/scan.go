package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
)

// scanner runs queries on a connection without database/sql in between, which halves the cost of a row: for what reads
// very many of them.
type scanner struct {
	driver     driver.ConnPrepareContext
	statements map[string]*statement
}

// scan runs f with a scanner on a connection.
func scan(conn *sql.Conn, f func(sc *scanner) error) error {
	return conn.Raw(func(raw any) (err error) {
		sc := &scanner{driver: raw.(driver.ConnPrepareContext), statements: map[string]*statement{}}
		defer func() {
			for _, st := range sc.statements {
				err = errors.Join(err, st.prepared.Close())
			}
		}()
		return f(sc)
	})
}

// rows calls f with every row of a query. The row is reused; its texts are not.
func (sc *scanner) rows(ctx context.Context, query string, args []driver.Value, f func(row) error) error {
	st := sc.statements[query]
	if st == nil {
		var err error
		if st, err = prepare(sc.driver, query, len(args)); err != nil {
			return err
		}
		sc.statements[query] = st
	}
	for i, v := range args {
		st.args[i].Value = v
	}
	rows, err := st.query.QueryContext(ctx, st.args)
	clearValues(st.args)
	if err != nil {
		return err
	}
	return errors.Join(each(rows, f), rows.Close())
}

func each(rows driver.Rows, f func(row) error) error {
	values := make([]driver.Value, len(rows.Columns()))
	r := make(row, len(values))
	for {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for i, v := range values {
			r[i] = v
		}
		if err := f(r); err != nil {
			return err
		}
	}
}
