package picture

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

var (
	small = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen " +
		"sixteen seventeen eighteen nineteen")
	tens       = strings.Fields("twenty thirty forty fifty sixty seventy eighty ninety")
	magnitudes = strings.Fields("thousand million billion trillion")
	// irregular are the ordinals that are not their cardinal with "th".
	irregular = map[string]string{
		"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
		"twenty": "twentieth", "thirty": "thirtieth", "forty": "fortieth", "fifty": "fiftieth", "sixty": "sixtieth",
		"seventy": "seventieth", "eighty": "eightieth", "ninety": "ninetieth",
	}
	wordValues = newWordValues()
	// allWords are in the order in which a text is searched for them, cardinals first, as JSONata does: "fourteenthpm" is
	// fourteen and "thpm".
	allWords = newAllWords()
)

func newAllWords() []string {
	words := slices.Concat(small, tens, []string{"hundred"}, magnitudes)
	for _, word := range slices.Clone(words) {
		words = append(words, ordinalOf(word))
	}
	return words
}

func ordinalOf(word string) string {
	if special, ok := irregular[word]; ok {
		return special
	}
	return word + "th"
}

func newWordValues() map[string]float64 {
	values := map[string]float64{}
	add := func(word string, value float64) { values[word], values[ordinalOf(word)] = value, value }
	for i, word := range small {
		add(word, float64(i))
	}
	for i, word := range tens {
		add(word, float64(10*(i+2)))
	}
	add("hundred", 100)
	for i, word := range magnitudes {
		add(word, math.Pow10(3*(i+1)))
	}
	return values
}

// toWords writes British English: "one thousand, two hundred and three".
func toWords(value float64, ordinal bool) string {
	var out strings.Builder
	writeWords(&out, value, false)
	text := out.String()
	if !ordinal {
		return text
	}
	last := strings.LastIndexAny(text, " -") + 1
	return text[:last] + ordinalOf(text[last:])
}

// writeWords appends a number; follows says that a larger part stands before it.
func writeWords(out *strings.Builder, value float64, follows bool) {
	if follows {
		out.WriteString(map[bool]string{true: " and ", false: ", "}[value < 100])
	}
	switch {
	case value < 20:
		out.WriteString(small[int(value)])
	case value < 100:
		out.WriteString(tens[int(value)/10-2])
		if rest := int(value) % 10; rest > 0 {
			out.WriteString("-" + small[rest])
		}
	case value < 1000:
		out.WriteString(small[int(value)/100] + " hundred")
		if rest := math.Mod(value, 100); rest > 0 {
			writeWords(out, rest, true)
		}
	default:
		order := min(int(math.Floor(math.Log10(value)/3)), len(magnitudes))
		factor := math.Pow10(3 * order)
		most := math.Floor(value / factor)
		writeWords(out, most, false)
		out.WriteString(" " + magnitudes[order-1])
		if rest := value - most*factor; rest > 0 {
			writeWords(out, rest, true)
		}
	}
}

// titleWords capitalises every word but "and".
func titleWords(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 'a' && c <= 'z' && (i == 0 || text[i-1] == ' ' || text[i-1] == '-') && !strings.HasPrefix(text[i:], "and ") {
			c -= 'a' - 'A'
		}
		out.WriteByte(c)
	}
	return out.String()
}

// fromWords is the inverse of toWords; it is NaN for words that name no number.
func fromWords(text string) float64 {
	// sums holds the finished groups and the running one: a group is closed by the word that follows its magnitude.
	sums := []float64{0}
	for _, word := range splitWords(strings.ToLower(text)) {
		value, known := wordValues[word]
		top := &sums[len(sums)-1]
		switch {
		case !known:
			return math.NaN()
		case value >= 100:
			*top *= value
		case *top >= 1000:
			sums = append(sums, value)
		default:
			*top += value
		}
	}
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total
}

// splitWords cuts at ", ", " and ", any white space and hyphens.
func splitWords(text string) []string {
	var out []string
	start := 0
	for i := 0; i < len(text); {
		n := 0
		switch rest := text[i:]; {
		case len(rest) > 1 && rest[0] == ',' && isSpace(rest[1]):
			n = 2
		case len(rest) > 4 && isSpace(rest[0]) && rest[1:4] == "and" && isSpace(rest[4]):
			n = 5
		case isSpace(rest[0]) || rest[0] == '-':
			n = 1
		}
		if n == 0 {
			i++
			continue
		}
		out = append(out, text[start:i])
		i += n
		start = i
	}
	return append(out, text[start:])
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

var romanLetters = []struct {
	value   float64
	letters string
}{
	{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"}, {40, "xl"},
	{10, "x"}, {9, "ix"}, {5, "v"}, {4, "iv"}, {1, "i"},
}

func toRoman(value float64) string {
	var out strings.Builder
	for _, r := range romanLetters {
		for value >= r.value {
			out.WriteString(r.letters)
			value -= r.value
		}
	}
	return out.String()
}

// fromRoman adds the letters, and subtracts those before a larger one; letters it does not know give NaN. A picture in
// lower case reads both cases.
func fromRoman(text string, c letterCase) float64 {
	const alphabet = "IVXLCDM"
	if c == lower {
		text = strings.ToUpper(text)
	}
	values := []float64{1, 5, 10, 50, 100, 500, 1000}
	total, largest := 0.0, 1.0
	for i := len(text) - 1; i >= 0; i-- {
		at := strings.IndexByte(alphabet, text[i])
		if at < 0 {
			return math.NaN()
		}
		if value := values[at]; value < largest {
			total -= value
		} else {
			largest = value
			total += value
		}
	}
	return total
}

// toLetters counts a, b, ... z, aa, ab; zero is the empty text.
func toLetters(value float64) string {
	var reversed []byte
	for value > 0 {
		reversed = append(reversed, 'a'+byte(math.Mod(value-1, 26)))
		value = math.Floor((value - 1) / 26)
	}
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return string(reversed)
}

// fromLetters takes every character by its distance from "a", so that it is no error to hold others.
func fromLetters(text string, c letterCase) float64 {
	first := float64('a')
	if c == upper {
		first = 'A'
	}
	total := 0.0
	units := utf16.Encode([]rune(text))
	for place := range units {
		total += (float64(units[len(units)-1-place]) - first + 1) * math.Pow(26, float64(place))
	}
	return total
}

// wholeInRadix prints a whole number in a radix other than ten. Digits below the precision of a double are zeros; those
// above it come out of floating-point divisions, which is how JavaScript engines do it.
func wholeInRadix(value float64, radix int) string {
	rest, base, zeros := math.Abs(value), float64(radix), 0
	for doubt := (math.Nextafter(rest, math.Inf(1)) - rest) / 2; doubt >= base; doubt /= base {
		rest /= base
		zeros++
	}
	var reversed []byte
	for more := true; more; more = rest > 0 {
		digit := math.Mod(rest, base)
		reversed = strconv.AppendInt(reversed, int64(digit), radix)
		rest = (rest - digit) / base
	}
	slices.Reverse(reversed)
	text := string(reversed) + strings.Repeat("0", zeros)
	if value < 0 {
		return "-" + text
	}
	return text
}
