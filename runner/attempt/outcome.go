package attempt

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"gust/dag"
	"gust/operators"
	"gust/runner/executor"
	"gust/triggers"
)

// maxError is the longest error message that is stored, in bytes. The log has the whole.
const maxError = 32 << 10

// Outcome turns how the operator ended into the attempt's last report. parked is set by the trigger loop, whose
// deferrals are reported as Parked.
func (h *Handle) Outcome(res operators.Result, err error, parked bool) executor.Report {
	if err == nil {
		err = contradiction(res)
	}
	if err != nil {
		return h.Failure(err)
	}
	rep := executor.Report{Attempt: h.Attempt(), At: h.Now()}
	switch {
	case res.Deferral != nil:
		rep.Kind = executor.Deferred
		if parked {
			rep.Kind = executor.Parked
		}
		rep.Deferral = h.deferral(*res.Deferral)
	case !res.RescheduleAt.IsZero():
		rep.Kind, rep.RescheduleAt = executor.Rescheduled, res.RescheduleAt.UTC()
	case res.Skipped:
		rep.Kind, rep.Error = executor.Skipped, h.message(res.Reason)
	default:
		xcoms, err := h.returned(res.Value)
		if err == nil {
			err = h.mappable(xcoms)
		}
		if err != nil {
			return h.Failure(err)
		}
		rep.Kind, rep.XComs, rep.Follow, rep.SkipAll = executor.Succeeded, xcoms, res.Follow, res.SkipAll
	}
	if rep.Kind == executor.Succeeded || rep.Kind == executor.Skipped {
		rep.MapLabel = h.mapLabel()
	}
	return rep
}

// contradiction refuses a result that says two things at once.
func contradiction(res operators.Result) error {
	n := 0
	for _, set := range []bool{
		res.Deferral != nil, !res.RescheduleAt.IsZero(), res.Skipped, res.Value != nil || res.Follow != nil || res.SkipAll,
	} {
		if set {
			n++
		}
	}
	if n > 1 {
		return errors.New("the operator's result says several things at once (of deferred, rescheduled, skipped, done)")
	}
	return nil
}

// Failure is the report of a failed attempt.
func (h *Handle) Failure(err error) executor.Report {
	var timeout *operators.SensorTimeoutError
	return executor.Report{
		MapLabel: h.mapLabel(),
		Attempt:  h.Attempt(), Kind: executor.Failed, At: h.Now(), Error: h.message(err.Error()),
		NoRetry: operators.NoRetry(err) || errors.As(err, &timeout), RetryAfter: operators.RetryDelay(err),
	}
}

func (h *Handle) message(text string) string {
	text = h.mask(text)
	if len(text) <= maxError {
		return text
	}
	cut := maxError
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + " ... (cut; the task's log has the whole)"
}

// deferral is the wait as it is stored. Times are cut to what the store keeps.
func (h *Handle) deferral(d operators.Deferral) *dag.Deferral {
	since := h.Now().Truncate(time.Microsecond)
	out := &dag.Deferral{Kind: d.Trigger.Kind, Args: d.Trigger.Args, Since: since}
	if d.Timeout > 0 {
		out.Timeout = d.Timeout
		out.Deadline = since.Add(d.Timeout)
	}
	if limit := h.work.Task.ExecutionTimeout; limit > 0 {
		if end := h.TryStart().Add(limit); out.Deadline.IsZero() || end.Before(out.Deadline) {
			out.Deadline, out.ByExecutionTimeout = end, true
		}
	}
	if h.env.Triggers != nil {
		if keyed, err := Keyed(h.env.Triggers, out); err == nil { // the trigger loop says what is wrong with it
			return keyed
		}
	}
	return out
}

// TryStart is when the try began: an attempt that goes on after a deferral began before it.
func (h *Handle) TryStart() time.Time {
	if ti := &h.work.Instance; ti.Deferral != nil && !ti.StartDate.IsZero() {
		return ti.StartDate
	}
	return h.start
}

// WaitError is the error that ended a stored wait at its deadline.
func WaitError(d *dag.Deferral) error {
	if d.ByExecutionTimeout {
		return fmt.Errorf("%w while the task was deferred", operators.ErrExecutionTimeout)
	}
	return &operators.DeferralTimeoutError{Timeout: d.Timeout}
}

// WaitEnd is how a stored wait ended: with an event, with an error, or, both nil, not yet.
func WaitEnd(d *dag.Deferral) (*triggers.Event, error) {
	switch {
	case d == nil:
		return nil, nil
	case d.TimedOut:
		return nil, WaitError(d)
	case d.Failed != "":
		return nil, fmt.Errorf("the trigger failed: %s", d.Failed)
	case d.Event != nil:
		return &triggers.Event{Payload: d.Event}, nil
	}
	return nil, nil
}

// Trigger is the trigger of a stored wait, or nil.
func Trigger(d *dag.Deferral) *triggers.Trigger {
	if d == nil {
		return nil
	}
	return &triggers.Trigger{Kind: d.Kind, Args: d.Args}
}

// Fired is the stored wait with its event, as reported when a trigger fires.
func Fired(d *dag.Deferral, event *triggers.Event) *dag.Deferral {
	out := *d
	out.Event = event.Payload
	if len(out.Event) == 0 {
		out.Event = json.RawMessage("null")
	}
	return &out
}

// LogEnd writes how the attempt ended to its log.
func (h *Handle) LogEnd(rep *executor.Report) {
	took := slog.Float64("duration", h.Now().Sub(h.start).Seconds())
	switch rep.Kind {
	case executor.Succeeded:
		h.logger.Info("Marking task as SUCCESS", took)
	case executor.Skipped:
		h.logger.Info("Marking task as SKIPPED", slog.String("reason", rep.Error), took)
	case executor.Failed:
		h.logger.Error("Task failed: " + rep.Error)
		next := "UP_FOR_RETRY"
		if rep.NoRetry || h.work.Instance.TryNumber > h.work.Instance.MaxTries {
			next = "FAILED"
		}
		h.logger.Info("Marking task as "+next, took)
	case executor.Deferred, executor.Parked:
		attrs := []any{slog.String("trigger", rep.Deferral.Kind)}
		if !rep.Deferral.Deadline.IsZero() {
			attrs = append(attrs, slog.Time("deadline", rep.Deferral.Deadline))
		}
		h.logger.Info("Pausing task as DEFERRED", attrs...)
	case executor.Rescheduled:
		h.logger.Info("Marking task as UP_FOR_RESCHEDULE", slog.Time("not_before", rep.RescheduleAt))
	case executor.Interrupted:
		h.logger.Warn("the daemon is stopping: the attempt is interrupted and will be repeated as the same try", took)
	}
}
