package sfnwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"
)

// story makes events of lines "id previous type [name=value ...]", a millisecond apart.
func story(text string) []Event {
	var events []Event
	for line := range strings.Lines(strings.TrimSpace(text)) {
		words := strings.Fields(line)
		e := Event{At: time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC), Type: words[2]}
		_, _ = fmt.Sscan(words[0], &e.ID)
		_, _ = fmt.Sscan(words[1], &e.Previous)
		e.At = e.At.Add(time.Duration(e.ID) * time.Millisecond)
		for _, word := range words[3:] {
			name, value, _ := strings.Cut(word, "=")
			e.Details = append(e.Details, Detail{name, value})
		}
		events = append(events, e)
	}
	return events
}

// A Parallel whose left branch fails after a retry and is caught, then a Map of two, then a failure.
const eventful = `
1 0 ExecutionStarted input={}
2 0 ParallelStateEntered name=Fan input={}
3 2 ParallelStateStarted
4 3 TaskStateEntered name=Left input={}
5 3 WaitStateEntered name=Right input={}
6 4 TaskScheduled resourceType=lambda resource=invoke
7 6 TaskFailed error=Busy cause=later
8 7 TaskScheduled resourceType=lambda resource=invoke
9 8 TaskTimedOut error=States.Timeout
10 9 ParallelStateFailed error=States.Timeout
11 10 ParallelStateExited name=Fan output={}
12 11 MapStateEntered name=Each input={}
13 12 MapStateStarted length=2
14 13 MapIterationStarted name=Each index=0
15 14 PassStateEntered name=One input=1
16 15 PassStateExited name=One output=1
17 16 MapIterationSucceeded name=Each index=0
18 13 MapIterationStarted name=Each index=1
19 18 PassStateEntered name=One input=2
20 19 PassStateExited name=One output=2
21 20 MapIterationSucceeded name=Each index=1
22 21 MapStateSucceeded
23 22 MapStateExited name=Each output=[]
24 23 TaskStateEntered name=Call input=[]
25 24 TaskScheduled resourceType=lambda resource=invoke
26 25 TaskFailed error=Busy
27 26 TaskScheduled resourceType=lambda resource=invoke
28 27 TaskSucceeded output={}
29 28 TaskStateExited name=Call output={}
30 29 FailStateEntered name=Refuse input={}
31 30 ExecutionFailed error=Refused cause=picky
`

func TestExecutionSumsUp(t *testing.T) {
	t.Parallel()
	x := NewExecution()
	for _, e := range story(eventful) {
		x.Add(&e)
	}
	var got []string
	for _, s := range x.States {
		got = append(got, fmt.Sprintf("%s %s %s %d visits %d open %d failures", s.Name, s.Kind, s.Class, s.Visits, s.Open, s.Failures))
	}
	want := []string{
		"Fan Parallel caught 1 visits 0 open 1 failures",
		"Left Task failed 1 visits 0 open 2 failures",
		"Right Wait aborted 1 visits 0 open 0 failures",
		"Each Map success 1 visits 0 open 0 failures",
		"One Pass success 2 visits 0 open 0 failures",
		"Call Task success 1 visits 0 open 1 failures",
		"Refuse Fail failed 1 visits 0 open 0 failures",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if x.Status != "FAILED" || x.Error != "Refused" || x.Cause != "picky" || x.FailedState() != "Refuse" {
		t.Errorf("%s %s %s in %q", x.Status, x.Error, x.Cause, x.FailedState())
	}
	// A redrive opens it again.
	for _, e := range story("32 31 ExecutionRedriven redriveCount=1\n33 32 FailStateEntered name=Refuse\n34 33 ExecutionAborted") {
		x.Add(&e)
	}
	if x.Status != "ABORTED" || x.States[6].Class == Running {
		t.Errorf("after the redrive: %s, %s", x.Status, x.States[6].Class)
	}
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	timeline := NewTimeline(72)
	var got []string
	for _, e := range story(eventful)[:11] {
		text, class := timeline.Line(&e)
		got = append(got, strings.TrimSuffix(text+" | "+class, " | "))
	}
	want := []string{
		"10:00:00.001   +0.000s                ExecutionStarted  {}",
		"10:00:00.002   +0.001s  Fan           entered    Parallel {}",
		"10:00:00.003   +0.002s  Fan           ParallelStateStarted",
		"10:00:00.004   +0.003s  Left          entered    Task {}",
		"10:00:00.005   +0.004s  Right         entered    Wait {}",
		"10:00:00.006   +0.005s  Left          TaskScheduled  lambda invoke",
		"10:00:00.007   +0.006s  Left          TaskFailed  Busy: later | failed",
		"10:00:00.008   +0.007s  Left          TaskScheduled  lambda invoke",
		"10:00:00.009   +0.008s  Left          TaskTimedOut  States.Timeout | failed",
		"10:00:00.010   +0.009s  Fan           ParallelStateFailed  States.Timeo… | failed",
		"10:00:00.011   +0.010s  Fan           left       {}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

const loops = `{"StartAt": "Ask", "States": {
  "Ask": {"Type": "Task", "Resource": "r", "Next": "Done?", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Alarm"}]},
  "Done?": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": true, "Next": "Fan"}], "Default": "Rest"},
  "Rest": {"Type": "Wait", "Seconds": 1, "Next": "Ask"},
  "Fan": {"Type": "Parallel", "End": true, "Branches": [
    {"StartAt": "L", "States": {"L": {"Type": "Pass", "End": true}}},
    {"StartAt": "M", "States": {"M": {"Type": "Map", "End": true,
      "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}}}]},
  "Alarm": {"Type": "Fail"}}}`

func TestGraph(t *testing.T) {
	t.Parallel()
	g, err := Graph("loops", loops, map[string]string{"Ask": Caught})
	if err != nil {
		t.Fatal(err)
	}
	var edges []string
	for _, e := range g.Edges {
		edges = append(edges, e.From+" > "+e.To)
	}
	want := []string{"● > Ask", "Ask > Done?", "Ask > Alarm", "Done? > Fan", "Done? > Rest", "Rest > Ask", "Fan > L", "L > ◎", "Fan > M", "M > I", "I > ◎", "Alarm > ◎"}
	if diff := cmp.Diff(want, edges); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
	text := g.Text(nil)
	for _, part := range []string{"◷ Rest ↺ Ask", "◇ Done?", "∥ Fan", "⁝ M", "✗ Alarm"} {
		if !strings.Contains(text, part) {
			t.Errorf("the drawing lacks %q:\n%s", part, text)
		}
	}
	if !strings.Contains(g.Mermaid(), "stroke:orange") {
		t.Errorf("Ask is not orange:\n%s", g.Mermaid())
	}
	if _, err := Graph("x", "{", nil); err == nil {
		t.Error("what is not JSON was drawn")
	}
}

// growing is a history that grows by one event with every look.
type growing struct {
	looks int
	calls int
	page  int
	fail  error
}

func (g *growing) GetExecutionHistory(_ context.Context, in *sfn.GetExecutionHistoryInput, _ ...func(*sfn.Options)) (*sfn.GetExecutionHistoryOutput, error) {
	g.calls++
	if g.fail != nil {
		return nil, g.fail
	}
	if in.NextToken == nil {
		g.looks++
	}
	kinds := []types.HistoryEventType{types.HistoryEventTypeExecutionStarted, types.HistoryEventTypePassStateEntered,
		types.HistoryEventTypePassStateExited, types.HistoryEventTypeExecutionSucceeded}
	var all []types.HistoryEvent
	for i, kind := range kinds[:min(g.looks+1, len(kinds))] {
		all = append(all, types.HistoryEvent{Id: int64(i + 1), Type: kind, Timestamp: aws.Time(time.UnixMilli(int64(i)))})
	}
	if in.ReverseOrder {
		slices.Reverse(all)
	}
	first := 0
	if in.NextToken != nil {
		_, _ = fmt.Sscan(*in.NextToken, &first)
	}
	out := &sfn.GetExecutionHistoryOutput{Events: all[first:min(first+g.page, len(all))]}
	if first+g.page < len(all) {
		out.NextToken = aws.String(fmt.Sprint(first + g.page))
	}
	return out, nil
}

func TestHistoryIsFollowed(t *testing.T) {
	t.Parallel()
	for _, page := range []int{1, 2, 1000} {
		synctest.Test(t, func(t *testing.T) {
			g := &growing{page: page}
			var ids []int64
			began := time.Now()
			for e, err := range History(t.Context(), g, "arn", true, Pace{time.Second, time.Minute}) {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, e.ID)
			}
			if diff := cmp.Diff([]int64{1, 2, 3, 4}, ids); diff != "" || g.looks != 3 || time.Since(began) != 2*time.Second {
				t.Errorf("pages of %d: %d looks in %v (-want +got):\n%s", page, g.looks, time.Since(began), diff)
			}
		})
	}
}

func TestHistoryEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for _, err := range History(ctx, &growing{page: 10}, "arn", true, Pace{time.Hour, time.Hour}) {
			cancel()
			last = err
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("it ended with %v", last)
		}
		n := 0
		for _, err := range History(t.Context(), &growing{page: 10}, "arn", false, Pace{}) {
			if n++; err != nil {
				t.Error(err)
			}
		}
		if n != 2 {
			t.Errorf("%d events without following, want the 2 there are", n)
		}
		for _, err := range History(t.Context(), &growing{fail: &types.ExecutionDoesNotExist{Message: aws.String("gone")}}, "arn", true, Pace{}) {
			if err == nil || err.Error() != "An error occurred (ExecutionDoesNotExist) when calling the GetExecutionHistory operation: gone" {
				t.Errorf("error %v", err)
			}
		}
	})
}

func TestEventOfTheSDK(t *testing.T) {
	t.Parallel()
	e := Of(&types.HistoryEvent{
		Id: 7, PreviousEventId: 6, Type: types.HistoryEventTypeTaskScheduled, Timestamp: aws.Time(time.UnixMilli(5)),
		TaskScheduledEventDetails: &types.TaskScheduledEventDetails{Resource: aws.String("invoke"), Parameters: aws.String("{}"), TimeoutInSeconds: aws.Int64(9)},
	})
	if e.ID != 7 || e.Previous != 6 || e.Get("resource") != "invoke" || e.Get("parameters") != "{}" || e.Get("timeoutInSeconds") != "9" || e.Get("region") != "" {
		t.Errorf("%+v", e)
	}
}
