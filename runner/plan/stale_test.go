package plan_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// deferring is a world with one attempt that is out, and the report with which it parks itself.
func deferring(t *testing.T) (*world, executor.Report) {
	t.Helper()
	w := newWorld(t, plan.Config{Slots: 1})
	w.step(load(plantest.Build("d\na retries=1")))
	w.now = epoch.Add(time.Minute)
	w.trigger(manual("d", "r", epoch))
	a := w.try(dag.Key{DagID: "d", RunID: "r", TaskID: "a", MapIndex: -1})
	return w, executor.Report{Attempt: a, Kind: executor.Deferred, At: w.now,
		Deferral: &dag.Deferral{Kind: "k", Args: []byte("1"), Since: w.now}}
}

// What an attempt has started that parks itself although its task has been cleared is to be stopped.
func TestClearedAttemptThatParksItselfIsStopped(t *testing.T) {
	t.Parallel()
	w, r := deferring(t)
	edit := &store.Edit{At: w.now, Clear: []store.ClearTask{{Key: r.Attempt.Key, Retries: 1}}}
	if err := w.store.EditApply(context.Background(), edit); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	w.report(r)
	if len(w.notified) != 1 || w.notified[0].Callback.Wait() == nil || w.notified[0].TryNumber != 1 {
		t.Errorf("asked for: %+v", w.notified)
	}
}

// What an attempt has started is to be stopped when its run is ended between two hands: here, after its wait.
func TestTimeoutStopsWhatWaitsForASlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan.Config{Slots: 1})
	w.step(load(plantest.Build("d timeout=1h\na\nb weight=9")))
	w.now = epoch.Add(time.Minute)
	w.trigger(manual("d", "r", epoch))
	key := func(id string) dag.Key { return dag.Key{DagID: "d", RunID: "r", TaskID: id, MapIndex: -1} }
	wait := &dag.Deferral{Kind: "k", Since: w.now}
	w.report(executor.Report{Attempt: w.try(key("b")), Kind: executor.Deferred, Deferral: wait})
	over := *wait
	over.Failed = "denied"
	w.report(executor.Report{Attempt: w.try(key("b")), Kind: executor.Fired, Deferral: &over}) // a has the slot
	w.now = w.now.Add(2 * time.Hour)
	w.step()
	w.report(executor.Report{Attempt: w.try(key("a")), Kind: executor.Failed})
	var stopped []string
	for _, c := range w.notified {
		stopped = append(stopped, c.TaskID)
	}
	if slices.Sort(stopped); !slices.Equal(stopped, []string{"a", "b"}) {
		t.Errorf("to be stopped: %q", stopped)
	}
}

// A run does not end while a task of it is being cleared.
func TestRunDoesNotEndOverAnEdit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan.Config{Slots: 1})
	w.step(load(plantest.Build("d\na >> b")))
	w.now = epoch.Add(time.Minute)
	w.trigger(manual("d", "r", epoch))
	key := func(id string) dag.Key { return dag.Key{DagID: "d", RunID: "r", TaskID: id, MapIndex: -1} }
	w.report(executor.Report{Attempt: w.try(key("a")), Kind: executor.Succeeded})
	last := executor.Report{Attempt: w.try(key("b")), Kind: executor.Succeeded, At: w.now}
	d := w.state.Step([]plan.Event{plan.Reported{Report: last}}, w.now)
	edit := &store.Edit{At: w.now, Clear: []store.ClearTask{{Key: key("a")}}}
	if err := w.store.EditApply(context.Background(), edit); err != nil { // after the decision, before its commit
		t.Fatal(err)
	}
	if err := w.store.EngineCommit(context.Background(), &d.Changes); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("the commit is %v, want a conflict", err)
	}
	delete(w.out, last.Attempt)
	w.load(w.state, true)
	w.step(plan.Reported{Report: last})
	if len(w.out) != 1 {
		t.Errorf("%d attempts out, want that of the cleared task", len(w.out))
	}
}

// A try that has not begun would have gone on with what the try before it left: that is to be stopped in its place.
func TestTimeoutStopsWhatTheTryBeforeLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan.Config{Slots: 1})
	w.step(load(plantest.Build("d timeout=1h\na retries=1\nb")))
	w.now = epoch.Add(time.Minute)
	w.trigger(manual("d", "r", epoch))
	key := dag.Key{DagID: "d", RunID: "r", TaskID: "a", MapIndex: -1}
	w.report(executor.Report{Attempt: w.try(key), Kind: executor.Failed, Error: "waited too long"}) // b has the slot
	w.now = w.now.Add(time.Minute)
	w.step()
	w.now = w.now.Add(2 * time.Hour)
	w.step()
	b := dag.Attempt{Key: dag.Key{DagID: "d", RunID: "r", TaskID: "b", MapIndex: -1}, TryNumber: 1}
	w.report(executor.Report{Attempt: b, Kind: executor.Failed})
	tries := map[string]int{}
	for _, c := range w.notified {
		tries[c.TaskID] = c.TryNumber
	}
	if tries["a"] != 2 || tries["b"] != 1 {
		t.Errorf("to be stopped, by task: %v", tries)
	}
}
