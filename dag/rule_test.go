package dag_test

import (
	"fmt"
	"slices"
	"testing"

	"gust/dag"
)

// The states of an upstream task that a trigger rule can meet; "" stands for any state that is not finished.
var upstreamStates = []dag.State{
	dag.StateNone, dag.StateSuccess, dag.StateFailed, dag.StateUpstreamFailed, dag.StateSkipped, dag.StateRemoved,
}

// expected is a trigger rule told over the list of upstream states instead of counts, the way its name says it.
type expected struct {
	// set is the state that is taken at once, tried in order.
	set []setWhen
	// run is when the task runs, if nothing was set.
	run func(list) bool
}

type setWhen struct {
	to   dag.State
	when func(list) bool
}

type list []dag.State

func (l list) any(of ...dag.State) bool {
	return slices.ContainsFunc(l, func(s dag.State) bool { return slices.Contains(of, s) })
}

func (l list) all(of ...dag.State) bool {
	return !slices.ContainsFunc(l, func(s dag.State) bool { return !slices.Contains(of, s) })
}

func (l list) done() bool { return !l.any(dag.StateNone) }

const (
	ok   = dag.StateSuccess
	bad  = dag.StateFailed
	up   = dag.StateUpstreamFailed
	skip = dag.StateSkipped
)

var expectations = map[dag.TriggerRule]expected{
	dag.AllSuccess: {
		[]setWhen{{up, func(l list) bool { return l.any(bad, up) }}, {skip, func(l list) bool { return l.any(skip) }}},
		func(l list) bool { return l.all(ok) },
	},
	dag.AllFailed: {
		[]setWhen{{skip, func(l list) bool { return l.any(ok, skip) }}},
		func(l list) bool { return l.all(bad, up) },
	},
	dag.AllDone: {nil, list.done},
	dag.AllDoneMinOneSuccess: {
		[]setWhen{
			{skip, func(l list) bool { return l.any(skip) }},
			{up, func(l list) bool { return l.done() && !l.any(ok) }},
		},
		list.done,
	},
	dag.AllSkipped: {
		[]setWhen{{skip, func(l list) bool { return l.any(ok, bad, up) }}},
		func(l list) bool { return l.all(skip) },
	},
	dag.OneFailed: {
		[]setWhen{{skip, func(l list) bool { return l.done() && !l.any(bad, up) }}},
		func(l list) bool { return l.any(bad, up) },
	},
	dag.OneSuccess: {
		[]setWhen{
			{skip, func(l list) bool { return l.all(skip) }},
			{up, func(l list) bool { return l.done() && !l.any(ok) }},
		},
		func(l list) bool { return l.any(ok) },
	},
	dag.OneDone: {
		[]setWhen{{skip, func(l list) bool { return l.all(skip, up, dag.StateRemoved) }}},
		func(l list) bool { return l.any(ok, bad) },
	},
	dag.NoneFailed: {
		[]setWhen{{up, func(l list) bool { return l.any(bad, up) }}},
		func(l list) bool { return l.all(ok, skip) },
	},
	dag.NoneFailedMinOneSuccess: {
		[]setWhen{{up, func(l list) bool { return l.any(bad, up) }}, {skip, func(l list) bool { return l.all(skip) }}},
		func(l list) bool { return l.all(ok, skip) },
	},
	dag.NoneSkipped: {
		[]setWhen{{skip, func(l list) bool { return l.any(skip) }}},
		list.done,
	},
	dag.Always: {nil, func(list) bool { return true }},
}

func (e expected) verdict(l list) dag.Verdict {
	for _, s := range e.set {
		if s.when(l) {
			return dag.Verdict{Set: s.to}
		}
	}
	return dag.Verdict{Run: e.run(l)}
}

// TestTriggerRules compares every rule with its expectation for every combination of up to three upstream tasks.
func TestTriggerRules(t *testing.T) {
	t.Parallel()
	if len(expectations) != len(dag.TriggerRules) {
		t.Fatalf("%d expectations for %d rules", len(expectations), len(dag.TriggerRules))
	}
	var lists []list
	for _, a := range upstreamStates {
		lists = append(lists, list{a})
		for _, b := range upstreamStates {
			lists = append(lists, list{a, b})
			for _, c := range upstreamStates {
				lists = append(lists, list{a, b, c})
			}
		}
	}
	for _, rule := range dag.TriggerRules {
		t.Run(string(rule), func(t *testing.T) {
			t.Parallel()
			for _, l := range lists {
				if got, want := rule.Evaluate(count(l)), expectations[rule].verdict(l); got != want {
					t.Errorf("upstream %v: got %+v, want %+v", l, got, want)
				}
			}
			if got := rule.Evaluate(dag.Upstream{}); got != (dag.Verdict{Run: true}) {
				t.Errorf("without upstream: got %+v, want run", got)
			}
		})
	}
}

func count(l list) dag.Upstream {
	u := dag.Upstream{Total: len(l)}
	for _, s := range l {
		u.Add(s, 1)
	}
	return u
}

// TestTriggerRulesDecide: once every upstream task has finished, only a removed one can leave a rule undecided.
func TestTriggerRulesDecide(t *testing.T) {
	t.Parallel()
	finished := upstreamStates[1:5]
	for _, rule := range dag.TriggerRules {
		for _, a := range finished {
			for _, b := range finished {
				if v := rule.Evaluate(count(list{a, b})); v == (dag.Verdict{}) {
					t.Errorf("%s waits for ever after %s and %s", rule, a, b)
				}
			}
		}
	}
}

// TestTriggerRulesStay: a verdict does not change when more upstream tasks finish, except where the rule acts early on
// what it has seen so far (an early skip that a later failure would have overruled).
func TestTriggerRulesStay(t *testing.T) {
	t.Parallel()
	for _, rule := range dag.TriggerRules {
		for _, a := range upstreamStates[1:] {
			early := rule.Evaluate(count(list{a, dag.StateNone}))
			for _, b := range upstreamStates[1:] {
				late := rule.Evaluate(count(list{a, b}))
				if early.Run && late.Set != dag.StateNone {
					t.Errorf("%s runs after %s, but after %s too it is %+v", rule, a, b, late)
				}
				if early.Set == up && late.Set != up {
					t.Errorf("%s is upstream_failed after %s, but after %s too it is %+v", rule, a, b, late)
				}
			}
		}
	}
}

func TestUpstreamTakesBack(t *testing.T) {
	t.Parallel()
	for _, s := range dag.TaskStates {
		u := dag.Upstream{Total: 3, Success: 1, Failed: 1}
		before := u
		u.Add(s, 1)
		if got := u.Done() - before.Done(); (got == 1) != s.Finished() {
			t.Errorf("%s: done grew by %d", s, got)
		}
		u.Add(s, -1)
		if u != before {
			t.Errorf("%s: %+v after adding and taking back, want %+v", s, u, before)
		}
	}
}

func ExampleTriggerRule_Evaluate() {
	u := dag.Upstream{Total: 3}
	u.Add(dag.StateSuccess, 1)
	fmt.Printf("%+v\n", dag.AllSuccess.Evaluate(u))
	u.Add(dag.StateFailed, 1)
	fmt.Printf("%+v\n", dag.AllSuccess.Evaluate(u))
	// Output:
	// {Run:false Set:none}
	// {Run:false Set:upstream_failed}
}
