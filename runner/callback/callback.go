// Package callback carries out callbacks: operators that run when a task or a run has come to something, beside the
// books of the scheduler. A callback that fails is tried again a few times and then given up, with a line in the log
// of what it is about; it changes nothing, and nothing waits for it.
package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/executor"
	"gust/store"
	"gust/triggers"
)

// Store reads what a callback is about.
type Store interface {
	RunGet(ctx context.Context, key dag.RunKey) (*dag.Run, error)
	TaskInstanceGet(ctx context.Context, key dag.Key) (*dag.TaskInstance, error)
	DagVersionGet(ctx context.Context, version string) (*dag.DAG, error)
	store.Waits
}

// Options configure a Loop. Store and Env are required.
type Options struct {
	Store Store
	// Env is what the operators run in.
	Env *attempt.Env
	// Log takes what operators of the daemon should know. nil discards it.
	Log *slog.Logger
	// Workers is how many callbacks run at once; 0 means 4.
	Workers int
	// Tries is how often a callback is tried; 0 means 3. Delay is waited before the second try and doubles from there;
	// 0 means 2 s.
	Tries int
	Delay time.Duration
	// Timeout bounds one try; 0 means a minute.
	Timeout time.Duration
	// Go begins a worker and Pause waits before another try, with an error when ctx ends. Default: a goroutine, a timer. A
	// simulation decides itself when they go on.
	Go    func(work func())
	Pause func(ctx context.Context, d time.Duration) error
}

// Loop is the executor.Notifier of this process.
type Loop struct {
	opts Options

	ctx    context.Context //nolint:containedctx // the life of the loop
	cancel context.CancelFunc
	report executor.CallbackReporter
	group  sync.WaitGroup

	mu      sync.Mutex
	queue   []dag.CallbackRequest
	known   map[int64]bool // queued or under way
	busy    int
	stopped bool
}

var _ executor.Notifier = (*Loop)(nil)

// New returns a loop that is not started.
func New(opts Options) *Loop {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		value *int
		def   int
	}{{&opts.Workers, 4}, {&opts.Tries, 3}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if opts.Delay <= 0 {
		opts.Delay = 2 * time.Second
	}
	if opts.Timeout <= 0 {
		opts.Timeout = time.Minute
	}
	if opts.Go == nil {
		opts.Go = func(work func()) { go work() }
	}
	if opts.Pause == nil {
		opts.Pause = triggers.Pause
	}
	return &Loop{opts: opts, known: map[int64]bool{}}
}

// Start makes the loop ready.
func (l *Loop) Start(ctx context.Context, r executor.CallbackReporter) error {
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.report = r
	return nil
}

// Notify takes over a callback.
func (l *Loop) Notify(c dag.CallbackRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.known[c.ID] {
		return
	}
	l.known[c.ID] = true
	l.queue = append(l.queue, c)
	if l.busy < l.opts.Workers {
		l.busy++
		l.group.Add(1)
		l.opts.Go(l.work)
	}
}

// Stop waits for what is under way until ctx ends, then interrupts it. What is not done is notified again after the next
// start.
func (l *Loop) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped, l.queue = true, nil
	l.mu.Unlock()
	if l.cancel == nil {
		return nil // never started
	}
	defer l.cancel()
	done := make(chan struct{})
	go func() {
		l.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		l.cancel()
		<-done
	}
	return nil
}

// work carries out callbacks until the queue is empty.
func (l *Loop) work() {
	defer l.group.Done()
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.busy--
			l.mu.Unlock()
			return
		}
		c := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()
		done := l.carryOut(&c)
		l.mu.Lock()
		delete(l.known, c.ID)
		l.mu.Unlock()
		if done {
			l.report.CallbackDone(c.ID)
		}
	}
}

// carryOut tries a callback until it succeeds or is given up; false says that the loop was stopped before.
func (l *Loop) carryOut(c *dag.CallbackRequest) bool {
	delay := l.opts.Delay
	for try := 1; ; try++ {
		err := l.try(c)
		if err == nil {
			return true
		}
		if l.ctx.Err() != nil {
			return false
		}
		final := try >= l.tries(c) || operators.NoRetry(err)
		l.opts.Log.Warn("a callback failed", "callback", string(c.Callback.Event), "operator", c.Callback.Operator, "about", about(c),
			"try", try, "given_up", final, "error", err)
		if final {
			return true
		}
		if l.opts.Pause(l.ctx, delay) != nil {
			return false
		}
		delay = min(2*delay, maxDelay)
	}
}

const (
	// maxDelay is the longest time between two tries.
	maxDelay = time.Minute
	// stopTries is how often at least the stop of an attempt is tried: what is left running may cost money.
	stopTries = 12
)

func (l *Loop) tries(c *dag.CallbackRequest) int {
	if c.Callback.Event == dag.StopAttempt {
		return max(stopTries, l.opts.Tries)
	}
	return l.opts.Tries
}

func about(c *dag.CallbackRequest) string {
	if c.TaskID == "" {
		return fmt.Sprintf("run %s of DAG %s", c.RunID, c.DagID)
	}
	return c.Key.String()
}

// try runs the operator once.
func (l *Loop) try(c *dag.CallbackRequest) error {
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.opts.Timeout, fmt.Errorf("the callback took longer than %s", l.opts.Timeout))
	defer cancel()
	w, err := l.concerned(ctx, c)
	if err != nil || w == nil {
		return err
	}
	if c.Callback.Event == dag.StopAttempt {
		return l.stopAttempt(ctx, c, w)
	}
	h := l.opts.Env.Open(w, deaf{})
	defer h.Close()
	exception := ""
	if c.Callback.Event == dag.OnFailure || c.Callback.Event == dag.OnRetry {
		exception = c.Reason
	}
	h.Concerns(exception, c.Reason)
	var result operators.Result
	attempt.Guard(&err, func() error {
		op, _, err := h.Operator(ctx)
		if err == nil {
			result, err = op.Execute(ctx, h)
		}
		return err
	})
	if err == nil && (result.Deferral != nil || !result.RescheduleAt.IsZero()) {
		err = errors.New("the operator wants to wait, which a callback cannot; turn its waiting off")
	}
	if err != nil {
		err = fmt.Errorf("callback %s with %s: %w", c.Callback.Event, c.Callback.Operator, err)
		h.Log().Warn("A callback failed: " + err.Error())
	}
	return err
}

// stopAttempt stops what an attempt has started that was taken away.
func (l *Loop) stopAttempt(ctx context.Context, c *dag.CallbackRequest, w *executor.Work) error {
	h := l.opts.Env.Open(w, deaf{})
	defer h.Close()
	return h.Stop(ctx, nil, c.Reason, attempt.Trigger(w.Instance.Deferral), 0)
}

// concerned builds the work of a callback: its operator in the place of the task that it is about. There is none when an
// attempt is to be stopped that was not deferred, and another one goes on: what it had started is that one's now.
func (l *Loop) concerned(ctx context.Context, c *dag.CallbackRequest) (*executor.Work, error) {
	run, err := l.opts.Store.RunGet(ctx, c.Run())
	if err != nil {
		return nil, err
	}
	d, err := l.opts.Store.DagVersionGet(ctx, run.DagVersion)
	if err != nil {
		return nil, err
	}
	task := dag.Task{ID: c.TaskID}
	instance := dag.TaskInstance{Key: c.Key, TryNumber: c.TryNumber}
	if c.TaskID != "" {
		if t := d.Task(c.TaskID); t != nil {
			task = *t
		}
		ti, err := l.opts.Store.TaskInstanceGet(ctx, c.Key)
		if err != nil {
			return nil, err
		}
		wait, err := l.wait(ctx, c)
		if err != nil {
			return nil, err
		}
		another := ti.TryNumber != c.TryNumber && !ti.State.Finished()
		if c.Callback.Event == dag.StopAttempt && wait == nil && another {
			return nil, nil
		}
		instance = *ti
		instance.TryNumber, instance.Deferral = c.TryNumber, wait
	}
	if c.Callback.Event == dag.StopAttempt {
		return &executor.Work{DAG: d, Task: &task, Run: *run, Instance: instance}, nil
	}
	task.Operator, task.Params, task.Mapped = c.Callback.Operator, c.Callback.Params, nil
	return &executor.Work{DAG: d, Task: &task, Run: *run, Instance: instance}, nil
}

// wait is what an attempt that is to be stopped waited for, nil when it was not deferred. The request has it, or the row
// of the attempt still does.
func (l *Loop) wait(ctx context.Context, c *dag.CallbackRequest) (*dag.Deferral, error) {
	wait := c.Callback.Wait()
	if wait != nil || c.Callback.Event != dag.StopAttempt {
		return wait, nil
	}
	rows, err := l.opts.Store.WaitsGet(ctx, []dag.Attempt{{Key: c.Key, TryNumber: c.TryNumber}})
	if err != nil || rows[0].Task == nil {
		return nil, err
	}
	return rows[0].Task.Deferral, nil
}

// deaf takes the reports of a callback's operator: nothing of them is stored.
type deaf struct{}

var errNotStored = errors.New("a callback cannot push XComs")

func (deaf) Report(r executor.Report) {
	if r.Committed != nil {
		r.Committed(errNotStored)
	}
}
