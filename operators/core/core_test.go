package core

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gust/dag"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/external"
	"gust/triggers/external/externaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runs is Runs in memory.
type runs struct {
	externaltest.Runs
	paused  map[string]bool
	resets  []dag.RunKey
	request TriggerRequest
	err     error
}

func (r *runs) TriggerRun(_ context.Context, req TriggerRequest) error {
	if r.err != nil {
		return r.err
	}
	r.request = req
	if err := r.Create(dag.Run{RunKey: req.RunKey, State: dag.RunQueued, LogicalDate: req.LogicalDate, Conf: req.Conf}); err != nil {
		return ErrRunExists
	}
	return nil
}

func (r *runs) ResetRun(_ context.Context, key dag.RunKey) error {
	r.resets = append(r.resets, key)
	r.SetRun(dag.Run{RunKey: key, State: dag.RunQueued})
	return nil
}

func (r *runs) IsPaused(_ context.Context, dagID string) (bool, error) {
	if dagID == "gone" {
		return false, ErrNoSuchDAG
	}
	return r.paused[dagID], nil
}

type bench struct {
	runs *runs
	reg  *operators.Registry
	task *operatorstest.Task
}

func setUp(t *testing.T) *bench {
	t.Helper()
	b := &bench{runs: &runs{paused: map[string]bool{}}, reg: operators.NewRegistry(), task: operatorstest.NewTask(t)}
	if err := Register(b.reg, Deps{Runs: b.runs}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) execute(t *testing.T, name string, params map[string]any) (operators.Result, error) {
	t.Helper()
	return operatorstest.Build(t, b.reg, name, params).Execute(t.Context(), b.task)
}

func TestFamily(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	operatorstest.TestFamily(t, b.reg)
	if Register(operators.NewRegistry(), Deps{}) == nil {
		t.Error("Register without Runs was accepted")
	}
	for alias, name := range map[string]string{
		"airflow.operators.dummy_operator.DummyOperator":                            "EmptyOperator",
		"airflow.operators.latest_only.LatestOnlyOperator":                          "LatestOnlyOperator",
		"airflow.providers.standard.operators.trigger_dagrun.TriggerDagRunOperator": "TriggerDagRunOperator",
	} {
		if s, ok := b.reg.Lookup(alias); !ok || s.Name != name {
			t.Errorf("%s is not %s", alias, name)
		}
	}
	if s, _ := b.reg.Lookup("EmptyOperator"); !s.Inline {
		t.Error("EmptyOperator needs a worker")
	}
	if res, err := b.execute(t, "EmptyOperator", nil); err != nil || !cmp.Equal(res, operators.Result{}) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestBranch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		params map[string]any
		want   []string
		value  any
		err    string
	}{
		"one":             {map[string]any{"follow": "a"}, []string{"a"}, "a", ""},
		"padded":          {map[string]any{"follow": " a\n"}, []string{"a"}, "a", ""},
		"list":            {map[string]any{"follow": []any{"a", "b"}}, []string{"a", "b"}, []string{"a", "b"}, ""},
		"other spelling":  {map[string]any{"follow_task_ids": []any{"b"}}, []string{"b"}, "b", ""},
		"Python list":     {map[string]any{"follow": "['a', 'b']"}, []string{"a", "b"}, []string{"a", "b"}, ""},
		"JSON list":       {map[string]any{"follow": `["a"]`}, []string{"a"}, "a", ""},
		"group":           {map[string]any{"follow": "g"}, []string{"g"}, "g", ""},
		"nested group":    {map[string]any{"follow": "g.h"}, []string{"g.h"}, "g.h", ""},
		"task in a group": {map[string]any{"follow": "g.h.c"}, []string{"g.h.c"}, "g.h.c", ""},
		"nothing":         {map[string]any{}, []string{}, nil, ""},
		"empty text":      {map[string]any{"follow": ""}, []string{}, nil, ""},
		"None":            {map[string]any{"follow": "None"}, []string{}, nil, ""},
		"empty list":      {map[string]any{"follow": []any{}}, []string{}, nil, ""},
		"unknown":         {map[string]any{"follow": "g.h.cc"}, nil, nil, `"g.h.cc" is not a direct downstream task of task; expected one of a, b, g.h.c, g, g.h; did you mean "g.h.c"?`},
		"number":          {map[string]any{"follow": 7}, nil, nil, "expected a task id or a list"},
		"list of numbers": {map[string]any{"follow": []any{7}}, nil, nil, "follow holds 7"},
		"broken list":     {map[string]any{"follow": "[a"}, nil, nil, `follow is "[a"`},
	} {
		b := setUp(t)
		b.task.Task.Downstream = []string{"a", "b", "g.h.c"}
		res, err := b.execute(t, "BranchOperator", c.params)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !operators.NoRetry(err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if err != nil || res.Follow == nil || !cmp.Equal(*res.Follow, c.want) || !cmp.Equal(res.Value, c.value) {
			t.Errorf("%s: %+v, %v; want %v", name, res, err, c.want)
		}
	}
	_, err := operatorstest.TryBuild(setUp(t).reg, "branch", map[string]any{"follow": "a", "follow_task_ids": "b"})
	if err == nil || !strings.Contains(err.Error(), "mean the same") {
		t.Error(err)
	}
}

func TestLatestOnly(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		typ  dag.RunType
		next time.Time
		skip bool
	}{
		{dag.RunManual, now.Add(-time.Hour), false}, {dag.RunScheduled, now.Add(time.Hour), false},
		{dag.RunScheduled, now.Add(-time.Hour), true}, {dag.RunBackfill, now.Add(-time.Hour), true},
		{dag.RunScheduled, time.Time{}, false},
	} {
		b := setUp(t)
		b.task.RunInfo.Type, b.task.RunInfo.NextAfter = c.typ, c.next
		res, err := b.execute(t, "LatestOnlyOperator", nil)
		if err != nil || (res.Follow != nil) != c.skip {
			t.Errorf("%+v: %+v, %v", c, res, err)
		}
	}
}

func key(runID string) dag.RunKey { return dag.RunKey{DagID: "other", RunID: runID} }

var plain = map[string]any{"trigger_dag_id": "other"}

func with(more ...any) map[string]any {
	out := map[string]any{"trigger_dag_id": "other"}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	res, err := b.execute(t, "TriggerDagRunOperator", with("trigger_run_id", "mine", "conf", map[string]any{"a": 1}, "logical_date", "2024-05-01"))
	if err != nil || res.Deferral != nil {
		t.Fatal(res, err)
	}
	want := TriggerRequest{RunKey: key("mine"), Conf: json.RawMessage(`{"a":1}`),
		LogicalDate: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC), By: b.task.Identity}
	if diff := cmp.Diff(want, b.runs.request); diff != "" {
		t.Error(diff)
	}
	if got := b.task.XCom("trigger_run_id"); got != `"mine"` {
		t.Errorf("trigger_run_id is %s", got)
	}
}

// A repeated attempt finds its run; another try starts another one.
func TestTriggerOnce(t *testing.T) {
	t.Parallel()
	for _, params := range []map[string]any{plain, with("trigger_run_id", "mine")} {
		for _, when := range []string{"before the run", "after the run"} {
			b := setUp(t)
			crash := errors.New("crash")
			if when == "before the run" {
				b.runs.err = crash
			} else {
				b.task.OnPush = func(string, json.RawMessage) error { return nil }
			}
			if _, err := b.execute(t, "TriggerDagRunOperator", params); (err != nil) != (when == "before the run") {
				t.Fatal(when, err)
			}
			b.runs.err = nil
			if _, err := b.execute(t, "TriggerDagRunOperator", params); err != nil || len(b.runs.List()) != 1 {
				t.Errorf("%s: %d runs, %v", when, len(b.runs.List()), err)
			}
		}
	}
	b := setUp(t)
	if _, err := b.execute(t, "TriggerDagRunOperator", plain); err != nil {
		t.Fatal(err)
	}
	b.task = b.task.NextTry(t)
	if _, err := b.execute(t, "TriggerDagRunOperator", plain); err != nil || len(b.runs.List()) != 2 {
		t.Errorf("%d runs, %v; want two", len(b.runs.List()), err)
	}
}

func TestTriggerExisting(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.runs.SetRun(dag.Run{RunKey: key("mine"), State: dag.RunFailed})
	_, err := b.execute(t, "TriggerDagRunOperator", with("trigger_run_id", "mine"))
	if !errors.Is(err, ErrRunExists) || !strings.Contains(err.Error(), "set reset_dag_run") {
		t.Error(err)
	}
	if _, err = b.execute(t, "TriggerDagRunOperator", with("trigger_run_id", "mine")); !errors.Is(err, ErrRunExists) {
		t.Error("repeated:", err)
	}
	if res, err := b.execute(t, "TriggerDagRunOperator", with("trigger_run_id", "mine", "skip_when_already_exists", true)); err != nil || !res.Skipped {
		t.Error(res, err)
	}
	if _, err := b.execute(t, "TriggerDagRunOperator", with("trigger_run_id", "mine", "reset_dag_run", true)); err != nil || len(b.runs.resets) != 1 {
		t.Error(b.runs.resets, err)
	}
}

func TestTriggerWaits(t *testing.T) {
	t.Parallel()
	for state, want := range map[dag.RunState]string{dag.RunSuccess: "", dag.RunFailed: "the triggered run mine of DAG other is failed"} {
		b := setUp(t)
		params := with("trigger_run_id", "mine", "wait_for_completion", true)
		res, err := b.execute(t, "TriggerDagRunOperator", params)
		if err != nil || res.Deferral == nil {
			t.Fatal(res, err)
		}
		r := triggers.NewRegistry()
		if err := external.Register(r, b.runs); err != nil {
			t.Fatal(err)
		}
		c, err := r.Checker(res.Deferral.Trigger.Kind)
		if err != nil {
			t.Fatal(err)
		}
		wait := []triggers.Wait{{Args: res.Deferral.Trigger.Args}}
		now := time.Now()
		if v := c.Check(t.Context(), now, wait)[0]; v.Again.Sub(now) != time.Minute {
			t.Errorf("%+v", v)
		}
		b.runs.SetRun(dag.Run{RunKey: key("mine"), State: state})
		v := c.Check(t.Context(), now, wait)[0]
		_, err = operatorstest.Build(t, b.reg, "TriggerDagRunOperator", params).(operators.Resumer).Resume(t.Context(), b.task, *v.Event)
		if got := errText(err); got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTriggerWaitsOnTheWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t)
		begin := time.Now()
		time.AfterFunc(100*time.Second, func() { b.runs.SetRun(dag.Run{RunKey: key("mine"), State: dag.RunSuccess}) })
		params := with("trigger_run_id", "mine", "wait_for_completion", true, "deferrable", false)
		if _, err := b.execute(t, "TriggerDagRunOperator", params); err != nil || time.Since(begin) != 2*time.Minute {
			t.Error(err, time.Since(begin))
		}
		b = setUp(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(operators.ErrKilled) })
		if _, err := operatorstest.Build(t, b.reg, "TriggerDagRunOperator", params).Execute(ctx, b.task); !errors.Is(err, operators.ErrKilled) {
			t.Error(err)
		}
	})
}

// A retry goes on waiting for the run of the previous try, until that has ended.
func TestTriggerRetry(t *testing.T) {
	t.Parallel()
	for state, want := range map[dag.RunState]int{dag.RunQueued: 1, dag.RunRunning: 1, dag.RunFailed: 2, dag.RunSuccess: 2} {
		b := setUp(t)
		params := with("wait_for_completion", true)
		if _, err := b.execute(t, "TriggerDagRunOperator", params); err != nil {
			t.Fatal(err)
		}
		first := b.runs.List()[0].RunKey
		b.runs.SetRun(dag.Run{RunKey: first, State: state})
		b.task = b.task.NextTry(t)
		res, err := b.execute(t, "TriggerDagRunOperator", params)
		if err != nil || len(b.runs.List()) != want {
			t.Errorf("%s: %d runs, %v; want %d", state, len(b.runs.List()), err, want)
		}
		if on := strings.Contains(string(res.Deferral.Trigger.Args), first.RunID); on != (want == 1) {
			t.Errorf("%s: waits for %s", state, res.Deferral.Trigger.Args)
		}
	}
}

func TestTriggerErrors(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.runs.paused["other"] = true
	for want, params := range map[string]map[string]any{
		"trigger_dag_id is empty":           with("trigger_dag_id", ""),
		"trigger_run_id is empty":           with("trigger_run_id", ""),
		`logical_date "soon" is not a date`: with("logical_date", "soon"),
		"conf is not a JSON object":         with("conf", "[1]"),
		"there is no such DAG":              with("trigger_dag_id", "gone"),
		"the DAG other is paused":           with("fail_when_dag_is_paused", true),
	} {
		if _, err := b.execute(t, "TriggerDagRunOperator", params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
	if _, err := b.execute(t, "TriggerDagRunOperator", with("conf", `{"z": 1, "a": 2}`)); err != nil ||
		string(b.runs.request.Conf) != `{"z": 1, "a": 2}` || !b.task.Logged("paused: the run waits") {
		t.Error(err, string(b.runs.request.Conf))
	}
	for want, params := range map[string]map[string]any{
		`"succes" is not a state of a DAG run; expected some of queued, running, success, failed; did you mean "success"?`: with("allowed_states", []any{"succes"}),
		"poke_interval is negative": with("poke_interval", -1),
	} {
		if _, err := operatorstest.TryBuild(b.reg, "TriggerDagRunOperator", params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
	op := operatorstest.Build(t, b.reg, "TriggerDagRunOperator", plain).(operators.Resumer)
	if _, err := op.Resume(t.Context(), b.task, triggers.Event{Payload: []byte(`{}`)}); err == nil {
		t.Error("an empty event was accepted")
	}
}

func TestDeriveRunID(t *testing.T) {
	t.Parallel()
	task := operatorstest.NewTask(t)
	id := deriveRunID(task, "other")
	if !strings.HasPrefix(id, "manual__2024-01-01T00:00:00+00:00_") || id != deriveRunID(task, "other") {
		t.Error(id)
	}
	task.Identity.TryNumber++
	if id == deriveRunID(task, "other") {
		t.Error("another try has the same run id")
	}
}
