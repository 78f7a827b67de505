package yeartest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"gust/dag"
	"gust/dag/timetable"
	"gust/runner/edit"
	"gust/runner/plan/plantest"
	"gust/store"
)

// TestYear plays 200 DAGs for a year.
func TestYear(t *testing.T) {
	t.Parallel()
	first := seed(t)
	years, size := 1, 30
	if full() {
		years, size = 2, 100
	}
	for n := range years {
		y := beginYear(t, first+uint64(n), size)
		y.play(newYear.AddDate(1, 0, 0))
		y.finish()
		t.Logf("seed %d: %v", y.seed, y.counts)
	}
}

func beginYear(t *testing.T, seed uint64, size int) *year {
	t.Helper()
	y := &year{
		t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 2)), size: size, store: plantest.NewStore(), real: newYear,
		out: map[dag.Attempt]*flight{}, ended: map[dag.Attempt]bool{}, byID: map[string]*book{}, tables: map[string]timetable.Timetable{}, dags: map[string]*dag.DAG{},
		runs: map[dag.RunKey]*account{}, backs: map[int64]*store.Backfill{}, counts: map[string]int{},
	}
	for _, name := range zoneNames {
		y.zones = append(y.zones, newZone(name))
	}
	y.load(nil, false)
	for i := range 200 {
		b := y.drawBook(fmt.Sprintf("dag%03d", i))
		y.books = append(y.books, b)
		y.byID[b.dag.ID] = b
		y.dags[b.dag.Version] = b.dag
		at := newYear // some files come later
		if y.r.IntN(4) == 0 {
			at = at.Add(time.Duration(y.r.IntN(200*24*60)) * time.Minute)
		}
		b.paused = true // nothing is expected before the file is there
		y.later(at, func() {
			b.there, b.paused, b.dirty = true, false, true
			y.step(file(b.dag))
		})
		y.disturb(b, at)
	}
	for range 25 {
		y.sometime(newYear, y.crash)
		y.sometime(newYear, func() { y.dying = true })
		y.sometime(newYear, func() { y.lost = true })
		y.sometime(newYear, func() { y.doubt = true })
		y.sometime(newYear, y.jump)
	}
	return y
}

// sometime lets something happen between a moment and the end of the year.
func (y *year) sometime(from time.Time, do func()) {
	rest := newYear.AddDate(1, 0, 0).Sub(from)
	y.later(from.Add(time.Duration(y.r.Int64N(int64(rest.Seconds())))*time.Second), do)
}

// jump moves the clock that the plan is shown: ahead by hours, or back by minutes. Mostly it is right.
func (y *year) jump() {
	y.counts["jump"]++
	switch y.r.IntN(3) {
	case 0:
		y.skew += time.Duration(y.r.IntN(6*3600)) * time.Second
	case 1:
		y.skew -= time.Duration(y.r.IntN(3600)) * time.Second
	default:
		y.skew = 0
	}
	for _, b := range y.books {
		// Without a start date the first run depends on when the plan looks, and it need not look now.
		b.late = time.Time{}
		b.dirty = b.last != nil || !b.rules.start.IsZero()
	}
	y.step()
}

// drawBook draws a DAG.
func (y *year) drawBook(id string) *book {
	b := &book{zone: y.zones[y.r.IntN(len(y.zones))], dates: map[int64]bool{}, scheduled: map[time.Time]slot{}}
	b.dag, b.rules = y.drawDag(id, b.zone, newYear, nil)
	b.first = *b.rules
	return b
}

func (y *year) drawDag(id string, z *zone, from time.Time, last *slot) (*dag.DAG, *rules) {
	r := y.r
	s, rule := drawSchedule(r, z, from)
	d := &dag.DAG{ID: id, FileLoc: id + ".yaml", Timezone: z.name, Schedule: s, MaxActiveTasks: 1 + r.IntN(8),
		MaxActiveRuns: 1 + r.IntN(6), Description: fmt.Sprint(r.Uint64())}
	if rule.kind == dag.ScheduleContinuous {
		d.MaxActiveRuns = 1
	}
	rule.catchup = r.IntN(2) == 0 && rule.kind != dag.ScheduleContinuous
	if rule.catchup || r.IntN(3) > 0 || rule.kind == dag.ScheduleDeltaIntvl && rule.relative != nil {
		if rule.start = moment(r, z); r.IntN(3) == 0 {
			rule.start = newYear.Add(-time.Duration(r.IntN(1000)) * time.Hour)
		}
	}
	if r.IntN(4) == 0 {
		rule.end = moment(r, z)
	}
	y.bound(rule, from, last)
	d.StartDate, d.EndDate, d.Catchup = rule.start, rule.end, rule.catchup
	d.Tasks = y.drawTasks()
	if rule.kind == dag.ScheduleContinuous { // its runs follow each other at once
		d.Tasks[0].Inline, d.Tasks[0].Retries = false, 0
	}
	return plantest.Finish(d), rule
}

// bound gives a dense schedule an end, so that the DAG has no more runs than the year can hold.
func (y *year) bound(rule *rules, from time.Time, last *slot) {
	if rule.kind == dag.ScheduleContinuous {
		rule.end = max2(from, rule.start).Add(time.Duration(1+y.r.IntN(120)) * time.Minute)
		return
	}
	all := *rule
	all.catchup = true
	if all.start.IsZero() || !rule.catchup && all.start.Before(from) {
		all.start = from
	}
	for range y.size {
		s, ok := all.next(last, all.start)
		if !ok || s.after.After(newYear.AddDate(1, 0, 0)) {
			return
		}
		last = &s
	}
	rule.end = last.logical
}

func (y *year) drawTasks() []*dag.Task {
	var out []*dag.Task
	for i := range 1 + y.r.IntN(3) {
		t := plantest.Task(fmt.Sprintf("t%d", i))
		t.Retries = y.r.IntN(3)
		t.RetryDelay = []time.Duration{0, time.Second, 10 * time.Minute}[y.r.IntN(3)]
		switch y.r.IntN(8) {
		case 0, 1, 2:
			t.Inline = true
		case 3:
			t.Parks = true
		case 4:
			t.MaxActivePerDAG = 1
		}
		if i > 0 {
			t.Upstream = []string{fmt.Sprintf("t%d", i-1)}
			t.TriggerRule = []dag.TriggerRule{dag.AllSuccess, dag.AllDone, dag.OneFailed}[y.r.IntN(3)]
		}
		out = append(out, t)
	}
	return out
}

// disturb plans what people do to a DAG.
func (y *year) disturb(b *book, from time.Time) {
	from = from.Add(time.Second)
	for range y.r.IntN(3) {
		y.sometime(from, func() {
			y.pause(b, true)
			y.later(y.real.Add(time.Duration(y.r.IntN(30*24*60))*time.Minute), func() { y.pause(b, false) })
		})
	}
	for range y.r.IntN(3) {
		y.sometime(from, func() { y.change(b) })
		y.sometime(from, func() { y.backfill(b) })
		y.sometime(from, func() { y.trigger(b) })
	}
	for range y.r.IntN(5) {
		y.sometime(from, func() { y.clear(b) })
		y.sometime(from, func() { y.mark(b) })
	}
}

func (y *year) pause(b *book, paused bool) {
	y.counts["pause"]++
	y.store.SetPaused(b.dag.ID, paused)
	b.paused, b.dirty = paused, true
	y.refresh()
}

// change delivers a new version of a DAG's file.
func (y *year) change(b *book) {
	if b.rules.kind == dag.ScheduleContinuous || b.rules.kind == dag.ScheduleOnce {
		return
	}
	y.counts["change"]++
	z := b.zone
	if y.r.IntN(3) == 0 {
		z = y.zones[y.r.IntN(len(y.zones))]
	}
	for {
		if d, rule := y.drawDag(b.dag.ID, z, y.now(), b.last); rule.kind != dag.ScheduleContinuous && rule.kind != dag.ScheduleOnce {
			b.zone, b.dag, b.rules, b.changed = z, d, rule, true
			break
		}
	}
	y.dags[b.dag.Version] = b.dag
	b.dirty = true
	y.step(file(b.dag))
}

// backfill asks for the runs of some days of the past.
func (y *year) backfill(b *book) {
	if b.backfill || b.rules.kind == dag.ScheduleContinuous || b.rules.kind == dag.ScheduleOnce || b.rules.kind == dag.ScheduleNone {
		return
	}
	from := y.now().Add(-time.Duration(y.r.IntN(60*24)) * time.Hour).Truncate(time.Second)
	dates := *b.rules
	dates.start, dates.end, dates.catchup = from, y.now().Add(-time.Hour), true
	var runs []dag.Run
	var last *slot
	for range 20 {
		s, ok := dates.next(last, from)
		if !ok {
			break
		}
		last = &s
		id := dag.RunKey{DagID: b.dag.ID, RunID: runID("backfill", s.after)}
		if !b.dates[s.logical.UnixMicro()] && !y.known(id) {
			runs = append(runs, dag.Run{RunKey: id, State: dag.RunQueued, Type: dag.RunBackfill, RunAfter: s.after, LogicalDate: s.logical,
				IntervalStart: s.start, IntervalEnd: s.end, QueuedAt: y.now(), TriggeredBy: dag.ByBackfill})
		}
	}
	if len(runs) == 0 {
		return
	}
	y.counts["backfill"]++
	back := store.Backfill{DagID: b.dag.ID, From: from, To: dates.end, MaxActiveRuns: 1 + y.r.IntN(3), RunBackwards: y.r.IntN(3) == 0}
	y.store.Backfill(back, runs)
	r, _ := y.store.EngineRefresh(context.Background())
	back = r.Backfills[len(r.Backfills)-1]
	y.backs[back.ID] = &back
	for i := range runs {
		runs[i].BackfillID = back.ID
		y.open(b, &runs[i])
	}
	b.backfill = true
	y.refresh()
}

// trigger creates a manual run; at times it takes the date of the run that the schedule would make next.
func (y *year) trigger(b *book) {
	y.counts["trigger"]++
	now := y.now()
	r := dag.Run{RunKey: dag.RunKey{DagID: b.dag.ID, RunID: runID("manual", now)}, State: dag.RunQueued, Type: dag.RunManual,
		RunAfter: now, QueuedAt: now, LogicalDate: now, TriggeredBy: dag.ByCLI}
	switch y.r.IntN(3) {
	case 0:
		r.LogicalDate = time.Time{}
	case 1:
		if len(b.rules.clocks) > 0 {
			if s, ok := b.want(now, y.known); ok {
				r.LogicalDate = s.logical
			}
		}
	}
	if y.known(r.RunKey) || b.dates[r.LogicalDate.UnixMicro()] {
		return
	}
	if err := y.store.RunCreate(context.Background(), &r); err != nil {
		y.fatal("trigger: %v", err)
	}
	y.open(b, &r)
	y.refresh()
}

// some picks a run that has begun.
func (y *year) some(b *book) *edit.Run {
	for range 5 {
		if len(b.runs) == 0 {
			return nil
		}
		key := b.runs[y.r.IntN(len(b.runs))]
		if a := y.runs[key]; a.version != "" {
			tasks, _ := y.store.TaskInstanceList(context.Background(), key)
			return &edit.Run{Run: y.store.Run(key), Tasks: tasks, DAG: y.dags[a.version]}
		}
	}
	return nil
}

func (y *year) apply(r *edit.Run, e *store.Edit) {
	e.At = y.now()
	if err := y.store.EditApply(context.Background(), e); err != nil {
		y.fatal("edit: %v", err)
	}
	a, now := y.runs[r.Run.RunKey], y.store.Run(r.Run.RunKey)
	if a.state != now.State {
		y.moved(a, &now)
	}
	y.refresh()
}

func (y *year) clear(b *book) {
	r := y.some(b)
	if r == nil {
		return
	}
	y.counts["clear"]++
	o := edit.ClearOptions{Downstream: y.r.IntN(2) == 0, OnlyFailed: y.r.IntN(4) == 0}
	if y.r.IntN(2) == 0 {
		o.Tasks = regexp.MustCompile("^t0$")
	}
	if e := (&store.Edit{Clear: edit.Clear(r, o), LatestVersion: y.r.IntN(3) == 0}); len(e.Clear) > 0 {
		y.apply(r, e)
	}
}

func (y *year) mark(b *book) {
	r := y.some(b)
	if r == nil || len(r.Tasks) == 0 {
		return
	}
	y.counts["mark"]++
	if y.r.IntN(3) == 0 {
		y.apply(r, edit.MarkRun(r, []dag.RunState{dag.RunSuccess, dag.RunFailed}[y.r.IntN(2)]))
		return
	}
	key := r.Tasks[y.r.IntN(len(r.Tasks))].Key
	y.apply(r, edit.MarkTasks(r, []dag.Key{key}, []dag.State{dag.StateSuccess, dag.StateFailed, dag.StateSkipped}[y.r.IntN(3)]))
}

// finish ends every schedule, lets everything come to its end, and compares the year as a whole.
func (y *year) finish() {
	y.skew = 0
	end := y.now()
	for _, b := range y.books {
		if b.rules.end.IsZero() || b.rules.end.After(end) {
			d := *b.dag
			d.EndDate = end
			b.rules.end = end
			b.dag = plantest.Finish(&d)
			y.dags[b.dag.Version] = b.dag
			y.step(file(b.dag))
		}
		if b.paused {
			y.pause(b, false)
		}
		b.dirty = true
	}
	y.play(time.Time{})
	if len(y.out) > 0 {
		y.fatal("%d attempts are still out", len(y.out))
	}
	if len(y.backs) > 0 {
		y.fatal("backfills are not completed: %v", slices.Collect(maps.Values(y.backs)))
	}
	for key, a := range y.runs {
		if !a.state.Finished() {
			y.fatal("run %s of %s is %s at the end", key.RunID, key.DagID, a.state)
		}
	}
	y.counts["runs"] = len(y.runs)
	for _, b := range y.books {
		y.complete(b, end)
	}
}

// complete: a DAG with catch-up whose file has not changed has a run for every date of its schedule.
func (y *year) complete(b *book, end time.Time) {
	if b.changed || !b.rules.catchup {
		return
	}
	y.counts["complete"]++
	var last *slot
	for {
		s, ok := b.first.next(last, end)
		if !ok || s.after.After(end) || s.logical.After(end) {
			return
		}
		if have, ok := b.scheduled[s.logical]; ok && have != s || !ok && !b.dates[s.logical.UnixMicro()] {
			y.fatal("DAG %s (%s) has %v for %v", b.dag.ID, b.dag.Schedule.Text, have, s)
		}
		last = &s
	}
}
