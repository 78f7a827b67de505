//go:build linux

package daemontest

import (
	"context"
	"testing"

	"gust/dag"
	"gust/internal/app"
)

// TestMarkedWhileNoDaemonRuns marks tasks whose executions go on, after a kill -9. The next daemon stops the executions.
func TestMarkedWhileNoDaemonRuns(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.write("dags/stay.yaml", head("stay", "")+
		task("parked", startOperator, machine("hold"), input, "deferrable: true", patient)+
		task("works", startOperator, machine("hold"), input, "wait_for_completion: true", "deferrable: false", patient))
	d := h.startFaulty().ready()
	h.with(func(a *app.App) {
		run := h.trigger(a, "stay", "one")
		h.await("two executions", func() bool {
			return len(h.executions()) == 2 && h.state(a, run, "parked") == dag.StateDeferred && h.state(a, run, "works") == dag.StateRunning
		})
		d.kill()
		e, err := a.PlanMarkRun(context.Background(), run, dag.RunFailed)
		if err == nil {
			err = a.Apply(context.Background(), e)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	d = h.startFaulty().ready()
	h.await("the end of the executions", func() bool {
		for _, e := range h.executions() {
			if e.status != "ABORTED" {
				return false
			}
		}
		return true
	})
	d.stop()
}
