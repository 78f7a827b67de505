package stepfunctions

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/triggers"
	"gust/triggers/awswait"
)

// Operations that looks are made of.
const (
	describing = "DescribeExecution"
	listing    = "ListExecutions"
)

// round is one Check: the waits of a group that are due, and what is done about them.
type round struct {
	ctx      context.Context
	checker  *checker
	group    *group
	now      time.Time
	looks    []*look
	verdicts []triggers.Verdict

	api     API
	info    awsconn.Info
	machine Machine
	scope   quota.Scope
	// paced is info as far as intervals depend on it: a limited endpoint is like AWS.
	paced awsconn.Info

	chosen choice

	learning sync.Mutex
	// Counts of what was done and found.
	described, listed, ends, describedEnds int
}

// round begins a Check; it has no looks when no wait can be read.
func (c *checker) round(ctx context.Context, now time.Time, waits []triggers.Wait) *round {
	r := &round{ctx: ctx, checker: c, now: now, verdicts: make([]triggers.Verdict, len(waits))}
	for i := range waits {
		args, err := decode(waits[i].Args)
		if err != nil {
			r.verdicts[i] = triggers.Verdict{Err: err}
			continue
		}
		r.looks = append(r.looks, &look{
			Span:  awswait.Span{Wait: &waits[i], Now: now, Delay: args.Delay, Deadline: args.Deadline},
			round: r, args: args, index: i,
		})
	}
	return r
}

// meet adds what is known with a client.
func (r *round) meet(api API, info awsconn.Info) {
	r.api, r.info, r.paced = api, info, info
	args := r.looks[0].args
	r.machine, _ = machineOf(args.ExecutionARN)
	r.group = r.checker.group(groupKey(args), r.now)
	r.scope, _ = quota.ScopeOf(info.Foreign(), args.ExecutionARN)
	if r.quotas().Limits(r.scope) {
		r.paced.Endpoint = ""
	}
	for _, l := range r.looks {
		l.place()
	}
}

func (r *round) quotas() *quota.Quotas { return r.checker.deps.Clients.Quotas() }

func (r *round) room(operation string) quota.Room { return r.quotas().Room(r.scope, operation) }

func (r *round) line(operation string) *line { return r.checker.line(r.scope, operation) }

// pending are the looks without a verdict.
func (r *round) pending() []*look {
	var p []*look
	for _, l := range r.looks {
		if !l.done {
			p = append(p, l)
		}
	}
	return p
}

// run looks at the executions.
func (r *round) run() {
	var urgent []*look
	for _, l := range r.looks {
		if r.group.wasTold(l.args.ExecutionARN) || l.PastDeadline() {
			urgent = append(urgent, l)
		}
	}
	r.describe(urgent)
	// A sweep that turns out to be too long, or is refused, is followed by another choice.
	for range int(plans) {
		if pending := r.pending(); len(pending) == 0 || r.ctx.Err() != nil || r.step(pending) {
			break
		}
	}
	for _, l := range r.pending() { // a check that is cut short, or nothing that works
		l.putOff(r.now.Add(time.Second))
	}
	r.explain()
}

// step does one thing about the looks. It reports whether all have been dealt with.
func (r *round) step(pending []*look) bool {
	g := r.group
	if g.sweep != nil && r.now.Sub(g.sweep.begun) > sweepKept {
		g.sweep = nil
	}
	if g.sweep == nil {
		if r.now.Before(g.tick) && !r.gathered(pending) {
			r.between(pending)
			return true
		}
		r.chosen = r.choose(pending)
		if r.chosen.plan == describeEach {
			g.tick = time.Time{}
			r.line(listing).leave(g.key)
			for _, l := range pending {
				l.alone = true
			}
			r.each(pending)
			return true
		}
		r.line(describing).leave(g.key)
		g.sweep = r.newSweep(pending)
	} else {
		r.chosen = g.sweep.choice
	}
	return r.sweep(pending)
}

// gathered reports whether the waits that the next sweep is for have come: a moment early, as the loop gathers them, or
// because the last sweep began without them.
func (r *round) gathered(pending []*look) bool {
	n := float64(len(pending))
	if n > r.group.waits*3/2+comfortable {
		return true
	}
	soon := min(r.group.period/4, early)
	return !r.now.Add(soon).Before(r.group.tick) && n >= r.group.waits/4
}

// early is how long before its time a sweep may begin. It is less than the time over which the loop gathers waits, so that
// those that are due with the sweep are there.
const early = 400 * time.Millisecond

// describe describes executions as far as the quota has tokens, several at a time. Looks that got none stay pending.
func (r *round) describe(looks []*look) {
	triggers.AtOnce(len(looks), r.checker.deps.Concurrency, func(i int) {
		if busy := looks[i].describe(r.ctx); !busy {
			r.learning.Lock()
			r.described++
			r.learning.Unlock()
		}
	})
}

// each describes executions in their turn. It puts off those whose turn has not come, and returns them.
func (r *round) each(looks []*look) []*look {
	if len(looks) == 0 {
		return nil
	}
	line := r.line(describing)
	granted, back := line.ask(r.now, r.group.key, len(looks), r.room(describing))
	r.describe(looks[:granted])
	rest := slices.DeleteFunc(slices.Clone(looks), func(l *look) bool { return l.done })
	if len(rest) > 0 && granted > 0 {
		_, back = line.ask(r.now, r.group.key, len(rest), quota.Room{PerSecond: r.room(describing).PerSecond})
	}
	for _, l := range rest {
		l.putOff(back)
	}
	return rest
}

// comfortable is how many executions are described at once, out of turn, where nothing limits calls.
const comfortable = 32

// between deals with waits that are due between two sweeps, new ones for the most part. While the quota is more than half
// full they are described; otherwise the next sweep shows them.
func (r *round) between(looks []*look) {
	n := comfortable
	if room := r.room(describing); room.Limited() {
		n = int(max(room.Tokens-room.Size.Bucket/2, 0))
	}
	r.describe(looks[:min(n, len(looks))])
	for _, l := range looks {
		if !l.done {
			l.putOff(r.group.tick)
		}
	}
}

// choose chooses a plan for the looks.
func (r *round) choose(looks []*look) choice {
	g := r.group
	if g.audited.IsZero() && !slices.ContainsFunc(looks, func(l *look) bool { return !l.placed && !l.start.IsZero() }) {
		// Every start is known; the groups are audited one after the other.
		g.audited = r.now.Add(-time.Duration(awswait.Spread(g.key) * float64(auditEvery)))
	}
	m := menu{
		ending: g.ending, described: g.described, unlistable: r.unlistable() != "",
		list: r.price(listing), describe: r.price(describing),
	}
	for _, l := range looks {
		if !l.start.IsZero() {
			m.starts = append(m.starts, l.start)
		}
		if l.args.WithOutput {
			m.described = 1
		}
	}
	slices.SortFunc(m.starts, time.Time.Compare)
	m.pages = func(p plan, cutoff time.Time) int {
		pages := 0
		for _, f := range r.filters(p, cutoff, looks) {
			floor := 1
			if f.status == "" || f.status == types.ExecutionStatusRunning {
				newer, _ := slices.BinarySearchFunc(m.starts, f.cutoff, time.Time.Compare)
				floor = max((len(m.starts)-newer+pageSize-1)/pageSize, 1)
			}
			pages += max(g.profile(f.status).pages(f.cutoff, r.now, floor), 1)
		}
		return pages
	}
	return choose(m)
}

// price is what calls cost now. Where nothing limits them, a page costs as much more as at AWS.
func (r *round) price(operation string) price {
	room := r.room(operation)
	if !room.Limited() {
		return price{each: map[string]float64{describing: 1, listing: 3}[operation]}
	}
	return price{1 / max(room.PerSecond, 1e-3), r.line(operation).wait(r.now, r.group.key, room).Seconds()}
}

// unlistable is why executions of the group are not listed, or "".
func (r *round) unlistable() string {
	switch {
	case r.machine.Name == "":
		return "this is not the ARN of a standard execution"
	case r.machine.labelled():
		return "executions of a map run are not listed by state machine"
	case r.now.Before(r.group.refused.until):
		return r.group.refused.why
	}
	return ""
}

// Safety is the least time between looks while events tell of ends.
const Safety = 5 * time.Minute

// eventsArrive reports whether events tell of the ends that the group waits for.
func (r *round) eventsArrive() bool {
	return r.machine.Name != "" && r.checker.deps.EventsArrive(r.machine.ARN())
}

// next is when to look again at an execution that still runs.
func (r *round) next(l *look) time.Time {
	g := r.group
	interval := g.adapted(Interval(l.Waited(), l.args.Delay, r.paced), r.now.Sub(l.began()), l.args.Delay)
	if l.args.Pace != nil {
		interval = l.args.Pace.Next(r.now)
	}
	if r.eventsArrive() && l.Waited() >= Settle {
		safe := max(Safety, interval, l.args.Delay)
		return r.now.Add(safe + time.Duration(awswait.Spread(l.Wait.ID)*float64(safe)/10))
	}
	wanted := r.now.Add(interval)
	switch {
	case l.args.Pace != nil || l.alone || !g.tick.After(r.now):
		return wanted
	case l.unseen:
		return g.tick
	}
	// The next sweep shows it for nothing, if it has a chance to have ended by then.
	if ripe := minTime(l.began().Add(g.youth()), r.now.Add(l.args.Delay)); ripe.After(g.tick) {
		return maxTime(g.tick, ripe.Add(-g.period)) // it joins the sweep after that
	}
	if wanted.Before(g.tick.Add(-interval)) {
		return wanted
	}
	return g.tick
}

// leastSweep is the least time between sweeps where nothing limits them, and busySweep what each wait adds to it: a sweep
// costs the processor something too.
const (
	leastSweep = 100 * time.Millisecond
	busySweep  = 50 * time.Microsecond
	// sharedBy is how many times cheaper than describing each wait once per delay the sweeps must be to come more often
	// than the waits ask for.
	sharedBy = 8
	// eventSweep is the least time between sweeps for the first looks while events tell of ends.
	eventSweep = 30 * time.Second
)

// period is how far apart the sweeps of the group are to be.
func (r *round) period(looks []*look, s *sweep) time.Duration {
	asked := make([]time.Duration, len(looks))
	delay := time.Duration(math.MaxInt64)
	for i, l := range looks {
		asked[i] = r.group.adapted(Interval(l.Waited(), l.args.Delay, r.paced), r.now.Sub(l.began()), l.args.Delay)
		delay = min(delay, l.args.Delay)
	}
	slices.Sort(asked)
	r.group.waits = max(r.group.waits*0.9, float64(len(looks)))
	pages := s.pages - s.auditPages
	cheap := time.Duration(float64(sharedBy*pages) / r.group.waits * float64(delay))
	period := max(
		r.line(listing).period(r.now, r.group.key, pages, r.room(listing)),
		r.line(describing).period(r.now, r.group.key, s.choice.older, r.room(describing)),
		min(cheap, asked[len(asked)/4]), time.Duration(r.group.waits*float64(busySweep)), leastSweep,
	)
	if r.eventsArrive() {
		period = max(period, eventSweep)
	}
	return time.Duration(float64(period) * (0.95 + 0.1*awswait.Spread(r.group.key+r.now.String())))
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
