package plantest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"gust/dag"
	"gust/runner/executor"
)

// Executor runs attempts as a function says.
type Executor struct {
	// N is Slots.
	N int
	// Run plays an attempt: it may report and returns the last report, whose Attempt and At are filled in. ctx ends when
	// the attempt is killed or interrupted.
	Run func(ctx context.Context, w executor.Work, report func(executor.Report)) executor.Report

	mu         sync.Mutex
	reporter   executor.Reporter
	out        map[dag.Attempt]context.CancelCauseFunc
	wg         sync.WaitGroup
	stopped    bool
	Dispatched []dag.Attempt
	Peak       int
}

var errInterrupted = errors.New("interrupted")

// Start implements executor.Executor.
func (e *Executor) Start(_ context.Context, r executor.Reporter) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reporter, e.out = r, map[dag.Attempt]context.CancelCauseFunc{}
	return nil
}

// Slots implements executor.Executor.
func (e *Executor) Slots() int { return e.N }

// Dispatch implements executor.Executor.
func (e *Executor) Dispatch(w executor.Work) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := w.Attempt()
	if _, ok := e.out[a]; ok || e.stopped {
		return
	}
	e.Dispatched = append(e.Dispatched, a)
	ctx, cancel := context.WithCancelCause(context.Background())
	e.out[a] = cancel
	e.Peak = max(e.Peak, len(e.out))
	e.wg.Go(func() {
		send := func(r executor.Report) {
			r.Attempt = a
			if r.At.IsZero() {
				r.At = time.Now()
			}
			e.reporter.Report(r)
		}
		last := e.Run(ctx, w, send)
		if errors.Is(context.Cause(ctx), errInterrupted) {
			last = executor.Report{Kind: executor.Interrupted}
		} else if cause := context.Cause(ctx); cause != nil {
			last = executor.Report{Kind: executor.Failed, NoRetry: true, Error: cause.Error()}
		}
		cancel(nil)
		e.mu.Lock()
		delete(e.out, a)
		e.mu.Unlock()
		send(last)
	})
}

// Kill implements executor.Executor.
func (e *Executor) Kill(a dag.Attempt, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cancel, ok := e.out[a]; ok {
		cancel(errors.New(reason))
	}
}

// Stop implements executor.Executor.
func (e *Executor) Stop(ctx context.Context) error {
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	over := make(chan struct{})
	go func() {
		e.wg.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	}
	e.mu.Lock()
	for _, cancel := range e.out {
		cancel(errInterrupted)
	}
	e.mu.Unlock()
	<-over
	return nil
}

// Tries lists what was dispatched so far.
func (e *Executor) Tries() []dag.Attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]dag.Attempt(nil), e.Dispatched...)
}

// Triggers is a trigger loop whose waits end when a test says so.
type Triggers struct {
	mu       sync.Mutex
	reporter executor.Reporter
	parked   map[dag.Attempt]executor.Work
	Dropped  []dag.Attempt
}

// Start implements executor.TriggerLoop.
func (l *Triggers) Start(_ context.Context, r executor.Reporter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reporter, l.parked = r, map[dag.Attempt]executor.Work{}
	return nil
}

// Park implements executor.TriggerLoop.
func (l *Triggers) Park(w executor.Work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := w.Attempt()
	if _, ok := l.parked[a]; ok {
		return
	}
	l.parked[a] = w
	if w.Instance.Deferral == nil {
		l.reporter.Report(executor.Report{Attempt: a, Kind: executor.Parked, At: time.Now(),
			Deferral: &dag.Deferral{Kind: "time", Since: time.Now()}})
	}
}

// Drop implements executor.TriggerLoop.
func (l *Triggers) Drop(a dag.Attempt, _ string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.parked, a)
	l.Dropped = append(l.Dropped, a)
}

// Stop implements executor.TriggerLoop.
func (l *Triggers) Stop(context.Context) error { return nil }

// Parked lists the waits.
func (l *Triggers) Parked() []dag.Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []dag.Attempt
	for a := range l.parked {
		out = append(out, a)
	}
	return out
}

// Fire ends every wait: a sensor succeeds, an operator goes on.
func (l *Triggers) Fire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for a, w := range l.parked {
		delete(l.parked, a)
		if w.Task.Parks {
			l.reporter.Report(executor.Report{Attempt: a, Kind: executor.Succeeded, At: time.Now()})
			continue
		}
		d := *w.Instance.Deferral
		d.Event = json.RawMessage(`{"payload":1}`)
		l.reporter.Report(executor.Report{Attempt: a, Kind: executor.Fired, At: time.Now(), Deferral: &d})
	}
}

// Wait waits until no attempt is left.
func (e *Executor) Wait() { e.wg.Wait() }
