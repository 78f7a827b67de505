package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"golang.org/x/time/rate"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/triggers"
	"gust/triggers/awswait"
)

// Kind is the trigger's kind.
const Kind = "stepfunctions.execution"

// Args describes the wait for one execution.
type Args struct {
	ExecutionARN string `json:"execution_arn"`
	awsconn.Params
	// Delay is the longest time between two looks (waiter_delay, poke_interval); see Interval for the first ones.
	Delay time.Duration `json:"delay"`
	// Pace replaces Delay and the first, shorter steps when it is a backoff.
	Pace *triggers.Pace `json:"pace,omitempty"`
	// Deadline ends the wait of an operator; zero is none.
	Deadline time.Time `json:"deadline,omitzero"`
	// WithOutput asks for the execution's output in the event.
	WithOutput bool `json:"with_output,omitempty"`
	// Redrives is the least redrive count an end must have to be believed: after a redrive AWS may for a moment still
	// describe the end before it.
	Redrives int32 `json:"redrives,omitempty"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// Settle is how long after the wait began AWS may not know the execution yet, or describe it as before a redrive:
// DescribeExecution is eventually consistent.
const Settle = 15 * time.Second

// Interval is the time to the next look at an execution that is waited for since some time and still runs. The first
// looks come soon and grow with the time waited, so that an execution of seconds is seen to end within about half its
// duration again, and one of hours costs one call per delay. delay is the ceiling. An endpoint that is not AWS has no
// quota and is looked at more often.
func Interval(waited, delay time.Duration, info awsconn.Info) time.Duration {
	least, next := time.Second, waited/2
	if info.Elsewhere() {
		least, next = 100*time.Millisecond, waited/5
	}
	return min(max(next, least), delay)
}

// Quota bounds the DescribeExecution calls for one set of AWS parameters: AWS allows an account a burst and a sustained
// rate, and refuses beyond.
type Quota struct {
	PerSecond float64
	Burst     int
}

// DefaultQuota is what AWS grants in every region: half of the burst is left to others in the account.
var DefaultQuota = Quota{PerSecond: 10, Burst: 125}

// Deps is what the trigger needs from the process.
type Deps struct {
	Clients     Clients
	Connections connections.Resolver
	// Quota of the calls to AWS; the zero value means DefaultQuota. Other endpoints are not limited.
	Quota Quota
	// Concurrency bounds the calls at one time for one set of AWS parameters; 0 means 8.
	Concurrency int
}

// Register adds the triggers to the registry.
func Register(r *triggers.Registry, deps Deps) error {
	if deps.Clients == nil || deps.Connections == nil {
		return errors.New("triggers/stepfunctions: Deps needs Clients and Connections")
	}
	if deps.Quota == (Quota{}) {
		deps.Quota = DefaultQuota
	}
	if deps.Concurrency == 0 {
		deps.Concurrency = 8
	}
	return errors.Join(
		r.Register(&checker{deps: deps, limiters: map[string]*rate.Limiter{}}),
		r.Register(&deletions{deps}),
		r.Register(&activities{deps}),
	)
}

type checker struct {
	deps Deps

	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

func (c *checker) Kind() string { return Kind }

// Key groups the waits that use one client.
func (c *checker) Key(raw json.RawMessage) (string, error) {
	args, err := decode(raw)
	if err != nil {
		return "", err
	}
	return args.Params.Key(), nil
}

func decode(raw json.RawMessage) (*Args, error) {
	args, err := triggers.Decode[Args](Kind, raw)
	if err != nil {
		return nil, err
	}
	if args.ExecutionARN == "" {
		return nil, fmt.Errorf("arguments of a %s trigger: execution_arn is missing", Kind)
	}
	return args, nil
}

// callTimeout bounds one look.
const callTimeout = 30 * time.Second

// Check describes every execution once, as far as the quota allows.
func (c *checker) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	verdicts := make([]triggers.Verdict, len(waits))
	looks := make([]*look, len(waits))
	var first *look
	for i := range waits {
		args, err := decode(waits[i].Args)
		if err != nil {
			verdicts[i] = triggers.Verdict{Err: err}
			continue
		}
		looks[i] = &look{Span: awswait.Span{Wait: &waits[i], Now: now, Delay: args.Delay, Deadline: args.Deadline}, args: args}
		if first == nil {
			first = looks[i]
		}
	}
	if first == nil {
		return verdicts
	}
	api, info, err := c.deps.Clients.SFN(ctx, c.deps.Connections, first.args.Params)
	if err != nil {
		for i, l := range looks {
			if l != nil {
				verdicts[i] = l.noClient(err)
			}
		}
		return verdicts
	}
	limiter := c.limiter(first.args.Params.Key(), info)
	gate := make(chan struct{}, c.deps.Concurrency)
	var group sync.WaitGroup
	late := 0
	for i, l := range looks {
		if l == nil {
			continue
		}
		l.api, l.info = api, info
		if limiter != nil && !limiter.AllowN(now, 1) {
			late++
			seconds := float64(late) / float64(limiter.Limit())
			verdicts[i] = triggers.Verdict{Again: now.Add(time.Duration(seconds * float64(time.Second)))}
			continue
		}
		gate <- struct{}{}
		group.Go(func() {
			verdicts[i] = l.verdict(ctx)
			<-gate
		})
	}
	group.Wait()
	return verdicts
}

// maxLimiters bounds the limiters kept; parameters that are templated can make any number of them.
const maxLimiters = 1024

func (c *checker) limiter(key string, info awsconn.Info) *rate.Limiter {
	if info.Elsewhere() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.limiters[key]
	if !ok {
		if len(c.limiters) >= maxLimiters {
			clear(c.limiters)
		}
		l = rate.NewLimiter(rate.Limit(c.deps.Quota.PerSecond), c.deps.Quota.Burst)
		c.limiters[key] = l
	}
	return l
}

// look is one look at one execution.
type look struct {
	awswait.Span
	api  API
	info awsconn.Info
	args *Args
}

func (l *look) verdict(ctx context.Context) triggers.Verdict {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := Describe(call, l.api, l.args.ExecutionARN)
	switch {
	case ctx.Err() != nil:
		return triggers.Verdict{Again: l.Now}
	case err != nil:
		return l.failed(err)
	}
	before := l.args.Redrives > 0 && (d.RedriveCount == nil || *d.RedriveCount < l.args.Redrives)
	if !before || l.Waited() > Settle {
		if o := Ended(call, l.api, l.info, d, l.args.WithOutput); o != nil {
			return fire(o, string(d.Status))
		}
	}
	v := l.again(string(d.Status))
	if l.Wait.Checks == 0 || d.Status != types.ExecutionStatusRunning {
		v.Log = "Status of step function execution is: " + string(d.Status)
	}
	v.State = l.Clear()
	return v
}

func fire(o *Outcome, status string) triggers.Verdict {
	event, err := triggers.NewEvent(o)
	if err != nil {
		return triggers.Verdict{Err: err}
	}
	return triggers.Verdict{Event: event, Log: "Status of step function execution is: " + status}
}

// again asks for the next look, or ends the wait at its deadline. what is the last thing known about the execution.
func (l *look) again(what string) triggers.Verdict {
	if l.PastDeadline() {
		return fire(&Outcome{
			Status: StatusError, ExecutionARN: l.args.ExecutionARN, ExecutionStatus: what,
			Message: fmt.Sprintf("Waiter error: max attempts reached: execution %s did not end within %s (it is %s); "+
				"it goes on, and a retry of this task waits for it again; raise waiter_max_attempts or waiter_delay to wait longer",
				l.args.ExecutionARN, l.args.Deadline.Sub(l.Wait.Since).Round(time.Second), what),
			URL: LinkToExecution(l.info, l.args.ExecutionARN).URL,
		}, what)
	}
	next := Interval(l.Waited(), l.args.Delay, l.info)
	if l.args.Pace != nil {
		next = l.args.Pace.Next(l.Now)
	}
	return triggers.Verdict{Again: l.Bounded(l.Now.Add(next))}
}

// failed judges an error of DescribeExecution.
func (l *look) failed(err error) triggers.Verdict {
	var missing *types.ExecutionDoesNotExist
	if errors.As(err, &missing) {
		if l.Waited() < Settle {
			return triggers.Verdict{Again: l.Now.Add(time.Second)}
		}
		return triggers.Verdict{Err: fmt.Errorf("waiting for execution %s: %w", l.args.ExecutionARN, err)}
	}
	return l.Trouble(awsconn.TroubleOf(err), fmt.Errorf("waiting for execution %s: %w", l.args.ExecutionARN, err), l.again)
}

func (l *look) noClient(err error) triggers.Verdict {
	return l.Trouble(awswait.NoClient(err), err, l.again)
}
