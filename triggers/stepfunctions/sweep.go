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
	"gust/triggers/awswait"
)

// sweep is the listing of a group's executions. It may take several rounds.
type sweep struct {
	choice choice
	begun  time.Time
	// rest are the listings still to be made, the first of them perhaps begun.
	rest  []filter
	token *string
	draft profile // of the listing under way
	pages int
	// auditPages of them listed running executions beside the ended ones.
	auditPages int
	// cut: the sweep ended early, and what it has not found is described.
	cut bool
	// covered is the start down to which a listing shows every execution that is waited for, whether it runs or has ended.
	covered time.Time
	// joined are the executions that were due when the sweep began, with what it has found of them.
	joined map[string]*row
	waits  int // due at the beginning
	audits bool
}

// filter is one listing: the executions with a status, or all of them, down to a start date.
type filter struct {
	status types.ExecutionStatus
	cutoff time.Time
}

// row is what a listing says of an execution.
type row struct {
	status      types.ExecutionStatus
	redrives    int32
	start, stop time.Time
}

func (e *row) runs() bool {
	return e.status == types.ExecutionStatusRunning || e.status == types.ExecutionStatusPendingRedrive
}

const (
	// sweepKept is how long a sweep is continued; then what it found is too old.
	sweepKept = 10 * time.Minute
	// auditEvery is how often sweeps of ended executions also list those that run.
	auditEvery = 10 * time.Minute
)

// filters are the listings of a plan.
func (r *round) filters(p plan, cutoff time.Time, looks []*look) []filter {
	switch p {
	case listAll:
		return []filter{{"", cutoff}}
	case listRunning:
		return []filter{{types.ExecutionStatusRunning, cutoff}}
	}
	var filters []filter
	if from := r.auditFrom(cutoff, looks); !from.IsZero() {
		// First, so that what ends in the meantime is in one of the others.
		filters = append(filters, filter{types.ExecutionStatusRunning, from})
	}
	return append(filters, endedFilters(cutoff)...)
}

func endedFilters(cutoff time.Time) []filter {
	filters := make([]filter, len(Ends))
	for i, status := range Ends {
		filters[i] = filter{status, cutoff}
	}
	return filters
}

// auditFrom is the start date down to which running executions are listed beside the ended ones, zero for none: all when
// that was not done for long, or those of waits that no listing has shown yet.
func (r *round) auditFrom(cutoff time.Time, looks []*look) time.Time {
	var from time.Time
	for _, l := range looks {
		if !l.placed && !l.start.IsZero() && !l.start.Before(cutoff) && (from.IsZero() || l.start.Before(from)) {
			from = l.start
		}
	}
	if r.now.Sub(r.group.audited) >= auditEvery {
		return cutoff
	}
	return from
}

// newSweep begins a sweep for the looks.
func (r *round) newSweep(looks []*look) *sweep {
	s := &sweep{
		choice: r.chosen, begun: r.now, rest: r.filters(r.chosen.plan, r.chosen.cutoff, looks),
		joined: make(map[string]*row, len(looks)), waits: len(looks),
	}
	if first := s.rest[0]; first.status == "" || first.status == types.ExecutionStatusRunning {
		s.covered, s.audits = first.cutoff, true
	}
	for _, l := range looks {
		if !l.start.Before(r.chosen.cutoff) {
			s.joined[l.args.ExecutionARN] = nil
		}
	}
	return s
}

// sweep goes on with the group's sweep. It reports whether the looks have been dealt with.
func (r *round) sweep(pending []*look) bool {
	s := r.group.sweep
	due := make(map[string][]*look, len(pending))
	for _, l := range pending {
		due[l.args.ExecutionARN] = append(due[l.args.ExecutionARN], l)
	}
	for len(s.rest) > 0 {
		left := max(s.choice.pages-s.pages, len(s.rest))
		granted, back := r.line(listing).ask(r.now, r.group.key, left, r.room(listing))
		if granted == 0 {
			r.pause(due, back)
			return true
		}
		for ; granted > 0 && len(s.rest) > 0; granted-- {
			if r.ctx.Err() != nil {
				return true
			}
			if err := r.page(s, due); err != nil {
				return r.listingFailed(err, due)
			}
			if r.tooLong(s) {
				s.cut = true
				r.drop()
				r.finish(s, due)
				return true
			}
		}
	}
	if r.goesOn(s, due) {
		return r.sweep(pending)
	}
	r.finish(s, due)
	return true
}

// goesOn has a sweep of running executions, after which many are to be described, list those that have ended instead, if
// that is cheaper.
func (r *round) goesOn(s *sweep, due map[string][]*look) bool {
	if s.choice.plan != listRunning {
		return false
	}
	absent := 0
	for arn := range due {
		if found, joined := s.joined[arn]; joined && found == nil {
			absent++
		}
	}
	ended := endedFilters(s.choice.cutoff)
	pages := 0
	for _, f := range ended {
		pages += r.group.profile(f.status).pages(f.cutoff, r.now, 1)
	}
	list, describe := r.price(listing), r.price(describing)
	if float64(pages)*list.each+list.wait >= float64(absent)*describe.each+describe.wait {
		return false
	}
	s.choice.plan, s.choice.pages = listEnded, s.pages+pages
	s.rest = ended
	return true
}

// page reads one page.
func (r *round) page(s *sweep, due map[string][]*look) error {
	f := s.rest[0]
	ctx, cancel := context.WithTimeout(quota.AtOnce(r.ctx), callTimeout)
	defer cancel()
	out, err := r.api.ListExecutions(ctx, &sfn.ListExecutionsInput{
		StateMachineArn: aws.String(r.machine.ARN()), StatusFilter: f.status, MaxResults: pageSize, NextToken: s.token,
	}, once)
	if err != nil {
		return err
	}
	r.group.faults = 0
	s.pages++
	r.listed++
	if f.status == types.ExecutionStatusRunning && s.choice.plan == listEnded {
		s.auditPages++
	}
	var last time.Time
	for i := range out.Executions {
		e := &out.Executions[i]
		last = aws.ToTime(e.StartDate)
		arn := aws.ToString(e.ExecutionArn)
		_, joined := s.joined[arn]
		if _, isDue := due[arn]; joined || isDue {
			s.joined[arn] = &row{e.Status, aws.ToInt32(e.RedriveCount), last, aws.ToTime(e.StopDate)}
		}
	}
	more := aws.ToString(out.NextToken) != "" && aws.ToString(out.NextToken) != aws.ToString(s.token)
	if more && !last.IsZero() {
		s.draft.page(last)
	}
	s.token = out.NextToken
	if !more || !last.IsZero() && last.Before(f.cutoff.Add(-time.Second)) {
		r.listingEnds(s, !more)
	}
	return nil
}

// once keeps the SDK from repeating a call: the next look does that, and knows better when.
func once(o *sfn.Options) { o.Retryer = aws.NopRetryer{} }

// listingEnds keeps the profile of the listing under way and goes on to the next.
func (r *round) listingEnds(s *sweep, complete bool) {
	s.draft.at, s.draft.complete = r.now, complete
	draft := s.draft
	r.group.setProfile(s.rest[0].status, &draft)
	s.rest, s.token, s.draft = s.rest[1:], nil, profile{}
}

// tooLong reports whether what is left of a sweep costs more than describing what it has not found yet: others start many
// executions of this state machine.
func (r *round) tooLong(s *sweep) bool {
	if len(s.draft.bounds) < 2 {
		return false
	}
	s.draft.at = r.now
	pages := s.draft.pages(s.rest[0].cutoff, r.now, 1) - len(s.draft.bounds)
	missing := 0
	for _, found := range s.joined {
		if found == nil {
			missing++
		}
	}
	list, describe := r.price(listing), r.price(describing)
	return float64(pages)*list.each > float64(missing)*describe.each+describe.wait
}

// drop gives the sweep up; what it has learned of the lengths of listings stays.
func (r *round) drop() {
	if s := r.group.sweep; len(s.rest) > 0 && len(s.draft.bounds) > 0 {
		r.listingEnds(s, false)
	}
	r.group.sweep = nil
	r.line(listing).leave(r.group.key)
}

// settle judges what the sweep has found; of executions that run only at its end, because a later page may say more.
func (r *round) settle(s *sweep, due map[string][]*look, atEnd bool) {
	var unclear []*look
	for arn, looks := range due {
		found := s.joined[arn]
		if found == nil || found.runs() && !atEnd {
			continue
		}
		for _, l := range looks {
			if !l.done && l.listed(found) {
				unclear = append(unclear, l)
			}
		}
	}
	for _, l := range r.each(unclear) {
		r.group.tell(l.args.ExecutionARN) // it comes first then
	}
}

// pause waits for the quota to allow the next page.
func (r *round) pause(due map[string][]*look, back time.Time) {
	r.settle(r.group.sweep, due, false)
	for _, looks := range due {
		for _, l := range looks {
			if !l.done {
				l.putOff(back)
			}
		}
	}
}

// finish judges all looks at the end of a sweep. Not to be found is no proof of anything: what should have been found is
// described.
func (r *round) finish(s *sweep, due map[string][]*look) {
	g := r.group
	g.sweep = nil
	g.period = r.period(r.looks, s)
	g.tick = maxTime(s.begun.Add(g.period), r.now.Add(leastSweep))
	if s.audits && !s.cut {
		g.audited = s.begun
	}
	r.settle(s, due, true)
	var absent, late []*look
	for arn, looks := range due {
		_, joined := s.joined[arn]
		for _, l := range looks {
			switch {
			case l.done:
			case l.start.Before(s.choice.cutoff), s.cut && joined:
				absent = append(absent, l)
			case !joined:
				late = append(late, l)
			case s.shows(l) && l.settled(s.begun):
				absent = append(absent, l)
			default:
				l.unseen = s.shows(l)
				v := l.again(string(types.ExecutionStatusRunning))
				v.State = l.Clear()
				l.say(v)
			}
		}
	}
	r.each(absent)
	r.between(late)
	follow(&g.ending, r.ends, s.waits)
	follow(&g.described, r.describedEnds, r.ends)
}

// shows reports whether the sweep would have shown an execution, whether it runs or has ended.
func (s *sweep) shows(l *look) bool {
	return !s.covered.IsZero() && !l.start.Before(s.covered)
}

// listingFailed judges an error of ListExecutions, as sweep does.
func (r *round) listingFailed(err error, due map[string][]*look) bool {
	g := r.group
	var busy *quota.BusyError
	var token *types.InvalidToken
	switch {
	case errors.As(err, &busy):
		r.pause(due, r.now.Add(max(busy.After, 100*time.Millisecond)))
		return true
	case r.ctx.Err() != nil:
		return true
	case errors.As(err, &token):
		r.settle(g.sweep, due, false)
		r.drop()
		return false
	case awsconn.TroubleOf(err) == awsconn.Final || g.faults >= maxFaults:
		r.settle(g.sweep, due, false)
		r.refuse(err)
		return false
	}
	g.faults++
	pause := time.Second << min(g.faults-1, 5)
	r.pause(due, r.now.Add(pause+time.Duration(awswait.Spread(g.key)*float64(pause)/2)))
	return true
}

// maxFaults is how many errors of listing in a row are borne before executions are described instead.
const maxFaults = 5

// refuse remembers that executions cannot be listed. Describing them tells what is wrong, if anything is.
func (r *round) refuse(err error) {
	g := r.group
	pause := 15 * time.Minute
	if awsconn.TroubleOf(err) != awsconn.Final {
		pause = time.Minute
	}
	g.refused = refusal{r.now.Add(pause), fmt.Sprintf("listing is not possible until %s: %s", r.now.Add(pause).UTC().Format(time.RFC3339), err)}
	g.faults = 0
	r.drop()
	g.tick = time.Time{}
	r.checker.deps.Log.WarnContext(r.ctx, "the executions of a state machine cannot be listed; they are described one by one, which costs more of the quota",
		"state_machine", r.machine.ARN(), "until", r.now.Add(pause), "error", err)
}
