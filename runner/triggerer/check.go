package triggerer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gust/dag"
	"gust/runner/attempt"
	"gust/triggers"
)

// batch is one check, or one hearing.
type batch struct {
	group *group
	ids   []entry // the waits' slots; at is when each was due
	looks []look
	news  map[uint32][]*triggers.News // of each slot, when the batch is to hear them
}

// look is one wait of a batch, off the loop.
type look struct {
	attempt dag.Attempt
	since   int64
	checks  uint32
	told    bool
	state   json.RawMessage // noted and perhaps not stored yet; nil: as stored
	found   finding
	// moved, when not nil, is the wait as its arguments tell it, unlike its row.
	moved *dag.Deferral
}

// finding is what the row of a wait says.
type finding uint8

const (
	goesOn    finding = iota
	over              // the wait has ended, or is not the row's any more
	elsewhere         // it belongs to another group than its row says
)

func (b *batch) add(e entry, s *slot) {
	b.ids = append(b.ids, e)
	b.looks = append(b.looks, look{attempt: s.attempt(), since: s.since, checks: s.checks, told: s.told})
}

// waits reads what the batch waits for. In are the looks, by index, whose wait goes on: those that the checker is shown.
func (l *Loop) waits(ctx context.Context, b *batch) (waits []triggers.Wait, in []int, err error) {
	waits, in = make([]triggers.Wait, 0, len(b.looks)), make([]int, 0, len(b.looks))
	attempts := make([]dag.Attempt, 0, min(len(b.looks), readAtOnce))
	for from := 0; from < len(b.looks); from += readAtOnce {
		some := b.looks[from:min(from+readAtOnce, len(b.looks))]
		attempts = attempts[:0]
		for i := range some {
			attempts = append(attempts, some[i].attempt)
		}
		rows, err := l.c.Waits.WaitsGet(ctx, attempts)
		if err != nil {
			return nil, nil, err
		}
		for i := range some {
			k := &some[i]
			if !rows[i].Parked {
				k.found = over
				continue
			}
			d := rows[i].Task.Deferral
			if k.told && l.hasMoved(b.group, d, k) {
				continue
			}
			if k.state == nil {
				k.state = d.State
			}
			waits = append(waits, triggers.Wait{
				ID: k.attempt.String(), Args: d.Args, State: k.state, Since: time.Unix(0, k.since).UTC(), Checks: int(k.checks),
			})
			in = append(in, from+i)
		}
	}
	return waits, in, nil
}

// hasMoved compares the group that a row has named with what the arguments say: the checker may be another one than
// that which parked the wait.
func (l *Loop) hasMoved(g *group, d *dag.Deferral, k *look) bool {
	keyed, err := attempt.Keyed(l.c.Triggers, d)
	if err == nil && keyed.Key == g.key && keyed.Subject == d.Subject {
		return false
	}
	if err == nil {
		k.found, k.moved = elsewhere, keyed
		return true
	}
	return false // the check says what is wrong
}

var errCheckTimeout = errors.New("the check took too long")

// check runs off the loop. Log lines are written here, so that the loop never waits for a disk.
func (l *Loop) check(b *batch, now time.Time) {
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.c.CheckTimeout, errCheckTimeout)
	defer cancel()
	waits, in, cause := l.waits(ctx, b)
	var verdicts []triggers.Verdict
	var err error
	if cause == nil && len(waits) > 0 {
		verdicts, err = answers(ctx, b, waits, func() []triggers.Verdict { return b.group.kind.checker.Check(ctx, now, waits) })
		cause = context.Cause(ctx)
	}
	if err != nil || cause != nil {
		verdicts = nil
	}
	l.writeLogs(b, in, verdicts)
	l.post(func() { l.checked(b, in, verdicts, err, cause) })
}

// answers asks a checker about waits and sees to it that it answers all of them.
func answers(
	ctx context.Context, b *batch, waits []triggers.Wait, f func() []triggers.Verdict,
) (verdicts []triggers.Verdict, err error) {
	attempt.Guard(&err, func() error {
		verdicts = f()
		return nil
	})
	if err == nil && ctx.Err() == nil && len(verdicts) != len(waits) {
		err = fmt.Errorf("the trigger answered %d of %d waits", len(verdicts), len(waits))
	}
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", b.group.name, err)
	}
	for i := range verdicts { // a state that did not change is none
		if bytes.Equal(verdicts[i].State, waits[i].State) {
			verdicts[i].State = nil
		}
	}
	return verdicts, nil
}

// writeLogs writes the lines of verdicts to the logs of their attempts, off the loop: it never waits for a disk.
func (l *Loop) writeLogs(b *batch, in []int, verdicts []triggers.Verdict) {
	if l.c.Env.Logs == nil {
		return
	}
	for i, v := range verdicts {
		if v.Log != "" {
			l.c.Env.Logs.Append(b.looks[in[i]].attempt, slog.LevelInfo, "trigger", v.Log)
		}
	}
}

// checked takes the answers in.
func (l *Loop) checked(b *batch, in []int, verdicts []triggers.Verdict, err, cause error) {
	g := b.group
	g.lane.inFlight--
	l.checks--
	l.looks -= len(b.ids)
	now := l.now()
	again := triggers.Verdict{Again: now.Add(l.cutShort(b, err, cause))}
	said := make([]*triggers.Verdict, len(b.ids))
	for i := range verdicts {
		said[in[i]] = &verdicts[i]
	}
	for i, e := range b.ids {
		s, k := l.slots.at(e.ref), &b.looks[i]
		if s.version != e.version || s.phase != checking {
			continue // dropped, heard, or timed out, meanwhile
		}
		switch {
		case err != nil && k.found == goesOn:
			l.end(e.ref, nil, err, false)
		case cause != nil:
			l.again(e.ref, again, now)
		case k.found == over:
			l.recall(e.ref)
		case k.found == elsewhere:
			s.told = false
			l.leave(e.ref, s)
			if err := l.join(e.ref, k.moved, now, false); err != nil {
				l.end(e.ref, nil, err, false)
			}
		default:
			s.checks++
			s.told = false
			l.judge(e.ref, *said[i], now)
		}
	}
	l.idle(g)
}

// cutShort tells when the waits of a check that was cut short are looked at again: soon, then ever later.
func (l *Loop) cutShort(b *batch, err, cause error) time.Duration {
	g := b.group
	if cause == nil || err != nil {
		g.cut = 0
		return 0
	}
	g.counts.Cut++
	g.kind.stats.Cut++
	l.c.Log.Warn("a check was cut short; its waits are looked at again", "trigger", g.name, "key", g.key,
		"waits", len(b.ids), "error", cause)
	g.cut++
	return retryPause(g.cut - 1)
}

func (l *Loop) judge(ref uint32, v triggers.Verdict, now time.Time) {
	said := 0
	for _, set := range []bool{v.Event != nil, !v.Again.IsZero(), v.Err != nil} {
		if set {
			said++
		}
	}
	switch {
	case said != 1:
		l.end(ref, nil, fmt.Errorf("trigger %s gave %d answers to one wait", l.slots.at(ref).group.name, said), false)
	case v.Event != nil:
		l.end(ref, v.Event, nil, false)
	case v.Err != nil:
		l.end(ref, nil, v.Err, false)
	default:
		l.again(ref, v, now)
	}
}

// again waits on, unless the time is up.
func (l *Loop) again(ref uint32, v triggers.Verdict, now time.Time) {
	s := l.slots.at(ref)
	if s.deadline != 0 && s.deadline <= now.UnixNano() {
		l.timeOut(ref)
		return
	}
	if v.State != nil {
		l.note(ref, v.State)
	}
	at := v.Again.UnixNano()
	if heard, ok := l.sooner[ref]; ok {
		at = min(at, heard)
		delete(l.sooner, ref)
	}
	due := max(at, now.Add(leastInterval).UnixNano())
	s.exact = s.early && due <= s.due
	l.wait(ref, due)
}
