package timetable

import (
	"fmt"
	"strings"
	"time"

	"gust/internal/param"
)

// location loads a time zone. Empty means UTC.
func location(name string) (*time.Location, error) {
	if name == "" || strings.EqualFold(name, "utc") {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, &Error{Field: "time zone", Problem: fmt.Sprintf("unknown time zone %q", name),
			Expected: "an IANA name such as Europe/Amsterdam, or UTC", Nearest: param.Nearest(name, zones)}
	}
	return loc, nil
}

// zones are well-known names, offered when one is misspelt.
var zones = strings.Fields(`UTC
Africa/Cairo Africa/Johannesburg Africa/Lagos Africa/Nairobi
America/Anchorage America/Argentina/Buenos_Aires America/Bogota America/Chicago America/Denver America/Halifax
America/Lima America/Los_Angeles America/Mexico_City America/New_York America/Phoenix America/Santiago
America/Sao_Paulo America/Toronto America/Vancouver
Asia/Bangkok Asia/Dhaka Asia/Dubai Asia/Ho_Chi_Minh Asia/Hong_Kong Asia/Jakarta Asia/Jerusalem Asia/Karachi
Asia/Kolkata Asia/Kuala_Lumpur Asia/Manila Asia/Riyadh Asia/Seoul Asia/Shanghai Asia/Singapore Asia/Taipei
Asia/Tehran Asia/Tokyo Australia/Adelaide Australia/Brisbane Australia/Melbourne Australia/Perth Australia/Sydney
Europe/Amsterdam Europe/Athens Europe/Berlin Europe/Brussels Europe/Bucharest Europe/Budapest Europe/Copenhagen
Europe/Dublin Europe/Helsinki Europe/Istanbul Europe/Kyiv Europe/Lisbon Europe/London Europe/Madrid Europe/Moscow
Europe/Oslo Europe/Paris Europe/Prague Europe/Rome Europe/Stockholm Europe/Vienna Europe/Warsaw Europe/Zurich
Pacific/Auckland Pacific/Honolulu`)

// wall returns the naive wall clock of an instant, in seconds as if it were UTC.
func wall(t time.Time, loc *time.Location) int64 {
	_, offset := t.In(loc).Zone()
	return t.Unix() + int64(offset)
}

// widest is more than any zone's distance from UTC and any change of it, in seconds.
const widest = 26 * 3600

// instant returns the moment, in Unix seconds, at which the wall clock shows u. A time that is repeated means its
// second occurrence; one that does not exist is read with the offset before the gap, which shifts it forward. It does
// not ask for the bounds of an offset (Time.ZoneBounds): in the leap years after a zone's table ends those do not
// advance.
func instant(u int64, loc *time.Location) int64 {
	if loc == time.UTC {
		return u
	}
	before, after := offsetAt(u-widest, loc), offsetAt(u+widest, loc)
	late := u - after
	if before == after || offsetAt(late, loc) == after && late > u-before {
		return late
	}
	early := u - before
	if offsetAt(early, loc) == before {
		return early
	}
	if offsetAt(late, loc) == after {
		return late
	}
	return early
}

func offsetAt(unix int64, loc *time.Location) int64 {
	_, offset := time.Unix(unix, 0).In(loc).Zone()
	return int64(offset)
}
