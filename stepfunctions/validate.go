package stepfunctions

import (
	"gust/stepfunctions/asl"
)

// maxDiagnostics is how many diagnostics ValidateStateMachineDefinition returns at most, and by default.
const maxDiagnostics = 100

// parseDefinition compiles a definition for a type of state machine.
func parseDefinition(definition, machineType string) (*asl.Machine, asl.Diagnostics) {
	return asl.ParseFor(definition, machineType == typeExpress)
}

type validateInput struct {
	Definition *string `json:"definition"`
	Type       *string `json:"type"`
	Severity   *string `json:"severity"`
	MaxResults *int64  `json:"maxResults"`
}

type diagnosticItem struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Location string `json:"location,omitempty"`
}

type validateOutput struct {
	Result      string           `json:"result"`
	Diagnostics []diagnosticItem `json:"diagnostics"`
	Truncated   bool             `json:"truncated"`
}

func (s *Service) validateDefinition(_ request, in *validateInput) (*validateOutput, error) {
	var v violations
	v.required("definition", in.Definition != nil)
	v.secret("definition", in.Definition, 1, asl.MaxDefinitionBytes)
	v.oneOf("type", in.Type, typeStandard, typeExpress)
	v.oneOf("severity", in.Severity, string(asl.SeverityError), string(asl.SeverityWarning))
	v.between("maxResults", in.MaxResults, 0, maxDiagnostics)
	if err := v.err(); err != nil {
		return nil, err
	}
	limit := maxDiagnostics
	if in.MaxResults != nil && *in.MaxResults > 0 {
		limit = int(*in.MaxResults)
	}
	_, problems := parseDefinition(*in.Definition, orText(in.Type, typeStandard))
	out := &validateOutput{Result: "OK", Diagnostics: []diagnosticItem{}}
	if len(problems.Errors()) > 0 {
		out.Result = "FAIL"
	}
	if orText(in.Severity, string(asl.SeverityError)) == string(asl.SeverityError) {
		problems = problems.Errors()
	}
	for i, d := range problems {
		if i == limit {
			out.Truncated = true
			break
		}
		out.Diagnostics = append(out.Diagnostics, diagnosticItem{string(d.Severity), d.Code, d.Message, d.Location})
	}
	return out, nil
}
