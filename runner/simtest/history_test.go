package simtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"gust/connections/awsconn/quota"
	"gust/dag"
	"gust/operators"
	"gust/runner/edit"
	"gust/runner/plan/plantest"
	"gust/store"
	"gust/triggers"
	"gust/triggers/awswait"
)

// player plays one history after the other.
type player struct {
	operators *operators.Registry
	drawer    drawer
	h         *history
	totals    counts
}

// counts say what has happened in the histories.
type counts struct{ histories, steps, attempts, executions, crashes, lost, edits, jumps int }

func newPlayer() (*player, error) {
	w := &player{drawer: drawer{made: map[string]*dag.DAG{}}}
	var err error
	w.operators, err = newRegistry(w)
	return w, err
}

// pause lets an operator wait before it repeats a call.
func (w *player) pause(n int) time.Duration {
	w.h.current.pause(awswait.DefaultBackoff(n))
	return 0
}

// hold lets the notifier wait before it tries again.
func (w *player) hold(_ context.Context, d time.Duration) error {
	w.h.current.pause(d)
	if w.h.d.dead {
		return errDead
	}
	return nil
}

// history is everything there is in one history.
type history struct {
	*player
	seed    uint64
	random  *rand.Rand
	real    time.Time
	skew    time.Duration // of the clock that the process sees
	store   *memory
	service *service
	quotas  *quota.Quotas
	d       *daemon // nil while no process lives
	current *thread // that runs
	check   *invariants

	dags  []*dag.DAG
	keys  []dag.RunKey
	slots int
	lag   time.Duration
	pools map[string]store.Pool
	left  faults
	// trouble is how many of 100 calls are throttled, and how many answers are lost.
	trouble int
	events  bool
	made    int  // runs created
	jumped  bool // the clock, ever
	trace   []string
	tracing bool
}

// violation is what an invariant found.
type violation struct{ invariant, text string }

func (v *violation) Error() string { return v.invariant + ": " + v.text }

// play plays the history of a seed.
func (w *player) play(seed uint64, tracing bool) (trace []string, err error) {
	h := &history{player: w, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), real: epoch, tracing: tracing,
		store: &memory{plantest.NewStore()}}
	w.h = h
	h.service = &service{h: h}
	h.quotas = quota.New(quota.Options{Now: h.clock})
	h.check = newInvariants(h)
	defer func() {
		trace = h.trace
		switch v := recover().(type) {
		case nil:
		case *violation:
			err = v
			h.d.dead = true
			h.d.bury()
		default:
			panic(fmt.Sprintf("seed %d: %v", seed, v))
		}
	}()
	h.draw(&w.drawer)
	return h.trace, h.run()
}

// say adds a line to the trace.
func (h *history) say(format string, args ...any) {
	if h.tracing {
		at := h.real.Sub(epoch).Seconds()
		h.trace = append(h.trace, fmt.Sprintf("%10.3f ", at)+fmt.Sprintf(format, args...))
	}
}

// rowsAreUp reports whether no row is behind what the scheduler knows (plan.Config.StateLag).
func (h *history) rowsAreUp() bool {
	return h.lag < 0 || !h.jumped && h.d.schedDue.After(h.real.Add(h.lag*2))
}

// clock is the time that the process sees.
func (h *history) clock() time.Time { return h.real.Add(h.skew) }

// mostSteps is more than any history needs that comes to an end.
const mostSteps = 20_000

// run makes steps until nothing is left to happen.
func (h *history) run() error {
	if h.tracing {
		h.describe()
	}
	for n := 0; ; n++ {
		if n > mostSteps || h.real.Sub(epoch) > never/2 {
			h.check.fail(runEnds, "after %d steps and %s the history goes on: %s", n, h.real.Sub(epoch), h.unfinished())
		}
		h.totals.steps++
		if h.d == nil {
			if err := h.startDaemon(); err != nil {
				return err
			}
		}
		more, err := h.step()
		if err != nil {
			return err
		}
		if h.d.dead {
			h.crash()
			continue
		}
		if !more {
			break
		}
	}
	h.check.over()
	h.crash() // ends what is left of it
	h.totals.histories++
	return nil
}

// step lets one thing happen, and reports whether something did.
func (h *history) step() (bool, error) {
	d := h.d
	h.disturb()
	if d.dead {
		return true, nil
	}
	d.sweep()
	var able []*thread
	due := d.earliest(&able)
	turn := d.schedAsked || !d.schedDue.After(h.real)
	look := d.loopAsked || !d.loopDue.IsZero() && !d.loopDue.After(h.real)
	choices := len(able)
	if turn {
		choices++
	}
	if look {
		choices++
	}
	if choices == 0 || h.random.IntN(12) == 0 {
		return h.pass(due, choices == 0), nil
	}
	n := h.random.IntN(choices)
	switch {
	case n < len(able):
		t := able[n]
		t.advance()
		d.loopAsked = d.loopAsked || t.cancel == nil
	case turn && n == len(able):
		return true, d.turn()
	default:
		d.look()
	}
	return true, nil
}

// sweep forgets the threads that have ended.
func (d *daemon) sweep() {
	kept := d.threads[:0]
	for _, t := range d.threads {
		if !t.ended {
			kept = append(kept, t)
		}
	}
	clear(d.threads[len(kept):])
	d.threads = kept
}

// earliest finds the threads that can go on, and when something is due otherwise; zero is never.
func (d *daemon) earliest(able *[]*thread) time.Time {
	due := d.schedDue
	sooner := func(at time.Time) {
		if !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	sooner(d.loopDue)
	for _, t := range d.threads {
		blocked, until := t.blocked()
		if blocked {
			sooner(until)
		} else {
			*able = append(*able, t)
		}
	}
	return due
}

// pass lets time pass: a moment, or, when nothing else can happen, until something is due. It reports whether anything
// is to come.
func (h *history) pass(due time.Time, idle bool) bool {
	if !idle {
		h.real = h.real.Add(time.Duration(h.random.IntN(400)) * time.Millisecond)
		return true
	}
	if h.made < len(h.keys) {
		h.create()
		return true
	}
	h.check.rest()
	if h.check.finished() && len(h.d.threads) == 0 && h.d.loop.Held() == 0 {
		return false
	}
	if due.After(h.real) {
		h.real = due
	}
	return true
}

// create creates the next run, as a command line would.
func (h *history) create() {
	key := h.keys[h.made]
	h.made++
	h.say("run %s of %s is created", key.RunID, key.DagID)
	run := dag.Run{RunKey: key, State: dag.RunQueued, Type: dag.RunManual, RunAfter: epoch.Add(time.Duration(h.made) * time.Second),
		TriggeredBy: dag.ByCLI, QueuedAt: h.real}
	if err := h.store.RunCreate(context.Background(), &run); err != nil {
		panic(err)
	}
	h.hint()
}

func (h *history) hint() {
	h.d.sched.Refresh()
	h.d.schedAsked = true
}

// disturb lets something go wrong now and then.
func (h *history) disturb() {
	if h.made < len(h.keys) && h.random.IntN(10) == 0 {
		h.create()
	}
	if h.events && h.random.IntN(20) == 0 {
		h.tell()
	}
	if h.left == (faults{}) {
		return
	}
	switch h.random.IntN(60) {
	case 0, 1:
		if h.left.crashes > 0 {
			h.left.crashes--
			h.totals.crashes++
			h.die()
		}
	case 2:
		if h.left.lost > 0 {
			h.left.lost--
			h.totals.lost++
			h.d.lost = pick(h.random, lostConflict, lostUnsure, lostButDone)
		}
	case 3, 4:
		if h.left.edits > 0 {
			h.meddle()
		}
	case 5:
		if h.left.jumps > 0 {
			h.left.jumps--
			h.jumped = true
			h.totals.jumps++
			h.skew = pick(h.random, -2*time.Minute, -time.Minute, -2*time.Second, time.Minute, 6*time.Hour, 0)
			h.say("the clock is wrong by %s", h.skew)
		}
	}
}

// tell brings an event about some execution.
func (h *history) tell() {
	n, some := h.service.news()
	if !some {
		return
	}
	h.say("an event: %s", n.Text)
	over, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits for the answer
	_, _ = h.d.loop.Tell(over, []triggers.News{n})
	h.d.loopAsked = true
}

// die lets the process die: now, or at the next commit, or among the effects of a decision.
func (h *history) die() {
	switch h.random.IntN(4) {
	case 0:
		h.d.dying = beforeCommit
	case 1:
		h.d.dying = afterCommit
	case 2:
		h.d.dieAfter = h.random.IntN(3)
	default:
		h.d.dead = true
	}
}

// meddle clears, marks or ends something, as people do.
func (h *history) meddle() {
	key := h.keys[h.random.IntN(len(h.keys))]
	run := h.store.Run(key)
	tasks, _ := h.store.TaskInstanceList(context.Background(), key)
	if len(tasks) == 0 {
		return
	}
	r := &edit.Run{Run: run, Tasks: tasks, DAG: h.dag(key.DagID)}
	var e *store.Edit
	one := tasks[h.random.IntN(len(tasks))].Key
	switch h.random.IntN(6) {
	case 0, 1:
		e = &store.Edit{Clear: edit.Clear(r, edit.ClearOptions{OnlyFailed: h.random.IntN(3) == 0, Downstream: true})}
	case 2:
		e = &store.Edit{Clear: []store.ClearTask{{Key: one, Retries: r.DAG.Task(one.TaskID).Retries}}}
	case 3, 4:
		e = edit.MarkTasks(r, []dag.Key{one}, pick(h.random, dag.StateSuccess, dag.StateFailed, dag.StateSkipped))
	default:
		e = edit.MarkRun(r, pick(h.random, dag.RunSuccess, dag.RunFailed))
	}
	if len(e.Clear)+len(e.Tasks)+len(e.Runs) == 0 {
		return
	}
	h.left.edits--
	h.totals.edits++
	e.At = h.clock()
	if h.tracing {
		h.sayEdit(e)
	}
	if err := h.store.EditApply(context.Background(), e); err != nil {
		panic(err)
	}
	h.hint()
}

func (h *history) sayEdit(e *store.Edit) {
	var what []string
	for _, c := range e.Clear {
		what = append(what, "clear "+c.Key.String())
	}
	for _, t := range e.Tasks {
		what = append(what, fmt.Sprintf("mark %s %s", t.Key, t.State))
	}
	for _, r := range e.Runs {
		what = append(what, fmt.Sprintf("mark run %s %s", r.Key.RunID, r.State))
	}
	h.say("people: %s", strings.Join(what, ", "))
}

// unfinished says what has not ended.
func (h *history) unfinished() string {
	var what []string
	for _, key := range h.keys {
		if run := h.store.Run(key); !run.State.Finished() {
			what = append(what, fmt.Sprintf("run %s is %q", key.RunID, run.State))
		}
		tasks, _ := h.store.TaskInstanceList(context.Background(), key)
		for i := range tasks {
			if !tasks[i].State.Finished() {
				what = append(what, fmt.Sprintf("%s is %s", tasks[i].Key, tasks[i].State))
			}
		}
	}
	if h.d != nil {
		what = append(what, fmt.Sprintf("%d waits are held, %d threads are under way", h.d.loop.Held(), len(h.d.threads)))
	}
	return strings.Join(what, ", ")
}

func (h *history) dag(id string) *dag.DAG {
	for _, d := range h.dags {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// describe begins a trace with what the history is about.
func (h *history) describe() {
	for _, name := range slices.Sorted(maps.Keys(h.pools)) {
		p := h.pools[name]
		h.say("pool %s: %d slots, deferred %t", p.Name, p.Slots, p.IncludeDeferred)
	}
	for _, d := range h.dags {
		h.say("DAG %s: max_active_runs %d, max_active_tasks %d, timeout %s, fail_fast %t", d.ID, d.MaxActiveRuns,
			d.MaxActiveTasks, d.DagrunTimeout, d.FailFast)
		for _, t := range d.Tasks {
			h.say("  %s after %v (%s): %s %v, retries %d after %s, pool %s, timeout %s, limits %d %d", t.ID, t.Upstream,
				t.TriggerRule, t.Operator, t.Params, t.Retries, t.RetryDelay, t.Pool, t.ExecutionTimeout,
				t.MaxActivePerDAG, t.MaxActivePerRun)
		}
	}
	h.say("%d slots, runs %v, faults %+v, trouble %d", h.slots, h.keys, h.left, h.trouble)
}
