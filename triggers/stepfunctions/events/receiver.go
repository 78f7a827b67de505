// Package events receives what EventBridge tells about executions, from one SQS queue, so that waits need not ask Step
// Functions. What it passes on are hints: a look at the execution is what counts when an event is lost, and a message may
// be deleted as soon as it has been passed on.
//
// Several processes may share a queue. A message about an execution that nobody here waits for is given back, and comes
// again, to any of them, after a second, then ever later; only one that nobody has wanted for long is deleted. That also
// serves an event that is faster than the parking of its wait.
package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"gust/triggers"
)

// Queue is what is called of Amazon SQS. *sqs.Client implements it.
type Queue interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(
		context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options),
	) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// Listener is told the news, and tells for each whether a wait that it holds is concerned. An error means that it has
// taken in none of them.
type Listener interface {
	Tell(ctx context.Context, news []triggers.News) ([]bool, error)
}

// Config is what a Receiver needs.
type Config struct {
	QueueURL string
	// Client makes the client; it is asked again after a failure, so that a mended connection is used.
	Client   func(ctx context.Context) (Queue, error)
	Listener Listener
	// KeepForeign is how long messages that concern nobody here stay in the queue for others. Default: 5 minutes.
	KeepForeign time.Duration
	// Log is the daemon's logger. Default: discarded.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const (
	// perCall is the most messages of one call: SQS's limit.
	perCall = 10
	// longPoll is how long the queue holds a call that finds nothing; helperPoll that of a helper, which goes home then.
	longPoll, helperPoll = 20, 1
	// hidden is how long a received message is not shown to others, in seconds: the time there is to judge it.
	hidden = 30
	// most is how many calls may be under way at once while the queue is full.
	most = 8
	// keepForeign and manyReceives bound how long a message that nobody wants goes round; malformedReceives that of one
	// that nobody can read, which comes again after malformedPause seconds.
	keepForeign       = 5 * time.Minute
	manyReceives      = 50
	malformedReceives = 3
	malformedPause    = 10
	longestPause      = 60
	firstBackoff      = time.Second
	longestBackoff    = time.Minute
	// giveBack bounds the call that gives messages back when the process stops.
	giveBack = 2 * time.Second
	// warnEvery bounds how often the log tells about unreadable messages.
	warnEvery = time.Minute
	// evidence is how long the last event of a state machine is believed to show that more will come; maxMachines bounds
	// how many are remembered.
	evidence    = 24 * time.Hour
	maxMachines = 10_000
)

// Receiver reads one queue. Make it with New.
type Receiver struct {
	c      Config
	cancel context.CancelFunc
	calls  sync.WaitGroup

	mu       sync.Mutex
	stats    Stats
	pollers  int
	machines map[string]time.Time // when their last event came
	warned   time.Time
}

// Stats are the receiver's counters since its start.
type Stats struct {
	// Reachable tells that the last call was answered.
	Reachable bool
	// Received counts receptions; one message may be received several times. The others say what became of them: it
	// concerned a wait here, it was given back, it was deleted because nobody wanted it, it told nothing new, nobody can
	// read it.
	Received, Matched, Released, Expired, Ignored, Malformed uint64
	// Failures counts calls of SQS that failed.
	Failures uint64
	// Lag sums how old the messages were that concerned a wait here, from the queue's receipt to ours.
	Lag time.Duration
}

// New returns a receiver that is not started yet.
func New(c Config) *Receiver {
	if c.KeepForeign <= 0 {
		c.KeepForeign = keepForeign
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Receiver{c: c, machines: map[string]time.Time{}}
}

// Start begins to receive. It has ctx's values; only Stop ends it. A queue that cannot be reached is no error: it is
// tried again for ever.
func (r *Receiver) Start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.pollers = 1
	r.calls.Go(func() { r.poll(ctx) })
}

// Stop ends receiving and returns when no call is under way.
func (r *Receiver) Stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.calls.Wait()
}

// Stats tells the counters.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Arrive reports whether the ends of this state machine's executions are told by events: the queue answers, and an event
// of the machine has come in the last day. Until one has come nothing shows that a rule sends them here, and its waits
// have to look for themselves.
func (r *Receiver) Arrive(stateMachineARN string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, seen := r.machines[stateMachineARN]
	return r.stats.Reachable && seen && r.c.Now().Sub(last) < evidence
}

// poll is the one poller that is always there.
func (r *Receiver) poll(ctx context.Context) {
	var queue Queue
	backoff := firstBackoff
	for ctx.Err() == nil {
		full, err := false, error(nil)
		if queue == nil {
			queue, err = r.c.Client(ctx)
		}
		if err == nil {
			full, err = r.receive(ctx, queue, longPoll)
		}
		if err == nil {
			backoff = firstBackoff
			if full {
				r.help(ctx, queue)
			}
			continue
		}
		queue = nil
		r.failed(ctx, err, backoff)
		_ = triggers.Pause(ctx, backoff) // the loop asks ctx
		backoff = min(2*backoff, longestBackoff)
	}
}

// help adds a poller that works as long as the queue holds more than one call fetches.
func (r *Receiver) help(ctx context.Context, queue Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pollers >= most {
		return
	}
	r.pollers++
	r.calls.Go(func() {
		for again := true; again; {
			full, err := r.receive(ctx, queue, helperPoll)
			if again = full && err == nil; again {
				r.help(ctx, queue)
			}
		}
		r.mu.Lock()
		r.pollers--
		r.mu.Unlock()
	})
}

// receive makes one call and deals with what it brings. full tells that there may be more.
func (r *Receiver) receive(ctx context.Context, queue Queue, wait int32) (full bool, err error) {
	out, err := queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &r.c.QueueURL, MaxNumberOfMessages: perCall, WaitTimeSeconds: wait, VisibilityTimeout: hidden,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp,
		},
	})
	if err != nil {
		return false, err
	}
	r.reached()
	if len(out.Messages) == 0 {
		return false, nil
	}
	return len(out.Messages) == perCall, r.deal(ctx, queue, out.Messages)
}

func (r *Receiver) reached() {
	r.mu.Lock()
	before := r.stats.Reachable
	r.stats.Reachable = true
	failures := r.stats.Failures
	r.mu.Unlock()
	if !before && failures > 0 {
		r.c.Log.Info("events are received again", "queue", r.c.QueueURL)
	}
}

// failed notes that the queue did not answer. The log tells it once until it answers again.
func (r *Receiver) failed(ctx context.Context, err error, again time.Duration) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	tell := r.stats.Reachable || r.stats.Failures == 0
	r.stats.Reachable = false
	r.stats.Failures++
	r.mu.Unlock()
	if tell {
		r.c.Log.Warn("events are not received; waits look at their executions themselves until they are",
			"queue", r.c.QueueURL, "error", explained(err), "again", again)
	}
}

// explained adds what to do to errors that a user has to mend.
func explained(err error) error {
	var missing *types.QueueDoesNotExist
	var coded interface{ ErrorCode() string }
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%w; check stepfunctions.events.queue_url and its region, or make the queue: `gust sfn events-template`", err)
	case errors.As(err, &coded) && (coded.ErrorCode() == "AccessDenied" || coded.ErrorCode() == "AccessDeniedException"):
		return fmt.Errorf("%w; stepfunctions.events.aws_conn_id needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility", err)
	}
	return err
}
