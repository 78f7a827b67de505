package timetable

import (
	"time"

	"gust/dag"
)

// cronClock is a cron expression in a time zone.
type cronClock struct {
	*spec
	loc *time.Location
}

func newCron(expr string, loc *time.Location) (cronClock, error) {
	s, err := parse(expr)
	return cronClock{s, loc}, err
}

// after returns the first tick after t.
func (c cronClock) after(t time.Time) (time.Time, bool) {
	u := wall(t, c.loc)
	tick, ok := c.next(u)
	if !ok {
		return time.Time{}, false
	}
	return c.place(t, u, tick), true
}

// before returns the last tick before t.
func (c cronClock) before(t time.Time) (time.Time, bool) {
	u := wall(t, c.loc)
	from := u
	if t.Nanosecond() > 0 {
		from++
	}
	tick, ok := c.prev(from)
	if !ok {
		return time.Time{}, false
	}
	return c.place(t, u, tick), true
}

// place turns a wall-clock tick into an instant. u is the wall clock of t, from which the search went.
func (c cronClock) place(t time.Time, u, tick int64) time.Time {
	if c.everyHour {
		// The distance is elapsed time, so that every real hour has its ticks.
		return t.Add(time.Duration(tick-u)*time.Second - time.Duration(t.Nanosecond())).UTC()
	}
	return time.Unix(instant(tick, c.loc), 0).UTC()
}

// on reports whether t is a tick. Whatever covers all hours is asked by the wall clock first: from the tick before, which
// may lie beyond a change of the clock, elapsed time may lead elsewhere.
func (c cronClock) on(t time.Time) bool {
	if t.Nanosecond() > 0 {
		return false
	}
	u := wall(t, c.loc)
	if tick, ok := c.prev(u + 1); ok && tick == u && (c.everyHour || instant(u, c.loc) == t.Unix()) {
		return true
	}
	prev, ok := c.before(t)
	if !ok {
		return false
	}
	next, ok := c.after(prev)
	return ok && next.Equal(t)
}

// alignNext returns t if it is a tick, otherwise the first tick after it.
func (c cronClock) alignNext(t time.Time) (time.Time, bool) {
	if c.on(t) {
		return t, true
	}
	return c.after(t)
}

// alignPrev returns t if it is a tick, otherwise the last tick before it. Across a change of the clock elapsed time leads
// back too far or not far enough to meet a tick; the ticks that follow from there are gone through up to t.
func (c cronClock) alignPrev(t time.Time) (time.Time, bool) {
	if c.on(t) {
		return t, true
	}
	prev, ok := c.before(t)
	for ok {
		next, found := c.after(prev)
		if !found || next.After(t) {
			break
		}
		prev = next
	}
	return prev, ok
}

// cronTrigger is Airflow's CronTriggerTimetable: a run at each tick.
type cronTrigger struct {
	cronClock
	interval       time.Duration
	runImmediately bool
	runWithin      time.Duration
}

func newCronTrigger(s dag.Schedule, expr string, loc *time.Location) (cronTrigger, error) {
	c, err := newCron(expr, loc)
	return cronTrigger{c, s.Interval, s.RunImmediately != nil && *s.RunImmediately, s.RunWithin}, err
}

func (c cronTrigger) slot(tick time.Time) Slot { return interval(tick.Add(-c.interval), tick) }

func (c cronTrigger) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	var tick time.Time
	found := false
	consider := func(t time.Time, ok bool) {
		if ok && (!found || t.After(tick)) {
			tick, found = t, true
		}
	}
	if !r.Catchup {
		consider(c.alignPrev(now))
	}
	switch {
	case last != nil:
		t, ok := c.after(last.IntervalEnd)
		if !ok {
			return Slot{}, false
		}
		consider(t, true)
	case r.Earliest.IsZero():
		consider(c.first(now))
	}
	if !r.Earliest.IsZero() && (!r.Catchup || last == nil) {
		t, ok := c.alignNext(r.Earliest)
		if !ok {
			return Slot{}, false
		}
		consider(t, true)
	}
	if !found || r.beyond(tick) {
		return Slot{}, false
	}
	return c.slot(tick), true
}

// first chooses the first run of a DAG without start date and runs: the tick just past, or the next one.
func (c cronTrigger) first(now time.Time) (time.Time, bool) {
	past, okPast := c.alignPrev(now)
	next, okNext := c.alignNext(now)
	if !okPast || !okNext || c.runImmediately {
		return past, okPast
	}
	buffer := c.runWithin
	if buffer == 0 {
		buffer = max(next.Sub(past)/10, 5*time.Minute)
	}
	if now.Sub(past) <= buffer {
		return past, true
	}
	return next, true
}

func (c cronTrigger) Manual(runAfter time.Time) Slot {
	return manual(runAfter.Add(-c.interval), runAfter, runAfter)
}

func (c cronTrigger) Upcoming(after time.Time, n int) []Slot {
	var slots []Slot
	for len(slots) < n {
		tick, ok := c.after(after)
		if !ok {
			break
		}
		slots, after = append(slots, c.slot(tick)), tick
	}
	return slots
}

// cronInterval is Airflow's CronDataIntervalTimetable: a run after each interval between two ticks, for that interval.
type cronInterval struct{ cronClock }

func (c cronInterval) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	var start time.Time
	found := false
	consider := func(t time.Time, ok bool) {
		if ok && (!found || t.After(start)) {
			start, found = t, true
		}
	}
	if !r.Catchup {
		consider(c.lastComplete(now))
	}
	if !r.Earliest.IsZero() {
		t, ok := c.alignNext(r.Earliest)
		if !ok {
			return Slot{}, false
		}
		consider(t, true)
	}
	if last != nil {
		consider(c.follow(last))
	}
	if !found || r.beyond(start) {
		return Slot{}, false
	}
	end, ok := c.after(start)
	return interval(start, end), ok
}

// lastComplete is the start of the last interval that has ended by now.
func (c cronInterval) lastComplete(now time.Time) (time.Time, bool) {
	start, ok := c.before(now)
	if ok {
		start, ok = c.before(start)
	}
	for ok {
		end, _ := c.after(start)
		next, found := c.after(end)
		if !found || next.After(now) {
			break
		}
		start = end
	}
	return start, ok
}

// follow is the start of the interval after last: its end, or, when last comes from another schedule, the last tick before
// that. The interval never ends before last does.
func (c cronInterval) follow(last *Slot) (time.Time, bool) {
	if end, ok := c.after(last.IntervalStart); ok && end.Equal(last.IntervalEnd) {
		return end, true
	}
	start, ok := c.alignPrev(last.IntervalEnd)
	if end, found := c.after(start); ok && found && !end.After(last.IntervalEnd) {
		return last.IntervalEnd, true
	}
	return start, ok
}

func (c cronInterval) Manual(runAfter time.Time) Slot {
	end, ok := c.alignPrev(runAfter)
	if !ok {
		return manual(runAfter, runAfter, runAfter)
	}
	start, ok := c.before(end)
	if !ok {
		start = end
	}
	return manual(start, end, runAfter)
}

func (c cronInterval) Upcoming(after time.Time, n int) []Slot {
	start, ok := c.alignPrev(after)
	var slots []Slot
	for ok && len(slots) < n {
		var end time.Time
		if end, ok = c.after(start); ok {
			slots, start = append(slots, interval(start, end)), end
		}
	}
	return slots
}

// multiCron is Airflow's MultipleCronTriggerTimetable: a run whenever one of several expressions has a tick.
type multiCron []cronTrigger

func newMultiCron(s dag.Schedule, loc *time.Location) (Timetable, error) {
	if len(s.Cron) == 0 {
		return nil, &Error{Problem: "a cron expression is needed"}
	}
	var m multiCron
	for _, expr := range s.Cron {
		c, err := newCronTrigger(s, expr, loc)
		if err != nil {
			return nil, err
		}
		m = append(m, c)
	}
	return m, nil
}

func (m multiCron) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	var best Slot
	found := false
	for _, c := range m {
		s, ok := c.Next(last, r, now)
		if ok && (!found || m.prefers(s, best, r, now)) {
			best, found = s, true
		}
	}
	return best, found
}

// prefers orders slots: with catch-up the earliest first; without it the latest that is due, else the earliest.
func (multiCron) prefers(a, b Slot, r Restriction, now time.Time) bool {
	dueA, dueB := !a.LogicalDate.After(now), !b.LogicalDate.After(now)
	if r.Catchup || !dueA && !dueB {
		return a.LogicalDate.Before(b.LogicalDate)
	}
	if dueA != dueB {
		return dueA
	}
	return a.LogicalDate.After(b.LogicalDate)
}

func (m multiCron) Manual(runAfter time.Time) Slot { return m[0].Manual(runAfter) }

func (m multiCron) Upcoming(after time.Time, n int) []Slot {
	var slots []Slot
	for len(slots) < n {
		var first time.Time
		for _, c := range m {
			if t, ok := c.after(after); ok && (first.IsZero() || t.Before(first)) {
				first = t
			}
		}
		if first.IsZero() {
			break
		}
		slots, after = append(slots, m[0].slot(first)), first
	}
	return slots
}
