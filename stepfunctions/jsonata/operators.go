package jsonata

import (
	"math"
)

func (ev *evaluator) binary(e *expr, in value, env *frame) (value, error) {
	left, err := ev.eval(e.lhs, in, env)
	if err != nil {
		return value{}, err
	}
	if e.op == opAnd || e.op == opOr {
		return ev.logical(e, left, in, env)
	}
	right, err := ev.eval(e.rhs, in, env)
	if err != nil {
		return value{}, err
	}
	switch e.op {
	case opAdd, opSub, opMul, opDiv, opMod:
		return arithmetic(e, left, right)
	case opEqual, opNotEqual:
		if !left.defined() || !right.defined() {
			return falseValue, nil
		}
		same, err := ev.equal(left, right, 0)
		return boolValue(same == (e.op == opEqual)), err
	case opLess, opLessEqual, opGreater, opGreaterEqual:
		return compare(e, left, right)
	case opConcat:
		v, err := ev.concat(left, right)
		return v, at(err, e.pos, e.text)
	case opIn:
		return ev.contains(left, right)
	}
	return value{}, failure("S0204", e.pos, e.text)
}

// logical is and, or; the right side is looked at only when it decides.
func (ev *evaluator) logical(e *expr, left, in value, env *frame) (value, error) {
	yes, err := holds(left)
	if err != nil || yes == (e.op == opOr) {
		return boolValue(yes), err
	}
	right, err := ev.eval(e.rhs, in, env)
	if err != nil {
		return value{}, err
	}
	yes, err = holds(right)
	return boolValue(yes), err
}

func arithmetic(e *expr, left, right value) (value, error) {
	for i, side := range [2]value{left, right} {
		ok, err := numeric(side)
		if err != nil {
			return value{}, at(err, e.pos, e.text)
		}
		if side.defined() && !ok {
			return value{}, failure([2]string{"T2001", "T2002"}[i], e.pos, e.text)
		}
	}
	if !left.defined() || !right.defined() {
		return value{}, nil
	}
	a, b := left.num, right.num
	switch e.op {
	case opAdd:
		return numberValue(a + b), nil
	case opSub:
		return numberValue(a - b), nil
	case opMul:
		return numberValue(a * b), nil
	case opDiv:
		return numberValue(a / b), nil
	default:
		return numberValue(math.Mod(a, b)), nil
	}
}

func compare(e *expr, left, right value) (value, error) {
	for _, side := range [2]value{left, right} {
		if side.defined() && !sortable(side) {
			return value{}, failure("T2010", e.pos, e.text)
		}
	}
	if !left.defined() || !right.defined() {
		return value{}, nil
	}
	if left.kind != right.kind {
		return value{}, failure("T2009", e.pos, e.text, showJSON(left), showJSON(right))
	}
	if left.num != left.num || right.num != right.num {
		return falseValue, nil
	}
	order := compareValues(left, right)
	switch e.op {
	case opLess:
		return boolValue(order < 0), nil
	case opLessEqual:
		return boolValue(order <= 0), nil
	case opGreater:
		return boolValue(order > 0), nil
	default:
		return boolValue(order >= 0), nil
	}
}

func (ev *evaluator) concat(left, right value) (value, error) {
	a, err := ev.stringOf(left, false)
	if err != nil {
		return value{}, err
	}
	b, err := ev.stringOf(right, false)
	if err != nil {
		return value{}, err
	}
	if err := ev.write(len(a) + len(b)); err != nil {
		return value{}, err
	}
	return stringValue(joinSurrogates(a + b)), nil
}

// contains is the operator in; a right side that is no array counts as an array of one.
func (ev *evaluator) contains(left, right value) (value, error) {
	if !left.defined() || !right.defined() {
		return falseValue, nil
	}
	items := asItems(right)
	if err := ev.work(len(items)); err != nil {
		return value{}, err
	}
	for _, item := range items {
		// Only what is itself one value can be found: JavaScript compares arrays and objects by identity here.
		if item.kind == kindArray || item.kind == kindObject || item.kind == kindFunction {
			if left.kind == item.kind && left.node.same(item.node) {
				return trueValue, nil
			}
			continue
		}
		if same, err := ev.equal(left, item, 0); err != nil || same {
			return boolValue(same), err
		}
	}
	return falseValue, nil
}

// equal compares by content, objects without regard to the order of their keys.
func (ev *evaluator) equal(a, b value, depth int) (bool, error) {
	if a.kind != b.kind {
		return false, nil
	}
	switch a.kind {
	case kindString:
		return a.str == b.str, nil
	case kindArray, kindObject:
		if a.node == b.node {
			return true, nil
		}
	case kindFunction:
		return a.node.fn == b.node.fn, nil
	default:
		return a.num == b.num, nil
	}
	if a.length() != b.length() {
		return false, nil
	}
	if depth > maxNested {
		return false, bound(tooDeep, 0)
	}
	if err := ev.work(a.length()); err != nil {
		return false, err
	}
	a.node.load()
	b.node.load()
	for i, item := range a.node.items {
		other := i
		if a.kind == kindObject {
			if other = b.node.find(a.node.keys[i]); other < 0 {
				return false, nil
			}
		}
		same, err := ev.equal(item, b.node.items[other], depth+1)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// maxRange is how many numbers the range operator may give.
const maxRange = 10_000_000

// span is the range operator.
func (ev *evaluator) span(e *expr, in value, env *frame) (value, error) {
	left, err := ev.eval(e.lhs, in, env)
	if err != nil {
		return value{}, err
	}
	right, err := ev.eval(e.rhs, in, env)
	if err != nil {
		return value{}, err
	}
	for i, side := range [2]value{left, right} {
		if side.defined() && (side.kind != kindNumber || side.num != math.Trunc(side.num) || math.IsInf(side.num, 0)) {
			return value{}, failure([2]string{"T2003", "T2004"}[i], e.pos, e.text)
		}
	}
	if !left.defined() || !right.defined() || left.num > right.num {
		return value{}, nil
	}
	size := right.num - left.num + 1
	if size > maxRange {
		return value{}, failure("D2014", e.pos, e.text, formatNumber(size))
	}
	if err := ev.spend(int(size)); err != nil {
		return value{}, at(err, e.pos, e.text)
	}
	items := make([]value, int(size))
	for i := range items {
		items[i] = numberValue(left.num + float64(i))
	}
	return sequenceValue(items), nil
}
