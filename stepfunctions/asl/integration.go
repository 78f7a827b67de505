package asl

import (
	"fmt"
	"slices"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// request says what the request of an optimized integration may hold.
type request struct {
	// required are the fields without which AWS refuses the call at creation.
	required []string
	// optional are its further fields; nil where they are not checked.
	optional []string
	// texts are the fields that must be strings.
	texts []string
}

// requests are those of the optimized integrations, from their pages in the developer guide.
var requests = map[string]request{
	"lambda:invoke": {required: []string{"FunctionName"},
		optional: []string{"Payload", "InvocationType", "Qualifier", "ClientContext"},
		texts:    []string{"FunctionName", "InvocationType", "Qualifier", "ClientContext"}},
	"states:startExecution": {required: []string{"StateMachineArn"}, optional: []string{"Input", "Name", "TraceHeader"},
		texts: []string{"StateMachineArn", "Name", "TraceHeader"}},
	"sqs:sendMessage": {required: []string{"QueueUrl", "MessageBody"},
		optional: []string{"DelaySeconds", "MessageAttributes", "MessageDeduplicationId", "MessageGroupId",
			"MessageSystemAttributes"},
		texts: []string{"QueueUrl", "MessageDeduplicationId", "MessageGroupId"}},
	"sns:publish": {required: []string{"Message"},
		optional: []string{"MessageAttributes", "MessageDeduplicationId", "MessageGroupId", "MessageStructure", "PhoneNumber",
			"Subject", "TargetArn", "TopicArn"},
		texts: []string{"MessageDeduplicationId", "MessageGroupId", "MessageStructure", "PhoneNumber", "Subject", "TargetArn",
			"TopicArn"}},
	"dynamodb:putItem": {required: []string{"TableName", "Item"}, texts: []string{"TableName"}},
	"dynamodb:getItem": {required: []string{"TableName", "Key"}, texts: []string{"TableName"}},
	"events:putEvents": {required: []string{"Entries"}},
	"ecs:runTask":      {required: []string{"TaskDefinition"}},
	"glue:startJobRun": {required: []string{"JobName"}},
}

// request returns what is known of the resource's request.
func (r Resource) request() request { return requests[r.Service+":"+r.API] }

const (
	messageFieldRequired = "The field '%s' is required but was missing"
	messageFieldUnknown  = `The field "%s" is not supported by Step Functions`
	messageFieldText     = "The value for the field '%s' must be a STRING"
)

func (q request) knows(field string) bool {
	return q.optional == nil || slices.Contains(q.required, field) || slices.Contains(q.optional, field)
}

// CheckRequest says what is wrong with the request that a Task has put together for a service integration, in AWS's words.
func (r Resource) CheckRequest(v jsonvalue.Value) []string {
	if r.Kind != Service {
		return nil
	}
	var problems []string
	q := r.request()
	for _, field := range q.required {
		if _, ok := v.Get(field); !ok {
			problems = append(problems, fmt.Sprintf(messageFieldRequired, field))
		}
	}
	if v.Kind() != jsonvalue.Object {
		return problems
	}
	for i, item := range v.Items() {
		field := v.Key(i)
		switch {
		case !q.knows(field):
			problems = append(problems, fmt.Sprintf(messageFieldUnknown, field))
		case slices.Contains(q.texts, field) && item.Kind() != jsonvalue.String:
			problems = append(problems, fmt.Sprintf(messageFieldText, field))
		}
	}
	return problems
}

// integration checks that a call of a service has a request with what the service cannot do without, and no constant field
// that it does not know. What is computed is checked when the task starts, by [Resource.CheckRequest].
func (p *parser) integration(s *State, o *object) {
	r := s.Task.Resource
	if r.Kind != Service {
		return
	}
	name := RequestField(s.QueryLanguage)
	v, ok := o.v.Get(name)
	if !ok {
		p.errorf(CodeSchema, o.at(), "%s field is required for resource ARN: %s", name, r.ARN)
		return
	}
	if v.Kind() != jsonvalue.Object {
		return
	}
	q := r.request()
	for _, field := range q.required {
		_, plain := v.Get(field)
		_, dynamic := v.Get(field + ".$")
		if !plain && !(dynamic && o.language == JSONPath) {
			p.errorf(CodeSchema, o.field(name), messageFieldRequired, field)
		}
	}
	for i := range v.Len() {
		field := v.Key(i)
		if o.language == JSONPath && strings.HasSuffix(field, ".$") {
			continue
		}
		if !q.knows(field) {
			p.errorf(CodeSchema, o.field(name), messageFieldUnknown, field)
			p.hint(o.field(name)+"/"+field, field, slices.Concat(q.required, q.optional))
		}
	}
}

// RequestField is the field that holds what a Task sends to its resource.
func RequestField(language QueryLanguage) string {
	if language == JSONata {
		return "Arguments"
	}
	return "Parameters"
}
