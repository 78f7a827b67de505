package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"

	"gust/dag"
	"gust/store"
)

// The number of columns is the cost of a start. Of a wait that goes on, and that the trigger loop can hold without its
// arguments, only what is needed is read; of other tasks everything but the note.
const (
	taskWaitsSQL = `(state IS 'deferred' AND trigger_key IS NOT NULL AND trigger_event IS NULL AND trigger_error IS NULL
		AND coalesce(trigger_clock, 0) < 2 AND rendered_map_index IS NULL AND error = '')`

	taskLoadSQL = `SELECT ` + taskColumns + `, NULL FROM task_instance
		WHERE dag_id = ?1 AND run_id = ?2 AND NOT ` + taskWaitsSQL

	waitLoadSQL = `SELECT task_id, operator, pool, trigger_kind, trigger_key, map_index, try_number, max_tries, pool_slots,
		priority_weight, queued_dttm, start_date, first_start_date, trigger_since, trigger_timeout, trigger_length,
		trigger_clock, trigger_subject FROM task_instance WHERE dag_id = ?1 AND run_id = ?2 AND ` + taskWaitsSQL
)

func loadActive(ctx context.Context, v view, out *store.Snapshot) error {
	runs, err := list(ctx, v, decodeRun, runActiveSQL)
	if err != nil {
		return err
	}
	out.Active = make([]store.ActiveRun, len(runs))
	err = scan(v.conn, func(sc *scanner) error {
		l := loader{texts: map[string]string{}}
		for i := range runs {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			a := &out.Active[i]
			a.Run = runs[i]
			if err := l.load(ctx, sc, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	versions, err := list(ctx, v, decodeVersion, versionActiveSQL)
	for _, d := range versions {
		out.Versions[d.Version] = d
	}
	return err
}

// loader reads the task instances of many runs; a text that many have is kept once.
type loader struct {
	texts map[string]string
	args  [2]driver.Value
	tasks []dag.TaskInstance // of one run, used again
	waits []dag.Deferral
}

func (l *loader) load(ctx context.Context, sc *scanner, a *store.ActiveRun) error {
	l.args = [2]driver.Value{a.Run.DagID, a.Run.RunID}
	l.tasks, l.waits = l.tasks[:0], l.waits[:0]
	if err := sc.rows(ctx, waitLoadSQL, l.args[:], func(r row) error { l.wait(a, r); return nil }); err != nil {
		return err
	}
	waits := slices.Clone(l.waits)
	for i := range waits {
		l.tasks[i].Deferral = &waits[i]
	}
	if err := sc.rows(ctx, taskLoadSQL, l.args[:], func(r row) error { l.task(a, r); return nil }); err != nil {
		return err
	}
	if len(l.tasks) > 0 {
		a.Tasks = slices.Clone(l.tasks)
	}
	return sc.rows(ctx, xcomSkipsSQL, l.args[:], func(r row) error {
		x, err := decodeXCom(r)
		a.Skips = append(a.Skips, x)
		return err
	})
}

func (l *loader) wait(a *store.ActiveRun, r row) {
	l.tasks = append(l.tasks, dag.TaskInstance{
		Key:   dag.Key{DagID: a.Run.DagID, RunID: a.Run.RunID, TaskID: l.text(r, 0), MapIndex: r.int(5)},
		State: dag.StateDeferred, TryNumber: r.int(6), MaxTries: r.int(7), Operator: l.text(r, 1), Pool: l.text(r, 2),
		PoolSlots: r.int(8), Priority: r.int(9), QueuedAt: r.time(10), StartDate: r.time(11), FirstStart: r.time(12),
	})
	l.waits = append(l.waits, dag.Deferral{
		Kind: l.text(r, 3), Keyed: true, Key: l.text(r, 4), Subject: uint64(r.int(17)), Since: r.time(13), Deadline: r.time(14),
		Timeout: r.micros(15), ByExecutionTimeout: r.int(16)&clockByExecutionTimeout != 0,
	})
}

func (l *loader) task(a *store.ActiveRun, r row) {
	ti := decodeTask(r)
	ti.DagID, ti.RunID, ti.TaskID = a.Run.DagID, a.Run.RunID, l.text(r, 2)
	ti.State, ti.Operator, ti.Pool = dag.State(l.text(r, 4)), l.text(r, 7), l.text(r, 8)
	l.tasks = append(l.tasks, ti)
}

// text is a text that many rows have; it is kept once.
func (l *loader) text(r row, i int) string {
	s := r.text(i)
	if known, ok := l.texts[s]; ok {
		return known
	}
	l.texts[s] = s
	return s
}
