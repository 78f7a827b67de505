package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/triggers"
	"gust/triggers/awswait"
)

// DeletionKind is the kind of the wait for a state machine that is being deleted.
const DeletionKind = "stepfunctions.deletion"

// DeletionArgs describes the wait until a state machine is gone.
type DeletionArgs struct {
	StateMachineARN string `json:"state_machine_arn"`
	awsconn.Params
	// Delay is the longest time between two looks.
	Delay time.Duration `json:"delay"`
	// Deadline ends the wait; zero is none.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Trigger builds the trigger.
func (a DeletionArgs) Trigger() (triggers.Trigger, error) { return triggers.New(DeletionKind, a) }

// Deletion is how the wait for a deletion ended: the payload of the trigger's event.
type Deletion struct {
	// Status is StatusSuccess when the state machine is gone.
	Status          string `json:"status"`
	StateMachineARN string `json:"state_machine_arn"`
	Message         string `json:"message,omitempty"`
}

// deletions checks waits for state machines to be gone.
type deletions struct{ deps Deps }

func (c *deletions) Kind() string { return DeletionKind }

// Key groups the waits that use one client.
func (c *deletions) Key(raw json.RawMessage) (string, error) {
	args, err := decodeDeletion(raw)
	if err != nil {
		return "", err
	}
	return args.Params.Key(), nil
}

func decodeDeletion(raw json.RawMessage) (*DeletionArgs, error) {
	args, err := triggers.Decode[DeletionArgs](DeletionKind, raw)
	if err != nil {
		return nil, err
	}
	if args.StateMachineARN == "" {
		return nil, fmt.Errorf("arguments of a %s trigger: state_machine_arn is missing", DeletionKind)
	}
	return args, nil
}

// Check describes every state machine once.
func (c *deletions) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	return triggers.Each(waits, c.deps.Concurrency, func(w *triggers.Wait) triggers.Verdict {
		args, err := decodeDeletion(w.Args)
		if err != nil {
			return triggers.Verdict{Err: err}
		}
		d := &deletion{Span: awswait.Span{Wait: w, Now: now, Delay: args.Delay, Deadline: args.Deadline}, args: args}
		api, info, err := c.deps.Clients.SFN(ctx, c.deps.Connections, args.Params)
		if err != nil {
			return d.Trouble(awswait.NoClient(err), err, d.late)
		}
		return d.look(ctx, api, info)
	})
}

// deletion is one look at one state machine.
type deletion struct {
	awswait.Span
	args *DeletionArgs
}

func (d *deletion) look(ctx context.Context, api API, info awsconn.Info) triggers.Verdict {
	call, cancel := context.WithTimeout(quota.Yielding(ctx), callTimeout)
	defer cancel()
	out, err := api.DescribeStateMachine(call, &sfn.DescribeStateMachineInput{
		StateMachineArn: aws.String(d.args.StateMachineARN), IncludedData: types.IncludedDataMetadataOnly,
	})
	var missing *types.StateMachineDoesNotExist
	switch {
	case errors.As(err, &missing):
		return d.end(&Deletion{Status: StatusSuccess, StateMachineARN: d.args.StateMachineARN})
	case ctx.Err() != nil:
		return triggers.Verdict{Again: d.Now}
	case err != nil:
		return d.Trouble(awsconn.TroubleOf(err), fmt.Errorf("waiting for state machine %s to be gone: %w", d.args.StateMachineARN, err), d.late)
	case d.PastDeadline():
		return d.late(string(out.Status))
	}
	return triggers.Verdict{
		Again: d.Bounded(d.Now.Add(Interval(d.Waited(), d.args.Delay, info))), State: d.Clear(),
		Log: firstLine(d.Wait, "Status of state machine is: "+string(out.Status)),
	}
}

// firstLine says something once in a wait.
func firstLine(w *triggers.Wait, text string) string {
	if w.Checks > 0 {
		return ""
	}
	return text
}

func (d *deletion) late(what string) triggers.Verdict {
	return d.end(&Deletion{
		Status: StatusError, StateMachineARN: d.args.StateMachineARN,
		Message: fmt.Sprintf("state machine %s is not gone after %s (it is %s): Step Functions waits for its running "+
			"executions to come to their next state; raise waiter_max_attempts or waiter_delay to wait longer",
			d.args.StateMachineARN, d.args.Deadline.Sub(d.Wait.Since).Round(time.Second), what),
	})
}

func (d *deletion) end(o *Deletion) triggers.Verdict {
	event, err := triggers.NewEvent(o)
	if err != nil {
		return triggers.Verdict{Err: err}
	}
	return triggers.Verdict{Event: event}
}
