package jsonata

import "gust/stepfunctions/jsonata/ecmaregexp"

// maxNesting is how deep an expression may nest; the reference library runs out of stack at some such depth.
const maxNesting = 2000

// parser builds expressions from tokens by precedence climbing.
type parser struct {
	lex   lexer
	tok   token
	depth int
}

// powers are the binding powers of the operators that follow a value.
var powers = map[string]int{
	"(": 80, "[": 80, "@": 80, "#": 80, ".": 75, "{": 70,
	"*": 60, "/": 60, "%": 60, "+": 50, "-": 50, "&": 50,
	"=": 40, "!=": 40, "<": 40, "<=": 40, ">": 40, ">=": 40, "in": 40, "^": 40, "~>": 40, "?:": 40, "??": 40,
	"and": 30, "or": 25, "?": 20, ":=": 10,
}

const negatePower = 70

func parse(text string) (*expr, error) {
	p := &parser{lex: lexer{text: text}}
	if err := p.advance(true); err != nil {
		return nil, err
	}
	e, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, tokenFailure("S0201", p.tok)
	}
	return e, nil
}

// tokenFailure is a failure about a token; numbers and words are shown bare, everything else in quotes.
func tokenFailure(code string, t token, args ...string) *Error {
	e := failure(code, t.end, t.shown(), args...)
	if t.kind == tokenNumber || t.kind == tokenLiteral {
		e.Message = fill(messages[code], t.shown(), args)
	}
	return e
}

// advance reads the next token; prefix says that a value is expected there.
func (p *parser) advance(prefix bool) (err error) {
	p.tok, err = p.lex.next(prefix)
	return err
}

func (p *parser) is(op string) bool { return p.tok.kind == tokenOperator && p.tok.text == op }

// expect consumes the operator.
func (p *parser) expect(op string, prefix bool) error {
	if p.is(op) {
		return p.advance(prefix)
	}
	if p.tok.kind == tokenEnd {
		return tokenFailure("S0203", p.tok, `"`+op+`"`)
	}
	return tokenFailure("S0202", p.tok, `"`+op+`"`)
}

// expression reads an expression whose operators bind tighter than power.
func (p *parser) expression(power int) (*expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, failure("S0500", p.tok.end, "", formatNumber(maxNesting))
	}
	defer func() { p.depth-- }()
	t := p.tok
	if t.kind == tokenEnd {
		// Whoever waits for a closing symbol complains about that first; see resolve.
		return &expr{form: formEnd, pos: t.end}, nil
	}
	// The reference library takes a slash right after any first token for a division, so that [/x/] and (/x/) are faults.
	if err := p.advance(false); err != nil {
		return nil, err
	}
	left, err := p.prefix(t)
	if err != nil {
		return nil, err
	}
	for links := 0; p.tok.kind == tokenOperator && powers[p.tok.text] > power; links++ {
		if links > 5*maxNesting {
			return nil, failure("S0500", p.tok.end, "", formatNumber(5*maxNesting))
		}
		op := p.tok
		if err := p.advance(true); err != nil {
			return nil, err
		}
		if left, err = p.infix(op, left); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// prefix reads what starts with the token.
func (p *parser) prefix(t token) (*expr, error) {
	e := &expr{pos: t.end, text: t.text}
	switch t.kind {
	case tokenName:
		e.form = formName
		return e, nil
	case tokenVariable:
		e.form = formVariable
		return e, nil
	case tokenString:
		e.konst = stringValue(t.text)
		return e, nil
	case tokenNumber:
		e.konst = numberValue(t.num)
		return e, nil
	case tokenLiteral:
		e.konst = map[string]value{"true": trueValue, "false": falseValue, "null": nullValue}[t.text]
		return e, nil
	case tokenRegex:
		var err error
		e.form = formRegex
		e.regex, err = ecmaregexp.Compile(t.text, t.flags)
		if err != nil {
			return nil, failure("S0303", t.end, t.text, t.text, err.Error())
		}
		return e, nil
	}
	switch t.text {
	case "and", "or", "in":
		e.form = formName
		return e, nil
	case "*":
		e.form = formWildcard
		return e, nil
	case "**":
		e.form = formDescendant
		return e, nil
	case "%":
		e.form = formParent
		return e, nil
	case "-":
		operand, err := p.expression(negatePower)
		e.form, e.lhs = formNegate, operand
		return e, err
	case "(":
		return p.block(e)
	case "[":
		return p.array(e)
	case "{":
		e.form = formObject
		return e, p.object(e)
	case "|":
		return p.transform(e)
	}
	return nil, tokenFailure("S0211", t)
}

// infix reads the rest of an expression of which left and the operator are known.
func (p *parser) infix(t token, left *expr) (*expr, error) {
	e := &expr{pos: t.end, text: t.text, lhs: left}
	var err error
	switch t.text {
	case ".":
		e.form = formDot
	case "(":
		return p.call(e)
	case "[":
		return p.filter(e)
	case "{":
		e.form = formGroup
		return e, p.object(e)
	case "^":
		return p.sort(e)
	case "@", "#":
		if e.rhs, err = p.expression(powers[t.text]); err != nil {
			return nil, err
		}
		if e.rhs.form != formVariable {
			return nil, failure("S0214", e.rhs.pos, t.text)
		}
		e.form = formFocus
		if t.text == "#" {
			e.form = formIndex
		}
		return e, nil
	case ":=":
		if left.form != formVariable {
			return nil, p.notVariable(left)
		}
		e.form = formBind
		e.rhs, err = p.expression(powers[t.text] - 1)
		return e, err
	case "?":
		return p.condition(e)
	case "?:", "??":
		e.form = formElvis
		if t.text == "??" {
			e.form = formCoalesce
		}
		e.rhs, err = p.expression(0)
		return e, err
	case "~>":
		e.form = formApply
	default:
		e.form, e.op = formBinary, binaryOperators[t.text]
	}
	e.rhs, err = p.expression(powers[t.text])
	return e, err
}

func (p *parser) notVariable(left *expr) error {
	t := token{kind: tokenName, text: left.text, end: left.pos}
	if left.form == formLiteral && left.konst.kind == kindNumber {
		t.kind, t.num = tokenNumber, left.konst.num
	}
	return tokenFailure("S0212", t)
}

func (p *parser) block(e *expr) (*expr, error) {
	e.form = formBlock
	for !p.is(")") {
		part, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		e.list = append(e.list, part)
		if !p.is(";") {
			break
		}
		if err := p.advance(true); err != nil {
			return nil, err
		}
	}
	return e, p.expect(")", false)
}

// comma consumes a comma; false means that there is none. What a comma ends must be followed by another of its kind.
func (p *parser) comma() (bool, error) {
	if !p.is(",") {
		return false, nil
	}
	return true, p.advance(true)
}

func (p *parser) array(e *expr) (*expr, error) {
	e.form = formArray
	for more := !p.is("]"); more; {
		item, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if p.is("..") {
			item = &expr{form: formRange, pos: p.tok.end, text: "..", lhs: item}
			if err := p.advance(true); err != nil {
				return nil, err
			}
			if item.rhs, err = p.expression(0); err != nil {
				return nil, err
			}
		}
		e.list = append(e.list, item)
		if more, err = p.comma(); err != nil {
			return nil, err
		}
	}
	return e, p.expect("]", false)
}

// object reads the pairs of an object or a grouping, up to the closing brace.
func (p *parser) object(e *expr) error {
	for more := !p.is("}"); more; {
		key, err := p.expression(0)
		if err != nil {
			return err
		}
		if err := p.expect(":", true); err != nil {
			return err
		}
		val, err := p.expression(0)
		if err != nil {
			return err
		}
		e.pairs = append(e.pairs, pair{key, val})
		if more, err = p.comma(); err != nil {
			return err
		}
	}
	return p.expect("}", false)
}

func (p *parser) transform(e *expr) (*expr, error) {
	e.form = formTransform
	var err error
	if e.lhs, err = p.expression(0); err != nil {
		return nil, err
	}
	if err := p.expect("|", true); err != nil {
		return nil, err
	}
	if e.rhs, err = p.expression(0); err != nil {
		return nil, err
	}
	if p.is(",") {
		if err := p.advance(true); err != nil {
			return nil, err
		}
		if e.third, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	// Behind a transform, as behind [], a sort and a function, the reference library takes a slash for the start of a
	// regular expression.
	return e, p.expect("|", true)
}

func (p *parser) filter(e *expr) (*expr, error) {
	if p.is("]") {
		step := e.lhs
		for step.form == formFilter {
			step = step.lhs
		}
		step.keepArray = true
		return e.lhs, p.advance(true)
	}
	e.form = formFilter
	var err error
	if e.rhs, err = p.expression(0); err != nil {
		return nil, err
	}
	return e, p.expect("]", false)
}

func (p *parser) sort(e *expr) (*expr, error) {
	e.form = formSort
	if err := p.expect("(", true); err != nil {
		return nil, err
	}
	for more := true; more; {
		var t term
		if p.is("<") || p.is(">") {
			t.descending = p.is(">")
			if err := p.advance(true); err != nil {
				return nil, err
			}
		}
		var err error
		if t.by, err = p.expression(0); err != nil {
			return nil, err
		}
		e.terms = append(e.terms, t)
		if more, err = p.comma(); err != nil {
			return nil, err
		}
	}
	return e, p.expect(")", true)
}

func (p *parser) condition(e *expr) (*expr, error) {
	e.form = formCondition
	var err error
	if e.rhs, err = p.expression(0); err != nil {
		return nil, err
	}
	if p.is(":") {
		if err := p.advance(true); err != nil {
			return nil, err
		}
		e.third, err = p.expression(0)
	}
	return e, err
}

// call reads the arguments of a call, or a function definition.
func (p *parser) call(e *expr) (*expr, error) {
	e.form = formCall
	for more := !p.is(")"); more; {
		if p.is("?") {
			e.form = formPartial
			e.list = append(e.list, &expr{form: formPlaceholder, pos: p.tok.end, text: "?"})
			if err := p.advance(false); err != nil {
				return nil, err
			}
		} else {
			arg, err := p.expression(0)
			if err != nil {
				return nil, err
			}
			e.list = append(e.list, arg)
		}
		var err error
		if more, err = p.comma(); err != nil {
			return nil, err
		}
	}
	if err := p.expect(")", false); err != nil {
		return nil, err
	}
	if e.lhs.form == formName && (e.lhs.text == "function" || e.lhs.text == "λ") {
		return p.lambda(e)
	}
	return e, nil
}

func (p *parser) lambda(e *expr) (*expr, error) {
	e.form, e.lhs = formLambda, nil
	for i, arg := range e.list {
		if arg.form != formVariable {
			return nil, failure("S0208", arg.pos, arg.text, formatNumber(float64(i+1)))
		}
	}
	if p.is("<") {
		if err := p.signature(e); err != nil {
			return nil, err
		}
	}
	if err := p.expect("{", true); err != nil {
		return nil, err
	}
	var err error
	if e.rhs, err = p.expression(0); err != nil {
		return nil, err
	}
	return e, p.expect("}", true)
}

func (p *parser) signature(e *expr) error {
	pos := p.tok.end
	text := "<"
	for depth := 1; depth > 0; {
		if err := p.advance(false); err != nil {
			return err
		}
		if p.tok.kind == tokenEnd || p.is("{") {
			return p.expect(">", false)
		}
		switch {
		case p.is("<"):
			depth++
		case p.is(">"):
			depth--
		}
		text += p.tok.shown()
	}
	sig, err := parseSignature(text)
	if err != nil {
		err.Position += pos
		return err
	}
	e.sig = sig
	return p.advance(false)
}
