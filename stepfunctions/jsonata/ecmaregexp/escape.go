package ecmaregexp

import "errors"

// escape reads what starts with a backslash outside a class.
func (p *parser) escape() (n *node, repeatable bool, err error) {
	if p.at+1 >= len(p.text) {
		return nil, false, errors.New(`\ at end of pattern`)
	}
	u := p.text[p.at+1]
	switch u {
	case 'b':
		p.at += 2
		return &node{kind: kindWordEdge}, false, nil
	case 'B':
		p.at += 2
		return &node{kind: kindNoWordEdge}, false, nil
	case 'd', 'D', 'w', 'W', 's', 'S':
		p.at += 2
		set := &class{}
		set.addAll(u)
		return &node{kind: kindClass, set: set}, true, nil
	case 'k':
		if p.named {
			p.at += 2
			if !p.accept("<") {
				return nil, false, errors.New("invalid named reference")
			}
			name, ok := p.name()
			if !ok {
				return nil, false, errors.New("invalid named reference")
			}
			return &node{kind: kindNamedReference, name: name}, true, nil
		}
	}
	if u >= '1' && u <= '9' {
		// A number above the number of groups is not a reference but an octal character code, or the digit itself.
		end, number := p.at+1, 0
		for end < len(p.text) && p.text[end] >= '0' && p.text[end] <= '9' && number <= p.total {
			number = number*10 + int(p.text[end]-'0')
			end++
		}
		if number <= p.total {
			p.at = end
			return &node{kind: kindBackreference, group: number}, true, nil
		}
	}
	p.at++
	return &node{kind: kindUnit, unit: p.character(false)}, true, nil
}

// character reads the character of an escape, of which the backslash is consumed.
func (p *parser) character(inClass bool) uint16 {
	u := p.text[p.at]
	p.at++
	switch u {
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'v':
		return '\v'
	case 'b':
		if inClass {
			return '\b'
		}
	case 'c':
		if c, ok := p.peek(); ok && (c|0x20 >= 'a' && c|0x20 <= 'z' || inClass && (c >= '0' && c <= '9' || c == '_')) {
			p.at++
			return c % 32
		}
		// The backslash stands for itself, and the c is read again.
		p.at--
		return '\\'
	case 'x':
		if v, ok := p.hex(2); ok {
			return v
		}
	case 'u':
		if v, ok := p.hex(4); ok {
			return v
		}
	case '0', '1', '2', '3', '4', '5', '6', '7':
		return p.octal(u - '0')
	}
	return u
}

// octal reads the rest of an octal code of up to three digits and at most 0377.
func (p *parser) octal(v uint16) uint16 {
	for range 2 {
		u, ok := p.peek()
		if !ok || u < '0' || u > '7' || v*8+u-'0' > 0o377 {
			break
		}
		v = v*8 + u - '0'
		p.at++
	}
	return v
}

func (p *parser) hex(n int) (v uint16, ok bool) {
	if p.at+n > len(p.text) {
		return 0, false
	}
	for _, u := range p.text[p.at : p.at+n] {
		switch {
		case u >= '0' && u <= '9':
			v = v<<4 | (u - '0')
		case u|0x20 >= 'a' && u|0x20 <= 'f':
			v = v<<4 | (u | 0x20 - 'a' + 10)
		default:
			return 0, false
		}
	}
	p.at += n
	return v, true
}

// class reads a set, of which the opening bracket is consumed.
func (p *parser) class() (*class, error) {
	set := &class{negated: p.accept("^")}
	for {
		u, ok := p.peek()
		if !ok {
			return nil, errors.New("unterminated character class")
		}
		if u == ']' {
			p.at++
			return set, nil
		}
		low, one := p.member(set)
		if !p.accept("-") {
			if one {
				set.add(low, low)
			}
			continue
		}
		if u, ok = p.peek(); !ok || u == ']' {
			if one {
				set.add(low, low)
			}
			set.add('-', '-')
			continue
		}
		high, single := p.member(set)
		switch {
		case one && single && low > high:
			return nil, errors.New("range out of order in character class")
		case one && single:
			set.add(low, high)
		default:
			// With a set at either end there is no range: the ends and the hyphen stand for themselves.
			set.add('-', '-')
			if one {
				set.add(low, low)
			}
			if single {
				set.add(high, high)
			}
		}
	}
}

// member reads one member of a class: a unit, or a set that is added at once (one is false).
func (p *parser) member(set *class) (u uint16, one bool) {
	u = p.text[p.at]
	p.at++
	if u != '\\' || p.at >= len(p.text) {
		return u, true
	}
	switch letter := p.text[p.at]; letter {
	case 'd', 'D', 'w', 'W', 's', 'S':
		p.at++
		set.addAll(letter)
		return 0, false
	}
	return p.character(true), true
}
