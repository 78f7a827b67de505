package interp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/interp"
)

// failedWith fails the test unless the execution failed with the error and a cause that contains the text.
func failedWith(t *testing.T, x *interp.Execution, name, text string) {
	t.Helper()
	gotName, cause := x.Failure()
	if x.Status() != interp.Failed || show(gotName) != name || !strings.Contains(show(cause), text) {
		t.Errorf("%s %s %.300s, want %s with %q", x.Status(), show(gotName), show(cause), name, text)
	}
}

func TestPayloadLimits(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 150_000)
	tooLarge := "returned a result with a size exceeding the maximum number of bytes service limit."
	twice := `{"a.$":"$","b.$":"$"}`
	for name, state := range map[string]string{
		"output":      `{"Type":"Pass","Parameters":` + twice + `,"End":true}`,
		"task input":  `{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Parameters":` + twice + `,"End":true}`,
		"branch":      `{"Type":"Parallel","Parameters":` + twice + `,"Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}],"End":true}`,
		"branches":    `{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}},{"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}}],"End":true}`,
		"JSONata":     `{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $states.input & $states.input %}","End":true}`,
		"JSONata map": `{"Type":"Map","QueryLanguage":"JSONata","Items":[1,2],"ItemSelector":"{% $states.input & $states.input %}","ItemProcessor":{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}},"End":true}`,
	} {
		x, _ := start(t, `{"StartAt":"A","States":{"A":`+state+`}}`, `"`+big+`"`)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failedWith(t, x, asl.ErrDataLimitExceeded, "The state/task 'A' "+tooLarge)
		})
	}
	task := `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",
		"Catch":[{"ErrorEquals":["States.Timeout"],"Next":"D"},{"ErrorEquals":["States.TaskFailed"],"Next":"C"}],"End":true},
		"C":{"Type":"Pass","End":true},"D":{"Type":"Fail"}}}`
	x, _ := start(t, task, `{}`)
	s := x.Handle(interp.TaskSucceeded{ID: 1, Output: `"` + big + big + `"`}, epoch)
	if x.Status() != interp.Succeeded || s.Events[0].Type != history.LambdaFunctionFailed {
		t.Errorf("task result: %s, first event %s", x.Status(), s.Events[0].Type)
	}
}

func TestVariableLimits(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 140_000)
	x, _ := start(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"v.$":"$","w.$":"$"},"End":true}}}`, `"`+big+`"`)
	failedWith(t, x, asl.ErrDataLimitExceeded, "exceeds the maximum of 262144 bytes for one Assign field")

	// Variables of finished iterations do not count any more; 80 of 140 kB that live at once are too many.
	loop := func(states int) *interp.Execution {
		var text []string
		for i := range states {
			text = append(text, fmt.Sprintf(`"S%d":{"Type":"Pass","Assign":{"v%d.$":"$"},"Next":"S%d"}`, i, i, i+1))
		}
		text = append(text, fmt.Sprintf(`"S%d":{"Type":"Succeed"}`, states))
		x, _ := start(t, `{"StartAt":"S0","States":{`+strings.Join(text, ",")+`}}`, `"`+big+`"`)
		for x.Status() == interp.Running {
			x.Handle(interp.Tick{}, epoch)
		}
		return x
	}
	if x := loop(70); x.Status() != interp.Succeeded {
		t.Error(x.Status())
	}
	failedWith(t, loop(80), asl.ErrDataLimitExceeded, "exceeds the maximum of 10485760 bytes")
	x, _ = start(t, `{"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$.items","MaxConcurrency":1,"ItemSelector":{"b.$":"$.big"},
		"ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","Assign":{"v.$":"$.b"},"OutputPath":null,"End":true}}},"End":true}}}`,
		`{"items":[`+strings.Repeat("1,", 99)+`1],"big":"`+big+`"}`)
	for x.Status() == interp.Running {
		x.Handle(interp.Tick{}, epoch)
	}
	if x.Status() != interp.Succeeded {
		_, cause := x.Failure()
		t.Errorf("a hundred iterations with a variable each: %s %s", x.Status(), show(cause))
	}
	// A catcher whose variables do not fit ends the execution.
	x, _ = start(t, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",
		"Catch":[{"ErrorEquals":["E"],"Assign":{"a.$":"$","b.$":"$"},"Next":"P"}],"End":true},"P":{"Type":"Pass","End":true}}}`, `{}`)
	x.Handle(interp.TaskFailed{ID: 1, Error: "E", Cause: big}, epoch)
	failedWith(t, x, asl.ErrDataLimitExceeded, "for one Assign field")
}

const endlessLoop = `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},
	"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsNull":false,"Next":"A"}],"Default":"End"},"End":{"Type":"Succeed"}}}`

func TestEndlessLoopRunsOutOfHistory(t *testing.T) {
	t.Parallel()
	x, s := start(t, endlessLoop, `{"x":1}`)
	events, steps := len(s.Events), 1
	for x.Status() == interp.Running {
		if wake := x.Wake(); !wake.Equal(epoch) {
			t.Fatalf("the loop wants to go on at %v", wake)
		}
		s = x.Handle(interp.Tick{}, epoch)
		events += len(s.Events)
		steps++
	}
	last := s.Events[len(s.Events)-1]
	_, cause := x.Failure()
	if x.Status() != interp.Failed || events != history.MaxEvents || steps < 5 || last.ID != history.MaxEvents ||
		last.Type != history.ExecutionFailed || last.PreviousID != history.MaxEvents-1 ||
		show(cause) != "The execution reached the maximum number of history events (25000)." {
		t.Errorf("%s after %d events, the last is %d %s, cause %s", x.Status(), events, last.ID, last.Type, show(cause))
	}
}

func TestExpressExecutionsHaveNoHistoryLimit(t *testing.T) {
	t.Parallel()
	m, found := asl.Parse(endlessLoop)
	if m == nil {
		t.Fatal(found)
	}
	x, err := interp.New(m, interp.Info{ExecutionARN: "arn:x", Input: `{"x":1}`, StartTime: epoch, Express: true})
	if err != nil {
		t.Fatal(err)
	}
	x.Start(epoch)
	for x.LastEventID() < 2*history.MaxEvents && x.Status() == interp.Running {
		x.Handle(interp.Tick{}, epoch)
	}
	if x.Status() != interp.Running {
		t.Fatal(x.Status())
	}
	s := x.Handle(interp.Tick{}, epoch.Add(5*time.Minute))
	if len(s.Events) != 1 || s.Events[0].Type != history.ExecutionTimedOut || x.Status() != interp.TimedOut {
		t.Errorf("%s, %d events", x.Status(), len(s.Events))
	}
	if s := x.Handle(interp.Redrive{}, epoch); len(s.Events) > 0 {
		t.Error("an express execution was redriven")
	}
}

// TestMapRunTolerance compares failed items with what is tolerated.
func TestMapRunTolerance(t *testing.T) {
	t.Parallel()
	count, half := int64(2), 50.0
	for _, c := range []struct {
		count         *int64
		percentage    *float64
		failed, total int64
		want          bool
	}{
		{nil, nil, 0, 10, false}, {nil, nil, 1, 10, true},
		{&count, nil, 2, 10, false}, {&count, nil, 3, 10, true},
		{nil, &half, 5, 10, false}, {nil, &half, 6, 10, true},
		{&count, &half, 2, 3, true}, {&count, &half, 3, 100, true}, {&count, &half, 2, 4, false},
	} {
		run := interp.MapRun{ToleratedCount: c.count, ToleratedPercentage: c.percentage}
		if got := run.Exceeded(c.failed, c.total); got != c.want {
			t.Errorf("%d of %d with %v and %v: %v", c.failed, c.total, c.count, c.percentage, got)
		}
	}
}

func TestMapItemOfNoRun(t *testing.T) {
	t.Parallel()
	x := waitingExecution(t, `{"Type":"Wait","Seconds":60,"End":true}`, `{}`)
	var none interp.MapRun
	if _, err := x.MapItem(1, 0, none.Items, nil, ""); err == nil || !strings.Contains(err.Error(), "no running map run 1") {
		t.Error(err)
	}
	m, found := asl.Parse(`{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":60,"End":true}}}`)
	if m == nil {
		t.Fatal(found)
	}
	if _, err := interp.New(m, interp.Info{Input: "{}", MapState: "W"}); err == nil || !strings.Contains(err.Error(), `no Map state "W"`) {
		t.Error(err)
	}
}
