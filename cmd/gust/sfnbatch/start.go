package sfnbatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"golang.org/x/time/rate"

	"gust/cmd/gust/sfnapi"
)

// API is what starting needs of the client.
type API interface {
	StartExecution(context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error)
}

// Options say how executions are started.
type Options struct {
	API             API
	StateMachineARN string
	Prefix          string
	// State remembers what was started; nil remembers nothing.
	State *State
	// Rate is how many are started in a second, 0 without bound; Concurrency is how many requests are on their way at once.
	Rate        float64
	Concurrency int
	// MaxErrors ends the work when so many starts were refused.
	MaxErrors int
}

// Failure is an execution that was not started.
type Failure struct {
	Row  int
	Name string
	Err  error
}

// Summary says what came of the inputs.
type Summary struct {
	// Started now, Skipped because the state file has them, Existing because the service knows the name already.
	Started, Skipped, Existing int
	Failures                   []Failure
	Took                       time.Duration
}

// Done is how many inputs have been dealt with.
func (s *Summary) Done() int { return s.Started + s.Skipped + s.Existing + len(s.Failures) }

// errTooMany ends the work after too many refusals.
var errTooMany = errors.New("too many executions could not be started")

// Batch is the work on a file of inputs. Its progress may be read while it runs.
type Batch struct {
	opts  Options
	began time.Time

	mu      sync.Mutex
	summary Summary
}

// New returns the work.
func New(opts Options) *Batch { return &Batch{opts: opts, began: time.Now()} }

// Progress is the summary so far.
func (b *Batch) Progress() Summary {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.summary
	s.Took = time.Since(b.began)
	return s
}

// Run starts an execution for each row. It returns when all that it began is answered, also when ctx ends it early.
func (b *Batch) Run(ctx context.Context, rows iter.Seq2[Row, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := rate.Inf
	if b.opts.Rate > 0 {
		limit = rate.Limit(b.opts.Rate)
	}
	limiter := rate.NewLimiter(limit, max(1, min(b.opts.Concurrency, int(b.opts.Rate))))
	slots := make(chan struct{}, max(1, b.opts.Concurrency))
	var group sync.WaitGroup
	defer group.Wait()
	for row, err := range rows {
		if err != nil {
			return err
		}
		name := Name(b.opts.Prefix, row)
		if b.opts.State.Started(name) {
			b.count(func(s *Summary) { s.Skipped++ })
			continue
		}
		if err := limiter.Wait(ctx); err != nil {
			return cmp.Or(context.Cause(ctx), err) // a deadline that is too near ends it before it has come
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		group.Go(func() {
			defer func() { <-slots }()
			if err := b.start(ctx, row, name); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func (b *Batch) count(f func(*Summary)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.summary)
}

// start starts the execution of a row. It returns an error that ends the work.
func (b *Batch) start(ctx context.Context, row Row, name string) error {
	out, err := b.opts.API.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &b.opts.StateMachineARN, Name: &name, Input: &row.Input,
	})
	var exists *types.ExecutionAlreadyExists
	switch {
	case err == nil:
		return b.started(name, aws.ToString(out.ExecutionArn), func(s *Summary) { s.Started++ })
	case errors.As(err, &exists):
		return b.started(name, "", func(s *Summary) { s.Existing++ })
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	failures := 0
	b.count(func(s *Summary) {
		s.Failures = append(s.Failures, Failure{row.Number, name, sfnapi.Describe("StartExecution", err)})
		failures = len(s.Failures)
	})
	if b.opts.MaxErrors > 0 && failures >= b.opts.MaxErrors {
		return errTooMany
	}
	return nil
}

func (b *Batch) started(name, executionARN string, count func(*Summary)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	count(&b.summary)
	if err := b.opts.State.Record(name, executionARN); err != nil {
		return fmt.Errorf("write down what was started: %w", err)
	}
	return nil
}
