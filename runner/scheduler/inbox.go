package scheduler

import (
	"sync"

	"gust/runner/plan"
)

// item is something to be decided about, and who wants to know when it is durable. The event may be nil.
type item struct {
	event     plan.Event
	committed func(error)
}

func (i item) answer(err error) {
	if i.committed != nil {
		i.committed(err)
	}
}

// inbox gathers items for the next round.
type inbox struct {
	mu      sync.Mutex
	items   []item
	refresh bool
	closed  bool
	signal  chan struct{} // has room for one
}

// put adds an item; false when the inbox is closed.
func (b *inbox) put(i item) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.items = append(b.items, i)
	b.wakeUp()
	return true
}

func (b *inbox) hint() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh = true
	b.wakeUp()
}

func (b *inbox) wakeUp() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// take empties the inbox. used is the slice of the round before.
func (b *inbox) take(used []item) (items []item, refresh bool) {
	clear(used)
	b.mu.Lock()
	defer b.mu.Unlock()
	items, b.items = b.items, used[:0]
	refresh, b.refresh = b.refresh, false
	return items, refresh
}

// close refuses further items and returns those that are left.
func (b *inbox) close() []item {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	left := b.items
	b.items = nil
	return left
}

func (b *inbox) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) == 0
}
