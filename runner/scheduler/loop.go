package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gust/dag"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/store"
)

// loop makes rounds until it is told to finish or the store fails for good.
func (s *Scheduler) loop() {
	var err error
	defer func() { s.end(err) }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var pause time.Duration
		if pause, err = s.Turn(); err != nil {
			return
		}
		if len(s.answers) > 0 {
			continue
		}
		timer.Reset(pause)
		select {
		case <-s.inbox.signal:
		case <-timer.C:
		case <-s.finish:
			if s.inbox.empty() {
				return
			}
		}
	}
}

// Turn makes one round with everything that the inbox holds, and returns how long the scheduler may sleep then, unless
// something is handed over. An error is the scheduler's end. Turns are made by one goroutine: the scheduler's own after
// Start, the caller's after Begin.
func (s *Scheduler) Turn() (time.Duration, error) {
	batch, hinted := s.inbox.take(s.used)
	if s.due(s.opts.Now(), &s.nextRefresh, s.opts.RefreshEvery) || hinted {
		var err error
		if batch, err = s.refresh(batch); err != nil {
			return 0, err
		}
	}
	if len(s.answers) > 0 {
		batch = append(s.answers, batch...)
		s.answers = nil
	}
	if err := s.round(batch); err != nil {
		return 0, err
	}
	s.used = batch
	if len(s.answers) > 0 {
		return 0, nil
	}
	return s.pause(), nil
}

// end closes everything that waits for the loop.
func (s *Scheduler) end(err error) {
	if errors.Is(err, errGivenUp) {
		s.log.Error("the last reports could not be stored; their attempts will be repeated", "error", err)
	} else if err != nil {
		s.log.Error("the scheduler stops", "error", err)
	}
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	for _, i := range s.inbox.close() {
		i.answer(errors.Join(ErrStopped, err))
	}
	for _, i := range s.answers {
		i.answer(errors.Join(ErrStopped, err))
	}
	s.cancel()
	close(s.done)
}

// due reports whether a periodic duty has come, and sets when it comes next. A clock that went back does not silence
// it.
func (s *Scheduler) due(now time.Time, next *time.Time, every time.Duration) bool {
	if now.Before(*next) && next.Sub(now) <= every {
		return false
	}
	*next = now.Add(every)
	return true
}

// pause is how long the loop may sleep.
func (s *Scheduler) pause() time.Duration {
	now := s.opts.Now()
	d := min(s.nextRefresh.Sub(now), s.nextBeat.Sub(now))
	if !s.wake.IsZero() {
		d = min(d, s.wake.Sub(now))
	}
	return max(0, d)
}

// refresh adds what other processes have written to a batch. It is read between two commits, so that it is never older
// than what the plan knows of its own doing. After an edit the state is loaded again before it decides about the batch:
// a report about a task that people have ended is stale, and who gave it has something to stop.
func (s *Scheduler) refresh(batch []item) ([]item, error) {
	r, err := s.opts.Store.EngineRefresh(s.ctx)
	if err != nil {
		s.log.Warn("cannot read what other processes have written; it is tried again", "error", err)
		return batch, nil
	}
	if s.state.Edited(r) {
		if err := s.rebuild(false); err != nil {
			for _, i := range batch {
				i.answer(err)
			}
			return nil, err
		}
	}
	return append(batch, item{event: plan.Refreshed{Refresh: *r}}), nil
}

// round decides about a batch, commits, and acts.
func (s *Scheduler) round(batch []item) error {
	d, err := s.decide(batch)
	if err != nil {
		for _, i := range batch {
			i.answer(err)
		}
		return err
	}
	return s.act(d)
}

// decide lets the plan decide about a batch, commits the decision and answers those who wait for that. After a lost
// commit it starts over from the store with the same batch.
func (s *Scheduler) decide(batch []item) (*plan.Decision, error) {
	events := make([]plan.Event, 0, len(batch))
	owner := make([]int, 0, len(batch)) // of each event in batch
	for i := range batch {
		if batch[i].event != nil {
			events = append(events, batch[i].event)
			owner = append(owner, i)
		}
	}
	var taken []plan.Event // what a lost commit taught
	for {
		now := s.opts.Now()
		all := events
		if len(taken) > 0 {
			all = slices.Concat(taken, events)
		}
		d := s.state.Step(all, now)
		if s.due(now, &s.nextBeat, s.opts.HeartbeatEvery) {
			beat := s.beat
			beat.At = now.UTC()
			d.Changes.Heartbeat = &beat
		}
		err := s.commit(&d.Changes)
		if err == nil {
			s.reloads = 0
			s.answerBatch(batch, owner, d.Stale, len(taken))
			return &d, nil
		}
		if !lost(err) {
			return nil, err
		}
		if taken, err = s.startOver(err, &d.Changes, taken); err != nil {
			return nil, err
		}
		dropAnswers(events)
	}
}

// dropAnswers takes the answers about previous runs, and what other processes have written, out of a batch that a new
// state is to take in: they may be older than what it was loaded from. A run that is queued no more would be started.
func dropAnswers(events []plan.Event) {
	for i, e := range events {
		switch e.(type) {
		case plan.Past, plan.Refreshed:
			events[i] = nil
		}
	}
}

// answerBatch tells those who wait that their item is durable, or was stale. The stale events are given by index,
// counted from skip; owner says which item an event belongs to.
func (s *Scheduler) answerBatch(batch []item, owner, stale []int, skip int) {
	dropped := make(map[int]bool, len(stale))
	for _, i := range stale {
		dropped[owner[i-skip]] = true
	}
	for i := range batch {
		if dropped[i] {
			batch[i].answer(executor.ErrStale)
		} else {
			batch[i].answer(nil)
		}
	}
}

// lost reports whether a commit is lost in a way that loading the state again heals.
func lost(err error) bool {
	return errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrUncertain)
}

const maxReloads = 20

// startOver builds the state anew after a lost commit. It returns the events that must go before the batch: runs that
// could not be created because their place is taken.
func (s *Scheduler) startOver(cause error, c *store.Changes, taken []plan.Event) ([]plan.Event, error) {
	if s.reloads++; s.reloads > maxReloads {
		return nil, fmt.Errorf("scheduler: the state does not settle after %d reloads: %w", maxReloads, cause)
	}
	s.log.Warn("a commit was lost; the state is loaded again", "error", cause)
	if s.reloads > 1 {
		if err := s.sleep(backoff(s.reloads)); err != nil {
			return nil, err
		}
	}
	if errors.Is(cause, store.ErrExists) {
		for i := range c.Runs {
			if r := &c.Runs[i]; r.New && s.taken(&r.Run) {
				taken = append(taken, plan.Taken{Run: r.Run})
			}
		}
	}
	return taken, s.rebuild(true)
}

// taken reports whether a run with this id or logical date exists.
func (s *Scheduler) taken(r *dag.Run) bool {
	if _, err := s.opts.Store.RunGet(s.ctx, r.RunKey); err == nil {
		return true
	}
	if r.LogicalDate.IsZero() {
		return false
	}
	runs, err := s.opts.Store.RunList(s.ctx, &store.RunListParams{DagID: r.DagID, LogicalDate: r.LogicalDate, Limit: 1})
	return err == nil && len(runs) > 0
}

// rebuild replaces the state by a new one from the store.
func (s *Scheduler) rebuild(wasLost bool) error {
	for n := 0; ; n++ {
		snap, err := s.opts.Store.EngineLoad(s.ctx)
		if err == nil {
			cfg := s.config()
			cfg.Replaces, cfg.Lost = s.state, wasLost
			s.state = plan.New(cfg, snap, s.opts.Now())
			return nil
		}
		if !s.mayPass(err, n) {
			return fmt.Errorf("scheduler: load the state: %w", err)
		}
		if err := s.sleep(backoff(n)); err != nil {
			return err
		}
	}
}

// act carries out a committed decision.
func (s *Scheduler) act(d *plan.Decision) error {
	s.wake = d.Wake
	for _, w := range d.Warnings {
		s.log.Warn(w)
	}
	for _, e := range d.Effects {
		switch e := e.(type) {
		case plan.Dispatch:
			s.opts.Executor.Dispatch(e.Work)
		case plan.Park:
			s.opts.Triggers.Park(e.Work)
		case plan.Kill:
			s.opts.Executor.Kill(e.Attempt, e.Reason)
		case plan.Drop:
			s.opts.Triggers.Drop(e.Attempt, e.Reason)
		case plan.Notify:
			s.notify(e.Callback)
		}
	}
	if !d.Parking && !s.settled {
		s.settled = true
		close(s.parked)
	}
	s.watchers.publish(&d.Changes)
	s.logRuns(d.Changes.Runs)
	for _, n := range d.Needs {
		e, err := s.answer(n)
		if err != nil {
			return fmt.Errorf("scheduler: %w", err)
		}
		s.answers = append(s.answers, item{event: e})
	}
	if d.Reload {
		if err := s.rebuild(false); err != nil {
			return err
		}
		s.answers = append(s.answers, item{}) // the new state has something to do at once
	}
	return nil
}

func (s *Scheduler) logRuns(runs []store.RunChange) {
	for i := range runs {
		r := &runs[i].Run
		args := []any{"dag_id", r.DagID, "run_id", r.RunID}
		switch r.State {
		case dag.RunRunning:
			s.log.Info("run started", args...)
		case dag.RunSuccess:
			s.log.Info("run succeeded", append(args, "duration", r.EndDate.Sub(r.StartDate))...)
		case dag.RunFailed:
			s.log.Warn("run failed", append(args, "reason", r.Reason, "duration", r.EndDate.Sub(r.StartDate))...)
		case dag.RunQueued:
			s.log.Debug("run queued", args...)
		}
	}
}

var _ executor.Reporter = (*Scheduler)(nil)
