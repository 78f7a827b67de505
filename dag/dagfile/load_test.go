package dagfile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gust/dag"
	"gust/dag/dagfile"
)

// tree writes files below a new folder and returns it.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// one loads a file with exactly one DAG and no errors.
func one(t testing.TB, path string, opts dagfile.Options) (*dagfile.File, *dag.DAG) {
	t.Helper()
	f, err := dagfile.Load(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	if f.HasErrors() || len(f.DAGs) != 1 {
		t.Fatalf("%d DAGs, problems:\n%s", len(f.DAGs), dagfile.Text(f.Problems))
	}
	return f, f.DAGs[0]
}

func TestDefaultsHierarchy(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"defaults.yml": `
default_args: {owner: root, retries: 1, pool: root}
schedule: "@yearly"
description: root
tags: [b, a]
some_team_key: 5
params: {from_root: 1}
`,
		"defaults.yaml":        "description: never read, defaults.yml comes first\n",
		"team/defaults.yaml":   "default_args: {owner: team}\ndescription: team\ntags: [c, a]\n",
		"team/sub/nothing.txt": "",
		"team/sub/p.yaml": `
default:
  default_args: {pool: block, queue: block}
  schedule: "@daily"
  description: block
  max_active_runs: 3
  params: {from_block: 2}
p:
  default_args: {queue: dag}
  tasks: {a: {operator: EmptyOperator}}
`,
	})
	opts := options(t)
	opts.Root = root
	f, d := one(t, filepath.Join(root, "team", "sub", "p.yaml"), opts)
	task := d.Tasks[0]
	got := map[string]any{
		"owner": task.Owner, "retries": task.Retries, "pool": task.Pool, "queue": task.Queue, "schedule": d.Schedule.Text,
		"description": d.Description, "max_active_runs": d.MaxActiveRuns, "tags": strings.Join(d.Tags, ","),
		"params": string(d.Params),
	}
	want := map[string]any{
		// Inside default_args: DAG, default block, nearer file, farther file.
		"owner": "team", "retries": 1, "pool": "block", "queue": "dag",
		// Other keys: DAG, nearer file, farther file, default block.
		"schedule": "@yearly", "description": "team", "max_active_runs": 3, "tags": "a,b,c",
		"params": `{"from_block":2,"from_root":1}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantDepends := []string{
		"defaults.yml", "team/defaults.yaml", "team/defaults.yml", "team/sub/defaults.yaml", "team/sub/defaults.yml",
	}
	for i, path := range wantDepends {
		wantDepends[i] = filepath.Join(root, path)
	}
	if diff := cmp.Diff(wantDepends, f.Depends); diff != "" {
		t.Errorf("Depends -want +got:\n%s", diff)
	}
	text := dagfile.Text(f.Problems)
	if !strings.Contains(text, "defaults.yml:6:1: warning: p.some_team_key: unknown DAG key, ignored") {
		t.Errorf("no warning about the unknown key of defaults.yml:\n%s", text)
	}
}

func TestDefaultsOutsideRoot(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"defaults.yml": "description: root\ncatchup: true\n"})
	other := tree(t, map[string]string{
		"defaults.yml":   "description: not an ancestor within reach\n",
		"x/defaults.yml": "start_date: 2024-01-01\n",
		"x/p.yaml":       "p: {tasks: {a: {operator: EmptyOperator}}}\n",
	})
	opts := options(t)
	opts.Root = root
	_, d := one(t, filepath.Join(other, "x", "p.yaml"), opts)
	if d.Description != "root" || !d.Catchup || d.StartDate.IsZero() {
		t.Errorf("got %q, %v, %v; want the file's own folder and the root", d.Description, d.Catchup, d.StartDate)
	}
}

// TestBrokenDefaults checks that an error in a defaults file is one of every file below it, and goes away.
func TestBrokenDefaults(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"defaults.yml": "description: [unclosed\n", "p.yaml": "p: {tasks: {a: {operator: EmptyOperator}}}\n",
	})
	opts := options(t)
	opts.Root = root
	l := dagfile.NewLoader(opts)
	path := filepath.Join(root, "p.yaml")
	f, err := l.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.DAGs) != 0 || !f.HasErrors() || f.Problems[0].File != filepath.Join(root, "defaults.yml") {
		t.Errorf("%d DAGs, problems:\n%s", len(f.DAGs), dagfile.Text(f.Problems))
	}
	if err := os.WriteFile(filepath.Join(root, "defaults.yml"), []byte("description: closed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err = l.Load(path); err != nil || len(f.DAGs) != 1 || f.DAGs[0].Description != "closed" {
		t.Errorf("after the repair: %v, problems:\n%s", err, dagfile.Text(f.Problems))
	}
	f, err = l.Load(filepath.Join(root, "defaults.yml"))
	if err != nil || len(f.DAGs) != 0 || f.HasErrors() || len(f.Problems) != 1 {
		t.Errorf("defaults.yml as a pipeline: %v, %d DAGs, problems:\n%s", err, len(f.DAGs), dagfile.Text(f.Problems))
	}
}

func TestGoodDAGsBesideBad(t *testing.T) {
	t.Parallel()
	f, err := dagfile.Load("testdata/bad/one-good-one-bad.bad.yaml", options(t))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range f.DAGs {
		ids = append(ids, d.ID)
	}
	if diff := cmp.Diff([]string{"good", "also_good"}, ids); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"bad"}, f.Failed); diff != "" {
		t.Errorf("Failed -want +got:\n%s", diff)
	}
}

// TestSharedErrorFailsEveryDAG: text of the default block is reported once but is wrong in each DAG that inherits it.
func TestSharedErrorFailsEveryDAG(t *testing.T) {
	t.Parallel()
	f, err := dagfile.Load("testdata/bad/default-block-error.bad.yaml", options(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"orders", "payments"}, f.Failed); diff != "" {
		t.Errorf("Failed -want +got:\n%s", diff)
	}
}

func TestProcessSettings(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"p.yaml": `
p:
  schedule: "0 3 * * *"
  start_date: 2 days
  tasks:
    a: {operator: FileSensor, filepath: /tmp/x}
    b: {operator: FileSensor, filepath: /tmp/x, deferrable: false}
    c: {operator: StepFunctionStartExecutionOperator, state_machine_arn: x}
d:
  schedule: {__type__: datetime.timedelta, days: 1}
  start_date: 2024-01-01
  timezone: Asia/Tokyo
`})
	yes := true
	opts := options(t)
	opts.Root, opts.DefaultDeferrable = root, &yes
	opts.DefaultTaskRetries, opts.DefaultTaskRetryDelay, opts.DefaultTaskExecutionTimeout = 4, time.Minute, time.Hour
	opts.DefaultOwner, opts.DefaultQueue = "ops", "slow"
	opts.MaxActiveRuns, opts.MaxActiveTasks, opts.CatchupByDefault = 7, 8, true
	opts.CronDataIntervals, opts.DeltaDataIntervals = true, true
	f, err := dagfile.Load(filepath.Join(root, "p.yaml"), opts)
	if err != nil || f.HasErrors() {
		t.Fatalf("%v\n%s", err, dagfile.Text(f.Problems))
	}
	p, a, b := f.DAGs[0], f.DAGs[0].Task("a"), f.DAGs[0].Task("b")
	got := fmt.Sprintln(p.MaxActiveRuns, p.MaxActiveTasks, p.Catchup, p.Schedule.Kind, f.DAGs[1].Schedule.Kind, a.Retries,
		a.RetryDelay, a.ExecutionTimeout, a.Owner, a.Queue, a.Parks, b.Parks, p.Task("c").Params["deferrable"])
	if want := "7 8 true cron_interval delta_interval 4 1m0s 1h0m0s ops slow true false <nil>\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if want := time.Date(2025, 6, 16, 0, 0, 0, 0, time.UTC); !f.ValidUntil.Equal(want) {
		t.Errorf("ValidUntil is %v, want %v", f.ValidUntil, want)
	}
}

// only is a template checker that knows one name.
type only string

func (o only) Check(text string) error {
	if strings.Contains(text, string(o)) {
		return nil
	}
	return fmt.Errorf("unknown variable, not %s", string(o))
}

func TestMacrosHaveTheirOwnChecker(t *testing.T) {
	t.Parallel()
	opts := options(t)
	opts.Templates = only("plain")
	opts.TemplatesFor = func(d *dag.DAG) dagfile.TemplateChecker {
		macros := map[string]any{}
		if err := json.Unmarshal(d.UserDefinedMacros, &macros); err != nil || len(macros) != 1 {
			t.Errorf("macros %s: %v", d.UserDefinedMacros, err)
		}
		return only("bucket")
	}
	f := dagfile.NewLoader(opts).Parse("p.yaml", []byte(`
with_macros:
  user_defined_macros: {bucket: b}
  tasks: {a: {operator: BashOperator, bash_command: "{{ bucket }}"}}
without:
  tasks: {a: {operator: BashOperator, bash_command: "{{ plain }}"}}
`))
	if len(f.DAGs) != 2 {
		t.Error(dagfile.Text(f.Problems))
	}
}

func TestDependsAndEnv(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"run.sh": "echo {{ ds }}\n", "lib/more.sh": "", "doc.md": "# Read me\n",
		"p.yaml": "p:\n  doc_md_file_path: ROOT/doc.md\n  template_searchpath: ROOT/lib\n  tasks:\n" +
			"    a: {operator: BashOperator, bash_command: run.sh}\n" +
			"    b: {operator: BashOperator, bash_command: more.sh, env: {A: $STAGE, B: $NOT_SET}}\n",
	})
	path := filepath.Join(root, "p.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), "ROOT", root)), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := options(t)
	opts.Root = root
	f, d := one(t, path, opts)
	if d.DocMD != "# Read me\n" {
		t.Errorf("doc_md is %q", d.DocMD)
	}
	want := []string{"defaults.yaml", "defaults.yml", "doc.md", "lib", "lib/more.sh", "more.sh", "run.sh"}
	for i := range want {
		want[i] = filepath.Join(root, want[i])
	}
	if diff := cmp.Diff(want, f.Depends); diff != "" {
		t.Errorf("Depends -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"NOT_SET", "STAGE"}, f.Env); diff != "" {
		t.Errorf("Env -want +got:\n%s", diff)
	}
}

// TestVersion: the version follows content, not layout.
func TestVersion(t *testing.T) {
	t.Parallel()
	version := func(text string) string {
		f := dagfile.NewLoader(options(t)).Parse("p.yaml", []byte(text))
		if len(f.DAGs) != 1 {
			t.Fatal(dagfile.Text(f.Problems))
		}
		return f.DAGs[0].Version
	}
	base := version("p:\n  tasks: {a: {operator: BashOperator, bash_command: echo}}\n")
	same := version("#\n\np:\n  tasks:\n    - task_id: a\n      operator: BashOperator\n      bash_command: echo\n")
	if base != same {
		t.Errorf("another layout changed the version: %s, %s", base, same)
	}
	if other := version("p:\n  tasks: {a: {operator: BashOperator, bash_command: echo 2}}\n"); other == base {
		t.Error("another command did not change the version")
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml", "testdata/dagfactory/*.yml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	opts := options(f)
	opts.Root = f.TempDir()
	l := dagfile.NewLoader(opts)
	path := filepath.Join(opts.Root, "p.yaml")
	f.Fuzz(func(t *testing.T, text []byte) { checkFile(t, l.Parse(path, text)) })
}

// checkFile holds for whatever a file says.
func checkFile(t testing.TB, f *dagfile.File) {
	t.Helper()
	if len(f.DAGs)+len(f.Failed) == 0 && len(f.Problems) == 0 {
		return // only anchors
	}
	if len(f.Failed) > 0 && !f.HasErrors() {
		t.Errorf("DAGs %v failed without an error", f.Failed)
	}
	for _, p := range f.Problems {
		if p.Message == "" || p.Line < 1 || p.Col < 1 || strings.Contains(p.Path, "\n") && p.Path == "" {
			t.Errorf("not placed: %+v", p)
		}
	}
	if !slices.IsSortedFunc(f.Problems, func(a, b dagfile.Problem) int {
		if a.File != b.File || a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	}) && len(f.Depends) == 2 {
		t.Errorf("problems are not in file order:\n%s", dagfile.Text(f.Problems))
	}
	for _, d := range f.DAGs {
		roundTrip(t, d)
		checkOrder(t, d)
	}
}

// checkOrder checks that tasks come after what they wait for, and that the two directions agree.
func checkOrder(t testing.TB, d *dag.DAG) {
	t.Helper()
	at := map[string]int{}
	for i, task := range d.Tasks {
		at[task.ID] = i
		if d.Task(task.ID) != task {
			t.Errorf("Task(%q) is another task", task.ID)
		}
	}
	up, down := 0, 0
	for i, task := range d.Tasks {
		for _, id := range task.Upstream {
			if at[id] >= i {
				t.Errorf("%s comes before its upstream %s", task.ID, id)
			}
		}
		up += len(task.Upstream)
		down += len(task.Downstream)
	}
	if up != down {
		t.Errorf("%d upstream and %d downstream edges", up, down)
	}
}

// TestGeneratedPipelines loads random pipelines and compares their edges with what was written.
func TestGeneratedPipelines(t *testing.T) {
	t.Parallel()
	l := dagfile.NewLoader(options(t))
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(rt, "tasks")
		var b strings.Builder
		b.WriteString("p:\n  tasks:\n")
		want := map[string][]string{}
		for i := range n {
			id := fmt.Sprintf("t%d", i)
			deps := rapid.SliceOfNDistinct(rapid.IntRange(0, max(i-1, 0)), 0, min(i, 3), rapid.ID[int]).Draw(rt, "deps")
			slices.Sort(deps)
			var names []string
			for _, d := range deps {
				names = append(names, fmt.Sprintf("t%d", d))
			}
			if i == 0 {
				names = nil
			}
			want[id] = names
			fmt.Fprintf(&b, "    %s: {operator: EmptyOperator, dependencies: [%s]}\n", id, strings.Join(names, ", "))
		}
		f := l.Parse("testdata/p.yaml", []byte(b.String()))
		if len(f.DAGs) != 1 {
			rt.Fatal(dagfile.Text(f.Problems))
		}
		for _, task := range f.DAGs[0].Tasks {
			if diff := cmp.Diff(want[task.ID], task.Upstream); diff != "" {
				rt.Errorf("%s: -want +got:\n%s", task.ID, diff)
			}
		}
		raw, err := json.Marshal(f.DAGs[0])
		if err != nil || len(raw) == 0 {
			rt.Fatal(err)
		}
	})
}
