package plan

import (
	"cmp"
	"container/heap"
	"time"

	"gust/dag"
	"gust/dag/timetable"
)

// Reasons of a failed run.
const (
	reasonTaskFailure = "task_failure"
	reasonDeadlock    = "all_tasks_deadlocked"
	reasonTimedOut    = "timed_out"
)

// addQueued takes in a queued run that another process, or an earlier life, has created. Known runs are left alone.
func (s *State) addQueued(row dag.Run) *run {
	if r := s.runs[row.RunKey]; r != nil {
		return r
	}
	if row.State != dag.RunQueued {
		return nil
	}
	r := &run{row: row, saved: row.State, pipeline: s.pipeline(row.DagID)}
	s.register(r)
	return r
}

// register adds an unfinished run to its pipeline.
func (s *State) register(r *run) {
	s.runs[r.row.RunKey] = r
	if r.row.BackfillID != 0 {
		s.joinBackfill(r)
		return
	}
	r.pipeline.active++
	if r.row.State == dag.RunRunning {
		r.pipeline.running++
	} else {
		heap.Push(&r.pipeline.queued, r)
	}
	s.touchDag(r.pipeline)
}

// advanceDag creates the scheduled runs that are due and starts queued ones, as far as max_active_runs allows.
func (s *State) advanceDag(p *pipeline) {
	if s.stopping {
		return
	}
	s.createRuns(p)
	s.createAssetRun(p)
	s.startRuns(p)
	s.startBackfills(p)
}

// createRuns creates the scheduled runs that are due now and sets the timer for the next. It creates at most
// max_active_runs in one Step, so that a DAG whose runs end at once does not keep the Step from ending.
func (s *State) createRuns(p *pipeline) {
	var next time.Time
	for p.loaded && !p.row.Stale && !p.row.IsPaused && p.table != nil {
		slot, ok := p.table.Next(p.last, timetable.Restriction{
			Earliest: p.dag.StartDate, Latest: p.dag.EndDate, Catchup: p.dag.Catchup,
		}, s.now)
		if !ok {
			break
		}
		next = slot.RunAfter
		if full(p.active, p.dag.MaxActiveRuns) {
			break // looked at again when a run ends
		}
		due := slot.RunAfter
		if p.last != nil && !due.After(p.last.RunAfter) {
			due = p.last.RunAfter.Add(time.Millisecond) // run ids come from the time: two runs cannot share it
		} else if p.last != nil && !due.After(s.now) && slot.LogicalDate.Equal(p.last.LogicalDate) {
			p.last = &slot // @continuous without a start date begins with an empty interval: its date is taken
			continue
		}
		if p.created > 0 && p.created >= max(1, p.dag.MaxActiveRuns) {
			due = s.now.Add(time.Millisecond)
		}
		if due.After(s.now) {
			s.wakeDag(p, due)
			break
		}
		if p.givesUp(&slot) {
			p.last = &slot
			continue
		}
		s.createRun(p, slot)
	}
	if p.loaded && !next.Equal(p.row.NextRun) {
		p.row.NextRun = next
		s.markDag(p)
	}
}

func full(n, limit int) bool { return limit > 0 && n >= limit }

func (s *State) createRun(p *pipeline, slot timetable.Slot) {
	p.last = &slot
	if p.created++; p.created == 1 {
		s.creators = append(s.creators, p)
	}
	key := dag.RunKey{DagID: p.row.DagID, RunID: timetable.RunID(dag.RunScheduled, slot.RunAfter)}
	if s.runs[key] != nil {
		return
	}
	r := &run{fresh: true, pipeline: p, row: dag.Run{
		RunKey: key, State: dag.RunQueued, Type: dag.RunScheduled, TriggeredBy: dag.ByTimetable, QueuedAt: s.now,
		LogicalDate: slot.LogicalDate, RunAfter: slot.RunAfter,
		IntervalStart: slot.IntervalStart, IntervalEnd: slot.IntervalEnd,
	}}
	s.register(r)
	s.markRun(r)
}

func (s *State) wakeDag(p *pipeline, at time.Time) {
	if p.wake.Equal(at) && at.After(s.now) {
		return // the timer is set
	}
	p.wake = at
	s.setTimer(timer{at: at, pipeline: p})
}

// fired forgets a timer that is gone: should the clock go back before its time, it is set again.
func (p *pipeline) fired(at time.Time) {
	if p.wake.Equal(at) {
		p.wake = time.Time{}
	}
	if p.wakeQueued.Equal(at) {
		p.wakeQueued = time.Time{}
	}
}

// startRuns starts queued runs, oldest first.
func (s *State) startRuns(p *pipeline) {
	for len(p.queued) > 0 && !p.row.IsPaused {
		r := p.queued[0]
		if s.runs[r.row.RunKey] != r {
			heap.Pop(&p.queued)
			continue
		}
		if r.row.RunAfter.After(s.now) {
			if w := r.row.RunAfter; !p.wakeQueued.Equal(w) {
				p.wakeQueued = w
				s.setTimer(timer{at: w, pipeline: p})
			}
			return
		}
		d := s.versionFor(r, p)
		if d == nil || full(p.running, d.MaxActiveRuns) {
			return
		}
		heap.Pop(&p.queued)
		p.running++
		s.startRun(r, p, d)
	}
}

// versionFor is the DAG version that a run begins or goes on with, nil while a file or the store is to deliver it.
func (s *State) versionFor(r *run, p *pipeline) *dag.DAG {
	if r.pinned != nil {
		return r.pinned
	}
	if p.dag == nil && p.row.Stale && s.scannedAll {
		s.wantVersion(p)
	}
	return p.dag
}

// startRun begins a run on version d of its DAG and inserts its task instances.
func (s *State) startRun(r *run, p *pipeline, d *dag.DAG) {
	s.markRun(r)
	r.row.State, r.row.StartDate, r.row.DagVersion = dag.RunRunning, s.now, d.Version
	if p.graph == nil && d == p.dag {
		p.graph = s.graphFor(p.dag)
	}
	s.follows(r, s.graphFor(d))
	s.build(r, r.stored)
	r.stored = nil
	s.resume(r)
	if r.unfinished == 0 && len(r.tasks) > 0 {
		s.warn("run %s of DAG %s has no task: the start_date and end_date of every task exclude %s",
			r.row.RunID, r.row.DagID, timetable.ISOFormat(r.date()))
	}
	s.askPast(r)
	s.touchRun(r)
}

// follows sets what a running run takes from its DAG version.
func (s *State) follows(r *run, g *graph) {
	r.graph = g
	r.limit = gate{name: "max_active_tasks", limit: g.dag.MaxActiveTasks}
	if r.limit.limit <= 0 {
		r.limit.limit = noLimit
	}
	if g.dag.DagrunTimeout > 0 {
		r.deadline = r.row.StartDate.Add(g.dag.DagrunTimeout)
		s.setTimer(timer{at: r.deadline, run: r, task: wholeRun})
	}
	s.watchDeadlines(r)
	if r.row.Type == dag.RunScheduled {
		if t, err := s.cfg.Timetable(g.dag); err == nil {
			if up := t.Upcoming(r.row.RunAfter, 1); len(up) > 0 {
				r.nextAfter = up[0].RunAfter
			}
		}
	}
}

// date is what task start and end dates are compared with.
func (r *run) date() time.Time {
	if r.row.LogicalDate.IsZero() {
		return r.row.RunAfter
	}
	return r.row.LogicalDate
}

// covers reports whether the run has an instance of the task.
func (r *run) covers(t *dag.Task) bool {
	d := r.date()
	return (t.StartDate.IsZero() || !d.Before(t.StartDate)) && (t.EndDate.IsZero() || !d.After(t.EndDate))
}

// build makes the run's tasks: those stored, and new ones for the rest. Every task without a state is to be examined.
func (s *State) build(r *run, stored []dag.TaskInstance) {
	g := r.graph
	r.tasks = make([]task, len(g.dag.Tasks))
	mapped := map[int][]dag.TaskInstance{}
	for i := range stored {
		row := &stored[i]
		j, ok := g.index[row.TaskID]
		switch {
		case ok && row.MapIndex >= 0 && g.dag.Tasks[j].Mapped != nil:
			mapped[j] = append(mapped[j], *row)
		case !ok || row.MapIndex >= 0:
			s.removeRow(row)
		default:
			t := &r.tasks[j]
			t.run = r // says that there is a row
			t.row, t.saved, t.savedTry = s.rowOf(row), row.State, int32(row.TryNumber)
		}
	}
	for i := range r.tasks {
		t, spec := &r.tasks[i], g.dag.Tasks[i]
		t.spec, t.index, t.mapping = spec, int32(i), &unmapped
		if spec.Mapped != nil {
			t.mapping = &mapping{}
		}
		if t.run == nil {
			t.run = r
			if t.absent = !r.covers(spec); t.absent {
				t.row.shape, t.row.rare = &noShape, &common
				continue
			}
			t.fresh = true
			t.row = s.newRow(t, -1)
			if rows := mapped[i]; len(rows) > 0 {
				s.buildMapped(t, rows)
			} else {
				s.mark(t)
			}
		}
		for u := range t.each {
			s.count(u)
		}
	}
	for i := range r.tasks {
		t := &r.tasks[i]
		if len(g.up[i]) > 0 {
			t.up = &dag.Upstream{}
		}
		for _, j := range g.up[i] {
			for u := range r.tasks[j].each {
				t.up.Total++
				t.up.Add(u.row.State, 1)
			}
		}
		if t.row.State == dag.StateNone {
			s.look(t)
		}
	}
}

// newRow is the row of a task instance that has none yet.
func (s *State) newRow(t *task, mapIndex int) row {
	spec := t.spec
	return row{
		shape: s.shape(shape{
			Operator: spec.Operator, Pool: cmp.Or(spec.Pool, dag.DefaultPool), PoolSlots: max(1, spec.PoolSlots),
			Priority: t.run.graph.weight[t.index],
		}),
		rare: &common, MapIndex: int32(mapIndex), MaxTries: int32(max(0, spec.Retries)),
	}
}

// count adds a task to its run's counters.
func (s *State) count(t *task) {
	st := t.row.State
	if st.Finished() {
		return
	}
	t.run.unfinished++
	if st != dag.StateNone {
		t.run.live++
	}
	if dependsOnPast(t.spec) {
		t.run.pastOpen++
	}
}

// closeRun ends a run whose tasks have all finished, or of which nothing can go on any more.
func (s *State) closeRun(r *run) {
	switch {
	case r.row.State != dag.RunRunning:
	case r.unfinished == 0:
		if r.failed() {
			s.endRun(r, dag.RunFailed, reasonTaskFailure)
		} else {
			s.endRun(r, dag.RunSuccess, "")
		}
	case r.live == 0 && r.pastOpen == 0 && r.asking == 0:
		s.endRun(r, dag.RunFailed, reasonDeadlock)
	}
}

// failed reports whether a run whose tasks have all finished has failed: its leaves decide.
func (r *run) failed() bool {
	for t := range r.all {
		if t.row.State.FailedState() && (r.graph.dag.FailFast && !uncounted(t.spec) || r.decides(int(t.index))) {
			return true
		}
	}
	return false
}

// decides reports whether task i is one of those that decide the state of the run: no task lies behind it, apart from
// teardowns that do not count.
func (r *run) decides(i int) bool {
	if uncounted(r.tasks[i].spec) {
		return false
	}
	for _, j := range r.graph.down[i] {
		if d := &r.tasks[j]; !d.absent && !uncounted(d.spec) {
			return false
		}
	}
	return true
}

// uncounted reports whether a task never decides about its run: a teardown that does not fail it.
func uncounted(t *dag.Task) bool { return t.Teardown && !t.OnFailureFailRun }

// endRun ends a run and forgets it.
func (s *State) endRun(r *run, state dag.RunState, reason string) {
	p := r.pipeline
	r.row.State, r.row.Reason, r.row.EndDate = state, reason, s.now
	if s.now.Before(r.row.StartDate) {
		r.row.EndDate = r.row.StartDate
	}
	s.markRun(r)
	event := dag.OnSuccess
	if state == dag.RunFailed {
		event = dag.OnFailure
	}
	s.callRun(r, event, reason)
	s.detach(r)
	s.leavePast(r)
	if r.backfill != nil {
		s.leaveBackfill(r)
	} else {
		p.active--
		p.running--
	}
	delete(s.runs, r.row.RunKey)
	if n := r.graph.dag.MaxConsecutiveFailed; state == dag.RunFailed && n > 0 {
		s.d.Needs = append(s.d.Needs, Need{Recent: r.row.DagID, Limit: n})
	}
	s.closed = append(s.closed, r)
	s.touchDag(p)
}

// timeOut ends a run at its dagrun_timeout: what runs is killed, what has not finished is skipped.
func (s *State) timeOut(r *run) {
	if r.row.State != dag.RunRunning {
		return
	}
	r.row.State = dag.RunFailed // nothing is examined any more
	s.abort(r, dag.StateSkipped, false, "the run exceeded its dagrun_timeout of "+r.graph.dag.DagrunTimeout.String())
	s.endRun(r, dag.RunFailed, reasonTimedOut)
}

// failFast ends the rest of a run after a failure of task t.
func (s *State) failFast(t *task) {
	s.abort(t.run, dag.StateFailed, true, "task "+t.spec.ID+" failed and the DAG has fail_fast")
}

// abort finishes every unfinished task of a run: those that had begun in the given state, the others as skipped.
// With spare teardowns still run.
func (s *State) abort(r *run, begun dag.State, spare bool, reason string) {
	for i := range r.tasks {
		s.restore(&r.tasks[i])
	}
	for t := range r.all {
		if t.row.State.Finished() || spare && t.spec.Teardown {
			continue
		}
		to := dag.StateSkipped
		if s.stop(t, reason) {
			to = begun
			t.row.setError(reason)
		}
		s.release(t, heldSlot|heldPool)
		t.row.EndDate, t.row.NotBefore = momentOf(s.now), 0
		if t.row.State != dag.StateDeferred { // else the trigger loop reads it, to stop what was waited for
			t.row.setWait(nil)
		}
		s.move(t, to)
	}
}

// stop ends an attempt wherever it is held and reports whether it was. In the executor it keeps its place until it has
// reported its end. That what it has started is to be stopped is stored too: the process may die before it has done so.
func (s *State) stop(t *task, reason string) bool {
	s.repark(t)
	switch a := t.attempt(); {
	case s.out.has(a):
		s.d.Effects = append(s.d.Effects, Kill{a, reason})
	case t.parked:
		s.unpark(t, reason)
	case t.row.QueuedAt == 0 && t.row.TryNumber <= 1, t.row.State == dag.StateUpForRetry:
		return false
	default: // between two hands: its wait is over, its process has died, or it was to go on with what a try before it left
		s.call(t.stopRequest(reason, s.now))
		return false
	}
	s.call(t.stopRequest(reason, s.now))
	return true
}

// stopRequest asks for what the attempt has started to be stopped. A wait that is in the row alone is read there.
func (t *task) stopRequest(reason string, now time.Time) dag.CallbackRequest {
	ti := t.instance()
	if t.row.wait != waitWritten {
		ti.Deferral = nil
	}
	return dag.StopRequest(&ti, reason, now)
}
