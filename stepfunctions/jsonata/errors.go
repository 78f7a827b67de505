package jsonata

import (
	"errors"
	"strings"
)

// Error is a failure of parsing or evaluating, in JSONata's terms.
type Error struct {
	// Code is JSONata's code: S0xxx for the text, T0xxx..T2xxx for types, D1xxx..D3xxx for values. It is empty when a bound
	// of [Limits] was reached, for which AWS shows no code.
	Code string
	// Message is the reference library's sentence, without the code.
	Message string
	// Position is the offset in bytes just behind the token the failure is about; 0 when there is none.
	Position int
	// Token is what the failure is about: the symbol, operator or function name.
	Token string

	// args are the texts filled into the sentence, kept while the token is not known.
	args []string
}

// Error returns the code and the sentence.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}

// ErrFunctionResult says that an expression's result is or holds a function, which JSON cannot say.
var ErrFunctionResult = errors.New("the result of the expression is or holds a function, expected JSON; call the function")

// messages are the sentences by code. {} stands for the next argument, {t} for the token.
var messages = map[string]string{
	"S0101": "String literal must be terminated by a matching quote",
	"S0102": "Number out of range: {t}",
	"S0103": `Unsupported escape sequence: \{t}`,
	"S0104": `The escape sequence \u must be followed by 4 hex digits`,
	"S0105": "Quoted property name must be terminated with a backquote (`)",
	"S0106": "Comment has no closing tag",
	"S0201": "Syntax error: {t}",
	"S0202": "Expected {}, got {t}",
	"S0203": "Expected {} before end of expression",
	"S0204": "Unknown operator: {t}",
	"S0207": "Unexpected end of expression",
	"S0208": "Parameter {} of function definition must be a variable name (start with $)",
	"S0209": "A predicate cannot follow a grouping expression in a step",
	"S0210": "Each step can only have one grouping expression",
	"S0211": "The symbol {t} cannot be used as a unary operator",
	"S0212": "The left side of := must be a variable name (start with $)",
	"S0213": "The literal value {} cannot be used as a step within a path expression",
	"S0214": "The right side of {t} must be a variable name (start with $)",
	"S0215": "A context variable binding must precede any predicates on a step",
	"S0216": "A context variable binding must precede the 'order-by' clause on a step",
	"S0217": "The object representing the 'parent' cannot be derived from this expression",
	"S0301": "Empty regular expressions are not allowed",
	"S0302": "No terminating / in regular expression",
	"S0303": "The regular expression /{}/ is not valid: {}",
	"S0401": "Type parameters can only be applied to functions and arrays",
	"S0402": "Choice groups containing parameterized types are not supported",
	"S0500": "The expression nests deeper than {} levels",

	"T0410": "Argument {} of function {t} does not match function signature",
	"T0411": "Context value is not a compatible type with argument {} of function {t}",
	"T0412": "Argument {} of function {t} must be an array of {}",
	"T1003": "Key in object structure must evaluate to a string; got: {}",
	"T1005": "Attempted to invoke a non-function. Did you mean ${}?",
	"T1006": "Attempted to invoke a non-function",
	"T1007": "Attempted to partially apply a non-function. Did you mean ${}?",
	"T1008": "Attempted to partially apply a non-function",
	"T1010": "The matcher function argument passed to function {t} does not return the correct object structure",
	"T2001": "The left side of the {t} operator must evaluate to a number",
	"T2002": "The right side of the {t} operator must evaluate to a number",
	"T2003": "The left side of the range operator (..) must evaluate to an integer",
	"T2004": "The right side of the range operator (..) must evaluate to an integer",
	"T2006": "The right side of the function application operator ~> must be a function",
	"T2007": "Type mismatch when comparing values {} and {} in order-by clause",
	"T2008": "The expressions within an order-by clause must evaluate to numeric or string values",
	"T2009": "The values {} and {} either side of operator {t} must be of the same data type",
	"T2010": "The expressions either side of operator {t} must evaluate to numeric or string values",
	"T2011": "The insert/update clause of the transform expression must evaluate to an object: {}",
	"T2012": "The delete clause of the transform expression must evaluate to a string or array of strings: {}",

	"D1001": "Number out of range: {}",
	"D1002": "Cannot negate a non-numeric value: {}",
	"D1004": "Regular expression matches zero length string",
	"D1009": "Multiple key definitions evaluate to same key: {}",
	"D2014": "The size of the sequence allocated by the range operator (..) must not exceed 1e7.  Attempted to allocate {}.",
	"D3001": "Attempting to invoke string function on Infinity or NaN",
	"D3010": "Second argument of replace function cannot be an empty string",
	"D3011": "Fourth argument of replace function must evaluate to a positive number",
	"D3012": "Attempted to replace a matched string with a non-string value",
	"D3020": "Third argument of split function must evaluate to a positive number",
	"D3030": "Unable to cast value to a number: {}",
	"D3040": "Third argument of match function must evaluate to a positive number",
	"D3050": "The second argument of reduce function must be a function with at least two arguments",
	"D3060": "The sqrt function cannot be applied to a negative number: {}",
	"D3061": "The power function has resulted in a value that cannot be represented as a JSON number: base={}, exponent={}",
	"D3070": "The single argument form of the sort function can only be applied to an array of strings or an array of numbers." +
		"  Use the second argument to specify a comparison function",
	"D3137": "{}",
	"D3138": "The $single() function expected exactly 1 matching result.  Instead it matched more.",
	"D3139": "The $single() function expected exactly 1 matching result.  Instead it matched 0.",
	"D3140": "Malformed URL passed to ${}(): {}",
	"D3141": "{}",
}

// The sentences for bounds, as AWS shows them.
const (
	tooDeep = "Stack overflow error: Check for non-terminating recursive function.  Consider rewriting as tail-recursive."
	tooLong = "Expression evaluation timeout: Check for infinite loop"
	tooBig  = "Expression evaluation memory limit exceeded: Check for excessive memory usage"
)

// bound is the error of a bound that was reached.
func bound(message string, position int) *Error { return &Error{Message: message, Position: position} }

// failure builds the error of a code. Arguments are the texts for the placeholders, quoted by the caller where the
// sentence quotes them.
func failure(code string, position int, token string, args ...string) *Error {
	e := &Error{Code: code, Position: position, Token: token, args: args}
	e.fill()
	return e
}

// fill writes the sentence. A nameless function is undefined in the reference library's words.
func (e *Error) fill() {
	shown := "undefined"
	if e.Token != "" {
		shown = `"` + e.Token + `"`
	}
	e.Message = fill(messages[e.Code], shown, e.args)
}

func fill(template, token string, args []string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(template, '{')
		if i < 0 {
			b.WriteString(template)
			return b.String()
		}
		b.WriteString(template[:i])
		switch template = template[i:]; {
		case strings.HasPrefix(template, "{t}"):
			b.WriteString(token)
			template = template[len("{t}"):]
		case strings.HasPrefix(template, "{}"):
			if len(args) > 0 {
				b.WriteString(args[0])
				args = args[1:]
			}
			template = template[len("{}"):]
		default:
			b.WriteByte('{')
			template = template[1:]
		}
	}
}

// at fills in the place of a failure raised where none was known, such as inside a function.
func at(err error, position int, token string) error {
	var e *Error
	if !errors.As(err, &e) || e.Position != 0 {
		return err
	}
	e.Position = position
	if e.Token == "" && token != "" {
		if e.Token = token; messages[e.Code] != "" {
			e.fill()
		}
	}
	return err
}
