//go:build linux

package daemontest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
	"gust/internal/config"
	"gust/store"
)

// house is a home folder with its pipelines and settings.
type house struct {
	t    testing.TB
	dir  string
	env  []string
	mark string
	// daemons is how many were started.
	daemons int
}

// markVar is inherited by everything a daemon starts, so that what it leaves behind can be found.
const markVar = "DAEMONTEST_HOUSE"

// newHouse makes a home, and a folder for pipelines and one for state machines beside it. Settings are "section.key"
// and value.
func newHouse(t testing.TB, settings map[string]string) *house {
	t.Helper()
	noteSources()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, mark: markVar + "=" + dir}
	for _, folder := range []string{"dags", "machines", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.write("config.yaml", "core: {dags_folder: dags}\napi: {enabled: false}\n"+
		"stepfunctions: {port: 0, state_machines_folder: machines, handlers_folder: \"\", wait_time_scale: 0.01}\n")
	h.env = append(h.env, "PATH="+os.Getenv("PATH"), "HOME="+dir, "TMPDIR="+h.path("tmp"), "JOURNAL="+h.path("journal"),
		"GUST_CONFIG="+h.path("config.yaml"), "GUST_HOME="+h.path("home"), h.mark)
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		name := "GUST__" + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
		h.env = append(h.env, name+"="+settings[key])
	}
	t.Cleanup(h.cleanUp)
	return h
}

// cleanUp ends what a failed test has left running.
func (h *house) cleanUp() {
	for _, p := range h.processes() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // gone is fine
	}
}

func (h *house) path(parts ...string) string {
	return filepath.Join(append([]string{h.dir}, parts...)...)
}

// write replaces a file at once, as editors do.
func (h *house) write(name, text string) {
	h.t.Helper()
	path := h.path(name)
	temporary := filepath.Join(filepath.Dir(path), ".new-"+filepath.Base(path))
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) mkdir(name string) {
	h.t.Helper()
	if err := os.MkdirAll(h.path(name), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) remove(name string) {
	h.t.Helper()
	if err := os.Remove(h.path(name)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) config() *config.Config {
	h.t.Helper()
	cfg, err := config.Load("", h.env)
	if err != nil {
		h.t.Fatal(err)
	}
	return cfg
}

// open opens the home as a command does. The caller closes it.
func (h *house) open() *app.App {
	h.t.Helper()
	a, err := app.Open(context.Background(), h.config(), app.Options{})
	if err != nil {
		h.t.Fatalf("open the home: %v", err)
	}
	return a
}

// with opens the home for the length of f.
func (h *house) with(f func(a *app.App)) {
	h.t.Helper()
	a := h.open()
	defer func() {
		if err := a.Close(); err != nil {
			h.t.Errorf("close the home: %v", err)
		}
	}()
	f(a)
}

// trigger creates a run, as `gust dags trigger` does.
func (h *house) trigger(a *app.App, dagID, runID string) dag.RunKey {
	h.t.Helper()
	run, err := a.Trigger(context.Background(), app.TriggerRequest{DagID: dagID, RunID: runID, By: dag.ByCLI})
	if err != nil {
		h.t.Fatalf("trigger %s: %v", dagID, err)
	}
	return run.RunKey
}

// task returns a task instance; nil before its run has begun.
func (h *house) task(a *app.App, run dag.RunKey, taskID string) *dag.TaskInstance {
	h.t.Helper()
	key := dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: taskID, MapIndex: -1}
	ti, err := a.Store.TaskInstanceGet(context.Background(), key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return ti
}

func (h *house) state(a *app.App, run dag.RunKey, taskID string) dag.State {
	h.t.Helper()
	if ti := h.task(a, run, taskID); ti != nil {
		return ti.State
	}
	return dag.StateNone
}

func (h *house) run(a *app.App, key dag.RunKey) *dag.Run {
	h.t.Helper()
	run, err := a.Store.RunGet(context.Background(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	return run
}

func (h *house) runs(a *app.App, which store.RunListParams) []dag.Run {
	h.t.Helper()
	runs, err := a.Store.RunList(context.Background(), &which)
	if err != nil {
		h.t.Fatal(err)
	}
	return runs
}

// ended waits for the end of a run.
func (h *house) ended(a *app.App, key dag.RunKey) *dag.Run {
	h.t.Helper()
	var run *dag.Run
	h.await(fmt.Sprintf("the end of run %s of DAG %s", key.RunID, key.DagID), func() bool {
		run = h.run(a, key)
		return run.State.Finished()
	})
	return run
}

// patience is how long anything may take on a slow machine.
const patience = 30 * time.Second

// shortly is how long what happens at once may take: on an idle machine milliseconds, but tests must not measure how busy
// theirs is. Everything that is held to it would otherwise take a minute.
const shortly = 10 * time.Second

// await waits until ok; what is the thing waited for.
func (h *house) await(what string, ok func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			h.t.Fatalf("waited %s in vain for %s", patience, what)
		}
		pause(2 * time.Millisecond)
	}
}

func pause(d time.Duration) { <-time.After(d) }

// gust runs a command to its end and returns its output and exit code.
func (h *house) gust(args ...string) (string, int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env, cmd.Dir = h.env, h.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatalf("gust %s: %v", strings.Join(args, " "), err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// journal returns the lines that tasks have written.
func (h *house) journal() []string {
	h.t.Helper()
	text, err := os.ReadFile(h.path("journal"))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
