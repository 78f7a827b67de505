package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// GetExecutionOutput returns an execution's output (Airflow: StepFunctionGetExecutionOutputOperator).
type GetExecutionOutput struct {
	awsconn.Params
	ExecutionARN string `param:"execution_arn" template:"true" required:"true" doc:"ARN of the execution, for example {{ ti.xcom_pull(task_ids='start') }}."`

	deps *Deps
}

// failure is what is returned of a failed execution whose error is not JSON.
type failure struct {
	Error  string `json:"error"`
	Cause  string `json:"cause"`
	Status string `json:"status"`
}

// newExecutionLooks is how often an execution that AWS does not know yet is looked for: it may have been started just
// now, and DescribeExecution is eventually consistent.
const newExecutionLooks = 4

// Execute describes the execution once and does not wait for its end.
func (g *GetExecutionOutput) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	if g.ExecutionARN == "" || g.ExecutionARN == "None" {
		return operators.Result{}, operators.Failf("execution_arn is empty; has the task that starts the execution run?")
	}
	api, info, err := g.deps.Clients.SFN(ctx, t, g.Params)
	if err != nil {
		return operators.Result{}, err
	}
	if spec := t.Spec(); spec == nil || spec.DoXComPush {
		link := stepfunctions.LinkToExecution(info, g.ExecutionARN)
		if err := t.XComPush(ctx, stepfunctions.ExecutionLinkKey, link); err != nil {
			return operators.Result{}, err
		}
	}
	d, err := g.describe(ctx, t, api)
	if err != nil {
		return operators.Result{}, err
	}
	return operators.Done(value(t, d)), nil
}

func (g *GetExecutionOutput) describe(
	ctx context.Context, t operators.Task, api stepfunctions.API,
) (d *sfn.DescribeExecutionOutput, err error) {
	for n := 1; ; n++ {
		err = g.deps.repeat(ctx, t, "DescribeExecution", func() (err error) {
			d, err = stepfunctions.Describe(ctx, api, g.ExecutionARN)
			return err
		})
		var missing *types.ExecutionDoesNotExist
		if !errors.As(err, &missing) || n == newExecutionLooks {
			return d, err
		}
		if err := triggers.Pause(ctx, g.deps.Backoff(n)); err != nil {
			return nil, fmt.Errorf("DescribeExecution: %w", err)
		}
	}
}

// value is what the task returns: the output, the error, or nothing.
func value(t operators.Task, d *sfn.DescribeExecutionOutput) any {
	switch {
	case d.Output != nil:
		return parsed(*d.Output)
	case d.Error != nil:
		if json.Valid([]byte(*d.Error)) {
			return json.RawMessage(*d.Error)
		}
		return failure{Error: *d.Error, Cause: aws.ToString(d.Cause), Status: string(d.Status)}
	case d.Status != "" && d.Status != types.ExecutionStatusSucceeded:
		t.Log().Warn(fmt.Sprintf("The execution is %s and has no output", d.Status))
	}
	return nil
}

// parsed keeps the order of keys and the digits of numbers as they came.
func parsed(output string) any {
	if json.Valid([]byte(output)) {
		return json.RawMessage(output)
	}
	return output
}
