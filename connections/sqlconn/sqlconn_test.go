package sqlconn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/connections"
	"gust/connections/sqlconn"
	"gust/connections/sqlconn/sqlconntest"
)

// bench is a database and the ways to ask it.
type bench struct {
	conn *connections.Connection
	pool *sqlconn.Pool
}

func newBench(t *testing.T, conn *connections.Connection) *bench {
	t.Helper()
	b := &bench{conn: conn, pool: &sqlconn.Pool{}}
	t.Cleanup(b.pool.Close)
	return b
}

func (b *bench) run(ctx context.Context, req sqlconn.Request) ([]sqlconn.Result, error) {
	return b.pool.Run(ctx, sqlconntest.Resolver{b.conn}, sqlconn.Target{ConnID: b.conn.ID}, req)
}

// rows are the rows of the last statement, as JSON.
func (b *bench) rows(t *testing.T, params any, statements ...string) string {
	t.Helper()
	results, err := b.run(t.Context(), sqlconn.Request{Statements: statements, Params: params, Fetch: sqlconn.FetchAll})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(results[len(results)-1].Rows)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func (b *bench) want(t *testing.T, want string, params any, statements ...string) {
	t.Helper()
	if diff := cmp.Diff(want, b.rows(t, params, statements...)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", statements[len(statements)-1], diff)
	}
}

// common is what holds for every database.
func (b *bench) common(t *testing.T, slow string, running string) {
	b.want(t, "null", nil, "CREATE TABLE people (id int PRIMARY KEY, name varchar(40))")
	b.want(t, "null", []any{1, "O'Neil; DROP TABLE people"}, "INSERT INTO people VALUES (%s, %s)")
	b.want(t, `[["O'Neil; DROP TABLE people"]]`, map[string]any{"who": 1}, "SELECT name FROM people WHERE id = %(who)s")
	b.want(t, `[["O'Neil; DROP TABLE people"]]`, map[string]any{"who": 1}, "SELECT name FROM people WHERE id = :who")
	b.want(t, `[]`, []any{2}, "SELECT name FROM people WHERE id = ?")
	b.want(t, `[[2]]`, []any{2, "x"}, "INSERT INTO people VALUES (%s, %s)", "SELECT count(*) FROM people")

	_, err := b.run(t.Context(), sqlconn.Request{Statements: []string{"INSERT INTO people VALUES (3, 'c')", "SELECT nonsense FROM people"}})
	var said *sqlconn.Error
	if !errors.As(err, &said) || said.ConnID != b.conn.ID || !strings.Contains(err.Error(), "nonsense") || sqlconn.Passing(err) {
		t.Errorf("a statement that fails: %v", err)
	}
	b.want(t, `[[2]]`, nil, "SELECT count(*) FROM people") // rolled back
	_, err = b.run(t.Context(), sqlconn.Request{
		Statements: []string{"INSERT INTO people VALUES (3, 'c')", "SELECT nonsense FROM people"}, Autocommit: true,
	})
	if err == nil {
		t.Error("no error with autocommit")
	}
	b.want(t, `[[3]]`, nil, "SELECT count(*) FROM people") // kept
	b.want(t, `[[4]]`, nil, "BEGIN", "INSERT INTO people VALUES (4, 'd')", "COMMIT", "SELECT count(*) FROM people")

	b.want(t, `null`, nil, "BEGIN", "INSERT INTO people VALUES (5, 'e')") // left open: committed, as Python's drivers do
	b.want(t, `null`, nil, "DELETE FROM people WHERE id = 5")
	b.want(t, `[[4]]`, nil, "SELECT count(*) FROM people")

	results, err := b.run(t.Context(), sqlconn.Request{Statements: []string{"SELECT id FROM people ORDER BY id"}, Fetch: sqlconn.FetchOne})
	if err != nil || len(results[0].Rows) != 1 || results[0].Columns[0] != "id" {
		t.Errorf("one row: %v, %v", results, err)
	}
	results, err = b.run(t.Context(), sqlconn.Request{Statements: []string{"SELECT id FROM people"}})
	if err != nil || results[0].Rows != nil {
		t.Errorf("no row: %v, %v", results, err)
	}
	b.cancelled(t, slow, running)
	b.want(t, `[[4]]`, nil, "SELECT count(*) FROM people")
}

var errBored = errors.New("nobody waits for it any more")

// cancelled runs a statement that would take minutes, cancels it once it runs, and wants it gone from the server.
// running counts such statements; "" when the database runs in this process.
func (b *bench) cancelled(t *testing.T, slow, running string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended, begun := make(chan error, 1), make(chan struct{}, 2)
	go func() {
		_, err := b.run(ctx, sqlconn.Request{
			Statements: []string{"INSERT INTO people VALUES (9, 'z')", slow}, Fetch: sqlconn.FetchAll, Log: func(string) { begun <- struct{}{} },
		})
		ended <- err
	}()
	<-begun
	<-begun
	if running != "" {
		b.eventually(t, running, "[[1]]")
	} else {
		<-time.After(50 * time.Millisecond) // it has no way to tell that it runs
	}
	began := time.Now()
	cancel(errBored)
	if err := <-ended; !errors.Is(err, errBored) {
		t.Errorf("the cancelled statement: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to cancel", took)
	}
	if running != "" {
		b.eventually(t, running, "[[0]]")
	}
}

func (b *bench) eventually(t *testing.T, question, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for b.rows(t, nil, question) != want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s never became %s", question, want)
		}
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	b := newBench(t, sqlconntest.Postgres(t))
	b.common(t, "SELECT pg_sleep(300)", `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'`)
	b.want(t, `[[1,123456789012345678901234567890.10,1.5,true,"x","2024-02-03","2024-02-03T04:05:06.789000",`+
		`"2024-02-03T02:05:06+00:00","04:05:06","AP8=",{"a":[1]},[1,null,3],["a","b,c"],[1.50],null,"NaN"]]`, nil,
		`SELECT 1, 123456789012345678901234567890.10, 1.5::float8, true, 'x'::text, date '2024-02-03',
		timestamp '2024-02-03 04:05:06.789', timestamptz '2024-02-03 04:05:06+02', time '04:05:06', '\x00ff'::bytea,
		'{"a":[1]}'::jsonb, ARRAY[1,NULL,3], ARRAY['a','b,c'], ARRAY[1.50], NULL, 'NaN'::numeric`)
	b.want(t, `[[3,["1","2"]]]`, map[string]any{"n": 3, "ids": []any{1, 2}, "l": []any{"1", "2"}},
		"SELECT %(n)s::int, %(l)s::text[] WHERE 2 = ANY(%(ids)s::int[])")
	b.want(t, `[[2]]`, map[string]any{"ids": []any{1, 2}}, "SELECT count(*) FROM people WHERE id = ANY(%(ids)s)")
	b.want(t, `[["x"]]`, nil, "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'x'; $$", "SELECT f()")
	b.want(t, "null", nil, "VACUUM people")
	// A setting of one task is not met by the next one.
	b.want(t, `[["none"]]`, nil, "SET application_name = 'none'", "SHOW application_name")
	b.want(t, `[["gust"]]`, nil, "SHOW application_name")

	wrong := *b.conn
	password := "another-password"
	wrong.Password = &password
	_, err := sqlconn.Test(t.Context(), &wrong)
	if err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), `postgres connection "pg" (pgx)`) {
		t.Errorf("wrong password: %v", err)
	}
	message, err := sqlconn.Test(t.Context(), b.conn)
	if err != nil || !strings.Contains(message, ", database postgres, user gust") {
		t.Errorf("test: %q, %v", message, err)
	}
	b.want(t, "null", nil, "CREATE DATABASE other")
	results, err := b.pool.Run(t.Context(), sqlconntest.Resolver{b.conn}, sqlconn.Target{ConnID: "pg", Database: "other", Options: "-c work_mem=5MB"},
		sqlconn.Request{Statements: []string{"SELECT current_database(), current_setting('work_mem')"}, Fetch: sqlconn.FetchAll})
	if err != nil || fmt.Sprint(results[0].Rows) != "[[other 5MB]]" {
		t.Errorf("another database: %v, %v", results, err)
	}
}

func TestMySQL(t *testing.T) {
	t.Parallel()
	b := newBench(t, sqlconntest.MySQL(t))
	b.common(t, "SELECT SLEEP(300)", `SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'`)
	b.want(t, "null", nil, `CREATE TABLE kinds (i int, u bigint unsigned, d decimal(32,2), f double, t text, b blob, da date,
		dt datetime(6), ti time, bi bit(9), y year, n int)`)
	b.want(t, "null", []any{1, 2.5, "x"}, `INSERT INTO kinds VALUES (%s, 18446744073709551615, 123456789012345678901234567890.10, %s, %s, x'00ff',
		'2024-02-03', '2024-02-03 04:05:06.789', '04:05:06', b'100000001', 2024, NULL)`)
	want := `[[1,18446744073709551615,123456789012345678901234567890.10,2.5,"x","AP8=","2024-02-03","2024-02-03T04:05:06.789000","04:05:06",257,2024,null]]`
	b.want(t, want, nil, "SELECT * FROM kinds")
	b.want(t, want, []any{1}, "SELECT * FROM kinds WHERE i = %s") // the other protocol
	b.want(t, `[[2]]`, map[string]any{"ids": []any{1, 2}}, "SELECT count(*) FROM people WHERE id IN %(ids)s")
	b.want(t, `[[3]]`, nil, "CREATE PROCEDURE three() BEGIN SELECT 3; SELECT 4; END", "CALL three()")
	b.want(t, `[["ü€😀"]]`, []any{"ü€😀"}, "SELECT %s")

	wrong := *b.conn
	password := "another-password"
	wrong.Password = &password
	_, err := sqlconn.Test(t.Context(), &wrong)
	if err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), `mysql connection "my" (go-sql-driver/mysql)`) {
		t.Errorf("wrong password: %v", err)
	}
	message, err := sqlconn.Test(t.Context(), b.conn)
	if err != nil || !strings.Contains(message, ", database shop, user gust@") {
		t.Errorf("test: %q, %v", message, err)
	}
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	b := newBench(t, sqlconntest.SQLite(t))
	b.common(t, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c", "")
	// One that has given a row and searches for the next one.
	b.cancelled(t, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x FROM c WHERE x < 2", "")
	b.want(t, "null", nil, "CREATE TABLE kinds (i int, f real, t text, b blob, da date, dt datetime, n)")
	b.want(t, "null", []any{1, 2.5, "x"}, "INSERT INTO kinds VALUES (?, ?, ?, x'00ff', '2024-02-03', '2024-02-03 04:05:06.789', NULL)")
	b.want(t, `[[1,2.5,"x","AP8=","2024-02-03","2024-02-03T04:05:06.789000",null]]`, nil, "SELECT * FROM kinds")
	b.want(t, `[[5]]`, nil, "CREATE TABLE log (n)",
		"CREATE TRIGGER tr AFTER INSERT ON people BEGIN INSERT INTO log VALUES (1); INSERT INTO log VALUES (4); END",
		"INSERT INTO people VALUES (70, 'y')", "SELECT sum(n) FROM log")
	message, err := sqlconn.Test(t.Context(), b.conn)
	if err != nil || !strings.HasPrefix(message, "SQLite 3.") || !strings.HasSuffix(message, ", 3 tables") {
		t.Errorf("test: %q, %v", message, err)
	}
}

func TestSQLiteInMemory(t *testing.T) {
	t.Parallel()
	host := ":memory:"
	b := newBench(t, &connections.Connection{ID: "mem", Type: "sqlite", Host: &host})
	b.want(t, "null", nil, "CREATE TABLE kept (n)")
	b.want(t, "[[0]]", nil, "SELECT count(*) FROM kept")
}

// TestChangedConnection: a client follows its connection, and an unfinished statement keeps the old one.
func TestChangedConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t, sqlconntest.SQLite(t))
	b.want(t, "null", nil, "CREATE TABLE here (n)")
	other := sqlconntest.SQLite(t)
	b.conn = other
	b.want(t, "[[0]]", nil, "SELECT count(*) FROM sqlite_master")
}

func TestNotADatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, extra, want string }{
		{"http", "", `connection "c" is of type "http", which is no SQL database; expected one of mysql, postgres, sqlite`},
		{"postgre", "", `did you mean "postgres"?`},
		{"sqlite", "", "names no file"},
		{"mysql", `{"ssl_mode": "REQIRED"}`, `did you mean "REQUIRED"?`},
		{"mysql", `{"ssl": {"ca": "/nowhere.pem"}}`, "extra.ssl.ca"},
		{"mysql", `{"connect_timeout": "soon"}`, "expected seconds"},
		{"postgres", `{"sslmode": "maybe"}`, "sslmode is invalid"},
		{"postgres", `{"iam": true}`, "extra.iam is not supported"},
	} {
		host := "127.0.0.1"
		conn := &connections.Connection{ID: "c", Type: c.kind, Extra: json.RawMessage(c.extra)}
		if c.kind == "postgres" {
			conn.Host = &host
		}
		if _, err := sqlconn.Test(t.Context(), conn); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v; want %s", c.kind, c.extra, err, c.want)
		}
	}
}
