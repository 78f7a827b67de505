package triggerer

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"gust/dag"
	"gust/runner/executor"
)

// noted is the state of a wait that its row may not have yet.
type noted struct {
	version uint32
	state   json.RawMessage
	told    bool // reported, and not known to be stored
}

// note keeps a wait's state until its row has it.
func (l *Loop) note(ref uint32, state json.RawMessage) {
	if len(l.noted) == 0 {
		l.noteAt(l.now())
	}
	l.noted[ref] = noted{version: l.slots.at(ref).version, state: state}
}

func (l *Loop) noteAt(now time.Time) {
	l.heap.push(entry{at: now.Add(noteEvery).UnixNano(), ref: noteRef})
}

// noteAll reports the states of the waits that go on, and forgets those of the others.
func (l *Loop) noteAll() {
	now := l.now()
	for _, ref := range slices.Sorted(maps.Keys(l.noted)) { // in a fixed order, so that a simulation can be replayed
		n, s := l.noted[ref], l.slots.at(ref)
		switch {
		case s.version != n.version || s.phase != waiting && s.phase != checking:
			delete(l.noted, ref)
		case !n.told:
			n.told = true
			l.noted[ref] = n
			l.reporter.Report(executor.Report{
				Attempt: s.attempt(), Kind: executor.Noted, At: now.UTC(), Deferral: &dag.Deferral{State: n.state},
				Committed: func(error) { l.post(func() { l.stored(ref, n) }) },
			})
		}
	}
	if len(l.noted) > 0 {
		l.noteAt(now)
	}
}

// stored forgets a state that the row has now, or that nobody wants: unless it has changed meanwhile.
func (l *Loop) stored(ref uint32, n noted) {
	if now, ok := l.noted[ref]; ok && now.version == n.version && now.told {
		delete(l.noted, ref)
	}
}
