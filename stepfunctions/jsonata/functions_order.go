package jsonata

func orderFunctions(add adder) {
	add("sort", "<af?:a>", 2, sortFunction)
	add("shuffle", "<a:a>", 1, shuffle)
}

func sortFunction(c call) (value, error) {
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
	after := func(a, b value) (bool, error) { return compareValues(a, b) > 0, c.ev.work(1) }
	if fn := c.function(1); fn != nil {
		after = func(a, b value) (bool, error) {
			r, err := c.ev.invoke(fn, a, b)
			return present(r), err
		}
	} else if err := orderable(items); err != nil {
		return value{}, err
	}
	sorted, err := mergeSort(items, after)
	if err != nil {
		return value{}, err
	}
	return arrayValue(sorted), nil
}

// present is JavaScript's idea of truth, by which the reference library takes a comparison's answer.
func present(v value) bool {
	switch v.kind {
	case kindArray, kindObject, kindFunction:
		return true
	}
	return truthy(v)
}

// orderable checks that items are all numbers or all strings.
func orderable(items []value) error {
	numbers, strings := 0, 0
	for _, item := range items {
		ok, err := numeric(item)
		switch {
		case err != nil:
			return err
		case ok:
			numbers++
		case item.kind == kindString:
			strings++
		}
	}
	if numbers != len(items) && strings != len(items) {
		return failure("D3070", 0, "sort")
	}
	return nil
}

// shuffle is Fisher and Yates's, with the environment's random numbers.
func shuffle(c call) (value, error) {
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
	out := append([]value(nil), items...)
	for i := len(out) - 1; i > 0; i-- {
		k := int(c.ev.random() % uint64(i+1))
		out[i], out[k] = out[k], out[i]
	}
	return arrayValue(out), nil
}
