package stepfunctions

import (
	"context"
	"time"

	"gust/triggers"
)

// Await waits for a trigger of this family where it is called, as the trigger loop would: for an operator that waits on
// its worker. id tells the wait from others in its pauses; say gets lines for the log.
func (d Deps) Await(
	ctx context.Context, t triggers.Trigger, id string, now func() time.Time, say func(string),
) (triggers.Event, error) {
	r := triggers.NewRegistry()
	if err := Register(r, d); err != nil {
		return triggers.Event{}, err
	}
	checker, err := r.Checker(t.Kind)
	if err != nil {
		return triggers.Event{}, err
	}
	return triggers.Await(ctx, checker, t, id, now, say)
}
