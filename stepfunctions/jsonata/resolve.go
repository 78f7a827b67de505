package jsonata

import "strconv"

// resolver turns parsed expressions into resolved ones: dots, predicates and bindings become steps of paths, negated
// literals literals, and every parent operator gets the slot in which the step it means leaves its input.
type resolver struct {
	slots int
	depth int
}

func resolve(e *expr) (*expr, error) {
	r := &resolver{}
	e, err := r.resolve(e)
	if err != nil {
		return nil, err
	}
	if e.form == formParent || len(e.seeking) > 0 {
		position := e.pos
		if e.form == formPath || e.form == formParent {
			// These have no position in the reference library.
			position = 0
		}
		return nil, failure("S0217", position, e.typeName())
	}
	return e, nil
}

// resolve returns the resolved form of e. An array kept by [] is kept whatever e becomes.
func (r *resolver) resolve(e *expr) (*expr, error) {
	if e == nil {
		return nil, nil
	}
	keep := e.keepArray
	resolved, err := r.form(e)
	if err == nil && keep && resolved != e {
		resolved.keepArray = true
	}
	return resolved, err
}

func (r *resolver) form(e *expr) (*expr, error) {
	if r.depth++; r.depth > 10*maxNesting {
		return nil, failure("S0500", e.pos, "", formatNumber(10*maxNesting))
	}
	defer func() { r.depth-- }()
	switch e.form {
	case formDot:
		return r.dot(e)
	case formFilter:
		return r.filter(e)
	case formGroup:
		return r.grouping(e)
	case formSort:
		return r.sort(e)
	case formFocus:
		return r.focus(e)
	case formIndex:
		return r.index(e)
	case formName:
		path := &expr{form: formPath, pos: e.pos, list: []*expr{e}, keepSingleton: e.keepArray}
		markPlain(path)
		return path, nil
	case formVariable:
		e.builtin = builtins[e.text]
	case formParent:
		e.slot = &slot{label: "!" + strconv.Itoa(r.slots), level: 1}
		r.slots++
	case formNegate:
		return r.negate(e)
	case formObject:
		return e, r.pairs(e, e)
	case formBlock:
		return r.block(e)
	case formLambda, formTransform, formApply:
		// A function body or pattern is not part of the path round it: its parents are not looked for there. Nor are
		// those in a chain of functions.
		return e, r.operands(e, false)
	case formEnd:
		return nil, failure("S0207", e.pos, "(end)")
	case formPlaceholder, formLiteral, formWildcard, formDescendant, formRegex:
	case formCall, formPartial:
		return r.call(e)
	default:
		if err := r.parts(e); err != nil {
			return nil, err
		}
		return e, r.operands(e, true)
	}
	return e, nil
}

// block resolves a block. It keeps the shape of an array that one of its parts keeps.
func (r *resolver) block(e *expr) (*expr, error) {
	if err := r.parts(e); err != nil {
		return nil, err
	}
	for _, part := range e.list {
		e.cons = e.cons || part.cons || (part.form == formPath && part.list[0].cons)
	}
	return e, nil
}

// call resolves a call; when it calls a field, it notes the library function that may have been meant.
func (r *resolver) call(e *expr) (*expr, error) {
	if err := r.parts(e); err != nil {
		return nil, err
	}
	var err error
	if e.lhs, err = r.resolve(e.lhs); err == nil && e.lhs.form == formPath {
		e.builtin = builtins[e.lhs.list[0].text]
	}
	return e, err
}

// parts resolves the list of an expression in place.
func (r *resolver) parts(e *expr) error {
	for i, part := range e.list {
		part, err := r.resolve(part)
		if err != nil {
			return err
		}
		e.list[i] = part
		e.inherit(part)
	}
	return nil
}

// operands resolves lhs, rhs and third in place.
func (r *resolver) operands(e *expr, inherit bool) error {
	for _, operand := range []**expr{&e.lhs, &e.rhs, &e.third} {
		resolved, err := r.resolve(*operand)
		if err != nil {
			return err
		}
		*operand = resolved
		if inherit && resolved != nil {
			e.inherit(resolved)
		}
	}
	return nil
}

// pairs resolves the pairs of an object; to inherits the parents they look for when it is not nil.
func (r *resolver) pairs(e, to *expr) error {
	for i := range e.pairs {
		key, err := r.resolve(e.pairs[i].key)
		if err != nil {
			return err
		}
		val, err := r.resolve(e.pairs[i].val)
		if err != nil {
			return err
		}
		e.pairs[i] = pair{key, val}
		if to != nil {
			to.inherit(key)
			to.inherit(val)
		}
	}
	return nil
}

// inherit makes the parents that part looks for those that e looks for.
func (e *expr) inherit(part *expr) {
	e.seeking = append(e.seeking, part.seeking...)
	if part.form == formParent {
		e.seeking = append(e.seeking, part.slot)
	}
}

func (r *resolver) negate(e *expr) (*expr, error) {
	operand, err := r.resolve(e.lhs)
	if err != nil {
		return nil, err
	}
	if operand.form == formLiteral && operand.konst.kind == kindNumber {
		operand.konst = numberValue(-operand.konst.num)
		return operand, nil
	}
	e.lhs = operand
	e.inherit(operand)
	return e, nil
}

func (e *expr) last() *expr { return e.list[len(e.list)-1] }

func (r *resolver) dot(e *expr) (*expr, error) {
	left, err := r.resolve(e.lhs)
	if err != nil {
		return nil, err
	}
	path := left
	if left.form != formPath {
		path = &expr{form: formPath, pos: left.pos, list: []*expr{left}}
		if left.form == formParent {
			path.seeking = []*slot{left.slot}
		}
	}
	right, err := r.resolve(e.rhs)
	if err != nil {
		return nil, err
	}
	if right.form == formPath {
		path.list = append(path.list, right.list...)
		path.keepSingleton = path.keepSingleton || right.keepSingleton
	} else {
		if right.predicates != nil {
			right.stages, right.predicates = right.predicates, nil
		}
		path.list = append(path.list, right)
	}
	for _, step := range path.list {
		if step.form == formLiteral {
			if step.konst.kind != kindString {
				return nil, failure("S0213", step.pos, "", showJSON(step.konst))
			}
			step.form, step.text = formName, step.konst.str
		}
		path.keepSingleton = path.keepSingleton || step.keepArray
	}
	// An array written as the first or last step keeps its shape.
	for _, step := range []*expr{path.list[0], path.last()} {
		if step.form == formArray {
			step.cons = true
		}
	}
	markPlain(path)
	return path, r.settle(path)
}

// markPlain notes whether a path can run without the sequence rules as long as no array turns up.
func markPlain(path *expr) {
	path.plain = true
	for i, step := range path.list {
		bare := step.stages == nil && step.predicates == nil && step.group == nil && !step.keepArray && !step.tuple && step.focus == "" &&
			step.index == ""
		if !bare || (step.form != formName && (i > 0 || step.form != formVariable)) {
			path.plain = false
		}
	}
}

// subject resolves what a filter or a focus belongs to: step, which is the last one of result where that is a path.
func (r *resolver) subject(e *expr) (result, step *expr, err error) {
	result, err = r.resolve(e)
	if err != nil || result.form != formPath {
		return result, result, err
	}
	result.plain = false
	return result, result.last(), nil
}

func (r *resolver) filter(e *expr) (*expr, error) {
	result, step, err := r.subject(e.lhs)
	if err != nil {
		return nil, err
	}
	if step.group != nil {
		return nil, failure("S0209", e.pos, "")
	}
	predicate, err := r.resolve(e.rhs)
	if err != nil {
		return nil, err
	}
	for _, s := range predicate.seeking {
		if s.level == 1 {
			if err := r.seek(step, s); err != nil {
				return nil, err
			}
		} else {
			s.level--
		}
	}
	// A predicate that is nothing but a parent looks for none, in the reference library.
	step.seeking = append(step.seeking, predicate.seeking...)
	if result.form == formPath {
		step.stages = append(step.stages, stage{filter: predicate})
	} else {
		step.predicates = append(step.predicates, stage{filter: predicate})
	}
	return result, nil
}

func (r *resolver) grouping(e *expr) (*expr, error) {
	result, err := r.resolve(e.lhs)
	if err != nil {
		return nil, err
	}
	if result.group != nil {
		return nil, failure("S0210", e.pos, "")
	}
	result.group = &expr{form: formObject, pos: e.pos, pairs: e.pairs}
	return result, r.pairs(result.group, nil)
}

// asPath makes a path of one step of anything that is not a path.
func asPath(e *expr) *expr {
	if e.form == formPath {
		return e
	}
	return &expr{form: formPath, pos: e.pos, list: []*expr{e}}
}

func (r *resolver) sort(e *expr) (*expr, error) {
	result, err := r.resolve(e.lhs)
	if err != nil {
		return nil, err
	}
	result = asPath(result)
	result.plain = false
	step := &expr{form: formSort, pos: e.pos, terms: e.terms}
	for i := range step.terms {
		by, err := r.resolve(step.terms[i].by)
		if err != nil {
			return nil, err
		}
		step.terms[i].by = by
		step.inherit(by)
	}
	result.list = append(result.list, step)
	return result, r.settle(result)
}

func (r *resolver) focus(e *expr) (*expr, error) {
	result, step, err := r.subject(e.lhs)
	if err != nil {
		return nil, err
	}
	switch {
	case step.stages != nil || step.predicates != nil:
		return nil, failure("S0215", e.pos, "")
	case step.form == formSort:
		return nil, failure("S0216", e.pos, "")
	}
	step.keepArray = step.keepArray || e.keepArray
	step.focus, step.tuple = e.rhs.text, true
	return result, nil
}

func (r *resolver) index(e *expr) (*expr, error) {
	left, err := r.resolve(e.lhs)
	if err != nil {
		return nil, err
	}
	result := asPath(left)
	result.plain = false
	step := result.last()
	if left.form != formPath && step.predicates != nil {
		step.stages, step.predicates = step.predicates, nil
	}
	if step.stages == nil {
		step.index = e.rhs.text
	} else {
		step.stages = append(step.stages, stage{index: e.rhs.text})
	}
	step.tuple = true
	return result, nil
}

// settle finds, for every parent that the last step looks for, the step of the path that is meant. What the path does
// not hold is looked for round it.
func (r *resolver) settle(path *expr) error {
	last := path.last()
	slots := last.seeking
	if last.form == formParent {
		slots = append(slots[:len(slots):len(slots)], last.slot)
	}
	for _, s := range slots {
		for i := len(path.list) - 2; s.level > 0; {
			if i < 0 {
				path.seeking = append(path.seeking, s)
				break
			}
			step := path.list[i]
			i--
			// Steps that bind the context one after the other count as one.
			for i >= 0 && step.focus != "" && path.list[i].focus != "" {
				step = path.list[i]
				i--
			}
			if err := r.seek(step, s); err != nil {
				return err
			}
			path.plain = false
		}
	}
	return nil
}

// seek offers the step as the one whose input the slot wants.
func (r *resolver) seek(step *expr, s *slot) error {
	switch step.form {
	case formName, formWildcard:
		if s.level--; s.level == 0 {
			if step.ancestor != nil {
				s.label = step.ancestor.label
			}
			step.ancestor = s
			step.tuple = true
		}
	case formParent:
		s.level++
	case formBlock:
		if len(step.list) > 0 {
			step.tuple = true
			return r.seek(step.list[len(step.list)-1], s)
		}
	case formPath:
		step.tuple, step.plain = true, false
		for i := len(step.list) - 1; i >= 0; i-- {
			if err := r.seek(step.list[i], s); err != nil {
				return err
			}
			if s.level <= 0 {
				break
			}
		}
	default:
		return failure("S0217", step.pos, step.typeName())
	}
	return nil
}
