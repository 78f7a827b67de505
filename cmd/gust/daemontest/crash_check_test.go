//go:build linux

package daemontest

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // to look into the databases that a killed daemon leaves

	"gust/dag"
	"gust/internal/app"
)

// bury looks at what a daemon has left. The databases are copied first: their recovery is the next daemon's.
func (c *crash) bury() {
	c.t.Helper()
	number := len(c.journalAt)
	c.tally()
	if number >= 8 && number%8 != 0 {
		return // it reads everything, and there is more each time
	}
	folder := c.path(fmt.Sprintf("remains-%d", number))
	c.checkIntegrity(c.copyDatabase(folder, "gust.db"))
	if stamp(c.path("home", "stepfunctions.db")).size > 0 {
		c.checkIntegrity(c.copyDatabase(folder, "stepfunctions.db"))
	}
	if err := os.RemoveAll(folder); err != nil {
		c.t.Fatal(err)
	}
}

// copyDatabase copies a database with its log into folder.
func (c *crash) copyDatabase(folder, name string) string {
	c.t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		c.t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(c.path("home", name+suffix))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name+suffix), text, 0o600)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return filepath.Join(folder, name)
}

func query(c *crash, path, text string, each func(*sql.Rows) error) {
	c.t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), text)
	if err != nil {
		c.t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crash) checkIntegrity(path string) {
	c.t.Helper()
	query(c, path, `PRAGMA integrity_check`, func(row *sql.Rows) error {
		var text string
		err := row.Scan(&text)
		if text != "ok" {
			c.t.Errorf("kill %d: %s: %s", len(c.journalAt), filepath.Base(path), text)
		}
		return err
	})
}

// checkOrphans wants nothing of earlier daemons to live once a daemon is ready. The kernel may take a moment over the
// dead.
func (c *crash) checkOrphans(d *daemon) {
	c.t.Helper()
	var left []proc
	for range 50 {
		if left = d.orphans(); len(left) == 0 {
			return
		}
		pause(2 * time.Millisecond)
	}
	c.t.Errorf("kill %d: left behind by an earlier daemon: %v", len(c.journalAt), left)
}

// checkNothingLeft wants the last daemon to leave no process, and all of them no temporary file.
func (c *crash) checkNothingLeft() {
	c.t.Helper()
	c.wantNothingLeft()
	left, err := os.ReadDir(c.path("tmp"))
	if err != nil {
		c.t.Fatal(err)
	}
	if len(left) > 0 {
		c.t.Errorf("%d temporary files left behind, such as %s", len(left), left[0].Name())
	}
}

// check holds the invariants against what has happened.
func (c *crash) check(executions []execution) {
	c.t.Helper()
	p := c.past(executions)
	for _, text := range p.broken() {
		c.t.Error(text)
	}
	c.t.Log(p)
}

// checkRun wants a run to have ended as it would have without crashes.
func (c *crash) checkRun(a *app.App, run *dag.Run) {
	c.t.Helper()
	tasks, err := a.Store.TaskInstanceList(context.Background(), run.RunKey)
	if err != nil {
		c.t.Fatal(err)
	}
	p := &past{runs: []dag.Run{*run}, tasks: map[dag.RunKey][]dag.TaskInstance{run.RunKey: tasks}, wanted: c.all}
	for _, text := range p.badEnds() {
		c.t.Error(text)
	}
}

// executionsOf are the executions that the embedded service has ever started.
func (c *crash) executionsOf(path string) []execution {
	c.t.Helper()
	var all []execution
	query(c, path, `SELECT name, status, input FROM executions`, func(row *sql.Rows) error {
		var e execution
		var text string
		err := row.Scan(&e.arn, &e.status, &text)
		if err == nil {
			e.by, err = startedBy(text)
		}
		all = append(all, e)
		return err
	})
	return all
}

// askers counts executions by who asked for them.
func askers(executions []execution) map[string]int {
	counts := map[string]int{}
	for _, e := range executions {
		counts[e.by]++
	}
	return counts
}

func startedBy(input string) (string, error) {
	var in struct{ By string }
	err := json.Unmarshal([]byte(input), &in)
	return in.By, err
}

// report says what the test has been through.
func (c *crash) report(killing time.Duration) {
	c.t.Helper()
	text, err := os.ReadFile(c.path("journal"))
	if err != nil {
		c.t.Fatal(err)
	}
	attempts, begun := map[string]bool{}, 0
	for line := range strings.Lines(string(text)) {
		if attempt, ok := strings.CutPrefix(line, "begin "); ok {
			attempts[attempt] = true
			begun++
		}
	}
	slices.Sort(c.up)
	c.t.Logf("%d kills in %s, %s each; ready after %s (median), %s (worst)", len(c.journalAt), killing.Round(time.Millisecond),
		(killing / time.Duration(max(1, len(c.journalAt)))).Round(time.Millisecond), c.up[len(c.up)/2].Round(time.Millisecond),
		c.up[len(c.up)-1].Round(time.Millisecond))
	c.t.Logf("%d triggered runs, %d bash attempts, %d begun again after a kill", c.created, len(attempts),
		begun-len(attempts))
}
