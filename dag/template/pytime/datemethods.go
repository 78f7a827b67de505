package pytime

import (
	"strings"
	"time"

	"gust/dag/template/pyvalue"
)

var (
	req = pyvalue.Req
	opt = pyvalue.Opt
)

// shiftParams are the keyword arguments of add and subtract.
var shiftParams = []pyvalue.Param{
	opt("years", 0), opt("months", 0), opt("weeks", 0), opt("days", 0), opt("hours", 0), opt("minutes", 0),
	opt("seconds", 0), opt("microseconds", 0),
}

// fieldParams are the arguments of replace and set.
var fieldParams = []pyvalue.Param{
	opt("year", nil), opt("month", nil), opt("day", nil), opt("hour", nil), opt("minute", nil), opt("second", nil),
	opt("microsecond", nil), opt("tzinfo", pyvalue.Unset{}),
}

// method returns a method of the moment, or nil.
func (d DateTime) method(name string) *pyvalue.Func {
	if v, ok := d.result(name); ok {
		return pyvalue.Constant(name, v)
	}
	if f := d.calendarMethod(name); f != nil {
		return f
	}
	fn := func(f func(v any) (any, error), param pyvalue.Param, more ...pyvalue.Param) *pyvalue.Func {
		return pyvalue.NewFunc(name, func(_ *pyvalue.State, a []any) (any, error) { return f(a[0]) },
			append([]pyvalue.Param{param}, more...)...)
	}
	switch name {
	case "in_timezone", "in_tz", "astimezone":
		return fn(func(v any) (any, error) {
			loc, err := zoneArg(v)
			return d.with(d.t.In(orUTC(loc))), err
		}, req("tz"))
	case "isoformat":
		return fn(func(v any) (any, error) {
			sep, err := pyvalue.Text(v, "the separator")
			return strings.Replace(d.ISO(), "T", sep, 1), err
		}, opt("sep", "T"))
	case "strftime":
		return fn(func(v any) (any, error) {
			format, err := pyvalue.Text(v, "the format")
			if err != nil {
				return nil, err
			}
			return strftime(d, format)
		}, req("format"))
	case "format":
		return fn(func(v any) (any, error) {
			format, err := pyvalue.Text(v, "the format")
			return pendulumFormat(d, format), err
		}, req("fmt"), opt("locale", nil))
	case "diff":
		return pyvalue.NewFunc(name, func(_ *pyvalue.State, a []any) (any, error) { return d.diff(a[0], a[1]) },
			req("dt"), opt("abs", true))
	case "diff_for_humans":
		return fn(func(v any) (any, error) {
			o, ok := v.(DateTime)
			if !ok {
				return nil, pyvalue.Errorf("diff_for_humans() needs a datetime, not %T", v)
			}
			return Humanize(d.t, o.t, "after", "before"), nil
		}, req("other"))
	}
	return nil
}

// calendarMethod returns a method that makes another moment of this one, or nil.
func (d DateTime) calendarMethod(name string) *pyvalue.Func {
	fn := func(f func(a []any) (any, error), params ...pyvalue.Param) *pyvalue.Func {
		return pyvalue.NewFunc(name, func(_ *pyvalue.State, a []any) (any, error) { return f(a) }, params...)
	}
	switch name {
	case "add":
		return fn(func(a []any) (any, error) { return d.shift(a, 1) }, shiftParams...)
	case "subtract":
		return fn(func(a []any) (any, error) { return d.shift(a, -1) }, shiftParams...)
	case "replace", "set":
		return fn(d.replace, fieldParams...)
	case "on":
		return fn(func(a []any) (any, error) {
			return d.replace([]any{a[0], a[1], a[2], nil, nil, nil, nil, pyvalue.Unset{}})
		}, req("year"), req("month"), req("day"))
	case "at":
		return fn(func(a []any) (any, error) {
			return d.replace([]any{nil, nil, nil, a[0], a[1], a[2], a[3], pyvalue.Unset{}})
		}, req("hour"), opt("minute", 0), opt("second", 0), opt("microsecond", 0))
	case "start_of", "end_of":
		return fn(func(a []any) (any, error) { return d.bound(a[0], name == "end_of") }, req("unit"))
	case "first_of", "last_of":
		return fn(func(a []any) (any, error) {
			v, err := d.bound(a[0], name == "last_of")
			if err != nil {
				return nil, err
			}
			return v.with(midnight(v.t)), nil
		}, req("unit"))
	case "next", "previous":
		return fn(func(a []any) (any, error) { return d.nextDay(a[0], name == "next") }, opt("day_of_week", nil))
	}
	return nil
}

// result is what a method without arguments returns.
func (d DateTime) result(name string) (any, bool) {
	zoneName, offset := d.t.Zone()
	switch name {
	case "date":
		return newDate(d.t), true
	case "time":
		return clock{d.t}, true
	case "timestamp":
		return d.seconds(), true
	case "weekday":
		return d.weekday(), true
	case "isoweekday":
		return d.weekday() + 1, true
	case "isocalendar":
		year, week := d.t.ISOWeek()
		return pyvalue.Tuple{year, week, d.weekday() + 1}, true
	case "is_leap_year":
		return daysIn(d.t.Year(), time.February) == 29, true
	case "is_dst":
		return d.t.IsDST(), true
	case "utcoffset":
		return TimeDelta{d: time.Duration(offset) * time.Second}, true
	case "tzname":
		return zoneName, true
	case "naive":
		return DateTime{t: d.t, naive: true}, true
	}
	return nil, false
}

func orUTC(loc *time.Location) *time.Location {
	if loc == nil {
		return time.UTC
	}
	return loc
}

// shift adds calendar units on the wall clock and the rest as elapsed time. The day is clipped to the month's length.
func (d DateTime) shift(a []any, sign int) (any, error) {
	var n [5]int
	var seconds float64
	for i, v := range a {
		if i < 4 {
			whole, err := pyvalue.Int(v, shiftParams[i].Name)
			if err != nil {
				return nil, err
			}
			if whole > 1e7 || whole < -1e7 {
				return nil, pyvalue.Errorf("%s is too large", shiftParams[i].Name)
			}
			n[i] = sign * whole
			continue
		}
		f, err := pyvalue.Float(v, shiftParams[i].Name)
		if err != nil {
			return nil, err
		}
		seconds += f * []float64{3600, 60, 1, 1e-6}[i-4]
	}
	by, err := floatDuration(float64(sign) * seconds)
	if err != nil {
		return nil, err
	}
	out := d.with(addMonths(d.t, 12*n[0]+n[1]).AddDate(0, 0, 7*n[2]+n[3]).Add(by))
	return out, out.check()
}

// check refuses years beyond Python's.
func (d DateTime) check() error {
	if y := d.t.Year(); y < 1 || y > 9999 {
		return pyvalue.Errorf("the year %d is out of range 1-9999", y)
	}
	return nil
}

// addMonths moves by months and clips the day.
func addMonths(t time.Time, months int) time.Time {
	if months == 0 {
		return t
	}
	y, m, day := t.Date()
	first := time.Date(y, m+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	day = min(day, daysIn(first.Year(), first.Month()))
	return time.Date(first.Year(), first.Month(), day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}

func (d DateTime) replace(a []any) (any, error) {
	limits := [7][2]int{{1, 9999}, {1, 12}, {1, 31}, {0, 23}, {0, 59}, {0, 59}, {0, 999999}}
	n := [7]int{d.t.Year(), int(d.t.Month()), d.t.Day(), d.t.Hour(), d.t.Minute(), d.t.Second(), d.t.Nanosecond() / 1000}
	for i := range n {
		if a[i] == nil {
			continue
		}
		v, err := pyvalue.Int(a[i], fieldParams[i].Name)
		if err != nil {
			return nil, err
		}
		if v < limits[i][0] || v > limits[i][1] {
			return nil, pyvalue.Errorf("%s is %d; expected %d to %d", fieldParams[i].Name, v, limits[i][0], limits[i][1])
		}
		n[i] = v
	}
	if last := daysIn(n[0], time.Month(n[1])); n[2] > last {
		return nil, pyvalue.Errorf("the day %d is out of range: the month has %d days", n[2], last)
	}
	loc := d.t.Location()
	switch tz := a[7].(type) {
	case pyvalue.Unset:
	case nil:
		d.naive, loc = true, time.UTC
	default:
		var err error
		if loc, err = zoneArg(tz); err != nil {
			return nil, err
		}
		d.naive = false
	}
	return d.with(time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*1000, loc)), nil
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// bound is start_of and end_of.
func (d DateTime) bound(unit any, end bool) (DateTime, error) {
	name, err := pyvalue.Text(unit, "the unit")
	if err != nil {
		return d, err
	}
	y, m, day := d.t.Date()
	loc := d.t.Location()
	at := func(y int, m time.Month, day, h, mi, s int) time.Time { return time.Date(y, m, day, h, mi, s, 0, loc) }
	var start, next time.Time
	switch name {
	case "second":
		start = at(y, m, day, d.t.Hour(), d.t.Minute(), d.t.Second())
		next = at(y, m, day, d.t.Hour(), d.t.Minute(), d.t.Second()+1)
	case "minute":
		start, next = at(y, m, day, d.t.Hour(), d.t.Minute(), 0), at(y, m, day, d.t.Hour(), d.t.Minute()+1, 0)
	case "hour":
		start, next = at(y, m, day, d.t.Hour(), 0, 0), at(y, m, day, d.t.Hour()+1, 0, 0)
	case "day":
		start, next = at(y, m, day, 0, 0, 0), at(y, m, day+1, 0, 0, 0)
	case "week":
		start = at(y, m, day-d.weekday(), 0, 0, 0)
		next = at(y, m, day-d.weekday()+7, 0, 0, 0)
	case "month":
		start, next = at(y, m, 1, 0, 0, 0), at(y, m+1, 1, 0, 0, 0)
	case "quarter":
		q := (m-1)/3*3 + 1
		start, next = at(y, q, 1, 0, 0, 0), at(y, q+3, 1, 0, 0, 0)
	case "year":
		start, next = at(y, 1, 1, 0, 0, 0), at(y+1, 1, 1, 0, 0, 0)
	case "decade":
		start, next = at(y-y%10, 1, 1, 0, 0, 0), at(y-y%10+10, 1, 1, 0, 0, 0)
	case "century":
		c := y - 1 - (y-1)%100 + 1
		start, next = at(c, 1, 1, 0, 0, 0), at(c+100, 1, 1, 0, 0, 0)
	default:
		return d, pyvalue.Errorf("unknown unit %q; expected second, minute, hour, day, week, month, quarter, year, "+
			"decade or century", name)
	}
	if end {
		return d.with(next.Add(-time.Microsecond)), nil
	}
	return d.with(start), nil
}

// nextDay is next and previous: midnight of the next such weekday (0 is Monday), or of this weekday.
func (d DateTime) nextDay(dow any, forward bool) (any, error) {
	want := d.weekday()
	if dow != nil {
		n, err := pyvalue.Int(dow, "the day of the week")
		if err != nil {
			return nil, err
		}
		if n < 0 || n > 6 {
			return nil, pyvalue.Errorf("the day of the week is %d; expected 0 (Monday) to 6", n)
		}
		want = n
	}
	days := (want - d.weekday() + 7) % 7
	if days == 0 {
		days = 7
	}
	if !forward {
		days -= 7
		if days == 0 {
			days = -7
		}
	}
	return d.with(midnight(d.t).AddDate(0, 0, days)), nil
}

func (d DateTime) diff(other, abs any) (any, error) {
	o, ok := other.(DateTime)
	if !ok {
		return nil, pyvalue.Errorf("diff() needs a datetime")
	}
	from, to := d, o
	if abs == true && from.t.After(to.t) {
		from, to = to, from
	}
	return TimeDelta{d: to.t.Sub(from.t), from: &from, to: &to}, nil
}

// Humanize says how far apart two moments are, in the largest unit, as pendulum does.
func Humanize(t, other time.Time, later, earlier string) string {
	word := later
	a, b := other, t
	if t.Before(other) {
		word, a, b = earlier, t, other
	}
	years, months, days, rest := calendarDiff(a, b)
	weeks := days / 7
	var n int
	var unit string
	switch {
	case years > 0:
		n, unit = years, "year"
		if months > 6 {
			n++
		}
	case months == 11 && weeks*7+days%7 > 15:
		n, unit = 1, "year"
	case months > 0:
		n, unit = months, "month"
		if days >= 27 {
			n++
		}
	case weeks > 0:
		n, unit = weeks, "week"
		if days%7 > 3 {
			n++
		}
	case days > 0:
		n, unit = days, "day"
		if rest >= 22*time.Hour {
			n++
		}
	case rest >= time.Hour:
		n, unit = int(rest/time.Hour), "hour"
	case rest >= time.Minute:
		n, unit = int(rest/time.Minute), "minute"
	default:
		if n, unit = int(rest/time.Second), "second"; n < 10 {
			return "a few seconds " + word
		}
	}
	return count(n, unit) + " " + word
}

// calendarDiff splits the time from a to b into years, months, days and the rest.
func calendarDiff(a, b time.Time) (years, months, days int, rest time.Duration) {
	a = a.In(b.Location())
	total := (b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month())
	if addMonths(a, total).After(b) {
		total--
	}
	a = addMonths(a, total)
	days = int(b.Sub(a) / (24 * time.Hour))
	return total / 12, total % 12, days, b.Sub(a.AddDate(0, 0, days))
}
