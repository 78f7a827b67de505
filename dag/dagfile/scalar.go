package dagfile

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// kind is the type of a value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt // int64, or *big.Int beyond it
	kindFloat
	kindText
	kindDate     // a day
	kindDateTime // a time.Time; its zone counts only when the text named one
	kindList
	kindDict
)

var kindNames = [...]string{"null", "bool", "number", "number", "string", "date", "datetime", "list", "dict"}

func (k kind) String() string { return kindNames[k] }

// The patterns of YAML 1.1 as PyYAML resolves plain scalars.
var (
	floatPattern = regexp.MustCompile(`^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?` +
		`|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?` +
		`|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*` +
		`|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	intPattern = regexp.MustCompile(`^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)` +
		`|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	datePattern     = regexp.MustCompile(`^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})$`)
	plainDate       = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	dateTimePattern = regexp.MustCompile(`^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):` +
		`([0-9]{2})(?:\.([0-9]*))?(?:[ \t]*(Z|([-+])([0-9]{1,2})(?::([0-9]{2}))?))?$`)
)

var boolWords = map[string]bool{
	"yes": true, "Yes": true, "YES": true, "no": false, "No": false, "NO": false,
	"true": true, "True": true, "TRUE": true, "false": false, "False": false, "FALSE": false,
	"on": true, "On": true, "ON": true, "off": false, "Off": false, "OFF": false,
}

// plainScalar reads an unquoted scalar as YAML 1.1 does: yes and on are booleans, 010 is 8, 1:30 is 90, 1_000 is 1000,
// 1e3 is a string, 2024-11-11 is a date.
func plainScalar(text string) (kind, any, error) {
	if text == "" || text == "~" {
		return kindNull, nil, nil
	}
	switch c := text[0]; {
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		return plainNumber(text)
	case len(text) > 5:
	case text == "null" || text == "Null" || text == "NULL":
		return kindNull, nil, nil
	default:
		if b, ok := boolWords[text]; ok {
			return kindBool, b, nil
		}
	}
	return kindText, text, nil
}

func plainNumber(text string) (kind, any, error) {
	switch {
	case floatPattern.MatchString(text):
		return parseFloat(text)
	case intPattern.MatchString(text):
		return parseInt(text)
	case plainDate.MatchString(text):
		t, err := parseDate(text)
		return kindDate, t, err
	case dateTimePattern.MatchString(text):
		t, err := parseDateTime(text)
		return kindDateTime, t, err
	}
	return kindText, text, nil
}

func sign(text string) (string, bool) {
	if text[0] == '-' || text[0] == '+' {
		return text[1:], text[0] == '-'
	}
	return text, false
}

func parseFloat(text string) (kind, any, error) {
	digits, negative := sign(strings.ToLower(strings.ReplaceAll(text, "_", "")))
	var f float64
	switch {
	case digits == ".inf":
		f = math.Inf(1)
	case digits == ".nan":
		return kindFloat, math.NaN(), nil
	case strings.Contains(digits, ":"):
		for part := range strings.SplitSeq(digits, ":") {
			n, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return kindText, text, nil
			}
			f = f*60 + n
		}
	default:
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil && !math.IsInf(n, 0) {
			return kindText, text, nil
		}
		f = n
	}
	if negative {
		f = -f
	}
	return kindFloat, f, nil
}

func parseInt(text string) (kind, any, error) {
	digits, negative := sign(strings.ReplaceAll(text, "_", ""))
	n := new(big.Int)
	ok := true
	switch {
	case strings.HasPrefix(digits, "0b"):
		_, ok = n.SetString(digits[2:], 2)
	case strings.HasPrefix(digits, "0x"):
		_, ok = n.SetString(digits[2:], 16)
	case strings.Contains(digits, ":"):
		part := new(big.Int)
		for text := range strings.SplitSeq(digits, ":") {
			if _, ok = part.SetString(text, 10); !ok {
				break
			}
			n.Mul(n, big.NewInt(60)).Add(n, part)
		}
	case len(digits) > 1 && digits[0] == '0':
		_, ok = n.SetString(digits, 8)
	case len(digits) < 19:
		i, err := strconv.ParseInt(digits, 10, 64)
		if negative {
			i = -i
		}
		return kindInt, i, err
	default:
		_, ok = n.SetString(digits, 10)
	}
	if !ok {
		return kindNull, nil, fmt.Errorf("%q is not a number", text)
	}
	if negative {
		n.Neg(n)
	}
	if n.IsInt64() {
		return kindInt, n.Int64(), nil
	}
	return kindInt, n, nil
}

func parseDate(text string) (time.Time, error) {
	m := datePattern.FindStringSubmatch(text)
	return calendar(text, m[1], m[2], m[3], "0", "0", "0", 0, time.UTC)
}

// unzoned marks a datetime whose text names no offset.
var unzoned = time.FixedZone("unzoned", 0)

func parseDateTime(text string) (time.Time, error) {
	m := dateTimePattern.FindStringSubmatch(text)
	nanos, _ := strconv.Atoi((m[7] + "000000")[:6]) // six digits, by the pattern
	zone := unzoned
	switch {
	case m[8] == "Z":
		zone = time.UTC
	case m[8] != "":
		hours, _ := strconv.Atoi(m[10])
		minutes := 0
		if m[11] != "" {
			minutes, _ = strconv.Atoi(m[11])
		}
		offset := hours*3600 + minutes*60
		if m[9] == "-" {
			offset = -offset
		}
		if hours > 23 || minutes > 59 {
			return time.Time{}, fmt.Errorf("%q has no such UTC offset", text)
		}
		zone = time.FixedZone("", offset)
	}
	return calendar(text, m[1], m[2], m[3], m[4], m[5], m[6], nanos*1000, zone)
}

// calendar builds a time from digits and refuses days and hours that do not exist.
func calendar(text, year, month, day, hour, minute, second string, nanos int, zone *time.Location) (time.Time, error) {
	var n [6]int
	for i, digits := range []string{year, month, day, hour, minute, second} {
		n[i], _ = strconv.Atoi(digits) // digits by the patterns
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], nanos, zone)
	wrapped := int(t.Month()) != n[1] || t.Day() != n[2] || t.Hour() != n[3] || t.Minute() != n[4] || t.Second() != n[5]
	if n[0] < 1 || wrapped {
		return time.Time{}, fmt.Errorf("%q is not a date that exists", text)
	}
	return t, nil
}

// pythonText prints a scalar as Python's str() does, for __join__.
func pythonText(k kind, data any) string {
	switch k {
	case kindNull:
		return "None"
	case kindBool:
		if data.(bool) {
			return "True"
		}
		return "False"
	case kindFloat:
		return pythonFloat(data.(float64))
	case kindDate:
		return data.(time.Time).Format(time.DateOnly)
	case kindDateTime:
		t := data.(time.Time)
		layout := "2006-01-02 15:04:05"
		if t.Nanosecond() != 0 {
			layout += ".000000"
		}
		if t.Location() != unzoned {
			layout += "-07:00"
		}
		return t.Format(layout)
	}
	return fmt.Sprint(data)
}

func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a >= 1e16 || a < 1e-4) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
