package stepfunctions

import (
	"fmt"
	"time"
)

// explain keeps what people are told about the round.
func (r *round) explain() {
	g := r.group
	lines := []string{fmt.Sprintf("%s: %d waits due, %d executions described, %d pages listed, %d ended",
		stamp(r.now), len(r.looks), r.described, r.listed, r.ends)}
	switch c := r.chosen; {
	case c.costs != [plans]float64{}:
		text := "plan: " + c.plan.String()
		if c.plan != describeEach {
			text += fmt.Sprintf(", about %d pages down to executions started at %s", c.pages, stamp(c.cutoff))
			if c.older > 0 {
				text += fmt.Sprintf("; %d older ones are described", c.older)
			}
		}
		lines = append(lines, text, c.explain())
	default:
		lines = append(lines, "between two listings: described as far as half of the quota allows")
	}
	if s := g.sweep; s != nil {
		lines = append(lines, fmt.Sprintf("the listing goes on when the quota allows it; %d pages so far, begun at %s", s.pages, stamp(s.begun)))
	} else if g.tick.After(r.now) {
		lines = append(lines, "next listing at "+stamp(g.tick))
	}
	if why := r.unlistable(); why != "" {
		lines = append(lines, why)
	}
	lines = append(lines, "quota left: "+r.left(describing)+", "+r.left(listing))
	g.mu.Lock()
	short, long, ok := g.usual.usual()
	g.mu.Unlock()
	if ok {
		lines = append(lines, fmt.Sprintf("executions usually take %s to %s", short.Round(time.Millisecond), long.Round(time.Millisecond)))
	}
	if r.eventsArrive() {
		lines = append(lines, fmt.Sprintf("events arrive: after the first looks, one every %s or more", Safety))
	}
	g.say(lines)
}

func (r *round) left(operation string) string {
	room := r.room(operation)
	if !room.Limited() {
		return operation + " is not limited"
	}
	return fmt.Sprintf("%s %.0f of %g, refilled with %.1f a second", operation, max(room.Tokens, 0), room.Size.Bucket, room.PerSecond)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
