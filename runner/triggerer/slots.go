package triggerer

import (
	"hash/maphash"

	"gust/dag"
	"gust/runner/executor"
)

// phase is where a held attempt is.
type phase uint8

const (
	free      phase = iota
	parking         // a sensor is being rendered and parked, or the wait is being read from its row
	waiting         // in its group's heap
	checking        // in a check that is under way
	finishing       // its wait has ended, what follows is under way
	straying        // its row is another one; to be dropped
)

func (p phase) String() string {
	return [...]string{"free", "parking", "waiting", "checking", "finishing", "straying"}[p]
}

// slot is one held attempt: who it is, and when it is looked at. What it waits for is in its row. Slots are reused;
// version tells their occupants apart.
type slot struct {
	run      *heldRun
	task     *dag.Task
	group    *group
	due      int64  // Unix nanoseconds of the next check, or of the check under way
	since    int64  // Unix nanoseconds of its parking
	deadline int64  // Unix nanoseconds, 0 for none
	subject  uint64 // what news name, hashed; 0 for nothing
	version  uint32
	checks   uint32
	chain    uint32 // next slot in the same bucket of the attempts, +1; 0 ends
	about    uint32 // the same for the subjects
	mapIndex int32
	try      int32
	// expansion is executor.Work.Expansion.
	expansion int32
	phase     phase
	early     bool // the check under way was gathered before it was due
	exact     bool // do not gather it early again: it was, and asked for the same time
	told      bool // its group is that of its row; its arguments have not been asked yet
}

func (s *slot) attempt() dag.Attempt {
	return dag.Attempt{
		Key:       dag.Key{DagID: s.run.DagID, RunID: s.run.RunID, TaskID: s.task.ID, MapIndex: int(s.mapIndex)},
		TryNumber: int(s.try),
	}
}

func (s *slot) is(a *dag.Attempt) bool {
	return int(s.try) == a.TryNumber && int(s.mapIndex) == a.MapIndex && s.task.ID == a.TaskID && s.run.RunID == a.RunID &&
		s.run.DagID == a.DagID
}

// heldRun is what the attempts of one run share.
type heldRun struct {
	work *executor.Work // without an Instance
	dag.RunKey
	slots int
}

const chunkSize = 1024

// slots holds them in chunks, so that pointers stay valid and growing copies nothing, and finds them by attempt and by
// subject.
type slots struct {
	chunks []*[chunkSize]slot
	unused []uint32
	used   uint32 // slots ever handed out
	held   int
	runs   map[dag.RunKey]*heldRun

	seed     maphash.Seed
	attempts table
	subjects table
}

func newSlots() slots {
	return slots{seed: maphash.MakeSeed(), runs: map[dag.RunKey]*heldRun{}}
}

func (s *slots) at(ref uint32) *slot { return &s.chunks[ref/chunkSize][ref%chunkSize] }

func (s *slots) hash(a dag.Attempt) uint64 { return maphash.Comparable(s.seed, a) }

func (s *slots) find(a dag.Attempt) (uint32, bool) {
	for next := s.attempts.head(s.hash(a)); next != 0; next = s.at(next - 1).chain {
		if s.at(next - 1).is(&a) {
			return next - 1, true
		}
	}
	return 0, false
}

// add holds an attempt that is not held yet.
func (s *slots) add(w *executor.Work) uint32 {
	var ref uint32
	if n := len(s.unused); n > 0 {
		ref, s.unused = s.unused[n-1], s.unused[:n-1]
	} else {
		ref = s.used
		s.used++
		if int(ref/chunkSize) == len(s.chunks) {
			s.chunks = append(s.chunks, new([chunkSize]slot))
		}
	}
	p := s.at(ref)
	*p = slot{
		run: s.share(w), task: w.Task, version: p.version, mapIndex: int32(w.Instance.MapIndex),
		try: int32(w.Instance.TryNumber), expansion: int32(w.Expansion),
	}
	s.held++
	if s.attempts.grow() {
		for r := range s.used {
			if q := s.at(r); q.run != nil && r != ref {
				s.attempts.push(s.hash(q.attempt()), r, &q.chain)
			}
		}
	}
	s.attempts.push(s.hash(p.attempt()), ref, &p.chain)
	return ref
}

// share returns what the attempts of a run share. A run that was opened again is another one.
func (s *slots) share(w *executor.Work) *heldRun {
	r := s.runs[w.Run.RunKey]
	if r == nil || r.work.DAG != w.DAG || !r.work.Run.StartDate.Equal(w.Run.StartDate) || !r.work.NextAfter.Equal(w.NextAfter) {
		r = &heldRun{RunKey: w.Run.RunKey, work: &executor.Work{DAG: w.DAG, Run: w.Run, NextAfter: w.NextAfter}}
		s.runs[w.Run.RunKey] = r
	}
	r.slots++
	return r
}

// remove frees the slot. Whatever still refers to its version is void.
func (s *slots) remove(ref uint32) {
	p := s.at(ref)
	s.setSubject(ref, 0)
	unlink(s.attempts.bucket(s.hash(p.attempt())), ref, func(r uint32) *uint32 { return &s.at(r).chain })
	s.attempts.n--
	if p.run.slots--; p.run.slots == 0 && s.runs[p.run.RunKey] == p.run {
		delete(s.runs, p.run.RunKey)
	}
	*p = slot{version: p.version + 1}
	s.unused = append(s.unused, ref)
	s.held--
}

// setSubject lets the slot be found by what its wait is about.
func (s *slots) setSubject(ref uint32, subject uint64) {
	p := s.at(ref)
	if p.subject != 0 {
		unlink(s.subjects.bucket(p.subject), ref, func(r uint32) *uint32 { return &s.at(r).about })
		s.subjects.n--
	}
	p.subject, p.about = subject, 0
	if subject == 0 {
		return
	}
	if s.subjects.grow() {
		for r := range s.used {
			if q := s.at(r); q.subject != 0 && r != ref {
				s.subjects.push(q.subject, r, &q.about)
			}
		}
	}
	s.subjects.push(subject, ref, &p.about)
}

// about yields the slots of waits that have this subject.
func (s *slots) about(subject uint64, f func(ref uint32, s *slot)) {
	for next := s.subjects.head(subject); next != 0; {
		p := s.at(next - 1)
		ref := next - 1
		next = p.about
		if p.subject == subject {
			f(ref, p)
		}
	}
}

// table finds slots by a hash: four to eight bytes for each, as the chains of its buckets run through the slots.
type table struct {
	heads []uint32 // slot + 1; 0 is an empty bucket
	n     int
}

// grow counts one slot more. True says that the table is empty now and larger: the others are to be pushed again.
func (t *table) grow() bool {
	t.n++
	if t.n <= len(t.heads) {
		return false
	}
	t.heads = make([]uint32, max(64, 2*len(t.heads)))
	return t.n > 1
}

func (t *table) bucket(hash uint64) *uint32 {
	return &t.heads[(hash^hash>>32)&uint64(len(t.heads)-1)]
}

func (t *table) head(hash uint64) uint32 {
	if len(t.heads) == 0 {
		return 0
	}
	return *t.bucket(hash)
}

func (t *table) push(hash uint64, ref uint32, next *uint32) {
	head := t.bucket(hash)
	*next, *head = *head, ref+1
}

// unlink takes a slot out of its bucket's chain.
func unlink(head *uint32, ref uint32, next func(uint32) *uint32) {
	for at := head; *at != 0; at = next(*at - 1) {
		if *at == ref+1 {
			*at = *next(ref)
			return
		}
	}
}
