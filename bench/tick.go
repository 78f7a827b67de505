package main

import (
	"context"
	"fmt"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/store"
)

// tick measures the plan, which is all that the scheduler thinks about, with many DAGs of which each has an active run:
// a look in which nothing is due, the end of a task and the start of its downstream task, and the minute in which all
// DAGs are due.
func (b *bench) tick(context.Context) ([]result, error) {
	var results []result
	for _, n := range b.profile.dags {
		o, err := measureTick(n)
		if err != nil {
			return results, fmt.Errorf("%d DAGs: %w", n, err)
		}
		name := count(n) + " DAGs and active runs"
		micros := func(d time.Duration) float64 { return d.Seconds() * 1e6 }
		results = append(results,
			result{Name: name + ", a look with nothing to do", Value: micros(o.idle), Unit: "µs"},
			result{Name: name + ", the hand-over of a task", Value: micros(o.step), Unit: "µs"},
			result{Name: name + ", all due at once", Value: micros(o.due) / float64(n), Unit: "µs/DAG"},
		)
		b.grow("scheduler: a look with nothing to do, by DAGs", "µs", n, micros(o.idle))
		b.grow("scheduler: the hand-over of a task, by DAGs", "µs", n, micros(o.step))
		b.grow("scheduler: all DAGs due at once", "ms", n, micros(o.due)/1000)
	}
	return results, nil
}

// tickOutcome is what a round of the plan takes.
type tickOutcome struct{ idle, step, due time.Duration }

// planner drives a plan without a store: what it decides has happened.
type planner struct {
	state *plan.State
	now   time.Time
	out   []dag.Attempt // dispatched in the last round
	runs  int           // created by schedule in the last round
}

func (p *planner) step(events ...plan.Event) time.Duration {
	began := time.Now()
	d := p.state.Step(events, p.now)
	took := time.Since(began)
	p.out, p.runs = p.out[:0], 0
	for _, effect := range d.Effects {
		if w, ok := effect.(plan.Dispatch); ok {
			p.out = append(p.out, w.Attempt())
		}
	}
	for i := range d.Changes.Runs {
		if c := &d.Changes.Runs[i]; c.New && c.Run.Type == dag.RunScheduled {
			p.runs++
		}
	}
	return took
}

// report tells that all attempts that are out have come to this.
func (p *planner) report(kinds ...executor.Kind) time.Duration {
	var events []plan.Event
	for _, a := range p.out {
		for _, kind := range kinds {
			r := executor.Report{Attempt: a, Kind: kind, At: p.now}
			if kind == executor.Deferred {
				r.Deferral = &dag.Deferral{Kind: listenKind, Args: []byte(`{}`), Since: p.now}
			}
			events = append(events, plan.Reported{Report: r})
		}
	}
	return p.step(events...)
}

const (
	tickRepeats = 500
	tickSlots   = 1 << 20
)

func measureTick(n int) (o tickOutcome, err error) {
	pools := []store.Pool{{Name: dag.DefaultPool, Slots: -1}}
	p := &planner{now: time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC)}
	p.state = plan.New(plan.Config{Slots: tickSlots}, &store.Snapshot{Refresh: store.Refresh{Pools: pools}}, p.now)
	busy, err := chain("busy", 2*tickRepeats, noOps)
	if err != nil {
		return o, err
	}
	files := []plan.Event{plan.File{Path: busy.FileLoc, DAGs: []*dag.DAG{busy}}}
	refresh := store.Refresh{Pools: pools}
	for i := range n {
		d, err := chain(fmt.Sprintf("daily_%05d", i), 5, waitOnList)
		if err != nil {
			return o, err
		}
		d.Schedule = dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 * * * *"}}
		d.StartDate = p.now.Add(-time.Hour)
		files = append(files, plan.File{Path: d.FileLoc, DAGs: []*dag.DAG{d}})
		refresh.Queued = append(refresh.Queued, queuedRun(d.ID, p.now))
	}
	p.step(files...)
	p.step(plan.Refreshed{Refresh: refresh})
	if len(p.out) != n {
		return o, fmt.Errorf("%d first tasks are dispatched", len(p.out))
	}
	p.report(executor.Started, executor.Deferred) // and so every run is active

	var idles, steps []time.Duration
	for range tickRepeats {
		p.now = p.now.Add(time.Millisecond)
		idles = append(idles, p.step())
	}
	p.step(plan.Refreshed{Refresh: store.Refresh{Pools: pools, Queued: []dag.Run{queuedRun(busy.ID, p.now)}}})
	for range tickRepeats {
		if len(p.out) != 1 {
			return o, fmt.Errorf("%d attempts are dispatched instead of one", len(p.out))
		}
		p.now = p.now.Add(time.Millisecond)
		steps = append(steps, p.report(executor.Started, executor.Succeeded))
	}
	p.now = p.now.Truncate(time.Hour).Add(time.Hour)
	o.due = p.step()
	if p.runs != n {
		return o, fmt.Errorf("%d DAGs are due at the hour", p.runs)
	}
	o.idle, o.step = quantile(idles, 0.5), quantile(steps, 0.5)
	return o, nil
}

func queuedRun(dagID string, at time.Time) dag.Run {
	return dag.Run{
		RunKey: dag.RunKey{DagID: dagID, RunID: "manual"}, State: dag.RunQueued, Type: dag.RunManual,
		RunAfter: at, QueuedAt: at, TriggeredBy: dag.ByTest,
	}
}
