package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gust/dag"
	"gust/store"
	"gust/store/sqlite"
	"gust/store/storetest"
)

// benchTime is any moment; rows carry realistic widths, not zeros.
var benchTime = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// benchTasks is a table of runs x tasks rows in running, in random order, as a wide load leaves them.
func benchTasks(runs, tasks int) []store.TaskChange {
	var out []store.TaskChange
	for r := range runs {
		runID := fmt.Sprintf("manual__2026-01-02T03:04:%02d.%06d+00:00", r%60, r)
		for t := range tasks {
			out = append(out, store.TaskChange{New: true, Task: dag.TaskInstance{
				Key: dag.Key{
					DagID: fmt.Sprintf("wide_pipeline_%d", r%10), RunID: runID, TaskID: fmt.Sprintf("task_%03d", t), MapIndex: -1,
				},
				State: dag.StateRunning, TryNumber: 1, MaxTries: 2, Operator: "BashOperator", Pool: dag.DefaultPool,
				PoolSlots: 1, Priority: 100, QueuedAt: benchTime, StartDate: benchTime, FirstStart: benchTime,
			}})
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func benchFile(b *testing.B) (*sqlite.Store, string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "gust.db")
	s, err := sqlite.Open(b.Context(), path, sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := s.SchemaMigrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s, path
}

// bare is the limit: the same rows in the same batches by a plain prepared loop of database/sql.
type bare struct {
	conn   *sql.Conn
	update *sql.Stmt
}

func openBare(b *testing.B, path string) *bare {
	b.Helper()
	const settings = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	db, err := sql.Open("sqlite", "file:"+path+settings)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	update, err := conn.PrepareContext(b.Context(), `UPDATE task_instance SET state = ?, try_number = ?, max_tries = ?,
		operator = ?, pool = ?, pool_slots = ?, priority_weight = ?, queued_dttm = ?, start_date = ?, end_date = ?,
		first_start_date = ?, not_before = ?, error = ?
		WHERE dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ?
		AND state IS NOT DISTINCT FROM ? AND try_number = ?`)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, err := range []error{update.Close(), conn.Close(), db.Close()} {
			if err != nil {
				b.Error(err)
			}
		}
	})
	return &bare{conn, update}
}

func (l *bare) commit(batch []store.TaskChange) error {
	ctx := context.Background()
	if _, err := l.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for i := range batch {
		t := &batch[i].Task
		result, err := l.update.ExecContext(ctx, string(t.State), t.TryNumber, t.MaxTries, t.Operator, t.Pool, t.PoolSlots,
			t.Priority, t.QueuedAt.UnixMicro(), t.StartDate.UnixMicro(), t.EndDate.UnixMicro(), t.FirstStart.UnixMicro(),
			nil, t.Error, t.DagID, t.RunID, t.TaskID, t.MapIndex, string(batch[i].From), batch[i].FromTry)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("%d rows changed: %w", n, err)
		}
	}
	_, err := l.conn.ExecContext(ctx, "COMMIT")
	return err
}

// flip turns running rows into finished ones and back, so that every commit changes every row of its batch.
func flip(rows []store.TaskChange) {
	for i := range rows {
		c := &rows[i]
		c.New, c.From, c.FromTry = false, c.Task.State, c.Task.TryNumber
		c.Task.EndDate = benchTime.Add(time.Duration(i) * time.Millisecond)
		if c.Task.State == dag.StateRunning {
			c.Task.State = dag.StateSuccess
		} else {
			c.Task.State = dag.StateRunning
		}
	}
}

// BenchmarkCommit compares EngineCommit with the limit in one run: batch by batch in turns on two files of the same
// content, so that the disk's mood hits both alike. It reports rows per second of both and the ratio of the medians.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 20, 200, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			ours, _ := benchFile(b)
			limit, path := benchFile(b)
			rows := benchTasks(100, 100)
			for _, s := range []*sqlite.Store{ours, limit} {
				if err := s.EngineCommit(b.Context(), &store.Changes{Tasks: rows}); err != nil {
					b.Fatal(err)
				}
			}
			loop := openBare(b, path)
			var engine, raw []time.Duration
			at := 0
			for b.Loop() {
				batch := rows[at : at+size]
				at = (at + size) % len(rows)
				flip(batch)
				start := time.Now()
				if err := ours.EngineCommit(b.Context(), &store.Changes{Tasks: batch}); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				if err := loop.commit(batch); err != nil {
					b.Fatal(err)
				}
				engine, raw = append(engine, middle.Sub(start)), append(raw, time.Since(middle))
			}
			slices.Sort(engine)
			slices.Sort(raw)
			e, r := engine[len(engine)/2], raw[len(raw)/2]
			b.ReportMetric(float64(size)/e.Seconds(), "rows/s")
			b.ReportMetric(float64(size)/r.Seconds(), "limit-rows/s")
			b.ReportMetric(float64(e)/float64(r), "ratio")
		})
	}
}

// BenchmarkUpdate is the cost of one row in a batch of 200 and its allocations.
func BenchmarkUpdate(b *testing.B) {
	s, _ := benchFile(b)
	rows := benchTasks(100, 100)
	if err := s.EngineCommit(b.Context(), &store.Changes{Tasks: rows}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += 200 {
		batch := rows[n%len(rows) : n%len(rows)+200]
		flip(batch)
		if err := s.EngineCommit(b.Context(), &store.Changes{Tasks: batch}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInsert is the cost of one new task instance in a run of 1,000.
func BenchmarkInsert(b *testing.B) {
	s, _ := benchFile(b)
	b.ReportAllocs()
	for n := 0; n < b.N; n += 1000 {
		b.StopTimer()
		rows := benchTasks(1, 1000)
		for i := range rows {
			rows[i].Task.RunID = fmt.Sprintf("%s-%d", rows[i].Task.RunID, n)
		}
		b.StartTimer()
		if err := s.EngineCommit(b.Context(), &store.Changes{Tasks: rows}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad is a start with 100 active runs of 100 tasks.
func BenchmarkLoad(b *testing.B) {
	s, _ := benchFile(b)
	rows := benchTasks(100, 100)
	changes := store.Changes{Tasks: rows}
	seen := map[dag.RunKey]bool{}
	for i := range rows {
		key := rows[i].Task.Run()
		if !seen[key] {
			seen[key] = true
			changes.Runs = append(changes.Runs, store.RunChange{New: true, Run: dag.Run{RunKey: key, State: dag.RunRunning,
				Type: dag.RunManual, RunAfter: benchTime, StartDate: benchTime}})
		}
	}
	if err := s.EngineCommit(b.Context(), &changes); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.EngineLoad(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefresh is one poll of an idle scheduler with 1,000 DAGs.
func BenchmarkRefresh(b *testing.B) {
	s, _ := benchFile(b)
	var changes store.Changes
	for i := range 1000 {
		changes.Dags = append(changes.Dags, store.DagRow{DagID: fmt.Sprintf("dag_%d", i), FileLoc: "f.yaml", Version: "v",
			Tags: []string{"a", "b"}, NextRun: benchTime, LastParsed: benchTime})
	}
	if err := s.EngineCommit(b.Context(), &changes); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.EngineRefresh(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoadIdle is a start with 1,000 DAGs, each with a finished run of ten tasks.
func BenchmarkLoadIdle(b *testing.B) {
	s, _ := benchFile(b)
	var changes store.Changes
	for i := range 1000 {
		row := storetest.NewDagRow(fmt.Sprintf("dag_%d", i))
		run := storetest.Finished(storetest.Started(storetest.NewRun(row.DagID, i), "v"), dag.RunSuccess)
		changes.Dags = append(changes.Dags, row)
		changes.Runs = append(changes.Runs, store.RunChange{New: true, Run: run})
		for t := range 10 {
			ti := storetest.InState(storetest.NewTask(run.RunKey, fmt.Sprintf("task_%d", t)), dag.StateSuccess)
			changes.Tasks = append(changes.Tasks, store.TaskChange{New: true, Task: ti})
		}
	}
	if err := s.EngineCommit(b.Context(), &changes); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.EngineLoad(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is opening a current database, as every command does.
func BenchmarkOpen(b *testing.B) {
	_, path := benchFile(b)
	for b.Loop() {
		s, err := sqlite.Open(b.Context(), path, sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.SchemaMigrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
