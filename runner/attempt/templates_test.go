package attempt_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/connections"
	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/store"
)

// shell is an operator with templated and other parameters.
type shell struct {
	attempttest.Plain
	Command string         `param:"command" template:"true" ext:".sh" alias:"cmd"`
	Env     map[string]any `param:"env" template:"true"`
	Input   any            `param:"input" template:"true"`
	Raw     string         `param:"raw"`
	Count   int            `param:"count" template:"true"`
}

type resolver map[string]*connections.Connection

func (r resolver) Connection(_ context.Context, id string) (*connections.Connection, error) {
	if c, ok := r[id]; ok {
		return c, nil
	}
	if id == "broken" {
		return nil, errors.New("the vault is sealed")
	}
	return nil, &connections.NotFoundError{ID: id, Known: []string{"db"}}
}

// runs answers RunList from a list, the latest first.
type runs struct {
	store.Runs
	list []dag.Run
}

func (r runs) RunList(_ context.Context, p *store.RunListParams) ([]dag.Run, error) {
	var out []dag.Run
	for _, run := range r.list {
		if run.RunAfter.Before(p.Before) && (len(p.States) == 0 || p.States[0] == run.State) && len(out) < p.Limit {
			out = append(out, run)
		}
	}
	return out, nil
}

func day(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }

// templated is a shell attempt in a folder with a template file, with something to look up of every kind.
func templated(t *testing.T, params map[string]any) *bench {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"run.sh": "echo {{ ds }}\n", "bad.sh": "echo {{ dss }}"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := attempttest.Work("t", "shell", params)
	w.DAG.FileLoc = filepath.Join(folder, "d.yml")
	w.DAG.Params = json.RawMessage(`{"n":1,"who":"dag"}`)
	w.DAG.UserDefinedMacros = json.RawMessage(`{"team":"data"}`)
	w.DAG.Schedule, w.DAG.Timezone = dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 0 * * *"}}, "UTC"
	w.Task.TaskParams = json.RawMessage(`{"who":"task"}`)
	w.Run.Conf = json.RawMessage(`{"n":7}`)
	w.Run.RunAfter = day(21)
	login := "ann"
	b := open(t, w, func(e *attempt.Env) {
		if err := e.Operators.Register(operators.Spec{Name: "shell",
			New: func() operators.Operator { return &shell{} }}); err != nil {
			t.Fatal(err)
		}
		e.Connections = resolver{"db": {ID: "db", Type: "postgres", Login: &login}}
		e.Renderer = &attempt.Templates{
			Runs: runs{list: []dag.Run{
				{RunKey: dag.RunKey{DagID: "d", RunID: "r20"}, RunAfter: day(20), State: dag.RunFailed},
				{RunKey: dag.RunKey{DagID: "d", RunID: "r19"}, RunAfter: day(19), State: dag.RunSuccess,
					IntervalStart: day(18)},
			}},
			Variable: func(_ context.Context, key string) (string, bool, error) {
				if key == "bucket" {
					return "s3://b", true, nil
				}
				return "", false, errors.New("Variable " + key + " does not exist")
			},
		}
	})
	key := dag.Key{DagID: "d", RunID: "r", TaskID: "up", MapIndex: -1}
	b.xcoms.Put(store.XCom{Key: key, Name: "return_value", Try: 1, Value: json.RawMessage(`{"id":[41,42]}`)})
	key.RunID = "r19"
	b.xcoms.Put(store.XCom{Key: key, Name: "mark", Try: 1, Value: json.RawMessage(`"old"`)})
	return b
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{{ ds }}": "2026-11-21",
		"{{ ti.xcom_pull(task_ids='up')['id'][1] }}":                     "42",
		"{{ ti.xcom_pull('up', key='mark') }}":                           "None",
		"{{ ti.xcom_pull('up', key='mark', include_prior_dates=True) }}": "old",
		"{{ ti.xcom_pull('up', key='mark', run_id='r19') }}":             "old",
		"{{ params.n }} {{ params.who }}":                                "7 task",
		"{{ dag_run.conf.n }}":                                           "7",
		"{{ var.value.bucket }}":                                         "s3://b",
		"{{ var.value.get('none', 'x') }}":                               "x",
		"{{ conn.db.login }}":                                            "ann",
		"{{ conn.get('none', 'x') }}":                                    "x",
		"{{ team }}":                                                     "data",
		"{{ prev_ds }} {{ next_ds }}":                                    "2026-11-20 2026-11-22",
		"{{ prev_data_interval_start_success | ds }}":                    "2026-11-18",
		"{{ ti.try_number }}":                                            "1",
		"run.sh":                                                         "echo 2026-11-21",
		"run.sh ":                                                        "run.sh ",
		"plain\n":                                                        "plain",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			op, _, err := templated(t, map[string]any{"cmd": text}).Operator(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := op.(*shell).Command; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"x {{ dss }}":                `task "t": parameter command: line 1, column 6: "dss" is undefined`,
		"bad.sh":                     `task "t": parameter command: template file bad.sh: line 1, column 9`,
		"none.sh":                    `task "t": parameter command: template file "none.sh" does not exist in `,
		"{{ conn.broken.login }}":    "the vault is sealed",
		"{{ conn.nine.login }}":      `the conn_id "nine" isn't defined`,
		"{{ var.value.none }}":       "Variable none does not exist",
		"{{ params.n.x.y }}":         `parameter command: line 1`,
		"{{ ti.xcom_push('a', 1) }}": "rendering must not change anything",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, _, err := templated(t, map[string]any{"command": text}).Operator(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

// Only templated parameters are rendered, as deep as they go, the written ones stay as they are, and native objects
// keep their types.
func TestRendersWhatIsTemplated(t *testing.T) {
	t.Parallel()
	params := map[string]any{
		"raw": "{{ ds }}", "env": map[string]any{"{{ k }}": "{{ ds }}", "n": 1.0},
		"input": []any{"{{ params.n }}", map[string]any{"deep": "{{ ds_nodash }}"}, true, nil},
	}
	b := templated(t, params)
	op, _, err := b.Operator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &shell{
		Raw: "{{ ds }}", Env: map[string]any{"{{ k }}": "2026-11-21", "n": 1.0},
		Input: []any{"7", map[string]any{"deep": "20261121"}, true, nil},
	}
	if d := cmp.Diff(want, op.(*shell)); d != "" {
		t.Error(d)
	}
	if params["env"].(map[string]any)["{{ k }}"] != "{{ ds }}" {
		t.Error("the task's parameters were changed")
	}

	b = templated(t, map[string]any{"count": "{{ params.n }}", "input": "{{ ti.xcom_pull('up') }}"})
	if _, _, err := b.Operator(t.Context()); err == nil ||
		!strings.Contains(err.Error(), `parameter count: wrong type: string "7"; expected int`) {
		t.Errorf("got %v", err)
	}
	b.Work().DAG.RenderNative = true
	if op, _, err = b.Operator(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&shell{Count: 7, Input: map[string]any{"id": []any{41, 42}}}, op.(*shell),
		cmp.Transformer("numbers", func(v int64) int { return int(v) })); d != "" {
		t.Error(d)
	}
}

// Parameters without a template are not even copied. Not parallel: it counts allocations.
func TestPlainParametersCostNothing(t *testing.T) {
	b := templated(t, map[string]any{"command": "echo {x}", "env": map[string]any{"a": "b"}, "raw": "{{ ds }}"})
	h := b.Handle
	r := &attempt.Templates{}
	spec, _ := b.env.Operators.Lookup("shell")
	schema := spec.Schema()
	allocs := testing.AllocsPerRun(100, func() {
		out, err := r.RenderParams(t.Context(), h, schema, h.Work().Task.Params)
		if err != nil || len(out) != 3 {
			t.Error(out, err)
		}
	})
	if allocs > 2 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestNeighboursOfRareSchedules(t *testing.T) {
	t.Parallel()
	w := attempttest.Work("t", "shell", map[string]any{"command": "{{ prev_ds }} {{ next_ds }}"})
	w.DAG.Schedule, w.DAG.Timezone = dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 0 29 2 *"}}, "UTC"
	w.Run.RunAfter = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := open(t, w, func(e *attempt.Env) {
		e.Renderer = &attempt.Templates{}
		if err := e.Operators.Register(operators.Spec{Name: "shell",
			New: func() operators.Operator { return &shell{} }}); err != nil {
			t.Fatal(err)
		}
	})
	op, _, err := b.Operator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := op.(*shell).Command; got != "2024-02-29 2028-02-29" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkRender(b *testing.B) {
	w := attempttest.Work("t", "shell", map[string]any{"command": "echo {{ ds }} {{ params.n }}"})
	w.DAG.Params = json.RawMessage(`{"n":1}`)
	env := &attempt.Env{Operators: attempttest.Registry(b, &attempttest.Op{}), Renderer: &attempt.Templates{}}
	if err := env.Operators.Register(operators.Spec{Name: "shell",
		New: func() operators.Operator { return &shell{} }}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := env.Open(&w, &attempttest.Recorder{}).Operator(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
