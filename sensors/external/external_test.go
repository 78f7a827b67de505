package external

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/dag"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/external"
	"gust/triggers/external/externaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	date  = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	other = dag.RunKey{DagID: "other", RunID: "scheduled__2024-01-01T00:00:00+00:00"}
)

type bench struct {
	runs *externaltest.Runs
	reg  *operators.Registry
	task *operatorstest.Task
}

func setUp(t *testing.T) *bench {
	t.Helper()
	b := &bench{runs: &externaltest.Runs{}, reg: operators.NewRegistry(), task: operatorstest.NewTask(t)}
	if err := Register(b.reg, Deps{States: b.runs}); err != nil {
		t.Fatal(err)
	}
	b.runs.AddDAG(&dag.DAG{ID: "other", Tasks: []*dag.Task{{ID: "a"}, {ID: "g.b"}}, Groups: []*dag.Group{{ID: "g"}}})
	return b
}

// look makes one look, in the trigger loop or in reschedule mode, which must agree.
func (b *bench) look(t *testing.T, mode string, params map[string]any) (operators.Result, error) {
	t.Helper()
	all := map[string]any{"external_dag_id": "other"}
	for k, v := range params {
		all[k] = v
	}
	if mode != "" {
		all["mode"] = mode
	}
	op := operatorstest.Build(t, b.reg, "ExternalTaskSensor", all)
	if mode != "" {
		return op.Execute(t.Context(), b.task)
	}
	parker := op.(operators.Parker)
	d, err := parker.Park(t.Context(), b.task)
	if err != nil {
		return operators.Result{}, err
	}
	r := triggers.NewRegistry()
	if err := external.Register(r, b.runs); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(d.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := c.Key(d.Trigger.Args); err != nil || key != "other" {
		t.Errorf("key %q, %v", key, err)
	}
	now := time.Now()
	v := c.Check(t.Context(), now, []triggers.Wait{{ID: "w", Args: d.Trigger.Args, Since: now}})[0]
	if v.Event == nil && v.Err == nil {
		return operators.Reschedule(v.Again), nil
	}
	return parker.Finish(t.Context(), b.task, v.Event, v.Err)
}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, setUp(t).reg)
	if Register(operators.NewRegistry(), Deps{}) == nil {
		t.Error("Register without States was accepted")
	}
	if external.Register(triggers.NewRegistry(), nil) == nil {
		t.Error("the trigger without states was accepted")
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	run := func(s dag.RunState) func(*bench) {
		return func(b *bench) { b.runs.SetRun(dag.Run{RunKey: other, State: s, LogicalDate: date}) }
	}
	tasks := func(states ...string) func(*bench) {
		return func(b *bench) {
			run(dag.RunRunning)(b)
			for i := 0; i < len(states); i += 2 {
				b.runs.SetTask(other, states[i], dag.State(states[i+1]))
			}
		}
	}
	for name, c := range map[string]struct {
		params map[string]any
		given  func(*bench)
		want   string
	}{
		"no run":           {nil, func(*bench) {}, "waits"},
		"run running":      {nil, run(dag.RunRunning), "waits"},
		"run success":      {nil, run(dag.RunSuccess), "success"},
		"run failed":       {nil, run(dag.RunFailed), "waits"},
		"run failed state": {map[string]any{"failed_states": []any{"failed"}}, run(dag.RunFailed), "failed"},
		"failed, soft":     {map[string]any{"failed_states": []any{"failed"}, "soft_fail": true}, run(dag.RunFailed), "skipped"},
		"skipped states":   {map[string]any{"skipped_states": []any{"failed"}}, run(dag.RunFailed), "skipped"},
		"run without a logical date": {nil, func(b *bench) {
			b.runs.SetRun(dag.Run{RunKey: other, State: dag.RunSuccess, RunAfter: date})
		}, "success"},
		"delta": {map[string]any{"execution_delta": 86400}, func(b *bench) {
			b.runs.SetRun(dag.Run{RunKey: other, State: dag.RunSuccess, LogicalDate: date.AddDate(0, 0, -1)})
		}, "success"},
		"another date": {nil, func(b *bench) {
			b.runs.SetRun(dag.Run{RunKey: other, State: dag.RunSuccess, LogicalDate: date.AddDate(0, 0, -1)})
		}, "waits"},
		"task success":       {map[string]any{"external_task_id": "a"}, tasks("a", "success"), "success"},
		"task without state": {map[string]any{"external_task_id": "a"}, tasks("a", ""), "waits"},
		"task not there yet": {map[string]any{"external_task_id": "a"}, tasks(), "waits"},
		"tasks, one left":    {map[string]any{"external_task_ids": []any{"a", "g.b"}}, tasks("a", "success", "g.b", "running"), "waits"},
		"tasks":              {map[string]any{"external_task_ids": []any{"a", "g.b"}}, tasks("a", "success", "g.b", "success"), "success"},
		"one failed": {map[string]any{"external_task_ids": []any{"a", "g.b"}, "failed_states": []any{"failed", "upstream_failed"}},
			tasks("a", "upstream_failed", "g.b", "running"), "failed"},
		"group":           {map[string]any{"external_task_group_id": "g"}, tasks("a", "failed", "g.b", "success"), "success"},
		"group running":   {map[string]any{"external_task_group_id": "g"}, tasks("g.b", "running"), "waits"},
		"group empty":     {map[string]any{"external_task_group_id": "g"}, tasks("a", "success"), "waits"},
		"allowed skipped": {map[string]any{"external_task_id": "a", "allowed_states": []any{"success", "skipped"}}, tasks("a", "skipped"), "success"},
		"exists":          {map[string]any{"external_task_id": "a", "check_existence": true}, tasks("a", "success"), "success"},
		"no such DAG":     {map[string]any{"external_dag_id": "gone", "check_existence": true}, run(dag.RunSuccess), "failed"},
		"no such task":    {map[string]any{"external_task_id": "x", "check_existence": true}, run(dag.RunSuccess), "failed"},
		"no such group":   {map[string]any{"external_task_group_id": "x", "check_existence": true}, run(dag.RunSuccess), "failed"},
	} {
		for _, mode := range []string{"", "reschedule"} {
			if c.params["external_dag_id"] != nil && mode == "" {
				continue // the key differs
			}
			b := setUp(t)
			c.given(b)
			res, err := b.look(t, mode, c.params)
			got := "success"
			switch {
			case err != nil:
				got = "failed"
			case res.Skipped:
				got = "skipped"
			case !res.RescheduleAt.IsZero():
				got = "waits"
			}
			if got != c.want {
				t.Errorf("%s, mode %q: %s, want %s (%+v, %v)", name, mode, got, c.want, res, err)
			}
		}
	}
}

func TestStoreTrouble(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.runs.Err = errors.New("database is busy")
	if res, err := b.look(t, "", nil); err != nil || res.RescheduleAt.IsZero() {
		t.Errorf("%+v, %v; want to look again", res, err)
	}
	if _, err := b.look(t, "reschedule", nil); err == nil {
		t.Error("an error of a look on a worker is lost")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for text, params := range map[string]map[string]any{
		"give one of external_task_id":          {"external_task_id": "a", "external_task_group_id": "g"},
		"give one of execution_delta and":       {"execution_date_fn": "m.f", "execution_delta": 5},
		"give execution_date_fn, or":            {"execution_date_fn": "m.f", "execution_date_fn_name": "f", "execution_date_fn_file": "m.py"},
		"_name and execution_date_fn_file":      {"execution_date_fn_name": "f"},
		`"succes" is not a state`:               {"external_task_id": "a", "allowed_states": []any{"succes"}},
		`did you mean "success"?`:               {"external_task_id": "a", "allowed_states": []any{"succes"}},
		`"skipped" is not a state`:              {"allowed_states": []any{"skipped"}},
		"both name the state \"failed\"":        {"failed_states": []any{"failed"}, "skipped_states": []any{"failed"}},
		"are all empty":                         {"allowed_states": []any{}},
		"soft_fail and never_fail exclude each": {"soft_fail": true, "never_fail": true},
	} {
		params["external_dag_id"] = "other"
		if _, err := operatorstest.TryBuild(b.reg, "ExternalTaskSensor", params); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: %v, want %q", params, err, text)
		}
	}
	for _, params := range []map[string]any{{"external_dag_id": ""}, {"external_dag_id": "dag", "external_task_id": "task"}} {
		op := operatorstest.Build(t, b.reg, "ExternalTaskSensor", params).(operators.Parker)
		if _, err := op.Park(t.Context(), b.task); err == nil || !operators.NoRetry(err) {
			t.Errorf("%v: %v", params, err)
		}
	}
}

// TestDateFunction: a Python function says which run to wait for. It is called on a worker, not in the trigger loop.
func TestDateFunction(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	reg := operators.NewRegistry()
	asked := ""
	err := Register(reg, Deps{States: b.runs, DateOf: func(_ context.Context, _ operators.Task, path, name, file string) (time.Time, error) {
		asked = path + name + file
		if path == "m.fails" {
			return time.Time{}, operators.Failf("no")
		}
		return date, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	op := operatorstest.Build(t, reg, "ExternalTaskSensor", map[string]any{"external_dag_id": "other", "execution_date_fn": "m.f"})
	if op.(operators.Parker).Parks() {
		t.Error("it is parked without a worker, in the trigger loop")
	}
	res, err := op.Execute(t.Context(), b.task)
	if err != nil || res.Deferral == nil || asked != "m.f" || !strings.Contains(string(res.Deferral.Trigger.Args), "2024-01-01T00:00:00Z") {
		t.Errorf("%+v, %v, asked %q", res, err, asked)
	}
	fails := operatorstest.Build(t, reg, "ExternalTaskSensor", map[string]any{"external_dag_id": "other", "execution_date_fn": "m.fails"})
	if _, err := fails.Execute(t.Context(), b.task); err == nil || err.Error() != "execution_date_fn: no" {
		t.Errorf("a failing function: %v", err)
	}
	none := operatorstest.Build(t, b.reg, "ExternalTaskSensor", map[string]any{
		"external_dag_id": "other", "execution_date_fn_name": "f", "execution_date_fn_file": "/m.py",
	})
	if _, err := none.Execute(t.Context(), b.task); err == nil || !strings.Contains(err.Error(), "there is no Python here") {
		t.Errorf("without Python: %v", err)
	}
}

func TestBrokenArguments(t *testing.T) {
	t.Parallel()
	r := triggers.NewRegistry()
	if err := external.Register(r, &externaltest.Runs{}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(external.Kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{`[]`, `{}`, `{"dag_id":"d"}`} {
		if _, err := c.Key([]byte(raw)); err == nil {
			t.Errorf("%s has a key", raw)
		}
		if v := c.Check(t.Context(), time.Now(), []triggers.Wait{{Args: []byte(raw)}})[0]; v.Err == nil {
			t.Errorf("%s was checked: %+v", raw, v)
		}
	}
	op := operatorstest.Build(t, setUp(t).reg, "ExternalTaskSensor", map[string]any{"external_dag_id": "o"}).(sensors.Waiter)
	if _, err := op.Fired(t.Context(), operatorstest.NewTask(t), triggers.Event{Payload: []byte(`{}`)}); err == nil {
		t.Error("an empty event was accepted")
	}
}
