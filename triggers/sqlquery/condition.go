// Package sqlquery waits for the answer of a SQL query: the trigger, and the criteria that it shares with the sensor.
package sqlquery

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gust/connections/sqlconn"
	"gust/dag/template/jinja"
	"gust/dag/template/pyvalue"
	"gust/internal/param"
)

// Check is what an answer must meet. Airflow takes Python callables; these are expressions over the answer, which is
// data, so that a wait can be stored and looked at without a worker.
type Check struct {
	Success     string `json:"success,omitempty" param:"success" template:"true" doc:"An expression over the answer that ends the wait when it is true, for example first_cell >= {{ params.rows }}. It sees first_cell (the selected cell of the first row), row (the first row, a list) and columns (the first row by column name). A lambda of one argument (lambda cell: cell > 5) is read as such an expression. Default: first_cell is not 0, '0', an empty text, false or null."`
	Failure     string `json:"failure,omitempty" param:"failure" template:"true" doc:"An expression as success. The task fails when it is true. It is looked at before success."`
	Selector    any    `json:"selector,omitempty" param:"selector" doc:"Which cell of the first row is first_cell: its index from 0, or the name of its column. Default: 0."`
	FailOnEmpty bool   `json:"fail_on_empty,omitempty" param:"fail_on_empty" default:"false" doc:"Fail when the query returns no row. Otherwise no row means not yet."`

	SuccessCheckLambda string `json:"-" param:"success_check_lambda" doc:"dag-factory's notation of success."`
	FailureCheckLambda string `json:"-" param:"failure_check_lambda" doc:"dag-factory's notation of failure."`
	SuccessCheckFile   string `json:"-" param:"success_check_file" doc:"The Python file of success_check_name; a relative path is beside the pipeline file."`
	SuccessCheckName   string `json:"-" param:"success_check_name" doc:"Instead of success: a Python function that is called with the selected cell. It keeps a worker for each look."`
	FailureCheckFile   string `json:"-" param:"failure_check_file" doc:"The Python file of failure_check_name."`
	FailureCheckName   string `json:"-" param:"failure_check_name" doc:"Instead of failure: a Python function that is called with the selected cell."`
}

// Holds calls a Python function, a name in a file, with the selected cell and reports whether what it returns is true.
type Holds func(ctx context.Context, name, file string, cell any) (bool, error)

// CallsPython reports whether a criterion is a Python function, which only a worker can call.
func (c *Check) CallsPython() bool { return c.SuccessCheckName != "" || c.FailureCheckName != "" }

// Validate checks the criteria, and reads dag-factory's notation.
func (c *Check) Validate() error {
	for _, f := range []struct{ kind, name, file string }{
		{"success", c.SuccessCheckName, c.SuccessCheckFile}, {"failure", c.FailureCheckName, c.FailureCheckFile},
	} {
		if (f.name == "") != (f.file == "") {
			return fmt.Errorf("%s_check_name and %s_check_file belong together", f.kind, f.kind)
		}
	}
	switch {
	case c.SuccessCheckName != "" && c.Success+c.SuccessCheckLambda != "":
		return errors.New("give success, success_check_lambda, or success_check_name and success_check_file")
	case c.FailureCheckName != "" && c.Failure+c.FailureCheckLambda != "":
		return errors.New("give failure, failure_check_lambda, or failure_check_name and failure_check_file")
	}
	switch c.Selector.(type) {
	case nil, string:
	default:
		if n, ok := param.Int(c.Selector); !ok || n < 0 {
			return fmt.Errorf("selector is %v; expected a column's index from 0, or its name", c.Selector)
		}
	}
	if c.SuccessCheckLambda != "" {
		c.Success = c.SuccessCheckLambda
	}
	if c.FailureCheckLambda != "" {
		c.Failure = c.FailureCheckLambda
	}
	for _, criterion := range []struct{ name, text string }{{"success", c.Success}, {"failure", c.Failure}} {
		if _, err := parse(criterion.text); err != nil {
			return fmt.Errorf("%s: %w", criterion.name, err)
		}
	}
	return nil
}

// criterion is a parsed expression over an answer.
type criterion struct {
	text     string
	argument string // the lambda's, "" without
	template *jinja.Template
}

var lambda = regexp.MustCompile(`^\s*lambda\s+([A-Za-z_]\w*)\s*:\s*(.*)$`)

// environment has limits so small that an expression in the trigger loop cannot hold it up.
var environment = jinja.NewEnv(pyvalue.Limits{Steps: 10_000, Output: 1 << 16, Items: 10_000})

// names are what an expression sees.
var names = []string{"columns", "first_cell", "row"}

// parse reads a criterion; nil for an empty text.
func parse(text string) (*criterion, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	c := &criterion{text: strings.TrimSpace(text)}
	expression := c.text
	if m := lambda.FindStringSubmatch(expression); m != nil {
		c.argument, expression = m[1], m[2]
	}
	var err error
	if c.template, err = environment.Parse("{{ (" + expression + ") }}"); err != nil {
		return nil, fmt.Errorf("%q is not an expression: %w; write one such as first_cell > 5", c.text, err)
	}
	known := append([]string{c.argument}, names...)
	err = c.template.Check(func(name string) bool {
		for _, k := range known {
			if name == k && k != "" {
				return true
			}
		}
		return false
	}, names)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", c.text, err)
	}
	return c, nil
}

// holds evaluates the criterion.
func (c *criterion) holds(ctx context.Context, a *answer) (bool, error) {
	value, err := c.template.Evaluate(ctx, jinja.Globals{Names: names, Lookup: func(_ *pyvalue.State, name string) (any, bool, error) {
		switch name {
		case "first_cell", c.argument:
			return pyvalue.Import(a.cell), true, nil
		case "row":
			return pyvalue.Import(a.row), true, nil
		case "columns":
			return pyvalue.Import(a.columns), true, nil
		}
		return nil, false, nil
	}})
	if err != nil {
		return false, fmt.Errorf("%q: %w", c.text, err)
	}
	return pyvalue.Truth(value)
}

// answer is the first row of a query's result.
type answer struct {
	cell    any
	row     []any
	columns map[string]any
}

func (c *Check) answer(res *sqlconn.Result) (*answer, error) {
	a := &answer{row: res.Rows[0], columns: map[string]any{}}
	for i, name := range res.Columns {
		a.columns[name] = a.row[i]
	}
	if name, ok := c.Selector.(string); ok {
		cell, found := a.columns[name]
		if !found {
			return nil, &param.Error{
				Path: []string{"selector"}, Problem: fmt.Sprintf("the answer has no column %q", name),
				Expected: "one of " + strings.Join(res.Columns, ", "), Nearest: param.Nearest(name, res.Columns),
			}
		}
		a.cell = cell
		return a, nil
	}
	index, _ := param.Int(c.Selector) // nil is 0
	if int(index) >= len(a.row) {
		return nil, fmt.Errorf("selector is %d, but the answer has %d columns", index, len(a.row))
	}
	a.cell = a.row[index]
	return a, nil
}

// errEmpty is the failure of fail_on_empty, in Airflow's words.
var errEmpty = errors.New("No rows returned, raising as per fail_on_empty flag")

// unmet says why the answer does not end the wait, "" when it does. holds calls Python; nil: there is none.
func (c *Check) unmet(ctx context.Context, res *sqlconn.Result, holds Holds) (string, error) {
	if len(res.Rows) == 0 {
		if c.FailOnEmpty {
			return "", errEmpty
		}
		return "the query returns no row", nil
	}
	if c.CallsPython() && holds == nil {
		return "", errors.New("there is no Python here to call success_check_name or failure_check_name")
	}
	a, err := c.answer(res)
	if err != nil {
		return "", err
	}
	bad, what, err := judge(ctx, "failure", c.Failure, c.FailureCheckName, c.FailureCheckFile, a, holds)
	switch {
	case err != nil:
		return "", err
	case what != "" && bad:
		return "", fmt.Errorf("Failure criteria met: %s is true of %v", what, a.cell)
	}
	good, what, err := judge(ctx, "success", c.Success, c.SuccessCheckName, c.SuccessCheckFile, a, holds)
	switch {
	case err != nil:
		return "", err
	case what == "" && !some(a.cell):
		return fmt.Sprintf("the first cell is %v", a.cell), nil
	case what != "" && !good:
		return fmt.Sprintf("%s is false of %v", what, a.cell), nil
	}
	return "", nil
}

// judge evaluates a criterion: an expression or a Python function. what names it, "" when there is none.
func judge(ctx context.Context, kind, text, name, file string, a *answer, holds Holds) (ok bool, what string, err error) {
	if name != "" {
		ok, err = holds(ctx, name, file, a.cell)
		if err != nil {
			err = fmt.Errorf("%s_check_name: %w", kind, err)
		}
		return ok, name, err
	}
	c, err := parse(text)
	if c == nil && err == nil {
		return false, "", nil
	}
	if err == nil {
		what = c.text
		ok, err = c.holds(ctx, a)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", kind, err)
	}
	return ok, what, err
}

// some is Airflow's default criterion.
func some(cell any) bool {
	if cell == "0" {
		return false
	}
	ok, err := pyvalue.Truth(pyvalue.Import(cell))
	return err == nil && ok
}
