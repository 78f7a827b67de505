package quota

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// How a bucket adapts to a service that refuses what should be allowed: others use the account too, or its quota is
// smaller than the published one.
const (
	// lowered is what a throttled second leaves of the rate, least the part of it that always stays.
	lowered = 0.9
	least   = 0.1
	// quiet is how long after a throttled call the rate begins to rise, raised the part of the full rate that each second
	// then adds.
	quiet  = 10 * time.Second
	raised = 0.01
	// kept is the part of a bucket that calls in the background leave to others.
	kept = 0.1
)

// bucket is the token bucket of one operation. Those in the foreground get tokens in order of arrival; those in the
// background get what they leave.
type bucket struct {
	now  func() time.Time
	size Size

	mu        sync.Mutex
	tokens    float64
	rate      float64
	at        time.Time // of tokens and rate
	underWay  float64   // calls that are not answered
	throttled time.Time // the last time
	queues    [2][]*waiter
	timer     *time.Timer
	counts    map[string]int64
}

// waiter is a call that waits for a token.
type waiter struct{ granted chan struct{} }

func newBucket(now func() time.Time, size Size) *bucket {
	return &bucket{now: now, size: size, tokens: size.Bucket, rate: size.Refill, at: now(), counts: map[string]int64{}}
}

func (b *bucket) limited() bool { return !math.IsInf(b.size.Bucket, 1) }

// settle brings tokens and rate up to date. The mutex is held, as in all of these.
func (b *bucket) settle() {
	now := b.now()
	passed := now.Sub(b.at).Seconds()
	if passed <= 0 || !b.limited() { // also when the clock was set back
		b.at = now
		return
	}
	b.tokens = min(b.tokens+passed*b.rate, b.full())
	if b.rate < b.size.Refill {
		since := max(now.Sub(b.throttled)-quiet, 0).Seconds()
		b.rate = min(b.rate+min(passed, since)*raised*b.size.Refill, b.size.Refill)
	}
	b.at = now
}

// full is how many tokens there can be. A call that is under way counts as made just now: the service's bucket gets its
// token back only after the call has come there, which may take a while.
func (b *bucket) full() float64 { return b.size.Bucket - b.underWay }

// grant takes a token for a call.
func (b *bucket) grant() {
	b.tokens--
	b.underWay++
}

// floor is what the background leaves.
func (b *bucket) floor() float64 { return min(b.size.Bucket*kept, b.size.Bucket-1) }

// missing is how many tokens the next call of a class lacks.
func (b *bucket) missing(c class) float64 {
	if c == foreground {
		return 1 - b.tokens
	}
	return 1 + b.floor() + float64(len(b.queues[foreground])) - b.tokens
}

// take gets a token, in the order in which calls of the class ask, or returns when ctx ends.
func (b *bucket) take(ctx context.Context, c class, wait bool) error {
	if !b.limited() {
		return nil
	}
	b.mu.Lock()
	b.settle()
	if missing := b.missing(c); missing <= 0 && len(b.queues[foreground]) == 0 && (c == foreground || len(b.queues[c]) == 0) {
		b.grant()
		b.mu.Unlock()
		return nil
	} else if !wait {
		after := time.Duration(max(missing, 1) / b.rate * float64(time.Second))
		b.mu.Unlock()
		return &BusyError{After: after}
	}
	w := &waiter{granted: make(chan struct{})}
	b.queues[c] = append(b.queues[c], w)
	b.arm()
	b.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.queues[c] {
		if other == w {
			b.queues[c] = append(b.queues[c][:i], b.queues[c][i+1:]...)
			b.arm()
			return fmt.Errorf("waiting for the client's own quota: %w", context.Cause(ctx))
		}
	}
	return nil // granted at the same moment
}

// arm sees to it that the next waiter is served when its token is there. While calls under way keep the bucket from being
// refilled, that is not before one of them is answered.
func (b *bucket) arm() {
	c := foreground
	if len(b.queues[c]) == 0 {
		c = background
	}
	missing := b.missing(c)
	if len(b.queues[c]) == 0 || missing > 0 && b.tokens >= b.full() {
		if b.timer != nil {
			b.timer.Stop()
		}
		return
	}
	after := time.Duration(max(missing, 0)/b.rate*float64(time.Second)) + time.Microsecond
	if b.timer == nil {
		b.timer = time.AfterFunc(after, b.serve)
	} else {
		b.timer.Reset(after)
	}
}

// serve gives the tokens that are there to those who wait.
func (b *bucket) serve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	for c := range b.queues {
		for len(b.queues[c]) > 0 && b.missing(class(c)) <= 0 {
			b.grant()
			close(b.queues[c][0].granted)
			b.queues[c] = b.queues[c][1:]
		}
	}
	b.arm()
}

// answered counts a call, and goes slower after one that was refused.
func (b *bucket) answered(outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[outcome]++
	if !b.limited() {
		return
	}
	b.settle()
	b.underWay--
	if outcome == Throttled {
		b.tokens = min(b.tokens, 0) // the service's bucket is empty
		if now := b.now(); now.Sub(b.throttled) >= time.Second {
			b.rate = max(b.rate*lowered, b.size.Refill*least)
			b.throttled = now
		}
	}
	b.arm()
}

// room is what a caller in the background could take now, and the rate at which more comes.
func (b *bucket) room() Room {
	if !b.limited() {
		return Room{Tokens: math.Inf(1), PerSecond: math.Inf(1), Size: b.size}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	queued := len(b.queues[foreground]) + len(b.queues[background])
	return Room{Tokens: b.tokens - b.floor() - float64(queued), PerSecond: b.rate, Size: b.size}
}

// idle reports whether nothing would be lost with the bucket.
func (b *bucket) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	return b.tokens >= b.size.Bucket && b.rate >= b.size.Refill && len(b.queues[foreground])+len(b.queues[background]) == 0
}
