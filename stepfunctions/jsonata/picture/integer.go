package picture

import (
	"math"
	"slices"
	"strings"
)

// presentation is how an integer picture wants its number written (F&O 3.1, 4.6.1).
type presentation int

const (
	decimalDigits presentation = iota
	letters
	roman
	words
	// sequence is a picture that names no supported numbering; using it is an error.
	sequence
)

type letterCase int

const (
	lower letterCase = iota
	upper
	title
)

// longestRoman bounds the only presentation whose length grows with the value itself: ten million is 10,000 letters.
const longestRoman = 1e7

// longestInteger bounds the zeros that a picture or a width may ask for, in characters.
const longestInteger = 1 << 16

// longestPicture bounds pictures, in bytes: the work can grow with the square of what they ask for.
const longestPicture = 1 << 14

func checkLength(picture string) error {
	if len(picture) > longestPicture {
		return uncoded("The picture string is longer than " + NumberText(longestPicture) + " bytes")
	}
	return nil
}

// integerPicture is an analysed integer picture.
type integerPicture struct {
	presentation presentation
	letterCase   letterCase
	ordinal      bool
	token        string
	// Decimal digit patterns only:
	zero      rune
	mandatory int
	optional  int
	// groups are listed from the left of the picture.
	groups []digitGroup
	// regular is the distance of separators that repeat, or 0; they are all regularSeparator.
	regular int
	// parseWidth, when positive, is the exact count of digits that a timestamp holds for this number.
	parseWidth int
}

// digitGroup is a separator and the count of digits to its right.
type digitGroup struct {
	separator rune
	at        int
}

// zeros are the digit families of the Unicode Basic Multilingual Plane, by their zero.
var zeros = []rune{
	0x30, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
	0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620,
	0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
}

// newIntegerPicture analyses "primary[;modifier]".
func newIntegerPicture(text string) (integerPicture, error) {
	if err := checkLength(text); err != nil {
		return integerPicture{}, err
	}
	primary, ordinal := text, false
	if at := strings.LastIndexByte(text, ';'); at >= 0 {
		primary, ordinal = text[:at], strings.HasPrefix(text[at+1:], "o")
	}
	return newPrimary(primary, ordinal)
}

func newPrimary(token string, ordinal bool) (integerPicture, error) {
	p := integerPicture{token: token, ordinal: ordinal}
	switch token {
	case "A":
		p.presentation, p.letterCase = letters, upper
	case "a":
		p.presentation = letters
	case "I":
		p.presentation, p.letterCase = roman, upper
	case "i":
		p.presentation = roman
	case "W":
		p.presentation, p.letterCase = words, upper
	case "w":
		p.presentation = words
	case "Ww":
		p.presentation, p.letterCase = words, title
	default:
		return p, p.digitPattern()
	}
	return p, nil
}

// digitPattern reads the token as digits, optional digits (#) and grouping separators.
func (p *integerPicture) digitPattern() error {
	token := []rune(p.token)
	for _, r := range slices.Backward(token) {
		zero := zeroOf(r)
		switch {
		case zero != 0 && p.mandatory > 0 && zero != p.zero:
			return fault("D3131", "")
		case zero != 0:
			p.zero = zero
			p.mandatory++
		case r == '#':
			p.optional++
		default:
			p.groups = append(p.groups, digitGroup{separator: r, at: p.mandatory + p.optional})
		}
	}
	if p.mandatory == 0 {
		p.presentation = sequence
		return nil
	}
	slices.Reverse(p.groups)
	p.regular = repeated(p.groups)
	return nil
}

// zeroOf returns the zero of a digit's family, or 0.
func zeroOf(r rune) rune {
	for _, zero := range zeros {
		if r >= zero && r <= zero+9 {
			return zero
		}
	}
	return 0
}

func repeated(groups []digitGroup) int {
	var places []int
	for _, g := range groups {
		if g.separator != groups[0].separator {
			return 0
		}
		places = append(places, g.at)
	}
	return regularGroup(places)
}

// FormatInteger is $formatInteger. The value is rounded down.
func FormatInteger(value float64, picture string) (string, error) {
	p, err := newIntegerPicture(picture)
	if err != nil {
		return "", err
	}
	return p.format(value)
}

func (p *integerPicture) format(value float64) (string, error) {
	value = math.Floor(value)
	text, err := p.magnitude(math.Abs(value))
	if err != nil {
		return "", err
	}
	if value < 0 {
		text = "-" + text
	}
	return text, nil
}

// magnitude formats a whole number that is not negative; a timestamp out of range makes it NaN.
func (p *integerPicture) magnitude(value float64) (string, error) {
	switch p.presentation {
	case letters:
		return p.cased(toLetters(value)), nil
	case roman:
		if value > longestRoman {
			return "", uncoded("The number " + NumberText(value) + " is too large to be written in Roman numerals")
		}
		return p.cased(toRoman(value)), nil
	case words:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return "", uncoded("A number without bound cannot be written in words")
		}
		return p.cased(toWords(value, p.ordinal)), nil
	case sequence:
		return "", fault("D3130", p.token)
	}
	return p.digits(value)
}

func (p *integerPicture) digits(value float64) (string, error) {
	if p.mandatory > longestInteger {
		return "", uncoded("Invalid array length")
	}
	text := NumberText(value)
	if missing := p.mandatory - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	number := []rune(text)
	if p.zero != '0' {
		for i := range number {
			number[i] += p.zero - '0'
		}
	}
	if p.regular > 0 {
		number = groupEvery(number, len(number), p.regular, []rune{p.groups[0].separator})
	} else {
		for _, g := range p.groups {
			number = insertDigit(number, len(number)-g.at, g.separator)
		}
	}
	if p.ordinal {
		return string(number) + ordinalSuffix(number), nil
	}
	return string(number), nil
}

// insertDigit puts a separator into a number. A place left of the number, which the optional digits of a picture make
// possible, drops digits as JSONata does.
func insertDigit(number []rune, at int, separator rune) []rune {
	if at >= 0 {
		return insert(number, at, []rune{separator})
	}
	return slices.Concat([]rune{separator}, cut(number, len(number)+at, len(number)))
}

// ordinalSuffix is English, and chosen by Western digits only.
func ordinalSuffix(number []rune) string {
	if n := len(number); n < 2 || number[n-2] != '1' {
		switch number[n-1] {
		case '1':
			return "st"
		case '2':
			return "nd"
		case '3':
			return "rd"
		}
	}
	return "th"
}

func (p *integerPicture) cased(text string) string {
	if p.letterCase == upper {
		return strings.ToUpper(text)
	}
	if p.letterCase == title && p.presentation == words {
		return titleWords(text)
	}
	return text
}

// FormatBase is $formatBase: the number rounded half to even, in a radix from 2 to 36.
func FormatBase(value, radix float64) (string, error) {
	value, radix = round(value, 0), round(radix, 0)
	if math.IsNaN(radix) {
		return "", uncoded("toString() radix argument must be between 2 and 36")
	}
	if radix < 2 || radix > 36 {
		return "", fault("D3100", NumberText(radix))
	}
	if radix == 10 || math.IsNaN(value) || math.IsInf(value, 0) {
		return NumberText(value), nil
	}
	return wholeInRadix(value, int(radix)), nil
}
