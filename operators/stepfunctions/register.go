// Package stepfunctions starts Step Functions executions, waits for them, and fetches their output.
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
	"fmt"
	"time"

	"gust/connections/awsconn"
	"gust/operators"
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
	Backoff func(n int) time.Duration
}

func backoff(n int) time.Duration { return min(time.Second<<min(n-1, 5), 30*time.Second) }

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Clients == nil {
		return errors.New("operators/stepfunctions: Deps needs Clients")
	}
	if deps.Backoff == nil {
		deps.Backoff = backoff
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
	)
}

func paths(class string) []string {
	const provider = "airflow.providers.amazon.aws.operators.step_function."
	return []string{provider + class}
}

// maxRepeats bounds how often a throttled call is repeated; with the default pauses that is about four minutes.
const maxRepeats = 12

// repeat calls until the call succeeds or fails for good. Throttling, faults of the service and lost connections are
// repeated with pauses.
func (d *Deps) repeat(ctx context.Context, t operators.Task, what string, call func() error) error {
	for n := 1; ; n++ {
		err := call()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if awsconn.TroubleOf(err) != awsconn.Passing || n > maxRepeats {
			return err // the SDK's errors name the operation
		}
		t.Log().Warn(fmt.Sprintf("%s met an error that may pass, repeating: %s", what, err))
		if err := pause(ctx, d.Backoff(n)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
