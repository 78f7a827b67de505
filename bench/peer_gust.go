package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"gust/dag"
	"gust/internal/home"
	"gust/store"
	"gust/store/sqlite"
)

// gustJob starts a daemon, queues the runs in its database as "gust dags trigger" does, and waits for their ends.
func (b *bench) gustJob(ctx context.Context, j job) (o outcome, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("gust: %w", err)
		}
	}()
	binary, err := b.binary(ctx)
	if err != nil {
		return o, err
	}
	dir, err := b.folder("gust-job")
	if err != nil {
		return o, err
	}
	homeDir, pipelines := filepath.Join(dir, "home"), filepath.Join(dir, "pipelines")
	files := map[string]string{
		"job.yaml": gustYAML("job", "", j.steps, j.chain), "warm.yaml": gustYAML("warm", "", 1, true),
	}
	if j.light {
		files["job.yaml"] = gustLight("job", j.steps, pipelines)
		files["warm.yaml"] = gustLight("warm", 1, pipelines)
		files[lightFile] = lightModule
	}
	if err := errors.Join(writeFiles(homeDir, nil), writeFiles(pipelines, files)); err != nil {
		return o, err
	}
	d, err := startDaemon(ctx, binary, homeDir, pipelines)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	rows, err := sqlite.Open(ctx, filepath.Join(homeDir, "gust.db"), sqlite.Options{})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if _, err := triggerAndWait(ctx, rows, homeDir, "warm", 1); err != nil {
		return o, err
	}
	memory := startSampler(func() []int { return []int{d.pid()} })
	defer func() { o.memory = memory.end() }()
	o.took, err = triggerAndWait(ctx, rows, homeDir, "job", j.runs)
	return o, err
}

// triggerAndWait creates runs and returns the time until the last one's end. A run that fails is an error.
func triggerAndWait(ctx context.Context, rows *sqlite.Store, homeDir, dagID string, runs int) (time.Duration, error) {
	start := time.Now()
	if err := trigger(ctx, rows, homeDir, dagID, runs); err != nil {
		return 0, err
	}
	if err := awaitRuns(ctx, rows, dagID); err != nil {
		return 0, err
	}
	took := time.Since(start)
	failed, err := rows.RunList(ctx, &store.RunListParams{DagID: dagID, States: []dag.RunState{dag.RunFailed}, Limit: 1})
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("run %s failed: %s", failed[0].RunID, failed[0].Reason)
	}
	return took, err
}

// trigger creates runs as "gust dags trigger" does.
func trigger(ctx context.Context, rows *sqlite.Store, homeDir, dagID string, runs int) error {
	for i := range runs {
		now := time.Now().UTC()
		r := &dag.Run{
			RunKey: dag.RunKey{DagID: dagID, RunID: fmt.Sprintf("manual__%s_%d", now.Format(time.RFC3339), i)},
			State:  dag.RunQueued, Type: dag.RunManual, RunAfter: now, QueuedAt: now, TriggeredBy: dag.ByCLI,
		}
		if err := rows.RunCreate(ctx, r); err != nil {
			return err
		}
		if err := home.Wake(homeDir); err != nil {
			return err
		}
	}
	return nil
}

// awaitRuns waits until no run of a DAG is unfinished. It looks often at first, and later as often as half a percent of
// the time is worth.
func awaitRuns(ctx context.Context, rows *sqlite.Store, dagID string) error {
	unfinished := &store.RunListParams{DagID: dagID, States: []dag.RunState{dag.RunQueued, dag.RunRunning}, Limit: 1}
	for start := time.Now(); ; {
		open, err := rows.RunList(ctx, unfinished)
		if err != nil || len(open) == 0 {
			return err
		}
		if err := pause(ctx, min(max(time.Since(start)/200, 2*time.Millisecond), time.Second)); err != nil {
			return err
		}
	}
}
