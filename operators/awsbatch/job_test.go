package awsbatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/google/go-cmp/cmp"

	"gust/connections/awsconn"
	"gust/connections/awsconn/mototest"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/awsbatch"
	"gust/triggers/awsbatch/awsbatchtest"
)

type bench struct {
	*awsbatchtest.Server
	reg  *operators.Registry
	task *operatorstest.Task
}

func setUp(t *testing.T) *bench {
	t.Helper()
	b := &bench{Server: awsbatchtest.New(t), reg: registry(t), task: operatorstest.NewTask(t)}
	b.task.Connections["aws_default"] = b.Connection("aws_default")
	return b
}

func registry(t *testing.T) *operators.Registry {
	t.Helper()
	reg := operators.NewRegistry()
	err := Register(reg, Deps{
		Clients: awsbatch.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))),
		Backoff: func(int) time.Duration { return time.Millisecond }, Settle: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

func (b *bench) op(t *testing.T, more map[string]any) operators.Operator {
	t.Helper()
	params := map[string]any{"job_name": "nightly", "job_definition": "d:1", "job_queue": "q"}
	for k, v := range more {
		params[k] = v
	}
	return operatorstest.Build(t, b.reg, "BatchOperator", params)
}

func (b *bench) run(t *testing.T, task *operatorstest.Task, more map[string]any) (operators.Result, error) {
	t.Helper()
	return b.op(t, more).Execute(t.Context(), task)
}

// submit submits and does not wait.
func (b *bench) submit(t *testing.T, task *operatorstest.Task, more map[string]any) string {
	t.Helper()
	params := map[string]any{"wait_for_completion": false}
	for k, v := range more {
		params[k] = v
	}
	res, err := b.run(t, task, params)
	if err != nil {
		t.Fatalf("%v\n%s", err, task.LogText())
	}
	return fmt.Sprint(res.Value)
}

// fire checks the deferral's trigger and resumes.
func (b *bench) fire(t *testing.T, task *operatorstest.Task, res operators.Result, more map[string]any) (operators.Result, error) {
	t.Helper()
	if res.Deferral == nil {
		t.Fatalf("not deferred: %+v", res)
	}
	waits := triggers.NewRegistry()
	err := awsbatch.Register(waits, awsbatch.Deps{
		Clients: awsbatch.FromPool(awsconn.NewPool(slog.New(slog.DiscardHandler))), Connections: task,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := waits.Checker(res.Deferral.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	v := c.Check(t.Context(), time.Now(), []triggers.Wait{{ID: "w", Args: res.Deferral.Trigger.Args, Since: time.Now()}})[0]
	if v.Event == nil {
		t.Fatalf("the trigger did not fire: %+v", v)
	}
	return b.op(t, more).(operators.Resumer).Resume(t.Context(), task, *v.Event)
}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, setUp(t).reg)
}

func TestRequest(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	id := b.submit(t, b.task, map[string]any{
		"overrides":        map[string]any{"command": []any{"a", "b"}, "environment": []any{map[string]any{"name": "N", "value": "v"}}, "resourceRequirements": []any{map[string]any{"type": "VCPU", "value": "1"}}},
		"array_properties": map[string]any{"size": 3}, "retry_strategy": map[string]any{"attempts": 2}, "node_overrides": map[string]any{},
		"eks_properties_override": `{"podProperties": {"containers": [{"image": "i"}]}}`,
		"parameters":              map[string]any{"day": "2024-01-01", "n": 5}, "tags": map[string]any{"team": "x"},
		"share_identifier": "s", "scheduling_priority_override": 7, "submit_job_timeout": 60,
	})
	calls := b.Calls("submitjob")
	if len(calls) != 1 || id != "job-1" {
		t.Fatalf("%d calls, job %s", len(calls), id)
	}
	name := fmt.Sprint(calls[0].Input["jobName"])
	if !regexp.MustCompile(`^nightly-t1-[0-9a-f]{12}$`).MatchString(name) {
		t.Errorf("name %s", name)
	}
	delete(calls[0].Input, "jobName")
	got, err := json.Marshal(calls[0].Input)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"arrayProperties":{"size":3},"containerOverrides":{"command":["a","b"],"environment":[{"name":"N","value":"v"}],` +
		`"resourceRequirements":[{"type":"VCPU","value":"1"}]},"eksPropertiesOverride":{"podProperties":{"containers":[{"image":"i"}]}},` +
		`"jobDefinition":"d:1","jobQueue":"q","parameters":{"day":"2024-01-01","n":"5"},"retryStrategy":{"attempts":2},` +
		`"schedulingPriorityOverride":7,"shareIdentifier":"s","tags":{"team":"x"},"timeout":{"attemptDurationSeconds":60}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if b.task.XCom("job_id") != `"job-1"` || !strings.Contains(b.task.XCom("batch_job_details"), `"job_id":"job-1"`) {
		t.Errorf("XComs: %v", b.task.Pushes())
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	long := strings.Repeat("n", 128)
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{"job_name": ""}, `^dag-task-t1-[0-9a-f]{12}$`},
		{map[string]any{"job_name": long}, `^n{112}-t1-[0-9a-f]{12}$`},
		{map[string]any{"unique_job_name": false}, `^nightly$`},
	} {
		b.submit(t, setUpTask(t, b), c.params)
		calls := b.Calls("submitjob")
		if name := fmt.Sprint(calls[len(calls)-1].Input["jobName"]); !regexp.MustCompile(c.want).MatchString(name) {
			t.Errorf("%v: %s; want %s", c.params, name, c.want)
		}
	}
}

func setUpTask(t *testing.T, b *bench) *operatorstest.Task {
	t.Helper()
	task := operatorstest.NewTask(t)
	task.Connections = b.task.Connections
	return task
}

func TestRefused(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{"job_name": "no blanks"}, `job_name "no blanks" is not legal`},
		{map[string]any{"job_name": strings.Repeat("n", 129)}, "expected at most 128"},
		{map[string]any{"overrides": map[string]any{"comand": []any{"x"}}}, `container_overrides: unknown field "comand"; expected boto3's form of it`},
		{map[string]any{"array_properties": map[string]any{"size": "ten"}}, "array_properties: cannot unmarshal string"},
		{map[string]any{"submit_job_timeout": 5}, "expected at least 60 seconds"},
		{map[string]any{"waiters": "x"}, "waiters is a Python object"},
		{map[string]any{"max_retries": 0}, "max_retries is 0"},
		{map[string]any{"poll_interval": 0}, "poll_interval is 0"},
		{map[string]any{"wait_for_completion": "perhaps"}, "perhaps is not a boolean"},
	} {
		params := map[string]any{"job_definition": "d", "job_queue": "q"}
		for k, v := range c.params {
			params[k] = v
		}
		if _, err := operatorstest.TryBuild(b.reg, "BatchOperator", params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v; want %s", c.params, err, c.want)
		}
	}
}

func TestDeferred(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.Lines = []string{"hello", "world"}
	params := map[string]any{"awslogs_enabled": "True", "max_retries": 10, "poll_interval": 60}
	res, err := b.run(t, b.task, params)
	if err != nil {
		t.Fatal(err)
	}
	if res.Deferral == nil || res.Deferral.Timeout != 10*time.Minute+graceTime {
		t.Fatalf("%+v", res)
	}
	b.Set("job-1", map[string]any{"status": "SUCCEEDED", "jobQueue": "arn:q", "jobDefinition": "arn:d", "container": map[string]any{
		"logStreamName": "s/1", "exitCode": 0, "logConfiguration": map[string]any{"logDriver": "awslogs", "options": map[string]any{"awslogs-group": "/mine"}},
	}})
	res, err = b.fire(t, b.task, res, params)
	if err != nil || res.Value != "job-1" {
		t.Errorf("%v, %v", res, err)
	}
	if !b.task.Logged(`msg="The end of the job's log (s/1 of /mine):"` + "\nlevel=INFO msg=hello\nlevel=INFO msg=world\n") {
		t.Error(b.task.LogText())
	}
	if got := b.task.XCom("cloudwatch_events"); !strings.Contains(got, `"awslogs_group":"/mine","awslogs_stream_name":"s/1"`) {
		t.Error(got)
	}
	if !strings.Contains(b.task.XCom("batch_job_queue"), "arn:q") || !strings.Contains(b.task.XCom("batch_job_definition"), "arn:d") {
		t.Error(b.task.Pushes())
	}
}

func TestFailedJob(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	res, err := b.run(t, b.task, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Set("job-1", map[string]any{"status": "FAILED", "statusReason": "Essential container in task exited", "container": map[string]any{"exitCode": 2}})
	if _, err := b.fire(t, b.task, res, nil); err == nil || err.Error() != "AWS Batch job (job-1) failed: Essential container in task exited; exit code 2" {
		t.Errorf("%v", err)
	}
	// The next try submits another job.
	if id := b.submit(t, b.task.NextTry(t), nil); id != "job-2" {
		t.Errorf("the next try has %s", id)
	}
}

func TestOnWorker(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.Set("given", map[string]any{"status": "SUCCEEDED"})
	res, err := b.run(t, b.task, map[string]any{"job_id": "given", "deferrable": false})
	if err != nil || res.Value != "given" || len(b.Calls("submitjob")) != 0 {
		t.Errorf("%v, %v", res, err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, operators.ErrExecutionTimeout)
	defer cancel()
	b.Set("slow", map[string]any{"status": "RUNNING"})
	if _, err := b.op(t, map[string]any{"job_id": "slow", "deferrable": false}).Execute(ctx, b.task); !errors.Is(err, operators.ErrExecutionTimeout) {
		t.Errorf("out of time: %v", err)
	}
}

// TestNeverTwice: whatever goes wrong around a submission, there is one job.
func TestNeverTwice(t *testing.T) {
	t.Parallel()
	lost := errors.New("the daemon has crashed")
	for _, c := range []struct {
		name   string
		faults []awsbatchtest.Fault
		hidden int
		unique bool
		crash  string // the XCom whose push fails
	}{
		{name: "a lost answer", faults: []awsbatchtest.Fault{{Drop: true, After: true}}, unique: true},
		{name: "a lost answer, and a list that lags", faults: []awsbatchtest.Fault{{Drop: true, After: true}}, hidden: 3, unique: true},
		{name: "a fault after the effect", faults: []awsbatchtest.Fault{{Code: "ServerException", Status: 500, After: true}}, unique: true},
		{name: "a fault before the effect", faults: []awsbatchtest.Fault{{Code: "ServerException", Status: 500}, {Drop: true}}, unique: true},
		{name: "throttling", faults: []awsbatchtest.Fault{{Code: "TooManyRequestsException", Status: 429}}, unique: true},
		{name: "a crash after the submission", crash: keyJobID, unique: true},
		{name: "a crash after the submission, and a list that lags", crash: keyJobID, hidden: 2, unique: true},
		{name: "a crash before it", crash: "submit", unique: true},
		{name: "a crash, with a name that others have", crash: keyJobID},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t)
			params := map[string]any{"unique_job_name": c.unique}
			// Jobs of others: one of another attempt, and one of the same name from long ago.
			b.Set("other", map[string]any{"jobName": "nightly-t1-000000000000", "jobQueue": "q"})
			b.Set("old", map[string]any{"jobName": "nightly", "jobQueue": "q", "createdAt": time.Now().Add(-time.Hour).UnixMilli()})
			b.Fail("submitjob", c.faults...)
			b.Hidden = c.hidden
			if c.crash == "submit" {
				b.Fail("submitjob", awsbatchtest.Fault{Code: "ClientException", Status: 400})
			}
			if c.crash == keyJobID {
				b.task.OnPush = func(key string, _ json.RawMessage) error {
					if key == keyJobID {
						return lost
					}
					return nil
				}
			}
			if c.crash != "" {
				if _, err := b.run(t, b.task, params); err == nil {
					t.Fatal("no crash")
				}
				b.task.OnPush = nil
			}
			id := b.submit(t, b.task, params)
			jobs := b.Jobs()
			if len(jobs) != 3 || id != jobs[2] {
				t.Errorf("job %s of %v\n%s", id, jobs, b.task.LogText())
			}
			// And again: what is known stays known.
			if again := b.submit(t, b.task, params); again != id {
				t.Errorf("the attempt repeated has %s", again)
			}
		})
	}
}

// TestNextTry: a job of the previous try that still runs is waited for, unless somebody has ended it.
func TestNextTry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		members map[string]any
		want    string
	}{
		{map[string]any{"status": "RUNNING"}, "job-1"},
		{map[string]any{"status": "RUNNABLE"}, "job-1"},
		{map[string]any{"status": "RUNNING", "isTerminated": true}, "job-2"},
		{map[string]any{"status": "RUNNABLE", "isCancelled": true}, "job-2"},
		{map[string]any{"status": "FAILED"}, "job-2"},
		{map[string]any{"status": "SUCCEEDED"}, "job-2"},
	} {
		b := setUp(t)
		b.submit(t, b.task, nil)
		b.Set("job-1", c.members)
		if id := b.submit(t, b.task.NextTry(t), nil); id != c.want {
			t.Errorf("%v: %s; want %s", c.members, id, c.want)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	stop := func(task *operatorstest.Task, params map[string]any, trigger *triggers.Trigger) {
		t.Helper()
		if err := b.op(t, params).(operators.Stopper).Stop(t.Context(), task, "killed by a user", trigger); err != nil {
			t.Fatal(err)
		}
	}
	stop(b.task, nil, nil) // nothing was submitted
	res, err := b.run(t, b.task, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop(b.task, map[string]any{"stop_on_kill": false}, &res.Deferral.Trigger)
	if len(b.Calls("terminatejob")) != 0 {
		t.Error("terminated all the same")
	}
	b.Fail("terminatejob", awsbatchtest.Fault{Code: "ServerException", Status: 500})
	stop(b.task, nil, &res.Deferral.Trigger)
	calls := b.Calls("terminatejob")
	want := "task task of DAG dag, run manual__2024-01-01T00:00:00+00:00, try 1: killed by a user"
	if len(calls) != 2 || calls[1].Input["jobId"] != "job-1" || calls[1].Input["reason"] != want {
		t.Errorf("%v", calls)
	}
	// Killed between the submission and the moment its answer was kept.
	task := setUpTask(t, b)
	task.Identity.TaskID = "other"
	task.OnPush = func(key string, _ json.RawMessage) error {
		if key == keyJobID {
			return errors.New("killed")
		}
		return nil
	}
	if _, err := b.run(t, task, nil); err == nil {
		t.Fatal("not killed")
	}
	stop(task, nil, nil)
	if calls := b.Calls("terminatejob"); len(calls) != 3 || calls[2].Input["jobId"] != "job-2" {
		t.Errorf("%v", calls)
	}
}

// TestMoto runs the operator against another implementation of Batch.
func TestMoto(t *testing.T) {
	t.Parallel()
	endpoint := mototest.Start(t, `{"batch": {"use_docker": false}}`)
	mototest.Query(t, endpoint, "iam", url.Values{
		"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"r"}, "AssumeRolePolicyDocument": {`{}`},
	})
	task := operatorstest.NewTask(t)
	task.Connections["aws_default"] = mototest.Connection("aws_default", endpoint)
	client, _, err := awsconn.NewPool(slog.New(slog.DiscardHandler)).Batch(t.Context(), task, awsconn.Params{AWSConnID: "aws_default"})
	if err != nil {
		t.Fatal(err)
	}
	env, err := client.CreateComputeEnvironment(t.Context(), &batch.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: aws.String("machines"), Type: types.CETypeUnmanaged, ServiceRole: aws.String("arn:aws:iam::123456789012:role/r"),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateJobQueue(t.Context(), &batch.CreateJobQueueInput{
		JobQueueName: aws.String("q"), Priority: aws.Int32(1), State: types.JQStateEnabled,
		ComputeEnvironmentOrder: []types.ComputeEnvironmentOrder{{ComputeEnvironment: env.ComputeEnvironmentArn, Order: aws.Int32(1)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.RegisterJobDefinition(t.Context(), &batch.RegisterJobDefinitionInput{
		JobDefinitionName: aws.String("d"), Type: types.JobDefinitionTypeContainer, ContainerProperties: &types.ContainerProperties{
			Image: aws.String("busybox"), Command: []string{"true"},
			Memory: aws.Int32(128), Vcpus: aws.Int32(1), //nolint:staticcheck // moto writes newer requirements as the SDK cannot read them
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{reg: registry(t), task: task}
	params := map[string]any{"container_overrides": map[string]any{"command": []any{"echo"}}}
	res, err := b.run(t, task, params)
	if err != nil {
		t.Fatal(err)
	}
	res, err = b.fire(t, task, res, params)
	if err != nil || fmt.Sprintf("%q", res.Value) != task.XCom("job_id") {
		t.Errorf("%v, %v; job %s", res.Value, err, task.XCom("job_id"))
	}
	if _, err := b.run(t, setUpTask(t, b), map[string]any{"job_queue": "absent"}); err == nil || !strings.Contains(err.Error(), "ClientException") {
		t.Errorf("an absent queue: %v", err)
	}
}
