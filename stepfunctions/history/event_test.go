package history_test

import (
	"testing"
	"time"

	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

func event(typ history.Type, d *history.Details) string {
	e := history.Event{ID: 3, PreviousID: 2, Time: time.UnixMilli(1_700_000_000_007), Type: typ, Details: d}
	return string(e.Append(nil))
}

func TestAppend(t *testing.T) {
	t.Parallel()
	name := "E"
	assigned := jsonvalue.NewObjectBuilder(1).Set("v", jsonvalue.NewArray([]jsonvalue.Value{jsonvalue.NewInt(1)})).Value()
	for _, c := range []struct{ got, want string }{
		{event(history.LambdaFunctionStarted, nil),
			`{"timestamp":1700000000.007,"type":"LambdaFunctionStarted","id":3,"previousEventId":2}`},
		{event(history.StateExited("Pass"), history.NewDetails("stateExitedEventDetails").Text("name", "A\"<").
			Data("output", `{"a":1}`).Variables(assigned)),
			`{"timestamp":1700000000.007,"type":"PassStateExited","id":3,"previousEventId":2,"stateExitedEventDetails":` +
				`{"name":"A\"<","output":"{\"a\":1}","outputDetails":{"truncated":false},` +
				`"assignedVariables":{"v":"[1]"},"assignedVariablesDetails":{"truncated":false}}}`},
		{event(history.ExecutionFailed, history.NewDetails("executionFailedEventDetails").Optional("error", &name).
			Optional("cause", nil)),
			`{"timestamp":1700000000.007,"type":"ExecutionFailed","id":3,"previousEventId":2,` +
				`"executionFailedEventDetails":{"error":"E"}}`},
		{event(history.MapIterationStarted, history.NewDetails("d").Int("index", 4).Raw("x", "[]").
			Variables(jsonvalue.EmptyObject())),
			`{"timestamp":1700000000.007,"type":"MapIterationStarted","id":3,"previousEventId":2,"d":{"index":4,"x":[]}}`},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
		if _, err := jsonvalue.Parse(c.got); err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutData(t *testing.T) {
	t.Parallel()
	full := event(history.StateEntered("Task"), history.NewDetails("stateEnteredEventDetails").Text("name", "A").
		Data("input", `{"secret":1}`))
	got, err := history.WithoutData([]byte(full))
	want := `{"timestamp":1700000000.007,"type":"TaskStateEntered","id":3,"previousEventId":2,` +
		`"stateEnteredEventDetails":{"name":"A","inputDetails":{"truncated":false}}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
	if _, err := history.WithoutData([]byte("{")); err == nil {
		t.Error("a broken event was accepted")
	}
}

func TestDetails(t *testing.T) {
	t.Parallel()
	d := history.NewDetails("d").Text("name", "n").Int("index", 1)
	if text, ok := d.Get("index"); !ok || text != "1" || d.Size() != len("namenindex1") {
		t.Error(text, ok, d.Size())
	}
	var none *history.Details
	if _, ok := none.Get("x"); ok || none.Size() != 0 {
		t.Error("no details have a field")
	}
}
