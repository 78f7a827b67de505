package jsonata

func generalFunctions(add adder) {
	add("boolean", "<x-:b>", 1, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		yes, err := holds(c.arg(0))
		return boolValue(yes), err
	})
	add("not", "<x-:b>", 1, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		yes, err := holds(c.arg(0))
		return boolValue(!yes), err
	})
	add("exists", "<x:b>", 1, func(c call) (value, error) { return boolValue(c.arg(0).defined()), nil })
	add("type", "<x:s>", 1, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		return stringValue(c.arg(0).typeName()), nil
	})
	add("error", "<s?:x>", 1, func(c call) (value, error) {
		return value{}, failure("D3137", 0, "error", c.message(0, "$error() function evaluated"))
	})
	add("assert", "<bs?:x>", 2, func(c call) (value, error) {
		if c.arg(0).isTrue() {
			return value{}, nil
		}
		return value{}, failure("D3141", 0, "assert", c.message(1, "$assert() statement failed"))
	})
}

func (c call) message(i int, otherwise string) string {
	if v := c.arg(i); v.kind == kindString && v.str != "" {
		return v.str
	}
	return otherwise
}
