package sqlconn

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Error is what a database or its driver said, without the connection's secrets.
type Error struct {
	Dialect Dialect
	ConnID  string
	// Statement is the beginning of the statement that failed, "" when it is none's fault.
	Statement string
	text      string
	err       error
}

func (e *Error) Error() string {
	text := string(e.Dialect) + " connection " + strconv.Quote(e.ConnID) + " (" + drivers[e.Dialect] + "): " + e.text
	if e.Statement != "" {
		text += "; in statement: " + e.Statement
	}
	return text
}

func (e *Error) Unwrap() error { return e.err }

// failed wraps an error of the driver.
func (c *client) failed(statement string, err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ") // pgx tells each address it tried on a line of its own
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		for _, more := range [...]struct{ name, text string }{{"detail", pg.Detail}, {"hint", pg.Hint}} {
			if more.text != "" {
				text += "; " + more.name + ": " + more.text
			}
		}
	}
	return &Error{Dialect: c.dialect, ConnID: c.connID, Statement: c.masker.Mask(excerpt(statement)), text: c.masker.Mask(text), err: err}
}

// excerpt is the beginning of a statement on one line.
func excerpt(statement string) string {
	const most = 200
	text := strings.Join(strings.Fields(statement), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// Codes of errors that a later attempt may not meet.
var (
	passingMySQL  = []uint16{1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 2006, 2013}
	passingSQLite = []int{sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
)

// Passing reports whether an error may not be met again a moment later: a lost or refused connection, a server that
// starts or stops, too many connections, a deadlock, a locked file.
func Passing(err error) bool {
	var (
		pg      *pgconn.PgError
		my      *mysql.MySQLError
		lite    *sqlite.Error
		network net.Error
	)
	switch {
	case err == nil:
		return false
	case errors.As(err, &pg):
		switch pg.Code[:min(2, len(pg.Code))] {
		case "08", "40", "53":
			return true
		}
		return slices.Contains([]string{"57P01", "57P02", "57P03", "55P03"}, pg.Code)
	case errors.As(err, &my):
		return slices.Contains(passingMySQL, my.Number)
	case errors.As(err, &lite):
		return slices.Contains(passingSQLite, lite.Code()&0xff)
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network)
}
