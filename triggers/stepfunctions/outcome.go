package stepfunctions

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
)

// Statuses of an Outcome.
const (
	StatusSuccess = "success"
	StatusError   = "error"
)

// Ends are the statuses in which an execution has ended. One that was redriven has not.
var Ends = [...]types.ExecutionStatus{
	types.ExecutionStatusSucceeded, types.ExecutionStatusFailed, types.ExecutionStatusTimedOut, types.ExecutionStatusAborted,
}

// Outcome is how a wait ended: the payload of the trigger's event.
type Outcome struct {
	// Status is "success" or "error".
	Status       string `json:"status"`
	ExecutionARN string `json:"execution_arn"`
	// ExecutionStatus is SUCCEEDED, FAILED, TIMED_OUT or ABORTED; another one when the wait's own time ran out.
	ExecutionStatus string `json:"execution_status,omitempty"`
	// Output is the execution's output as JSON text, when the wait asked for it.
	Output *string `json:"output,omitempty"`
	Error  string  `json:"error,omitempty"`
	Cause  string  `json:"cause,omitempty"`
	// FailedState is the state that failed, when the history told it.
	FailedState string `json:"failed_state,omitempty"`
	// Message is set when the wait itself failed rather than the execution.
	Message string `json:"message,omitempty"`
	URL     string `json:"url,omitempty"`

	// stopped is when the execution ended, as Step Functions tells it.
	stopped time.Time
}

// maxCause is how much of a cause a failure's text shows; AWS allows 32 KiB.
const maxCause = 2000

// Failure is the text of an outcome that is no success: status, error, cause, failing state, console page.
func (o *Outcome) Failure() string {
	var b strings.Builder
	if o.Message != "" {
		b.WriteString(o.Message)
	} else {
		fmt.Fprintf(&b, "execution %s ended %s", o.ExecutionARN, o.ExecutionStatus)
		for _, part := range [...]string{o.Error, short(o.Cause)} {
			if part != "" {
				b.WriteString(": " + part)
			}
		}
	}
	if o.FailedState != "" {
		fmt.Fprintf(&b, "; failing state: %q", o.FailedState)
	}
	if o.URL != "" {
		b.WriteString("; see " + o.URL)
	}
	return b.String()
}

func short(text string) string {
	if len(text) <= maxCause {
		return text
	}
	return strings.ToValidUTF8(text[:maxCause], "") + "..."
}

// Describe asks for an execution's state.
func Describe(
	ctx context.Context, api API, arn string, options ...func(*sfn.Options),
) (*sfn.DescribeExecutionOutput, error) {
	return api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)}, options...)
}

// Ended returns how a described execution ended, nil while it runs. Only SUCCEEDED is a success; PENDING_REDRIVE and a
// status that is not known yet go on. Of a failed execution it looks for the failing state in the history.
func Ended(ctx context.Context, api API, info awsconn.Info, d *sfn.DescribeExecutionOutput, withOutput bool) *Outcome {
	arn := aws.ToString(d.ExecutionArn)
	o := &Outcome{
		Status: StatusError, ExecutionARN: arn, ExecutionStatus: string(d.Status),
		Error: aws.ToString(d.Error), Cause: aws.ToString(d.Cause), URL: LinkToExecution(info, arn).URL,
		stopped: aws.ToTime(d.StopDate),
	}
	switch d.Status {
	case types.ExecutionStatusSucceeded:
		o.Status = StatusSuccess
	case types.ExecutionStatusFailed, types.ExecutionStatusTimedOut, types.ExecutionStatusAborted:
		o.FailedState = FailedState(ctx, api, arn)
	default:
		return nil
	}
	if withOutput {
		o.Output = d.Output
	}
	return o
}

// historyEvents is how much of the end of a history is read for the failing state.
const historyEvents = 250

// FailedState returns the name of the state in which an execution failed, or "" when the end of its history does not
// tell it or cannot be read.
func FailedState(ctx context.Context, api API, arn string) string {
	out, err := api.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(arn), ReverseOrder: true, MaxResults: historyEvents, IncludeExecutionData: aws.Bool(false),
	})
	if err != nil {
		return ""
	}
	return failedState(out.Events)
}

// failedState walks back from the last event along previousEventId to the state it happened in. An abort or a time-out
// of the execution has no predecessor: there it is the last state entered and not left.
func failedState(newestFirst []types.HistoryEvent) string {
	byID := make(map[int64]*types.HistoryEvent, len(newestFirst))
	for i := range newestFirst {
		byID[newestFirst[i].Id] = &newestFirst[i]
	}
	if len(newestFirst) == 0 {
		return ""
	}
	for e := byID[newestFirst[0].PreviousEventId]; e != nil; e = byID[e.PreviousEventId] {
		if d := e.EvaluationFailedEventDetails; d != nil && aws.ToString(d.State) != "" {
			return aws.ToString(d.State)
		}
		if e.StateEnteredEventDetails != nil {
			return aws.ToString(e.StateEnteredEventDetails.Name)
		}
		if e.PreviousEventId >= e.Id {
			break // not a history
		}
	}
	left := map[string]int{}
	for _, e := range newestFirst {
		if d := e.StateExitedEventDetails; d != nil {
			left[aws.ToString(d.Name)]++
		}
		if d := e.StateEnteredEventDetails; d != nil {
			name := aws.ToString(d.Name)
			if left[name] == 0 {
				return name
			}
			left[name]--
		}
	}
	return ""
}
