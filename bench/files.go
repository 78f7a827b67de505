package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gust/store/sqlite"
)

// files measures how a daemon takes up pipeline files: all of them for the first time, one that changes, and what it
// keeps of them.
func (b *bench) files(ctx context.Context) ([]result, error) {
	var results []result
	for _, n := range b.profile.files {
		o, err := b.takeUpFiles(ctx, n)
		if err != nil {
			return results, fmt.Errorf("%d files: %w", n, err)
		}
		name := count(n) + " files"
		results = append(results,
			result{Name: name + ", first start to ready", Value: o.load.Seconds(), Unit: "s"},
			result{Name: name + ", start with nothing changed", Value: o.start.Seconds(), Unit: "s"},
			result{Name: name + ", from a file's change to the new version", Value: o.reload.Seconds() * 1000, Unit: "ms"},
			result{Name: name + ", memory (RSS)", Value: o.resident, Unit: "MB"},
		)
		b.grow("first load of pipeline files", "s", n, o.load.Seconds())
		b.grow("start with unchanged files", "s", n, o.start.Seconds())
		b.grow("reload of one file", "ms", n, o.reload.Seconds()*1000)
		b.grow("memory of pipeline files", "MB", n, o.resident)
	}
	return results, nil
}

// filesOutcome is how a daemon did with a folder of files.
type filesOutcome struct {
	load, start, reload time.Duration
	resident            float64 // MB, after the second start
}

// takeUpFiles starts a daemon twice on so many files, and changes one of them a few times.
func (b *bench) takeUpFiles(ctx context.Context, n int) (o filesOutcome, err error) {
	binary, err := b.binary(ctx)
	if err != nil {
		return o, err
	}
	dir, err := b.folder("files")
	if err != nil {
		return o, err
	}
	homeDir, pipelines := filepath.Join(dir, "home"), filepath.Join(dir, "pipelines")
	texts := map[string]string{}
	for i := range n {
		id := fmt.Sprintf("daily_%05d", i)
		texts[id+".yaml"] = gustYAML(id, "0 3 * * *", 5, true)
	}
	if err := errors.Join(writeFiles(homeDir, nil), writeFiles(pipelines, texts)); err != nil {
		return o, err
	}
	d, err := startDaemon(ctx, binary, homeDir, pipelines)
	if err != nil {
		return o, err
	}
	o.load = d.took
	err = allLoaded(ctx, homeDir, n)
	if err = errors.Join(err, d.stop()); err != nil {
		return o, err
	}
	if d, err = startDaemon(ctx, binary, homeDir, pipelines); err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	o.start = d.took
	if err := pause(ctx, b.profile.rest); err != nil {
		return o, err
	}
	if o.resident, err = residentMB(d.pid()); err != nil {
		return o, err
	}
	var reloads []time.Duration
	for i := range 5 {
		took, err := reload(ctx, homeDir, filepath.Join(pipelines, "daily_00000.yaml"), gustYAML("daily_00000", "0 3 * * *", 6+i, true))
		if err != nil {
			return o, err
		}
		reloads = append(reloads, took)
	}
	o.reload = quantile(reloads, 0.5)
	return o, nil
}

// allLoaded checks that so many DAGs are in a home's database.
func allLoaded(ctx context.Context, homeDir string, n int) (err error) {
	rows, err := sqlite.Open(ctx, filepath.Join(homeDir, "gust.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	dags, err := rows.DagList(ctx)
	if err == nil && len(dags) != n {
		err = fmt.Errorf("%d DAGs are loaded when the daemon is ready", len(dags))
	}
	return err
}

// reload replaces a file and waits until its DAG has another version.
func reload(ctx context.Context, homeDir, path, text string) (took time.Duration, err error) {
	rows, err := sqlite.Open(ctx, filepath.Join(homeDir, "gust.db"), sqlite.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	const dagID = "daily_00000"
	before, err := rows.DagGet(ctx, dagID)
	if err != nil {
		return 0, err
	}
	next := filepath.Join(homeDir, "next.yaml")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := os.Rename(next, path); err != nil {
		return 0, err
	}
	for {
		now, err := rows.DagGet(ctx, dagID)
		switch {
		case err != nil:
			return 0, err
		case now.Version != before.Version:
			return time.Since(start), nil
		case time.Since(start) > time.Minute:
			return 0, errors.New("a changed file was not noticed within a minute")
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
}
