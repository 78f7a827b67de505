package simtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/dag"
	"gust/runner/executor"
	"gust/store"
)

// The names of the invariants.
const (
	runEnds      = "every run ends"
	oneExecution = "exactly one execution per attempt"
	owned        = "every started execution is awaited, adopted or stopped"
	once         = "outcomes are applied once"
	notForgotten = "nothing parked is forgotten"
	limits       = "pools and limits are never exceeded"
)

// invariants remember what they need of a history and panic with a *violation.
type invariants struct {
	h       *history
	started map[dag.Attempt]int // executions
	ended   map[dag.Attempt]bool
	said    map[dag.Attempt]executor.Kind // last reports
}

func newInvariants(h *history) *invariants {
	return &invariants{h: h, started: map[dag.Attempt]int{}, ended: map[dag.Attempt]bool{},
		said: map[dag.Attempt]executor.Kind{}}
}

func (c *invariants) fail(invariant, format string, args ...any) {
	panic(&violation{invariant, fmt.Sprintf(format, args...)})
}

// starts is told of each execution that a task has started.
func (c *invariants) starts(e *execution) {
	c.h.totals.executions++
	if c.started[e.by]++; c.started[e.by] > 1 {
		c.fail(oneExecution, "%s has started a second execution, %s", e.by, e.name)
	}
	if !c.waits(e.by.Key) {
		return
	}
	for _, o := range c.h.service.executions {
		if o != e && o.by.Key == e.by.Key && o.running(c.h.real) {
			c.fail(oneExecution, "%s starts %s while %s, of %s, still runs", e.by, e.name, o.name, o.by)
		}
	}
}

// begins is told of each attempt that is handed to the executor.
func (c *invariants) begins(d *daemon, a dag.Attempt) {
	c.h.totals.attempts++
	c.h.say("  %s is dispatched", a)
	switch {
	case d.out[a] != nil:
		c.fail(oneExecution, "%s is dispatched twice", a)
	case len(d.out) >= c.h.slots:
		c.fail(limits, "%s is dispatched beyond the %d slots of the executor", a, c.h.slots)
	case c.ended[a]:
		c.fail(once, "%s begins after it has ended", a)
	}
}

// reported is told of each report that the scheduler is given.
func (c *invariants) reported(r *executor.Report) {
	c.said[r.Attempt] = r.Kind
	if strings.Contains(r.Error, waiterError) || r.Deferral != nil && strings.Contains(string(r.Deferral.Event), waiterError) {
		c.letGo(r.Attempt.Key)
	}
}

// committed is told of each commit.
func (c *invariants) committed(changes *store.Changes) {
	for i := range changes.Runs {
		r := &changes.Runs[i]
		c.h.say("  run %s: %s -> %s %s", r.Run.RunID, r.From, r.Run.State, r.Run.Reason)
	}
	for i := range changes.Tasks {
		c.moved(&changes.Tasks[i])
	}
	if len(changes.Tasks)+len(changes.Runs) > 0 {
		c.limits()
	}
}

// moved checks one transition.
func (c *invariants) moved(t *store.TaskChange) {
	row := &t.Task
	if c.h.tracing && t.From != row.State {
		c.h.say("  %s: %s -> %s (try %d) %s", row.Key, t.From, row.State, row.TryNumber, row.Error)
	}
	if t.From.Finished() {
		c.fail(once, "%s has finished as %s and becomes %s", row.Key, t.From, row.State)
	}
	switch t.From {
	case dag.StateQueued, dag.StateRunning, dag.StateDeferred, dag.StateRestarting:
	default:
		return
	}
	a := row.Attempt()
	if !row.State.Finished() && row.State != dag.StateUpForRetry {
		return
	}
	if c.ended[a] {
		c.fail(once, "the end of %s is applied twice", a)
	}
	c.ended[a] = true
	if row.State != dag.StateSuccess {
		return
	}
	if said := c.said[a]; said != executor.Succeeded {
		c.fail(once, "%s succeeds; its last report was %q", a, kinds[said])
	}
	c.succeeded(row)
}

// succeeded checks that a task which waits for its execution succeeds only as that has.
func (c *invariants) succeeded(row *dag.TaskInstance) {
	if row.Operator != "StepFunctionStartExecutionOperator" || !c.waits(row.Key) {
		return
	}
	for _, e := range c.h.service.executions {
		if strings.Contains(string(c.h.store.XCom(row.Key, "execution_arn")), e.arn+`"`) {
			if st := e.status(c.h.real); st != types.ExecutionStatusSucceeded {
				c.fail(once, "%s succeeds, but its execution is %s", row.Attempt(), st)
			}
			return
		}
	}
	c.fail(once, "%s succeeds without an execution", row.Attempt())
}

// waiterError is what a task says that has waited for its execution as long as it was to. The execution goes on.
const waiterError = "Waiter error"

// letGo notes that a task has stopped waiting for what it started, as it says in its error.
func (c *invariants) letGo(key dag.Key) {
	for _, e := range c.h.service.executions {
		if e.by.Key == key {
			e.letGo = true
		}
	}
}

func (c *invariants) waits(key dag.Key) bool {
	t := c.h.dag(key.DagID).Task(key.TaskID)
	return t.Params["deferrable"] == true
}

// rest is told when nothing can happen before time passes.
func (c *invariants) rest() {
	if len(c.h.d.threads) > 0 {
		return
	}
	if c.h.rowsAreUp() {
		c.parked()
	}
	c.owned()
}

// parked: the trigger loop holds what the rows say is parked.
func (c *invariants) parked() {
	want := 0
	for _, key := range c.h.keys[:c.h.made] {
		if c.h.store.Run(key).State != dag.RunRunning {
			continue
		}
		tasks, _ := c.h.store.TaskInstanceList(context.Background(), key)
		for i := range tasks {
			if t := &tasks[i]; t.State == dag.StateDeferred {
				want++
			}
		}
	}
	if held := c.h.d.loop.Held(); held != want {
		c.fail(notForgotten, "%d tasks are deferred, and the trigger loop holds %d", want, held)
	}
}

// owned: somebody waits for what runs.
func (c *invariants) owned() {
	for _, e := range c.h.service.executions {
		if e.by.TaskID == "" || e.letGo || !e.running(c.h.real) || !c.waits(e.by.Key) {
			continue
		}
		row, _ := c.h.store.Task(e.by.Key)
		t := c.h.dag(e.by.DagID).Task(e.by.TaskID)
		if row.State.Finished() && t.Params["stop_on_kill"] != false {
			c.fail(owned, "%s, started by %s, still runs, and its task is %s (%s)", e.name, e.by, row.State, row.Error)
		}
	}
}

// limits are counted as the rows have them.
func (c *invariants) limits() {
	running := map[string]int{}
	pools := map[string]int{}
	perDag := map[dag.Key]int{}
	for _, key := range c.h.keys[:c.h.made] {
		if c.h.store.Run(key).State != dag.RunRunning {
			continue
		}
		d := c.h.dag(key.DagID)
		if running[d.ID]++; running[d.ID] > d.MaxActiveRuns {
			c.fail(limits, "%d runs of %s run, max_active_runs is %d", running[d.ID], d.ID, d.MaxActiveRuns)
		}
		tasks, _ := c.h.store.TaskInstanceList(context.Background(), key)
		active, perTask := 0, map[string]int{}
		for i := range tasks {
			c.count(d.Task(tasks[i].TaskID), &tasks[i], pools, perDag, perTask, &active)
		}
		if active > d.MaxActiveTasks {
			c.fail(limits, "%d tasks of %s are active, max_active_tasks is %d", active, key.RunID, d.MaxActiveTasks)
		}
	}
	for name, used := range pools {
		if p := c.h.pools[name]; used > p.Slots {
			c.fail(limits, "%d of the %d slots of pool %s are in use", used, p.Slots, name)
		}
	}
}

func (c *invariants) count(
	t *dag.Task, ti *dag.TaskInstance, pools map[string]int, perDag map[dag.Key]int, perTask map[string]int, active *int,
) {
	switch ti.State {
	case dag.StateQueued, dag.StateRunning:
		if t.Parks {
			if c.h.pools[ti.Pool].IncludeDeferred {
				pools[ti.Pool] += ti.PoolSlots
			}
			return
		}
		*active++
		pools[ti.Pool] += ti.PoolSlots
		key := dag.Key{DagID: ti.DagID, TaskID: ti.TaskID}
		if perDag[key]++; t.MaxActivePerDAG > 0 && perDag[key] > t.MaxActivePerDAG {
			c.fail(limits, "%s exceeds max_active_tis_per_dag", ti.Key)
		}
		if perTask[ti.TaskID]++; t.MaxActivePerRun > 0 && perTask[ti.TaskID] > t.MaxActivePerRun {
			c.fail(limits, "%s exceeds max_active_tis_per_dagrun", ti.Key)
		}
	case dag.StateDeferred:
		if c.h.pools[ti.Pool].IncludeDeferred {
			pools[ti.Pool] += ti.PoolSlots
		}
	}
}

// finished reports whether every run has ended.
func (c *invariants) finished() bool {
	for _, key := range c.h.keys {
		if !c.h.store.Run(key).State.Finished() {
			return false
		}
	}
	return true
}

// over checks the end of a history.
func (c *invariants) over() {
	for _, key := range c.h.keys {
		tasks, _ := c.h.store.TaskInstanceList(context.Background(), key)
		for i := range tasks {
			if !tasks[i].State.Finished() {
				c.fail(runEnds, "run %s has ended, and its task %s is %s", key.RunID, tasks[i].TaskID, tasks[i].State)
			}
		}
	}
}
