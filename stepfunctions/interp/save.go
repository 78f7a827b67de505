package interp

import (
	"slices"

	"gust/stepfunctions/jsonvalue"
)

// Part is a piece of the stored form of an execution that is stored on its own.
type Part struct {
	// ID names the part in its execution.
	ID int64
	// Data is its content; nil deletes it.
	Data []byte
}

// Saved is what must be stored of an execution after a step.
type Saved struct {
	// State replaces what was stored before.
	State []byte
	// Clear tells that all parts that are stored are obsolete.
	Clear bool
	// Parts are to be written or deleted, after that.
	Parts []Part
}

// maxStateBytes is up to which size an execution with inner threads is stored in one piece.
const maxStateBytes = 4096

// The first byte of a part.
const (
	threadPart = 't'
	valuePart  = 'v'
)

// saved tracks what has changed since the execution was last saved, once it is saved in parts: a wide Map must not
// write all its items with every step. Until then it is stored in one piece and nothing is tracked.
type saved struct {
	split   bool
	touched []*thread
	forks   []*fork
	results []finishedChild
	dropped []int64
}

type finishedChild struct {
	fork  *fork
	index int
}

// touch notes that a thread may differ from what was saved.
func (x *Execution) touch(t *thread) {
	if x.saved.split && !t.touched {
		t.touched = true
		x.saved.touched = append(x.saved.touched, t)
	}
}

func (s *saved) drop(id int64) {
	if s.split {
		s.dropped = append(s.dropped, id)
	}
}

func (s *saved) fork(f *fork) {
	if s.split {
		s.forks = append(s.forks, f)
	}
}

func (s *saved) result(f *fork, index int) {
	if s.split {
		s.results = append(s.results, finishedChild{f, index})
	}
}

// dropFork forgets the parts of a fork.
func (s *saved) dropFork(f *fork) {
	if !s.split {
		return
	}
	s.forks = slices.DeleteFunc(s.forks, func(other *fork) bool { return other == f })
	s.results = slices.DeleteFunc(s.results, func(r finishedChild) bool { return r.fork == f })
	s.dropped = append(s.dropped, f.base)
	for i, done := range f.done {
		if done {
			s.dropped = append(s.dropped, f.base+1+int64(i))
		}
	}
}

// Save returns what must be stored so that [Restore] can continue from here. Each call assumes that what the last one
// returned has been stored; when that failed, the execution must be restored from what is.
func (x *Execution) Save() Saved {
	whole := x.root == nil || x.root.fork == nil
	if !x.saved.split || whole {
		state := x.encode(false)
		if whole || len(state) <= maxStateBytes {
			out := Saved{State: state, Clear: x.saved.split}
			x.saved.reset(false)
			return out
		}
		x.saved.reset(true)
		x.root.walk(func(t *thread) {
			x.touch(t)
			if t.fork == nil {
				return
			}
			x.saved.fork(t.fork)
			for i, done := range t.fork.done {
				if done {
					x.saved.result(t.fork, i)
				}
			}
		})
	}
	out := Saved{State: x.encode(true), Parts: x.parts()}
	x.saved.reset(true)
	return out
}

func (s *saved) reset(split bool) {
	for _, t := range s.touched {
		t.touched = false
	}
	*s = saved{split: split, touched: s.touched[:0], results: s.results[:0], dropped: s.dropped[:0]}
}

// parts writes what has changed.
func (x *Execution) parts() []Part {
	s := &x.saved
	parts := make([]Part, 0, len(s.dropped)+len(s.touched)+len(s.results)+len(s.forks))
	for _, id := range s.dropped {
		parts = append(parts, Part{ID: id})
	}
	for _, t := range s.touched {
		if t.gone || t == x.root {
			continue
		}
		e := &encoder{start: x.epoch()}
		e.byte(threadPart)
		x.encodeThread(e, t, true)
		parts = append(parts, Part{ID: t.id, Data: e.data})
	}
	for _, f := range s.forks {
		if f.items != nil {
			parts = append(parts, valueOf(f.base, jsonvalue.NewArray(f.items)))
		}
	}
	for _, r := range s.results {
		parts = append(parts, valueOf(r.fork.base+1+int64(r.index), r.fork.results[r.index]))
	}
	return parts
}

func valueOf(id int64, v jsonvalue.Value) Part {
	return Part{ID: id, Data: v.Append([]byte{valuePart})}
}
