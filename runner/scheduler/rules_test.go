package scheduler_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gust/dag"
	"gust/runner/executor"
)

// outcomes are the states that an upstream task can end in, in the order in which they come about here: a state that is
// decided early by what has ended so far must not depend on chance.
var outcomes = []dag.State{dag.StateFailed, dag.StateUpstreamFailed, dag.StateSuccess, dag.StateSkipped}

// expected is what a task with a rule comes to when its upstream tasks have ended like this, by the table of Airflow's
// trigger rules; StateSuccess means that it ran.
func expected(rule dag.TriggerRule, n map[dag.State]int) dag.State {
	failed := n[dag.StateFailed] + n[dag.StateUpstreamFailed]
	success, skipped := n[dag.StateSuccess], n[dag.StateSkipped]
	pick := func(cases ...any) dag.State { // condition, state, condition, state, ...
		for i := 0; i < len(cases); i += 2 {
			if cases[i].(bool) {
				return cases[i+1].(dag.State)
			}
		}
		return dag.StateSuccess
	}
	switch rule {
	case dag.AllSuccess:
		return pick(failed > 0, dag.StateUpstreamFailed, skipped > 0, dag.StateSkipped)
	case dag.AllFailed:
		return pick(success+skipped > 0, dag.StateSkipped)
	case dag.AllDoneMinOneSuccess:
		return pick(skipped > 0, dag.StateSkipped, success == 0, dag.StateUpstreamFailed)
	case dag.AllSkipped:
		return pick(success+failed > 0, dag.StateSkipped)
	case dag.OneFailed:
		return pick(failed == 0, dag.StateSkipped)
	case dag.OneSuccess:
		return pick(success > 0, dag.StateSuccess, skipped == 3, dag.StateSkipped, true, dag.StateUpstreamFailed)
	case dag.OneDone:
		return pick(success+n[dag.StateFailed] == 0, dag.StateSkipped)
	case dag.NoneFailed:
		return pick(failed > 0, dag.StateUpstreamFailed)
	case dag.NoneFailedMinOneSuccess:
		return pick(failed > 0, dag.StateUpstreamFailed, skipped == 3, dag.StateSkipped)
	case dag.NoneSkipped:
		return pick(skipped > 0, dag.StateSkipped)
	}
	return dag.StateSuccess // all_done, always
}

// TestEveryTriggerRule runs every rule against every combination of three upstream states through the whole engine.
func TestEveryTriggerRule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil, endAs, nil)
		defer h.halt()
		type expectation struct {
			run  dag.RunKey
			want dag.State
		}
		var all []expectation
		for _, rule := range dag.TriggerRules {
			for i := range len(outcomes) * len(outcomes) * len(outcomes) {
				combination := []dag.State{outcomes[i/16], outcomes[i/4%4], outcomes[i%4]}
				n := map[dag.State]int{}
				text := fmt.Sprintf("%s_%d max_active_tasks=99\nlast rule=%s\n", rule, i, rule)
				for j, state := range combination {
					n[state]++
					up := fmt.Sprintf("%s_%d", state, j)
					if state == dag.StateUpstreamFailed {
						text += fmt.Sprintf("failed_before%d >> %s\n", j, up)
					}
					text += up + " >> last\n"
				}
				d := h.load(text)
				all = append(all, expectation{h.create(d.ID, "r"), expected(rule, n)})
				time.Sleep(10 * time.Second) // run by run: a wait for a slot would change the order in which tasks end
			}
		}
		for _, e := range all {
			if got := h.task(e.run, "last").State; got != e.want {
				t.Errorf("%s: %s, want %s", e.run.DagID, got, e.want)
			}
			if run := h.store.Run(e.run); !run.State.Finished() {
				t.Errorf("%s: the run is %s", e.run.DagID, run.State)
			}
		}
	})
}

// endAs ends a task as its name says, failures before successes before skips.
func endAs(_ context.Context, w executor.Work, report func(executor.Report)) executor.Report {
	report(executor.Report{Kind: executor.Started})
	switch {
	case strings.HasPrefix(w.Task.ID, "failed"):
		return executor.Report{Kind: executor.Failed, Error: "boom"}
	case strings.HasPrefix(w.Task.ID, "skipped"):
		time.Sleep(2 * time.Second)
		return executor.Report{Kind: executor.Skipped}
	}
	time.Sleep(time.Second)
	return executor.Report{Kind: executor.Succeeded}
}
