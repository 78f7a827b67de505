package pytime

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gust/dag"
	"gust/dag/template/pyvalue"
)

// TimeDelta is a length of time: Python's timedelta, or pendulum's Interval when it is the difference of two moments.
type TimeDelta struct {
	d        time.Duration
	from, to *DateTime
}

// Delta is a timedelta of a duration.
func Delta(d time.Duration) TimeDelta { return TimeDelta{d: d} }

const day = 24 * time.Hour

// split is Python's normal form: days may be negative, seconds and microseconds are not.
func (t TimeDelta) split() (days, seconds, micros int) {
	total := t.d.Microseconds()
	perDay := day.Microseconds()
	days = int(total / perDay)
	rest := total % perDay
	if rest < 0 {
		days, rest = days-1, rest+perDay
	}
	return days, int(rest / 1e6), int(rest % 1e6)
}

// TypeName is timedelta.
func (t TimeDelta) TypeName() string { return "timedelta" }

// Hash makes equal lengths one key.
func (t TimeDelta) Hash() any { return t.d }

// True reports whether the length is not zero.
func (t TimeDelta) True() bool { return t.d != 0 }

// Export is the number of seconds.
func (t TimeDelta) Export() any { return t.d.Seconds() }

// Str is Python's str(): 1 day, 2:03:04.
func (t TimeDelta) Str() string {
	if t.from != nil {
		return t.Repr()
	}
	days, s, us := t.split()
	text := fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	if us != 0 {
		text += fmt.Sprintf(".%06d", us)
	}
	if days != 0 {
		plural := "s"
		if days == 1 || days == -1 {
			plural = ""
		}
		text = fmt.Sprintf("%d day%s, %s", days, plural, text)
	}
	return text
}

// Repr is Python's repr(), or pendulum's of an Interval.
func (t TimeDelta) Repr() string {
	if t.from != nil {
		return "<Interval [" + t.from.Str() + " -> " + t.to.Str() + "]>"
	}
	days, s, us := t.split()
	var parts []string
	for _, p := range []struct {
		name string
		n    int
	}{{"days", days}, {"seconds", s}, {"microseconds", us}} {
		if p.n != 0 {
			parts = append(parts, p.name+"="+strconv.Itoa(p.n))
		}
	}
	if len(parts) == 0 {
		parts = []string{"0"}
	}
	return "datetime.timedelta(" + strings.Join(parts, ", ") + ")"
}

// Compare orders lengths.
func (t TimeDelta) Compare(other any) (int, bool) {
	o, ok := other.(TimeDelta)
	if !ok {
		return 0, false
	}
	switch {
	case t.d < o.d:
		return -1, true
	case t.d > o.d:
		return 1, true
	}
	return 0, true
}

// Operate is arithmetic with timedeltas and numbers.
func (t TimeDelta) Operate(_ *pyvalue.State, op string, other any, reflected bool) (any, bool, error) {
	switch op {
	case "unary-":
		return TimeDelta{d: -t.d}, true, nil
	case "unary+":
		return t, true, nil
	case "abs":
		return TimeDelta{d: max(t.d, -t.d)}, true, nil
	}
	if o, ok := other.(TimeDelta); ok {
		return t.withDelta(op, o)
	}
	_, f, _, ok := pyvalue.Number(other)
	if !ok || reflected && op != "*" {
		return nil, false, nil
	}
	switch op {
	case "*":
		return scaled(t, f)
	case "/", "//":
		if f == 0 {
			return nil, true, pyvalue.Errorf("division by zero")
		}
		return scaled(t, 1/f)
	}
	return nil, false, nil
}

func scaled(t TimeDelta, f float64) (any, bool, error) {
	d, err := floatDuration(t.d.Seconds() * f)
	return TimeDelta{d: d}, true, err
}

func (t TimeDelta) withDelta(op string, o TimeDelta) (any, bool, error) {
	switch op {
	case "+":
		return TimeDelta{d: t.d + o.d}, true, nil
	case "-":
		return TimeDelta{d: t.d - o.d}, true, nil
	case "/", "//", "%":
		if o.d == 0 {
			return nil, true, pyvalue.Errorf("division by zero")
		}
		if op == "/" {
			return float64(t.d) / float64(o.d), true, nil
		}
		q := int(math.Floor(float64(t.d) / float64(o.d)))
		if op == "//" {
			return q, true, nil
		}
		return TimeDelta{d: t.d - time.Duration(q)*o.d}, true, nil
	}
	return nil, false, nil
}

var timeDeltaAttrs = strings.Fields(`days seconds microseconds total_seconds total_minutes total_hours total_days
total_weeks
in_seconds in_minutes in_hours in_days in_weeks in_words as_timedelta hours minutes start end`)

// AttrNames are the attributes and methods.
func (t TimeDelta) AttrNames() []string { return timeDeltaAttrs }

// Attr returns an attribute or a method.
func (t TimeDelta) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	days, s, us := t.split()
	if t.from != nil && t.d < 0 {
		// An interval counts towards zero.
		positive := TimeDelta{d: -t.d}
		days, s, us = positive.split()
		days, s, us = -days, -s, -us
	}
	value := func(v any) (any, bool, error) { return pyvalue.Constant(name, v), true, nil }
	switch name {
	case "days":
		return days, true, nil
	case "seconds":
		return s, true, nil
	case "microseconds":
		return us, true, nil
	case "hours":
		return s / 3600, true, nil
	case "minutes":
		return s / 60 % 60, true, nil
	case "total_seconds":
		return value(float64(t.d.Microseconds()) / 1e6)
	case "total_minutes":
		return value(t.d.Minutes())
	case "total_hours":
		return value(t.d.Hours())
	case "total_days":
		return value(t.d.Hours() / 24)
	case "total_weeks":
		return value(t.d.Hours() / 168)
	case "in_seconds":
		return value(int(t.d / time.Second))
	case "in_minutes":
		return value(int(t.d / time.Minute))
	case "in_hours":
		return value(int(t.d / time.Hour))
	case "in_days":
		return value(int(t.d / day))
	case "in_weeks":
		return value(int(t.d / (7 * day)))
	case "in_words":
		return value(t.words())
	case "as_timedelta":
		return value(TimeDelta{d: t.d})
	}
	if t.from != nil && name == "start" {
		return *t.from, true, nil
	}
	if t.from != nil && name == "end" {
		return *t.to, true, nil
	}
	return nil, false, nil
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

// words is pendulum's in_words.
func (t TimeDelta) words() string {
	years, months, days, rest := 0, 0, int(t.d/day), t.d%day
	if t.from != nil && t.d >= 0 {
		years, months, days, rest = calendarDiff(t.from.t, t.to.t)
	}
	var parts []string
	for _, p := range []struct {
		n    int
		unit string
	}{{years, "year"}, {months, "month"}, {days / 7, "week"}, {days % 7, "day"}, {int(rest / time.Hour), "hour"},
		{int(rest / time.Minute % 60), "minute"}, {int(rest / time.Second % 60), "second"}} {
		if p.n != 0 {
			parts = append(parts, count(p.n, p.unit))
		}
	}
	if len(parts) == 0 {
		return "0 microseconds"
	}
	return strings.Join(parts, " ")
}

// newTimeDelta is Python's timedelta(...).
func newTimeDelta(a []any) (any, error) {
	units := [...]float64{86400, 1, 1e-6, 1e-3, 60, 3600, 604800}
	var seconds float64
	for i, v := range a {
		f, err := pyvalue.Float(v, timeDeltaParams[i].Name)
		if err != nil {
			return nil, err
		}
		seconds += f * units[i]
	}
	d, err := floatDuration(seconds)
	return TimeDelta{d: d}, err
}

var timeDeltaParams = []pyvalue.Param{
	opt("days", 0), opt("seconds", 0), opt("microseconds", 0), opt("milliseconds", 0), opt("minutes", 0), opt("hours", 0),
	opt("weeks", 0),
}

// relativeDelta is dateutil's relativedelta.
type relativeDelta struct{ r dag.RelativeDelta }

func (r relativeDelta) TypeName() string { return "relativedelta" }
func (r relativeDelta) Attr(*pyvalue.State, string) (any, bool, error) {
	return nil, false, nil
}

var relativeParams = []pyvalue.Param{
	opt("years", 0), opt("months", 0), opt("weeks", 0), opt("days", 0), opt("hours", 0), opt("minutes", 0),
	opt("seconds", 0), opt("year", nil), opt("month", nil), opt("day", nil), opt("hour", nil),
	opt("minute", nil), opt("second", nil),
}

func newRelativeDelta(a []any) (any, error) {
	var r relativeDelta
	for i, p := range []*int{&r.r.Years, &r.r.Months, &r.r.Weeks, &r.r.Days, &r.r.Hours, &r.r.Minutes, &r.r.Seconds} {
		n, err := pyvalue.Int(a[i], relativeParams[i].Name)
		if err != nil {
			return nil, err
		}
		if n > 1e7 || n < -1e7 {
			return nil, pyvalue.Errorf("%s is too large", relativeParams[i].Name)
		}
		*p = n
	}
	for i, p := range []**int{&r.r.Year, &r.r.Month, &r.r.Day, &r.r.Hour, &r.r.Minute, &r.r.Second} {
		if a[i+7] == nil {
			continue
		}
		n, err := pyvalue.Int(a[i+7], relativeParams[i+7].Name)
		if err != nil {
			return nil, err
		}
		*p = &n
	}
	return r, nil
}

// addTo applies the absolute fields, then the calendar fields with the day clipped, then the rest.
func (r relativeDelta) addTo(d DateTime, sign int) DateTime {
	pick := func(p *int, v int) int {
		if p != nil {
			return *p
		}
		return v
	}
	t := d.t
	year, month := pick(r.r.Year, t.Year()), pick(r.r.Month, int(t.Month()))
	first := time.Date(year+sign*r.r.Years, time.Month(month+sign*r.r.Months), 1, 0, 0, 0, 0, t.Location())
	dom := min(pick(r.r.Day, t.Day()), daysIn(first.Year(), first.Month()))
	t = time.Date(first.Year(), first.Month(), dom, pick(r.r.Hour, t.Hour()), pick(r.r.Minute, t.Minute()),
		pick(r.r.Second, t.Second()), t.Nanosecond(), t.Location())
	rest := time.Duration(r.r.Hours)*time.Hour + time.Duration(r.r.Minutes)*time.Minute +
		time.Duration(r.r.Seconds)*time.Second
	return d.with(t.AddDate(0, 0, sign*(r.r.Days+7*r.r.Weeks)).Add(time.Duration(sign) * rest))
}
