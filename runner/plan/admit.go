package plan

import (
	"container/heap"

	"gust/dag"
	"gust/runner/executor"
)

// offer finds out whether a ready task can begin: it waits at the first gate that has no room, or for an executor slot.
// Before that it waits for an attempt of its own that was taken away and has not left the executor, whose end offers it
// again (land): that attempt may be about to start what the next one would not find.
func (s *State) offer(t *task) {
	if s.out.holds(t.key()) {
		return
	}
	if g := s.blocked(t); g != nil {
		s.waitAt(g, t)
		return
	}
	if s.slotless(t) {
		if s.stopping {
			s.waitAt(&t.run.pipeline.pause, t)
			return
		}
		s.launch(t)
		return
	}
	heap.Push(&s.ready, t)
}

func (s *State) waitAt(g *gate, t *task) {
	if g.pool && g.limit >= 0 && t.need(g) > g.limit {
		g.oversize = append(g.oversize, t)
		s.warnPool(g, t)
		return
	}
	heap.Push(&g.wait, t)
}

func (s *State) warnPool(g *gate, t *task) {
	id := t.run.row.DagID + "." + t.spec.ID
	if g.warned[id] {
		return
	}
	if g.warned == nil {
		g.warned = map[string]bool{}
	}
	g.warned[id] = true
	if g.missing {
		s.warn("task %s waits: its pool %q does not exist; create it with `gust pools set %s SLOTS DESCRIPTION`",
			id, g.name, g.name)
		return
	}
	s.warn("task %s waits: it needs %d slots and its pool %q has only %d; raise the pool's slots or lower pool_slots",
		id, t.need(g), g.name, g.limit)
}

// slotless reports whether the task begins without an executor slot: it does nothing, or the trigger loop parks it.
func (s *State) slotless(t *task) bool { return t.spec.Inline || t.parks() }

// parks reports whether the task goes to the trigger loop next, and not to the executor.
func (t *task) parks() bool { return t.spec.Parks && !answered(t.row.Deferral) }

func answered(d *dag.Deferral) bool {
	return d != nil && d.Ended()
}

// admit hands out executor slots to ready tasks and reports whether it looked at any.
func (s *State) admit() bool {
	progress := false
	for !s.stopping && s.out.len() < s.cfg.Slots && len(s.ready) > 0 {
		progress = true
		t := heap.Pop(&s.ready).(*task)
		from := t.pulled
		if from != nil {
			from.pulled -= t.need(from)
			t.pulled = nil
		}
		if t.waiting() {
			if g := s.blocked(t); g != nil {
				s.waitAt(g, t)
			} else {
				s.launch(t)
			}
		}
		if from != nil {
			s.refill(from)
		}
	}
	return progress
}

// refill lets as many tasks move on from a gate as it has room for.
func (s *State) refill(g *gate) {
	for {
		t := g.head()
		if t == nil || t.need(g) > g.free()-g.pulled {
			return
		}
		heap.Pop(&g.wait)
		switch other := s.blocked(t); {
		case other == g: // held back by a more urgent one; the head is the most urgent, so this cannot repeat
			heap.Push(&g.wait, t)
			return
		case other != nil:
			s.waitAt(other, t)
		case s.slotless(t):
			if s.stopping {
				heap.Push(&g.wait, t)
				return
			}
			s.launch(t)
		default:
			t.pulled = g
			g.pulled += t.need(g)
			heap.Push(&s.ready, t)
		}
	}
}

// open marks a gate for refilling: it may have room now.
func (s *State) open(g *gate) {
	if !g.listed && len(g.wait) > 0 {
		g.listed = true
		s.opened.push(g)
	}
}

// blocked returns the first gate without room for the task.
func (s *State) blocked(t *task) *gate {
	r := t.run
	if p := &r.pipeline.pause; p.blocks(t) {
		return p
	}
	if t.spec.Inline {
		return nil
	}
	parks := t.parks()
	if pool := s.pool(t.row.Pool); t.held&heldPool == 0 && (!parks || pool.deferred) && pool.blocks(t) {
		return pool
	}
	if parks {
		return nil
	}
	if r.limit.blocks(t) {
		return &r.limit
	}
	if g := s.perRun(t); g != nil && g.blocks(t) {
		return g
	}
	if g := s.perDag(t); g != nil && g.blocks(t) {
		return g
	}
	return nil
}

func (s *State) pool(name string) *gate {
	g := s.pools[name]
	if g == nil {
		g = &gate{name: name, pool: true, missing: true}
		s.pools[name] = g
	}
	return g
}

// perRun is the gate of max_active_tis_per_dagrun, nil when there is no such limit.
func (s *State) perRun(t *task) *gate {
	if t.spec.MaxActivePerRun <= 0 {
		return nil
	}
	g := t.run.perTask[int(t.index)]
	if g == nil {
		g = &gate{name: "max_active_tis_per_dagrun", limit: t.spec.MaxActivePerRun}
		if t.run.perTask == nil {
			t.run.perTask = map[int]*gate{}
		}
		t.run.perTask[int(t.index)] = g
	}
	return g
}

// perDag is the gate of max_active_tis_per_dag, nil when there is no such limit.
func (s *State) perDag(t *task) *gate {
	if t.spec.MaxActivePerDAG <= 0 {
		return nil
	}
	p := t.run.pipeline
	g := p.perTask[t.spec.ID]
	if g == nil {
		g = &gate{name: "max_active_tis_per_dag"}
		if p.perTask == nil {
			p.perTask = map[string]*gate{}
		}
		p.perTask[t.spec.ID] = g
	}
	g.limit = t.spec.MaxActivePerDAG
	return g
}

// take occupies the gates of a task that begins.
func (s *State) take(t *task, what held) {
	if what &^= t.held; what&heldPool != 0 {
		pool := s.pool(t.row.Pool)
		pool.used += t.need(pool)
	}
	if what&heldSlot != 0 {
		t.run.limit.used++
		if g := s.perRun(t); g != nil {
			g.used++
		}
		if g := s.perDag(t); g != nil {
			g.used++
		}
	}
	t.held |= what
}

// release frees gates and lets the next in line look.
func (s *State) release(t *task, what held) {
	if what &= t.held; what&heldPool != 0 {
		pool := s.pool(t.row.Pool)
		pool.used -= t.need(pool)
		s.open(pool)
	}
	if what&heldSlot != 0 {
		t.run.limit.used--
		s.open(&t.run.limit)
		if g := s.perRun(t); g != nil {
			g.used--
			s.open(g)
		}
		if g := s.perDag(t); g != nil {
			g.used--
			s.open(g)
		}
	}
	t.held &^= what
}

// launch lets a ready task begin: in the executor, in the trigger loop, or here.
func (s *State) launch(t *task) {
	t.resumed = false
	if t.spec.Inline {
		s.runInline(t)
		return
	}
	t.row.QueuedAt = momentOf(s.now)
	s.move(t, dag.StateQueued)
	if t.parks() {
		if s.pool(t.row.Pool).deferred {
			s.take(t, heldPool)
		}
		s.park(t)
		return
	}
	s.take(t, heldSlot|heldPool)
	s.out.add(t.attempt())
	s.d.Effects = append(s.d.Effects, Dispatch{s.work(t)})
}

func (s *State) work(t *task) executor.Work {
	expansion := 0
	if t.base != nil {
		expansion = t.base.expansion
	}
	ti := t.instance()
	if ti.Deferral == nil && t.row.wait != waitWritten {
		ti.Deferral = &dag.Deferral{} // it is in the row
	}
	return executor.Work{
		Expansion: expansion,
		DAG:       t.run.graph.dag, Task: t.spec, Run: t.run.row, Instance: ti, NextAfter: t.run.nextAfter,
	}
}
