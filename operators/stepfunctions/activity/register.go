// Package activity works for Step Functions activities: a task of a pipeline takes one task of an activity, has a command
// do it, and answers.
//
// A task token is answered once, with what the command came to: the answer is written down before it is sent, and sent
// again as it is after a crash. The command itself may run again after a crash, like any task.
package activity

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
	// Run runs commands.
	Run Runner
	// DefaultDeferrable is [operators] default_deferrable; nil leaves it to the operator.
	DefaultDeferrable *bool
	// Backoff is the pause before the n-th repetition (from 1) of a call that was throttled; nil means the default.
	Backoff awswait.Backoff
}

// Runner runs a command line with an input and returns how it ended; an error says that it did not come to its end.
type Runner func(ctx context.Context, t operators.Task, c Command) (Ended, error)

// Command is a command line and what it gets.
type Command struct {
	Line  string
	Input []byte
	Env   map[string]string
	// MaxOutput is how many bytes of the standard output are wanted.
	MaxOutput int
}

// Ended is how a command ended.
type Ended struct {
	// Output is the standard output, Cut says that there was more.
	Output []byte
	Cut    bool
	// Errors is the end of the standard error.
	Errors string
	// Code is the exit code, "0" for success.
	Code string
}

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Clients == nil || deps.Run == nil {
		return errors.New("operators/stepfunctions/activity: Deps needs Clients and Run")
	}
	if deps.Backoff == nil {
		deps.Backoff = awswait.DefaultBackoff
	}
	return r.Register(operators.Spec{
		Name:    "StepFunctionActivityOperator",
		Aliases: []string{"StepFunctionActivitySensor"},
		Doc: "Waits for a task of an activity, without a worker, and has a command do it: the task's input is the command's " +
			"standard input, what it prints is the task's output, and while it runs heartbeats are sent. A command that " +
			"fails fails the activity's task, and this one. It returns {input, output}. When no task comes within timeout " +
			"it is skipped.",
		New: func() operators.Operator { return &Worker{deps: &deps} },
	})
}
