// Package stepfunctions starts Step Functions executions, waits for them, stops and redrives them, and fetches their
// output and history.
//
// It keeps the names, defaults, templated parameters and XCom keys of Airflow's operators and differs where Airflow
// loses or doubles work:
//
//   - The name of an execution follows from the attempt's identity, so a start that is repeated (a lost answer, a
//     crash) finds the execution it started before instead of starting another.
//   - A new try first looks at the execution of the previous one and waits for it if it still runs.
//   - Kill, clear, mark and time-out stop the execution, also while the task is deferred (stop_on_kill).
//   - Throttling and lost connections cost no attempt.
//   - Only SUCCEEDED is success, every other end a failure at once, told with error, cause, failing state and a link.
package stepfunctions

import (
	"context"
	"errors"

	"gust/operators"
	"gust/triggers/awswait"
	"gust/triggers/stepfunctions"
)

// Deps is what the family needs from the process.
type Deps struct {
	Clients stepfunctions.Clients
	// DefaultDeferrable is [operators] default_deferrable; nil leaves it to the operator. It decides how to wait, never
	// whether.
	DefaultDeferrable *bool
	// Backoff is the pause before the n-th repetition (from 1) of a call that was throttled; nil means 1 s, 2 s, 4 s ...
	// up to 30 s.
	Backoff awswait.Backoff
}

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Clients == nil {
		return errors.New("operators/stepfunctions: Deps needs Clients")
	}
	if deps.Backoff == nil {
		deps.Backoff = awswait.DefaultBackoff
	}
	execution := operators.Link{Name: stepfunctions.ExecutionLinkName, XComKey: stepfunctions.ExecutionLinkKey}
	return errors.Join(
		r.Register(operators.Spec{
			Name:    "StepFunctionStartExecutionOperator",
			Aliases: paths("StepFunctionStartExecutionOperator"),
			Doc: "Starts an execution of a state machine and returns its ARN. With wait_for_completion or deferrable it " +
				"ends when the execution ends, and fails when the execution fails. The execution's output is fetched with " +
				"StepFunctionGetExecutionOutputOperator.",
			New: func() operators.Operator { return &StartExecution{deps: &deps} },
			Links: []operators.Link{
				{Name: stepfunctions.MachineLinkName, XComKey: stepfunctions.MachineLinkKey}, execution,
			},
		}),
		r.Register(operators.Spec{
			Name:    "StepFunctionGetExecutionOutputOperator",
			Aliases: paths("StepFunctionGetExecutionOutputOperator"),
			Doc: "Returns the output of an execution. Of a failed one it returns the error: as JSON when it is JSON, " +
				"otherwise as an object with error, cause and status. Of one that still runs it returns nothing.",
			New:   func() operators.Operator { return &GetExecutionOutput{deps: &deps} },
			Links: []operators.Link{execution},
		}),
		r.Register(operators.Spec{
			Name:  "StepFunctionStopExecutionOperator",
			Doc:   "Stops an execution and returns its ARN. One that has ended already stays as it is, and the task succeeds.",
			New:   func() operators.Operator { return &StopExecution{deps: &deps} },
			Links: []operators.Link{execution},
		}),
		r.Register(operators.Spec{
			Name: "StepFunctionRedriveExecutionOperator",
			Doc: "Redrives an execution from where it failed and returns its ARN. It waits for the execution's end as " +
				"StepFunctionStartExecutionOperator does. A repetition after a crash, or a retry, goes on with the redrive " +
				"that was begun.",
			New:   func() operators.Operator { return &RedriveExecution{deps: &deps} },
			Links: []operators.Link{execution},
		}),
		r.Register(operators.Spec{
			Name: "StepFunctionStartSyncExecutionOperator",
			Doc: "Runs an execution of an EXPRESS state machine, waits for its end on the worker, at most five minutes, and " +
				"returns its output. It fails when the execution fails. EXPRESS executions run at least once: after a crash " +
				"of the daemon the attempt starts another of the same name.",
			New:   func() operators.Operator { return &StartSyncExecution{deps: &deps} },
			Links: []operators.Link{{Name: stepfunctions.MachineLinkName, XComKey: stepfunctions.MachineLinkKey}},
		}),
		r.Register(operators.Spec{
			Name: "StepFunctionGetExecutionHistoryOperator",
			Doc: "Returns the history of an execution, all pages of it, as a list of events in the form of the AWS CLI. A " +
				"history that is larger than an XCom may be (core.xcom_max_bytes) goes to output_file, or is made smaller " +
				"with event_types, max_events and include_execution_data.",
			New:   func() operators.Operator { return &GetExecutionHistory{deps: &deps} },
			Links: []operators.Link{execution},
		}),
	)
}

func paths(class string) []string {
	const provider = "airflow.providers.amazon.aws.operators.step_function."
	return []string{provider + class}
}

// repeat calls until the call succeeds or fails for good.
func (d *Deps) repeat(ctx context.Context, t operators.Task, what string, call func() error) error {
	return d.Backoff.Repeat(ctx, t.Log(), what, nil, call)
}
