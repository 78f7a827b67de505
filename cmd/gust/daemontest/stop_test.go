//go:build linux

package daemontest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
)

// chain is a DAG of a bash task and one that follows it.
func chain(inside string) string {
	return head("chain", "") + bash("first", inside) + bash("second", ":", "dependencies: [first]")
}

// startChain starts a daemon with a run whose first task is at work.
func (h *house) startChain() (*daemon, dag.RunKey) {
	h.t.Helper()
	d := h.start("scheduler").ready()
	var run dag.RunKey
	h.with(func(a *app.App) {
		run = h.trigger(a, "chain", "one")
		h.await("the first task", func() bool { return strings.HasPrefix(h.journal()[0], "begin") })
	})
	return d, run
}

func (h *house) wantTask(a *app.App, run dag.RunKey, taskID string, state dag.State, try int) {
	h.t.Helper()
	ti := h.task(a, run, taskID)
	if ti == nil || ti.State != state || ti.TryNumber != try {
		h.t.Errorf("task %s is %+v, want %s, try %d", taskID, ti, state, try)
	}
}

func TestStopLetsTasksFinish(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"scheduler.graceful_stop_timeout": "20"})
	h.write("dags/chain.yaml", chain("sleep 0.4"))
	d, run := h.startChain()
	d.stop()
	if !strings.Contains(d.log.String(), "stopping: no new tasks") {
		t.Errorf("the daemon does not say that it stops:\n%s", d.log.String())
	}
	h.with(func(a *app.App) {
		h.wantTask(a, run, "first", dag.StateSuccess, 1)
		if state := h.state(a, run, "second"); state != dag.StateScheduled && state != dag.StateNone {
			t.Errorf("the second task is %s after the stop", state)
		}
	})
	if n := len(h.journal()); n != 2 {
		t.Errorf("the journal has %d lines after the stop: %q", n, h.journal())
	}
	h.start("scheduler").ready()
	h.with(func(a *app.App) {
		if r := h.ended(a, run); r.State != dag.RunSuccess {
			t.Errorf("after the restart the run is %s", r.State)
		}
	})
	if n := len(h.journal()); n != 4 {
		t.Errorf("the journal after the restart: %q", h.journal())
	}
}

func TestStopInterruptsAfterTheGracePeriod(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"scheduler.graceful_stop_timeout": "0.3"})
	h.write("dags/chain.yaml", chain(h.untilFile("go")))
	d, run := h.startChain()
	began := time.Now()
	d.stop()
	if took := time.Since(began); took < 300*time.Millisecond || took > 300*time.Millisecond+shortly {
		t.Errorf("the stop took %s, want the 300 ms of the grace period and little more", took)
	}
	h.wantNothingLeft()
	h.with(func(a *app.App) { h.wantTask(a, run, "first", dag.StateScheduled, 1) })
	h.touch("go")
	h.start("scheduler").ready()
	h.with(func(a *app.App) {
		if r := h.ended(a, run); r.State != dag.RunSuccess {
			t.Errorf("after the restart the run is %s", r.State)
		}
		h.wantTask(a, run, "first", dag.StateSuccess, 1)
	})
	if got := h.journal(); len(got) != 5 || got[0] != got[1] {
		t.Errorf("the first task should have begun twice as the same attempt: %q", got)
	}
}

func (h *house) wantNothingLeft() {
	h.t.Helper()
	var left []proc
	for range 50 {
		if left = h.processes(); len(left) == 0 {
			return
		}
		pause(2 * time.Millisecond)
	}
	h.t.Errorf("processes outlive the daemon: %v", left)
}

// TestSecondSignalEndsAtOnce stops a daemon whose task ignores SIGTERM.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, map[string]string{"scheduler.graceful_stop_timeout": "60", "core.killed_task_cleanup_time": "60"})
			h.write("dags/chain.yaml", chain("if [ ! -e "+h.path("go")+" ]; then\n"+
				"          trap '' TERM INT; setsid sleep 301 & sleep 302 &\n"+
				"        fi\n"+
				"        echo deaf >> $JOURNAL; "+h.untilFile("go")))
			d, run := h.startChain()
			h.await("the task to ignore signals", func() bool { return len(h.journal()) == 2 })
			d.signal(s)
			d.says("stopping: no new tasks")
			began := time.Now()
			d.signal(s)
			code := d.exit()
			if took := time.Since(began); took > shortly {
				t.Errorf("the second signal took %s", took)
			}
			if code != 130 {
				t.Errorf("exit code %d, want 130", code)
			}
			for _, want := range []string{"second signal", "1 attempt", "will be repeated"} {
				if !strings.Contains(d.log.String(), want) {
					t.Errorf("the daemon does not say %q:\n%s", want, d.log.String())
				}
			}
			h.wantNothingLeft()
			h.with(func(a *app.App) { h.wantTask(a, run, "first", dag.StateScheduled, 1) })
			h.touch("go")
			h.start("scheduler").ready()
			h.with(func(a *app.App) {
				h.ended(a, run)
				h.wantTask(a, run, "first", dag.StateSuccess, 1)
			})
		})
	}
}

func TestOnlyOneDaemon(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	d := h.start("scheduler").ready()
	for _, command := range []string{"scheduler", "standalone"} {
		out, code := h.gust(command)
		if code != 1 {
			t.Errorf("a second %s: exit code %d, want 1", command, code)
		}
		for _, want := range []string{fmt.Sprintf("process %d", d.cmd.Process.Pid), h.path("home"), "GUST_HOME"} {
			if !strings.Contains(out, want) {
				t.Errorf("a second %s does not say %q:\n%s", command, want, out)
			}
		}
	}
	d.stop()
	h.start("scheduler").ready().stop()
}

// TestStopWhileEverythingWaits stops a standalone daemon, its embedded service with it, in the middle of executions.
func TestStopWhileEverythingWaits(t *testing.T) {
	t.Parallel()
	c := newCrash(t, "standalone")
	c.env = append(c.env, "GUST__SCHEDULER__GRACEFUL_STOP_TIMEOUT=0.1", "GUST__STEPFUNCTIONS__WAIT_TIME_SCALE=0.03")
	d := c.start("standalone").ready()
	var run dag.RunKey
	c.with(func(a *app.App) {
		run = c.trigger(a, "waits", "crash-1") // the DAG and id of the crash test's second run
		c.await("tasks that wait in every way", func() bool {
			return c.state(a, run, "held") == dag.StateRunning && c.state(a, run, "parked") == dag.StateDeferred &&
				c.state(a, run, "poke") == dag.StateRunning && c.task(a, run, "begin").State == dag.StateSuccess
		})
	})
	began := time.Now()
	d.stop()
	if took := time.Since(began); took > shortly {
		t.Errorf("the stop took %s", took)
	}
	c.wantNothingLeft()
	d = c.start("standalone").ready()
	c.with(func(a *app.App) {
		c.ended(a, run)
		c.checkRun(a, c.run(a, run))
	})
	for by, n := range askers(c.executionsOf(c.path("home", "stepfunctions.db"))) {
		if n != 1 {
			t.Errorf("%d executions were started by %q", n, by)
		}
	}
	d.stop()
}
