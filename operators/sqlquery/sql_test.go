package sqlquery

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/connections"
	"gust/connections/sqlconn"
	"gust/connections/sqlconn/sqlconntest"
	"gust/operators"
	"gust/operators/operatorstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type bench struct {
	reg  *operators.Registry
	conn *connections.Connection
}

func setUp(t *testing.T, conn *connections.Connection) *bench {
	t.Helper()
	b := &bench{reg: operators.NewRegistry(), conn: conn}
	pool := &sqlconn.Pool{}
	t.Cleanup(pool.Close)
	if err := Register(b.reg, pool); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) task(t *testing.T) *operatorstest.Task {
	task := operatorstest.NewTask(t)
	task.Connections[b.conn.ID] = b.conn
	return task
}

// run returns the return value as JSON, or the error's text.
func (b *bench) run(t *testing.T, task *operatorstest.Task, params map[string]any) string {
	t.Helper()
	all := map[string]any{"conn_id": b.conn.ID}
	for k, v := range params {
		all[k] = v
	}
	op, err := operatorstest.TryBuild(b.reg, "SQLExecuteQueryOperator", all)
	if err != nil {
		return "refused: " + err.Error()
	}
	res, err := op.Execute(t.Context(), task)
	switch {
	case err != nil && operators.NoRetry(err):
		return "final: " + err.Error()
	case err != nil:
		return "error: " + err.Error()
	case res.Value == nil:
		return "nothing"
	}
	return shown(res.Value)
}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, setUp(t, nil).reg)
}

func TestValues(t *testing.T) {
	t.Parallel()
	b := setUp(t, sqlconntest.SQLite(t))
	b.run(t, b.task(t), map[string]any{"sql": "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)"})
	const two = "SELECT n FROM t ORDER BY n; SELECT n + 10 FROM t ORDER BY n"
	for _, c := range []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"all rows", map[string]any{"sql": "SELECT n, 'x' FROM t ORDER BY n"}, `[[1,"x"],[2,"x"]]`},
		{"no row", map[string]any{"sql": "SELECT n FROM t WHERE n = 9"}, `[]`},
		{"no rows by nature", map[string]any{"sql": "UPDATE t SET n = n"}, `nothing`},
		{"one row", map[string]any{"sql": "SELECT n FROM t ORDER BY n", "handler": "airflow.providers.common.sql.hooks.handlers.fetch_one_handler"}, `[1]`},
		{"no one row", map[string]any{"sql": "SELECT n FROM t WHERE n = 9", "handler": "fetch_one"}, `nothing`},
		{"nothing", map[string]any{"sql": "SELECT n FROM t", "handler": nil}, `nothing`},
		{"a text of two", map[string]any{"sql": two}, `[[11],[12]]`},
		{"return_last means nothing without a split", map[string]any{"sql": two, "return_last": false}, `[[11],[12]]`},
		{"split", map[string]any{"sql": two, "split_statements": true}, `[[11],[12]]`},
		{"split, all", map[string]any{"sql": two, "split_statements": true, "return_last": false}, `[[[1],[2]],[[11],[12]]]`},
		{"a list", map[string]any{"sql": []any{two, "SELECT 5"}}, `[[5]]`},
		{"a list, all", map[string]any{"sql": []any{two, "SELECT 5", "UPDATE t SET n = n"}, "return_last": false}, `[[[11],[12]],[[5]],null]`},
		{"a JSON list", map[string]any{"sql": `["SELECT 5", "SELECT 6"]`, "return_last": false}, `[[[5]],[[6]]]`},
		{"list of parameters", map[string]any{"sql": "SELECT %s, %s", "parameters": []any{7}}, `error: 1 parameters are given`},
		{"parameters", map[string]any{"sql": "SELECT %(a)s || %(b)s", "parameters": map[string]any{"a": "'; DROP TABLE t; --", "b": 1}}, `[["'; DROP TABLE t; --1"]]`},
		{"parameters as text", map[string]any{"sql": "SELECT ?, ?", "parameters": `[1, "x"]`}, `[[1,"x"]]`},
		{"parameters for one of two", map[string]any{"sql": "SELECT 1; SELECT %s", "parameters": []any{7}}, `[[7]]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := b.run(t, b.task(t), c.params); got != c.want && !(strings.HasPrefix(c.want, "error") && strings.HasPrefix(got, c.want)) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	b := setUp(t, sqlconntest.SQLite(t))
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{"sql": " "}, "refused: List of SQL statements is empty"},
		{map[string]any{"sql": "-- nothing"}, "final: List of SQL statements is empty"},
		{map[string]any{"sql": []any{"SELECT 1", 2}}, "refused: sql.1 is 2; expected a text"},
		{map[string]any{"sql": "SELECT 1", "handler": "mine.fetch_al_handler"}, `did you mean "fetch_all_handler"?`},
		{map[string]any{"sql": "SELECT 1", "hook_params": map[string]any{"shema": "x"}}, `refused: hook_params.shema: unknown parameter; expected options or schema; did you mean "schema"?`},
		{map[string]any{"sql": "SELECT 1", "hook_params": map[string]any{"options": "-c x=1"}}, "error: sqlite connection \"lite\" (modernc.org/sqlite): hook_params.options is PostgreSQL's"},
		{map[string]any{"sql": "SELECT 1", "output_processor": "x"}, "refused: output_processor is a Python callable"},
		{map[string]any{"sql": "SELECT 1", "parameters": "x"}, "final: parameters: x is neither a list nor a mapping"},
		{map[string]any{"sql": "SELECT 1", "conn_id": "lte"}, "error: the conn_id \"lte\" isn't defined"},
		{map[string]any{"sql": "SELCT 1"}, `error: sqlite connection "lite" (modernc.org/sqlite): SQL logic error: near "SELCT": syntax error (1); in statement: SELCT 1`},
	} {
		if got := b.run(t, b.task(t), c.params); !strings.Contains(got, c.want) {
			t.Errorf("%v: %s; want %s", c.params, got, c.want)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	b := setUp(t, sqlconntest.SQLite(t))
	task := b.task(t)
	b.run(t, task, map[string]any{"sql": "SELECT 'shown' || %s", "parameters": []any{1}})
	if !task.Logged("Running statement: SELECT 'shown' || %s, parameters: [1]") || !task.Logged(`Returned value: [[\"shown1\"]]`) {
		t.Error(task.LogText())
	}
	task = b.task(t)
	b.run(t, task, map[string]any{"sql": "SELECT 'kept' || 'back'", "show_return_value_in_log": false})
	if task.Logged("keptback") {
		t.Error(task.LogText())
	}
	task = b.task(t)
	task.Task.DoXComPush = false
	if got := b.run(t, task, map[string]any{"sql": "SELECT 1"}); got != "nothing" {
		t.Errorf("without do_xcom_push: %s", got)
	}
	if got := b.run(t, task, map[string]any{"sql": "SELECT 1", "requires_result_fetch": true}); got != "[[1]]" {
		t.Errorf("with requires_result_fetch: %s", got)
	}
}

// TestKilled: the cause of a cancelled attempt reaches the engine, and the transaction is rolled back.
func TestKilled(t *testing.T) {
	t.Parallel()
	b := setUp(t, sqlconntest.SQLite(t))
	b.run(t, b.task(t), map[string]any{"sql": "CREATE TABLE t (n int)"})
	task := b.task(t)
	op := operatorstest.Build(t, b.reg, "SQLExecuteQueryOperator", map[string]any{
		"conn_id": "lite",
		"sql":     "INSERT INTO t VALUES (1); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c",
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, operators.ErrExecutionTimeout)
	defer cancel()
	_, err := op.Execute(ctx, task)
	if err == nil || !strings.Contains(err.Error(), operators.ErrExecutionTimeout.Error()) {
		t.Errorf("a statement out of time: %v", err)
	}
	if got := b.run(t, b.task(t), map[string]any{"sql": "SELECT count(*) FROM t"}); got != "[[0]]" {
		t.Errorf("after it: %s", got)
	}
}
