// Package pytime has the dates and times of templates: Python's datetime, date, time and timedelta with what pendulum,
// Airflow's library of dates, adds to them, dateutil's relativedelta, and the classes that make them.
package pytime

import (
	"math"
	"strings"
	"time"

	"gust/dag/template/pyvalue"
)

// DateTime is a moment as templates see it: pendulum's DateTime, which is also a Python datetime.
type DateTime struct {
	t time.Time
	// naive is a datetime without a time zone; plain prints as Python's datetime instead of pendulum's.
	naive, plain bool
}

// Of returns the moment of a time, in UTC and whole microseconds.
func Of(t time.Time) DateTime { return DateTime{t: t.UTC().Truncate(time.Microsecond)} }

// OrNone is Of, and None for the zero time.
func OrNone(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return Of(t)
}

// Time is the moment as Go's time, in its zone.
func (d DateTime) Time() time.Time { return d.t }

// AddDays moves by calendar days.
func (d DateTime) AddDays(n int) (DateTime, error) {
	d = d.with(d.t.AddDate(0, 0, n))
	return d, d.check()
}

// TypeName is datetime.
func (d DateTime) TypeName() string { return "datetime" }

// Hash makes equal moments one key.
func (d DateTime) Hash() any { return d.t.UnixMicro() }

// Str is isoformat with a blank.
func (d DateTime) Str() string { return strings.Replace(d.ISO(), "T", " ", 1) }

// Export is the form in native rendering and JSON: isoformat.
func (d DateTime) Export() any { return d.ISO() }

// Format serves str.format with strftime's directives: '{:%Y}'.format(logical_date).
func (d DateTime) Format(spec string) (string, error) { return strftime(d, spec) }

// Repr is pendulum's repr, or that of Python's datetime for a value that Python's class made.
func (d DateTime) Repr() string {
	parts := []int{d.t.Year(), int(d.t.Month()), d.t.Day(), d.t.Hour(), d.t.Minute()}
	micros := d.t.Nanosecond() / 1000
	if d.t.Second() != 0 || micros != 0 || !d.plain {
		parts = append(parts, d.t.Second())
	}
	if micros != 0 {
		parts = append(parts, micros)
	}
	name, zone := "DateTime", "Timezone('"+d.zoneName()+"')"
	if d.plain {
		name, zone = "datetime.datetime", "datetime.timezone.utc"
	}
	text := name + "(" + joinInts(parts)
	if !d.naive {
		text += ", tzinfo=" + zone
	}
	return text + ")"
}

func (d DateTime) zoneName() string {
	if name := d.t.Location().String(); name != "" {
		return name
	}
	return d.t.Format("-07:00")
}

// ISO is Python's isoformat: microseconds only when they are not zero.
func (d DateTime) ISO() string {
	layout := "2006-01-02T15:04:05"
	if d.t.Nanosecond() >= 1000 {
		layout += ".000000"
	}
	if !d.naive {
		layout += "-07:00"
	}
	return d.t.Format(layout)
}

func (d DateTime) with(t time.Time) DateTime { d.t = t; return d }

// Compare orders moments. A naive one and an aware one cannot be compared, except that they are not equal.
func (d DateTime) Compare(other any) (int, bool) {
	o, ok := other.(DateTime)
	if !ok || o.naive != d.naive {
		return 0, false
	}
	return d.t.Compare(o.t), true
}

// Operate is date arithmetic with timedeltas and dates.
func (d DateTime) Operate(_ *pyvalue.State, op string, other any, reflected bool) (any, bool, error) {
	switch o := other.(type) {
	case TimeDelta:
		switch {
		case op == "+":
			return d.plus(o.d), true, nil
		case op == "-" && !reflected:
			return d.plus(-o.d), true, nil
		}
	case relativeDelta:
		switch {
		case op == "+":
			return o.addTo(d, 1), true, nil
		case op == "-" && !reflected:
			return o.addTo(d, -1), true, nil
		}
	case DateTime:
		if op == "-" && !reflected {
			if o.naive != d.naive {
				return nil, true, pyvalue.Errorf("a naive and an aware datetime cannot be subtracted")
			}
			return TimeDelta{d: d.t.Sub(o.t), from: &o, to: &d}, true, nil
		}
	}
	return nil, false, nil
}

// plus adds elapsed time.
func (d DateTime) plus(by time.Duration) DateTime { return d.with(d.t.Add(by)) }

// isoWeekday counts from Monday, 0.
func (d DateTime) weekday() int { return (int(d.t.Weekday()) + 6) % 7 }

var dateTimeAttrs = strings.Fields(`year month day hour minute second microsecond tzinfo timezone timezone_name tz
offset
offset_hours fold day_of_week day_of_year week_of_year week_of_month days_in_month quarter int_timestamp float_timestamp
timestamp add subtract replace set on at start_of end_of next previous first_of last_of in_timezone in_tz astimezone
isoformat strftime format date time weekday isoweekday isocalendar is_leap_year is_dst utcoffset tzname naive diff
diff_for_humans to_date_string to_time_string to_datetime_string to_formatted_date_string to_day_datetime_string
to_iso8601_string to_atom_string to_cookie_string to_rfc822_string to_rfc850_string to_rfc1036_string to_rfc1123_string
to_rfc2822_string to_rfc3339_string to_rss_string to_w3c_string`)

// AttrNames are the attributes and methods.
func (d DateTime) AttrNames() []string { return dateTimeAttrs }

// Attr returns an attribute or a method.
func (d DateTime) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	if v, ok := d.field(name); ok {
		return v, true, nil
	}
	if f := d.method(name); f != nil {
		return f, true, nil
	}
	if layout, ok := namedFormats[name]; ok {
		return pyvalue.Constant(name, pendulumFormat(d, layout)), true, nil
	}
	return nil, false, nil
}

func (d DateTime) field(name string) (any, bool) {
	_, week := d.t.ISOWeek()
	_, offset := d.t.Zone()
	switch name {
	case "year":
		return d.t.Year(), true
	case "month":
		return int(d.t.Month()), true
	case "day":
		return d.t.Day(), true
	case "hour":
		return d.t.Hour(), true
	case "minute":
		return d.t.Minute(), true
	case "second":
		return d.t.Second(), true
	case "microsecond":
		return d.t.Nanosecond() / 1000, true
	case "fold":
		return 0, true
	case "day_of_week":
		return d.weekday(), true
	case "day_of_year":
		return d.t.YearDay(), true
	case "week_of_year":
		return week, true
	case "week_of_month":
		first := DateTime{t: d.t.AddDate(0, 0, 1-d.t.Day())}
		return (d.t.Day()+first.weekday()-1)/7 + 1, true
	case "days_in_month":
		return daysIn(d.t.Year(), d.t.Month()), true
	case "quarter":
		return (int(d.t.Month())-1)/3 + 1, true
	case "int_timestamp":
		return int(d.t.Unix()), true
	case "float_timestamp":
		return d.seconds(), true
	}
	if d.naive {
		if strings.HasPrefix(name, "tz") || strings.HasPrefix(name, "timezone") {
			return nil, true
		}
		return nil, false
	}
	switch name {
	case "timezone_name":
		return d.zoneName(), true
	case "timezone", "tzinfo", "tz":
		return zone{d.t.Location()}, true
	case "offset":
		return offset, true
	case "offset_hours":
		return float64(offset) / 3600, true
	}
	return nil, false
}

func (d DateTime) seconds() float64 { return float64(d.t.UnixMicro()) / 1e6 }

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// zone is a time zone.
type zone struct{ loc *time.Location }

func (z zone) TypeName() string { return "Timezone" }
func (z zone) Str() string      { return z.loc.String() }
func (z zone) Repr() string     { return "Timezone('" + z.loc.String() + "')" }

func (z zone) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	return z.loc.String(), name == "name", nil
}

// zoneArg reads a time zone argument: a name or a zone.
func zoneArg(v any) (*time.Location, error) {
	if z, ok := v.(zone); ok {
		return z.loc, nil
	}
	name, err := pyvalue.Text(v, "the time zone")
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(name, "utc") {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		return nil, pyvalue.Errorf("unknown time zone %q; expected an IANA name such as Europe/Amsterdam", name)
	}
	return loc, nil
}

// date is a day: pendulum's Date.
type date struct{ t time.Time }

func newDate(t time.Time) date {
	return date{time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)}
}

func (d date) moment() DateTime { return DateTime{t: d.t, naive: true} }

func (d date) TypeName() string                   { return "date" }
func (d date) Hash() any                          { return d.Str() }
func (d date) Str() string                        { return d.t.Format("2006-01-02") }
func (d date) Export() any                        { return d.Str() }
func (d date) Repr() string                       { return "Date(" + d.t.Format("2006, 1, 2") + ")" }
func (d date) Format(spec string) (string, error) { return strftime(d.moment(), spec) }
func (d date) AttrNames() []string                { return dateTimeAttrs }

func (d date) Compare(other any) (int, bool) {
	o, ok := other.(date)
	if !ok {
		return 0, false
	}
	return d.t.Compare(o.t), true
}

func (d date) Operate(st *pyvalue.State, op string, other any, reflected bool) (any, bool, error) {
	if o, ok := other.(date); ok && op == "-" && !reflected {
		return TimeDelta{d: d.t.Sub(o.t)}, true, nil
	}
	v, ok, err := d.moment().Operate(st, op, other, reflected)
	if m, isMoment := v.(DateTime); isMoment {
		v = newDate(m.t)
	}
	return v, ok, err
}

func (d date) Attr(st *pyvalue.State, name string) (any, bool, error) {
	switch name {
	case "hour", "minute", "second", "microsecond", "time", "timestamp", "int_timestamp":
		return nil, false, nil
	case "isoformat":
		return pyvalue.Constant(name, d.Str()), true, nil
	case "add", "subtract", "start_of", "end_of", "replace", "set", "next", "previous":
		f := d.moment().method(name)
		inner := f.Do
		f.Do = func(st *pyvalue.State, a pyvalue.Args) (any, error) {
			v, err := inner(st, a)
			if m, ok := v.(DateTime); ok {
				v = newDate(m.t)
			}
			return v, err
		}
		return f, true, nil
	}
	return d.moment().Attr(st, name)
}

// clock is a time of day.
type clock struct{ t time.Time }

func (c clock) TypeName() string { return "time" }
func (c clock) Repr() string     { return "Time(" + c.t.Format("15, 4, 5") + ")" }
func (c clock) Str() string {
	if c.t.Nanosecond() >= 1000 {
		return c.t.Format("15:04:05.000000")
	}
	return c.t.Format("15:04:05")
}

func (c clock) Attr(st *pyvalue.State, name string) (any, bool, error) {
	switch name {
	case "hour", "minute", "second", "microsecond", "strftime":
		return DateTime{t: c.t, naive: true}.Attr(st, name)
	case "isoformat":
		return pyvalue.Constant(name, c.Str()), true, nil
	}
	return nil, false, nil
}

// floatDuration turns seconds into a duration of whole microseconds.
func floatDuration(seconds float64) (time.Duration, error) {
	micros := math.RoundToEven(seconds * 1e6)
	if math.IsNaN(micros) || math.Abs(micros) > math.MaxInt64/1000 {
		return 0, pyvalue.Errorf("a period of %g seconds is too long", seconds)
	}
	return time.Duration(micros) * time.Microsecond, nil
}
