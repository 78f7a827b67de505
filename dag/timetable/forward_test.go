package timetable

import (
	"testing"
	"time"

	"gust/dag"
)

// TestIntervalsGoForward: hours of some days only count elapsed time across a change of the clock, and the way back leads
// elsewhere than the way there. The intervals touch each other all the same.
func TestIntervalsGoForward(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/New_York", "Australia/Adelaide", "Australia/Lord_Howe", "Africa/Casablanca"} {
		for _, expr := range []string{"0 * * * 1-5", "30 */1 * 10-4 4", "17/22 0-22,23 3 * *"} {
			table, err := New(dag.Schedule{Kind: dag.ScheduleCronInterval, Cron: []string{expr}}, zone)
			if err != nil {
				t.Fatal(err)
			}
			r := Restriction{Earliest: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Catchup: true}
			last, ok := table.Next(nil, r, r.Earliest)
			for ok && last.IntervalEnd.Year() == 2025 {
				var next Slot
				next, ok = table.Next(&last, r, last.RunAfter)
				if !next.IntervalStart.Equal(last.IntervalEnd) || !next.IntervalEnd.After(next.IntervalStart) {
					t.Fatalf("%s in %s: after the interval from %s to %s comes the one from %s to %s", expr, zone, last.IntervalStart,
						last.IntervalEnd, next.IntervalStart, next.IntervalEnd)
				}
				last = next
			}
		}
	}
}

// TestLatestAcrossAChangeOfTheClock: what is switched on months later gets the latest tick, and the latest interval, not
// those that elapsed time leads back to.
func TestLatestAcrossAChangeOfTheClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 5, 22, 20, 26, 2, 0, time.UTC)
	tick := time.Date(2025, 1, 1, 3, 25, 0, 0, time.UTC) // 31 December, 23:55 in St. John's
	for kind, start := range map[dag.ScheduleKind]time.Time{dag.ScheduleCron: tick, dag.ScheduleCronInterval: tick.Add(-11 * time.Minute)} {
		table, err := New(dag.Schedule{Kind: kind, Cron: []string{"*/11 * * dec *"}}, "America/St_Johns")
		if err != nil {
			t.Fatal(err)
		}
		s, ok := table.Next(&Slot{}, Restriction{}, now)
		if !ok || !s.RunAfter.Equal(tick) || !s.LogicalDate.Equal(start) {
			t.Errorf("%s: %v after %s, logical date %s; want %s, %s", kind, ok, s.RunAfter, s.LogicalDate, tick, start)
		}
	}
}
