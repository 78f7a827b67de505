package pytime_test

import (
	"strings"
	"testing"
	"time"

	"gust/dag/template/jinja"
	"gust/dag/template/pytime"
	"gust/dag/template/pyvalue"
)

var moment = time.Date(2025, 3, 31, 14, 5, 6, 250_000_000, time.UTC)

func render(t *testing.T, expression string) (string, error) {
	t.Helper()
	clock := func() (time.Time, error) { return moment, nil }
	names := map[string]any{
		"d": pytime.Of(moment), "none": pytime.OrNone(time.Time{}), "hour": pytime.Delta(time.Hour),
		"datetime": pytime.DateTimeClass(clock), "timedelta": pytime.TimeDeltaClass(),
		"dateutil": pytime.DateutilModule(), "time": pytime.TimeModule(clock),
	}
	tpl, err := jinja.NewEnv(pyvalue.Limits{}).Parse("{{ " + expression + " }}")
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return tpl.Execute(t.Context(), jinja.Globals{Lookup: func(_ *pyvalue.State, name string) (any, bool, error) {
		v, ok := names[name]
		return v, ok, nil
	}})
}

// TestExpressions holds what Python prints.
func TestExpressions(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"none": "None",
		// date and time of day
		"d.date()": "2025-03-31", "d.date() - d.date()": "0:00:00", "d.date() < d.add(days=1).date()": "True",
		"d.date() == d.add(hours=1).date()": "True", "d.date() + timedelta(days=1)": "2025-04-01", "d.date().isoformat()": "2025-03-31",
		"d.date().replace(day=1)": "2025-03-01", "d.date().hour is defined": "False", "'{:%d.%m.%Y}'.format(d.date())": "31.03.2025",
		"{d.date(): 1}[d.date()]": "1", "d.time()": "14:05:06.250000", "d.time().minute": "5", "d.time().isoformat()": "14:05:06.250000",
		// datetime
		"datetime(2024, 2, 29)": "2024-02-29 00:00:00", "datetime.now()": "2025-03-31 14:05:06.250000",
		"datetime.fromtimestamp(0)": "1970-01-01 00:00:00", "datetime.fromtimestamp(1.5, 'UTC')": "1970-01-01 00:00:01.500000+00:00",
		"datetime.strptime('31/12/24', '%d/%m/%y')": "2024-12-31 00:00:00", "datetime.fromisoformat('2024-12-31T10:00')": "2024-12-31 10:00:00",
		"{d: 1}[d]": "1", "d.subtract(months=1).day": "28", "datetime(2024, 1, 1) == d": "False",
		"d.in_timezone('Europe/Amsterdam').hour": "16", "d.timezone": "UTC",
		// timedelta
		"timedelta(hours=-1)": "-1 day, 23:00:00", "timedelta(days=1, seconds=1.5)": "1 day, 0:00:01.500000",
		"timedelta(hours=1) == hour": "True", "timedelta(hours=2) > hour": "True", "timedelta(hours=3) // hour": "3",
		"timedelta(minutes=90) / hour": "1.5", "timedelta(minutes=90) % hour": "0:30:00", "hour * 2 - hour": "1:00:00",
		"'yes' if timedelta() else 'no'": "no", "{hour: 1}[timedelta(minutes=60)]": "1", "[hour]": "[datetime.timedelta(seconds=3600)]",
		"(-hour)|abs": "1:00:00", "d.diff(d.add(days=2)).days": "2", "d.diff(d.subtract(days=2)).in_hours()": "48",
		// dateutil and time
		"d + dateutil.relativedelta.relativedelta(months=1)": "2025-04-30 14:05:06.250000+00:00",
		"dateutil.parser.parse('31 January 2025')":           "2025-01-31 00:00:00",
		"time.time()": "1743429906.25", "time.strftime('%H:%M')": "14:05",
	} {
		if got, err := render(t, expression); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", expression, got, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"d - datetime(2024, 1, 1)": "a naive and an aware datetime", "datetime(2024, 2, 30)": "the month has 29 days",
		"datetime(2024, 13, 1)": "month is 13; expected 1 to 12", "d.in_timezone('Mars')": "unknown time zone \"Mars\"",
		"hour / timedelta()": "division by zero", "timedelta(days=1e300)": "is too long", "d.start_of('eon')": "unknown unit \"eon\"",
		"datetime.strptime('x', '%Y')": "does not match the format", "d.next(9)": "expected 0 (Monday) to 6",
		"d.add(years=9000)": "out of range 1-9999", "dateutil.parser.parse('soon')": "is not a date", "hour + 1": "unsupported operand types",
	} {
		if got, err := render(t, expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v; want %q", expression, got, err, want)
		}
	}
}

func FuzzStrptime(f *testing.F) {
	for _, seed := range [][2]string{{"2025-01-31", "%Y-%m-%d"}, {"31 Jan 25 +0100", "%d %b %y %z"}, {"1", "%"}, {"%", "%%"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, format string) {
		d, err := pytime.Strptime(text, format)
		if err != nil {
			return
		}
		if _, err := d.Format(format); err != nil && len(format) < 1000 {
			t.Errorf("%q was read with %q, but cannot be printed with it: %v", text, format, err)
		}
	})
}
