//go:build unix

package python

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/connections"
	"gust/dag"
	"gust/internal/childprocess"
	"gust/internal/pyworker"
	"gust/operators"
	"gust/operators/operatorstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a family whose functions are in a file.
type bench struct {
	reg  *operators.Registry
	file string
	task *operatorstest.Task
	deps Deps
}

func setUp(tb testing.TB, source string) *bench {
	tb.Helper()
	b := &bench{reg: operators.NewRegistry(), task: operatorstest.NewTask(tb), file: filepath.Join(tb.TempDir(), "functions.py")}
	deps := Deps{Home: tb.TempDir(), Path: []string{filepath.Dir(b.file)}}
	if source != "" {
		if _, err := exec.LookPath("python3"); err != nil {
			tb.Skip("python3 is not installed")
		}
		if err := os.WriteFile(b.file, []byte(source), 0o600); err != nil {
			tb.Fatal(err)
		}
		starter, err := childprocess.NewStarter()
		if err != nil {
			tb.Fatal(err)
		}
		deps.Pool, err = pyworker.NewPool(pyworker.Options{Warm: 1, Home: deps.Home, Starter: starter, CleanupTime: time.Minute})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			deps.Pool.Close()
			if err := starter.Close(); err != nil {
				tb.Error(err)
			}
		})
	}
	b.deps = deps
	if err := Register(b.reg, deps); err != nil {
		tb.Fatal(err)
	}
	return b
}

// run executes an operator that calls function fn of the file.
func (b *bench) run(tb testing.TB, operator, fn string, params map[string]any) (operators.Result, error) {
	tb.Helper()
	all := map[string]any{"python_callable_name": fn, "python_callable_file": b.file}
	for k, v := range params {
		all[k] = v
	}
	return operatorstest.Build(tb, b.reg, operator, all).Execute(tb.Context(), b.task)
}

func TestFamily(t *testing.T) {
	t.Parallel()
	b := setUp(t, "")
	operatorstest.TestFamily(t, b.reg)
	if Register(operators.NewRegistry(), Deps{}) == nil {
		t.Error("Register without a Home was accepted")
	}
	for alias, name := range map[string]string{
		"airflow.operators.python_operator.PythonOperator":                         "PythonOperator",
		"airflow.operators.python.BranchPythonOperator":                            "BranchPythonOperator",
		"airflow.operators.python.ShortCircuitOperator":                            "ShortCircuitOperator",
		"airflow.providers.standard.operators.python.ExternalPythonOperator":       "ExternalPythonOperator",
		"airflow.providers.standard.operators.python.BranchExternalPythonOperator": "BranchPythonOperator",
		"airflow.sensors.python.PythonSensor":                                      "PythonSensor",
	} {
		if s, ok := b.reg.Lookup(alias); !ok || s.Name != name {
			t.Errorf("%s is not %s", alias, name)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	b := setUp(t, "")
	for _, c := range []struct {
		operator string
		params   map[string]any
		want     string
	}{
		{"PythonOperator", map[string]any{}, "there is no function; expected python_callable (module.function), or python_callable_name"},
		{"PythonOperator", map[string]any{"python_callable": "m.f", "python_callable_file": "f.py"}, "both name a function"},
		{"PythonOperator", map[string]any{"python_callable_name": "f"}, "belong together"},
		{"BranchPythonOperator", map[string]any{"python_callable_file": "f"}, "belong together"},
		{"PythonOperator", map[string]any{"python_callable": "m.f", "python": "p", "virtualenv": "v"}, "both name an interpreter"},
		{"PythonOperator", map[string]any{"python_callable": "m.f", "op_kwargs": []any{}}, "expected dict"},
		{"PythonOperator", map[string]any{"python_callable": "m.f", "op_kwarg": 1}, `did you mean "op_kwargs"?`},
		{"ShortCircuitOperator", map[string]any{"python_callable": "m.f", "condition": 1}, "are both the condition"},
		{"ShortCircuitOperator", map[string]any{"condition": 1, "op_args": []any{1}}, "belong to python_callable, which is not there"},
		{"PythonCallback", map[string]any{}, "there is no function"},
		{"PythonSensor", map[string]any{"python_callable": "m.f", "timeout": -1}, "must be timedelta object or a non-negative number"},
	} {
		if _, err := operatorstest.TryBuild(b.reg, c.operator, c.params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.operator, c.params, err, c.want)
		}
	}
}

const source = `
import logging
from airflow.exceptions import AirflowSkipException, AirflowFailException, AirflowException, AirflowRescheduleException
import datetime
def give(*args, **kwargs): return {"args": list(args), "x": kwargs.get("x")}
def add(a, b=1): return a + b
def none(): pass
def two() -> dict: return {"b": 1, "a": [2]}
def plain(): return {"b": 1}
def skip(): raise AirflowSkipException("not today")
def final(): raise AirflowFailException("never")
def fail(): raise ValueError("sometimes")
def later(): raise AirflowRescheduleException(datetime.datetime(2030, 1, 2, 3, 4, 5))
def pick(what): return what
def wrong(): return {"a": 1}
def templated(templates_dict): return templates_dict["q"]
def deep(ti): ti.xcom_push("k", 1); return [ti.xcom_pull(key="k"), ti.xcom_pull("other"), ti.task.retries, ti.dag_run.run_type]
def connect(conn): return conn.db.login
def poke(ti): return ti.try_number == 1 and "yes"
def called(context, who="nobody"): print("called", who, context["ti"].task_id)
def env():
    import os
    return [os.environ[n] for n in ("AIRFLOW_CTX_DAG_ID", "GUST_CTX_TASK_ID", "AIRFLOW_CTX_TRY_NUMBER")]
class Notifier:
    def __init__(self, to): self.to = to
    def notify(self, context): print("notified", self.to)
`

func ref(fields map[string]any) any { return map[string]any{"__xcom__": fields} }

func TestPythonOperator(t *testing.T) {
	t.Parallel()
	b := setUp(t, source)
	for name, c := range map[string]struct {
		fn     string
		params map[string]any
		want   string // JSON of the value, "" for none
		err    string
		final  bool
	}{
		"arguments":           {fn: "give", params: map[string]any{"op_args": []any{1, "b"}, "op_kwargs": map[string]any{"x": nil}}, want: `{"args":[1,"b"],"x":null}`},
		"one mapped argument": {fn: "add", params: map[string]any{"op_args": 3}, want: "4"},
		"nothing":             {fn: "none"},
		"references": {fn: "give", params: map[string]any{
			"op_args":   []any{ref(map[string]any{"task_id": "other", "key": "return_value"})},
			"op_kwargs": map[string]any{"x": []any{ref(map[string]any{"task_id": "other", "item": "k"}), ref(map[string]any{"task_id": "other", "item": "f"})}},
		}, want: `{"args":[{"f":6}],"x":[5,6]}`},
		"nothing was returned": {fn: "pick", params: map[string]any{"op_kwargs": map[string]any{"what": ref(map[string]any{"task_id": "gone"})}}},
		"no such key":          {fn: "pick", params: map[string]any{"op_kwargs": map[string]any{"what": ref(map[string]any{"task_id": "gone", "key": "q"})}}, err: `op_kwargs.what: task gone has pushed no XCom "q"`},
		"no such item":         {fn: "pick", params: map[string]any{"op_kwargs": map[string]any{"what": ref(map[string]any{"task_id": "other", "item": "q"})}}, err: `the dict that task other returned has no key "q"`},
		"item of nothing":      {fn: "pick", params: map[string]any{"op_kwargs": map[string]any{"what": ref(map[string]any{"task_id": "gone", "item": "q"})}}, err: `task gone has pushed neither an XCom "q" nor a return value`},
		"broken reference":     {fn: "pick", params: map[string]any{"op_kwargs": map[string]any{"what": ref(map[string]any{"key": "q"})}}, err: "is not a reference to an XCom"},
		"fail":                 {fn: "fail", err: "ValueError: sometimes"},
		"final":                {fn: "final", err: "never", final: true},
		"templates_dict":       {fn: "templated", params: map[string]any{"templates_dict": map[string]any{"q": "x"}}, want: `"x"`},
		"xcoms":                {fn: "deep", want: `[1,{"f":6},2,"manual"]`},
		"connection":           {fn: "connect", want: `"me"`},
		"environment":          {fn: "env", want: `["dag","task","1"]`},
		"decorated":            {fn: "add", params: map[string]any{"decorated": true, "op_kwargs": map[string]any{"a": 1, "c": 2}}, err: "add() has no argument 'c'; it has a, b", final: true},
		"no such virtualenv":   {fn: "none", params: map[string]any{"virtualenv": "/no/such"}, err: "virtualenv: there is no interpreter /no/such/bin/python; make the environment with: python3 -m venv /no/such"},
		"no such interpreter":  {fn: "none", params: map[string]any{"python": "/no/such/python"}, err: `the Python interpreter "/no/such/python" does not exist or is not executable`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := *b
			b.task = operatorstest.NewTask(t)
			b.task.Task.Retries = 2
			b.task.Others["other"] = map[string]any{"return_value": map[string]any{"f": 6}, "k": 5}
			b.task.Connections["db"] = &connections.Connection{ID: "db", Type: "postgres", Login: new("me")}
			res, err := b.run(t, "PythonOperator", c.fn, c.params)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) || operators.NoRetry(err) != c.final {
					t.Errorf("%v (final %v), want %q", err, operators.NoRetry(err), c.err)
				}
			case err != nil:
				t.Errorf("%v\n%s", err, b.task.LogText())
			default:
				if got := text(t, res.Value); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			}
		})
	}
}

// text is a value as compact JSON, "" for nil.
func text(tb testing.TB, value any) string {
	tb.Helper()
	if value == nil {
		return ""
	}
	raw, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

func TestEnds(t *testing.T) {
	t.Parallel()
	b := setUp(t, source)
	if res, err := b.run(t, "python", "skip", nil); err != nil || !res.Skipped || res.Reason != "not today" {
		t.Errorf("%+v, %v", res, err)
	}
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	if res, err := b.run(t, "python", "later", nil); err != nil || !res.RescheduleAt.Equal(at) {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := b.run(t, "ExternalPythonOperator", "none", nil); err == nil || !strings.Contains(err.Error(), "there is no interpreter") {
		t.Error(err)
	}
	if res, err := b.run(t, "ExternalPythonOperator", "add", map[string]any{"python": "python3", "op_args": []any{1}}); err != nil || text(t, res.Value) != "2" {
		t.Errorf("%+v, %v", res, err)
	}
	b.task.Task.DoXComPush = false
	if res, err := b.run(t, "python", "two", nil); err != nil || res.Value != nil || !b.task.Logged(`Returned value was: {\"b\": 1`) {
		t.Errorf("%+v, %v\n%s", res, err, b.task.LogText())
	}
}

func TestInferredOutputs(t *testing.T) {
	t.Parallel()
	b := setUp(t, source)
	for _, c := range []struct {
		fn     string
		params map[string]any
		want   string
	}{
		{"two", map[string]any{"decorated": true, "infer_outputs": true}, "[b a]"},
		{"two", map[string]any{"decorated": true}, "[]"},
		{"plain", map[string]any{"decorated": true, "infer_outputs": true}, "[]"},
	} {
		b.task = operatorstest.NewTask(t)
		if _, err := b.run(t, "PythonOperator", c.fn, c.params); err != nil || fmt.Sprint(b.task.Pushes()) != c.want {
			t.Errorf("%s %v: pushed %v, %v; want %s", c.fn, c.params, b.task.Pushes(), err, c.want)
		}
	}
}

func TestBranch(t *testing.T) {
	t.Parallel()
	b := setUp(t, source)
	b.task.Task.Downstream = []string{"a", "b", "g.c"}
	for _, c := range []struct {
		returns any
		follow  string
		err     string
	}{
		{"a", "[a]", ""}, {[]any{"a", "g"}, "[a g]", ""}, {nil, "[]", ""}, {[]any{}, "[]", ""},
		{"bb", "", `"bb" is not a direct downstream task of task; expected one of a, b, g.c, g`},
		{7, "", "returned 7; expected a task id, a list of them, or None"}, {[]any{1}, "", "returned a list with 1; expected task ids"},
	} {
		res, err := b.run(t, "BranchPythonOperator", "pick", map[string]any{"op_args": []any{c.returns}})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !operators.NoRetry(err) {
				t.Errorf("%v: %v, want %q", c.returns, err, c.err)
			}
			continue
		}
		if err != nil || res.Follow == nil || fmt.Sprint(*res.Follow) != c.follow {
			t.Errorf("%v: %+v, %v", c.returns, res, err)
		}
	}
}

func TestShortCircuit(t *testing.T) {
	t.Parallel()
	b := setUp(t, source)
	check := func(what string, want bool, params map[string]any) {
		t.Helper()
		res, err := operatorstest.Build(t, b.reg, "ShortCircuitOperator", params).Execute(t.Context(), b.task)
		if err != nil || res.SkipAll == want || res.Follow != nil {
			t.Errorf("%s: %+v, %v", what, res, err)
		}
		params["ignore_downstream_trigger_rules"] = false
		res, err = operatorstest.Build(t, b.reg, "ShortCircuitOperator", params).Execute(t.Context(), b.task)
		if err != nil || res.SkipAll || (res.Follow == nil) != want || res.Follow != nil && len(*res.Follow) != 0 {
			t.Errorf("%s with trigger rules: %+v, %v", what, res, err)
		}
	}
	for _, c := range []struct {
		condition any
		want      bool
	}{
		{true, true}, {false, false}, {"True", true}, {"False", false}, {"false", false}, {" None ", false}, {"", false},
		{"0", false}, {0, false}, {3, true}, {0.0, false}, {"[]", false}, {"{}", false}, {"x", true}, {[]any{}, false},
		{[]any{0}, true}, {map[string]any{}, false}, {map[string]any{"a": 1}, true}, {nil, false},
	} {
		check(fmt.Sprintf("condition %#v", c.condition), c.want, map[string]any{"condition": c.condition})
	}
	for _, c := range []struct {
		returns any
		want    bool
	}{{true, true}, {0, false}, {"False", true}, {nil, false}, {[]any{}, false}} {
		check(fmt.Sprintf("function %#v", c.returns), c.want, map[string]any{
			"python_callable_name": "pick", "python_callable_file": b.file, "op_args": []any{c.returns},
		})
	}
	_, err := operatorstest.Build(t, b.reg, "ShortCircuitOperator", map[string]any{}).Execute(t.Context(), b.task)
	if err == nil || !strings.Contains(err.Error(), "there is no condition") {
		t.Error(err)
	}
}

func TestSensor(t *testing.T) {
	t.Parallel()
	b := setUp(t, source)
	res, err := b.run(t, "PythonSensor", "poke", map[string]any{"mode": "reschedule"})
	if err != nil || text(t, res.Value) != `"yes"` {
		t.Errorf("%+v, %v", res, err)
	}
	b.task.Identity.TryNumber = 2
	res, err = b.run(t, "PythonSensor", "poke", map[string]any{"mode": "reschedule"})
	if err != nil || res.RescheduleAt.IsZero() {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err = b.run(t, "PythonSensor", "skip", nil); err != nil || !res.Skipped {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err = b.run(t, "PythonSensor", "final", nil); !operators.NoRetry(err) {
		t.Error(err)
	}
}

func TestCallback(t *testing.T) {
	t.Parallel()
	b := setUp(t, source)
	if _, err := b.run(t, "PythonCallback", "called", map[string]any{"op_kwargs": map[string]any{"who": "me"}}); err != nil || !b.task.Logged(`msg="called me task"`) {
		t.Errorf("%v\n%s", err, b.task.LogText())
	}
	if _, err := b.run(t, "PythonCallback", "Notifier", map[string]any{"op_kwargs": map[string]any{"to": "you"}}); err != nil || !b.task.Logged(`msg="notified you"`) {
		t.Errorf("%v\n%s", err, b.task.LogText())
	}
}

// surrounded is a task of the engine's, as far as the family asks.
type surrounded struct {
	*operatorstest.Task
	operators.Surroundings
	d *dag.DAG
}

func (s *surrounded) DAG() *dag.DAG                          { return s.d }
func (s *surrounded) Instance() dag.TaskInstance             { return dag.TaskInstance{} }
func (s *surrounded) MergedParams() (json.RawMessage, error) { return json.RawMessage(`{"p":1}`), nil }
func (s *surrounded) Concern() (exception, reason string)    { return "boom", "why" }
func (s *surrounded) Neighbour(step int) (time.Time, bool) {
	return time.Date(2024, 1, 2+step, 0, 0, 0, 0, time.UTC), true
}
func (s *surrounded) Label(map[string]any) {}
func (s *surrounded) PreviousSuccess(context.Context) (*operators.PreviousRun, error) {
	return nil, nil
} //nolint:nilnil // there is none
func (s *surrounded) Variable(_ context.Context, key string) (string, bool, error) {
	return "", false, errors.New("no variable " + key)
}
func (s *surrounded) XCom(_ context.Context, q operators.XComQuery) (json.RawMessage, bool, error) {
	raw, err := json.Marshal(q)
	return raw, true, err
}

func TestSurroundings(t *testing.T) {
	t.Parallel()
	b := setUp(t, `
from airflow.models import Variable
def f(dag, params, prev_ds, next_execution_date, prev_start_date_success, ti, exception, **context):
    return [dag.dag_id, dag.task_ids, params["p"], prev_ds, next_execution_date, prev_start_date_success, exception,
            context["reason"], ti.xcom_pull("x", dag_id="d", map_indexes=3, include_prior_dates=True),
            Variable.get("v", default_var="none"), str(dag.timezone)]
`)
	s := &surrounded{Task: b.task, d: &dag.DAG{ID: "dag", Timezone: "UTC", Tasks: []*dag.Task{{ID: "one"}, {ID: "two"}}, FileLoc: b.file + ".yaml"}}
	op := operatorstest.Build(t, b.reg, "PythonOperator", map[string]any{"python_callable_name": "f", "python_callable_file": "functions.py"})
	res, err := op.Execute(t.Context(), s)
	want := `["dag",["one","two"],1,"2024-01-01","2024-01-03T00:00:00+00:00",null,"boom","why",` +
		`{"DagID":"d","RunID":"","TaskID":"x","Key":"return_value","MapIndex":3,"PriorDates":true},"none","UTC"]`
	if err != nil || text(t, res.Value) != want {
		t.Errorf("%s, %v\n%s", text(t, res.Value), err, b.task.LogText())
	}
	// The pipeline file may be named by a path relative to the working folder.
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if s.d.FileLoc, err = filepath.Rel(here, s.d.FileLoc); err != nil {
		t.Fatal(err)
	}
	op = operatorstest.Build(t, b.reg, "PythonOperator", map[string]any{"python_callable_name": "f", "python_callable_file": "functions.py"})
	if res, err = op.Execute(t.Context(), s); err != nil || text(t, res.Value) != want {
		t.Errorf("%s, %v", text(t, res.Value), err)
	}
	// By import path: the module lies beside the pipeline.
	op = operatorstest.Build(t, b.reg, "PythonOperator", map[string]any{"python_callable": "functions.f"})
	if res, err = op.Execute(t.Context(), s); err != nil || text(t, res.Value) != want {
		t.Errorf("%s, %v", text(t, res.Value), err)
	}
	op = operatorstest.Build(t, b.reg, "PythonOperator", map[string]any{"python_callable": "function.f"})
	if _, err = op.Execute(t.Context(), s); err == nil || !strings.Contains(err.Error(), "no module 'function' in") || !operators.NoRetry(err) {
		t.Error(err)
	}
}

func TestVirtualenv(t *testing.T) {
	t.Parallel()
	b := setUp(t, "import sys\ndef where(): return sys.prefix\n")
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Skipf("python3 -m venv does not work here: %v %s", err, out)
	}
	res, err := b.run(t, "PythonOperator", "where", map[string]any{"virtualenv": venv})
	if err != nil || text(t, res.Value) != fmt.Sprintf("%q", venv) {
		t.Errorf("%s, %v; want %s", text(t, res.Value), err, venv)
	}
}

// TestMadeVirtualenv installs a package from a folder, without any index.
func TestMadeVirtualenv(t *testing.T) {
	t.Parallel()
	b := setUp(t, "import sys\ndef where():\n    import gust_test_package\n    return [sys.prefix, gust_test_package.N]\n")
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import ensurepip, venv").CombinedOutput(); err != nil {
		t.Skipf("python3 cannot make environments here: %v %s", err, out)
	}
	wheel := writeWheel(t)
	params := map[string]any{"requirements": []any{wheel}, "index_urls": []any{}, "venv_cache_path": t.TempDir(), "system_site_packages": false}
	for _, made := range []bool{true, false} {
		b.task = operatorstest.NewTask(t)
		res, err := b.run(t, "PythonVirtualenvOperator", "where", params)
		if err != nil {
			t.Fatalf("%v\n%s", err, b.task.LogText())
		}
		var got []any
		if err := json.Unmarshal(res.Value.(json.RawMessage), &got); err != nil || got[1] != 7.0 ||
			!strings.HasPrefix(got[0].(string), params["venv_cache_path"].(string)) {
			t.Errorf("%v, %v", got, err)
		}
		if b.task.Logged("making the virtual environment") != made {
			t.Errorf("made: %v\n%s", !made, b.task.LogText())
		}
	}
	params["requirements"] = "no-such-package-at-all\n"
	if _, err := b.run(t, "PythonVirtualenvOperator", "where", params); err == nil || !strings.Contains(err.Error(), "pip install ended with exit code 1") {
		t.Error(err)
	}
	params["python_version"] = "3.99"
	if _, err := b.run(t, "PythonVirtualenvOperator", "where", params); err == nil || !strings.Contains(err.Error(), `"python3.99" was not found on PATH`) {
		t.Error(err)
	}
	if _, err := operatorstest.TryBuild(b.reg, "PythonVirtualenvOperator", map[string]any{"python_callable": "a.b", "requirements": 5}); err == nil {
		t.Error("requirements: 5 was accepted")
	}
}

// writeWheel makes a package that pip can install without building anything.
func writeWheel(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gust_test_package-1-py3-none-any.whl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	info := "gust_test_package-1.dist-info/"
	for _, file := range [][2]string{
		{"gust_test_package.py", "N = 7\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: gust-test-package\nVersion: 1\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", ""},
	} {
		e, err := w.Create(file[0])
		if err == nil {
			_, err = e.Write([]byte(file[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}
