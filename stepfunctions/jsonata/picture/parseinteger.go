package picture

import (
	"math"
	"strconv"
	"strings"
)

// ParseInteger is $parseInteger. A text that holds no such number gives NaN, as in JSONata.
func ParseInteger(text, picture string) (float64, error) {
	p, err := newIntegerPicture(picture)
	if err != nil {
		return 0, err
	}
	return p.parse(text)
}

func (p *integerPicture) parse(text string) (float64, error) {
	switch p.presentation {
	case letters:
		return fromLetters(text, p.letterCase), nil
	case roman:
		return fromRoman(text, p.letterCase), nil
	case words:
		return fromWords(text), nil
	case sequence:
		return 0, fault("D3130", p.token)
	}
	return p.parseDigits(text)
}

func (p *integerPicture) parseDigits(text string) (float64, error) {
	number := []rune(text)
	if p.ordinal {
		number = number[:max(len(number)-2, 0)]
	}
	kept := number[:0:0]
	for _, r := range number {
		if !p.isSeparator(r) {
			kept = append(kept, r)
		}
	}
	if p.zero != '0' {
		for i, r := range kept {
			if kept[i] = r - p.zero + '0'; kept[i] < 0 {
				return 0, uncoded("Invalid code point " + strconv.Itoa(int(kept[i])))
			}
		}
	}
	return leadingInteger(string(kept)), nil
}

// isSeparator: repeating separators are commas to JSONata's parser, whatever the picture holds.
func (p *integerPicture) isSeparator(r rune) bool {
	if p.regular > 0 {
		return r == ','
	}
	for _, g := range p.groups {
		if g.separator == r {
			return true
		}
	}
	return false
}

// leadingInteger reads what JavaScript's parseInt reads: white space, a sign, decimal or 0x digits; NaN without any.
func leadingInteger(text string) float64 {
	text = strings.TrimLeft(text, whiteSpace)
	sign := 1.0
	if text != "" && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	radix := 10
	if len(text) > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') {
		radix, text = 16, text[2:]
	}
	end := 0
	for end < len(text) && digitValue(text[end]) < radix {
		end++
	}
	if end == 0 {
		return math.NaN()
	}
	if radix == 10 {
		value, _ := strconv.ParseFloat(text[:end], 64)
		return sign * value
	}
	value, _ := strconv.ParseFloat("0x"+text[:end]+"p0", 64)
	return sign * value
}

// whiteSpace is what JavaScript skips before a number.
const whiteSpace = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"

func digitValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}
