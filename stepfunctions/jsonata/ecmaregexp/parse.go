package ecmaregexp

import (
	"errors"
	"fmt"
	"unicode/utf16"
)

// kind is the kind of a node of a parsed pattern.
type kind uint8

const (
	kindEmpty kind = iota
	kindUnit
	kindAny
	kindClass
	kindSequence
	kindChoice
	kindGroup // capturing
	kindRepeat
	kindBegin
	kindEnd
	kindWordEdge
	kindNoWordEdge
	kindBackreference
	kindNamedReference
	kindLook
)

type node struct {
	kind kind
	unit uint16
	set  *class
	subs []*node
	// group is the number of a capturing group or of the group referred to.
	group int
	name  string
	// low and high bound a repetition; high is -1 for no bound. first and last are the groups inside, which every round
	// forgets.
	low, high   int
	lazy        bool
	first, last int
	// behind and negated are those of a look-around.
	behind, negated bool
}

// maxDepth is how deep groups may nest.
const maxDepth = 250

type parser struct {
	text   []uint16
	at     int
	groups int
	depth  int
	// total is the number of groups of the whole pattern, which decides what \1 means; named says that some have names.
	total int
	named bool
	names map[string]int
}

func parse(pattern string) (*node, *parser, error) {
	p := &parser{text: utf16.Encode([]rune(pattern)), names: map[string]int{}}
	p.count()
	n, err := p.choice()
	if err != nil {
		return nil, nil, err
	}
	if p.at < len(p.text) {
		return nil, nil, errors.New("unmatched ')'")
	}
	return n, p, p.link(n)
}

// count finds the number of groups.
func (p *parser) count() {
	inClass := false
	for i := 0; i < len(p.text); i++ {
		switch u := p.text[i]; {
		case u == '\\':
			i++
		case u == '[':
			inClass = true
		case u == ']':
			inClass = false
		case u == '(' && !inClass:
			if i+1 >= len(p.text) || p.text[i+1] != '?' {
				p.total++
			} else if i+3 < len(p.text) && p.text[i+2] == '<' && p.text[i+3] != '=' && p.text[i+3] != '!' {
				p.total++
				p.named = true
			}
		}
	}
}

// link finds the groups that named references mean.
func (p *parser) link(n *node) error {
	if n.kind == kindNamedReference {
		group, ok := p.names[n.name]
		if !ok {
			return fmt.Errorf("there is no group named %q", n.name)
		}
		n.kind, n.group = kindBackreference, group
	}
	for _, sub := range n.subs {
		if err := p.link(sub); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) peek() (uint16, bool) {
	if p.at < len(p.text) {
		return p.text[p.at], true
	}
	return 0, false
}

// accept consumes the text when it stands here.
func (p *parser) accept(text string) bool {
	for i := range len(text) {
		if p.at+i >= len(p.text) || p.text[p.at+i] != uint16(text[i]) {
			return false
		}
	}
	p.at += len(text)
	return true
}

func (p *parser) choice() (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("groups nest deeper than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	n := &node{kind: kindChoice}
	for {
		s, err := p.sequence()
		if err != nil {
			return nil, err
		}
		n.subs = append(n.subs, s)
		if !p.accept("|") {
			break
		}
	}
	if len(n.subs) == 1 {
		return n.subs[0], nil
	}
	return n, nil
}

func (p *parser) sequence() (*node, error) {
	n := &node{kind: kindSequence}
	for {
		u, ok := p.peek()
		if !ok || u == '|' || u == ')' {
			return n, nil
		}
		before := p.groups
		atom, repeatable, err := p.atom()
		if err != nil {
			return nil, err
		}
		low, high, lazy, found, err := p.quantifier()
		if err != nil {
			return nil, err
		}
		if found {
			if !repeatable {
				return nil, errors.New("nothing to repeat")
			}
			atom = &node{kind: kindRepeat, subs: []*node{atom}, low: low, high: high, lazy: lazy, first: before + 1, last: p.groups}
		}
		n.subs = append(n.subs, atom)
	}
}

// quantifier reads the repetition of an atom, if there is one.
func (p *parser) quantifier() (low, high int, lazy, found bool, err error) {
	u, ok := p.peek()
	if !ok {
		return 0, 0, false, false, nil
	}
	switch u {
	case '*':
		low, high = 0, -1
	case '+':
		low, high = 1, -1
	case '?':
		low, high = 0, 1
	case '{':
		if low, high, found = p.braces(); !found {
			return 0, 0, false, false, nil
		}
		p.at--
	default:
		return 0, 0, false, false, nil
	}
	p.at++
	if high >= 0 && low > high {
		return 0, 0, false, false, errors.New("numbers out of order in {} quantifier")
	}
	return low, high, p.accept("?"), true, nil
}

// maxRepeat is what counts of repetitions are cut to.
const maxRepeat = 1 << 30

// braces reads {n}, {n,} or {n,m}; anything else is literal text and left alone.
func (p *parser) braces() (low, high int, ok bool) {
	start := p.at
	p.at++
	number := func() (int, bool) {
		n, seen := 0, false
		for u, more := p.peek(); more && u >= '0' && u <= '9'; u, more = p.peek() {
			n, seen = min(n*10+int(u-'0'), maxRepeat), true
			p.at++
		}
		return n, seen
	}
	if low, ok = number(); ok {
		high = low
		if p.accept(",") {
			if n, given := number(); given {
				high = n
			} else {
				high = -1
			}
		}
		if p.accept("}") {
			return low, high, true
		}
	}
	p.at = start
	return 0, 0, false
}

// atom reads one atom; repeatable says that a quantifier may follow.
func (p *parser) atom() (n *node, repeatable bool, err error) {
	u := p.text[p.at]
	switch u {
	case '^':
		p.at++
		return &node{kind: kindBegin}, false, nil
	case '$':
		p.at++
		return &node{kind: kindEnd}, false, nil
	case '(':
		return p.group()
	case '.':
		p.at++
		return &node{kind: kindAny}, true, nil
	case '[':
		p.at++
		set, err := p.class()
		return &node{kind: kindClass, set: set}, true, err
	case '*', '+', '?':
		return nil, false, errors.New("nothing to repeat")
	case '{':
		if _, _, ok := p.braces(); ok {
			return nil, false, errors.New("nothing to repeat")
		}
	case '\\':
		return p.escape()
	}
	p.at++
	return &node{kind: kindUnit, unit: u}, true, nil
}

func (p *parser) group() (n *node, repeatable bool, err error) {
	n = &node{kind: kindLook}
	repeatable = true
	switch {
	case p.accept("(?:"):
		n.kind = kindSequence
	case p.accept("(?="):
	case p.accept("(?!"):
		n.negated = true
	case p.accept("(?<="):
		n.behind, repeatable = true, false
	case p.accept("(?<!"):
		n.behind, n.negated, repeatable = true, true, false
	case p.accept("(?<"):
		p.groups++
		n.kind, n.group = kindGroup, p.groups
		if err := p.groupName(n); err != nil {
			return nil, false, err
		}
	case p.accept("(?"):
		return nil, false, errors.New("invalid group")
	default:
		p.at++
		p.groups++
		n.kind, n.group = kindGroup, p.groups
	}
	body, err := p.choice()
	if err != nil {
		return nil, false, err
	}
	if !p.accept(")") {
		return nil, false, errors.New("unterminated group")
	}
	n.subs = []*node{body}
	return n, repeatable, nil
}

func (p *parser) groupName(n *node) error {
	name, ok := p.name()
	if !ok {
		return errors.New("invalid capture group name")
	}
	if _, taken := p.names[name]; taken {
		return errors.New("duplicate capture group name")
	}
	p.names[name] = n.group
	return nil
}

// name reads a name up to the closing angle bracket.
func (p *parser) name() (string, bool) {
	start := p.at
	for i := start; i < len(p.text); i++ {
		u := p.text[i]
		if u == '>' {
			p.at = i + 1
			return string(utf16.Decode(p.text[start:i])), i > start
		}
		if !isWord(u) && u != '$' && u < 0x80 || i == start && u >= '0' && u <= '9' {
			return "", false
		}
	}
	return "", false
}
