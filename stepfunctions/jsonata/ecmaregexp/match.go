package ecmaregexp

import "errors"

// ErrTooLarge says that a match needs to remember too many ways back.
var ErrTooLarge = errors.New("the regular expression needs too much memory for this text")

// maxTrail bounds the ways back that are remembered at a time, 24 bytes each.
const maxTrail = 4 << 20

// entry undoes a step when a match has to go back: it resumes at an instruction, or restores a capture or register.
type entry struct{ what, where, value int }

const (
	resume = iota
	restoreCapture
	restoreRegister
)

// matcher is one search.
type matcher struct {
	re        *Regexp
	text      []uint16
	captures  []int
	registers []int
	trail     []entry
	steps     int
	spend     func(steps int) error
}

// spendEvery is how many steps are taken between two reports.
const spendEvery = 1 << 10

// Match finds the first match that starts at from or behind it. It returns pairs of offsets, first that of the whole
// match, then those of the groups, -1 for a group without a part; nil means no match. spend is told the steps taken, in
// portions, and stops the search by an error.
func (re *Regexp) Match(text []uint16, from int, spend func(steps int) error) ([]int, error) {
	m := &matcher{re: re, text: text, captures: make([]int, 2*re.groups+2), registers: make([]int, re.registers), spend: spend}
	for start := from; start <= len(text); start++ {
		for i := range m.captures {
			m.captures[i] = -1
		}
		m.trail = m.trail[:0]
		found, err := m.run(0, start)
		if err != nil {
			return nil, err
		}
		if found {
			return m.captures, spend(m.steps)
		}
	}
	return nil, spend(m.steps)
}

// run executes from an instruction on until opMatch. On failure everything it did is undone.
func (m *matcher) run(pc, at int) (bool, error) {
	base := len(m.trail)
	for {
		if m.steps++; m.steps >= spendEvery {
			if err := m.spend(m.steps); err != nil {
				return false, err
			}
			m.steps = 0
		}
		i := &m.re.program[pc]
		var ok bool
		switch i.op {
		case opMatch:
			return true, nil
		case opUnit, opAny, opClass:
			at, ok = m.unit(i, at)
		case opJump:
			pc = i.x
			continue
		case opSplit:
			if len(m.trail) >= maxTrail {
				return false, ErrTooLarge
			}
			m.trail = append(m.trail, entry{resume, i.y, at})
			pc = i.x
			continue
		case opLook:
			var err error
			if ok, err = m.look(i, pc+1, at); err != nil {
				return false, err
			}
			if ok {
				pc = i.x
				continue
			}
		case opReference:
			at, ok = m.reference(i, at)
		default:
			ok = m.simple(i, at)
		}
		if ok {
			pc++
			continue
		}
		if pc, at, ok = m.back(base); !ok {
			return false, nil
		}
	}
}

// back undoes steps up to the last one that had another way.
func (m *matcher) back(base int) (pc, at int, ok bool) {
	for len(m.trail) > base {
		e := m.trail[len(m.trail)-1]
		m.trail = m.trail[:len(m.trail)-1]
		switch e.what {
		case resume:
			return e.where, e.value, true
		case restoreCapture:
			m.captures[e.where] = e.value
		default:
			m.registers[e.where] = e.value
		}
	}
	return 0, 0, false
}

// unit takes one code unit, the one before the position when the instruction runs backwards.
func (m *matcher) unit(i *instruction, at int) (int, bool) {
	next, index := at+1, at
	if i.back {
		next, index = at-1, at-1
	}
	if index < 0 || index >= len(m.text) {
		return at, false
	}
	u := m.text[index]
	switch i.op {
	case opUnit:
		return next, u == i.unit || m.re.fold && canonical(u) == i.unit
	case opAny:
		return next, !isLineEnd(u)
	default:
		return next, i.set.matches(u, m.re.fold)
	}
}

// simple executes the instructions that do not move.
func (m *matcher) simple(i *instruction, at int) bool {
	switch i.op {
	case opSave:
		m.trail = append(m.trail, entry{restoreCapture, i.x, m.captures[i.x]})
		m.captures[i.x] = at
	case opForget:
		for k := 2 * i.x; k <= 2*i.y+1; k++ {
			m.trail = append(m.trail, entry{restoreCapture, k, m.captures[k]})
			m.captures[k] = -1
		}
	case opMark:
		m.trail = append(m.trail, entry{restoreRegister, i.x, m.registers[i.x]})
		m.registers[i.x] = at
	case opMoved:
		return m.registers[i.x] != at
	case opBegin:
		return at == 0 || m.re.multiline && isLineEnd(m.text[at-1])
	case opEnd:
		return at == len(m.text) || m.re.multiline && isLineEnd(m.text[at])
	case opWordEdge, opNoWordEdge:
		before := at > 0 && isWord(m.text[at-1])
		after := at < len(m.text) && isWord(m.text[at])
		return (before != after) == (i.op == opWordEdge)
	}
	return true
}

// reference takes the text of a group again; a group without a part is empty.
func (m *matcher) reference(i *instruction, at int) (int, bool) {
	start, end := m.captures[2*i.x], m.captures[2*i.x+1]
	if start < 0 || end < 0 {
		return at, true
	}
	length := end - start
	from := at
	if i.back {
		from = at - length
	}
	if from < 0 || from+length > len(m.text) {
		return at, false
	}
	m.steps += length
	for k := range length {
		a, b := m.text[start+k], m.text[from+k]
		if a != b && !(m.re.fold && canonical(a) == canonical(b)) {
			return at, false
		}
	}
	if i.back {
		return from, true
	}
	return from + length, true
}

// look runs a look-around. What a positive one captured is kept, its other ways are not.
func (m *matcher) look(i *instruction, pc, at int) (bool, error) {
	base := len(m.trail)
	found, err := m.run(pc, at)
	if err != nil {
		return false, err
	}
	if !found {
		return i.negated, nil
	}
	if i.negated {
		for ok := true; ok; {
			_, _, ok = m.back(base)
		}
		return false, nil
	}
	kept := m.trail[:base]
	for _, e := range m.trail[base:] {
		if e.what != resume {
			kept = append(kept, e)
		}
	}
	m.trail = kept
	return true, nil
}
