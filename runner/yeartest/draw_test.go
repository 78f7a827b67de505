package yeartest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"gust/dag"
)

// The forms of a cron field are drawn as text together with what the text means, so that nothing has to be parsed.

var (
	zoneNames = []string{
		"UTC", "America/New_York", "Europe/London", "Europe/Amsterdam", "America/Santiago", "America/St_Johns",
		"Australia/Lord_Howe", "Australia/Adelaide", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Auckland", "Pacific/Chatham",
		"America/Sao_Paulo", "Africa/Casablanca", "Asia/Tokyo",
	}
	weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	months   = []string{"", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
)

// field is a drawn number field: its text and the values.
type field struct {
	text string
	set  map[int]bool
	all  bool // a star, or a list of everything
}

func of(text string, values ...int) field {
	f := field{text: text, set: map[int]bool{}}
	for _, v := range values {
		f.set[v] = true
	}
	return f
}

func span(lo, hi, step int) []int {
	var out []int
	for v := lo; v <= hi; v += step {
		out = append(out, v)
	}
	return out
}

// drawField draws a field between lo and hi. Few values are likelier than many.
func drawField(r *rand.Rand, lo, hi int) field {
	v := func() int { return lo + r.IntN(hi-lo+1) }
	switch r.IntN(9) {
	case 0: // a range
		a, b := v(), v()
		if a > b {
			a, b = b, a
		}
		if a == b {
			return of(strconv.Itoa(a), a)
		}
		return of(fmt.Sprintf("%d-%d", a, b), span(a, b, 1)...)
	case 1: // a range that wraps round: 22-2
		a, b := v(), v()
		if a < b {
			a, b = b, a
		}
		if a == b {
			return of(strconv.Itoa(a), a)
		}
		return of(fmt.Sprintf("%d-%d", a, b), append(span(a, hi, 1), span(lo, b, 1)...)...)
	case 2: // a range with steps
		a, step := v(), 2+r.IntN(5)
		b := a + r.IntN(hi-a+1)
		if a == b {
			return of(strconv.Itoa(a), a)
		}
		return of(fmt.Sprintf("%d-%d/%d", a, b, step), span(a, b, step)...)
	case 3: // 5/15 is 5-59/15
		a, step := lo+r.IntN(hi-lo), 2+r.IntN(30)
		return of(fmt.Sprintf("%d/%d", a, step), span(a, hi, step)...)
	case 4:
		step := 2 + r.IntN(12)
		return of(fmt.Sprintf("*/%d", step), span(lo, hi, step)...)
	case 5: // a step beyond the end: the first value
		return of(fmt.Sprintf("*/%d", hi+1+r.IntN(40)), lo)
	case 6:
		a, b := v(), v()
		return of(fmt.Sprintf("%d,%d", a, b), a, b)
	}
	a := v()
	return of(strconv.Itoa(a), a)
}

func star(lo, hi int) field {
	f := of("*", span(lo, hi, 1)...)
	f.all = true
	return f
}

func drawHour(r *rand.Rand) field {
	if r.IntN(4) == 0 {
		f := star(0, 23)
		f.text = []string{"*", "*/1", "0-23", "0-22,23"}[r.IntN(4)]
		return f
	}
	if r.IntN(2) == 0 { // where clocks change
		a := r.IntN(4)
		return of(strconv.Itoa(a), a)
	}
	f := drawField(r, 0, 23)
	f.all = len(f.set) == 24
	return f
}

func drawMonth(r *rand.Rand) field {
	switch r.IntN(6) {
	case 0:
		return drawField(r, 1, 12)
	case 1:
		a := 1 + r.IntN(12)
		name := months[a]
		if r.IntN(2) == 0 {
			name = strings.ToLower(name)
		}
		return of(name, a)
	case 2:
		return of("OCT-APR", 10, 11, 12, 1, 2, 3, 4)
	}
	return star(1, 12)
}

func free(text string) dayRule {
	return dayRule{text: text, match: func(time.Time) bool { return true }}
}

func byDate(text string, set map[int]bool, last bool) dayRule {
	return dayRule{text: text, restricted: true, match: func(d time.Time) bool {
		return set[d.Day()] || last && d.AddDate(0, 0, 1).Day() == 1
	}}
}

func drawDom(r *rand.Rand) dayRule {
	switch r.IntN(10) {
	case 0:
		return byDate([]string{"L", "l"}[r.IntN(2)], nil, true)
	case 1:
		a := 1 + r.IntN(28)
		return byDate(fmt.Sprintf("%d,L", a), map[int]bool{a: true}, true)
	case 2, 3, 4:
		f := drawField(r, 1, 31)
		return byDate(f.text, f.set, false)
	case 5: // every day, and yet restricted
		f := of([]string{"*/1", "1-31"}[r.IntN(2)], span(1, 31, 1)...)
		all := byDate(f.text, f.set, false)
		all.everything = true
		return all
	case 6:
		return free([]string{"?", "*,1"}[r.IntN(2)])
	}
	return free("*")
}

func byWeekday(text string, days ...int) dayRule {
	return dayRule{text: text, restricted: true, match: func(d time.Time) bool { return slices.Contains(days, int(d.Weekday())) }}
}

// nthOf matches the n-th of a weekday in its month, 0 the last.
func nthOf(day, n int) func(time.Time) bool {
	return func(d time.Time) bool {
		if int(d.Weekday()) != day {
			return false
		}
		if n == 0 {
			return d.AddDate(0, 0, 7).Month() != d.Month()
		}
		return (d.Day()-1)/7+1 == n
	}
}

// drawDow draws a weekday field; n-th weekdays only where the day of month is free.
func drawDow(r *rand.Rand, domFree bool) dayRule {
	a := r.IntN(7)
	switch n := r.IntN(12); {
	case n == 0:
		return byWeekday(strconv.Itoa(a), a)
	case n == 1:
		return byWeekday([]string{weekdays[a], strings.ToLower(weekdays[a])}[r.IntN(2)], a)
	case n == 2:
		return byWeekday("7", 0)
	case n == 3:
		return []dayRule{byWeekday("FRI-SUN", 5, 6, 0), byWeekday("5-7", 5, 6, 0), byWeekday("5-1", 5, 6, 0, 1),
			byWeekday("MON-FRI", 1, 2, 3, 4, 5), byWeekday("1-5/2", 1, 3, 5), byWeekday("*/3", 0, 3, 6),
			byWeekday("sat,1", 6, 1)}[r.IntN(7)]
	case n == 4: // every day, and yet restricted
		all := byWeekday([]string{"*/1", "0-6", "SUN-SAT", "0-7"}[r.IntN(4)], 0, 1, 2, 3, 4, 5, 6)
		all.everything = true
		return all
	case n <= 6 && domFree:
		return drawNth(r, a)
	case n == 7:
		return free([]string{"?", "*,1"}[r.IntN(2)])
	}
	return free("*")
}

func drawNth(r *rand.Rand, a int) dayRule {
	rule := func(text string, match ...func(time.Time) bool) dayRule {
		return dayRule{text: text, restricted: true, match: func(d time.Time) bool {
			return slices.ContainsFunc(match, func(m func(time.Time) bool) bool { return m(d) })
		}}
	}
	n := 1 + r.IntN(5)
	switch r.IntN(6) {
	case 0:
		return rule(fmt.Sprintf("L%d", a), nthOf(a, 0))
	case 1:
		return rule(fmt.Sprintf("%d#%d", a, n), nthOf(a, n))
	case 2:
		return rule("sat#1,sun#2", nthOf(6, 1), nthOf(0, 2))
	case 3:
		return rule("5#3,L5", nthOf(5, 3), nthOf(5, 0))
	case 4:
		return rule(fmt.Sprintf("MON-FRI#%d", n), nthOf(1, n), nthOf(2, n), nthOf(3, n), nthOf(4, n), nthOf(5, n))
	}
	return rule(fmt.Sprintf("%s#%d", weekdays[a], n), nthOf(a, n))
}

// drawCron draws an expression, or a preset.
func drawCron(r *rand.Rand) *cron {
	for {
		c := drawExpression(r)
		// An expression that never matches is refused when the DAG is loaded.
		if _, ok := c.next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)); ok {
			return c
		}
	}
}

func drawExpression(r *rand.Rand) *cron {
	if r.IntN(6) == 0 {
		return drawPreset(r)
	}
	minute := drawField(r, 0, 59)
	if r.IntN(3) == 0 {
		minute = of("30", 30)
	}
	c := &cron{minute: minute.set, second: map[int]bool{0: true}}
	hour, month := drawHour(r), drawMonth(r)
	c.hour, c.everyHour, c.month = hour.set, hour.all, month.set
	c.dom = drawDom(r)
	c.dow = drawDow(r, !c.dom.restricted)
	// croniter: a list of all days is free when there is a star in the other field, a star with steps too.
	if dow := c.dow; c.dom.everything && strings.ContainsAny(dow.text, "*?") {
		c.dom.restricted = false
	} else if dow.everything && strings.ContainsAny(c.dom.text, "*?") {
		c.dow.restricted = false
	}
	words := []string{minute.text, hour.text, c.dom.text, month.text, c.dow.text}
	if n := r.IntN(12); n < 2 {
		second := of(strconv.Itoa(n*17), n*17)
		c.second = second.set
		words = append(words, second.text)
		if r.IntN(2) == 0 {
			year := []field{{text: "*"}, of("2025-2026", 2025, 2026), of("2024/1", span(2024, 2099, 1)...)}[r.IntN(3)]
			c.years = year.set
			words = append(words, year.text)
		}
	}
	c.text = strings.Join(words, " ")
	return c
}

func drawPreset(r *rand.Rand) *cron {
	c := &cron{second: map[int]bool{0: true}, minute: map[int]bool{0: true}, hour: map[int]bool{0: true},
		month: star(1, 12).set, dom: free("*"), dow: free("*")}
	first := byDate("1", map[int]bool{1: true}, false)
	switch c.text = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@quarterly", "@yearly",
		"@annually"}[r.IntN(8)]; c.text {
	case "@hourly":
		c.hour, c.everyHour = star(0, 23).set, true
	case "@weekly":
		c.dow = byWeekday("0", 0)
	case "@monthly":
		c.dom = first
	case "@quarterly":
		c.dom, c.month = first, map[int]bool{1: true, 4: true, 7: true, 10: true}
	case "@yearly", "@annually":
		c.dom, c.month = first, map[int]bool{1: true}
	}
	return c
}

// drawSchedule draws a schedule twice: for the program, and as rules for the oracle.
func drawSchedule(r *rand.Rand, z *zone, begin time.Time) (dag.Schedule, *rules) {
	rule, s := &rules{}, dag.Schedule{}
	clocks := func(n int) {
		for range n {
			c := drawCron(r)
			s.Cron = append(s.Cron, c.text)
			rule.clocks = append(rule.clocks, clock{c, z})
		}
	}
	switch n := r.IntN(40); {
	case n < 18:
		rule.kind = dag.ScheduleCron
		clocks(1)
		drawTrigger(r, rule, &s)
	case n < 24:
		rule.kind = dag.ScheduleCronInterval
		clocks(1)
	case n < 27:
		rule.kind = dag.ScheduleMultiCron
		clocks(2 + r.IntN(2))
	case n < 32:
		rule.kind = dag.ScheduleDelta
		drawPeriod(r, rule, &s)
	case n < 34:
		rule.kind = dag.ScheduleDeltaIntvl
		drawPeriod(r, rule, &s)
	case n < 36:
		rule.kind = dag.ScheduleEvents
		for range 1 + r.IntN(30) {
			rule.dates = append(rule.dates, begin.Add(time.Duration(r.IntN(365*24*60))*time.Minute))
		}
		s.Dates = slices.Clone(rule.dates)
		slices.SortFunc(rule.dates, time.Time.Compare)
		rule.dates = slices.CompactFunc(rule.dates, time.Time.Equal)
	case n < 37:
		rule.kind = dag.ScheduleOnce
	case n < 38:
		rule.kind = dag.ScheduleContinuous
	default:
		rule.kind = dag.ScheduleNone
	}
	s.Kind, s.Text = rule.kind, string(rule.kind)+" "+strings.Join(s.Cron, " | ")
	if r.IntN(3) == 0 {
		s.Timezone = z.name // a timetable object with a zone of its own
	}
	return s, rule
}

// drawTrigger draws the options of CronTriggerTimetable.
func drawTrigger(r *rand.Rand, rule *rules, s *dag.Schedule) {
	if r.IntN(5) == 0 {
		rule.interval = time.Duration(1+r.IntN(24)) * time.Hour
		s.Interval = rule.interval
	}
	switch r.IntN(6) {
	case 0:
		yes := true
		rule.now, s.RunImmediately = true, &yes
	case 1:
		rule.within = time.Duration(1+r.IntN(300)) * time.Minute
		s.RunWithin = rule.within
	case 2:
		no := false
		s.RunImmediately = &no
	}
}

func drawPeriod(r *rand.Rand, rule *rules, s *dag.Schedule) {
	number := func(n int) *int { return &n }
	if rule.kind == dag.ScheduleDelta && r.IntN(2) == 0 {
		rule.relative = []*dag.RelativeDelta{
			{Months: 1}, {Weeks: 2}, {Days: 1, Hour: number(18)}, {Months: 1, Day: number(31)}, {Hours: 7, Minutes: 30},
			{Months: 1, Day: number(1), Hour: number(6), Minute: number(0), Second: number(0)}, {Days: 3, Hours: 5}, {Months: 2, Days: -1},
		}[r.IntN(8)]
		s.Relative = rule.relative
		return
	}
	rule.delta = []time.Duration{time.Hour, 7 * time.Hour, 24 * time.Hour, 36*time.Hour + 11*time.Minute, 1000 * time.Second,
		7 * 24 * time.Hour}[r.IntN(6)]
	s.Delta = rule.delta
}
