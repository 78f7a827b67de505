package stepfunctions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/triggers"
	"gust/triggers/awswait"
)

// callTimeout bounds one call.
const callTimeout = 30 * time.Second

// look is one look at one execution.
type look struct {
	awswait.Span
	*round
	args  *Args
	index int
	done  bool // there is a verdict

	// start is when the execution was started, or assumed to have been at the earliest; zero where nobody knows.
	start time.Time
	// placed: a listing down to start would have shown the execution.
	placed bool
	// alone: no listing shows it, so it keeps its own times.
	alone bool
	// unseen: a listing should have shown it, if it were not so new. The next one must.
	unseen bool
}

// startSlack is how long before the beginning of its wait an execution is assumed to have started.
const startSlack = 2 * time.Minute

// place finds out where in a listing the execution would be.
func (l *look) place() {
	start, known := l.group.starts[l.args.ExecutionARN]
	switch {
	case known:
		l.start, l.placed = start, true
	case !l.args.Started.IsZero():
		l.start, l.placed = l.args.Started, true
	case l.args.Redrives > 0: // it started long ago
	default:
		l.start, l.placed = l.Wait.Since.Add(-startSlack), l.settled(l.group.audited)
	}
	l.alone = l.start.IsZero()
}

// settled reports whether a listing of this time should know the execution.
func (l *look) settled(at time.Time) bool { return l.Wait.Since.Add(Settle).Before(at) }

// began is about when the execution was started.
func (l *look) began() time.Time {
	if l.start.IsZero() || l.start.Equal(l.Wait.Since.Add(-startSlack)) {
		return l.Wait.Since
	}
	return l.start
}

// say is the verdict.
func (l *look) say(v triggers.Verdict) {
	l.verdicts[l.index] = v
	l.done = true
}

// describe asks for the execution; busy reports that the quota did not allow it.
func (l *look) describe(ctx context.Context) (busy bool) {
	call, cancel := context.WithTimeout(quota.AtOnce(ctx), callTimeout)
	defer cancel()
	d, err := Describe(call, l.api, l.args.ExecutionARN, once)
	var noToken *quota.BusyError
	switch {
	case errors.As(err, &noToken):
		return true
	case ctx.Err() != nil:
		l.say(triggers.Verdict{Again: l.Now})
	case err != nil:
		l.say(l.failed(err))
	default:
		l.say(l.described(call, d))
	}
	return false
}

func (l *look) described(ctx context.Context, d *sfn.DescribeExecutionOutput) triggers.Verdict {
	if l.believes(redrives(d)) {
		if o := Ended(ctx, l.api, l.info, d, l.args.WithOutput); o != nil {
			l.found(d.StartDate, d.StopDate, redrives(d), true)
			return fire(o)
		}
	}
	if d.StartDate != nil && d.StartDate.Before(l.Wait.Since.Add(-startSlack)) {
		l.remember(*d.StartDate)
	}
	v := l.again(string(d.Status))
	if v.Event == nil && (l.Wait.Checks == 0 || d.Status != types.ExecutionStatusRunning) {
		v.Log = statusLine(string(d.Status))
	}
	v.State = l.Clear()
	return v
}

// remember notes a start that is not when the wait began. Descriptions are made at the same time.
func (l *look) remember(start time.Time) {
	l.learning.Lock()
	defer l.learning.Unlock()
	l.group.remember(l.args.ExecutionARN, start)
}

// found learns from an end.
func (l *look) found(started, stopped *time.Time, redrives int32, described bool) {
	l.learning.Lock()
	defer l.learning.Unlock()
	took := time.Duration(0)
	if started != nil && stopped != nil && redrives == 0 {
		took = stopped.Sub(*started)
	}
	l.ends++
	if described {
		l.describedEnds++
	}
	l.group.ended(l.args.ExecutionARN, took)
}

func redrives(d *sfn.DescribeExecutionOutput) int32 { return aws.ToInt32(d.RedriveCount) }

// believes reports whether an end after so many redrives is the one that is waited for.
func (l *look) believes(redrives int32) bool {
	return redrives >= l.args.Redrives || l.Waited() > Settle
}

// listed judges what a listing says of the execution. It reports whether it must be described to know more.
func (l *look) listed(e *row) (describe bool) {
	switch e.status {
	case types.ExecutionStatusSucceeded:
		if l.args.WithOutput || !l.believes(e.redrives) {
			return true
		}
		l.found(&e.start, &e.stop, e.redrives, false)
		l.say(fire(&Outcome{
			Status: StatusSuccess, ExecutionARN: l.args.ExecutionARN, ExecutionStatus: string(e.status),
			URL: LinkToExecution(l.info, l.args.ExecutionARN).URL, stopped: e.stop,
		}))
	case types.ExecutionStatusFailed, types.ExecutionStatusTimedOut, types.ExecutionStatusAborted:
		return true
	default:
		v := l.again(string(e.status))
		v.State = l.Clear()
		if v.Event == nil && l.Wait.Checks == 0 {
			v.Log = statusLine(string(e.status))
		}
		l.say(v)
	}
	return false
}

func fire(o *Outcome) triggers.Verdict {
	event, err := triggers.NewEvent(o)
	if err != nil {
		return triggers.Verdict{Err: err}
	}
	event.At = o.stopped
	return triggers.Verdict{Event: event, Log: statusLine(o.ExecutionStatus)}
}

func statusLine(status string) string { return "Status of step function execution is: " + status }

// again asks for the next look, or ends the wait at its deadline. what is the last thing known about the execution.
func (l *look) again(what string) triggers.Verdict {
	if l.PastDeadline() {
		return l.late(what)
	}
	return triggers.Verdict{Again: l.Bounded(l.next(l))}
}

func (l *look) late(what string) triggers.Verdict {
	return fire(&Outcome{
		Status: StatusError, ExecutionARN: l.args.ExecutionARN, ExecutionStatus: what,
		Message: fmt.Sprintf("Waiter error: max attempts reached: execution %s did not end within %s (it is %s); "+
			"it goes on, and a retry of this task waits for it again; raise waiter_max_attempts or waiter_delay to wait longer",
			l.args.ExecutionARN, l.args.Deadline.Sub(l.Wait.Since).Round(time.Second), what),
		URL: LinkToExecution(l.info, l.args.ExecutionARN).URL,
	})
}

// lastLook is how long after its deadline a wait is kept for a look that the quota does not allow.
const lastLook = 30 * time.Second

// putOff is the verdict of a look that the quota does not allow now.
func (l *look) putOff(at time.Time) {
	switch {
	case !l.PastDeadline():
		l.say(triggers.Verdict{Again: l.Bounded(at)})
	case l.Now.Sub(l.args.Deadline) < lastLook:
		l.say(triggers.Verdict{Again: l.Now.Add(2 * time.Second)})
	default:
		l.say(l.late(string(types.ExecutionStatusRunning)))
	}
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
	return l.Trouble(awswait.NoClient(err), err, l.late)
}
