package sqlite

import (
	"context"
	"fmt"
	"time"

	"gust/dag"
	"gust/store"
)

// EngineCommit implements store.Engine. Changes of one key are merged into one write.
func (s *Store) EngineCommit(ctx context.Context, c *store.Changes) error {
	if c.Empty() {
		return nil
	}
	return s.write(ctx, "commit", func(t *transaction) error {
		if err := t.knowsEdits(c.Edits); err != nil {
			return err
		}
		if err := t.putDags(c, s.options.Now); err != nil {
			return err
		}
		if err := t.putRuns(c.Runs); err != nil {
			return err
		}
		if err := s.putTasks(t, c.Tasks); err != nil {
			return err
		}
		for i := range c.History {
			if err := t.putTask(historySQL, &c.History[i]); err != nil {
				return fmt.Errorf("history of %s: %w", c.History[i].Attempt(), err)
			}
		}
		if err := t.putXComs(c); err != nil {
			return err
		}
		if err := t.putCallbacks(c); err != nil {
			return err
		}
		if err := t.putAssetEvents(c); err != nil {
			return err
		}
		if err := t.deleteWaitEnds(c.WaitEndsDone); err != nil {
			return err
		}
		if err := t.completeBackfills(c.BackfillsDone, s.options.Now()); err != nil {
			return err
		}
		if c.Heartbeat != nil {
			return t.putHeartbeat(c.Heartbeat)
		}
		return nil
	})
}

// knowsEdits refuses a batch that does not know of the latest edit; nil is no condition.
func (t *transaction) knowsEdits(known *int64) error {
	if known == nil {
		return nil
	}
	r, err := t.first(editGetSQL)
	if err != nil || r == nil {
		return err
	}
	if edits := int64(r.int(0)); edits != *known {
		return fmt.Errorf("%w: there have been %d edits, expected %d", store.ErrConflict, edits, *known)
	}
	return nil
}

func (t *transaction) putDags(c *store.Changes, now func() time.Time) error {
	for i := range c.Dags {
		if err := t.putDag(&c.Dags[i]); err != nil {
			return err
		}
	}
	for _, dagID := range c.Pauses {
		if err := t.pauseDag(dagID, true); err != nil {
			return err
		}
	}
	for _, d := range c.Versions {
		if err := t.putVersion(d, now()); err != nil {
			return err
		}
	}
	return t.putImportErrors(c.ImportErrors, c.ImportErrorsGone)
}

func (t *transaction) putRuns(changes []store.RunChange) error {
	for i := range changes {
		c := &changes[i]
		var err error
		if c.New {
			err = t.insertRun(&c.Run)
		} else {
			err = t.updateRun(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) putTasks(t *transaction, changes []store.TaskChange) error {
	changes, err := s.mergeTasks(changes)
	if err != nil {
		return err
	}
	for i := range changes {
		c := &changes[i]
		switch {
		case c.New && c.Gone: // came and went in one batch
		case c.New:
			err = t.insertTask(&c.Task)
		case c.Gone:
			err = t.deleteTask(c)
		default:
			err = t.updateTask(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mergeTasks makes one change of several that follow each other for one key: it leaves what the first leaves and sets
// what the last sets. A change that does not follow is the conflict it would have been on its own.
func (s *Store) mergeTasks(changes []store.TaskChange) ([]store.TaskChange, error) {
	if len(changes) < 2 {
		return changes, nil
	}
	clear(s.keys)
	for i := range changes {
		s.keys[changes[i].Task.Key] = i
	}
	if len(s.keys) == len(changes) {
		return changes, nil
	}
	clear(s.keys)
	merged := make([]store.TaskChange, 0, len(changes))
	for i := range changes {
		c := &changes[i]
		at, seen := s.keys[c.Task.Key]
		if !seen {
			s.keys[c.Task.Key] = len(merged)
			merged = append(merged, *c)
			continue
		}
		before := &merged[at]
		switch {
		case c.New:
			return nil, fmt.Errorf("task instance %s: %w: it is written before in the same batch",
				c.Task.Key, store.ErrExists)
		case c.From != before.Task.State || c.FromTry != before.Task.TryNumber:
			return nil, fmt.Errorf("task instance %s: %w: the batch itself sets %s (try %d) before, expected %s (try %d)",
				c.Task.Key, store.ErrConflict, before.Task.State, before.Task.TryNumber, c.From, c.FromTry)
		}
		follow(before, c)
	}
	return merged, nil
}

// follow makes c the end of the change before it. A wait that c keeps is the one that the change before sets.
func follow(before, c *store.TaskChange) {
	wait := before.Task.Deferral
	before.Task, before.Gone = c.Task, c.Gone
	if !c.KeepWait {
		before.KeepWait = false
		return
	}
	if wait != nil {
		kept := *wait
		if c.Task.Deferral != nil && c.Task.Deferral.State != nil {
			kept.State = c.Task.Deferral.State
		}
		wait = &kept
	} else if before.KeepWait {
		return
	}
	before.Task.Deferral = wait
}

func (t *transaction) putXComs(c *store.Changes) error {
	var cleared map[dag.Key]int
	for _, key := range c.XComsClear {
		if err := t.clearXComs(key); err != nil {
			return err
		}
		if len(c.XComs) > 0 && cleared == nil {
			cleared = make(map[dag.Key]int, len(c.XComsClear))
		}
		if cleared != nil {
			cleared[key] = 0
		}
	}
	if cleared != nil {
		for i := range c.Tasks {
			if _, ok := cleared[c.Tasks[i].Task.Key]; ok {
				cleared[c.Tasks[i].Task.Key] = c.Tasks[i].Task.TryNumber
			}
		}
	}
	for i := range c.XComs {
		x := &c.XComs[i]
		if err := t.putXCom(x, x.Try < cleared[x.Key]); err != nil {
			return err
		}
	}
	return nil
}
