package dagfile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"gust/dag/dagfile"
)

// compiled is the schema of pipeline files with the operators of these tests.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := dagfile.Schema(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipeline.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("pipeline.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is a YAML text as an editor sees it: environment variables are not expanded.
func instance(t testing.TB, text []byte) any {
	t.Helper()
	var x any
	if err := yaml.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(plainJSON(x))
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func plainJSON(x any) any {
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			x[k] = plainJSON(v)
		}
	case map[any]any:
		out := map[string]any{}
		for k, v := range x {
			out[fmt.Sprint(k)] = plainJSON(v)
		}
		return out
	case []any:
		for i, v := range x {
			x[i] = plainJSON(v)
		}
	case time.Time:
		return x.Format(time.RFC3339)
	case float64:
		if x-x != 0 { // NaN and infinities
			return nil
		}
	}
	return x
}

// TestSchemaAcceptsGood: every file that loads is valid.
func TestSchemaAcceptsGood(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for _, path := range append(glob(t, "testdata/good/*.yaml", 20), glob(t, "testdata/dagfactory/*.yml", 10)...) {
		// What is at the top of a file and is no DAG is skipped with a warning; for the schema it is an error.
		if dagfile.IsDefaultsName(path) || filepath.Base(path) == "skipped-keys.yaml" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(instance(t, text)); err != nil {
				t.Errorf("%#v", err)
			}
		})
	}
}

// TestSchemaRejects: what is wrong in each of these is seen without loading it.
func TestSchemaRejects(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for _, text := range []string{
		`a: 5`,
		`a: {shedule: "@daily"}`,
		`a: {catchup: 5}`,
		`a: {max_active_runs: many}`,
		`a: {retries: 1}`,
		`a: {tasks: [{operator: EmptyOperator}]}`,
		`a: {tasks: [{task_id: a, operator: EmtyOperator}]}`,
		`a: {tasks: {a: {operator: EmptyOperator, bash_command: x}}}`,
		`a: {tasks: {a: {operator: BashOperator, bash_comand: x}}}`,
		`a: {tasks: {a: {operator: BashOperator, bash_command: [x]}}}`,
		`a: {tasks: {a: {operator: BashOperator, bash_command: x, append_env: 1}}}`,
		`a: {tasks: {a: {operator: FileSensor, filepath: x, mode: sleep}}}`,
		`a: {tasks: {a: {operator: EmptyOperator, trigger_rule: one_succes}}}`,
		`a: {tasks: {a: {operator: EmptyOperator, dependencies: b}}}`,
		`a: {tasks: {a: {operator: EmptyOperator, on_success_callback: {shell: x}}}}`,
		`a: {tasks: {a: {operator: EmptyOperator, outlets: s3://a}}}`,
		`a: {tasks: {a: {operator: EmptyOperator, expand: [a]}}}`,
		`a: {task_groups: {g: {tooltp: x}}}`,
		`a: {task_groups: [{tooltip: x}]}`,
		`a: {schedule: {seconds: 5}}`,
		`a: {schedule: {datasets: [s3://a], time: "@daily"}}`,
		`a: {schedule: 5}`,
		`a: {deadline: {reference: DAGRUN_QUEUED_AT}}`,
		`a: {default_args: {retries: many}}`,
		`default: {shedule: "@daily"}`,
	} {
		if err := s.Validate(instance(t, []byte(text))); err == nil {
			t.Errorf("%s is valid", text)
		}
	}
}
