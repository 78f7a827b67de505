// Package ecmaregexp matches regular expressions of ECMAScript (without its flag u: patterns and texts are UTF-16 code
// units), which JSONata's literals are. It backtracks, as the language demands: look-around, back references, groups that
// forget their captures in every round of a loop. Unlike a library that bounds such matching by the clock, it counts
// steps, so that the same match gives the same answer on every machine.
package ecmaregexp

import (
	"errors"
)

type op uint8

const (
	opMatch op = iota
	opUnit
	opAny
	opClass
	opJump
	opSplit // try x, then y
	opSave
	opForget // clear the captures of groups x to y
	opMark   // note the position in register x
	opMoved  // fail unless the position differs from register x
	opBegin
	opEnd
	opWordEdge
	opNoWordEdge
	opReference
	opLook // look-around: the instructions that follow up to x
)

type instruction struct {
	op      op
	back    bool // runs towards the start of the text, inside a look-behind
	negated bool
	unit    uint16
	x, y    int
	set     *class
}

// Regexp is a compiled regular expression. It may be used by many goroutines.
type Regexp struct {
	program         []instruction
	groups          int
	registers       int
	fold, multiline bool
}

// maxProgram bounds the instructions of one expression: counted repetitions are written out.
const maxProgram = 50_000

// Compile parses a pattern; flags are "i" and "m".
func Compile(pattern, flags string) (*Regexp, error) {
	tree, p, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	c := &compiler{re: &Regexp{groups: p.groups}}
	for _, f := range flags {
		switch f {
		case 'i':
			c.re.fold = true
		case 'm':
			c.re.multiline = true
		default:
			return nil, errors.New("the flags are i and m")
		}
	}
	c.emit(instruction{op: opSave, x: 0})
	c.node(tree, false)
	c.emit(instruction{op: opSave, x: 1})
	c.emit(instruction{op: opMatch})
	if len(c.re.program) >= maxProgram {
		return nil, errors.New("regular expression too large")
	}
	return c.re, nil
}

// Groups is the number of capturing groups.
func (re *Regexp) Groups() int { return re.groups }

type compiler struct{ re *Regexp }

func (c *compiler) emit(i instruction) int {
	if len(c.re.program) < maxProgram {
		c.re.program = append(c.re.program, i)
	}
	return len(c.re.program) - 1
}

func (c *compiler) here() int { return len(c.re.program) }

func (c *compiler) node(n *node, back bool) {
	if len(c.re.program) >= maxProgram {
		return
	}
	switch n.kind {
	case kindUnit:
		u := n.unit
		if c.re.fold {
			u = canonical(u)
		}
		c.emit(instruction{op: opUnit, unit: u, back: back})
	case kindAny:
		c.emit(instruction{op: opAny, back: back})
	case kindClass:
		c.emit(instruction{op: opClass, set: n.set, back: back})
	case kindBegin:
		c.emit(instruction{op: opBegin})
	case kindEnd:
		c.emit(instruction{op: opEnd})
	case kindWordEdge:
		c.emit(instruction{op: opWordEdge})
	case kindNoWordEdge:
		c.emit(instruction{op: opNoWordEdge})
	case kindBackreference:
		c.emit(instruction{op: opReference, x: n.group, back: back})
	case kindSequence:
		for i := range n.subs {
			if back {
				i = len(n.subs) - 1 - i
			}
			c.node(n.subs[i], back)
		}
	case kindChoice:
		c.choice(n, back)
	case kindGroup:
		open, shut := 2*n.group, 2*n.group+1
		if back {
			open, shut = shut, open
		}
		c.emit(instruction{op: opSave, x: open})
		c.node(n.subs[0], back)
		c.emit(instruction{op: opSave, x: shut})
	case kindLook:
		look := c.emit(instruction{op: opLook, negated: n.negated})
		c.node(n.subs[0], n.behind)
		c.emit(instruction{op: opMatch})
		c.re.program[look].x = c.here()
	case kindRepeat:
		c.repeat(n, back)
	}
}

func (c *compiler) choice(n *node, back bool) {
	var ends []int
	for i, sub := range n.subs {
		if i == len(n.subs)-1 {
			c.node(sub, back)
			break
		}
		split := c.emit(instruction{op: opSplit, x: c.here() + 1})
		c.node(sub, back)
		ends = append(ends, c.emit(instruction{op: opJump}))
		c.re.program[split].y = c.here()
	}
	for _, end := range ends {
		c.re.program[end].x = c.here()
	}
}

// repeat writes a repetition out: the rounds that must be, then those that may be.
func (c *compiler) repeat(n *node, back bool) {
	for range n.low {
		if len(c.re.program) >= maxProgram {
			return
		}
		c.round(n, back, false)
	}
	if n.high < 0 {
		split := c.emit(instruction{op: opSplit})
		c.round(n, back, true)
		c.emit(instruction{op: opJump, x: split})
		c.target(split, n.lazy)
		return
	}
	var splits []int
	for range n.high - n.low {
		if len(c.re.program) >= maxProgram {
			return
		}
		splits = append(splits, c.emit(instruction{op: opSplit}))
		c.round(n, back, true)
	}
	for _, split := range splits {
		c.target(split, n.lazy)
	}
}

// target points a split at the round behind it and at this place, in the order of preference.
func (c *compiler) target(split int, lazy bool) {
	i := &c.re.program[split]
	i.x, i.y = split+1, c.here()
	if lazy {
		i.x, i.y = i.y, i.x
	}
}

// round writes one round of a repetition. One that need not be must not be empty.
func (c *compiler) round(n *node, back, optional bool) {
	body := n.subs[0]
	if body.kind == kindUnit || body.kind == kindAny || body.kind == kindClass {
		c.node(body, back)
		return
	}
	register := c.re.registers
	if optional {
		c.re.registers++
		c.emit(instruction{op: opMark, x: register})
	}
	if n.last >= n.first {
		c.emit(instruction{op: opForget, x: n.first, y: n.last})
	}
	c.node(body, back)
	if optional {
		c.emit(instruction{op: opMoved, x: register})
	}
}
