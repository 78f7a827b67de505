// Package events tells the world how executions go on: it turns status changes into events of the form that Amazon
// EventBridge gives them ("Step Functions Execution Status Change") and delivers them to a webhook, a file and a local
// queue. As at AWS, delivery is best effort and order is not promised.
package events

import (
	"time"

	"github.com/google/uuid"

	"gust/stepfunctions/jsonvalue"
)

// maxData is the size of input and output, as escaped JSON texts, above which EventBridge's events leave them out:
// first the input, and the output when it alone is larger.
const maxData = 248 << 10

// StatusChange is a new status of a standard execution. Nil fields are unknown or do not apply, and are written as null.
type StatusChange struct {
	// Time is when the status changed.
	Time time.Time
	// Region and Account are those of the execution.
	Region, Account string
	// ExecutionARN, StateMachineARN and Name identify it.
	ExecutionARN, StateMachineARN, Name string
	// Status is RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
	Status string
	// Started and Stopped are when it was; zero when it was not.
	Started, Stopped time.Time
	// Input and Output are JSON texts.
	Input, Output *string
	// Error and Cause say why it did not succeed.
	Error, Cause *string
	// VersionARN and AliasARN are what it was started by.
	VersionARN, AliasARN *string
	// RedriveCount and Redriven are how often and when it was redriven last; zero when it was not.
	RedriveCount int64
	Redriven     time.Time
	// RedriveStatus and RedriveStatusReason are those of DescribeExecution.
	RedriveStatus, RedriveStatusReason *string
}

// Sink is told of status changes after they are stored. It does not block and keeps nothing of the slice.
type Sink interface{ Publish(changes []StatusChange) }

// Event is the JSON text of a change as EventBridge delivers it, with an id of its own.
func (c StatusChange) Event() []byte {
	text := jsonvalue.NewString
	return jsonvalue.NewObjectBuilder(9).
		Set("version", text("0")).Set("id", text(uuid.NewString())).
		Set("detail-type", text("Step Functions Execution Status Change")).Set("source", text("aws.states")).
		Set("account", text(c.Account)).Set("time", text(c.Time.UTC().Format("2006-01-02T15:04:05Z"))).
		Set("region", text(c.Region)).Set("resources", jsonvalue.NewArray([]jsonvalue.Value{text(c.ExecutionARN)})).
		Set("detail", c.detail()).Value().Append(nil)
}

func (c StatusChange) detail() jsonvalue.Value {
	input, output := c.Input, c.Output
	if size(input)+size(output) > maxData {
		input = nil
	}
	if size(output) > maxData {
		output = nil
	}
	return jsonvalue.NewObjectBuilder(18).
		Set("executionArn", jsonvalue.NewString(c.ExecutionARN)).Set("stateMachineArn", jsonvalue.NewString(c.StateMachineARN)).
		Set("name", jsonvalue.NewString(c.Name)).Set("status", jsonvalue.NewString(c.Status)).
		Set("startDate", milliseconds(c.Started)).Set("stopDate", milliseconds(c.Stopped)).
		Set("input", optional(input)).Set("output", optional(output)).
		Set("inputDetails", included(c.Input, input)).Set("outputDetails", included(c.Output, output)).
		Set("stateMachineVersionArn", optional(c.VersionARN)).Set("stateMachineAliasArn", optional(c.AliasARN)).
		Set("redriveCount", jsonvalue.NewInt(c.RedriveCount)).Set("redriveDate", milliseconds(c.Redriven)).
		Set("redriveStatus", optional(c.RedriveStatus)).Set("redriveStatusReason", optional(c.RedriveStatusReason)).
		Set("error", optional(c.Error)).Set("cause", optional(c.Cause)).Value()
}

// size is the length of a text with its escapes.
func size(s *string) int {
	if s == nil {
		return 0
	}
	return len(jsonvalue.AppendString(nil, *s)) - len(`""`)
}

func optional(s *string) jsonvalue.Value {
	if s == nil {
		return jsonvalue.Value{}
	}
	return jsonvalue.NewString(*s)
}

func milliseconds(t time.Time) jsonvalue.Value {
	if t.IsZero() {
		return jsonvalue.Value{}
	}
	return jsonvalue.NewInt(t.UnixMilli())
}

// included tells whether data was left out for its size; null when there is none.
func included(data, sent *string) jsonvalue.Value {
	if data == nil {
		return jsonvalue.Value{}
	}
	return jsonvalue.NewObjectBuilder(1).Set("included", jsonvalue.NewBool(sent != nil)).Value()
}
