package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/dag/template/pytime"

	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

var errNoConn = errors.New(`the conn_id "nope" isn't defined; did you mean "aws_default"?`)

// testVars is an attempt with everything set.
func testVars() *Vars {
	d := &dag.DAG{
		ID: "orders", Timezone: "UTC", Tags: []string{"a", "b"}, FileLoc: "/dags/orders.yml", MaxActiveRuns: 3,
		Schedule: dag.Schedule{Text: "@daily"}, Tasks: []*dag.Task{{ID: "extract", Owner: "me"}, {ID: "load", Owner: "me"}},
	}
	task := &dag.Task{ID: "load", Operator: "BashOperator", Retries: 2, RetryDelay: 90 * time.Second,
		Upstream: []string{"extract"}, Params: map[string]any{"bash_command": "echo {{ ds }}"}}
	key := dag.Key{DagID: "orders", RunID: "scheduled__2024-01-31T10:05:07+00:00", TaskID: "load", MapIndex: -1}
	xcoms := map[string]string{
		"extract/return_value": `{"executionArn": "arn:aws:x", "z": 1, "a": [1, 2.5, "q"]}`,
		"load/mine":            `"own"`, "extract/count": `7`, "other/return_value": `"elsewhere"`, "extract/null": `null`,
	}
	return &Vars{
		DAG: d, Task: task, TestMode: true, Now: at("2024-03-02T11:06:08.123456Z"),
		TI: dag.TaskInstance{Key: key, TryNumber: 2, MaxTries: 3, State: dag.StateRunning, StartDate: at("2024-02-01T10:05:09Z")},
		Run: dag.Run{RunKey: key.Run(), Type: dag.RunScheduled, LogicalDate: at("2024-01-31T10:05:07Z"),
			RunAfter: at("2024-02-01T10:05:07Z"), IntervalStart: at("2024-01-31T10:05:07Z"), IntervalEnd: at("2024-03-02T11:06:08.123456Z"),
			State: dag.RunRunning, StartDate: at("2024-02-01T10:05:08Z"), Conf: json.RawMessage(`{"b": {"c": 1}, "a": null}`)},
		Params: json.RawMessage(`{"zone": "eu", "n": 3, "list": ["x", "y"], "on": true}`),
		XComPull: func(_ context.Context, x XCom) (json.RawMessage, bool, error) {
			task := x.TaskID
			if x.DagID != "orders" {
				task = "other"
			}
			if x.MapIndex != nil {
				return json.RawMessage(fmt.Sprint(*x.MapIndex * 10)), true, nil
			}
			v, ok := xcoms[task+"/"+x.Key]
			return json.RawMessage(v), ok, nil
		},
		Variable: func(_ context.Context, key string) (string, bool, error) {
			switch key {
			case "bucket":
				return "s3://b", true, nil
			case "cfg":
				return `{"b": 1, "a": {"x": [1, 2]}}`, true, nil
			case "broken":
				return "", true, errors.New("database is locked")
			}
			return "", false, nil
		},
		Connection: func(_ context.Context, id string) (Connection, bool, error) {
			if id != "aws_default" {
				return Connection{}, false, errNoConn
			}
			return Connection{ID: id, Type: "aws", Login: "AKIA", Password: "secret", Port: 8080,
				Extra: json.RawMessage(`{"region_name": "eu-west-1"}`), URI: "aws://AKIA@/"}, true, nil
		},
		Previous: func(context.Context) (*PreviousRun, error) {
			return &PreviousRun{IntervalStart: at("2024-01-30T10:05:07Z"), StartDate: at("2024-01-30T10:05:08Z")}, nil
		},
		Neighbour: func(step int) (time.Time, bool) { return at("2024-01-31T00:00:00Z").AddDate(0, 0, step), true },
	}
}

// rendered is what Airflow 3 with pendulum 3 prints; the dates are compared with a recording of pendulum itself.
var rendered = []struct{ text, want string }{
	{"plain {text} {", "plain {text} {"},
	{"one newline\n", "one newline"},
	{"{{ ds }} {{ ds_nodash }} {{ ts }} {{ ts_nodash }} {{ ts_nodash_with_tz }}",
		"2024-01-31 20240131 2024-01-31T10:05:07+00:00 20240131T100507 20240131T100507+0000"},
	{"{{ yesterday_ds }} {{ tomorrow_ds_nodash }} {{ prev_ds }} {{ next_ds }} {{ next_execution_date }}",
		"2024-01-30 20240201 2024-01-30 2024-02-01 2024-02-01 00:00:00+00:00"},
	{"{{ data_interval_start }}|{{ data_interval_end }}|{{ logical_date.isoformat() }}|{{ execution_date.year }}",
		"2024-01-31 10:05:07+00:00|2024-03-02 11:06:08.123456+00:00|2024-01-31T10:05:07+00:00|2024"},
	{"{{ data_interval_end | ts }} {{ data_interval_end | ds_nodash }} {{ logical_date | ts_nodash_with_tz }} {{ none | ds }}",
		"2024-03-02T11:06:08.123456+00:00 20240302 20240131T100507+0000 None"},
	{"{{ logical_date.add(months=1) }}|{{ logical_date.subtract(months=2) }}|{{ logical_date.add(days=1, hours=2) }}",
		"2024-02-29 10:05:07+00:00|2023-11-30 10:05:07+00:00|2024-02-01 12:05:07+00:00"},
	{"{{ logical_date.in_timezone('Europe/Amsterdam') }}|{{ logical_date.in_tz('Asia/Tokyo').timezone_name }}",
		"2024-01-31 11:05:07+01:00|Asia/Tokyo"},
	{"{{ logical_date.date() }} {{ logical_date.time() }} {{ logical_date.timestamp() }} {{ logical_date.int_timestamp }}",
		"2024-01-31 10:05:07 1706695507.0 1706695507"},
	{"{{ logical_date.day_of_week }} {{ logical_date.isoweekday() }} {{ logical_date.day_of_year }} " +
		"{{ logical_date.week_of_year }} {{ logical_date.week_of_month }} {{ logical_date.quarter }} {{ logical_date.days_in_month }}",
		"2 3 31 5 5 1 31"},
	{"{{ data_interval_end.format('YYYY-MM-DD HH:mm:ss') }}|{{ data_interval_end.format('dddd Do MMMM YYYY h:mm A') }}|" +
		"{{ data_interval_end.format('[literal] YY Q X x Z ZZ z zz SSSSSS SSS S') }}|{{ data_interval_end.format('LLLL') }}",
		"2024-03-02 11:06:08|Saturday 2nd March 2024 11:06 AM|" +
			"literal 24 1 1709377568 1709377568123 +00:00 +0000 UTC UTC 123456 123 1|Saturday, March 2, 2024 11:06 AM"},
	{"{{ data_interval_end.to_iso8601_string() }}|{{ data_interval_end.to_rfc2822_string() }}|{{ data_interval_end.to_cookie_string() }}",
		"2024-03-02T11:06:08.123456Z|Sat, 02 Mar 2024 11:06:08 +0000|Saturday, 02-Mar-2024 11:06:08 UTC"},
	{"{{ data_interval_end.to_date_string() }}|{{ data_interval_end.to_datetime_string() }}|{{ data_interval_end.to_day_datetime_string() }}",
		"2024-03-02|2024-03-02 11:06:08|Sat, Mar 2, 2024 11:06 AM"},
	{"{{ data_interval_end.start_of('week') }}|{{ data_interval_end.end_of('month') }}|{{ data_interval_end.start_of('century') }}",
		"2024-02-26 00:00:00+00:00|2024-03-31 23:59:59.999999+00:00|2001-01-01 00:00:00+00:00"},
	{"{{ logical_date.replace(hour=3) }}|{{ logical_date.next() }}|{{ logical_date.previous() }}|{{ logical_date.next(0) }}",
		"2024-01-31 03:05:07+00:00|2024-02-07 00:00:00+00:00|2024-01-24 00:00:00+00:00|2024-02-05 00:00:00+00:00"},
	{"{{ data_interval_end - data_interval_start }}",
		"<Interval [2024-01-31 10:05:07+00:00 -> 2024-03-02 11:06:08.123456+00:00]>"},
	{"{% set d = data_interval_end - data_interval_start %}{{ d.days }} {{ d.total_seconds() }} {{ d.in_hours() }} {{ d.in_words() }}",
		"31 2682061.123456 745 1 month 2 days 1 hour 1 minute 1 second"},
	{"{{ data_interval_end > data_interval_start }} {{ logical_date == data_interval_start }}", "True True"},
	{"{{ logical_date - macros.timedelta(days=1) }}|{{ logical_date + macros.timedelta(hours=36) }}|{{ macros.timedelta(days=1, hours=2) }}",
		"2024-01-30 10:05:07+00:00|2024-02-01 22:05:07+00:00|1 day, 2:00:00"},
	{"{{ -macros.timedelta(hours=1) }}|{{ macros.timedelta(seconds=1.5) }}|{{ [macros.timedelta(hours=-1)] }}|{{ macros.timedelta(days=3) * 2 }}",
		"-1 day, 23:00:00|0:00:01.500000|[datetime.timedelta(days=-1, seconds=82800)]|6 days, 0:00:00"},
	{"{{ data_interval_end.strftime('%Y %-d %e %j %U %W %V %G %u %w %p %I %Z %z %s %f %b %B %a %A %c %D %F %T %R %y %C %h %% %k %l') }}",
		"2024 2  2 062 08 09 09 2024 6 6 AM 11 UTC +0000 1709377568 123456 Mar March Sat Saturday Sat Mar  2 11:06:08 2024 " +
			"03/02/24 2024-03-02 11:06:08 11:06 24 20 Mar % 11 11"},
	{"{{ [logical_date] }}", "[DateTime(2024, 1, 31, 10, 5, 7, tzinfo=Timezone('UTC'))]"},
	{"{{ '{:%Y/%m}'.format(logical_date) }}", "2024/01"},
	{"{{ macros.ds_add(ds, 7) }} {{ macros.ds_add('2024-03-01', -1) }} {{ macros.ds_format('2024-01-05', '%Y-%m-%d', '%m/%d/%y') }}",
		"2024-02-07 2024-02-29 01/05/24"},
	{"{{ macros.datetime_diff_for_humans(data_interval_start, data_interval_end) }}|{{ macros.datetime_diff_for_humans(data_interval_end.subtract(days=1)) }}",
		"1 month before|1 day ago"},
	{"{{ macros.datetime(2024, 1, 1, 2) }}|{{ macros.datetime.strptime('2024-1-5', '%Y-%m-%d') }}|{{ macros.datetime.fromisoformat('2024-01-01T10:00:00+02:00').isoformat() }}",
		"2024-01-01 02:00:00|2024-01-05 00:00:00|2024-01-01T10:00:00+02:00"},
	{"{{ macros.datetime.utcnow().isoformat() }} {{ macros.time.time() }}", "2024-03-02T11:06:08.123456 1709377568.123456"},
	{"{{ macros.dateutil.parser.parse('Jan 2, 2024').date() }} {{ logical_date + macros.dateutil.relativedelta.relativedelta(months=1, day=1) }}",
		"2024-01-02 2024-02-01 10:05:07+00:00"},
	{"{{ macros.json.dumps({'b': 1, 'a': [true, none]}) }} {{ macros.json.loads('[1, {\"z\": 1, \"a\": 2}]') }}",
		`{"b": 1, "a": [true, null]} [1, {'z': 1, 'a': 2}]`},
	{"{{ macros.random() == macros.random.random() }} {{ macros.random.randint(3, 3) }} {{ macros.uuid.uuid4()|length }}", "False 3 36"},
	{"{{ ti.task_id }} {{ task_instance.dag_id }} {{ ti.try_number }} {{ ti.map_index }} {{ ti.max_tries }} {{ ti.start_date }}",
		"load orders 2 -1 3 2024-02-01 10:05:09+00:00"},
	{"{{ ti.xcom_pull('extract') }}", "{'executionArn': 'arn:aws:x', 'z': 1, 'a': [1, 2.5, 'q']}"},
	{"{{ ti.xcom_pull(task_ids='extract')['executionArn'] }}{{ ti.xcom_pull(task_ids='extract', key='return_value').a[2] }}", "arn:aws:xq"},
	{"{{ task_instance.xcom_pull(task_ids='extract', key='count') + 1 }}", "8"},
	{"{{ ti.xcom_pull(key='mine') }} {{ ti.xcom_pull(task_ids=['extract', 'nope'], key='count') }} {{ ti.xcom_pull('nope', default=4) }}",
		"own [7, None] 4"},
	{"{{ ti.xcom_pull('extract', map_indexes=[1, 2]) }} {{ ti.xcom_pull('extract', map_indexes=3) }} {{ ti.xcom_pull('x', 'dag2') }}",
		"[10, 20] 30 elsewhere"},
	{"{{ ti.xcom_pull('nope') }} {{ ti.xcom_pull('extract', key='null') }}", "None None"},
	{"{{ dag_run.conf }} {{ dag_run.conf.b.c }} {{ dag_run.conf['b']['c'] }} {{ dag_run.conf.get('q', 'dflt') }} {{ dag_run.conf.a }}",
		"{'b': {'c': 1}, 'a': None} 1 1 dflt None"},
	{"{{ dag_run.run_id }} {{ dag_run.run_type }} {{ run_id }} {{ dag_run.start_date | ts }}",
		"scheduled__2024-01-31T10:05:07+00:00 scheduled scheduled__2024-01-31T10:05:07+00:00 2024-02-01T10:05:08+00:00"},
	{"{{ params.zone }} {{ params['n'] + 1 }} {{ params.list | join(',') }} {{ params.on }} {{ params }}",
		"eu 4 x,y True {'zone': 'eu', 'n': 3, 'list': ['x', 'y'], 'on': True}"},
	{"{{ var.value.bucket }} {{ var.value.get('nope', 'd') }} {{ var.json.cfg.a.x[1] }} {{ var.json.get('cfg') }} {{ var.value.nope|default('e') }}",
		"s3://b d 2 {'b': 1, 'a': {'x': [1, 2]}} e"},
	{"{{ conn.aws_default.login }} {{ conn.aws_default.port }} {{ conn.aws_default.extra_dejson.region_name }} {{ conn.get('nope', 'd') }} " +
		"{{ conn.aws_default.host }} {{ conn.aws_default }} {{ conn['aws_default'].conn_type }} {{ conn.aws_default.get_uri() }}",
		"AKIA 8080 eu-west-1 d None aws_default aws aws://AKIA@/"},
	{"{{ task }} {{ dag }} {{ ti }}", "<Task(BashOperator): load> <DAG: orders> <TaskInstance: orders.load scheduled__2024-01-31T10:05:07+00:00 [running]>"},
	{"{{ dag.tags }} {{ dag.task_ids }} {{ dag.folder }} {{ task.retries }} {{ task.retry_delay }} {{ task.upstream_task_ids }} {{ task.bash_command }}",
		"['a', 'b'] ['extract', 'load'] /dags 2 0:01:30 ['extract'] echo {{ ds }}"},
	{"{{ task_instance_key_str }} {{ test_mode }} {{ inlets }} {{ prev_data_interval_start_success }} {{ prev_data_interval_end_success }}",
		"orders__load__20240131 True [] 2024-01-30 10:05:07+00:00 None"},
	{"{{ greeting }} {{ team.name }}", "hi ops"},
	{"{% if dag_run.conf.get('full') %}full{% else %}delta{% endif %}", "delta"},
}

func testEnvironment(t testing.TB) *Environment {
	t.Helper()
	return New(Options{Macros: map[string]any{"greeting": "hi", "team": map[string]any{"name": "ops"}}})
}

func TestRender(t *testing.T) {
	t.Parallel()
	e := testEnvironment(t)
	for _, c := range rendered {
		if err := e.Check(c.text); err != nil {
			t.Errorf("Check(%s): %v", c.text, err)
		}
		got, err := e.Render(t.Context(), c.text, testVars())
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	e := testEnvironment(t)
	for _, c := range []struct{ text, want string }{
		{"{{ dss }}", `line 1, column 4: "dss" is undefined; did you mean "ds"?`},
		{"a\n  {{ params.zon }}", `line 2, column 13: dict has no key "zon"; did you mean "zone"? (available: zone, n, list, on)`},
		{"{{ dag_run.config.x }}", `line 1, column 12: DagRun has no attribute "config"; did you mean "conf"?`},
		{"{{ ti.xcom_pul('x') }}", `did you mean "xcom_pull"?`},
		{"{{ ti.xcom_push('a', 1) }}", "xcom_push() cannot be called in a template"},
		{"{{ ti.xcom_pull(task_id='x') }}", `xcom_pull() has no argument "task_id"; did you mean "task_ids"?`},
		{"{{ var.value.nope }}", `the Variable "nope" isn't defined`},
		{"{{ var.value.broken }}", `database is locked`},
		{"{{ var.json.bucket }}", `the Variable "bucket" is not JSON`},
		{"{{ conn.nope.host }}", `the conn_id "nope" isn't defined; did you mean "aws_default"?`},
		{"{{ conn.get('nope') }}", `the conn_id "nope" isn't defined`},
		{"{{ conn.aws_default.pasword }}", `did you mean "password"?`},
		{"{{ logical_date.in_timezone('Europe/Amsterdm') }}", `unknown time zone "Europe/Amsterdm"`},
		{"{{ macros.ds_add('2024-13-01', 1) }}", `does not match the format`},
		{"{{ ds.__class__ }}", `access to attribute "__class__" of str is not allowed`},
		{"{{ ti.xcom_pull('extract') + 1 }}", "unsupported operand types for +: dict and int"},
		{"{{ macros() }}", "a value of type macros cannot be called"},
		{"{{ logical_date.add(day=1) }}", `add() has no argument "day"; did you mean "days"?`},
	} {
		_, err := e.Render(t.Context(), c.text, testVars())
		var te *Error
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.text, err, c.want)
		} else if !errors.As(err, &te) || te.Line == 0 {
			t.Errorf("%s: %v has no position", c.text, err)
		}
	}
	v := testVars()
	v.Run.LogicalDate = time.Time{}
	if _, err := e.Render(t.Context(), "{{ ds }}", v); err == nil || !strings.Contains(err.Error(), "the run has no logical date") {
		t.Errorf("ds without a logical date: %v", err)
	}
	if got, err := e.Render(t.Context(), "{{ ds is defined }} {{ logical_date }}", v); err != nil || got != "False None" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := e.Render(t.Context(), "{{ conn.nope.host }}", testVars()); !errors.Is(err, errNoConn) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	e := testEnvironment(t)
	for _, c := range []struct{ text, want string }{
		{"{{ ds", `line 1, column 1: this is not closed; expected "}}"`},
		{"x\n {{ ds | dsx }}", `line 2, column 10: unknown filter "dsx"; did you mean "ds"?`},
		{"{{ ds is strin }}", `line 1, column 10: unknown test "strin"; did you mean "string"?`},
		{"{{ data_intervl_start }}", `line 1, column 4: unknown variable "data_intervl_start"; did you mean "data_interval_start"?`},
		{"{% include '/etc/passwd' %}", `line 1, column 4: {% include %} is not allowed: a template cannot load another one`},
		{"{% for x in y %}{% endif %}", `line 1, column 20: unknown tag "endif"; expected {% else %} or {% endfor %}`},
		{"{% fro x in y %}", `line 1, column 4: unknown tag "fro"; did you mean "for"?`},
		{"{% if ds %}", `line 1, column 12: unexpected end of the template; expected {% elif %} or {% else %} or {% endif %}`},
		{"{{ 'abc }}", `line 1, column 4: the string is not closed; expected "'"`},
		{"{{ (1, 2 }}", `line 1, column 10: unexpected "}"; expected ")"`},
		{"{{ f(1 }}", `unexpected "}"; expected ")"`},
		{"{{ }}", `line 1, column 4: unexpected "}}"; expected a value`},
		{"{{ a.b. }}", `expected a name or a number after "."`},
	} {
		err := e.Check(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check(%s): %v\nwant %s", c.text, err, c.want)
		}
	}
	for _, text := range []string{
		"{% set q = 1 %}{{ q }}", "{% for a, b in [] %}{{ a }}{{ loop.index }}{% endfor %}", "{{ maybe|default(1) }}",
		"{% if maybe is defined %}{{ maybe }}{% endif %}", "{% macro m(x) %}{{ x }}{{ caller() }}{% endmacro %}{{ m(1) }}",
		"{{ range(3) }}{{ dict() }}{{ namespace() }}", "{{ greeting }}", "echo ${HOME} {} }}",
	} {
		if err := e.Check(text); err != nil {
			t.Errorf("Check(%s): %v", text, err)
		}
	}
	var problems []string
	e.CheckValue(map[string]any{"a": []any{"ok", "{{ x"}, "b": "{{ nope }}", "c": 1}, func(path []any, err error) {
		problems = append(problems, fmt.Sprint(path, ": ", err))
	})
	want := []string{`[a 1]: line 1, column 1: this is not closed; expected "}}"`, `[b]: line 1, column 4: unknown variable "nope"`}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
}

func TestRenderValue(t *testing.T) {
	t.Parallel()
	e := testEnvironment(t)
	in := map[string]any{"{{ ds }}": "{{ ds }}", "n": 3, "list": []any{"{{ params.n }}", true, nil, map[string]any{"x": "{{ ti.xcom_pull('extract') }}"}}}
	plain := map[string]any{"{{ ds }}": "2024-01-31", "n": 3, "list": []any{"3", true, nil,
		map[string]any{"x": "{'executionArn': 'arn:aws:x', 'z': 1, 'a': [1, 2.5, 'q']}"}}}
	native := map[string]any{"{{ ds }}": "2024-01-31", "n": 3, "list": []any{3, true, nil,
		map[string]any{"x": map[string]any{"executionArn": "arn:aws:x", "z": 1, "a": []any{1, 2.5, "q"}}}}}
	for _, c := range []struct {
		native bool
		want   any
	}{{false, plain}, {true, native}} {
		got, err := e.RenderValue(t.Context(), in, testVars(), c.native)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("native %v: %s", c.native, diff)
		}
	}
	for text, want := range map[string]any{
		"{{ 1 }}{{ 2 }}": 12, "{{ '007' }}": "007", "[{{ 1 }}, 'a']": []any{1, "a"}, "{{ none }}": nil, "x{{ 1 }}": "x1",
		"{{ true }}": true, "{{ 'True' }}": true, "{{ 'true' }}": "true", "{{ {'a': (1, 2)} }}": map[string]any{"a": []any{1, 2}},
		"{{ '{\"a\": 1}' }}": map[string]any{"a": 1}, "{{ ds }}": "2024-01-31", "{{ 1.5 }}": 1.5, " {{ 1 }}": " 1",
		"{{ logical_date }}": "2024-01-31T10:05:07+00:00", "{{ '1 + 1' }}": "1 + 1", "{{ '-3' }}": -3, "plain": "plain", "7": "7",
	} {
		got, err := e.RenderValue(t.Context(), text, testVars(), true)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	_, err := e.RenderValue(t.Context(), map[string]any{"a": []any{"{{ x }}"}}, testVars(), false)
	if err == nil || !strings.HasPrefix(err.Error(), "a: [0]: line 1, column 4") {
		t.Errorf("the error does not say where: %v", err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(first, "a.sh"): "echo {{ ds }}\n", filepath.Join(second, "b.sh"): "{{ nope }}", filepath.Join(second, "a.sh"): "second",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := New(Options{SearchPath: []string{first, second}})
	ext := []string{".sh", ".bash"}
	got, err := e.RenderField(t.Context(), "a.sh", ext, testVars(), false)
	if err != nil || got != "echo 2024-01-31" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := e.RenderField(t.Context(), "a.sh ", ext, testVars(), false); err != nil || got != "a.sh " {
		t.Errorf("a trailing blank: %v, %v", got, err)
	}
	for name, want := range map[string]string{
		"b.sh": `template file b.sh: line 1, column 4: "nope" is undefined`, "c.sh": `template file "c.sh" does not exist`,
		"../a.sh": "outside of the search path", "x/../../a.sh": "outside of the search path",
	} {
		if _, err := e.RenderField(t.Context(), name, ext, testVars(), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestVariableNamesAreSortedAndFound(t *testing.T) {
	t.Parallel()
	if !slices.IsSorted(variableNames) {
		t.Error("variableNames is not sorted, so that Check cannot search it")
	}
	e := testEnvironment(t)
	for _, name := range variableNames {
		if got, err := e.Render(t.Context(), "{{ "+name+" is defined }}", testVars()); err != nil || got != "True" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestListedAttributesExist: what an error offers must work.
func TestListedAttributesExist(t *testing.T) {
	t.Parallel()
	e := testEnvironment(t)
	for expr, names := range map[string][]string{
		"logical_date": pytime.DateTime{}.AttrNames(), "ti": tiAttrs, "dag_run": runAttrs, "dag": dagAttrs, "task": taskAttrs, "macros": macroNames,
		"conn.aws_default": connectionAttrs, "(data_interval_end - data_interval_start)": pytime.TimeDelta{}.AttrNames(),
	} {
		for _, name := range names {
			if got, err := e.Render(t.Context(), "{{ "+expr+"."+name+" is defined }}", testVars()); err != nil || got != "True" {
				t.Errorf("%s.%s: %q, %v", expr, name, got, err)
			}
		}
	}
}

func TestMergeParams(t *testing.T) {
	t.Parallel()
	got, err := MergeParams(json.RawMessage(`{"z": 1, "a": {"x": 1}}`), nil, json.RawMessage(`{"a": 2, "n": [1]}`), json.RawMessage(`null`))
	if err != nil || string(got) != `{"z":1,"a":2,"n":[1]}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := MergeParams(json.RawMessage(`[1]`)); err == nil {
		t.Error("a list was taken for params")
	}
}

// TestSameAttemptSameRandom: a repeated attempt must repeat its decisions.
func TestSameAttemptSameRandom(t *testing.T) {
	t.Parallel()
	e := testEnvironment(t)
	render := func(try int) string {
		v := testVars()
		v.TI.TryNumber = try
		s, err := e.Render(t.Context(), "{{ macros.uuid.uuid4() }} {{ macros.random() }} {{ [1,2,3,4,5,6,7,8]|random }}", v)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if a, b := render(1), render(1); a != b {
		t.Errorf("one attempt rendered %s and %s", a, b)
	}
	if a, b := render(1), render(2); a == b {
		t.Errorf("two attempts rendered the same: %s", a)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	e := New(Options{CacheSize: 3})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				text := fmt.Sprintf("{{ ds }} %d {%% do params.update({'n': 9}) %%}{{ params.n }}", i%5)
				got, err := e.Render(context.Background(), text, testVars())
				if want := fmt.Sprintf("2024-01-31 %d 9", i%5); err != nil || got != want {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestLookupsSeeTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := testVars()
	v.Variable = func(ctx context.Context, _ string) (string, bool, error) { return "", true, ctx.Err() }
	if _, err := New(Options{}).Render(ctx, "{{ var.value.x }}", v); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzCheckAndRender(f *testing.F) {
	for _, c := range rendered {
		f.Add(c.text)
	}
	e := New(Options{MaxSteps: 20_000, MaxOutput: 1 << 16, MaxItems: 1000})
	f.Fuzz(func(t *testing.T, text string) {
		_ = e.Check(text) // any error is fine, a panic is not
		got, err := e.Render(context.Background(), text, testVars())
		if err != nil && strings.Contains(err.Error(), "template engine failed") {
			t.Fatalf("%q: %v", text, err)
		}
		if len(got) > 1<<16 && IsTemplate(text) {
			t.Fatalf("%q: %d bytes", text, len(got))
		}
		if _, err := e.RenderValue(context.Background(), text, testVars(), true); err != nil && strings.Contains(err.Error(), "engine failed") {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	e := New(Options{})
	v := testVars()
	for name, text := range map[string]string{
		"plain": "aws s3 cp s3://bucket/key .", "ds": "{{ ds }}",
		"three": "{{ ds }} {{ ti.xcom_pull(task_ids='extract')['executionArn'] }} {{ macros.ds_add(ds, 7) }}",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Render(context.Background(), text, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := "{{ ds }} {{ ti.xcom_pull(task_ids='extract')['executionArn'] }} {{ macros.ds_add(ds, 7) }}"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := airflow().Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New(Options{})
	}
}
