package app

import (
	"strings"

	"gust/operators/stepfunctions/statemachine"
	"gust/stepfunctions/asl"
)

// diagnose checks a state machine's definition with the parser of the embedded service: what CreateStateMachine would
// refuse there and at AWS.
func diagnose(definition, machineType string) []statemachine.Problem {
	_, found := asl.ParseFor(definition, machineType == "EXPRESS")
	var problems []statemachine.Problem
	for _, d := range found.Errors() {
		text, location := d.Code+": "+d.Message, d.Location
		switch {
		case d.Code == asl.CodeJSON:
			// AWS repeats the text and the place; the problem has its own.
			text, _, _ = strings.Cut(text, "\n at [Source")
			location = ""
		case location != "":
			text += " at " + location
		}
		problems = append(problems, statemachine.Problem{
			Text: text, Nearest: d.Hint, Location: location, Line: d.Line, Column: d.Column,
		})
	}
	return problems
}
