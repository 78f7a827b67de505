package attempt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gust/operators"
	"gust/triggers"
)

// DefaultStopTimeout bounds a Stopper's Stop. It holds up a daemon that stops; what it was too short for is tried again
// later (dag.StopRequest).
const DefaultStopTimeout = 15 * time.Second

var errStopTimeout = errors.New("stopping took too long")

// Stop asks the task's operator, if it is a Stopper, to stop what it has outside this process. op may be nil: then it
// is made anew. The call gets timeout at most (0 means DefaultStopTimeout). The outcome is logged to the attempt's log;
// the error is for the daemon's.
func (h *Handle) Stop(
	ctx context.Context, op operators.Operator, reason string, trigger *triggers.Trigger, timeout time.Duration,
) error {
	if spec, ok := h.env.Operators.Lookup(h.work.Task.Operator); op == nil && ok {
		if _, ok := spec.New().(operators.Stopper); !ok {
			return nil
		}
	}
	if timeout <= 0 {
		timeout = DefaultStopTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errStopTimeout)
	defer cancel()
	done := make(chan error, 1) // one that is given up may still answer
	go func() {
		var err error
		defer func() { done <- err }()
		Guard(&err, func() error { return h.stop(ctx, op, reason, trigger) })
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select { // a Stop that heeds ctx has its own, better error
		case err = <-done:
		case <-time.After(time.Second):
			if err = context.Cause(ctx); errors.Is(err, errStopTimeout) {
				err = fmt.Errorf("%w: no answer within %s", err, timeout)
			}
		}
	}
	if err != nil {
		err = fmt.Errorf("stop what %s started: %w", h.Attempt(), err)
		h.logger.Error(h.mask(err.Error()))
	}
	return err
}

func (h *Handle) stop(ctx context.Context, op operators.Operator, reason string, trigger *triggers.Trigger) error {
	if op == nil {
		var err error
		if op, _, err = h.Operator(ctx); err != nil {
			return err
		}
	}
	s, ok := op.(operators.Stopper)
	if !ok {
		return nil
	}
	h.logger.Info("Stopping what the task started: " + reason)
	return s.Stop(ctx, h, reason, trigger)
}
