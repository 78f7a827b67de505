package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/goleak"

	"gust/triggers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queue is a standard queue in memory, which forgets nothing by itself.
type queue struct {
	mu       sync.Mutex
	messages []*held
	changed  chan struct{}
	down     error
	calls    int
}

type held struct {
	id, body string
	sent     time.Time
	shown    time.Time
	received int
	gone     bool
}

func newQueue() *queue { return &queue{changed: make(chan struct{})} }

func (q *queue) change() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *queue) send(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, body := range bodies {
		q.messages = append(q.messages, &held{id: strconv.Itoa(len(q.messages)), body: body, sent: time.Now(), shown: time.Now()})
	}
	q.change()
}

func (q *queue) setDown(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = err
	q.change()
}

// left are the bodies of the messages that are not deleted.
func (q *queue) left() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []string
	for _, m := range q.messages {
		if !m.gone {
			out = append(out, m.body)
		}
	}
	return out
}

// called counts the calls since it was asked last.
func (q *queue) called() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.calls
	q.calls = 0
	return n
}

func (q *queue) receives() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, m := range q.messages {
		n += m.received
	}
	return n
}

func (q *queue) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	deadline := time.Now().Add(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		q.mu.Lock()
		q.calls++
		if q.down != nil {
			defer q.mu.Unlock()
			return nil, q.down
		}
		out, now, wake := &sqs.ReceiveMessageOutput{}, time.Now(), deadline
		for _, m := range q.messages {
			switch {
			case m.gone || len(out.Messages) == int(in.MaxNumberOfMessages):
			case m.shown.After(now):
				if m.shown.Before(wake) {
					wake = m.shown
				}
			default:
				m.received++
				m.shown = now.Add(time.Duration(in.VisibilityTimeout) * time.Second)
				handle := m.id + "#" + strconv.Itoa(m.received)
				out.Messages = append(out.Messages, types.Message{MessageId: &m.id, Body: &m.body, ReceiptHandle: &handle, Attributes: map[string]string{
					"ApproximateReceiveCount": strconv.Itoa(m.received), "SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10),
				}})
			}
		}
		changed := q.changed
		q.mu.Unlock()
		if len(out.Messages) > 0 || !now.Before(deadline) {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-time.After(wake.Sub(now)):
		}
	}
}

func (q *queue) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	return &sqs.DeleteMessageBatchOutput{}, q.each(ctx, len(in.Entries), func(i int) *string { return in.Entries[i].ReceiptHandle },
		func(_ int, m *held) { m.gone = true })
}

func (q *queue) ChangeMessageVisibilityBatch(
	ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options),
) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return &sqs.ChangeMessageVisibilityBatchOutput{}, q.each(ctx, len(in.Entries), func(i int) *string { return in.Entries[i].ReceiptHandle },
		func(i int, m *held) {
			m.shown = time.Now().Add(time.Duration(in.Entries[i].VisibilityTimeout) * time.Second)
		})
}

func (q *queue) each(ctx context.Context, n int, handle func(int) *string, do func(int, *held)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case q.down != nil:
		return q.down
	case n == 0 || n > 10:
		return fmt.Errorf("a batch of %d", n)
	}
	for i := range n {
		for _, m := range q.messages {
			if m.id+"#"+strconv.Itoa(m.received) == *handle(i) {
				do(i, m)
			}
		}
	}
	q.change()
	return nil
}

// waiter is a listener that waits for some subjects.
type waiter struct {
	mu      sync.Mutex
	waiting []string
	told    []triggers.News
	refuse  error
	tells   int
}

func (w *waiter) Tell(_ context.Context, news []triggers.News) ([]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tells++
	if w.refuse != nil {
		return nil, w.refuse
	}
	out := make([]bool, len(news))
	for i, n := range news {
		if out[i] = slices.Contains(w.waiting, n.Subject); out[i] {
			w.told = append(w.told, n)
		}
	}
	return out, nil
}

func (w *waiter) wait(subjects ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, subjects...)
}

func (w *waiter) subjects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]string, len(w.told))
	for i := range w.told {
		out[i] = w.told[i].Subject
	}
	return out
}

var errDown = errors.New("connection refused")

func arn(name string) string {
	return "arn:aws:states:eu-west-1:123456789012:execution:orders:" + name
}

const machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders"

func event(name, status string) string {
	return fmt.Sprintf(`{"version":"0","id":"x","detail-type":"Step Functions Execution Status Change","source":"aws.states",`+
		`"account":"123456789012","time":"2026-01-02T03:04:05Z","region":"eu-west-1","resources":[%q],`+
		`"detail":{"executionArn":%q,"stateMachineArn":%q,"name":%q,"status":%q,"output":"{\"a\": 1}"}}`,
		arn(name), arn(name), machine, name, status)
}

// start runs a receiver of q until the end of the test.
func start(t *testing.T, q *queue, w *waiter, change ...func(*Config)) *Receiver {
	t.Helper()
	c := Config{QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/q", Listener: w,
		Client: func(context.Context) (Queue, error) { return q, nil }}
	for _, f := range change {
		f(&c)
	}
	r := New(c)
	r.Start(t.Context())
	t.Cleanup(r.Stop)
	return r
}

// listener is a function that takes nothing in.
type listener func(context.Context) error

func (l listener) Tell(ctx context.Context, _ []triggers.News) ([]bool, error) { return nil, l(ctx) }
