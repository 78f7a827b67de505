// Package sqlite keeps Gust's state in one SQLite file (modernc.org/sqlite, no cgo).
//
// One connection writes, a few read. The file is in WAL mode with synchronous=FULL: a commit that returned survives a
// power loss, and readers never wait for the writer. Any number of processes may have the file open, each with its own
// Store; writers of different processes take turns, waiting at most Options.BusyTimeout.
//
// SQL is written by hand, at the top of the file of the role it serves, with ?1 placeholders.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // registers the database/sql driver "sqlite"

	"gust/dag"
	"gust/store"
)

// InMemory is the path of a database of its own in memory: it belongs to one Store and is gone when that is closed.
const InMemory = ":memory:"

// Options adjust a Store. The zero value is ready for use.
type Options struct {
	// BusyTimeout is how long a writer waits for other processes before ErrBusy; 0 means 5 seconds.
	BusyTimeout time.Duration
	// DefaultPoolSlots is the size of default_pool when SchemaMigrate creates it ([core]
	// default_pool_task_slot_count); 0 means 128.
	DefaultPoolSlots int
	// ReadOnly refuses every write with ErrReadOnly.
	ReadOnly bool
	// Now is the clock for the creation time of DAG versions; nil means time.Now.
	Now func() time.Time
}

// Store implements store.Store. Its methods may be called from any goroutine.
type Store struct {
	path    string
	options Options
	pools   []*sql.DB
	writer  *writer
	reader  *reader
	refresh refreshCache
	// keys is EngineCommit's scratch space, guarded by the writer's turn.
	keys map[dag.Key]int
}

var _ store.Store = (*Store)(nil)

// Open opens the database file, creating an empty one (mode 0600) when there is none; its folder must exist. The schema
// is not touched: call SchemaMigrate. Path InMemory opens a private database in memory.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	if options.BusyTimeout == 0 {
		options.BusyTimeout = 5 * time.Second
	}
	if options.DefaultPoolSlots == 0 {
		options.DefaultPoolSlots = 128
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Store{path: path, options: options, keys: map[dag.Key]int{}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(s.translate("open", err), s.closePools())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if s.path != InMemory {
		if err := s.createFile(); err != nil {
			return err
		}
	}
	write, err := s.openPool(s.options.ReadOnly, 1)
	if err != nil {
		return err
	}
	conn, err := s.connect(ctx, write)
	if err != nil {
		return err
	}
	s.writer = &writer{turn: make(chan struct{}, 1), conn: conn, statements: map[string]*statement{}}
	s.writer.turn <- struct{}{}
	if s.path == InMemory {
		s.reader = &reader{own: conn, turn: s.writer.turn}
		return nil
	}
	// Saturating readers starve the writer of this pure Go engine: keep them about as many as there are cores.
	read, err := s.openPool(true, min(runtime.NumCPU()+1, 4))
	if err != nil {
		return err
	}
	s.reader = &reader{pool: read}
	return nil
}

// connect opens the writer's connection. Several processes that open a new file at once get in each other's way when they
// switch it to WAL mode, and SQLite does not apply the busy timeout there.
func (s *Store) connect(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	deadline := time.NewTimer(s.options.BusyTimeout)
	defer deadline.Stop()
	for {
		conn, err := db.Conn(ctx)
		if err == nil || resultCode(err)&0xff != codeBusy {
			return conn, err
		}
		again := time.NewTimer(time.Millisecond)
		select {
		case <-again.C:
		case <-deadline.C:
			return nil, err
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

func (s *Store) createFile() error {
	if s.options.ReadOnly {
		if _, err := os.Stat(s.path); err != nil {
			return fmt.Errorf("database %s: %w", s.path, err)
		}
		return nil
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, fs.ErrPermission) || isReadOnlyFileSystem(err):
		return fmt.Errorf("%w: %w; make the file and its folder writable for this user, or choose another path",
			store.ErrReadOnly, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("folder %s does not exist; create it, or choose another path", filepath.Dir(s.path))
	case err != nil:
		return err
	}
	return f.Close()
}

func (s *Store) openPool(readOnly bool, size int) (*sql.DB, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(" + strconv.FormatInt(s.options.BusyTimeout.Milliseconds(), 10) + ")",
		"synchronous(FULL)",
		"temp_store(MEMORY)",
	}}
	if s.path != InMemory {
		// The log shrinks back to this size after a burst.
		query["_pragma"] = append(query["_pragma"], "journal_size_limit(67108864)")
	}
	if readOnly {
		query["_pragma"] = append(query["_pragma"], "query_only(1)")
	} else if s.path != InMemory {
		query["_pragma"] = append(query["_pragma"], "journal_mode(WAL)")
	}
	name := "file::memory:"
	if s.path != InMemory {
		absolute, err := filepath.Abs(s.path)
		if err != nil {
			return nil, err
		}
		name = "file://" + (&url.URL{Path: filepath.ToSlash(absolute)}).EscapedPath()
	}
	db, err := sql.Open("sqlite", name+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	s.pools = append(s.pools, db)
	return db, nil
}

// Close ends the use of the database. Running operations end first.
func (s *Store) Close() error {
	if s.writer != nil {
		<-s.writer.turn
		defer func() { s.writer.turn <- struct{}{} }()
	}
	return s.translate("close", s.closePools())
}

func (s *Store) closePools() error {
	var err error
	if s.reader != nil {
		err = errors.Join(err, s.reader.close())
	}
	if s.writer != nil {
		err = errors.Join(err, s.writer.close())
	}
	for _, db := range s.pools {
		err = errors.Join(err, db.Close())
	}
	s.pools = nil
	return err
}

// writer is the one connection that changes the database. Whoever holds the token of turn may use it.
type writer struct {
	turn       chan struct{}
	conn       *sql.Conn
	statements map[string]*statement
	// commits counts the transactions that changed what EngineRefresh reads.
	commits uint64
}

// write runs f in one transaction and returns the translated error of f or of the commit. When it returns an error
// other than ErrUncertain, nothing was applied. The transaction does not end with ctx: once begun, its outcome counts.
func (s *Store) write(ctx context.Context, operation string, f func(t *transaction) error) error {
	if err := s.take(ctx, s.writer.turn); err != nil {
		return fmt.Errorf("store: %s: %w", operation, err)
	}
	defer func() { s.writer.turn <- struct{}{} }()
	err := s.writer.conn.Raw(func(raw any) error {
		t := &transaction{writer: s.writer, driver: raw.(driver.ConnPrepareContext)}
		return t.run(f)
	})
	return s.translate(operation, err)
}

func (s *Store) take(ctx context.Context, turn chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *writer) close() error {
	var err error
	rawErr := w.conn.Raw(func(any) error {
		for _, st := range w.statements {
			err = errors.Join(err, st.prepared.Close())
		}
		return nil
	})
	w.statements = nil
	if errors.Is(rawErr, sql.ErrConnDone) {
		return nil
	}
	return errors.Join(err, rawErr, w.conn.Close())
}

// reader is where queries run: a pool of read-only connections, or for a database in memory the writer's own connection.
type reader struct {
	pool     *sql.DB
	own      *sql.Conn
	turn     chan struct{} // the writer's, for a database in memory
	mu       sync.Mutex
	prepared map[string]*sql.Stmt
}

// connection is one to read on; that of a pool is to be closed.
func (r *reader) connection(ctx context.Context) (*sql.Conn, error) {
	if r.pool == nil {
		return r.own, nil
	}
	return r.pool.Conn(ctx)
}

func (r *reader) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if r.pool == nil {
		return r.own.PrepareContext(ctx, query)
	}
	return r.pool.PrepareContext(ctx, query)
}

func (r *reader) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st, ok := r.prepared[query]; ok {
		return st, nil
	}
	st, err := r.prepare(ctx, query) //nolint:sqlclosecheck // kept until the store closes
	if err != nil {
		return nil, err
	}
	if r.prepared == nil {
		r.prepared = map[string]*sql.Stmt{}
	}
	r.prepared[query] = st
	return st, nil
}

func (r *reader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for _, st := range r.prepared {
		err = errors.Join(err, st.Close())
	}
	r.prepared = nil
	return err
}
