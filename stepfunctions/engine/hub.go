package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// maxPollers is how many GetActivityTask requests may wait for one activity.
const maxPollers = 1000

// taskRef names a task.
type taskRef struct{ execution, task int64 }

// activityHub brings activity tasks and the workers that ask for them together, both in the order of their arrival. A
// task on offer takes about a hundred bytes here; all else is in the journal.
type activityHub struct {
	mu     sync.Mutex
	queues map[string]*activityQueue
	// offered leads from the tasks on offer to their activities' queues.
	offered map[taskRef]*activityQueue
	// registered are the ARNs of the activities that exist.
	registered map[string]struct{}
	// parked are the parked pollers by the end of their time, which is the order of their arrival; those that have been
	// served stay until then. deliveries are tasks on their way to parked pollers.
	parked     []*poller
	deliveries []delivery
	wake       chan struct{}
	closed     bool
}

// activityQueue is one activity's. Tasks and pollers are never both there. gone counts the tasks in the queue that are
// on offer no longer.
type activityQueue struct {
	arn     string
	tasks   []taskRef
	gone    int
	pollers []*poller
}

// poller is a waiting GetActivityTask request: a goroutine that waits at task, which has room for one, or a parked
// connection.
type poller struct {
	task   chan taskRef
	parked *server.Waiting
	arn    string
	worker string
	until  time.Time
}

// delivery is a task for a parked poller or, without a task, the end of its wait: because its time is over or, with
// full, because too many wait already. Without a poller it only wakes run.
type delivery struct {
	p    *poller
	ref  taskRef
	full bool
}

func newActivityHub() *activityHub {
	return &activityHub{queues: map[string]*activityQueue{}, offered: map[taskRef]*activityQueue{},
		registered: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

func (h *activityHub) register(arn string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.registered[arn] = struct{}{}
}

func (h *activityHub) unregister(arn string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.registered, arn)
}

// known reports whether an activity exists.
func (h *activityHub) known(arn string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.registered[arn]
	return ok
}

func (h *activityHub) queue(arn string) *activityQueue {
	q := h.queues[arn]
	if q == nil {
		q = &activityQueue{arn: arn}
		h.queues[arn] = q
	}
	return q
}

// tidy forgets an empty queue and drops tasks that are gone once they are the larger part.
func (h *activityHub) tidy(q *activityQueue) {
	if q.gone > 64 && q.gone > len(q.tasks)/2 {
		q.tasks = slices.DeleteFunc(q.tasks, func(ref taskRef) bool { return h.offered[ref] != q })
		q.gone = 0
	}
	if len(q.tasks) == q.gone && len(q.pollers) == 0 {
		delete(h.queues, q.arn)
	}
}

// offer hands a task to the worker that waits longest, or keeps it. A task that is on offer stays where it is.
func (h *activityHub) offer(o journal.Offer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(o.Activity, taskRef{o.Execution, o.Task}, false)
}

// giveBack puts a task that a worker could not be given to the head of its queue.
func (h *activityHub) giveBack(arn string, ref taskRef) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(arn, ref, true)
}

func (h *activityHub) put(arn string, ref taskRef, first bool) {
	if h.offered[ref] != nil {
		return
	}
	q := h.queue(arn)
	for len(q.pollers) > 0 {
		p := q.pollers[0]
		q.pollers[0] = nil
		q.pollers = q.pollers[1:]
		if h.give(p, ref) {
			h.tidy(q)
			return
		}
	}
	h.offered[ref] = q
	if first {
		q.tasks = slices.Insert(q.tasks, 0, ref)
	} else {
		q.tasks = append(q.tasks, ref)
	}
}

// give lets a poller have a task. It reports false when nobody waits at the other end any more.
func (h *activityHub) give(p *poller, ref taskRef) bool {
	if p.parked == nil {
		p.task <- ref
		return true
	}
	if p.parked.Gone() {
		h.send(delivery{p: p})
		return false
	}
	h.send(delivery{p: p, ref: ref})
	return true
}

// send puts a delivery on its way.
func (h *activityHub) send(d delivery) {
	h.deliveries = append(h.deliveries, d)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// withdraw takes a task off, when it is on offer.
func (h *activityHub) withdraw(execution, task int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ref := taskRef{execution, task}
	if q := h.offered[ref]; q != nil {
		delete(h.offered, ref)
		q.gone++
		h.tidy(q)
	}
}

// take returns the oldest task on offer, or lets the poller, unless it is nil, wait. full is true when too many wait
// already.
func (h *activityHub) take(arn string, p *poller) (ref taskRef, waits, full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queue(arn)
	for len(q.tasks) > 0 {
		ref = q.tasks[0]
		q.tasks = q.tasks[1:]
		if h.offered[ref] == q {
			delete(h.offered, ref)
			h.tidy(q)
			return ref, false, false
		}
		q.gone--
	}
	if len(q.pollers) >= maxPollers {
		h.sweep(q)
	}
	if len(q.pollers) >= maxPollers || h.closed {
		h.tidy(q)
		return ref, false, true
	}
	if p != nil {
		q.pollers = append(q.pollers, p)
	}
	h.tidy(q)
	return ref, true, false
}

// sweep ends the waits of those who have hung up.
func (h *activityHub) sweep(q *activityQueue) {
	q.pollers = slices.DeleteFunc(q.pollers, func(p *poller) bool {
		gone := p.parked != nil && p.parked.Gone()
		if gone {
			h.send(delivery{p: p})
		}
		return gone
	})
}

// park lets a poller wait whose connection is parked, for the first time or once more.
func (h *activityHub) park(p *poller, again bool) {
	if !again {
		h.mu.Lock()
		h.parked = append(h.parked, p)
		h.mu.Unlock()
	}
	ref, waits, full := taskRef{}, false, false
	if time.Now().Before(p.until) {
		ref, waits, full = h.take(p.arn, p)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !waits {
		h.send(delivery{p, ref, full})
	} else if len(h.parked) == 1 {
		// The end of the first one's time is what run waits for.
		h.send(delivery{})
	}
}

// run delivers tasks to parked pollers, and ends their waits when their time is over, until ctx ends; then it ends them
// all. deliver does not block.
func (h *activityHub) run(ctx context.Context, deliver func(delivery)) {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		due, next := h.due(ctx.Err() != nil)
		for _, d := range due {
			if d.p != nil {
				deliver(d)
			}
		}
		if ctx.Err() != nil {
			return
		}
		clock.Reset(next)
		select {
		case <-ctx.Done():
		case <-h.wake:
		case <-clock.C:
		}
	}
}

// due returns what is to be delivered now and how long until the next poller's time is over. With end, everybody's is.
func (h *activityHub) due(end bool) (due []delivery, next time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	due, h.deliveries = h.deliveries, nil
	h.closed = h.closed || end
	now := time.Now()
	for len(h.parked) > 0 {
		p := h.parked[0]
		if left := p.until.Sub(now); left > 0 && !end {
			return due, left
		}
		h.parked[0] = nil
		h.parked = h.parked[1:]
		if q := h.queues[p.arn]; q != nil {
			if i := slices.Index(q.pollers, p); i >= 0 {
				q.pollers = slices.Delete(q.pollers, i, i+1)
				due = append(due, delivery{p: p})
				h.tidy(q)
			}
		}
	}
	return due, time.Hour
}

// waiting returns how many pollers wait.
func (h *activityHub) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, q := range h.queues {
		n += len(q.pollers)
	}
	return n
}

// leave ends a poller's wait. A task that was given to it in the same moment is returned.
func (h *activityHub) leave(p *poller) (ref taskRef, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queue(p.arn)
	if i := slices.Index(q.pollers, p); i >= 0 {
		q.pollers = slices.Delete(q.pollers, i, i+1)
	}
	h.tidy(q)
	select {
	case ref = <-p.task:
		return ref, true
	default:
		return ref, false
	}
}

// pollTime is how long GetActivityTask waits for a task.
const pollTime = 60 * time.Second
