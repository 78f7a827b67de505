package simtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gust/dag"
	"gust/runner/attempt"
	"gust/runner/callback"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/scheduler"
	"gust/runner/triggerer"
	"gust/runner/worker"
	"gust/store"
	"gust/triggers"
	sfntrigger "gust/triggers/stepfunctions"
)

// daemon is one life of the process: everything that a crash forgets.
type daemon struct {
	h     *history
	sched *scheduler.Scheduler
	loop  *triggerer.Loop
	calls *callback.Loop
	env   *attempt.Env
	dead  bool
	// dieAfter counts down the effects of this life until it dies among them; negative is never.
	dieAfter int
	// dying is where the next commit dies, if anywhere; lost is how the next one is lost.
	dying crashPoint
	lost  lostHow

	threads []*thread
	out     map[dag.Attempt]*thread
	jobs    int

	schedAsked, loopAsked bool
	schedDue, loopDue     time.Time // in real time; zero is not without being asked
}

type crashPoint int

const (
	nowhere crashPoint = iota
	beforeCommit
	afterCommit
)

type lostHow int

const (
	notLost lostHow = iota
	lostConflict
	lostUnsure
	lostButDone
)

// startDaemon begins a life, with what the store holds.
func (h *history) startDaemon() error {
	d := &daemon{h: h, dieAfter: -1, out: map[dag.Attempt]*thread{}}
	h.d = d
	reg := triggers.NewRegistry()
	deps := sfntrigger.Deps{Clients: clients{w: h.player}, Connections: noConnections{}, Concurrency: 1}
	if err := sfntrigger.Register(reg, deps); err != nil {
		return err
	}
	d.env = &attempt.Env{Operators: h.player.operators, XComs: h.store, Renderer: renderer{}, Now: h.clock}
	d.loop = triggerer.New(triggerer.Config{Env: d.env, Triggers: reg, Waits: h.store, Go: d.job})
	d.calls = callback.New(callback.Options{Store: h.store, Env: d.env, Go: d.job, Pause: h.player.hold})
	d.sched = scheduler.New(scheduler.Options{
		Store: disk{h.store, d}, Executor: d, Triggers: waits{d}, Notifier: stops{d}, Now: h.clock, StateLag: h.lag,
		RefreshEvery: never, HeartbeatEvery: never,
	})
	if err := d.sched.Begin(context.Background()); err != nil {
		return err
	}
	for _, g := range h.dags {
		d.sched.FileChanged(plan.File{Path: g.FileLoc, DAGs: []*dag.DAG{g}})
	}
	d.schedAsked = true
	return nil
}

// never is longer than any history.
const never = 100 * 365 * 24 * time.Hour

// crash ends a life. What has not reached the store, or the service, is gone.
func (h *history) crash() {
	d := h.d
	d.dead = true
	h.say("the process dies")
	d.bury()
	h.d = nil
}

// bury ends what a dead process has left behind.
func (d *daemon) bury() {
	for _, t := range d.threads {
		t.bury()
	}
}

// turn lets the scheduler make a round.
func (d *daemon) turn() error {
	d.schedAsked = false
	d.h.say("the scheduler's turn")
	pause, err := d.sched.Turn()
	if d.dead {
		return nil
	}
	d.schedDue = d.h.real.Add(pause)
	return err
}

// look lets the trigger loop make a turn.
func (d *daemon) look() {
	d.loopAsked = false
	d.h.say("the loop's turn")
	d.loopDue = time.Time{}
	if sleep := d.loop.Turn(); sleep >= 0 {
		d.loopDue = d.h.real.Add(sleep)
	}
}

// job is how the trigger loop and the notifier begin something that blocks.
func (d *daemon) job(body func()) {
	d.jobs++
	d.start(&thread{name: fmt.Sprintf("job %d", d.jobs), body: body})
}

func (d *daemon) start(t *thread) {
	t.d, t.arrived, t.goOn = d, make(chan struct{}), make(chan error)
	d.threads = append(d.threads, t)
}

// effect says whether the process still lives when it carries out an effect.
func (d *daemon) effect() bool {
	if d.dieAfter == 0 {
		d.dead = true
	}
	d.dieAfter--
	return !d.dead
}

// Start implements executor.Executor.
func (d *daemon) Start(context.Context, executor.Reporter) error { return nil }

// Slots implements executor.Executor.
func (d *daemon) Slots() int { return d.h.slots }

// Stop implements executor.Executor.
func (d *daemon) Stop(context.Context) error { return nil }

// Dispatch implements executor.Executor: a real worker runs the attempt, on a thread.
func (d *daemon) Dispatch(w executor.Work) {
	if !d.effect() {
		return
	}
	a := w.Attempt()
	d.h.check.begins(d, a)
	t := &thread{name: a.String(), attempt: a}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.body = func() {
		(&worker.Worker{Env: d.env}).Run(t.ctx, &w, flight{t})
		t.cancel(nil)
	}
	d.out[a] = t
	d.start(t)
}

// Kill implements executor.Executor.
func (d *daemon) Kill(a dag.Attempt, reason string) {
	if t := d.out[a]; d.effect() && t != nil {
		t.killed = reason
	}
}

// flight passes on the reports of an attempt.
type flight struct{ t *thread }

func (f flight) Report(r executor.Report) {
	d := f.t.d
	if r.Kind != executor.Started && r.Kind != executor.Pushed && !d.dead {
		delete(d.out, r.Attempt)
	}
	d.report(r)
}

// report takes a report to the scheduler. One that asks for a commit holds up the thread that gives it.
func (d *daemon) report(r executor.Report) {
	switch {
	case d.dead:
		if r.Committed != nil {
			r.Committed(errDead)
		}
		return
	case r.Kind != executor.Pushed:
		d.h.say("  %s reports %s", r.Attempt, kinds[r.Kind])
		d.h.check.reported(&r)
	}
	if r.Kind == executor.Pushed {
		d.h.current.push(r)
		return
	}
	if then := r.Committed; then != nil { // the loop goes on with it
		r.Committed = func(err error) {
			d.loopAsked = true
			then(err)
		}
	}
	d.sched.Report(r)
	d.schedAsked = true
}

var kinds = [...]string{"", "started", "pushed", "succeeded", "skipped", "failed", "deferred", "parked", "fired", "noted",
	"rescheduled", "interrupted"}

// waits is the real trigger loop as the scheduler sees it.
type waits struct{ d *daemon }

func (w waits) Start(ctx context.Context, _ executor.Reporter) error {
	return w.d.loop.Begin(ctx, reporter(w.d.report))
}

func (w waits) Stop(context.Context) error { return nil }

func (w waits) Park(work executor.Work) {
	if w.d.effect() {
		w.d.h.say("  %s is parked", work.Attempt())
		w.d.loop.Park(work)
		w.d.loopAsked = true
	}
}

func (w waits) Drop(a dag.Attempt, reason string) {
	if w.d.effect() {
		w.d.h.say("  %s is dropped: %s", a, reason)
		w.d.loop.Drop(a, reason)
		w.d.loopAsked = true
	}
}

// stops is the real notifier: of callbacks, a history has only requests to stop what an attempt has started.
type stops struct{ d *daemon }

func (s stops) Start(ctx context.Context, _ executor.CallbackReporter) error {
	return s.d.calls.Start(ctx, s)
}

func (s stops) Stop(context.Context) error { return nil }

func (s stops) Notify(c dag.CallbackRequest) {
	if s.d.effect() {
		s.d.h.say("  what %s try %d has started is to be stopped: %s", c.Key, c.TryNumber, c.Reason)
		s.d.calls.Notify(c)
	}
}

// CallbackDone takes to the scheduler that nothing is left to be stopped.
func (s stops) CallbackDone(id int64) {
	if !s.d.dead {
		s.d.sched.CallbackDone(id)
		s.d.schedAsked = true
	}
}

type reporter func(executor.Report)

func (r reporter) Report(rep executor.Report) { r(rep) }

// errDying ends a scheduler whose process dies in the middle of a commit.
var errDying = fmt.Errorf("the process dies: %w", store.ErrCorrupt)

// disk is the store as one life of the process sees it.
type disk struct {
	*memory
	d *daemon
}

// EngineCommit commits, unless something happens to it.
func (s disk) EngineCommit(ctx context.Context, c *store.Changes) error {
	d := s.d
	if d.dying == beforeCommit {
		d.dead = true
		return errDying
	}
	if d.h.left.edits > 0 && d.h.random.IntN(30) == 0 {
		d.h.meddle() // between the decision and its commit
	}
	lost := d.lost
	d.lost = notLost
	switch lost {
	case lostConflict:
		d.h.say("  the commit is lost")
		return store.ErrConflict
	case lostUnsure:
		d.h.say("  it is not known whether the commit is lost: it is")
		return store.ErrUncertain
	case notLost, lostButDone:
	}
	if err := s.memory.EngineCommit(ctx, c); err != nil {
		return err
	}
	d.h.check.committed(c)
	switch {
	case d.dying == afterCommit:
		d.dead = true
		return errDying
	case lost == lostButDone:
		d.h.say("  it is not known whether the commit is lost: it is not")
		return store.ErrUncertain
	}
	return nil
}

var errNone = errors.New("there is none")
