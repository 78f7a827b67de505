package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/dag"
	"gust/stepfunctions"
)

// gate is a state machine whose executions wait until the test lets them go.
type gate struct {
	client            *sfn.Client
	activity, machine *string
}

func newGate(t *testing.T, service *stepfunctions.Service) *gate {
	t.Helper()
	g := &gate{client: sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(service.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	})}
	activity, err := g.client.CreateActivity(t.Context(), &sfn.CreateActivityInput{Name: aws.String("gate")})
	if err != nil {
		t.Fatal(err)
	}
	g.activity = activity.ActivityArn
	machine, err := g.client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("gated"), RoleArn: aws.String("arn:aws:iam::123456789012:role/any"),
		Definition: aws.String(`{"StartAt":"Gate","States":{"Gate":{"Type":"Task","Resource":"` + *g.activity + `","End":true}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.machine = machine.StateMachineArn
	return g
}

// start starts an execution and returns its ARN.
func (g *gate) start(t *testing.T) string {
	t.Helper()
	out, err := g.client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: g.machine})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ExecutionArn
}

// open lets one execution go.
func (g *gate) open(t *testing.T) {
	t.Helper()
	task, err := g.client.GetActivityTask(t.Context(), &sfn.GetActivityTaskInput{ActivityArn: g.activity})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.client.SendTaskSuccess(t.Context(), &sfn.SendTaskSuccessInput{TaskToken: task.TaskToken, Output: aws.String(`{"rows":3}`)}); err != nil {
		t.Fatal(err)
	}
}

// patient waits for an execution and looks at it once in an hour.
const patient = `
patient:
  schedule: null
  max_active_runs: 100
  tasks:
    - task_id: wait
      operator: StepFunctionExecutionSensor
      execution_arn: "{{ dag_run.conf.arn }}"
      poke_interval: %s
      exponential_backoff: %v
      timeout: 86400
`

// TestEndsByEvents: sensors that look once in an hour end within two seconds of their executions, whatever becomes of the
// events but their loss.
func TestEndsByEvents(t *testing.T) {
	t.Parallel()
	cfg := house(t, map[string]string{"patient.yaml": fmt.Sprintf(patient, "3600", true)},
		"GUST__STEPFUNCTIONS__EVENTS_QUEUE=gust-events", "GUST__STEPFUNCTIONS__EVENTS__QUEUE_URL=gust-events",
		`GUST__STEPFUNCTIONS__EVENTS_FAULTS={duplicates: "0.5", reordering: "0.5"}`)
	d := start(t, cfg, DaemonOptions{Standalone: true})
	g := newGate(t, d.Service)
	const n = 10
	var runs []dag.RunKey
	for range n {
		runs = append(runs, waitFor(t, d, g.start(t)))
	}
	for range n {
		g.open(t)
	}
	opened := time.Now()
	for _, key := range runs {
		ended, err := d.WaitRun(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if late := ended.EndDate.Sub(opened); ended.State != dag.RunSuccess || late > 2*time.Second {
			t.Errorf("run %s ended as %s, %s after its execution: %v", key.RunID, ended.State, late, states(t, d, key))
		}
	}
	if s := d.engine.receiver.Load().Stats(); s.Matched < n || s.Ignored < n || !s.Reachable {
		t.Errorf("%+v", s)
	}
	if !d.engine.eventsArrive(*g.machine) {
		t.Error("that events of the state machine arrive is not noticed")
	}
}

// waitFor begins a run that waits for an execution, and returns when it has looked once.
func waitFor(t *testing.T, d *Daemon, arn string) dag.RunKey {
	t.Helper()
	conf, err := json.Marshal(map[string]string{"arn": arn})
	if err != nil {
		t.Fatal(err)
	}
	run, err := d.Trigger(t.Context(), TriggerRequest{DagID: "patient", Conf: conf})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	key := dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: "wait", MapIndex: -1}
	for ctx.Err() == nil {
		if shown, err := d.wait(ctx, key); err == nil && shown != nil && shown.Checks > 0 && shown.Doing == "waiting" {
			return run.RunKey
		}
		select { // the loop tells nobody that it has looked
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("the wait for %s is not looked at: %v", arn, states(t, d, run.RunKey))
	return dag.RunKey{}
}

// TestLostEvents: what no event tells is found by looking.
func TestLostEvents(t *testing.T) {
	t.Parallel()
	cfg := house(t, map[string]string{"patient.yaml": fmt.Sprintf(patient, "1", false)},
		"GUST__STEPFUNCTIONS__EVENTS_QUEUE=gust-events", "GUST__STEPFUNCTIONS__EVENTS__QUEUE_URL=gust-events",
		`GUST__STEPFUNCTIONS__EVENTS_FAULTS={loss: "1"}`)
	d := start(t, cfg, DaemonOptions{Standalone: true})
	g := newGate(t, d.Service)
	key := waitFor(t, d, g.start(t))
	g.open(t)
	if ended, err := d.WaitRun(t.Context(), key); err != nil || ended.State != dag.RunSuccess {
		t.Errorf("%+v, %v", ended, err)
	}
	if s := d.engine.receiver.Load().Stats(); s.Received != 0 || d.engine.eventsArrive(*g.machine) {
		t.Errorf("%+v", s)
	}
}

func TestBadQueues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		standalone bool
		queue, url string
		want       string
	}{
		{true, "", "arn:aws:sqs:eu-west-1:1:q://", "stepfunctions.events.queue_url: got \"arn:aws:sqs:eu-west-1:1:q://\"; expected the URL of an SQS queue, such as https://sqs.eu-west-1."},
		{true, "other", "ends", `stepfunctions.events.queue_url: "ends" is not a URL and names no queue that the embedded service fills: stepfunctions.events_queue is "other"`},
		{false, "ends", "ends", "it names a queue of the embedded service, which does not run here: run `gust standalone`, or give the URL of a queue"},
	} {
		cfg := house(t, map[string]string{"patient.yaml": fmt.Sprintf(patient, "1", false)},
			"GUST__STEPFUNCTIONS__EVENTS_QUEUE="+c.queue, "GUST__STEPFUNCTIONS__EVENTS__QUEUE_URL="+c.url)
		d, err := StartDaemon(t.Context(), cfg, Options{Environ: []string{}}, DaemonOptions{Standalone: c.standalone})
		if err == nil {
			t.Errorf("%s was accepted: %v", c.url, d.Stop(t.Context()))
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}
