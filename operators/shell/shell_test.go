package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/internal/childprocess"
	"gust/operators"
	"gust/operators/operatorstest"
)

// The test binary plays the daemon that is killed: with this variable it runs one command and waits.
const daemonVar = "SHELL_TEST_DAEMON"

func TestMain(m *testing.M) {
	if home := os.Getenv(daemonVar); home != "" {
		playDaemon(home)
		return
	}
	goleak.VerifyTestMain(m)
}

func registry(tb testing.TB, cleanup time.Duration) *operators.Registry {
	tb.Helper()
	s, err := childprocess.NewStarter()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	r := operators.NewRegistry()
	if err := Register(r, Deps{Home: tb.TempDir(), CleanupTime: cleanup, Starter: s}); err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestFamily(t *testing.T) {
	t.Parallel()
	r := registry(t, 0)
	operatorstest.TestFamily(t, r)
	if err := Register(operators.NewRegistry(), Deps{}); err == nil {
		t.Error("Register without a Starter was accepted")
	}
	if _, ok := r.Lookup("airflow.operators.bash_operator.BashOperator"); !ok {
		t.Error("an Airflow path is missing")
	}
}

func execute(t *testing.T, params map[string]any) (*operatorstest.Task, operators.Result, error) {
	t.Helper()
	task := operatorstest.NewTask(t)
	res, err := operatorstest.Build(t, registry(t, time.Minute), "BashOperator", params).Execute(t.Context(), task)
	return task, res, err
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		params map[string]any
		value  any
		skip   bool
		err    string
		log    []string
	}{
		"last line of stdout": {
			params: map[string]any{"bash_command": "echo a; echo 'b  '; echo err >&2"}, value: "b",
			log: []string{`msg=a source=stdout`, `msg=err source=stderr`, `msg="Command exited with return code 0"`},
		},
		"no output":           {params: map[string]any{"bash_command": "true"}, value: ""},
		"no newline":          {params: map[string]any{"bash_command": "printf 'x\ny'"}, value: "y"},
		"empty last line":     {params: map[string]any{"bash_command": "echo x; echo"}, value: ""},
		"invalid UTF-8":       {params: map[string]any{"bash_command": `printf 'a\xffb\n'`}, value: "a\uFFFDb"},
		"latin-1":             {params: map[string]any{"bash_command": `printf '\xe9\n'`, "output_encoding": "ISO-8859-1"}, value: "é"},
		"skip by 99":          {params: map[string]any{"bash_command": "exit 99"}, skip: true},
		"99 with null":        {params: map[string]any{"bash_command": "exit 99", "skip_on_exit_code": nil}, err: "non-zero exit code 99"},
		"99 with empty list":  {params: map[string]any{"bash_command": "exit 99", "skip_on_exit_code": []any{}}, err: "exit code 99"},
		"skip by list":        {params: map[string]any{"bash_command": "exit 4", "skip_on_exit_code": []any{3, 4}}, skip: true},
		"zero may skip":       {params: map[string]any{"bash_command": "true", "skip_on_exit_code": 0}, skip: true},
		"failure":             {params: map[string]any{"bash_command": "exit 3"}, err: "Bash command failed. The command returned a non-zero exit code 3."},
		"command not found":   {params: map[string]any{"bash_command": "no-such-command-here"}, err: "exit code 127", log: []string{"not found"}},
		"killed by a signal":  {params: map[string]any{"bash_command": "kill -9 $$"}, err: "signal 9 (killed)"},
		"empty command":       {params: map[string]any{"bash_command": "  "}, err: "bash_command is empty"},
		"missing cwd":         {params: map[string]any{"bash_command": "true", "cwd": "/no/such/folder"}, err: "can not find the cwd /no/such/folder"},
		"cwd is a file":       {params: map[string]any{"bash_command": "true", "cwd": os.Args[0]}, err: "must be a directory"},
		"bashisms":            {params: map[string]any{"bash_command": "a=(1 2 3); [[ ${#a[@]} -eq 3 ]] && echo ${a[-1]}"}, value: "3"},
		"stdin is empty":      {params: map[string]any{"bash_command": "cat; echo done"}, value: "done"},
		"a very long command": {params: map[string]any{"bash_command": "true " + strings.Repeat("x", 300<<10) + "\necho ok"}, value: "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task, res, err := execute(t, c.params)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
			case err != nil:
				t.Fatal(err)
			case res.Skipped != c.skip:
				t.Errorf("skipped %v, want %v", res.Skipped, c.skip)
			case !c.skip && res.Value != c.value:
				t.Errorf("value %q, want %q", res.Value, c.value)
			}
			for _, line := range c.log {
				if !task.Logged(line) {
					t.Errorf("the log lacks %q:\n%s", line, task.LogText())
				}
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	r := registry(t, 0)
	for want, params := range map[string]map[string]any{
		"output_processor is a Python callable": {"bash_command": "x", "output_processor": "lambda x: x"},
		`output_encoding "utf-16" is not`:       {"bash_command": "x", "output_encoding": "utf-16"},
		"is not an exit code":                   {"bash_command": "x", "skip_on_exit_code": "99"},
		`missing required parameter`:            {},
		"expected string":                       {"bash_command": "x", "env": map[string]any{"A": 1}},
	} {
		if _, err := operatorstest.TryBuild(r, "bash", params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", params, err, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SHELL_TEST_INHERITED", "yes")
	echo := `echo "$SHELL_TEST_INHERITED|$OWN|$AIRFLOW_CTX_DAG_ID|$AIRFLOW_CTX_TASK_ID|$AIRFLOW_CTX_DAG_RUN_ID|` +
		`$AIRFLOW_CTX_TRY_NUMBER|$AIRFLOW_CTX_LOGICAL_DATE|$AIRFLOW_CTX_DAG_OWNER|$GUST_CTX_TASK_ID|$GUST_CTX_MAP_INDEX"`
	tail := "|dag|task|manual__2024-01-01T00:00:00+00:00|1|2024-01-01T00:00:00+00:00|airflow|task|-1"
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{}, "yes|" + tail},
		{map[string]any{"env": map[string]any{"OWN": "x"}}, "|x" + tail},
		{map[string]any{"env": map[string]any{"OWN": "x"}, "append_env": true}, "yes|x" + tail},
		{map[string]any{"env": map[string]any{}}, "|" + tail},
	} {
		c.params["bash_command"] = echo
		_, res, err := execute(t, c.params)
		if err != nil || res.Value != c.want {
			t.Errorf("%v: %q, %v; want %q", c.params, res.Value, err, c.want)
		}
	}
}

func TestWorkingDirectory(t *testing.T) {
	t.Parallel()
	s, err := childprocess.NewStarter()
	if err != nil {
		t.Fatal(err)
	}
	r := operators.NewRegistry()
	if err := Register(r, Deps{Home: t.TempDir(), Starter: s}); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, script := range []string{"", "touch here; ", "", "chmod 777 .; ", "rmdir $PWD; ", ""} {
		op := operatorstest.Build(t, r, "bash", map[string]any{"bash_command": "[[ -z $(ls -A) ]] || exit 1; " + script + "echo $PWD"})
		res, err := op.Execute(t.Context(), operatorstest.NewTask(t))
		if err != nil {
			t.Fatal(script, err)
		}
		dir := res.Value.(string)
		used[dir] = true
		if info, err := os.Stat(dir); script == "" {
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the clean directory %s is not kept: %v", dir, err)
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after %q the directory %s is left: %v", script, dir, err)
		}
	}
	if len(used) > 4 {
		t.Errorf("%d directories for six commands", len(used))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for dir := range used {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	dir := t.TempDir()
	if _, _, err = execute(t, map[string]any{"bash_command": "touch here", "cwd": dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "here")); err != nil {
		t.Error(err)
	}
}

func TestNoXComPush(t *testing.T) {
	t.Parallel()
	task := operatorstest.NewTask(t)
	task.Task.DoXComPush = false
	op := operatorstest.Build(t, registry(t, 0), "bash", map[string]any{"bash_command": "echo x"})
	if res, err := op.Execute(t.Context(), task); err != nil || res.Value != nil {
		t.Errorf("value %v, error %v; want none", res.Value, err)
	}
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	task, res, err := execute(t, map[string]any{"bash_command": "head -c 200000 /dev/zero | tr '\\0' x; echo"})
	if err != nil || len(res.Value.(string)) != 200000 {
		t.Fatalf("%d bytes, error %v; want the whole line as the value", len(fmt.Sprint(res.Value)), err)
	}
	if n := strings.Count(task.LogText(), "source=stdout"); n != 4 {
		t.Errorf("%d lines in the log, want 4 of at most 64 KiB", n)
	}
	if _, _, err = execute(t, map[string]any{"bash_command": "head -c 5000000 /dev/zero | tr '\\0' x"}); err == nil ||
		!strings.Contains(err.Error(), "too long for an XCom") {
		t.Errorf("error %v, want too long", err)
	}
	if _, res, err = execute(t, map[string]any{"bash_command": "head -c 3000000 /dev/urandom; echo; echo end"}); err != nil || res.Value != "end" {
		t.Errorf("binary output: %q, %v", res.Value, err)
	}
}

// kill starts the command, ends ctx with the cause once it printed "ready", and returns how Execute ended.
func kill(t *testing.T, script string, cleanup time.Duration, cause error) (*operatorstest.Task, error) {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "ready")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	task := operatorstest.NewTask(t)
	op := operatorstest.Build(t, registry(t, cleanup), "bash", map[string]any{
		"bash_command": script, "env": map[string]any{"READY": fifo}, "append_env": true,
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	end := make(chan error, 1)
	go func() {
		_, err := op.Execute(ctx, task)
		end <- err
	}()
	f, err := os.Open(fifo) // blocks until the script opens it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(f).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	cancel(cause)
	return task, <-end
}

func gone(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestKill(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	dir := t.TempDir()
	pid := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	t.Run("SIGTERM reaches the group and a trap runs", func(t *testing.T) {
		task, err := kill(t, `trap 'echo cleaned up; exit 7' TERM; sleep 1000 & echo $! > `+dir+`/a; echo > $READY; wait`,
			time.Minute, operators.ErrKilled)
		waitFor(t, "the child's end", func() bool { return gone(pid("a")) })
		if !errors.Is(err, operators.ErrKilled) || !task.Logged("cleaned up") {
			t.Errorf("%v\n%s", err, task.LogText())
		}
	})
	t.Run("SIGKILL after the grace", func(t *testing.T) {
		task, err := kill(t, `trap '' TERM; sleep 1000 & echo $! > `+dir+`/b; echo > $READY; while :; do wait; done`,
			50*time.Millisecond, operators.ErrExecutionTimeout)
		waitFor(t, "the child's end", func() bool { return gone(pid("b")) })
		if !errors.Is(err, operators.ErrExecutionTimeout) || !task.Logged("SIGKILL") {
			t.Errorf("%v\n%s", err, task.LogText())
		}
	})
	t.Run("not started when over already", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(operators.ErrStopping)
		op := operatorstest.Build(t, registry(t, 0), "bash", map[string]any{"bash_command": "touch " + dir + "/never"})
		if _, err := op.Execute(ctx, operatorstest.NewTask(t)); !errors.Is(err, operators.ErrStopping) {
			t.Error(err)
		}
		if _, err := os.Stat(dir + "/never"); err == nil {
			t.Error("the command ran")
		}
	})
}

func TestNothingOutlivesTheAttempt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	for name, script := range map[string]string{
		"quiet background":            `sleep 1000 >/dev/null 2>&1 & echo $!`,
		"background holding the pipe": `sleep 1000 & echo $!`,
		"own session":                 `setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.2`,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, res, err := execute(t, map[string]any{"bash_command": script})
			if err != nil {
				t.Fatal(err)
			}
			pid, _ := res.Value.(string)
			if pid == "" {
				t.Fatal("no process was started")
			}
			waitFor(t, "the end of process "+pid, func() bool { return gone(pid) })
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// playDaemon runs a command that leaves children in the group, in a session of their own, and without the mark.
func playDaemon(home string) {
	s, err := childprocess.NewStarter()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r := operators.NewRegistry()
	if err := Register(r, Deps{Home: home, Starter: s}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	op, err := operatorstest.TryBuild(r, "bash", map[string]any{"bash_command": `
		sleep 1000 & a=$!
		setsid sleep 1000 & b=$!
		env -i sleep 1000 & c=$!
		sleep 0.1; echo $$ $a $b $c > ` + home + `/pids.new; mv ` + home + `/pids.new ` + home + `/pids; wait`})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = op.Execute(context.Background(), operatorstest.NewTask(&testing.T{})) // killed before it ends
}

func TestSweepOrphans(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	home := t.TempDir()
	daemon := exec.Command(os.Args[0])
	daemon.Env = append(os.Environ(), daemonVar+"="+home)
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []string
	waitFor(t, "the command's processes", func() bool {
		b, err := os.ReadFile(home + "/pids")
		pids = strings.Fields(string(b))
		return err == nil
	})
	if n, err := childprocess.SweepOrphans(home); n != 0 || err != nil {
		t.Errorf("swept %d of a living daemon, %v", n, err)
	}
	temporary := filepath.Join(os.TempDir(), childprocess.TemporaryPrefix+childprocess.HomeID(home)+"-*")
	if left, err := filepath.Glob(temporary); err != nil || len(left) != 1 {
		t.Errorf("temporary directories of a living daemon: %q, %v; want one", left, err)
	}
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = daemon.Wait() // killed
	waitFor(t, "the shell's end by the kernel", func() bool { return gone(pids[0]) })
	if n, err := childprocess.SweepOrphans(t.TempDir()); n != 0 || err != nil {
		t.Errorf("swept %d of another home, %v", n, err)
	}
	n, err := childprocess.SweepOrphans(home)
	if err != nil || n < 2 {
		t.Errorf("swept %d, %v; want the two marked processes", n, err)
	}
	if left, err := filepath.Glob(temporary); err != nil || len(left) != 0 {
		t.Errorf("temporary directories left behind: %q, %v", left, err)
	}
	for _, pid := range pids {
		waitFor(t, "process "+pid+"'s end", func() bool { return gone(pid) })
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

func BenchmarkBashOperator(b *testing.B) {
	r := registry(b, 0)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			op := operatorstest.Build(b, r, "bash", map[string]any{"bash_command": "true"})
			if _, err := op.Execute(context.Background(), operatorstest.NewTask(b)); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkForkExec(b *testing.B) {
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := exec.CommandContext(context.Background(), "bash", "-c", "true").Run(); err != nil {
				b.Error(err)
			}
		}
	})
}
