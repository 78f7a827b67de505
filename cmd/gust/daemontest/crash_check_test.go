//go:build linux

package daemontest

import (
	"bytes"
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
	"gust/store"
)

// bury looks at what a killed daemon has left. The databases are copied first: their recovery is the next daemon's.
func (c *crash) bury() {
	c.t.Helper()
	number := len(c.kills)
	c.kills = append(c.kills, stamp(c.path("journal")).size)
	folder := c.path(fmt.Sprintf("remains-%d", number))
	gust := c.copyDatabase(folder, "gust.db")
	since := c.buried
	c.buried = time.Now()
	query(c, gust, fmt.Sprintf(`SELECT dag_id, run_id, task_id, try_number FROM task_instance
			WHERE end_date >= %[1]d AND state IN ('success', 'failed', 'up_for_retry')
		UNION SELECT dag_id, run_id, task_id, try_number FROM task_instance_history WHERE end_date >= %[1]d`,
		since.Add(-time.Second).UnixMicro()), func(row *sql.Rows) error {
		var dagID, runID, taskID string
		var try int
		err := row.Scan(&dagID, &runID, &taskID, &try)
		attempt := fmt.Sprintf("%s %s %s %d", dagID, runID, taskID, try)
		if _, known := c.over[attempt]; !known {
			c.over[attempt] = number
		}
		return err
	})
	if number < 8 || number%8 == 0 { // it reads everything, and there is more each time
		c.checkIntegrity(gust)
		if stamp(c.path("home", "stepfunctions.db")).size > 0 {
			c.checkIntegrity(c.copyDatabase(folder, "stepfunctions.db"))
		}
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
			c.t.Errorf("kill %d: %s: %s", len(c.kills), filepath.Base(path), text)
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
	c.t.Errorf("kill %d: left behind by an earlier daemon: %v", len(c.kills), left)
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

// checkRuns wants every run to have ended as it would have without crashes.
func (c *crash) checkRuns() {
	c.t.Helper()
	counts := map[string]int{}
	c.with(func(a *app.App) {
		runs := c.runs(a, store.RunListParams{Limit: 10_000})
		for i := range runs {
			counts[runs[i].DagID]++
			c.checkRun(a, &runs[i])
		}
	})
	want := map[string]int{"ticks": c.all["ticks"].slots}
	for n := range c.created {
		want[c.menu[n%len(c.menu)]]++
	}
	want["child"] = children * want["parent"]
	for id := range c.all {
		if counts[id] != want[id] {
			c.t.Errorf("DAG %s has %d runs, want %d", id, counts[id], want[id])
		}
	}
}

func (c *crash) checkRun(a *app.App, run *dag.Run) {
	c.t.Helper()
	p := c.all[run.DagID]
	if run.State != p.run {
		c.t.Errorf("run %s of DAG %s is %s (%s), want %s", run.RunID, run.DagID, run.State, run.Reason, p.run)
	}
	tasks, err := a.Store.TaskInstanceList(context.Background(), run.RunKey)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(tasks) != len(p.tasks) {
		c.t.Errorf("run %s of DAG %s has %d tasks, want %d", run.RunID, run.DagID, len(tasks), len(p.tasks))
	}
	for i := range tasks {
		ti := &tasks[i]
		if got := (end{ti.State, ti.TryNumber}); got != p.tasks[ti.TaskID] {
			c.t.Errorf("%s is %s after %d tries, want %s after %d: %s", ti.Key, got.state, got.try, p.tasks[ti.TaskID].state,
				p.tasks[ti.TaskID].try, ti.Error)
		}
		tries, err := a.Store.TaskInstanceTries(context.Background(), ti.Key)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(tries) != max(0, ti.TryNumber-1) {
			c.t.Errorf("%s has %d archived tries, want %d", ti.Key, len(tries), ti.TryNumber-1)
		}
	}
}

// checkJournal wants an attempt that the database knows to have ended never to begin again, one that was interrupted to
// begin again only after a kill, and every attempt to come to an end.
func (c *crash) checkJournal() {
	c.t.Helper()
	text, err := os.ReadFile(c.path("journal"))
	if err != nil {
		c.t.Fatal(err)
	}
	begun, ends := map[string][]int64{}, map[string]int{}
	at := int64(0)
	for line := range bytes.Lines(text) {
		verb, attempt, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if verb == "begin" {
			begun[attempt] = append(begun[attempt], at)
		} else {
			ends[attempt]++
		}
		at += int64(len(line))
	}
	for attempt, starts := range begun {
		if ends[attempt] == 0 && !strings.HasPrefix(attempt, "doomed ") {
			c.t.Errorf("attempt %q began and never ended", attempt)
		}
		for i, start := range starts {
			k := c.killBefore(start)
			if ended, ok := c.over[attempt]; ok && ended <= k {
				c.t.Errorf("attempt %q began again after its end was recorded", attempt)
			}
			if i > 0 && c.killBefore(starts[i-1]) == k {
				c.t.Errorf("attempt %q began twice in the life of one daemon, number %d", attempt, k+1)
			}
		}
	}
	for id, p := range c.all {
		for taskID := range p.tasks {
			c.checkJournalOf(id, taskID, p.tasks[taskID], begun)
		}
	}
}

// checkJournalOf wants the journal to tell of each run and try of a task that keeps one.
func (c *crash) checkJournalOf(dagID, taskID string, want end, begun map[string][]int64) {
	c.t.Helper()
	if want.try == 0 || !strings.Contains(c.all[dagID].text, "task_id: "+taskID+"\n      operator: BashOperator") {
		return
	}
	runs, tries := map[string]bool{}, 0
	for attempt := range begun {
		if f := strings.Fields(attempt); f[0] == dagID && f[2] == taskID {
			runs[f[1]] = true
			tries++
		}
	}
	if tries != len(runs)*want.try || len(runs) == 0 && c.created >= len(c.menu) {
		c.t.Errorf("the journal tells of %d tries in %d runs of %s.%s, want %d each", tries, len(runs), dagID, taskID,
			want.try)
	}
}

// killBefore is the index of the last kill before the journal had this length, -1 for none.
func (c *crash) killBefore(at int64) int {
	n, _ := slices.BinarySearch(c.kills, at+1)
	return n - 1
}

// executionsOf counts the executions that the embedded service has ever started, by who asked for them.
func (c *crash) executionsOf(path string) map[string]int {
	c.t.Helper()
	counts := map[string]int{}
	query(c, path, `SELECT input FROM executions`, func(row *sql.Rows) error {
		var text string
		if err := row.Scan(&text); err != nil {
			return err
		}
		by, err := startedBy(text)
		counts[by]++
		return err
	})
	return counts
}

func startedBy(input string) (string, error) {
	var in struct{ By string }
	err := json.Unmarshal([]byte(input), &in)
	return in.By, err
}

// checkExecutions wants exactly one execution for each try of each task that starts some.
func (c *crash) checkExecutions(counts map[string]int) {
	c.t.Helper()
	want := map[string]bool{}
	for n := range c.created {
		id := c.menu[n%len(c.menu)]
		for taskID, tries := range c.all[id].executions {
			for try := range tries {
				want[fmt.Sprintf("%s crash-%d %s %d", id, n, taskID, try+1)] = true
			}
		}
	}
	doubled, lost := 0, 0
	for by, n := range counts {
		if !want[by] || n != 1 {
			doubled++
			c.t.Errorf("%d executions were started by %q", n, by)
		}
	}
	for by := range want {
		if counts[by] == 0 {
			lost++
			c.t.Errorf("no execution was started by %q", by)
		}
	}
	c.t.Logf("%d executions, %d doubled, %d lost", len(counts), doubled, lost)
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
	c.t.Logf("%d kills in %s, %s each; ready after %s (median), %s (worst)", len(c.kills), killing.Round(time.Millisecond),
		(killing / time.Duration(max(1, len(c.kills)))).Round(time.Millisecond), c.up[len(c.up)/2].Round(time.Millisecond),
		c.up[len(c.up)-1].Round(time.Millisecond))
	c.t.Logf("%d triggered runs, %d bash attempts, %d begun again after a kill", c.created, len(attempts),
		begun-len(attempts))
}
