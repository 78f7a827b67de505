package activity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// Worker answers one task of an activity.
type Worker struct {
	awsconn.Params
	ActivityARN       string            `param:"activity_arn" template:"true" required:"true" doc:"ARN of the activity."`
	Command           string            `param:"command" template:"true" ext:".sh,.bash" required:"true" doc:"The command, run with bash, or the name of a script file ending in .sh or .bash. It reads the task's input as JSON on standard input and prints the output as JSON on standard output; nothing is null. Its standard error goes to the log."`
	Env               map[string]string `param:"env" template:"true" doc:"Environment variables of the command, beside the daemon's."`
	HeartbeatInterval param.Duration    `param:"heartbeat_interval" default:"30s" doc:"Time between two heartbeats while the command runs; less than the state's HeartbeatSeconds. 0 sends none."`
	Timeout           param.Duration    `param:"timeout" default:"24h" doc:"Longest wait for a task, rounded up to the polls of a minute. Then this task is skipped, or fails with soft_fail: false."`
	SoftFail          bool              `param:"soft_fail" default:"true" doc:"Skip, instead of failing, when no task comes within timeout."`
	WorkerName        string            `param:"worker_name" template:"true" doc:"Name under which the task is taken, at most 80 characters; it is in the execution's history. Default: one that follows from DAG, task and run."`
	Deferrable        *bool             `param:"deferrable" doc:"Wait for a task in the trigger loop, without a worker. Default: true."`

	deps *Deps
}

// Limits of Step Functions.
const (
	maxOutput = 262_144 // bytes
	maxError  = 256     // characters
	maxCause  = 32_768  // characters
	maxWorker = 80
)

// Validate checks what is known when the pipeline is loaded.
func (w *Worker) Validate() error {
	switch {
	case w.HeartbeatInterval < 0:
		return fmt.Errorf("heartbeat_interval is %s; expected 0 or more", w.HeartbeatInterval)
	case w.Timeout <= 0:
		return fmt.Errorf("timeout is %s; expected more than 0", w.Timeout)
	case len([]rune(w.WorkerName)) > maxWorker:
		return fmt.Errorf("worker_name has more than %d characters", maxWorker)
	}
	return w.checkARN()
}

func (w *Worker) checkARN() error {
	if parts := strings.Split(w.ActivityARN, ":"); w.ActivityARN != "" && (len(parts) != 7 || parts[5] != "activity") {
		return &param.Error{
			Path: []string{"activity_arn"}, Problem: fmt.Sprintf("%q is not the ARN of an activity", w.ActivityARN),
			Expected: "arn:aws:states:REGION:ACCOUNT:activity:NAME",
		}
	}
	return nil
}

// keyTask holds the task that this attempt has taken, keyAnswer what it is answered with.
const (
	keyTask   = "_activity_task"
	keyAnswer = "_activity_answer"
)

// Execute waits for a task, or goes on with the one that this attempt took before it was interrupted.
func (w *Worker) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	var none operators.Result
	if w.ActivityARN == "" || strings.TrimSpace(w.Command) == "" {
		return none, operators.Failf("activity_arn and command must not be empty")
	}
	if err := w.checkARN(); err != nil {
		return none, operators.Fail(err)
	}
	task, err := taken(ctx, t)
	if err != nil {
		return none, err
	}
	if task.Token != "" {
		t.Log().Info("This attempt was interrupted; going on with the task it has taken")
		return w.do(ctx, t, task)
	}
	trigger, err := stepfunctions.ActivityArgs{
		ActivityARN: w.ActivityARN, Worker: w.name(t), Params: w.patient(), Deadline: t.Now().Add(w.Timeout.Std()),
	}.Trigger()
	switch {
	case err != nil:
		return none, err
	case w.defers():
		return operators.Defer(trigger, w.Timeout.Std()+graceTime), nil
	}
	deps := stepfunctions.Deps{Clients: w.deps.Clients, Connections: t}
	event, err := deps.Await(ctx, trigger, t.Attempt().String(), t.Now, func(line string) { t.Log().Info(line) })
	if err != nil {
		return none, fmt.Errorf("waiting for a task of activity %s: %w", w.ActivityARN, err)
	}
	return w.Resume(ctx, t, event)
}

// graceTime is added to the deferral's timeout: the trigger ends the wait itself, after its last poll.
const graceTime = 5 * time.Minute

// patient are the AWS parameters for a long poll.
func (w *Worker) patient() awsconn.Params {
	p := w.Params
	p.Patience = stepfunctions.ActivityPatience
	return p
}

func (w *Worker) defers() bool {
	switch {
	case w.Deferrable != nil:
		return *w.Deferrable
	case w.deps.DefaultDeferrable != nil:
		return *w.deps.DefaultDeferrable
	}
	return true
}

// name is the worker's name: readable, and one for each task instance.
func (w *Worker) name(t operators.Task) string {
	if w.WorkerName != "" {
		return w.WorkerName
	}
	a := t.Attempt()
	sum := sha256.Sum256([]byte(a.String()))
	head := []rune(a.DagID + "." + a.TaskID)
	tail := "-" + hex.EncodeToString(sum[:8])
	return string(head[:min(len(head), maxWorker-len(tail))]) + tail
}

// Resume does the task that the trigger has taken.
func (w *Worker) Resume(ctx context.Context, t operators.Task, event triggers.Event) (operators.Result, error) {
	var task stepfunctions.ActivityTask
	if err := json.Unmarshal(event.Payload, &task); err != nil {
		return operators.Result{}, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	if task.Token == "" {
		idle := fmt.Sprintf("no task of activity %s came within %s", w.ActivityARN, w.Timeout)
		if w.SoftFail {
			return operators.Skip(idle), nil
		}
		return operators.Result{}, errors.New(idle)
	}
	// Written down before anything is done: a kill finds the token, a crash goes on with this task.
	if err := t.XComPush(ctx, keyTask, task); err != nil {
		return operators.Result{}, err
	}
	return w.do(ctx, t, task)
}

func taken(ctx context.Context, t operators.Task) (task stepfunctions.ActivityTask, err error) {
	raw, ok, err := t.XComPull(ctx, "", keyTask)
	if err != nil || !ok {
		return task, err
	}
	if err := json.Unmarshal(raw, &task); err != nil {
		return task, fmt.Errorf("XCom %s of this task: %w", keyTask, err)
	}
	return task, nil
}

// answer is what the activity's task is answered with: an output, or an error.
type answer struct {
	Output *string `json:"output,omitempty"`
	Error  string  `json:"error,omitempty"`
	Cause  string  `json:"cause,omitempty"`
}

// done is what the task returns.
type done struct {
	Input  json.RawMessage `json:"input"`
	Output json.RawMessage `json:"output"`
}

// do has the command do the task and answers.
func (w *Worker) do(ctx context.Context, t operators.Task, task stepfunctions.ActivityTask) (operators.Result, error) {
	var none operators.Result
	api, _, err := w.deps.Clients.SFN(ctx, t, w.Params)
	if err != nil {
		return none, err
	}
	a, again, err := given(ctx, t)
	if err != nil {
		return none, err
	}
	if !again {
		if a, err = w.run(ctx, t, api, task); err != nil {
			return none, err
		}
		if err := t.XComPush(ctx, keyAnswer, a); err != nil {
			return none, err
		}
	}
	if err := w.send(ctx, t, api, task, a, again); err != nil {
		return none, err
	}
	if a.Output == nil {
		return none, fmt.Errorf("the command failed, and the activity's task with it: %s: %s", a.Error, a.Cause)
	}
	return operators.Done(done{Input: json.RawMessage(task.Input), Output: json.RawMessage(*a.Output)}), nil
}

// given is the answer that this attempt had written down before it was interrupted.
func given(ctx context.Context, t operators.Task) (a answer, ok bool, err error) {
	raw, ok, err := t.XComPull(ctx, "", keyAnswer)
	if err != nil || !ok {
		return a, false, err
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, false, fmt.Errorf("XCom %s of this task: %w", keyAnswer, err)
	}
	return a, true, nil
}

// errTaskGone ends a command whose task nobody waits for any more.
var errTaskGone = errors.New("the activity's task has timed out, or its execution has ended")

// run runs the command with heartbeats.
func (w *Worker) run(
	ctx context.Context, t operators.Task, api stepfunctions.API, task stepfunctions.ActivityTask,
) (answer, error) {
	running, end := context.WithCancelCause(ctx)
	defer end(nil)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		w.beat(running, t, api, task.Token, end)
	}()
	ended, err := w.deps.Run(running, t, Command{
		Line: w.Command, Input: []byte(task.Input), Env: w.Env, MaxOutput: maxOutput,
	})
	gone := errors.Is(context.Cause(running), errTaskGone)
	end(nil)
	<-beating
	switch {
	case gone && ctx.Err() == nil:
		return answer{}, errTaskGone
	case err != nil:
		return answer{}, err
	}
	return w.judge(ended), nil
}

// beat sends heartbeats until ctx ends, or ends the command when its task is gone.
func (w *Worker) beat(
	ctx context.Context, t operators.Task, api stepfunctions.API, token string, end context.CancelCauseFunc,
) {
	if w.HeartbeatInterval == 0 {
		return
	}
	for triggers.Pause(ctx, w.HeartbeatInterval.Std()) == nil {
		_, err := api.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: aws.String(token)})
		switch {
		case err == nil || ctx.Err() != nil:
		case closed(err):
			end(errTaskGone)
			return
		default:
			t.Log().Warn("a heartbeat was not taken: " + err.Error())
		}
	}
}

// closed reports the errors of a token that takes no answer any more.
func closed(err error) bool {
	var late *types.TaskTimedOut
	var unknown *types.TaskDoesNotExist
	return errors.As(err, &late) || errors.As(err, &unknown)
}

// judge makes an answer of how the command ended.
func (w *Worker) judge(e Ended) answer {
	text := strings.TrimSpace(string(e.Output))
	switch {
	case e.Code != "0":
		return answer{Error: "Gust.CommandFailed", Cause: clip(fmt.Sprintf("exit code %s: %s", e.Code, e.Errors), maxCause)}
	case e.Cut:
		return answer{Error: "Gust.OutputTooLarge", Cause: fmt.Sprintf("the command printed more than %d bytes", maxOutput)}
	case text == "":
		text = "null"
	case !json.Valid([]byte(text)):
		return answer{Error: "Gust.OutputNotJSON", Cause: clip("the command printed what is not JSON: "+text, 1000)}
	}
	return answer{Output: &text}
}

func clip(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-3]) + "..."
	}
	return text
}

// send answers the task. After a crash the answer may have been taken already.
func (w *Worker) send(
	ctx context.Context, t operators.Task, api stepfunctions.API, task stepfunctions.ActivityTask, a answer, again bool,
) error {
	tries := 0
	once := func(o *sfn.Options) { o.Retryer = aws.NopRetryer{} } // repetitions are counted here
	err := w.deps.Backoff.Repeat(ctx, t.Log(), "answering the activity's task", nil, func() error {
		tries++
		if a.Output != nil {
			_, err := api.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: aws.String(task.Token), Output: a.Output}, once)
			return err
		}
		_, err := api.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{
			TaskToken: aws.String(task.Token), Error: aws.String(clip(a.Error, maxError)), Cause: aws.String(clip(a.Cause, maxCause)),
		}, once)
		return err
	})
	switch {
	case err == nil:
		return nil
	case closed(err) && (again || tries > 1):
		t.Log().Info("The activity's task takes no answer any more; this attempt may have answered it before: " + err.Error())
		return nil
	}
	return fmt.Errorf("answering the activity's task: %w", err)
}

// Stop fails the activity's task when this one is killed while its command runs.
func (w *Worker) Stop(ctx context.Context, t operators.Task, reason string, _ *triggers.Trigger) error {
	task, err := taken(ctx, t)
	if err != nil || task.Token == "" {
		return err
	}
	if _, answered, err := given(ctx, t); err != nil || answered {
		return err
	}
	api, _, err := w.deps.Clients.SFN(ctx, t, w.Params)
	if err != nil {
		return err
	}
	at := t.Attempt()
	a := answer{Error: "Gust.TaskStopped", Cause: fmt.Sprintf("task %s of DAG %s, run %s: %s", at.TaskID, at.DagID, at.RunID, reason)}
	err = w.send(ctx, t, api, task, a, true)
	if err == nil {
		t.Log().Info("Failed the activity's task")
	}
	return err
}
