package examples

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/internal/app"
	"gust/internal/config"
	"gust/runner/tasklog"
)

// example is what a run of an example must come to.
type example struct {
	file string
	// states are the task states after the run, those of mapped instances by "task index"; every one not named is a success.
	states map[string]dag.State
	// logged are texts that must stand in the log of a task.
	logged map[string]string
	// needs is a program without which the example is not run, "" when there is none.
	needs string
	// connection is one that the example needs beside aws_default: NAME=value, with %s for a folder of the test's own.
	connection string
	// beyondEmbedded says what the embedded service cannot do of this example, "" when it can do all of it.
	beyondEmbedded string
	// prepare makes in moto what the example needs there beside the state machines.
	prepare func(t *testing.T, endpoint string)
	// beyondMoto says what moto cannot do of this example, "" when it can do all of it.
	beyondMoto string
}

var all = map[string]example{
	"order_pipeline": {
		file:   "order_pipeline.yaml",
		states: map[string]dag.State{"load_standard": dag.StateSkipped},
		logged: map[string]string{"load_express": `"shipping": "express"`, "clean_up": `"warehouse": "AMS-2"`},
	},
	"example_step_functions": {file: "step_functions.yaml"},
	"price_fan_out": {
		file:       "fan_out.yaml",
		logged:     map[string]string{"compare": "compared 3 regions"},
		beyondMoto: "moto runs one execution at a time, the fan-out needs three",
	},
	"payment_with_redrive": {
		file:       "redrive.yaml",
		states:     map[string]dag.State{"charge": dag.StateFailed},
		logged:     map[string]string{"charge": "GatewayUnavailable", "book": "booked R-P-"},
		beyondMoto: "moto runs Lambda functions in containers only",
	},
	"order_approval": {
		file:       "approval.yaml",
		logged:     map[string]string{"report": "is shipped by rule 7 after 3 events"},
		beyondMoto: "moto has no activity tasks and no aliases",
	},
	"price_quote": {
		file:       "quote.yaml",
		logged:     map[string]string{"print": "a total of 50"},
		beyondMoto: "moto does not evaluate JSONata",
	},
	"daily_report": {
		file:   "daily_report.yaml",
		logged: map[string]string{"publish": "published sales of 2026-11-20 (2026-W47)"},
	},
	"nightly_batch": {
		file:           "nightly_batch.yaml",
		logged:         map[string]string{"done": "crunched s3://night/2026-11-20"},
		beyondEmbedded: "the embedded service is Step Functions alone",
		prepare:        createNight,
	},
	"python_tasks": {
		file:   "python_tasks.yaml",
		needs:  "python3",
		states: map[string]dag.State{"cold_report": dag.StateSkipped, "measure 2": dag.StateSkipped},
		logged: map[string]string{
			"cities": "measuring 3 cities on 2026-11-20", "warm_report": "20 November: Lisbon is the warmest of python_tasks",
			"tell": "Lisbon is interesting", "choose": "Branch into warm_report",
		},
	},
	"sql_report": {
		file:       "sql_report.yaml",
		logged:     map[string]string{"report": "best of 2026-11-20: clogs 80"},
		connection: `GUST_CONN_SALES_DB={"conn_type": "sqlite", "host": "%s/sales.db"}`,
	},
}

// settings are the repository's, with a home of their own, and waits a hundredth as long.
func settings(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	environ = append([]string{
		"GUST_HOME=" + t.TempDir(), "GUST__STEPFUNCTIONS__WAIT_TIME_SCALE=0.01", "HOME=" + t.TempDir(),
	}, environ...)
	cfg, err := config.Load(filepath.Join("..", "config.yaml"), environ)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestEveryExampleIsTested(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tested []string
	for _, e := range all {
		tested = append(tested, e.file)
	}
	slices.Sort(tested)
	if diff := cmp.Diff(files, tested); diff != "" {
		t.Errorf("example files and tested files differ (-files +tested):\n%s", diff)
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if all[name].beyondEmbedded != "" {
				t.Skip(all[name].beyondEmbedded)
			}
			all[name].run(t, name, settings(t), nil)
		})
	}
}

// run runs the example once in the foreground, for a fixed logical date, and checks what came of it.
func (e example) run(t *testing.T, name string, cfg *config.Config, sources []string) {
	t.Helper()
	if _, err := exec.LookPath(e.needs); e.needs != "" && err != nil {
		t.Skip(e.needs + " is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if e.connection != "" {
		sources = append(slices.Clone(sources), strings.ReplaceAll(e.connection, "%s", t.TempDir()))
	}
	a, err := app.Open(ctx, cfg, app.Options{Environ: sources})
	if err != nil {
		t.Fatal(err)
	}
	d, problems, err := a.Pipeline(ctx, e.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("an example should load without a warning: %s", p)
	}
	run, err := a.NewRun(d, app.TriggerRequest{DagID: name, By: dag.ByTest, LogicalDate: time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	result, err := app.Test(ctx, cfg, app.Options{Environ: sources}, app.TestRun{DAG: d, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	if result.Run.State != dag.RunSuccess {
		t.Errorf("run ended %s (%s)", result.Run.State, result.Run.Reason)
	}
	for _, ti := range result.Tasks {
		want := dag.StateSuccess
		name := ti.TaskID
		if ti.MapIndex >= 0 {
			name = fmt.Sprintf("%s %d", ti.TaskID, ti.MapIndex)
		}
		if s, ok := e.states[name]; ok {
			want = s
		}
		log := logOf(t, cfg, ti)
		if ti.State != want {
			t.Errorf("%s is %s, want %s: %s\n%s", ti.TaskID, ti.State, want, ti.Error, log)
		}
		if text, ok := e.logged[ti.TaskID]; ok && !strings.Contains(log, text) {
			t.Errorf("the log of %s lacks %q:\n%s", ti.TaskID, text, log)
		}
	}
}

func logOf(t *testing.T, cfg *config.Config, ti dag.TaskInstance) string {
	t.Helper()
	if ti.TryNumber == 0 {
		return ""
	}
	raw, err := os.ReadFile(tasklog.Path(cfg.Logging.BaseLogFolder, ti.Attempt()))
	if err != nil {
		t.Errorf("log of %s: %v", ti.TaskID, err)
		return ""
	}
	var events []string
	for line := range strings.Lines(string(raw)) {
		var record struct{ Event string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("log line of %s: %v: %s", ti.TaskID, err, line)
		}
		events = append(events, record.Event)
	}
	return strings.Join(events, "\n")
}
