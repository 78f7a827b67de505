package dagfile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gust/dag"
)

// schedule reads the DAG's schedule under any of its three names.
func (b *builder) schedule() {
	var given *entry
	for _, key := range scheduleKeys {
		e := b.cfg.find(key)
		if e == nil {
			continue
		}
		path := b.id + "." + key
		if key == "schedule_interval" {
			b.warn(e.pos, path, Problem{Message: "deprecated name", Hint: "write schedule"})
		}
		if given != nil && !given.val.isNull() && !e.val.isNull() {
			b.errorf(e.pos, path, "the schedule is given twice, also as %s", given.key)
			continue
		}
		if given == nil || given.val.isNull() {
			given = e
		}
	}
	if given == nil {
		return
	}
	path := b.id + "." + given.key
	s, ok := b.readSchedule(given.val, path)
	if !ok {
		return
	}
	b.d.Schedule = s
	if b.opts.Schedules == nil || s.Kind == dag.ScheduleNone {
		return
	}
	zone := s.Timezone
	if zone == "" {
		zone = b.d.Timezone
	}
	if err := b.opts.Schedules(s, zone); err != nil {
		b.errorf(given.val.pos, path, "%v", err)
	}
}

const scheduleWords = "a cron expression, a preset such as \"@daily\", a timedelta, a timetable, assets, or null"

// presets are the schedules that begin with "@".
var presets = []string{
	"@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@annually", "@midnight",
}

func (b *builder) readSchedule(v *value, path string) (dag.Schedule, bool) {
	none := dag.Schedule{Kind: dag.ScheduleNone}
	switch {
	case v.isNull():
		return none, true
	case isAssetSchedule(v):
		return b.assetSchedule(v, path)
	case v.kind == kindText:
		return b.textSchedule(v, path)
	case v.typeName() == "":
		p := Problem{Message: "wrong type: " + v.describe(), Expected: scheduleWords}
		if v.find("type") != nil && v.find("value") != nil { // as documented for dag-factory, which does not read it
			p.Hint = "write {__type__: the class, and its arguments}"
		}
		b.fail(v.pos, path, p)
		return none, false
	}
	return b.scheduleObject(v, path)
}

func (b *builder) textSchedule(v *value, path string) (dag.Schedule, bool) {
	text := strings.TrimSpace(v.data.(string))
	s := dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{text}, Text: text}
	if b.opts.CronDataIntervals {
		s.Kind = dag.ScheduleCronInterval
	}
	switch {
	case strings.EqualFold(text, "none"):
		return dag.Schedule{Kind: dag.ScheduleNone}, true
	case text == "@once":
		return dag.Schedule{Kind: dag.ScheduleOnce, Text: text}, true
	case text == "@continuous":
		return dag.Schedule{Kind: dag.ScheduleContinuous, Text: text}, true
	case text == "":
		b.fail(v.pos, path, Problem{Message: "the schedule is empty", Expected: scheduleWords})
		return s, false
	case strings.HasPrefix(text, "@"):
		for _, p := range presets {
			if p == text {
				return s, true
			}
		}
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("unknown preset %q", clip(text)), Expected: "one of " + strings.Join(presets, ", "),
			Nearest: b.nearest(text, presets),
		})
		return s, false
	}
	return s, true
}

// scheduleObject reads a timedelta, a relativedelta or a timetable.
func (b *builder) scheduleObject(v *value, path string) (dag.Schedule, bool) {
	class := className(v.typeName())
	switch class {
	case "timedelta", "relativedelta":
		s := dag.Schedule{Kind: dag.ScheduleDelta}
		if b.opts.DeltaDataIntervals {
			s.Kind = dag.ScheduleDeltaIntvl
		}
		return s, b.delta(&s, v, path)
	case "EventsTimetable":
		return b.eventsTimetable(v, path)
	}
	t, known := timetables[class]
	if !known {
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("timetable %s is not supported", clip(v.typeName())), Expected: scheduleWords,
			Nearest: b.nearest(class, append(sortedKeys(timetables), "EventsTimetable", "AssetOrTimeSchedule")),
		})
		return dag.Schedule{}, false
	}
	a, ok := b.bind(v, path, t.args, t.variadic, false)
	if !ok {
		return dag.Schedule{}, false
	}
	return b.timetable(t, a)
}

// timetableForm is the constructor of a timetable.
type timetableForm struct {
	kind     dag.ScheduleKind
	args     []string
	variadic bool // every positional argument is a cron expression
}

var timetables = map[string]timetableForm{
	"CronTriggerTimetable":         {dag.ScheduleCron, []string{"cron", "timezone", "interval", "run_immediately"}, false},
	"CronDataIntervalTimetable":    {dag.ScheduleCronInterval, []string{"cron", "timezone"}, false},
	"MultipleCronTriggerTimetable": {dag.ScheduleMultiCron, []string{"timezone", "interval", "run_immediately"}, true},
	"DeltaTriggerTimetable":        {dag.ScheduleDelta, []string{"delta", "interval"}, false},
	"DeltaDataIntervalTimetable":   {dag.ScheduleDeltaIntvl, []string{"delta"}, false},
}

func (b *builder) timetable(t timetableForm, a *arguments) (dag.Schedule, bool) {
	s := dag.Schedule{Kind: t.kind}
	var good bool
	if t.kind == dag.ScheduleDelta || t.kind == dag.ScheduleDeltaIntvl {
		v, at := a.arg("delta")
		if v == nil {
			b.errorf(a.at, a.path, "missing required argument %q of %s", "delta", a.class)
			return s, false
		}
		good = b.delta(&s, v, at)
	} else {
		good = b.crons(&s, t, a)
	}
	if v, at := a.arg("interval"); v != nil {
		d, ok := b.duration(v, at)
		s.Interval, good = d, good && ok
	}
	if v, at := a.arg("run_immediately"); v != nil {
		if now, isBool := v.data.(bool); isBool {
			s.RunImmediately = &now
		} else {
			d, ok := b.duration(v, at)
			s.RunWithin, good = d, good && ok
		}
	}
	return s, good
}

// eventsTimetable reads a timetable of instants.
func (b *builder) eventsTimetable(v *value, path string) (dag.Schedule, bool) {
	s := dag.Schedule{Kind: dag.ScheduleEvents}
	a, ok := b.bind(v, path, []string{"event_dates", "restrict_to_events", "presorted", "description"}, false, false)
	if !ok {
		return s, false
	}
	list, at := a.arg("event_dates")
	if list == nil {
		b.errorf(v.pos, path, "missing required argument %q of %s", "event_dates", a.class)
		return s, false
	}
	if list = b.plain(list, at); list.kind != kindList || len(list.items) == 0 {
		b.mismatch(list, at, "a list of at least one datetime")
		return s, false
	}
	if x, at := a.arg("restrict_to_events"); x != nil {
		if on, ok := b.boolean(x, at); !ok || on {
			b.warn(x.pos, at, Problem{Message: "has no effect: a manual run has the date it is given"})
		}
	}
	if x, at := a.arg("description"); x != nil {
		s.Text, _ = b.text(x, at)
	}
	for i, item := range list.items {
		t, good := b.event(item, fmt.Sprintf("%s[%d]", at, i))
		s.Dates, ok = append(s.Dates, t), ok && good
	}
	slices.SortFunc(s.Dates, time.Time.Compare)
	s.Dates = slices.CompactFunc(s.Dates, time.Time.Equal)
	if s.Text == "" {
		s.Text = fmt.Sprintf("%d events", len(s.Dates))
	}
	return s, ok
}

// event reads an instant: an offset counts, and without one it is in the timezone of the DAG's dates.
func (b *builder) event(v *value, path string) (time.Time, bool) {
	v = b.plain(v, path)
	if t, ok := v.moment(); ok && v.kind == kindDateTime && t.Location() != unzoned {
		return t.UTC(), true
	}
	if text, ok := v.text(); ok {
		if t, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "T", 1)); err == nil {
			return t.UTC(), true
		}
	}
	if v.isNull() {
		b.mismatch(v, path, dateWords)
		return time.Time{}, false
	}
	return b.moment(v, path, b.zoneDAG)
}

func (b *builder) crons(s *dag.Schedule, t timetableForm, a *arguments) bool {
	good := true
	exprs, path := a.rest, a.path+".__args__"
	if !t.variadic {
		if v, at := a.arg("cron"); v != nil {
			exprs, path = []*value{v}, at
		}
	}
	if len(exprs) == 0 {
		b.errorf(a.at, a.path, "missing required argument %q of %s", "cron", a.class)
		good = false
	}
	for _, v := range exprs {
		text, ok := b.text(v, path)
		s.Cron, good = append(s.Cron, strings.TrimSpace(text)), good && ok
	}
	s.Text = strings.Join(s.Cron, ", ")
	v, at := a.arg("timezone")
	if v == nil {
		b.errorf(a.at, a.path, "missing required argument %q of %s", "timezone", a.class)
		return false
	}
	z := b.zone(v, at)
	if z == nil {
		return false
	}
	s.Timezone = z.String()
	return good
}

// delta reads the period of a delta timetable.
func (b *builder) delta(s *dag.Schedule, v *value, path string) bool {
	if className(v.typeName()) == "relativedelta" {
		r, ok := b.relativedelta(v, path)
		if !ok {
			return false
		}
		if *r == (dag.RelativeDelta{}) {
			b.fail(v.pos, path, Problem{Message: "the period is zero", Expected: "a period greater than zero"})
			return false
		}
		s.Relative, s.Text = r, relativeText(r)
		return true
	}
	if className(v.typeName()) != "timedelta" {
		b.mismatch(v, path, "a timedelta or a relativedelta")
		return false
	}
	d, ok := b.period(v, path)
	s.Delta, s.Text = d, deltaText(d)
	return ok
}

// deltaText prints a duration as Python prints a timedelta: "1 day, 2:00:00".
func deltaText(d time.Duration) string {
	days := int64(d / (24 * time.Hour))
	d -= time.Duration(days) * 24 * time.Hour
	text := fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	if micros := d % time.Second / time.Microsecond; micros != 0 {
		text += fmt.Sprintf(".%06d", micros)
	}
	switch days {
	case 0:
		return text
	case 1:
		return "1 day, " + text
	}
	return fmt.Sprintf("%d days, %s", days, text)
}

// relativeText prints a relativedelta as dateutil does: "relativedelta(days=+1, hour=18)".
func relativeText(r *dag.RelativeDelta) string {
	var parts []string
	for _, f := range []struct {
		name string
		n    int
	}{
		{"years", r.Years}, {"months", r.Months}, {"weeks", r.Weeks}, {"days", r.Days}, {"hours", r.Hours},
		{"minutes", r.Minutes}, {"seconds", r.Seconds},
	} {
		if f.n != 0 {
			parts = append(parts, fmt.Sprintf("%s=%+d", f.name, f.n))
		}
	}
	for _, f := range []struct {
		name string
		n    *int
	}{
		{"year", r.Year}, {"month", r.Month}, {"day", r.Day}, {"hour", r.Hour}, {"minute", r.Minute},
		{"second", r.Second},
	} {
		if f.n != nil {
			parts = append(parts, fmt.Sprintf("%s=%d", f.name, *f.n))
		}
	}
	return "relativedelta(" + strings.Join(parts, ", ") + ")"
}
