package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
)

// lentConnector makes a database/sql pool of one connection that stays its owner's.
type lentConnector struct{ lent any }

func (c lentConnector) Connect(context.Context) (driver.Conn, error) {
	conn, ok := c.lent.(sqliteConn)
	if !ok {
		return nil, errors.New("the SQLite driver's connection lacks context methods")
	}
	return lentConn{conn}, nil
}

func (c lentConnector) Driver() driver.Driver { return nil }

// sqliteConn is what the driver's connection implements and database/sql asks for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

type lentConn struct{ sqliteConn }

// Close leaves the connection open for its owner.
func (lentConn) Close() error { return nil }
