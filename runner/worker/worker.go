// Package worker runs one attempt of a task, in whatever executor: it renders and decodes the parameters, executes or
// resumes the operator within its time limit, keeps its log, and says how it ended in exactly one last report.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/executor"
	"gust/triggers"
)

// DefaultKillGrace is how long an operator may take to return after its context has ended. It is more than the 60
// seconds between SIGTERM and SIGKILL that a process gets ([core] killed_task_cleanup_time).
const DefaultKillGrace = 90 * time.Second

// Worker runs attempts. It has no state of its own: Run may be called from many goroutines.
type Worker struct {
	Env *attempt.Env
	// KillGrace is how long an operator may take to return after a kill, its time limit or the daemon's stop. Then it
	// is given up and the attempt ends without it. 0 means DefaultKillGrace.
	KillGrace time.Duration
	// StopTimeout bounds the Stop of an operator; 0 means attempt.DefaultStopTimeout.
	StopTimeout time.Duration
}

// Run runs an attempt and returns when its last report is given. ctx ends it early, for the reason that is ctx's cause:
// an operators.KilledError fails it and stops its remote job, anything else (operators.ErrStopping) interrupts it: then
// it is reported as Interrupted and nothing is stopped, because the same try will find its remote job again. An attempt
// that ended well in spite of the interruption is reported as what it is.
func (w *Worker) Run(ctx context.Context, work *executor.Work, r executor.Reporter) {
	h := w.Env.Open(work, r)
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), operators.ErrKilled) {
		r.Report(interrupted(h))
		return
	}
	r.Report(executor.Report{Attempt: h.Attempt(), Kind: executor.Started, At: h.Start()})
	logStart(h)
	rep := w.run(ctx, h)
	h.LogEnd(&rep)
	h.Close() // before the report: who sees the attempt ended finds its log complete
	r.Report(rep)
}

func logStart(h *attempt.Handle) {
	ti := &h.Work().Instance
	verb := "Starting"
	if ti.Deferral != nil {
		verb = "Resuming"
	}
	attrs := []slog.Attr{slog.String("operator", h.Spec().Operator)}
	if logical := h.Work().Run.LogicalDate; !logical.IsZero() {
		attrs = append(attrs, slog.Time("logical_date", logical))
	}
	text := fmt.Sprintf("%s attempt %d of %d", verb, ti.TryNumber, ti.MaxTries+1)
	h.Log().LogAttrs(context.Background(), slog.LevelInfo, text, attrs...)
}

// call is an operator at work on a goroutine of its own, so that one that ignores its context can be given up. Its
// fields are read after done is closed only.
type call struct {
	done chan struct{}
	op   operators.Operator
	res  operators.Result
	err  error
}

func (w *Worker) run(ctx context.Context, h *attempt.Handle) executor.Report {
	limited, cancel := limit(ctx, h)
	defer cancel()
	if limited.Err() != nil {
		return w.conclude(limited, h, &call{err: context.Cause(limited)})
	}
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		attempt.Guard(&c.err, func() error { return c.execute(limited, h) })
	}()
	if !w.wait(limited, c) {
		err := fmt.Errorf("the operator did not return within %s after the attempt was to end; it is given up", w.killGrace())
		return w.conclude(limited, h, &call{err: err}) // c may still be written to
	}
	return w.conclude(limited, h, c)
}

// limit adds the task's execution_timeout, of which a deferral consumes its part.
func limit(ctx context.Context, h *attempt.Handle) (context.Context, context.CancelFunc) {
	d := h.Spec().ExecutionTimeout
	if d <= 0 {
		return ctx, func() {}
	}
	left := d - h.Start().Sub(h.TryStart())
	cause := fmt.Errorf("%w: the task ran longer than %s", operators.ErrExecutionTimeout, d)
	return context.WithTimeoutCause(ctx, left, cause)
}

func (w *Worker) killGrace() time.Duration {
	if w.KillGrace <= 0 {
		return DefaultKillGrace
	}
	return w.KillGrace
}

// wait returns when the operator has, or false when it ignored the end of ctx for too long.
func (w *Worker) wait(ctx context.Context, c *call) bool {
	select {
	case <-c.done:
		return true
	case <-ctx.Done():
	}
	grace := time.NewTimer(w.killGrace())
	defer grace.Stop()
	select {
	case <-c.done:
		return true
	case <-grace.C:
		return false
	}
}

// execute runs the operator, or lets it go on after its deferral.
func (c *call) execute(ctx context.Context, h *attempt.Handle) error {
	op, spec, err := h.Operator(ctx)
	event, failure := attempt.WaitEnd(h.Work().Instance.Deferral)
	if err != nil {
		if failure != nil {
			return failure
		}
		return err
	}
	c.op = op
	switch parker, parks := op.(operators.Parker); {
	case parks && (event != nil || failure != nil):
		c.res, err = parker.Finish(ctx, h, event, failure)
	case failure != nil:
		return failure
	case event != nil:
		resumer, ok := op.(operators.Resumer)
		if !ok {
			return operators.Failf("%s was deferred but cannot go on after a deferral", spec.Name)
		}
		c.res, err = resumer.Resume(ctx, h, *event)
	default:
		c.res, err = op.Execute(ctx, h)
	}
	_, resumes := op.(operators.Resumer)
	if _, parks := op.(operators.Parker); err == nil && c.res.Deferral != nil && !resumes && !parks {
		return operators.Failf("%s deferred itself but cannot go on after a deferral", spec.Name)
	}
	return err
}

// conclude judges the end of the call in the light of why ctx ended, if it did.
func (w *Worker) conclude(ctx context.Context, h *attempt.Handle, c *call) executor.Report {
	cause := context.Cause(ctx)
	var killed *operators.KilledError
	switch {
	case errors.As(cause, &killed):
		return w.fail(ctx, h, c, killed.Reason, cause)
	case errors.Is(cause, operators.ErrKilled):
		return w.fail(ctx, h, c, cause.Error(), cause)
	case errors.Is(c.err, executor.ErrStale): // others have ended the task, and their kill is on its way
		return w.fail(ctx, h, c, c.err.Error(), c.err)
	case c.err == nil, cause == nil:
		unstopped := ""
		if d := h.Work().Instance.Deferral; c.err != nil && d != nil && d.TimedOut {
			unstopped = w.stop(ctx, h, c, c.err.Error())
		}
		report := h.Outcome(c.res, c.err, false)
		report.Unstopped = unstopped
		return report
	case errors.Is(cause, operators.ErrExecutionTimeout):
		err := cause
		if !errors.Is(c.err, cause) && !errors.Is(c.err, context.DeadlineExceeded) && !errors.Is(c.err, context.Canceled) {
			//nolint:errorlint // the time limit decides about the retry, not the operator's error
			err = fmt.Errorf("%w; then: %v", cause, c.err)
		}
		return w.fail(ctx, h, c, cause.Error(), err)
	}
	h.Log().Info("the operator ended with: " + c.err.Error())
	return interrupted(h)
}

// fail ends an attempt that will not go on with err: first what it has started is stopped.
func (w *Worker) fail(ctx context.Context, h *attempt.Handle, c *call, reason string, err error) executor.Report {
	unstopped := w.stop(ctx, h, c, reason)
	report := h.Failure(err)
	report.Unstopped = unstopped
	return report
}

// stop stops the remote job of an attempt that will not go on. It returns the reason when that fails, which Stop has logged:
// it is to be tried again.
func (w *Worker) stop(ctx context.Context, h *attempt.Handle, c *call, reason string) (unstopped string) {
	var trigger *triggers.Trigger
	switch {
	case c.res.Deferral != nil:
		trigger = &c.res.Deferral.Trigger
	case h.Work().Instance.Deferral != nil:
		trigger = attempt.Trigger(h.Work().Instance.Deferral)
	}
	// ctx has ended; the stop has a time of its own.
	if err := h.Stop(context.WithoutCancel(ctx), c.op, reason, trigger, w.StopTimeout); err != nil {
		return reason
	}
	return ""
}

func interrupted(h *attempt.Handle) executor.Report {
	return executor.Report{Attempt: h.Attempt(), Kind: executor.Interrupted, At: h.Now()}
}
