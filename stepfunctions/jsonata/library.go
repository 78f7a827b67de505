package jsonata

// builtins is the library by name.
var builtins = library()

// library collects the functions of all families. Every function has JSONata's signature, and the number of parameters
// that decides what functions such as $map hand it.
func library() map[string]*callable {
	all := map[string]*callable{}
	for _, family := range []func(add func(name, sig string, arity int, native func(call) (value, error))){
		stringFunctions, patternFunctions, encodingFunctions, numberFunctions, pictureFunctions, aggregateFunctions,
		arrayFunctions, objectFunctions, orderFunctions, generalFunctions, stepFunctions,
	} {
		family(func(name, sig string, arity int, native func(call) (value, error)) {
			fn := &callable{name: name, arity: arity, native: native}
			if sig != "" {
				// The signatures are constants; a test parses every one of them.
				fn.sig, _ = parseSignature(sig)
			}
			fn.value = functionValue(fn)
			all[name] = fn
		})
	}
	return all
}

type adder = func(name, sig string, arity int, native func(call) (value, error))

// function returns an argument that is a function; nil when it is left out.
func (c call) function(i int) *callable {
	if v := c.arg(i); v.kind == kindFunction {
		return v.node.fn
	}
	return nil
}
