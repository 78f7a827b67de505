package picture

import (
	"math"
	"strconv"
	"strings"
)

// nameStyle is how a marker asks for a name: not at all, or in one of three cases.
type nameStyle int

const (
	noName nameStyle = iota
	lowerName
	upperName
	titleName
)

// marker is a variable of a date picture ("[Y0001]"), or literal text when component is 0.
type marker struct {
	literal   string
	component rune
	names     nameStyle
	integer   integerPicture
	// digits is set when integer rules the marker.
	digits bool
	// utc says that a zone of no offset is written as Z.
	utc bool
	// year, when it is not negative, is the count of a year's last digits to write.
	year float64
	// width is the greatest length of a name; hasWidth says that the picture has one, bounded or not.
	width    float64
	hasWidth bool
}

// standard is the presentation of a component for which the picture gives none; n is a name in lower case.
var standard = map[rune]string{
	'Y': "1", 'M': "1", 'D': "1", 'd': "1", 'F': "n", 'W': "1", 'w': "1", 'X': "1", 'x': "1", 'H': "1", 'h': "1", 'P': "n",
	'm': "01", 's': "01", 'f': "1", 'Z': "01:01", 'z': "01:01", 'C': "n", 'E': "n",
}

// parseDatePicture cuts a picture into markers and literals (F&O 3.1, 9.8.4.1).
func parseDatePicture(picture string) ([]marker, error) {
	if err := checkLength(picture); err != nil {
		return nil, err
	}
	var out []marker
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			out = append(out, marker{literal: literal.String()})
			literal.Reset()
		}
	}
	for picture != "" {
		switch {
		case strings.HasPrefix(picture, "[["), strings.HasPrefix(picture, "]]"):
			literal.WriteByte(picture[0])
			picture = picture[2:]
		case picture[0] == '[':
			flush()
			end := strings.IndexByte(picture, ']')
			if end < 0 {
				return nil, fault("D3135", "")
			}
			m, err := newMarker(picture[1:end])
			if err != nil {
				return nil, err
			}
			out = append(out, m)
			picture = picture[end+1:]
		default:
			literal.WriteByte(picture[0])
			picture = picture[1:]
		}
	}
	flush()
	for i := range out[:max(len(out)-1, 0)] {
		if out[i+1].isNumber() {
			out[i].integer.parseWidth = out[i].integer.mandatory
		}
	}
	return out, nil
}

// isNumber says whether the marker is parsed by its integer picture.
func (m *marker) isNumber() bool { return m.digits && !strings.ContainsRune("ZzP", m.component) }

func newMarker(text string) (marker, error) {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(whiteSpace, r) {
			return -1
		}
		return r
	}, text)
	if text == "" {
		return marker{}, fault("D3132", "")
	}
	runes := []rune(text)
	m := marker{component: runes[0], year: -1}
	token, least, most := widths(string(runes[1:]))
	m.width, m.hasWidth = most, !math.IsNaN(least)
	if token == "" {
		var known bool
		if token, known = standard[m.component]; !known {
			return m, fault("D3132", string(m.component))
		}
	}
	token, modifier := secondModifier(token)
	m.utc = modifier == 't'
	switch token[0] {
	case 'n':
		m.names = lowerName
	case 'N':
		m.names = upperName
		if strings.HasPrefix(token, "Nn") {
			m.names = titleName
		}
	default:
		var err error
		isZone := m.component == 'Z' || m.component == 'z'
		if m.integer, err = newPrimary(token, modifier == 'o' && !isZone); err != nil {
			return m, err
		}
		m.digits = true
		if !isZone {
			m.integer.widen(least)
		}
	}
	if m.component == 'Y' {
		m.year = m.yearDigits(most)
	}
	return m, nil
}

// secondModifier takes the a, t, c or o off the end of a presentation of two or more characters.
func secondModifier(token string) (string, byte) {
	if last := len(token) - 1; last > 0 && strings.IndexByte("atco", token[last]) >= 0 {
		return token[:last], token[last]
	}
	return token, 0
}

// widths cuts ",least-most" off a presentation. A bound that is not given is infinite, and least is NaN without a width.
func widths(text string) (token string, least, most float64) {
	comma := strings.LastIndexByte(text, ',')
	if comma < 0 {
		return text, math.NaN(), math.Inf(1)
	}
	token, text = text[:comma], text[comma+1:]
	lower, upper, found := strings.Cut(text, "-")
	upper, _, _ = strings.Cut(upper, "-")
	width := func(s string, given bool) float64 {
		if !given || s == "*" {
			return math.Inf(1)
		}
		return leadingInteger(s)
	}
	return token, width(lower, true), width(upper, found)
}

// widen raises the least count of digits to a width.
func (p *integerPicture) widen(least float64) {
	if p.presentation != decimalDigits || math.IsInf(least, 1) || !(least > float64(p.mandatory)) {
		return
	}
	p.mandatory = int(min(least, longestInteger+1))
}

// yearDigits is how many digits a year keeps: as many as the width or, from two on, as the digits of the picture.
func (m *marker) yearDigits(most float64) float64 {
	if !math.IsInf(most, 1) {
		if m.integer.presentation == decimalDigits && most >= 0 {
			m.integer.mandatory = int(min(most, longestInteger+1))
		}
		return most
	}
	if n := m.integer.mandatory + m.integer.optional; n >= 2 {
		return float64(n)
	}
	return -1
}

const (
	millisPerMinute = 60 * 1000
	millisPerDay    = 24 * 60 * millisPerMinute
)

// FormatDateTime is $fromMillis. A nil picture is the ISO 8601 form, a nil timezone is UTC.
func FormatDateTime(millis float64, picture, timezone *string) (string, error) {
	hours, minutes := 0.0, 0.0
	if timezone != nil {
		// "-0530" is -530: the hours round down and the minutes keep the sign, as in JSONata.
		offset := leadingInteger(*timezone)
		hours, minutes = math.Floor(offset/100), math.Mod(offset, 100)
	}
	text := "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z01:01t]"
	if picture != nil {
		text = *picture
	}
	markers, err := parseDatePicture(text)
	if err != nil {
		return "", err
	}
	at := newMoment(millis + (60*hours+minutes)*millisPerMinute)
	var out strings.Builder
	for i := range markers {
		m := &markers[i]
		piece := m.literal
		switch m.component {
		case 0:
		case 'Z', 'z':
			piece, err = m.zone(hours, minutes)
		default:
			piece, err = m.write(&at)
		}
		if err != nil {
			return "", err
		}
		if out.Len()+len(piece) > longestInteger {
			return "", uncoded("Invalid string length")
		}
		out.WriteString(piece)
	}
	return out.String(), nil
}

var (
	months = strings.Fields("January February March April May June July August September October November December")
	days   = strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
)

// write formats one component.
func (m *marker) write(at *moment) (string, error) {
	switch m.component {
	case 'C', 'E':
		return "ISO", nil
	case 'P':
		name := "am"
		if at.hour() >= 12 {
			name = "pm"
		}
		if m.names == upperName {
			name = strings.ToUpper(name)
		}
		return name, nil
	}
	value, known := at.component(m.component)
	if !known {
		return "undefined", nil
	}
	if m.names != noName {
		return m.name(value)
	}
	if m.component == 'Y' && m.year != -1 {
		value = math.Mod(value, math.Pow(10, m.year))
	}
	return m.integer.format(value)
}

func (m *marker) name(value float64) (string, error) {
	names := months
	switch m.component {
	case 'M', 'x':
	case 'F':
		names = days
	case 'f':
		return "", uncoded("Milliseconds have no name")
	default:
		return "", fault("D3133", string(m.component))
	}
	if !(value >= 1 && value <= float64(len(names))) {
		if m.names == titleName && !m.hasWidth {
			return "undefined", nil
		}
		return "", uncoded("The timestamp is out of range")
	}
	name := m.cased(names[int(value)-1])
	if m.width < float64(len(name)) {
		name = name[:int(max(m.width, 0))]
	}
	return name, nil
}

func (m *marker) cased(name string) string {
	switch m.names {
	case lowerName:
		return strings.ToLower(name)
	case upperName:
		return strings.ToUpper(name)
	}
	return name
}

// zone writes an offset from UTC (F&O 3.1, 9.8.4.6).
func (m *marker) zone(hours, minutes float64) (string, error) {
	offset := hours*100 + minutes
	if m.utc && offset == 0 && m.digits && m.integer.mandatory > 0 && m.integer.mandatory <= 4 {
		return "Z", nil
	}
	var text string
	var err error
	switch digits := m.integer.mandatory; {
	case !m.digits || digits == 0 || digits > 4 && m.integer.regular == 0:
		value := ""
		if m.digits && digits > 4 {
			value = strconv.Itoa(digits)
		}
		return "", fault("D3134", value)
	case m.integer.regular > 0:
		text, err = m.integer.format(offset)
	case digits <= 2:
		if text, err = m.integer.format(hours); err == nil && minutes != 0 {
			var rest string
			rest, err = FormatInteger(minutes, "00")
			text += ":" + rest
		}
	default:
		text, err = m.integer.format(offset)
	}
	if err != nil {
		return "", err
	}
	if offset >= 0 {
		text = "+" + text
	}
	if m.component == 'z' {
		text = "GMT" + text
	}
	return text, nil
}
