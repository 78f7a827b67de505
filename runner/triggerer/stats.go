package triggerer

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gust/triggers"
)

// Stats is how a loop is doing; the counters count from its start.
type Stats struct {
	// Parked is how many attempts are held, those being parked or finished included.
	Parked int
	// Checking is how many of them are in checks that are under way.
	Checking int
	// Kinds are the trigger kinds that waits have had, by name.
	Kinds []KindStats
	// Keys are the groups with the most waits, the largest first.
	Keys []KeyStats
}

// Counts is what a kind, or a key, of waits has seen.
type Counts struct {
	// Parked is how many waits there are now.
	Parked int
	// Checks are the calls of the checker, Looks the waits that it was shown in them, Cut the checks that were cut short.
	Checks, Looks, Cut uint64
	// Fired, Failed and TimedOut are how waits have ended.
	Fired, Failed, TimedOut uint64
}

// KindStats is what the waits of a kind have seen.
type KindStats struct {
	Kind string
	Counts
	// News are the waits that news were heard for, Heard those that ended by it.
	News, Heard uint64
	// Late is from when a look was due to when it began; Noticed from the end of what was awaited, where the checker
	// knows it, to the end of the wait.
	Late, Noticed Lag
}

// KeyStats is what the waits of one key have seen since the first of those that are there now.
type KeyStats struct {
	Kind, Key, Place string
	Counts
	// Late is how late the latest check began, LastCheck is when.
	Late      time.Duration
	LastCheck time.Time
}

// LagBounds are the upper bounds of Lag's buckets.
var LagBounds = [...]time.Duration{
	10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

// Lag is a histogram of delays. Buckets are not cumulative; the last one is what lies beyond LagBounds.
type Lag struct {
	Count   uint64
	Sum     time.Duration
	Buckets [len(LagBounds) + 1]uint64
}

func (l *Lag) add(d time.Duration) {
	d = max(d, 0)
	l.Count++
	l.Sum += d
	i, _ := slices.BinarySearch(LagBounds[:], d)
	l.Buckets[i]++
}

// Stats tells how the loop is doing, with at most so many keys. It is empty when ctx ends or the loop has stopped.
func (l *Loop) Stats(ctx context.Context, keys int) Stats {
	out, _ := ask(ctx, l, func() Stats { return l.stats(keys) })
	return out
}

func (l *Loop) stats(keys int) Stats {
	out := Stats{Parked: l.slots.held, Checking: l.looks}
	for name, k := range l.kinds {
		s := k.stats
		s.Kind = name
		out.Kinds = append(out.Kinds, s)
	}
	slices.SortFunc(out.Kinds, func(a, b KindStats) int { return strings.Compare(a.Kind, b.Kind) })
	largest := make([]*group, 0, len(l.groups))
	for _, g := range l.groups {
		largest = append(largest, g)
	}
	slices.SortFunc(largest, func(a, b *group) int {
		return cmp.Or(b.members-a.members, strings.Compare(a.name, b.name), strings.Compare(a.key, b.key))
	})
	for _, g := range largest[:min(max(keys, 0), len(largest))] {
		s := KeyStats{Kind: g.name, Key: g.key, Place: g.place(), Counts: g.counts, Late: g.late, LastCheck: g.lastCheck}
		s.Parked = g.members
		out.Keys = append(out.Keys, s)
	}
	return out
}

// place names the service that the group reaches.
func (g *group) place() string { return cmp.Or(g.lane.place, g.name) }

// ended counts the end of a wait.
func (g *group) ended(event *triggers.Event, timedOut bool, now time.Time) {
	for _, c := range []*Counts{&g.counts, &g.kind.stats.Counts} {
		switch {
		case timedOut:
			c.TimedOut++
		case event != nil:
			c.Fired++
		default:
			c.Failed++
		}
	}
	if event != nil && !event.At.IsZero() {
		g.kind.stats.Noticed.add(now.Sub(event.At))
	}
}

// begun counts the beginning of a check.
func (g *group) begun(b *batch, now time.Time) {
	g.late, g.lastCheck = 0, now
	for _, c := range []*Counts{&g.counts, &g.kind.stats.Counts} {
		c.Checks++
		c.Looks += uint64(len(b.ids))
	}
	for _, e := range b.ids {
		late := time.Duration(now.UnixNano() - e.at)
		g.late = max(g.late, late)
		g.kind.stats.Late.add(late)
	}
}
