package yeartest

import (
	"fmt"
	"time"

	"gust/dag"
)

// slot is a run as the oracle expects it.
type slot struct{ after, logical, start, end time.Time }

func (s slot) String() string {
	f := func(t time.Time) string { return t.Format(time.RFC3339Nano) }
	return fmt.Sprintf("after %s logical %s interval %s to %s", f(s.after), f(s.logical), f(s.start), f(s.end))
}

func at(t time.Time) slot { return slot{t, t, t, t} }

// runID is spelled out here as Airflow's documentation shows it, once for whole seconds and once for the rest.
func runID(kind string, t time.Time) string {
	t = t.UTC()
	id := fmt.Sprintf("%s__%04d-%02d-%02dT%02d:%02d:%02d", kind, t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second())
	if micro := t.Nanosecond() / 1000; micro > 0 {
		id += fmt.Sprintf(".%06d", micro)
	}
	return id + "+00:00"
}

// zone is a place, and what its wall clock shows. A naive time is a time.Time in UTC whose fields are those of the wall.
type zone struct {
	name string
	loc  *time.Location
	real map[time.Time]time.Time // of the naive quarters that have been asked for
}

func newZone(name string) *zone {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return &zone{name: name, loc: loc, real: map[time.Time]time.Time{}}
}

// wall is the naive time of an instant.
func (z *zone) wall(t time.Time) time.Time {
	l := t.In(z.loc)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), time.UTC)
}

const quarter = 15 * time.Minute

// instant is when the wall shows u. It watches the clock pass, a quarter of an hour at a time (no zone changes in
// between): the last time that it shows u counts. When it never does, u is as long after the last quarter before the gap
// as the two differ.
func (z *zone) instant(u time.Time) time.Time {
	q := u.Truncate(quarter)
	real, known := z.real[q]
	if !known {
		found, before, beforeReal := false, time.Time{}, time.Time{}
		for t := q.Add(-30 * time.Hour); t.Before(q.Add(30 * time.Hour)); t = t.Add(quarter) {
			switch w := z.wall(t); {
			case w.Equal(q):
				real, found = t, true
			case w.Before(q):
				before, beforeReal = w, t
			}
		}
		if !found {
			real = beforeReal.Add(q.Sub(before))
		}
		z.real[q] = real
	}
	return real.Add(u.Sub(q))
}

// cron is an expression as the fields that were drawn mean it; text is what the program under test reads.
type cron struct {
	text                 string
	second, minute, hour map[int]bool
	month                map[int]bool
	dom, dow             dayRule
	years                map[int]bool // nil: all
	everyHour            bool
}

// dayRule is one of the two day fields. A field that is not restricted is a star.
type dayRule struct {
	text       string
	restricted bool
	everything bool // restricted, and lists every day
	match      func(day time.Time) bool
}

func (c *cron) day(d time.Time) bool {
	if !c.month[int(d.Month())] || c.years != nil && !c.years[d.Year()] {
		return false
	}
	a, b := c.dom.match(d), c.dow.match(d)
	switch {
	case c.dom.restricted && c.dow.restricted:
		return a || b
	case c.dom.restricted:
		return a
	case c.dow.restricted:
		return b
	}
	return true
}

const farYears = 50

// next walks the wall clock to the first match after u.
func (c *cron) next(u time.Time) (time.Time, bool) {
	t := u.Truncate(time.Second).Add(time.Second)
	for limit := t.AddDate(farYears, 0, 0); t.Before(limit); {
		switch {
		case !c.day(t):
			t = t.Truncate(24 * time.Hour).Add(24 * time.Hour)
		case !c.hour[t.Hour()]:
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.minute[t.Minute()]:
			t = t.Truncate(time.Minute).Add(time.Minute)
		case !c.second[t.Second()]:
			t = t.Add(time.Second)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// prev walks it back to the last match before u.
func (c *cron) prev(u time.Time) (time.Time, bool) {
	t := u.Add(-time.Nanosecond).Truncate(time.Second)
	for limit := t.AddDate(-farYears, 0, 0); t.After(limit); {
		switch {
		case !c.day(t):
			t = t.Truncate(24 * time.Hour).Add(-time.Second)
		case !c.hour[t.Hour()]:
			t = t.Truncate(time.Hour).Add(-time.Second)
		case !c.minute[t.Minute()]:
			t = t.Truncate(time.Minute).Add(-time.Second)
		case !c.second[t.Second()]:
			t = t.Add(-time.Second)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// clock is an expression in a zone.
type clock struct {
	*cron
	zone *zone
}

func (c clock) after(t time.Time) (time.Time, bool) {
	w := c.zone.wall(t)
	n, ok := c.cron.next(w)
	return c.place(t, w, n), ok
}

func (c clock) before(t time.Time) (time.Time, bool) {
	w := c.zone.wall(t)
	n, ok := c.cron.prev(w)
	return c.place(t, w, n), ok
}

// place: what covers all hours counts elapsed time from where it is; everything else is looked up on the wall.
func (c clock) place(from, wall, n time.Time) time.Time {
	switch {
	case n.IsZero():
		return n
	case c.everyHour:
		return from.Add(n.Sub(wall))
	}
	return c.zone.instant(n)
}

// on reports whether t is a tick: the wall shows a match, for the last time where hours are listed, or it follows the
// tick before it.
func (c clock) on(t time.Time) bool {
	w := c.zone.wall(t)
	if m, ok := c.cron.prev(w.Add(1)); ok && m.Equal(w) && (c.everyHour || c.zone.instant(w).Equal(t)) {
		return true
	}
	p, ok := c.before(t)
	if !ok {
		return false
	}
	n, ok := c.after(p)
	return ok && n.Equal(t)
}

// ceil is the first tick that is not before t, floor the last that is not after t.
func (c clock) ceil(t time.Time) (time.Time, bool) {
	if c.on(t) {
		return t, true
	}
	return c.after(t)
}

func (c clock) floor(t time.Time) (time.Time, bool) {
	if c.on(t) {
		return t, true
	}
	p, ok := c.before(t)
	for ok {
		n, found := c.after(p)
		if !found || n.After(t) {
			break
		}
		p = n
	}
	return p, ok
}

// lastComplete is where the last interval begins that has ended by now.
func (c clock) lastComplete(now time.Time) (time.Time, bool) {
	start, ok := c.before(now)
	if ok {
		start, ok = c.before(start)
	}
	for ok {
		end, _ := c.after(start)
		further, found := c.after(end)
		if !found || further.After(now) {
			break
		}
		start = end
	}
	return start, ok
}

// rules are a DAG's schedule as the oracle follows it.
type rules struct {
	kind       dag.ScheduleKind
	clocks     []clock
	delta      time.Duration
	relative   *dag.RelativeDelta
	interval   time.Duration
	now        bool // run_immediately
	within     time.Duration
	dates      []time.Time // ascending
	start, end time.Time
	catchup    bool
}

// next is the run that follows last.
func (r *rules) next(last *slot, now time.Time) (slot, bool) {
	var s slot
	var ok bool
	switch r.kind {
	case dag.ScheduleCron, dag.ScheduleMultiCron:
		return r.nextOfMany(last, now)
	case dag.ScheduleCronInterval:
		s, ok = r.nextInterval(last, now)
	case dag.ScheduleDelta:
		s, ok = r.nextDelta(last, now)
	case dag.ScheduleDeltaIntvl:
		s, ok = r.nextDeltaInterval(last, now)
	case dag.ScheduleEvents:
		s, ok = r.nextEvent(last, now)
	case dag.ScheduleOnce:
		s, ok = at(now), last == nil
		if !r.start.IsZero() {
			s = at(r.start)
		}
	}
	if ok && !r.end.IsZero() && s.logical.After(r.end) {
		return s, false
	}
	return s, ok
}

// nextOfMany asks each expression: with catch-up the earliest answer counts, without it the latest that is due.
func (r *rules) nextOfMany(last *slot, now time.Time) (slot, bool) {
	var due, later time.Time
	for _, c := range r.clocks {
		t, ok := r.tick(c, last, now)
		if !ok || !r.end.IsZero() && t.After(r.end) {
			continue
		}
		if !r.catchup && !t.Add(-r.interval).After(now) {
			if t.After(due) {
				due = t
			}
		} else if later.IsZero() || t.Before(later) {
			later = t
		}
	}
	t := due
	if t.IsZero() {
		t = later
	}
	return slot{after: t, logical: t.Add(-r.interval), start: t.Add(-r.interval), end: t}, !t.IsZero()
}

func (r *rules) tick(c clock, last *slot, now time.Time) (time.Time, bool) {
	if r.catchup {
		if last != nil {
			return c.after(last.end)
		}
		return c.ceil(r.start) // without a start date the DAG is refused
	}
	recent, _ := c.floor(now)
	switch {
	case last != nil:
		t, ok := c.after(last.end)
		if !ok {
			return t, false
		}
		recent = max2(recent, t)
	case r.start.IsZero():
		return r.firstTick(c, now)
	}
	if !r.start.IsZero() {
		t, ok := c.ceil(r.start)
		if !ok {
			return t, false
		}
		recent = max2(recent, t)
	}
	return recent, true
}

// firstTick is the first run of a DAG without start date.
func (r *rules) firstTick(c clock, now time.Time) (time.Time, bool) {
	past, ok1 := c.floor(now)
	next, ok2 := c.ceil(now)
	if !ok1 || !ok2 || r.now {
		return past, ok1
	}
	window := r.within
	if window == 0 {
		window = max(5*time.Minute, next.Sub(past)/10)
	}
	if now.Sub(past) <= window {
		return past, true
	}
	return next, true
}

func (r *rules) nextInterval(last *slot, now time.Time) (slot, bool) {
	c := r.clocks[0]
	var start time.Time
	ok := false
	if !r.catchup {
		start, ok = c.lastComplete(now)
	}
	if last != nil {
		t, found := c.floor(last.end)
		if end, _ := c.after(last.start); end.Equal(last.end) {
			t, found = last.end, true // where the interval before ended, unless the schedule has changed
		}
		if found {
			start, ok = max2(start, t), true
		}
	}
	if !r.start.IsZero() {
		t, found := c.ceil(r.start)
		if !found {
			return slot{}, false
		}
		start, ok = max2(start, t), true
	}
	if !ok {
		return slot{}, false
	}
	end, ok := c.after(start)
	return slot{end, start, start, end}, ok
}

func (r *rules) nextDelta(last *slot, now time.Time) (slot, bool) {
	if last == nil {
		if r.catchup && !r.start.IsZero() {
			return at(r.start), true
		}
		return at(max2(now, r.start)), true
	}
	t := r.add(last.end)
	if !r.catchup {
		if !r.add(t).After(now) {
			t = now // a whole period was missed: the count begins anew
		}
		t = max2(t, r.start)
	}
	return at(t), true
}

func (r *rules) nextDeltaInterval(last *slot, now time.Time) (slot, bool) {
	start := r.start
	if !r.catchup {
		epoch := time.Unix(0, 0).UTC()
		since := now.Sub(epoch)
		start = max2(start, epoch.Add(since-since%r.delta-r.delta))
	}
	if last != nil {
		start = max2(start, last.end)
	}
	end := r.add(start)
	return slot{end, start, start, end}, !start.IsZero()
}

func (r *rules) nextEvent(last *slot, now time.Time) (slot, bool) {
	var found *time.Time
	for i := range r.dates {
		d := r.dates[i]
		if d.Before(r.start) || last != nil && !d.After(last.after) {
			continue
		}
		if found != nil && (r.catchup || d.After(now)) {
			break
		}
		found = &r.dates[i]
	}
	if found == nil {
		return slot{}, false
	}
	return at(*found), true
}

// add is one period later: absolute fields replace, months are counted one by one and keep to their length, the rest is
// elapsed time.
func (r *rules) add(t time.Time) time.Time {
	if r.relative == nil {
		return t.Add(r.delta)
	}
	d := r.relative
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for _, f := range []struct {
		from *int
		to   *int
	}{{d.Year, &year}, {d.Month, (*int)(&month)}, {d.Day, &day}, {d.Hour, &hour}, {d.Minute, &minute}, {d.Second, &second}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	for range d.Months + 12*d.Years {
		if month++; month > 12 {
			year, month = year+1, 1
		}
	}
	for time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Month() != month {
		day--
	}
	t = time.Date(year, month, day, hour, minute, second, t.Nanosecond(), time.UTC)
	return t.Add(time.Duration(d.Days+7*d.Weeks)*24*time.Hour + time.Duration(d.Hours)*time.Hour +
		time.Duration(d.Minutes)*time.Minute + time.Duration(d.Seconds)*time.Second)
}

func max2(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
