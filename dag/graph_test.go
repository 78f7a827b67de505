package dag

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tasks builds a task list from "id: upstream ids" in order.
func tasks(ids []string, up map[string][]string) []*Task {
	out := make([]*Task, len(ids))
	for i, id := range ids {
		out[i] = &Task{ID: id, Upstream: up[id], PriorityWeight: 1, WeightRule: WeightDownstream}
	}
	return out
}

func names(ts []*Task) []string {
	out := []string{}
	for _, t := range ts {
		out = append(out, t.ID)
	}
	return out
}

func TestSort(t *testing.T) {
	t.Parallel()
	ts := tasks([]string{"z", "m", "a", "b"}, map[string][]string{"m": {"a"}, "b": {"z"}})
	sorted, err := Sort(ts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"z", "a", "m", "b"}, names(sorted)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	Connect(ts)
	d := &DAG{Tasks: sorted}
	if diff := cmp.Diff([]string{"z", "a"}, names(d.Roots())); diff != "" {
		t.Errorf("roots -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"m", "b"}, names(d.Leaves())); diff != "" {
		t.Errorf("leaves -want +got:\n%s", diff)
	}
}

func TestSortCycle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		up   map[string][]string
		want []string
	}{
		{map[string][]string{"a": {"a"}}, []string{"a", "a"}},
		{map[string][]string{"b": {"a", "c"}, "c": {"b"}, "d": {"c"}}, []string{"b", "c", "b"}},
		{map[string][]string{"a": {"d"}, "b": {"a"}, "c": {"b"}, "d": {"c", "b"}}, []string{"a", "b", "d", "a"}},
	} {
		_, err := Sort(tasks([]string{"a", "b", "c", "d"}, c.up))
		var cycle *CycleError
		if !errors.As(err, &cycle) {
			t.Errorf("%v: no cycle found: %v", c.up, err)
			continue
		}
		if diff := cmp.Diff(c.want, cycle.Tasks); diff != "" {
			t.Errorf("%v: -want +got:\n%s", c.up, diff)
		}
	}
}

func TestPriorityWeights(t *testing.T) {
	t.Parallel()
	ts := tasks([]string{"a", "b", "c", "d"}, map[string][]string{"b": {"a"}, "c": {"a"}, "d": {"b", "c"}})
	for i, w := range []int{1, 10, 100, 1000} {
		ts[i].PriorityWeight = w
	}
	ts[1].WeightRule, ts[2].WeightRule = WeightUpstream, WeightAbsolute
	Connect(ts)
	want := map[string]int{"a": 1111, "b": 11, "c": 100, "d": 1000}
	if diff := cmp.Diff(want, (&DAG{Tasks: ts}).PriorityWeights()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	ts[0].PriorityWeight, ts[3].PriorityWeight = math.MaxInt32, math.MinInt32
	ts[3].WeightRule = WeightUpstream
	got := (&DAG{Tasks: ts}).PriorityWeights()
	if got["a"] != 109 || got["b"] != math.MaxInt32 || got["d"] != 109 {
		t.Errorf("near the limits: %v", got)
	}
}

// TestLongChain has more tasks than a block of the closure has columns.
func TestLongChain(t *testing.T) {
	t.Parallel()
	const n = 1300
	ids, up := make([]string, n), map[string][]string{}
	for i := range ids {
		ids[i] = fmt.Sprint("t", i)
		if i > 0 {
			up[ids[i]] = []string{ids[i-1]}
		}
	}
	ts := tasks(ids, up)
	ts[n-1].WeightRule = WeightUpstream
	Connect(ts)
	weights := (&DAG{Tasks: ts}).PriorityWeights()
	for i := range n - 1 {
		if weights[ids[i]] != n-i {
			t.Fatalf("%s weighs %d, want %d", ids[i], weights[ids[i]], n-i)
		}
	}
	if weights[ids[n-1]] != n {
		t.Errorf("the last weighs %d, want %d", weights[ids[n-1]], n)
	}
}

// TestGraphProperties compares with the plain definitions on random graphs.
func TestGraphProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 5, 20}).Draw(rt, "tasks")
		ids := make([]string, n)
		up := map[string][]string{}
		for i := range ids {
			ids[i] = fmt.Sprint("t", i)
			for range min(i, rapid.IntRange(0, 2).Draw(rt, "edges")) {
				j := rapid.IntRange(0, i-1).Draw(rt, "from")
				if from := ids[j]; !contains(up[ids[i]], from) {
					up[ids[i]] = append(up[ids[i]], from)
				}
			}
		}
		ts := tasks(ids, up)
		sorted, err := Sort(ts)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(ids, names(sorted)); diff != "" {
			rt.Fatalf("a sorted list changed order:\n%s", diff)
		}
		Connect(ts)
		d := &DAG{Tasks: sorted}
		weights := d.PriorityWeights()
		for _, task := range []*Task{sorted[0], sorted[n/2], sorted[n-1]} {
			below := d.Descendants(task.ID)
			if weights[task.ID] != 1+len(below) {
				rt.Errorf("%s weighs %d with %d descendants", task.ID, weights[task.ID], len(below))
			}
			for _, id := range below {
				if !contains(d.Ancestors(id), task.ID) {
					rt.Errorf("%s is a descendant of %s, which is not its ancestor", id, task.ID)
				}
			}
		}
	})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestTaskNumbersSurviveJSON(t *testing.T) {
	t.Parallel()
	in := &Task{ID: "a", Params: map[string]any{
		"int": int64(math.MaxInt64), "float": 0.5, "whole": 1e21, "big": json.Number("123456789012345678901234567890"),
		"list": []any{int64(9007199254740993), "x", nil, true, map[string]any{"n": int64(-1)}},
	}}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Task
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, &out); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
