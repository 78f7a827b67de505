// Package sqlquery runs SQL as tasks.
package sqlquery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gust/connections/sqlconn"
	"gust/internal/param"
	"gust/operators"
)

// Register adds the family to the registry. The assembler closes the pool at the end.
func Register(r *operators.Registry, pool *sqlconn.Pool) error {
	if pool == nil {
		return errors.New("operators/sqlquery: a Pool is needed")
	}
	return errors.Join(registerChecks(r, pool), r.Register(operators.Spec{
		Name: "SQLExecuteQueryOperator",
		Aliases: []string{
			"airflow.providers.common.sql.operators.sql.SQLExecuteQueryOperator",
			"PostgresOperator", "airflow.operators.postgres_operator.PostgresOperator",
			"airflow.providers.postgres.operators.postgres.PostgresOperator",
			"MySqlOperator", "airflow.operators.mysql_operator.MySqlOperator",
			"airflow.providers.mysql.operators.mysql.MySqlOperator",
			"SqliteOperator", "airflow.operators.sqlite_operator.SqliteOperator",
			"airflow.providers.sqlite.operators.sqlite.SqliteOperator",
		},
		Doc: "Runs SQL in PostgreSQL, MySQL, MariaDB or SQLite and returns the rows. All statements are one transaction, " +
			"unless autocommit is set or they begin and end transactions themselves. A task that is killed or runs out of " +
			"time cancels its statement in the database and rolls back.",
		New: func() operators.Operator { return &SQL{pool: pool} },
	}))
}

// SQL runs statements (Airflow: SQLExecuteQueryOperator).
type SQL struct {
	SQL                  any            `param:"sql" template:"true" ext:".sql,.json" required:"true" doc:"The statements: a text, a list of texts, or names of files that hold them (.sql; .json for a list)."`
	ConnID               string         `param:"conn_id" alias:"postgres_conn_id,mysql_conn_id,sqlite_conn_id" template:"true" required:"true" doc:"The connection, of type postgres, mysql or sqlite."`
	Database             string         `param:"database" template:"true" doc:"The database to use instead of the connection's schema."`
	Parameters           any            `param:"parameters" template:"true" doc:"Values for the placeholders of every statement: a list for %s or ?, a mapping for %(name)s or :name. They are bound by the driver, never written into the text. A list among them is an array in PostgreSQL (= ANY(%s)), and a set elsewhere (IN %s). With parameters a percent sign is written %%."`
	Autocommit           bool           `param:"autocommit" default:"false" doc:"Make each statement permanent by itself."`
	Handler              Handler        `param:"handler" default:"fetch_all_handler" doc:"What to return of a statement's rows: fetch_all_handler (a list of rows), fetch_one_handler (the first row), or null (nothing). Airflow's import paths of these are understood."`
	SplitStatements      bool           `param:"split_statements" default:"false" doc:"Take each statement of a text by itself: with return_last: false each has its result. Otherwise only the last one's counts."`
	ReturnLast           bool           `param:"return_last" default:"true" doc:"Return the last statement's result. false returns a list of all, if sql is a list or split_statements is set."`
	ShowReturnValueInLog bool           `param:"show_return_value_in_log" default:"true" doc:"Write the returned value to the log."`
	RequiresResultFetch  bool           `param:"requires_result_fetch" default:"false" doc:"Fetch the rows even if do_xcom_push is off. Otherwise they are then left in the database."`
	HookParams           sqlconn.Params `param:"hook_params" template:"true" doc:"schema, the same as database; options, PostgreSQL's options of the session, for example -c statement_timeout=3000ms."`
	OutputProcessor      any            `param:"output_processor" doc:"Not supported: a Python callable in Airflow. Shape the value in SQL, or where it is used."`

	pool *sqlconn.Pool
}

// Handler is what is returned of the rows.
type Handler struct{ fetch sqlconn.Fetch }

// handlers are the names, of Airflow's functions and short.
var handlers = map[string]sqlconn.Fetch{
	"fetch_all_handler": sqlconn.FetchAll, "fetch_all": sqlconn.FetchAll,
	"fetch_one_handler": sqlconn.FetchOne, "fetch_one": sqlconn.FetchOne,
	"none": sqlconn.FetchNone,
}

// ParamType names the notation.
func (Handler) ParamType() string { return "name or null" }

// SetNull is handler: null.
func (h *Handler) SetNull() { h.fetch = sqlconn.FetchNone }

// UnmarshalParam reads a name, with or without the import path.
func (h *Handler) UnmarshalParam(value any) error {
	name, ok := value.(string)
	if ok {
		name = name[strings.LastIndex(name, ".")+1:]
		if h.fetch, ok = handlers[strings.ToLower(name)]; ok {
			return nil
		}
	}
	known := []string{"fetch_all_handler", "fetch_one_handler", "none"}
	return &param.Error{
		Problem: fmt.Sprintf("%v is not a handler", value), Expected: "one of " + strings.Join(known, ", ") + "; other Python callables cannot run here",
		Nearest: param.Nearest(name, known),
	}
}

// Validate checks what does not depend on templates.
func (s *SQL) Validate() error {
	if s.OutputProcessor != nil {
		return errors.New("output_processor is a Python callable and is not supported; shape the value in SQL, or where it is used")
	}
	if s.SQL == nil { // its template is still to be rendered
		return nil
	}
	_, _, err := s.texts()
	return err
}

// texts are the texts of sql, and whether they were given as a list.
func (s *SQL) texts() (texts []string, isList bool, err error) {
	switch v := s.SQL.(type) {
	case string:
		var list []string
		if strings.HasPrefix(strings.TrimSpace(v), "[") && json.Unmarshal([]byte(v), &list) == nil {
			texts, isList = list, true // a .json file, or a template that makes a list
		} else {
			texts = []string{v}
		}
	case []any:
		isList = true
		for i, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, false, fmt.Errorf("sql.%d is %v; expected a text", i, item)
			}
			texts = append(texts, text)
		}
	default:
		return nil, false, fmt.Errorf("sql is %v; expected a text or a list of texts", s.SQL)
	}
	if strings.TrimSpace(strings.Join(texts, "")) == "" {
		return nil, false, errors.New("List of SQL statements is empty")
	}
	return texts, isList, nil
}

// Execute runs the statements.
func (s *SQL) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	texts, isList, err := s.texts()
	if err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	params, err := sqlconn.ParamsOf(s.Parameters)
	if err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	target := s.HookParams.Target(s.ConnID, s.Database)
	statements, last, err := s.statements(ctx, t, target, texts)
	if err != nil {
		return operators.Result{}, err
	}
	fetch := s.Handler.fetch
	if spec := t.Spec(); spec != nil && !spec.DoXComPush && !s.RequiresResultFetch {
		fetch = sqlconn.FetchNone
	}
	results, err := s.pool.Run(ctx, t, target, sqlconn.Request{
		Statements: statements, Params: params, Autocommit: s.Autocommit, Fetch: fetch,
		Log: func(line string) { t.Log().Info(line) },
	})
	if err != nil {
		return operators.Result{}, err
	}
	t.Log().Info(fmt.Sprintf("Ran %d statements", len(statements)))
	if fetch == sqlconn.FetchNone {
		return operators.Done(nil), nil
	}
	value := s.value(results, last, s.ReturnLast || !isList && !s.SplitStatements)
	if s.ShowReturnValueInLog && value != nil {
		t.Log().Info("Returned value: " + shown(value))
	}
	return operators.Done(value), nil
}

// statements cuts the texts. last are the indexes of the statements whose results count: of each text the last one's.
func (s *SQL) statements(
	ctx context.Context, t operators.Task, target sqlconn.Target, texts []string,
) (statements []string, last []int, err error) {
	for _, text := range texts {
		parts, err := s.pool.Split(ctx, t, target, text)
		if err != nil {
			return nil, nil, err
		}
		for i, part := range parts {
			if s.SplitStatements || i == len(parts)-1 {
				last = append(last, len(statements))
			}
			statements = append(statements, part)
		}
	}
	if len(statements) == 0 {
		return nil, nil, operators.Failf("List of SQL statements is empty")
	}
	return statements, last, nil
}

// value is the return value: one statement's, or the list of all that count.
func (s *SQL) value(results []sqlconn.Result, last []int, single bool) any {
	values := make([]any, len(last))
	for i, at := range last {
		rows := results[at].Rows
		switch {
		case rows == nil, s.Handler.fetch == sqlconn.FetchOne && len(rows) == 0:
		case s.Handler.fetch == sqlconn.FetchOne:
			values[i] = rows[0]
		default:
			values[i] = rows
		}
	}
	if single {
		return values[len(values)-1]
	}
	return values
}

// shown is the beginning of a value for the log.
func shown(value any) string {
	const most = 2000
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	if len(raw) > most {
		return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(string(raw[:most]), ""), len(raw))
	}
	return string(raw)
}
