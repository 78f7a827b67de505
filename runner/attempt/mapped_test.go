package attempt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/store"
)

// instance is one of the instances of a task that is mapped over a literal and over what task "list" pushes.
func instance(index int) executor.Work {
	w := attempttest.Work("t", "typed", map[string]any{"cmd": "as written"})
	w.Task.Mapped = &dag.Mapping{Fields: []dag.MappedField{
		{Name: "count", Value: []any{int64(7), int64(8)}}, {Name: "cmd", Source: &dag.XComRef{TaskID: "list", Key: "return_value"}},
	}}
	w.DAG.Tasks = append(w.DAG.Tasks, &dag.Task{ID: "list"})
	w.Instance.MapIndex = index
	return w
}

func TestInstancesGetTheirItems(t *testing.T) {
	t.Parallel()
	for index, want := range []string{"7 a{{ b }}", "7 c", "8 a{{ b }}", "8 c"} {
		b := open(t, instance(index), withTyped(t, upper{}))
		b.xcoms.Put(store.XCom{Key: dag.Key{DagID: "d", RunID: "r", TaskID: "list", MapIndex: -1}, Name: "return_value",
			Value: json.RawMessage(`["a{{ b }}", "c"]`)})
		op, _, err := b.Operator(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		o := op.(*typed)
		if got := fmt.Sprintf("%d %s", o.Count, o.Cmd); got != want {
			t.Errorf("instance %d: %s, want %s", index, got, want)
		}
	}
}

func TestInstanceBeyondItsList(t *testing.T) {
	t.Parallel()
	b := open(t, instance(3), withTyped(t, upper{}))
	b.xcoms.Put(store.XCom{Key: dag.Key{DagID: "d", RunID: "r", TaskID: "list", MapIndex: -1}, Name: "return_value",
		Value: json.RawMessage(`[]`)})
	if _, _, err := b.Operator(t.Context()); err == nil || !strings.Contains(err.Error(), "clear the whole task") {
		t.Errorf("got %v", err)
	}
}

func TestSourceOfAMappingMustBeMappable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value any
		want  string
	}{
		{[]any{1, 2}, ""}, {map[string]any{"a": 1}, ""},
		{nil, "returned nothing"}, {"text", "pushed a text"}, {3, "pushed a number"},
		{make([]any, 1025), "returned 1025 items; core.max_map_length allows 1024"},
	} {
		w := attempttest.Work("source", "plain", nil)
		w.Task.Downstream = []string{"each"}
		w.DAG.Tasks = append(w.DAG.Tasks, &dag.Task{ID: "each", Mapped: &dag.Mapping{Fields: []dag.MappedField{
			{Name: "x", Source: &dag.XComRef{TaskID: "source", Key: "return_value"}},
		}}})
		rep := open(t, w).Outcome(operators.Done(c.value), nil, false)
		if c.want == "" && rep.Kind != executor.Succeeded || !strings.Contains(rep.Error, c.want) {
			t.Errorf("%v: %v %q", c.value, rep.Kind, rep.Error)
		}
	}
}

// echo renders a text as itself, or not at all.
type echo struct{ upper }

func (e echo) RenderText(_ context.Context, _ *attempt.Handle, text string) (string, error) {
	return strings.ReplaceAll(text, "N", "7"), e.err
}

func TestMapIndexTemplate(t *testing.T) {
	t.Parallel()
	w := instance(1)
	w.Task.Mapped.IndexTemplate = "number N"
	rep := open(t, w, func(e *attempt.Env) { e.Renderer = echo{} }).Outcome(operators.Done(nil), nil, false)
	if rep.MapLabel != "number 7" {
		t.Errorf("got %q", rep.MapLabel)
	}
	rep = open(t, w, func(e *attempt.Env) { e.Renderer = echo{upper{errors.New("undefined")}} }).Failure(errors.New("boom"))
	if rep.MapLabel != "" || rep.Kind != executor.Failed {
		t.Errorf("got %+v", rep)
	}
	w.Task.Mapped.IndexTemplate = strings.Repeat("x", 300)
	rep = open(t, w, func(e *attempt.Env) { e.Renderer = echo{} }).Outcome(operators.Skip("no"), nil, false)
	if len(rep.MapLabel) != 250 {
		t.Errorf("%d characters", len(rep.MapLabel))
	}
}
