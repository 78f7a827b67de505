package events

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Target takes events. An error lets the event be delivered again.
type Target interface {
	// Name says where it is, for messages.
	Name() string
	// Deliver hands an event over.
	Deliver(ctx context.Context, event []byte) error
}

// Faults are what goes wrong with deliveries on purpose, as EventBridge warns that it may. The zero value is nothing.
type Faults struct {
	// Loss, Duplicates and Reordering are how likely an event is never delivered, is delivered twice, and comes later
	// than those behind it; from 0 to 1.
	Loss, Duplicates, Reordering float64
	// Delay passes before each event is delivered.
	Delay time.Duration
	// Seed makes what happens by chance the same each time; 0 is chance.
	Seed uint64
}

// reorderBy is how much longer a reordered event takes.
const reorderBy = time.Second

// Config says how events are delivered.
type Config struct {
	// Targets get every event.
	Targets []Target
	// Buffer is how many events wait for one target; default 10,000. When it is full, further ones are lost and logged.
	Buffer int
	// Attempts is how often a delivery is tried; default 10.
	Attempts int
	// Backoff is the time before the second try, which doubles up to a minute; default 100 ms.
	Backoff time.Duration
	// Faults go wrong on purpose.
	Faults Faults
	// Log gets what is lost; default slog.Default().
	Log *slog.Logger
}

// maxBackoff is the longest time between two tries.
const maxBackoff = time.Minute

// Bus is a [Sink] that delivers events. It never blocks who publishes.
type Bus struct {
	lanes []*lane
	group sync.WaitGroup
	stop  context.CancelFunc
}

// New returns a bus that delivers nothing before Start.
func New(c Config) (*Bus, error) {
	if c.Buffer <= 0 {
		c.Buffer = 10_000
	}
	if c.Attempts <= 0 {
		c.Attempts = 10
	}
	if c.Backoff <= 0 {
		c.Backoff = 100 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	for _, p := range []struct {
		name  string
		value float64
	}{{"loss", c.Faults.Loss}, {"duplicates", c.Faults.Duplicates}, {"reordering", c.Faults.Reordering}} {
		if p.value < 0 || p.value > 1 {
			return nil, fmt.Errorf("events: the probability of %s must be from 0 to 1, got %v", p.name, p.value)
		}
	}
	b := &Bus{}
	for i, target := range c.Targets {
		seed := c.Faults.Seed
		if seed == 0 {
			seed = rand.Uint64()
		}
		random := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // faults need no secrecy
		b.lanes = append(b.lanes, &lane{c: c, target: target, random: random, wake: make(chan struct{}, 1)})
	}
	return b, nil
}

// Start begins to deliver. Stop must be called.
func (b *Bus) Start(ctx context.Context) {
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, l := range b.lanes {
		b.group.Go(func() { l.run(ctx) })
	}
}

// Stop delivers what waits, without faults' delays and tries once each, as long as ctx allows, and ends. What is left
// then is lost and logged.
func (b *Bus) Stop(ctx context.Context) error {
	for _, l := range b.lanes {
		l.close()
	}
	done := make(chan struct{})
	go func() {
		b.group.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("events: stop: %w", ctx.Err())
	}
	b.stop()
	<-done
	return err
}

// Publish takes changes for delivery.
func (b *Bus) Publish(changes []StatusChange) {
	for i := range changes {
		event := changes[i].Event()
		for _, l := range b.lanes {
			l.add(event)
		}
	}
}

// Stats counts the events of a target.
type Stats struct {
	// Target is its name.
	Target string
	// Delivered, Lost and Waiting are events; Lost are those that faults, a full buffer or too many failures took.
	Delivered, Lost, Waiting int64
}

// Stats returns the counters of all targets.
func (b *Bus) Stats() []Stats {
	all := make([]Stats, 0, len(b.lanes))
	for _, l := range b.lanes {
		l.mu.Lock()
		waiting := int64(len(l.pending))
		l.mu.Unlock()
		all = append(all, Stats{Target: l.target.Name(), Delivered: l.delivered.Load(), Lost: l.lost.Load(), Waiting: waiting})
	}
	return all
}

// lane is the way to one target.
type lane struct {
	c      Config
	target Target
	wake   chan struct{}

	delivered, lost atomic.Int64

	mu      sync.Mutex
	random  *rand.Rand
	pending pendingHeap
	number  uint64
	closed  bool
	full    bool
}

// delivery is an event on its way.
type delivery struct {
	due     time.Time
	number  uint64
	attempt int
	event   []byte
}

// add queues an event, with the faults that hit it.
func (l *lane) add(event []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.c.Faults
	if f.Loss > 0 && l.random.Float64() < f.Loss {
		l.lost.Add(1)
		return
	}
	copies := 1
	if f.Duplicates > 0 && l.random.Float64() < f.Duplicates {
		copies = 2
	}
	for range copies {
		due := time.Now().Add(f.Delay)
		if f.Reordering > 0 && l.random.Float64() < f.Reordering {
			due = due.Add(reorderBy)
		}
		l.push(delivery{due: due, event: event})
	}
}

// push queues a delivery. The mutex is held.
func (l *lane) push(d delivery) {
	if l.closed || len(l.pending) >= l.c.Buffer {
		l.lost.Add(1)
		if !l.full {
			l.full = true
			l.c.Log.Warn("events are lost: too many wait for their target", "target", l.target.Name(), "buffer", l.c.Buffer)
		}
		return
	}
	l.full = false
	l.number++
	d.number = l.number
	heap.Push(&l.pending, d)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// next takes the delivery that is due; wait is how long until there is one, 0 for ever, when there is none. over ends
// the lane.
func (l *lane) next(now time.Time) (d delivery, ok bool, wait time.Duration, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return delivery{}, false, 0, l.closed
	}
	if wait := l.pending[0].due.Sub(now); wait > 0 && !l.closed {
		return delivery{}, false, wait, false
	}
	d, _ = heap.Pop(&l.pending).(delivery) // nothing else is in it
	return d, true, 0, false
}

func (l *lane) run(ctx context.Context) {
	for {
		if ctx.Err() != nil {
			l.giveUp()
			return
		}
		d, ok, wait, over := l.next(time.Now())
		switch {
		case over:
			return
		case ok:
			l.deliver(ctx, d)
			continue
		}
		var due <-chan time.Time // never, when nothing waits
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-l.wake:
		case <-due:
		case <-ctx.Done():
		}
	}
}

// deliver tries a delivery once, and plans the next try when it fails.
func (l *lane) deliver(ctx context.Context, d delivery) {
	err := l.target.Deliver(ctx, d.event)
	if err == nil {
		l.delivered.Add(1)
		return
	}
	d.attempt++
	l.mu.Lock()
	defer l.mu.Unlock()
	var final *FinalError
	if d.attempt >= l.c.Attempts || l.closed || errors.As(err, &final) {
		l.lost.Add(1)
		l.c.Log.Warn("an event could not be delivered", "target", l.target.Name(), "attempts", d.attempt, "error", err)
		return
	}
	backoff := maxBackoff
	if d.attempt < 20 {
		backoff = min(maxBackoff, l.c.Backoff<<(d.attempt-1))
	}
	d.due = time.Now().Add(backoff)
	l.push(d)
}

// giveUp counts what is left as lost.
func (l *lane) giveUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.pending); n > 0 {
		l.lost.Add(int64(n))
		l.c.Log.Warn("events are lost: the service stopped before they could be delivered", "target", l.target.Name(), "events", n)
		l.pending = nil
	}
}

// FinalError is a failure that another try cannot mend.
type FinalError struct{ Err error }

// Error is the failure's text.
func (e *FinalError) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e *FinalError) Unwrap() error { return e.Err }

// pendingHeap orders deliveries by time and then as they came.
type pendingHeap []delivery

// Len is the number of deliveries.
func (h pendingHeap) Len() int { return len(h) }

// Less orders by time and then as they came.
func (h pendingHeap) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].number < h[j].number
}

// Swap exchanges two entries.
func (h pendingHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds an entry.
func (h *pendingHeap) Push(x any) {
	if d, ok := x.(delivery); ok {
		*h = append(*h, d)
	}
}

// Pop removes the last entry.
func (h *pendingHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = delivery{}
	*h = old[:len(old)-1]
	return d
}
