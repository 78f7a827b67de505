// Package external holds the sensor that waits for another DAG's run or tasks.
package external

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/internal/param"
	"gust/operators"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/external"
)

// Deps is what the sensor needs from the process.
type Deps struct {
	States   external.RunStates
	Defaults sensors.Defaults
	// DateOf calls a Python function, an import path or a name in a file, that says which logical date to wait of; nil:
	// there is no Python.
	DateOf func(ctx context.Context, t operators.Task, path, name, file string) (time.Time, error)
}

// Register adds the sensor to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.States == nil {
		return errors.New("sensors/external: Deps needs States")
	}
	return r.Register(operators.Spec{
		Name: "ExternalTaskSensor",
		Aliases: []string{
			"airflow.sensors.external_task_sensor.ExternalTaskSensor",
			"airflow.sensors.external_task.ExternalTaskSensor",
			"airflow.providers.standard.sensors.external_task.ExternalTaskSensor",
		},
		Doc: "Waits for a task, several tasks, a task group, or a whole run of another DAG: the run with the same " +
			"logical date, or with the one execution_delta earlier.",
		New: func() operators.Operator {
			return sensors.New(&Task{states: deps.States, dateOf: deps.DateOf}, deps.Defaults)
		},
		Sensor: true,
	})
}

// Task waits for another DAG (Airflow: ExternalTaskSensor).
type Task struct {
	ExternalDagID       string         `param:"external_dag_id" template:"true" required:"true" doc:"The DAG to wait for."`
	ExternalTaskID      string         `param:"external_task_id" template:"true" doc:"The task to wait for. Without task and group the whole run is waited for."`
	ExternalTaskIDs     []string       `param:"external_task_ids" template:"true" doc:"The tasks to wait for; all must be in an allowed state."`
	ExternalTaskGroupID string         `param:"external_task_group_id" template:"true" doc:"The task group to wait for; all of its tasks must be in an allowed state."`
	AllowedStates       []string       `param:"allowed_states" default:"[\"success\"]" doc:"States that end the wait."`
	SkippedStates       []string       `param:"skipped_states" doc:"States of which one is enough to skip this task."`
	FailedStates        []string       `param:"failed_states" doc:"States of which one is enough to fail this task, or to skip it with soft_fail. Default: none, so that a failed task is waited for until its retry succeeds or the timeout passes."`
	ExecutionDelta      param.Duration `param:"execution_delta" default:"0s" doc:"How much earlier the other run's logical date is: seconds, a timedelta, or a text such as \"24h\"."`
	ExecutionDateFn     string         `param:"execution_date_fn" doc:"Instead of execution_delta: the import path of a Python function that is called with the logical date, and with those of the context's names that it has as arguments, and returns the logical date of the run to wait for."`
	ExecutionDateFnName string         `param:"execution_date_fn_name" doc:"The function in execution_date_fn_file, instead of execution_date_fn."`
	ExecutionDateFnFile string         `param:"execution_date_fn_file" doc:"The Python file of execution_date_fn_name; a relative path is beside the pipeline file."`
	CheckExistence      bool           `param:"check_existence" default:"false" doc:"Fail at once when the DAG, task or group does not exist, instead of waiting for it."`
	PollInterval        *float64       `param:"poll_interval" doc:"Accepted for Airflow's sake: seconds between two looks of a deferrable sensor there; here poke_interval, unless that is given."`
	sensors.Base

	states external.RunStates
	dateOf func(ctx context.Context, t operators.Task, path, name, file string) (time.Time, error)
}

// Validate checks what does not depend on templates.
func (s *Task) Validate() error {
	given := 0
	for _, set := range []bool{s.ExternalTaskID != "", len(s.ExternalTaskIDs) > 0, s.ExternalTaskGroupID != ""} {
		if set {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("give one of external_task_id, external_task_ids and external_task_group_id")
	case (s.ExecutionDateFnName == "") != (s.ExecutionDateFnFile == ""):
		return errors.New("execution_date_fn_name and execution_date_fn_file belong together")
	case s.ExecutionDateFn != "" && s.ExecutionDateFnName != "":
		return errors.New("give execution_date_fn, or execution_date_fn_name and execution_date_fn_file")
	case s.asks() && s.ExecutionDelta != 0:
		return errors.New("give one of execution_delta and execution_date_fn")
	case len(s.AllowedStates)+len(s.SkippedStates)+len(s.FailedStates) == 0:
		return errors.New("allowed_states, skipped_states and failed_states are all empty; nothing would end the wait")
	}
	if err := s.checkStates(); err != nil {
		return err
	}
	return s.Base.Validate()
}

func (s *Task) checkStates() error {
	legal := []string{"queued", "running", "success", "failed"}
	if s.tasks() {
		legal = legal[:0]
		for _, state := range dag.TaskStates {
			legal = append(legal, string(state))
		}
	}
	seen := map[string]string{}
	for _, set := range []struct {
		name   string
		states []string
	}{{"allowed_states", s.AllowedStates}, {"skipped_states", s.SkippedStates}, {"failed_states", s.FailedStates}} {
		for _, state := range set.states {
			if state == "" || !slices.Contains(legal, state) {
				return &param.Error{Path: []string{set.name}, Problem: fmt.Sprintf("%q is not a state", state),
					Expected: "some of " + strings.Join(legal, ", "), Nearest: param.Nearest(state, legal)}
			}
			if other, twice := seen[state]; twice {
				return fmt.Errorf("%s and %s both name the state %q", other, set.name, state)
			}
			seen[state] = set.name
		}
	}
	return nil
}

func (s *Task) tasks() bool {
	return s.ExternalTaskID != "" || len(s.ExternalTaskIDs) > 0 || s.ExternalTaskGroupID != ""
}

// asks reports whether a Python function says which run to wait for.
func (s *Task) asks() bool { return s.ExecutionDateFn != "" || s.ExecutionDateFnName != "" }

// Parks reports whether the wait is parked at once. A Python function is called on a worker, which then parks it.
func (s *Task) Parks() bool { return !s.asks() && s.Base.Parks() }

// date is the logical date of the run to wait for.
func (s *Task) date(ctx context.Context, t operators.Task) (time.Time, error) {
	if s.asks() {
		if s.dateOf == nil {
			return time.Time{}, operators.Failf("execution_date_fn: there is no Python here")
		}
		date, err := s.dateOf(ctx, t, s.ExecutionDateFn, s.ExecutionDateFnName, s.ExecutionDateFnFile)
		if err != nil {
			return time.Time{}, fmt.Errorf("execution_date_fn: %w", err)
		}
		return date, nil
	}
	date := t.Run().LogicalDate
	if date.IsZero() {
		date = t.Run().RunAfter
	}
	return date.Add(-s.ExecutionDelta.Std()), nil
}

func (s *Task) args(ctx context.Context, t operators.Task, pace triggers.Pace) (*external.Args, error) {
	date, err := s.date(ctx, t)
	if err != nil {
		return nil, err
	}
	a := &external.Args{
		DagID: s.ExternalDagID, Date: date, TaskIDs: s.ExternalTaskIDs,
		GroupID: s.ExternalTaskGroupID, Allowed: s.AllowedStates, Skipped: s.SkippedStates, Failed: s.FailedStates,
		Exists: s.CheckExistence, Pace: pace,
	}
	if s.ExternalTaskID != "" {
		a.TaskIDs = []string{s.ExternalTaskID}
	}
	if a.DagID == "" {
		return nil, operators.Failf("external_dag_id is empty")
	}
	own := t.Attempt()
	if own.DagID == a.DagID && slices.Contains(a.TaskIDs, own.TaskID) && s.ExecutionDelta == 0 && !s.asks() {
		return nil, operators.Failf("the task waits for itself")
	}
	return a, nil
}

// Poke looks at the run once.
func (s *Task) Poke(ctx context.Context, t operators.Task) (sensors.Verdict, error) {
	a, err := s.args(ctx, t, triggers.Pace{})
	if err != nil {
		return sensors.Verdict{}, err
	}
	t.Log().Info(fmt.Sprintf("Poking for DAG %s on %s ...", a.DagID, a.Date.UTC().Format(time.RFC3339)),
		"tasks", a.TaskIDs)
	o, err := external.Look(ctx, s.states, a)
	switch {
	case errors.Is(err, external.ErrMissing):
		return sensors.Verdict{}, operators.Fail(err)
	case err != nil:
		return sensors.Verdict{}, err
	case o == nil:
		return sensors.Waiting(), nil
	}
	return s.verdict(o)
}

func (s *Task) verdict(o *external.Outcome) (sensors.Verdict, error) {
	switch {
	case o.End == external.EndAllowed:
		return sensors.Done(nil), nil
	case o.End == external.EndSkipped:
		return sensors.Skip("Skipping because the external " + o.What), nil
	case s.SoftFail:
		return sensors.Skip("Skipping due to soft_fail is set to True: the external " + o.What), nil
	}
	return sensors.Verdict{}, fmt.Errorf("the external %s", o.What)
}

// Trigger describes the wait.
func (s *Task) Trigger(ctx context.Context, t operators.Task, pace triggers.Pace) (triggers.Trigger, error) {
	a, err := s.args(ctx, t, pace)
	if err != nil {
		return triggers.Trigger{}, err
	}
	return a.Trigger()
}

// Fired ends the wait.
func (s *Task) Fired(_ context.Context, _ operators.Task, event triggers.Event) (sensors.Verdict, error) {
	var o external.Outcome
	if err := json.Unmarshal(event.Payload, &o); err != nil || o.End == "" {
		return sensors.Verdict{}, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	return s.verdict(&o)
}
