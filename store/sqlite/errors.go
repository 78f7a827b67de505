package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"modernc.org/sqlite"

	"gust/store"
)

// SQLite's primary result codes, and two extended ones, as its C interface numbers them.
const (
	codeError            = 1
	codePerm             = 3
	codeBusy             = 5
	codeLocked           = 6
	codeReadOnly         = 8
	codeIOErr            = 10
	codeCorrupt          = 11
	codeFull             = 13
	codeCantOpen         = 14
	codeTooBig           = 18
	codeConstraint       = 19
	codeNotADB           = 26
	codeConstraintUnique = codeConstraint | 8<<8
	codeConstraintKey    = codeConstraint | 6<<8
)

// resultCode is SQLite's extended result code of an error, 0 for another kind of error.
func resultCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// taken reports whether an insert failed because the identity exists already.
func taken(err error) bool {
	code := resultCode(err)
	return code == codeConstraintUnique || code == codeConstraintKey
}

// translate turns the driver's errors into those of package store. It is the only place that knows both, and every
// error leaves the package through it: "store: <operation>: ...".
func (s *Store) translate(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", operation, s.explain(err))
}

func (s *Store) explain(err error) error {
	code := resultCode(err)
	switch code & 0xff {
	case codeBusy, codeLocked:
		return fmt.Errorf("%w: another process has been writing to %s for longer than %s; try again, or end it: %w",
			store.ErrBusy, s.path, s.options.BusyTimeout, err)
	case codeFull:
		return fmt.Errorf("%w: no space is left for %s; nothing was lost: free some space and try again: %w",
			store.ErrFull, s.path, err)
	case codeCorrupt:
		return fmt.Errorf("%w: %s; stop gust, keep a copy of the file, then restore a backup or run `gust db reset`: %w",
			store.ErrCorrupt, s.path, err)
	case codeNotADB:
		return fmt.Errorf("%w: %s is not an SQLite database; move it away, or choose another path: %w",
			store.ErrCorrupt, s.path, err)
	case codeReadOnly, codePerm:
		return fmt.Errorf("%w: %s; make the file and its folder writable for this user: %w",
			store.ErrReadOnly, s.path, err)
	case codeCantOpen:
		return fmt.Errorf("cannot open %s; check that the folder exists and may be written to: %w", s.path, err)
	case codeIOErr:
		return fmt.Errorf("the disk failed under %s; nothing of this operation was applied: %w", s.path, err)
	case codeTooBig:
		return fmt.Errorf("%w: a value is longer than SQLite takes (1,000,000,000 bytes): %w", store.ErrInvalid, err)
	case codeConstraint:
		return constraint(code, err)
	case codeError:
		if text := err.Error(); strings.Contains(text, "no such table") || strings.Contains(text, "no such column") {
			return fmt.Errorf("%w: %s; run `gust db migrate`: %w", store.ErrSchema, s.path, err)
		}
	}
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) || err.Error() == "sql: database is closed" {
		return fmt.Errorf("%s is closed: %w", s.path, err)
	}
	return err
}

func constraint(code int, err error) error {
	switch {
	case errors.Is(err, store.ErrExists):
		return err
	case code == codeConstraintUnique || code == codeConstraintKey:
		return fmt.Errorf("%w: %w", store.ErrExists, err)
	}
	return fmt.Errorf("%w: %w", store.ErrInvalid, err)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func isReadOnlyFileSystem(err error) bool { return errors.Is(err, syscall.EROFS) }

// ended prefers the reason why ctx ended over the driver's word for it.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
