package triggerer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gust/runner/attempt"
	"gust/runner/executor"
	"gust/triggers"
)

type groupKey struct{ name, key string } // of the kind and within it

// kind is a trigger kind's share of the loop: its checks under way, and its groups whose turn has not come. Kinds do
// not wait for each other, so that a slow service delays nobody else.
type kind struct {
	inFlight int
	ready    []*group
	stats    KindStats
}

// group is the waits that one Check may look at together. At most one check of a group is under way.
type group struct {
	groupKey
	checker triggers.Checker
	kind    *kind
	id      uint32
	version uint32   // of its live entry in the loop's heap
	armed   int64    // time of that entry; 0 = none
	waits   timeHeap // by due time; holds the waits in phase waiting
	members int      // waits in phase waiting or checking
	busy    bool     // a check is under way, or waits for its turn
	first   int64    // no check before, after a restart

	counts    Counts
	late      time.Duration // of the latest check
	lastCheck time.Time
}

// join puts a wait into the group of its kind and key.
func (l *Loop) join(ref uint32, now time.Time, restarted bool) error {
	s := l.slots.at(ref)
	d := s.work.Instance.Deferral
	checker, err := l.c.Triggers.Checker(d.Kind)
	if err != nil {
		return err
	}
	var key string
	attempt.Guard(&err, func() (err error) {
		key, err = checker.Key(d.Args)
		return err
	})
	if err != nil {
		return fmt.Errorf("trigger %s: %w", d.Kind, err)
	}
	id := groupKey{d.Kind, key}
	g := l.groups[id]
	if g == nil {
		g = &group{groupKey: id, checker: checker, kind: l.kinds[d.Kind]}
		if g.kind == nil {
			g.kind = &kind{}
			l.kinds[d.Kind] = g.kind
		}
		l.groups[id] = g
		if n := len(l.unusedGroups); n > 0 {
			g.id, l.unusedGroups = l.unusedGroups[n-1], l.unusedGroups[:n-1]
			l.groupByID[g.id] = g
		} else {
			g.id = uint32(len(l.groupByID))
			l.groupByID = append(l.groupByID, g)
		}
		if restarted {
			g.first = now.Add(l.spread()).UnixNano()
		}
	}
	g.members++
	g.kind.stats.Parked++
	s.group, s.phase, s.due = g, waiting, now.UnixNano()
	if restarted {
		s.due = max(s.due, g.first)
	}
	l.wait(ref, s.due)
	return nil
}

// spread is the delay of the next group's first check after a restart: the groups follow each other a step apart, so
// that a few are looked at at once and very many do not fall upon their services together.
func (l *Loop) spread() time.Duration {
	step := l.restarted % int(spreadOver/spreadStep)
	l.restarted++
	return time.Duration(step) * spreadStep
}

// wait puts a wait into its group's heap.
func (l *Loop) wait(ref uint32, due int64) {
	s := l.slots.at(ref)
	s.phase, s.due = waiting, due
	g := s.group
	if len(g.waits) > 2*g.members+64 {
		g.waits.keep(l.isWait)
	}
	g.waits.push(entry{due, ref, s.version})
	l.arm(g)
}

func (l *Loop) isWait(e entry) bool {
	s := l.slots.at(e.ref)
	return s.version == e.version && s.phase == waiting && s.due == e.at
}

// arm sees to it that the group comes up when its first wait is due.
func (l *Loop) arm(g *group) {
	if g.busy {
		return
	}
	for len(g.waits) > 0 && !l.isWait(g.waits[0]) {
		g.waits.pop()
	}
	if len(g.waits) == 0 || g.armed != 0 && g.armed <= g.waits[0].at {
		return
	}
	g.armed = g.waits[0].at
	g.version++
	l.heap.push(entry{g.armed, g.id | groupRef, g.version})
}

// leave takes a wait out of its group. Its entry in the group's heap becomes void with its phase.
func (l *Loop) leave(s *slot) {
	g := s.group
	s.group = nil
	g.members--
	g.kind.stats.Parked--
	if g.members == 0 && !g.busy {
		l.dissolve(g)
	}
}

func (l *Loop) dissolve(g *group) {
	delete(l.groups, g.groupKey)
	l.groupByID[g.id] = nil
	l.unusedGroups = append(l.unusedGroups, g.id)
}

// batch is one check.
type batch struct {
	group  *group
	ids    []entry // the waits' slots; at is unused
	works  []*executor.Work
	checks []uint32
	news   map[uint32][]json.RawMessage // of each slot, when the batch is to hear them
}

// waits are the batch's waits as a checker sees them.
func (b *batch) waits() []triggers.Wait {
	waits := make([]triggers.Wait, len(b.works))
	for i, w := range b.works {
		d := w.Instance.Deferral
		waits[i] = triggers.Wait{
			ID: w.Attempt().String(), Args: d.Args, State: d.State, Since: d.Since, Checks: int(b.checks[i]),
		}
	}
	return waits
}

// gather takes what is due, and what is due within a moment, out of the group's heap.
func (l *Loop) gather(g *group, now time.Time) *batch {
	b := &batch{group: g}
	due, until := now.UnixNano(), now.Add(l.c.Gather).UnixNano()
	var later []entry
	for len(g.waits) > 0 && g.waits[0].at <= until {
		if g.waits[0].at > due && len(b.ids) == 0 && l.isWait(g.waits[0]) {
			break // nothing is due
		}
		e := g.waits.pop()
		s := l.slots.at(e.ref)
		switch {
		case !l.isWait(e):
		case e.at > due && s.exact:
			later = append(later, e)
		default:
			s.phase, s.early = checking, e.at > due
			b.ids = append(b.ids, e)
			b.works = append(b.works, s.work)
			b.checks = append(b.checks, s.checks)
		}
	}
	for _, e := range later {
		g.waits.push(e)
	}
	return b
}

// launch starts the checks whose turn it is.
func (l *Loop) launch(now time.Time) {
	for _, k := range l.kinds {
		for k.inFlight < l.c.Checks && len(k.ready) > 0 {
			g := k.ready[0]
			k.ready[0] = nil
			k.ready = k.ready[1:]
			b := l.gather(g, now)
			if len(b.ids) == 0 {
				l.idle(g)
				continue
			}
			k.inFlight++
			g.begun(b, now)
			l.checkers.Go(func() { l.check(b, now) })
		}
		if len(k.ready) == 0 {
			k.ready = nil
		}
	}
}

// idle ends a group's turn.
func (l *Loop) idle(g *group) {
	g.busy = false
	if g.members == 0 {
		l.dissolve(g)
		return
	}
	l.arm(g)
}

var errCheckTimeout = errors.New("the check took too long")

// check runs off the loop. Log lines are written here, so that the loop never waits for a disk.
func (l *Loop) check(b *batch, now time.Time) {
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.c.CheckTimeout, errCheckTimeout)
	defer cancel()
	waits := b.waits()
	var verdicts []triggers.Verdict
	var err error
	attempt.Guard(&err, func() error {
		verdicts = b.group.checker.Check(ctx, now, waits)
		return nil
	})
	if err == nil && ctx.Err() == nil && len(verdicts) != len(waits) {
		err = fmt.Errorf("the trigger answered %d of %d waits", len(verdicts), len(waits))
	}
	cause := context.Cause(ctx)
	if err == nil && cause == nil {
		l.writeLogs(b, verdicts)
	}
	l.post(func() { l.checked(b, verdicts, err, cause) })
}

// checked takes the answers in.
func (l *Loop) checked(b *batch, verdicts []triggers.Verdict, err, cause error) {
	b.group.kind.inFlight--
	now := l.now()
	if cause != nil && err == nil {
		b.group.counts.Cut++
		b.group.kind.stats.Cut++
		l.c.Log.Warn("a check was cut short; its waits are looked at again", "trigger", b.group.name, "key", b.group.key,
			"waits", len(b.ids), "error", cause)
	}
	for i, e := range b.ids {
		s := l.slots.at(e.ref)
		if s.version != e.version || s.phase != checking {
			continue // dropped, or timed out, meanwhile
		}
		switch {
		case err != nil:
			l.end(e.ref, nil, fmt.Errorf("trigger %s: %w", b.group.name, err), false)
		case cause != nil:
			l.again(e.ref, triggers.Verdict{Again: now.Add(retryCheck)}, now)
		default:
			s.checks++
			l.judge(e.ref, verdicts[i], now)
		}
	}
	l.idle(b.group)
}

func (l *Loop) judge(ref uint32, v triggers.Verdict, now time.Time) {
	said := 0
	for _, set := range []bool{v.Event != nil, !v.Again.IsZero(), v.Err != nil} {
		if set {
			said++
		}
	}
	switch {
	case said != 1:
		l.end(ref, nil, fmt.Errorf("trigger %s gave %d answers to one wait", l.slots.at(ref).group.name, said), false)
	case v.Event != nil:
		l.end(ref, v.Event, nil, false)
	case v.Err != nil:
		l.end(ref, nil, v.Err, false)
	default:
		l.again(ref, v, now)
	}
}

// again waits on, unless the time is up.
func (l *Loop) again(ref uint32, v triggers.Verdict, now time.Time) {
	s := l.slots.at(ref)
	d := s.work.Instance.Deferral
	if !d.Deadline.IsZero() && !d.Deadline.After(now) {
		l.timeOut(ref)
		return
	}
	if v.State != nil && string(v.State) != string(d.State) {
		next := *d
		next.State = v.State
		s.work.Instance.Deferral = &next // the Work is the loop's own copy
		l.note(ref)
	}
	due := max(v.Again.UnixNano(), now.Add(leastInterval).UnixNano())
	s.exact = s.early && due <= s.due
	l.wait(ref, due)
}
