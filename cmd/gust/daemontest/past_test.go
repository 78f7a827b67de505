//go:build linux

package daemontest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/dag"
	"gust/internal/app"
	"gust/store"
)

// auditSQL has the database itself write down every change of a task instance's state, in the transaction that makes it.
const auditSQL = `
CREATE TABLE audit (n INTEGER PRIMARY KEY, dag_id, run_id, task_id, map_index, was, is_now, try);
CREATE TRIGGER audit_update AFTER UPDATE OF state ON task_instance WHEN old.state IS NOT new.state BEGIN
	INSERT INTO audit (dag_id, run_id, task_id, map_index, was, is_now, try)
		VALUES (new.dag_id, new.run_id, new.task_id, new.map_index, old.state, new.state, new.try_number);
END;
CREATE TRIGGER audit_insert AFTER INSERT ON task_instance WHEN new.state IS NOT NULL BEGIN
	INSERT INTO audit (dag_id, run_id, task_id, map_index, was, is_now, try)
		VALUES (new.dag_id, new.run_id, new.task_id, new.map_index, NULL, new.state, new.try_number);
END;`

// audit begins to write them down, in a home that is made if there is none.
func (c *crash) audit() {
	c.t.Helper()
	c.with(func(*app.App) {})
	conn, release := c.database("gust.db")
	defer release()
	if _, err := conn.ExecContext(context.Background(), auditSQL); err != nil {
		c.t.Fatal(err)
	}
}

// tally takes note of how far everything was when a daemon ended. It leaves the recovery of the database to the next one.
func (c *crash) tally() {
	c.t.Helper()
	c.journalAt = append(c.journalAt, stamp(c.path("journal")).size)
	query(c, c.path("home", "gust.db")+"?mode=ro", `SELECT coalesce(max(n), 0) FROM audit`, func(row *sql.Rows) error {
		var n int64
		err := row.Scan(&n)
		c.auditAt = append(c.auditAt, n)
		return err
	})
}

// past gathers what has happened.
func (c *crash) past(executions []execution) *past {
	c.t.Helper()
	p := &past{
		tasks: map[dag.RunKey][]dag.TaskInstance{}, ended: map[string]bool{}, wanted: c.all, executions: executions,
		count: map[string]int{"ticks": c.all["ticks"].slots},
	}
	for n := range c.created {
		p.count[c.menu[n%len(c.menu)]]++
	}
	p.count["child"] = children * p.count["parent"]
	c.with(func(a *app.App) {
		p.runs = c.runs(a, store.RunListParams{Limit: 10_000})
		for i := range p.runs {
			tasks, err := a.Store.TaskInstanceList(context.Background(), p.runs[i].RunKey)
			if err != nil {
				c.t.Fatal(err)
			}
			p.tasks[p.runs[i].RunKey] = tasks
		}
	})
	c.readJournal(p, c.changes(p))
	return p
}

// changes reads the changes of states. It returns the number of the one that ended each attempt.
func (c *crash) changes(p *past) map[string]int64 {
	c.t.Helper()
	ends := map[string]int64{}
	query(c, c.path("home", "gust.db"), `SELECT n, dag_id, run_id, task_id, map_index, coalesce(was, ''), coalesce(is_now, ''), try
		FROM audit ORDER BY n`, func(row *sql.Rows) error {
		var ch change
		var n int64
		err := row.Scan(&n, &ch.key.DagID, &ch.key.RunID, &ch.key.TaskID, &ch.key.MapIndex, &ch.from, &ch.to, &ch.try)
		p.changes = append(p.changes, ch)
		if ch.to.Finished() || ch.to == dag.StateUpForRetry {
			ends[fmt.Sprintf("%s %d", nameOf(ch.key), ch.try)] = n
		}
		return err
	})
	return ends
}

// readJournal reads the lines that bash tasks have written.
func (c *crash) readJournal(p *past, ends map[string]int64) {
	c.t.Helper()
	text, err := os.ReadFile(c.path("journal"))
	if err != nil {
		c.t.Fatal(err)
	}
	at := int64(0)
	for line := range bytes.Lines(text) {
		verb, attempt, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if verb == "begin" {
			life, _ := slices.BinarySearch(c.journalAt, at+1)
			end, known := ends[attempt]
			p.journal = append(p.journal, beginning{attempt: attempt, life: life, known: known && life > 0 && end <= c.auditAt[life-1]})
		} else {
			p.ended[attempt] = true
		}
		at += int64(len(line))
	}
}

// executionsAt are all executions of a service.
func (c *crash) executionsAt(endpoint string) []execution {
	c.t.Helper()
	api, release := client(endpoint)
	defer release()
	var all []execution
	files, err := filepath.Glob(c.path("machines", "*.asl.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, file := range files {
		pages := sfn.NewListExecutionsPaginator(api, &sfn.ListExecutionsInput{MaxResults: 1000, StateMachineArn: aws.String(
			"arn:aws:states:us-east-1:123456789012:stateMachine:" + strings.TrimSuffix(filepath.Base(file), ".asl.json"))})
		for pages.HasMorePages() {
			page, err := pages.NextPage(context.Background())
			if err != nil {
				c.t.Fatal(err)
			}
			for i := range page.Executions {
				e := &page.Executions[i]
				all = append(all, execution{
					arn: aws.ToString(e.ExecutionArn), by: c.asker(api, aws.ToString(e.ExecutionArn)), status: string(e.Status),
				})
			}
		}
	}
	return all
}

// asker is who asked for an execution; it does not change and is asked for once.
func (c *crash) asker(api *sfn.Client, arn string) string {
	c.t.Helper()
	if by, known := c.askers[arn]; known {
		return by
	}
	d, err := api.DescribeExecution(context.Background(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
	if err != nil {
		c.t.Fatal(err)
	}
	by, err := startedBy(aws.ToString(d.Input))
	if err != nil {
		c.t.Fatal(err)
	}
	c.askers[arn] = by
	return by
}

// client talks to a service directly.
func client(endpoint string) (api *sfn.Client, release func()) {
	transport := &http.Transport{}
	return sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
	}), transport.CloseIdleConnections
}

func sorted(texts []string) []string {
	slices.Sort(texts)
	return texts
}
