package simtest

import (
	"context"
	"errors"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/executor"
)

// errDead is what a thread gets whose process has died. Nobody sees what it makes of it.
var errDead = errors.New("the process has died")

// thread is something of a process that blocks: an attempt on a worker, or a job of the trigger loop. It is a goroutine
// that runs only while the history waits for it: from one step to the next.
type thread struct {
	d       *daemon
	name    string
	attempt dag.Attempt // zero for a job
	body    func()
	ctx     context.Context // of an attempt: it ends with a kill
	cancel  context.CancelCauseFunc
	begun   bool
	ended   bool
	killed  string // why it is to end; "" is not, or that has been said

	at      *step         // what it is about to do
	arrived chan struct{} // it is there, or has ended
	goOn    chan error
}

// step is what a thread waits for: a call to be made and answered, a commit, or the end of a pause.
type step struct {
	what  string
	ctx   context.Context
	call  func() error
	made  bool
	err   error
	until time.Time
	// committed tells the thread what has become of a commit; ready is set when that is known.
	committed func(error)
	ready     bool
}

// advance lets the thread do its next step, or begin.
func (t *thread) advance() {
	h := t.d.h
	h.current = t
	defer func() { h.current = nil }()
	switch s := t.at; {
	case !t.begun:
		h.say("%s begins", t.name)
		t.begun = true
		go func() {
			t.body()
			t.ended = true
			t.arrived <- struct{}{}
		}()
	case t.killed != "" && s.ctx != nil && (s.waits(h.real) || h.random.IntN(2) == 0):
		reason := t.killed
		t.killed = ""
		h.say("%s is killed: %s", t.name, reason)
		t.cancel(&operators.KilledError{Reason: reason}) // from here on the thread may run
		if s.ctx.Err() == nil {
			return // it is stopping already what it has started
		}
		if s.call == nil && s.committed == nil {
			t.goOn <- nil // from its pause
		}
	case s.committed != nil:
		h.say("%s: committed: %v", t.name, s.err)
		s.committed(s.err)
	case s.call != nil && !s.made:
		h.say("%s:", t.name)
		s.made, s.err = true, s.call()
		if h.random.IntN(3) == 0 {
			return // the answer is on its way
		}
		t.goOn <- s.err
	default:
		t.goOn <- s.err
	}
	<-t.arrived
}

// blocked reports whether the thread cannot go on now, and until when, if that is known.
func (t *thread) blocked() (bool, time.Time) {
	switch {
	case !t.begun || t.killed != "" && t.at.ctx != nil:
		return false, time.Time{}
	}
	return t.at.waits(t.d.h.real), t.at.until
}

// waits reports whether the step has to wait for something.
func (s *step) waits(now time.Time) bool {
	return s.committed != nil && !s.ready || s.until.After(now)
}

// call is a step of the thread's own goroutine.
func (t *thread) call(ctx context.Context, what string, do func() error) error {
	switch {
	case t.d.dead:
		return errDead
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	t.at = &step{what: what, ctx: ctx, call: do}
	t.arrived <- struct{}{}
	select {
	case err := <-t.goOn:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pause is a step of the thread's own goroutine: it waits before it repeats a call.
func (t *thread) pause(d time.Duration) {
	if t.d.dead {
		return
	}
	t.at = &step{what: "pause", until: t.d.h.real.Add(d)}
	if t.cancel != nil {
		t.at.ctx = t.ctx
	}
	t.arrived <- struct{}{}
	<-t.goOn
}

// push is a step of the thread's own goroutine: it waits for a commit.
func (t *thread) push(r executor.Report) {
	s := &step{what: "commit", committed: r.Committed}
	if t.cancel != nil {
		s.ctx = t.ctx
	}
	t.at = s
	r.Committed = func(err error) { s.ready, s.err = true, err }
	t.d.sched.Report(r)
	t.d.schedAsked = true
	t.arrived <- struct{}{}
}

// bury ends the goroutine of a thread whose process has died.
func (t *thread) bury() {
	if !t.begun || t.ended {
		return
	}
	t.d.h.current = t
	if t.at.committed != nil {
		t.at.committed(errDead)
	} else {
		t.goOn <- errDead
	}
	<-t.arrived // its end: a dead thread makes no more steps
	t.d.h.current = nil
}
