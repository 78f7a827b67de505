package yeartest

import (
	"fmt"
	"time"

	"gust/dag"
)

// book is what the oracle knows of a DAG: its rules, what has happened to it, and the runs that must exist.
type book struct {
	dag     *dag.DAG
	rules   *rules
	zone    *zone
	first   rules // as the DAG began
	changed bool  // the schedule is no longer that of the beginning
	last    *slot // the latest scheduled run, or a later slot whose place was taken
	made    *slot // the latest scheduled run
	there   bool  // the file
	paused  bool
	// active counts the unfinished runs that max_active_runs is about, running those that run.
	active, running int
	dates           map[int64]bool
	runs            []dag.RunKey
	scheduled       map[time.Time]slot // by logical date
	backfill        bool               // one is open
	// due is when something is to be made at the latest, zero when nothing is; late is since when it is overdue.
	due, late time.Time
	dirty     bool
}

// account is what is known of a run.
type account struct {
	book     *book
	state    dag.RunState
	version  string
	backfill int64
}

// want is the run that the schedule makes next as of now, passing over dates that another run has.
func (b *book) want(now time.Time, known func(dag.RunKey) bool) (slot, bool) {
	for n := 0; ; n++ {
		if n == 10000 {
			panic(fmt.Sprintf("%s %v at %s last %v", b.dag.Schedule.Text, b.rules, now, b.last))
		}
		s, ok := b.rules.next(b.last, now)
		if !ok || s.after.After(now) {
			return s, ok
		}
		if !b.dates[s.logical.UnixMicro()] && !known(dag.RunKey{DagID: b.dag.ID, RunID: runID("scheduled", s.after)}) {
			return s, true
		}
		b.last = &s
	}
}

// created checks a scheduled run that has been made now.
func (y *year) created(b *book, r *dag.Run, now time.Time) {
	have := slot{r.RunAfter, r.LogicalDate, r.IntervalStart, r.IntervalEnd}
	if b.paused {
		y.fatal("DAG %s is paused and gets run %s", b.dag.ID, r.RunID)
	}
	if b.rules.kind == dag.ScheduleContinuous {
		y.continued(b, have, now)
	} else if want, ok := b.want(now, y.known); !ok || want != have {
		y.fatal("DAG %s (%s in %s, start %s, end %s, catchup %v), last %v, at %s:\n got %v\nwant %v %v", b.dag.ID, b.dag.Schedule.Text,
			b.zone.name, b.rules.start, b.rules.end, b.rules.catchup, b.last, stamp(now), have, ok, want)
	}
	if have.after.After(now) {
		y.fatal("run %s of %s is made at %s, before it is due", r.RunID, b.dag.ID, stamp(now))
	}
	if id := runID("scheduled", have.after); r.RunID != id {
		y.fatal("the run of %s after %s is named %s, want %s", b.dag.ID, stamp(have.after), r.RunID, id)
	}
	b.last, b.made, b.late = &have, &have, time.Time{}
	b.scheduled[have.logical] = have
}

// continued checks a run of @continuous: it begins where the one before it ended, and ends now.
func (y *year) continued(b *book, have slot, now time.Time) {
	begin := b.rules.start
	switch {
	case b.last != nil && b.last.start.Equal(b.last.end):
		begin = max2(b.last.end, have.start) // after an empty interval, whose date is taken, the next begins when its run had ended
	case b.last != nil:
		begin = b.last.end
	case begin.IsZero():
		begin = now
	}
	end := max2(begin, now)
	if b.active > 0 || have != (slot{end, begin, begin, end}) {
		y.fatal("DAG %s runs continuously; %d runs are active, last %v, at %s:\n got %v\nwant %v", b.dag.ID, b.active, b.last, stamp(now),
			have, slot{end, begin, begin, end})
	}
}

// patience is how long a plan may take for what is due: runs of one DAG are made in turns, a millisecond apart.
const patience = 100 * time.Millisecond

// overdue finds out that a run is missing which should have been made by now.
func (y *year) overdue(b *book, now time.Time) {
	if !b.dirty && (b.due.IsZero() || b.due.After(now)) {
		return
	}
	b.dirty, b.due = false, time.Time{}
	if b.paused || b.dag.MaxActiveRuns > 0 && b.active >= b.dag.MaxActiveRuns {
		b.late = time.Time{}
		return // until something changes
	}
	var s slot
	var ok bool
	if b.rules.kind == dag.ScheduleContinuous {
		s.after = max2(b.rules.start, now)
		if b.last != nil {
			s.after = max2(s.after, b.last.after.Add(2*time.Millisecond))
		}
		ok = b.rules.end.IsZero() || !s.after.After(b.rules.end)
	} else {
		s, ok = b.want(now, y.known)
	}
	switch {
	case !ok:
		b.late = time.Time{}
		return
	case s.after.After(now):
		b.due, b.late = s.after, time.Time{}
		return
	case b.late.IsZero() || b.late.After(now):
		b.late = now
	}
	if b.due = b.late.Add(patience); !b.due.After(now) {
		y.fatal("at %s DAG %s (%s) still lacks its run %v; last %v, %d active runs", stamp(now), b.dag.ID, b.dag.Schedule.Text, s, b.last,
			b.active)
	}
}

func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }
