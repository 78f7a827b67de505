package dagfile

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// moment reads a date in a timezone as dag-factory does: the wall clock counts, an offset in the text is dropped. A
// text that is no date is relative to today's midnight: "2 days".
func (b *builder) moment(v *value, path string, zone *time.Location) (time.Time, bool) {
	v = b.plain(v, path)
	t, ok := v.moment()
	if !ok {
		text, isText := v.text()
		if !isText {
			if v.kind != kindNull {
				b.mismatch(v, path, dateWords)
			}
			return time.Time{}, false
		}
		if t, ok = isoMoment(text); !ok {
			return b.relative(v, text, path, zone)
		}
	}
	t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone).UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		b.errorf(v.pos, path, "not a date that exists")
		return time.Time{}, false
	}
	return t, true
}

const dateWords = "a date, a datetime, or a text such as \"2024-01-31\" or \"2 days\""

func (b *builder) relative(v *value, text, path string, zone *time.Location) (time.Time, bool) {
	back, ok := relativeSpan(text)
	if !ok {
		b.fail(v.pos, path, Problem{Message: fmt.Sprintf("%q is not a date", clip(text)), Expected: dateWords})
		return time.Time{}, false
	}
	now := b.opts.Now().In(zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	if tomorrow := today.AddDate(0, 0, 1); b.validUntil.IsZero() || tomorrow.Before(b.validUntil) {
		b.validUntil = tomorrow
	}
	return today.AddDate(0, 0, -back.days).Add(-back.clock).UTC(), true
}

// span is a length of time in whole days and a part of a day.
type span struct {
	days  int
	clock time.Duration
}

// relativePattern reads units in a fixed order without anything between them, as dag-factory does: of
// "1 hour 30 minutes" only the hour counts, and whatever follows is ignored.
var relativePattern = regexp.MustCompile(`(?i)^(?:(\d+)\s+hour)?(?:(\d+)\s+minute)?(?:(\d+)\s+second)?(?:(\d+)\s+day)?`)

func relativeSpan(text string) (span, bool) {
	var s span
	found := false
	m := relativePattern.FindStringSubmatch(text)
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second, 0} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.Atoi(m[i+1])
		if err != nil || n > 1_000_000 {
			return span{}, false
		}
		found = true
		if unit == 0 {
			s.days = n
		}
		s.clock += time.Duration(n) * unit
	}
	return s, found
}

// isoPattern is what of ISO 8601 people write: a date in one of four forms, then perhaps a time and an offset.
var (
	isoPattern = regexp.MustCompile(`^(\d{4})(?:-?W(\d{2})(?:-?(\d))?|-(\d{3})|[-/](\d{1,2})(?:[-/](\d{1,2}))?` +
		`|(\d{2})(\d{2}))?(?:[T ](.*))?$`)
	isoClock = regexp.MustCompile(`^(\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?` +
		`\s*(?:Z|[-+]\d{2}:?(?:\d{2})?)?$`)
)

// isoMoment reads the wall clock of an ISO 8601 text.
func isoMoment(text string) (time.Time, bool) {
	m := isoPattern.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return time.Time{}, false
	}
	day, ok := isoDay(m)
	if !ok || m[9] == "" {
		return day, ok
	}
	c := isoClock.FindStringSubmatch(m[9])
	if c == nil {
		return time.Time{}, false
	}
	hour, minute, second := number(c[1], 0), number(c[2], 0), number(c[3], 0)
	nanos := number((c[4] + "000000000")[:9], 0)
	if hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, nanos, time.UTC), true
}

func isoDay(m []string) (time.Time, bool) {
	year := number(m[1], 0)
	if year < 1 {
		return time.Time{}, false
	}
	switch {
	case m[2] != "":
		week, weekday := number(m[2], 1), number(m[3], 1)
		// 4 January is always in week 1, which begins on its Monday.
		jan4 := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC)
		monday := jan4.AddDate(0, 0, -(int(jan4.Weekday())+6)%7)
		return monday.AddDate(0, 0, 7*(week-1)+weekday-1), week >= 1 && week <= 53 && weekday >= 1 && weekday <= 7
	case m[4] != "":
		t := time.Date(year, 1, number(m[4], 1), 0, 0, 0, 0, time.UTC)
		return t, t.Year() == year
	}
	month, day := number(m[5]+m[7], 1), number(m[6]+m[8], 1)
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, int(t.Month()) == month && t.Day() == day
}

// number reads digits, or returns the value for none.
func number(digits string, none int) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return none
	}
	return n
}
