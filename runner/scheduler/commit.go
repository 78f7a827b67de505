package scheduler

import (
	"errors"
	"fmt"
	"time"

	"gust/store"
)

// errGivenUp: Stop did not want to wait for the store any longer.
var errGivenUp = errors.New("scheduler: stopped while the store could not be written")

const (
	firstBackoff = 10 * time.Millisecond
	maxBackoff   = time.Second
	// maxUnknown is how often an error of unknown kind is met with another try.
	maxUnknown = 10
	// remindEvery is how often a problem that lasts is logged again.
	remindEvery = 30 * time.Second
)

// backoff is how long to wait before try n, counted from 0.
func backoff(n int) time.Duration { return min(firstBackoff<<min(n, 10), maxBackoff) }

// commit writes changes durably. What may pass (a busy database, a full disk) is waited for, with everything that
// happens meanwhile gathering in the inbox; other errors are returned.
func (s *Scheduler) commit(c *store.Changes) error {
	if c.Empty() {
		return nil
	}
	var since, logged time.Time
	for n := 0; ; n++ {
		err := s.opts.Store.EngineCommit(s.ctx, c)
		if err == nil {
			if !logged.IsZero() {
				s.log.Info("the store can be written again", "after", s.opts.Now().Sub(since).Round(time.Millisecond))
			}
			return nil
		}
		if lost(err) {
			return err
		}
		if !s.mayPass(err, n) {
			return fmt.Errorf("scheduler: commit: %w", err)
		}
		now := s.opts.Now()
		if since.IsZero() {
			since = now
		}
		// A busy database is ordinary; it is worth a line only when it lasts.
		quiet := errors.Is(err, store.ErrBusy) && now.Sub(since) < time.Second
		if !quiet && (logged.IsZero() || now.Sub(logged) >= remindEvery) {
			logged = now
			s.log.Error(trouble(err), "error", err, "waiting", now.Sub(since).Round(time.Millisecond))
		}
		if err := s.sleep(backoff(n)); err != nil {
			return err
		}
	}
}

// mayPass reports whether an error of the store is worth another try after n tries.
func (s *Scheduler) mayPass(err error, n int) bool {
	switch {
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrFull), errors.Is(err, store.ErrReadOnly):
		return true
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrSchema), errors.Is(err, store.ErrInvalid):
		return false
	}
	return n < maxUnknown
}

// trouble says what is wrong and what to do.
func trouble(err error) string {
	switch {
	case errors.Is(err, store.ErrFull):
		return "the disk is full: nothing can be stored, so nothing new is started; free some space and work goes on"
	case errors.Is(err, store.ErrReadOnly):
		return "the database is read-only: nothing can be stored, so nothing new is started; make it writable"
	case errors.Is(err, store.ErrBusy):
		return "another process holds the database: nothing can be stored, so nothing new is started until it lets go"
	default:
		return "the store cannot be written; it is tried again"
	}
}

// sleep waits, or returns errGivenUp when Stop does not want to wait any longer.
func (s *Scheduler) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.hard:
		return errGivenUp
	}
}
