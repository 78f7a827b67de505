package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// notRun are examples that a test cannot run as they stand, with the reason.
var notRun = map[string]string{
	"completion bash":                       "the shell reads it; completion.txtar runs it",
	"connections add aws_keys --conn-uri -": "it reads what is not there; connections.txtar runs it",
}

// TestExamplesRun runs every example of every command beside a daemon, in a home with the pipelines of the repository: none
// is a mistake in the command line. Whether it finds what it names, such as a run that only the reader has, does not count.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs every command")
	}
	var b strings.Builder
	b.WriteString("exec gust standalone &daemon&\nuntil 'running, process' gust info\n")
	for _, leaf := range leaves(newTestRoot()) {
		if strings.HasPrefix(leaf.CommandPath(), "gust sfn ") {
			continue // TestStepFunctionsExamplesRun has them
		}
		for _, words := range gustLines(leaf.Example) {
			if notRun[strings.Join(words, " ")] != "" {
				continue
			}
			b.WriteString("example")
			for _, w := range words {
				fmt.Fprintf(&b, " '%s'", strings.ReplaceAll(w, "'", "''"))
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("kill -INT daemon\nwait daemon\n")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "examples.txtar"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, "TZ=UTC", "HOME="+env.WorkDir+"/home", "GORACE=atexit_sleep_ms=0", "AWS_EC2_METADATA_DISABLED=true",
				"GUST__STEPFUNCTIONS__PORT=0", "GUST__STEPFUNCTIONS__WAIT_TIME_SCALE=0.01", "GUST__API__ENABLED=false")
			return os.CopyFS(filepath.Join(env.WorkDir, "examples"), os.DirFS("../../examples"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"until": scriptUntil, "example": scriptExample},
	})
}

// scriptExample runs a command for a little while. Only wrong usage is an error.
func scriptExample(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("timeout", append([]string{"-s", "INT", "-k", "10", "3", "gust"}, args...)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if exit != nil && (exit.ExitCode() == codeUsage || exit.ExitCode() > 125 && exit.ExitCode() != codeInterrupted) {
		ts.Fatalf("gust %s: exit code %d", strings.Join(args, " "), exit.ExitCode())
	}
}
