package plan

import (
	"container/heap"
	"math"
	"strings"
	"time"
)

const noLimit = -1

// gate is one limit (a pool, max_active_tasks of a run, ...): what it allows, what is used, and who waits for it. A
// task waits at one gate at a time, the first that has no room for it, so that freeing one slot costs one look and not
// one for each waiting task.
type gate struct {
	name   string
	limit  int // noLimit: none
	used   int
	wait   taskHeap
	pulled int // slots for which waiting tasks have moved on to the ready heap
	listed bool

	// Of pools only.
	pool    bool
	missing bool
	// deferred says that deferred tasks keep their slots.
	deferred bool
	// oversize are tasks that need more slots than the pool has.
	oversize []*task
	warned   map[string]bool
}

// free is how many slots are left.
func (g *gate) free() int {
	if g.limit < 0 {
		return math.MaxInt32
	}
	return g.limit - g.used
}

// head is the most urgent waiting task, nil when there is none.
func (g *gate) head() *task {
	for len(g.wait) > 0 {
		if t := g.wait[0]; t.waiting() {
			return t
		}
		heap.Pop(&g.wait)
	}
	return nil
}

// blocks reports whether t has to wait here. A more urgent task that needs more slots than are free holds back t.
func (g *gate) blocks(t *task) bool {
	if g.limit < 0 {
		return false
	}
	free := g.free()
	if t.need(g) > free {
		return true
	}
	h := g.head()
	return h != nil && h.need(g) > free && h.before(t)
}

// held says which gates a task occupies.
type held uint8

const (
	heldSlot held = 1 << iota // those that a queued or running task takes
	heldPool
)

func (t *task) waiting() bool { return t.row.State == scheduled }

// need is how many slots of g the task takes.
func (t *task) need(g *gate) int {
	if g.pool {
		return max(1, t.spec.PoolSlots)
	}
	return 1
}

// before orders by urgency: resumed work, weight, run date, then the order of the file.
func (t *task) before(o *task) bool {
	if t.resumed != o.resumed {
		return t.resumed
	}
	if t.row.Priority != o.row.Priority {
		return t.row.Priority > o.row.Priority
	}
	if t.run != o.run {
		return t.run.before(o.run)
	}
	if t.index != o.index {
		return t.index < o.index
	}
	return t.row.MapIndex < o.row.MapIndex
}

func (r *run) before(o *run) bool {
	if c := r.row.RunAfter.Compare(o.row.RunAfter); c != 0 {
		return c < 0
	}
	if c := strings.Compare(r.row.DagID, o.row.DagID); c != 0 {
		return c < 0
	}
	return r.row.RunID < o.row.RunID
}

type taskHeap []*task

func (h taskHeap) Len() int           { return len(h) }
func (h taskHeap) Less(i, j int) bool { return h[i].before(h[j]) }
func (h taskHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *taskHeap) Push(x any)        { *h = append(*h, x.(*task)) }
func (h *taskHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}

type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].before(h[j]) }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}

// timer wakes a task, a run or a pipeline. Timers are never removed: one that no longer matters does nothing.
type timer struct {
	at       time.Time
	seq      int
	run      *run
	task     int // index in run, or wholeRun
	instance int // of an expanded task, else -1
	pipeline *pipeline
}

const wholeRun = -1

type timerHeap []timer

func (h timerHeap) Len() int      { return len(h) }
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h timerHeap) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}
func (h *timerHeap) Push(x any) { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = timer{}
	*h = (*h)[:last]
	return t
}

func (s *State) setTimer(t timer) {
	s.seq++
	t.seq = s.seq
	heap.Push(&s.timers, t)
}
