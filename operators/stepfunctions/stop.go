package stepfunctions

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/operators"
	"gust/triggers/stepfunctions"
)

// StopExecution stops an execution.
type StopExecution struct {
	awsconn.Params
	ExecutionARN string `param:"execution_arn" template:"true" required:"true" doc:"ARN of the execution, for example {{ ti.xcom_pull(task_ids='start') }}."`
	Error        string `param:"error" template:"true" doc:"Error code of the stopped execution, at most 256 characters."`
	Cause        string `param:"cause" template:"true" doc:"Cause of the stopped execution, at most 32768 characters. Default: a text that names the task."`
	MissingOK    bool   `param:"missing_ok" default:"false" doc:"Succeed when there is no such execution."`

	deps *Deps
}

// Limits of StopExecution, in characters.
const (
	maxError = 256
	maxCause = 32_768
)

// Validate checks what is known when the pipeline is loaded.
func (s *StopExecution) Validate() error {
	return errors.Join(atMost("error", s.Error, maxError), atMost("cause", s.Cause, maxCause))
}

func atMost(name, text string, most int) error {
	if n := len([]rune(text)); n > most {
		return fmt.Errorf("%s has %d characters; expected at most %d", name, n, most)
	}
	return nil
}

// Execute stops the execution unless it has ended, and returns its ARN. A repetition finds it ended.
func (s *StopExecution) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	var none operators.Result
	if err := standardARN(s.ExecutionARN, "stopped"); err != nil {
		return none, err
	}
	api, info, err := s.deps.Clients.SFN(ctx, t, s.Params)
	if err != nil {
		return none, err
	}
	j := &job{t: t, api: api, info: info, family: s.deps}
	if err := j.link(ctx, stepfunctions.ExecutionLinkKey, stepfunctions.LinkToExecution(info, s.ExecutionARN)); err != nil {
		return none, err
	}
	err = s.stop(ctx, j)
	var missing *types.ExecutionDoesNotExist
	if errors.As(err, &missing) && s.MissingOK {
		t.Log().Info("There is no execution " + s.ExecutionARN)
		return operators.Done(nil), nil
	}
	if err != nil {
		return none, err
	}
	return operators.Done(s.ExecutionARN), nil
}

func (s *StopExecution) stop(ctx context.Context, j *job) error {
	cause := s.Cause
	if cause == "" {
		a := j.t.Attempt()
		cause = fmt.Sprintf("stopped by task %s of DAG %s, run %s", a.TaskID, a.DagID, a.RunID)
	}
	return s.deps.repeat(ctx, j.t, "StopExecution "+s.ExecutionARN, func() error {
		// Just started, an execution may not be known yet to DescribeExecution: StopExecution decides.
		d, err := stepfunctions.Describe(ctx, j.api, s.ExecutionARN)
		if err == nil && ended(d.Status) {
			j.t.Log().Info(fmt.Sprintf("The execution has ended already (%s): %s", d.Status, s.ExecutionARN))
			return nil
		}
		_, err = j.api.StopExecution(ctx, &sfn.StopExecutionInput{
			ExecutionArn: aws.String(s.ExecutionARN), Error: optional(s.Error), Cause: aws.String(cause),
		})
		if err == nil {
			j.t.Log().Info("Stopped execution " + s.ExecutionARN)
		}
		return err
	})
}
