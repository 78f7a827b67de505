package sqlconn

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// killGrace is how long a statement may take to end after the database was asked to cancel it. Then its connection is
// hung up.
const killGrace = 10 * time.Second

// killAgain is the pause between two requests to cancel: one that comes just before a statement begins is lost.
const killAgain = 250 * time.Millisecond

// guard lets the statements of a connection be cancelled in the database. The returned context outlives ctx until the
// database has been asked to; done must be called after the last statement. pgx needs no guard: it asks by itself.
func (s *session) guard(ctx context.Context) (guarded context.Context, done func(), err error) {
	var interrupt func(context.Context)
	switch s.dialect {
	case MySQL:
		interrupt, err = s.mysqlInterrupt(ctx)
	case SQLite:
		interrupt, err = s.sqliteInterrupt()
	default:
	}
	if err != nil || interrupt == nil {
		return ctx, func() {}, err
	}
	guarded, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	over, killed := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		deadline, again := time.NewTimer(killGrace), time.NewTicker(killAgain)
		defer deadline.Stop()
		defer again.Stop()
		for {
			interrupt(guarded)
			select {
			case <-again.C:
			case <-over:
				return
			case <-deadline.C:
				hangUp()
				return
			}
		}
	})
	return guarded, func() {
		close(over)
		if !stop() {
			<-killed
		}
		hangUp()
	}, nil
}

// mysqlInterrupt kills the query from another connection: the driver alone would only hang up, and the server go on. A
// failure is not told; the connection is hung up next.
func (s *session) mysqlInterrupt(ctx context.Context) (func(context.Context), error) {
	var id int64
	if err := s.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, killGrace)
		defer cancel()
		db := sql.OpenDB(s.connector)
		_, _ = db.ExecContext(ctx, fmt.Sprintf("KILL QUERY %d", id))
		_ = db.Close()
	}, nil
}

// sqliteInterrupt calls sqlite3_interrupt. The driver does so itself, but only until a statement's first row: a search
// for the next row could go on for ever. It does not hand out its handle of the database, which is read by reflection;
// should the driver name it otherwise one day, there is no guard (nil) and the driver's own interrupt remains.
func (s *session) sqliteInterrupt() (func(context.Context), error) {
	var handle uintptr
	err := s.conn.Raw(func(conn any) error {
		v := reflect.Indirect(reflect.ValueOf(conn))
		if v.Kind() != reflect.Struct {
			return nil
		}
		if field := v.FieldByName("db"); field.Kind() == reflect.Uintptr {
			handle = uintptr(field.Uint())
		}
		return nil
	})
	if err != nil || handle == 0 {
		return nil, err
	}
	return func(context.Context) {
		tls := libc.NewTLS()
		sqlite3.Xsqlite3_interrupt(tls, handle)
		tls.Close()
	}, nil
}
