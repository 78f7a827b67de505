// Package quota keeps the calls of this process to Step Functions within AWS's quotas: a token bucket for each account,
// region and operation, of the published size, which all operators, sensors and triggers share. A bucket that AWS refuses
// calls from all the same is refilled more slowly for a while.
//
// Calls are in the foreground unless their context says otherwise: they get tokens in order of arrival. The looks of waits
// are in the background: they take what the others leave, and never the last tokens.
package quota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Options are settings of Quotas.
type Options struct {
	// Sizes replace published ones, by operation.
	Sizes map[string]Size
	// Everywhere also limits calls to endpoints that are not AWS's.
	Everywhere bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// ParseSizes reads sizes by operation, "BUCKET/REFILL" each.
func ParseSizes(texts map[string]string, nearest func(wanted string, known []string) string) (map[string]Size, error) {
	sizes := make(map[string]Size, len(texts))
	var problems []error
	for _, operation := range slices.Sorted(maps.Keys(texts)) {
		size, err := ParseSize(texts[operation])
		if _, known := Published(operation, ""); !known {
			err = fmt.Errorf("Step Functions has no operation with a quota of this name; known: %s", strings.Join(Operations(), ", "))
			if near := nearest(operation, Operations()); near != "" {
				err = fmt.Errorf("Step Functions has no operation with a quota of this name; did you mean %q?", near)
			}
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", operation, err))
		}
		sizes[operation] = size
	}
	return sizes, errors.Join(problems...)
}

// Quotas are the buckets of a process. They are safe for concurrent use.
type Quotas struct {
	o Options

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
	express map[string]bool // state machines whose starts were seen to be EXPRESS
}

type bucketKey struct {
	Scope
	operation string
}

// Scope is who has a quota of its own.
type Scope struct {
	// Endpoint is "" for AWS itself.
	Endpoint, Region string
	// Account is that of the ARN in the call, or who calls where there is no ARN.
	Account string
}

// New returns full buckets.
func New(o Options) *Quotas {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Quotas{o: o, buckets: map[bucketKey]*bucket{}, express: map[string]bool{}}
}

// class is who goes first.
type class int

const (
	foreground class = iota
	background
)

type manners struct {
	class class
	wait  bool
}

type mannersKey struct{}

// Yielding marks calls that are in the background: they wait for a token until nobody else wants it.
func Yielding(ctx context.Context) context.Context {
	return context.WithValue(ctx, mannersKey{}, manners{background, true})
}

// AtOnce marks calls that are in the background and do not wait: without a token they end with a [BusyError].
func AtOnce(ctx context.Context) context.Context {
	return context.WithValue(ctx, mannersKey{}, manners{background, false})
}

// BusyError is the end of a call that was not made, because the client's own quota had no token for it.
type BusyError struct {
	// After is when there may be one.
	After time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("the client's own quota allows no call before %s", e.After.Round(time.Millisecond))
}

// Outcomes of calls.
const (
	OK        = "ok"
	Throttled = "throttled"
	// Refused is an error that is the caller's fault, Failed one of the service or the connection.
	Refused  = "refused"
	Failed   = "failed"
	Canceled = "canceled"
)

// Do makes a call when its turn has come. It returns the call's error, or why there was no call.
func (q *Quotas) Do(ctx context.Context, s Scope, operation string, call func() error) error {
	b := q.bucket(s, operation)
	m, _ := ctx.Value(mannersKey{}).(manners)
	if m.class == foreground {
		m.wait = true
	}
	if err := b.take(ctx, m.class, m.wait); err != nil {
		return err
	}
	outcome := Failed // of a call that panics: it is not under way for ever
	defer func() { b.answered(outcome) }()
	err := call()
	outcome = outcomeOf(ctx, err)
	return err
}

func outcomeOf(ctx context.Context, err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &api):
		if _, throttle := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttle {
			return Throttled
		}
		if api.ErrorFault() == smithy.FaultServer {
			return Failed
		}
		return Refused
	case ctx.Err() != nil:
		return Canceled
	}
	return Failed
}

// Room is what a caller in the background has to plan with.
type Room struct {
	// Tokens could be taken now; negative when others wait for them. PerSecond more come.
	Tokens, PerSecond float64
	Size              Size
}

// Limited is false where nothing limits the calls.
func (r Room) Limited() bool { return !math.IsInf(r.Tokens, 1) }

// Room tells what a caller in the background has to plan with.
func (q *Quotas) Room(s Scope, operation string) Room { return q.bucket(s, operation).room() }

// Limits reports whether calls to this scope are limited.
func (q *Quotas) Limits(s Scope) bool { return s.Endpoint == "" || q.o.Everywhere }

// maxBuckets bounds the buckets kept; what nobody uses is full and can be made again.
const maxBuckets = 4096

func (q *Quotas) bucket(s Scope, operation string) *bucket {
	key := bucketKey{s, operation}
	q.mu.Lock()
	defer q.mu.Unlock()
	if b, ok := q.buckets[key]; ok {
		return b
	}
	if len(q.buckets) >= maxBuckets {
		maps.DeleteFunc(q.buckets, func(_ bucketKey, b *bucket) bool { return b.idle() })
	}
	b := newBucket(q.o.Now, q.size(s, operation))
	q.buckets[key] = b
	return b
}

// size is a bucket's size; without a quota it is infinite.
func (q *Quotas) size(s Scope, operation string) Size {
	unlimited := Size{math.Inf(1), math.Inf(1)}
	if !q.Limits(s) {
		return unlimited
	}
	if own, ok := q.o.Sizes[operation]; ok {
		return own
	}
	if size, ok := Published(operation, s.Region); ok {
		return size
	}
	return unlimited
}

// maxExpress bounds the state machines remembered.
const maxExpress = 10_000

// startOf is the operation that a start counts as; started learns from its answer.
func (q *Quotas) startOf(machine string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.express[machine] {
		return StartExpress
	}
	return "StartExecution"
}

func (q *Quotas) started(machine, execution string) {
	if !strings.Contains(execution, ":express:") {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.express) >= maxExpress {
		clear(q.express)
	}
	q.express[machine] = true
}

// Stat is how one operation fares.
type Stat struct {
	Scope     Scope
	Operation string
	// Calls counts by outcome.
	Calls map[string]int64
	// Tokens and PerSecond are the bucket as it is, Size as it is full; infinite without a quota.
	Tokens, PerSecond float64
	Size              Size
	// Waiting calls in the foreground and in the background.
	Foreground, Background int
}

// Stats tells how every operation that was called fares, in order.
func (q *Quotas) Stats() []Stat {
	q.mu.Lock()
	buckets := maps.Clone(q.buckets)
	q.mu.Unlock()
	stats := make([]Stat, 0, len(buckets))
	for key, b := range buckets {
		b.mu.Lock()
		b.settle()
		stats = append(stats, Stat{
			Scope: key.Scope, Operation: key.operation, Calls: maps.Clone(b.counts), Tokens: b.tokens, PerSecond: b.rate,
			Size: b.size, Foreground: len(b.queues[foreground]), Background: len(b.queues[background]),
		})
		b.mu.Unlock()
	}
	slices.SortFunc(stats, func(x, y Stat) int {
		return cmp.Or(cmp.Compare(x.Scope.Endpoint, y.Scope.Endpoint), cmp.Compare(x.Scope.Region, y.Scope.Region),
			cmp.Compare(x.Scope.Account, y.Scope.Account), cmp.Compare(x.Operation, y.Operation))
	})
	return stats
}
