package app

import (
	"context"
	"time"

	"gust/store"
)

// CleanRequest says which finished runs are deleted (Airflow: db clean).
type CleanRequest struct {
	EndedBefore       time.Time
	DagIDs, NotDagIDs []string
	// Batch is how many runs a transaction deletes; 0 means cleanBatch.
	Batch int
}

const (
	// cleanBatch is small enough that the scheduler does not wait noticeably for a batch.
	cleanBatch = 200
	// cleanEvery is the time between two looks of the daemon for runs past their retention.
	cleanEvery = time.Hour
	// cleanPause lets others write between two batches.
	cleanPause = 20 * time.Millisecond
)

// CountClean is how many runs Clean would delete.
func (a *App) CountClean(ctx context.Context, r CleanRequest) (int, error) {
	return a.Store.RunsDelete(ctx, &store.RunsDeleteParams{
		EndedBefore: r.EndedBefore, DagIDs: r.DagIDs, NotDagIDs: r.NotDagIDs, DryRun: true,
	})
}

// Clean deletes runs with everything that belongs to them, and old asset events that nothing refers to, batch by batch, so that a running daemon goes on in between.
// progress is told how many are gone so far; nil is nobody.
func (a *App) Clean(ctx context.Context, r CleanRequest, progress func(deleted int)) (int, error) {
	batch := r.Batch
	if batch <= 0 {
		batch = cleanBatch
	}
	total := 0
	for {
		n, err := a.Store.RunsDelete(ctx, &store.RunsDeleteParams{
			EndedBefore: r.EndedBefore, DagIDs: r.DagIDs, NotDagIDs: r.NotDagIDs, Limit: batch,
		})
		total += n
		if err != nil {
			return total, err
		}
		if n == 0 {
			return total, a.cleanAssetEvents(ctx, r, batch)
		}
		if progress != nil {
			progress(total)
		}
		if err := pauseClean(ctx); err != nil {
			return total, err
		}
	}
}

// cleanAssetEvents deletes the events of assets that nothing refers to any more, unless only some DAGs are meant: an
// event belongs to none.
func (a *App) cleanAssetEvents(ctx context.Context, r CleanRequest, batch int) error {
	if len(r.DagIDs)+len(r.NotDagIDs) > 0 {
		return nil
	}
	for {
		n, err := a.Store.AssetEventsDelete(ctx, r.EndedBefore, batch)
		if err != nil || n == 0 {
			return err
		}
		if err := pauseClean(ctx); err != nil {
			return err
		}
	}
}

func pauseClean(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(cleanPause):
		return nil
	}
}

// startRetention deletes runs past their retention ([core] run_retention) now and then, while the daemon runs.
func (d *Daemon) startRetention(ctx context.Context) {
	keep := d.Config.Core.RunRetention
	if keep <= 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(cleanEvery)
		defer tick.Stop()
		for {
			n, err := d.Clean(ctx, CleanRequest{EndedBefore: d.Now().Add(-keep)}, nil)
			if n > 0 {
				d.Log.Info("deleted runs that are older than core.run_retention", "runs", n, "retention", keep)
			}
			if err != nil && ctx.Err() == nil {
				d.Log.Error("old runs could not be deleted", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	d.undo = append(d.undo, func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}
