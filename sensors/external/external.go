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
			return sensors.New(&Task{states: deps.States}, deps.Defaults)
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
	ExecutionDateFn     any            `param:"execution_date_fn" doc:"Not supported: a Python callable in Airflow. Use execution_delta."`
	CheckExistence      bool           `param:"check_existence" default:"false" doc:"Fail at once when the DAG, task or group does not exist, instead of waiting for it."`
	PollInterval        *float64       `param:"poll_interval" doc:"Accepted for Airflow's sake: seconds between two looks of a deferrable sensor there; here poke_interval, unless that is given."`
	sensors.Base

	states external.RunStates
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
	case s.ExecutionDateFn != nil:
		return errors.New("execution_date_fn is a Python callable and is not supported; use execution_delta")
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

func (s *Task) args(t operators.Task, pace triggers.Pace) (*external.Args, error) {
	date := t.Run().LogicalDate
	if date.IsZero() {
		date = t.Run().RunAfter
	}
	a := &external.Args{
		DagID: s.ExternalDagID, Date: date.Add(-s.ExecutionDelta.Std()), TaskIDs: s.ExternalTaskIDs,
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
	if own.DagID == a.DagID && slices.Contains(a.TaskIDs, own.TaskID) && s.ExecutionDelta == 0 {
		return nil, operators.Failf("the task waits for itself")
	}
	return a, nil
}

// Poke looks at the run once.
func (s *Task) Poke(ctx context.Context, t operators.Task) (sensors.Verdict, error) {
	a, err := s.args(t, triggers.Pace{})
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
func (s *Task) Trigger(_ context.Context, t operators.Task, pace triggers.Pace) (triggers.Trigger, error) {
	a, err := s.args(t, pace)
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
