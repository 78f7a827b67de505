package picture

import (
	"math"
	"time"
)

// moment is an instant in the proleptic Gregorian calendar of UTC. JavaScript's range ends 100 million days from 1970;
// outside of it every component is NaN.
type moment struct {
	valid bool
	at    time.Time
}

const lastMillis = 8.64e15

func newMoment(millis float64) moment {
	millis = math.Trunc(millis)
	if !(math.Abs(millis) <= lastMillis) {
		return moment{}
	}
	return moment{valid: true, at: time.UnixMilli(int64(millis)).UTC()}
}

func (t *moment) hour() float64 {
	if !t.valid {
		return math.NaN()
	}
	return float64(t.at.Hour())
}

// component returns the value of a component; known is false for a letter that is none.
func (t *moment) component(c rune) (value float64, known bool) {
	var n int
	switch c {
	case 'Y':
		n = t.at.Year()
	case 'M':
		n = int(t.at.Month())
	case 'D':
		n = t.at.Day()
	case 'd':
		n = t.at.YearDay()
	case 'F':
		n = (int(t.at.Weekday())+6)%7 + 1
	case 'W':
		_, n = t.at.ISOWeek()
	case 'X':
		n, _ = t.at.ISOWeek()
	case 'w', 'x':
		month, week := weekOfMonth(t.at)
		if n = week; c == 'x' {
			n = int(month)
		}
	case 'H':
		n = t.at.Hour()
	case 'h':
		n = (t.at.Hour()+11)%12 + 1
	case 'm':
		n = t.at.Minute()
	case 's':
		n = t.at.Second()
	case 'f':
		n = t.at.Nanosecond() / int(time.Millisecond)
	default:
		return 0, false
	}
	if !t.valid || t.startsBeforeTime(c) {
		return math.NaN(), true
	}
	return float64(n), true
}

// startsBeforeTime says that the year or month in which a component counts begins before JavaScript's first day, the
// twentieth of April -271821.
func (t *moment) startsBeforeTime(c rune) bool {
	if t.at.Year() != -271821 {
		return false
	}
	return c == 'd' || c == 'W' || c == 'w' && t.at.Month() == time.April
}

// weekOfMonth counts weeks within months as ISO 8601 counts them within years: a week belongs to the month of its
// Thursday.
func weekOfMonth(t time.Time) (time.Month, int) {
	thursday := t.AddDate(0, 0, 3-(int(t.Weekday())+6)%7)
	return thursday.Month(), (thursday.Day()-1)/7 + 1
}

// utcMillis is JavaScript's Date.UTC: components may leave their ranges and carry over, years 0 to 99 are those of the
// twentieth century, and what leaves the calendar is NaN.
func utcMillis(year, month, day, hour, minute, second, milli float64) float64 {
	for _, v := range []*float64{&year, &month, &day, &hour, &minute, &second, &milli} {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			return math.NaN()
		}
		*v = math.Trunc(*v)
	}
	if year >= 0 && year <= 99 {
		year += 1900
	}
	year += math.Floor(month / 12)
	month -= math.Floor(month/12) * 12
	if math.Abs(year) > 400_000 {
		return math.NaN()
	}
	first := float64(time.Date(int(year), time.Month(month)+1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	total := first + (day-1)*millisPerDay + hour*60*millisPerMinute + minute*millisPerMinute + second*1000 + milli
	if math.Abs(total) > lastMillis {
		return math.NaN()
	}
	return total
}
