package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// waitingCase is a load of executions that the parked tasks of a daemon wait for.
type waitingCase struct {
	executions, machines int
	// events says that the ends arrive from the queue; otherwise only looks tell.
	events bool
	// poke is the longest time between two looks (waiter_delay).
	poke time.Duration
	// lead passes before the first execution ends, and over is the time in which all of them end, one after the other.
	lead, over time.Duration
}

func (w waitingCase) name() string {
	how := "polling"
	if w.events {
		how = "events"
	}
	return fmt.Sprintf("%s on %s, %s", count(w.executions), count(w.machines), how)
}

// quickWaits and fullWaits are the loads of the profiles. At AWS the executions of the largest load take 330 s to start,
// 300 a second, so they end in as much time.
var (
	quickWaits = [][]waitingCase{{
		{1000, 10, false, 5 * time.Second, 2 * time.Second, 3 * time.Second},
		{1000, 10, true, 5 * time.Second, 2 * time.Second, 3 * time.Second},
	}}
	fullWaits = append(smallWaits(), largeWaits()...)
)

func smallWaits() [][]waitingCase {
	var small, middle []waitingCase
	for _, machines := range []int{1, 10, 1000} {
		small = append(small, waitingCase{1000, machines, false, pokeInterval, 30 * time.Second, time.Minute})
		middle = append(middle, waitingCase{10_000, machines, false, pokeInterval, 30 * time.Second, 2 * time.Minute})
	}
	small = append(small, waitingCase{1000, 10, true, pokeInterval, 30 * time.Second, time.Minute})
	middle = append(middle, waitingCase{10_000, 10, true, pokeInterval, 30 * time.Second, 2 * time.Minute})
	return [][]waitingCase{small, middle}
}

func largeWaits() [][]waitingCase {
	var cases [][]waitingCase
	for _, machines := range []int{1, 10, 1000} {
		cases = append(cases, []waitingCase{{100_000, machines, false, pokeInterval, 30 * time.Second, 330 * time.Second}})
	}
	return append(cases, []waitingCase{{100_000, 10, true, pokeInterval, 30 * time.Second, 330 * time.Second}})
}

// pokeInterval is Airflow's and Gust's default.
const pokeInterval = time.Minute

// waiting measures how many requests it takes to wait for executions, and how soon their ends are noticed.
func (b *bench) waiting(ctx context.Context) ([]result, error) {
	if _, err := b.binary(ctx); err != nil {
		return nil, err
	}
	var results []result
	for _, together := range b.profile.waits {
		outcomes, err := b.awaitTogether(ctx, together)
		if err != nil {
			return results, err
		}
		for i, w := range together {
			results = append(results, outcomes[i].results(w)...)
			if w.machines == 10 && !w.events {
				b.grow("requests a second while waiting, 10 machines", "/s", w.executions, outcomes[i].perSecond())
				b.grow("requests for each execution, 10 machines", "calls", w.executions, outcomes[i].each())
				b.grow("noticed after, p99, 10 machines", "s", w.executions, quantile(outcomes[i].noticed, 0.99).Seconds())
				b.grow("memory of a daemon that waits for executions", "MB", w.executions, outcomes[i].memory)
			}
		}
	}
	if len(results) > 0 {
		results[0].Note = "AWS's default quotas of us-east-1 are on: 15 DescribeExecution and 5 ListExecutions a second, after " +
			"bursts of 300 and 200; the base is one DescribeExecution for each task and waiter_delay. " +
			results[0].Note
	}
	return results, nil
}

// awaitTogether runs cases at the same time: their services and daemons know nothing of each other.
func (b *bench) awaitTogether(ctx context.Context, cases []waitingCase) ([]*waitingOutcome, error) {
	outcomes := make([]*waitingOutcome, len(cases))
	err := inParallel(len(cases), len(cases), func(i int) (err error) {
		outcomes[i-1], err = b.awaitExecutions(ctx, cases[i-1])
		if err != nil {
			err = fmt.Errorf("%s: %w", cases[i-1].name(), err)
		}
		return err
	})
	return outcomes, err
}

// waitingOutcome is how the waiting went.
type waitingOutcome struct {
	executions int
	requests   map[string]int // by operation, while the daemon ran
	refused    int            // of them, for AWS's quotas
	queue      int            // requests of the queue of events
	took       time.Duration  // from the daemon's start to the end of the last task
	base       float64        // requests for each execution of one describe for each sensor and interval
	noticed    []time.Duration
	memory     float64 // MB
	processor  time.Duration
}

func (o *waitingOutcome) sum() (n int) {
	for _, times := range o.requests {
		n += times
	}
	return n
}

func (o *waitingOutcome) each() float64      { return float64(o.sum()) / float64(o.executions) }
func (o *waitingOutcome) perSecond() float64 { return float64(o.sum()) / o.took.Seconds() }

func (o *waitingOutcome) results(w waitingCase) []result {
	each := result{Name: w.name() + ": requests for each", Value: o.each()}
	each.Note = fmt.Sprintf("%s in %.0f s, %d of them refused; daemon: %.0f MB, %.0f s of a processor", o.operations(),
		o.took.Seconds(), o.refused, o.memory, o.processor.Seconds())
	if w.events {
		each.Note += fmt.Sprintf("; %s requests of the queue", count(o.queue))
	}
	each.Unit = "calls"
	each = each.times(o.base, "one describe each "+w.poke.String())
	if w.executions >= 10_000 {
		each = each.judge("at most 2", each.Value <= 2)
	}
	rate := result{Name: w.name() + ": requests a second", Value: o.perSecond(), Unit: "/s"}.
		times(float64(o.executions)/w.poke.Seconds(), "one describe each "+w.poke.String())
	p50, p95, p99 := quantile(o.noticed, 0.50), quantile(o.noticed, 0.95), quantile(o.noticed, 0.99)
	noticed := result{Name: w.name() + ": noticed after, p99", Value: p99.Seconds(), Unit: "s"}
	noticed.Note = fmt.Sprintf("from the execution's end to the task's end; p50 %.2f s, p95 %.2f s, the last %.2f s", p50.Seconds(),
		p95.Seconds(), slices.Max(o.noticed).Seconds())
	switch {
	case w.events && w.executions == 100_000:
		noticed = noticed.atMost(2, "under 2 s")
	case w.executions == 100_000 && w.machines == 10:
		noticed = noticed.atMost(30, "under 30 s")
	}
	return []result{each, rate, noticed}
}

func (o *waitingOutcome) operations() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(o.requests)) {
		parts = append(parts, fmt.Sprintf("%s %s", count(o.requests[name]), name))
	}
	return strings.Join(parts, ", ")
}

// awaitExecutions parks a task for each execution in a database, starts those past the door, lets a daemon wait for them,
// and compares the ends of the executions with those of the tasks.
func (b *bench) awaitExecutions(ctx context.Context, w waitingCase) (_ *waitingOutcome, err error) {
	dir, err := b.folder("waiting")
	if err != nil {
		return nil, err
	}
	aws, err := startCloud(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, aws.stop(context.WithoutCancel(ctx))) }()
	const tasks = 100
	load := &executionLoad{waitingCase: w, parkedHome: &parkedHome{
		dagID: "waiting", tasks: tasks, runs: w.executions / tasks, env: awsSettings(aws, false),
	}}
	load.plan(time.Now())
	if err := load.createMachines(ctx, aws); err != nil {
		return nil, err
	}
	if err := b.seed(ctx, load.parkedHome, waitYAML(load.dagID, tasks, load.task)); err != nil {
		return nil, err
	}
	if err := load.start(ctx, aws, 1); err != nil {
		return nil, err
	}
	before, refusedBefore := aws.calls() // by the daemon that parked the first run
	d, err := startDaemon(ctx, b.gust, load.home, load.pipelines, awsSettings(aws, w.events)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	o := &waitingOutcome{executions: w.executions}
	if err := o.watch(ctx, d, load); err != nil {
		return nil, err
	}
	o.took = time.Since(d.began)
	o.requests, o.refused = aws.calls()
	o.refused -= refusedBefore
	o.queue = aws.queueCalls()
	for operation, n := range before {
		if o.requests[operation] -= n; o.requests[operation] == 0 {
			delete(o.requests, operation)
		}
	}
	return o, o.compare(ctx, d, load, aws)
}

// lateBy is how long after the last execution's end the last task has to end.
const lateBy = 15 * time.Minute

// watch waits until no task goes on any more: one that is not parked may be on its way to its end.
func (o *waitingOutcome) watch(ctx context.Context, d *daemon, load *executionLoad) error {
	if _, err := d.awaitHeld(ctx, load.waits()); err != nil {
		return err
	}
	for {
		left, err := countDeferred(ctx, d.home)
		if err == nil && left == 0 {
			left, err = countUnfinished(ctx, d.home)
		}
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		if time.Since(load.lastEnd) > lateBy {
			return fmt.Errorf("%d tasks have not ended %s after the last execution", left, lateBy)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	var err error
	if o.memory, err = peakMB(d.pid()); err != nil {
		return err
	}
	o.processor, err = processorTime(d.pid())
	return err
}

// compare sets the ends of the tasks against those of the executions.
func (o *waitingOutcome) compare(ctx context.Context, d *daemon, load *executionLoad, aws *cloud) error {
	tasks, err := finishedTasks(ctx, d.home, load.waits())
	if err != nil {
		return err
	}
	ends := aws.ended()
	looks := 0.0
	for _, t := range tasks {
		if t.state != "success" {
			return fmt.Errorf("task %s of %s is %s: %s", t.task, t.run, t.state, t.problem)
		}
		end, ok := ends[load.execution(t.run, t.task)]
		if !ok {
			return fmt.Errorf("task %s of %s has succeeded, but its execution has not ended", t.task, t.run)
		}
		o.noticed = append(o.noticed, t.end.Sub(end))
		looks += 1 + float64(end.Sub(d.began)/load.poke)
	}
	o.base = looks / float64(len(tasks))
	return nil
}
