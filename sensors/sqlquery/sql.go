// Package sqlquery holds the sensor that waits for the answer of a SQL query.
package sqlquery

import (
	"context"
	"errors"

	"gust/connections/sqlconn"
	"gust/operators"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/sqlquery"
)

// Deps is what the sensor needs from the process.
type Deps struct {
	Pool     *sqlconn.Pool
	Defaults sensors.Defaults
	// Holds calls a Python function, a name in a file, with a cell, and reports whether what it returns is true; nil: there
	// is no Python.
	Holds func(ctx context.Context, t operators.Task, name, file string, cell any) (bool, error)
}

// Register adds the sensor to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Pool == nil {
		return errors.New("sensors/sqlquery: Deps needs a Pool")
	}
	return r.Register(operators.Spec{
		Name: "SqlSensor",
		Aliases: []string{
			"airflow.sensors.sql.SqlSensor", "airflow.sensors.sql_sensor.SqlSensor",
			"airflow.providers.common.sql.sensors.sql.SqlSensor",
		},
		Doc: "Waits until a SQL query returns a row whose first cell is not 0, '0', an empty text, false or null, or meets " +
			"success. A lost connection, a locked table or a server that starts is no failure: it looks again.",
		New:    func() operators.Operator { return sensors.New(&SQL{pool: deps.Pool, holds: deps.Holds}, deps.Defaults) },
		Sensor: true,
	})
}

// SQL waits for an answer (Airflow: SqlSensor).
type SQL struct {
	ConnID     string         `param:"conn_id" template:"true" required:"true" doc:"The connection, of type postgres, mysql or sqlite."`
	SQL        string         `param:"sql" template:"true" ext:".sql,.hql" required:"true" doc:"The query, or the name of a file that holds it. Of several statements the last one's answer counts."`
	Parameters any            `param:"parameters" template:"true" doc:"Values for the placeholders, as for SQLExecuteQueryOperator."`
	HookParams sqlconn.Params `param:"hook_params" template:"true" doc:"schema, the database to use instead of the connection's; options, PostgreSQL's options of the session."`
	sqlquery.Check
	sensors.Base

	pool  *sqlconn.Pool
	holds func(ctx context.Context, t operators.Task, name, file string, cell any) (bool, error)
}

// NeedsWorker reports whether a look calls Python.
func (s *SQL) NeedsWorker() bool { return s.Check.CallsPython() }

// Validate checks what does not depend on templates.
func (s *SQL) Validate() error {
	return errors.Join(s.Check.Validate(), s.Base.Validate())
}

func (s *SQL) args(pace triggers.Pace) (*sqlquery.Args, error) {
	if err := s.Check.Validate(); err != nil { // also reads dag-factory's notation
		return nil, operators.Fail(err)
	}
	params, err := sqlconn.ParamsOf(s.Parameters)
	if err != nil {
		return nil, operators.Fail(err)
	}
	return &sqlquery.Args{
		Target: s.HookParams.Target(s.ConnID, ""), SQL: s.SQL, Params: params, Check: s.Check, Pace: pace,
	}, nil
}

// Poke asks once.
func (s *SQL) Poke(ctx context.Context, t operators.Task) (sensors.Verdict, error) {
	args, err := s.args(triggers.Pace{})
	if err != nil {
		return sensors.Verdict{}, err
	}
	if s.holds != nil {
		args.Holds = func(ctx context.Context, name, file string, cell any) (bool, error) {
			return s.holds(ctx, t, name, file, cell)
		}
	}
	t.Log().Info("Poking: "+s.SQL, "parameters", args.Params)
	unmet, err := sqlquery.Look(ctx, s.pool, t, args)
	switch {
	case sqlconn.Passing(err) && ctx.Err() == nil:
		t.Log().Warn("the database cannot be asked just now: " + err.Error())
		return sensors.Waiting(), nil
	case err != nil:
		return sensors.Verdict{}, err
	case unmet != "":
		t.Log().Info("Not yet: " + unmet)
		return sensors.Waiting(), nil
	}
	return sensors.Done(nil), nil
}

// Trigger describes the wait.
func (s *SQL) Trigger(_ context.Context, _ operators.Task, pace triggers.Pace) (triggers.Trigger, error) {
	args, err := s.args(pace)
	if err != nil {
		return triggers.Trigger{}, err
	}
	return args.Trigger()
}

// Fired ends the wait.
func (s *SQL) Fired(context.Context, operators.Task, triggers.Event) (sensors.Verdict, error) {
	return sensors.Done(nil), nil
}
