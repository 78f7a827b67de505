package engine

import (
	"context"
	"sync"
	"time"
)

// timers wakes executions at their times: one heap and one goroutine for all of them, one entry for each execution.
type timers struct {
	now  func() time.Time
	fire func(id int64)

	mu    sync.Mutex
	heap  []timer
	index map[int64]int32
	wake  chan struct{}
}

// timer is an entry of the heap; at is in Unix milliseconds.
type timer struct{ at, id int64 }

func newTimers(now func() time.Time, fire func(id int64)) *timers {
	return &timers{now: now, fire: fire, index: map[int64]int32{}, wake: make(chan struct{}, 1)}
}

// set lets the execution be woken at the given time instead of any earlier setting; the zero time cancels.
func (t *timers) set(id int64, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.index[id]
	switch {
	case at.IsZero() && known:
		t.remove(int(i))
	case at.IsZero():
	case known:
		t.heap[i].at = at.UnixMilli()
		t.fix(int(i))
	default:
		t.heap = append(t.heap, timer{at: at.UnixMilli(), id: id})
		t.index[id] = int32(len(t.heap) - 1)
		t.up(len(t.heap) - 1)
	}
	if len(t.heap) > 0 && t.heap[0].id == id {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// run fires due timers until ctx ends.
func (t *timers) run(ctx context.Context) {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for ctx.Err() == nil {
		id, delay := t.next()
		if delay <= 0 {
			t.fire(id)
			continue
		}
		clock.Reset(delay)
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-clock.C:
		}
	}
}

// next removes and returns the execution that is due, or returns how long to wait for the next one.
func (t *timers) next() (id int64, delay time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 {
		return 0, time.Hour
	}
	first := t.heap[0]
	if delay = time.UnixMilli(first.at).Sub(t.now()); delay > 0 {
		// A clock that jumps is noticed within the hour.
		return 0, min(delay, time.Hour)
	}
	t.remove(0)
	return first.id, 0
}

func (t *timers) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.heap)
}

func (t *timers) remove(i int) {
	last := len(t.heap) - 1
	delete(t.index, t.heap[i].id)
	if i != last {
		t.heap[i] = t.heap[last]
		t.index[t.heap[i].id] = int32(i)
	}
	t.heap = t.heap[:last]
	if i != last {
		t.fix(i)
	}
}

func (t *timers) fix(i int) {
	if !t.down(i) {
		t.up(i)
	}
}

func (t *timers) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.index[t.heap[i].id], t.index[t.heap[j].id] = int32(i), int32(j)
}

func (t *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 4
		if t.heap[parent].at <= t.heap[i].at {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

// down moves an entry towards the leaves and reports whether it moved. The heap has four children to a node.
func (t *timers) down(i int) bool {
	start := i
	for {
		smallest := i
		for child := 4*i + 1; child <= 4*i+4 && child < len(t.heap); child++ {
			if t.heap[child].at < t.heap[smallest].at {
				smallest = child
			}
		}
		if smallest == i {
			return i != start
		}
		t.swap(i, smallest)
		i = smallest
	}
}
