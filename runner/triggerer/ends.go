package triggerer

import (
	"context"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/executor"
	"gust/store"
	"gust/triggers"
)

// ending is a wait that has ended. What it waited for is read before anybody is told.
type ending struct {
	ref, version uint32
	attempt      dag.Attempt
	event        *triggers.Event
	failure      error
	timedOut     bool
	at           time.Time
}

// end ends a wait, with an event, an error, or because its time is up. Its row is read with those of the others that
// end in the same round.
func (l *Loop) end(ref uint32, event *triggers.Event, failure error, timedOut bool) {
	s := l.slots.at(ref)
	now := l.now()
	if s.group != nil {
		s.group.ended(event, timedOut, now)
	}
	l.unhold(ref, s)
	s.phase = finishing
	l.ends = append(l.ends, ending{ref, s.version, s.attempt(), event, failure, timedOut, now.UTC()})
}

func (l *Loop) timeOut(ref uint32) { l.end(ref, nil, nil, true) }

// recall reads again what a slot waits for: its row says something else than the loop knows.
func (l *Loop) recall(ref uint32) {
	s := l.slots.at(ref)
	l.unhold(ref, s)
	if s.phase != straying {
		s.phase = finishing
	}
	l.ends = append(l.ends, ending{ref: ref, version: s.version, attempt: s.attempt(), at: l.now().UTC()})
}

// readEnds hands the waits that have ended to a goroutine that reads their rows. It does not give up: these waits are
// nobody else's.
func (l *Loop) readEnds() {
	if len(l.ends) == 0 || l.reading {
		return
	}
	ends := l.ends
	l.ends, l.reading = nil, true
	l.begin(func() {
		defer l.post(func() { l.reading = false })
		attempts := make([]dag.Attempt, 0, min(len(ends), readAtOnce))
		for len(ends) > 0 {
			some := ends[:min(readAtOnce, len(ends))]
			ends = ends[len(some):]
			attempts = attempts[:0]
			for i := range some {
				attempts = append(attempts, some[i].attempt)
			}
			rows, err := l.read(l.ctx, attempts)
			if err != nil {
				return // the loop stops; the rows are as they were
			}
			l.post(func() {
				for i := range some {
					l.ended(&some[i], rows[i])
				}
			})
		}
	})
}

// retryPause is the pause after what failed, or was cut short, for the nth time in a row, from 0: ever longer.
func retryPause(n int) time.Duration { return min(retryCheck<<min(n, 10), maxRetryCheck) }

// read reads rows, until it succeeds or ctx ends.
func (l *Loop) read(ctx context.Context, attempts []dag.Attempt) ([]store.Wait, error) {
	for n := 0; ; n++ {
		rows, err := l.c.Waits.WaitsGet(ctx, attempts)
		if err == nil {
			return rows, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l.c.Log.Warn("what tasks wait for cannot be read; it is tried again", "waits", len(attempts), "error", err)
		if err := triggers.Pause(ctx, retryPause(n)); err != nil {
			return nil, err
		}
	}
}

// ended tells about the end of a wait. An operator goes on in an executor; a sensor is finished in the pool.
func (l *Loop) ended(e *ending, row store.Wait) {
	s := l.slots.at(e.ref)
	if s.version != e.version {
		return // dropped meanwhile
	}
	switch {
	case !row.Parked && (row.Task == nil || row.Task.State != dag.StateDeferred || !row.Task.Deferral.Ended()):
		l.stray(e, s) // of the last kind is a try that was archived while it was parked
		return
	case !row.Parked: // ended by another process, or before a crash
		e.event, e.failure = attempt.WaitEnd(row.Task.Deferral)
		e.timedOut = row.Task.Deferral.TimedOut
	case e.timedOut:
		e.failure = attempt.WaitError(row.Task.Deferral)
	case e.event == nil && e.failure == nil:
		l.hold(e.ref, row.Task.Deferral)
		return
	}
	if s.task.Parks {
		l.finish(e, l.work(s, row.Task))
		return
	}
	l.slots.remove(e.ref)
	l.reporter.Report(executor.Report{
		Attempt: e.attempt, Kind: executor.Fired, At: e.at, Deferral: l.answered(e, row.Task.Deferral),
	})
}

// stray keeps a wait whose row has become another one. The scheduler is about to drop it, and may want to have stopped
// what it waits for. Should that not come, it is told that the attempt is free again, and finds out what is true.
func (l *Loop) stray(e *ending, s *slot) {
	now := l.now()
	if s.phase != straying {
		s.phase, s.due = straying, now.UnixNano()
	}
	if now.UnixNano()-s.due >= int64(strayTime) {
		l.slots.remove(e.ref)
		l.reporter.Report(executor.Report{Attempt: e.attempt, Kind: executor.Interrupted, At: e.at})
		return
	}
	l.heap.push(entry{now.Add(strayTime / 4).UnixNano(), e.ref, s.version})
}

// answered is the wait with what ended it.
func (l *Loop) answered(e *ending, d *dag.Deferral) *dag.Deferral {
	switch {
	case d.Ended():
		return d
	case e.failure != nil:
		out := *d
		out.Failed, out.TimedOut = l.mask(e.failure.Error()), e.timedOut
		return &out
	}
	return attempt.Fired(d, e.event)
}

// work puts together what an attempt is run with.
func (l *Loop) work(s *slot, row *dag.TaskInstance) *executor.Work {
	w := *s.run.work
	w.Task, w.Expansion, w.Instance = s.task, int(s.expansion), *row
	return &w
}

// finish has a sensor make a result of the end of its wait.
func (l *Loop) finish(e *ending, w *executor.Work) {
	l.parkers.do(func() {
		rep := l.sensorFinishes(w, e.event, e.failure)
		l.post(func() {
			if said := l.sensorSaid(e.ref, e.version, w, rep); said && e.timedOut && rep.Kind == executor.Failed {
				l.stopRemote(w, e.failure.Error())
			}
		})
	})
}

func (l *Loop) mask(text string) string {
	if l.c.Env.Mask == nil {
		return text
	}
	return l.c.Env.Mask(text)
}

// sensorFinishes runs in the pool.
func (l *Loop) sensorFinishes(w *executor.Work, event *triggers.Event, failure error) executor.Report {
	h := l.c.Env.Open(w, l.reporter)
	defer h.Close()
	if failure != nil {
		h.Log().Error("The wait ended without an event: " + l.mask(failure.Error()))
	}
	return l.have(h, func(ctx context.Context) (operators.Result, error) {
		parker, err := l.parker(ctx, h)
		switch {
		case err != nil && failure != nil:
			return operators.Result{}, failure
		case err != nil:
			return operators.Result{}, err
		}
		return parker.Finish(ctx, h, event, failure)
	})
}
