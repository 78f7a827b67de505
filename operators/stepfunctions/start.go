package stepfunctions

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// How a retry of the task begins when the execution of the previous try has failed.
const (
	retryNew     = "new"
	retryRedrive = "redrive"
)

// StartExecution starts an execution (Airflow: StepFunctionStartExecutionOperator).
type StartExecution struct {
	awsconn.Params
	StateMachineARN    string  `param:"state_machine_arn" template:"true" required:"true" doc:"ARN of the state machine, of one of its versions, or of an alias."`
	Name               *string `param:"name" template:"true" doc:"Name of the execution, 1 to 80 characters; unique for 90 days in its state machine. Default: one that follows from DAG, run, task and try. Use {{ ti.try_number }} in it if the task has retries. With is_redrive_execution: the name of the execution to redrive."`
	IsRedriveExecution Flag    `param:"is_redrive_execution" template:"true" default:"false" doc:"Redrive the execution called name from its last failed state instead of starting one. The input is ignored."`
	StateMachineInput  any     `param:"state_machine_input" template:"true" doc:"Input of the execution: any JSON value, or a text that holds one. At most 256 KiB. Default: {}."`
	Waiting
	RetryMode string `param:"retry_mode" default:"new" enum:"new,redrive" doc:"What a retry of the task does when the execution of the previous try has failed: start a new one, or redrive that one from its failed state. One that still runs is waited for in any case."`

	deps *Deps
}

// Flag is a boolean that a template may produce: the texts true and false, in any case, are read as booleans.
type Flag bool

// ParamType names the notation.
func (Flag) ParamType() string { return "bool" }

// UnmarshalParam reads a boolean or the text of one.
func (f *Flag) UnmarshalParam(value any) error {
	switch v := value.(type) {
	case bool:
		*f = Flag(v)
		return nil
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true":
			*f = true
			return nil
		case "false":
			*f = false
			return nil
		}
		return &param.Error{Problem: fmt.Sprintf("%q is not a boolean", v), Expected: "true or false"}
	}
	return &param.Error{Problem: fmt.Sprintf("wrong type: %T", value), Expected: "true or false"}
}

// Validate checks what is known when the pipeline is loaded.
func (s *StartExecution) Validate() error {
	if err := s.check(); err != nil || s.StateMachineARN == "" {
		return err
	}
	_, err := stepfunctions.ParseMachine(s.StateMachineARN)
	return err
}

// start is one attempt's work: what it was asked for and what it found.
type start struct {
	*StartExecution
	job
	machine stepfunctions.Machine
	input   *string
}

// Execute starts the execution, or finds the one that this attempt or the previous try started, and ends, waits, or
// parks the task.
func (s *StartExecution) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	return s.execute(ctx, t, false)
}

func (s *StartExecution) execute(ctx context.Context, t operators.Task, afresh bool) (operators.Result, error) {
	machine, err := stepfunctions.ParseMachine(s.StateMachineARN)
	if err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	if err := s.checkName(); err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	input, err := inputText(s.StateMachineInput)
	if err != nil {
		return operators.Result{}, operators.Fail(err)
	}
	api, info, err := s.deps.Clients.SFN(ctx, t, s.Params)
	if err != nil {
		return operators.Result{}, err
	}
	w := &start{
		StartExecution: s, machine: machine, input: input,
		job: job{t: t, api: api, info: info, params: s.Params, waiting: &s.Waiting, family: s.deps},
	}
	if err := w.link(ctx, stepfunctions.MachineLinkKey, stepfunctions.LinkToMachine(info, s.StateMachineARN)); err != nil {
		return operators.Result{}, err
	}
	arn, err := w.execution(ctx, afresh)
	if err != nil {
		return operators.Result{}, err
	}
	event, res, err := w.goOn(ctx, arn)
	if err != nil || event == nil {
		return res, err
	}
	return s.Resume(ctx, t, *event)
}

// Resume ends the task as the execution ended.
func (s *StartExecution) Resume(ctx context.Context, t operators.Task, event triggers.Event) (operators.Result, error) {
	o, err := outcome(t, event)
	if err != nil || o.Status == stepfunctions.StatusSuccess {
		return operators.Done(o.ExecutionARN), err
	}
	rec, recorded, err := pullRecord(ctx, t)
	switch {
	case err != nil:
		return operators.Result{}, err
	case recorded && rec.ExecutionARN == "": // interrupted when it was about to leave this one
		return s.afresh(ctx, t)
	case recorded && o.ExecutionARN != "" && rec.ExecutionARN != o.ExecutionARN:
		// interrupted when it had left this one for another; an event that somebody has written names none
		return s.execute(ctx, t, true)
	case recorded && rec.Attached && o.ExecutionStatus == string(types.ExecutionStatusAborted) && o.Error == stopError:
		t.Log().Info("The execution of the previous try was stopped with it; starting a new one")
		return s.afresh(ctx, t)
	}
	return operators.Result{}, fmt.Errorf("Step function failed: %s", o.Failure())
}

// afresh starts a new execution in an attempt that had re-attached to one that was being stopped.
func (s *StartExecution) afresh(ctx context.Context, t operators.Task) (operators.Result, error) {
	if err := t.XComPush(ctx, keyRecord, record{}); err != nil {
		return operators.Result{}, err
	}
	if err := t.XComPush(ctx, keyARN, ""); err != nil {
		return operators.Result{}, err
	}
	return s.execute(ctx, t, true)
}

// Stop stops the execution of this attempt.
func (s *StartExecution) Stop(ctx context.Context, t operators.Task, reason string, trigger *triggers.Trigger) error {
	return s.stop(ctx, t, s.deps, s.Params, reason, trigger)
}
