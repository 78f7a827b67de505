package jsonata

// grouped collects what one key of a grouping gets.
type grouped struct {
	key    string
	pair   int
	data   joiner
	tuples []tuple
}

// construct builds an object. An array as the context groups its items by key; so does a stream of tuples.
func (ev *evaluator) construct(e *expr, in value, env *frame) (value, error) {
	if in.kind != kindArray {
		return ev.object(e, in, env)
	}
	if in.marks&markTuples != 0 {
		return ev.groupTuples(e, in.node.tuples, env)
	}
	items := in.items()
	if len(items) == 0 {
		items = []value{{}}
	}
	groups := groupSet{byKey: map[string]*grouped{}}
	for _, item := range items {
		for i := range e.pairs {
			g, err := ev.group(e, &groups, i, item, env)
			if err != nil {
				return value{}, err
			}
			if g == nil {
				continue
			}
			if err := g.data.add(ev, item); err != nil {
				return value{}, err
			}
		}
	}
	return ev.fillGroups(e, groups.order, env)
}

// object is the usual case: one context, every pair once.
func (ev *evaluator) object(e *expr, in value, env *frame) (value, error) {
	n := &node{keys: make([]string, 0, len(e.pairs)), items: make([]value, 0, len(e.pairs))}
	if err := ev.spend(len(e.pairs)); err != nil {
		return value{}, err
	}
	keys := make([]value, len(e.pairs))
	var seen map[string]bool
	if len(keys) > indexFrom {
		seen = make(map[string]bool, len(keys))
	}
	for i, p := range e.pairs {
		var err error
		if keys[i], err = ev.key(e, p.key, in, env); err != nil {
			return value{}, err
		}
		if keys[i].defined() && repeated(keys[:i], keys[i].str, seen) {
			return value{}, failure("D1009", e.pos, "", showJSON(keys[i]))
		}
	}
	for i, p := range e.pairs {
		if !keys[i].defined() {
			continue
		}
		v, err := ev.eval(p.val, in, env)
		if err != nil {
			return value{}, err
		}
		if v.defined() {
			n.set(keys[i].str, v)
		}
	}
	return value{kind: kindObject, node: n}, nil
}

// repeated reports whether a key was there before; seen is used when there are many.
func repeated(before []value, key string, seen map[string]bool) bool {
	if seen != nil {
		was := seen[key]
		seen[key] = true
		return was
	}
	for _, b := range before {
		if b.defined() && b.str == key {
			return true
		}
	}
	return false
}

// key computes a key; undefined leaves the pair out.
func (ev *evaluator) key(e, key *expr, in value, env *frame) (value, error) {
	v, err := ev.eval(key, in, env)
	if err != nil {
		return value{}, err
	}
	if v.defined() && v.kind != kindString {
		return value{}, failure("T1003", e.pos, "", showJSON(v))
	}
	return v, nil
}

type groupSet struct {
	byKey map[string]*grouped
	order []*grouped
}

// group returns the group an item belongs to by the i-th pair; nil when the pair gives it no key.
func (ev *evaluator) group(e *expr, set *groupSet, i int, item value, env *frame) (*grouped, error) {
	key, err := ev.key(e, e.pairs[i].key, item, env)
	if err != nil || !key.defined() {
		return nil, err
	}
	g := set.byKey[key.str]
	if g == nil {
		g = &grouped{key: key.str, pair: i}
		set.byKey[key.str] = g
		set.order = append(set.order, g)
	}
	if g.pair != i {
		return nil, failure("D1009", e.pos, "", showJSON(key))
	}
	return g, nil
}

func (ev *evaluator) groupTuples(e *expr, tuples []tuple, env *frame) (value, error) {
	groups := groupSet{byKey: map[string]*grouped{}}
	for _, t := range tuples {
		scope := t.frame(env)
		for i := range e.pairs {
			g, err := ev.group(e, &groups, i, t.at, scope)
			if err != nil {
				return value{}, err
			}
			if g != nil {
				g.tuples = append(g.tuples, t)
			}
		}
	}
	return ev.fillGroups(e, groups.order, env)
}

// fillGroups computes the value of every group.
func (ev *evaluator) fillGroups(e *expr, groups []*grouped, env *frame) (value, error) {
	n := &node{keys: make([]string, 0, len(groups)), items: make([]value, 0, len(groups))}
	if err := ev.spend(len(groups)); err != nil {
		return value{}, err
	}
	for _, g := range groups {
		data, scope := g.data.value(), env
		if g.tuples != nil {
			t, err := ev.merged(g.tuples)
			if err != nil {
				return value{}, err
			}
			data, scope = t.at, t.frame(env)
		}
		v, err := ev.eval(e.pairs[g.pair].val, data, scope)
		if err != nil {
			return value{}, err
		}
		if v.defined() {
			n.set(g.key, v)
		}
	}
	return value{kind: kindObject, node: n}, nil
}

// joiner joins values the way $append does: arrays by their items, undefined being nothing.
type joiner struct {
	first value
	items []value
	count int
}

func (j *joiner) add(ev *evaluator, v value) error {
	if !v.defined() {
		return nil
	}
	if j.count++; j.count == 1 {
		j.first = v
		return nil
	}
	before := len(j.items)
	if j.count == 2 {
		j.items = append(j.items, asItems(j.first)...)
	}
	j.items = append(j.items, asItems(v)...)
	return ev.spend(len(j.items) - before)
}

func (j *joiner) value() value {
	if j.count < 2 {
		return j.first
	}
	return arrayValue(j.items)
}
