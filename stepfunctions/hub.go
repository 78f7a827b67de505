package stepfunctions

import (
	"slices"
	"sync"
	"time"

	"gust/stepfunctions/journal"
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
}

// activityQueue is one activity's. Tasks and pollers are never both there. gone counts the tasks in the queue that are
// on offer no longer.
type activityQueue struct {
	arn     string
	tasks   []taskRef
	gone    int
	pollers []*poller
}

// poller is a waiting GetActivityTask request. The channel has room for the one task it gets.
type poller struct{ task chan taskRef }

func newActivityHub() *activityHub {
	return &activityHub{queues: map[string]*activityQueue{}, offered: map[taskRef]*activityQueue{},
		registered: map[string]struct{}{}}
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
	if len(q.pollers) > 0 {
		p := q.pollers[0]
		q.pollers[0] = nil
		q.pollers = q.pollers[1:]
		p.task <- ref
		h.tidy(q)
		return
	}
	h.offered[ref] = q
	if first {
		q.tasks = slices.Insert(q.tasks, 0, ref)
	} else {
		q.tasks = append(q.tasks, ref)
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

// take returns the oldest task on offer, or a poller to wait with. full is true when too many wait already.
func (h *activityHub) take(arn string) (ref taskRef, p *poller, full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queue(arn)
	for len(q.tasks) > 0 {
		ref = q.tasks[0]
		q.tasks = q.tasks[1:]
		if h.offered[ref] == q {
			delete(h.offered, ref)
			h.tidy(q)
			return ref, nil, false
		}
		q.gone--
	}
	if len(q.pollers) >= maxPollers {
		return ref, nil, true
	}
	p = &poller{task: make(chan taskRef, 1)}
	q.pollers = append(q.pollers, p)
	return ref, p, false
}

// leave ends a poller's wait. A task that was given to it in the same moment goes to the next one.
func (h *activityHub) leave(arn string, p *poller) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queue(arn)
	if i := slices.Index(q.pollers, p); i >= 0 {
		q.pollers = slices.Delete(q.pollers, i, i+1)
	}
	select {
	case ref := <-p.task:
		h.put(arn, ref, true)
	default:
	}
	h.tidy(q)
}

// pollTime is how long GetActivityTask waits for a task.
const pollTime = 60 * time.Second
