package triggerer

import (
	"context"
	"errors"
	"fmt"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/executor"
)

// park takes an attempt over: a sensor without a wait is parked first.
func (l *Loop) park(w *executor.Work) {
	if _, held := l.slots.find(w.Attempt()); held {
		return
	}
	ref := l.slots.add(w)
	s := l.slots.at(ref)
	switch d := w.Instance.Deferral; {
	case d == nil:
		s.phase = parking
		l.parks[ref] = w
		version := s.version
		l.parkers.do(func() {
			rep := l.sensorParks(w)
			l.post(func() { l.sensorSaid(ref, version, w, rep) })
		})
	case d.Kind == "" || d.Ended():
		l.recall(ref)
	default:
		l.hold(ref, d)
	}
}

// hold begins the wait that a stored Deferral describes.
func (l *Loop) hold(ref uint32, d *dag.Deferral) {
	s := l.slots.at(ref)
	now := l.now()
	restarted := d.Since.Before(l.began)
	s.since, s.told = d.Since.UnixNano(), restarted && d.Keyed
	var err error
	if !d.Keyed {
		d, err = attempt.Keyed(l.c.Triggers, d)
	}
	if err == nil {
		err = l.join(ref, d, now, restarted)
	}
	if err != nil {
		l.end(ref, nil, err, false)
		return
	}
	if d.Deadline.IsZero() {
		return
	}
	at := d.Deadline
	s.deadline = at.UnixNano()
	if !at.After(now) {
		at = now.Add(lastLook)
	}
	l.deadlines++
	l.heap.push(entry{at.UnixNano(), ref, s.version})
}

// unhold takes a wait out of its group, when it is in one.
func (l *Loop) unhold(ref uint32, s *slot) {
	if s.group == nil {
		return
	}
	if s.deadline != 0 {
		l.deadlines--
	}
	l.leave(ref, s)
}

// sensorSaid takes in what a sensor made of its parking or of its wait's end, unless it was dropped meanwhile. A wait
// begins when its row is stored: whatever looks at it reads that.
func (l *Loop) sensorSaid(ref, version uint32, w *executor.Work, rep executor.Report) bool {
	s := l.slots.at(ref)
	if s.version != version {
		return false
	}
	delete(l.parks, ref)
	if rep.Kind != executor.Parked {
		l.slots.remove(ref)
		l.reporter.Report(rep)
		return true
	}
	s.phase = parking
	stored := *w // until the row can be read
	stored.Instance.Deferral = rep.Deferral
	l.parks[ref] = &stored
	rep.Committed = func(err error) {
		l.post(func() {
			if l.slots.at(ref).version != version {
				return
			}
			delete(l.parks, ref)
			if err != nil { // it is not the current attempt any more, or the scheduler stops
				l.slots.remove(ref)
				return
			}
			l.hold(ref, rep.Deferral)
		})
	}
	l.reporter.Report(rep)
	return true
}

func (l *Loop) drop(a dag.Attempt, reason string) {
	ref, held := l.slots.find(a)
	if !held {
		return
	}
	s := l.slots.at(ref)
	w := l.parks[ref]
	if w == nil {
		w = l.work(s, &dag.TaskInstance{Key: a.Key, TryNumber: a.TryNumber})
	}
	delete(l.parks, ref)
	l.unhold(ref, s)
	l.slots.remove(ref)
	if reason != "" {
		l.stopRemote(w, reason)
	}
}

// sensorParks runs in the pool.
func (l *Loop) sensorParks(w *executor.Work) executor.Report {
	h := l.c.Env.Open(w, l.reporter)
	defer h.Close()
	rep := l.have(h, func(ctx context.Context) (operators.Result, error) {
		parker, err := l.parker(ctx, h)
		if err != nil {
			return operators.Result{}, err
		}
		d, err := parker.Park(ctx, h)
		return operators.Result{Deferral: &d}, err
	})
	if rep.Kind == executor.Parked {
		rep.At = h.Start() // the sensor's clock began here
	}
	return rep
}

// have has a sensor do something that is meant to be quick, and makes a report of it.
func (l *Loop) have(h *attempt.Handle, do func(context.Context) (operators.Result, error)) executor.Report {
	var res operators.Result
	var err error
	ctx, cancel := context.WithTimeoutCause(l.ctx, parkTimeout, errParkTimeout)
	defer cancel()
	attempt.Guard(&err, func() (err error) {
		res, err = do(ctx)
		return err
	})
	rep := h.Outcome(res, err, true)
	h.LogEnd(&rep)
	return rep
}

func (l *Loop) parker(ctx context.Context, h *attempt.Handle) (operators.Parker, error) {
	op, spec, err := h.Operator(ctx)
	if err != nil {
		return nil, err
	}
	parker, ok := op.(operators.Parker)
	if !ok {
		return nil, operators.Fail(fmt.Errorf("%s cannot be parked", spec.Name))
	}
	return parker, nil
}

// stopRemote stops what a wait that is over has left running. What it waited for is in its row, or in the archived try.
func (l *Loop) stopRemote(w *executor.Work, reason string) {
	l.stoppers.do(func() {
		if w.Instance.Deferral == nil {
			rows, err := l.read(l.stopCtx, []dag.Attempt{w.Attempt()})
			if err == nil && rows[0].Task != nil {
				stored := *w
				stored.Instance = *rows[0].Task
				w = &stored
			}
		}
		h := l.c.Env.Open(w, l.reporter)
		defer h.Close()
		h.Log().Info("The wait was given up: " + reason)
		err := h.Stop(l.stopCtx, nil, reason, attempt.Trigger(w.Instance.Deferral), l.c.StopTimeout)
		if err != nil && !errors.Is(err, context.Canceled) {
			l.c.Log.Error("what a task started may still be running",
				"attempt", w.Attempt().String(), "error", l.mask(err.Error()))
		}
	})
}
