package sqlite

import (
	"context"
	"fmt"

	"gust/dag"
	"gust/store"
)

const (
	xcomColumns = `dag_id, run_id, task_id, map_index, key, try_number, value, timestamp`

	xcomPutSQL = `INSERT INTO xcom (` + xcomColumns + `, previous) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
		ON CONFLICT (dag_id, run_id, task_id, map_index, key, previous) DO UPDATE SET
		try_number = excluded.try_number, value = excluded.value, timestamp = excluded.timestamp`

	// A value that the ending try pushed takes the place of the one an earlier try left under the same key.
	xcomClearSQL = `UPDATE OR REPLACE xcom SET previous = 1
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4 AND previous = 0`

	xcomGetSQL = `SELECT ` + xcomColumns + ` FROM xcom
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4 AND key = ?5 AND previous = ?6`

	xcomListSQL = `SELECT ` + xcomColumns + ` FROM xcom
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index = ?4 AND previous = 0 ORDER BY key`

	xcomMappedSQL = `SELECT ` + xcomColumns + ` FROM xcom
		WHERE dag_id = ?1 AND run_id = ?2 AND task_id = ?3 AND map_index >= 0 AND key = ?4 AND previous = 0 ORDER BY map_index`

	xcomSkipsSQL = `SELECT ` + xcomColumns + ` FROM xcom INDEXED BY xcom_skips
		WHERE dag_id = ?1 AND run_id = ?2 AND key = 'skipmixin_key' AND previous = 0 ORDER BY task_id, map_index`
)

// XComGet implements store.XComs.
func (s *Store) XComGet(ctx context.Context, key dag.Key, name string) (*store.XCom, error) {
	return s.xcom(ctx, "get XCom", key, name, false)
}

// XComPrevious implements store.XComs.
func (s *Store) XComPrevious(ctx context.Context, key dag.Key, name string) (*store.XCom, error) {
	return s.xcom(ctx, "get XCom of an earlier try", key, name, true)
}

func (s *Store) xcom(
	ctx context.Context, operation string, key dag.Key, name string, previous bool,
) (*store.XCom, error) {
	var x *store.XCom
	err := s.read(ctx, operation, func(v view) (err error) {
		x, err = one(ctx, v, fmt.Sprintf("XCom %q of %s", name, key), decodeXCom, xcomGetSQL,
			key.DagID, key.RunID, key.TaskID, key.MapIndex, name, flag(previous))
		return err
	})
	return x, err
}

// XComList implements store.XComs. Values are sorted by name.
func (s *Store) XComList(ctx context.Context, key dag.Key) (out []store.XCom, err error) {
	err = s.read(ctx, "list XComs", func(v view) error {
		out, err = list(ctx, v, decodeXCom, xcomListSQL, key.DagID, key.RunID, key.TaskID, key.MapIndex)
		return err
	})
	return out, err
}

// XComMapped implements store.XComs.
func (s *Store) XComMapped(ctx context.Context, run dag.RunKey, taskID, name string) (out []store.XCom, err error) {
	err = s.read(ctx, "list XComs of a mapped task", func(v view) error {
		out, err = list(ctx, v, decodeXCom, xcomMappedSQL, run.DagID, run.RunID, taskID, name)
		return err
	})
	return out, err
}

func (t *transaction) clearXComs(k dag.Key) error {
	if _, err := t.exec(xcomClearSQL, k.DagID, k.RunID, k.TaskID, int64(k.MapIndex)); err != nil {
		return fmt.Errorf("XComs of %s: %w", k, err)
	}
	return nil
}

func (t *transaction) putXCom(x *store.XCom, previous bool) error {
	_, err := t.exec(xcomPutSQL, x.DagID, x.RunID, x.TaskID, int64(x.MapIndex), x.Name, int64(x.Try), jsonText(x.Value),
		micros(x.At), flag(previous))
	if err != nil {
		return fmt.Errorf("XCom %q of %s: %w", x.Name, x.Key, err)
	}
	return nil
}

func decodeXCom(r row) (store.XCom, error) {
	return store.XCom{Key: decodeKey(r), Name: r.text(4), Try: r.int(5), Value: r.json(6), At: r.time(7)}, nil
}
