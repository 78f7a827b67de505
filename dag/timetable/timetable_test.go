package timetable

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"

	"gust/dag"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if v, err := time.Parse(layout, s); err == nil {
			return v
		}
	}
	t.Fatalf("bad time %q", s)
	return time.Time{}
}

func cronOf(expr ...string) dag.Schedule {
	if len(expr) > 1 {
		return dag.Schedule{Kind: dag.ScheduleMultiCron, Cron: expr}
	}
	return dag.Schedule{Kind: dag.ScheduleCron, Cron: expr}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, want string }{
		{"@dayly", `unknown schedule "@dayly"; expected a cron expression or @once, @continuous, @hourly, @daily, @midnight, @weekly, ` +
			`@monthly, @quarterly, @yearly, @annually; did you mean "@daily"?`},
		{"daily", `cron expression "daily" has 1 field; expected 5 (minute hour day-of-month month day-of-week), 6 (seconds last) ` +
			`or 7 (seconds and year last); did you mean "@daily"?`},
		{"@every 1h", `unknown schedule "@every 1h"; expected a timedelta for a fixed period`},
		{"@once", `@once is a schedule of its own, not a cron expression; expected schedule: "@once"`},
		{"", "the cron expression is empty"},
		{"61 * * * *", `minute: 61 is out of range in cron expression "61 * * * *"; expected 0-59, *, a list, a range or a step`},
		{"0 24 * * *", "hour: 24 is out of range"},
		{"0 0 0 * *", "day of month: 0 is out of range"},
		{"0 0 * 13 *", `month: 13 is out of range in cron expression "0 0 * 13 *"; expected 1-12, jan-dec`},
		{"0 0 * * 8", "day of week: 8 is out of range"},
		{"0 0 * * sunday", `day of week: "sunday" is not a value in cron expression "0 0 * * sunday"; expected 0-7, sun-sat, MON#1 (first ` +
			`Monday), L5 (last Friday), *, ?, a list, a range or a step; did you mean "sun"?`},
		{"0 0 * jna *", `did you mean "jan"?`},
		{"0 0 * * MON,", `day of week: "mon," has an empty item`}, {",0 * * * *", "has an empty item"},
		{"*/0 * * * *", `minute: "*/0": the step is "0" in cron expression "*/0 * * * *"; expected a whole number from 1`},
		{"*/x * * * *", `the step is "x"`}, {"1-x * * * *", `"x" is not a value`}, {"1- * * * *", `"1-" is not a range`}, {"-1 * * * *", "is not a range"},
		{"TZ=UTC 0 0 * * *", "a time zone prefix is not allowed"}, {"CRON_TZ=UTC 0 0 * * *", "a time zone prefix is not allowed"},
		{"0 0 15W * *", `day of month: "15w" is not a value`}, {"0 0 LW * *", `"lw" is not a value`}, {"0 0 * * 5L", `"5l" is not a value`},
		{"0 0 * * L", `"l" is not a value`}, {"H 0 * * *", `"h" is not a value`}, {"R 0 * * *", `"r" is not a value`},
		{"? * * * *", "? is allowed in day of month and day of week only"}, {"0 0 1,? * *", "mixes ? with something else"},
		{"0 0 * * MON#6", `"mon#6": the number after # is "6" in cron expression "0 0 * * MON#6"; expected 1-5`},
		{"0 0 * * 1-5#1", `a range before # needs names`}, {"0 0 * * 1#1,3", "mixes whole weekdays with n-th ones"},
		{"0 0 31 2 *", `cron expression "0 0 31 2 *" never matches a date`}, {"0 0 30 2 * 0 2024", "never matches a date"},
		{"* * * *", "has 4 fields"}, {"* * * * * * * *", "has 8 fields"}, {"0 0 * * * 60", "second: 60 is out of range"},
		{"0 0 * * * 0 1969", "year: 1969 is out of range"}, {"99999999999999999999 * * * *", "is out of range"},
	} {
		err := Validate(cronOf(c.expr), "UTC")
		var te *Error
		if !errors.As(err, &te) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v\nwant %s", c.expr, err, c.want)
		}
	}
	for _, expr := range []string{
		"@hourly", "@Daily", "@midnight", "@annually", "@quarterly", "* * * * *", "0 0 * * 7", "0 0 * * 5-7", "0 0 * * FRI-SUN", "0 22-2 * * *",
		"0 0 * * MON#1", "0 0 * * sat#1,sun#2", "0 0 * * MON-FRI#1", "0 0 * * L5", "0 0 * * 5#3,L5", "0 0 L * *", "0 0 l * *", "0 0 ? * ?",
		"*/90 * * * *", "5/15 * * * *", "0 0 * * * 30", "0 0 * * * 30 2024-2030", "0 0 29 2 *", " 0  0 * * * ", "0 0 * JAN-MAR *", "0 0 15-L * *",
	} {
		if err := Validate(cronOf(expr), "Europe/Amsterdam"); err != nil {
			t.Errorf("%q: %v", expr, err)
		}
	}
}

func TestValidateOtherKinds(t *testing.T) {
	t.Parallel()
	eighteen := 18
	for _, c := range []struct {
		s        dag.Schedule
		tz, want string
	}{
		{cronOf("@daily"), "Europe/Amsterdm", `time zone: unknown time zone "Europe/Amsterdm"; expected an IANA name such as Europe/Amsterdam, ` +
			`or UTC; did you mean "Europe/Amsterdam"?`},
		{cronOf("@daily"), "Local", "unknown time zone"},
		{dag.Schedule{Kind: dag.ScheduleDelta}, "", "the schedule's period is 0s; expected a positive period"},
		{dag.Schedule{Kind: dag.ScheduleDelta, Delta: -time.Hour}, "", "the schedule's period is -1h0m0s"},
		{dag.Schedule{Kind: dag.ScheduleDelta, Relative: &dag.RelativeDelta{Hour: &eighteen}}, "", "does not lead forward"},
		{dag.Schedule{Kind: dag.ScheduleDelta, Relative: &dag.RelativeDelta{Days: 1, Hour: &eighteen}}, "", ""},
		{dag.Schedule{Kind: dag.ScheduleMultiCron}, "", "a cron expression is needed"},
		{cronOf("@daily", "61 * * * *"), "", "minute: 61"},
		{dag.Schedule{Kind: dag.ScheduleCron}, "", "one cron expression is needed, got 0"},
		{dag.Schedule{Kind: "moon"}, "", `unknown schedule kind "moon"`},
		{dag.Schedule{Kind: dag.ScheduleNone}, "", ""}, {dag.Schedule{}, "", ""}, {dag.Schedule{Kind: dag.ScheduleOnce}, "utc", ""},
		{dag.Schedule{Kind: dag.ScheduleContinuous}, "", ""},
	} {
		err := Validate(c.s, c.tz)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v in %q: %v, want %q", c.s, c.tz, err, c.want)
		}
	}
}

// TestTicks holds the tables of cron forms and daylight saving: the ticks after a moment, in wall-clock time.
func TestTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, zone, from, want string }{
		{"30 2 * * *", "America/New_York", "2025-03-08T12:00:00-05:00", "2025-03-09T03:30:00-04:00 2025-03-10T02:30:00-04:00"},
		{"0 */2 * * *", "America/New_York", "2025-03-08T23:00:00-05:00",
			"2025-03-09T00:00:00-05:00 2025-03-09T03:00:00-04:00 2025-03-09T04:00:00-04:00"},
		{"30 1 * * *", "America/New_York", "2025-11-01T12:00:00-04:00", "2025-11-02T01:30:00-05:00 2025-11-03T01:30:00-05:00"},
		{"*/30 1 * * *", "America/New_York", "2025-11-01T12:00:00-04:00",
			"2025-11-02T01:00:00-05:00 2025-11-02T01:30:00-05:00 2025-11-03T01:00:00-05:00"},
		{"30 * * * *", "America/New_York", "2025-11-02T00:45:00-04:00",
			"2025-11-02T01:30:00-04:00 2025-11-02T01:30:00-05:00 2025-11-02T02:30:00-05:00"},
		{"30 0-23 * * *", "America/New_York", "2025-03-09T01:00:00-05:00", "2025-03-09T01:30:00-05:00 2025-03-09T03:30:00-04:00"},
		{"0 0 * * 7", "UTC", "2025-01-01T00:00:00Z", "2025-01-05T00:00:00Z 2025-01-12T00:00:00Z"},
		{"0 0 * * FRI-SUN", "UTC", "2025-01-01T00:00:00Z", "2025-01-03T00:00:00Z 2025-01-04T00:00:00Z 2025-01-05T00:00:00Z 2025-01-10T00:00:00Z"},
		{"0 22-1 * * *", "UTC", "2025-01-01T02:00:00Z", "2025-01-01T22:00:00Z 2025-01-01T23:00:00Z 2025-01-02T00:00:00Z 2025-01-02T01:00:00Z"},
		{"0 0 * * MON#1", "UTC", "2025-01-01T00:00:00Z", "2025-01-06T00:00:00Z 2025-02-03T00:00:00Z"},
		{"0 0 * * sat#1,sun#2", "UTC", "2025-01-01T00:00:00Z", "2025-01-04T00:00:00Z 2025-01-12T00:00:00Z 2025-02-01T00:00:00Z"},
		{"0 0 * * L5", "UTC", "2025-01-01T00:00:00Z", "2025-01-31T00:00:00Z 2025-02-28T00:00:00Z 2025-03-28T00:00:00Z"},
		{"0 0 L * *", "UTC", "2024-02-01T00:00:00Z", "2024-02-29T00:00:00Z 2024-03-31T00:00:00Z 2024-04-30T00:00:00Z"},
		{"0 0 13 * FRI", "UTC", "2025-06-01T00:00:00Z", "2025-06-06T00:00:00Z 2025-06-13T00:00:00Z 2025-06-20T00:00:00Z"},
		{"0 0 */2 * MON", "UTC", "2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z 2025-06-03T00:00:00Z 2025-06-05T00:00:00Z"},
		{"0 0 */1 * MON", "UTC", "2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z 2025-06-03T00:00:00Z"},
		{"0 0 1-31 * MON", "UTC", "2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z 2025-06-03T00:00:00Z"},
		{"0 0 13 * SUN-SAT", "UTC", "2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z 2025-06-03T00:00:00Z"},
		{"0 0 *,1 * MON", "UTC", "2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z 2025-06-09T00:00:00Z"},
		{"*/90 * * * *", "UTC", "2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z 2025-01-01T02:00:00Z"},
		{"5/15 0 * * *", "UTC", "2025-01-01T00:00:00Z", "2025-01-01T00:05:00Z 2025-01-01T00:20:00Z 2025-01-01T00:35:00Z 2025-01-01T00:50:00Z"},
		{"0 0 1 1 * */30", "UTC", "2025-01-01T00:00:00Z", "2025-01-01T00:00:30Z 2026-01-01T00:00:00Z"},
		{"0 0 1 1 * 0 2030", "UTC", "2025-01-01T00:00:00Z", "2030-01-01T00:00:00Z"},
		{"@quarterly", "UTC", "2025-01-01T00:00:00Z", "2025-04-01T00:00:00Z 2025-07-01T00:00:00Z"},
		{"0 0 29 2 *", "UTC", "2025-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
		{"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00"},
	} {
		loc, err := location(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		k, err := newCron(c.expr, loc)
		if err != nil {
			t.Errorf("%q: %v", c.expr, err)
			continue
		}
		now := at(t, c.from)
		for want := range strings.FieldsSeq(c.want) {
			next, ok := k.after(now)
			if got := next.In(loc).Format(time.RFC3339); !ok || got != want {
				t.Errorf("%q after %s: got %s, want %s", c.expr, now.In(loc).Format(time.RFC3339), got, want)
				break
			}
			now = next
		}
	}
}

func TestManual(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s          dag.Schedule
		start, end string
	}{
		{cronOf("@daily"), "2025-06-10 15:30", "2025-06-10 15:30"},
		{dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"@daily"}, Interval: time.Hour}, "2025-06-10 14:30", "2025-06-10 15:30"},
		{dag.Schedule{Kind: dag.ScheduleCronInterval, Cron: []string{"@daily"}}, "2025-06-09", "2025-06-10"},
		{dag.Schedule{Kind: dag.ScheduleDeltaIntvl, Delta: time.Hour}, "2025-06-10 14:30", "2025-06-10 15:30"},
		{dag.Schedule{Kind: dag.ScheduleDelta, Delta: time.Hour}, "2025-06-10 15:30", "2025-06-10 15:30"},
		{dag.Schedule{Kind: dag.ScheduleOnce}, "2025-06-10 15:30", "2025-06-10 15:30"},
		{dag.Schedule{}, "2025-06-10 15:30", "2025-06-10 15:30"},
		{cronOf("@daily", "@hourly"), "2025-06-10 15:30", "2025-06-10 15:30"},
	} {
		table, err := New(c.s, "")
		if err != nil {
			t.Fatal(err)
		}
		now := at(t, "2025-06-10 15:30")
		if got, want := table.Manual(now), (Slot{now, now, at(t, c.start), at(t, c.end)}); got != want {
			t.Errorf("%+v:\n got %v\nwant %v", c.s, got, want)
		}
	}
}

func TestUpcomingAndFollowing(t *testing.T) {
	t.Parallel()
	now := at(t, "2025-06-10 15:30")
	for _, c := range []struct {
		s    dag.Schedule
		want string
	}{
		{cronOf("@daily"), "2025-06-11 00:00 2025-06-12 00:00"},
		{cronOf("0 3 * * *", "0 16 * * *", "0 3 * * *"), "2025-06-10 16:00 2025-06-11 03:00"},
		{dag.Schedule{Kind: dag.ScheduleCronInterval, Cron: []string{"@daily"}}, "2025-06-11 00:00 2025-06-12 00:00"},
		{dag.Schedule{Kind: dag.ScheduleDelta, Delta: time.Hour}, "2025-06-10 16:30 2025-06-10 17:30"},
		{dag.Schedule{Kind: dag.ScheduleDeltaIntvl, Delta: time.Hour}, "2025-06-10 16:30 2025-06-10 17:30"},
		{dag.Schedule{Kind: dag.ScheduleOnce}, ""}, {dag.Schedule{Kind: dag.ScheduleContinuous}, ""}, {dag.Schedule{}, ""},
	} {
		table, err := New(c.s, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range table.Upcoming(now, 2) {
			got = append(got, s.RunAfter.Format("2006-01-02 15:04"))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%+v: got %s, want %s", c.s, text, c.want)
		}
	}
	table, err := New(cronOf("@daily"), "UTC")
	if err != nil {
		t.Fatal(err)
	}
	slots := Following(table, nil, Restriction{Earliest: at(t, "2025-01-01"), Latest: at(t, "2025-06-12")}, now, 9)
	if len(slots) != 3 || !slots[0].RunAfter.Equal(at(t, "2025-06-10")) || !slots[2].RunAfter.Equal(at(t, "2025-06-12")) {
		t.Errorf("got %v", slots)
	}
}

func TestRunID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ  dag.RunType
		at   string
		want string
	}{
		{dag.RunScheduled, "2025-01-01T00:00:00Z", "scheduled__2025-01-01T00:00:00+00:00"},
		{dag.RunManual, "2025-01-01T12:34:56.789012999Z", "manual__2025-01-01T12:34:56.789012+00:00"},
		{dag.RunBackfill, "2025-01-01T12:34:56.000000999Z", "backfill__2025-01-01T12:34:56+00:00"},
		{dag.RunManual, "2025-01-01T12:00:00.5Z", "manual__2025-01-01T12:00:00.500000+00:00"},
	} {
		got := RunID(c.typ, at(t, c.at))
		if got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
		if RunTypeOf(got) != c.typ || ValidateRunID(got) != nil {
			t.Errorf("%s: type %s, %v", got, RunTypeOf(got), ValidateRunID(got))
		}
	}
	if got := RunTypeOf("my_run"); got != dag.RunManual {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{"", "a b", "a/b", "é", strings.Repeat("x", 251)} {
		if ValidateRunID(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestWalkIsSymmetric checks Next and Prev against each other and against a search second by second.
func TestWalkIsSymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var words []string
		for i := range rapid.IntRange(5, 6).Draw(t, "fields") {
			f := fields[i]
			lo := rapid.IntRange(f.lo, f.hi).Draw(t, "lo")
			words = append(words, rapid.SampledFrom([]string{"*", itoa(lo), itoa(lo) + "-" + itoa(f.hi), "*/" + itoa(max(1, lo/3)),
				itoa(lo) + "," + itoa(f.lo)}).Draw(t, "word"))
		}
		expr := strings.Join(words, " ")
		s, err := parse(expr)
		if err != nil {
			t.Skip("never matches")
		}
		from := rapid.Int64Range(0, 4_000_000_000).Draw(t, "from")
		next, ok := s.next(from)
		if !ok {
			t.Fatalf("%q has no tick after %d", expr, from)
		}
		if next <= from {
			t.Fatalf("%q: next of %d is %d", expr, from, next)
		}
		if !s.bySecond && next%60 != 0 {
			t.Fatalf("%q: tick %d is not on a minute", expr, next)
		}
		if prev, ok := s.prev(next); ok && prev > from {
			t.Fatalf("%q: %d lies between %d and its next %d", expr, prev, from, next)
		}
		if back, ok := s.prev(next + 1); !ok || back != next {
			t.Fatalf("%q: prev of %d+1 is %d", expr, next, back)
		}
		if prev, ok := s.prev(from + 1); ok {
			if again, ok := s.next(prev - 1); !ok || again != prev {
				t.Fatalf("%q: next of %d-1 is %d", expr, prev, again)
			}
		}
	})
}

func itoa(n int) string { return string(appendInt(nil, n)) }

func appendInt(b []byte, n int) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

// TestAgainstRobfig compares plain expressions with robfig/cron where the two languages agree.
func TestAgainstRobfig(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{"*/5 * * * *", "0 0 * * *", "15 10 1 * *", "0 0 13 * 5", "30 4 1,15 * 5", "0 22 * * 1-5", "5 0 * 8 *", "0 0 29 2 *"} {
		ours, err := parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := cron.ParseStandard(expr)
		if err != nil {
			t.Fatal(err)
		}
		now := at(t, "2024-01-01")
		for range 15 {
			want := theirs.Next(now)
			got, ok := ours.next(now.Unix())
			if !ok || got != want.Unix() {
				t.Fatalf("%q after %s: got %s, want %s", expr, now, time.Unix(got, 0).UTC(), want)
			}
			now = want
		}
	}
}

// TestInstantInvertsWall checks the time zone arithmetic at every change of several zones.
func TestInstantInvertsWall(t *testing.T) {
	t.Parallel()
	for _, zone := range testZones {
		loc, err := location(zone)
		if err != nil {
			t.Fatal(err)
		}
		when := time.Date(1995, 1, 1, 0, 0, 0, 0, time.UTC)
		for when.Year() < 2035 {
			for minutes := -180; minutes <= 180; minutes += 15 {
				at := when.Add(time.Duration(minutes) * time.Minute)
				u := wall(at, loc)
				got := instant(u, loc)
				if back := wall(time.Unix(got, 0), loc); back != u {
					t.Fatalf("%s: %s comes back as another wall clock", zone, at)
				}
				if got < at.Unix() {
					t.Fatalf("%s: %s came back earlier: the second occurrence was asked for", zone, at)
				}
			}
			_, next := when.In(loc).ZoneBounds()
			if next.IsZero() {
				break
			}
			when = next
		}
	}
}

// TestFarFuture walks to the end of the century: beyond a zone's table Go works with rules.
func TestFarFuture(t *testing.T) {
	t.Parallel()
	loc, err := location("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCron("30 2 * * *", loc)
	if err != nil {
		t.Fatal(err)
	}
	now := at(t, "2035-12-31")
	for now.Year() < 2090 {
		next, ok := c.after(now)
		if gap := next.Sub(now); !ok || gap <= 0 || gap > 26*time.Hour {
			t.Fatalf("after %s comes %s", now, next)
		}
		if l := next.In(loc); l.Minute() != 30 || l.Hour() != 2 && l.Hour() != 3 {
			t.Fatalf("a tick at %s", l)
		}
		now = next
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 0 L * *", "0 0 * * MON#1,L5", "5/15 22-2 * jan-mar 7", "@daily", "0 0 1 1 * 0 2030", "TZ=UTC 0 0 * * *"} {
		f.Add(s, int64(1_700_000_000))
	}
	f.Fuzz(func(t *testing.T, expr string, from int64) {
		s, err := parse(expr)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without text")
			}
			return
		}
		from = from % 4_000_000_000
		if next, ok := s.next(from); ok {
			if back, ok := s.prev(next + 1); !ok || back != next || next <= from {
				t.Fatalf("%q after %d: next %d, back %d", expr, from, next, back)
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, c := range []struct{ name, expr, zone string }{
		{"five minutes", "*/5 * * * *", "UTC"}, {"daily", "0 0 * * *", "UTC"}, {"daily in New York", "30 2 * * *", "America/New_York"},
		{"first Monday", "0 0 * * MON#1", "UTC"}, {"29 February", "0 0 29 2 *", "UTC"},
	} {
		loc, err := location(c.zone)
		if err != nil {
			b.Fatal(err)
		}
		k, err := newCron(c.expr, loc)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
			for b.Loop() {
				next, ok := k.after(now)
				if !ok || next.Year() > 2100 {
					next = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
				}
				now = next
			}
		})
	}
}
