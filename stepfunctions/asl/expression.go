package asl

import "strings"

// Expression is a JSONata expression of a definition.
type Expression struct {
	// Written is the text with its delimiters, as AWS's errors quote it.
	Written string
	// Text is the text between the delimiters.
	Text string
	// Field is the place in its state, such as Output/total or Assign/name, as AWS's errors name it.
	Field string
}

// IsExpression reports whether a string of a JSONata state is an expression: it starts with {% and ends with %}.
func IsExpression(text string) bool {
	return len(text) >= 4 && strings.HasPrefix(text, "{%") && strings.HasSuffix(text, "%}")
}
