package sqlite

import (
	"context"
	"fmt"

	"gust/dag"
	"gust/store"
)

const (
	poolColumns = `pool, slots, description, include_deferred`

	poolPutSQL = `INSERT INTO slot_pool (` + poolColumns + `) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (pool) DO UPDATE SET slots = excluded.slots, description = excluded.description,
		include_deferred = excluded.include_deferred`
	poolDefaultSQL = `INSERT INTO slot_pool (` + poolColumns + `) VALUES (?1, ?2, 'Default pool', 0)
		ON CONFLICT (pool) DO NOTHING`
	poolDeleteSQL = `DELETE FROM slot_pool WHERE pool = ?1`
	poolGetSQL    = `SELECT ` + poolColumns + ` FROM slot_pool WHERE pool = ?1`
	poolListSQL   = `SELECT ` + poolColumns + ` FROM slot_pool ORDER BY pool`

	// Only unfinished runs have such tasks, and those are few; an index on the state would cost every transition.
	poolUsageSQL = `SELECT t.pool, t.state, sum(t.pool_slots)
		FROM dag_run r JOIN task_instance t ON t.dag_id = r.dag_id AND t.run_id = r.run_id
		WHERE r.state IN ('queued', 'running') AND t.state IN ('running', 'queued', 'deferred', 'scheduled')
		GROUP BY t.pool, t.state`
)

// PoolGet implements store.Pools.
func (s *Store) PoolGet(ctx context.Context, name string) (p *store.Pool, err error) {
	err = s.read(ctx, "get pool", func(v view) error {
		p, err = one(ctx, v, "pool "+name, decodePool, poolGetSQL, name)
		return err
	})
	return p, err
}

// PoolList implements store.Pools. Pools are sorted by name.
func (s *Store) PoolList(ctx context.Context) (out []store.Pool, err error) {
	err = s.read(ctx, "list pools", func(v view) error {
		out, err = list(ctx, v, decodePool, poolListSQL)
		return err
	})
	return out, err
}

// PoolSet implements store.Pools.
func (s *Store) PoolSet(ctx context.Context, p *store.Pool) error {
	return s.write(ctx, "set pool", func(t *transaction) error {
		t.visible = true
		_, err := t.exec(poolPutSQL, p.Name, int64(p.Slots), p.Description, flag(p.IncludeDeferred))
		return named("pool "+p.Name, err)
	})
}

// PoolDelete implements store.Pools.
func (s *Store) PoolDelete(ctx context.Context, name string) error {
	return s.write(ctx, "delete pool", func(t *transaction) error {
		if name == dag.DefaultPool {
			return fmt.Errorf("pool %s: %w: it always exists; change its slots instead", name, store.ErrInvalid)
		}
		t.visible = true
		return t.deleteOne("pool "+name, poolDeleteSQL, name)
	})
}

// PoolUsage implements store.Pools. Every pool is listed, also an unused one.
func (s *Store) PoolUsage(ctx context.Context) (map[string]store.PoolUse, error) {
	usage := map[string]store.PoolUse{}
	err := s.snapshot(ctx, "count pool usage", func(v view) error {
		pools, err := list(ctx, v, decodePool, poolListSQL)
		if err != nil {
			return err
		}
		for _, p := range pools {
			usage[p.Name] = store.PoolUse{}
		}
		_, err = list(ctx, v, func(r row) (struct{}, error) {
			use, slots := usage[r.text(0)], r.int(2)
			switch dag.State(r.text(1)) {
			case dag.StateRunning:
				use.Running += slots
			case dag.StateQueued:
				use.Queued += slots
			case dag.StateDeferred:
				use.Deferred += slots
			case dag.StateScheduled:
				use.Scheduled += slots
			}
			usage[r.text(0)] = use
			return struct{}{}, nil
		}, poolUsageSQL)
		return err
	})
	if err != nil {
		return nil, err
	}
	return usage, nil
}

func decodePool(r row) (store.Pool, error) {
	return store.Pool{Name: r.text(0), Slots: r.int(1), Description: r.text(2), IncludeDeferred: r.flag(3)}, nil
}
