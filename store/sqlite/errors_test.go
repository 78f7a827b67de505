package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gust/dag"
	"gust/store"
	"gust/store/sqlite"
	"gust/store/storetest"
)

func wantIs(t *testing.T, err, want error, mentions ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that is %q", err, want)
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("error %q does not mention %q", err, m)
		}
	}
}

func closeOK(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// raw runs statements with the driver alone.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sqlite.OpenRaw(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, db)
	for _, st := range statements {
		if _, err := db.ExecContext(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	s := openAt(t, path)
	run := storetest.Started(storetest.NewRun("orders", 1), "v1")
	storetest.CreateRun(t, s, run)
	if err := s.WriterExec("PRAGMA max_page_count = 60"); err != nil {
		t.Fatal(err)
	}
	batch := func(n int) *store.Changes {
		var changes store.Changes
		for i := range 50 {
			ti := storetest.NewTask(run.RunKey, fmt.Sprintf("task_%d_%d", n, i))
			ti.Error = strings.Repeat("x", 200)
			changes.Tasks = append(changes.Tasks, store.TaskChange{New: true, Task: ti})
		}
		return &changes
	}
	committed := 0
	var err error
	for ; committed < 100; committed++ {
		if err = s.EngineCommit(t.Context(), batch(committed)); err != nil {
			break
		}
	}
	wantIs(t, err, store.ErrFull, path, "free some space")
	if errors.Is(err, store.ErrUncertain) {
		t.Errorf("a full disk leaves a certain outcome, got %v", err)
	}
	tasks, err := s.TaskInstanceList(t.Context(), run.RunKey)
	if err != nil || len(tasks) != 50*committed || committed == 0 {
		t.Fatalf("%d rows after %d commits of 50 (%v)", len(tasks), committed, err)
	}
	// With space again, the same batch goes through.
	if err := s.WriterExec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := s.EngineCommit(t.Context(), batch(committed)); err != nil {
		t.Fatal(err)
	}
}

func TestNotADatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("these are my notes\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err == nil {
		err = s.SchemaMigrate(t.Context())
		closeOK(t, s)
	}
	wantIs(t, err, store.ErrCorrupt, path, "not an SQLite database")
	if content, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(content), "these are my notes") {
		t.Errorf("the file was changed: %.40q (%v)", content, err)
	}
}

func TestDatabaseOfAnotherProgram(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"tables":         "CREATE TABLE bookmarks (url TEXT)",
		"application id": "PRAGMA application_id = 252006673",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "other.db")
			raw(t, path, statement)
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer closeOK(t, s)
			wantIs(t, s.SchemaMigrate(t.Context()), store.ErrSchema, path, "another program")
			wantIs(t, s.SchemaCheck(t.Context()), store.ErrSchema, path, "another program")
			wantIs(t, s.SchemaReset(t.Context()), store.ErrSchema, path, "another program")
		})
	}
}

func TestSchemaVersions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, s)
	_, err = s.DagList(t.Context())
	wantIs(t, err, store.ErrSchema, path, "gust db migrate")
	wantIs(t, s.VariableSet(t.Context(), &store.Variable{Key: "k"}), store.ErrSchema, "gust db migrate")
	wantIs(t, s.SchemaCheck(t.Context()), store.ErrSchema, "version 0", fmt.Sprint("needs ", sqlite.SchemaVersion))
	if err := s.SchemaMigrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw(t, path, fmt.Sprintf("PRAGMA user_version = %d", sqlite.SchemaVersion+1))
	newer := fmt.Sprint("version ", sqlite.SchemaVersion+1)
	wantIs(t, s.SchemaCheck(t.Context()), store.ErrSchema, newer)
	wantIs(t, s.SchemaMigrate(t.Context()), store.ErrSchema, newer)
}

// TestMigrationsSetTheirVersion: each migration leaves its own number in user_version, and the last is the binary's.
func TestMigrationsSetTheirVersion(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) != sqlite.SchemaVersion {
		t.Fatalf("%d migrations, schemaVersion is %d (%v)", len(files), sqlite.SchemaVersion, err)
	}
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("PRAGMA user_version = %d;", i+1); !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q", file, want)
		}
		if want := fmt.Sprintf("%05d_", i+1); !strings.HasPrefix(filepath.Base(file), want) {
			t.Errorf("%s should begin with %s", file, want)
		}
	}
}

func TestInterruptedFirstMigration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	// What goose has committed before it begins the first migration.
	raw(t, path, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`,
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`)
	s := openAt(t, path)
	if err := s.SchemaCheck(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCorruptFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	fill := openAt(t, path)
	run := storetest.Started(storetest.NewRun("orders", 1), "v1")
	var tasks []dag.TaskInstance
	for i := range 500 {
		tasks = append(tasks, storetest.NewTask(run.RunKey, fmt.Sprintf("task_%04d", i)))
	}
	storetest.CreateRun(t, fill, run, tasks...)
	closeOK(t, fill)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := len(content) * 4 / 5; at < len(content); at++ {
		content[at] = 0xA5
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, s)
	wantIs(t, s.SchemaCheck(t.Context()), store.ErrCorrupt, path, "gust db reset")
	_, err = s.TaskInstanceList(t.Context(), run.RunKey)
	wantIs(t, err, store.ErrCorrupt, path, "restore a backup")
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read-only on a missing file: %v", err)
	}
	empty, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "empty.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeOK(t, empty)
	openAt(t, path)
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, s)
	if err := s.SchemaCheck(t.Context()); err != nil {
		t.Error(err)
	}
	run := storetest.NewRun("orders", 1)
	wantIs(t, s.RunCreate(t.Context(), &run), store.ErrReadOnly, path, "writable")
	if _, err := s.EngineRefresh(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"with space.db", "q?mode=memory.db", "h#ash.db", "100%25.db", "a&b=c;d.db", "ünï.db", "-v.db",
	} {
		path := filepath.Join(t.TempDir(), name)
		s := openAt(t, path)
		if err := s.VariableSet(t.Context(), &store.Variable{Key: "k", Value: name}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%q has mode %s, want 0600", name, info.Mode())
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), name) {
				t.Errorf("opening %q left %q", name, e.Name())
			}
		}
	}
	_, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "none", "gust.db"), sqlite.Options{})
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("in a missing folder: %v", err)
	}
	_, err = sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err == nil {
		t.Error("a folder was opened as a database")
	}
}

// TestSettingsOfConnections: what durability rests on.
func TestSettingsOfConnections(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "gust.db"))
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "query_only": "0",
	} {
		if got := sqlite.WriterPragma(t, s, pragma); got != want {
			t.Errorf("writer: %s is %s, want %s", pragma, got, want)
		}
	}
}

func TestQueryPlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	openAt(t, path)
	db, err := sqlite.OpenRaw(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, db)
	for query, want := range sqlite.Queries {
		args := make([]any, 40)
		for i := range args {
			if !strings.Contains(query, fmt.Sprintf("?%d", i+1)) {
				args = args[:i]
				break
			}
		}
		plan := explain(t, db, query, args)
		if !strings.Contains(plan, want) {
			t.Errorf("plan of\n%s\nlacks %q:\n%s", query, want, plan)
		}
		for line := range strings.SplitSeq(plan, "\n") {
			if strings.HasPrefix(line, "SCAN") && !strings.Contains(line, "INDEX") && !strings.HasPrefix(line, "SCAN ids") &&
				!strings.HasPrefix(line, "SCAN CONSTANT") {
				t.Errorf("plan of\n%s\nscans a table: %s", query, line)
			}
		}
	}
}

func explain(t *testing.T, db *sql.DB, query string, args []any) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query string
		args  int
		want  string
	}{
		{"a = ?1 AND b = ?2", 2, "a = ? AND b = ?"},
		{"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", 11, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{"a = ?2 AND b = ?1", 2, "a = ?2 AND b = ?1"},
		{"a = ?1 OR b = ?1", 1, "a = ?1 OR b = ?1"},
		{"a = ?1", 2, "a = ?1"},
		{"a = ?12", 1, "a = ?12"},
		{"a = ?", 1, "a = ?"},
		{"a = 1", 0, "a = 1"},
	} {
		if got := sqlite.Anonymous(test.query, test.args); got != test.want {
			t.Errorf("%q with %d arguments: %q, want %q", test.query, test.args, got, test.want)
		}
	}
}
