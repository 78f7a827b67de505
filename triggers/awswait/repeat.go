package awswait

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gust/connections/awsconn"
	"gust/triggers"
)

// Backoff is the pause before the n-th repetition (from 1) of a call that was throttled.
type Backoff func(n int) time.Duration

// DefaultBackoff pauses 1 s, 2 s, 4 s ... up to 30 s.
func DefaultBackoff(n int) time.Duration { return min(time.Second<<min(n-1, 5), 30*time.Second) }

// MaxRepeats bounds how often a call is repeated; with the default pauses that is about four minutes.
const MaxRepeats = 12

// Repeat calls until the call succeeds or fails for good. Throttling, faults of the service and lost connections are
// repeated with pauses, and so is what also reports, if it is given.
func (b Backoff) Repeat(
	ctx context.Context, log *slog.Logger, what string, also func(error) bool, call func() error,
) error {
	for n := 1; ; n++ {
		err := call()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		passes := awsconn.TroubleOf(err) == awsconn.Passing || also != nil && also(err)
		if !passes || n > MaxRepeats {
			return err // the SDK's errors name the operation
		}
		log.Warn(fmt.Sprintf("%s met an error that may pass, repeating: %s", what, err))
		if err := triggers.Pause(ctx, b(n)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}
