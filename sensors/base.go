package sensors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gust/operators"
	"gust/triggers"
)

// Base makes an operator of a sensor. Embed it in the sensor's struct and build the struct with New.
//
// A sensor that has a Validate method of its own calls Base.Validate in it.
type Base struct {
	Params
	self     Sensor
	defaults Defaults
}

// binder is what New needs of a sensor: an embedded Base.
type binder interface{ bind(s Sensor, d Defaults) }

var _ binder = (*Base)(nil)

func (b *Base) bind(s Sensor, d Defaults) {
	if d.Timeout == 0 {
		d.Timeout = DefaultTimeout
	}
	b.self, b.defaults = s, d
}

// New completes a sensor that embeds Base, for use in a registry's New function.
func New[S interface {
	Sensor
	operators.Operator
	binder
}](s S, d Defaults) S {
	s.bind(s, d)
	return s
}

// ArgumentError says that a duration is negative.
type ArgumentError struct{ Arg string }

func (e *ArgumentError) Error() string {
	return "Operator arg `" + e.Arg + "` must be timedelta object or a non-negative number"
}

// Validate checks the common parameters.
func (b *Base) Validate() error {
	switch {
	case b.PokeInterval < 0:
		return &ArgumentError{"poke_interval"}
	case b.Timeout != nil && *b.Timeout < 0:
		return &ArgumentError{"timeout"}
	case b.MaxWait != nil && *b.MaxWait < 0:
		return &ArgumentError{"max_wait"}
	case b.SoftFail && b.NeverFail:
		return errors.New("soft_fail and never_fail exclude each other: set one of them")
	}
	if _, ok := b.self.(Waiter); !ok && b.Deferrable != nil && *b.Deferrable {
		return errors.New("deferrable: this sensor cannot be parked; " +
			"use mode: reschedule to free the worker between two looks")
	}
	return nil
}

// Parks reports whether the wait is parked in the trigger loop. A sensor with a method NeedsWorker says with it that a
// look, such as one that calls Python, is made on a worker; it then waits in reschedule mode.
func (b *Base) Parks() bool {
	if _, ok := b.self.(Waiter); !ok || b.SilentFail {
		return false
	}
	if w, ok := b.self.(interface{ NeedsWorker() bool }); ok && w.NeedsWorker() {
		return false
	}
	return b.deferrable()
}

func (b *Base) deferrable() bool {
	switch {
	case b.Deferrable != nil:
		return *b.Deferrable
	case b.Mode != "":
		return false
	case b.defaults.Deferrable != nil:
		return *b.defaults.Deferrable
	}
	return true
}

// mode is the mode of a sensor that is not parked. One that would be parked, but swallows the errors of its looks,
// waits in reschedule mode: that holds no worker either.
func (b *Base) mode() string {
	if _, ok := b.self.(Waiter); ok && b.Mode == "" && b.deferrable() {
		return ModeReschedule
	}
	return b.Mode
}

func (b *Base) timeout() time.Duration {
	if b.Timeout != nil {
		return b.Timeout.Std()
	}
	return b.defaults.Timeout
}

// start is where the clock of the timeout began.
func start(t operators.Task) time.Time {
	if s := t.FirstStart(); !s.IsZero() {
		return s
	}
	return t.Now()
}

func (b *Base) pace(t operators.Task, started time.Time) triggers.Pace {
	p := triggers.Pace{Interval: b.PokeInterval.Std()}
	if !b.ExponentialBackoff {
		return p
	}
	a := t.Attempt()
	p.Exponential, p.Start, p.Timeout = true, started, b.timeout()
	p.Seed = a.DagID + "#" + a.TaskID + "#" + triggers.Stamp(started)
	if b.MaxWait != nil {
		p.MaxWait = b.MaxWait.Std()
	}
	return p
}

// Execute waits on a worker: until the condition holds (poke), or for one look (reschedule). A sensor that is to be
// parked, and was handed to a worker all the same, parks itself.
func (b *Base) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	if b.Parks() {
		d, err := b.Park(ctx, t)
		if err != nil {
			return operators.Result{}, err
		}
		return operators.Defer(d.Trigger, d.Timeout), nil
	}
	started := start(t)
	pace := b.pace(t, started)
	for {
		v, err := b.self.Poke(ctx, t)
		if ctx.Err() != nil && err != nil {
			return b.interrupted(ctx, t)
		}
		if err != nil {
			if res, ended, err := b.failed(t, err); ended {
				return res, err
			}
		} else if res, ended := b.ended(t, v); ended {
			return res, nil
		}
		now := t.Now()
		if ran := now.Sub(started); ran > b.timeout() {
			return b.timedOut(t, ran)
		}
		wait := max(pace.Next(now), leastPause)
		if b.mode() == ModeReschedule {
			t.Log().Info("Rescheduling task, marking task as UP_FOR_RESCHEDULE", "at", now.Add(wait).UTC().Format(time.RFC3339))
			return operators.Reschedule(now.Add(wait)), nil
		}
		if !sleep(ctx, wait) {
			return b.interrupted(ctx, t)
		}
	}
}

// leastPause keeps poke_interval: 0 from occupying a processor.
const leastPause = 10 * time.Millisecond

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// interrupted ends a look or a pause that ctx ended. Only the task's own time limit is a verdict about the sensor.
func (b *Base) interrupted(ctx context.Context, t operators.Task) (operators.Result, error) {
	cause := context.Cause(ctx)
	if errors.Is(cause, operators.ErrExecutionTimeout) {
		res, _, err := b.failed(t, cause)
		return res, err
	}
	return operators.Result{}, fmt.Errorf("sensor interrupted: %w", cause)
}

func (b *Base) ended(t operators.Task, v Verdict) (operators.Result, bool) {
	switch {
	case v.Skip != "":
		t.Log().Info(v.Skip)
		return operators.Skip(v.Skip), true
	case v.Done:
		t.Log().Info("Success criteria met. Exiting.")
		return operators.Done(v.Value), true
	}
	return operators.Result{}, false
}

// failed judges the error of a look. It is not the end when silent_fail swallows it.
func (b *Base) failed(t operators.Task, err error) (operators.Result, bool, error) {
	var timeout *operators.SensorTimeoutError
	overtime := errors.Is(err, operators.ErrExecutionTimeout)
	if errors.As(err, &timeout) || operators.NoRetry(err) || overtime {
		if res, ok := b.softened(t, err); ok {
			return res, true, nil
		}
		if !overtime {
			err = operators.Fail(err)
		}
		return operators.Result{}, true, err
	}
	switch {
	case b.SilentFail:
		t.Log().Error("Sensor poke failed: " + err.Error())
		return operators.Result{}, false, nil
	case b.NeverFail:
		return b.skip(t, "never_fail", err), true, nil
	}
	return operators.Result{}, true, err
}

func (b *Base) softened(t operators.Task, err error) (operators.Result, bool) {
	switch {
	case b.SoftFail:
		return b.skip(t, "soft_fail", err), true
	case b.NeverFail:
		return b.skip(t, "never_fail", err), true
	}
	return operators.Result{}, false
}

func (b *Base) skip(t operators.Task, why string, err error) operators.Result {
	t.Log().Warn("the sensor failed: " + err.Error())
	text := fmt.Sprintf("Skipping due to %s is set to True.", why)
	t.Log().Info(text)
	return operators.Skip(text)
}

// timedOut ends a sensor whose own timeout passed. never_fail does not cover it.
func (b *Base) timedOut(t operators.Task, ran time.Duration) (operators.Result, error) {
	err := &operators.SensorTimeoutError{Ran: ran, Timeout: b.timeout()}
	if b.SoftFail {
		return b.skip(t, "soft_fail", err), nil
	}
	return operators.Result{}, operators.Fail(err)
}

// leastWait is granted to a wait whose timeout has passed already, so that at least one look happens.
const leastWait = time.Second

// Park describes the wait. What is left of the timeout is its deadline.
func (b *Base) Park(ctx context.Context, t operators.Task) (operators.Deferral, error) {
	w, ok := b.self.(Waiter)
	if !ok {
		return operators.Deferral{}, operators.Failf("%T cannot be parked", b.self)
	}
	started := start(t)
	trigger, err := w.Trigger(ctx, t, b.pace(t, started))
	if err != nil {
		return operators.Deferral{}, err
	}
	left := b.timeout() - t.Now().Sub(started)
	return operators.Deferral{Trigger: trigger, Timeout: max(left, leastWait)}, nil
}

// Finish turns the end of a parked wait into the task's result.
func (b *Base) Finish(
	ctx context.Context, t operators.Task, event *triggers.Event, failure error,
) (operators.Result, error) {
	var late *operators.DeferralTimeoutError
	if errors.As(failure, &late) {
		return b.timedOut(t, t.Now().Sub(start(t)))
	}
	if failure == nil && event == nil {
		failure = errors.New("the wait ended without an event")
	}
	if failure == nil {
		var v Verdict
		if v, failure = b.fired(ctx, t, *event); failure == nil {
			if res, ended := b.ended(t, v); ended {
				return res, nil
			}
			failure = errors.New("the wait ended, but the condition does not hold")
		}
	}
	res, _, err := b.failed(t, failure)
	return res, err
}

func (b *Base) fired(ctx context.Context, t operators.Task, event triggers.Event) (Verdict, error) {
	w, ok := b.self.(Waiter)
	if !ok {
		return Verdict{}, operators.Failf("%T cannot be parked", b.self)
	}
	return w.Fired(ctx, t, event)
}

// Resume finishes a sensor that parked itself on a worker.
func (b *Base) Resume(ctx context.Context, t operators.Task, event triggers.Event) (operators.Result, error) {
	return b.Finish(ctx, t, &event, nil)
}
