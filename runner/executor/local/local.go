// Package local runs attempts inside the daemon's own process, each on a goroutine (Airflow: LocalExecutor).
package local

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/executor"
)

// DefaultParallelism is how many attempts run at once unless the configuration says otherwise ([core] parallelism).
const DefaultParallelism = 32

// Runner runs one attempt and returns when its last report is given; ctx ends it early. Package runner/worker has one.
type Runner interface {
	Run(ctx context.Context, w *executor.Work, r executor.Reporter)
}

// Executor runs up to a fixed number of attempts at once. Make it with New.
type Executor struct {
	runner      Runner
	parallelism int
	now         func() time.Time

	base   context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	reporter executor.Reporter // nil before Start
	stopping bool
	out      map[dag.Attempt]*flight // handed over and not ended
	queue    []*flight               // handed over and not begun, oldest first
	running  int

	goroutines sync.WaitGroup
	hardStop   chan struct{} // closed by a second Stop
	hardOnce   sync.Once
	giveUp     sync.Once // by whichever of two Stops comes first, for both
	givenUp    error
}

var _ executor.Executor = (*Executor)(nil)

// New returns an executor; parallelism 0 means DefaultParallelism, now nil means time.Now.
func New(runner Runner, parallelism int, now func() time.Time) *Executor {
	if parallelism <= 0 {
		parallelism = DefaultParallelism
	}
	if now == nil {
		now = time.Now
	}
	return &Executor{
		runner: runner, parallelism: parallelism, now: now,
		out: map[dag.Attempt]*flight{}, hardStop: make(chan struct{}),
	}
}

// Start begins with what was dispatched before. Attempts get ctx's values; only Kill and Stop end them.
func (e *Executor) Start(ctx context.Context, r executor.Reporter) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reporter != nil || e.stopping {
		return errors.New("local executor: started twice, or after its stop")
	}
	e.base, e.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	e.reporter = r
	e.next()
	return nil
}

// Slots is the parallelism.
func (e *Executor) Slots() int { return e.parallelism }

// Load is how many attempts run, and how many wait for a slot.
func (e *Executor) Load() (running, waiting int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running, len(e.queue)
}

// Dispatch runs the attempt as soon as fewer than Slots run.
func (e *Executor) Dispatch(w executor.Work) {
	a := w.Attempt()
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, dup := e.out[a]; dup || e.stopping {
		return
	}
	f := &flight{exec: e, attempt: a, work: &w}
	e.out[a] = f
	e.queue = append(e.queue, f)
	e.next()
}

// next begins queued attempts while there are slots. e.mu is held.
func (e *Executor) next() {
	for e.reporter != nil && e.running < e.parallelism && len(e.queue) > 0 {
		f := e.queue[0]
		e.queue[0] = nil
		e.queue = e.queue[1:]
		e.begin(f)
	}
}

// begin runs an attempt on a goroutine. e.mu is held.
func (e *Executor) begin(f *flight) {
	e.running++
	f.begun = true
	ctx, cancel := context.WithCancelCause(e.base)
	f.cancel = cancel
	if f.killed != nil {
		cancel(f.killed)
	}
	e.goroutines.Go(func() {
		defer cancel(nil)
		e.runner.Run(ctx, f.work, f)
	})
}

// Kill ends an attempt. One that has not begun runs its end at once, without waiting for a slot.
func (e *Executor) Kill(a dag.Attempt, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f, ok := e.out[a]
	if !ok || f.killed != nil {
		return
	}
	f.killed = &operators.KilledError{Reason: reason}
	if f.begun {
		f.cancel(f.killed)
		return
	}
	if e.reporter == nil || e.stopping {
		return // Start begins it, or Stop gives it back
	}
	for i, q := range e.queue {
		if q == f {
			e.queue = append(e.queue[:i:i], e.queue[i+1:]...)
			break
		}
	}
	e.begin(f)
}

// Stop takes no new attempts and returns when none is left: those that have not begun go back at once, the others are
// waited for until ctx ends and then interrupted. A second Stop, while the first waits, ends both at once: what is
// left is reported as Interrupted, and the error says how many goroutines were left behind.
func (e *Executor) Stop(ctx context.Context) error {
	e.mu.Lock()
	second := e.stopping
	e.stopping = true
	queue, cancel := e.queue, e.cancel
	e.queue = nil
	e.mu.Unlock()
	if cancel == nil { // never started
		return nil
	}
	defer cancel(operators.ErrStopping)
	if second {
		e.hardOnce.Do(func() { close(e.hardStop) })
	}
	for _, f := range queue {
		f.interrupt()
	}
	idle := make(chan struct{})
	go func() {
		e.goroutines.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	case <-e.hardStop:
	}
	cancel(operators.ErrStopping)
	select {
	case <-idle:
		return nil
	case <-e.hardStop:
	}
	e.giveUp.Do(func() { e.givenUp = e.abandon(idle) })
	return e.givenUp
}

// abandon reports as Interrupted what has not ended.
func (e *Executor) abandon(idle <-chan struct{}) error {
	e.mu.Lock()
	left := make([]*flight, 0, len(e.out))
	for _, f := range e.out {
		left = append(left, f)
	}
	e.mu.Unlock()
	for _, f := range left {
		f.interrupt()
	}
	select {
	case <-idle:
		return nil
	default:
	}
	if len(left) == 0 {
		return nil
	}
	if len(left) == 1 {
		return fmt.Errorf("local executor: stopped without waiting for 1 attempt, %s; it will be repeated", left[0].attempt)
	}
	return fmt.Errorf("local executor: stopped without waiting for %d attempts, for example %s; they will be repeated",
		len(left), left[0].attempt)
}

// flight is an attempt that is out. It passes the attempt's reports on, up to the last one.
type flight struct {
	exec    *Executor
	attempt dag.Attempt
	work    *executor.Work
	killed  *operators.KilledError // under exec.mu
	begun   bool                   // under exec.mu
	cancel  context.CancelCauseFunc

	mu    sync.Mutex
	ended bool
}

var errEnded = errors.New("the attempt has ended")

// Report passes a report on. Before the last one the slot is free again and the attempt is no longer out: the scheduler
// may dispatch it anew (a reschedule, a deferral that fired) while it handles the report.
func (f *flight) Report(r executor.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		if r.Committed != nil {
			r.Committed(errEnded)
		}
		return
	}
	if r.Kind != executor.Started && r.Kind != executor.Pushed {
		f.ended = true
		f.exec.landed(f)
	}
	f.exec.reporter.Report(r)
}

func (f *flight) interrupt() {
	f.Report(executor.Report{Attempt: f.attempt, Kind: executor.Interrupted, At: f.exec.now().UTC()})
}

// landed frees the attempt's slot and name.
func (e *Executor) landed(f *flight) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.out[f.attempt] == f {
		delete(e.out, f.attempt)
	}
	if f.begun {
		e.running--
	}
	if !e.stopping {
		e.next()
	}
}
