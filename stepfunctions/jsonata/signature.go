package jsonata

import "strings"

// signature is what a function says about its arguments, such as <s-nn?:s>.
type signature struct{ params []parameter }

// parameter accepts values whose letter is in kinds. Letters: s string, n number, b boolean, l null, a array, o object,
// f function, m missing.
type parameter struct {
	kinds string
	// array turns a single value into an array of one; sub is the letter its items must have.
	array bool
	sub   string
	// context takes the context value when the argument is left out.
	context            bool
	optional, repeated bool
}

// subtypes are the words for the items of typed arrays.
var subtypes = map[byte]string{'a': "arrays", 'b': "booleans", 'f': "functions", 'n': "numbers", 'o': "objects", 's': "strings"}

// parseSignature reads <...>. The position of its error counts from the start of the signature. Letters it does not know are passed over, as in the reference library.
func parseSignature(text string) (*signature, *Error) {
	sig := &signature{}
	for i := 1; i < len(text) && text[i] != ':'; i++ {
		last := len(sig.params) - 1
		switch c := text[i]; c {
		case 's', 'n', 'b', 'l', 'o':
			sig.params = append(sig.params, parameter{kinds: string(c) + "m"})
		case 'a':
			sig.params = append(sig.params, parameter{kinds: "asnblfom", array: true})
		case 'f':
			sig.params = append(sig.params, parameter{kinds: "f"})
		case 'j':
			sig.params = append(sig.params, parameter{kinds: "asnblom"})
		case 'x':
			sig.params = append(sig.params, parameter{kinds: "asnblfom"})
		case '(':
			end := closing(text, i, '(', ')')
			choice := text[i+1 : end]
			if strings.Contains(choice, "<") {
				return nil, failure("S0402", i, "")
			}
			sig.params = append(sig.params, parameter{kinds: choice + "m"})
			i = end
		case '<':
			if last < 0 || (!sig.params[last].array && sig.params[last].kinds != "f") {
				return nil, failure("S0401", i, "")
			}
			end := closing(text, i, '<', '>')
			sig.params[last].sub = text[i+1 : end]
			i = end
		case '-', '?', '+':
			if last < 0 {
				continue
			}
			sig.params[last].context = sig.params[last].context || c == '-'
			sig.params[last].optional = sig.params[last].optional || c != '+'
			sig.params[last].repeated = sig.params[last].repeated || c == '+'
		}
	}
	return sig, nil
}

// closing returns the index of the bracket that closes the one at start, or the last index.
func closing(text string, start int, open, shut byte) int {
	depth := 0
	for i := start; i < len(text); i++ {
		switch text[i] {
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text) - 1
}

// letter is the letter of the value's type in signatures.
func (v value) letter() byte {
	const letters = "mlbnsaof"
	return letters[v.kind]
}

// maxTries bounds the search for how arguments meet parameters, which several repeated parameters can make long.
const maxTries = 10_000

// match finds how many arguments each parameter takes, the first as many as they can. whole says that none may be left.
func (s *signature) match(params []parameter, args []value, taken []int, whole bool) bool {
	tries := 0
	return matchParameters(params, args, taken, whole, &tries)
}

func matchParameters(params []parameter, args []value, taken []int, whole bool, tries *int) bool {
	if *tries++; *tries > maxTries {
		return false
	}
	if len(params) == 0 {
		return !whole || len(args) == 0
	}
	p := params[0]
	most, least := 1, 1
	if p.optional {
		least = 0
	}
	if p.repeated {
		most = len(args)
	}
	n := 0
	for n < most && n < len(args) && strings.IndexByte(p.kinds, args[n].letter()) >= 0 {
		n++
	}
	for ; n >= least; n-- {
		if matchParameters(params[1:], args[n:], taken[1:], whole, tries) {
			taken[0] = n
			return true
		}
	}
	return false
}

// direct reports whether every argument meets its parameter one to one and unchanged, which is the usual case.
func (s *signature) direct(args []value) bool {
	if len(args) != len(s.params) {
		return false
	}
	for i := range s.params {
		p := &s.params[i]
		if p.array || p.repeated || strings.IndexByte(p.kinds, args[i].letter()) < 0 {
			return false
		}
	}
	return true
}

// validate returns the arguments as the function gets them.
func (s *signature) validate(args []value, context value, name string) ([]value, error) {
	if s.direct(args) {
		return args, nil
	}
	taken := make([]int, len(s.params))
	if !s.match(s.params, args, taken, true) {
		return nil, s.mismatch(args, name)
	}
	out := make([]value, 0, len(s.params))
	next := 0
	argument := func(i int) value {
		if i < len(args) {
			return args[i]
		}
		return value{}
	}
	for i, p := range s.params {
		switch {
		case taken[i] == 0 && p.context:
			if strings.IndexByte(p.kinds, context.letter()) < 0 {
				return nil, failure("T0411", 0, name, formatNumber(float64(next+1)))
			}
			out = append(out, context)
		case taken[i] == 0:
			out = append(out, argument(next))
			next++
		default:
			for range taken[i] {
				arg := argument(next)
				next++
				if p.array && arg.defined() {
					if !p.fits(arg) {
						return nil, failure("T0412", 0, name, formatNumber(float64(next)), `"`+subtypes[p.sub[0]]+`"`)
					}
					if arg.kind != kindArray {
						arg = sequenceValue([]value{arg})
						arg.marks = 0
					}
				}
				out = append(out, arg)
			}
		}
	}
	return out, nil
}

// fits checks the items of an array parameter.
func (p *parameter) fits(arg value) bool {
	if p.sub == "" {
		return true
	}
	if arg.kind != kindArray {
		return p.sub == string(arg.letter())
	}
	for _, item := range arg.items() {
		if item.letter() != p.sub[0] {
			return false
		}
	}
	return true
}

// mismatch tells which argument was the first that fits no parameter.
func (s *signature) mismatch(args []value, name string) error {
	good := 0
	for n := 1; n <= len(s.params); n++ {
		taken := make([]int, n)
		if !s.match(s.params[:n], args, taken, false) {
			break
		}
		good = 0
		for _, t := range taken {
			good += t
		}
	}
	return failure("T0410", 0, name, formatNumber(float64(good+1)))
}
