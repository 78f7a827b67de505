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
	parking         // a sensor is being rendered and parked
	waiting         // in its group's heap
	checking        // in a check that is under way
	finishing       // its wait has ended, a sensor makes a result of it
)

func (p phase) String() string {
	return [...]string{"free", "parking", "waiting", "checking", "finishing"}[p]
}

// slot is one held attempt. Slots are reused; version tells their occupants apart.
type slot struct {
	work    *executor.Work
	group   *group
	due     int64 // Unix nanoseconds of the next check, or of the check under way
	version uint32
	checks  uint32
	chain   uint32 // next slot with the same hash, +1; 0 ends
	phase   phase
	early   bool // the check under way was gathered before it was due
	exact   bool // do not gather it early again: it was, and asked for the same time
	noting  bool // its state is to be noted
}

const chunkSize = 1024

// slots holds them in chunks, so that pointers stay valid and growing copies nothing, and finds them by attempt.
type slots struct {
	chunks []*[chunkSize]slot
	unused []uint32
	used   uint32 // slots ever handed out
	held   int
	seed   maphash.Seed
	// index maps the hash of an attempt to its slot + 1; slots with the same hash are chained.
	index map[uint64]uint32
}

func newSlots() slots { return slots{seed: maphash.MakeSeed(), index: map[uint64]uint32{}} }

func (s *slots) at(ref uint32) *slot { return &s.chunks[ref/chunkSize][ref%chunkSize] }

func (s *slots) find(a dag.Attempt) (uint32, bool) {
	for next := s.index[maphash.Comparable(s.seed, a)]; next != 0; {
		ref := next - 1
		if s.at(ref).work.Attempt() == a {
			return ref, true
		}
		next = s.at(ref).chain
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
	h := maphash.Comparable(s.seed, w.Attempt())
	p := s.at(ref)
	*p = slot{work: w, version: p.version, chain: s.index[h]}
	s.index[h] = ref + 1
	s.held++
	return ref
}

// remove frees the slot. Whatever still refers to its version is void.
func (s *slots) remove(ref uint32) {
	p := s.at(ref)
	h := maphash.Comparable(s.seed, p.work.Attempt())
	if s.index[h] == ref+1 {
		if p.chain == 0 {
			delete(s.index, h)
		} else {
			s.index[h] = p.chain
		}
	} else {
		for next := s.index[h]; next != 0; next = s.at(next - 1).chain {
			if q := s.at(next - 1); q.chain == ref+1 {
				q.chain = p.chain
				break
			}
		}
	}
	*p = slot{version: p.version + 1}
	s.unused = append(s.unused, ref)
	s.held--
}
