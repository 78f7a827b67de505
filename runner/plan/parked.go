package plan

import (
	"cmp"
	"slices"

	"gust/dag"
)

// parkAtOnce bounds the waits that one Step parks again after a start: what goes with each is large until the trigger
// loop has it.
const parkAtOnce = 10_000

// parkMove is a change of what the trigger loop holds: whether it held the attempt before.
type parkMove struct {
	attempt dag.Attempt
	was     bool
}

// setParked notes whether the trigger loop holds the attempt of a task.
func (s *State) setParked(t *task, parked bool) {
	if t.parked != parked {
		s.parkMoves = append(s.parkMoves, parkMove{t.attempt(), t.parked})
		t.parked = parked
	}
}

// park hands a task to the trigger loop.
func (s *State) park(t *task) {
	s.setParked(t, true)
	s.d.Effects = append(s.d.Effects, Park{s.work(t)})
}

// unpark takes a task from the trigger loop; with a reason what it waits for is stopped.
func (s *State) unpark(t *task, reason string) {
	s.setParked(t, false)
	s.d.Effects = append(s.d.Effects, Drop{t.attempt(), reason})
}

// parkAgain parks some of the tasks that an earlier life has left parked.
func (s *State) parkAgain() {
	n := min(len(s.reparks), parkAtOnce)
	for i, t := range s.reparks[:n] {
		s.reparks[i] = nil
		s.repark(t)
	}
	if s.reparks = s.reparks[n:]; len(s.reparks) == 0 {
		s.reparks = nil
	}
}

func (s *State) repark(t *task) {
	if !t.reparks {
		return
	}
	t.reparks = false
	if t.row.State == dag.StateDeferred && !t.parked {
		s.park(t)
		if t.row.wait == waitKept {
			t.row.keepWait()
		}
	}
}

// survivor is a State that is replaced, for what the trigger loop still holds of it.
type survivor struct {
	old *State
	// undone are attempts whose place the latest Decision, which was lost, would have changed.
	undone map[dag.Attempt]bool
}

func newSurvivor(old *State, lost bool) *survivor {
	v := &survivor{old: old, undone: map[dag.Attempt]bool{}}
	if lost {
		for _, m := range slices.Backward(old.parkMoves) { // the first move of an attempt counts
			v.undone[m.attempt] = m.was
		}
	}
	return v
}

func (v *survivor) parked(a dag.Attempt) bool {
	if was, ok := v.undone[a]; ok {
		return was
	}
	r := v.old.runs[a.Run()]
	if r == nil || r.tasks == nil {
		return false
	}
	t := r.find(a.Key)
	return t != nil && t.parked && t.attempt() == a
}

// strangers lists, in a fixed order, the attempts that the trigger loop holds and that are not known here.
func (v *survivor) strangers(known func(dag.Attempt) bool) []dag.Attempt {
	var out []dag.Attempt
	for a, was := range v.undone {
		if was && !known(a) {
			out = append(out, a)
		}
	}
	for _, r := range v.old.runs {
		if r.tasks == nil {
			continue
		}
		for t := range r.all {
			if !t.parked {
				continue
			}
			a := t.attempt()
			if _, ok := v.undone[a]; !ok && !known(a) {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, compareAttempts)
	return out
}

func compareAttempts(a, b dag.Attempt) int {
	return cmp.Or(cmp.Compare(a.DagID, b.DagID), cmp.Compare(a.RunID, b.RunID), cmp.Compare(a.TaskID, b.TaskID),
		cmp.Compare(a.MapIndex, b.MapIndex), cmp.Compare(a.TryNumber, b.TryNumber))
}
