package triggerer

import (
	"context"
	"encoding/json"
	"slices"
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
	heard := map[*group]*batch{}
	var order []*batch
	for i := range news {
		n := &news[i]
		l.slots.about(triggers.HashSubject(n.Subject), func(ref uint32, s *slot) {
			if s.group == nil || s.group.name != n.Kind {
				return
			}
			found[i] = true
			b := heard[s.group]
			if b == nil {
				b = &batch{group: s.group, news: map[uint32][]*triggers.News{}}
				heard[s.group] = b
				order = append(order, b)
			}
			if b.news[ref] == nil {
				b.add(entry{ref: ref, version: s.version}, s)
				b.looks[len(b.looks)-1].state = l.noted[ref].state
			}
			b.news[ref] = append(b.news[ref], n)
		})
	}
	for _, b := range order {
		b.group.kind.stats.News += uint64(len(b.ids))
		l.begin(func() { l.hear(b, now) })
	}
	return found
}

// hear runs off the loop.
func (l *Loop) hear(b *batch, now time.Time) {
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.c.CheckTimeout, errCheckTimeout)
	defer cancel()
	hearer := b.group.kind.checker.(triggers.Hearer)
	waits, in, err := l.waits(ctx, b)
	for i := len(waits) - 1; i >= 0 && err == nil; i-- {
		waits[i].News = textsAbout(hearer, waits[i].Args, b.news[b.ids[in[i]].ref])
		if len(waits[i].News) == 0 {
			waits, in = slices.Delete(waits, i, i+1), slices.Delete(in, i, i+1)
		}
	}
	var verdicts []triggers.Verdict
	if err == nil && len(waits) > 0 {
		verdicts, err = answers(ctx, b, waits, func() []triggers.Verdict { return hearer.Hear(ctx, now, waits) })
		if err == nil {
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		l.c.Log.Warn("news could not be heard; their waits are checked as before", "trigger", b.group.name, "key", b.group.key,
			"waits", len(b.ids), "error", err)
		return
	}
	l.writeLogs(b, in, verdicts)
	l.post(func() { l.heard(b, in, verdicts) })
}

// textsAbout are the texts of those news that are about a wait indeed: subjects are looked up by their hash.
func textsAbout(h triggers.Hearer, args json.RawMessage, news []*triggers.News) (texts []json.RawMessage) {
	var subject string
	var err error
	attempt.Guard(&err, func() (err error) {
		subject, err = h.Subject(args)
		return err
	})
	for _, n := range news {
		if err == nil && n.Subject == subject {
			texts = append(texts, n.Text)
		}
	}
	return texts
}

// heard takes in what news have come to. A wait that a check has ended meanwhile is left alone.
func (l *Loop) heard(b *batch, in []int, verdicts []triggers.Verdict) {
	now := l.now()
	for i, v := range verdicts {
		e := b.ids[in[i]]
		s := l.slots.at(e.ref)
		if s.version != e.version || s.phase != waiting && s.phase != checking {
			continue
		}
		if v.Event == nil && v.Err == nil && !v.Again.IsZero() {
			l.lookSooner(e.ref, v, now)
			continue
		}
		b.group.kind.stats.Heard++
		l.judge(e.ref, v, now)
	}
}

// lookSooner looks at a wait earlier than was planned.
func (l *Loop) lookSooner(ref uint32, v triggers.Verdict, now time.Time) {
	if v.State != nil {
		l.note(ref, v.State)
	}
	s := l.slots.at(ref)
	due := max(v.Again.UnixNano(), now.Add(leastInterval).UnixNano())
	switch {
	case s.phase == checking: // the check's answer may name a later time
		if planned, ok := l.sooner[ref]; !ok || due < planned {
			l.sooner[ref] = due
		}
	case due < s.due:
		s.exact = false
		l.wait(ref, due)
	}
}
