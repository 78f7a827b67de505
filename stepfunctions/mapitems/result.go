package mapitems

import (
	"strings"
	"time"

	"gust/stepfunctions/jsonvalue"
)

// Writing says how results are written: the evaluated ResultWriter of a Map state.
type Writing struct {
	// Resource is the ARN of the integration; empty when the results only go into the state's output.
	Resource string
	// Parameters is the evaluated Parameters or Arguments: Bucket and Prefix.
	Parameters jsonvalue.Value
	// Transformation is NONE, COMPACT or FLATTEN; empty is NONE with a Resource and COMPACT without.
	Transformation string
	// OutputType is JSON or JSONL; empty is JSON.
	OutputType string
}

func (w Writing) transformation() string {
	switch {
	case w.Transformation != "":
		return w.Transformation
	case w.Resource != "":
		return "NONE"
	default:
		return "COMPACT"
	}
}

// Result is how one child execution ended, or that it was never started.
type Result struct {
	// ExecutionARN, Name and StateMachineARN identify the child.
	ExecutionARN, Name, StateMachineARN string
	// Status is SUCCEEDED, FAILED, TIMED_OUT, ABORTED or PENDING.
	Status string
	// Input is the JSON text of the child's input, Output that of its output when it succeeded.
	Input, Output string
	// Error and Cause say why it did not succeed; nil when they are not known.
	Error, Cause *string
	// Started and Stopped are when it was; zero when it was not.
	Started, Stopped time.Time
	// RedriveCount, RedriveStatus and RedriveStatusReason are those of DescribeExecution.
	RedriveCount                       int64
	RedriveStatus, RedriveStatusReason string
}

// succeeded is the status of children whose output counts.
const succeeded = "SUCCEEDED"

// file is the group of result files that the result belongs to.
func (r Result) file() string {
	switch r.Status {
	case succeeded, "PENDING":
		return r.Status
	default:
		return "FAILED"
	}
}

// timeFormat is how results write instants.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// metadata is the whole result, with the fields in the order in which AWS writes them.
func (r Result) metadata() jsonvalue.Value {
	text := jsonvalue.NewString
	included := jsonvalue.NewObjectBuilder(1).Set("Included", jsonvalue.NewBool(true)).Value()
	b := jsonvalue.NewObjectBuilder(15)
	optional := func(name string, s *string) {
		if s != nil {
			b.Set(name, text(*s))
		}
	}
	optional("Cause", r.Cause)
	optional("Error", r.Error)
	b.Set("ExecutionArn", text(r.ExecutionARN)).Set("Input", text(r.Input)).Set("InputDetails", included).Set("Name", text(r.Name))
	if r.Status == succeeded {
		b.Set("Output", text(r.Output)).Set("OutputDetails", included)
	}
	b.Set("RedriveCount", jsonvalue.NewInt(r.RedriveCount))
	if r.RedriveStatus != "" {
		b.Set("RedriveStatus", text(r.RedriveStatus))
	}
	if r.RedriveStatusReason != "" {
		b.Set("RedriveStatusReason", text(r.RedriveStatusReason))
	}
	if !r.Started.IsZero() {
		b.Set("StartDate", text(r.Started.UTC().Format(timeFormat)))
	}
	b.Set("StateMachineArn", text(r.StateMachineARN)).Set("Status", text(r.Status))
	if !r.Stopped.IsZero() {
		b.Set("StopDate", text(r.Stopped.UTC().Format(timeFormat)))
	}
	return b.Value()
}

// transform returns what is written for a result. One that did not succeed is always written whole.
func (w Writing) transform(r Result) ([]jsonvalue.Value, error) {
	how := w.transformation()
	if how == "NONE" || r.Status != succeeded {
		return []jsonvalue.Value{r.metadata()}, nil
	}
	out, err := jsonvalue.Parse(r.Output)
	if err != nil {
		return nil, writerFailed("The output of %s is not JSON: %v", r.ExecutionARN, err)
	}
	if how == "FLATTEN" && out.Kind() == jsonvalue.Array {
		return out.Items(), nil
	}
	return []jsonvalue.Value{out}, nil
}

// Collect returns the state's output when the results are not written to a bucket: an array, or with the output type
// JSONL a text of lines.
func (w Writing) Collect(results []Result) (jsonvalue.Value, error) {
	var all []jsonvalue.Value
	for _, r := range results {
		values, err := w.transform(r)
		if err != nil {
			return jsonvalue.Value{}, err
		}
		all = append(all, values...)
	}
	if w.OutputType != "JSONL" {
		return jsonvalue.NewArray(all), nil
	}
	var b strings.Builder
	for _, v := range all {
		b.WriteString(v.String())
		b.WriteByte('\n')
	}
	return jsonvalue.NewString(b.String()), nil
}
