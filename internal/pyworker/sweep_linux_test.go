package pyworker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/childprocess"
)

// The test binary plays the daemon that is killed: with this variable it calls one function and waits.
const daemonVar = "PYWORKER_TEST_DAEMON"

const orphans = `
import os, subprocess, time
def leave(home):
    a = subprocess.Popen(["sleep", "1000"])
    b = subprocess.Popen(["setsid", "sleep", "1000"])
    with open(home + "/pids.new", "w") as f:
        f.write("%d %d %d %d" % (os.getppid(), os.getpid(), a.pid, b.pid))
    os.rename(home + "/pids.new", home + "/pids")
    while True: time.sleep(1000)
`

func playDaemon(home string) {
	starter, err := childprocess.NewStarter()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	p, err := NewPool(Options{Warm: 1, Home: home, Starter: starter})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	mark := childprocess.AttemptMark(childprocess.HomeID(home), dag.Attempt{Key: dag.Key{DagID: "d", TaskID: "t"}, TryNumber: 1})
	var log logBook
	_, err = p.Call(context.Background(), &Request{
		Callable: Callable{File: filepath.Join(home, "orphans.py"), Name: "leave"}, Args: []any{home}, Log: log.logger(),
		Env: []string{mark}, Mark: mark,
	})
	fmt.Fprintln(os.Stderr, err, log.String()) // killed before it ends
}

// TestSweepOrphans: of a daemon that was killed with SIGKILL the kernel ends interpreter and function; the sweep ends what
// the function had started, by the marks in its environment.
func TestSweepOrphans(t *testing.T) {
	t.Parallel()
	needPython(t)
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "orphans.py"), []byte(orphans), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(os.Args[0])
	daemon.Env = append(os.Environ(), daemonVar+"="+home)
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []string
	eventually(t, "the function's processes", func() bool {
		b, err := os.ReadFile(filepath.Join(home, "pids"))
		pids = strings.Fields(string(b))
		return err == nil
	})
	if n, err := childprocess.SweepOrphans(home); n != 0 || err != nil {
		t.Errorf("swept %d of a living daemon, %v", n, err)
	}
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = daemon.Wait() // killed
	for _, pid := range pids[:2] {
		eventually(t, "the end by the kernel of process "+pid, func() bool { return gone(pid) })
	}
	if n, err := childprocess.SweepOrphans(home); n == 0 || err != nil { // the interpreter may have ended one itself, before the kernel ended it
		t.Errorf("swept %d, %v", n, err)
	}
	for _, pid := range pids {
		eventually(t, "the end of process "+pid, func() bool { return gone(pid) })
	}
}

// TestAbort: a stop that does not wait ends interpreters and calls.
func TestAbort(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	p := newPool(t, func(o *Options) { o.Home = home })
	file := filepath.Join(home, "orphans.py")
	if err := os.WriteFile(file, []byte(orphans), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		var log logBook
		_, err := p.Call(context.Background(), &Request{
			Callable: Callable{File: file, Name: "leave"}, Args: []any{home}, Log: log.logger(),
			Env: []string{childprocess.AttemptMark(childprocess.HomeID(home), dag.Attempt{})},
		})
		ended <- err
	}()
	var pids []string
	eventually(t, "the function's processes", func() bool {
		b, err := os.ReadFile(filepath.Join(home, "pids"))
		pids = strings.Fields(string(b))
		return err == nil
	})
	if n, err := childprocess.EndCommands(home); n == 0 || err != nil { // the end of one may end another
		t.Errorf("ended %d processes, %v", n, err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the call that was killed succeeded")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the call did not end")
	}
	for _, pid := range pids {
		eventually(t, "the end of process "+pid, func() bool { return gone(pid) })
	}
}
