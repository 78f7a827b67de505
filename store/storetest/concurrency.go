package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"gust/dag"
	"gust/store"
)

// testConcurrentWriters: commands and reads go on while the engine commits.
func testConcurrentWriters(t *testing.T, s store.Store) { meet(t, s, s) }

func testCommandsMeetEngine(t *testing.T, open func() store.Store) { meet(t, open(), open()) }

// meet lets an engine walk tasks through their states while commands use another handle, and checks that both did all
// their work.
func meet(t *testing.T, engine, commands store.Store) {
	t.Helper()
	const tasks, rounds, writers = 20, 15, 4
	run := Started(NewRun("orders", 0), "v1")
	changes := &store.Changes{Dags: []store.DagRow{NewDagRow("orders")}, Runs: []store.RunChange{{New: true, Run: run}}}
	var current []dag.TaskInstance
	for i := range tasks {
		ti := NewTask(run.RunKey, fmt.Sprintf("t%d", i))
		current = append(current, ti)
		changes.Tasks = append(changes.Tasks, store.TaskChange{New: true, Task: ti})
	}
	Commit(t, engine, changes)
	var wg sync.WaitGroup
	fail := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	wg.Go(func() {
		for n := range rounds {
			batch := &store.Changes{Heartbeat: &store.Heartbeat{Host: "h", At: Time(n)}}
			for i := range current {
				next := InState(current[i], dag.TaskStates[n%len(dag.TaskStates)])
				batch.Tasks = append(batch.Tasks, Move(current[i], next))
				current[i] = next
			}
			fail(engine.EngineCommit(t.Context(), batch))
		}
	})
	for w := range writers {
		wg.Go(func() {
			for n := range rounds {
				r := NewRun(fmt.Sprintf("cli%d", w), n)
				fail(commands.RunCreate(t.Context(), &r))
				fail(commands.DagSetPaused(t.Context(), "orders", n%2 == 0))
				_, err := commands.TaskInstanceList(t.Context(), run.RunKey)
				fail(err)
			}
		})
	}
	wg.Wait()
	got, err := commands.TaskInstanceList(t.Context(), run.RunKey)
	noError(t, err)
	equal(t, "the engine's rows", current, got)
	refresh, err := engine.EngineRefresh(t.Context())
	noError(t, err)
	if len(refresh.Queued) != writers*rounds {
		t.Errorf("%d runs were created, want %d", len(refresh.Queued), writers*rounds)
	}
}

// testRacingTransitions: of many that leave the same state, one wins.
func testRacingTransitions(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	ti := NewTask(run.RunKey, "extract")
	CreateRun(t, s, run, ti)
	var wg sync.WaitGroup
	var won, created atomic.Int32
	for range 8 {
		wg.Go(func() {
			err := s.EngineCommit(t.Context(), &store.Changes{Tasks: []store.TaskChange{Move(ti, InState(ti, dag.StateQueued))}})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
			r := NewRun("orders", 2)
			if err := s.RunCreate(t.Context(), &r); err == nil {
				created.Add(1)
			} else if !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || created.Load() != 1 {
		t.Errorf("%d transitions and %d creations won, want one each", won.Load(), created.Load())
	}
}

// testRandomTransitions compares the store with a map, over random batches.
func testRandomTransitions(t *testing.T, s store.Store) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		run := Started(NewRun("orders", round), "v1")
		CreateRun(t, s, run)
		model := map[string]dag.TaskInstance{}
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			changes, next := drawBatch(rt, run.RunKey, model)
			before, err := s.TaskInstanceList(t.Context(), run.RunKey)
			noError(t, err)
			err = s.EngineCommit(t.Context(), changes)
			if next == nil {
				if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrExists) {
					rt.Fatalf("error %v, want a conflict, of %+v", err, changes.Tasks)
				}
				after, err := s.TaskInstanceList(t.Context(), run.RunKey)
				noError(t, err)
				equal(t, "rows after a conflict", before, after)
				continue
			}
			if err != nil {
				rt.Fatal(err)
			}
			model = next
			for _, want := range model {
				equal(t, "row", want, getTask(t, s, want.Key))
			}
		}
	})
}

// drawBatch draws changes and returns what the tasks are after them, or nil when one of the changes must be refused.
func drawBatch(
	rt *rapid.T, run dag.RunKey, model map[string]dag.TaskInstance,
) (*store.Changes, map[string]dag.TaskInstance) {
	next := map[string]dag.TaskInstance{}
	for id, ti := range model {
		next[id] = ti
	}
	changes, refused := &store.Changes{}, false
	for range rapid.IntRange(1, 8).Draw(rt, "changes") {
		id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "task")
		current, exists := next[id]
		to := InState(NewTask(run, id), rapid.SampledFrom(dag.TaskStates).Draw(rt, "to"))
		to.TryNumber += rapid.IntRange(0, 2).Draw(rt, "tries")
		change := store.TaskChange{New: !exists, From: current.State, FromTry: current.TryNumber, Task: to}
		switch rapid.IntRange(0, 30).Draw(rt, "mistake") {
		case 0:
			change.New = !change.New
			refused = true
		case 1:
			if exists {
				change.FromTry++
				refused = true
			}
		}
		changes.Tasks = append(changes.Tasks, change)
		next[id] = to
	}
	if refused {
		return changes, nil
	}
	return changes, next
}

func testRestart(t *testing.T, open func() store.Store) {
	first := open()
	want := loadFixture(t, first)
	noError(t, first.Close())
	second := open()
	noError(t, second.SchemaMigrate(t.Context()))
	got, err := second.EngineLoad(t.Context())
	noError(t, err)
	equalSnapshots(t, "snapshot after a restart", want, got)
	if _, err := first.DagList(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
	if err := first.EngineCommit(t.Context(), everything(want)); err == nil {
		t.Error("a closed store commits")
	}
}

func testRefreshSeesOthers(t *testing.T, open func() store.Store) {
	engine, command := open(), open()
	want := loadFixture(t, engine).Refresh
	for n := range 5 {
		paused := n%2 == 0
		noError(t, command.DagSetPaused(t.Context(), "orders", paused))
		want.Dags[0].IsPaused = paused
		got, err := engine.EngineRefresh(t.Context())
		noError(t, err)
		equal(t, "after another process's pause", &want, got)
		Commit(t, engine, &store.Changes{Heartbeat: &store.Heartbeat{Host: "h", At: Time(n)}})
	}
}

func testTwoEngines(t *testing.T, open func() store.Store) {
	one, two := open(), open()
	run := Started(NewRun("orders", 1), "v1")
	ti := NewTask(run.RunKey, "extract")
	CreateRun(t, one, run, ti)
	Commit(t, two, &store.Changes{Tasks: []store.TaskChange{Move(ti, InState(ti, dag.StateQueued))}})
	late := &store.Changes{Tasks: []store.TaskChange{Move(ti, InState(ti, dag.StateSkipped))}}
	err := one.EngineCommit(t.Context(), late)
	wantError(t, err, store.ErrConflict, "extract", "queued")
}

// testReadersSeeWholeCommits: every commit moves two tasks together; no snapshot may see them apart.
func testReadersSeeWholeCommits(t *testing.T, open func() store.Store) {
	writer, reader := open(), open()
	run := Started(NewRun("orders", 1), "v1")
	a, b := NewTask(run.RunKey, "a"), NewTask(run.RunKey, "b")
	CreateRun(t, writer, run, a, b)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 100 {
			state := []dag.State{dag.StateRunning, dag.StateSuccess}[n%2]
			nextA, nextB := InState(a, state), InState(b, state)
			both := &store.Changes{Tasks: []store.TaskChange{Move(a, nextA), Move(b, nextB)}}
			if err := writer.EngineCommit(t.Context(), both); err != nil {
				t.Error(err)
				return
			}
			a, b = nextA, nextB
		}
	})
	for range 30 {
		snapshot, err := reader.EngineLoad(t.Context())
		noError(t, err)
		if tasks := snapshot.Active[0].Tasks; tasks[0].State != tasks[1].State {
			t.Errorf("half a commit is visible: %s and %s", tasks[0].State, tasks[1].State)
		}
	}
	wg.Wait()
}
