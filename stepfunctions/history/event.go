// Package history defines the events of an execution and writes them in the form of AWS's GetExecutionHistory.
package history

import (
	"strconv"
	"time"

	"gust/stepfunctions/jsonvalue"
)

// Type names an event as AWS does.
type Type string

// The event types that executions of this service produce. Those of states are built by [StateEntered] and
// [StateExited].
const (
	ExecutionStarted   Type = "ExecutionStarted"
	ExecutionSucceeded Type = "ExecutionSucceeded"
	ExecutionFailed    Type = "ExecutionFailed"
	ExecutionTimedOut  Type = "ExecutionTimedOut"
	ExecutionAborted   Type = "ExecutionAborted"
	ExecutionRedriven  Type = "ExecutionRedriven"

	// EvaluationFailed is an expression of a JSONata state that could not be evaluated.
	EvaluationFailed Type = "EvaluationFailed"

	LambdaFunctionScheduled      Type = "LambdaFunctionScheduled"
	LambdaFunctionScheduleFailed Type = "LambdaFunctionScheduleFailed"
	LambdaFunctionStarted        Type = "LambdaFunctionStarted"
	LambdaFunctionSucceeded      Type = "LambdaFunctionSucceeded"
	LambdaFunctionFailed         Type = "LambdaFunctionFailed"
	LambdaFunctionTimedOut       Type = "LambdaFunctionTimedOut"

	TaskScheduled Type = "TaskScheduled"
	TaskStarted   Type = "TaskStarted"
	TaskSucceeded Type = "TaskSucceeded"
	TaskFailed    Type = "TaskFailed"
	TaskTimedOut  Type = "TaskTimedOut"
	// TaskSubmitted and TaskSubmitFailed are the response to the service call of a .sync or .waitForTaskToken integration.
	TaskSubmitted    Type = "TaskSubmitted"
	TaskSubmitFailed Type = "TaskSubmitFailed"
	TaskStateAborted Type = "TaskStateAborted"
	WaitStateAborted Type = "WaitStateAborted"

	ActivityScheduled Type = "ActivityScheduled"
	ActivityStarted   Type = "ActivityStarted"
	ActivitySucceeded Type = "ActivitySucceeded"
	ActivityFailed    Type = "ActivityFailed"
	ActivityTimedOut  Type = "ActivityTimedOut"

	ParallelStateStarted   Type = "ParallelStateStarted"
	ParallelStateSucceeded Type = "ParallelStateSucceeded"
	ParallelStateFailed    Type = "ParallelStateFailed"
	ParallelStateAborted   Type = "ParallelStateAborted"
	MapStateStarted        Type = "MapStateStarted"
	MapStateSucceeded      Type = "MapStateSucceeded"
	MapStateFailed         Type = "MapStateFailed"
	MapStateAborted        Type = "MapStateAborted"
	MapIterationStarted    Type = "MapIterationStarted"
	MapIterationSucceeded  Type = "MapIterationSucceeded"
	MapIterationFailed     Type = "MapIterationFailed"
	MapIterationAborted    Type = "MapIterationAborted"

	MapRunStarted   Type = "MapRunStarted"
	MapRunSucceeded Type = "MapRunSucceeded"
	MapRunFailed    Type = "MapRunFailed"
	MapRunAborted   Type = "MapRunAborted"
	MapRunRedriven  Type = "MapRunRedriven"
)

// MaxEvents is how many events a standard execution may have; an express execution has no such limit.
const MaxEvents = 25_000

// StateEntered is the type of the event that a state of the given type was entered.
func StateEntered(stateType string) Type { return Type(stateType + "StateEntered") }

// StateExited is the type of the event that a state of the given type was left.
func StateExited(stateType string) Type { return Type(stateType + "StateExited") }

// Event is one entry of a history.
type Event struct {
	// ID counts from 1 without gaps.
	ID int64
	// PreviousID is the event this one follows from; 0 for the first of a chain.
	PreviousID int64
	// Time is when it happened.
	Time time.Time
	// Type says what happened.
	Type Type
	// Details are the facts, nil for the types that have none.
	Details *Details
}

// Details are the facts of an event: the name of its detail object and the fields in it.
type Details struct {
	key    string
	fields []field
	// room is for the first fields: few events have more.
	room [4]field
}

type field struct {
	name string
	text string
	kind fieldKind
}

type fieldKind uint8

const (
	textField fieldKind = iota
	// dataField is an input or output, which includeExecutionData=false leaves out.
	dataField
	// rawField is JSON as it stands.
	rawField
)

// NewDetails returns empty details; key is the detail object's name, such as stateEnteredEventDetails.
func NewDetails(key string) *Details {
	d := &Details{key: key}
	d.fields = d.room[:0]
	return d
}

// Text adds a text.
func (d *Details) Text(name, value string) *Details {
	d.fields = append(d.fields, field{name: name, text: value, kind: textField})
	return d
}

// Optional adds a text unless it is nil.
func (d *Details) Optional(name string, value *string) *Details {
	if value != nil {
		d.Text(name, *value)
	}
	return d
}

// Data adds an input or output (JSON text) and its "...Details" companion.
func (d *Details) Data(name, value string) *Details {
	d.fields = append(d.fields, field{name: name, text: value, kind: dataField},
		field{name: name + "Details", text: `{"truncated":false}`, kind: rawField})
	return d
}

// Int adds a whole number.
func (d *Details) Int(name string, n int64) *Details {
	d.fields = append(d.fields, field{name: name, text: strconv.FormatInt(n, 10), kind: rawField})
	return d
}

// Raw adds a field whose value is the given JSON text.
func (d *Details) Raw(name, json string) *Details {
	d.fields = append(d.fields, field{name: name, text: json, kind: rawField})
	return d
}

// Variables adds assignedVariables, a map from name to JSON text, unless the object is empty.
func (d *Details) Variables(assigned jsonvalue.Value) *Details {
	if assigned.Len() == 0 {
		return d
	}
	texts := jsonvalue.NewObjectBuilder(assigned.Len())
	for i, v := range assigned.Items() {
		texts.Set(assigned.Key(i), jsonvalue.NewString(v.String()))
	}
	d.fields = append(d.fields, field{name: "assignedVariables", text: texts.Value().String(), kind: rawField},
		field{name: "assignedVariablesDetails", text: `{"truncated":false}`, kind: rawField})
	return d
}

// Size returns about how many bytes the details take.
func (d *Details) Size() int {
	n := 0
	if d != nil {
		for _, f := range d.fields {
			n += len(f.name) + len(f.text)
		}
	}
	return n
}

// Get returns the text of a field, for logs and tests.
func (d *Details) Get(name string) (string, bool) {
	if d == nil {
		return "", false
	}
	for _, f := range d.fields {
		if f.name == name {
			return f.text, true
		}
	}
	return "", false
}

// Append writes the event as one JSON object, as GetExecutionHistory with execution data returns it.
func (e *Event) Append(dst []byte) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = AppendEpoch(dst, e.Time)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, e.Type...)
	dst = append(dst, `","id":`...)
	dst = strconv.AppendInt(dst, e.ID, 10)
	dst = append(dst, `,"previousEventId":`...)
	dst = strconv.AppendInt(dst, e.PreviousID, 10)
	if e.Details != nil {
		dst = append(jsonvalue.AppendString(append(dst, ','), e.Details.key), ":{"...)
		for i, f := range e.Details.fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jsonvalue.AppendString(dst, f.name), ':')
			if f.kind == rawField {
				dst = append(dst, f.text...)
			} else {
				dst = jsonvalue.AppendString(dst, f.text)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// AppendEpoch writes an instant as AWS's JSON protocol does: seconds since 1970 with milliseconds.
func AppendEpoch(dst []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	dst = strconv.AppendInt(dst, ms/1000, 10)
	return append(dst, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
}

// dataFields are the fields that includeExecutionData=false removes.
var dataFields = map[string]bool{"input": true, "output": true, "assignedVariables": true, "parameters": true}

// WithoutData returns an event's JSON object without its inputs and outputs.
func WithoutData(event []byte) ([]byte, error) {
	v, err := jsonvalue.Parse(string(event))
	if err != nil {
		return nil, err
	}
	out := jsonvalue.NewObjectBuilder(v.Len())
	for i, item := range v.Items() {
		if item.Kind() == jsonvalue.Object {
			kept := jsonvalue.NewObjectBuilder(item.Len())
			for j, f := range item.Items() {
				if !dataFields[item.Key(j)] {
					kept.Set(item.Key(j), f)
				}
			}
			item = kept.Value()
		}
		out.Set(v.Key(i), item)
	}
	return out.Value().Append(nil), nil
}
