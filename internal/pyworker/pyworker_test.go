//go:build unix

package pyworker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/internal/childprocess"
)

func TestMain(m *testing.M) {
	if home := os.Getenv(daemonVar); home != "" {
		playDaemon(home)
		return
	}
	goleak.VerifyTestMain(m)
}

// needPython skips a test where there is no Python.
func needPython(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		tb.Skip("python3 is not installed")
	}
}

func newPool(tb testing.TB, change func(*Options)) *Pool {
	tb.Helper()
	needPython(tb)
	starter, err := childprocess.NewStarter()
	if err != nil {
		tb.Fatal(err)
	}
	o := Options{Warm: 2, Home: tb.TempDir(), Starter: starter}
	if change != nil {
		change(&o)
	}
	p, err := NewPool(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.Close()
		if err := starter.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// logBook collects a log as "LEVEL message" lines.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// module writes a Python file and returns its path.
func module(tb testing.TB, source string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "functions.py")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// host answers from maps.
type host struct {
	mu     sync.Mutex
	xcoms  map[string]string // "task/key"
	vars   map[string]string
	conns  map[string]*Connection
	pushed map[string]string
	last   XComQuery
}

func (h *host) XComPull(_ context.Context, q XComQuery) (json.RawMessage, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = q
	raw, ok := h.xcoms[q.TaskID+"/"+q.Key]
	return json.RawMessage(raw), ok, nil
}

func (h *host) XComPush(_ context.Context, key string, value json.RawMessage) error {
	if key == "refused" {
		return errors.New("no room")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pushed[key] = string(value)
	return nil
}

func (h *host) Variable(_ context.Context, key string) (string, bool, error) {
	if v, ok := h.vars[key]; ok {
		return v, true, nil
	}
	return "", false, fmt.Errorf("there is no variable %q", key)
}

func (h *host) Connection(_ context.Context, id string) (*Connection, bool, error) {
	if c, ok := h.conns[id]; ok {
		return c, true, nil
	}
	return nil, false, fmt.Errorf("there is no connection %q", id)
}

func (h *host) More(context.Context) (*More, error) {
	at := time.Date(2024, 2, 28, 0, 0, 0, 0, time.UTC)
	return &More{
		Names: map[string]any{"prev_ds": "2024-02-28"},
		Dates: map[string]*time.Time{"prev_start_date_success": &at, "prev_end_date_success": nil},
	}, nil
}

func (h *host) TaskIDs() []string { return []string{"a", "b"} }

func ptr[T any](v T) *T { return &v }

func sampleContext() *Context {
	at := time.Date(2024, 2, 29, 12, 30, 0, 123456000, time.UTC)
	return &Context{
		DAG:    ContextDAG{ID: "dag", Timezone: "UTC", FileLoc: "/dags/x.yaml", Tags: []string{"t"}},
		Task:   ContextTask{ID: "task", Type: "PythonOperator", Retries: 2, RetryDelay: 300, Upstream: []string{"up"}},
		DagRun: ContextRun{ID: "manual__1", Type: "manual", State: "running", Conf: json.RawMessage(`{"n": 7}`), LogicalDate: &at, DataIntervalStart: &at},
		TI:     ContextTI{TaskID: "task", MapIndex: -1, TryNumber: 1, State: "running", StartDate: &at},
		Params: json.RawMessage(`{"p": 1}`), Names: map[string]any{"exception": "boom"},
	}
}

const functions = `
import logging, os, sys, asyncio, datetime, decimal, dataclasses, enum, signal, subprocess, warnings
from airflow.exceptions import AirflowSkipException, AirflowFailException, AirflowException
from airflow.decorators import task
from airflow.sdk import get_current_context, Variable
from airflow.hooks.base import BaseHook

STATE = []
def leak(): STATE.append(1); return len(STATE)
def add(a, b=1): return a + b
def nothing(): pass
def everything(**kwargs): return sorted(k for k in kwargs if k in ("ti", "ds", "x", "params", "templates_dict", "macros"))
def some(ds, ti, logical_date, dag_run, x): return [ds, ti.try_number, logical_date.isoformat(), dag_run.conf["n"], x]
def dates(logical_date, ts, ts_nodash, ts_nodash_with_tz, tomorrow_ds_nodash, data_interval_end):
    assert logical_date.tzinfo is not None
    return [str(logical_date.add(months=12)), logical_date.start_of("month").to_date_string(), ts, ts_nodash,
            ts_nodash_with_tz, tomorrow_ds_nodash, data_interval_end, (logical_date + datetime.timedelta(days=1)).to_date_string(),
            logical_date.end_of("day").to_datetime_string()]
def pull(ti): return [ti.xcom_pull(task_ids="up"), ti.xcom_pull("up", key="none", default=3), ti.xcom_pull(task_ids=["up", "no"])]
def push(ti): ti.xcom_push(key="k", value={"s": {3, 1}, "d": datetime.date(2024, 1, 2)})
def push_refused(ti): ti.xcom_push("refused", 1)
def push_bad(ti): ti.xcom_push("k", [1, {"x": object()}])
def variables(var): return [var.value.v, var.json.j["a"], var.value.get("none", "d"), Variable.get("v"), Variable.get("j", deserialize_json=True), Variable.get("none", default_var=None)]
def no_variable(): return Variable.get("none")
def connection(conn):
    c = BaseHook.get_connection("db")
    return [c.host, c.port, c.extra_dejson["x"], conn.db.login, c.get_uri(), str(conn.get("none", 4))]
def current(): return get_current_context()["ti"].task_id
def objects(dag, task, ti, macros): return [dag.dag_id, dag.task_ids, task.retries, task.retry_delay.total_seconds(), sorted(task.upstream_task_ids), macros.ds_add("2024-01-01", 3), repr(ti)]
def bad_attribute(ti): return ti.tri_number
@task(multiple_outputs=True)
def decorated(x): return {"x": x}
def annotated() -> dict: return {"a": 1}
def skip(): raise AirflowSkipException("not today")
def final(): raise AirflowFailException("broken for good")
def custom():
    class Mine(AirflowSkipException): pass
    raise Mine("mine")
def fail():
    def inner(): raise ValueError("bad\nvalue")
    inner()
def chained():
    try: fail()
    except ValueError as e: raise RuntimeError("outer") from e
def exits(code): sys.exit(code)
def dies(): os._exit(3)
def killed(): os.kill(os.getpid(), signal.SIGKILL)
def logs():
    print("printed"); logging.getLogger("mine").warning("warned"); logging.debug("hidden"); logging.error("two\nlines")
    print("to stderr", file=sys.stderr); print("no newline", end=""); warnings.warn("careful")
def child(): subprocess.run(["sh", "-c", "echo from a child; echo and its errors >&2"])
async def coroutine(): await asyncio.sleep(0); return 5
def generator(): yield from range(3)
async def agenerator():
    yield 1
    yield 2
class E(enum.Enum): A = "a"
@dataclasses.dataclass
class D: n: int
def values(): return {"t": (1, 2), "s": {2, 1}, "d": decimal.Decimal("1.50"), "dt": datetime.datetime(2024, 1, 2), "td": datetime.timedelta(minutes=1), "e": E.A, "dc": D(1), 3: None, "r": range(2), "big": 2**70, "u": "é\u2028"}
def bad_value(): return {"a": [1, {"b": object()}]}
def nan(): return [float("nan")]
def cycle(): x = []; x.append(x); return x
def bad_key(): return {(1, 2): 3}
class Callable:
    def method(self, x): return x * 2
instance = Callable()
number = 5
def env(): return [os.environ["GUST_TEST_X"], os.environ.get("PATH") is not None]
def stdin(): return sys.stdin.read() if sys.stdin else ""
def forks():
    pid = os.fork()
    if pid == 0:
        print("from a fork"); os._exit(0)
    os.waitpid(pid, 0)
    return True
def more(prev_ds, prev_start_date_success, prev_end_date_success): return [prev_ds, prev_start_date_success, prev_end_date_success]
def more_context(): return get_current_context()["prev_ds"]
def more_kwargs(**context): return context["prev_ds"]
class Notifier:
    def __init__(self, text="x"): self.text = text
    def notify(self, context): print("notified", self.text, context["ti"].task_id, context["prev_ds"])
def callback(context, text): print("called", text, context["exception"])
def index(): get_current_context()["custom"] = "label"
`

func TestCalls(t *testing.T) {
	t.Parallel()
	p, file := newPool(t, nil), module(t, functions)
	for name, c := range map[string]struct {
		fn       string
		args     []any
		kwargs   map[string]any
		context  bool
		callback bool
		strict   bool
		want     string // JSON
		err      string
		log      []string
	}{
		"arguments":            {fn: "add", args: []any{1}, kwargs: map[string]any{"b": 4}, want: "5"},
		"defaults":             {fn: "add", args: []any{"a"}, err: `TypeError: can only concatenate str (not "int") to str`},
		"None":                 {fn: "nothing", want: "null"},
		"kwargs gets all":      {fn: "everything", context: true, kwargs: map[string]any{"x": 1}, want: `["ds","macros","params","templates_dict","ti","x"]`},
		"named only":           {fn: "some", context: true, kwargs: map[string]any{"x": "é"}, want: `["2024-02-29",1,"2024-02-29T12:30:00.123456+00:00",7,"é"]`},
		"dates":                {fn: "dates", context: true, want: `["2025-02-28 12:30:00.123456+00:00","2024-02-01","2024-02-29T12:30:00.123456+00:00","20240229T123000","20240229T123000+0000","20240301",null,"2024-03-01","2024-02-29 23:59:59"]`},
		"xcom_pull":            {fn: "pull", context: true, want: `[[1,2],3,[[1,2],null]]`},
		"xcom_push":            {fn: "push", context: true, want: "null"},
		"refused push":         {fn: "push_refused", context: true, err: "no room"},
		"push of no JSON":      {fn: "push_bad", context: true, err: "Unserializable: the XCom 'k'[1]['x'] is of type builtins.object, which cannot be stored as JSON"},
		"variables":            {fn: "variables", context: true, want: `["1",2,"d","1",{"a":2},null]`},
		"missing variable":     {fn: "no_variable", context: true, err: `KeyError: 'there is no variable "none"'`},
		"connection":           {fn: "connection", context: true, want: `["h",5432,true,"me","postgres://me@h:5432","4"]`},
		"get_current_context":  {fn: "current", context: true, want: `"task"`},
		"no context":           {fn: "current", err: "Current context was requested but no context was found!"},
		"more":                 {fn: "more", context: true, want: `["2024-02-28","2024-02-28T00:00:00+00:00",null]`},
		"more by context":      {fn: "more_context", context: true, want: `"2024-02-28"`},
		"more by kwargs":       {fn: "more_kwargs", context: true, want: `"2024-02-28"`},
		"notifier":             {fn: "Notifier", context: true, callback: true, kwargs: map[string]any{"text": "t"}, want: "null", log: []string{`msg="notified t task 2024-02-28"`}},
		"callback":             {fn: "callback", context: true, callback: true, kwargs: map[string]any{"text": "t"}, want: "null", log: []string{`msg="called t boom"`}},
		"objects":              {fn: "objects", context: true, want: `["dag",["a","b"],2,300.0,["up"],"2024-01-04","<TaskInstance: dag.task manual__1 [running]>"]`},
		"unknown attribute":    {fn: "bad_attribute", context: true, err: "Gust's task instance has no attribute 'tri_number'; it has"},
		"decorated function":   {fn: "decorated", kwargs: map[string]any{"x": 1}, want: `{"x":1}`},
		"reserved key":         {fn: "some", context: true, args: []any{1}, err: "The key 'ds' in args is a part of kwargs and therefore reserved."},
		"unknown argument":     {fn: "add", args: []any{1}, kwargs: map[string]any{"c": 1}, want: "2", log: []string{`level=WARN msg="add() has no argument 'c'; it is left out, as Airflow does"`}},
		"strict":               {fn: "add", strict: true, kwargs: map[string]any{"a": 1, "c": 1}, err: "add() has no argument 'c'; it has a, b"},
		"skip":                 {fn: "skip", err: "not today"},
		"fail":                 {fn: "final", err: "broken for good"},
		"traceback":            {fn: "fail", err: "ValueError: bad\nvalue", log: []string{`level=ERROR msg="Traceback (most recent call last):"`, `in inner`, `raise ValueError`, `level=ERROR msg=value`}},
		"chained":              {fn: "chained", err: "RuntimeError: outer", log: []string{"The above exception was the direct cause of the following exception:"}},
		"exit 0":               {fn: "exits", args: []any{0}},
		"exit 2":               {fn: "exits", args: []any{2}, err: "SystemExit: 2"},
		"exit with a text":     {fn: "exits", args: []any{"why"}, err: "SystemExit: why"},
		"_exit":                {fn: "dies", err: "ended with exit code 3 before the function returned"},
		"killed":               {fn: "killed", err: "was ended by signal 9 (killed); the system does that when memory runs out"},
		"logging":              {fn: "logs", want: "null", log: []string{"level=INFO msg=printed source=stdout\nlevel=WARN msg=warned logger=mine\nlevel=ERROR msg=two logger=root\nlevel=ERROR msg=lines logger=root\nlevel=INFO msg=\"to stderr\" source=stderr", `msg="no newline" source=stdout`, "UserWarning: careful"}},
		"a child":              {fn: "child", want: "null", log: []string{`msg="from a child" source=stdout`, `msg="and its errors" source=stderr`}},
		"coroutine":            {fn: "coroutine", want: "5"},
		"generator":            {fn: "generator", want: "[0,1,2]"},
		"async generator":      {fn: "agenerator", want: "[1,2]"},
		"values":               {fn: "values", want: `{"t":[1,2],"s":[1,2],"d":"1.50","dt":"2024-01-02T00:00:00","td":60.0,"e":"a","dc":{"n":1},"3":null,"r":[0,1],"big":1180591620717411303424,"u":"é` + "\u2028" + `"}`},
		"no JSON":              {fn: "bad_value", err: "the return value['a'][1]['b'] is of type builtins.object, which cannot be stored as JSON"},
		"NaN":                  {fn: "nan", err: "the return value[0] is nan, which JSON cannot hold"},
		"cycle":                {fn: "cycle", err: "is nested deeper than 100 levels, or contains itself"},
		"bad key":              {fn: "bad_key", err: "the return value has the key (1, 2) of type tuple; keys must be text"},
		"method":               {fn: "instance.method", args: []any{3}, want: "6"},
		"not callable":         {fn: "number", err: "number of " + file + " is a int, which cannot be called"},
		"no such function":     {fn: "ad", err: file + " has no 'ad'; it has"},
		"environment":          {fn: "env", want: `["y",true]`},
		"standard input":       {fn: "stdin", want: `""`},
		"index":                {fn: "index", context: true, want: "null"},
		"a fork of the user's": {fn: "forks", want: "true", log: []string{`msg="from a fork" source=stdout`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logBook
			h := &host{
				xcoms: map[string]string{"up/return_value": "[1, 2]"}, vars: map[string]string{"v": "1", "j": `{"a":2}`},
				conns: map[string]*Connection{"db": {
					ID: "db", Type: "postgres", Host: ptr("h"), Login: ptr("me"), Port: ptr(5432), Extra: ptr(`{"x": true}`),
					URI: "postgres://me@h:5432",
				}},
				pushed: map[string]string{},
			}
			r := &Request{
				Callable: Callable{File: file, Name: c.fn}, Args: c.args, Kwargs: c.kwargs, Strict: c.strict, WantValue: true,
				WantTruth: true, Host: h, Log: log.logger(), Env: []string{"GUST_TEST_X=y"},
			}
			if c.context {
				r.Context, r.CallWithContext = sampleContext(), c.callback
			}
			res, err := p.Call(t.Context(), r)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
			case err != nil:
				t.Fatalf("%v\n%s", err, log.String())
			case compact(string(res.Value)) != compact(c.want):
				t.Errorf("value %s, want %s", res.Value, c.want)
			}
			for _, line := range c.log {
				if !strings.Contains(log.String(), line) {
					t.Errorf("the log lacks %q:\n%s", line, log.String())
				}
			}
			if name == "index" && res.Added["custom"] != "label" {
				t.Errorf("added %v", res.Added)
			}
			if name == "xcom_push" && h.pushed["k"] != `{"s": [1, 3], "d": "2024-01-02"}` {
				t.Errorf("pushed %q", h.pushed["k"])
			}
		})
	}
}

func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}
