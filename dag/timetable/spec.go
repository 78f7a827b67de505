package timetable

import (
	"math/bits"
	"time"
)

// spec is a cron expression as bits. It walks the naive wall clock, counted in seconds as if it were UTC.
type spec struct {
	second, minute uint64
	hour           uint32
	dom            uint32 // bit d for day d
	month          uint16 // bit m for month m
	dow            uint8  // bit 0 for Sunday
	years          map[int]bool

	nth    [7]nths
	hasNth bool

	domLast          bool
	domStar, dowStar bool
	// bySecond is set when the expression has seconds; otherwise ticks fall on whole minutes.
	bySecond bool
	// everyHour is set when the hour field is a star or lists all hours: then daylight saving does not repeat or drop
	// ticks, see cron.next.
	everyHour bool

	// weekdays and nthDays are bit sets of days, by the weekday of the first of the month; see prepare.
	weekdays, nthDays [7]uint32
}

// horizon is how many years a search goes on without a match, as in croniter.
const horizon = 50

// prepare computes the day sets of the weekday fields for the seven ways a month can begin.
func (s *spec) prepare() {
	for first := range 7 {
		for day := 1; day <= 31; day++ {
			wd := (first + day - 1) % 7
			if s.dow&(1<<wd) != 0 {
				s.weekdays[first] |= 1 << day
			}
			if s.nth[wd]&(1<<((day-1)/7)) != 0 {
				s.nthDays[first] |= 1 << day
			}
		}
	}
}

// matchesEver reports whether any date from 1970 to 2099 matches.
func (s *spec) matchesEver() bool {
	for year := fields[yearField].lo; year <= fields[yearField].hi; year += horizon {
		if _, ok := s.next(daysFromCivil(year, 1, 1)*86400 - 1); ok {
			return true
		}
	}
	return false
}

// days is the set of days of a month that match, bit d for day d.
func (s *spec) days(year, month int) uint32 {
	length := daysIn(year, month)
	inMonth := uint32(1<<(length+1) - 2)
	first := weekday(daysFromCivil(year, month, 1))

	byDate := s.dom
	if s.domStar {
		byDate = inMonth
	}
	if s.domLast {
		byDate |= 1 << length
	}
	byWeekday := s.weekdays[first]
	if s.dowStar {
		byWeekday = inMonth
	}
	if s.hasNth {
		byWeekday = s.nthDays[first]
		for day := length - 6; day <= length; day++ {
			if s.nth[(first+day-1)%7]&lastNth != 0 {
				byWeekday |= 1 << day
			}
		}
	}
	// Both restricted: either will do. With n-th weekdays croniter applies them to both alternatives, which leaves
	// the weekday alone to decide.
	if !s.domStar && !s.dowStar && !s.hasNth {
		return (byDate | byWeekday) & inMonth
	}
	if !s.domStar && !s.dowStar {
		return byWeekday & inMonth
	}
	return byDate & byWeekday & inMonth
}

// next returns the first tick after wall-clock second u.
func (s *spec) next(u int64) (int64, bool) {
	if s.bySecond {
		u++
	} else {
		u = floorTo(u, 60) + 60
	}
	day, clock := floorDiv(u, 86400), int(u-floorDiv(u, 86400)*86400)
	year, month, d := civil(day)
	if s.matchesMonth(year, month) && s.days(year, month)&(1<<d) != 0 {
		if c, ok := s.clockFrom(clock); ok {
			return day*86400 + int64(c), true
		}
	}
	d++
	for limit := year + horizon; year <= limit; {
		if s.matchesMonth(year, month) {
			if rest := s.days(year, month) >> d << d; rest != 0 {
				c, ok := s.clockFrom(0)
				return daysFromCivil(year, month, bits.TrailingZeros32(rest))*86400 + int64(c), ok
			}
		}
		d = 1
		if month++; month > 12 {
			year, month = year+1, 1
		}
	}
	return 0, false
}

// prev returns the last tick before wall-clock second u.
func (s *spec) prev(u int64) (int64, bool) {
	u--
	day, clock := floorDiv(u, 86400), int(u-floorDiv(u, 86400)*86400)
	year, month, d := civil(day)
	if s.matchesMonth(year, month) && s.days(year, month)&(1<<d) != 0 {
		if c, ok := s.clockBefore(clock); ok {
			return day*86400 + int64(c), true
		}
	}
	for limit := year - horizon; year >= limit; {
		if s.matchesMonth(year, month) {
			if rest := s.days(year, month) & (1<<d - 1); rest != 0 {
				c, ok := s.clockBefore(86399)
				return daysFromCivil(year, month, bits.Len32(rest)-1)*86400 + int64(c), ok
			}
		}
		d = 32
		if month--; month < 1 {
			year, month = year-1, 12
		}
	}
	return 0, false
}

func (s *spec) matchesMonth(year, month int) bool {
	return s.month&(1<<month) != 0 && (s.years == nil || s.years[year])
}

// clockFrom returns the first matching second of the day at or after c.
func (s *spec) clockFrom(c int) (int, bool) {
	h, m, sec := c/3600, c/60%60, c%60
	if s.hour&(1<<h) != 0 {
		if s.minute&(1<<m) != 0 {
			if rest := s.second >> sec << sec; rest != 0 {
				return h*3600 + m*60 + bits.TrailingZeros64(rest), true
			}
		}
		if rest := s.minute >> (m + 1) << (m + 1); rest != 0 {
			return h*3600 + bits.TrailingZeros64(rest)*60 + bits.TrailingZeros64(s.second), true
		}
	}
	rest := s.hour >> (h + 1) << (h + 1)
	if rest == 0 {
		return 0, false
	}
	return bits.TrailingZeros32(rest)*3600 + bits.TrailingZeros64(s.minute)*60 + bits.TrailingZeros64(s.second), true
}

// clockBefore returns the last matching second of the day at or before c.
func (s *spec) clockBefore(c int) (int, bool) {
	h, m, sec := c/3600, c/60%60, c%60
	if s.hour&(1<<h) != 0 {
		if s.minute&(1<<m) != 0 {
			if rest := s.second & (1<<(sec+1) - 1); rest != 0 {
				return h*3600 + m*60 + bits.Len64(rest) - 1, true
			}
		}
		if rest := s.minute & (1<<m - 1); rest != 0 {
			return h*3600 + (bits.Len64(rest)-1)*60 + bits.Len64(s.second) - 1, true
		}
	}
	rest := s.hour & (1<<h - 1)
	if rest == 0 {
		return 0, false
	}
	return (bits.Len32(rest)-1)*3600 + (bits.Len64(s.minute)-1)*60 + bits.Len64(s.second) - 1, true
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorTo(a, b int64) int64 { return floorDiv(a, b) * b }

// civil returns the proleptic Gregorian date of a day counted from 1970-01-01.
func civil(day int64) (year, month, d int) {
	y, m, dd := time.Unix(day*86400, 0).UTC().Date()
	return y, int(m), dd
}

// daysFromCivil counts the days from 1970-01-01 to a date.
func daysFromCivil(year, month, day int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := (153*int64((month+9)%12)+2)/5 + int64(day) - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// weekday returns the day of the week of a day counted from 1970-01-01, a Thursday; 0 is Sunday.
func weekday(day int64) int { return int(((day+4)%7 + 7) % 7) }

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
