// Package stepfunctions waits for Step Functions executions: the trigger that the operators and the sensor share, and
// what they have in common, the API they call, ARNs, and how an execution's end is told.
package stepfunctions

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/connections"
	"gust/connections/awsconn"
)

// API is what is called of Step Functions. *sfn.Client implements it.
type API interface {
	StartExecution(
		context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options),
	) (*sfn.StartExecutionOutput, error)
	RedriveExecution(
		context.Context, *sfn.RedriveExecutionInput, ...func(*sfn.Options),
	) (*sfn.RedriveExecutionOutput, error)
	DescribeExecution(
		context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options),
	) (*sfn.DescribeExecutionOutput, error)
	StopExecution(
		context.Context, *sfn.StopExecutionInput, ...func(*sfn.Options),
	) (*sfn.StopExecutionOutput, error)
	GetExecutionHistory(
		context.Context, *sfn.GetExecutionHistoryInput, ...func(*sfn.Options),
	) (*sfn.GetExecutionHistoryOutput, error)
}

// Clients finds the client for a task's AWS parameters.
type Clients interface {
	SFN(ctx context.Context, r connections.Resolver, p awsconn.Params) (API, awsconn.Info, error)
}

// FromPool returns the pool's clients.
func FromPool(p *awsconn.Pool) Clients { return pooled{p} }

type pooled struct{ pool *awsconn.Pool }

func (p pooled) SFN(ctx context.Context, r connections.Resolver, params awsconn.Params) (API, awsconn.Info, error) {
	client, info, err := p.pool.SFN(ctx, r, params)
	if err != nil {
		return nil, info, err
	}
	return client, info, nil
}
