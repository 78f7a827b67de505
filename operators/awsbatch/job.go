// Package awsbatch runs AWS Batch jobs as tasks.
//
// It keeps the names, defaults, templated parameters and XCom keys of Airflow's operator and differs where Airflow loses
// or doubles work:
//
//   - Batch has no client token. The attempt writes down what it is about to submit before it does, and gives the job a
//     name of its own; after a crash or a lost answer it looks for that name before it submits.
//   - A new try first looks at the job of the previous one and waits for it if it still runs.
//   - Kill, clear, mark and time-out terminate the job, also while the task is deferred (stop_on_kill).
//   - Waiting takes no worker, and a hundred waits one call.
package awsbatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"

	"gust/connections/awsconn"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/awsbatch"
	"gust/triggers/awswait"
)

// Deps is what the family needs from the process.
type Deps struct {
	Clients awsbatch.Clients
	// DefaultDeferrable is [operators] default_deferrable; nil leaves it to the operator. It decides how to wait, never
	// whether.
	DefaultDeferrable *bool
	// Backoff is the pause before the n-th repetition (from 1) of a call; nil means 1 s, 2 s, 4 s ... up to 30 s.
	Backoff awswait.Backoff
	// Settle is how long a job that was submitted may not be listed yet; 0 means 15 s.
	Settle time.Duration
}

const defaultSettle = 15 * time.Second

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Clients == nil {
		return errors.New("operators/awsbatch: Deps needs Clients")
	}
	if deps.Backoff == nil {
		deps.Backoff = awswait.DefaultBackoff
	}
	if deps.Settle == 0 {
		deps.Settle = defaultSettle
	}
	return r.Register(operators.Spec{
		Name: "BatchOperator",
		Aliases: []string{
			"AwsBatchOperator", "airflow.providers.amazon.aws.operators.batch.BatchOperator",
			"airflow.providers.amazon.aws.operators.batch.AwsBatchOperator",
			"airflow.contrib.operators.awsbatch_operator.AWSBatchOperator",
		},
		Doc: "Submits an AWS Batch job, waits until it ends, and returns its id. The task fails when the job fails. A job is " +
			"submitted once for each try, also when the daemon crashes or the answer is lost; a retry waits for the job of the " +
			"try before if that still runs.",
		New: func() operators.Operator { return &Job{deps: &deps} },
		Links: []operators.Link{
			{Name: awsbatch.JobLinkName, XComKey: awsbatch.JobLinkKey},
			{Name: awsbatch.DefinitionLinkName, XComKey: awsbatch.DefinitionLinkKey},
			{Name: awsbatch.QueueLinkName, XComKey: awsbatch.QueueLinkKey},
			{Name: awsbatch.LogLinkName, XComKey: awsbatch.LogLinkKey},
		},
	})
}

// Job runs a job (Airflow: BatchOperator).
type Job struct {
	awsconn.Params
	JobName           string         `param:"job_name" template:"true" doc:"Name of the job, 1 to 128 letters, digits, - and _. Default: one made of DAG and task."`
	UniqueJobName     bool           `param:"unique_job_name" default:"true" doc:"Append what identifies the try to the job's name (-t1-3f9a0c42d17b): by it the job is found again after a crash. false keeps the name as it is; then a job of that name in the queue that began after the try counts as the try's own."`
	JobDefinition     string         `param:"job_definition" template:"true" required:"true" doc:"Name (with or without :revision) or ARN of the job definition."`
	JobQueue          string         `param:"job_queue" template:"true" required:"true" doc:"Name or ARN of the job queue."`
	JobID             string         `param:"job_id" template:"true" doc:"Id of a job that was submitted already: the task only waits for it."`
	ContainerOver     any            `param:"container_overrides" alias:"overrides" template:"true" doc:"boto3's containerOverrides: command, environment, resourceRequirements, ..."`
	ArrayProperties   any            `param:"array_properties" template:"true" doc:"boto3's arrayProperties: {size: 10} makes an array job."`
	ECSOverride       any            `param:"ecs_properties_override" template:"true" doc:"boto3's ecsPropertiesOverride."`
	EKSOverride       any            `param:"eks_properties_override" template:"true" doc:"boto3's eksPropertiesOverride."`
	NodeOverrides     any            `param:"node_overrides" template:"true" doc:"boto3's nodeOverrides, for multi-node parallel jobs."`
	RetryStrategy     any            `param:"retry_strategy" template:"true" doc:"boto3's retryStrategy: {attempts: 3} lets Batch repeat the job by itself."`
	Parameters        map[string]any `param:"parameters" template:"true" doc:"Values for the placeholders of the job definition."`
	Tags              map[string]any `param:"tags" template:"true" doc:"Tags of the job."`
	ShareIdentifier   string         `param:"share_identifier" doc:"Share identifier, for queues with a scheduling policy."`
	SchedulingPrio    *int           `param:"scheduling_priority_override" doc:"Scheduling priority instead of the job definition's."`
	SubmitJobTimeout  *int           `param:"submit_job_timeout" doc:"Seconds after which Batch ends an attempt of the job; at least 60."`
	WaitForCompletion Flag           `param:"wait_for_completion" template:"true" default:"true" doc:"End when the job ends, and fail when it fails. false: succeed as soon as it is submitted."`
	Deferrable        *bool          `param:"deferrable" doc:"Wait in the trigger loop, without a worker. Default: true."`
	PollInterval      param.Duration `param:"poll_interval" default:"30s" doc:"Longest time between two looks at the job. The first looks come sooner, from two seconds on."`
	MaxRetries        int            `param:"max_retries" default:"4200" doc:"With poll_interval, the longest wait for the end: max_retries times poll_interval, 35 hours by default. Then the task fails, the job goes on, and a retry waits for it again."`
	StatusRetries     *int           `param:"status_retries" doc:"Accepted for Airflow's sake, without effect: throttling and lost connections never end the wait."`
	Waiters           any            `param:"waiters" doc:"Not supported: a Python object in Airflow. Use poll_interval and max_retries."`
	StopOnKill        bool           `param:"stop_on_kill" default:"true" doc:"Terminate the job when the task is killed, cleared, marked, or runs into execution_timeout, also while it is deferred."`
	AWSLogsEnabled    Flag           `param:"awslogs_enabled" template:"true" default:"false" doc:"Write the end of the job's CloudWatch log, at most 1,000 lines, to the task's log when the job has ended; of an array job that of its first child."`
	AWSLogsInterval   any            `param:"awslogs_fetch_interval" template:"true" doc:"Accepted for Airflow's sake, without effect: the log is fetched when the job has ended."`

	deps *Deps
}

// Flag is a boolean that a template may produce: the texts true and false, in any case, are read as booleans.
type Flag bool

// ParamType names the notation.
func (Flag) ParamType() string { return "bool" }

// UnmarshalParam reads a boolean or the text of one.
func (f *Flag) UnmarshalParam(value any) error {
	switch v := value.(type) {
	case bool:
		*f = Flag(v)
		return nil
	case string:
		switch v {
		case "true", "True", "TRUE":
			*f = true
			return nil
		case "false", "False", "FALSE":
			*f = false
			return nil
		}
	}
	return &param.Error{Problem: fmt.Sprintf("%v is not a boolean", value), Expected: "true or false"}
}

// minTimeout is the least time Batch gives an attempt, in seconds.
const minTimeout = 60

// Validate checks what is known when the pipeline is loaded.
func (j *Job) Validate() error {
	switch {
	case j.MaxRetries < 1:
		return fmt.Errorf("max_retries is %d; expected at least 1", j.MaxRetries)
	case j.PollInterval <= 0:
		return fmt.Errorf("poll_interval is %s; expected more than 0", j.PollInterval)
	case j.Waiters != nil:
		return errors.New("waiters is a Python object and is not supported; use poll_interval and max_retries")
	case j.SubmitJobTimeout != nil && *j.SubmitJobTimeout < minTimeout:
		return fmt.Errorf("submit_job_timeout is %d; expected at least %d seconds", *j.SubmitJobTimeout, minTimeout)
	}
	return errors.Join(j.checkName(), j.overrides(&batch.SubmitJobInput{}))
}

func (j *Job) defers() bool {
	switch {
	case j.Deferrable != nil:
		return *j.Deferrable
	case j.deps.DefaultDeferrable != nil:
		return *j.deps.DefaultDeferrable
	}
	return true
}

// budget is the longest wait.
func (j *Job) budget() time.Duration { return time.Duration(j.MaxRetries) * j.PollInterval.Std() }

// work is one attempt's work.
type work struct {
	*Job
	t    operators.Task
	api  awsbatch.API
	info awsconn.Info
}

// Execute submits the job, or finds the one that this attempt or the previous try submitted, and ends, waits, or parks.
func (j *Job) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	if err := j.Validate(); err != nil { // the rendered values
		return operators.Result{}, operators.Fail(err)
	}
	api, info, err := j.deps.Clients.Batch(ctx, t, j.Params)
	if err != nil {
		return operators.Result{}, err
	}
	w := &work{Job: j, t: t, api: api, info: info}
	id := j.JobID
	if id == "" || id == "None" {
		if id, err = w.job(ctx); err != nil {
			return operators.Result{}, err
		}
	}
	if err := t.XComPush(ctx, keyJobID, id); err != nil {
		return operators.Result{}, err
	}
	if err := w.push(ctx, awsbatch.JobLinkKey, awsbatch.LinkToJob(info, id)); err != nil {
		return operators.Result{}, err
	}
	if !bool(j.WaitForCompletion) {
		return operators.Done(id), nil
	}
	args := awsbatch.Args{JobID: id, Params: j.Params, Delay: j.PollInterval.Std(), Deadline: t.Now().Add(j.budget())}
	trigger, err := args.Trigger()
	if err != nil {
		return operators.Result{}, err
	}
	if j.defers() {
		return operators.Defer(trigger, j.budget()+graceTime), nil
	}
	return w.wait(ctx, id, trigger)
}

// graceTime is added to the deferral's timeout: the trigger ends the wait itself, with a better message, and without the
// job being terminated as by a time-out of the task.
const graceTime = 5 * time.Minute

// push pushes an XCom that Airflow pushes only with do_xcom_push.
func (w *work) push(ctx context.Context, key string, value any) error {
	if spec := w.t.Spec(); spec != nil && !spec.DoXComPush {
		return nil
	}
	return w.t.XComPush(ctx, key, value)
}

// wait waits on the worker.
func (w *work) wait(ctx context.Context, id string, trigger triggers.Trigger) (operators.Result, error) {
	waits := triggers.NewRegistry()
	if err := awsbatch.Register(waits, awsbatch.Deps{Clients: w.deps.Clients, Connections: w.t}); err != nil {
		return operators.Result{}, err
	}
	look, err := waits.Checker(awsbatch.Kind)
	if err != nil {
		return operators.Result{}, err
	}
	event, err := triggers.Await(ctx, look, trigger, id, w.t.Now, func(line string) { w.t.Log().Info(line) })
	switch {
	case err != nil && ctx.Err() != nil:
		return operators.Result{}, fmt.Errorf("waiting for AWS Batch job %s: %w", id, context.Cause(ctx))
	case err != nil:
		return operators.Result{}, err
	}
	return w.Resume(ctx, w.t, event)
}

// Resume ends the task as the job ended.
func (j *Job) Resume(ctx context.Context, t operators.Task, event triggers.Event) (operators.Result, error) {
	var o awsbatch.Outcome
	if err := json.Unmarshal(event.Payload, &o); err != nil || o.Status == "" {
		return operators.Result{}, fmt.Errorf("Trigger error: event is %s", event.Payload)
	}
	api, info, err := j.deps.Clients.Batch(ctx, t, j.Params)
	if err != nil {
		return operators.Result{}, err
	}
	w := &work{Job: j, t: t, api: api, info: info}
	if err := w.links(ctx, &o); err != nil {
		return operators.Result{}, err
	}
	if bool(j.AWSLogsEnabled) && o.Message == "" {
		w.showLog(ctx, &o)
	}
	if o.Status != awsbatch.StatusSuccess {
		return operators.Result{}, errors.New(o.Failure())
	}
	t.Log().Info(fmt.Sprintf("AWS Batch job (%s) succeeded", o.JobID))
	return operators.Done(o.JobID), nil
}

// links pushes what the end of the job has told.
func (w *work) links(ctx context.Context, o *awsbatch.Outcome) error {
	if o.JobDefinition != "" {
		if err := w.push(ctx, awsbatch.DefinitionLinkKey, awsbatch.LinkToDefinition(w.info, o.JobDefinition)); err != nil {
			return err
		}
	}
	if o.JobQueue != "" {
		if err := w.push(ctx, awsbatch.QueueLinkKey, awsbatch.LinkToQueue(w.info, o.JobQueue)); err != nil {
			return err
		}
	}
	if o.Log != nil {
		return w.push(ctx, awsbatch.LogLinkKey, awsbatch.LinkToLog(w.info, o.Log))
	}
	return nil
}

// maxReason is the longest reason TerminateJob takes, in characters.
const maxReason = 1024

// Stop terminates the job of this attempt.
func (j *Job) Stop(ctx context.Context, t operators.Task, reason string, trigger *triggers.Trigger) error {
	api, info, err := j.deps.Clients.Batch(ctx, t, j.Params)
	if err != nil {
		return fmt.Errorf("terminating the AWS Batch job: %w", err)
	}
	w := &work{Job: j, t: t, api: api, info: info}
	id, err := w.running(ctx, trigger)
	if err != nil || id == "" {
		return err
	}
	if !j.StopOnKill {
		t.Log().Info("The job goes on because stop_on_kill is false: " + id)
		return nil
	}
	a := t.Attempt()
	why := fmt.Sprintf("task %s of DAG %s, run %s, try %d: %s", a.TaskID, a.DagID, a.RunID, a.TryNumber, reason)
	if runes := []rune(why); len(runes) > maxReason {
		why = string(runes[:maxReason])
	}
	err = w.repeat(ctx, "TerminateJob "+id, func() error {
		_, err := api.TerminateJob(ctx, &batch.TerminateJobInput{JobId: aws.String(id), Reason: aws.String(why)})
		return err
	})
	if err == nil {
		t.Log().Info("Terminated AWS Batch job " + id)
	}
	return err
}

// running is the job this attempt submitted, or may have; "" when there is none.
func (w *work) running(ctx context.Context, trigger *triggers.Trigger) (string, error) {
	if trigger != nil && trigger.Kind == awsbatch.Kind {
		var args awsbatch.Args
		if err := json.Unmarshal(trigger.Args, &args); err == nil && args.JobID != "" {
			return args.JobID, nil
		}
	}
	id, err := operators.PullText(ctx, w.t, keyJobID)
	if err != nil || id != "" {
		return id, err
	}
	rec, recorded, err := pullRecord(w.t.XComPull(ctx, "", keyRecord))
	if err != nil || !recorded {
		return "", err
	}
	return w.find(ctx, rec, rec.At)
}
