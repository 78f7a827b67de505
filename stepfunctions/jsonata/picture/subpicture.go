package picture

import "slices"

// subPicture is one of the at most two alternatives of a number picture, first as its parts (F&O 3.1, 4.7.3), then as
// the variables that govern formatting (4.7.4).
type subPicture struct {
	text, prefix, suffix      []rune
	mantissa, exponentPart    []rune
	integerPart, fractionPart []rune
	hasExponent, hasPoint     bool
	minInteger, scaling       int
	minFraction, maxFraction  int
	minExponent               int
	regularGroup              int
	integerGroups             []int
	fractionGroups            []int
	activePart                []rune
}

// split finds the parts. Positions are taken from the whole sub-picture but cut from its active part, as in JSONata: a
// prefix moves the exponent separator out of place.
func (f *decimalFormat) split(text []rune) subPicture {
	sub := subPicture{text: text}
	bounds := func(r rune) bool { return f.isActive(r) && !isOnly(f.exponentSeparator, r) }
	if first := slices.IndexFunc(text, bounds); first >= 0 {
		last := len(text) - 1
		for !bounds(text[last]) {
			last--
		}
		sub.prefix, sub.suffix = text[:first], text[last+1:]
	}
	sub.activePart = text[len(sub.prefix) : len(text)-len(sub.suffix)]
	sub.mantissa = sub.activePart
	at := index(text, f.exponentSeparator, len(sub.prefix))
	if at >= 0 && at <= len(text)-len(sub.suffix) {
		sub.hasExponent = true
		sub.mantissa, sub.exponentPart = cut(sub.activePart, 0, at), cut(sub.activePart, at+1, len(sub.activePart))
	}
	sub.integerPart = sub.mantissa
	if point := index(sub.mantissa, f.decimalSeparator, 0); point >= 0 {
		sub.integerPart, sub.fractionPart = sub.mantissa[:point], cut(sub.mantissa, point+1, len(sub.mantissa))
	}
	sub.hasPoint = index(text, f.decimalSeparator, 0) >= 0
	return sub
}

// validate applies the rules in the order of the specification; of several broken rules the last one is reported.
func (f *decimalFormat) validate(sub *subPicture) error {
	code := ""
	check := func(broken bool, name string) {
		if broken {
			code = name
		}
	}
	point := index(sub.text, f.decimalSeparator, 0)
	check(point != lastIndex(sub.text, f.decimalSeparator), "D3081")
	percent, perMille := contains(sub.text, f.percent), contains(sub.text, f.perMille)
	check(index(sub.text, f.percent, 0) != lastIndex(sub.text, f.percent), "D3082")
	check(index(sub.text, f.perMille, 0) != lastIndex(sub.text, f.perMille), "D3083")
	check(percent && perMille, "D3084")
	isDigit := func(r rune) bool { return f.isDecimalDigit(r) || f.isOptionalDigit(r) }
	check(!slices.ContainsFunc(sub.mantissa, isDigit), "D3085")
	check(slices.ContainsFunc(sub.activePart, func(r rune) bool { return !f.isActive(r) }), "D3086")
	if point >= 0 {
		beside := point > 0 && isOnly(f.groupingSeparator, sub.text[point-1]) ||
			point+1 < len(sub.text) && isOnly(f.groupingSeparator, sub.text[point+1])
		check(beside, "D3087")
	} else if n := len(sub.integerPart); n > 0 {
		check(isOnly(f.groupingSeparator, sub.integerPart[n-1]), "D3088")
	}
	check(contains(sub.text, slices.Concat(f.groupingSeparator, f.groupingSeparator)), "D3089")
	optional := index(sub.integerPart, f.digit, 0)
	check(optional >= 0 && slices.ContainsFunc(sub.integerPart[:optional], f.isDecimalDigit), "D3090")
	if last := lastIndex(sub.fractionPart, f.digit); last >= 0 {
		check(slices.ContainsFunc(sub.fractionPart[last:], f.isDecimalDigit), "D3091")
	}
	check(sub.hasExponent && (percent || perMille), "D3092")
	check(sub.hasExponent && (len(sub.exponentPart) == 0 ||
		slices.ContainsFunc(sub.exponentPart, func(r rune) bool { return !f.isDecimalDigit(r) })), "D3093")
	if code == "" {
		return nil
	}
	return fault(code, "")
}

// analyse derives the variables of F&O 3.1 section 4.7.4.
func (f *decimalFormat) analyse(sub *subPicture) {
	isDigit := func(r rune) bool { return f.isDecimalDigit(r) || f.isOptionalDigit(r) }
	sub.integerGroups = f.groups(sub.integerPart, func(at int) int { return count(cut(sub.integerPart, at, len(sub.integerPart)), isDigit) },
		sub.integerPart)
	sub.regularGroup = regularGroup(sub.integerGroups)
	// JSONata looks for the second and later separators of the fraction in the integer part.
	sub.fractionGroups = f.groups(sub.fractionPart, func(at int) int { return count(cut(sub.fractionPart, 0, at), isDigit) },
		sub.integerPart)
	sub.minInteger = count(sub.integerPart, f.isDecimalDigit)
	sub.scaling = sub.minInteger
	sub.minFraction = count(sub.fractionPart, f.isDecimalDigit)
	sub.maxFraction = count(sub.fractionPart, isDigit)
	if sub.minInteger == 0 && sub.maxFraction == 0 {
		if sub.hasExponent {
			sub.minFraction, sub.maxFraction = 1, 1
		} else {
			sub.minInteger = 1
		}
	}
	if sub.hasExponent && sub.minInteger == 0 && contains(sub.integerPart, f.digit) {
		sub.minInteger = 1
	}
	if sub.minInteger == 0 && sub.minFraction == 0 {
		sub.minFraction = 1
	}
	if sub.hasExponent {
		sub.minExponent = count(sub.exponentPart, f.isDecimalDigit)
	}
}

// groups lists the places of grouping separators in digits, in the order of the picture.
func (f *decimalFormat) groups(part []rune, place func(at int) int, following []rune) []int {
	if len(f.groupingSeparator) == 0 {
		return nil
	}
	var out []int
	for at := index(part, f.groupingSeparator, 0); at >= 0; at = index(following, f.groupingSeparator, at+1) {
		out = append(out, place(at))
	}
	return out
}

// regularGroup is the distance of separators that stand at every multiple of it, or 0.
func regularGroup(places []int) int {
	divisor := 0
	for _, p := range places {
		for a := p; a != 0; {
			divisor, a = a, divisor%a
		}
	}
	for n := range places {
		if !slices.Contains(places, (n+1)*divisor) {
			return 0
		}
	}
	return divisor
}
