// Package journal keeps state machines, executions and their histories in SQLite.
//
// All writes go through one goroutine that collects what is waiting into one transaction (group commit). A write
// returns after its transaction is on disk (synchronous=FULL), so what was acknowledged survives a kill at any
// instant.
package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
)

// maxBatch bounds how many writes share a transaction.
const maxBatch = 512

// readers is how many reads run at once on a file.
const readers = 4

// ErrClosed is returned by writes after Close.
var ErrClosed = errors.New("the journal is closed")

// ErrNotFound is returned when a row does not exist.
var ErrNotFound = errors.New("not found")

// SQLite's result codes of a file that is damaged, or of another kind.
const (
	codeCorrupt = 11
	codeNotADB  = 26
)

// Damaged reports whether an error says that the journal's file is damaged or not a journal at all.
func Damaged(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == codeCorrupt || e.Code()&0xff == codeNotADB)
}

// Journal is the store. It is safe for concurrent use.
type Journal struct {
	secret         []byte
	writer, reader *sql.DB
	stmts          map[string]*sql.Stmt

	mu      sync.Mutex
	waiting []*write
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

// write is one unit of change and the way to report its end.
type write struct {
	run  func(*tx) error
	err  error
	done chan struct{}
}

// Open opens or creates the journal at path; an empty path keeps everything in memory. Close must be called.
func Open(ctx context.Context, path string) (*Journal, error) {
	j := &Journal{stmts: map[string]*sql.Stmt{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	var err error
	if path == "" {
		j.writer, err = open(":memory:", nil, 1)
		j.reader = j.writer
	} else {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("create the folder of the Step Functions journal: %w", err)
		}
		// Migration runs on the writer, so it is opened first.
		if j.writer, err = open(path, url.Values{"_txlock": {"immediate"}}, 1); err == nil {
			j.reader, err = open(path, url.Values{"_pragma": {"query_only(true)"}}, readers)
		}
	}
	if err == nil {
		err = j.migrate(ctx)
	}
	if err == nil {
		err = j.prepare(ctx)
	}
	if err == nil {
		j.secret, err = j.readSecret(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the Step Functions journal %s: %w", path, err), j.closeDatabases())
	}
	go j.loop()
	return j, nil
}

func open(path string, options url.Values, connections int) (*sql.DB, error) {
	// A write-ahead log of up to 32 MiB: the pages of the indexes, which every execution changes, are written into the file
	// once for many executions.
	query := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-8000)", "wal_autocheckpoint(8192)"}}
	for k, v := range options {
		query[k] = append(query[k], v...)
	}
	name := path
	if path != ":memory:" {
		name = (&url.URL{Scheme: "file", Opaque: url.PathEscape(path)}).String()
	}
	db, err := sql.Open("sqlite", name+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// prepare compiles the statements of the hot path once.
func (j *Journal) prepare(ctx context.Context) error {
	for _, text := range []string{insertExecution, updateExecution, insertHistory, insertOffer, deleteOffer, insertPart,
		deletePart} {
		stmt, err := j.writer.PrepareContext(ctx, text) //nolint:sqlclosecheck // closed with the journal
		if err != nil {
			return err
		}
		j.stmts[text] = stmt
	}
	return nil
}

// Close writes what is waiting and closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	j.signal()
	<-j.done
	return j.closeDatabases()
}

func (j *Journal) closeDatabases() error {
	var errs []error
	for _, stmt := range j.stmts {
		errs = append(errs, stmt.Close())
	}
	for _, db := range []*sql.DB{j.reader, j.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// write runs f inside a transaction shared with other writes and returns when it is committed. f may run more than
// once, when another write of its batch fails.
func (j *Journal) write(f func(*tx) error) error {
	w := &write{run: f, done: make(chan struct{})}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.waiting = append(j.waiting, w)
	j.mu.Unlock()
	j.signal()
	<-w.done
	return w.err
}

// loop commits batches until the journal is closed and nothing waits.
func (j *Journal) loop() {
	defer close(j.done)
	for {
		j.mu.Lock()
		n := min(len(j.waiting), maxBatch)
		batch := j.waiting[:n:n]
		j.waiting = j.waiting[n:]
		closed := j.closed
		j.mu.Unlock()
		if n == 0 {
			if closed {
				return
			}
			<-j.wake
			continue
		}
		if err := j.commit(batch); err != nil && n > 1 {
			// One write of the batch is at fault: give each its own transaction.
			for i := range batch {
				batch[i].err = j.commit(batch[i : i+1])
			}
		} else {
			for _, w := range batch {
				w.err = err
			}
		}
		for _, w := range batch {
			close(w.done)
		}
	}
}

func (j *Journal) commit(batch []*write) error {
	// The writes belong to callers that have their own contexts; the transaction itself is never cut short.
	ctx := context.Background()
	t, err := j.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	shared := &tx{ctx: ctx, t: t, prepared: j.stmts, stmts: map[string]*sql.Stmt{}}
	for _, w := range batch {
		if err := w.run(shared); err != nil {
			return errors.Join(err, t.Rollback())
		}
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// tx is a transaction as the writes of a batch see it.
type tx struct {
	ctx context.Context //nolint:containedctx // lives as long as one batch
	t   *sql.Tx
	// prepared are the statements that are compiled already, stmts those of them that the transaction has used.
	prepared, stmts map[string]*sql.Stmt
}

// exec runs a statement and returns the number of rows it changed.
func (t *tx) exec(text string, args ...any) (int64, error) {
	stmt := t.stmts[text]
	if prepared := t.prepared[text]; stmt == nil && prepared != nil {
		stmt = t.t.StmtContext(t.ctx, prepared) //nolint:sqlclosecheck // a statement of a transaction is closed with it
		t.stmts[text] = stmt
	}
	var res sql.Result
	var err error
	if stmt != nil {
		res, err = stmt.ExecContext(t.ctx, args...)
	} else {
		res, err = t.t.ExecContext(t.ctx, text, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) insert(text string, args ...any) (int64, error) {
	res, err := t.t.ExecContext(t.ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}
