package jsonata

import "strconv"

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

// misfit is the failure of an argument that the signature lets through but the function cannot use; i counts from 0.
func (c call) misfit(name string, i int) error {
	return failure("T0410", 0, name, formatNumber(float64(i+1)))
}

// scripted is an argument as JavaScript turns it into a string where it expects one; a missing one reads "undefined".
func scripted(v value) string {
	// Arrays may share their parts, so that the work is bounded.
	budget := 10_000
	return string(appendScripted(nil, v, &budget))
}

func appendScripted(dst []byte, v value, budget *int) []byte {
	switch v.kind {
	case kindUndefined, kindNull:
		return append(dst, v.typeName()...)
	case kindBool:
		return strconv.AppendBool(dst, v.num != 0)
	case kindNumber:
		return append(dst, formatNumber(v.num)...)
	case kindObject:
		return append(dst, "[object Object]"...)
	case kindArray:
		for i, item := range v.items() {
			if *budget--; *budget < 0 {
				return dst
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			if item.kind != kindNull {
				dst = appendScripted(dst, item, budget)
			}
		}
		return dst
	}
	return append(dst, v.str...)
}
