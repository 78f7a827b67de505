// Package sfnwatch shows executions to people: it follows a history, tells it as a timeline, sums it up by states for a live
// view, and draws state machines with the outcome of every state.
package sfnwatch

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/cmd/gust/sfnapi"
)

// Event is an event of a history.
type Event struct {
	ID, Previous int64
	At           time.Time
	Type         string
	// Details are what the event says, such as name, input, output, error and cause.
	Details []Detail
}

// Detail is one of an event's details.
type Detail struct{ Name, Value string }

// Get returns a detail, "" when the event has none of that name.
func (e *Event) Get(name string) string {
	for _, d := range e.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

// Ends reports whether an event with this type is the last of a history, until a redrive.
func (e *Event) Ends() bool {
	switch types.HistoryEventType(e.Type) {
	case types.HistoryEventTypeExecutionSucceeded, types.HistoryEventTypeExecutionFailed,
		types.HistoryEventTypeExecutionAborted, types.HistoryEventTypeExecutionTimedOut:
		return true
	}
	return false
}

// Of is the SDK's event.
func Of(e *types.HistoryEvent) Event {
	out := Event{ID: e.Id, Previous: e.PreviousEventId, At: aws.ToTime(e.Timestamp).Local(), Type: string(e.Type)}
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; strings.HasSuffix(name, "EventDetails") && !v.Field(i).IsNil() {
			out.Details = append(out.Details, details(v.Field(i).Elem())...)
		}
	}
	return out
}

// details are the texts and numbers of an event's details.
func details(v reflect.Value) []Detail {
	var out []Detail
	for i := range v.NumField() {
		f := v.Type().Field(i)
		value := v.Field(i)
		if !f.IsExported() || value.Kind() == reflect.Pointer && value.IsNil() {
			continue
		}
		name := strings.ToLower(f.Name[:1]) + f.Name[1:]
		switch x := reflect.Indirect(value).Interface().(type) {
		case string:
			out = append(out, Detail{name, x})
		case int64:
			out = append(out, Detail{name, formatInt(x)})
		case int32:
			out = append(out, Detail{name, formatInt(int64(x))})
		}
	}
	return out
}

// API is what following needs of the client.
type API interface {
	GetExecutionHistory(context.Context, *sfn.GetExecutionHistoryInput, ...func(*sfn.Options)) (*sfn.GetExecutionHistoryOutput, error)
}

// Pace is how often a running execution is looked at.
type Pace struct {
	// First is the pause after a look that found something new, Longest that after many that did not.
	First, Longest time.Duration
}

// PaceOf is the pace for a service: one on this machine is asked often, AWS within its quotas.
func PaceOf(local bool) Pace {
	if local {
		return Pace{50 * time.Millisecond, 500 * time.Millisecond}
	}
	return Pace{time.Second, 10 * time.Second}
}

// History yields the events of an execution in order. With follow it waits for more until the execution has ended.
func History(ctx context.Context, api API, executionARN string, follow bool, pace Pace) iter.Seq2[Event, error] {
	return HistoryAfter(ctx, api, executionARN, 0, follow, pace)
}

// HistoryAfter is History from behind an event on.
func HistoryAfter(ctx context.Context, api API, executionARN string, last int64, follow bool, pace Pace) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		last := last
		ended := false
		pause := pace.First
		for {
			fresh, err := since(ctx, api, executionARN, last)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, e := range fresh {
				last, ended = e.ID, e.Ends()
				if !yield(e, nil) {
					return
				}
			}
			if ended || !follow {
				return
			}
			pause = min(pause*3/2, pace.Longest)
			if len(fresh) > 0 {
				pause = pace.First
			}
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				timer.Stop()
				yield(Event{}, ctx.Err())
				return
			case <-timer.C:
			}
		}
	}
}

// pageOf is how many events are asked for: all at once in the beginning, few when only the latest are wanted.
const pageOf = 1000

// since fetches the events after one, in order. Later events are read from the end, so that a long history is not read again
// with every look.
func since(ctx context.Context, api API, executionARN string, last int64) ([]Event, error) {
	var events []Event
	in := &sfn.GetExecutionHistoryInput{ExecutionArn: &executionARN, MaxResults: pageOf, ReverseOrder: last > 0,
		IncludeExecutionData: aws.Bool(true)}
	for first := true; first || in.NextToken != nil; first = false {
		out, err := api.GetExecutionHistory(ctx, in)
		if err != nil {
			return nil, sfnapi.Describe("GetExecutionHistory", err)
		}
		for i := range out.Events {
			if out.Events[i].Id > last {
				events = append(events, Of(&out.Events[i]))
			}
		}
		if last > 0 && len(out.Events) > 0 && out.Events[len(out.Events)-1].Id <= last {
			break
		}
		in.NextToken = out.NextToken
	}
	if last > 0 {
		slices.Reverse(events)
	}
	return events, nil
}
