package ecmaregexp

import "unicode"

// span is a range of code units.
type span struct{ low, high uint16 }

// class is a set of code units.
type class struct {
	spans   []span
	negated bool
}

func (c *class) add(low, high uint16) { c.spans = append(c.spans, span{low, high}) }

// addAll adds the set that one of the letters d D w W s S stands for.
func (c *class) addAll(letter uint16) {
	var spans []span
	switch letter | 0x20 {
	case 'd':
		spans = digits
	case 'w':
		spans = wordUnits
	default:
		spans = spaces
	}
	if letter >= 'a' {
		c.spans = append(c.spans, spans...)
		return
	}
	// The spans are sorted, so that the complement is what lies between them.
	next := 0
	for _, s := range spans {
		if int(s.low) > next {
			c.add(uint16(next), s.low-1)
		}
		next = int(s.high) + 1
	}
	if next <= 0xFFFF {
		c.add(uint16(next), 0xFFFF)
	}
}

var (
	digits    = []span{{'0', '9'}}
	wordUnits = []span{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}
	spaces    = []span{{9, 13}, {' ', ' '}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
		{0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}}
)

func (c *class) contains(u uint16) bool {
	for _, s := range c.spans {
		if u >= s.low && u <= s.high {
			return true
		}
	}
	return false
}

// matches reports whether the unit is in the set; without regard to case when fold is set.
func (c *class) matches(u uint16, fold bool) bool {
	found := c.contains(u)
	if fold && !found {
		same := canonical(u)
		for r := unicode.SimpleFold(rune(u)); r != rune(u) && !found; r = unicode.SimpleFold(r) {
			found = r <= 0xFFFF && canonical(uint16(r)) == same && c.contains(uint16(r))
		}
	}
	return found != c.negated
}

// canonical is the unit by which units are compared without regard to case: its upper case, unless that would turn a
// character outside ASCII into one inside.
func canonical(u uint16) uint16 {
	if u < 0x80 {
		if u >= 'a' && u <= 'z' {
			return u - 0x20
		}
		return u
	}
	up := unicode.ToUpper(rune(u))
	if up > 0xFFFF || up < 0x80 {
		return u
	}
	return uint16(up)
}

func isWord(u uint16) bool {
	return u >= '0' && u <= '9' || u >= 'A' && u <= 'Z' || u == '_' || u >= 'a' && u <= 'z'
}

func isLineEnd(u uint16) bool { return u == '\n' || u == '\r' || u == 0x2028 || u == 0x2029 }
