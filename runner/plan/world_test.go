package plan_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// epoch is when every test world begins.
var epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// TestMain plays fewer simulations under the race detector, unless it is told how many.
func TestMain(m *testing.M) {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "rapid.checks" })
	if raceEnabled && !told {
		if err := flag.Set("rapid.checks", "15"); err != nil {
			panic(err)
		}
	}
	m.Run()
}

// failer is the part of testing.TB and rapid.T that a world needs.
type failer interface {
	Fatalf(format string, args ...any)
	Helper()
}

// world is a plan with everything around it: a store, an executor and a trigger loop that only remember.
type world struct {
	t        failer
	cfg      plan.Config
	store    *plantest.Store
	state    *plan.State
	now      time.Time
	out      map[dag.Attempt]executor.Work
	parked   map[dag.Attempt]executor.Work
	killed   map[dag.Attempt]string
	dropped  map[dag.Attempt]bool
	warnings []string
	stale    int
	wake     time.Time
	notified []dag.CallbackRequest
	// deferred are the attempts whose wait has been stored.
	deferred map[dag.Attempt]bool
	// shadow, when set, must always decide as state does.
	shadow *plan.State
	// crashing is where the next step dies, if anywhere.
	crashing crashPoint
	// committed is called after each commit, dispatched with each attempt that begins.
	committed  func(*store.Changes)
	dispatched func(executor.Work)
}

// crashPoint is where a process dies within a step.
type crashPoint int

const (
	nowhere crashPoint = iota
	beforeCommit
	afterCommit // and before any effect
)

func newWorld(t failer, cfg plan.Config) *world {
	w := &world{
		t: t, cfg: cfg, store: plantest.NewStore(), now: epoch,
		out: map[dag.Attempt]executor.Work{}, parked: map[dag.Attempt]executor.Work{}, killed: map[dag.Attempt]string{},
		deferred: map[dag.Attempt]bool{},
		dropped:  map[dag.Attempt]bool{},
	}
	w.load(nil, false)
	return w
}

// load makes the state anew from the store. Executor and trigger loop live on when it replaces a state.
func (w *world) load(survivors *plan.State, lost bool) {
	w.t.Helper()
	snap, err := w.store.EngineLoad(context.Background())
	if err != nil {
		w.t.Fatalf("load: %v", err)
	}
	shadowed := *snap // New takes over what it is given
	shadowed.Active = slices.Clone(snap.Active)
	cfg := w.cfg
	cfg.Replaces, cfg.Lost = survivors, lost
	w.state = plan.New(cfg, snap, w.now)
	if w.shadow != nil {
		if survivors != nil {
			cfg.Replaces = w.shadow
		}
		w.shadow = plan.New(cfg, &shadowed, w.now)
	}
}

// crash forgets everything that is not in the store.
func (w *world) crash() {
	w.crashing = nowhere
	clear(w.out)
	clear(w.parked)
	clear(w.killed)
	w.load(nil, false)
}

// step takes in events, commits and releases the effects.
func (w *world) step(events ...plan.Event) {
	w.t.Helper()
	for range 100 {
		d := w.state.Step(events, w.now)
		if w.shadow != nil {
			if diff := cmp.Diff(d, w.shadow.Step(events, w.now), samePointers); diff != "" {
				w.t.Fatalf("two states decide differently:\n%s", diff)
			}
		}
		if w.crashing == beforeCommit {
			w.crash()
			return
		}
		if !d.Changes.Empty() {
			err := w.store.EngineCommit(context.Background(), &d.Changes)
			if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUncertain) {
				w.load(w.state, true)
				continue
			}
			if err != nil {
				w.t.Fatalf("commit: %v", err)
			}
		}
		for i := range d.Changes.Tasks {
			if t := &d.Changes.Tasks[i].Task; t.State == dag.StateDeferred {
				w.deferred[t.Attempt()] = true
			}
		}
		if w.committed != nil {
			w.committed(&d.Changes)
		}
		if w.crashing == afterCommit {
			w.crash()
			return
		}
		events = w.release(d)
		if d.Reload {
			w.load(w.state, false)
			continue
		}
		if len(events) == 0 && (d.Wake.IsZero() || d.Wake.After(w.now)) {
			return
		}
	}
	w.t.Fatalf("the plan does not come to rest")
}

// release carries out a committed decision and returns the answers to its questions.
func (w *world) release(d plan.Decision) []plan.Event {
	w.t.Helper()
	w.wake = d.Wake
	w.stale += len(d.Stale)
	w.warnings = append(w.warnings, d.Warnings...)
	for _, e := range d.Effects {
		switch e := e.(type) {
		case plan.Dispatch:
			a := e.Attempt()
			if _, ok := w.out[a]; ok {
				w.t.Fatalf("%s is dispatched twice", a)
			}
			if len(w.out) >= w.cfg.Slots {
				w.t.Fatalf("%s is dispatched beyond %d slots", a, w.cfg.Slots)
			}
			w.out[a] = e.Work
			if w.dispatched != nil {
				w.dispatched(e.Work)
			}
		case plan.Park:
			if _, ok := w.parked[e.Attempt()]; ok {
				w.t.Fatalf("%s is parked twice", e.Attempt())
			}
			w.parked[e.Attempt()] = e.Work
		case plan.Kill:
			w.killed[e.Attempt] = e.Reason
		case plan.Notify:
			w.notified = append(w.notified, e.Callback)
		case plan.Drop:
			w.canStop(e)
			delete(w.parked, e.Attempt)
			w.dropped[e.Attempt] = true
		}
	}
	var answers []plan.Event
	for _, n := range d.Needs {
		e, err := w.store.Answer(n)
		if err != nil {
			w.t.Fatalf("answer: %v", err)
		}
		answers = append(answers, e)
	}
	return answers
}

// canStop checks that what an attempt that the plan itself gives up waits for can still be read, so that it can be
// stopped. What edits leave readable is the store's own matter.
func (w *world) canStop(e plan.Drop) {
	w.t.Helper()
	if !w.deferred[e.Attempt] || e.Reason == "" || strings.Contains(e.Reason, "another process") {
		return
	}
	waits, err := w.store.WaitsGet(context.Background(), []dag.Attempt{e.Attempt})
	if err != nil || waits[0].Task == nil {
		w.t.Fatalf("%s is dropped (%s) and its wait is gone: %v", e.Attempt, e.Reason, err)
	}
}

// report sends a report of an attempt, which leaves the executor or trigger loop when it says so.
func (w *world) report(r executor.Report) {
	w.t.Helper()
	r.At = w.now
	switch r.Kind {
	case executor.Deferred, executor.Succeeded, executor.Skipped, executor.Failed, executor.Rescheduled,
		executor.Interrupted, executor.Fired:
		delete(w.out, r.Attempt)
		delete(w.parked, r.Attempt)
	}
	w.step(plan.Reported{Report: r})
}

// trigger creates a queued run as the command line does, and tells the plan.
func (w *world) trigger(r dag.Run) {
	w.t.Helper()
	if err := w.store.RunCreate(context.Background(), &r); err != nil {
		w.t.Fatalf("trigger: %v", err)
	}
	w.refresh()
}

func (w *world) refresh() {
	w.t.Helper()
	r, err := w.store.EngineRefresh(context.Background())
	if err != nil {
		w.t.Fatalf("refresh: %v", err)
	}
	w.step(plan.Refreshed{Refresh: *r})
}

func manual(dagID, runID string, after time.Time) dag.Run {
	return dag.Run{
		RunKey: dag.RunKey{DagID: dagID, RunID: runID}, State: dag.RunQueued, Type: dag.RunManual, RunAfter: after,
		TriggeredBy: dag.ByCLI, QueuedAt: after,
	}
}

func (w *world) try(key dag.Key) dag.Attempt {
	w.t.Helper()
	ti, ok := w.store.Task(key)
	if !ok {
		w.t.Fatalf("no task instance %s", key)
	}
	for _, set := range []map[dag.Attempt]executor.Work{w.out, w.parked} {
		for a := range set {
			if a.Key == key {
				return a
			}
		}
	}
	return ti.Attempt()
}

func load(d *dag.DAG) plan.File { return plan.File{Path: d.FileLoc, DAGs: []*dag.DAG{d}} }

// samePointers compares DAGs and tasks by identity: they are shared, and large.
var samePointers = cmp.Options{
	cmp.Comparer(func(a, b *dag.DAG) bool { return a == b }),
	cmp.Comparer(func(a, b *dag.Task) bool { return a == b }),
}
