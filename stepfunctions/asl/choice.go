package asl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gust/stepfunctions/jsonpath"
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

func (p *parser) choiceState(s *State, o *object) {
	s.InputPath, s.OutputPath = o.selector("InputPath"), o.selector("OutputPath")
	s.Assign = o.assign()
	c := &ChoiceFields{Default: o.str("Default")}
	s.Choice = c
	o.required("Choices")
	rules, _ := o.list("Choices")
	if o.has("Choices") && len(rules) == 0 {
		p.errorf(CodeSchema, o.field("Choices"), "The field 'Choices' must not be empty")
	}
	for i, v := range rules {
		location := fmt.Sprintf("%s/Choices/%d", s.Location, i)
		if v.Kind() != jsonvalue.Object {
			p.errorf(CodeSchema, location, "Expected value of type Object")
			continue
		}
		r := p.open(v, location)
		r.required("Next")
		rule := &Rule{Next: r.str("Next"), Assign: r.assign()}
		rule.Condition = p.condition(r, 1)
		c.Rules = append(c.Rules, rule)
	}
}

const maxConditionDepth = 100

// condition reads a comparison or a combination of them.
func (p *parser) condition(o *object, depth int) *Condition {
	o.str("Comment")
	defer o.done()
	if depth > maxConditionDepth {
		p.errorf(CodeTooDeeplyNested, o.at(), "Conditions may nest at most %d deep", maxConditionDepth)
		return nil
	}
	if o.has("Condition") {
		o.used["Condition"] = true
		p.errorf(CodeSchema, o.field("Condition"), "The field 'Condition' is only supported with the query language JSONata")
		return nil
	}
	var found []string
	for i := range o.v.Len() {
		key := o.v.Key(i)
		if _, _, ok := operator(key); ok || key == "And" || key == "Or" || key == "Not" {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		for _, key := range found {
			o.used[key] = true
		}
		o.used["Variable"] = true
		p.errorf(CodeSchema, o.at(), "Exactly one comparison operator is required but found: [%s]", strings.Join(found, ", "))
		return nil
	}
	c := &Condition{Op: found[0]}
	switch c.Op {
	case "And", "Or":
		items, _ := o.list(c.Op)
		if len(items) == 0 {
			p.errorf(CodeSchema, o.field(c.Op), "The field '%s' must not be empty", c.Op)
		}
		for i, v := range items {
			c.Children = append(c.Children, p.innerCondition(v, fmt.Sprintf("%s/%s/%d", o.location, c.Op, i), depth))
		}
	case "Not":
		v, _ := o.get("Not")
		c.Children = []*Condition{p.innerCondition(v, o.field("Not"), depth)}
	default:
		p.comparison(c, o)
	}
	return c
}

func (p *parser) innerCondition(v jsonvalue.Value, location string, depth int) *Condition {
	if v.Kind() != jsonvalue.Object {
		p.errorf(CodeSchema, location, "Expected value of type Object")
		return nil
	}
	return p.condition(p.open(v, location), depth+1)
}

func (p *parser) comparison(c *Condition, o *object) {
	if o.required("Variable") {
		c.Variable = p.path(o.str("Variable"), o.field("Variable"))
	}
	literal, isPath, _ := operator(c.Op)
	if isPath {
		c.OtherPath = p.path(o.str(c.Op), o.field(c.Op))
		return
	}
	c.Literal, _ = o.get(c.Op)
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

func (c *Condition) paths(visit func(*jsonpath.Path)) {
	if c.Variable != nil {
		visit(c.Variable)
	}
	if c.OtherPath != nil {
		visit(c.OtherPath)
	}
	for _, child := range c.Children {
		child.paths(visit)
	}
}

// paths calls visit with every path of the state itself, inner states excluded.
func (s *State) paths(visit func(*jsonpath.Path)) {
	path := func(p *jsonpath.Path) {
		if p != nil {
			visit(p)
		}
	}
	template := func(t *Template) {
		if t != nil {
			t.Paths(visit)
		}
	}
	for _, sel := range []*Selector{s.InputPath, s.OutputPath} {
		if sel != nil {
			path(sel.Path)
		}
	}
	template(s.Parameters)
	template(s.ResultSelector)
	template(s.Assign)
	for _, c := range s.Catch {
		template(c.Assign)
	}
	if t := s.Task; t != nil {
		template(t.Credentials)
		for _, sec := range []*Seconds{t.Timeout, t.Heartbeat} {
			if sec != nil {
				path(sec.Path)
			}
		}
	}
	if w := s.Wait; w != nil {
		path(w.TimestampPath)
		if w.Seconds != nil {
			path(w.Seconds.Path)
		}
	}
	if f := s.Fail; f != nil {
		for _, src := range []*TextSource{f.Error, f.Cause} {
			src.paths(visit)
		}
	}
	if c := s.Choice; c != nil {
		for _, r := range c.Rules {
			r.Condition.paths(visit)
			template(r.Assign)
		}
	}
	if m := s.Map; m != nil {
		path(m.ItemsPath)
		if m.MaxConcurrency != nil {
			path(m.MaxConcurrency.Path)
		}
	}
}

func (t *TextSource) paths(visit func(*jsonpath.Path)) {
	if t == nil {
		return
	}
	if t.Path != nil {
		visit(t.Path)
	}
	if t.Call != nil {
		t.Call.Paths(visit)
	}
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
