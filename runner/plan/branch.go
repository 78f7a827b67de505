package plan

import (
	"encoding/json"
	"slices"
	"strings"

	"gust/dag"
	"gust/store"
)

// choice is a branch's or short circuit's decision: the direct downstream tasks that are followed, or the tasks that
// are skipped. It is stored as XCom store.SkipKey.
type choice struct {
	Followed *[]string `json:"followed,omitempty"`
	Skipped  *[]string `json:"skipped,omitempty"`
}

func (c choice) json() json.RawMessage {
	raw, _ := json.Marshal(c) // strings always marshal
	return raw
}

// skipAll is the decision to skip everything behind the task but teardowns, whatever the trigger rules say.
func (s *State) skipAll(t *task) choice {
	ids := []string{}
	g := t.run.graph
	g.reach(g.down[t.index]).each(func(i int) {
		if !g.dag.Tasks[i].Teardown {
			ids = append(ids, g.dag.Tasks[i].ID)
		}
	})
	return choice{Skipped: &ids}
}

// follow is the decision to follow the named direct downstream tasks, task groups being their members, and those that
// can be reached from a followed one as well.
func (s *State) follow(t *task, names []string) choice {
	g := t.run.graph
	var heads []int32
	for _, name := range names {
		found := false
		for _, j := range g.down[t.index] {
			if d := g.dag.Tasks[j]; d.ID == name || d.Group != "" && g.inGroup(d, name) {
				heads, found = append(heads, j), true
			}
		}
		if !found {
			s.warn("task %s.%s chose %q, which is no direct downstream task or task group; expected one of: %s",
				t.run.row.DagID, t.spec.ID, name, strings.Join(t.spec.Downstream, ", "))
		}
	}
	ids := []string{}
	reached := g.reach(heads)
	for _, j := range g.down[t.index] {
		if reached.has(int(j)) {
			ids = append(ids, g.dag.Tasks[j].ID)
		}
	}
	return choice{Followed: &ids}
}

// skip skips what the choice of t excludes, as far as it has not begun.
func (s *State) skip(t *task, c choice) {
	r := t.run
	skipTask := func(i int) {
		for d := range r.tasks[i].each {
			if d.row.State == dag.StateNone || d.waiting() {
				s.finish(d, dag.StateSkipped, s.now)
			}
		}
	}
	switch {
	case c.Followed != nil:
		for _, j := range r.graph.down[t.index] {
			if !slices.Contains(*c.Followed, r.graph.dag.Tasks[j].ID) {
				skipTask(int(j))
			}
		}
	case c.Skipped != nil:
		for _, id := range *c.Skipped {
			if i, ok := r.graph.index[id]; ok {
				skipTask(i)
			}
		}
	}
}

// skipAgain applies the remembered decisions of a run to tasks that have been cleared since.
func (s *State) skipAgain(r *run, decisions []store.XCom) {
	for _, x := range decisions {
		var c choice
		t := r.find(x.Key)
		if t == nil || json.Unmarshal(x.Value, &c) != nil {
			continue
		}
		if t.row.State == dag.StateSuccess {
			s.skip(t, c)
		}
	}
}
