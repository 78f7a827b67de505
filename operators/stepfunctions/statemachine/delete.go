package statemachine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Delete deletes a state machine.
type Delete struct {
	awsconn.Params
	StateMachineARN   string         `param:"state_machine_arn" template:"true" required:"true" doc:"ARN of the state machine."`
	MissingOK         bool           `param:"missing_ok" default:"true" doc:"Succeed when there is no such state machine."`
	WaitForCompletion bool           `param:"wait_for_completion" default:"true" doc:"End when the state machine is gone; its running executions end at their next state. Otherwise the task ends when the deletion has begun."`
	WaiterMaxAttempts int            `param:"waiter_max_attempts" default:"30" doc:"With waiter_delay, the longest wait: waiter_max_attempts times waiter_delay, 30 minutes by default. Then the task fails, and the deletion goes on."`
	WaiterDelay       param.Duration `param:"waiter_delay" default:"60s" doc:"Longest time between two looks at the state machine, in seconds or as a timedelta. The first looks come sooner."`
	Deferrable        *bool          `param:"deferrable" doc:"Wait in the trigger loop, without a worker. Default: true."`

	deps *Deps
}

// Validate checks what is known when the pipeline is loaded.
func (d *Delete) Validate() error {
	switch {
	case d.WaiterMaxAttempts < 1:
		return fmt.Errorf("waiter_max_attempts is %d; expected at least 1", d.WaiterMaxAttempts)
	case d.WaiterDelay <= 0:
		return fmt.Errorf("waiter_delay is %s; expected more than 0", d.WaiterDelay)
	}
	return d.checkARN()
}

func (d *Delete) checkARN() error {
	if d.StateMachineARN == "" {
		return nil
	}
	machine, err := stepfunctions.ParseMachine(d.StateMachineARN)
	if err == nil && machine.Qualifier != "" {
		err = &param.Error{
			Path: []string{"state_machine_arn"}, Problem: fmt.Sprintf("it names %q, a version or an alias", machine.Qualifier),
			Expected: "the ARN of the state machine as a whole",
		}
	}
	return err
}

// graceTime is added to the deferral's timeout: the trigger ends the wait itself, with a better message.
const graceTime = 5 * time.Minute

// Execute begins the deletion, which is the same however often it is done, and waits.
func (d *Delete) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	var none operators.Result
	if d.StateMachineARN == "" || d.StateMachineARN == "None" {
		return none, operators.Failf("state_machine_arn is empty; has the task that deploys the state machine run?")
	}
	if err := d.checkARN(); err != nil {
		return none, operators.Fail(err)
	}
	api, _, err := d.deps.Clients.SFN(ctx, t, d.Params)
	if err != nil {
		return none, err
	}
	w := &work{d.deps, t, api}
	if done, err := d.begin(ctx, w); err != nil || done {
		return operators.Done(d.StateMachineARN), err
	}
	budget := time.Duration(d.WaiterMaxAttempts) * d.WaiterDelay.Std()
	trigger, err := stepfunctions.DeletionArgs{
		StateMachineARN: d.StateMachineARN, Params: d.Params, Delay: d.WaiterDelay.Std(), Deadline: t.Now().Add(budget),
	}.Trigger()
	switch {
	case err != nil:
		return none, err
	case d.defers():
		return operators.Defer(trigger, budget+graceTime), nil
	}
	deps := stepfunctions.Deps{Clients: d.deps.Clients, Connections: t}
	event, err := deps.Await(ctx, trigger, d.StateMachineARN, t.Now, func(line string) { t.Log().Info(line) })
	if err != nil {
		return none, fmt.Errorf("waiting for state machine %s to be gone: %w", d.StateMachineARN, err)
	}
	return d.Resume(ctx, t, event)
}

// begin begins the deletion; done says that there is nothing to wait for.
func (d *Delete) begin(ctx context.Context, w *work) (done bool, err error) {
	var now *sfn.DescribeStateMachineOutput
	err = w.repeat(ctx, "DescribeStateMachine", nil, func() (err error) {
		now, err = w.api.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{
			StateMachineArn: aws.String(d.StateMachineARN), IncludedData: types.IncludedDataMetadataOnly,
		})
		return err
	})
	missing := is[*types.StateMachineDoesNotExist](err)
	if missing && !d.MissingOK {
		if begun, err := d.begun(ctx, w.t); err != nil || begun {
			return begun, err
		}
	}
	switch {
	case missing && d.MissingOK:
		w.t.Log().Info("There is no state machine " + d.StateMachineARN)
		return true, nil
	case err != nil:
		return false, err
	case now.Status != types.StateMachineStatusDeleting:
		if err := w.t.XComPush(ctx, keyBegun, d.StateMachineARN); err != nil {
			return false, err
		}
		err = w.repeat(ctx, "DeleteStateMachine", nil, func() error {
			_, err := w.api.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: aws.String(d.StateMachineARN)})
			return err
		})
		if err != nil {
			return false, err
		}
		w.t.Log().Info("Deleting state machine " + d.StateMachineARN)
	}
	return !d.WaitForCompletion, nil
}

// keyBegun is the XCom key of the ARN that an attempt is about to delete.
const keyBegun = "_deletion"

// begun reports whether this attempt, before a crash, or the previous try has begun the deletion.
func (d *Delete) begun(ctx context.Context, t operators.Task) (bool, error) {
	own, _, err := t.XComPull(ctx, "", keyBegun)
	if err != nil {
		return false, err
	}
	before, _, err := t.PreviousXCom(ctx, keyBegun)
	if err != nil {
		return false, err
	}
	for _, raw := range []json.RawMessage{own, before} {
		var arn string
		if json.Unmarshal(raw, &arn) == nil && arn == d.StateMachineARN {
			t.Log().Info("The deletion was begun before: " + arn)
			return true, nil
		}
	}
	return false, nil
}

func (d *Delete) defers() bool {
	switch {
	case d.Deferrable != nil:
		return *d.Deferrable
	case d.deps.DefaultDeferrable != nil:
		return *d.deps.DefaultDeferrable
	}
	return true
}

// Resume ends the task when the state machine is gone.
func (d *Delete) Resume(_ context.Context, t operators.Task, event triggers.Event) (operators.Result, error) {
	var o stepfunctions.Deletion
	if err := json.Unmarshal(event.Payload, &o); err != nil || o.Status == "" {
		return operators.Result{}, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	if o.Status != stepfunctions.StatusSuccess {
		return operators.Result{}, errors.New(o.Message)
	}
	t.Log().Info("The state machine is gone: " + d.StateMachineARN)
	return operators.Done(d.StateMachineARN), nil
}
