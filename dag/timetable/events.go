package timetable

import (
	"slices"
	"time"
)

// events schedules a run at each of a list of instants (Airflow: EventsTimetable).
type events struct{ dates []time.Time }

func newEvents(dates []time.Time) (Timetable, error) {
	if len(dates) == 0 {
		return nil, &Error{Problem: "the list of dates is empty"}
	}
	sorted := make([]time.Time, len(dates))
	for i, d := range dates {
		sorted[i] = d.UTC()
	}
	slices.SortFunc(sorted, time.Time.Compare)
	return events{slices.CompactFunc(sorted, time.Time.Equal)}, nil
}

func (e events) Next(last *Slot, r Restriction, now time.Time) (Slot, bool) {
	from := r.Earliest
	if last != nil && !last.RunAfter.Before(from) {
		from = last.RunAfter.Add(time.Nanosecond)
	}
	i := e.search(from)
	if !r.Catchup {
		// The latest that is due, or the next one.
		if j := e.search(now.Add(time.Nanosecond)) - 1; j > i {
			i = j
		}
	}
	if i >= len(e.dates) || r.beyond(e.dates[i]) {
		return Slot{}, false
	}
	return exact(e.dates[i]), true
}

// search finds the first date that is not before t.
func (e events) search(t time.Time) int {
	i, _ := slices.BinarySearchFunc(e.dates, t, time.Time.Compare)
	return i
}

func (e events) Manual(runAfter time.Time) Slot { return exact(runAfter) }

func (e events) Upcoming(after time.Time, n int) []Slot {
	var slots []Slot
	for i := e.search(after.Add(time.Nanosecond)); i < len(e.dates) && len(slots) < n; i++ {
		slots = append(slots, exact(e.dates[i]))
	}
	return slots
}
