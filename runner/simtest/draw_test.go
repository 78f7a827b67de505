package simtest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"gust/dag"
	"gust/runner/plan/plantest"
	"gust/store"
)

// epoch is when every history begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// machineARN is the state machine that all tasks start executions of; foreignARN names executions of others on it.
const (
	machineARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders"
	foreignARN = "arn:aws:states:eu-west-1:123456789012:execution:orders:foreign-"
	startedBy  = "@started by " // an execution_arn that stands for what a task has started
)

// shapes is how many different pipelines there are. Their number is limited only to make each of them once.
const shapes = 1 << 12

// drawer makes pipelines and remembers them.
type drawer struct{ made map[string]*dag.DAG }

// dag returns a pipeline of this shape.
func (d *drawer) dag(id string, shape uint64) *dag.DAG {
	name := fmt.Sprint(id, shape)
	made := d.made[name]
	if made == nil {
		made = drawDag(id, rand.New(rand.NewPCG(shape, 7)))
		d.made[name] = made
	}
	return made
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func drawDag(id string, r *rand.Rand) *dag.DAG {
	d := &dag.DAG{ID: id, FileLoc: id + ".yaml", Timezone: "UTC", Schedule: dag.Schedule{Kind: dag.ScheduleNone},
		MaxActiveRuns: 1 + r.IntN(3), MaxActiveTasks: 1 + r.IntN(3)}
	d.FailFast = r.IntN(12) == 0
	if r.IntN(8) == 0 {
		d.DagrunTimeout = pick(r, 10*time.Second, 2*time.Minute)
	}
	for i := range pick(r, 1, 1, 1, 1, 2, 2, 2, 3, 4, 6) {
		t := plantest.Task(fmt.Sprintf("t%d", i))
		t.DoXComPush = r.IntN(4) == 0
		t.Retries = pick(r, 0, 1, 1, 2)
		t.RetryDelay = pick(r, 0, time.Second, time.Minute)
		t.Pool = pick(r, dag.DefaultPool, dag.DefaultPool, "p1", "p2")
		t.TriggerRule = pick(r, dag.AllSuccess, dag.AllSuccess, dag.AllDone, dag.OneSuccess, dag.AllDoneMinOneSuccess)
		t.MaxActivePerDAG = pick(r, 0, 0, 0, 1)
		t.MaxActivePerRun = pick(r, 0, 0, 0, 1)
		for j := range i {
			if r.IntN(3) == 0 {
				t.Upstream = append(t.Upstream, fmt.Sprintf("t%d", j))
			}
		}
		drawOperator(r, d, t)
		d.Tasks = append(d.Tasks, t)
	}
	return plantest.Finish(d)
}

// drawOperator says what a task does: mostly it starts an execution or waits for one.
func drawOperator(r *rand.Rand, d *dag.DAG, t *dag.Task) {
	t.ExecutionTimeout = pick(r, 0, 0, 0, time.Minute, 5*time.Hour)
	switch n := r.IntN(20); {
	case n < 10:
		t.Operator = "StepFunctionStartExecutionOperator"
		t.Params = map[string]any{"state_machine_arn": machineARN, "waiter_delay": pick(r, 5, 60), "waiter_max_attempts": 3}
		if r.IntN(8) > 0 {
			t.Params["deferrable"] = true
		}
		if r.IntN(10) == 0 {
			t.Params["stop_on_kill"] = false
		}
		if r.IntN(4) == 0 {
			t.Params["retry_mode"] = "redrive"
		}
	case n < 15:
		t.Operator = "StepFunctionExecutionSensor"
		t.Params = map[string]any{"execution_arn": foreignARN + fmt.Sprint(r.IntN(4)), "poke_interval": 600,
			"timeout": pick(r, 30, 180)}
		for _, up := range t.Upstream {
			if by := d.Task(up); by != nil && by.Operator == "StepFunctionStartExecutionOperator" {
				t.Params["execution_arn"] = startedBy + up
			}
		}
		if t.Parks = r.IntN(4) > 0; !t.Parks {
			t.Params["mode"] = "reschedule"
		}
	case n < 18:
		t.Operator = workName
	default:
		t.Operator, t.Inline = "EmptyOperator", true
	}
}

// draw decides about everything that a history begins with.
func (h *history) draw(d *drawer) {
	r := h.random
	h.slots = 1 + r.IntN(3)
	h.lag = pick(r, -1, 50*time.Millisecond)
	h.pools = map[string]store.Pool{
		"p1":            {Name: "p1", Slots: 1 + r.IntN(2), IncludeDeferred: r.IntN(2) == 0},
		"p2":            {Name: "p2", Slots: 1 + r.IntN(2), IncludeDeferred: r.IntN(2) == 0},
		dag.DefaultPool: {Name: dag.DefaultPool, Slots: 128},
	}
	for _, p := range h.pools {
		h.store.SetPool(p.Name, p.Slots, p.IncludeDeferred)
	}
	for i := range pick(r, 1, 1, 1, 2) {
		h.dags = append(h.dags, d.dag(fmt.Sprintf("d%d", i), r.Uint64N(shapes)))
	}
	for i := range pick(r, 1, 1, 1, 1, 2, 3) {
		h.keys = append(h.keys, dag.RunKey{DagID: h.dags[i%len(h.dags)].ID, RunID: fmt.Sprintf("r%d", i)})
	}
	for i := range 4 {
		h.service.add(foreignARN+fmt.Sprint(i), fmt.Sprint("foreign-", i), "", dag.Attempt{})
	}
	h.events = r.IntN(2) == 0
	// A history without faults must work too, and one with them must not have so many that nothing else happens.
	if r.IntN(8) > 0 {
		h.left = faults{crashes: r.IntN(4), lost: r.IntN(2), edits: r.IntN(4), jumps: r.IntN(2)}
		h.trouble = pick(r, 0, 5, 20)
	}
}

// faults are how many of each are still to come.
type faults struct{ crashes, lost, edits, jumps int }
