package stepfunctions_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gust/triggers"
	"gust/triggers/stepfunctions"
	"gust/triggers/stepfunctions/stepfunctionstest"
)

// event is the detail of a status change as EventBridge tells it.
func event(status, more string) json.RawMessage {
	return json.RawMessage(`{"executionArn":"` + arn + `","stateMachineArn":"` + stepfunctionstest.Machine + `","name":"one","status":"` +
		status + `","startDate":1714564800000,"stopDate":1714564860123,"input":"{}","inputDetails":{"included":true},` +
		`"outputDetails":null,"output":null,"redriveCount":0,"redriveDate":null,"error":null,"cause":null` + more + `}`)
}

func (f fixture) hear(t *testing.T, w triggers.Wait, news ...json.RawMessage) triggers.Verdict {
	t.Helper()
	w.News = news
	return f.checker.(triggers.Hearer).Hear(t.Context(), now, []triggers.Wait{w})[0]
}

func TestHear(t *testing.T) {
	t.Parallel()
	succeeded := event("SUCCEEDED", `,"output":"{\"n\":1}","outputDetails":{"included":true}`)
	failed := event("FAILED", `,"error":"E","cause":"because"`)
	for name, c := range map[string]struct {
		args   stepfunctions.Args
		news   []json.RawMessage
		now    string // the execution's status in fact
		want   string // "" waits on
		output string
		calls  int
	}{
		"success":              {news: []json.RawMessage{succeeded}, now: "SUCCEEDED", want: "SUCCEEDED"},
		"success with output":  {args: stepfunctions.Args{WithOutput: true}, news: []json.RawMessage{succeeded}, now: "SUCCEEDED", want: "SUCCEEDED", output: `{"n":1}`},
		"output is not needed": {news: []json.RawMessage{event("SUCCEEDED", "")}, now: "SUCCEEDED", want: "SUCCEEDED"},
		"output is too large":  {args: stepfunctions.Args{WithOutput: true}, news: []json.RawMessage{event("SUCCEEDED", `,"outputDetails":{"included":false}`)}, now: "SUCCEEDED", want: "SUCCEEDED", output: `"large"`, calls: 1},
		"failure":              {news: []json.RawMessage{failed}, now: "FAILED", want: "FAILED", calls: 1},
		"time-out":             {news: []json.RawMessage{event("TIMED_OUT", "")}, now: "TIMED_OUT", want: "TIMED_OUT", calls: 1},
		"twice":                {news: []json.RawMessage{succeeded, succeeded}, now: "SUCCEEDED", want: "SUCCEEDED"},
		"out of order":         {news: []json.RawMessage{succeeded, event("RUNNING", "")}, now: "SUCCEEDED", want: "SUCCEEDED"},
		"running":              {news: []json.RawMessage{event("RUNNING", "")}, now: "RUNNING"},
		"before the redrive":   {args: stepfunctions.Args{Redrives: 1}, news: []json.RawMessage{failed}, now: "RUNNING"},
		"after the redrive":    {args: stepfunctions.Args{Redrives: 1}, news: []json.RawMessage{failed, event("ABORTED", `,"redriveCount":1,"cause":"c"`)}, now: "ABORTED", want: "ABORTED", calls: 1},
		"about another":        {news: []json.RawMessage{json.RawMessage(strings.ReplaceAll(string(succeeded), ":one", ":two"))}, now: "RUNNING"},
		"nonsense":             {news: []json.RawMessage{json.RawMessage(`[1]`), nil}, now: "RUNNING"},
		"described before":     {args: stepfunctions.Args{WithOutput: true}, news: []json.RawMessage{event("SUCCEEDED", "")}, now: "RUNNING", calls: 1},
		"a status of tomorrow": {news: []json.RawMessage{event("A_STATUS_OF_TOMORROW", "")}, now: "RUNNING"},
		"no news":              {now: "SUCCEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			f.Update(arn, func(e *stepfunctionstest.Execution) { e.Status, e.Output = c.now, `"large"` })
			c.args.ExecutionARN, c.args.Params, c.args.Delay = arn, params(), time.Minute
			v := f.hear(t, wait(t, c.args, now), c.news...)
			if n := len(f.Calls("")); n != c.calls {
				t.Errorf("%d calls, want %d: %v", n, c.calls, f.Calls(""))
			}
			if c.want == "" {
				if v.Event != nil || v.Err != nil || !v.Again.After(now) {
					t.Errorf("%+v; want to wait on", v)
				}
				return
			}
			if told := time.UnixMilli(1714564860123); c.output != `"large"` && !v.Event.At.Equal(told) {
				t.Errorf("ended at %s, the event says %s", v.Event.At, told)
			}
			o := outcome(t, v)
			if o.ExecutionStatus != c.want || (o.Status == stepfunctions.StatusSuccess) != (c.want == "SUCCEEDED") {
				t.Errorf("%+v", o)
			}
			if got := fmt.Sprint(o.Output != nil); c.output != "" && (o.Output == nil || *o.Output != c.output) || c.output == "" && got != "false" {
				t.Errorf("output %v, want %q", o.Output, c.output)
			}
			if c.want == "FAILED" && (o.Error != "E" || o.Cause != "because") {
				t.Errorf("%+v", o)
			}
		})
	}
}

// What events told but could not explain is looked at first, although the next listing is far.
func TestToldFirst(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	var waits []triggers.Wait
	for i := range 100 {
		one := fmt.Sprintf("%s%d", arn, i)
		f.Update(one, func(e *stepfunctionstest.Execution) { e.Started = now })
		waits = append(waits, wait(t, stepfunctions.Args{ExecutionARN: one, Params: params(), Delay: time.Hour, WithOutput: true}, now))
	}
	f.checker.Check(t.Context(), now, waits)
	if len(f.Calls("ListExecutions")) == 0 {
		t.Fatal("a hundred executions are described one by one")
	}
	told := strings.ReplaceAll(string(event("SUCCEEDED", `,"outputDetails":{"included":false}`)), ":one", ":one7")
	if v := f.hear(t, waits[7], json.RawMessage(told)); v.Event != nil || v.Again.Sub(now) > time.Second {
		t.Errorf("%+v; want a look at once: the description is still of before", v)
	}
	f.Update(arn+"7", func(e *stepfunctionstest.Execution) { e.Status, e.Output = "SUCCEEDED", "1" })
	described := len(f.Calls("DescribeExecution"))
	if v := f.checker.Check(t.Context(), now.Add(time.Millisecond), waits[7:8])[0]; v.Event == nil || len(f.Calls("DescribeExecution")) != described+1 {
		t.Errorf("%+v after %d descriptions", v, len(f.Calls("DescribeExecution"))-described)
	}
}

func TestSubjectAndPlace(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	args := wait(t, stepfunctions.Args{ExecutionARN: arn, Params: params()}, now).Args
	subject, err := f.checker.(triggers.Hearer).Subject(args)
	if err != nil || subject != arn {
		t.Errorf("%q, %v", subject, err)
	}
	key, err := f.checker.Key(args)
	if place := f.checker.(triggers.Placed).Place(key); err != nil || place != "aws_default us-east-1 000000000000" {
		t.Errorf("place %q of %q, %v", place, key, err)
	}
	if place := f.checker.(triggers.Placed).Place("anything"); place != "" {
		t.Errorf("place %q of nothing", place)
	}
}
