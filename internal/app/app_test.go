package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/dag"
	"gust/internal/config"
	"gust/runner/tasklog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a configuration with a home and a pipelines folder of its own, holding these files.
func house(t *testing.T, files map[string]string, environ ...string) *config.Config {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, "dags", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(root, "config.yaml")
	text := "core:\n  dags_folder: dags\nstepfunctions:\n  port: 0\n  state_machines_folder: machines\n  handlers_folder: handlers\napi:\n  port: 0\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, append([]string{"HOME=" + root}, environ...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func start(t *testing.T, cfg *config.Config, opts DaemonOptions) *Daemon {
	t.Helper()
	d, err := StartDaemon(t.Context(), cfg, Options{Environ: []string{}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return d
}

// run triggers a run and waits for its end.
func run(t *testing.T, d *Daemon, request TriggerRequest) *dag.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	queued, err := d.Trigger(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := d.WaitRun(ctx, queued.RunKey)
	if err != nil {
		t.Fatal(err)
	}
	return ended
}

func states(t *testing.T, d *Daemon, key dag.RunKey) map[string]string {
	t.Helper()
	tasks, err := d.Store.TaskInstanceList(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, ti := range tasks {
		out[ti.TaskID] = fmt.Sprintf("%s/%d %s", ti.State, ti.TryNumber, ti.Error)
	}
	return out
}

const family = `
parent:
  tasks:
    - task_id: call
      operator: TriggerDagRunOperator
      trigger_dag_id: child
      trigger_run_id: "of-{{ run_id }}"
      conf: {name: "{{ dag_run.conf.name }}"}
      wait_for_completion: true
      reset_dag_run: true
      poke_interval: 1
child:
  tasks:
    - task_id: greet
      operator: BashOperator
      bash_command: "echo hello {{ dag_run.conf.name }}"
`

func TestTriggerDagRunWaitsForTheOtherRun(t *testing.T) {
	t.Parallel()
	d := start(t, house(t, map[string]string{"family.yaml": family}), DaemonOptions{})
	parent := run(t, d, TriggerRequest{DagID: "parent", RunID: "first", Conf: json.RawMessage(`{"name": "ada"}`), By: dag.ByTest})
	if parent.State != dag.RunSuccess {
		t.Fatalf("parent is %s: %v", parent.State, states(t, d, parent.RunKey))
	}
	key := dag.RunKey{DagID: "child", RunID: "of-first"}
	child, err := d.Store.RunGet(t.Context(), key)
	if err != nil || child.State != dag.RunSuccess || child.TriggeredBy != dag.ByOperator {
		t.Fatalf("child: %+v, %v", child, err)
	}
	x, err := d.Store.XComGet(t.Context(), dag.Key{DagID: "child", RunID: "of-first", TaskID: "greet", MapIndex: -1}, "return_value")
	if err != nil || string(x.Value) != `"hello ada"` {
		t.Errorf("child returned %v, %v", x, err)
	}
	// A finished run is cleared and runs again, with the next try number.
	if err := (runAccess{app: d.App, wake: d.engine.scheduler.Refresh}).ResetRun(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again, err := d.WaitRun(ctx, key)
	if err != nil || again.State != dag.RunSuccess {
		t.Fatalf("child after its reset: %+v, %v", again, err)
	}
	if got := states(t, d, key)["greet"]; !strings.HasPrefix(got, "success/2") {
		t.Errorf("greet is %s after the reset, want success with try 2", got)
	}
}

func TestASecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	cfg := house(t, map[string]string{"family.yaml": family})
	start(t, cfg, DaemonOptions{})
	_, err := StartDaemon(t.Context(), cfg, Options{}, DaemonOptions{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("a second daemon on one home: %v", err)
	}
}

// TestSecretsStayOut runs a task that prints its connection's password.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	cfg := house(t, map[string]string{"leak.yaml": `
leak:
  tasks:
    - task_id: print
      operator: BashOperator
      bash_command: |
        echo the password is {{ conn.warehouse.password }}
        echo "arguments: $(tr '\0' ' ' < /proc/$$/cmdline)"
        exit 1
`})
	const secret = "hunter2-but-longer"
	environ := []string{"GUST_CONN_WAREHOUSE=postgres://ada:" + secret + "@db/orders"}
	a, err := Open(t.Context(), cfg, Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := a.Pipeline(t.Context(), "leak")
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.NewRun(d, TriggerRequest{DagID: "leak", By: dag.ByTest})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	result, err := Test(t.Context(), cfg, Options{Environ: environ}, TestRun{DAG: d, Run: r})
	if err != nil {
		t.Fatal(err)
	}
	ti := result.Tasks[0]
	log, err := os.ReadFile(tasklog.Path(cfg.Logging.BaseLogFolder, ti.Attempt()))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), secret) || strings.Contains(ti.Error, secret) {
		t.Errorf("the password is shown: error %q, log\n%s", ti.Error, log)
	}
	if runtime.GOOS == "linux" && !strings.Contains(string(log), "arguments: bash /") {
		t.Errorf("the command with a password is an argument, which anyone can read:\n%s", log)
	}
	if !strings.Contains(string(log), "the password is ***") {
		t.Errorf("the masked line is missing:\n%s", log)
	}
}

func TestCatalogHoldsEveryFamily(t *testing.T) {
	t.Parallel()
	registry, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"BashOperator", "EmptyOperator", "BranchOperator", "ShortCircuitOperator", "LatestOnlyOperator", "TriggerDagRunOperator",
		"HttpOperator", "HttpSensor", "FileSensor", "TimeDeltaSensor", "DateTimeSensor", "ExternalTaskSensor",
		"StepFunctionStartExecutionOperator", "StepFunctionGetExecutionOutputOperator", "StepFunctionExecutionSensor",
	} {
		spec, ok := registry.Lookup(name)
		if !ok {
			t.Errorf("%s is not registered", name)
			continue
		}
		for _, f := range spec.Schema().Fields {
			if f.Doc == "" {
				t.Errorf("parameter %s of %s has no documentation", f.Name, name)
			}
		}
	}
}

// TestMonitor asks a daemon about itself.
func TestMonitor(t *testing.T) {
	t.Parallel()
	cfg := house(t, map[string]string{"one.yaml": "one:\n  schedule: null\n  tasks:\n    - {task_id: a, operator: bash, bash_command: echo}\n"})
	d := start(t, cfg, DaemonOptions{})
	run(t, d, TriggerRequest{DagID: "one", By: dag.ByTest})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) string {
		answer, err := client.Get(d.MonitorURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := get("/readyz"); got != "{\"status\":\"ready\"}\n" {
		t.Errorf("readyz: %s", got)
	}
	if got := get("/api/v2/monitor/health"); !strings.Contains(got, `"metadatabase":{"status":"healthy"}`) || strings.Contains(got, "unhealthy") {
		t.Errorf("health: %s", got)
	}
	// The watcher hears of the end from a goroutine of its own.
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(get("/metrics"), `airflow_dagrun_finish{dag_id="one",state="success"} 1`) {
		if time.Now().After(deadline) {
			t.Fatalf("the run is not counted:\n%s", get("/metrics"))
		}
	}
	got := get("/metrics")
	for _, line := range []string{
		`airflow_ti_finish{dag_id="one",state="success",task_id="a"} 1`, "airflow_dagbag_size 1",
		`airflow_pool_open_slots{pool="default_pool"} 128`, "airflow_executor_open_slots 32",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no line %s in\n%s", line, got)
		}
	}
}
