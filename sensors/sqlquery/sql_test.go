package sqlquery

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/connections"
	"gust/connections/sqlconn"
	"gust/connections/sqlconn/sqlconntest"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/sqlquery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type bench struct {
	reg   *operators.Registry
	waits *triggers.Registry
	pool  *sqlconn.Pool
	conns sqlconntest.Resolver
}

func setUp(t *testing.T) *bench {
	t.Helper()
	host, port := "127.0.0.1", 1
	b := &bench{reg: operators.NewRegistry(), waits: triggers.NewRegistry(), pool: &sqlconn.Pool{}, conns: sqlconntest.Resolver{
		sqlconntest.SQLite(t), {ID: "down", Type: "postgres", Host: &host, Port: port},
	}}
	t.Cleanup(b.pool.Close)
	if err := Register(b.reg, Deps{Pool: b.pool}); err != nil {
		t.Fatal(err)
	}
	if err := sqlquery.Register(b.waits, sqlquery.Deps{Pool: b.pool, Connections: b.conns}); err != nil {
		t.Fatal(err)
	}
	_, err := b.pool.Run(t.Context(), b.conns, sqlconn.Target{ConnID: "lite"}, sqlconn.Request{
		Statements: []string{"CREATE TABLE t (n int, name text)", "INSERT INTO t VALUES (3, 'three')"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// look looks once, on a worker or as the trigger loop does, and says what came of it.
func (b *bench) look(t *testing.T, parked bool, params map[string]any) string {
	t.Helper()
	all := map[string]any{"conn_id": "lite"}
	for k, v := range params {
		all[k] = v
	}
	if !parked {
		all["mode"] = "reschedule"
	}
	op, err := operatorstest.TryBuild(b.reg, "SqlSensor", all)
	if err != nil {
		return "refused: " + err.Error()
	}
	task := operatorstest.NewTask(t)
	for _, c := range b.conns {
		task.Connections[c.ID] = c
	}
	if !parked {
		res, err := op.Execute(t.Context(), task)
		switch {
		case err != nil:
			return "error: " + err.Error()
		case !res.RescheduleAt.IsZero():
			return "again"
		}
		return "done"
	}
	d, err := op.(operators.Parker).Park(t.Context(), task)
	if err != nil {
		return "error: " + err.Error()
	}
	checker, err := b.waits.Checker(d.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	v := checker.Check(t.Context(), now, []triggers.Wait{{ID: "w", Args: d.Trigger.Args, Since: now}})[0]
	switch {
	case v.Err != nil:
		return "error: " + v.Err.Error()
	case v.Event == nil:
		return "again"
	}
	if _, err := op.(operators.Parker).Finish(t.Context(), task, v.Event, nil); err != nil {
		return "error: " + err.Error()
	}
	return "done"
}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, setUp(t).reg)
}

func TestSensor(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, c := range []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"a row", map[string]any{"sql": "SELECT n FROM t"}, "done"},
		{"no row", map[string]any{"sql": "SELECT n FROM t WHERE n = %s", "parameters": []any{4}}, "again"},
		{"no row fails", map[string]any{"sql": "SELECT n FROM t WHERE 0", "fail_on_empty": true}, "error: No rows returned, raising as per fail_on_empty flag"},
		{"zero", map[string]any{"sql": "SELECT 0"}, "again"},
		{"zero as text", map[string]any{"sql": "SELECT '0'"}, "again"},
		{"empty text", map[string]any{"sql": "SELECT ''"}, "again"},
		{"null", map[string]any{"sql": "SELECT NULL"}, "again"},
		{"text", map[string]any{"sql": "SELECT 'no'"}, "done"},
		{"success", map[string]any{"sql": "SELECT n FROM t", "success": "first_cell > 2"}, "done"},
		{"no success", map[string]any{"sql": "SELECT n FROM t", "success": "first_cell > 3"}, "again"},
		{"zero can be success", map[string]any{"sql": "SELECT 0", "success": "first_cell == 0"}, "done"},
		{"a lambda", map[string]any{"sql": "SELECT n FROM t", "success_check_lambda": "lambda cell: cell in (2, 3)"}, "done"},
		{"a column", map[string]any{"sql": "SELECT * FROM t", "success": "columns.name == 'three' and row[0] == 3"}, "done"},
		{"selector", map[string]any{"sql": "SELECT * FROM t", "selector": "name", "success": "first_cell.startswith('th')"}, "done"},
		{"selector by index", map[string]any{"sql": "SELECT * FROM t", "selector": 1, "success": "first_cell == 'three'"}, "done"},
		{"unknown column", map[string]any{"sql": "SELECT * FROM t", "selector": "nme"}, `error: selector: the answer has no column "nme"; expected one of n, name; did you mean "name"?`},
		{"failure", map[string]any{"sql": "SELECT n FROM t", "failure": "first_cell == 3", "success": "first_cell == 3"}, "error: Failure criteria met: first_cell == 3 is true of 3"},
		{"no failure", map[string]any{"sql": "SELECT n FROM t", "failure_check_lambda": "lambda c: c < 0"}, "done"},
		{"the last of two", map[string]any{"sql": "SELECT 0; SELECT 1"}, "done"},
		{"a broken query", map[string]any{"sql": "SELECT x FROM t"}, "error: sqlite connection \"lite\" (modernc.org/sqlite): SQL logic error: no such column: x (1); in statement: SELECT x FROM t"},
		{"the database is down", map[string]any{"sql": "SELECT 1", "conn_id": "down"}, "again"},
		{"not an expression", map[string]any{"sql": "SELECT 1", "success": "first_cell >"}, `refused: success: "first_cell >" is not an expression`},
		{"an unknown name", map[string]any{"sql": "SELECT 1", "success": "first_cel > 1"}, `unknown variable "first_cel"; did you mean "first_cell"?`},
		{"half a function", map[string]any{"sql": "SELECT 1", "success_check_file": "x.py"}, "refused: success_check_name and success_check_file belong together"},
		{
			"two criteria", map[string]any{"sql": "SELECT 1", "failure": "row", "failure_check_name": "f", "failure_check_file": "x.py"},
			"refused: give failure, failure_check_lambda, or failure_check_name and failure_check_file",
		},
		{"a bad selector", map[string]any{"sql": "SELECT 1", "selector": -1}, "refused: selector is -1"},
	} {
		for _, parked := range []bool{false, true} {
			got := b.look(t, parked, c.params)
			if got != c.want && !(strings.Contains(got, c.want) && len(c.want) > 6) {
				t.Errorf("%s, parked %v: %s; want %s", c.name, parked, got, c.want)
			}
		}
	}
}

// TestFunctions: Python functions judge the cell, on a worker.
func TestFunctions(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	var reg *operators.Registry
	register := func(holds func(context.Context, operators.Task, string, string, any) (bool, error)) {
		reg = operators.NewRegistry()
		if err := Register(reg, Deps{Pool: b.pool, Holds: holds}); err != nil {
			t.Fatal(err)
		}
	}
	look := func(params map[string]any) string {
		all := map[string]any{"conn_id": "lite", "sql": "SELECT n FROM t"}
		maps.Copy(all, params)
		op := operatorstest.Build(t, reg, "SqlSensor", all)
		if op.(operators.Parker).Parks() {
			t.Errorf("%v is parked", params)
		}
		task := operatorstest.NewTask(t)
		for _, c := range b.conns {
			task.Connections[c.ID] = c
		}
		res, err := op.Execute(t.Context(), task)
		switch {
		case err != nil:
			return "error: " + err.Error()
		case !res.RescheduleAt.IsZero():
			return "again"
		}
		return "done"
	}
	register(func(_ context.Context, _ operators.Task, name, file string, cell any) (bool, error) {
		if name == "raises" {
			return false, operators.Failf("no")
		}
		return fmt.Sprint(name, file, cell) == "isx.py3", nil
	})
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{"success_check_name": "is", "success_check_file": "x.py"}, "done"},
		{map[string]any{"success_check_name": "other", "success_check_file": "x.py"}, "again"},
		{map[string]any{"failure_check_name": "is", "failure_check_file": "x.py"}, "error: Failure criteria met: is is true of 3"},
		{map[string]any{"failure_check_name": "other", "failure_check_file": "x.py"}, "done"},
		{map[string]any{"success_check_name": "raises", "success_check_file": "x.py"}, "error: success_check_name: no"},
	} {
		if got := look(c.params); got != c.want {
			t.Errorf("%v: %s; want %s", c.params, got, c.want)
		}
	}
	register(nil)
	if got := look(map[string]any{"success_check_name": "is", "success_check_file": "x.py"}); !strings.Contains(got, "there is no Python here") {
		t.Errorf("without Python: %s", got)
	}
}

// TestTroublePasses: a parked wait bears a database that is down for a while, then gives up.
func TestTroublePasses(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	op := operatorstest.Build(t, b.reg, "SqlSensor", map[string]any{"conn_id": "down", "sql": "SELECT 1", "poke_interval": 30})
	task := operatorstest.NewTask(t)
	task.Connections = map[string]*connections.Connection{"down": b.conns[1]}
	d, err := op.(operators.Parker).Park(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	checker, err := b.waits.Checker(d.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	wait := triggers.Wait{ID: "w", Args: d.Trigger.Args, Since: now}
	for n := 1; ; n++ {
		v := checker.Check(t.Context(), now, []triggers.Wait{wait})[0]
		if v.Err != nil {
			if n != 21 || !strings.Contains(v.Err.Error(), "connection refused") {
				t.Errorf("after %d looks: %v", n, v.Err)
			}
			return
		}
		if !v.Again.Equal(now.Add(30*time.Second)) || (v.Log != "") != (n == 1) || n > 30 {
			t.Fatalf("look %d: %+v", n, v)
		}
		wait.State = v.State
	}
}
