// Package sfnapi makes commands of the operations of AWS Step Functions, under the names and with the flags and answers of
// the AWS command line. Everything about an operation is declared once, in the table of this file; its flags come from the
// SDK's input type, what it prints from the SDK's output type.
package sfnapi

import (
	"context"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

// Operation is one row of the table.
type Operation struct {
	// Short says what it does, Example how it is called.
	Short, Example string
	// Aliases are short names of the command.
	Aliases []string
	// Subject is the flag that a lone argument stands for, or "".
	Subject string
	// Items is the list that is gathered over all pages, or "" when the operation is called once.
	Items string
	// Patience is how long its answer may take, when that is longer than usual.
	Patience time.Duration

	in, out reflect.Type
	call    func(context.Context, *sfn.Client, any, ...func(*sfn.Options)) (any, error)
}

// Name is the API's name, such as StartExecution.
func (o *Operation) Name() string { return strings.TrimSuffix(o.in.Name(), "Input") }

// Command is the command's name, such as start-execution.
func (o *Operation) Command() string { return kebab(o.Name()) }

// of declares an operation by the client's method.
func of[In, Out any](method func(*sfn.Client, context.Context, *In, ...func(*sfn.Options)) (*Out, error), o Operation) *Operation {
	o.in, o.out = reflect.TypeFor[In](), reflect.TypeFor[Out]()
	o.call = func(ctx context.Context, client *sfn.Client, in any, options ...func(*sfn.Options)) (any, error) {
		return method(client, ctx, in.(*In), options...)
	}
	return &o
}

// How long the slow operations may take: a long poll holds the line for 60 s, a synchronous execution for five minutes.
const (
	pollPatience = 75 * time.Second
	syncPatience = 310 * time.Second
)

const arn = "arn:aws:states:us-east-1:123456789012:"

// Operations are all operations of the API, by name.
var Operations = []*Operation{
	of((*sfn.Client).CreateActivity, Operation{
		Short:   "Create an activity, which workers of any kind poll for tasks",
		Example: "create-activity --name pack --tags key=team,value=shop",
	}),
	of((*sfn.Client).CreateStateMachine, Operation{
		Short: "Create a state machine", Aliases: []string{"create"},
		Example: "create-state-machine --name hello --definition file://hello.asl.json --role-arn arn:aws:iam::123456789012:role/sfn",
	}),
	of((*sfn.Client).CreateStateMachineAlias, Operation{
		Short:   "Create an alias that routes executions to one or two versions",
		Example: "create-state-machine-alias --name prod --routing-configuration stateMachineVersionArn=" + arn + "stateMachine:hello:1,weight=100",
	}),
	of((*sfn.Client).DeleteActivity, Operation{
		Short: "Delete an activity", Subject: "activity-arn", Example: "delete-activity --activity-arn " + arn + "activity:pack",
	}),
	of((*sfn.Client).DeleteStateMachine, Operation{
		Short: "Delete a state machine and stop its executions", Aliases: []string{"delete"}, Subject: "state-machine-arn",
		Example: "delete-state-machine --state-machine-arn " + arn + "stateMachine:hello",
	}),
	of((*sfn.Client).DeleteStateMachineAlias, Operation{
		Short: "Delete an alias", Subject: "state-machine-alias-arn",
		Example: "delete-state-machine-alias --state-machine-alias-arn " + arn + "stateMachine:hello:prod",
	}),
	of((*sfn.Client).DeleteStateMachineVersion, Operation{
		Short: "Delete a version that no alias routes to", Subject: "state-machine-version-arn",
		Example: "delete-state-machine-version --state-machine-version-arn " + arn + "stateMachine:hello:1",
	}),
	of((*sfn.Client).DescribeActivity, Operation{
		Short: "Show an activity", Subject: "activity-arn", Example: "describe-activity --activity-arn " + arn + "activity:pack",
	}),
	of((*sfn.Client).DescribeExecution, Operation{
		Short: "Show an execution: status, input, output, error", Subject: "execution-arn",
		Example: "describe-execution --execution-arn " + arn + "execution:hello:first --query status --output text",
	}),
	of((*sfn.Client).DescribeMapRun, Operation{
		Short: "Show a map run: settings and counts", Subject: "map-run-arn", Example: "describe-map-run --map-run-arn $MAP_RUN",
	}),
	of((*sfn.Client).DescribeStateMachine, Operation{
		Short: "Show a state machine, a version or what an alias leads to", Subject: "state-machine-arn",
		Example: "describe-state-machine --state-machine-arn " + arn + "stateMachine:hello",
	}),
	of((*sfn.Client).DescribeStateMachineAlias, Operation{
		Short: "Show an alias", Subject: "state-machine-alias-arn",
		Example: "describe-state-machine-alias --state-machine-alias-arn " + arn + "stateMachine:hello:prod",
	}),
	of((*sfn.Client).DescribeStateMachineForExecution, Operation{
		Short: "Show the state machine as an execution runs it", Subject: "execution-arn",
		Example: "describe-state-machine-for-execution --execution-arn " + arn + "execution:hello:first",
	}),
	of((*sfn.Client).GetActivityTask, Operation{
		Short: "Wait up to a minute for a task of an activity", Subject: "activity-arn", Patience: pollPatience,
		Example: "get-activity-task --activity-arn " + arn + "activity:pack --worker-name desk-1",
	}),
	of((*sfn.Client).GetExecutionHistory, Operation{
		Short: "List the events of an execution", Aliases: []string{"history"}, Subject: "execution-arn", Items: "events",
		Example: "get-execution-history --execution-arn " + arn + "execution:hello:first --max-items 2",
	}),
	of((*sfn.Client).ListActivities, Operation{
		Short: "List the activities", Items: "activities", Example: "list-activities --output text",
	}),
	of((*sfn.Client).ListExecutions, Operation{
		Short: "List the executions of a state machine or a map run", Subject: "state-machine-arn", Items: "executions",
		Example: "list-executions --state-machine-arn " + arn + "stateMachine:hello --status-filter SUCCEEDED --output table",
	}),
	of((*sfn.Client).ListMapRuns, Operation{
		Short: "List the map runs of an execution", Subject: "execution-arn", Items: "mapRuns",
		Example: "list-map-runs --execution-arn " + arn + "execution:spread:first",
	}),
	of((*sfn.Client).ListStateMachineAliases, Operation{
		Short: "List the aliases of a state machine", Subject: "state-machine-arn",
		Example: "list-state-machine-aliases --state-machine-arn " + arn + "stateMachine:hello",
	}),
	of((*sfn.Client).ListStateMachineVersions, Operation{
		Short: "List the versions of a state machine", Subject: "state-machine-arn",
		Example: "list-state-machine-versions --state-machine-arn " + arn + "stateMachine:hello",
	}),
	of((*sfn.Client).ListStateMachines, Operation{
		Short: "List the state machines", Aliases: []string{"list"}, Items: "stateMachines",
		Example: "list-state-machines --query stateMachines[].name --output text",
	}),
	of((*sfn.Client).ListTagsForResource, Operation{
		Short: "List the tags of a state machine or an activity", Subject: "resource-arn",
		Example: "list-tags-for-resource --resource-arn " + arn + "stateMachine:hello",
	}),
	of((*sfn.Client).PublishStateMachineVersion, Operation{
		Short: "Make a version of a state machine's current revision", Subject: "state-machine-arn",
		Example: "publish-state-machine-version --state-machine-arn " + arn + "stateMachine:hello --description first",
	}),
	of((*sfn.Client).RedriveExecution, Operation{
		Short: "Run a failed execution again from where it failed", Aliases: []string{"redrive"}, Subject: "execution-arn",
		Example: "redrive-execution --execution-arn " + arn + "execution:picky:refused",
	}),
	of((*sfn.Client).SendTaskFailure, Operation{
		Short:   "Report that a task has failed",
		Example: "send-task-failure --task-token $TOKEN --error OutOfPaper --cause 'the tray is empty'",
	}),
	of((*sfn.Client).SendTaskHeartbeat, Operation{
		Short: "Report that a task is still worked on", Example: "send-task-heartbeat --task-token $TOKEN",
	}),
	of((*sfn.Client).SendTaskSuccess, Operation{
		Short: "Report the output of a task", Example: `send-task-success --task-token $TOKEN --task-output '{"box": 7}'`,
	}),
	of((*sfn.Client).StartExecution, Operation{
		Short: "Start an execution", Aliases: []string{"start"}, Subject: "state-machine-arn",
		Example: "start-execution --state-machine-arn " + arn + `stateMachine:hello --name first --input '{"name": "Ada"}'`,
	}),
	of((*sfn.Client).StartSyncExecution, Operation{
		Short: "Run an express execution and wait for its end", Aliases: []string{"start-sync"}, Subject: "state-machine-arn", Patience: syncPatience,
		Example: "start-sync-execution --state-machine-arn " + arn + `stateMachine:quick --input '{"name": "Ada"}' --query output`,
	}),
	of((*sfn.Client).StopExecution, Operation{
		Short: "Stop an execution", Aliases: []string{"stop"}, Subject: "execution-arn",
		Example: "stop-execution --execution-arn " + arn + "execution:slow:first --error Cancelled --cause 'the order was withdrawn'",
	}),
	of((*sfn.Client).TagResource, Operation{
		Short:   "Add tags to a state machine or an activity",
		Example: "tag-resource --resource-arn " + arn + "stateMachine:hello --tags key=team,value=shop key=stage,value=test",
	}),
	of((*sfn.Client).TestState, Operation{
		Short: "Run a single state, without a state machine", Patience: syncPatience,
		Example: "test-state --definition file://greet.json --role-arn arn:aws:iam::123456789012:role/sfn --input '{\"name\": \"Ada\"}'",
	}),
	of((*sfn.Client).UntagResource, Operation{
		Short:   "Remove tags from a state machine or an activity",
		Example: "untag-resource --resource-arn " + arn + "stateMachine:hello --tag-keys team stage",
	}),
	of((*sfn.Client).UpdateMapRun, Operation{
		Short: "Change the limits of a running map run", Example: "update-map-run --map-run-arn $MAP_RUN --max-concurrency 10",
	}),
	of((*sfn.Client).UpdateStateMachine, Operation{
		Short: "Change a state machine; running executions go on as they are", Aliases: []string{"update"}, Subject: "state-machine-arn",
		Example: "update-state-machine --state-machine-arn " + arn + "stateMachine:hello --definition file://hello.asl.json",
	}),
	of((*sfn.Client).UpdateStateMachineAlias, Operation{
		Short: "Change the routing of an alias",
		Example: "update-state-machine-alias --state-machine-alias-arn " + arn + "stateMachine:hello:prod --routing-configuration " +
			"stateMachineVersionArn=" + arn + "stateMachine:hello:1,weight=100",
	}),
	of((*sfn.Client).ValidateStateMachineDefinition, Operation{
		Short:   "Let the service check a definition",
		Example: "validate-state-machine-definition --definition file://hello.asl.json --query result",
	}),
}

// Find returns the operation with an API name, nil when there is none.
func Find(name string) *Operation {
	for _, o := range Operations {
		if o.Name() == name {
			return o
		}
	}
	return nil
}
