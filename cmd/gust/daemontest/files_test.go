//go:build linux

package daemontest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

// followed is within which time a changed file must take effect: a second is promised, the rest is for a busy machine.
const followed = 5 * time.Second

// versioned is a DAG that writes its version to the journal when it is let go on.
func (h *house) versioned(version int) string {
	return head("versioned", "") +
		task("hold", "BashOperator", fmt.Sprintf("bash_command: %q", h.untilFile("go-{{ run_id }}"))) +
		task("tell", "BashOperator", fmt.Sprintf("bash_command: echo '{{ run_id }} runs version %d' >> $JOURNAL", version),
			"dependencies: [hold]")
}

func (h *house) version(a *app.App, dagID string) string {
	h.t.Helper()
	row, err := a.Store.DagGet(context.Background(), dagID)
	if err != nil {
		h.t.Fatal(err)
	}
	return row.Version
}

func (h *house) importErrors(a *app.App) []store.ImportError {
	h.t.Helper()
	list, err := a.Store.ImportErrorList(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// soon waits until ok and complains when that takes too long.
func (h *house) soon(what string, ok func() bool) {
	h.t.Helper()
	began := time.Now()
	h.await(what, ok)
	if took := time.Since(began); took > followed {
		h.t.Errorf("%s took %s, want %s at most", what, took, followed)
	}
}

func TestChangedFilesTakeEffect(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"dag_processor.refresh_interval": "600"}) // file events only
	h.write("dags/versioned.yaml", h.versioned(1))
	h.write("dags/other.yaml", head("other", "")+task("tell", "BashOperator", "bash_command: echo other >> $JOURNAL"))
	d := h.start("scheduler").ready()
	h.with(func(a *app.App) {
		first := h.version(a, "versioned")
		old := h.trigger(a, "versioned", "old")
		h.await("the first task", func() bool { return h.state(a, old, "hold") == dag.StateRunning })

		h.write("dags/versioned.yaml", h.versioned(2))
		h.soon("a changed file", func() bool { return h.version(a, "versioned") != first })
		second := h.version(a, "versioned")
		young := h.trigger(a, "versioned", "young")
		h.await("the first task of the new version", func() bool { return h.state(a, young, "hold") == dag.StateRunning })

		h.write("dags/versioned.yaml", strings.Replace(h.versioned(3), "dependencies:", "dependences:", 1))
		h.soon("the import error of a broken file", func() bool { return len(h.importErrors(a)) == 1 })
		e := h.importErrors(a)[0]
		if e.FileLoc != h.path("dags", "versioned.yaml") || !strings.Contains(e.Text, "dependencies") {
			t.Errorf("import error %+v", e)
		}
		out, code := h.gust("dags", "list-import-errors")
		if code != 1 || !strings.Contains(out, "versioned.yaml") || !strings.Contains(out, "dependencies") {
			t.Errorf("dags list-import-errors: exit code %d:\n%s", code, out)
		}
		d.says("a pipeline file could not be loaded")

		h.lastGood(a, second)

		for _, run := range []dag.RunKey{old, young, {DagID: "versioned", RunID: "kept"}} {
			h.touch("go-" + run.RunID)
			if r := h.ended(a, run); r.State != dag.RunSuccess {
				t.Errorf("run %s is %s", run.RunID, r.State)
			}
		}
		told := strings.Join(h.journal(), "\n")
		for _, want := range []string{"old runs version 1", "young runs version 2", "kept runs version 2", "other"} {
			if !strings.Contains(told, want) {
				t.Errorf("not told: %q in\n%s", want, told)
			}
		}

		h.write("dags/versioned.yaml", h.versioned(4))
		h.soon("a repaired file", func() bool { return len(h.importErrors(a)) == 0 && h.version(a, "versioned") != second })
		if out, code := h.gust("dags", "list-import-errors"); code != 0 {
			t.Errorf("dags list-import-errors: exit code %d:\n%s", code, out)
		}
	})
	d.stop()
}

// lastGood wants commands and daemon to go on with a DAG whose file is broken, as it was, and with all others.
func (h *house) lastGood(a *app.App, version string) {
	h.t.Helper()
	out, code := h.gust("dags", "trigger", "versioned", "--run-id", "kept")
	if code != 0 {
		h.t.Fatalf("trigger a DAG whose file is broken: exit code %d:\n%s", code, out)
	}
	if !strings.Contains(out, "last good version") {
		h.t.Errorf("nothing tells that the last good version runs:\n%s", out)
	}
	if r := h.ended(a, h.trigger(a, "other", "other")); r.State != dag.RunSuccess {
		h.t.Errorf("the run of an unbroken file is %s", r.State)
	}
	if now := h.version(a, "versioned"); now != version {
		h.t.Errorf("the version of the broken file's DAG is %s, want %s", now, version)
	}
	for _, verb := range []string{"pause", "unpause"} {
		if out, code := h.gust("dags", verb, "versioned"); code != 0 {
			h.t.Errorf("%s a DAG whose file is broken: exit code %d:\n%s", verb, code, out)
		}
	}
}

// TestNewAndRemovedFiles adds a file, a folder with a file, and takes one away.
func TestNewAndRemovedFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"dag_processor.refresh_interval": "600"})
	d := h.start("scheduler").ready()
	known := func(a *app.App, id string) bool {
		row, err := a.Store.DagGet(context.Background(), id)
		return err == nil && !row.Stale
	}
	h.with(func(a *app.App) {
		h.write("dags/one.yaml", head("one", "")+task("t", "EmptyOperator"))
		h.soon("a new file", func() bool { return known(a, "one") })
		h.mkdir("dags/team/deep")
		h.write("dags/team/deep/two.yaml", head("two", "")+task("t", "EmptyOperator"))
		h.soon("a file in a new folder", func() bool { return known(a, "two") })
		if r := h.ended(a, h.trigger(a, "two", "run")); r.State != dag.RunSuccess {
			t.Errorf("run is %s", r.State)
		}
		h.remove("dags/one.yaml")
		h.soon("a removed file", func() bool { return !known(a, "one") })
	})
	d.stop()
}
