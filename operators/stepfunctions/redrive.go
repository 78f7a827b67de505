package stepfunctions

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// RedriveExecution redrives an execution that did not succeed.
type RedriveExecution struct {
	awsconn.Params
	ExecutionARN string `param:"execution_arn" template:"true" required:"true" doc:"ARN of the execution to redrive from where it failed: it has FAILED, TIMED_OUT or been ABORTED in the last 14 days."`
	Waiting

	deps *Deps
}

// Validate checks what is known when the pipeline is loaded.
func (r *RedriveExecution) Validate() error { return r.check() }

// Execute redrives the execution, or finds that this attempt or the previous try has done so, and ends, waits, or parks
// the task.
func (r *RedriveExecution) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	var none operators.Result
	if err := standardARN(r.ExecutionARN, "redriven"); err != nil {
		return none, err
	}
	api, info, err := r.deps.Clients.SFN(ctx, t, r.Params)
	if err != nil {
		return none, err
	}
	j := &job{t: t, api: api, info: info, params: r.Params, waiting: &r.Waiting, family: r.deps}
	done, err := r.redriven(ctx, j)
	if err != nil || done {
		return operators.Done(r.ExecutionARN), err
	}
	event, res, err := j.goOn(ctx, r.ExecutionARN)
	if err != nil || event == nil {
		return res, err
	}
	return r.Resume(ctx, t, *event)
}

// redriven sees to it that the execution has been redriven; done says that it has succeeded since the previous try
// redrove it.
func (r *RedriveExecution) redriven(ctx context.Context, j *job) (done bool, err error) {
	rec, recorded, err := pullRecord(ctx, j.t)
	if err != nil {
		return false, err
	}
	if recorded {
		j.redrives = rec.Redrives
	}
	if arn, err := operators.PullText(ctx, j.t, keyARN); err != nil || arn != "" {
		return false, err // parked, or waited for, before a crash
	}
	previous, known, err := previousRecord(ctx, j.t)
	if err != nil {
		return false, err
	}
	if !recorded && (previous.ExecutionARN == r.ExecutionARN || known == r.ExecutionARN) {
		previous.ExecutionARN = r.ExecutionARN
		d, err := j.settled(ctx, previous)
		if err != nil {
			return false, err
		}
		switch d.Status {
		case types.ExecutionStatusRunning, types.ExecutionStatusPendingRedrive:
			j.t.Log().Info("The execution that the previous try redrove still runs: " + r.ExecutionARN)
			j.redrives = previous.Redrives
			return false, nil
		case types.ExecutionStatusSucceeded:
			j.t.Log().Info("The execution that the previous try redrove has succeeded: " + r.ExecutionARN)
			return true, nil
		}
	}
	_, err = j.redrive(ctx, r.ExecutionARN, rec, recorded)
	return false, err
}

// Resume ends the task as the execution ended.
func (r *RedriveExecution) Resume(_ context.Context, t operators.Task, event triggers.Event) (operators.Result, error) {
	o, err := outcome(t, event)
	switch {
	case err != nil:
		return operators.Result{}, err
	case o.Status != stepfunctions.StatusSuccess:
		return operators.Result{}, fmt.Errorf("Step function failed: %s", o.Failure())
	}
	return operators.Done(o.ExecutionARN), nil
}

// Stop stops the execution that this attempt redrove.
func (r *RedriveExecution) Stop(ctx context.Context, t operators.Task, reason string, trigger *triggers.Trigger) error {
	return r.stop(ctx, t, r.deps, r.Params, reason, trigger)
}

// standardARN refuses what is not the ARN of an execution that can be looked up.
func standardARN(arn, what string) error {
	switch {
	case arn == "" || arn == "None":
		return operators.Failf("execution_arn is empty; has the task that starts the execution run?")
	case stepfunctions.IsExpress(arn):
		return operators.Failf("execution %s is of an EXPRESS state machine and cannot be %s", arn, what)
	}
	return nil
}

// ended reports a status that does not change any more, unless the execution is redriven.
func ended(status types.ExecutionStatus) bool {
	switch status {
	case types.ExecutionStatusSucceeded, types.ExecutionStatusFailed, types.ExecutionStatusTimedOut,
		types.ExecutionStatusAborted:
		return true
	}
	return false
}

// optional is nil for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}
