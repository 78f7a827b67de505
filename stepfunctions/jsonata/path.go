package jsonata

import "math"

// lookup finds a field: of an object, or of every object in an array.
func (ev *evaluator) lookup(in value, name string) (value, error) {
	switch in.kind {
	case kindObject:
		v, _ := in.field(name)
		return v, nil
	case kindArray:
		found, err := ev.gather(nil, in, name, 0)
		if err != nil {
			return value{}, err
		}
		return sequenceValue(found), nil
	}
	return value{}, nil
}

// gather appends the fields of an array's objects, one level flattened.
func (ev *evaluator) gather(found []value, in value, name string, depth int) ([]value, error) {
	items := in.items()
	if err := ev.work(len(items)); err != nil {
		return nil, err
	}
	if depth > maxNested {
		return nil, bound(tooDeep, 0)
	}
	for _, item := range items {
		switch item.kind {
		case kindObject:
			v, ok := item.field(name)
			switch {
			case !ok || !v.defined():
			case v.kind == kindArray:
				if err := ev.spend(v.length()); err != nil {
					return nil, err
				}
				found = append(found, v.items()...)
			default:
				found = append(found, v)
			}
		case kindArray:
			var err error
			if found, err = ev.gather(found, item, name, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// path runs the steps of a path, each over the results of the one before.
func (ev *evaluator) path(e *expr, in value, env *frame) (value, error) {
	from := 0
	var inputs []value
	switch {
	case e.plain:
		if ev.depth >= ev.limits.Depth {
			return value{}, bound(tooDeep, e.pos)
		}
		v, next, done := ev.straight(e, in, env)
		if done {
			if e.group != nil {
				return ev.construct(e.group, v, env)
			}
			return v, nil
		}
		from, inputs = next, v.items()
		if v.marks&markCons != 0 {
			inputs = []value{v}
		}
	case in.kind == kindArray && e.list[0].form != formVariable:
		inputs = in.items()
	default:
		inputs = []value{in}
	}
	return ev.follow(e, from, inputs, in, env)
}

// straight follows bare names through objects. It stops at the first array; next is the step to go on with from there.
func (ev *evaluator) straight(e *expr, in value, env *frame) (v value, next int, done bool) {
	v = in
	if e.list[0].form == formVariable {
		v = ev.variable(e.list[0], in, env)
		next = 1
	}
	ev.steps += int64(len(e.list))
	for ; next < len(e.list); next++ {
		switch v.kind {
		case kindArray:
			return v, next, false
		case kindObject:
			v, _ = v.field(e.list[next].text)
		default:
			return value{}, next, true
		}
	}
	return v, next, true
}

// follow runs the steps of a path from the given one on.
func (ev *evaluator) follow(e *expr, from int, inputs []value, in value, env *frame) (value, error) {
	var flow stream
	streaming, started := false, false
	result := sequenceValue(inputs)
	for i := from; i < len(e.list); i++ {
		step := e.list[i]
		streaming = streaming || step.tuple
		var err error
		switch {
		case i == 0 && step.cons:
			whole := result
			if in.kind == kindArray {
				whole = in
			}
			result, err = ev.eval(step, whole, env)
			if err == nil && step.focus == "" {
				// What is no array has no items to go on with.
				inputs = result.items()
			}
		case streaming:
			if !started {
				flow.tuples = startTuples(inputs)
			}
			flow, err = ev.tupleStep(step, flow, inputs, !started, env)
			started = true
		default:
			result, err = ev.step(step, inputs, env, i == len(e.list)-1)
			inputs = result.items()
		}
		if err != nil {
			return value{}, err
		}
		if !streaming && (!result.defined() || (result.kind == kindArray && len(result.items()) == 0)) {
			break
		}
	}
	if streaming {
		if result = flow.value(); !e.tuple {
			result = tupleValue(flow.tuples)
			result.marks = markSequence
		}
	}
	if e.keepSingleton && result.defined() {
		if result.kind == kindArray && result.marks&(markCons|markSequence) == markCons {
			result = sequenceValue([]value{result})
		}
		result.marks |= markKeep
	}
	if e.group != nil {
		if streaming {
			result = flow.value()
		}
		return ev.construct(e.group, result, env)
	}
	return result, nil
}

func asItems(v value) []value {
	if v.kind == kindArray {
		return v.items()
	}
	if !v.defined() {
		return nil
	}
	return []value{v}
}

// step runs one step over the inputs and flattens what it gives by one level.
func (ev *evaluator) step(e *expr, inputs []value, env *frame, last bool) (value, error) {
	if e.form == formSort {
		sorted, err := ev.sorted(e, inputs, env)
		if err != nil {
			return value{}, err
		}
		result := arrayValue(sorted)
		if len(sorted) <= 1 {
			result.marks = markSequence
		}
		for _, s := range e.stages {
			if result, err = ev.filter(s.filter, result, env); err != nil {
				return value{}, err
			}
		}
		return result, nil
	}
	var flat []value
	var first value
	count := 0
	for _, in := range inputs {
		v, err := ev.eval(e, in, env)
		if err != nil {
			return value{}, err
		}
		for _, s := range e.stages {
			if v, err = ev.filter(s.filter, v, env); err != nil {
				return value{}, err
			}
		}
		if !v.defined() {
			continue
		}
		if count++; count == 1 {
			first = v
		}
		if v.kind == kindArray && v.marks&markCons == 0 {
			if err := ev.spend(v.length()); err != nil {
				return value{}, err
			}
			flat = append(flat, v.items()...)
		} else {
			flat = append(flat, v)
		}
	}
	if len(flat) > maxItems {
		return value{}, bound(tooBig, e.pos)
	}
	if last && count == 1 && first.kind == kindArray && first.marks&markSequence == 0 {
		return first, nil
	}
	return sequenceValue(flat), ev.spend(count)
}

// filter keeps the items of a value (one, when it is no array) for which the predicate holds or whose index it names.
func (ev *evaluator) filter(predicate *expr, v value, env *frame) (value, error) {
	if v.marks&markTuples != 0 && v.kind == kindArray {
		kept, err := ev.filterTuples(predicate, stream{tuples: v.node.tuples}, env)
		return tupleValue(kept), err
	}
	items := []value{v}
	if v.kind == kindArray {
		items = v.items()
	}
	if predicate.form == formLiteral && predicate.konst.kind == kindNumber && predicate.predicates == nil {
		i := position(predicate.konst.num, len(items))
		if i < 0 || i >= len(items) || !items[i].defined() {
			return sequenceValue(nil), nil
		}
		if items[i].kind == kindArray {
			return items[i], nil
		}
		return sequenceValue(items[i : i+1 : i+1]), nil
	}
	var kept []value
	for i, item := range items {
		keep, err := ev.keeps(predicate, item, i, len(items), env)
		if err != nil {
			return value{}, err
		}
		for range keep {
			kept = append(kept, item)
		}
	}
	return sequenceValue(kept), ev.spend(len(kept))
}

// position turns an index, which counts from the end when negative, into an offset.
func position(index float64, length int) int {
	index = math.Floor(index)
	if index < 0 {
		index += float64(length)
	}
	if !(index >= 0 && index < float64(length)) {
		return -1
	}
	return int(index)
}

// keeps tells how many times the item at offset i of length is kept: predicates may be indexes, which can repeat.
func (ev *evaluator) keeps(predicate *expr, item value, i, length int, env *frame) (int, error) {
	v, err := ev.eval(predicate, item, env)
	if err != nil {
		return 0, err
	}
	switch {
	case v.kind == kindNumber:
		if ok, err := numeric(v); err != nil || !ok {
			return 0, err
		}
		if position(v.num, length) == i {
			return 1, nil
		}
		return 0, nil
	case v.kind == kindArray && numbersOnly(v.items()):
		n := 0
		if err := ev.work(v.length()); err != nil {
			return 0, err
		}
		for _, index := range v.items() {
			if position(index.num, length) == i {
				n++
			}
		}
		return n, nil
	case truthy(v):
		return 1, nil
	}
	return 0, nil
}

// numbersOnly reports whether an array holds numbers and nothing else, which an empty one does.
func numbersOnly(items []value) bool {
	for _, item := range items {
		if item.kind != kindNumber {
			return false
		}
	}
	return true
}

func (ev *evaluator) wildcard(in value) (value, error) {
	if in.kind == kindArray && in.marks&markOuter != 0 {
		in = in.items()[0]
	}
	if in.kind != kindObject && in.kind != kindArray {
		return sequenceValue(nil), nil
	}
	in.node.load()
	var found []value
	seq := true
	for _, item := range in.node.items {
		if item.kind != kindArray {
			found = append(found, item)
			continue
		}
		// Joined arrays are plain arrays: a lone item in one does not stand for itself.
		seq = false
		var err error
		if found, err = ev.flatten(found, item, 0); err != nil {
			return value{}, err
		}
	}
	if !seq {
		return arrayValue(found), nil
	}
	return sequenceValue(found), nil
}

// flatten appends the items of nested arrays.
func (ev *evaluator) flatten(found []value, in value, depth int) ([]value, error) {
	if depth > maxNested {
		return nil, bound(tooDeep, 0)
	}
	if err := ev.spend(in.length()); err != nil {
		return nil, err
	}
	for _, item := range in.items() {
		if item.kind != kindArray {
			found = append(found, item)
			continue
		}
		var err error
		if found, err = ev.flatten(found, item, depth+1); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (ev *evaluator) descendants(in value) (value, error) {
	if !in.defined() {
		return value{}, nil
	}
	found, err := ev.descend(nil, in, 0)
	if err != nil {
		return value{}, err
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return sequenceValue(found), nil
}

// descend appends the value and everything below it, arrays only by their items.
func (ev *evaluator) descend(found []value, in value, depth int) ([]value, error) {
	if depth > maxNested {
		return nil, bound(tooDeep, 0)
	}
	if err := ev.spend(1); err != nil {
		return nil, err
	}
	if in.kind != kindArray {
		found = append(found, in)
	}
	if in.kind == kindArray || in.kind == kindObject {
		in.node.load()
		for _, item := range in.node.items {
			var err error
			if found, err = ev.descend(found, item, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}
