package sqlquery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gust/connections/sqlconn"
	"gust/internal/param"
	"gust/operators"
)

// Query is what the operators that judge the first row of an answer have in common.
type Query struct {
	SQL        string         `param:"sql" template:"true" ext:".sql,.hql" required:"true" doc:"The query, or the name of a file that holds it. Its first row counts; of several statements that of the last one."`
	ConnID     string         `param:"conn_id" template:"true" required:"true" doc:"The connection, of type postgres, mysql or sqlite."`
	Database   string         `param:"database" template:"true" doc:"The database to use instead of the connection's schema."`
	Parameters any            `param:"parameters" template:"true" doc:"Values for the placeholders, as for SQLExecuteQueryOperator."`
	HookParams sqlconn.Params `param:"hook_params" template:"true" doc:"schema, the same as database; options, PostgreSQL's options of the session."`

	pool *sqlconn.Pool
}

// row is the first row of the answer to a query, nil when there is none.
func (q *Query) row(ctx context.Context, t operators.Task, text string) ([]any, error) {
	params, err := sqlconn.ParamsOf(q.Parameters)
	if err != nil {
		return nil, operators.Fail(err)
	}
	target := q.HookParams.Target(q.ConnID, q.Database)
	statements, err := q.pool.Split(ctx, t, target, text)
	if err != nil {
		return nil, err
	}
	if len(statements) == 0 {
		return nil, operators.Failf("sql is empty")
	}
	results, err := q.pool.Run(ctx, t, target, sqlconn.Request{
		Statements: statements, Params: params, Fetch: sqlconn.FetchOne, Log: func(line string) { t.Log().Info(line) },
	})
	if err != nil {
		return nil, err
	}
	rows := results[len(results)-1].Rows
	if len(rows) == 0 {
		return nil, nil
	}
	t.Log().Info("Record: " + shown(rows[0]))
	return rows[0], nil
}

// Verdict is what the checks have in common.
type Verdict struct {
	RetryOnFailure bool `param:"retry_on_failure" default:"true" doc:"Retry a check that has failed as any other failure. false: the task fails at once."`
}

func (v *Verdict) failed(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if !v.RetryOnFailure {
		return operators.Fail(err)
	}
	return err
}

// Check wants every cell of the first row to be true (Airflow: SQLCheckOperator).
type Check struct {
	Query
	Verdict
}

// Execute judges.
func (c *Check) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	row, err := c.row(ctx, t, c.SQL)
	switch {
	case err != nil:
		return operators.Result{}, err
	case row == nil:
		return operators.Result{}, c.failed("The following query returned zero rows: %s", c.SQL)
	}
	for _, cell := range row {
		if !truth(cell) {
			return operators.Result{}, c.failed("Test failed. Query: %s. Results: %s", c.SQL, shown(row))
		}
	}
	t.Log().Info("Success.")
	return operators.Done(nil), nil
}

// truth is Python's bool() of a cell.
func truth(cell any) bool {
	switch v := cell.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case json.RawMessage:
		text := string(v)
		return text != "null" && text != "false" && text != "0" && text != `""` && text != "[]" && text != "{}"
	}
	n, ok := number(cell)
	return !ok || n != 0
}

// number reads a cell, or a text, as a number.
func number(cell any) (float64, bool) {
	if text, ok := cell.(string); ok {
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		return n, err == nil
	}
	return param.Float(cell)
}

// ValueCheck compares the cells of the first row with a value (Airflow: SQLValueCheckOperator).
type ValueCheck struct {
	Query
	Verdict
	PassValue any      `param:"pass_value" template:"true" required:"true" doc:"What every cell of the first row must be."`
	Tolerance *float64 `param:"tolerance" doc:"How far a number may be off, as a part of pass_value: 0.1 is ten percent."`
}

// Execute judges.
func (c *ValueCheck) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	row, err := c.row(ctx, t, c.SQL)
	switch {
	case err != nil:
		return operators.Result{}, err
	case row == nil:
		return operators.Result{}, c.failed("The following query returned zero rows: %s", c.SQL)
	}
	want, numeric := number(c.PassValue)
	for _, cell := range row {
		ok := fmt.Sprint(cell) == fmt.Sprint(c.PassValue)
		if numeric {
			n, isNumber := number(cell)
			if !isNumber {
				return operators.Result{}, c.failed("Converting a result to a number failed: %s", shown(row))
			}
			ok = c.within(n, want)
		}
		if !ok {
			tolerance := ""
			if c.Tolerance != nil {
				tolerance = fmt.Sprintf(" Tolerance: %g%%.", *c.Tolerance*100)
			}
			return operators.Result{}, c.failed("Test failed. Pass value: %v.%s Query: %s. Results: %s", c.PassValue, tolerance, c.SQL, shown(row))
		}
	}
	return operators.Done(nil), nil
}

func (c *ValueCheck) within(n, want float64) bool {
	if c.Tolerance == nil {
		return n == want
	}
	low, high := want*(1-*c.Tolerance), want*(1+*c.Tolerance)
	return min(low, high) <= n && n <= max(low, high)
}

// ThresholdCheck wants the first cell to lie between two bounds (Airflow: SQLThresholdCheckOperator).
type ThresholdCheck struct {
	Query
	Verdict
	MinThreshold any `param:"min_threshold" template:"true" required:"true" doc:"Least value: a number, or a query whose first cell it is."`
	MaxThreshold any `param:"max_threshold" template:"true" required:"true" doc:"Greatest value: a number, or a query whose first cell it is."`
}

// Execute judges.
func (c *ThresholdCheck) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	value, err := c.cell(ctx, t, "sql", c.SQL)
	if err != nil {
		return operators.Result{}, err
	}
	low, err := c.bound(ctx, t, "min_threshold", c.MinThreshold)
	if err != nil {
		return operators.Result{}, err
	}
	high, err := c.bound(ctx, t, "max_threshold", c.MaxThreshold)
	if err != nil {
		return operators.Result{}, err
	}
	if value < low || value > high {
		return operators.Result{}, c.failed("Threshold Check: %v is not within thresholds %v and %v. Query: %s", value, low, high, c.SQL)
	}
	t.Log().Info(fmt.Sprintf("Test %v is within thresholds %v and %v", value, low, high))
	return operators.Done(nil), nil
}

func (c *ThresholdCheck) bound(ctx context.Context, t operators.Task, name string, threshold any) (float64, error) {
	if n, ok := number(threshold); ok {
		return n, nil
	}
	text, ok := threshold.(string)
	if !ok {
		return 0, operators.Failf("%s is %v; expected a number or a query", name, threshold)
	}
	return c.cell(ctx, t, name, text)
}

func (c *ThresholdCheck) cell(ctx context.Context, t operators.Task, name, text string) (float64, error) {
	row, err := c.row(ctx, t, text)
	if err != nil {
		return 0, err
	}
	if row == nil {
		return 0, c.failed("The following query returned zero rows: %s", text)
	}
	n, ok := number(row[0])
	if !ok {
		return 0, c.failed("%s: the first cell is %v, which is not a number", name, row[0])
	}
	return n, nil
}

// Branch chooses what follows by the first cell (Airflow: BranchSQLOperator).
type Branch struct {
	Query
	IfTrue  any `param:"follow_task_ids_if_true" template:"true" required:"true" doc:"The task id or task group id, or a list of them, to follow when the first cell is true: true, a number but 0, or one of the texts true, y, yes, 1, on."`
	IfFalse any `param:"follow_task_ids_if_false" template:"true" required:"true" doc:"What to follow when it is false: false, 0, or one of the texts false, n, no, 0, off."`
}

// Execute decides.
func (b *Branch) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	row, err := b.row(ctx, t, b.SQL)
	if err != nil {
		return operators.Result{}, err
	}
	if row == nil {
		return operators.Result{}, errors.New("No rows returned from sql query. Operator expected True or False return value")
	}
	yes, err := decision(row[0])
	if err != nil {
		return operators.Result{}, err
	}
	choice, name := b.IfFalse, "follow_task_ids_if_false"
	if yes {
		choice, name = b.IfTrue, "follow_task_ids_if_true"
	}
	ids, err := names(choice)
	if err == nil {
		err = operators.CheckFollow(t.Spec(), ids...)
	}
	if err != nil {
		return operators.Result{}, operators.Failf("%s: %w", name, err)
	}
	t.Log().Info("Following branch " + strings.Join(ids, ", "))
	return operators.Branch(ids, ids...), nil
}

// decision reads a cell as a yes or a no.
func decision(cell any) (bool, error) {
	text := strings.ToLower(fmt.Sprint(cell))
	switch text {
	case "true", "y", "yes", "1", "on":
		return true, nil
	case "false", "n", "no", "0", "off":
		return false, nil
	}
	if _, isText := cell.(string); !isText {
		if n, ok := number(cell); ok {
			return n != 0, nil
		}
	}
	return false, fmt.Errorf("Unexpected query return result '%v'; expected a boolean, a number, or one of the texts "+
		"true, y, yes, 1, on, false, n, no, 0, off", cell)
}

// names reads a task id or a list of them.
func names(choice any) ([]string, error) {
	switch v := choice.(type) {
	case string:
		return []string{v}, nil
	case []any:
		ids := make([]string, 0, len(v))
		for _, item := range v {
			id, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("%v is not a task id", item)
			}
			ids = append(ids, id)
		}
		return ids, nil
	}
	return nil, fmt.Errorf("%v is neither a task id nor a list of them", choice)
}

// registerChecks adds the operators that judge a query's answer.
func registerChecks(r *operators.Registry, pool *sqlconn.Pool) error {
	query := Query{pool: pool}
	return errors.Join(
		r.Register(operators.Spec{
			Name: "SQLCheckOperator",
			Aliases: []string{
				"CheckOperator", "airflow.operators.sql.SQLCheckOperator", "airflow.operators.check_operator.CheckOperator",
				"airflow.providers.common.sql.operators.sql.SQLCheckOperator",
			},
			Doc: "Fails unless every cell of a query's first row is true: not 0, empty, false or null.",
			New: func() operators.Operator { return &Check{Query: query} },
		}),
		r.Register(operators.Spec{
			Name: "SQLValueCheckOperator",
			Aliases: []string{
				"ValueCheckOperator", "airflow.operators.sql.SQLValueCheckOperator", "airflow.operators.check_operator.ValueCheckOperator",
				"airflow.providers.common.sql.operators.sql.SQLValueCheckOperator",
			},
			Doc: "Fails unless every cell of a query's first row is a given value, with a tolerance if it is a number.",
			New: func() operators.Operator { return &ValueCheck{Query: query} },
		}),
		r.Register(operators.Spec{
			Name: "SQLThresholdCheckOperator",
			Aliases: []string{
				"ThresholdCheckOperator", "airflow.operators.sql.SQLThresholdCheckOperator",
				"airflow.providers.common.sql.operators.sql.SQLThresholdCheckOperator",
			},
			Doc: "Fails unless the first cell of a query lies between two bounds, which may be queries themselves.",
			New: func() operators.Operator { return &ThresholdCheck{Query: query} },
		}),
		r.Register(operators.Spec{
			Name: "BranchSQLOperator",
			Aliases: []string{
				"BranchSqlOperator", "airflow.operators.sql.BranchSQLOperator", "airflow.operators.sql_branch_operator.BranchSqlOperator",
				"airflow.providers.common.sql.operators.sql.BranchSQLOperator",
			},
			Doc: "Chooses what follows by the first cell of a query.",
			New: func() operators.Operator { return &Branch{Query: query} },
		}),
	)
}
