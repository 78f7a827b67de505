package awsbatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/triggers"
	"gust/triggers/awswait"
)

// Kind is the trigger's kind.
const Kind = "awsbatch.job"

// Args describes the wait for one job.
type Args struct {
	JobID string `json:"job_id"`
	awsconn.Params
	// Delay is the longest time between two looks (poll_interval); the first ones come sooner.
	Delay time.Duration `json:"delay"`
	// Deadline ends the wait.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// Settle is how long after the wait began Batch may not know the job yet.
const Settle = 30 * time.Second

// maxJobs is how many jobs one DescribeJobs takes.
const maxJobs = 100

// interval is the time to the next look at a job that is waited for since some time: a quarter of that time, at least two
// seconds, at most the delay. An endpoint that is not AWS has no quota and is looked at more often.
func interval(waited, delay time.Duration, info awsconn.Info) time.Duration {
	least := 2 * time.Second
	if info.Elsewhere() {
		least = 200 * time.Millisecond
	}
	return min(max(waited/4, least), delay)
}

// Deps is what the trigger needs from the process.
type Deps struct {
	Clients     Clients
	Connections connections.Resolver
}

// Register adds the trigger to the registry.
func Register(r *triggers.Registry, deps Deps) error {
	if deps.Clients == nil || deps.Connections == nil {
		return errors.New("triggers/awsbatch: Deps needs Clients and Connections")
	}
	return r.Register(&checker{deps})
}

type checker struct{ deps Deps }

func (c *checker) Kind() string { return Kind }

// Key groups the waits that use one client.
func (c *checker) Key(raw json.RawMessage) (string, error) {
	args, err := decode(raw)
	if err != nil {
		return "", err
	}
	return args.Params.Key(), nil
}

// Fire is the event of a job that has succeeded.
func (c *checker) Fire(raw json.RawMessage, _ time.Time) (*triggers.Event, error) {
	args, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return triggers.NewEvent(Outcome{Status: StatusSuccess, JobID: args.JobID, JobStatus: "SUCCEEDED"})
}

func decode(raw json.RawMessage) (*Args, error) {
	args, err := triggers.Decode[Args](Kind, raw)
	if err != nil {
		return nil, err
	}
	if args.JobID == "" {
		return nil, fmt.Errorf("arguments of a %s trigger: job_id is missing", Kind)
	}
	return args, nil
}

// callTimeout bounds one call.
const callTimeout = 30 * time.Second

// Check describes the jobs, a hundred with each call.
func (c *checker) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	verdicts := make([]triggers.Verdict, len(waits))
	var looks []*look
	for i := range waits {
		args, err := decode(waits[i].Args)
		if err != nil {
			verdicts[i].Err = err
			continue
		}
		span := awswait.Span{Wait: &waits[i], Now: now, Delay: args.Delay, Deadline: args.Deadline, Together: true}
		looks = append(looks, &look{Span: span, args: args, verdict: &verdicts[i]})
	}
	if len(looks) == 0 {
		return verdicts
	}
	api, info, err := c.deps.Clients.Batch(ctx, c.deps.Connections, looks[0].args.Params)
	if err != nil {
		for _, l := range looks {
			*l.verdict = l.Trouble(awswait.NoClient(err), err, l.again)
		}
		return verdicts
	}
	for chunk := range slices.Chunk(looks, maxJobs) {
		describe(ctx, api, info, chunk)
	}
	return verdicts
}

// describe looks at up to a hundred jobs. An error that is final may be one job's fault: the others are looked at apart.
func describe(ctx context.Context, api API, info awsconn.Info, looks []*look) {
	ids := make([]string, len(looks))
	for i, l := range looks {
		ids[i], l.info = l.args.JobID, info
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := api.DescribeJobs(call, &batch.DescribeJobsInput{Jobs: ids})
	switch {
	case ctx.Err() != nil:
		for _, l := range looks {
			*l.verdict = triggers.Verdict{Again: l.Now}
		}
		return
	case err != nil && len(looks) > 1 && awsconn.TroubleOf(err) == awsconn.Final:
		half := len(looks) / 2
		describe(ctx, api, info, looks[:half])
		describe(ctx, api, info, looks[half:])
		return
	case err != nil:
		for _, l := range looks {
			*l.verdict = l.Trouble(awsconn.TroubleOf(err), fmt.Errorf("waiting for AWS Batch job %s: %w", l.args.JobID, err), l.again)
		}
		return
	}
	jobs := make(map[string]*types.JobDetail, len(out.Jobs))
	for i := range out.Jobs {
		jobs[aws.ToString(out.Jobs[i].JobId)] = &out.Jobs[i]
	}
	for _, l := range looks {
		*l.verdict = l.judge(jobs[l.args.JobID])
	}
}

// look is one look at one job.
type look struct {
	awswait.Span
	args    *Args
	info    awsconn.Info
	verdict *triggers.Verdict
}

func (l *look) judge(d *types.JobDetail) triggers.Verdict {
	if d == nil {
		if l.Waited() < Settle {
			return triggers.Verdict{Again: l.Now.Add(2 * time.Second)}
		}
		return triggers.Verdict{Err: fmt.Errorf("AWS Batch does not know job %s (it forgets a job some days after its end)", l.args.JobID)}
	}
	status := string(d.Status)
	if o := Ended(l.info, d); o != nil {
		return l.fire(o, status)
	}
	v, past := l.again(status), l.Past()
	if status == past.Status && past.Errors == 0 {
		return v
	}
	raw, err := json.Marshal(awswait.State{Status: status})
	if err != nil {
		return triggers.Verdict{Err: err}
	}
	v.State = raw
	if v.Event == nil && status != past.Status {
		v.Log = fmt.Sprintf("AWS Batch job (%s) status is %s", l.args.JobID, status)
	}
	return v
}

func (l *look) fire(o *Outcome, status string) triggers.Verdict {
	event, err := triggers.NewEvent(o)
	if err != nil {
		return triggers.Verdict{Err: err}
	}
	return triggers.Verdict{Event: event, Log: fmt.Sprintf("AWS Batch job (%s) status is %s", l.args.JobID, status)}
}

// again asks for the next look, or ends the wait at its deadline. what is the last thing known about the job.
func (l *look) again(what string) triggers.Verdict {
	if l.PastDeadline() {
		return l.fire(&Outcome{
			Status: StatusError, JobID: l.args.JobID, JobStatus: what, URL: LinkToJob(l.info, l.args.JobID).URL,
			Message: fmt.Sprintf("AWS Batch job (%s) did not end within %s (it is %s); it goes on, and a retry of this task "+
				"waits for it again; raise max_retries or poll_interval to wait longer",
				l.args.JobID, l.args.Deadline.Sub(l.Wait.Since).Round(time.Second), what),
		}, what)
	}
	return triggers.Verdict{Again: l.Bounded(l.Now.Add(interval(l.Waited(), l.args.Delay, l.info)))}
}
