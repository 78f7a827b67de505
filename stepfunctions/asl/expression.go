package asl

import (
	"errors"
	"strings"

	"gust/stepfunctions/jsonata"
)

// Expression is a JSONata expression of a definition.
type Expression struct {
	// Written is the text with its delimiters.
	Written string
	// Text is the text between the delimiters, without the spaces around it, as AWS's errors quote it.
	Text string
	// Field is the place in its state, such as Output/total, Choices[0]/Condition or Assign/name, as AWS's errors name it.
	Field string
	// Expr is the compiled text.
	Expr *jsonata.Expr
}

const (
	openDelimiter  = "{%"
	closeDelimiter = "%}"
)

// IsExpression reports whether a string of a JSONata state is an expression: it starts with {% and ends with %}.
func IsExpression(text string) bool {
	return len(text) >= len(openDelimiter)+len(closeDelimiter) && strings.HasPrefix(text, openDelimiter) &&
		strings.HasSuffix(text, closeDelimiter)
}

// isExpression tells expressions from plain strings and reports what is neither: a text with one delimiter missing or
// with something around them.
func (o *object) isExpression(text, location string) bool {
	if IsExpression(text) {
		return true
	}
	bare := strings.TrimSpace(text)
	if strings.HasPrefix(bare, openDelimiter) || strings.HasSuffix(bare, closeDelimiter) {
		o.p.errorf(CodeSchema, location, "JSONata string must start with {%% and end with %%}")
	}
	return false
}

// expression compiles an expression and checks what it reads.
func (o *object) expression(text, location string) *Expression {
	e := &Expression{
		Written: text,
		Text:    strings.TrimSpace(text[len(openDelimiter) : len(text)-len(closeDelimiter)]),
		Field:   strings.TrimPrefix(location, o.state+"/"),
	}
	expr, err := jsonata.Compile(e.Text)
	if err != nil {
		message := err.Error()
		var syntax *jsonata.Error
		if errors.As(err, &syntax) {
			// AWS leaves the code out.
			message = syntax.Message
		}
		o.p.errorf(CodeExpression, location, "%s", message)
		return nil
	}
	e.Expr = expr
	o.checkReferences(expr, location)
	return e
}

// checkReferences reports what the expression reads and does not exist: a context item, which AWS has none of, and fields
// of $states that are not there where the expression stands. Each is reported once.
func (o *object) checkReferences(expr *jsonata.Expr, location string) {
	for _, name := range expr.ContextReferences() {
		if name == "$$" {
			o.p.errorf(CodeUnsupported, location, "Reference to '$$' is not supported.")
		} else {
			o.p.errorf(CodeUnsupported, location, "Reference to '%s' at the top level is not supported.", name)
		}
	}
	known := map[string]bool{"input": true, "context": true, "result": o.scope.result, "errorOutput": o.scope.errorOutput}
	reported := map[string]bool{}
	for _, r := range expr.References() {
		if r.Name != "states" || len(r.Path) == 0 || known[r.Path[0]] || reported[r.Path[0]] {
			continue
		}
		reported[r.Path[0]] = true
		o.p.errorf(CodeUnsupported, location, "Field '$states.%s' does not exist.", r.Path[0])
	}
}

// variables returns the names of the workflow variables that the expression reads.
func (e *Expression) variables() []string {
	var names []string
	for _, r := range e.Expr.References() {
		if r.Name != "states" {
			names = append(names, r.Name)
		}
	}
	return names
}
