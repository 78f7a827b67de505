package plan_test

import (
	"slices"
	"testing"
	"time"

	"gust/dag"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
)

// TestOnlyTheTakenSlotIsGivenUp: of several runs that are made at once, one has its place taken. The others are made.
func TestOnlyTheTakenSlotIsGivenUp(t *testing.T) {
	t.Parallel()
	d := plantest.Build("etl catchup start=2025-01-01 end=2025-01-01T03:00:00Z schedule=0_*_*_*_*\na")
	made := func(events ...plan.Event) []dag.Run {
		w := newWorld(t, plan.Config{Slots: 4, StateLag: -1})
		var out []dag.Run
		for _, r := range w.state.Step(append(events, load(d)), epoch.Add(4*time.Hour)).Changes.Runs {
			out = append(out, r.Run)
		}
		return out
	}
	all := made()
	if len(all) != 4 {
		t.Fatalf("%d runs are made, want 4", len(all))
	}
	left := made(plan.Taken{Run: all[2]})
	want := []string{all[0].RunID, all[1].RunID, all[3].RunID}
	var got []string
	for _, r := range left {
		got = append(got, r.RunID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("made are %v, want %v", got, want)
	}
}
