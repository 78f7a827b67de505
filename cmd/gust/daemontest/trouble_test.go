//go:build linux

package daemontest

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
)

// smallDisk mounts a file system of so many bytes on the house's home.
func (h *house) smallDisk(size string) {
	h.t.Helper()
	if os.Geteuid() != 0 {
		h.t.Skip("mounting a small file system needs root")
	}
	h.mkdir("home")
	if err := syscall.Mount("tmpfs", h.path("home"), "tmpfs", 0, "mode=0700,size="+size); err != nil {
		h.t.Skipf("a small file system cannot be mounted: %v", err)
	}
	h.t.Cleanup(func() {
		if err := syscall.Unmount(h.path("home"), syscall.MNT_DETACH); err != nil {
			h.t.Errorf("unmount: %v", err)
		}
	})
}

// fill uses up the disk, to the last page.
func (h *house) fill() {
	h.t.Helper()
	f, err := os.Create(h.path("home", "ballast"))
	if err != nil {
		h.t.Fatal(err)
	}
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	if closeErr := f.Close(); closeErr != nil || !strings.Contains(err.Error(), "no space") {
		h.t.Fatalf("fill the disk: %v, %v", err, closeErr)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.smallDisk("4m")
	h.write("dags/chain.yaml", chain(h.untilFile("go")))
	d, run := h.startChain()
	h.fill()
	out, code := h.gust("dags", "trigger", "chain", "--run-id", "two")
	if code != 1 || !strings.Contains(out, "disk is full") || !strings.Contains(out, "free some space") {
		t.Errorf("trigger on a full disk: exit code %d:\n%s", code, out)
	}
	h.touch("go")
	d.says("the disk is full: nothing can be stored, so nothing new is started; free some space and work goes on")
	// The first task ends in its own time; that the second does not begin is what is looked at.
	h.await("the end of the task that runs", func() bool { return len(h.journal()) >= 2 })
	if n := len(h.journal()); n != 2 {
		t.Errorf("the journal has %d lines while nothing can be stored: %q", n, h.journal())
	}
	h.remove("home/ballast")
	d.says("the store can be written again")
	h.with(func(a *app.App) {
		if r := h.ended(a, run); r.State != dag.RunSuccess {
			t.Errorf("run is %s", r.State)
		}
		h.wantTask(a, run, "first", dag.StateSuccess, 1)
		if r := h.ended(a, h.trigger(a, "chain", "three")); r.State != dag.RunSuccess {
			t.Errorf("the next run is %s", r.State)
		}
	})
	d.stop()
}

// TestFullDiskAtTheStart starts on a disk without room, and stops a daemon that cannot store anything.
func TestFullDiskAtTheStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.smallDisk("4m")
	h.fill()
	for _, command := range []string{"scheduler", "standalone"} {
		out, code := h.gust(command)
		if code != 1 || !strings.Contains(out, "disk is full") && !strings.Contains(out, "no space left") {
			t.Errorf("%s on a full disk: exit code %d:\n%s", command, code, out)
		}
	}
	h.remove("home/ballast")
	h.write("dags/chain.yaml", chain(h.untilFile("go")))
	d, run := h.startChain()
	h.fill()
	h.touch("go")
	d.says("the disk is full")
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != 1 {
		t.Errorf("exit code %d of a daemon that could not store its last reports, want 1", code)
	}
	d.says("their attempts will be repeated")
	h.remove("home/ballast")
	h.start("scheduler").ready()
	h.with(func(a *app.App) {
		h.ended(a, run)
		h.wantTask(a, run, "first", dag.StateSuccess, 1)
	})
}

// TestFullDiskUnderExecutions fills the disk while the embedded service works.
func TestFullDiskUnderExecutions(t *testing.T) {
	t.Parallel()
	c := newCrash(t, "standalone")
	c.smallDisk("6m")
	for id := range c.all {
		if id != "waits" && id != "orders" {
			c.remove("dags/" + id + ".yaml")
		}
	}
	d := c.start("standalone").ready()
	c.with(func(a *app.App) {
		runs := []dag.RunKey{c.trigger(a, "waits", "one"), c.trigger(a, "orders", "one"), c.trigger(a, "waits", "two")}
		c.await("the first execution", func() bool { return c.state(a, runs[0], "begin") == dag.StateSuccess })
		c.fill()
		d.says("the disk is full")
		pause(1200 * time.Millisecond) // the service tries again after a second
		c.remove("home/ballast")
		for _, run := range runs {
			c.ended(a, run)
			c.checkRun(a, c.run(a, run))
		}
	})
	counts := askers(c.executionsOf(c.path("home", "stepfunctions.db")))
	for by, n := range counts {
		if n != 1 {
			t.Errorf("%d executions were started by %q", n, by)
		}
	}
	if len(counts) != 7 {
		t.Errorf("%d executions, want 7: %v", len(counts), counts)
	}
	d.stop()
}

// database opens a database of the house behind the daemon's back. The connection must be closed with release.
func (h *house) database(name string) (conn *sql.Conn, release func()) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.path("home", name)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		h.t.Fatal(err)
	}
	conn, err = db.Conn(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return conn, func() {
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			h.t.Error(err)
		}
	}
}

func execute(t *testing.T, conn *sql.Conn, text string) {
	t.Helper()
	if _, err := conn.ExecContext(context.Background(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestCorruptDatabase(t *testing.T) {
	t.Parallel()
	foreign := func(text []byte) { copy(text, "this is something else, not a database") }
	torn := func(text []byte) { clear(text[4096:]) }
	for name, c := range map[string]struct {
		file   string
		damage func(text []byte)
		want   []string
	}{
		"not a database": {"gust.db", foreign,
			[]string{"corrupt", "gust.db is not an SQLite database", "move it away"}},
		"damaged pages": {"gust.db", torn,
			[]string{"corrupt", "gust.db", "restore a backup", "gust db reset"}},
		"embedded service": {"stepfunctions.db", torn,
			[]string{"Step Functions", "stepfunctions.db is damaged", "move it away", "malformed"}},
		"embedded service, not a database": {"stepfunctions.db", foreign,
			[]string{"Step Functions", "stepfunctions.db is damaged", "move it away", "not a database"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			h.start("standalone").ready().stop()
			path := h.path("home", c.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c.damage(text)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			out, code := h.gust("standalone")
			if code != 1 {
				t.Errorf("exit code %d, want 1:\n%s", code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not said:\n%s", want, out)
				}
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(text) {
				t.Errorf("the damaged file was changed: %v", err)
			}
		})
	}
}

func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"database.busy_timeout": "0.2"})
	h.write("dags/quick.yaml", head("quick", "")+task("quick", "BashOperator", "bash_command: echo quick"))
	h.start("scheduler").ready().stop()

	// Another process has the whole file for itself.
	conn, release := h.database("gust.db")
	execute(t, conn, "PRAGMA locking_mode=EXCLUSIVE")
	execute(t, conn, "BEGIN EXCLUSIVE")
	out, code := h.gust("scheduler")
	if code != 1 || !strings.Contains(out, "database is busy") || !strings.Contains(out, "another process") {
		t.Errorf("start on a locked database: exit code %d:\n%s", code, out)
	}
	release()

	// A writer that does not let go holds the daemon up, and everything goes on when it does.
	d := h.start("scheduler").ready()
	conn, release = h.database("gust.db")
	defer release()
	h.with(func(a *app.App) {
		run := h.trigger(a, "quick", "one")
		h.ended(a, run)
		late := h.trigger(a, "quick", "two")
		execute(t, conn, "BEGIN IMMEDIATE")
		d.says("another process holds the database")
		execute(t, conn, "ROLLBACK")
		d.says("the store can be written again")
		if r := h.ended(a, late); r.State != dag.RunSuccess {
			t.Errorf("run is %s", r.State)
		}
	})
	d.stop()
}
