package picture

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseDateTime is $toMillis. A nil picture reads ISO 8601. Without it, components that the picture lacks are taken
// from now when they are larger than those it has; defined is false for a text that does not match.
func ParseDateTime(text string, picture *string, now time.Time) (millis float64, defined bool, err error) {
	if picture == nil {
		millis, err = parseISO(text)
		return millis, err == nil, err
	}
	markers, err := parseDatePicture(*picture)
	if err != nil {
		return 0, false, err
	}
	matcher, err := newMatcher(markers)
	if err != nil {
		return 0, false, err
	}
	found := matcher.FindStringSubmatch(text)
	if found == nil {
		return 0, false, nil
	}
	values := fields{}
	seen := false
	for i := range markers {
		m := &markers[i]
		if m.component == 0 {
			continue
		}
		seen = true
		value, ok, err := m.read(found[matcher.SubexpIndex(groupName(i))])
		if err != nil {
			return 0, false, err
		}
		delete(values, m.component)
		if ok {
			values[m.component] = value
		}
	}
	if !seen {
		return 0, false, nil
	}
	millis, err = values.millis(now)
	return millis, err == nil, err
}

// fields are the components that a text held.
type fields map[rune]float64

func groupName(marker int) string { return "m" + strconv.Itoa(marker) }

// newMatcher makes the expression that texts of the picture match, one named group for each marker.
func newMatcher(markers []marker) (*regexp.Regexp, error) {
	var out strings.Builder
	out.WriteString("^(?i:")
	for i := range markers {
		m := &markers[i]
		if m.component == 0 {
			out.WriteString(regexp.QuoteMeta(m.literal))
			continue
		}
		expression, err := m.expression()
		if err != nil {
			return nil, err
		}
		out.WriteString("(?P<" + groupName(i) + ">" + expression + ")")
	}
	out.WriteString(")$")
	compiled, err := regexp.Compile(out.String())
	if err != nil {
		return nil, uncoded("The date/time picture string cannot be matched: " + err.Error())
	}
	return compiled, nil
}

func (m *marker) expression() (string, error) {
	switch {
	case m.component == 'Z' || m.component == 'z':
		expression := "[-+][0-9]+"
		if groups := m.integer.groups; m.digits && len(groups) > 0 {
			// JSONata does not quote the separator.
			expression += string(groups[0].separator) + "[0-9]+"
		}
		if m.component == 'z' {
			expression = "GMT" + expression
		}
		return expression, nil
	case m.component == 'P':
		return "[a-zA-Z]+", nil
	case m.component == 'f':
		return digits(0), nil
	case !strings.ContainsRune("YMDdFWwXxHhms", m.component), m.names != noName && !strings.ContainsRune("MxF", m.component):
		return "", fault("D3133", string(m.component))
	case m.names != noName:
		return "[a-zA-Z]+", nil
	}
	return m.integer.expression()
}

func (p *integerPicture) expression() (string, error) {
	switch p.presentation {
	case letters:
		return "[a-z]+", nil
	case roman:
		return "[mdclxvi]+", nil
	case words:
		return "(?:" + strings.Join(allWords, "|") + `|and|[\-, ])+`, nil
	case sequence:
		return "", fault("D3130", p.token)
	}
	expression := digits(p.parseWidth)
	if p.ordinal {
		expression += "(?:th|st|nd|rd)"
	}
	return expression, nil
}

// digits matches a number of the given width, or of any when it is 0.
func digits(width int) string {
	if width == 0 {
		return "[0-9]+"
	}
	// Go's expressions repeat at most 1,000 times at once.
	if width > maxParseWidth {
		return `[^\s\S]`
	}
	return "[0-9]{" + strconv.Itoa(width) + "}"
}

// maxParseWidth is the longest run of digits that a picture can ask for next to another number.
const maxParseWidth = 1000

// read converts the text that a marker matched. A name that is none leaves the component out; names are those of title
// case, whatever case the picture asks for.
func (m *marker) read(text string) (value float64, ok bool, err error) {
	switch {
	case m.component == 'Z' || m.component == 'z':
		return m.readZone(text), true, nil
	case m.component == 'P':
		switch text {
		case "am", "AM":
			return 0, true, nil
		case "pm", "PM":
			return 1, true, nil
		}
		return 0, false, nil
	case m.component == 'f':
		value, err := strconv.ParseFloat("0."+text, 64)
		if err != nil {
			value = math.NaN()
		}
		return value * 1000, true, nil
	case m.names != noName:
		names := months
		if m.component == 'F' {
			names = days
		}
		for i, name := range slices.Backward(names) {
			if m.shortened(name) == text {
				return float64(i + 1), true, nil
			}
		}
		return 0, false, nil
	}
	value, err = m.integer.parse(text)
	return value, true, err
}

func (m *marker) shortened(name string) string {
	if m.width < float64(len(name)) {
		return name[:int(max(m.width, 0))]
	}
	return name
}

// readZone returns the minutes of an offset: "+0530", "+05:30", "+5". The minutes do not take the sign of the hours, as
// in JSONata; a separator that is not where it should be gives NaN.
func (m *marker) readZone(text string) float64 {
	if m.component == 'z' {
		text = text[len("GMT"):]
	}
	hours, minutes := text, "0"
	switch groups := m.integer.groups; {
	case m.digits && len(groups) > 0:
		before, after, found := strings.Cut(text, string(groups[0].separator))
		if !found {
			return math.NaN()
		}
		hours, minutes = before, after
	case len(text) > 3:
		hours, minutes = text[:3], text[3:]
	}
	return leadingInteger(hours)*60 + leadingInteger(minutes)
}

// scheme is one of the sets of components that together tell a date or a time of day, by decreasing size.
type scheme struct{ components, order string }

var (
	calendarDate = scheme{"YMD", "YMD"}
	// JSONata walks through D where d is meant.
	ordinalDate = scheme{"Yd", "YD"}
	weekDates   = []scheme{{"XxwF", ""}, {"XWF", ""}}
	clock24     = scheme{"Hmsf", "Hmsf"}
	clock12     = scheme{"Phmsf", "Phmsf"}
)

// holds says whether all of the fields that are among the letters belong to the scheme, and at least one does. Fields of
// zero do not count.
func (s scheme) holds(f fields, letters string) bool {
	some := false
	for c, value := range f {
		if value == 0 || math.IsNaN(value) || !strings.ContainsRune(letters, c) {
			continue
		}
		if !strings.ContainsRune(s.components, c) {
			return false
		}
		some = true
	}
	return some
}

// millis combines the components.
func (f fields) millis(now time.Time) (float64, error) {
	const dateLetters, timeLetters = "YXMxWwdD", "PHhmsf"
	date, clock := calendarDate, clock24
	if !calendarDate.holds(f, dateLetters) {
		if ordinalDate.holds(f, dateLetters) {
			date = ordinalDate
		}
		for _, s := range weekDates {
			if s.holds(f, dateLetters) {
				return 0, fault("D3136", "")
			}
		}
	}
	if !clock24.holds(f, timeLetters) && clock12.holds(f, timeLetters) {
		clock = clock12
	}
	if err := f.complete(date.order+clock.order, now); err != nil {
		return 0, err
	}
	month := 0.0
	if f['M'] > 0 {
		month = f['M'] - 1
	}
	day := f['D']
	if date.order == ordinalDate.order {
		derived := newMoment(utcMillis(f['Y'], 0, 1, 0, 0, 0, 0) + (f['d']-1)*millisPerDay)
		month, _ = derived.component('M')
		month--
		day, _ = derived.component('D')
	}
	hour := f['H']
	if clock.order == clock12.order {
		if hour = f['h']; hour == 12 {
			hour = 0
		}
		if f['P'] == 1 {
			hour += 12
		}
	}
	millis := utcMillis(f['Y'], month, day, hour, f['m'], f['s'], f['f'])
	for _, zone := range "Zz" {
		if offset := f[zone]; offset != 0 && !math.IsNaN(offset) {
			return millis - offset*millisPerMinute, nil
		}
	}
	return millis, nil
}

// complete fills in what the text did not say: components before the first it said are those of now, later ones are the
// least there are. A component that follows a missing one cannot be placed.
func (f fields) complete(order string, now time.Time) error {
	started, ended := false, false
	current := newMoment(float64(now.UnixMilli()))
	for _, c := range order {
		if _, given := f[c]; given {
			started = true
			if ended {
				return fault("D3136", "")
			}
			continue
		}
		if started {
			ended = true
			f[c] = 0
			if c == 'M' || c == 'D' {
				f[c] = 1
			}
			continue
		}
		f[c], _ = current.component(c)
	}
	return nil
}
