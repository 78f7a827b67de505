package asl

import (
	"fmt"
	"strings"
)

// Severity tells errors, which refuse a definition, from warnings.
type Severity string

// The severities of AWS's ValidateStateMachineDefinition.
const (
	SeverityError   Severity = "ERROR"
	SeverityWarning Severity = "WARNING"
)

// The diagnostic codes of AWS that this package gives.
const (
	CodeSchema            = "SCHEMA_VALIDATION_FAILED"
	CodeJSON              = "INVALID_JSON_DESCRIPTION"
	CodeDuplicateState    = "DUPLICATE_STATE_NAME"
	CodeStateName         = "INVALID_STATE_NAME"
	CodeMissingTarget     = "MISSING_TRANSITION_TARGET"
	CodeMissingEnd        = "MISSING_END_STATE"
	CodeNoPath            = "NO_PATH"
	CodeNoDollar          = "NO_DOLLAR"
	CodePassResultStatic  = "PASS_RESULT_IS_STATIC"
	CodeTooDeeplyNested   = "TOO_DEEPLY_NESTED"
	CodeLabelName         = "INVALID_LABEL_NAME"
	CodeDuplicateLabel    = "DUPLICATE_LABEL_NAME"
	CodeExpression        = "INVALID_JSONATA_EXPRESSION"
	CodeUnsupported       = "UNSUPPORTED_JSONATA_EXPRESSION"
	CodeVariableName      = "INVALID_VARIABLE_NAME"
	CodeReservedVariable  = "RESERVED_VARIABLE_NAME"
	CodeDuplicateVariable = "DUPLICATE_VARIABLE_NAME"
	messageInvalidJSONDef = "Definition must be a valid JSON object"
)

// Diagnostic is one problem of a definition.
type Diagnostic struct {
	// Severity is ERROR or WARNING.
	Severity Severity
	// Code is one of AWS's diagnostic codes.
	Code string
	// Message says what is wrong.
	Message string
	// Location is the place, such as /States/Name/Field; empty when the text is no JSON object.
	Location string
	// Line and Column are the place in the text, from 1; 0 when unknown.
	Line, Column int
	// Hint is the nearest valid name, or empty. AWS's messages have none.
	Hint string
}

// String returns the diagnostic as CreateStateMachine words it: CODE: message at location.
func (d Diagnostic) String() string {
	switch {
	case d.Code == CodeMissingEnd && d.Location == "":
		// It concerns the machine as a whole; CreateStateMachine says so in this way.
		return d.Code + ": " + d.Message + " at null"
	case d.Location == "" || d.Code == CodeJSON:
		// The message about a syntax error holds its place already.
		return d.Code + ": " + d.Message
	}
	return fmt.Sprintf("%s: %s at %s", d.Code, d.Message, d.Location)
}

// Diagnostics are all problems of a definition.
type Diagnostics []Diagnostic

// Errors returns the diagnostics that refuse the definition.
func (ds Diagnostics) Errors() Diagnostics {
	var errs Diagnostics
	for _, d := range ds {
		if d.Severity == SeverityError {
			errs = append(errs, d)
		}
	}
	return errs
}

// String joins the diagnostics with commas, as CreateStateMachine shows them.
func (ds Diagnostics) String() string {
	texts := make([]string, len(ds))
	for i, d := range ds {
		texts[i] = d.String()
	}
	return strings.Join(texts, ", ")
}
