package stepfunctions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/triggers"
	"gust/triggers/stepfunctions"
)

// account is an imitation of Step Functions in one account and region, in virtual time: executions end when they are
// meant to, listings and descriptions lag behind, calls take a while and are refused at random.
type account struct {
	stepfunctions.API // what is not imitated is not called
	quotas            *quota.Quotas
	latency           time.Duration
	lag               time.Duration
	throttle, fault   float64 // probabilities
	noList            error   // what every listing ends with
	page              int     // the most executions on a page; 0 is what is asked for

	mu       sync.Mutex
	random   *rand.Rand
	machines map[string]*[]*execution // by ARN, in the order of their starts
	byARN    map[string]*execution
	calls    map[string]int
}

// execution is one execution: what it will have been.
type execution struct {
	arn      string
	start    time.Time
	spans    []span // of its runs; all but the last were redriven
	noticed  time.Time
	verdicts []string
}

// span is a run, from the start or a redrive to its end.
type span struct {
	from, to time.Time
	status   types.ExecutionStatus
}

const accountARN = "arn:aws:states:us-east-1:123456789012:"

func newAccount(seed uint64, q *quota.Quotas) *account {
	return &account{
		quotas: q, random: rand.New(rand.NewPCG(seed, 1)), machines: map[string]*[]*execution{}, byARN: map[string]*execution{},
		calls: map[string]int{},
	}
}

func (a *account) Quotas() *quota.Quotas { return a.quotas }

func (a *account) SFN(context.Context, connections.Resolver, awsconn.Params) (stepfunctions.API, awsconn.Info, error) {
	return a, awsconn.Info{Region: "us-east-1", Domain: "aws.amazon.com"}, nil
}

func (a *account) Connection(_ context.Context, id string) (*connections.Connection, error) {
	return nil, &connections.NotFoundError{ID: id}
}

// add starts an execution.
func (a *account) add(machine, name string, start time.Time, spans ...span) *execution {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &execution{arn: accountARN + "execution:" + machine + ":" + name, start: start, spans: spans}
	a.byARN[e.arn] = e
	list := a.machines[machine]
	if list == nil {
		list = &[]*execution{}
		a.machines[machine] = list
	}
	at := sort.Search(len(*list), func(i int) bool { return (*list)[i].start.After(start) })
	*list = slices.Insert(*list, at, e)
	return e
}

// at is what the execution was at some time; nil before its start.
func (e *execution) at(t time.Time) *types.ExecutionListItem {
	if t.Before(e.start) {
		return nil
	}
	item := &types.ExecutionListItem{ExecutionArn: &e.arn, StartDate: &e.start, Status: types.ExecutionStatusRunning}
	for i := range e.spans {
		s := &e.spans[i]
		if t.Before(s.from) {
			break
		}
		item.RedriveCount = aws.Int32(int32(i))
		item.Status, item.StopDate = types.ExecutionStatusRunning, nil
		if !t.Before(s.to) {
			item.Status, item.StopDate = s.status, &s.to
		}
	}
	return item
}

// call is what every call goes through. It returns the time whose state the answer shows.
func (a *account) call(ctx context.Context, operation string, lags bool) (time.Time, error) {
	var seen time.Time
	err := a.quotas.Do(ctx, quota.Scope{Region: "us-east-1", Account: "123456789012"}, operation, func() error {
		if err := triggers.Pause(ctx, a.latency); err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls[operation]++
		seen = time.Now()
		if lags && a.lag > 0 {
			seen = seen.Add(-time.Duration(a.random.Int64N(int64(a.lag))))
		}
		switch p := a.random.Float64(); {
		case p < a.throttle:
			return &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}
		case p < a.throttle+a.fault:
			return &smithy.GenericAPIError{Code: "InternalServerError", Fault: smithy.FaultServer}
		}
		return nil
	})
	return seen, err
}

func (a *account) DescribeExecution(
	ctx context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options),
) (*sfn.DescribeExecutionOutput, error) {
	seen, err := a.call(ctx, "DescribeExecution", true)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byARN[*in.ExecutionArn]
	if e == nil || e.at(seen) == nil {
		return nil, &types.ExecutionDoesNotExist{Message: in.ExecutionArn}
	}
	item := e.at(seen)
	out := &sfn.DescribeExecutionOutput{
		ExecutionArn: &e.arn, Status: item.Status, StartDate: &e.start, StopDate: item.StopDate, RedriveCount: item.RedriveCount,
	}
	if item.Status == types.ExecutionStatusSucceeded {
		out.Output = aws.String(`{"of":"` + e.arn + `"}`)
	}
	return out, nil
}

func (a *account) GetExecutionHistory(
	ctx context.Context, _ *sfn.GetExecutionHistoryInput, _ ...func(*sfn.Options),
) (*sfn.GetExecutionHistoryOutput, error) {
	_, err := a.call(ctx, "GetExecutionHistory", false)
	return &sfn.GetExecutionHistoryOutput{}, err
}

// ListExecutions lists newest first. A token is the place in the order of starts below which the next page begins.
func (a *account) ListExecutions(
	ctx context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options),
) (*sfn.ListExecutionsOutput, error) {
	seen, err := a.call(ctx, "ListExecutions", true)
	if err == nil {
		err = a.noList
	}
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	machine := a.machines[(*in.StateMachineArn)[len(accountARN+"stateMachine:"):]]
	if machine == nil {
		return nil, &types.StateMachineDoesNotExist{}
	}
	list := *machine
	i := len(list) - 1
	if in.NextToken != nil {
		i, _ = strconv.Atoi(*in.NextToken)
	}
	out := &sfn.ListExecutionsOutput{}
	for ; i >= 0; i-- {
		item := list[i].at(seen)
		if item == nil || in.StatusFilter != "" && item.Status != in.StatusFilter {
			continue
		}
		if n := len(out.Executions); n == int(in.MaxResults) || a.page > 0 && n == a.page {
			out.NextToken = aws.String(strconv.Itoa(i))
			break
		}
		out.Executions = append(out.Executions, *item)
	}
	return out, nil
}

// loop is a trigger loop in small: it checks the waits of each group when they are due.
type loop struct {
	checker triggers.Checker
	account *account

	mu     sync.Mutex
	groups map[string]*waiting
	open   int
	ended  chan struct{}
	checks sync.WaitGroup
}

// waiting are the waits of one group.
type waiting struct {
	parked []*parked
	wake   chan struct{}
}

type parked struct {
	triggers.Wait
	e   *execution
	due time.Time
}

func newLoop(t *testing.T, a *account, deps stepfunctions.Deps, expected int) *loop {
	t.Helper()
	deps.Clients, deps.Connections = a, a
	r := triggers.NewRegistry()
	if err := stepfunctions.Register(r, deps); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(stepfunctions.Kind)
	if err != nil {
		t.Fatal(err)
	}
	return &loop{checker: c, account: a, groups: map[string]*waiting{}, open: expected, ended: make(chan struct{})}
}

// park begins a wait.
func (l *loop) park(t *testing.T, e *execution, args stepfunctions.Args) {
	t.Helper()
	args.ExecutionARN = e.arn
	tr, err := args.Trigger()
	if err != nil {
		t.Fatal(err)
	}
	key, err := l.checker.Key(tr.Args)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.groups[key]
	if g == nil {
		g = &waiting{wake: make(chan struct{}, 1)}
		l.groups[key] = g
		l.checks.Go(func() { l.run(t, g) })
	}
	g.parked = append(g.parked, &parked{triggers.Wait{ID: e.arn, Args: tr.Args, Since: time.Now()}, e, time.Now()})
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// gather is how early waits are looked at together with one that is due.
const gather = 500 * time.Millisecond

// run checks one group until all waits have ended.
func (l *loop) run(t *testing.T, g *waiting) {
	for {
		l.mu.Lock()
		now, next := time.Now(), time.Now().Add(time.Hour)
		var due []*parked
		for _, p := range g.parked {
			if p.due.Before(next) {
				next = p.due
			}
			if !p.due.After(now.Add(gather)) {
				due = append(due, p)
			}
		}
		l.mu.Unlock()
		if next.After(now) {
			select {
			case <-l.ended:
				return
			case <-time.After(next.Sub(now)):
			case <-g.wake:
				time.Sleep(gather) // others come too
			}
			continue
		}
		waits := make([]triggers.Wait, len(due))
		for i, p := range due {
			waits[i] = p.Wait
		}
		l.take(t, g, due, l.checker.Check(t.Context(), now, waits))
	}
}

// take takes in the verdicts of a check.
func (l *loop) take(t *testing.T, g *waiting, due []*parked, verdicts []triggers.Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone := map[*parked]bool{}
	for i, v := range verdicts {
		p := due[i]
		if p.Checks++; v.State != nil {
			p.State = v.State
		}
		switch {
		case v.Event != nil:
			var o stepfunctions.Outcome
			if err := json.Unmarshal(v.Event.Payload, &o); err != nil {
				t.Error(err)
			}
			p.e.noticed = time.Now()
			p.e.verdicts = append(p.e.verdicts, o.ExecutionStatus)
			gone[p] = true
		case v.Err != nil:
			p.e.verdicts = append(p.e.verdicts, v.Err.Error())
			gone[p] = true
		case !v.Again.IsZero():
			p.due = maxOf(v.Again, time.Now().Add(10*time.Millisecond))
			if time.Until(p.due) > time.Hour {
				t.Errorf("%s is looked at again only after %s", p.ID, time.Until(p.due))
			}
		default:
			t.Errorf("no verdict for %s", p.ID)
		}
	}
	g.parked = slices.DeleteFunc(g.parked, func(p *parked) bool { return gone[p] })
	if l.open -= len(gone); l.open == 0 {
		close(l.ended)
	}
}

// await waits until every wait has ended.
func (l *loop) await(t *testing.T, most time.Duration) {
	t.Helper()
	defer l.checks.Wait()
	select {
	case <-l.ended:
	case <-time.After(most):
		l.mu.Lock()
		var some []string
		for key, g := range l.groups {
			for _, p := range g.parked {
				if len(some) < 5 {
					some = append(some, fmt.Sprintf("%s of %s", p.e.arn, strings.Join(l.checker.(triggers.Explainer).Explain(key), "\n  ")))
				}
			}
		}
		t.Errorf("%d waits did not end within %s:\n%s", l.open, most, strings.Join(some, "\n"))
		close(l.ended)
		l.mu.Unlock()
	}
}
