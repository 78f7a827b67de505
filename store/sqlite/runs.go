package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gust/dag"
	"gust/store"
)

const (
	runColumns = `dag_id, run_id, state, run_type, logical_date, run_after, data_interval_start, data_interval_end,
		queued_at, start_date, end_date, conf, triggered_by, dag_hash, reason, clear_number, backfill_id, note, asset_events,
		deadlines_missed`

	runInsertSQL = `INSERT INTO dag_run (` + runColumns + `)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)`

	runUpdateSQL = `UPDATE dag_run SET state = ?1, run_type = ?2, logical_date = ?3, run_after = ?4,
		data_interval_start = ?5, data_interval_end = ?6, queued_at = ?7, start_date = ?8, end_date = ?9, conf = ?10,
		triggered_by = ?11, dag_hash = ?12, reason = ?13, clear_number = ?14, backfill_id = ?15,
		deadlines_missed = ?16
		WHERE dag_id = ?17 AND run_id = ?18 AND state IS NOT DISTINCT FROM ?19`

	runStateSQL = `SELECT state FROM dag_run WHERE dag_id = ?1 AND run_id = ?2`

	runGetSQL = `SELECT ` + runColumns + ` FROM dag_run WHERE dag_id = ?1 AND run_id = ?2`

	runListSQL = `SELECT ` + runColumns + ` FROM dag_run `

	runActiveSQL = `SELECT ` + runColumns + ` FROM dag_run WHERE state IN ('queued', 'running') ORDER BY run_after, id`

	runQueuedSQL = `SELECT ` + runColumns + ` FROM dag_run WHERE state = 'queued' AND state IN ('queued', 'running')
		ORDER BY run_after, id`

	// Every dag_id that has a run, by one index seek each.
	runDagIDs = `WITH RECURSIVE ids(dag_id) AS (
		SELECT min(dag_id) FROM dag_run
		UNION ALL SELECT (SELECT min(r.dag_id) FROM dag_run r WHERE r.dag_id > ids.dag_id)
		FROM ids WHERE ids.dag_id IS NOT NULL) `

	runLastScheduledSQL = runDagIDs + `SELECT ` + runColumns + ` FROM dag_run WHERE id IN (SELECT (
		SELECT r.id FROM dag_run r WHERE r.dag_id = ids.dag_id AND r.run_type = 'scheduled'
		ORDER BY r.run_after DESC, r.id DESC LIMIT 1) FROM ids)`
)

// RunCreate implements store.Runs.
func (s *Store) RunCreate(ctx context.Context, run *dag.Run) error {
	return s.write(ctx, "create run", func(t *transaction) error {
		if run.State != dag.RunQueued {
			return fmt.Errorf("run %s of %s: %w: a new run must be queued, not %q",
				run.RunID, run.DagID, store.ErrInvalid, run.State)
		}
		return t.insertRun(run)
	})
}

// RunGet implements store.Runs.
func (s *Store) RunGet(ctx context.Context, key dag.RunKey) (run *dag.Run, err error) {
	err = s.read(ctx, "get run", func(v view) error {
		run, err = one(ctx, v, runName(key), decodeRun, runGetSQL, key.DagID, key.RunID)
		return err
	})
	return run, err
}

// RunList implements store.Runs.
func (s *Store) RunList(ctx context.Context, params *store.RunListParams) (out []dag.Run, err error) {
	query, args := runListQuery(params)
	err = s.read(ctx, "list runs", func(v view) error {
		out, err = list(ctx, v, decodeRun, query, args...)
		return err
	})
	return out, err
}

func runListQuery(p *store.RunListParams) (string, []any) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	date := func(condition string, t time.Time) {
		if !t.IsZero() {
			add(condition, t.UnixMicro())
		}
	}
	if p.DagID != "" {
		add("dag_id = ?%d", p.DagID)
	}
	anyOf(&where, &args, "state IN", p.States)
	anyOf(&where, &args, "run_type IN", p.Types)
	anyOf(&where, &args, "run_type NOT IN", p.NotTypes)
	date("logical_date = ?%d", p.LogicalDate)
	date("logical_date >= ?%d", p.LogicalFrom)
	date("logical_date <= ?%d", p.LogicalUntil)
	date("run_after < ?%d", p.Before)
	query := runListSQL
	if len(where) > 0 {
		query += "WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, bounded(p.Limit))
	return query + fmt.Sprintf(" ORDER BY run_after DESC, id DESC LIMIT ?%d", len(args)), args
}

func anyOf[S ~string](where *[]string, args *[]any, condition string, values []S) {
	if len(values) == 0 {
		return
	}
	marks := make([]string, len(values))
	for i, v := range values {
		*args = append(*args, string(v))
		marks[i] = fmt.Sprintf("?%d", len(*args))
	}
	*where = append(*where, condition+" ("+strings.Join(marks, ", ")+")")
}

func (t *transaction) insertRun(r *dag.Run) error {
	t.visible = true
	_, err := t.exec(runInsertSQL, r.DagID, r.RunID, string(r.State), string(r.Type), micros(r.LogicalDate),
		micros(r.RunAfter), micros(r.IntervalStart), micros(r.IntervalEnd), micros(r.QueuedAt), micros(r.StartDate),
		micros(r.EndDate), jsonText(r.Conf), string(r.TriggeredBy), r.DagVersion, r.Reason, int64(r.ClearNumber),
		r.BackfillID, r.Note, eventIDs(r.AssetEvents), int64(r.DeadlinesMissed))
	switch {
	case err == nil:
		return nil
	case !taken(err):
		return fmt.Errorf("%s: %w", runName(r.RunKey), err)
	case strings.Contains(err.Error(), "logical_date"):
		return fmt.Errorf("%s: a run of the DAG with the logical date %s %w: %w",
			runName(r.RunKey), r.LogicalDate.UTC().Format(time.RFC3339Nano), store.ErrExists, err)
	}
	return fmt.Errorf("%s %w: %w", runName(r.RunKey), store.ErrExists, err)
}

func (t *transaction) updateRun(c *store.RunChange) error {
	t.visible = true
	r := &c.Run
	changed, err := t.exec(runUpdateSQL, string(r.State), string(r.Type), micros(r.LogicalDate), micros(r.RunAfter),
		micros(r.IntervalStart), micros(r.IntervalEnd), micros(r.QueuedAt), micros(r.StartDate), micros(r.EndDate),
		jsonText(r.Conf), string(r.TriggeredBy), r.DagVersion, r.Reason, int64(r.ClearNumber), r.BackfillID, int64(r.DeadlinesMissed), r.DagID,
		r.RunID, string(c.From))
	if err != nil {
		return fmt.Errorf("%s: %w", runName(r.RunKey), err)
	}
	if changed == 1 {
		return nil
	}
	found, err := t.first(runStateSQL, r.DagID, r.RunID)
	if err != nil {
		return fmt.Errorf("%s: %w", runName(r.RunKey), err)
	}
	if found == nil {
		return fmt.Errorf("%s: %w: there is no such row, expected %s", runName(r.RunKey), store.ErrConflict, c.From)
	}
	return fmt.Errorf("%s: %w: it is %s, expected %s", runName(r.RunKey), store.ErrConflict, found.text(0), c.From)
}

func runName(k dag.RunKey) string { return fmt.Sprintf("run %s of %s", k.RunID, k.DagID) }

// eventIDs is a list of asset events as stored: NULL when it is empty.
func eventIDs(ids []int64) driver.Value {
	if len(ids) == 0 {
		return nil
	}
	raw, _ := json.Marshal(ids) // numbers always marshal
	return string(raw)
}

func decodeRun(r row) (dag.Run, error) {
	var events []int64
	if raw := r.json(18); raw != nil {
		if err := json.Unmarshal(raw, &events); err != nil {
			return dag.Run{}, fmt.Errorf("run %s: %w: asset_events: %w", r.text(1), store.ErrCorrupt, err)
		}
	}
	return dag.Run{
		AssetEvents: events, DeadlinesMissed: uint64(r.int(19)),
		RunKey: dag.RunKey{DagID: r.text(0), RunID: r.text(1)}, State: dag.RunState(r.text(2)),
		Type: dag.RunType(r.text(3)), LogicalDate: r.time(4), RunAfter: r.time(5), IntervalStart: r.time(6),
		IntervalEnd: r.time(7), QueuedAt: r.time(8), StartDate: r.time(9), EndDate: r.time(10), Conf: r.json(11),
		TriggeredBy: dag.TriggeredBy(r.text(12)), DagVersion: r.text(13), Reason: r.text(14),
		ClearNumber: r.int(15), BackfillID: int64(r.int(16)), Note: r.text(17),
	}, nil
}
