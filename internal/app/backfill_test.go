package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/dag/timetable"
)

// TestBackfillSlots: both dates belong to the range, and the dates are those that a catch-up would have.
func TestBackfillSlots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		schedule dag.Schedule
		zone     string
		from, to string
		want     string
	}{
		{"cron", dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 6 * * *"}}, "UTC", "2026-01-01T06:00:00Z", "2026-01-03T06:00:00Z",
			"2026-01-01T06:00 2026-01-02T06:00 2026-01-03T06:00"},
		{"cron between", dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 6 * * *"}}, "UTC", "2026-01-01T07:00:00Z", "2026-01-03T05:00:00Z",
			"2026-01-02T06:00"},
		{"cron over the end of summer time", dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 6 * * *"}}, "Europe/Amsterdam",
			"2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z", "2026-10-24T04:00 2026-10-25T05:00"},
		{"data interval", dag.Schedule{Kind: dag.ScheduleCronInterval, Cron: []string{"0 6 * * *"}}, "UTC", "2026-01-01T06:00:00Z",
			"2026-01-03T06:00:00Z", "2026-01-01T06:00 2026-01-02T06:00 2026-01-03T06:00"},
		{"delta", dag.Schedule{Kind: dag.ScheduleDelta, Delta: 36 * time.Hour}, "UTC", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z",
			"2026-01-01T00:00 2026-01-02T12:00 2026-01-04T00:00"},
		{"dates", dag.Schedule{Kind: dag.ScheduleEvents, Dates: []time.Time{
			time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		}}, "UTC", "2026-01-02T00:00:00Z", "2026-02-01T00:00:00Z", "2026-01-05T00:00 2026-02-01T00:00"},
		{"nothing in between", dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 6 1 * *"}}, "UTC", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", ""},
	} {
		from, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := time.Parse(time.RFC3339, c.to)
		if err != nil {
			t.Fatal(err)
		}
		slots, err := backfillSlots(&dag.DAG{ID: "d", Schedule: c.schedule, Timezone: c.zone}, from.UTC(), to.UTC())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for i := range slots {
			got = append(got, slots[i].LogicalDate.UTC().Format("2006-01-02T15:04"))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
		if !slices.IsSortedFunc(slots, func(x, y timetable.Slot) int { return x.RunAfter.Compare(y.RunAfter) }) {
			t.Errorf("%s: the slots are out of order", c.name)
		}
	}
	for _, kind := range []dag.ScheduleKind{dag.ScheduleNone, dag.ScheduleOnce, dag.ScheduleContinuous} {
		_, err := backfillSlots(&dag.DAG{ID: "d", Schedule: dag.Schedule{Kind: kind, Text: string(kind)}, Timezone: "UTC"}, time.Now(), time.Now())
		if err == nil || !strings.Contains(err.Error(), "only a DAG with a clock schedule") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	_, err := backfillSlots(&dag.DAG{ID: "d", Schedule: dag.Schedule{Kind: dag.ScheduleDelta, Delta: time.Second}, Timezone: "UTC"},
		time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err == nil || !strings.Contains(err.Error(), "make several backfills") {
		t.Errorf("too large a range: %v", err)
	}
}
