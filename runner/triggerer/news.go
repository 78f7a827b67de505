package triggerer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"gust/runner/attempt"
	"gust/triggers"
)

// Tell hands over news and tells which of them found a wait that is held. Those are heard at once, beside a check that
// may be under way. News are hints: one that is lost on the way to its wait costs time, as the checks go on.
func (l *Loop) Tell(ctx context.Context, news []triggers.News) ([]bool, error) {
	return ask(ctx, l, func() []bool { return l.tell(news, l.now()) })
}

func (l *Loop) tell(news []triggers.News, now time.Time) []bool {
	found := make([]bool, len(news))
	about := map[[2]string][]int{}
	for i := range news {
		about[[2]string{news[i].Kind, news[i].Subject}] = append(about[[2]string{news[i].Kind, news[i].Subject}], i)
	}
	heard := map[*group]*batch{}
	var texts = map[uint32][]json.RawMessage{}
	for _, g := range l.groups {
		if _, hears := g.checker.(triggers.Hearer); !hears {
			continue
		}
		for ref := range l.slots.used {
			s := l.slots.at(ref)
			if s.group != g {
				continue
			}
			which := about[[2]string{g.name, subject(g.checker, s.work.Instance.Deferral.Args)}]
			if len(which) == 0 {
				continue
			}
			b := heard[g]
			if b == nil {
				b = &batch{group: g}
				heard[g] = b
			}
			for _, i := range which {
				found[i] = true
				texts[ref] = append(texts[ref], news[i].Text)
			}
			b.ids = append(b.ids, entry{ref: ref, version: s.version})
			b.works, b.checks = append(b.works, s.work), append(b.checks, s.checks)
		}
	}
	for g, b := range heard {
		g.kind.stats.News += uint64(len(b.ids))
		b.news = texts
		l.checkers.Go(func() { l.hear(b, now) })
	}
	return found
}

// subject is what a wait is about, "" when it cannot be told.
func subject(c triggers.Checker, args json.RawMessage) (out string) {
	h, ok := c.(triggers.Hearer)
	if !ok {
		return ""
	}
	var err error
	attempt.Guard(&err, func() (err error) {
		out, err = h.Subject(args)
		return err
	})
	if err != nil {
		return ""
	}
	return out
}

// hear runs off the loop.
func (l *Loop) hear(b *batch, now time.Time) {
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.c.CheckTimeout, errCheckTimeout)
	defer cancel()
	waits := b.waits()
	for i := range waits {
		waits[i].News = b.news[b.ids[i].ref]
	}
	var verdicts []triggers.Verdict
	var err error
	attempt.Guard(&err, func() error {
		verdicts = b.group.checker.(triggers.Hearer).Hear(ctx, now, waits)
		return nil
	})
	if err == nil && ctx.Err() == nil && len(verdicts) != len(waits) {
		err = fmt.Errorf("the trigger answered %d of %d waits", len(verdicts), len(waits))
	}
	if cause := context.Cause(ctx); err != nil || cause != nil {
		l.c.Log.Warn("news could not be heard; their waits are checked as before", "trigger", b.group.name, "key", b.group.key,
			"waits", len(b.ids), "error", errorOr(err, cause))
		return
	}
	l.writeLogs(b, verdicts)
	l.post(func() { l.heard(b, verdicts) })
}

func errorOr(err, cause error) error {
	if err != nil {
		return err
	}
	return cause
}

// heard takes in what news have come to. A wait that a check has ended meanwhile is left alone.
func (l *Loop) heard(b *batch, verdicts []triggers.Verdict) {
	now := l.now()
	for i, e := range b.ids {
		s := l.slots.at(e.ref)
		if s.version != e.version || s.phase != waiting && s.phase != checking {
			continue
		}
		if v := &verdicts[i]; v.Event != nil || v.Err != nil || v.Again.IsZero() {
			b.group.kind.stats.Heard++
			l.judge(e.ref, *v, now)
		} else {
			l.sooner(e.ref, v.Again, now)
		}
	}
}

// sooner looks at a wait earlier than was planned.
func (l *Loop) sooner(ref uint32, at, now time.Time) {
	s := l.slots.at(ref)
	due := max(at.UnixNano(), now.Add(leastInterval).UnixNano())
	if s.phase == waiting && due < s.due {
		s.exact = false
		l.wait(ref, due)
	}
}

// writeLogs writes the lines of verdicts to the logs of their attempts, off the loop: it never waits for a disk.
func (l *Loop) writeLogs(b *batch, verdicts []triggers.Verdict) {
	if l.c.Env.Logs == nil {
		return
	}
	for i, v := range verdicts {
		if v.Log != "" {
			l.c.Env.Logs.Append(b.works[i].Attempt(), slog.LevelInfo, "trigger", v.Log)
		}
	}
}
