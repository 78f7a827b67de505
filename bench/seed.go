package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"gust/dag"
	"gust/internal/home"
	"gust/store/sqlite"
)

// parkedHome is a home folder whose database holds parked waits: one run that a daemon has parked, and copies of its
// rows under other run ids. So the rows are whatever the daemon writes, and a million of them take seconds.
type parkedHome struct {
	home, pipelines string
	dagID           string
	runs, tasks     int
	env             []string
}

// templateRun is the run that is copied. Every other run id has as many characters, and takes its place in all texts of
// the copied rows.
const templateRun = "run0000000"

func (p *parkedHome) waits() int { return p.runs * p.tasks }

// runID is the id of the i-th run.
func runID(i int) string { return fmt.Sprintf("run%07d", i) }

// seed parks the tasks of one run of a pipeline file by a daemon, ends that, and copies the run.
func (b *bench) seed(ctx context.Context, p *parkedHome, yaml string) error {
	binary, err := b.binary(ctx)
	if err != nil {
		return err
	}
	dir, err := b.folder(p.dagID)
	if err != nil {
		return err
	}
	p.home, p.pipelines = filepath.Join(dir, "home"), filepath.Join(dir, "pipelines")
	err = errors.Join(writeFiles(p.home, nil), writeFiles(p.pipelines, map[string]string{p.dagID + ".yaml": yaml}))
	if err != nil {
		return err
	}
	d, err := startDaemon(ctx, binary, p.home, p.pipelines, p.env...)
	if err != nil {
		return err
	}
	err = d.parkRun(ctx, p)
	if err = errors.Join(err, d.stop()); err != nil {
		return err
	}
	return copyRuns(ctx, filepath.Join(p.home, "gust.db"), p.runs)
}

// parkRun starts the run that is copied and waits until all of its tasks are parked.
func (d *daemon) parkRun(ctx context.Context, p *parkedHome) error {
	rows, err := sqlite.Open(ctx, filepath.Join(p.home, "gust.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	err = rows.RunCreate(ctx, &dag.Run{
		RunKey: dag.RunKey{DagID: p.dagID, RunID: templateRun}, State: dag.RunQueued, Type: dag.RunManual,
		RunAfter: now, QueuedAt: now, TriggeredBy: dag.ByCLI,
	})
	if err = errors.Join(err, rows.Close()); err != nil {
		return err
	}
	if err := home.Wake(p.home); err != nil {
		return err
	}
	return d.awaitParked(ctx, p.tasks)
}

// copyRuns makes so many runs of the one that is there. It is not durable before its end: the rows are made anew after
// a crash.
func copyRuns(ctx context.Context, path string, runs int) (err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=cache_size(-200000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, table := range []string{"dag_run", "task_instance"} {
		columns, values, err := copyColumns(ctx, db, table)
		if err != nil {
			return err
		}
		const atOnce = 200 // runs: the log is written back in between
		for from := 1; from < runs; from += atOnce {
			query := fmt.Sprintf(`WITH RECURSIVE number(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM number WHERE i + 1 < ?)
				INSERT INTO %s (%s) SELECT %s FROM number, %[1]s WHERE run_id = '%[4]s'`, table, columns, values, templateRun)
			if _, err := db.ExecContext(ctx, query, from, min(from+atOnce, runs)); err != nil {
				return fmt.Errorf("copy the rows of %s: %w", table, err)
			}
		}
	}
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// copyColumns lists the columns of a table without its row id, and what a copy has in them.
func copyColumns(ctx context.Context, db *sql.DB, table string) (columns, values string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT name, type FROM pragma_table_info(?) WHERE name <> 'id'", table)
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var names, copies []string
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return "", "", err
		}
		names = append(names, name)
		if kind == "TEXT" && (name == "run_id" || strings.HasPrefix(name, "trigger_")) {
			name = fmt.Sprintf("replace(%s, '%s', printf('run%%07d', i))", name, templateRun)
		}
		copies = append(copies, name)
	}
	return strings.Join(names, ", "), strings.Join(copies, ", "), rows.Err()
}

// waitYAML is a pipeline file of tasks that do nothing but wait.
func waitYAML(id string, tasks int, task func(i int) string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s:\n  schedule: null\n  start_date: 2100-01-01\n  catchup: false\n", id)
	fmt.Fprintf(&text, "  max_active_runs: 1000000\n  max_active_tasks: 10000000\n  tasks:\n")
	for i := range tasks {
		fmt.Fprintf(&text, "    - task_id: %s\n%s", taskID(i), task(i))
	}
	return text.String()
}
