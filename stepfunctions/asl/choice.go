package asl

import (
	"slices"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// operand says what an operator is compared with.
type operand uint8

const (
	anyOperand operand = iota
	boolOperand
	stringOperand
	numberOperand
	timestampOperand
)

// operators maps each comparison that takes a literal to the literal's type. All but the Is... and StringMatches
// operators also exist with the suffix Path.
var operators = func() map[string]operand {
	ops := map[string]operand{"BooleanEquals": boolOperand, "StringMatches": stringOperand}
	for _, name := range []string{"IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"} {
		ops[name] = boolOperand
	}
	for _, suffix := range []string{"Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals"} {
		ops["String"+suffix] = stringOperand
		ops["Numeric"+suffix] = numberOperand
		ops["Timestamp"+suffix] = timestampOperand
	}
	return ops
}()

// operator finds a comparison by its field name.
func operator(name string) (literal operand, isPath, ok bool) {
	if literal, ok = operators[name]; ok {
		return literal, false, true
	}
	base, cut := strings.CutSuffix(name, "Path")
	if !cut || strings.HasPrefix(base, "Is") || base == "StringMatches" {
		return anyOperand, false, false
	}
	literal, ok = operators[base]
	return literal, true, ok
}

// comparisons lists the names of all operators in the order in which AWS names them.
var comparisons = []string{
	"StringEquals", "IsBoolean", "StringLessThan", "IsNumeric", "BooleanEquals", "StringLessThanEqualsPath", "NumericLessThan",
	"NumericGreaterThan", "NumericLessThanPath", "StringMatches", "TimestampLessThanEqualsPath", "NumericEquals",
	"TimestampGreaterThan", "StringGreaterThanEqualsPath", "TimestampGreaterThanEqualsPath", "TimestampLessThanEquals",
	"NumericLessThanEqualsPath", "TimestampEquals", "BooleanEqualsPath", "IsTimestamp", "StringLessThanEquals",
	"NumericLessThanEquals", "StringLessThanPath", "TimestampGreaterThanPath", "StringGreaterThan", "StringGreaterThanPath",
	"IsString", "StringEqualsPath", "TimestampEqualsPath", "TimestampLessThan", "StringGreaterThanEquals", "NumericGreaterThanPath",
	"NumericGreaterThanEquals", "NumericEqualsPath", "TimestampLessThanPath", "IsNull", "IsPresent", "TimestampGreaterThanEquals",
	"NumericGreaterThanEqualsPath",
}

// The fields of rules: a rule of the state's own list goes somewhere, one inside And, Or or Not does not.
var (
	innerRuleFields = &fieldSet{both: []string{"Comment"},
		jsonPath: slices.Concat([]string{"And", "Or", "Not", "Variable"}, comparisons), jsonata: []string{"Condition"}}
	ruleFields = &fieldSet{both: slices.Concat(innerRuleFields.both, []string{"Next", "Assign"}),
		jsonPath: innerRuleFields.jsonPath, jsonata: []string{"Condition", "Output"}}
)

func (p *parser) choiceState(s *State, o *object) {
	c := &ChoiceFields{Default: o.str("Default")}
	s.Choice = c
	o.required("Choices")
	o.notEmpty("Choices")
	for _, r := range o.entries("Choices") {
		r.allow(ruleFields)
		r.required("Next")
		rule := &Rule{Next: r.str("Next"), Assign: r.assign(), Output: r.output(), location: r.location}
		rule.Condition = p.rule(r)
		c.Rules = append(c.Rules, rule)
	}
}

// rule reads what decides a top-level rule.
func (p *parser) rule(o *object) *Condition {
	if o.language != JSONata {
		return p.condition(o, 1)
	}
	if !o.required("Condition") {
		return nil
	}
	v, _ := o.v.Get("Condition")
	switch {
	case v.Kind() == jsonvalue.String && o.isExpression(v.Text(), o.field("Condition")):
		return &Condition{Expression: o.expression(v.Text(), o.field("Condition"))}
	case v.Kind() != jsonvalue.Bool:
		o.wrongType("Condition", "Boolean")
	}
	return &Condition{Literal: v}
}

const maxConditionDepth = 100

// condition reads a comparison or a combination of them.
func (p *parser) condition(o *object, depth int) *Condition {
	o.str("Comment")
	if depth > maxConditionDepth {
		p.errorf(CodeTooDeeplyNested, o.at(), "Conditions may nest at most %d deep", maxConditionDepth)
		return nil
	}
	forms := []string{"And", "Or", "Not", "Variable"}
	form := ""
	given := 0
	for _, name := range forms {
		if o.has(name) {
			form = name
			given++
		}
	}
	if given != 1 {
		p.errorf(CodeSchema, o.at(), "The object must have only one of the following fields, [%s, Condition]",
			strings.Join(forms, ", "))
		return nil
	}
	c := &Condition{Op: form}
	switch form {
	case "And", "Or":
		o.notEmpty(form)
		for _, child := range o.entries(form) {
			c.Children = append(c.Children, p.innerCondition(child, depth))
		}
	case "Not":
		if child, ok := o.child("Not"); ok {
			c.Children = []*Condition{p.innerCondition(child, depth)}
		}
	default:
		p.comparison(c, o)
	}
	return c
}

func (p *parser) innerCondition(o *object, depth int) *Condition {
	o.allow(innerRuleFields)
	return p.condition(o, depth+1)
}

func (p *parser) comparison(c *Condition, o *object) {
	c.Variable = o.operand("Variable")
	if !o.single(true, comparisons...) {
		return
	}
	c.Op = comparisons[slices.IndexFunc(comparisons, o.has)]
	literal, isPath, _ := operator(c.Op)
	if isPath {
		c.OtherPath = o.operand(c.Op)
		return
	}
	c.Literal, _ = o.v.Get(c.Op)
	kind := c.Literal.Kind()
	switch {
	case literal == boolOperand && kind != jsonvalue.Bool:
		o.wrongType(c.Op, "Boolean")
	case literal == numberOperand && kind != jsonvalue.Number:
		o.wrongType(c.Op, "Number")
	case (literal == stringOperand || literal == timestampOperand) && kind != jsonvalue.String:
		o.wrongType(c.Op, "String")
	case literal == timestampOperand:
		if _, err := ParseTimestamp(c.Literal.Text()); err != nil {
			p.errorf(CodeSchema, o.field(c.Op), "String does not match RFC3339 timestamp")
		}
	}
}
