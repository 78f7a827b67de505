package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"gust": main})
}

// leakChecked fails when tests leave goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestScript runs the scripts. Besides testscript's own commands they have
//
//	exits CODE gust ...        the exit code is CODE
//	until REGEXP gust ...      repeats the command until its output, or what it says on standard error, matches
//	await FILE                 waits until the file exists
//	keep NAME                  sets a variable to what the last command printed, without quotes around it
//
// A script runs in its own folder, with the pipelines of testdata/dags, the state machines of testdata/machines and a small
// config.yaml unless it brings its own.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		Setup:              setUpScript,
		RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "until": scriptUntil, "await": scriptAwait, "keep": scriptKeep,
		},
	})
}

const scriptConfig = "core:\n  dags_folder: dags\nstepfunctions:\n  port: 0\n  state_machines_folder: machines\napi:\n  enabled: false\n"

func setUpScript(env *testscript.Env) error {
	env.Vars = append(env.Vars, "TZ=UTC", "HOME="+env.WorkDir+"/home", "TERM=xterm",
		// Under the race detector every process would sleep for a second before it exits.
		"GORACE=atexit_sleep_ms=0")
	for _, folder := range []string{"dags", "machines"} {
		to := filepath.Join(env.WorkDir, folder)
		if _, err := os.Stat(to); err == nil {
			continue
		}
		if err := os.CopyFS(to, os.DirFS(filepath.Join("testdata", folder))); err != nil {
			return err
		}
	}
	config := filepath.Join(env.WorkDir, "config.yaml")
	if _, err := os.Stat(config); err == nil {
		return nil
	}
	return os.WriteFile(config, []byte(scriptConfig), 0o600)
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || len(args) < 2 || err != nil {
		ts.Fatalf("usage: exits CODE command ...")
	}
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// patience is how long a script waits for something that is sure to happen.
const patience = 30 * time.Second

// repeat calls done until it is true.
func repeat(ts *testscript.TestScript, what string, done func() bool) {
	tick, late := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("%s did not happen within %v", what, patience)
		}
	}
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP command ...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	repeat(ts, args[0], func() bool {
		// A command that fails meanwhile has no output that matches.
		_ = ts.Exec(args[1], args[2:]...)
		return pattern.MatchString(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
	})
}

func scriptKeep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keep NAME")
	}
	ts.Setenv(args[0], strings.Trim(strings.TrimSpace(ts.ReadFile("stdout")), `"`))
}

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	repeat(ts, args[0], func() bool {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		return err == nil && slices.ContainsFunc(found, func(path string) bool { _, err := os.Stat(path); return err == nil })
	})
}
