package timetable

import "time"

// none never schedules anything: runs are triggered by hand, by another DAG or through the API.
type none struct{}

func (none) Next(*Slot, Restriction, time.Time) (Slot, bool) { return Slot{}, false }
func (none) Manual(runAfter time.Time) Slot                  { return exact(runAfter) }
func (none) Upcoming(time.Time, int) []Slot                  { return nil }

// once schedules a single run at the start date, or at once when there is none.
type once struct{}

func (once) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	if last != nil {
		return Slot{}, false
	}
	at := r.Earliest
	if at.IsZero() {
		at = now
	}
	return exact(at), !r.beyond(at)
}

func (once) Manual(runAfter time.Time) Slot       { return exact(runAfter) }
func (once) Upcoming(time.Time, int) []Slot       { return nil }
func (continuous) Upcoming(time.Time, int) []Slot { return nil }

// continuous schedules a run whenever the previous one has ended. The data intervals of the runs touch each other.
type continuous struct{}

func (continuous) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	from := r.Earliest
	if from.IsZero() {
		from = now
	}
	start, end := from, latest(from, now)
	switch {
	case last == nil:
	case last.IntervalEnd.After(now): // the start date lies in the future
		end = start.Add(last.IntervalEnd.Sub(last.IntervalStart))
	default:
		start, end = last.IntervalEnd, now
	}
	return interval(start, end), !r.beyond(end)
}

func (continuous) Manual(runAfter time.Time) Slot { return exact(runAfter) }
