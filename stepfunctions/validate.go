package stepfunctions

import (
	"gust/stepfunctions/asl"
)

type validateInput struct {
	Definition *string `json:"definition"`
	Type       *string `json:"type"`
	Severity   *string `json:"severity"`
	MaxResults *int    `json:"maxResults"`
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
	if in.Definition != nil {
		v.length("definition", *in.Definition, 0, asl.MaxDefinitionBytes)
	}
	v.oneOf("type", orText(in.Type, typeStandard), typeStandard, typeExpress)
	severity := orText(in.Severity, string(asl.SeverityError))
	v.oneOf("severity", severity, string(asl.SeverityError), string(asl.SeverityWarning))
	limit := defaultPage
	if in.MaxResults != nil {
		v.between("maxResults", *in.MaxResults, 0, defaultPage)
		if *in.MaxResults > 0 {
			limit = *in.MaxResults
		}
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	_, problems := asl.Parse(*in.Definition)
	out := &validateOutput{Result: "OK", Diagnostics: []diagnosticItem{}}
	if len(problems.Errors()) > 0 {
		out.Result = "FAIL"
	}
	if severity == string(asl.SeverityError) {
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
