package stepfunctions

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/triggers"
)

// change is the detail of EventBridge's event "Step Functions Execution Status Change". Its dates are in milliseconds.
type change struct {
	ExecutionARN  string  `json:"executionArn"`
	Status        string  `json:"status"`
	StartDate     *int64  `json:"startDate"`
	StopDate      *int64  `json:"stopDate"`
	Output        *string `json:"output"`
	OutputDetails *struct {
		Included bool `json:"included"`
	} `json:"outputDetails"`
	Error        *string `json:"error"`
	Cause        *string `json:"cause"`
	RedriveCount int32   `json:"redriveCount"`
}

// ended is how the event says that the execution ended, nil if it does not, or tells of an end before a redrive that is
// waited for.
func (e *change) ended(args *Args) *Outcome {
	if e.ExecutionARN != args.ExecutionARN || e.RedriveCount < args.Redrives {
		return nil
	}
	o := &Outcome{Status: StatusError, ExecutionARN: e.ExecutionARN, ExecutionStatus: e.Status}
	if e.StopDate != nil {
		o.stopped = time.UnixMilli(*e.StopDate).UTC()
	}
	switch types.ExecutionStatus(e.Status) {
	case types.ExecutionStatusSucceeded:
		o.Status = StatusSuccess
	case types.ExecutionStatusFailed, types.ExecutionStatusTimedOut, types.ExecutionStatusAborted:
	default:
		return nil
	}
	if e.Error != nil {
		o.Error = *e.Error
	}
	if e.Cause != nil {
		o.Cause = *e.Cause
	}
	return o
}

// whole reports whether the event tells all that the wait wants to know.
func (e *change) whole(args *Args) bool {
	if types.ExecutionStatus(e.Status) != types.ExecutionStatusSucceeded {
		return e.Error != nil || e.Cause != nil || e.Status == string(types.ExecutionStatusTimedOut)
	}
	return !args.WithOutput || e.Output != nil && (e.OutputDetails == nil || e.OutputDetails.Included)
}

// Hear judges waits by what events tell of their executions. A success needs no call, unless its output is wanted and too
// large for the event; of a failure the failing state is looked up if the quota allows it at once. Events about anything
// but the end that is waited for decide nothing.
func (c *checker) Hear(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	r := c.round(ctx, now, waits)
	if len(r.looks) == 0 {
		return r.verdicts
	}
	r.group = c.group(groupKey(r.looks[0].args), now)
	api, info, err := c.deps.Clients.SFN(ctx, c.deps.Connections, r.looks[0].args.Params)
	if err != nil {
		api = nil // a success can be told without a client
	}
	for _, l := range r.looks {
		r.verdicts[l.index] = l.hear(ctx, api, info)
	}
	return r.verdicts
}

// undecided leaves the next look at the time that the loop has for it.
const undecided = 24 * time.Hour

// hear judges one wait.
func (l *look) hear(ctx context.Context, api API, info awsconn.Info) triggers.Verdict {
	for _, text := range l.Wait.News {
		var e change
		if json.Unmarshal(text, &e) != nil {
			continue // what cannot be read decides nothing
		}
		o := e.ended(l.args)
		if o == nil {
			continue
		}
		if !e.whole(l.args) {
			return l.ask(ctx, api, info)
		}
		if l.args.WithOutput {
			o.Output = e.Output
		}
		o.URL = LinkToExecution(info, o.ExecutionARN).URL
		if o.Status != StatusSuccess && api != nil {
			call, cancel := context.WithTimeout(quota.AtOnce(ctx), callTimeout)
			o.FailedState = FailedState(call, api, o.ExecutionARN)
			cancel()
		}
		if e.StartDate != nil && e.StopDate != nil && e.RedriveCount == 0 {
			l.group.learn(time.Duration(*e.StopDate-*e.StartDate) * time.Millisecond)
		}
		return fire(o)
	}
	return triggers.Verdict{Again: l.Now.Add(undecided)}
}

// ask describes an execution whose end an event has told without all that is wanted. Without a token, or when the
// description is still that of before, the next look comes soon and first.
func (l *look) ask(ctx context.Context, api API, info awsconn.Info) triggers.Verdict {
	if api != nil {
		call, cancel := context.WithTimeout(quota.AtOnce(ctx), callTimeout)
		defer cancel()
		d, err := Describe(call, api, l.args.ExecutionARN, once)
		if err == nil && l.believes(redrives(d)) {
			if o := Ended(call, api, info, d, l.args.WithOutput); o != nil {
				return fire(o)
			}
		}
	}
	l.group.tell(l.args.ExecutionARN)
	return triggers.Verdict{Again: l.Now.Add(time.Second)}
}
