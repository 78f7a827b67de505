package triggerer

import (
	"context"
	"time"

	"gust/dag"
)

// NextChecks tells when the waits of these attempts are looked at next; those that are not held, or whose trigger needs no
// check, are left out. It returns what it knows when ctx ends or the loop has stopped: nothing.
func (l *Loop) NextChecks(ctx context.Context, attempts []dag.Attempt) map[dag.Attempt]time.Time {
	next, _ := ask(ctx, l, func() map[dag.Attempt]time.Time {
		out := make(map[dag.Attempt]time.Time, len(attempts))
		for _, a := range attempts {
			ref, held := l.slots.find(a)
			if !held {
				continue
			}
			if s := l.slots.at(ref); s.group != nil && s.due > 0 {
				out[a] = moment(s.due)
			}
		}
		return out
	})
	return next
}
