package stepfunctions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gust/connections/awsconn"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// StartSyncExecution runs an execution of an EXPRESS state machine and returns its output.
type StartSyncExecution struct {
	awsconn.Params
	StateMachineARN   string  `param:"state_machine_arn" template:"true" required:"true" doc:"ARN of the EXPRESS state machine, of one of its versions, or of an alias."`
	Name              *string `param:"name" template:"true" doc:"Name of the execution, 1 to 80 characters. Default: one that follows from DAG, run, task and try, so that what the execution does can tell a repetition by its name."`
	StateMachineInput any     `param:"state_machine_input" template:"true" doc:"Input of the execution: any JSON value, or a text that holds one. At most 256 KiB. Default: {}."`

	deps *Deps
}

// syncPatience is the least read timeout: an EXPRESS execution takes up to five minutes.
const syncPatience = 5*time.Minute + 15*time.Second

// Validate checks what is known when the pipeline is loaded.
func (s *StartSyncExecution) Validate() error {
	if s.StateMachineARN == "" {
		return nil
	}
	_, err := stepfunctions.ParseMachine(s.StateMachineARN)
	return err
}

// Execute runs the execution and waits on the worker for its end. EXPRESS executions run at least once: Step Functions
// does not know one by its name. A start that was refused is repeated; one whose answer got lost fails the attempt.
func (s *StartSyncExecution) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	var none operators.Result
	machine, err := stepfunctions.ParseMachine(s.StateMachineARN)
	if err != nil {
		return none, operators.Fail(err)
	}
	if err := checkName(s.Name); err != nil {
		return none, operators.Fail(err)
	}
	input, err := inputText(s.StateMachineInput)
	if err != nil {
		return none, operators.Fail(err)
	}
	params := s.Params
	params.Patience = syncPatience
	api, info, err := s.deps.Clients.SFN(ctx, t, params)
	if err != nil {
		return none, err
	}
	w := &start{machine: machine, job: job{t: t, api: api, info: info, family: s.deps}}
	if err := w.link(ctx, stepfunctions.MachineLinkKey, stepfunctions.LinkToMachine(info, s.StateMachineARN)); err != nil {
		return none, err
	}
	name := deriveName(t, "")
	if s.Name != nil {
		name = *s.Name
	}
	out, err := s.run(ctx, w, name, input)
	if err != nil {
		return none, err
	}
	if err := t.XComPush(ctx, keyARN, aws.ToString(out.ExecutionArn)); err != nil {
		return none, err
	}
	return syncResult(t, out)
}

func (s *StartSyncExecution) run(
	ctx context.Context, w *start, name string, input *string,
) (out *sfn.StartSyncExecutionOutput, err error) {
	w.t.Log().Info(fmt.Sprintf("Executing Step Function State Machine: %s as %s", s.StateMachineARN, name))
	for n := 1; ; n++ {
		out, err = w.api.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{
			StateMachineArn: aws.String(s.StateMachineARN), Name: aws.String(name), Input: input,
		}, func(o *sfn.Options) { o.Retryer = aws.NopRetryer{} })
		switch {
		case err == nil:
			return out, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("StartSyncExecution: %w", context.Cause(ctx))
		case awsconn.TroubleOf(err) != awsconn.Passing:
			return nil, w.explained(ctx, unsupported(s.StateMachineARN, err))
		case !refused(err):
			return nil, fmt.Errorf("the execution %s may have run, its end is not known: %w", name, err)
		case n > syncRepeats:
			return nil, err
		}
		w.t.Log().Warn("StartSyncExecution was refused, repeating: " + err.Error())
		if err := triggers.Pause(ctx, s.deps.Backoff(n)); err != nil {
			return nil, fmt.Errorf("StartSyncExecution: %w", err)
		}
	}
}

// syncRepeats bounds how often a start that was refused is repeated.
const syncRepeats = 12

// refused reports an answer that says that nothing was started: a client's fault, such as throttling.
func refused(err error) bool {
	var status *smithyhttp.ResponseError
	var api smithy.APIError
	return errors.As(err, &status) && errors.As(err, &api) && status.HTTPStatusCode() < http.StatusInternalServerError
}

// unsupported explains the error of a STANDARD state machine.
func unsupported(arn string, err error) error {
	var standard *types.StateMachineTypeNotSupported
	if errors.As(err, &standard) {
		return operators.Failf("%s is a STANDARD state machine, only EXPRESS ones can be run synchronously; use "+
			"StepFunctionStartExecutionOperator with wait_for_completion: true: %w", arn, err)
	}
	return err
}

func syncResult(t operators.Task, out *sfn.StartSyncExecutionOutput) (operators.Result, error) {
	if out.Status != types.SyncExecutionStatusSucceeded {
		o := stepfunctions.Outcome{
			ExecutionARN: aws.ToString(out.ExecutionArn), ExecutionStatus: string(out.Status),
			Error: aws.ToString(out.Error), Cause: aws.ToString(out.Cause),
		}
		return operators.Result{}, fmt.Errorf("Step function failed: %s", o.Failure())
	}
	t.Log().Info("State Machine execution completed successfully")
	if out.Output == nil {
		return operators.Done(nil), nil
	}
	return operators.Done(parsed(*out.Output)), nil
}
