package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"sync"

	"gust/dag"
	"gust/store"
)

// dataVersionSQL changes its answer when another connection, of any process, commits.
const dataVersionSQL = `PRAGMA data_version`

// refreshCache lets an idle scheduler poll for the price of one pragma, however many DAGs there are.
type refreshCache struct {
	mu     sync.Mutex
	latest *store.Refresh
	seen   versions
}

// versions tell whether anything was committed: data counts other connections' commits, commits this writer's own.
type versions struct {
	data    int
	commits uint64
}

// EngineLoad implements store.Engine. Everything is read from one commit.
func (s *Store) EngineLoad(ctx context.Context) (*store.Snapshot, error) {
	out := &store.Snapshot{
		Versions: map[string]*dag.DAG{}, LastScheduled: map[string]dag.Run{},
	}
	err := s.snapshot(ctx, "load", func(v view) error {
		r, err := loadRefresh(ctx, v)
		if err != nil {
			return err
		}
		out.Refresh = *r
		if err := loadActive(ctx, v, out); err != nil {
			return err
		}
		if err := loadLastScheduled(ctx, v, out); err != nil {
			return err
		}
		if out.Callbacks, err = list(ctx, v, decodeCallback, callbackListSQL); err != nil {
			return err
		}
		if err := loadAssetEvents(ctx, v, out); err != nil {
			return err
		}
		out.ImportErrors, err = list(ctx, v, decodeImportError, importErrorListSQL)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func loadLastScheduled(ctx context.Context, v view, out *store.Snapshot) error {
	scheduled, err := list(ctx, v, decodeRun, runLastScheduledSQL)
	if err != nil {
		return err
	}
	for _, run := range scheduled {
		out.LastScheduled[run.DagID] = run
	}
	return nil
}

// EngineRefresh implements store.Engine. It returns the same pointer as the last call when nothing was committed since.
func (s *Store) EngineRefresh(ctx context.Context) (*store.Refresh, error) {
	s.refresh.mu.Lock()
	defer s.refresh.mu.Unlock()
	now, err := s.versions(ctx)
	if err != nil {
		return nil, err
	}
	if s.refresh.latest != nil && s.refresh.seen == now {
		return s.refresh.latest, nil
	}
	var latest *store.Refresh
	err = s.snapshot(ctx, "refresh", func(v view) error {
		latest, err = loadRefresh(ctx, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	// A commit between the look at the versions and the snapshot is in the snapshot; it only costs another look.
	s.refresh.latest, s.refresh.seen = latest, now
	return latest, nil
}

func (s *Store) versions(ctx context.Context) (versions, error) {
	var now versions
	if err := s.take(ctx, s.writer.turn); err != nil {
		return now, fmt.Errorf("store: refresh: %w", err)
	}
	defer func() { s.writer.turn <- struct{}{} }()
	err := s.writer.conn.Raw(func(raw any) error {
		t := &transaction{writer: s.writer, driver: raw.(driver.ConnPrepareContext)}
		r, err := t.first(dataVersionSQL)
		if err == nil {
			now = versions{data: r.int(0), commits: s.writer.commits}
		}
		return err
	})
	return now, s.translate("refresh", err)
}

func loadRefresh(ctx context.Context, v view) (*store.Refresh, error) {
	out := &store.Refresh{}
	var err error
	if out.Dags, err = list(ctx, v, decodeDag, dagListSQL); err != nil {
		return nil, err
	}
	if out.Pools, err = list(ctx, v, decodePool, poolListSQL); err != nil {
		return nil, err
	}
	if out.Queued, err = list(ctx, v, decodeRun, runQueuedSQL); err != nil {
		return nil, err
	}
	if out.Backfills, err = list(ctx, v, decodeBackfill, backfillOpenSQL); err != nil {
		return nil, err
	}
	if out.AssetRequests, err = list(ctx, v, decodeAssetEvent, assetRequestListSQL); err != nil {
		return nil, err
	}
	if out.WaitEnds, err = loadWaitEnds(ctx, v); err != nil {
		return nil, err
	}
	edits, err := one(ctx, v, "edits", func(r row) (int64, error) { return int64(r.int(0)), nil }, editGetSQL)
	if err != nil {
		return nil, err
	}
	out.Edits = *edits
	return out, nil
}
