package jsonata

// transformSignature is that of the function a transform stands for.
var transformSignature = &signature{params: []parameter{{kinds: "oam"}}}

// transform returns the function |pattern|update,delete|: it copies its argument, merges the update into everything the
// pattern finds in the copy, and drops the deleted fields.
func (ev *evaluator) transform(e *expr, in value, env *frame) value {
	return functionValue(&callable{sig: transformSignature, arity: 1, native: func(c call) (value, error) {
		target := c.arg(0)
		if !target.defined() {
			return value{}, nil
		}
		copied, err := c.ev.clone(target, 0)
		if err != nil {
			return value{}, err
		}
		matches, err := c.ev.eval(e.lhs, copied, env)
		if err != nil {
			return value{}, err
		}
		for _, match := range asItems(matches) {
			if err := c.ev.change(e, match, env); err != nil {
				return value{}, err
			}
		}
		return copied, nil
	}})
}

// change applies a transform to one match.
func (ev *evaluator) change(e *expr, match value, env *frame) error {
	update, err := ev.eval(e.rhs, match, env)
	if err != nil {
		return err
	}
	if update.defined() {
		if update.kind != kindObject {
			return failure("T2011", e.rhs.pos, "", showJSON(update))
		}
		update.node.load()
		switch {
		case match.kind != kindObject && match.kind != kindArray && len(update.node.keys) > 0:
			return bound("The transform expression cannot change a value that is not an object: "+showJSON(match), e.pos)
		case match.kind == kindObject:
			for i, key := range update.node.keys {
				match.node.set(key, update.node.items[i])
			}
		}
	}
	if e.third == nil {
		return nil
	}
	deletions, err := ev.eval(e.third, match, env)
	if err != nil || !deletions.defined() {
		return err
	}
	names := asItems(deletions)
	for _, name := range names {
		if name.kind != kindString {
			return failure("T2012", e.third.pos, "", showJSON(deletions))
		}
	}
	if match.kind == kindObject {
		for _, name := range names {
			match.node.remove(name.str)
		}
	}
	return nil
}

// clone copies a value down to the bottom, so that the copy may be changed.
func (ev *evaluator) clone(v value, depth int) (value, error) {
	if v.kind == kindFunction {
		return stringValue(""), nil
	}
	if v.kind != kindArray && v.kind != kindObject {
		return v, nil
	}
	if depth > maxNested {
		return value{}, bound(tooDeep, 0)
	}
	v.node.load()
	if err := ev.spend(len(v.node.items)); err != nil {
		return value{}, err
	}
	n := &node{items: make([]value, len(v.node.items)), keys: append([]string(nil), v.node.keys...)}
	for i, item := range v.node.items {
		var err error
		if n.items[i], err = ev.clone(item, depth+1); err != nil {
			return value{}, err
		}
	}
	if v.kind == kindObject && len(n.keys) > indexFrom {
		n.reindex()
	}
	// Sequences and their like are an affair of paths; the copy is as if read from JSON.
	return value{kind: v.kind, node: n}, nil
}
