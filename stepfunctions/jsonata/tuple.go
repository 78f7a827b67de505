package jsonata

import "slices"

// tuple is an item on its way through a path together with the variables that @, # and % bound on the way.
type tuple struct {
	at    value
	names []string
	vals  []value
}

// with returns the tuple with one more variable, or another value for it.
func (t tuple) with(name string, v value) tuple {
	for i, n := range t.names {
		if n == name {
			vals := append([]value(nil), t.vals...)
			vals[i] = v
			t.vals = vals
			return t
		}
	}
	t.names = append(t.names[:len(t.names):len(t.names)], name)
	t.vals = append(t.vals[:len(t.vals):len(t.vals)], v)
	return t
}

// frame is the scope in which the tuple's variables are known.
func (t tuple) frame(env *frame) *frame {
	return &frame{parent: env, names: t.names[:len(t.names):len(t.names)], vals: t.vals[:len(t.vals):len(t.vals)]}
}

// tupleValue is a stream of tuples as a value; read as an array it holds the items.
func tupleValue(tuples []tuple) value {
	items := make([]value, len(tuples))
	for i, t := range tuples {
		items[i] = t.at
	}
	return value{kind: kindArray, marks: markSequence | markTuples, node: &node{items: items, tuples: tuples}}
}

// stream is what flows through a path with bindings.
type stream struct {
	tuples []tuple
	// loose says that the items stand for the tuples themselves: to predicates and groupings behind a sort step the
	// reference library hands the tuples as objects, the item under "@" and the variables beside it.
	loose bool
}

// value is the stream as predicates and groupings see it.
func (s stream) value() value {
	if !s.loose {
		return tupleValue(s.tuples)
	}
	objects := make([]value, len(s.tuples))
	for i, t := range s.tuples {
		objects[i] = t.object()
	}
	return arrayValue(objects)
}

func (t tuple) object() value {
	n := &node{keys: append([]string{"@"}, t.names...), items: append([]value{t.at}, t.vals...)}
	return value{kind: kindObject, node: n}
}

func startTuples(inputs []value) []tuple {
	tuples := make([]tuple, 0, len(inputs))
	for _, in := range inputs {
		if in.defined() {
			tuples = append(tuples, tuple{at: in})
		}
	}
	return tuples
}

// tupleStep runs a step of a stream. fresh says that the stream starts here.
func (ev *evaluator) tupleStep(e *expr, in stream, inputs []value, fresh bool, env *frame) (stream, error) {
	if e.form == formSort {
		return ev.tupleSort(e, in, inputs, fresh, env)
	}
	var out []tuple
	for _, t := range in.tuples {
		v, err := ev.eval(e, t.at, t.frame(env))
		if err != nil {
			return in, err
		}
		if !v.defined() {
			continue
		}
		before := len(out)
		if v.kind == kindArray && v.marks&markTuples != 0 {
			for _, inner := range v.node.tuples {
				joined := t
				joined.at = inner.at
				for i, name := range inner.names {
					joined = joined.with(name, inner.vals[i])
				}
				out = append(out, joined)
			}
		} else {
			out = e.bindItems(out, t, asItems(v))
		}
		if err := ev.spend(4 * (len(out) - before)); err != nil {
			return in, err
		}
	}
	return ev.stages(e, stream{tuples: out}, env)
}

// bindItems appends a tuple for every item the step gave for t.
func (e *expr) bindItems(out []tuple, t tuple, items []value) []tuple {
	for i, item := range items {
		next := t
		if e.focus != "" {
			next = next.with(e.focus, item)
		} else {
			next.at = item
		}
		if e.index != "" {
			next = next.with(e.index, numberValue(float64(i)))
		}
		if e.ancestor != nil {
			next = next.with(e.ancestor.label, t.at)
		}
		out = append(out, next)
	}
	return out
}

// tupleSort is the sort step of a stream. When the stream starts with it, the positions after sorting can be bound.
func (ev *evaluator) tupleSort(e *expr, in stream, inputs []value, fresh bool, env *frame) (stream, error) {
	if !fresh {
		sorted, err := ev.sortedTuples(e, in.tuples, env)
		if err != nil {
			return in, err
		}
		return ev.stages(e, stream{sorted, in.loose || len(sorted) > 1}, env)
	}
	sorted, err := ev.sorted(e, inputs, env)
	if err != nil {
		return in, err
	}
	tuples := startTuples(sorted)
	if e.index != "" {
		for i := range tuples {
			tuples[i] = tuples[i].with(e.index, numberValue(float64(i)))
		}
	}
	return ev.stages(e, stream{tuples: tuples}, env)
}

// stages applies the predicates and index bindings of a step to a stream.
func (ev *evaluator) stages(e *expr, in stream, env *frame) (stream, error) {
	for _, s := range e.stages {
		if s.filter == nil {
			for i := range in.tuples {
				in.tuples[i] = in.tuples[i].with(s.index, numberValue(float64(i)))
			}
			continue
		}
		var err error
		if in.tuples, err = ev.filterTuples(s.filter, in, env); err != nil {
			return in, err
		}
	}
	return in, nil
}

func (ev *evaluator) filterTuples(predicate *expr, in stream, env *frame) ([]tuple, error) {
	var kept []tuple
	for i, t := range in.tuples {
		context, scope := t.at, env
		if in.loose {
			context = t.object()
		} else {
			scope = t.frame(env)
		}
		keep, err := ev.keeps(predicate, context, i, len(in.tuples), scope)
		if err != nil {
			return nil, err
		}
		for range keep {
			kept = append(kept, t)
		}
	}
	return kept, ev.spend(4 * len(kept))
}

// merged folds a group of tuples into one: values of the same variable are joined.
func (ev *evaluator) merged(tuples []tuple) (tuple, error) {
	if len(tuples) == 1 {
		return tuples[0], nil
	}
	var at joiner
	var names []string
	var vals []joiner
	for _, t := range tuples {
		if err := at.add(ev, t.at); err != nil {
			return t, err
		}
		for i, name := range t.names {
			k := slices.Index(names, name)
			if k < 0 {
				k = len(names)
				names, vals = append(names, name), append(vals, joiner{})
			}
			if err := vals[k].add(ev, t.vals[i]); err != nil {
				return t, err
			}
		}
	}
	out := tuple{at: at.value(), names: names, vals: make([]value, len(vals))}
	for i := range vals {
		out.vals[i] = vals[i].value()
	}
	return out, nil
}
