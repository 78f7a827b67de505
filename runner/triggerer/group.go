package triggerer

import (
	"time"

	"gust/dag"
	"gust/runner/attempt"
	"gust/triggers"
)

type groupKey struct{ name, key string } // of the kind and within it

// kind is what the waits of one trigger kind share.
type kind struct {
	checker triggers.Checker
	stats   KindStats
}

// lane is a place's share of the loop: its checks under way, and its groups whose turn has not come. Lanes do not wait
// for each other, so that a slow service delays nobody else.
type lane struct {
	place    string
	groups   int
	inFlight int
	ready    []*group
	listed   bool // among the loop's ready lanes
}

// group is the waits that one Check may look at together. At most one check of a group is under way.
type group struct {
	groupKey
	kind    *kind
	lane    *lane
	id      uint32
	version uint32   // of its live entry in the loop's heap
	armed   int64    // time of that entry; 0 = none
	waits   timeHeap // by due time; holds the waits in phase waiting
	members int      // waits in phase waiting or checking
	busy    bool     // a check is under way, or waits for its turn
	first   int64    // no check before, after a restart
	joined  int      // waits since the restart
	cut     int      // checks cut short in a row

	counts    Counts
	late      time.Duration // of the latest check
	lastCheck time.Time
}

// join puts a wait into the group of its kind and key.
func (l *Loop) join(ref uint32, d *dag.Deferral, now time.Time, restarted bool) error {
	g, err := l.group(groupKey{d.Kind, d.Key})
	if err != nil {
		return err
	}
	s := l.slots.at(ref)
	g.members++
	g.kind.stats.Parked++
	s.group, s.phase, s.due = g, waiting, now.UnixNano()
	l.slots.setSubject(ref, d.Subject)
	if restarted {
		if g.first == 0 {
			g.first = now.Add(l.spread()).UnixNano()
		}
		s.due = max(s.due, g.first+int64(min(time.Duration(g.joined/spreadWaits)*spreadStep, spreadOver)))
		g.joined++
	}
	l.wait(ref, s.due)
	return nil
}

// group returns the group with this key, new when there is none.
func (l *Loop) group(id groupKey) (*group, error) {
	if g := l.groups[id]; g != nil {
		return g, nil
	}
	k := l.kinds[id.name]
	if k == nil {
		checker, err := l.c.Triggers.Checker(id.name)
		if err != nil {
			return nil, err
		}
		k = &kind{checker: checker}
		l.kinds[id.name] = k
	}
	g := &group{groupKey: id, kind: k, lane: l.lane(k, id)}
	l.groups[id] = g
	if n := len(l.unusedGroups); n > 0 {
		g.id, l.unusedGroups = l.unusedGroups[n-1], l.unusedGroups[:n-1]
		l.groupByID[g.id] = g
	} else {
		g.id = uint32(len(l.groupByID))
		l.groupByID = append(l.groupByID, g)
	}
	return g, nil
}

// lane returns the lane of a new group. A checker that names no place has one for all of its groups.
func (l *Loop) lane(k *kind, id groupKey) *lane {
	at := groupKey{name: id.name}
	if placed, ok := k.checker.(triggers.Placed); ok {
		var err error
		attempt.Guard(&err, func() error {
			at.key = placed.Place(id.key)
			return nil
		})
		if err != nil {
			l.c.Log.Error("a trigger cannot tell the place of a key", "trigger", id.name, "key", id.key, "error", err)
		}
	}
	ln := l.lanes[at]
	if ln == nil {
		ln = &lane{place: at.key}
		l.lanes[at] = ln
	}
	ln.groups++
	return ln
}

// spread is the delay of the next group's first check after a restart: the groups follow each other a step apart, so
// that a few are looked at at once and very many do not fall upon their services together. The waits of a large group
// follow each other alike.
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
func (l *Loop) leave(ref uint32, s *slot) {
	g := s.group
	s.group = nil
	l.slots.setSubject(ref, 0)
	delete(l.sooner, ref)
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
	if g.lane.groups--; g.lane.groups == 0 {
		delete(l.lanes, groupKey{g.name, g.lane.place})
	}
}

// rise gives a group its turn.
func (l *Loop) rise(g *group) {
	g.armed = 0
	g.busy = true
	g.lane.ready = append(g.lane.ready, g)
	if !g.lane.listed {
		g.lane.listed = true
		l.risen = append(l.risen, g.lane)
	}
}

// launch starts the checks whose turn it is. A place always has one, whatever others have: the bounds on all places
// together only hold back its further ones.
func (l *Loop) launch(now time.Time) {
	still := l.risen[:0]
	for _, ln := range l.risen {
		for len(ln.ready) > 0 && l.mayCheck(ln) {
			g := ln.ready[0]
			ln.ready[0] = nil
			ln.ready = ln.ready[1:]
			b := l.gather(g, now)
			if len(b.ids) == 0 {
				l.idle(g)
				continue
			}
			ln.inFlight++
			l.checks++
			l.looks += len(b.ids)
			g.begun(b, now)
			l.begin(func() { l.check(b, now) })
		}
		if len(ln.ready) > 0 {
			still = append(still, ln)
		} else {
			ln.ready, ln.listed = nil, false
		}
	}
	clear(l.risen[len(still):])
	l.risen = still
}

func (l *Loop) mayCheck(ln *lane) bool {
	return ln.inFlight == 0 || ln.inFlight < l.c.Checks && l.checks < l.c.AllChecks && l.looks < maxLooks
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

// gather takes what is due, and what is due within a moment, out of the group's heap.
func (l *Loop) gather(g *group, now time.Time) *batch {
	b := &batch{group: g}
	due, until := now.UnixNano(), now.Add(l.c.Gather).UnixNano()
	var later []entry
	for len(g.waits) > 0 && g.waits[0].at <= until && len(b.ids) < maxBatch {
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
			b.add(e, s)
			b.looks[len(b.looks)-1].state = l.noted[e.ref].state
		}
	}
	for _, e := range later {
		g.waits.push(e)
	}
	return b
}
