package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gust/dag"
)

const waits = `
waits:
  schedule: null
  tasks:
    - {task_id: moment, operator: DateTimeSensor, target_time: "2099-01-01T00:00:00+00:00"}
    - {task_id: file, operator: FileSensor, filepath: /nowhere/at/all, poke_interval: 3600}
`

// TestEndWaits: an end that a person gives reaches a running daemon through the database and the wake file, long before it
// would look by itself.
func TestEndWaits(t *testing.T) {
	t.Parallel()
	cfg := house(t, map[string]string{"waits.yaml": waits}, "GUST__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=3600")
	d := start(t, cfg, DaemonOptions{})
	queued, err := d.Trigger(t.Context(), TriggerRequest{DagID: "waits"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.Context(), cfg, Options{Environ: []string{}}) // as a command does
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}()
	moment, file := parked(t, d, queued.RunKey, "moment"), parked(t, d, queued.RunKey, "file")
	began := time.Now()
	if event, err := other.FireWait(t.Context(), moment, nil); err != nil || string(event) != `{"moment":"2099-01-01T00:00:00Z"}` {
		t.Errorf("fired with %s, %v", event, err)
	}
	if err := other.CancelWait(t.Context(), file, "no such file", false); err != nil {
		t.Error(err)
	}
	ended, err := d.WaitRun(t.Context(), queued.RunKey)
	if err != nil || ended.State != dag.RunFailed {
		t.Errorf("%+v, %v", ended, err)
	}
	t.Logf("both took effect within %s", time.Since(began))
	got := states(t, d, queued.RunKey)
	if got["moment"] != "success/1 " || !strings.HasPrefix(got["file"], "failed/1 ") ||
		!strings.HasSuffix(got["file"], "the trigger failed: the wait was cancelled by a user: no such file") {
		t.Errorf("%q", got)
	}
	if _, err := other.FireWait(t.Context(), moment, json.RawMessage(`1`)); err == nil || !strings.Contains(err.Error(), "the wait of task moment ended just now") {
		t.Errorf("a wait that is over: %v", err)
	}
	if d.Parked() != 0 {
		t.Errorf("%d waits are held", d.Parked())
	}
}

// parked waits until a task waits.
func parked(t *testing.T, d *Daemon, run dag.RunKey, task string) *dag.TaskInstance {
	t.Helper()
	for {
		ti, err := d.Store.TaskInstanceGet(t.Context(), dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: task, MapIndex: -1})
		if err == nil && ti.State == dag.StateDeferred {
			return ti
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test is over")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestGoodEnds: every kind of wait says how it ends well, but for the ones that the help names; none of them panics on bad
// arguments.
func TestGoodEnds(t *testing.T) {
	t.Parallel()
	_, kinds, err := catalogs()
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, house(t, map[string]string{"waits.yaml": waits}), DaemonOptions{})
	for _, kind := range kinds.Kinds() {
		event, err := d.goodEnd(&dag.Deferral{Kind: kind, Args: json.RawMessage(`{
			"moment": "2026-01-01T00:00:00Z", "path": "/a", "dag_id": "d", "run_id": "r", "allowed": ["success"], "job_id": "j",
			"execution_arn": "arn:x", "state_machine_arn": "arn:y", "sql": "select 1", "activity_arn": "arn:z"}`)})
		if kind == "stepfunctions.activity_task" {
			if err == nil || err.Error() != "a wait of kind stepfunctions.activity_task cannot be fired without saying with what; give --event" {
				t.Errorf("%s: %s, %v", kind, event, err)
			}
			continue
		}
		if err != nil || !json.Valid(event) {
			t.Errorf("%s: %s, %v", kind, event, err)
		}
		if event, err := d.goodEnd(&dag.Deferral{Kind: kind, Args: json.RawMessage(`[`)}); err == nil && string(event) != `{"status":"success"}` {
			t.Errorf("%s: bad arguments are fired with %s", kind, event)
		}
	}
}
