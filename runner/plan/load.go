package plan

import (
	"slices"

	"gust/dag"
	"gust/store"
)

// load builds everything from a snapshot. survivor, when not nil, is the State that this one replaces.
func (s *State) load(snap *store.Snapshot, survivor *survivor) {
	for i := range snap.Dags {
		s.dagRow(&snap.Dags[i])
	}
	s.poolsLoaded(snap.Pools)
	s.edits = snap.Edits
	s.assetsLoaded(snap)
	s.callbacksLoaded(snap)
	s.assetRequests(snap.AssetRequests)
	s.backfillsLoaded(snap.Backfills)
	for id, r := range snap.LastScheduled {
		s.pipeline(id).last = slotOf(&r)
	}
	for _, e := range snap.ImportErrors {
		s.errors[e.FileLoc] = true
	}
	var started []*run
	for i := range snap.Active {
		if r := s.loadRun(&snap.Active[i], snap.Versions); r != nil {
			started = append(started, r)
		}
		snap.Active[i].Tasks = nil // large, and not needed any more
	}
	for i := range snap.Queued {
		s.addQueued(snap.Queued[i])
	}
	for _, r := range started {
		s.adopt(r, survivor)
		s.occupy(r)
	}
	for _, r := range started {
		s.resume(r)
	}
	s.endStrangers(survivor)
	s.waitEnds(snap.WaitEnds)
	for _, b := range s.backfills {
		s.closeBackfill(b)
	}
}

// inherit keeps the DAGs that files have delivered to the State that is replaced.
func (s *State) inherit(old *State) {
	for _, p := range old.pick(func(p *pipeline) bool { return p.dag != nil }) {
		heir := s.pipeline(p.row.DagID)
		heir.loaded = p.loaded
		s.use(heir, p.dag)
	}
}

// loadRun takes in an unfinished run and returns it when it is running.
func (s *State) loadRun(a *store.ActiveRun, versions map[string]*dag.DAG) *run {
	if a.Run.State.Finished() {
		return nil
	}
	r := &run{row: a.Run, saved: a.Run.State, pipeline: s.pipeline(a.Run.DagID)}
	if r.row.State == dag.RunQueued {
		r.stored, r.skips, r.pinned = a.Tasks, a.Skips, versions[a.Run.DagVersion]
		s.register(r)
		return nil
	}
	d := versions[a.Run.DagVersion]
	if d == nil {
		s.warn("run %s of DAG %s cannot go on: its version %q is not stored", a.Run.RunID, a.Run.DagID, a.Run.DagVersion)
		return nil
	}
	r.skips = a.Skips
	s.register(r)
	s.follows(r, s.graphFor(d))
	s.build(r, a.Tasks)
	s.askPast(r)
	s.touchRun(r)
	return r
}

// adopt finds out which attempts of a run the trigger loop still holds.
func (s *State) adopt(r *run, survivor *survivor) {
	for t := range r.all {
		switch t.row.State {
		case dag.StateQueued, dag.StateRunning, dag.StateRestarting:
			t.parked = survivor != nil && survivor.parked(t.attempt())
			if s.cfg.inspect {
				s.out.add(t.attempt())
			}
		case dag.StateDeferred:
			t.parked = s.cfg.inspect || survivor != nil && survivor.parked(t.attempt())
		}
	}
}

// occupy counts what the attempts that are out hold, before anything new is let in.
func (s *State) occupy(r *run) {
	for t := range r.all {
		keeps := s.pool(t.row.Pool).deferred
		switch t.row.State {
		case dag.StateQueued, dag.StateRunning, dag.StateRestarting:
			if s.isHeld(t) && !t.parks() {
				s.take(t, heldSlot|heldPool)
			} else if keeps && (t.parks() || answered(t.row.Deferral)) {
				s.take(t, heldPool)
			}
		case dag.StateDeferred:
			if keeps {
				s.take(t, heldPool)
			}
		case scheduled:
			if keeps && answered(t.row.Deferral) {
				s.take(t, heldPool)
			}
		}
	}
}

// isHeld reports whether the attempt of a queued or running task is where it belongs.
func (s *State) isHeld(t *task) bool {
	if t.parks() {
		return t.parked
	}
	return s.out.has(t.attempt())
}

// resume goes on with the stored tasks of a run where an earlier life has left them.
func (s *State) resume(r *run) {
	s.skipAgain(r, r.skips)
	r.skips = nil
	for t := range r.all {
		if t.fresh {
			continue
		}
		switch t.row.State {
		case scheduled:
			s.again(t, answered(t.row.Deferral) || t.row.StartDate != 0)
		case dag.StateQueued, dag.StateRunning:
			if !s.isHeld(t) {
				s.again(t, true)
			}
		case dag.StateRestarting:
			s.restart(t)
		case dag.StateUpForRetry, dag.StateUpForReschedule:
			s.sleep(t)
		case dag.StateDeferred:
			switch {
			case t.row.wait == waitWritten: // answered
				if t.parked {
					s.unpark(t, "")
				}
				s.again(t, true)
			case t.parked:
				t.row.keepWait()
			default:
				t.reparks = true
				s.reparks = append(s.reparks, t)
			}
		}
	}
}

// restart ends the attempt of a task that was cleared while it ran; the next try begins when it reports its end, or at
// once when there is no attempt any more.
func (s *State) restart(t *task) {
	if a := t.attempt(); s.out.has(a) {
		s.d.Effects = append(s.d.Effects, Kill{a, "the task was cleared"})
		return
	}
	if t.parked {
		s.unpark(t, "the task was cleared")
	}
	s.call(t.stopRequest("the task was cleared", s.now)) // there may be no next try to go on with what it has started
	t.row.MaxTries = max(t.row.MaxTries, t.row.TryNumber)
	s.retryLater(t, s.now, 0)
}

// again makes a task ready for the try that its row names. The row changes when it begins, or has waited a while.
func (s *State) again(t *task, resumed bool) {
	t.resumed = resumed
	t.row.State = scheduled
	s.mark(t)
	s.lag(t)
	s.offer(t)
}

// removeRow ends a stored instance of a task that the run's version does not have.
func (s *State) removeRow(row *dag.TaskInstance) {
	if row.State.Finished() {
		return
	}
	gone := *row
	gone.State, gone.EndDate, gone.Deferral = dag.StateRemoved, s.now, nil
	s.d.Changes.Tasks = append(s.d.Changes.Tasks, store.TaskChange{
		From: row.State, FromTry: row.TryNumber, Task: gone, KeepWait: row.State == dag.StateDeferred,
	})
}

// endStrangers ends the attempts that are out although the rows know nothing of them any more.
func (s *State) endStrangers(survivor *survivor) {
	const reason = "the task was changed by another process"
	current := func(a dag.Attempt) *task {
		r := s.runs[a.Run()]
		if r == nil || r.tasks == nil {
			return nil
		}
		if t := r.find(a.Key); t != nil && t.attempt() == a {
			return t
		}
		return nil
	}
	for _, a := range s.out.sorted() {
		t := current(a)
		if t == nil || !slices.Contains([]dag.State{dag.StateQueued, dag.StateRunning, dag.StateRestarting}, t.row.State) {
			s.d.Effects = append(s.d.Effects, Kill{a, reason})
		}
	}
	if survivor == nil {
		return
	}
	dropped := map[dag.Attempt]bool{} // above, for a better reason
	for _, m := range s.parkMoves {
		dropped[m.attempt] = m.was
	}
	for _, a := range survivor.strangers(func(a dag.Attempt) bool {
		t := current(a)
		return t != nil && t.parked || dropped[a]
	}) {
		s.parkMoves = append(s.parkMoves, parkMove{a, true})
		s.d.Effects = append(s.d.Effects, Drop{a, reason})
	}
}
