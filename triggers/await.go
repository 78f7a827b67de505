package triggers

import (
	"context"
	"time"
)

// Await waits for a trigger where it is called, with the looks that the trigger loop would make: for an operator that
// waits on its worker. id tells the wait from others in its pauses; say gets lines for the log.
func Await(
	ctx context.Context, c Checker, t Trigger, id string, now func() time.Time, say func(string),
) (Event, error) {
	one := Wait{ID: id, Args: t.Args, Since: now()}
	for {
		v := c.Check(ctx, now(), []Wait{one})[0]
		if ctx.Err() != nil {
			return Event{}, context.Cause(ctx)
		}
		if v.Log != "" {
			say(v.Log)
		}
		switch {
		case v.Err != nil:
			return Event{}, v.Err
		case v.Event != nil:
			return *v.Event, nil
		}
		if one.Checks++; v.State != nil {
			one.State = v.State
		}
		if err := Pause(ctx, v.Again.Sub(now())); err != nil {
			return Event{}, err
		}
	}
}

// Pause waits for d, or returns the cause of ctx's end.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
