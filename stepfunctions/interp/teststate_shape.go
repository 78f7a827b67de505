package interp

import (
	"maps"
	"slices"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// shape is the form that a field of an API's response has.
type shape struct {
	// kind is the JSON type; timestamps are numbers (epoch seconds) or texts.
	kind      jsonvalue.Kind
	timestamp bool
	required  bool
	// fields are those of an object that is known in detail; element is the form of an array's elements.
	fields  map[string]shape
	element *shape
}

var (
	textField   = shape{kind: jsonvalue.String}
	numberField = shape{kind: jsonvalue.Number}
	objectField = shape{kind: jsonvalue.Object}
)

// responses are the responses of the integrations that are used most, from the API references of the services. Fields that
// are not listed are accepted: an integration adds its own, such as SdkHttpMetadata.
var responses = map[string]map[string]shape{
	"lambda:invoke": {"StatusCode": numberField, "FunctionError": textField, "LogResult": textField, "ExecutedVersion": textField},
	"states:startExecution": {
		"ExecutionArn": {kind: jsonvalue.String, required: true}, "StartDate": {timestamp: true, required: true},
	},
	"events:putEvents": {
		"FailedEntryCount": numberField,
		"Entries": {kind: jsonvalue.Array, element: &shape{kind: jsonvalue.Object, fields: map[string]shape{
			"EventId": textField, "ErrorCode": textField, "ErrorMessage": textField,
		}}},
	},
	"sqs:sendMessage": {
		"MessageId": textField, "MD5OfMessageBody": textField, "MD5OfMessageAttributes": textField, "SequenceNumber": textField,
	},
	"sns:publish":         {"MessageId": textField, "SequenceNumber": textField},
	"dynamodb:getItem":    {"Item": objectField, "ConsumedCapacity": objectField},
	"dynamodb:putItem":    {"Attributes": objectField, "ConsumedCapacity": objectField, "ItemCollectionMetrics": objectField},
	"dynamodb:updateItem": {"Attributes": objectField, "ConsumedCapacity": objectField, "ItemCollectionMetrics": objectField},
	"dynamodb:deleteItem": {"Attributes": objectField, "ConsumedCapacity": objectField, "ItemCollectionMetrics": objectField},
}

// The modes in which a mocked result is checked.
const (
	mockPresent = "PRESENT"
	mockNone    = "NONE"
)

// shapeRefusal checks a mocked result against the response of the API that the state calls. Only answers to a request are
// checked: what comes back with a token or at the end of a job has no form of its own.
func (in *StateTest) shapeRefusal(result jsonvalue.Value) *RefusedError {
	r := in.State.Task.Resource
	fields, known := responses[r.Service+":"+r.API]
	if r.Kind != asl.Service || r.Pattern != asl.RequestResponse || !known || in.Mock.Mode == mockNone {
		return nil
	}
	s := shape{kind: jsonvalue.Object, fields: fields}
	return s.refusal(result, "", in.Mock.Mode != mockPresent)
}

// refusal checks a value; at is the name of the field it stands in, empty for the whole result.
func (s *shape) refusal(v jsonvalue.Value, at string, strict bool) *RefusedError {
	where := "The mocked result"
	if at != "" {
		where += "'s field '" + at + "'"
	}
	switch {
	case s.timestamp && v.Kind() != jsonvalue.String && v.Kind() != jsonvalue.Number:
		return invalid("%s does not follow the API: it must be a timestamp", where)
	case !s.timestamp && v.Kind() != s.kind:
		return invalid("%s does not follow the API: it must be of type %s", where, s.kind)
	}
	if s.element != nil {
		for _, item := range v.Items() {
			if r := s.element.refusal(item, at, strict); r != nil {
				return r
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.fields)) {
		field, inner := s.fields[name], name
		if at != "" {
			inner = at + "." + name
		}
		item, ok := v.Get(name)
		switch {
		case !ok && field.required && strict:
			return invalid("%s does not follow the API: the field '%s' is required", where, inner)
		case !ok:
			continue
		}
		if r := field.refusal(item, inner, strict); r != nil {
			return r
		}
	}
	return nil
}
