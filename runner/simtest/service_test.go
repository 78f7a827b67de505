package simtest

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/dag"
	"gust/triggers"
	sfntrigger "gust/triggers/stepfunctions"
)

// service is a model of Step Functions: executions that begin, last and end, and a service that tells of them late.
type service struct {
	h          *history
	executions []*execution
	calls      uint64
}

// execution is one of them.
type execution struct {
	arn, name, input string
	by               dag.Attempt // that started it; zero for one of others
	started          time.Time
	ends             time.Time // zero: not by itself
	end              types.ExecutionStatus
	lag              time.Duration // how late DescribeExecution knows
	stopped          time.Time
	stopCode         string
	redriven         time.Time
	redrives         int32
	before           *execution // as it was before its redrive
	token            string     // of the redrive: with it the call may be repeated
	// letGo: its task has waited for it as long as it was to, and said so.
	letGo bool
}

// roll is a number that follows from the history and a name.
func (s *service) roll(name string, n int) int {
	f := fnv.New64a()
	_, _ = fmt.Fprintf(f, "%d %s", s.h.seed, name)
	return int((f.Sum64() ^ f.Sum64()>>29) % uint64(n))
}

func (s *service) find(arn string) *execution {
	for _, e := range s.executions {
		if e.arn == arn {
			return e
		}
	}
	return nil
}

// lengths are how long executions last; 0 is until they are stopped.
var lengths = []time.Duration{0, 300 * time.Millisecond, 300 * time.Millisecond, time.Second, time.Second, 3 * time.Second,
	3 * time.Second, 20 * time.Second, 20 * time.Second, 2 * time.Minute}

// begin adds an execution, or lets one begin again.
func (s *service) begin(e *execution, now time.Time) {
	salt := fmt.Sprint(e.arn, e.redrives)
	e.ends, e.stopped, e.end = time.Time{}, time.Time{}, types.ExecutionStatusSucceeded
	if last := lengths[s.roll("lasts "+salt, len(lengths))]; last > 0 {
		e.ends = now.Add(last)
	}
	switch n := s.roll("ends "+salt, 10); {
	case n < 2:
		e.end = types.ExecutionStatusFailed
	case n == 2:
		e.end = types.ExecutionStatusTimedOut
	}
}

// add is an execution that begins now.
func (s *service) add(arn, name, input string, by dag.Attempt) *execution {
	e := &execution{arn: arn, name: name, input: input, by: by, started: s.h.real}
	if s.h.left.jumps == 0 && s.h.skew == 0 { // for how long a description may be late is judged by the clock
		e.lag = []time.Duration{0, 0, time.Second, 10 * time.Second}[s.roll("lag "+arn, 4)]
	}
	s.begin(e, e.started)
	s.executions = append(s.executions, e)
	return e
}

// status is what is true at a time.
func (e *execution) status(at time.Time) types.ExecutionStatus {
	switch {
	case !e.stopped.IsZero() && !at.Before(e.stopped):
		return types.ExecutionStatusAborted
	case !e.ends.IsZero() && !at.Before(e.ends):
		return e.end
	}
	return types.ExecutionStatusRunning
}

func (e *execution) running(at time.Time) bool { return e.status(at) == types.ExecutionStatusRunning }

// api is the service as somebody calls it: an operator in a thread, whose calls are steps of the history, or a check of
// the trigger loop, which is a step as a whole.
type api struct {
	sfntrigger.API // what is not modelled
	s              *service
	inThread       bool
}

// clients hands out the API of the history that is being played.
type clients struct {
	w        *player
	inThread bool
}

func (c clients) SFN(context.Context, connections.Resolver, awsconn.Params) (sfntrigger.API, awsconn.Info, error) {
	return &api{s: c.w.h.service, inThread: c.inThread},
		awsconn.Info{Region: "eu-west-1", Partition: "aws", Domain: "aws.amazon.com"}, nil
}

// Quotas are those of one history.
func (c clients) Quotas() *quota.Quotas { return c.w.h.quotas }

// call makes a call, with what may happen to it on the way.
func (a *api) call(ctx context.Context, what string, do func() error) error {
	if a.inThread {
		return a.s.h.current.call(ctx, what, func() error { return a.s.faulty(what, do) })
	}
	return a.s.faulty(what, do)
}

var errLost = &smithyhttp.RequestSendError{Err: io.ErrUnexpectedEOF}

// faulty makes a call of which the service may know nothing, or whose answer may be lost.
func (s *service) faulty(what string, do func() error) error {
	s.calls++
	switch n := s.roll(fmt.Sprint("call ", what, s.calls), 100); {
	case s.h.trouble == 0 || n >= 2*s.h.trouble:
		err := do()
		s.h.say("  %s: %v", what, err)
		return err
	case n < s.h.trouble:
		s.h.say("  %s: throttled", what)
		return &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}
	default:
		err := do()
		s.h.say("  %s: %v, but the answer is lost", what, err)
		return errLost
	}
}

// StartExecution starts a name once.
func (a *api) StartExecution(
	ctx context.Context, in *sfn.StartExecutionInput, _ ...func(*sfn.Options),
) (*sfn.StartExecutionOutput, error) {
	var out *sfn.StartExecutionOutput
	err := a.call(ctx, "StartExecution "+*in.Name, func() error {
		arn := strings.Replace(machineARN, "stateMachine", "execution", 1) + ":" + *in.Name
		e := a.s.find(arn)
		switch {
		case e == nil:
			e = a.s.add(arn, *in.Name, aws.ToString(in.Input), a.s.h.current.attempt)
			a.s.h.check.starts(e)
		case !e.running(a.s.h.real) || e.input != aws.ToString(in.Input):
			return &types.ExecutionAlreadyExists{Message: aws.String("Execution Already Exists: '" + arn + "'")}
		}
		out = &sfn.StartExecutionOutput{ExecutionArn: &e.arn, StartDate: &e.started}
		return nil
	})
	return out, err
}

// DescribeExecution tells what was true a while ago.
func (a *api) DescribeExecution(
	ctx context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options),
) (*sfn.DescribeExecutionOutput, error) {
	var out *sfn.DescribeExecutionOutput
	err := a.call(ctx, "DescribeExecution "+*in.ExecutionArn, func() error {
		e := a.s.find(*in.ExecutionArn)
		if e == nil || e.started.Add(e.lag).After(a.s.h.real) {
			return &types.ExecutionDoesNotExist{Message: aws.String("Execution Does Not Exist: '" + *in.ExecutionArn + "'")}
		}
		at := a.s.h.real.Add(-e.lag)
		if e.before != nil && at.Before(e.redriven) {
			e = e.before
		}
		out = &sfn.DescribeExecutionOutput{ExecutionArn: &e.arn, StateMachineArn: aws.String(machineARN), Name: &e.name,
			Input: aws.String(e.input), StartDate: &e.started, Status: e.status(at), RedriveCount: aws.Int32(e.redrives)}
		if !e.redriven.IsZero() {
			out.RedriveDate = &e.redriven
		}
		switch out.Status {
		case types.ExecutionStatusSucceeded:
			out.Output = aws.String(`{"n": 1}`)
		case types.ExecutionStatusAborted:
			out.Error = aws.String(e.stopCode)
		}
		return nil
	})
	return out, err
}

// ListExecutions lists what was there a while ago, newest first, on one page.
func (a *api) ListExecutions(
	ctx context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options),
) (*sfn.ListExecutionsOutput, error) {
	out := &sfn.ListExecutionsOutput{}
	err := a.call(ctx, "ListExecutions "+string(in.StatusFilter), func() error {
		for _, e := range slices.Backward(a.s.executions) {
			if e.started.Add(e.lag).After(a.s.h.real) {
				continue
			}
			at := a.s.h.real.Add(-e.lag)
			if e.before != nil && at.Before(e.redriven) {
				e = e.before
			}
			if st := e.status(at); in.StatusFilter == "" || st == in.StatusFilter {
				out.Executions = append(out.Executions, types.ExecutionListItem{ExecutionArn: &e.arn, Name: &e.name,
					StateMachineArn: aws.String(machineARN), StartDate: &e.started, Status: st, RedriveCount: aws.Int32(e.redrives)})
			}
		}
		return nil
	})
	return out, err
}

// StopExecution ends an execution, and does nothing to one that has ended.
func (a *api) StopExecution(
	ctx context.Context, in *sfn.StopExecutionInput, _ ...func(*sfn.Options),
) (*sfn.StopExecutionOutput, error) {
	err := a.call(ctx, "StopExecution "+*in.ExecutionArn, func() error {
		e := a.s.find(*in.ExecutionArn)
		switch {
		case e == nil:
			return &types.ExecutionDoesNotExist{}
		case e.running(a.s.h.real):
			e.stopped, e.stopCode = a.s.h.real, aws.ToString(in.Error)
		}
		return nil
	})
	return &sfn.StopExecutionOutput{}, err
}

// RedriveExecution lets a failed execution begin again.
func (a *api) RedriveExecution(
	ctx context.Context, in *sfn.RedriveExecutionInput, _ ...func(*sfn.Options),
) (*sfn.RedriveExecutionOutput, error) {
	err := a.call(ctx, "RedriveExecution "+*in.ExecutionArn, func() error {
		e := a.s.find(*in.ExecutionArn)
		now := a.s.h.real
		switch {
		case e == nil:
			return &types.ExecutionDoesNotExist{}
		case e.token == aws.ToString(in.ClientToken):
			return nil
		case e.running(now), e.status(now) == types.ExecutionStatusSucceeded:
			return &types.ExecutionNotRedrivable{Message: aws.String("Execution is " + string(e.status(now)) + " and cannot be redriven")}
		}
		old := *e
		e.before, e.by, e.redriven, e.token = &old, a.s.h.current.attempt, now, aws.ToString(in.ClientToken)
		e.redrives++
		a.s.begin(e, now)
		return nil
	})
	return &sfn.RedriveExecutionOutput{}, err
}

// news is what an event tells about an execution: late, again, or of no interest any more.
func (s *service) news() (triggers.News, bool) {
	e := s.executions[s.h.random.IntN(len(s.executions))]
	st := e.status(s.h.real)
	if st == types.ExecutionStatusRunning && s.h.random.IntN(4) > 0 {
		return triggers.News{}, false
	}
	text, err := json.Marshal(map[string]any{"executionArn": e.arn, "status": st, "redriveCount": e.redrives,
		"startDate": e.started.UnixMilli()})
	if err != nil {
		panic(err)
	}
	return triggers.News{Kind: sfntrigger.Kind, Subject: e.arn, Text: text}, true
}

// GetExecutionHistory tells nothing.
func (a *api) GetExecutionHistory(
	context.Context, *sfn.GetExecutionHistoryInput, ...func(*sfn.Options),
) (*sfn.GetExecutionHistoryOutput, error) {
	return &sfn.GetExecutionHistoryOutput{}, nil
}
