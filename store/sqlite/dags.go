package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gust/dag"
	"gust/store"
)

const (
	dagColumns = `dag_id, fileloc, dag_hash, is_paused, is_stale, dag_display_name, owners, tags, timetable_summary,
		next_dagrun_create_after, last_parsed_time, last_parse_duration, asset_cursor`

	// is_paused is only written for a new DAG: commands own it afterwards.
	dagPutSQL = `INSERT INTO dag (` + dagColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
		ON CONFLICT (dag_id) DO UPDATE SET fileloc = excluded.fileloc, dag_hash = excluded.dag_hash,
		is_stale = excluded.is_stale, dag_display_name = excluded.dag_display_name, owners = excluded.owners,
		tags = excluded.tags, timetable_summary = excluded.timetable_summary,
		next_dagrun_create_after = excluded.next_dagrun_create_after, last_parsed_time = excluded.last_parsed_time,
		last_parse_duration = excluded.last_parse_duration, asset_cursor = excluded.asset_cursor`

	dagPauseSQL = `UPDATE dag SET is_paused = ?1 WHERE dag_id = ?2`
	dagListSQL  = `SELECT ` + dagColumns + ` FROM dag ORDER BY dag_id`
	dagGetSQL   = `SELECT ` + dagColumns + ` FROM dag WHERE dag_id = ?1`

	versionPutSQL = `INSERT INTO serialized_dag (dag_hash, dag_id, data, created_at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (dag_hash) DO NOTHING`
	versionGetSQL = `SELECT data FROM serialized_dag WHERE dag_hash = ?1`
	// The versions that unfinished runs run on.
	versionActiveSQL = `SELECT data FROM serialized_dag WHERE dag_hash IN (
		SELECT dag_hash FROM dag_run WHERE state IN ('queued', 'running'))`

	importErrorPutSQL = `INSERT INTO import_error (filename, stacktrace, timestamp) VALUES (?1, ?2, ?3)
		ON CONFLICT (filename) DO UPDATE SET stacktrace = excluded.stacktrace, timestamp = excluded.timestamp`
	importErrorDeleteSQL = `DELETE FROM import_error WHERE filename = ?1`
	importErrorListSQL   = `SELECT filename, stacktrace, timestamp FROM import_error ORDER BY filename`

	heartbeatPutSQL = `INSERT INTO job (job_type, hostname, pid, start_date, latest_heartbeat)
		VALUES ('SchedulerJob', ?1, ?2, ?3, ?4)
		ON CONFLICT (job_type) DO UPDATE SET hostname = excluded.hostname, pid = excluded.pid,
		start_date = excluded.start_date, latest_heartbeat = excluded.latest_heartbeat`
	heartbeatGetSQL = `SELECT hostname, pid, start_date, latest_heartbeat FROM job WHERE job_type = 'SchedulerJob'`
)

// DagList implements store.Dags. DAGs are sorted by id.
func (s *Store) DagList(ctx context.Context) (out []store.DagRow, err error) {
	err = s.read(ctx, "list DAGs", func(v view) error {
		out, err = list(ctx, v, decodeDag, dagListSQL)
		return err
	})
	return out, err
}

// DagGet implements store.Dags.
func (s *Store) DagGet(ctx context.Context, dagID string) (d *store.DagRow, err error) {
	err = s.read(ctx, "get DAG", func(v view) error {
		d, err = one(ctx, v, "DAG "+dagID, decodeDag, dagGetSQL, dagID)
		return err
	})
	return d, err
}

// DagVersionGet implements store.Dags.
func (s *Store) DagVersionGet(ctx context.Context, version string) (d *dag.DAG, err error) {
	err = s.read(ctx, "get DAG version", func(v view) error {
		found, err := one(ctx, v, "DAG version "+version, decodeVersion, versionGetSQL, version)
		if err == nil {
			d = *found
		}
		return err
	})
	return d, err
}

// DagSetPaused implements store.Dags.
func (s *Store) DagSetPaused(ctx context.Context, dagID string, paused bool) error {
	return s.write(ctx, "pause DAG", func(t *transaction) error { return t.pauseDag(dagID, paused) })
}

// ImportErrorList implements store.Dags. Errors are sorted by file.
func (s *Store) ImportErrorList(ctx context.Context) (out []store.ImportError, err error) {
	err = s.read(ctx, "list import errors", func(v view) error {
		out, err = list(ctx, v, decodeImportError, importErrorListSQL)
		return err
	})
	return out, err
}

// HeartbeatGet implements store.Dags.
func (s *Store) HeartbeatGet(ctx context.Context) (h *store.Heartbeat, err error) {
	err = s.read(ctx, "get heartbeat", func(v view) error {
		h, err = one(ctx, v, "heartbeat of a scheduler", decodeHeartbeat, heartbeatGetSQL)
		return err
	})
	return h, err
}

func (t *transaction) pauseDag(dagID string, paused bool) error {
	t.visible = true
	changed, err := t.exec(dagPauseSQL, flag(paused), dagID)
	if err == nil && changed == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("DAG %s: %w", dagID, err)
	}
	return nil
}

func (t *transaction) putDag(d *store.DagRow) error {
	t.visible = true
	tags, err := json.Marshal(d.Tags)
	if err != nil {
		return fmt.Errorf("DAG %s: tags: %w", d.DagID, err)
	}
	_, err = t.exec(dagPutSQL, d.DagID, d.FileLoc, d.Version, flag(d.IsPaused), flag(d.Stale), d.Display, d.Owners,
		string(tags), d.Schedule, micros(d.NextRun), micros(d.LastParsed), d.ParseSeconds, d.AssetCursor)
	if err != nil {
		return fmt.Errorf("DAG %s: %w", d.DagID, err)
	}
	return nil
}

func (t *transaction) putVersion(d *dag.DAG, now time.Time) error {
	if d.Version == "" {
		return fmt.Errorf("DAG %s: %w: its version is empty", d.ID, store.ErrInvalid)
	}
	data, err := json.Marshal(d)
	if err == nil {
		_, err = t.exec(versionPutSQL, d.Version, d.ID, string(data), now.UnixMicro())
	}
	if err != nil {
		return fmt.Errorf("version %s of DAG %s: %w", d.Version, d.ID, err)
	}
	return nil
}

func (t *transaction) putImportErrors(put []store.ImportError, gone []string) error {
	for _, file := range gone {
		if _, err := t.exec(importErrorDeleteSQL, file); err != nil {
			return fmt.Errorf("import error of %s: %w", file, err)
		}
	}
	for i := range put {
		e := &put[i]
		if _, err := t.exec(importErrorPutSQL, e.FileLoc, e.Text, micros(e.At)); err != nil {
			return fmt.Errorf("import error of %s: %w", e.FileLoc, err)
		}
	}
	return nil
}

func (t *transaction) putHeartbeat(h *store.Heartbeat) error {
	_, err := t.exec(heartbeatPutSQL, h.Host, int64(h.PID), micros(h.StartedAt), micros(h.At))
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

func decodeDag(r row) (store.DagRow, error) {
	d := store.DagRow{
		DagID: r.text(0), FileLoc: r.text(1), Version: r.text(2), IsPaused: r.flag(3), Stale: r.flag(4),
		Display: r.text(5), Owners: r.text(6), Schedule: r.text(8), NextRun: r.time(9), LastParsed: r.time(10),
		ParseSeconds: r.real(11), AssetCursor: int64(r.int(12)),
	}
	if tags := r.text(7); tags != "null" {
		if err := json.Unmarshal([]byte(tags), &d.Tags); err != nil {
			return d, fmt.Errorf("DAG %s: %w: tags: %w", d.DagID, store.ErrCorrupt, err)
		}
	}
	return d, nil
}

func decodeVersion(r row) (*dag.DAG, error) {
	d := &dag.DAG{}
	if err := json.Unmarshal([]byte(r.text(0)), d); err != nil {
		return nil, fmt.Errorf("stored DAG: %w: %w", store.ErrCorrupt, err)
	}
	d.Index()
	return d, nil
}

func decodeImportError(r row) (store.ImportError, error) {
	return store.ImportError{FileLoc: r.text(0), Text: r.text(1), At: r.time(2)}, nil
}

func decodeHeartbeat(r row) (store.Heartbeat, error) {
	return store.Heartbeat{Host: r.text(0), PID: r.int(1), StartedAt: r.time(2), At: r.time(3)}, nil
}
