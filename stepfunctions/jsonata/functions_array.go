package jsonata

import "math"

func arrayFunctions(add adder) {
	add("append", "<xx:a>", 2, func(c call) (value, error) { return c.ev.append(c.arg(0), c.arg(1)) })
	add("reverse", "<a:a>", 1, reverse)
	add("distinct", "<x:x>", 1, distinct)
	add("zip", "<a+>", 0, zip)
	add("map", "<af>", 2, mapFunction)
	add("filter", "<af>", 2, filterFunction)
	add("single", "<af?>", 2, single)
	add("reduce", "<afj?:j>", 3, reduce)
}

// append joins two values. The result has room for more at its end, which the next append to it takes, so that building
// an array item by item does not copy it every time.
func (ev *evaluator) append(a, b value) (value, error) {
	if !a.defined() {
		return b, nil
	}
	if !b.defined() {
		return a, nil
	}
	left, right := asItems(a), asItems(b)
	if len(left)+len(right) > maxItems {
		return value{}, bound(tooBig, 0)
	}
	if a.kind == kindArray && a.node.room {
		a.node.room = false
		left = left[:len(left):cap(left)]
	} else {
		if err := ev.spend(len(left)); err != nil {
			return value{}, err
		}
		left = append(make([]value, 0, 2*len(left)+len(right)), left...)
	}
	return value{kind: kindArray, node: &node{items: append(left, right...), room: true}}, ev.spend(len(right))
}

func reverse(c call) (value, error) {
	v := c.arg(0)
	if !v.defined() {
		return value{}, nil
	}
	items := v.items()
	if len(items) <= 1 {
		return v, nil
	}
	if err := c.ev.spend(len(items)); err != nil {
		return value{}, err
	}
	out := make([]value, len(items))
	for i, item := range items {
		out[len(items)-1-i] = item
	}
	return arrayValue(out), nil
}

// distinct keeps the first of equal items. Strings and numbers are found through a set, the rest by comparing.
func distinct(c call) (value, error) {
	v := c.arg(0)
	if v.kind != kindArray || len(v.items()) <= 1 {
		return v, nil
	}
	type scalar struct {
		kind kind
		num  float64
		str  string
	}
	seen := map[scalar]bool{}
	var compound, out []value
	for _, item := range v.items() {
		if item.kind != kindArray && item.kind != kindObject && item.kind != kindFunction {
			s := scalar{item.kind, item.num, item.str}
			if item.kind == kindNumber {
				s.str = ""
			}
			if !seen[s] {
				seen[s] = true
				out = append(out, item)
			}
			continue
		}
		known := false
		for _, other := range compound {
			same, err := c.ev.equal(item, other, 0)
			if err != nil {
				return value{}, err
			}
			if err := c.ev.work(1); err != nil {
				return value{}, err
			}
			if known = same; known {
				break
			}
		}
		if !known {
			compound, out = append(compound, item), append(out, item)
		}
	}
	result := arrayValue(out)
	result.marks = v.marks & markSequence
	return result, c.ev.spend(len(out))
}

func zip(c call) (value, error) {
	shortest := math.MaxInt
	for _, arg := range c.args {
		shortest = min(shortest, len(asItems(arg)))
	}
	if len(c.args) == 0 {
		shortest = 0
	}
	if err := c.ev.spend(shortest * len(c.args)); err != nil {
		return value{}, err
	}
	out := make([]value, shortest)
	for i := range out {
		row := make([]value, len(c.args))
		for k, arg := range c.args {
			row[k] = arg.items()[i]
		}
		out[i] = arrayValue(row)
	}
	return arrayValue(out), nil
}

func mapFunction(c call) (value, error) {
	v, fn := c.arg(0), c.function(1)
	if !v.defined() || fn == nil {
		return value{}, nil
	}
	items := v.items()
	out := make([]value, 0, len(items))
	for i, item := range items {
		r, err := c.ev.each(fn, item, numberValue(float64(i)), v)
		if err != nil {
			return value{}, err
		}
		if r.defined() {
			out = append(out, r)
		}
	}
	return sequenceValue(out), c.ev.spend(len(out))
}

func filterFunction(c call) (value, error) {
	v, fn := c.arg(0), c.function(1)
	if !v.defined() || fn == nil {
		return value{}, nil
	}
	var out []value
	for i, item := range v.items() {
		r, err := c.ev.each(fn, item, numberValue(float64(i)), v)
		if err != nil {
			return value{}, err
		}
		yes, err := holds(r)
		if err != nil {
			return value{}, err
		}
		if yes {
			out = append(out, item)
		}
	}
	return sequenceValue(out), c.ev.spend(len(out))
}

func single(c call) (value, error) {
	v, fn := c.arg(0), c.function(1)
	if !v.defined() {
		return value{}, nil
	}
	var found value
	matched := false
	for i, item := range v.items() {
		hit := true
		if fn != nil {
			r, err := c.ev.each(fn, item, numberValue(float64(i)), v)
			if err != nil {
				return value{}, err
			}
			hit = truthy(r)
		}
		if !hit {
			continue
		}
		if matched {
			return value{}, failure("D3138", 0, "")
		}
		found, matched = item, true
	}
	if !matched {
		return value{}, failure("D3139", 0, "")
	}
	return found, nil
}

func reduce(c call) (value, error) {
	v, fn := c.arg(0), c.function(1)
	if !v.defined() || fn == nil {
		return value{}, nil
	}
	if fn.arity < 2 {
		return value{}, failure("D3050", 0, "")
	}
	items := v.items()
	result, from := c.arg(2), 0
	if !result.defined() && len(items) > 0 {
		result, from = items[0], 1
	}
	for i := from; i < len(items); i++ {
		args := []value{result, items[i], numberValue(float64(i)), v}
		var err error
		if result, err = c.ev.invoke(fn, args[:min(fn.arity, 4)]...); err != nil {
			return value{}, err
		}
	}
	return result, nil
}
