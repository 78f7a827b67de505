package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/connections/sqlconn"
	"gust/internal/childprocess"
	"gust/internal/config"
	"gust/internal/pyworker"
	"gust/operators"
	opbatch "gust/operators/awsbatch"
	"gust/operators/awslambda"
	"gust/operators/core"
	ophttp "gust/operators/httpreq"
	"gust/operators/python"
	"gust/operators/shell"
	opsql "gust/operators/sqlquery"
	opstepfunctions "gust/operators/stepfunctions"
	"gust/operators/stepfunctions/activity"
	"gust/operators/stepfunctions/statemachine"
	"gust/sensors"
	sensexternal "gust/sensors/external"
	sensfiles "gust/sensors/files"
	senshttp "gust/sensors/httpreq"
	senssql "gust/sensors/sqlquery"
	sensstepfunctions "gust/sensors/stepfunctions"
	senstimed "gust/sensors/timed"
	"gust/triggers"
	trigbatch "gust/triggers/awsbatch"
	trigexternal "gust/triggers/external"
	trigfiles "gust/triggers/files"
	trighttp "gust/triggers/httpreq"
	trigsql "gust/triggers/sqlquery"
	trigstepfunctions "gust/triggers/stepfunctions"
	trigtimed "gust/triggers/timed"
)

// parts is what the operator families need from the process.
type parts struct {
	home              string
	killedCleanup     time.Duration
	mask              func(string) string
	starter           *childprocess.Starter
	python            *pyworker.Pool
	dagsFolder        string
	aws               *awsconn.Pool
	http              *trighttp.Client
	sql               *sqlconn.Pool
	connections       connections.Resolver
	defaultDeferrable *bool
	sensorTimeout     time.Duration
	runs              runAccess
	eventsArrive      func(stateMachineARN string) bool // whether events tell the ends of its executions
	log               *slog.Logger
}

func partsOf(cfg *config.Config) parts {
	return parts{
		home: cfg.Home(), killedCleanup: cfg.Core.KilledTaskCleanupTime, dagsFolder: cfg.Core.DagsFolder,
		defaultDeferrable: cfg.Operators.DefaultDeferrable, sensorTimeout: cfg.Sensors.DefaultTimeout,
	}
}

// register lists every operator, sensor and trigger of this build. A new family is added here.
func register(p parts) (*operators.Registry, *triggers.Registry, error) {
	ops, waits := operators.NewRegistry(), triggers.NewRegistry()
	clients := trigstepfunctions.FromPool(p.aws)
	defaults := sensors.Defaults{Timeout: p.sensorTimeout, Deferrable: p.defaultDeferrable}
	callables := python.Deps{Pool: p.python, Home: p.home, Path: []string{p.dagsFolder}, Sensors: defaults}
	commands := shell.Deps{Home: p.home, CleanupTime: p.killedCleanup, Starter: p.starter, Mask: p.mask}
	filters, err := shell.NewFilters(commands)
	if err != nil {
		return nil, nil, err
	}
	err = errors.Join(
		shell.Register(ops, commands),
		python.Register(ops, callables),
		core.Register(ops, core.Deps{Runs: p.runs, DefaultDeferrable: p.defaultDeferrable}),
		opstepfunctions.Register(ops, opstepfunctions.Deps{Clients: clients, DefaultDeferrable: p.defaultDeferrable}),
		statemachine.Register(ops, statemachine.Deps{
			Clients: clients, Diagnose: diagnose, DefaultDeferrable: p.defaultDeferrable,
		}),
		activity.Register(ops, activity.Deps{
			Clients: clients, Run: filtered(filters), DefaultDeferrable: p.defaultDeferrable,
		}),
		sensstepfunctions.Register(ops, sensstepfunctions.Deps{Clients: clients, Defaults: defaults}),
		ophttp.Register(ops, p.http),
		opbatch.Register(ops, opbatch.Deps{Clients: trigbatch.FromPool(p.aws), DefaultDeferrable: p.defaultDeferrable}),
		trigbatch.Register(waits, trigbatch.Deps{Clients: trigbatch.FromPool(p.aws), Connections: p.connections}),
		awslambda.Register(ops, awslambda.Deps{Clients: awslambda.FromPool(p.aws)}),
		opsql.Register(ops, p.sql),
		senssql.Register(ops, senssql.Deps{Pool: p.sql, Defaults: defaults, Holds: python.CellHolds(callables)}),
		senshttp.Register(ops, senshttp.Deps{Client: p.http, Defaults: defaults, Holds: python.ResponseHolds(callables)}),
		sensfiles.Register(ops, defaults),
		sensexternal.Register(ops, sensexternal.Deps{States: p.runs, Defaults: defaults, DateOf: python.DateOf(callables)}),
		senstimed.Register(ops, defaults),
		trigexternal.Register(waits, p.runs),
		trigtimed.Register(waits),
		trigfiles.Register(waits),
		trigsql.Register(waits, trigsql.Deps{Pool: p.sql, Connections: p.connections}),
		trighttp.Register(waits, trighttp.Deps{Client: p.http, Connections: p.connections}),
		trigstepfunctions.Register(waits, trigstepfunctions.Deps{Clients: clients, Connections: p.connections, EventsArrive: p.eventsArrive, Log: p.log}),
	)
	return ops, waits, err
}

// filtered has the shell's filters do the work of activities.
func filtered(filters *shell.Filters) activity.Runner {
	return func(ctx context.Context, t operators.Task, c activity.Command) (activity.Ended, error) {
		end, err := filters.Run(ctx, t, shell.Filter{Line: c.Line, Input: c.Input, Env: c.Env, MaxOutput: c.MaxOutput})
		return activity.Ended{Output: end.Output, Cut: end.Cut, Errors: end.Errors, Code: end.Code}, err
	}
}

// Catalog is the registry of operators for looking only: nothing in it can run.
func Catalog() (*operators.Registry, error) {
	ops, _, err := catalogs()
	return ops, err
}

func catalogs() (*operators.Registry, *triggers.Registry, error) {
	return register(parts{
		home: "catalog", starter: &childprocess.Starter{}, aws: awsconn.NewPool(nil), http: trighttp.NewClient(), sql: &sqlconn.Pool{},
		connections: nowhere{},
		runs:        runAccess{},
	})
}

// nowhere resolves no connection.
type nowhere struct{}

func (nowhere) Connection(_ context.Context, id string) (*connections.Connection, error) {
	return nil, &connections.NotFoundError{ID: id}
}
