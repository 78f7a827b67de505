package edit_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gust/dag"
	"gust/runner/edit"
	"gust/runner/plan/plantest"
	"gust/store"
)

// run is a run of DAG text whose tasks are in the given states ("a=failed each[1]=success").
func run(state dag.RunState, text, states string) *edit.Run {
	d := plantest.Build(text)
	r := &edit.Run{DAG: d, Run: dag.Run{RunKey: dag.RunKey{DagID: d.ID, RunID: "r"}, State: state}}
	for _, f := range strings.Fields(states) {
		name, st, _ := strings.Cut(f, "=")
		key := dag.Key{DagID: d.ID, RunID: "r", TaskID: name, MapIndex: -1}
		if id, index, mapped := strings.Cut(name, "["); mapped {
			key.TaskID = id
			_, _ = fmt.Sscanf(index, "%d]", &key.MapIndex)
		}
		r.Tasks = append(r.Tasks, dag.TaskInstance{Key: key, State: dag.State(strings.TrimSuffix(st, "none")), TryNumber: 1})
	}
	return r
}

func name(k dag.Key) string {
	if k.MapIndex >= 0 {
		return fmt.Sprintf("%s[%d]", k.TaskID, k.MapIndex)
	}
	return k.TaskID
}

func cleared(tasks []store.ClearTask) string {
	var names []string
	for _, c := range tasks {
		names = append(names, name(c.Key))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

const chain = "etl\na retries=2\nb\nc\na >> b >> c\nlone"

func TestClear(t *testing.T) {
	t.Parallel()
	one := 1
	for _, c := range []struct {
		text, states string
		o            edit.ClearOptions
		want         string
	}{
		{chain, "a=success b=failed c=upstream_failed lone=success", edit.ClearOptions{}, "a b c lone"},
		{chain, "a=success b=failed c=none lone=success", edit.ClearOptions{Tasks: regexp.MustCompile("^b$")}, "b"},
		{chain, "a=success b=failed c=upstream_failed lone=success", edit.ClearOptions{Tasks: regexp.MustCompile("^b$"), Downstream: true}, "b c"},
		{chain, "a=success b=failed c=upstream_failed lone=success", edit.ClearOptions{Tasks: regexp.MustCompile("^b$"), Upstream: true}, "a b"},
		{chain, "a=success b=failed c=upstream_failed lone=success", edit.ClearOptions{OnlyFailed: true}, "b c"},
		{chain, "a=success b=running c=none lone=running", edit.ClearOptions{OnlyRunning: true}, "b lone"},
		{"m\neach maps=[1,2,3]\nsum\neach >> sum", "each[0]=success each[1]=failed each[2]=removed sum=upstream_failed",
			edit.ClearOptions{Tasks: regexp.MustCompile("each"), Downstream: true, MapIndex: &one}, "each[1] sum"},
		{"s\nup setup\nw\ndown teardown=up\nup >> w >> down\nother", "up=success w=failed down=success other=success",
			edit.ClearOptions{Tasks: regexp.MustCompile("^w$")}, "down up w"},
	} {
		if got := cleared(edit.Clear(run(dag.RunFailed, c.text, c.states), c.o)); got != c.want {
			t.Errorf("%s %+v: %q, want %q", c.states, c.o, got, c.want)
		}
	}
	r := run(dag.RunFailed, chain, "a=failed")
	if got := edit.Clear(r, edit.ClearOptions{}); len(got) != 1 || got[0].Retries != 2 {
		t.Errorf("retries: %+v", got)
	}
}

func marked(e *store.Edit) string {
	var names []string
	for _, m := range e.Tasks {
		names = append(names, name(m.Key)+"="+m.State.String())
	}
	for _, r := range e.Runs {
		names = append(names, "run="+string(r.State))
	}
	return strings.Join(names, " ") + " / " + cleared(e.Clear)
}

func TestMarkTasks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		run          dag.RunState
		states, task string
		state        dag.State
		want         string
	}{
		{dag.RunFailed, "a=success b=failed c=upstream_failed", "b", dag.StateSuccess, "b=success / c"},
		{dag.RunFailed, "a=success b=success c=failed", "c", dag.StateSuccess, "c=success run=queued / "},
		{dag.RunRunning, "a=running b=none c=none", "a", dag.StateFailed, "a=failed / "},
		{dag.RunFailed, "a=failed b=failed c=upstream_failed", "a", dag.StateSkipped, "a=skipped / b c"},
		{dag.RunSuccess, "a=success", "a", dag.StateSuccess, " / "},
	} {
		r := run(c.run, chain, c.states)
		if got := marked(edit.MarkTasks(r, []dag.Key{{DagID: "etl", RunID: "r", TaskID: c.task, MapIndex: -1}}, c.state)); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.task, c.states, got, c.want)
		}
	}
}

func TestMarkRun(t *testing.T) {
	t.Parallel()
	r := run(dag.RunRunning, chain, "a=success b=running c=none lone=up_for_retry")
	if got := marked(edit.MarkRun(r, dag.RunFailed)); got != "b=failed c=skipped lone=skipped run=failed / " {
		t.Error(got)
	}
	if got := marked(edit.MarkRun(r, dag.RunSuccess)); got != "b=success c=success lone=success run=success / " {
		t.Error(got)
	}
	// A teardown still runs, and the run ends with it.
	const torn = "s\nup setup\nw\ndown teardown=up\nup >> w >> down"
	r = run(dag.RunRunning, torn, "up=success w=running down=none")
	if got := marked(edit.MarkRun(r, dag.RunFailed)); got != "w=failed / " {
		t.Error(got)
	}
	r = run(dag.RunRunning, torn, "up=success w=running down=success")
	if got := marked(edit.MarkRun(r, dag.RunSuccess)); got != "w=success run=success / " {
		t.Error(got)
	}
}
