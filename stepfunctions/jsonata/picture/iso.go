package picture

import (
	"math"
	"regexp"
	"strconv"
)

// isoForm is what $toMillis takes for ISO 8601; what it lets through and JavaScript's Date cannot read is NaN.
var isoForm = regexp.MustCompile(`^(\d{4})(?:-([01]\d))?(?:-([0-3]\d))?(?:T([0-2]\d):([0-5]\d):([0-5]\d))?(\.\d+)?(?:(Z)|([+-])([0-2]\d):?([0-5]\d))?$`)

func parseISO(text string) (float64, error) {
	found := isoForm.FindStringSubmatch(text)
	if found == nil {
		return 0, fault("D3110", text)
	}
	number := func(group int, missing float64) float64 {
		if found[group] == "" {
			return missing
		}
		n, _ := strconv.ParseFloat(found[group], 64)
		return n
	}
	year, month, day := number(1, 0), number(2, 1), number(3, 1)
	hasTime, hasOffset := found[4] != "", found[9] != ""
	valid := month >= 1 && month <= 12 && day >= 1 && day <= 31 && (found[2] != "" || found[3] == "")
	if !hasTime && (!valid || hasOffset || found[7] != "" || found[8] != "") {
		return numberedDate(found), nil
	}
	if !valid {
		return math.NaN(), nil
	}
	hour, minute, second := number(4, 0), number(5, 0), number(6, 0)
	milli := math.Trunc(number(7, 0) * 1000)
	if hour > 24 || hour == 24 && minute+second+milli > 0 {
		return math.NaN(), nil
	}
	offset := number(10, 0)*60 + number(11, 0)
	if number(10, 0) > 23 {
		return math.NaN(), nil
	}
	if found[9] == "-" {
		offset = -offset
	}
	// The year is added after, because Date.UTC takes 0 to 99 for years of the twentieth century.
	millis := utcMillis(year+400, month-1, day, hour, minute, second, milli) - millisPer400Years
	return millis - offset*millisPerMinute, nil
}

// millisPer400Years is one full cycle of the Gregorian calendar.
const millisPer400Years = 146_097 * millisPerDay

// numberedDate reads the dates that are not ISO 8601 for JavaScript, as its engines do: up to three numbers, which are
// year, month and day or, when the first one can be a month or a day, month, day and year. A fraction is a number, and
// so is an offset after a hyphen; any other offset spoils a date without a time.
func numberedDate(found []string) float64 {
	var numbers []float64
	add := func(text string) {
		if text != "" {
			n, _ := strconv.ParseFloat(text, 64)
			numbers = append(numbers, n)
		}
	}
	add(found[1])
	add(found[2])
	add(found[3])
	if found[7] != "" {
		add(found[7][1:])
	}
	if found[9] != "" {
		text := found[0][len(found[0])-4:]
		if found[9] == "+" || text[1] == ':' || text[2] == ':' {
			return math.NaN()
		}
		add(text)
	}
	if len(numbers) > 3 {
		return math.NaN()
	}
	first, rest := numbers[0], append(numbers[1:], 1, 1)
	year, month, day := first, rest[0], rest[1]
	if first < 32 {
		year, month, day = 2001, first, rest[0]
		if len(numbers) == 3 {
			year = rest[1]
		}
	}
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return math.NaN()
	}
	if year < 50 {
		year += 2000
	}
	return utcMillis(year, month-1, day, 0, 0, 0, 0)
}
