package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
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
	StateMachineARN    string         `param:"state_machine_arn" template:"true" required:"true" doc:"ARN of the state machine, of one of its versions, or of an alias."`
	Name               *string        `param:"name" template:"true" doc:"Name of the execution, 1 to 80 characters; unique for 90 days in its state machine. Default: one that follows from DAG, run, task and try. Use {{ ti.try_number }} in it if the task has retries. With is_redrive_execution: the name of the execution to redrive."`
	IsRedriveExecution Flag           `param:"is_redrive_execution" template:"true" default:"false" doc:"Redrive the execution called name from its last failed state instead of starting one. The input is ignored."`
	StateMachineInput  any            `param:"state_machine_input" template:"true" doc:"Input of the execution: any JSON value, or a text that holds one. At most 256 KiB. Default: {}."`
	WaiterMaxAttempts  int            `param:"waiter_max_attempts" default:"30" doc:"With waiter_delay, the longest wait for the end: waiter_max_attempts times waiter_delay, 30 minutes by default. Then the task fails, the execution goes on, and a retry waits for it again."`
	WaiterDelay        param.Duration `param:"waiter_delay" default:"60s" doc:"Longest time between two looks at the execution, in seconds or as a timedelta. The first looks come sooner, from one second on."`
	Deferrable         *bool          `param:"deferrable" doc:"Wait in the trigger loop, without a worker. true also means wait_for_completion, unless that is given. Default: true if the task waits."`
	WaitForCompletion  *bool          `param:"wait_for_completion" doc:"End when the execution ends, and fail when it fails. Default: true with deferrable: true, otherwise false: the task succeeds as soon as the execution is started."`
	RetryMode          string         `param:"retry_mode" default:"new" enum:"new,redrive" doc:"What a retry of the task does when the execution of the previous try has failed: start a new one, or redrive that one from its failed state. One that still runs is waited for in any case."`
	StopOnKill         bool           `param:"stop_on_kill" default:"true" doc:"Stop the execution when the task is killed, cleared, marked, or runs into execution_timeout, also while it is deferred."`

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
	switch {
	case s.WaiterMaxAttempts < 1:
		return fmt.Errorf("waiter_max_attempts is %d; expected at least 1", s.WaiterMaxAttempts)
	case s.WaiterDelay <= 0:
		return fmt.Errorf("waiter_delay is %s; expected more than 0", s.WaiterDelay)
	}
	if s.StateMachineARN == "" {
		return nil
	}
	_, err := stepfunctions.ParseMachine(s.StateMachineARN)
	return err
}

func (s *StartExecution) waits() bool {
	if s.WaitForCompletion != nil {
		return *s.WaitForCompletion
	}
	return s.Deferrable != nil && *s.Deferrable
}

func (s *StartExecution) defers() bool {
	switch {
	case s.Deferrable != nil:
		return *s.Deferrable
	case s.deps.DefaultDeferrable != nil:
		return *s.deps.DefaultDeferrable
	}
	return true
}

// budget is the longest wait.
func (s *StartExecution) budget() time.Duration {
	return time.Duration(s.WaiterMaxAttempts) * s.WaiterDelay.Std()
}

// start is one attempt's work: what it was asked for and what it found.
type start struct {
	*StartExecution
	t       operators.Task
	api     stepfunctions.API
	info    awsconn.Info
	machine stepfunctions.Machine
	input   *string
	// redrives is the least redrive count of the execution's end that this attempt believes.
	redrives int32
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
	w := &start{StartExecution: s, t: t, api: api, info: info, machine: machine, input: input}
	if err := w.link(ctx, stepfunctions.MachineLinkKey, stepfunctions.LinkToMachine(info, s.StateMachineARN)); err != nil {
		return operators.Result{}, err
	}
	arn, err := w.execution(ctx, afresh)
	if err != nil {
		return operators.Result{}, err
	}
	return w.goOn(ctx, arn)
}

// link pushes an XCom that Airflow pushes only with do_xcom_push.
func (w *start) link(ctx context.Context, key string, value any) error {
	if spec := w.t.Spec(); spec != nil && !spec.DoXComPush {
		return nil
	}
	return w.t.XComPush(ctx, key, value)
}

// goOn makes the ARN known and ends, waits, or parks.
func (w *start) goOn(ctx context.Context, arn string) (operators.Result, error) {
	if err := w.t.XComPush(ctx, keyARN, arn); err != nil {
		return operators.Result{}, err
	}
	if err := w.link(ctx, stepfunctions.ExecutionLinkKey, stepfunctions.LinkToExecution(w.info, arn)); err != nil {
		return operators.Result{}, err
	}
	if !w.waits() {
		return operators.Done(arn), nil
	}
	if stepfunctions.IsExpress(arn) {
		return operators.Result{}, operators.Failf("execution %s is of an EXPRESS state machine, whose end cannot be "+
			"waited for; set wait_for_completion: false and deferrable: false", arn)
	}
	if err := w.link(ctx, "return_value", arn); err != nil {
		return operators.Result{}, err
	}
	deadline := w.t.Now().Add(w.budget())
	if !w.defers() {
		return w.wait(ctx, arn, deadline)
	}
	trigger, err := stepfunctions.Args{
		ExecutionARN: arn, Params: w.Params, Delay: w.WaiterDelay.Std(), Deadline: deadline, Redrives: w.redrives,
	}.Trigger()
	if err != nil {
		return operators.Result{}, err
	}
	return operators.Defer(trigger, w.budget()+graceTime), nil
}

// graceTime is added to the deferral's timeout: the trigger ends the wait itself, with a better message, and without
// the execution being stopped as by a time-out of the task.
const graceTime = 5 * time.Minute

// wait waits on the worker.
func (w *start) wait(ctx context.Context, arn string, deadline time.Time) (operators.Result, error) {
	checker := triggers.NewRegistry()
	err := stepfunctions.Register(checker, stepfunctions.Deps{Clients: w.deps.Clients, Connections: w.t})
	if err != nil {
		return operators.Result{}, err
	}
	look, err := checker.Checker(stepfunctions.Kind)
	if err != nil {
		return operators.Result{}, err
	}
	trigger, err := stepfunctions.Args{
		ExecutionARN: arn, Params: w.Params, Delay: w.WaiterDelay.Std(), Deadline: deadline, Redrives: w.redrives,
	}.Trigger()
	if err != nil {
		return operators.Result{}, err
	}
	one := triggers.Wait{ID: arn, Args: trigger.Args, Since: w.t.Now()}
	for {
		v := look.Check(ctx, w.t.Now(), []triggers.Wait{one})[0]
		if ctx.Err() != nil {
			return operators.Result{}, fmt.Errorf("waiting for execution %s: %w", arn, context.Cause(ctx))
		}
		if v.Log != "" {
			w.t.Log().Info(v.Log)
		}
		switch {
		case v.Err != nil:
			return operators.Result{}, v.Err
		case v.Event != nil:
			return w.Resume(ctx, w.t, *v.Event)
		}
		if one.Checks++; v.State != nil {
			one.State = v.State
		}
		if err := pause(ctx, v.Again.Sub(w.t.Now())); err != nil {
			return operators.Result{}, fmt.Errorf("waiting for execution %s: %w", arn, err)
		}
	}
}

// Resume ends the task as the execution ended.
func (s *StartExecution) Resume(ctx context.Context, t operators.Task, event triggers.Event) (operators.Result, error) {
	var o stepfunctions.Outcome
	if err := json.Unmarshal(event.Payload, &o); err != nil || o.Status == "" {
		return operators.Result{}, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	if o.Status == stepfunctions.StatusSuccess {
		t.Log().Info("State Machine execution completed successfully")
		return operators.Done(o.ExecutionARN), nil
	}
	if rec, ok, err := pullRecord(ctx, t); err != nil {
		return operators.Result{}, err
	} else if ok && rec.Attached && o.ExecutionStatus == string(types.ExecutionStatusAborted) && o.Error == stopError {
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
	arn, err := s.runningARN(ctx, t, trigger)
	if err != nil || arn == "" || stepfunctions.IsExpress(arn) {
		return err
	}
	if !s.StopOnKill {
		t.Log().Info("The execution goes on because stop_on_kill is false: " + arn)
		return nil
	}
	api, _, err := s.deps.Clients.SFN(ctx, t, s.Params)
	if err != nil {
		return fmt.Errorf("stopping execution %s: %w", arn, err)
	}
	cause := fmt.Sprintf("task %s of DAG %s, run %s, try %d: %s",
		t.Attempt().TaskID, t.Attempt().DagID, t.Attempt().RunID, t.Attempt().TryNumber, reason)
	err = s.deps.repeat(ctx, t, "StopExecution "+arn, func() error {
		_, err := api.StopExecution(ctx, &sfn.StopExecutionInput{
			ExecutionArn: aws.String(arn), Error: aws.String(stopError), Cause: aws.String(cause),
		})
		return err
	})
	var missing *types.ExecutionDoesNotExist
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		t.Log().Info("Stopped execution " + arn)
	}
	return err
}

// stopError is the error code of an execution that was stopped with its task.
const stopError = "Gust.TaskStopped"

// runningARN is the execution this attempt started, or was about to start; "" when there is none.
func (s *StartExecution) runningARN(ctx context.Context, t operators.Task, trigger *triggers.Trigger) (string, error) {
	if trigger != nil && trigger.Kind == stepfunctions.Kind {
		var args stepfunctions.Args
		if err := json.Unmarshal(trigger.Args, &args); err == nil && args.ExecutionARN != "" {
			return args.ExecutionARN, nil
		}
	}
	arn, err := pullText(ctx, t, keyARN)
	if err != nil || arn != "" {
		return arn, err
	}
	rec, ok, err := pullRecord(ctx, t)
	if err != nil || !ok {
		return "", err
	}
	return rec.ExecutionARN, nil
}
