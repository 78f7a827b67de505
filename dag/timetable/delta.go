package timetable

import (
	"fmt"
	"time"

	"gust/dag"
)

// period is a fixed length of time, or a calendar period (dateutil's relativedelta). It is counted in UTC.
type period struct {
	delta    time.Duration
	relative *dag.RelativeDelta
}

func newPeriod(s dag.Schedule) (period, error) {
	p := period{s.Delta, s.Relative}
	if p.relative == nil {
		if p.delta <= 0 {
			return p, &Error{Problem: fmt.Sprintf("the schedule's period is %s", p.delta), Expected: "a positive period"}
		}
		return p, nil
	}
	first := p.add(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), 1)
	if !p.add(first, 1).After(first) {
		return p, &Error{Problem: "the schedule's relativedelta does not lead forward",
			Expected: "a positive period (hours: 18 is a period of 18 hours, hour: 18 only sets the clock; days: 1 with " +
				"hour: 18 is every day at 18:00)"}
	}
	return p, nil
}

// add returns t plus (sign 1) or minus (sign -1) the period.
func (p period) add(t time.Time, sign int) time.Time {
	if p.relative == nil {
		return t.Add(time.Duration(sign) * p.delta).UTC()
	}
	return addRelative(t.UTC(), *p.relative, sign)
}

// addRelative follows dateutil: absolute fields replace, then years and months are added with the day clipped to the
// month's length, then the rest is added as elapsed time. Subtracting negates the relative fields only.
func addRelative(t time.Time, r dag.RelativeDelta, sign int) time.Time {
	pick := func(p *int, v int) int {
		if p != nil {
			return *p
		}
		return v
	}
	year, month := pick(r.Year, t.Year())+sign*r.Years, pick(r.Month, int(t.Month()))+sign*r.Months
	year, month = year+int(floorDiv(int64(month-1), 12)), int(int64(month-1)-floorDiv(int64(month-1), 12)*12)+1
	day := min(pick(r.Day, t.Day()), daysIn(year, month))
	t = time.Date(year, time.Month(month), day, pick(r.Hour, t.Hour()), pick(r.Minute, t.Minute()),
		pick(r.Second, t.Second()), t.Nanosecond(), time.UTC)
	return t.AddDate(0, 0, sign*(r.Days+7*r.Weeks)).Add(time.Duration(sign) * (time.Duration(r.Hours)*time.Hour +
		time.Duration(r.Minutes)*time.Minute + time.Duration(r.Seconds)*time.Second))
}

// seconds is the period's length, with Airflow's rule of thumb for a calendar period: 365 days, 30 days.
func (p period) seconds() float64 {
	if r := p.relative; r != nil {
		days := r.Years*365 + r.Months*30 + r.Weeks*7 + r.Days
		return float64(days*86400 + r.Hours*3600 + r.Minutes*60 + r.Seconds)
	}
	return p.delta.Seconds()
}

func (p period) upcoming(after time.Time, n int, slot func(end time.Time) Slot) []Slot {
	var slots []Slot
	for len(slots) < n {
		after = p.add(after, 1)
		slots = append(slots, slot(after))
	}
	return slots
}

// deltaTrigger is Airflow's DeltaTriggerTimetable: a run, then one each period later. Ticks are not aligned to the
// clock.
type deltaTrigger struct {
	period
	interval time.Duration
}

func (d deltaTrigger) slot(tick time.Time) Slot { return interval(tick.Add(-d.interval), tick) }

// Next without catch-up restarts the count at now once a whole period was missed. (Airflow asks when the previous run
// is created, keeps the answer, and so runs one late tick before it restarts.)
func (d deltaTrigger) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	var tick time.Time
	switch {
	case last != nil:
		tick = d.add(last.IntervalEnd, 1)
		if !r.Catchup && !d.add(tick, 1).After(now) {
			tick = now
		}
		if !r.Catchup {
			tick = latest(tick, r.Earliest)
		}
	case r.Catchup && !r.Earliest.IsZero():
		tick = r.Earliest
	default:
		tick = latest(now, r.Earliest)
	}
	if r.beyond(tick) {
		return Slot{}, false
	}
	return d.slot(tick), true
}

func (d deltaTrigger) Manual(runAfter time.Time) Slot {
	return manual(runAfter.Add(-d.interval), runAfter, runAfter)
}

func (d deltaTrigger) Upcoming(after time.Time, n int) []Slot { return d.upcoming(after, n, d.slot) }

// deltaInterval is Airflow's DeltaDataIntervalTimetable: a run after each period, for that period.
type deltaInterval struct{ period }

func (d deltaInterval) slot(end time.Time) Slot { return interval(d.add(end, -1), end) }

func (d deltaInterval) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	start := r.Earliest
	if !r.Catchup {
		start = latest(d.add(d.round(now), -1), r.Earliest)
	}
	if last != nil {
		start = latest(last.IntervalEnd, start)
	}
	if start.IsZero() || r.beyond(start) {
		return Slot{}, false
	}
	return interval(start, d.add(start, 1)), true
}

// round cuts a time down to a multiple of the period, counted from 1970-01-01.
func (d deltaInterval) round(t time.Time) time.Time {
	length := time.Duration(d.seconds() * float64(time.Second))
	if length <= 0 {
		return t
	}
	micros := t.UnixMicro()
	return time.UnixMicro(micros - micros%length.Microseconds()).UTC()
}

func (d deltaInterval) Manual(runAfter time.Time) Slot {
	return manual(d.add(runAfter, -1), runAfter, runAfter)
}

func (d deltaInterval) Upcoming(after time.Time, n int) []Slot { return d.upcoming(after, n, d.slot) }
