package jsonata

func objectFunctions(add adder) {
	add("keys", "<x-:a<s>>", 1, keys)
	add("lookup", "<x-s:x>", 2, func(c call) (value, error) {
		return c.ev.lookup(c.arg(0), scripted(c.arg(1)))
	})
	add("spread", "<x-:a<o>>", 1, spread)
	add("merge", "<a<o>:o>", 1, merge)
	add("sift", "<o-f?:o>", 2, sift)
	add("each", "<o-f:a>", 2, eachFunction)
	add("clone", "<(oa)-:o>", 1, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		return c.ev.clone(c.arg(0), 0)
	})
}

// keys lists the names of an object, or of all objects in an array, each once.
func keys(c call) (value, error) {
	seen := map[string]bool{}
	var out []value
	err := c.ev.collectKeys(c.arg(0), 0, func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, stringValue(name))
		}
	})
	return sequenceValue(out), err
}

func (ev *evaluator) collectKeys(v value, depth int, add func(string)) error {
	if v.kind != kindArray && v.kind != kindObject {
		return nil
	}
	if depth > maxNested {
		return bound(tooDeep, 0)
	}
	if err := ev.spend(v.length()); err != nil {
		return err
	}
	v.node.load()
	if v.kind == kindObject {
		for _, key := range v.node.keys {
			add(key)
		}
		return nil
	}
	for _, item := range v.node.items {
		if err := ev.collectKeys(item, depth+1, add); err != nil {
			return err
		}
	}
	return nil
}

// spread makes an object of one field of every field.
func spread(c call) (value, error) {
	v := c.arg(0)
	switch v.kind {
	case kindArray, kindObject:
		out, err := c.ev.spreadInto(nil, v, 0)
		if v.kind == kindArray && v.length() > 0 {
			return arrayValue(out), err
		}
		return sequenceValue(out), err
	case kindFunction:
		return stringValue(""), nil
	}
	return v, nil
}

func (ev *evaluator) spreadInto(out []value, v value, depth int) ([]value, error) {
	if depth > maxNested {
		return nil, bound(tooDeep, 0)
	}
	if v.kind != kindArray && v.kind != kindObject {
		return append(out, v), ev.spend(1)
	}
	if err := ev.spend(2 * v.length()); err != nil {
		return nil, err
	}
	v.node.load()
	for i, item := range v.node.items {
		if v.kind == kindArray {
			var err error
			if out, err = ev.spreadInto(out, item, depth+1); err != nil {
				return nil, err
			}
			continue
		}
		n := &node{keys: v.node.keys[i : i+1 : i+1], items: []value{item}}
		out = append(out, value{kind: kindObject, node: n})
	}
	return out, nil
}

func merge(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	n := &node{}
	for _, item := range c.arg(0).items() {
		if item.kind != kindObject {
			continue
		}
		if err := c.ev.spend(item.length()); err != nil {
			return value{}, err
		}
		item.node.load()
		for i, key := range item.node.keys {
			n.set(key, item.node.items[i])
		}
	}
	return value{kind: kindObject, node: n}, nil
}

func sift(c call) (value, error) {
	v, fn := c.arg(0), c.function(1)
	if v.kind != kindObject || v.length() == 0 {
		return value{}, nil
	}
	if fn == nil {
		return value{}, c.misfit("sift", 1)
	}
	v.node.load()
	n := &node{}
	for i, key := range v.node.keys {
		keep, err := c.ev.each(fn, v.node.items[i], stringValue(key), v)
		if err != nil {
			return value{}, err
		}
		if truthy(keep) {
			n.set(key, v.node.items[i])
		}
	}
	if len(n.keys) == 0 {
		return value{}, nil
	}
	return value{kind: kindObject, node: n}, c.ev.spend(len(n.keys))
}

func eachFunction(c call) (value, error) {
	v, fn := c.arg(0), c.function(1)
	if v.kind != kindObject || fn == nil {
		return sequenceValue(nil), nil
	}
	v.node.load()
	var out []value
	for i, key := range v.node.keys {
		r, err := c.ev.each(fn, v.node.items[i], stringValue(key), v)
		if err != nil {
			return value{}, err
		}
		if r.defined() {
			out = append(out, r)
		}
	}
	return sequenceValue(out), c.ev.spend(len(out))
}
