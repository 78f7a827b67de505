package timetable

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/robfig/cron/v3"

	"gust/internal/param"
)

// presets are the names Airflow reads as cron expressions. @once and @continuous are schedules of their own kind.
var presets = map[string]string{
	"@hourly":    "0 * * * *",
	"@daily":     "0 0 * * *",
	"@midnight":  "0 0 * * *",
	"@weekly":    "0 0 * * 0",
	"@monthly":   "0 0 1 * *",
	"@quarterly": "0 0 1 */3 *",
	"@yearly":    "0 0 1 1 *",
	"@annually":  "0 0 1 1 *",
}

var presetNames = []string{
	"@once", "@continuous", "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@quarterly", "@yearly", "@annually",
}

// Fields of a cron expression, in the order in which they are written.
const (
	minuteField = iota
	hourField
	domField
	monthField
	dowField
	secondField
	yearField
)

type field struct {
	name   string
	lo, hi int
	names  []string // names of the values from lo on
}

var fields = [...]field{
	minuteField: {name: "minute", lo: 0, hi: 59},
	hourField:   {name: "hour", lo: 0, hi: 23},
	domField:    {name: "day of month", lo: 1, hi: 31},
	monthField: {name: "month", lo: 1, hi: 12, names: []string{
		"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	dowField:    {name: "day of week", lo: 0, hi: 6, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	secondField: {name: "second", lo: 0, hi: 59},
	yearField:   {name: "year", lo: 1970, hi: 2099},
}

func (f field) legal() string {
	switch f.name {
	case "day of month":
		return "1-31, L (last day), *, ?, a list, a range or a step"
	case "month":
		return "1-12, jan-dec, *, a list, a range or a step"
	case "day of week":
		return "0-7, sun-sat, MON#1 (first Monday), L5 (last Friday), *, ?, a list, a range or a step"
	}
	return fmt.Sprintf("%d-%d, *, a list, a range or a step", f.lo, f.hi)
}

func (f field) error(problem string) *Error {
	return &Error{Field: f.name, Problem: problem, Expected: f.legal()}
}

// set is the values one field selects.
type set struct {
	values map[int]bool
	// star is set when the field contains a literal * (or ?); all when it selects everything and is read as a star.
	star, all bool
	last      bool // day of month L
	nth       [7]nths
	anyNth    bool
}

// count is how many entries the field's list has, a star and an L included.
func (s *set) count() int {
	n := len(s.values)
	if s.star {
		n++
	}
	if s.last {
		n++
	}
	return n
}

// nths are the occurrences of a weekday in a month: bit n-1 for the n-th, bit 5 for the last.
type nths uint8

const lastNth nths = 1 << 5

// parse reads a cron expression or a preset.
func parse(expr string) (*spec, error) {
	text := strings.ToLower(strings.TrimSpace(expr))
	if text == "" {
		return nil, &Error{Problem: "the cron expression is empty", Expected: "five fields or a preset such as @daily"}
	}
	if strings.HasPrefix(text, "@") {
		p, ok := presets[text]
		if !ok {
			return nil, unknownPreset(expr, text)
		}
		text = p
	}
	if strings.HasPrefix(text, "tz=") || strings.HasPrefix(text, "cron_tz=") {
		return nil, &Error{Problem: fmt.Sprintf("a time zone prefix is not allowed in cron expression %q", expr),
			Expected: "the time zone in the DAG's timezone"}
	}
	words := strings.Fields(text)
	if len(words) < 5 || len(words) > 7 {
		return nil, &Error{
			Problem:  fmt.Sprintf("cron expression %q has %s", expr, count(len(words), "field")),
			Expected: "5 (minute hour day-of-month month day-of-week), 6 (seconds last) or 7 (seconds and year last)",
			Nearest:  param.Nearest("@"+text, presetNames),
		}
	}
	var sets [7]set
	for i, w := range words {
		s, err := fields[i].parse(w)
		if err != nil {
			return nil, within(expr, err)
		}
		sets[i] = s
	}
	sets[domField].widen(domField, words[dowField])
	sets[dowField].widen(dowField, words[domField])
	for _, i := range []int{minuteField, hourField, monthField, secondField, yearField} {
		sets[i].widen(i, "*")
	}
	return build(expr, sets, len(words))
}

func unknownPreset(expr, text string) *Error {
	e := &Error{
		Problem: fmt.Sprintf("unknown schedule %q", expr), Expected: "a cron expression or " + strings.Join(presetNames,
			", "),
		Nearest: param.Nearest(text, presetNames),
	}
	switch {
	case strings.HasPrefix(text, "@every"):
		e.Expected = "a timedelta for a fixed period ({__type__: datetime.timedelta, hours: 1})"
	case text == "@once" || text == "@continuous":
		e.Problem = fmt.Sprintf("%s is a schedule of its own, not a cron expression", text)
		e.Expected, e.Nearest = fmt.Sprintf("schedule: %q", text), ""
	}
	return e
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// parse reads one field.
func (f field) parse(text string) (set, error) {
	s := set{values: map[int]bool{}}
	if strings.Contains(text, "?") {
		if text != "?" {
			return s, f.error(fmt.Sprintf("%q mixes ? with something else", text))
		}
		if f.name != fields[domField].name && f.name != fields[dowField].name {
			return s, f.error("? is allowed in day of month and day of week only")
		}
		s.star = true
		return s, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		if item == "" {
			return s, f.error(fmt.Sprintf("%q has an empty item", text))
		}
		if err := f.item(&s, item); err != nil {
			return s, err
		}
	}
	if s.anyNth && s.count() != 7 {
		for v := range s.values {
			if s.nth[v] == 0 {
				return s, f.error(fmt.Sprintf("%q mixes whole weekdays with n-th ones", text))
			}
		}
	}
	return s, nil
}

// item reads one item of a list: a value, a range, a step, or a special form of its field.
func (f field) item(s *set, item string) error {
	if item == "*" {
		s.star = true
		return nil
	}
	if item == "l" && f.name == fields[domField].name {
		s.last = true
		return nil
	}
	var which nths
	if f.name == fields[dowField].name {
		var err error
		if item, which, err = f.nth(item); err != nil {
			return err
		}
	}
	values, err := f.expand(item)
	if err != nil {
		return err
	}
	for _, v := range values {
		s.values[v] = true
		if which != 0 {
			s.nth[v] |= which
			s.anyNth = true
		}
	}
	return nil
}

// nth splits MON#1 and L5 into the weekday and the occurrence.
func (f field) nth(item string) (string, nths, error) {
	if rest, ok := strings.CutPrefix(item, "l"); ok && isNumber(rest) {
		return rest, lastNth, nil
	}
	day, n, ok := strings.Cut(item, "#")
	if !ok {
		return item, 0, nil
	}
	if strings.ContainsRune(day, '-') && isNumber(strings.ReplaceAll(day, "-", "")) {
		return "", 0, f.error(fmt.Sprintf("%q: a range before # needs names, as in mon-fri#1", item))
	}
	if len(n) != 1 || n[0] < '1' || n[0] > '5' {
		return "", 0, &Error{Field: f.name, Problem: fmt.Sprintf("%q: the number after # is %q", item, n), Expected: "1-5"}
	}
	if strings.ContainsAny(day, "*/") {
		return "", 0, f.error(fmt.Sprintf("%q is not a weekday", day))
	}
	return day, 1 << (n[0] - '1'), nil
}

// expand lists the values of a single value, a range, or either with a step. Ranges wrap round; a range from a value
// to itself is the whole cycle, as in croniter.
func (f field) expand(item string) ([]int, error) {
	span, stepText, hasStep := strings.Cut(item, "/")
	step := 1
	if hasStep {
		if !isNumber(stepText) || strings.Trim(stepText, "0") == "" {
			return nil, &Error{Field: f.name, Problem: fmt.Sprintf("%q: the step is %q", item, stepText),
				Expected: "a whole number from 1"}
		}
		step = min(number(stepText), f.hi+1)
	}
	if span == "*" {
		return stepped(f.lo, f.hi, step), nil
	}
	from, to, isRange := strings.Cut(span, "-")
	if isRange && (from == "" || to == "") {
		return nil, f.error(fmt.Sprintf("%q is not a range", span))
	}
	lo, err := f.value(from)
	if err != nil {
		return nil, err
	}
	if !isRange {
		if hasStep {
			return stepped(lo, f.hi, step), nil
		}
		return []int{lo}, nil
	}
	hi := f.hi
	if to != "l" || f.name != fields[domField].name {
		if hi, err = f.value(to); err != nil {
			return nil, err
		}
	}
	switch {
	case lo < hi:
		return stepped(lo, hi, step), nil
	case lo == hi:
		return stepped(f.lo, f.hi, step), nil
	}
	return f.wrapped(lo, hi, step), nil
}

// wrapped lists a range that runs past the end of its field (fri-mon, 22-2), counting steps across the end.
func (f field) wrapped(lo, hi, step int) []int {
	values := stepped(lo, f.hi, step)
	skip := 0
	last := values[len(values)-1]
	size := f.hi - f.lo + 1
	if left := f.hi - last; last-f.lo+step > size && left < step {
		skip = step - left
	}
	return append(values, stepped(f.lo+skip, hi, step)...)
}

func stepped(lo, hi, step int) []int {
	var values []int
	for v := lo; v <= hi; v += step {
		values = append(values, v)
	}
	return values
}

// value reads a number or a name.
func (f field) value(text string) (int, error) {
	if isNumber(text) {
		v := number(text)
		if f.name == fields[dowField].name && v == 7 {
			return 0, nil
		}
		if v < f.lo || v > f.hi {
			return 0, f.error(fmt.Sprintf("%s is out of range", text))
		}
		return v, nil
	}
	for i, name := range f.names {
		if name == text {
			return f.lo + i, nil
		}
	}
	e := f.error(fmt.Sprintf("%q is not a value", text))
	e.Nearest = param.Nearest(text, f.names)
	for _, name := range f.names {
		if len(text) > 3 && strings.HasPrefix(text, name) {
			e.Nearest = name
		}
	}
	return 0, e
}

func isNumber(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// number reads digits; what does not fit is larger than every legal value.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1 << 30
	}
	return n
}

// widen decides whether the field counts as a star, which matters for "day of month or day of week" and for the hour
// rule: a field that lists everything does, but a day field only if the other day field contains a *.
func (s *set) widen(i int, other string) {
	n := s.count()
	full := n == fields[i].hi-fields[i].lo+1
	dayField := i == domField || i == dowField
	switch {
	case n == 0 || s.star && n == 1:
		s.all = true
	case full && (!dayField || strings.ContainsAny(other, "*?")):
		s.all, s.star = true, true
	}
}

// build turns the sets into bits. The bits themselves are made by robfig/cron from the normalised lists.
func build(expr string, sets [7]set, words int) (*spec, error) {
	list := func(i int) string {
		s := sets[i]
		if s.star || len(s.values) == 0 {
			return "*"
		}
		var items []string
		for v := fields[i].lo; v <= fields[i].hi; v++ {
			if s.values[v] {
				items = append(items, strconv.Itoa(v))
			}
		}
		return strings.Join(items, ",")
	}
	second := "0"
	if words > 5 {
		second = list(secondField)
	}
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	schedule, err := parser.Parse(strings.Join([]string{second, list(minuteField), list(hourField), list(domField),
		list(monthField), list(dowField)}, " "))
	if err != nil {
		return nil, &Error{Problem: fmt.Sprintf("cron expression %q: %v", expr, err)}
	}
	bits, ok := schedule.(*cron.SpecSchedule)
	if !ok {
		return nil, &Error{Problem: fmt.Sprintf("cron expression %q cannot be read", expr)}
	}
	s := &spec{
		second: bits.Second &^ robfigStar, minute: bits.Minute &^ robfigStar, hour: uint32(bits.Hour),
		dom: uint32(bits.Dom), month: uint16(bits.Month), dow: uint8(bits.Dow),
		bySecond: words > 5, everyHour: sets[hourField].all,
		domStar: sets[domField].star, dowStar: sets[dowField].star, domLast: sets[domField].last,
		hasNth: sets[dowField].anyNth, nth: sets[dowField].nth,
	}
	if s.domLast && len(sets[domField].values) == 0 && !s.domStar {
		s.dom = 0
	}
	if words == 7 && !sets[yearField].star {
		s.years = sets[yearField].values
	}
	s.prepare()
	if !s.matchesEver() {
		return nil, &Error{Problem: fmt.Sprintf("cron expression %q never matches a date", expr)}
	}
	return s, nil
}

// robfigStar marks a star in robfig's bit sets.
const robfigStar = 1 << 63
