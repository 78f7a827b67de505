//go:build linux

package daemontest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gust/dag"
	"gust/internal/app"
)

// touch lets commands that wait for a file go on.
func (h *house) touch(name string) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), nil, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// untilFile is a shell command that waits for a file of the house.
func (h *house) untilFile(name string) string {
	return fmt.Sprintf("while [ ! -e %s ]; do sleep 0.02; done", h.path(name))
}

const sensors = 10

// TestWaitingIsFree lets many sensors wait beside a single worker.
func TestWaitingIsFree(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"core.parallelism": "1"})
	h.env = append(h.env, "GUST__STEPFUNCTIONS__HANDLERS={gate: '"+h.untilFile("gate")+"; echo 1'}")
	h.write("machines/gated.asl.json", `{"StartAt": "Gate", "States": {
		"Gate": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:gate", "End": true}}}`)
	begin, wait := head("begin", "schedule: null\n")+task("begin", startOperator, machine("gated")), head("wait", "")
	for i := range sensors {
		wait += task(fmt.Sprintf("wait%d", i), sensor, `execution_arn: "{{ dag_run.conf.arn }}"`, look)
	}
	h.write("dags/begin.yaml", begin)
	h.write("dags/wait.yaml", wait)
	h.write("dags/hold.yaml", head("hold", "")+task("hold", "BashOperator", "bash_command: "+h.untilFile("release")))
	h.write("dags/quick.yaml", head("quick", "")+task("quick", "BashOperator", "bash_command: echo quick"))
	d := h.start("standalone").ready()
	h.with(func(a *app.App) {
		began := h.trigger(a, "begin", "begin")
		h.ended(a, began)
		arn, err := a.Store.XComGet(context.Background(), h.task(a, began, "begin").Key, "execution_arn")
		if err != nil {
			t.Fatal(err)
		}

		waiting := h.triggerWith(a, "wait", "waiting", arn.Value)
		h.await("the sensors to wait", func() bool { return h.count(a, waiting, dag.StateDeferred) == sensors })
		quick := h.ended(a, h.trigger(a, "quick", "quick"))
		if n := h.count(a, waiting, dag.StateDeferred); n != sensors || quick.State != dag.RunSuccess {
			t.Errorf("a bash task beside %d waiting sensors ended as %s", n, quick.State)
		}
		if took := quick.EndDate.Sub(quick.QueuedAt); took > shortly {
			t.Errorf("a bash task beside the waiting sensors took %s", took)
		}

		// Parking and ending need no worker either: there is none while this task runs.
		hold := h.trigger(a, "hold", "hold")
		h.await("the only worker to be busy", func() bool { return h.state(a, hold, "hold") == dag.StateRunning })
		late := h.triggerWith(a, "wait", "late", arn.Value)
		h.await("the late sensors to wait", func() bool { return h.count(a, late, dag.StateDeferred) == sensors })
		h.touch("gate")
		for _, run := range []dag.RunKey{waiting, late} {
			if r := h.ended(a, run); r.State != dag.RunSuccess {
				t.Errorf("run %s is %s", run.RunID, r.State)
			}
		}
		if state := h.state(a, hold, "hold"); state != dag.StateRunning {
			t.Errorf("the task that holds the worker is %s", state)
		}
		h.touch("release")
		h.ended(a, hold)
	})
	d.stop()
	h.checkNoWorker("wait")
}

func (h *house) triggerWith(a *app.App, dagID, runID string, arn json.RawMessage) dag.RunKey {
	h.t.Helper()
	run, err := a.Trigger(context.Background(), app.TriggerRequest{
		DagID: dagID, RunID: runID, By: dag.ByCLI, Conf: json.RawMessage(`{"arn":` + string(arn) + `}`)})
	if err != nil {
		h.t.Fatal(err)
	}
	return run.RunKey
}

// count is how many tasks of a run are in a state.
func (h *house) count(a *app.App, run dag.RunKey, state dag.State) int {
	h.t.Helper()
	tasks, err := a.Store.TaskInstanceList(context.Background(), run)
	if err != nil {
		h.t.Fatal(err)
	}
	n := 0
	for i := range tasks {
		if tasks[i].State == state {
			n++
		}
	}
	return n
}

// checkNoWorker wants the logs of a DAG's tasks to tell of a wait, and of no attempt on a worker.
func (h *house) checkNoWorker(dagID string) {
	h.t.Helper()
	logs := 0
	err := filepath.WalkDir(h.path("home", "logs"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(path, "dag_id="+dagID+string(filepath.Separator)) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		logs++
		if s := string(text); strings.Contains(s, "Starting attempt") || strings.Contains(s, "Resuming attempt") ||
			!strings.Contains(s, "DEFERRED") {
			h.t.Errorf("%s tells of a worker, or of no wait:\n%s", filepath.Base(path), s)
		}
		return nil
	})
	if err != nil || logs != 2*sensors {
		h.t.Errorf("%d logs of sensors, want %d: %v", logs, 2*sensors, err)
	}
}
