package plan

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"gust/dag"
	"gust/store"
)

// scheduled is spelled out often here.
const scheduled = dag.StateScheduled

// Step takes in what has happened and decides what follows, as of now. A nil event is passed over. now may lie before
// that of an earlier Step: then what is due later is waited for longer, and nothing is done twice.
func (s *State) Step(events []Event, now time.Time) Decision {
	s.now = now.UTC()
	if s.stepped { // what New has changed belongs to the first Step
		s.out.begin()
		s.parkMoves = s.parkMoves[:0]
	}
	s.stepped = true
	s.parkAgain()
	s.fire()
	for i, e := range events {
		s.apply(i, e)
	}
	s.settle()
	s.flush()
	s.d.Wake, s.d.Parking = s.wake(), len(s.reparks) > 0
	d := s.d
	s.d = Decision{}
	return d
}

func (s *State) apply(i int, e Event) {
	switch e := e.(type) {
	case Reported:
		if !s.report(&e.Report) {
			s.d.Stale = append(s.d.Stale, i)
		}
	case *Reported:
		if !s.report(&e.Report) {
			s.d.Stale = append(s.d.Stale, i)
		}
	case File:
		s.fileLoaded(e)
	case Scanned:
		s.scanned(e)
	case Version:
		s.versionLoaded(e.DAG)
	case Refreshed:
		s.refreshed(&e.Refresh)
	case Past:
		s.pastLoaded(e)
	case Lengths:
		s.lengthsLoaded(e)
	case Recent:
		s.recentLoaded(e)
	case Runtimes:
		s.runtimesLoaded(e)
	case CallbackDone:
		s.callbackDone(e.ID)
	case Taken:
		s.slotTaken(&e.Run)
	case Stopping:
		s.stopping = true
	}
}

// settle follows every consequence to its end. Tasks are examined first, so that slots go to the most urgent of all
// that have become ready.
func (s *State) settle() {
	for {
		switch {
		case s.examine.len() > 0:
			t := s.examine.pop()
			t.listed = false
			s.examineTask(t)
		case s.touched.len() > 0:
			r := s.touched.pop()
			r.touched = false
			s.closeRun(r)
		case s.advance.len() > 0:
			p := s.advance.pop()
			p.touched = false
			s.advanceDag(p)
		case s.opened.len() > 0:
			g := s.opened.pop()
			g.listed = false
			s.refill(g)
		case !s.admit():
			return
		}
	}
}

// fire runs the timers that are due. It comes before the events of the Step: a try that fails now is committed before
// the next one begins, even without a delay between them.
func (s *State) fire() {
	for len(s.timers) > 0 && !s.timers[0].at.After(s.now) {
		t := heap.Pop(&s.timers).(timer)
		switch {
		case t.pipeline != nil:
			t.pipeline.fired(t.at)
			s.touchDag(t.pipeline)
		case t.run.tasks == nil:
		case t.task == wholeRun:
			if t.at.Equal(t.run.deadline) {
				s.timeOut(t.run)
			}
			s.missDeadlines(t.run)
		default:
			if u := t.run.at(t.task, t.instance); u != nil {
				s.due(u, t.at)
			}
		}
	}
	for s.lagging.len() > 0 && !s.lagging.first().at.time().Add(s.cfg.StateLag).After(s.now) {
		if l := s.lagging.pop(); l.lags() {
			l.task.lagged = true
			s.mark(l.task)
		}
	}
}

// lags reports whether the row still has to follow.
func (l lag) lags() bool {
	t := l.task
	return l.at == t.since && t.saved != t.row.State && mayLag(t.row.State)
}

// mayWait reports whether a changed row need not be written now. A task that is no longer active is written at once:
// its place may be taken.
func (s *State) mayWait(t *task) bool {
	wasActive := t.saved == dag.StateQueued || t.saved == dag.StateRunning
	return s.cfg.StateLag > 0 && !s.stopping && mayLag(t.row.State) && t.saved != t.row.State && !t.lagged && !t.fresh &&
		!(t.waiting() && wasActive)
}

func mayLag(st dag.State) bool { return st == scheduled || st == dag.StateRunning }

// due lets a task whose wait is over go on: a retry begins a new try, a sensor looks again.
func (s *State) due(t *task, at time.Time) {
	if momentOf(at) != t.row.NotBefore || t.run.row.State != dag.RunRunning {
		return
	}
	switch t.row.State {
	case dag.StateUpForRetry:
		s.newTry(t)
	case dag.StateUpForReschedule:
		s.enqueue(t)
	}
}

// wake is when the next Step is due without an event.
func (s *State) wake() time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if len(s.timers) > 0 {
		sooner(s.timers[0].at)
	}
	if len(s.reparks) > 0 {
		sooner(s.now)
	}
	for s.lagging.len() > 0 {
		if l := s.lagging.first(); l.lags() {
			// Rows that follow share a commit when they are due at nearly the same time.
			step := s.cfg.StateLag / 4
			sooner(l.at.time().Add(s.cfg.StateLag).Truncate(step).Add(step))
			break
		}
		s.lagging.pop()
	}
	return at
}

// flush turns what has changed into rows.
func (s *State) flush() {
	c := &s.d.Changes
	for i, p := range s.dirtyDags {
		s.dirtyDags[i] = nil
		p.dirty, p.known = false, true
		c.Dags = append(c.Dags, p.row)
	}
	s.dirtyDags = s.dirtyDags[:0]
	for i, r := range s.dirtyRuns {
		s.dirtyRuns[i] = nil
		c.Runs = append(c.Runs, store.RunChange{New: r.fresh, From: r.saved, Run: r.row})
		if edits := s.edits; r.row.State.Finished() {
			c.Edits = &edits
		}
		r.dirty, r.fresh, r.saved = false, false, r.row.State
	}
	s.dirtyRuns = s.dirtyRuns[:0]
	if len(s.dirtyTasks) > 0 {
		c.Tasks = slices.Grow(c.Tasks, len(s.dirtyTasks))
	}
	for i, t := range s.dirtyTasks {
		s.dirtyTasks[i] = nil
		t.dirty = false
		s.flushTask(t)
	}
	s.dirtyTasks = s.dirtyTasks[:0]
	for i, p := range s.creators {
		s.creators[i] = nil
		p.created = 0
	}
	s.creators = s.creators[:0]
	for i, r := range s.closed {
		s.closed[i] = nil
		s.dropGraph(r.graph)
		r.tasks, r.prev, r.perTask = nil, nil, nil // timers may still point to the run
	}
	s.closed = s.closed[:0]
}

func (s *State) flushTask(t *task) {
	if s.mayWait(t) {
		return // its row follows when it has been so for a while
	}
	c := &s.d.Changes
	if t.expanded || t.former != nil { // its instances have rows
		if t.expanded && !t.fresh {
			c.Tasks = append(c.Tasks, store.TaskChange{Gone: true, From: t.saved, FromTry: int(t.savedTry), Task: t.instance()})
			t.fresh = true
		}
		return
	}
	if t.row.archive != nil {
		c.History = append(c.History, *t.row.archive)
		t.row.setRare(func(x *rare) { x.archive = nil })
	}
	if t.row.TryNumber > 1 && t.row.TryNumber != t.savedTry {
		c.XComsClear = append(c.XComsClear, t.key())
	}
	change := store.TaskChange{
		New: t.fresh, From: t.saved, FromTry: int(t.savedTry), Task: t.instance(), KeepWait: t.row.wait != waitWritten,
	}
	if t.row.wait == waitKept {
		change.Task.Deferral = nil // what it is to be parked with is not the whole
	}
	c.Tasks = append(c.Tasks, change)
	if st := t.row.State; t.row.Deferral != nil && !t.reparks && (st == dag.StateDeferred || st.Finished()) {
		t.row.keepWait()
	}
	t.fresh, t.lagged, t.saved, t.savedTry = false, false, t.row.State, t.row.TryNumber
}

func (s *State) warn(format string, args ...any) {
	s.d.Warnings = append(s.d.Warnings, fmt.Sprintf(format, args...))
}
