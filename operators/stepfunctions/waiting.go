package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// Waiting are the parameters of an operator that may wait for the end of an execution, and stops it when it is killed.
type Waiting struct {
	WaiterMaxAttempts int            `param:"waiter_max_attempts" default:"30" doc:"With waiter_delay, the longest wait for the end: waiter_max_attempts times waiter_delay, 30 minutes by default. Then the task fails, the execution goes on, and a retry waits for it again."`
	WaiterDelay       param.Duration `param:"waiter_delay" default:"60s" doc:"Longest time between two looks at the execution, in seconds or as a timedelta. The first looks come sooner, from one second on."`
	Deferrable        *bool          `param:"deferrable" doc:"Wait in the trigger loop, without a worker. true also means wait_for_completion, unless that is given. Default: true if the task waits."`
	WaitForCompletion *bool          `param:"wait_for_completion" doc:"End when the execution ends, and fail when it fails. Default: true with deferrable: true, otherwise false: the task succeeds as soon as the execution is started."`
	StopOnKill        bool           `param:"stop_on_kill" default:"true" doc:"Stop the execution when the task is killed, cleared, marked, or runs into execution_timeout, also while it is deferred."`
}

func (p *Waiting) check() error {
	switch {
	case p.WaiterMaxAttempts < 1:
		return fmt.Errorf("waiter_max_attempts is %d; expected at least 1", p.WaiterMaxAttempts)
	case p.WaiterDelay <= 0:
		return fmt.Errorf("waiter_delay is %s; expected more than 0", p.WaiterDelay)
	}
	return nil
}

func (p *Waiting) waits() bool {
	if p.WaitForCompletion != nil {
		return *p.WaitForCompletion
	}
	return p.Deferrable != nil && *p.Deferrable
}

func (p *Waiting) defers(byDefault *bool) bool {
	switch {
	case p.Deferrable != nil:
		return *p.Deferrable
	case byDefault != nil:
		return *byDefault
	}
	return true
}

// budget is the longest wait.
func (p *Waiting) budget() time.Duration {
	return time.Duration(p.WaiterMaxAttempts) * p.WaiterDelay.Std()
}

// job is one attempt's work on one execution.
type job struct {
	t       operators.Task
	api     stepfunctions.API
	info    awsconn.Info
	params  awsconn.Params
	waiting *Waiting
	family  *Deps
	// redrives is the least redrive count of the execution's end that this attempt believes.
	redrives int32
	// started is when the execution was started, if that is known.
	started time.Time
}

// link pushes an XCom that Airflow pushes only with do_xcom_push.
func (j *job) link(ctx context.Context, key string, value any) error {
	if spec := j.t.Spec(); spec != nil && !spec.DoXComPush {
		return nil
	}
	return j.t.XComPush(ctx, key, value)
}

// goOn makes the ARN known and ends, parks, or waits here, and then returns the event that ended the wait.
func (j *job) goOn(ctx context.Context, arn string) (*triggers.Event, operators.Result, error) {
	var none operators.Result
	if err := j.t.XComPush(ctx, keyARN, arn); err != nil {
		return nil, none, err
	}
	if err := j.link(ctx, stepfunctions.ExecutionLinkKey, stepfunctions.LinkToExecution(j.info, arn)); err != nil {
		return nil, none, err
	}
	if !j.waiting.waits() {
		return nil, operators.Done(arn), nil
	}
	if stepfunctions.IsExpress(arn) {
		return nil, none, operators.Failf("execution %s is of an EXPRESS state machine, whose end cannot be "+
			"waited for; set wait_for_completion: false and deferrable: false", arn)
	}
	if err := j.link(ctx, "return_value", arn); err != nil {
		return nil, none, err
	}
	trigger, err := stepfunctions.Args{
		ExecutionARN: arn, Params: j.params, Delay: j.waiting.WaiterDelay.Std(),
		Deadline: j.t.Now().Add(j.waiting.budget()), Redrives: j.redrives,
		Started: j.started,
	}.Trigger()
	switch {
	case err != nil:
		return nil, none, err
	case j.waiting.defers(j.family.DefaultDeferrable):
		return nil, operators.Defer(trigger, j.waiting.budget()+graceTime), nil
	}
	deps := stepfunctions.Deps{Clients: j.family.Clients, Connections: j.t}
	event, err := deps.Await(ctx, trigger, arn, j.t.Now, func(line string) { j.t.Log().Info(line) })
	if ctx.Err() != nil {
		err = fmt.Errorf("waiting for execution %s: %w", arn, err)
	}
	return &event, none, err
}

// graceTime is added to the deferral's timeout: the trigger ends the wait itself, with a better message, and without
// the execution being stopped as by a time-out of the task.
const graceTime = 5 * time.Minute

// outcome reads the event that ended a wait.
func outcome(t operators.Task, event triggers.Event) (*stepfunctions.Outcome, error) {
	o := &stepfunctions.Outcome{}
	if err := json.Unmarshal(event.Payload, o); err != nil || o.Status == "" {
		return o, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	if o.Status == stepfunctions.StatusSuccess {
		t.Log().Info("State Machine execution completed successfully")
	}
	return o, nil
}

// stop stops the execution of this attempt, or what it would have gone on with, had it come that far.
func (p *Waiting) stop(
	ctx context.Context, t operators.Task, deps *Deps, params awsconn.Params, reason string, trigger *triggers.Trigger,
) error {
	arn, started, err := runningARN(ctx, t, trigger)
	arns := []string{arn}
	if err == nil && arn == "" && p.waits() {
		var records []record
		records, err = earlier(ctx, t)
		for _, rec := range records {
			arns = append(arns, rec.ExecutionARN)
		}
	}
	arns = slices.DeleteFunc(arns, func(arn string) bool { return arn == "" || stepfunctions.IsExpress(arn) })
	if err != nil || len(arns) == 0 {
		return err
	}
	if !p.StopOnKill {
		t.Log().Info("The execution goes on because stop_on_kill is false: " + arns[0])
		return nil
	}
	api, _, err := deps.Clients.SFN(ctx, t, params)
	if err != nil {
		return fmt.Errorf("stopping execution %s: %w", arns[0], err)
	}
	s := &stopping{api: api, t: t, deps: deps, cause: fmt.Sprintf("task %s of DAG %s, run %s, try %d: %s",
		t.Attempt().TaskID, t.Attempt().DagID, t.Attempt().RunID, t.Attempt().TryNumber, reason)}
	for _, arn := range arns {
		err = errors.Join(err, s.stop(ctx, arn, started))
	}
	return err
}

// stopping is the stop of what a task has started.
type stopping struct {
	api   stepfunctions.API
	t     operators.Task
	deps  *Deps
	cause string
}

// stop stops an execution. One that is not known to have started may not be there, or not yet.
func (s *stopping) stop(ctx context.Context, arn string, started bool) error {
	call := func() error {
		_, err := s.api.StopExecution(ctx, &sfn.StopExecutionInput{
			ExecutionArn: aws.String(arn), Error: aws.String(stopError), Cause: aws.String(s.cause),
		})
		return err
	}
	err := s.deps.repeat(ctx, s.t, "StopExecution "+arn, call)
	var missing *types.ExecutionDoesNotExist
	for n := 1; errors.As(err, &missing) && !started && n <= lateStarts; n++ {
		if err := triggers.Pause(ctx, s.deps.Backoff(n)); err != nil {
			return fmt.Errorf("stopping execution %s: %w", arn, err)
		}
		err = s.deps.repeat(ctx, s.t, "StopExecution "+arn, call)
	}
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		s.t.Log().Info("Stopped execution " + arn)
	}
	return err
}

// lateStarts is how often an execution that is not there is looked for again, when the attempt was ended while it started
// it: the request may still be under way.
const lateStarts = 2

// stopError is the error code of an execution that was stopped with its task.
const stopError = "Gust.TaskStopped"

// runningARN is the execution that this attempt started, or was about to start; "" when there is none. What it has pushed
// comes first: the trigger is that of its last wait, after which it may have started another (see afresh).
func runningARN(ctx context.Context, t operators.Task, trigger *triggers.Trigger) (arn string, started bool, err error) {
	arn, err = operators.PullText(ctx, t, keyARN)
	if err != nil || arn != "" {
		return arn, true, err
	}
	rec, _, err := pullRecord(ctx, t)
	if err != nil || rec.ExecutionARN != "" {
		return rec.ExecutionARN, false, err
	}
	if trigger != nil && trigger.Kind == stepfunctions.Kind {
		var args stepfunctions.Args
		if err := json.Unmarshal(trigger.Args, &args); err == nil && args.ExecutionARN != "" {
			return args.ExecutionARN, true, nil
		}
	}
	return "", false, nil
}
