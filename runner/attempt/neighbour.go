package attempt

import (
	"time"

	"gust/dag"
	"gust/dag/timetable"
)

// neighbour finds the logical dates of the schedule's ticks before (-1) and after (1) a run, for the names prev_ds and
// next_ds of Airflow 2.
func neighbour(d *dag.DAG, r *dag.Run) func(step int) (time.Time, bool) {
	return func(step int) (time.Time, bool) {
		tt, err := timetable.New(d.Schedule, d.Timezone)
		if err != nil {
			return time.Time{}, false // a loaded DAG's schedule is valid
		}
		slot, ok := next(tt, r.RunAfter)
		if step < 0 {
			slot, ok = before(tt, r.RunAfter)
		}
		return slot.LogicalDate, ok
	}
}

func next(tt timetable.Timetable, after time.Time) (timetable.Slot, bool) {
	slots := tt.Upcoming(after, 1)
	if len(slots) == 0 {
		return timetable.Slot{}, false
	}
	return slots[0], true
}

// farthest is how far back a tick is looked for, at least: a leap day is up to eight years away.
const farthest = 9 * 366 * 24 * time.Hour

// before finds the last tick strictly before t. Timetables only look ahead: it starts from ever farther back, and walks
// on from the first tick that it meets.
func before(tt timetable.Timetable, t time.Time) (timetable.Slot, bool) {
	for back := time.Minute; back <= 2*farthest; back *= 2 {
		slot, ok := next(tt, t.Add(-back))
		if !ok {
			return slot, false
		}
		if !slot.RunAfter.Before(t) {
			continue
		}
		for {
			following, ok := next(tt, slot.RunAfter)
			if !ok || !following.RunAfter.Before(t) {
				return slot, true
			}
			slot = following
		}
	}
	return timetable.Slot{}, false
}
