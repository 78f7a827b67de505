package jsonata

import "gust/stepfunctions/jsonata/ecmaregexp"

// form is the kind of an expression.
type form uint8

const (
	formLiteral form = iota // string, number, true, false, null
	formName
	formVariable
	formWildcard
	formDescendant
	formParent
	formRegex
	formBinary
	formNegate
	formArray
	formObject
	formRange
	formBlock
	formCall
	formPartial
	formPlaceholder
	formLambda
	formCondition
	formElvis    // a ?: b
	formCoalesce // a ?? b
	formBind
	formApply
	formTransform
	formSort
	formPath
	// The parser builds these; resolve turns them into paths and properties of steps.
	formDot
	formFilter
	formGroup
	formFocus
	formIndex
	formEnd // where an expression is missing at the end of the text
)

// expr is an expression: first as parsed, then resolved (dots and predicates folded into paths, parents found).
type expr struct {
	form form
	pos  int
	// text is a name, an operator or a variable's name.
	text  string
	konst value
	op    operator
	// lhs, rhs and third are operands: of a condition the test, then and else; of a transform the pattern, update, delete.
	lhs, rhs, third *expr
	// list holds arguments, array items, block statements, the steps of a path or the parameters of a lambda.
	list  []*expr
	pairs []pair
	terms []term

	// stages are the predicates and index bindings of a step, in order; predicates those of an expression outside a path.
	stages, predicates []stage
	group              *expr
	keepArray          bool
	keepSingleton      bool
	cons               bool
	focus, index       string
	// ancestor is the slot that some % further on needs this step's input for; seeking are slots not yet placed.
	ancestor *slot
	seeking  []*slot
	// slot is where a parent operator finds its value.
	slot *slot
	// tuple says that the step (or path) takes part in a stream of tuples.
	tuple bool
	// plain says of a path that all steps but the first are bare names; see evalPlain.
	plain bool

	sig     *signature
	regex   *ecmaregexp.Regexp
	builtin *callable
}

type pair struct{ key, val *expr }

type term struct {
	by         *expr
	descending bool
}

// stage is a predicate, or the binding of the position to a variable (index set).
type stage struct {
	filter *expr
	index  string
}

// slot is a place in the environment under which a step leaves its input for a parent operator.
type slot struct {
	label string
	level int
}

type operator uint8

const (
	opNone operator = iota
	opAdd
	opSub
	opMul
	opDiv
	opMod
	opEqual
	opNotEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opConcat
	opAnd
	opOr
	opIn
)

var binaryOperators = map[string]operator{"+": opAdd, "-": opSub, "*": opMul, "/": opDiv, "%": opMod, "=": opEqual, "!=": opNotEqual,
	"<": opLess, "<=": opLessEqual, ">": opGreater, ">=": opGreaterEqual, "&": opConcat, "and": opAnd, "or": opOr, "in": opIn}

// typeName is the reference library's name of the form, which S0217 shows as its token.
func (e *expr) typeName() string {
	switch e.form {
	case formPath:
		return "path"
	case formParent:
		return "parent"
	case formVariable:
		return "variable"
	case formCall:
		return "function"
	case formBlock:
		return "block"
	case formCondition, formElvis, formCoalesce:
		return "condition"
	case formArray, formObject, formNegate:
		return "unary"
	case formSort:
		return "sort"
	case formDescendant:
		return "descendant"
	case formApply:
		return "apply"
	case formBind:
		return "bind"
	case formLambda:
		return "lambda"
	case formPartial:
		return "partial"
	case formTransform:
		return "transform"
	case formRegex:
		return "regex"
	case formLiteral:
		if e.konst.kind == kindString || e.konst.kind == kindNumber {
			return e.konst.typeName()
		}
		return "value"
	default:
		return "binary"
	}
}
