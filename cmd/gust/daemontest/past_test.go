//go:build linux

package daemontest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
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

func (h *harness) audit() {
	h.t.Helper()
	conn, release := h.database("gust.db")
	defer release()
	if _, err := conn.ExecContext(context.Background(), auditSQL); err != nil {
		h.t.Fatal(err)
	}
}

// past gathers what has happened.
func (h *harness) past() *past {
	h.t.Helper()
	p := &past{
		tasks: map[dag.RunKey][]dag.TaskInstance{}, ended: map[string]bool{}, wanted: h.all, meddled: h.meddled, marked: h.marked,
		executions: h.executions(),
	}
	h.with(func(a *app.App) {
		p.runs = h.runs(a, store.RunListParams{Limit: 10_000})
		for i := range p.runs {
			tasks, err := a.Store.TaskInstanceList(context.Background(), p.runs[i].RunKey)
			if err != nil {
				h.t.Fatal(err)
			}
			p.tasks[p.runs[i].RunKey] = tasks
		}
	})
	// Somebody else's work at a child's parent is work at the child.
	for i := range p.runs {
		if r := &p.runs[i]; h.all[r.DagID].inner {
			p.meddled[r.RunKey] = true
		}
	}
	h.readJournal(p, h.changes(p))
	if text := h.read(violationsFile); text != "" {
		p.limits = strings.Split(strings.TrimSpace(text), "\n")
	}
	return p
}

// changes reads the changes of states. It returns the number of the one that ended each attempt.
func (h *harness) changes(p *past) map[string]int64 {
	h.t.Helper()
	ends := map[string]int64{}
	query(h.crash, h.path("home", "gust.db"), `SELECT n, dag_id, run_id, task_id, map_index, coalesce(was, ''), coalesce(is_now, ''), try
		FROM audit ORDER BY n`, func(row *sql.Rows) error {
		var c change
		var n int64
		err := row.Scan(&n, &c.key.DagID, &c.key.RunID, &c.key.TaskID, &c.key.MapIndex, &c.from, &c.to, &c.try)
		p.changes = append(p.changes, c)
		if c.to.Finished() || c.to == dag.StateUpForRetry {
			ends[fmt.Sprintf("%s %d", nameOf(c.key), c.try)] = n
		}
		return err
	})
	return ends
}

// readJournal reads the lines that bash tasks have written.
func (h *harness) readJournal(p *past, ends map[string]int64) {
	h.t.Helper()
	at := int64(0)
	for line := range bytes.Lines([]byte(h.read("journal"))) {
		verb, attempt, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if verb == "begin" {
			life, _ := slices.BinarySearch(h.journalAt, at+1)
			end, known := ends[attempt]
			p.journal = append(p.journal, beginning{attempt: attempt, life: life, known: known && life > 0 && end <= h.auditAt[life-1]})
		} else {
			p.ended[attempt] = true
		}
		at += int64(len(line))
	}
}

// executions are all executions of the service.
func (h *harness) executions() []execution {
	h.t.Helper()
	api, release := h.client()
	defer release()
	var all []execution
	files, err := filepath.Glob(h.path("machines", "*.asl.json"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, file := range files {
		pages := sfn.NewListExecutionsPaginator(api, &sfn.ListExecutionsInput{MaxResults: 1000, StateMachineArn: aws.String(
			"arn:aws:states:us-east-1:123456789012:stateMachine:" + strings.TrimSuffix(filepath.Base(file), ".asl.json"))})
		for pages.HasMorePages() {
			page, err := pages.NextPage(context.Background())
			if err != nil {
				h.t.Fatal(err)
			}
			for i := range page.Executions {
				e := &page.Executions[i]
				all = append(all, execution{
					arn: aws.ToString(e.ExecutionArn), by: h.startedBy(api, aws.ToString(e.ExecutionArn)),
					status: string(e.Status), redrives: int(aws.ToInt32(e.RedriveCount)),
				})
			}
		}
	}
	return all
}

// startedBy is who asked for an execution; it does not change and is asked for once.
func (h *harness) startedBy(api *sfn.Client, arn string) string {
	h.t.Helper()
	if by, known := h.by[arn]; known {
		return by
	}
	d, err := api.DescribeExecution(context.Background(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
	if err != nil {
		h.t.Fatal(err)
	}
	by, err := startedBy(aws.ToString(d.Input))
	if err != nil {
		h.t.Fatal(err)
	}
	h.by[arn] = by
	return by
}

func sorted(texts []string) []string {
	slices.Sort(texts)
	return texts
}
