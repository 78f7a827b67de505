package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gust/dag"
	"gust/dag/timetable"
	"gust/runner/edit"
	"gust/store"
)

// BackfillRequest asks for the runs of a range of dates (Airflow: backfill create).
type BackfillRequest struct {
	DagID string
	// From and To are the first and the last logical date, both inclusive.
	From, To      time.Time
	Conf          json.RawMessage
	Reprocess     store.ReprocessBehavior
	RunBackwards  bool
	MaxActiveRuns int // 0 means 10
	// LatestVersion lets runs that are run again use the latest version of the DAG.
	LatestVersion bool
}

const (
	defaultBackfillRuns = 10
	maxBackfillRuns     = 100_000
)

// BackfillRun is what becomes of one date of a backfill.
type BackfillRun struct {
	RunID       string
	LogicalDate time.Time
	// What is "create", "again" (an existing run is cleared), or why the date is passed over.
	What string
}

// Words of BackfillRun.What.
const (
	BackfillCreates = "create"
	BackfillAgain   = "run again"
)

// BackfillPlan is what a request comes to.
type BackfillPlan struct {
	Backfill store.Backfill
	Dates    []BackfillRun
	runs     []dag.Run
	again    []store.ClearTask
}

// Runs is how many runs the backfill makes or makes again.
func (p *BackfillPlan) Runs() int {
	n := 0
	for i := range p.Dates {
		if p.Dates[i].What == BackfillCreates || p.Dates[i].What == BackfillAgain {
			n++
		}
	}
	return n
}

// PlanBackfill finds out what a request would do, and changes nothing.
func (a *App) PlanBackfill(ctx context.Context, r BackfillRequest) (*BackfillPlan, error) {
	d, err := a.current(ctx, r.DagID)
	if err != nil {
		return nil, err
	}
	if r.RunBackwards && slices.ContainsFunc(d.Tasks, func(t *dag.Task) bool { return t.DependsOnPast || t.WaitForDownstream }) {
		return nil, fmt.Errorf("DAG %s has tasks that depend on the past: its runs cannot be made backwards", d.ID)
	}
	if r.To.Before(r.From) {
		return nil, fmt.Errorf("the last date %s lies before the first, %s", timetable.ISOFormat(r.To), timetable.ISOFormat(r.From))
	}
	if err := CheckConf(d, r.Conf); err != nil {
		return nil, err
	}
	slots, err := backfillSlots(d, r.From, r.To)
	if err != nil {
		return nil, err
	}
	p := &BackfillPlan{Backfill: store.Backfill{
		DagID: d.ID, From: r.From.UTC(), To: r.To.UTC(), Conf: r.Conf, Reprocess: r.Reprocess, RunBackwards: r.RunBackwards,
		MaxActiveRuns: r.MaxActiveRuns, LatestVersion: r.LatestVersion, CreatedAt: a.Now().UTC().Truncate(time.Microsecond),
	}}
	if p.Backfill.MaxActiveRuns <= 0 {
		p.Backfill.MaxActiveRuns = defaultBackfillRuns
	}
	if p.Backfill.Reprocess == "" {
		p.Backfill.Reprocess = store.ReprocessNone
	}
	for _, slot := range slots {
		if err := a.planDate(ctx, p, slot, r.Conf); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// backfillSlots are the slots of a DAG's schedule whose logical date lies in the range.
func backfillSlots(d *dag.DAG, from, to time.Time) ([]timetable.Slot, error) {
	table, err := timetable.New(d.Schedule, d.Timezone)
	if err != nil {
		return nil, fmt.Errorf("DAG %s: %w", d.ID, err)
	}
	if len(table.Upcoming(from.Add(-time.Nanosecond), 1)) == 0 && d.Schedule.Kind != dag.ScheduleEvents {
		return nil, fmt.Errorf("%w; the schedule of %s is %q", errNoSchedule, d.ID, d.Schedule.Text)
	}
	var slots []timetable.Slot
	var last *timetable.Slot
	for {
		next, ok := table.Next(last, timetable.Restriction{Earliest: from, Catchup: true}, to)
		if !ok || next.LogicalDate.After(to) || last != nil && !next.RunAfter.After(last.RunAfter) {
			return slots, nil
		}
		if len(slots) == maxBackfillRuns {
			return nil, fmt.Errorf("the range holds more than %d runs of DAG %s; make several backfills of it", maxBackfillRuns, d.ID)
		}
		last = &next
		slots = append(slots, next)
	}
}

// planDate decides about one date: a new run, an old one again, or nothing.
func (a *App) planDate(ctx context.Context, p *BackfillPlan, slot timetable.Slot, conf json.RawMessage) error {
	found, err := a.Store.RunList(ctx, &store.RunListParams{DagID: p.Backfill.DagID, LogicalDate: slot.LogicalDate, Limit: 1})
	if err != nil {
		return err
	}
	date := BackfillRun{LogicalDate: slot.LogicalDate}
	defer func() { p.Dates = append(p.Dates, date) }()
	if len(found) == 0 {
		run := dag.Run{
			RunKey: dag.RunKey{DagID: p.Backfill.DagID, RunID: timetable.RunID(dag.RunBackfill, slot.RunAfter)},
			State:  dag.RunQueued, Type: dag.RunBackfill, LogicalDate: slot.LogicalDate, RunAfter: slot.RunAfter,
			IntervalStart: slot.IntervalStart, IntervalEnd: slot.IntervalEnd, QueuedAt: p.Backfill.CreatedAt, Conf: conf,
			TriggeredBy: dag.ByBackfill,
		}
		p.runs = append(p.runs, run)
		date.RunID, date.What = run.RunID, BackfillCreates
		return nil
	}
	run := &found[0]
	date.RunID = run.RunID
	switch {
	case !run.State.Finished():
		date.What = "passed over: its run is " + string(run.State)
	case p.Backfill.Reprocess == store.ReprocessCompleted, p.Backfill.Reprocess == store.ReprocessFailed && run.State == dag.RunFailed:
		date.What = BackfillAgain
		r, err := a.editable(ctx, run)
		if err != nil {
			return err
		}
		p.again = append(p.again, edit.Clear(r, edit.ClearOptions{})...)
	default:
		date.What = fmt.Sprintf("passed over: its run is %s and reprocess behavior is %s", run.State, p.Backfill.Reprocess)
	}
	return nil
}

// Backfill carries out what PlanBackfill found and returns the backfill with its id.
func (a *App) Backfill(ctx context.Context, p *BackfillPlan) (*store.Backfill, error) {
	if p.Runs() == 0 {
		return nil, fmt.Errorf("there is nothing to do for DAG %s from %s to %s", p.Backfill.DagID,
			timetable.ISOFormat(p.Backfill.From), timetable.ISOFormat(p.Backfill.To))
	}
	d, err := a.current(ctx, p.Backfill.DagID)
	if err != nil {
		return nil, err
	}
	if err := a.ensureDag(ctx, d); err != nil {
		return nil, err
	}
	if err := a.Store.BackfillCreate(ctx, &p.Backfill, p.runs, p.again); err != nil {
		return nil, err
	}
	a.Wake()
	return &p.Backfill, nil
}

// BackfillRuns are the runs of a backfill, latest first.
func (a *App) BackfillRuns(ctx context.Context, b *store.Backfill) ([]dag.Run, error) {
	var out []dag.Run
	until := b.To
	for {
		runs, err := a.Store.RunList(ctx, &store.RunListParams{DagID: b.DagID, LogicalFrom: b.From, LogicalUntil: until, Limit: maxEditRuns})
		if err != nil {
			return nil, err
		}
		for i := range runs {
			if runs[i].BackfillID == b.ID {
				out = append(out, runs[i])
			}
		}
		if len(runs) < maxEditRuns {
			return out, nil
		}
		until = runs[len(runs)-1].LogicalDate.Add(-time.Microsecond) // dates are unique, and go down with run_after
	}
}
