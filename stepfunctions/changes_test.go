package stepfunctions_test

import (
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions"
	"gust/stepfunctions/events"
)

// sink collects status changes.
type sink struct {
	mu      sync.Mutex
	changes []events.StatusChange
}

func (s *sink) Publish(changes []events.StatusChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, changes...)
}

func TestStatusChangesAreTold(t *testing.T) {
	t.Parallel()
	var got sink
	c := client(start(t, stepfunctions.Config{Events: &got}))
	failed := run(t, c, create(t, c, "f", `{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E","Cause":"C"}}}`), "e", `{"a":1}`)
	if _, err := c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: failed.ExecutionArn}); err != nil {
		t.Fatal(err)
	}
	finish(t, c, *failed.ExecutionArn)
	waiting := create(t, c, "w", waitForever)
	arn := begin(t, c, waiting, "{}")
	if _, err := c.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn}); err != nil {
		t.Fatal(err)
	}
	machine := express(t, c, "x", threePasses)
	if _, err := c.StartSyncExecution(t.Context(), &sfn.StartSyncExecutionInput{StateMachineArn: &machine, Input: aws.String(`{"name":1}`)}, localHost); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, change := range got.changes {
		told = append(told, change.StateMachineARN[len(change.StateMachineARN)-1:]+" "+change.Status)
		if (change.Status == "RUNNING") != change.Stopped.IsZero() || (change.Status == "FAILED") != (change.Error != nil) ||
			change.Time.IsZero() || change.Input == nil || change.Region != "us-east-1" || change.Account != "123456789012" {
			t.Errorf("%+v", change)
		}
	}
	if d := cmp.Diff([]string{"f RUNNING", "f FAILED", "f RUNNING", "f FAILED", "w RUNNING", "w ABORTED"}, told); d != "" {
		t.Error(d)
	}
	if n := got.changes[3].RedriveCount; n != 1 {
		t.Errorf("the redriven execution has the redrive count %d", n)
	}
}
