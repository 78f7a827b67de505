package stepfunctions

import (
	"time"

	"gust/connections/awsconn"
	"gust/triggers"
)

// Kind is the trigger's kind.
const Kind = "stepfunctions.execution"

// Args describes the wait for one execution.
type Args struct {
	ExecutionARN string `json:"execution_arn"`
	awsconn.Params
	// Delay is the longest time between two looks (waiter_delay, poke_interval); see Interval for the first ones.
	Delay time.Duration `json:"delay"`
	// Pace replaces Delay and the first, shorter steps when it is a backoff.
	Pace *triggers.Pace `json:"pace,omitempty"`
	// Deadline ends the wait of an operator; zero is none.
	Deadline time.Time `json:"deadline,omitzero"`
	// Started is about when the execution was started, if that is known. It makes listing cheaper.
	Started time.Time `json:"started,omitzero"`
	// WithOutput asks for the execution's output in the event.
	WithOutput bool `json:"with_output,omitempty"`
	// Redrives is the least redrive count an end must have to be believed: after a redrive AWS may for a moment still
	// describe the end before it.
	Redrives int32 `json:"redrives,omitempty"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// Settle is how long after the wait began AWS may not know the execution yet, or describe it as before a redrive:
// describing and listing are eventually consistent.
const Settle = 15 * time.Second
