package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/triggers"
	"gust/triggers/awswait"
)

// ActivityKind is the kind of the wait for a task of an activity.
const ActivityKind = "stepfunctions.activity_task"

// ActivityPatience is the least read timeout of GetActivityTask, which is answered after up to 60 seconds.
const ActivityPatience = 70 * time.Second

// ActivityArgs describes the wait for a task of an activity.
type ActivityArgs struct {
	ActivityARN string `json:"activity_arn"`
	// Worker is the name under which the task is fetched.
	Worker string `json:"worker"`
	awsconn.Params
	// Deadline ends the wait; zero is none. A poll that is under way then is still waited for.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Trigger builds the trigger.
func (a ActivityArgs) Trigger() (triggers.Trigger, error) { return triggers.New(ActivityKind, a) }

// ActivityTask is the payload of the trigger's event: a task, or none when the time was up.
type ActivityTask struct {
	Token string `json:"task_token,omitempty"`
	Input string `json:"input,omitempty"`
}

// activities checks waits for tasks of activities.
type activities struct{ deps Deps }

func (c *activities) Kind() string { return ActivityKind }

// activityShards is how many groups the waits for one activity form. The waits of a group are polled for at once, and
// one that joins waits for the polls under way to end; with few waits each has a group of its own.
const activityShards = 16

// Key spreads the waits, because a poll lasts a minute.
func (c *activities) Key(raw json.RawMessage) (string, error) {
	args, err := decodeActivity(raw)
	if err != nil {
		return "", err
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(args.Worker)) // a hash never fails
	return fmt.Sprintf("%s %s %d", args.Params.Key(), args.ActivityARN, h.Sum32()%activityShards), nil
}

func decodeActivity(raw json.RawMessage) (*ActivityArgs, error) {
	args, err := triggers.Decode[ActivityArgs](ActivityKind, raw)
	if err != nil {
		return nil, err
	}
	if args.ActivityARN == "" {
		return nil, fmt.Errorf("arguments of a %s trigger: activity_arn is missing", ActivityKind)
	}
	return args, nil
}

// Check polls once for every wait. It lasts as long as the polls, a minute when there is no task.
func (c *activities) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	return triggers.Each(waits, len(waits), func(w *triggers.Wait) triggers.Verdict {
		args, err := decodeActivity(w.Args)
		if err != nil {
			return triggers.Verdict{Err: err}
		}
		p := &poll{Span: awswait.Span{Wait: w, Now: now, Delay: time.Minute, Deadline: args.Deadline}, args: args}
		if p.PastDeadline() {
			return p.end(ActivityTask{})
		}
		api, _, err := c.deps.Clients.SFN(ctx, c.deps.Connections, args.Params)
		if err != nil {
			return p.Trouble(awswait.NoClient(err), err, p.late)
		}
		return p.look(ctx, api)
	})
}

// poll is one long poll for one wait.
type poll struct {
	awswait.Span
	args *ActivityArgs
}

func (p *poll) look(ctx context.Context, api API) triggers.Verdict {
	task, err := FetchActivityTask(quota.Yielding(ctx), api, p.args.ActivityARN, p.args.Worker)
	switch {
	case err == nil && task != nil:
		return p.end(*task)
	case ctx.Err() != nil:
		return triggers.Verdict{Again: p.Now}
	case err != nil:
		return p.Trouble(PollTrouble(err), fmt.Errorf("waiting for a task of activity %s: %w", p.args.ActivityARN, err), p.late)
	}
	// Measured from the beginning of the poll: one that lasted its minute is followed by the next at once.
	return triggers.Verdict{
		Again: p.Now.Add(time.Second), State: p.Clear(), Log: firstLine(p.Wait, "Waiting for a task of activity "+p.args.ActivityARN),
	}
}

// PollTrouble classifies an error of GetActivityTask. Too many pollers are trouble that passes.
func PollTrouble(err error) awsconn.Trouble {
	var crowded *types.ActivityWorkerLimitExceeded
	if errors.As(err, &crowded) {
		return awsconn.Passing
	}
	return awsconn.TroubleOf(err)
}

// FetchActivityTask polls once for a task; nil means that there was none. Nothing is sent again by the SDK: a task whose
// delivery got lost stays with its first receiver, and the next poll gets another.
func FetchActivityTask(ctx context.Context, api Activities, arn, worker string) (*ActivityTask, error) {
	out, err := api.GetActivityTask(ctx, &sfn.GetActivityTaskInput{
		ActivityArn: aws.String(arn), WorkerName: aws.String(worker),
	}, func(o *sfn.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil || aws.ToString(out.TaskToken) == "" {
		return nil, err
	}
	return &ActivityTask{Token: aws.ToString(out.TaskToken), Input: aws.ToString(out.Input)}, nil
}

func (p *poll) late(string) triggers.Verdict { return p.end(ActivityTask{}) }

func (p *poll) end(task ActivityTask) triggers.Verdict {
	event, err := triggers.NewEvent(task)
	if err != nil {
		return triggers.Verdict{Err: err}
	}
	return triggers.Verdict{Event: event}
}
