package jsonata

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

func numberFunctions(add adder) {
	add("number", "<(nsb)-:n>", 1, number)
	add("abs", "<n-:n>", 1, onNumber(math.Abs))
	add("floor", "<n-:n>", 1, onNumber(math.Floor))
	add("ceil", "<n-:n>", 1, onNumber(math.Ceil))
	add("round", "<n-n?:n>", 2, round)
	add("sqrt", "<n-:n>", 1, squareRoot)
	add("power", "<n-n:n>", 2, power)
}

// onNumber makes a function of one number: undefined in, undefined out.
func onNumber(f func(float64) float64) func(call) (value, error) {
	return func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		return numberValue(f(c.arg(0).num)), nil
	}
}

var (
	decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([Ee][-+]?[0-9]+)?$`)
	// radix accepts more than it seems: the alternatives are tied to one end each. What it lets through that is no number
	// is NaN, as in the reference library.
	radix = regexp.MustCompile(`^0[xX][0-9A-Fa-f]+|0[oO][0-7]+|0[bB][01]+$`)
)

func number(c call) (value, error) {
	v := c.arg(0)
	switch v.kind {
	case kindNumber:
		return v, nil
	case kindBool:
		return numberValue(v.num), nil
	case kindString:
		if decimal.MatchString(v.str) {
			if f, err := strconv.ParseFloat(v.str, 64); err == nil && !math.IsInf(f, 0) {
				return numberValue(f), nil
			}
		}
		if radix.MatchString(v.str) {
			n, ok := new(big.Int).SetString(v.str, 0)
			if !ok {
				return numberValue(math.NaN()), nil
			}
			f, _ := new(big.Float).SetInt(n).Float64()
			return numberValue(f), nil
		}
		return value{}, failure("D3030", 0, "", showJSON(v))
	}
	return value{}, nil
}

// round rounds halves to even at a number of decimal places, negative ones being tens. The digits are those that the
// number is written with, so that 1.005 is exactly half way at two places.
func round(c call) (value, error) {
	v := c.arg(0)
	if !v.defined() {
		return value{}, nil
	}
	// Where JavaScript cannot write the scaled number, the result is none.
	precision := c.arg(1).num
	if precision != math.Trunc(precision) {
		return numberValue(math.NaN()), nil
	}
	places := int(math.Max(-1000, math.Min(1000, precision)))
	scaled := shift(v.num, places)
	if math.IsInf(scaled, 0) && places != 0 {
		return numberValue(math.NaN()), nil
	}
	rounded := math.RoundToEven(scaled)
	if rounded != scaled && math.Abs(rounded-scaled) == 0.5 && math.Abs(math.Mod(rounded, 2)) == 1 {
		rounded--
	}
	result := shift(rounded, -places)
	if result == 0 {
		result = 0
	}
	return numberValue(result), nil
}

// shift moves the decimal point of the number as it is written.
func shift(f float64, places int) float64 {
	if places == 0 || f == 0 || math.IsInf(f, 0) || math.IsNaN(f) {
		return f
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	e, err := strconv.Atoi(exponent)
	if err != nil {
		return f
	}
	shifted, _ := strconv.ParseFloat(mantissa+"e"+strconv.Itoa(e+places), 64)
	return shifted
}

func squareRoot(c call) (value, error) {
	v := c.arg(0)
	if !v.defined() {
		return value{}, nil
	}
	if v.num < 0 {
		return value{}, failure("D3060", 0, "sqrt", showJSON(v))
	}
	return numberValue(math.Sqrt(v.num)), nil
}

func power(c call) (value, error) {
	base, exponent := c.arg(0), c.arg(1)
	if !base.defined() {
		return value{}, nil
	}
	f := raise(base.num, exponent.num)
	// JavaScript, unlike C, has no answer for 1 to an infinite power; and without an exponent there is none either.
	if !exponent.defined() || math.IsInf(f, 0) || math.IsNaN(f) {
		shown := "undefined"
		if exponent.defined() {
			shown = showJSON(exponent)
		}
		return value{}, failure("D3061", 0, "power", showJSON(base), shown)
	}
	return numberValue(f), nil
}

// raise is exact to the last digit for whole exponents and square roots, where math.Pow is not.
func raise(base, exponent float64) float64 {
	const most = 1100 // beyond this every base but those next to 1 overflows or vanishes
	if exponent == 0.5 && base >= 0 {
		return math.Sqrt(base)
	}
	if exponent != math.Trunc(exponent) || math.Abs(exponent) > most || base == 0 || math.IsInf(base, 0) || math.IsNaN(base) {
		return math.Pow(base, exponent)
	}
	const precision = 256
	result := new(big.Float).SetPrec(precision).SetInt64(1)
	factor := new(big.Float).SetPrec(precision).SetFloat64(base)
	for n := int(math.Abs(exponent)); n > 0; n >>= 1 {
		if n&1 == 1 {
			result.Mul(result, factor)
		}
		factor.Mul(factor, factor)
	}
	if exponent < 0 {
		result.Quo(new(big.Float).SetInt64(1), result)
	}
	f, _ := result.Float64()
	return f
}
