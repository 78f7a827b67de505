package triggerer

import (
	"context"
	"errors"
	"fmt"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/executor"
	"gust/triggers"
)

// park takes an attempt over: a sensor without a wait is parked first.
func (l *Loop) park(w *executor.Work) {
	if _, held := l.slots.find(w.Attempt()); held {
		return
	}
	ref := l.slots.add(w)
	if w.Instance.Deferral != nil {
		l.hold(ref)
		return
	}
	s := l.slots.at(ref)
	s.phase = parking
	version := s.version
	l.parkers.do(func() {
		rep := l.sensorParks(w)
		l.post(func() { _ = l.sensorSaid(ref, version, rep) })
	})
}

// hold begins the wait that the attempt's Deferral describes.
func (l *Loop) hold(ref uint32) {
	s := l.slots.at(ref)
	now := l.now()
	d := s.work.Instance.Deferral
	if event, failure := attempt.WaitEnd(d); event != nil || failure != nil { // a crash came before the task went on
		l.end(ref, event, failure, d.TimedOut)
		return
	}
	if err := l.join(ref, now, d.Since.Before(l.began)); err != nil {
		l.end(ref, nil, err, false)
		return
	}
	if d.Deadline.IsZero() {
		return
	}
	at := d.Deadline
	if !at.After(now) {
		at = now.Add(lastLook)
	}
	l.deadlines++
	l.heap.push(entry{at.UnixNano(), ref, s.version})
}

// unhold takes a wait out of its group, when it is in one.
func (l *Loop) unhold(s *slot) {
	if s.group == nil {
		return
	}
	if !s.work.Instance.Deferral.Deadline.IsZero() {
		l.deadlines--
	}
	l.leave(s)
}

func (l *Loop) timeOut(ref uint32) {
	l.end(ref, nil, attempt.WaitError(l.slots.at(ref).work.Instance.Deferral), true)
}

// end ends a wait, with an event or an error. An operator goes on in an executor; a sensor is finished in the pool.
func (l *Loop) end(ref uint32, event *triggers.Event, failure error, timedOut bool) {
	s := l.slots.at(ref)
	w := s.work
	if s.group != nil {
		s.group.ended(event, timedOut, l.now())
	}
	l.unhold(s)
	if !w.Task.Parks {
		l.slots.remove(ref)
		d := *w.Instance.Deferral
		switch {
		case d.Failed != "": // as stored
		case failure != nil:
			d.Failed, d.TimedOut = l.mask(failure.Error()), timedOut
		default:
			d = *attempt.Fired(&d, event)
		}
		l.reporter.Report(executor.Report{Attempt: w.Attempt(), Kind: executor.Fired, At: l.now().UTC(), Deferral: &d})
		return
	}
	s.phase = finishing
	version := s.version
	l.parkers.do(func() {
		rep := l.sensorFinishes(w, event, failure)
		l.post(func() {
			if said := l.sensorSaid(ref, version, rep); said && timedOut && rep.Kind == executor.Failed {
				l.stopRemote(w, failure.Error())
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

// sensorSaid takes in what a sensor made of its parking or of its wait's end, unless it was dropped meanwhile.
func (l *Loop) sensorSaid(ref, version uint32, rep executor.Report) bool {
	s := l.slots.at(ref)
	if s.version != version {
		return false
	}
	l.reporter.Report(rep)
	if rep.Kind != executor.Parked {
		l.slots.remove(ref)
		return true
	}
	w := *s.work // a check that ignores its end may still read the old one
	w.Instance.Deferral = rep.Deferral
	if w.Instance.FirstStart.IsZero() {
		w.Instance.FirstStart = rep.At
	}
	s.work = &w
	l.hold(ref)
	return true
}

func (l *Loop) drop(a dag.Attempt, reason string) {
	ref, held := l.slots.find(a)
	if !held {
		return
	}
	s := l.slots.at(ref)
	w := s.work
	l.unhold(s)
	l.slots.remove(ref)
	if reason != "" {
		l.stopRemote(w, reason)
	}
}

// sensorParks runs in the pool.
func (l *Loop) sensorParks(w *executor.Work) executor.Report {
	h := l.c.Env.Open(w, l.reporter)
	defer h.Close()
	var res operators.Result
	var err error
	ctx, cancel := context.WithTimeoutCause(l.ctx, parkTimeout, errParkTimeout)
	defer cancel()
	attempt.Guard(&err, func() error {
		parker, err := l.parker(ctx, h)
		if err != nil {
			return err
		}
		d, err := parker.Park(ctx, h)
		res.Deferral = &d
		return err
	})
	rep := h.Outcome(res, err, true)
	h.LogEnd(&rep)
	if rep.Kind == executor.Parked {
		rep.At = h.Start() // the sensor's clock began here
	}
	return rep
}

// sensorFinishes runs in the pool.
func (l *Loop) sensorFinishes(w *executor.Work, event *triggers.Event, failure error) executor.Report {
	h := l.c.Env.Open(w, l.reporter)
	defer h.Close()
	if failure != nil {
		h.Log().Error("The wait ended without an event: " + l.mask(failure.Error()))
	}
	var res operators.Result
	var err error
	ctx, cancel := context.WithTimeoutCause(l.ctx, parkTimeout, errParkTimeout)
	defer cancel()
	attempt.Guard(&err, func() error {
		parker, err := l.parker(ctx, h)
		switch {
		case err != nil && failure != nil:
			return failure
		case err != nil:
			return err
		}
		res, err = parker.Finish(ctx, h, event, failure)
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

// stopRemote stops what a wait that is over has left running.
func (l *Loop) stopRemote(w *executor.Work, reason string) {
	l.stoppers.do(func() {
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
