package events

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"gust/triggers"
)

// fate is what becomes of a message: deleted, or shown again after some seconds.
type fate struct {
	handle string
	remove bool
	again  int32
}

// deal passes on what messages tell, and deletes them or gives them back. Its error is that of the listener or of SQS:
// the messages it concerns come again by themselves.
func (r *Receiver) deal(ctx context.Context, queue Queue, received []types.Message) error {
	messages := make([]message, len(received))
	var news []triggers.News
	var tellers []*message
	for i := range received {
		messages[i] = read(&received[i])
		if m := &messages[i]; m.wrong == nil && m.ended {
			news, tellers = append(news, m.news), append(tellers, m)
		}
	}
	var held []bool
	var refused error
	if len(news) > 0 {
		held, refused = r.c.Listener.Tell(ctx, news)
	}
	for i, m := range tellers {
		m.wanted = i < len(held) && held[i]
	}
	fates := r.judge(messages, refused != nil)
	if ctx.Err() != nil { // what is given back now need not wait for its time to pass
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), giveBack)
		defer cancel()
	}
	return errors.Join(refused, r.settle(ctx, queue, fates))
}

// judge decides what becomes of messages and counts it.
func (r *Receiver) judge(messages []message, refused bool) []fate {
	now := r.c.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	fates := make([]fate, len(messages))
	for i := range messages {
		m := &messages[i]
		f := &fates[i]
		f.handle = m.handle
		r.stats.Received++
		if m.wrong == nil {
			r.seen(m.machine, now)
		}
		switch {
		case m.wrong != nil:
			r.stats.Malformed++
			r.warn(m, now)
			f.remove, f.again = m.received >= malformedReceives, malformedPause
		case !m.ended:
			r.stats.Ignored++
			f.remove = true
		case refused:
			r.stats.Released++
		case m.wanted:
			r.stats.Matched++
			if !m.sent.IsZero() {
				r.stats.Lag += max(0, now.Sub(m.sent))
			}
			f.remove = true
		case m.received >= manyReceives || !m.sent.IsZero() && now.Sub(m.sent) >= r.c.KeepForeign:
			r.stats.Expired++
			f.remove = true
		default:
			r.stats.Released++
			f.again = pause(m.received)
		}
	}
	return fates
}

// pause is how long a message that nobody here waits for is hidden after its nth reception, in seconds: shortly at first,
// for the process that it belongs to and for a wait that is just being parked, then ever longer.
func pause(received int) int32 {
	return int32(min(1<<min(max(received-2, 0), 16), longestPause))
}

// seen remembers that events of a state machine come. The mutex is held.
func (r *Receiver) seen(machine string, now time.Time) {
	if _, known := r.machines[machine]; !known && len(r.machines) >= maxMachines {
		for name, last := range r.machines {
			if now.Sub(last) >= evidence {
				delete(r.machines, name)
			}
		}
		if len(r.machines) >= maxMachines {
			return // its waits look for themselves
		}
	}
	r.machines[machine] = now
}

// warn tells about a message that cannot be read, not too often. The mutex is held.
func (r *Receiver) warn(m *message, now time.Time) {
	if m.received > 1 || now.Sub(r.warned) < warnEvery {
		return
	}
	r.warned = now
	r.c.Log.Warn("a message in the queue of events cannot be read; it is deleted after it has come a few times",
		"queue", r.c.QueueURL, "problem", m.wrong)
}

// settle deletes messages and gives the others back. Those that SQS refuses, one by one or all, come again by themselves.
func (r *Receiver) settle(ctx context.Context, queue Queue, fates []fate) error {
	var gone []types.DeleteMessageBatchRequestEntry
	var back []types.ChangeMessageVisibilityBatchRequestEntry
	for i := range fates {
		id := strconv.Itoa(i)
		if fates[i].remove {
			gone = append(gone, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: &fates[i].handle})
		} else {
			back = append(back, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: &id, ReceiptHandle: &fates[i].handle, VisibilityTimeout: fates[i].again,
			})
		}
	}
	var deleting, giving error
	if len(gone) > 0 {
		_, deleting = queue.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &r.c.QueueURL, Entries: gone})
	}
	if len(back) > 0 {
		_, giving = queue.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &r.c.QueueURL, Entries: back})
	}
	return errors.Join(deleting, giving)
}
