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
	assetEventColumns = `id, name, uri, timestamp, source_dag_id, source_run_id, source_task_id, source_map_index, extra, aliases`

	assetEventInsertSQL = `INSERT INTO asset_event (` + assetEventColumns + `)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`
	assetEventListSQL = `SELECT ` + assetEventColumns + ` FROM asset_event WHERE ?1 = '' OR name = ?1 ORDER BY id DESC LIMIT ?2`
	assetEventGetSQL  = `SELECT ` + assetEventColumns + ` FROM asset_event
		WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id`
	// The events that some DAG still waits with.
	assetEventOpenSQL = `SELECT ` + assetEventColumns + ` FROM asset_event
		WHERE id >= (SELECT min(asset_cursor) FROM dag WHERE asset_cursor > 0 AND is_stale = 0) ORDER BY id`
	// The latest event of each asset stays: inlet_events show it, and ids go on from it.
	assetEventDeleteSQL = `DELETE FROM asset_event WHERE id IN (
		SELECT id FROM asset_event AS old WHERE timestamp < ?1
		AND id < (SELECT coalesce(min(asset_cursor), 9223372036854775807) FROM dag WHERE asset_cursor > 0)
		AND id < (SELECT max(id) FROM asset_event AS latest WHERE latest.name = old.name)
		AND id NOT IN (SELECT value FROM dag_run, json_each(dag_run.asset_events) WHERE asset_events IS NOT NULL)
		ORDER BY id LIMIT ?2)`
	assetEventLastSQL = `SELECT coalesce(max(id), 0) FROM asset_event`

	assetRequestInsertSQL = `INSERT INTO asset_request (name, uri, timestamp, extra) VALUES (?1, ?2, ?3, ?4)`
	assetRequestListSQL   = `SELECT id, name, uri, timestamp, '', '', '', -1, extra, '[]' FROM asset_request ORDER BY id`
	assetRequestDeleteSQL = `DELETE FROM asset_request WHERE id = ?1`
)

// AssetEventList implements store.Assets.
func (s *Store) AssetEventList(ctx context.Context, name string, limit int) (out []dag.AssetEvent, err error) {
	err = s.read(ctx, "list asset events", func(v view) error {
		out, err = list(ctx, v, decodeAssetEvent, assetEventListSQL, name, bounded(limit))
		return err
	})
	return out, err
}

// AssetEventsGet implements store.Assets.
func (s *Store) AssetEventsGet(ctx context.Context, ids []int64) (out []dag.AssetEvent, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = s.read(ctx, "get asset events", func(v view) error {
		out, err = list(ctx, v, decodeAssetEvent, assetEventGetSQL, eventIDs(ids))
		return err
	})
	return out, err
}

// AssetRequest implements store.Assets.
func (s *Store) AssetRequest(ctx context.Context, e *dag.AssetEvent) error {
	return s.write(ctx, "request asset event", func(t *transaction) error {
		t.visible = true
		if e.Name == "" {
			return fmt.Errorf("asset event: %w: the asset has no name", store.ErrInvalid)
		}
		_, err := t.exec(assetRequestInsertSQL, e.Name, e.URI, micros(e.At), jsonText(e.Extra))
		return err
	})
}

// AssetEventsDelete implements store.Assets.
func (s *Store) AssetEventsDelete(ctx context.Context, before time.Time, limit int) (deleted int, err error) {
	if limit <= 0 || limit > maxRunsDelete {
		limit = maxRunsDelete
	}
	err = s.write(ctx, "delete asset events", func(t *transaction) error {
		n, err := t.exec(assetEventDeleteSQL, micros(before), int64(limit))
		deleted = int(n)
		return err
	})
	return deleted, err
}

func (t *transaction) putAssetEvents(c *store.Changes) error {
	for i := range c.AssetEvents {
		e := &c.AssetEvents[i]
		aliases, err := json.Marshal(append([]string{}, e.Aliases...))
		if err != nil {
			return err
		}
		_, err = t.exec(assetEventInsertSQL, e.ID, e.Name, e.URI, micros(e.At), e.Source.DagID, e.Source.RunID, e.Source.TaskID,
			int64(e.Source.MapIndex), jsonText(e.Extra), string(aliases))
		if err != nil {
			return fmt.Errorf("event %d of asset %s: %w", e.ID, e.Name, err)
		}
	}
	for _, id := range c.AssetRequestsDone {
		t.visible = true
		if _, err := t.exec(assetRequestDeleteSQL, id); err != nil {
			return err
		}
	}
	return nil
}

func loadAssetEvents(ctx context.Context, v view, out *store.Snapshot) error {
	var err error
	if out.AssetEvents, err = list(ctx, v, decodeAssetEvent, assetEventOpenSQL); err != nil {
		return err
	}
	last, err := one(ctx, v, "asset events", func(r row) (int64, error) { return int64(r.int(0)), nil }, assetEventLastSQL)
	if err == nil {
		out.LastAssetEvent = *last
	}
	return err
}

func decodeAssetEvent(r row) (dag.AssetEvent, error) {
	e := dag.AssetEvent{
		ID: int64(r.int(0)), Name: r.text(1), URI: r.text(2), At: r.time(3), Extra: r.json(8),
		Source: dag.Key{DagID: r.text(4), RunID: r.text(5), TaskID: r.text(6), MapIndex: r.int(7)},
	}
	if err := json.Unmarshal([]byte(r.text(9)), &e.Aliases); err != nil {
		return e, fmt.Errorf("asset event %d: %w: aliases: %w", e.ID, store.ErrCorrupt, err)
	}
	if len(e.Aliases) == 0 {
		e.Aliases = nil
	}
	return e, nil
}
