package sqs

import (
	"container/heap"
	"context"
	"crypto/md5" //nolint:gosec // SQS's checksums are MD5 sums
	"encoding/base64"
	"encoding/hex"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxInFlight is how many messages of a queue may be received and not deleted: SQS's limit.
const maxInFlight = 120_000

// message is one message of a queue.
type message struct {
	id         string
	body       string
	attributes map[string]attribute
	sent       time.Time
	// received counts its receptions, first is when it was received first.
	received int
	first    time.Time
	// visible tells that it waits in ready; otherwise it waits for visibleAt, in hidden.
	visible   bool
	visibleAt time.Time
	// version tells the newest entry of hidden from older ones.
	version int
	deleted bool
}

// queue is a standard queue in memory.
type queue struct {
	name    string
	created time.Time
	stopped <-chan struct{}

	mu       sync.Mutex
	settings settings
	modified time.Time
	byID     map[string]*message
	ready    []*message
	hidden   hiddenHeap
	inFlight int
	// more is closed when messages have become visible, or will sooner than was known.
	more chan struct{}
}

// settings are a queue's attributes that can be set.
type settings struct {
	delay, visibility, wait, retention time.Duration
	maxSize                            int
	// deadLetters takes messages received more often than maxReceives; nil when there is no such queue.
	deadLetters *queue
	maxReceives int
	redrive     string
}

func defaultSettings() settings {
	return settings{visibility: 30 * time.Second, retention: 4 * 24 * time.Hour, maxSize: 1 << 20}
}

func newQueue(name string, s settings, stopped <-chan struct{}) *queue {
	now := time.Now()
	return &queue{name: name, created: now, modified: now, settings: s, stopped: stopped, byID: map[string]*message{}, more: make(chan struct{})}
}

// send adds a message and returns its id; delay nil is the queue's own.
func (q *queue) send(body string, attributes map[string]attribute, delay *time.Duration) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait := q.settings.delay
	if delay != nil {
		wait = *delay
	}
	m := &message{id: uuid.NewString(), body: body, attributes: maps.Clone(attributes), sent: time.Now()}
	q.byID[m.id] = m
	q.hide(m, m.sent.Add(wait))
	q.advance(m.sent)
	return m.id
}

// hide makes a message visible at a time. The mutex is held.
func (q *queue) hide(m *message, at time.Time) {
	m.visible, m.visibleAt = false, at
	m.version++
	heap.Push(&q.hidden, hiddenEntry{at: at, m: m, version: m.version})
	if q.hidden[0].m == m {
		q.wake() // who waits for the next one has to look again
	}
}

// wake lets the polls look again. The mutex is held.
func (q *queue) wake() {
	close(q.more)
	q.more = make(chan struct{})
}

// advance shows the messages whose time has come and drops the ones that are too old. The mutex is held.
func (q *queue) advance(now time.Time) {
	shown := false
	for len(q.hidden) > 0 && !q.hidden[0].at.After(now) {
		e, _ := heap.Pop(&q.hidden).(hiddenEntry) // nothing else is in it
		if e.m.deleted || e.m.visible || e.version != e.m.version {
			continue
		}
		if e.m.received > 0 {
			q.inFlight--
		}
		e.m.visible = true
		q.ready = append(q.ready, e.m)
		shown = true
	}
	for len(q.ready) > 0 && (q.ready[0].deleted || !q.ready[0].visible || now.Sub(q.ready[0].sent) > q.settings.retention) {
		if m := q.ready[0]; m.visible && !m.deleted {
			q.drop(m)
		}
		q.shift()
	}
	if shown {
		q.wake()
	}
}

// shift removes the first of the ready messages. The mutex is held.
func (q *queue) shift() {
	q.ready[0] = nil
	q.ready = q.ready[1:]
}

// drop deletes a message. The mutex is held.
func (q *queue) drop(m *message) {
	if !m.visible && m.received > 0 && !m.deleted {
		q.inFlight--
	}
	m.deleted = true
	delete(q.byID, m.id)
}

// delivery is a message as a receiver gets it.
type delivery struct {
	message
	handle string
}

// receive takes up to n messages, waiting for the first one. over tells that too many are in flight.
func (q *queue) receive(ctx context.Context, n int, visibility, wait *time.Duration) (got []delivery, over bool) {
	q.mu.Lock()
	deadline := time.Now().Add(q.settings.wait)
	q.mu.Unlock()
	if wait != nil {
		deadline = time.Now().Add(*wait)
	}
	for {
		now := time.Now()
		q.mu.Lock()
		q.advance(now)
		if q.inFlight >= maxInFlight {
			q.mu.Unlock()
			return nil, true
		}
		var dead []*message
		got, dead = q.take(now, n, visibility)
		deadLetters := q.settings.deadLetters
		wake := deadline
		if len(q.hidden) > 0 && q.hidden[0].at.Before(wake) {
			wake = q.hidden[0].at
		}
		more := q.more
		q.mu.Unlock()
		for _, m := range dead {
			deadLetters.send(m.body, m.attributes, nil)
		}
		if len(got) > 0 || !now.Before(deadline) {
			return got, false
		}
		timer := time.NewTimer(wake.Sub(now))
		select {
		case <-more:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, false
		case <-q.stopped:
			timer.Stop()
			return nil, false
		}
		timer.Stop()
	}
}

// take receives what is ready; dead is what belongs into the queue of dead letters. The mutex is held.
func (q *queue) take(now time.Time, n int, visibility *time.Duration) (got []delivery, dead []*message) {
	hide := q.settings.visibility
	if visibility != nil {
		hide = *visibility
	}
	for len(got) < n && len(q.ready) > 0 {
		m := q.ready[0]
		q.shift()
		switch {
		case m.deleted || !m.visible:
			continue
		case q.settings.deadLetters != nil && m.received >= q.settings.maxReceives:
			q.drop(m)
			dead = append(dead, m)
			continue
		}
		m.received++
		if m.first.IsZero() {
			m.first = now
		}
		q.inFlight++
		q.hide(m, now.Add(hide))
		got = append(got, delivery{message: *m, handle: handle(m)})
	}
	return got, dead
}

// handle names one reception of a message.
func handle(m *message) string {
	return base64.StdEncoding.EncodeToString([]byte(m.id + "#" + strconv.Itoa(m.received)))
}

// find returns the message of a handle; nil when it is gone or has been received again. ok is false for a text that is
// no handle.
func (q *queue) find(handle string) (m *message, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(handle)
	if err != nil {
		return nil, false
	}
	id, count, ok := strings.Cut(string(raw), "#")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || uuid.Validate(id) != nil {
		return nil, false
	}
	if m = q.byID[id]; m != nil && m.received == n {
		return m, true
	}
	return nil, true
}

// remove deletes the message of a handle, if it is still there. ok is false for a text that is no handle.
func (q *queue) remove(handle string) (ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, ok := q.find(handle)
	if m != nil {
		q.drop(m)
	}
	return ok
}

// changeVisibility hides a received message for a while from now. flying is false when it is not in flight.
func (q *queue) changeVisibility(handle string, d time.Duration) (ok, flying bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.advance(now)
	m, ok := q.find(handle)
	if m == nil || m.visible {
		return ok, false
	}
	q.hide(m, now.Add(d))
	q.advance(now)
	return true, true
}

// purge deletes everything.
func (q *queue) purge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.byID {
		q.drop(m)
	}
	q.ready, q.hidden = nil, nil
}

// counts are how many messages can be received, are in flight, and are delayed.
func (q *queue) counts() (visible, inFlight, delayed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advance(time.Now())
	for _, m := range q.byID {
		switch {
		case m.visible:
			visible++
		case m.received > 0:
			inFlight++
		default:
			delayed++
		}
	}
	return visible, inFlight, delayed
}

// hiddenHeap orders messages by the time when they become visible.
type hiddenHeap []hiddenEntry

type hiddenEntry struct {
	at      time.Time
	m       *message
	version int
}

// Len, Less, Swap, Push and Pop are those of [heap.Interface].
func (h hiddenHeap) Len() int           { return len(h) }
func (h hiddenHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h hiddenHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push adds an entry.
func (h *hiddenHeap) Push(x any) {
	if e, ok := x.(hiddenEntry); ok {
		*h = append(*h, e)
	}
}

// Pop removes the last entry.
func (h *hiddenHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = hiddenEntry{}
	*h = old[:len(old)-1]
	return e
}

// checksum is the MD5 sum of a text in hexadecimal digits.
func checksum(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // SQS's checksums are MD5 sums
	return hex.EncodeToString(sum[:])
}
