package interp_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/jsonvalue"
)

// TestExecutionsStoredBefore continues an execution that an earlier version stored: a Map of which one item is done, one is
// handed out and one waits for its retry, beside a Wait.
func TestExecutionsStoredBefore(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/stored/version1.json")
	if err != nil {
		t.Fatal(err)
	}
	var old struct {
		Definition, Input jsonvalue.Value
		Snapshot          json.RawMessage
	}
	if err := json.Unmarshal(data, &old); err != nil {
		t.Fatal(err)
	}
	p := newPlayer(t, &golden{Definition: old.Definition, Input: old.Input}, fromParts)
	p.check = true
	if p.x, err = interp.Restore(p.m, p.info, old.Snapshot); err != nil {
		t.Fatal(err)
	}
	pending := p.x.PendingTasks()
	if len(pending) != 1 || pending[0].ID != 3 || pending[0].Input != `{"v":7,"i":"c"}` {
		t.Fatalf("pending: %+v", pending)
	}
	p.now = epoch.Add(2 * time.Second)
	p.advance(epoch.Add(3 * time.Second))
	p.record(p.x.Handle(interp.TaskSucceeded{ID: 4, Output: `2`}, p.now))
	p.record(p.x.Handle(interp.TaskSucceeded{ID: 3, Output: `3`}, p.now))
	p.advance(epoch.Add(time.Hour))
	if want := `[[{"one":1},2,3],{"v":7,"items":["a","b","c"]}]`; p.x.Status() != interp.Succeeded || show(p.x.Output()) != want {
		t.Errorf("%s %s\n%s", p.x.Status(), show(p.x.Output()), p.log.String())
	}
}

// waitingExecution starts a machine whose only state waits for an answer.
func waitingExecution(t *testing.T, state, input string) *interp.Execution {
	t.Helper()
	x, _ := start(t, `{"StartAt":"TheOnlyState","States":{"TheOnlyState":`+state+`}}`, input)
	if x.Status() != interp.Running {
		name, cause := x.Failure()
		t.Fatal(x.Status(), show(name), show(cause))
	}
	return x
}

func TestWaitingExecutionsAreSmall(t *testing.T) {
	t.Parallel()
	input := `{"order":{"id":"o-1"},"items":["` + strings.Repeat("x", 1000) + `"]}`
	for _, state := range []string{
		`{"Type":"Wait","Seconds":60,"End":true}`,
		`{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","HeartbeatSeconds":60,"End":true}`,
		`{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","TimeoutSeconds":60,"End":true}`,
	} {
		if saved := waitingExecution(t, state, input).Save(); len(saved.State) > 100 || len(saved.Parts) > 0 {
			t.Errorf("%s: %d bytes, %d parts", state, len(saved.State), len(saved.Parts))
		}
	}
}

// TestWideMapsAreStoredInParts answers the tasks of a Map of 500 items one by one: what is stored with each answer must not
// grow with the number of items, and nothing may be left over at the end.
func TestWideMapsAreStoredInParts(t *testing.T) {
	t.Parallel()
	items := make([]string, 500)
	for i := range items {
		items[i] = fmt.Sprintf(`{"i":%d,"text":%q}`, i, strings.Repeat("y", 100))
	}
	x, _ := start(t, `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"T","States":{
		"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":null,"Next":"W"},
		"W":{"Type":"Pass","End":true}}},"Next":"E"},"E":{"Type":"Wait","Seconds":9,"OutputPath":null,"End":true}}}`,
		"["+strings.Join(items, ",")+"]")
	stored := map[int64]bool{}
	written := 0
	save := func() {
		saved := x.Save()
		written = len(saved.State)
		if saved.Clear {
			clear(stored)
		}
		for _, p := range saved.Parts {
			written += len(p.Data)
			if stored[p.ID] = true; p.Data == nil {
				delete(stored, p.ID)
			}
		}
	}
	save()
	if written < 50_000 {
		t.Fatalf("only %d bytes were stored at first", written)
	}
	for id := range int64(500) {
		x.Handle(interp.TaskSucceeded{ID: id + 1, Output: "1"}, epoch)
		save()
		if id < 499 && (written > 2000 || len(stored) > 600) {
			t.Fatalf("%d bytes in a step, %d parts in all", written, len(stored))
		}
	}
	if len(stored) > 0 || x.HasTasks() {
		t.Errorf("%d parts are left over", len(stored))
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	t.Parallel()
	m, found := asl.Parse(`{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}`)
	if m == nil {
		t.Fatal(found)
	}
	info := interp.Info{ExecutionARN: "arn:x", Input: "{}", StartTime: epoch}
	x, err := interp.New(m, info)
	if err != nil {
		t.Fatal(err)
	}
	x.Start(epoch)
	good := x.Save().State
	for n := range good {
		if _, err := interp.Restore(m, info, good[:n]); err == nil || !strings.Contains(err.Error(), "arn:x") {
			t.Errorf("%d of %d bytes: %v", n, len(good), err)
		}
	}
	other, found := asl.Parse(`{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`)
	if other == nil {
		t.Fatal(found)
	}
	if _, err := interp.Restore(other, info, good); err == nil || !strings.Contains(err.Error(), `"W" is not in the definition`) {
		t.Error(err)
	}
	if _, err := interp.Restore(m, info, []byte(`{"status":"RUNNING"}`)); err == nil {
		t.Error("a state without threads was read")
	}
}

func TestTasksAfterARestart(t *testing.T) {
	t.Parallel()
	x := waitingExecution(t, `{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","TimeoutSeconds":60,
		"Parameters":{"StateMachineArn":"x"},"End":true}`, `{}`)
	if !x.HasTasks() || !x.TaskOpen(1) || x.TaskOpen(2) {
		t.Error("the task is not known")
	}
	x.Handle(interp.TaskSubmitted{ID: 1, Output: `{"ExecutionArn":"y"}`}, epoch)
	if got := x.PendingTasks(); len(got) != 1 || !got[0].Submitted || got[0].Submission != `{"ExecutionArn":"y"}` || !x.HasTasks() {
		t.Errorf("submitted: %+v", got)
	}
	x = waitingExecution(t, `{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}`, `{}`)
	x.Handle(interp.TaskStarted{ID: 1}, epoch)
	if task, ok := x.TaskByID(1); !ok || !task.Started || x.HasTasks() {
		t.Errorf("started: %+v", task)
	}
	x.Handle(interp.Abort{}, epoch)
	if _, ok := x.TaskByID(1); ok || len(x.PendingTasks()) > 0 {
		t.Error("an aborted execution still has a task")
	}
}
