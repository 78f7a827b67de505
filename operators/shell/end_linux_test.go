package shell

import (
	"os"
	"strings"
	"testing"
	"time"

	"gust/internal/childprocess"
	"gust/operators"
	"gust/operators/operatorstest"
)

func TestEndCommands(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s, err := childprocess.NewStarter()
	if err != nil {
		t.Fatal(err)
	}
	r := operators.NewRegistry()
	if err := Register(r, Deps{Home: home, Starter: s}); err != nil {
		t.Fatal(err)
	}
	// Deaf to SIGTERM, with children in the group, in a session of their own, and without the mark.
	op := operatorstest.Build(t, r, "bash", map[string]any{"bash_command": `trap '' TERM
		sleep 1000 & a=$!
		setsid sleep 1000 & b=$!
		env -i sleep 1000 & c=$!
		sleep 0.1; echo $$ $a $b $c > ` + home + `/new; mv ` + home + `/new ` + home + `/pids; wait`})
	ended := make(chan error, 1)
	task := operatorstest.NewTask(t)
	go func() {
		_, err := op.Execute(t.Context(), task)
		ended <- err
	}()
	var pids []string
	waitFor(t, "the command's processes", func() bool {
		b, err := os.ReadFile(home + "/pids")
		pids = strings.Fields(string(b))
		return err == nil
	})
	if n, err := childprocess.EndCommands(t.TempDir()); n != 0 || err != nil {
		t.Errorf("ended %d processes of another home, %v", n, err)
	}
	if n, err := childprocess.EndCommands(home); n == 0 || err != nil {
		t.Errorf("ended %d processes, %v", n, err)
	}
	for _, pid := range pids {
		waitFor(t, "the end of process "+pid, func() bool { return gone(pid) })
	}
	if err := <-ended; err == nil {
		t.Error("the command that was killed succeeded")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	// What a stop has left behind may still come and ask.
	began := time.Now()
	if _, err := op.Execute(t.Context(), task); err == nil || !strings.Contains(err.Error(), "the daemon stops") {
		t.Errorf("a command after Close: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a command after Close took %s", took)
	}
}
