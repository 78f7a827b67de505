package plan_test

import (
	"fmt"
	"testing"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// chain is a DAG of n tasks, one after the other; wide one of n tasks beside each other, between two.
func chain(n int) *dag.DAG {
	d := &dag.DAG{ID: "chain", FileLoc: "chain.yaml", Timezone: "UTC"}
	for i := range n {
		t := plantest.Task(fmt.Sprintf("t%d", i))
		if i > 0 {
			t.Upstream = []string{fmt.Sprintf("t%d", i-1)}
		}
		d.Tasks = append(d.Tasks, t)
	}
	return plantest.Finish(d)
}

func wide(n int) *dag.DAG {
	d := &dag.DAG{ID: "wide", FileLoc: "wide.yaml", Timezone: "UTC"}
	first, last := plantest.Task("first"), plantest.Task("last")
	d.Tasks = append(d.Tasks, first)
	for i := range n {
		t := plantest.Task(fmt.Sprintf("t%d", i))
		t.Upstream = []string{"first"}
		last.Upstream = append(last.Upstream, t.ID)
		d.Tasks = append(d.Tasks, t)
	}
	d.Tasks = append(d.Tasks, last)
	return plantest.Finish(d)
}

// engine is a plan whose attempts all succeed in the next step, without a store.
type engine struct {
	state *plan.State
	now   time.Time
	out   []dag.Attempt
	done  int // ended tasks
	runs  int // ended runs
}

func newEngine(d *dag.DAG, slots int) *engine {
	e := &engine{now: epoch}
	e.state = plan.New(plan.Config{Slots: slots}, &store.Snapshot{Refresh: store.Refresh{
		Pools: []store.Pool{{Name: dag.DefaultPool, Slots: -1}}}}, epoch)
	e.step(plan.File{Path: d.FileLoc, DAGs: []*dag.DAG{d}})
	return e
}

func (e *engine) step(events ...plan.Event) {
	e.now = e.now.Add(time.Millisecond)
	d := e.state.Step(events, e.now)
	for _, f := range d.Effects {
		if w, ok := f.(plan.Dispatch); ok {
			e.out = append(e.out, w.Attempt())
		}
	}
	for i := range d.Changes.Tasks {
		if d.Changes.Tasks[i].Task.State == dag.StateSuccess {
			e.done++
		}
	}
	for i := range d.Changes.Runs {
		if d.Changes.Runs[i].Run.State == dag.RunSuccess {
			e.runs++
		}
	}
}

// start begins runs.
func (e *engine) start(d *dag.DAG, n int) {
	var r store.Refresh
	for i := range n {
		r.Queued = append(r.Queued, manual(d.ID, fmt.Sprintf("r%d-%d", e.runs, i), epoch))
	}
	r.Pools = []store.Pool{{Name: dag.DefaultPool, Slots: -1}}
	e.step(plan.Refreshed{Refresh: r})
}

// play goes on until nothing is out: every attempt reports its start and its end.
func (e *engine) play() {
	for len(e.out) > 0 {
		events := make([]plan.Event, 0, 2*len(e.out))
		for _, a := range e.out {
			for _, kind := range []executor.Kind{executor.Started, executor.Succeeded} {
				events = append(events, plan.Reported{Report: executor.Report{Attempt: a, Kind: kind, At: e.now}})
			}
		}
		e.out = e.out[:0]
		e.step(events...)
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, shape := range []struct {
		name string
		make func(int) *dag.DAG
		runs int
	}{{"chain", chain, 1}, {"wide", wide, 1}, {"100runs", wide, 100}} {
		for _, n := range []int{100, 1000, 10000} {
			if shape.runs > 1 && n > 100 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				d := shape.make(n)
				b.ReportAllocs()
				e := newEngine(d, 32)
				e.start(d, 1) // the graph is prepared once for a DAG version
				e.play()
				e.done, e.runs = 0, 0
				runs := 0
				for b.Loop() {
					e.start(d, shape.runs)
					e.play()
					if runs += shape.runs; e.runs != runs {
						b.Fatalf("%d of %d runs ended", e.runs, runs)
					}
				}
				tasks := e.done
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(tasks), "ns/task")
				b.ReportMetric(float64(tasks)/b.Elapsed().Seconds(), "tasks/s")
			})
		}
	}
}

// TestCostIsFlat: a task of a run of 10,000 tasks costs about what one of a run of 1,000 does. A scan of the run for
// each task would cost ten times as much. A busy machine may spoil one measurement, not each of five.
func TestCostIsFlat(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures time")
	}
	for name, shape := range map[string]func(int) *dag.DAG{"chain": chain, "wide": wide} {
		var small, large time.Duration
		for range 5 {
			if small, large = perTask(t, shape(1000)), perTask(t, shape(10000)); large < 4*small {
				break
			}
		}
		if large >= 4*small {
			t.Errorf("%s: a task costs %v in a run of 10,000, %v in a run of 1,000", name, large, small)
		}
	}
}

// perTask is what a task of one run of the DAG costs.
func perTask(t *testing.T, d *dag.DAG) time.Duration {
	t.Helper()
	e := newEngine(d, 32)
	e.start(d, 1)
	e.play()
	began := time.Now()
	e.start(d, 1)
	e.play()
	if e.runs != 2 || e.done != 2*len(d.Tasks) {
		t.Fatalf("%d runs, %d tasks ended", e.runs, e.done)
	}
	return time.Since(began) / time.Duration(len(d.Tasks))
}
