package pytime

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gust/dag/template/pyvalue"
)

func joinInts(list []int) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ", ")
}

func hour12(h int) int { return (h+11)%12 + 1 }

// strftime formats with C's directives, the glibc flags - (no padding), _ (blanks) and 0 included.
func strftime(d DateTime, format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		flag := byte(0)
		if strings.IndexByte("-_0", format[i]) >= 0 && i+1 < len(format) {
			flag = format[i]
			i++
		}
		if text, ok := directive(d, format[i]); ok {
			b.WriteString(text)
			continue
		}
		n, width, blank, ok := numericDirective(d, format[i])
		switch {
		case !ok:
			b.WriteString("%" + string(format[i]))
		case flag == '-':
			b.WriteString(strconv.Itoa(n))
		case flag == '_' || blank && flag != '0':
			fmt.Fprintf(&b, "%*d", width, n)
		default:
			fmt.Fprintf(&b, "%0*d", width, n)
		}
		if b.Len() > 1<<20 {
			return "", pyvalue.Errorf("the formatted date is too long")
		}
	}
	return b.String(), nil
}

// directive formats the directives that are texts.
func directive(d DateTime, c byte) (string, bool) {
	layout := map[byte]string{
		'b': "Jan", 'h': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'p': "PM", 'P': "pm", 'D': "01/02/06",
		'x': "01/02/06",
		'F': "2006-01-02", 'T': "15:04:05", 'X': "15:04:05", 'R': "15:04", 'c': "Mon Jan _2 15:04:05 2006",
		'r': "03:04:05 PM",
	}[c]
	if layout != "" {
		return d.t.Format(layout), true
	}
	switch c {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 's':
		return strconv.FormatInt(d.t.Unix(), 10), true
	case 'f':
		return fmt.Sprintf("%06d", d.t.Nanosecond()/1000), true
	case 'z', 'Z':
		if d.naive {
			return "", true
		}
		if c == 'z' {
			return d.t.Format("-0700"), true
		}
		return d.t.Format("MST"), true
	}
	return "", false
}

// numericDirective returns the number of a directive, its width and whether it is padded with blanks.
func numericDirective(d DateTime, c byte) (n, width int, blank, ok bool) {
	year, week := d.t.ISOWeek()
	yday, sunday := d.t.YearDay()-1, int(d.t.Weekday())
	switch c {
	case 'Y':
		return d.t.Year(), 1, false, true
	case 'C':
		return d.t.Year() / 100, 2, false, true
	case 'y':
		return d.t.Year() % 100, 2, false, true
	case 'm':
		return int(d.t.Month()), 2, false, true
	case 'd':
		return d.t.Day(), 2, false, true
	case 'e':
		return d.t.Day(), 2, true, true
	case 'H':
		return d.t.Hour(), 2, false, true
	case 'k':
		return d.t.Hour(), 2, true, true
	case 'I':
		return hour12(d.t.Hour()), 2, false, true
	case 'l':
		return hour12(d.t.Hour()), 2, true, true
	case 'M':
		return d.t.Minute(), 2, false, true
	case 'S':
		return d.t.Second(), 2, false, true
	case 'j':
		return d.t.YearDay(), 3, false, true
	case 'U':
		return (yday + 7 - sunday) / 7, 2, false, true
	case 'W':
		return (yday + 7 - d.weekday()) / 7, 2, false, true
	case 'V':
		return week, 2, false, true
	case 'G':
		return year, 1, false, true
	case 'g':
		return year % 100, 2, false, true
	case 'u':
		return d.weekday() + 1, 1, false, true
	case 'w':
		return sunday, 1, false, true
	}
	return 0, 0, false, false
}

// strptimeLayouts maps the directives that strptime reads to Go's layout.
var strptimeLayouts = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'b': "Jan", 'B': "January", 'a': "Mon",
	'A': "Monday", 'p': "PM", 'I': "03", 'j': "002", 'z': "-0700", 'Z': "MST", 'F': "2006-01-02", 'T': "15:04:05",
	'%': "%",
	'D': "01/02/06", 'R': "15:04",
}

// strptime reads a date with Python's directives. Numbers may lack their leading zeros.
func strptime(text, format string) (DateTime, error) {
	layout, naive := strings.Builder{}, true
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			layout.WriteByte(format[i])
			continue
		}
		i++
		if format[i] == '-' && i+1 < len(format) {
			i++
		}
		if format[i] == 'f' {
			// Go reads a fraction only behind a point or comma.
			layout.WriteString("999999")
			continue
		}
		part, ok := strptimeLayouts[format[i]]
		if !ok {
			return DateTime{}, pyvalue.Errorf("the directive %%%c is not supported in the format %q", format[i], format)
		}
		naive = naive && format[i] != 'z'
		layout.WriteString(part)
	}
	for _, l := range []string{layout.String(), loosened(layout.String())} {
		if t, err := time.Parse(l, text); err == nil {
			if naive {
				t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
			}
			return DateTime{t: t, naive: naive, plain: true}, nil
		}
	}
	return DateTime{}, pyvalue.Errorf("time data %q does not match the format %q", text, format)
}

// loosened is a layout that reads numbers without leading zeros.
func loosened(layout string) string {
	return strings.NewReplacer("2006", "2006", "January", "January", "01", "1", "02", "2", "03", "3", "04", "4", "05",
		"5").Replace(layout)
}

// namedFormats are pendulum's to_..._string methods, in pendulum's tokens.
var namedFormats = map[string]string{
	"to_date_string": "YYYY-MM-DD", "to_time_string": "HH:mm:ss", "to_datetime_string": "YYYY-MM-DD HH:mm:ss",
	"to_formatted_date_string": "MMM DD, YYYY", "to_day_datetime_string": "ddd, MMM D, YYYY h:mm A",
	"to_atom_string": "YYYY-MM-DDTHH:mm:ssZ", "to_cookie_string": "dddd, DD-MMM-YYYY HH:mm:ss zz",
	"to_rfc822_string": "ddd, DD MMM YY HH:mm:ss ZZ", "to_rfc850_string": "dddd, DD-MMM-YY HH:mm:ss zz",
	"to_rfc1036_string": "ddd, DD MMM YY HH:mm:ss ZZ", "to_rfc1123_string": "ddd, DD MMM YYYY HH:mm:ss ZZ",
	"to_rfc2822_string": "ddd, DD MMM YYYY HH:mm:ss ZZ", "to_rss_string": "ddd, DD MMM YYYY HH:mm:ss ZZ",
	"to_w3c_string": "YYYY-MM-DDTHH:mm:ssZ", "to_rfc3339_string": "\x01iso", "to_iso8601_string": "\x01isoz",
}

// pendulumTokens are the tokens of pendulum's format, longest first where one begins with another.
var pendulumTokens = []string{
	"YYYY", "YY", "Y", "Qo", "Q", "MMMM", "MMM", "MM", "Mo", "M", "DDDD", "DDD", "DD", "Do", "D", "dddd", "ddd", "dd",
	"do", "d",
	"E", "HH", "H", "hh", "h", "mm", "m", "ss", "s", "SSSSSS", "SSSSS", "SSSS", "SSS", "SS", "S", "A", "X", "x", "ZZ", "Z",
	"zz", "z", "WW", "W", "LTS", "LT", "LLLL", "LLL", "LL", "L",
}

// pendulumFormat formats with pendulum's tokens; text in [brackets] and escaped characters stay.
func pendulumFormat(d DateTime, format string) string {
	switch format {
	case "\x01iso":
		return d.ISO()
	case "\x01isoz":
		return strings.Replace(d.ISO(), "+00:00", "Z", 1)
	}
	var b strings.Builder
scan:
	for i := 0; i < len(format); {
		if format[i] == '[' {
			if end := strings.IndexByte(format[i:], ']'); end > 0 {
				b.WriteString(format[i+1 : i+end])
				i += end + 1
				continue
			}
		}
		if format[i] == '\\' && i+1 < len(format) {
			b.WriteByte(format[i+1])
			i += 2
			continue
		}
		for _, token := range pendulumTokens {
			if strings.HasPrefix(format[i:], token) {
				b.WriteString(pendulumToken(d, token))
				i += len(token)
				continue scan
			}
		}
		b.WriteByte(format[i])
		i++
	}
	return b.String()
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

func pendulumToken(d DateTime, token string) string {
	layouts := map[string]string{
		"YYYY": "2006", "YY": "06", "MMMM": "January", "MMM": "Jan", "MM": "01", "M": "1", "DD": "02", "D": "2",
		"dddd": "Monday",
		"ddd":  "Mon", "HH": "15", "hh": "03", "h": "3", "mm": "04", "m": "4", "ss": "05", "s": "5", "A": "PM",
		"Z": "-07:00", "ZZ": "-0700", "LTS": "3:04:05 PM", "LT": "3:04 PM", "LLLL": "Monday, January 2, 2006 3:04 PM",
		"LLL": "January 2, 2006 3:04 PM", "LL": "January 2, 2006", "L": "01/02/2006", "zz": "MST", "DDDD": "002",
	}
	if layout, ok := layouts[token]; ok {
		return d.t.Format(layout)
	}
	switch token {
	case "Y":
		return strconv.Itoa(d.t.Year())
	case "Q":
		return strconv.Itoa((int(d.t.Month())-1)/3 + 1)
	case "Qo":
		return ordinal((int(d.t.Month())-1)/3 + 1)
	case "Mo":
		return ordinal(int(d.t.Month()))
	case "DDD":
		return strconv.Itoa(d.t.YearDay())
	case "Do":
		return ordinal(d.t.Day())
	case "dd":
		return d.t.Format("Mon")[:2]
	case "d":
		return strconv.Itoa(int(d.t.Weekday()))
	case "do":
		return ordinal(int(d.t.Weekday()))
	case "E":
		return strconv.Itoa(d.weekday() + 1)
	case "H":
		return strconv.Itoa(d.t.Hour())
	case "X":
		return strconv.FormatInt(d.t.Unix(), 10)
	case "x":
		return strconv.FormatInt(d.t.UnixMilli(), 10)
	case "z":
		return d.zoneName()
	case "W", "WW":
		return token // pendulum has no tokens for weeks and leaves them
	}
	return fmt.Sprintf("%06d", d.t.Nanosecond()/1000)[:len(token)]
}
