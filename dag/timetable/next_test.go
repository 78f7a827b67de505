package timetable

import (
	"strings"
	"testing"
	"time"

	"gust/dag"
)

// nextCase is one question to Next.
type nextCase struct {
	name                     string
	s                        dag.Schedule
	last, start, end         string // last: "start end" of its data interval
	catchup                  bool
	now                      string
	runAfter, ivStart, ivEnd string // "" = none
}

// cronCases are of schedules that follow the clock.
func cronCases() []nextCase {
	yes := true
	daily, hourly := cronOf("0 0 * * *"), cronOf("@hourly")
	withInterval := dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"@daily"}, Interval: 24 * time.Hour}
	immediately := dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"@daily"}, RunImmediately: &yes}
	window := dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"@daily"}, RunWithin: 16 * time.Hour}
	cronIv := dag.Schedule{Kind: dag.ScheduleCronInterval, Cron: []string{"@daily"}}
	return []nextCase{
		{"un-paused in the afternoon: today's run at once", daily, "", "2025-01-01", "", false, "2025-06-10 15:00", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"catch-up begins at the start date", daily, "", "2025-01-01", "", true, "2025-06-10 15:00", "2025-01-01", "2025-01-01", "2025-01-01"},
		{"catch-up aligns the start date", daily, "", "2025-01-01 10:00", "", true, "2025-06-10", "2025-01-02", "2025-01-02", "2025-01-02"},
		{"catch-up goes on", daily, "2025-01-01 2025-01-01", "2025-01-01", "", true, "2025-06-10", "2025-01-02", "2025-01-02", "2025-01-02"},
		{"missed runs are skipped", daily, "2025-01-01 2025-01-01", "2025-01-01", "", false, "2025-06-10 15:00", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"the next one is in the future", daily, "2025-06-10 2025-06-10", "2025-01-01", "", false, "2025-06-10 15:00", "2025-06-11", "2025-06-11", "2025-06-11"},
		{"exactly on the tick", daily, "2025-06-09 2025-06-09", "", "", false, "2025-06-10", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"the start date lies ahead", daily, "", "2025-07-01 12:00", "", false, "2025-06-10", "2025-07-02", "2025-07-02", "2025-07-02"},
		{"the end date", daily, "2025-06-10 2025-06-10", "", "2025-06-10 12:00", true, "2025-06-20", "", "", ""},
		{"the end date itself", daily, "2025-06-09 2025-06-09", "", "2025-06-10", true, "2025-06-20", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"an interval before the tick", withInterval, "", "2025-01-05", "", true, "2025-06-10", "2025-01-05", "2025-01-04", "2025-01-05"},
		{"no start date: the past tick is close", hourly, "", "", "", false, "2025-06-10 15:04", "2025-06-10 15:00", "2025-06-10 15:00", "2025-06-10 15:00"},
		{"no start date: the past tick is far", hourly, "", "", "", false, "2025-06-10 15:30", "2025-06-10 16:00", "2025-06-10 16:00", "2025-06-10 16:00"},
		{"no start date: a tenth of a day", daily, "", "", "", true, "2025-06-10 02:00", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"no start date: more than a tenth", daily, "", "", "", true, "2025-06-10 03:00", "2025-06-11", "2025-06-11", "2025-06-11"},
		{"run_immediately", immediately, "", "", "", false, "2025-06-10 23:00", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"run_immediately within a window", window, "", "", "", false, "2025-06-10 15:00", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"outside of the window", window, "", "", "", false, "2025-06-10 17:00", "2025-06-11", "2025-06-11", "2025-06-11"},
		{"several expressions: the latest that is due", cronOf("0 3 * * *", "0 9 * * *"), "", "2025-01-01", "", false, "2025-06-10 12:00",
			"2025-06-10 09:00", "2025-06-10 09:00", "2025-06-10 09:00"},
		{"several expressions: the earliest ahead", cronOf("0 3 * * *", "0 9 * * *"), "2025-06-10 09:00/2025-06-10 09:00", "2025-01-01", "", false,
			"2025-06-10 12:00", "2025-06-11 03:00", "2025-06-11 03:00", "2025-06-11 03:00"},
		{"several expressions with catch-up", cronOf("0 3 * * *", "0 9 * * *"), "2025-06-01 03:00/2025-06-01 03:00", "2025-01-01", "", true,
			"2025-06-10 12:00", "2025-06-01 09:00", "2025-06-01 09:00", "2025-06-01 09:00"},
		{"data interval: the last complete one", cronIv, "", "2025-01-01", "", false, "2025-06-10 15:00", "2025-06-10", "2025-06-09", "2025-06-10"},
		{"data interval: on the boundary", cronIv, "", "2025-01-01", "", false, "2025-06-10", "2025-06-10", "2025-06-09", "2025-06-10"},
		{"data interval with catch-up", cronIv, "", "2025-01-01", "", true, "2025-06-10", "2025-01-02", "2025-01-01", "2025-01-02"},
		{"data interval after another", cronIv, "2025-01-01 2025-01-02", "2025-01-01", "", true, "2025-06-10", "2025-01-03", "2025-01-02", "2025-01-03"},
		{"data interval without a start date", cronIv, "", "", "", true, "2025-06-10", "", "", ""},
	}
}

// otherCases are of periods, @once, @continuous and no schedule.
func otherCases() []nextCase {
	delta := dag.Schedule{Kind: dag.ScheduleDelta, Delta: time.Hour}
	deltaIv := dag.Schedule{Kind: dag.ScheduleDeltaIntvl, Delta: time.Hour}
	monthly := dag.Schedule{Kind: dag.ScheduleDelta, Relative: &dag.RelativeDelta{Months: 1}}
	once, continuous := dag.Schedule{Kind: dag.ScheduleOnce}, dag.Schedule{Kind: dag.ScheduleContinuous}
	return []nextCase{
		{"period: first run now", delta, "", "2025-01-01", "", false, "2025-06-10 15:07", "2025-06-10 15:07", "2025-06-10 15:07", "2025-06-10 15:07"},
		{"period: first run at a start date ahead", delta, "", "2025-07-01", "", false, "2025-06-10", "2025-07-01", "2025-07-01", "2025-07-01"},
		{"period with catch-up", delta, "", "2025-01-01", "", true, "2025-06-10", "2025-01-01", "2025-01-01", "2025-01-01"},
		{"period after another", delta, "2025-06-10 15:07/2025-06-10 15:07", "2025-01-01", "", false, "2025-06-10 15:30",
			"2025-06-10 16:07", "2025-06-10 16:07", "2025-06-10 16:07"},
		{"period: a moment late keeps the beat", delta, "2025-06-10 15:07/2025-06-10 15:07", "", "", false, "2025-06-10 16:08",
			"2025-06-10 16:07", "2025-06-10 16:07", "2025-06-10 16:07"},
		{"period: missed ones are skipped", delta, "2025-06-10 15:07/2025-06-10 15:07", "", "", false, "2025-06-10 19:00",
			"2025-06-10 19:00", "2025-06-10 19:00", "2025-06-10 19:00"},
		{"period: none is skipped with catch-up", delta, "2025-06-10 15:07/2025-06-10 15:07", "2025-01-01", "", true, "2025-06-10 19:00",
			"2025-06-10 16:07", "2025-06-10 16:07", "2025-06-10 16:07"},
		{"a calendar period clips the day", monthly, "2025-01-31 2025-01-31", "2025-01-31", "", true, "2025-06-10", "2025-02-28", "2025-02-28", "2025-02-28"},
		{"period interval without catch-up", deltaIv, "", "2025-01-01", "", false, "2025-06-10 15:30", "2025-06-10 15:00", "2025-06-10 14:00", "2025-06-10 15:00"},
		{"period interval with catch-up is not aligned", deltaIv, "", "2025-01-01 00:07", "", true, "2025-06-10", "2025-01-01 01:07", "2025-01-01 00:07", "2025-01-01 01:07"},
		{"@once at the start date", once, "", "2025-01-01", "", false, "2025-06-10", "2025-01-01", "2025-01-01", "2025-01-01"},
		{"@once now", once, "", "", "", true, "2025-06-10", "2025-06-10", "2025-06-10", "2025-06-10"},
		{"@once is over", once, "2025-01-01 2025-01-01", "", "", false, "2025-06-10", "", "", ""},
		{"@once after the end", once, "", "2025-01-01", "2024-12-31", false, "2025-06-10", "", "", ""},
		{"@continuous begins", continuous, "", "2025-01-01", "", false, "2025-06-10", "2025-06-10", "2025-01-01", "2025-06-10"},
		{"@continuous goes on", continuous, "2025-01-01 2025-06-10", "2025-01-01", "", false, "2025-06-10 12:00", "2025-06-10 12:00", "2025-06-10", "2025-06-10 12:00"},
		{"@continuous ends", continuous, "2025-01-01 2025-06-10", "2025-01-01", "2025-06-10", false, "2025-06-10 12:00", "", "", ""},
		{"no schedule", dag.Schedule{Kind: dag.ScheduleNone}, "", "2025-01-01", "", true, "2025-06-10", "", "", ""},
		{"a year that is past", cronOf("0 0 * * * 0 2024"), "2024-12-31 2024-12-31", "2024-01-01", "", true, "2025-06-10", "", "", ""},
	}
}

// TestNext holds what Airflow's timetables propose.
func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range append(cronCases(), otherCases()...) {
		table, err := New(c.s, "UTC")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var last *Slot
		if c.last != "" {
			start, end, ok := strings.Cut(c.last, "/")
			if !ok {
				start, end, _ = strings.Cut(c.last, " ")
			}
			s := interval(at(t, start), at(t, end))
			last = &s
		}
		got, ok := table.Next(last, Restriction{at(t, c.start), at(t, c.end), c.catchup}, at(t, c.now))
		if !ok && c.runAfter == "" {
			continue
		}
		want := Slot{at(t, c.runAfter), at(t, c.ivStart), at(t, c.ivStart), at(t, c.ivEnd)}
		if ok != (c.runAfter != "") || got != want {
			t.Errorf("%s:\n got %v %v\nwant %v", c.name, got, ok, want)
		}
	}
}
