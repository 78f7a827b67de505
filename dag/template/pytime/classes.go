package pytime

import (
	"slices"
	"strings"
	"time"

	"gust/dag/template/pyvalue"
)

// Strptime reads a text with Python's directives, such as %Y-%m-%d.
func Strptime(v any, format string) (DateTime, error) {
	s, err := pyvalue.Text(v, "the date")
	if err != nil {
		return DateTime{}, err
	}
	return strptime(s, format)
}

// Moment reads a datetime argument; a date is its midnight.
func Moment(v any) (DateTime, error) {
	switch v := v.(type) {
	case DateTime:
		return v, nil
	case date:
		return v.moment(), nil
	}
	return DateTime{}, pyvalue.Errorf("expected a datetime, not %T", v)
}

// isoLayouts are what fromisoformat and dateutil's parser read.
var isoLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
	"20060102T150405Z0700", "20060102T150405", "20060102",
}

var looseLayouts = []string{
	"2006/01/02 15:04:05", "2006/01/02", "01/02/2006 15:04:05", "01/02/2006", "Jan 2, 2006", "January 2, 2006",
	"2 Jan 2006",
	"2 January 2006", time.RFC1123Z, time.RFC1123, time.RFC822Z, time.RFC850, time.ANSIC,
}

// parseMoment reads a text in the first layout that fits.
func parseMoment(v any, layouts []string) (DateTime, error) {
	s, err := pyvalue.Text(v, "the date")
	if err != nil {
		return DateTime{}, err
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			aware := strings.Contains(layout, "Z07") || strings.Contains(layout, "-0700") || strings.Contains(layout, "MST")
			return DateTime{t: t, naive: !aware, plain: true}, nil
		}
	}
	return DateTime{}, pyvalue.Errorf("%q is not a date; expected a form such as 2025-01-31 or "+
		"2025-01-31T10:00:00+00:00", s)
}

// Clock tells the time, or why there is none.
type Clock func() (time.Time, error)

// DateTimeClass is Python's datetime.datetime.
func DateTimeClass(now Clock) *pyvalue.Module {
	naiveNow := func(*pyvalue.State, []any) (any, error) {
		t, err := now()
		return DateTime{t: t, naive: true, plain: true}, err
	}
	newFunc := pyvalue.NewFunc
	return pyvalue.NewModule("datetime",
		newFunc("datetime", newDateTimeOf, req("year"), req("month"), req("day"), opt("hour", 0), opt("minute", 0),
			opt("second", 0), opt("microsecond", 0), opt("tzinfo", nil)),
		newFunc("now", func(st *pyvalue.State, a []any) (any, error) {
			if a[0] == nil {
				return naiveNow(st, a)
			}
			t, err := now()
			if err != nil {
				return nil, err
			}
			loc, err := zoneArg(a[0])
			return DateTime{t: t.In(orUTC(loc))}, err
		}, opt("tz", nil)),
		newFunc("utcnow", naiveNow),
		newFunc("today", naiveNow),
		newFunc("strptime", func(_ *pyvalue.State, a []any) (any, error) {
			format, err := pyvalue.Text(a[1], "the format")
			if err != nil {
				return nil, err
			}
			return Strptime(a[0], format)
		}, req("date_string"), req("format")),
		newFunc("fromisoformat", func(_ *pyvalue.State, a []any) (any, error) { return parseMoment(a[0], isoLayouts) },
			req("date_string")),
		newFunc("fromtimestamp", func(_ *pyvalue.State, a []any) (any, error) { return fromTimestamp(a[0], a[1]) },
			req("timestamp"), opt("tz", nil)),
		newFunc("utcfromtimestamp", func(_ *pyvalue.State, a []any) (any, error) { return fromTimestamp(a[0], nil) },
			req("timestamp")),
	)
}

// newDateTimeOf is Python's datetime(...).
func newDateTimeOf(_ *pyvalue.State, a []any) (any, error) {
	if a[7] == nil {
		a[7] = pyvalue.Unset{}
	}
	return DateTime{t: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), naive: true, plain: true}.replace(a)
}

func fromTimestamp(v, tz any) (any, error) {
	f, err := pyvalue.Float(v, "the timestamp")
	if err != nil {
		return nil, err
	}
	since, err := floatDuration(f)
	if err != nil {
		return nil, err
	}
	d := DateTime{t: time.Unix(0, 0).UTC().Add(since), naive: true, plain: true}
	if tz == nil {
		return d, nil
	}
	loc, err := zoneArg(tz)
	return DateTime{t: d.t.In(orUTC(loc)), plain: true}, err
}

// TimeDeltaClass is Python's datetime.timedelta.
func TimeDeltaClass() *pyvalue.Module {
	return pyvalue.NewModule("timedelta", pyvalue.NewFunc("timedelta",
		func(_ *pyvalue.State, a []any) (any, error) { return newTimeDelta(a) }, timeDeltaParams...))
}

// DateutilModule has the parts of dateutil that templates use: parser.parse and relativedelta.relativedelta.
func DateutilModule() *pyvalue.Module {
	parse := pyvalue.NewFunc("parse", func(_ *pyvalue.State, a []any) (any, error) {
		return parseMoment(a[0], slices.Concat(isoLayouts, looseLayouts))
	}, req("timestr"))
	relative := pyvalue.NewFunc("relativedelta",
		func(_ *pyvalue.State, a []any) (any, error) { return newRelativeDelta(a) }, relativeParams...)
	return pyvalue.NewModule("dateutil", nil,
		pyvalue.NewModule("parser", nil, parse), pyvalue.NewModule("relativedelta", relative, relative))
}

// TimeModule has time.time and time.strftime.
func TimeModule(now Clock) *pyvalue.Module {
	return pyvalue.NewModule("time", nil,
		pyvalue.NewFunc("time", func(*pyvalue.State, []any) (any, error) {
			t, err := now()
			return DateTime{t: t}.seconds(), err
		}),
		pyvalue.NewFunc("strftime", func(_ *pyvalue.State, a []any) (any, error) {
			format, err := pyvalue.Text(a[0], "the format")
			if err != nil {
				return nil, err
			}
			t, err := now()
			if err != nil {
				return nil, err
			}
			return strftime(DateTime{t: t}, format)
		}, req("format")),
	)
}
