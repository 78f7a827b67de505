package interp

import (
	"container/heap"
	"slices"
	"time"
)

// timers are the threads that want to be woken, the earliest first. Threads with the same time are ordered by their
// numbers, so that the order never depends on how the heap came about.
type timers []*thread

func (h timers) Len() int { return len(h) }

func (h timers) Less(i, j int) bool { return earlier(h[i], h[j]) < 0 }

// Swap exchanges two threads.
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

// Push and Pop are for container/heap.
func (h *timers) Push(t any) {
	x := t.(*thread) //nolint:forcetypeassert // only threads are pushed
	x.heapIndex = len(*h)
	*h = append(*h, x)
}

// Pop removes the last thread.
func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.heapIndex = -1
	return t
}

func earlier(a, b *thread) int {
	if c := a.due().Compare(b.due()); c != 0 {
		return c
	}
	return int(a.id - b.id)
}

// next returns the earliest time, zero when there is none.
func (h timers) next() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].due()
}

// due removes and returns the threads whose time has come, in order.
func (h *timers) due(now time.Time) []*thread {
	var threads []*thread
	for len(*h) > 0 && !h.next().After(now) {
		threads = append(threads, heap.Pop(h).(*thread)) //nolint:forcetypeassert // only threads are in it
	}
	return slices.Clip(threads)
}

// due returns the earliest of the thread's times, zero when it has none.
func (t *thread) due() time.Time {
	due := t.wake
	for _, at := range [...]time.Time{t.timeoutAt, t.heartbeatAt} {
		if !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due
}

// schedule puts the thread where its times belong; it must be called whenever they have changed.
func (x *Execution) schedule(t *thread) {
	switch due := t.due(); {
	case due.IsZero() && t.heapIndex >= 0:
		heap.Remove(&x.timers, t.heapIndex)
	case due.IsZero():
	case t.heapIndex >= 0:
		heap.Fix(&x.timers, t.heapIndex)
	default:
		heap.Push(&x.timers, t)
	}
}

// clearTimers takes the thread out of the timers.
func (x *Execution) clearTimers(t *thread) {
	t.wake, t.timeoutAt, t.heartbeatAt = time.Time{}, time.Time{}, time.Time{}
	x.schedule(t)
}
