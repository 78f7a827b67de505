package picture

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// maxFractionDigits is JavaScript's bound for printing decimals, which is also a bound on what a picture may ask for.
const maxFractionDigits = 100

// decimalFormat holds the characters of F&O 3.1 section 4.7.1; the options of $formatNumber replace them. Values may be
// empty or longer than one character, as JSONata allows.
type decimalFormat struct {
	decimalSeparator, groupingSeparator, exponentSeparator []rune
	patternSeparator, digit, minusSign, percent, perMille  []rune
	zeroDigit                                              rune
}

func newDecimalFormat(options map[string]string) decimalFormat {
	pick := func(name, standard string) []rune {
		if s, ok := options[name]; ok {
			return []rune(s)
		}
		return []rune(standard)
	}
	f := decimalFormat{
		decimalSeparator:  pick("decimal-separator", "."),
		groupingSeparator: pick("grouping-separator", ","),
		exponentSeparator: pick("exponent-separator", "e"),
		patternSeparator:  pick("pattern-separator", ";"),
		digit:             pick("digit", "#"),
		minusSign:         pick("minus-sign", "-"),
		percent:           pick("percent", "%"),
		perMille:          pick("per-mille", "‰"),
		zeroDigit:         noDigit,
	}
	if zero := pick("zero-digit", "0"); len(zero) > 0 {
		f.zeroDigit = zero[0]
	}
	return f
}

// noDigit stands for an empty zero-digit option: nothing belongs to its digit family.
const noDigit rune = -16

func (f *decimalFormat) isDecimalDigit(r rune) bool { return r >= f.zeroDigit && r < f.zeroDigit+10 }

func (f *decimalFormat) isOptionalDigit(r rune) bool { return isOnly(f.digit, r) }

func (f *decimalFormat) isActive(r rune) bool {
	return f.isDecimalDigit(r) || isOnly(f.digit, r) || isOnly(f.decimalSeparator, r) ||
		isOnly(f.groupingSeparator, r) || isOnly(f.exponentSeparator, r)
}

// digits writes ASCII digits in the format's digit family.
func (f *decimalFormat) digits(ascii string) []rune {
	out := []rune(ascii)
	if f.zeroDigit == '0' || f.zeroDigit == noDigit {
		return out
	}
	for i, r := range out {
		if r >= '0' && r <= '9' {
			out[i] = f.zeroDigit + r - '0'
		}
	}
	return out
}

// FormatNumber is $formatNumber. Options are the members of the options object as JavaScript strings.
func FormatNumber(value float64, picture string, options map[string]string) (string, error) {
	if err := checkLength(picture); err != nil {
		return "", err
	}
	format := newDecimalFormat(options)
	parts := splitRunes([]rune(picture), format.patternSeparator)
	if len(parts) > 2 {
		return "", fault("D3080", "")
	}
	var subs []subPicture
	for _, part := range parts {
		sub := format.split(part)
		if err := format.validate(&sub); err != nil {
			return "", err
		}
		format.analyse(&sub)
		subs = append(subs, sub)
	}
	var sub *subPicture
	switch {
	case value >= 0 && len(subs) > 0:
		sub = &subs[0]
	case len(subs) == 2:
		sub = &subs[1]
	case len(subs) == 1:
		sub = &subs[0]
		sub.prefix = slices.Concat(format.minusSign, sub.prefix)
	default:
		return "", fault("D3085", "")
	}
	return format.write(math.Abs(value), sub)
}

// write formats a number that is not negative.
func (f *decimalFormat) write(value float64, sub *subPicture) (string, error) {
	switch {
	case contains(sub.text, f.percent):
		value *= 100
	case contains(sub.text, f.perMille):
		value *= 1000
	}
	exponent := 0
	if sub.hasExponent {
		if math.IsInf(value, 0) {
			return "", uncoded("A number without bound has no exponent form")
		}
		value, exponent = scale(value, sub.scaling)
	}
	text, err := fixed(value, sub.maxFraction)
	if err != nil {
		return "", err
	}
	number := f.pad(f.digits(text), sub)
	number = f.group(number, sub)
	// Where the picture has no decimal point, or nothing follows it, the point that pad added goes away. JSONata cuts
	// whatever character is last there.
	at := index(number, f.decimalSeparator, 0)
	if !sub.hasPoint || at == len(number)-len(f.decimalSeparator) {
		if len(number) > 0 {
			number = number[:len(number)-1]
		}
	}
	if sub.hasExponent {
		number = append(number, f.exponent(exponent, sub.minExponent)...)
	}
	return string(sub.prefix) + string(number) + string(sub.suffix), nil
}

// scale multiplies by tens until the number has the given count of integer digits. It repeats one operation, as
// JSONata does, so that the last digits come out the same.
func scale(value float64, integerDigits int) (float64, int) {
	most, least, exponent := math.Pow10(integerDigits), math.Pow10(integerDigits-1), 0
	for value < least && value != 0 {
		value *= 10
		exponent--
	}
	for value > most {
		value /= 10
		exponent++
	}
	return value, exponent
}

// pad brings the integer and the fractional part to their least lengths, with a decimal point between them.
func (f *decimalFormat) pad(number []rune, sub *subPicture) []rune {
	point := index(number, []rune{'.'}, 0)
	if point >= 0 {
		number = slices.Concat(number[:point], f.decimalSeparator, number[point+1:])
	}
	if index(number, f.decimalSeparator, 0) < 0 {
		number = slices.Concat(number, f.decimalSeparator)
	}
	zero := f.zeroDigit
	if zero == noDigit {
		zero = '0'
	}
	for len(number) > 0 && number[0] == zero {
		number = number[1:]
	}
	for len(number) > 0 && number[len(number)-1] == zero {
		number = number[:len(number)-1]
	}
	point = index(number, f.decimalSeparator, 0)
	left := sub.minInteger - point
	right := sub.minFraction - (len(number) - point - 1)
	out := slices.Repeat([]rune{zero}, max(left, 0))
	out = append(out, number...)
	return append(out, slices.Repeat([]rune{zero}, max(right, 0))...)
}

// group inserts the grouping separators.
func (f *decimalFormat) group(number []rune, sub *subPicture) []rune {
	point := index(number, f.decimalSeparator, 0)
	if sub.regularGroup > 0 {
		number = groupEvery(number, point, sub.regularGroup, f.groupingSeparator)
	} else {
		for _, at := range sub.integerGroups {
			number = insert(number, point-at, f.groupingSeparator)
			point++
		}
	}
	point = index(number, f.decimalSeparator, 0)
	for _, at := range sub.fractionGroups {
		number = insert(number, point+1+at, f.groupingSeparator)
	}
	return number
}

func (f *decimalFormat) exponent(exponent, least int) []rune {
	text := strconv.Itoa(max(exponent, -exponent))
	if missing := least - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	out := slices.Clone(f.exponentSeparator)
	if exponent < 0 {
		out = append(out, f.minusSign...)
	}
	return append(out, f.digits(text)...)
}

// fixed rounds half to even at the given count of decimals and prints all of them.
func fixed(value float64, decimals int) (string, error) {
	if decimals > maxFractionDigits {
		return "", uncoded("toFixed() digits argument must be between 0 and 100")
	}
	value = round(value, decimals)
	if math.IsNaN(value) || math.IsInf(value, 0) || value >= 1e21 {
		return NumberText(value), nil
	}
	// Of two equally near decimals JavaScript prints the larger one, and so does a rational number here.
	return new(big.Rat).SetFloat64(value).FloatString(decimals), nil
}

// round rounds half to even on the shortest decimal form of the number, so that 1.005 counts as the tie it looks like.
func round(value float64, decimals int) float64 {
	if math.IsInf(value, 0) && decimals == 0 {
		return value
	}
	shifted := shift(value, decimals)
	rounded := math.Floor(shifted)
	switch rest := shifted - rounded; {
	case rest > 0.5, rest == 0.5 && math.Mod(rounded, 2) != 0:
		rounded++
	}
	return shift(rounded, -decimals)
}

// shift moves the decimal point of the printed number, which is exact where a multiplication is not.
func shift(value float64, places int) float64 {
	text, exponent, found := strings.Cut(NumberText(value), "e")
	if found {
		n, _ := strconv.Atoi(exponent)
		places += n
	}
	shifted, err := strconv.ParseFloat(text+"e"+strconv.Itoa(places), 64)
	if err != nil && !math.IsInf(shifted, 0) {
		return math.NaN()
	}
	return shifted
}
