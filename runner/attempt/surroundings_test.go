package attempt_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
)

// TestSurroundings: an operator that asks sees what templates see.
func TestSurroundings(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var s operators.Surroundings = templated(t, nil)
	if s.DAG().ID != "d" || s.Instance().TaskID != "t" {
		t.Errorf("DAG %s, task %s", s.DAG().ID, s.Instance().TaskID)
	}
	if params, err := s.MergedParams(); err != nil || string(params) != `{"n":7,"who":"task"}` {
		t.Errorf("params %s, %v", params, err)
	}
	if v, found, err := s.Variable(ctx, "bucket"); v != "s3://b" || !found || err != nil {
		t.Errorf("variable %q, %v, %v", v, found, err)
	}
	if _, found, err := s.Variable(ctx, "none"); found || err == nil {
		t.Errorf("a missing variable: found %v, %v", found, err)
	}
	for q, want := range map[operators.XComQuery]string{
		{TaskID: "up"}:                                `{"id":[41,42]}`,
		{TaskID: "up", Key: "mark"}:                   "",
		{TaskID: "up", Key: "mark", RunID: "r19"}:     `"old"`,
		{TaskID: "up", Key: "mark", PriorDates: true}: `"old"`,
		{TaskID: "up", DagID: "another"}:              "",
		{}:                                            "",
	} {
		if raw, found, err := s.XCom(ctx, q); string(raw) != want || found != (want != "") || err != nil {
			t.Errorf("%+v: %s, %v, %v; want %q", q, raw, found, err, want)
		}
	}
	previous, err := s.PreviousSuccess(ctx)
	if err != nil || previous == nil || !previous.IntervalStart.Equal(day(18)) {
		t.Errorf("previous %+v, %v", previous, err)
	}
	for step, want := range map[int]int{-1: 20, 1: 22} {
		if at, ok := s.Neighbour(step); !ok || !at.Equal(day(want)) {
			t.Errorf("neighbour %d: %s, %v", step, at, ok)
		}
	}
}

// TestMappedArgument: a field may be a key of a parameter that is an object, which is not changed.
func TestMappedArgument(t *testing.T) {
	t.Parallel()
	env := map[string]any{"a": "{{ ds }}", "x": "default"}
	for index, want := range []string{"one", "{{ two }}"} {
		w := attempttest.Work("t", "shell", map[string]any{"env": env})
		w.Task.Mapped = &dag.Mapping{Fields: []dag.MappedField{{Name: "env.x", Value: []any{"one", "{{ two }}"}}}}
		w.Instance.MapIndex = index
		b := open(t, w, func(e *attempt.Env) {
			if err := e.Operators.Register(operators.Spec{Name: "shell", New: func() operators.Operator { return &shell{} }}); err != nil {
				t.Fatal(err)
			}
		})
		op, _, err := b.Operator(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"a": "{{ ds }}", "x": want}, op.(*shell).Env); diff != "" {
			t.Errorf("instance %d (-want +got):\n%s", index, diff)
		}
	}
	if env["x"] != "default" {
		t.Error("the parameters of the task were changed")
	}
}

// TestLabelsOfTheOperator: map_index_template sees what an operator added.
func TestLabelsOfTheOperator(t *testing.T) {
	t.Parallel()
	b := templated(t, nil)
	w := b.Work()
	w.Task.Mapped = &dag.Mapping{Fields: []dag.MappedField{{Name: "cmd", Value: []any{"a"}}}, IndexTemplate: "{{ city }} {{ ds }}"}
	w.Instance.MapIndex = 0
	b.Label(map[string]any{"city": "Oslo"})
	if rep := b.Outcome(operators.Done(nil), nil, false); !strings.HasPrefix(rep.MapLabel, "Oslo 2026-11-21") {
		t.Errorf("label %q", rep.MapLabel)
	}
}

// TestLabelOfTheItem: map_index_template sees the instance's own item as a parameter of the task.
func TestLabelOfTheItem(t *testing.T) {
	t.Parallel()
	b := templated(t, nil)
	w := b.Work()
	w.Task.Mapped = &dag.Mapping{Fields: []dag.MappedField{{Name: "cmd", Value: []any{"first", "second"}}}, IndexTemplate: "item {{ task.cmd }}"}
	w.Instance.MapIndex = 1
	if _, _, err := b.Operator(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rep := b.Outcome(operators.Done(nil), nil, false); rep.MapLabel != "item second" {
		t.Errorf("label %q", rep.MapLabel)
	}
}
