//go:build linux

package daemontest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

// prompt is within which time a command must take effect. It is held against the median of several: on a busy machine
// a single one may come late.
const prompt = 100 * time.Millisecond

func median(t *testing.T, what string, all []time.Duration) {
	t.Helper()
	slices.Sort(all)
	t.Logf("%s takes effect after %s", what, all)
	if m := all[len(all)/2]; m > prompt {
		t.Errorf("%s takes effect after %s (median of %d), want %s at most", what, m, len(all), prompt)
	}
}

const repeats = 5

// TestCommandsTakeEffectAtOnce measures how soon a daemon follows what other processes write. The fallback scan is off.
func TestCommandsTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"scheduler.scheduler_idle_sleep_time": "600"})
	h.write("dags/quick.yaml", head("quick", "")+task("quick", "BashOperator", "bash_command: echo quick"))
	h.write("dags/pooled.yaml", head("pooled", "max_active_runs: 16\n  schedule: null\n")+
		task("pooled", "BashOperator", "bash_command: echo pooled", "pool: narrow"))
	h.write("dags/often.yaml", head("often", "schedule: \"@continuous\"\n  start_date: 2026-01-01\n  max_active_runs: 1\n"+
		"  is_paused_upon_creation: true\n")+task("often", "BashOperator", "bash_command: sleep 0.01"))
	d := h.start("scheduler").ready()
	h.with(func(a *app.App) {
		t.Run("trigger", func(t *testing.T) { h.measureTrigger(t, a) })
		t.Run("pause", func(t *testing.T) { h.measurePause(t, a) })
		t.Run("pool", func(t *testing.T) { h.measurePool(t, a) })
	})
	d.stop()
}

func (h *house) measureTrigger(t *testing.T, a *app.App) {
	var took []time.Duration
	for n := range repeats {
		id := fmt.Sprint("quick-", n)
		if out, code := h.gust("dags", "trigger", "quick", "--run-id", id); code != 0 {
			t.Fatalf("exit code %d:\n%s", code, out)
		}
		run := h.ended(a, dag.RunKey{DagID: "quick", RunID: id})
		took = append(took, h.task(a, run.RunKey, "quick").StartDate.Sub(run.QueuedAt))
	}
	median(t, "dags trigger", took)
}

func (h *house) measurePause(t *testing.T, a *app.App) {
	var pauses, unpauses []time.Duration
	latest := func() time.Time {
		runs := h.runs(a, store.RunListParams{DagID: "often", Limit: 1})
		if len(runs) == 0 {
			return time.Time{}
		}
		return runs[0].StartDate
	}
	for range repeats {
		at := time.Now()
		if err := a.SetPaused(context.Background(), "often", false); err != nil {
			t.Fatal(err)
		}
		h.await("a run after unpausing", func() bool { return latest().After(at) })
		unpauses = append(unpauses, h.firstAfter(a, "often", at).Sub(at))
		at = time.Now()
		if err := a.SetPaused(context.Background(), "often", true); err != nil {
			t.Fatal(err)
		}
		pause(3 * prompt)
		last := latest()
		pauses = append(pauses, max(0, last.Sub(at)))
		pause(prompt)
		if again := latest(); again.After(last) {
			t.Errorf("a run began %s after pausing", again.Sub(at))
		}
	}
	median(t, "dags unpause", unpauses)
	median(t, "dags pause", pauses)
}

// firstAfter is when the first run after a moment began.
func (h *house) firstAfter(a *app.App, dagID string, at time.Time) time.Time {
	h.t.Helper()
	runs := h.runs(a, store.RunListParams{DagID: dagID})
	var first time.Time
	for i := range runs { // newest first
		if runs[i].StartDate.After(at) {
			first = runs[i].StartDate
		}
	}
	return first
}

func (h *house) measurePool(t *testing.T, a *app.App) {
	var took []time.Duration
	for n := range repeats {
		if err := a.Store.PoolSet(context.Background(), &store.Pool{Name: "narrow", Slots: 0}); err != nil {
			t.Fatal(err)
		}
		a.Wake()
		pause(prompt)
		run := h.trigger(a, "pooled", fmt.Sprint("pooled-", n))
		h.await("a task that waits for its pool", func() bool { return h.state(a, run, "pooled") == dag.StateScheduled })
		pause(prompt)
		if state := h.state(a, run, "pooled"); state != dag.StateScheduled {
			t.Fatalf("a task in a pool without slots is %s", state)
		}
		at := time.Now()
		if err := a.Store.PoolSet(context.Background(), &store.Pool{Name: "narrow", Slots: 1}); err != nil {
			t.Fatal(err)
		}
		a.Wake()
		h.ended(a, run)
		took = append(took, h.task(a, run, "pooled").StartDate.Sub(at))
	}
	median(t, "pools set", took)
}
