package stepfunctions

import (
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/triggers"
)

// Fire is the event of an execution that has succeeded, without an output.
func (c *checker) Fire(raw json.RawMessage, _ time.Time) (*triggers.Event, error) {
	args, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return triggers.NewEvent(Outcome{
		Status: StatusSuccess, ExecutionARN: args.ExecutionARN, ExecutionStatus: string(types.ExecutionStatusSucceeded),
	})
}

// Fire is the event of a state machine that is gone.
func (c *deletions) Fire(raw json.RawMessage, _ time.Time) (*triggers.Event, error) {
	args, err := triggers.Decode[DeletionArgs](DeletionKind, raw)
	if err != nil {
		return nil, err
	}
	return triggers.NewEvent(Deletion{Status: StatusSuccess, StateMachineARN: args.StateMachineARN})
}
