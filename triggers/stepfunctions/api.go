// Package stepfunctions waits for Step Functions executions: the trigger that the operators and the sensor share, and
// what they have in common, the API they call, ARNs, and how an execution's end is told.
package stepfunctions

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
)

// API is what is called of Step Functions. *sfn.Client implements it.
type API interface {
	Executions
	Machines
	Activities
}

// Executions is what is called about executions.
type Executions interface {
	StartExecution(
		context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options),
	) (*sfn.StartExecutionOutput, error)
	StartSyncExecution(
		context.Context, *sfn.StartSyncExecutionInput, ...func(*sfn.Options),
	) (*sfn.StartSyncExecutionOutput, error)
	RedriveExecution(
		context.Context, *sfn.RedriveExecutionInput, ...func(*sfn.Options),
	) (*sfn.RedriveExecutionOutput, error)
	DescribeExecution(
		context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options),
	) (*sfn.DescribeExecutionOutput, error)
	ListExecutions(
		context.Context, *sfn.ListExecutionsInput, ...func(*sfn.Options),
	) (*sfn.ListExecutionsOutput, error)
	StopExecution(
		context.Context, *sfn.StopExecutionInput, ...func(*sfn.Options),
	) (*sfn.StopExecutionOutput, error)
	GetExecutionHistory(
		context.Context, *sfn.GetExecutionHistoryInput, ...func(*sfn.Options),
	) (*sfn.GetExecutionHistoryOutput, error)
}

// Machines is what is called about state machines, their versions and aliases.
type Machines interface {
	CreateStateMachine(
		context.Context, *sfn.CreateStateMachineInput, ...func(*sfn.Options),
	) (*sfn.CreateStateMachineOutput, error)
	UpdateStateMachine(
		context.Context, *sfn.UpdateStateMachineInput, ...func(*sfn.Options),
	) (*sfn.UpdateStateMachineOutput, error)
	DeleteStateMachine(
		context.Context, *sfn.DeleteStateMachineInput, ...func(*sfn.Options),
	) (*sfn.DeleteStateMachineOutput, error)
	DescribeStateMachine(
		context.Context, *sfn.DescribeStateMachineInput, ...func(*sfn.Options),
	) (*sfn.DescribeStateMachineOutput, error)
	ListStateMachines(
		context.Context, *sfn.ListStateMachinesInput, ...func(*sfn.Options),
	) (*sfn.ListStateMachinesOutput, error)
	PublishStateMachineVersion(
		context.Context, *sfn.PublishStateMachineVersionInput, ...func(*sfn.Options),
	) (*sfn.PublishStateMachineVersionOutput, error)
	CreateStateMachineAlias(
		context.Context, *sfn.CreateStateMachineAliasInput, ...func(*sfn.Options),
	) (*sfn.CreateStateMachineAliasOutput, error)
	UpdateStateMachineAlias(
		context.Context, *sfn.UpdateStateMachineAliasInput, ...func(*sfn.Options),
	) (*sfn.UpdateStateMachineAliasOutput, error)
	DescribeStateMachineAlias(
		context.Context, *sfn.DescribeStateMachineAliasInput, ...func(*sfn.Options),
	) (*sfn.DescribeStateMachineAliasOutput, error)
	TagResource(
		context.Context, *sfn.TagResourceInput, ...func(*sfn.Options),
	) (*sfn.TagResourceOutput, error)
	ListTagsForResource(
		context.Context, *sfn.ListTagsForResourceInput, ...func(*sfn.Options),
	) (*sfn.ListTagsForResourceOutput, error)
}

// Activities is what is called about activities.
type Activities interface {
	CreateActivity(
		context.Context, *sfn.CreateActivityInput, ...func(*sfn.Options),
	) (*sfn.CreateActivityOutput, error)
	GetActivityTask(
		context.Context, *sfn.GetActivityTaskInput, ...func(*sfn.Options),
	) (*sfn.GetActivityTaskOutput, error)
	SendTaskSuccess(
		context.Context, *sfn.SendTaskSuccessInput, ...func(*sfn.Options),
	) (*sfn.SendTaskSuccessOutput, error)
	SendTaskFailure(
		context.Context, *sfn.SendTaskFailureInput, ...func(*sfn.Options),
	) (*sfn.SendTaskFailureOutput, error)
	SendTaskHeartbeat(
		context.Context, *sfn.SendTaskHeartbeatInput, ...func(*sfn.Options),
	) (*sfn.SendTaskHeartbeatOutput, error)
}

// Clients finds the client for a task's AWS parameters.
type Clients interface {
	SFN(ctx context.Context, r connections.Resolver, p awsconn.Params) (API, awsconn.Info, error)
	// Quotas are what the clients' calls keep within.
	Quotas() *quota.Quotas
}

// FromPool returns the pool's clients.
func FromPool(p *awsconn.Pool) Clients { return pooled{p} }

type pooled struct{ pool *awsconn.Pool }

func (p pooled) Quotas() *quota.Quotas { return p.pool.Quotas() }

func (p pooled) SFN(ctx context.Context, r connections.Resolver, params awsconn.Params) (API, awsconn.Info, error) {
	client, info, err := p.pool.SFN(ctx, r, params)
	if err != nil {
		return nil, info, err
	}
	return client, info, nil
}
