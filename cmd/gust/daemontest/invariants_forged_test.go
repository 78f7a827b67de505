//go:build linux

package daemontest

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

// goodPast is a past that breaks nothing: a run with a start that was tried twice, and a bash task that a kill
// interrupted.
func goodPast() *past {
	run := dag.RunKey{DagID: "d", RunID: "r"}
	start, work := key(run, "start"), key(run, "work")
	return &past{
		runs: []dag.Run{{RunKey: run, State: dag.RunSuccess}},
		tasks: map[dag.RunKey][]dag.TaskInstance{run: {
			{Key: start, State: dag.StateSuccess, TryNumber: 2}, {Key: work, State: dag.StateSuccess, TryNumber: 1, Operator: "BashOperator"},
		}},
		changes: []change{
			{start, dag.StateNone, dag.StateQueued, 1}, {start, dag.StateQueued, dag.StateUpForRetry, 1},
			{start, dag.StateUpForRetry, dag.StateQueued, 2}, {start, dag.StateQueued, dag.StateDeferred, 2},
			{start, dag.StateDeferred, dag.StateSuccess, 2}, {work, dag.StateNone, dag.StateQueued, 1},
			{work, dag.StateQueued, dag.StateSuccess, 1},
		},
		executions: []execution{
			{arn: "one", by: "d r start 1", status: "FAILED"}, {arn: "two", by: "d r start 2", status: "SUCCEEDED"},
		},
		journal: []beginning{{attempt: "d r work 1", life: 0}, {attempt: "d r work 1", life: 1}},
		ended:   map[string]bool{"d r work 1": true},
		wanted: map[string]pipeline{"d": {
			run: dag.RunSuccess, tasks: map[string]end{"start": {dag.StateSuccess, 2}, "work": done},
			executions: map[string]int{"start": 2}, waits: map[string]bool{"start": true},
		}},
		meddled: map[dag.RunKey]bool{}, marked: map[dag.Key]bool{},
	}
}

// epoch is some time.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func key(run dag.RunKey, task string) dag.Key {
	return dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: task, MapIndex: -1}
}

// TestInvariantsSeeWhatIsBroken forges a violation of each invariant.
func TestInvariantsSeeWhatIsBroken(t *testing.T) {
	t.Parallel()
	if broken := goodPast().broken(); len(broken) > 0 {
		t.Fatalf("a good past is called broken: %q", broken)
	}
	run := dag.RunKey{DagID: "d", RunID: "r"}
	own := goodPast() // ended by somebody, before its execution
	own.executions[1].status = "RUNNING"
	own.asked = map[dag.Attempt]asked{{Key: key(run, "start"), TryNumber: 2}: fired}
	if broken := own.broken(); len(broken) > 0 {
		t.Fatalf("what people have done is called broken: %q", broken)
	}
	for name, c := range map[string]struct {
		forge func(*past)
		want  string
	}{
		"a run is lost":              {func(p *past) { p.count = map[string]int{"d": 2} }, "DAG d has 1 runs, want 2"},
		"a task did not run":         {func(p *past) { p.journal = nil }, `attempt "d r work 1" has left no trace`},
		"a run goes on":              {func(p *past) { p.runs[0].State = dag.RunRunning }, "run r of DAG d is running"},
		"a run ends otherwise":       {func(p *past) { p.runs[0].State = dag.RunFailed }, "want success"},
		"a task ends otherwise":      {func(p *past) { p.tasks[run][1].TryNumber = 2 }, "after 2 tries, want success after 1"},
		"a task is missing":          {func(p *past) { p.tasks[run] = p.tasks[run][:1] }, "0 instances of work, want 1"},
		"a parked task is forgotten": {func(p *past) { p.tasks[run][0].State = dag.StateDeferred }, "is deferred after the end of its run"},
		"an attempt starts two": {func(p *past) { p.executions = append(p.executions, execution{"three", "d r start 2", "SUCCEEDED"}) },
			"started more than one execution"},
		"nobody starts one": {func(p *past) { p.executions = append(p.executions, execution{"three", "d r start 3", "SUCCEEDED"}) },
			"which is no attempt"},
		"an execution is lost": {func(p *past) { p.executions = p.executions[1:] }, `no execution was started by "d r start 1"`},
		"a cleared task succeeds without one": {func(p *past) { p.executions, p.meddled[run] = nil, true },
			"succeeded without an execution"},
		"an execution goes on":   {func(p *past) { p.executions[0].status = "RUNNING" }, "is RUNNING although nobody waits for it"},
		"an outcome is invented": {func(p *past) { p.executions[1].status = "FAILED" }, "is success, its executions are [FAILED FAILED]"},
		"an end is overwritten": {func(p *past) {
			p.changes = append(p.changes, change{key(run, "work"), dag.StateSuccess, dag.StateFailed, 1})
		}, "went from success to failed"},
		"an end is applied twice": {func(p *past) {
			p.changes = append(p.changes, change{key(run, "work"), dag.StateQueued, dag.StateSuccess, 1})
		}, "ended twice"},
		"an attempt begins twice in one life": {func(p *past) { p.journal[1].life = 0 }, "began twice in the life of daemon 0"},
		"an attempt begins after its end":     {func(p *past) { p.journal[1].known = true }, "began again after its end was stored"},
		"an attempt gets lost":                {func(p *past) { p.ended = nil }, "began and never ended"},
		"a request to end a wait is overlooked": {func(p *past) { p.requestedEnds = []string{"d r start 2"} },
			`nobody has looked at the end that was asked for the wait of "d r start 2"`},
		"a cancelled wait's execution goes on": {func(p *past) {
			p.executions[1].status = "RUNNING"
			p.asked = map[dag.Attempt]asked{{Key: key(run, "start"), TryNumber: 2}: {}}
		}, "is RUNNING although nobody waits for it"},
		"a cancelled wait ends well": {func(p *past) {
			p.executions[1].status = "ABORTED"
			p.asked = map[dag.Attempt]asked{{Key: key(run, "start"), TryNumber: 2}: {}}
		}, "is success, its executions are [FAILED ABORTED]"},
		"a pool overflows": {func(p *past) { p.limits = []string{"pool narrow has 2 slots, 3 are taken"} }, "3 are taken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := goodPast()
			c.forge(p)
			if broken := strings.Join(p.broken(), "\n"); !strings.Contains(broken, c.want) {
				t.Errorf("%q, want %q", broken, c.want)
			}
		})
	}
}

// TestLimitsSeeWhatIsBeyond puts more tasks on their way than a pool and the other limits allow.
func TestLimitsSeeWhatIsBeyond(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	narrow, ticks := dag.RunKey{DagID: "narrow", RunID: "r"}, []dag.Run{}
	for _, id := range []string{"a", "b", "c"} {
		ticks = append(ticks, dag.Run{RunKey: dag.RunKey{DagID: "ticks", RunID: id}})
	}
	changes := store.Changes{}
	for _, r := range append(ticks, dag.Run{RunKey: narrow}) {
		r.State, r.Type, r.StartDate, r.RunAfter, r.TriggeredBy = dag.RunRunning, dag.RunManual, epoch, epoch, dag.ByCLI
		changes.Runs = append(changes.Runs, store.RunChange{New: true, Run: r})
	}
	put := func(pool, task string, n int) {
		for i := range n {
			k := key(narrow, task)
			k.MapIndex = i
			changes.Tasks = append(changes.Tasks, store.TaskChange{New: true, Task: dag.TaskInstance{
				Key: k, State: dag.StateQueued, TryNumber: 1, Operator: "BashOperator", Pool: pool, PoolSlots: 1}})
		}
	}
	put("narrow", "work", 3)
	put("default_pool", "few", 10)
	h.with(func(a *app.App) {
		if err := a.Store.PoolSet(context.Background(), &store.Pool{Name: "narrow", Slots: 2}); err != nil {
			t.Fatal(err)
		}
		if err := a.Store.EngineCommit(context.Background(), &changes); err != nil {
			t.Fatal(err)
		}
	})
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.path("home"), "gust.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found, err := overLimit(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pool narrow has 2 slots, 3 are taken", "core.parallelism is 12, 13 attempts",
		"max_active_runs 2, 3 runs", "max_active_tis_per_dag 2, 10 are", "max_active_tasks 3, 13 are"} {
		if !strings.Contains(strings.Join(found, "\n"), want) {
			t.Errorf("%q lacks %q", found, want)
		}
	}
}
