// Package statemachine deploys state machines, with versions and aliases, and deletes them.
//
// Every step looks at what there is and acts on the difference only, so that an attempt that is repeated, after a crash
// or a lost answer, goes on where it was, and a deployment of what is deployed already changes nothing.
package statemachine

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
	// Diagnose checks definitions when a pipeline is loaded and before they are sent; nil leaves that to Step Functions.
	Diagnose Diagnose
	// DefaultDeferrable is [operators] default_deferrable; nil leaves it to the operator.
	DefaultDeferrable *bool
	// Backoff is the pause before the n-th repetition (from 1) of a call that was throttled; nil means the default.
	Backoff awswait.Backoff
}

// Diagnose returns what is wrong with a definition of a STANDARD or EXPRESS state machine.
type Diagnose func(definition, machineType string) []Problem

// Problem is one thing that refuses a definition.
type Problem struct {
	// Text says what is wrong, with AWS's code; Nearest is the nearest valid name, or "".
	Text, Nearest string
	// Location leads to it in the definition, such as /States/Name/Choices[0]/Next; "" for a text that is no JSON.
	Location string
	// Line and Column are its place in the text, from 1; 0 when unknown.
	Line, Column int
}

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Clients == nil {
		return errors.New("operators/stepfunctions/statemachine: Deps needs Clients")
	}
	if deps.Backoff == nil {
		deps.Backoff = awswait.DefaultBackoff
	}
	link := []operators.Link{{Name: stepfunctions.MachineLinkName, XComKey: stepfunctions.MachineLinkKey}}
	return errors.Join(
		r.Register(operators.Spec{
			Name: "StepFunctionDeployStateMachineOperator",
			Doc: "Creates a state machine or updates it to a definition, publishes a version, and moves an alias to it, as " +
				"far as asked for. The definition is checked when the pipeline is loaded. What is deployed already is left " +
				"alone. It returns state_machine_arn, change (created, updated or unchanged), revision_id, " +
				"state_machine_version_arn and state_machine_alias_arn.",
			New:   func() operators.Operator { return &Deploy{deps: &deps} },
			Links: link,
		}),
		r.Register(operators.Spec{
			Name: "StepFunctionDeleteStateMachineOperator",
			Doc: "Deletes a state machine with its versions and aliases, and waits until it is gone. One that does not exist " +
				"is gone already.",
			New: func() operators.Operator { return &Delete{deps: &deps} },
		}),
	)
}

// work is one attempt's work.
type work struct {
	deps *Deps
	t    operators.Task
	api  stepfunctions.API
}

// repeat calls until the call succeeds or fails for good; also tells further errors that pass.
func (w *work) repeat(ctx context.Context, what string, also func(error) bool, call func() error) error {
	return w.deps.Backoff.Repeat(ctx, w.t.Log(), what, also, call)
}

// is makes a test for one kind of error.
func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
