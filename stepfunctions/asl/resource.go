package asl

import (
	"fmt"
	"slices"
	"strings"
)

// ResourceKind says which kind of worker a Task's Resource names.
type ResourceKind string

// The kinds of resources.
const (
	LambdaFunction ResourceKind = "lambda"
	Activity       ResourceKind = "activity"
	Service        ResourceKind = "service"
)

// Pattern is how a service integration waits.
type Pattern string

// The service integration patterns.
const (
	RequestResponse  Pattern = ""
	Sync             Pattern = ".sync"
	Sync2            Pattern = ".sync:2"
	WaitForTaskToken Pattern = ".waitForTaskToken"
)

// Resource is a parsed Resource ARN.
type Resource struct {
	// ARN is the text as written.
	ARN string
	// Kind says what it names.
	Kind ResourceKind
	// Service and API are the parts of a service integration: "lambda" and "invoke", or "aws-sdk:sfn" and
	// "startExecution".
	Service, API string
	// SDK tells an integration with any AWS API ("aws-sdk:...") from an optimized one.
	SDK bool
	// Pattern is the suffix of a service integration.
	Pattern Pattern
}

// Name is the resource as history events show it: the API with its pattern.
func (r Resource) Name() string { return r.API + string(r.Pattern) }

func (p *parser) resource(text, location string) Resource {
	r := Resource{ARN: text}
	parts := strings.SplitN(text, ":", 7)
	if len(parts) < 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") {
		p.errorf(CodeSchema, location, "Value is not a valid resource ARN")
		return r
	}
	switch {
	case parts[2] == "lambda" && len(parts) == 7 && parts[5] == "function":
		r.Kind = LambdaFunction
	case parts[2] == "states" && parts[5] == "activity" && len(parts) == 7:
		r.Kind = Activity
	case parts[2] == "states" && len(parts) == 7 && parts[3] == "" && parts[4] == "":
		p.serviceResource(&r, parts[5], parts[6], location)
	default:
		p.unknownResource(text, location)
	}
	return r
}

func (p *parser) unknownResource(text, location string) {
	p.errorf(CodeSchema, location, "The resource provided %s is not recognized. The value is not a valid resource ARN, "+
		"or the resource is not available in this region.", text)
}

// The optimized integrations that never offer a pattern, from the table of integrations in the developer guide.
var (
	withoutSync  = []string{"lambda", "sns", "sqs", "dynamodb", "events", "apigateway", "http"}
	withoutToken = []string{"athena", "batch", "codebuild", "elasticmapreduce", "emr-containers", "emr-serverless", "glue",
		"databrew", "mediaconvert", "sagemaker", "dynamodb", "http"}
)

func (p *parser) serviceResource(r *Resource, service, api, location string) {
	r.Kind = Service
	for _, pattern := range []Pattern{Sync2, Sync, WaitForTaskToken} {
		if cut, ok := strings.CutSuffix(api, string(pattern)); ok {
			api, r.Pattern = cut, pattern
			break
		}
	}
	if i := strings.LastIndexByte(api, ':'); i >= 0 {
		service, api = service+":"+api[:i], api[i+1:]
	}
	r.Service, r.API = service, api
	r.SDK = strings.HasPrefix(service, "aws-sdk:")
	sync := r.Pattern == Sync || r.Pattern == Sync2
	switch {
	case api == "" || strings.ContainsAny(api, ".:"),
		sync && (r.SDK || slices.Contains(withoutSync, service)),
		r.Pattern == Sync2 && service != "states",
		r.Pattern == WaitForTaskToken && slices.Contains(withoutToken, service):
		p.unknownResource(r.ARN, location)
	}
}

// checkExpress returns what an EXPRESS state machine may not have: integrations that wait, activities and map runs.
func (m *Machine) checkExpress() Diagnostics {
	var found Diagnostics
	report := func(s *State, location, format string, args ...any) {
		found = append(found, Diagnostic{Severity: SeverityError, Code: CodeSchema, Message: fmt.Sprintf(format, args...),
			Location: s.Location + location, Line: s.Line(), Column: s.Column()})
	}
	m.walk(func(s *State) {
		switch {
		case s.Task != nil && s.Task.Resource.Kind == Activity:
			report(s, "/Resource", "Express state machine does not support Activity ARN")
		case s.Task != nil && s.Task.Resource.Pattern != RequestResponse:
			pattern := strings.TrimSuffix(string(s.Task.Resource.Pattern), ":2")
			// AWS's message ends with the space.
			report(s, "/Resource", "Express state machine does not support '%s' service integration ", pattern)
		case s.Map != nil && s.Map.Mode == Distributed:
			report(s, "/"+s.Map.ProcessorField+"/ProcessorConfig/Mode",
				"The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines")
		}
	})
	return found
}
