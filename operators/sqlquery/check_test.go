package sqlquery

import (
	"fmt"
	"strings"
	"testing"

	"gust/connections/sqlconn/sqlconntest"
	"gust/operators"
	"gust/operators/operatorstest"
)

func TestChecks(t *testing.T) {
	t.Parallel()
	b := setUp(t, sqlconntest.SQLite(t))
	for _, c := range []struct {
		name, operator string
		params         map[string]any
		want           string
	}{
		{"all true", "SQLCheckOperator", map[string]any{"sql": "SELECT 1, 'x', 0.5"}, "ok"},
		{"one false", "SQLCheckOperator", map[string]any{"sql": "SELECT 1, 0"}, "Test failed. Query: SELECT 1, 0. Results: [1,0]"},
		{"one null", "SQLCheckOperator", map[string]any{"sql": "SELECT 1, NULL"}, "Results: [1,null]"},
		{"one empty", "SQLCheckOperator", map[string]any{"sql": "SELECT ''"}, "Test failed"},
		{"no row", "SQLCheckOperator", map[string]any{"sql": "SELECT 1 WHERE 0"}, "The following query returned zero rows: SELECT 1 WHERE 0"},
		{"at once", "SQLCheckOperator", map[string]any{"sql": "SELECT 0", "retry_on_failure": false}, "final: Test failed"},
		{"parameters", "SQLCheckOperator", map[string]any{"sql": "SELECT %s", "parameters": []any{1}}, "ok"},
		{"an equal number", "SQLValueCheckOperator", map[string]any{"sql": "SELECT 5, 5.0", "pass_value": "5"}, "ok"},
		{"another number", "SQLValueCheckOperator", map[string]any{"sql": "SELECT 6", "pass_value": 5}, "Test failed. Pass value: 5. Query: SELECT 6. Results: [6]"},
		{"near enough", "SQLValueCheckOperator", map[string]any{"sql": "SELECT 95", "pass_value": 100, "tolerance": 0.1}, "ok"},
		{"not near", "SQLValueCheckOperator", map[string]any{"sql": "SELECT 89", "pass_value": 100, "tolerance": 0.1}, "Tolerance: 10%."},
		{"near below zero", "SQLValueCheckOperator", map[string]any{"sql": "SELECT -95", "pass_value": -100, "tolerance": 0.1}, "ok"},
		{"a text", "SQLValueCheckOperator", map[string]any{"sql": "SELECT 'done'", "pass_value": "done"}, "ok"},
		{"no number", "SQLValueCheckOperator", map[string]any{"sql": "SELECT 'done'", "pass_value": 1}, "Converting a result to a number failed"},
		{"between", "SQLThresholdCheckOperator", map[string]any{"sql": "SELECT 5", "min_threshold": 1, "max_threshold": "SELECT 5"}, "ok"},
		{"outside", "SQLThresholdCheckOperator", map[string]any{"sql": "SELECT 5", "min_threshold": "6", "max_threshold": 10}, "5 is not within thresholds 6 and 10"},
		{"no number to compare", "SQLThresholdCheckOperator", map[string]any{"sql": "SELECT 'x'", "min_threshold": 1, "max_threshold": 2}, "the first cell is x, which is not a number"},
		{"yes", "BranchSQLOperator", map[string]any{"sql": "SELECT 'Yes'"}, "follows [a]"},
		{"a number", "BranchSQLOperator", map[string]any{"sql": "SELECT 7"}, "follows [a]"},
		{"no", "BranchSQLOperator", map[string]any{"sql": "SELECT 0"}, "follows [b c]"},
		{"perhaps", "BranchSQLOperator", map[string]any{"sql": "SELECT 'perhaps'"}, "Unexpected query return result 'perhaps'"},
		{"no answer", "BranchSQLOperator", map[string]any{"sql": "SELECT 1 WHERE 0"}, "No rows returned from sql query"},
		{"no such task", "BranchSQLOperator", map[string]any{"sql": "SELECT 1", "follow_task_ids_if_true": "d"}, `final: follow_task_ids_if_true: "d" is not a direct downstream task`},
		{"a broken query", "BranchSQLOperator", map[string]any{"sql": "SELCT"}, "syntax error"},
		{"an empty query", "SQLCheckOperator", map[string]any{"sql": "--"}, "final: sql is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			params := map[string]any{"conn_id": "lite"}
			if c.operator == "BranchSQLOperator" {
				params["follow_task_ids_if_true"], params["follow_task_ids_if_false"] = "a", []any{"b", "c"}
			}
			for k, v := range c.params {
				params[k] = v
			}
			task := b.task(t)
			task.Task.Downstream = []string{"a", "b", "c"}
			res, err := operatorstest.Build(t, b.reg, c.operator, params).Execute(t.Context(), task)
			got := "ok"
			switch {
			case operators.NoRetry(err):
				got = "final: " + err.Error()
			case err != nil:
				got = err.Error()
			case res.Follow != nil:
				got = "follows " + fmt.Sprint(*res.Follow)
			}
			if got != c.want && (c.want == "ok" || !strings.Contains(got, c.want)) {
				t.Errorf("%s; want %s", got, c.want)
			}
		})
	}
}
