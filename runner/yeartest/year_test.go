package yeartest

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gust/dag"
	"gust/dag/timetable"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/runner/plan/plantest"
	"gust/store"
)

// year is a plan with everything around it, and the oracle's books.
type year struct {
	t     *testing.T
	seed  uint64
	r     *rand.Rand
	size  int // runs of a DAG at most, about
	store *plantest.Store
	state *plan.State
	// real is how much time has passed, skew how far the clock that the plan is shown is off.
	real time.Time
	skew time.Duration
	wake time.Time
	todo agenda
	seq  int

	out    map[dag.Attempt]*flight
	ended  map[dag.Attempt]bool
	zones  []*zone
	books  []*book
	byID   map[string]*book
	dags   map[string]*dag.DAG // by version
	tables map[string]timetable.Timetable
	runs   map[dag.RunKey]*account
	backs  map[int64]*store.Backfill
	counts map[string]int

	lost  bool // the next commit does not happen
	doubt bool // the next commit happens, and nobody knows
	dying bool // the process dies after the next commit
}

// flight is an attempt that is out or parked.
type flight struct {
	work   executor.Work
	parked bool
	over   bool
}

// happening is something that comes to pass at a time.
type happening struct {
	at  time.Time
	seq int
	do  func()
}

type agenda []happening

func (a agenda) Len() int      { return len(a) }
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].seq < a[j].seq
}
func (a *agenda) Push(x any) { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}

func (y *year) later(at time.Time, do func()) {
	y.seq++
	heap.Push(&y.todo, happening{at, y.seq, do})
}

func (y *year) now() time.Time { return y.real.Add(y.skew) }

func (y *year) fatal(format string, args ...any) {
	y.t.Helper()
	y.t.Fatalf("GUST_TEST_SEED=%d, at %s: "+format, append([]any{y.seed, stamp(y.now())}, args...)...)
}

func (y *year) known(key dag.RunKey) bool { return y.runs[key] != nil }

const slots = 64

func (y *year) config() plan.Config {
	return plan.Config{Slots: slots, StateLag: -1, Timetable: func(d *dag.DAG) (timetable.Timetable, error) {
		if t := y.tables[d.Version]; t != nil {
			return t, nil
		}
		t, err := timetable.New(d.Schedule, d.Timezone)
		y.tables[d.Version] = t
		return t, err
	}}
}

// load makes the state anew. The executor lives on when it replaces one.
func (y *year) load(old *plan.State, lost bool) {
	snap, err := y.store.EngineLoad(context.Background())
	if err != nil {
		y.fatal("load: %v", err)
	}
	cfg := y.config()
	cfg.Replaces, cfg.Lost = old, lost
	y.state = plan.New(cfg, snap, y.now())
	for _, b := range y.books {
		if b.last != b.made { // that a place is taken is found out again
			b.last, b.dirty = b.made, true
		}
	}
}

// crash forgets everything that is not stored, and begins again.
func (y *year) crash() {
	y.counts["crash"]++
	for a, f := range y.out {
		f.over = true
		delete(y.out, a)
	}
	y.load(nil, false)
	y.step()
	for _, b := range y.books {
		if b.there {
			y.step(file(b.dag))
			b.dirty = true
		}
	}
	y.refresh()
}

func file(d *dag.DAG) plan.File { return plan.File{Path: d.FileLoc, DAGs: []*dag.DAG{d}} }

func (y *year) refresh() {
	r, err := y.store.EngineRefresh(context.Background())
	if err != nil {
		y.fatal("refresh: %v", err)
	}
	y.step(plan.Refreshed{Refresh: *r})
}

// step hands events to the plan, commits and carries out what it decides, until it rests.
func (y *year) step(events ...plan.Event) {
	y.counts["steps"]++
	y.t.Helper()
	for n := 0; ; n++ {
		if n > 200 {
			y.fatal("the plan does not come to rest")
		}
		now := y.now()
		d := y.state.Step(events, now)
		if y.lost {
			y.lost = false
			events = y.startOver(events)
			continue
		}
		err := y.store.EngineCommit(context.Background(), &d.Changes)
		if errors.Is(err, store.ErrExists) {
			var taken []plan.Event
			for i := range d.Changes.Runs {
				if r := &d.Changes.Runs[i]; r.New && (y.known(r.Run.RunKey) || y.byID[r.Run.DagID].dates[r.Run.LogicalDate.UnixMicro()]) {
					taken = append(taken, plan.Taken{Run: r.Run})
				}
			}
			y.counts["taken"]++
			events = append(taken, y.startOver(events)...)
			continue
		}
		if errors.Is(err, store.ErrConflict) { // rows were edited since they were read
			y.counts["conflict"]++
			events = y.startOver(events)
			continue
		}
		if err != nil {
			y.fatal("commit: %v", err)
		}
		y.committed(&d.Changes, now)
		if y.doubt {
			y.doubt = false
			events = y.startOver(events)
			continue
		}
		if y.dying {
			y.dying = false
			y.crash()
			return
		}
		events = y.release(&d)
		if d.Reload {
			y.load(y.state, false)
			continue
		}
		if len(events) == 0 && (d.Wake.IsZero() || d.Wake.After(now)) {
			break
		}
	}
	now := y.now()
	for _, b := range y.books {
		y.overdue(b, now)
		if !b.due.IsZero() && !b.late.IsZero() { // look again soon
			if at := b.due.Add(-y.skew); len(y.todo) == 0 || at.Before(y.todo[0].at) {
				y.later(at, func() { y.step() })
			}
		}
	}
}

// startOver makes the state anew after a lost commit, and returns what it is told again: not what was read before.
func (y *year) startOver(events []plan.Event) []plan.Event {
	y.load(y.state, true)
	return slices.DeleteFunc(slices.Clone(events), func(e plan.Event) bool {
		switch e.(type) {
		case plan.Past, plan.Refreshed:
			return true
		}
		return false
	})
}

// release carries out a committed decision and returns the answers to its questions.
func (y *year) release(d *plan.Decision) []plan.Event {
	y.wake = d.Wake
	for _, e := range d.Effects {
		switch e := e.(type) {
		case plan.Dispatch:
			y.begin(e.Work, false)
		case plan.Park:
			y.begin(e.Work, true)
		case plan.Kill:
			if f := y.out[e.Attempt]; f != nil {
				f.over = true
				g := &flight{work: f.work}
				y.out[e.Attempt] = g
				y.ends(g, time.Second, executor.Report{Attempt: e.Attempt, Kind: executor.Failed, NoRetry: true, Error: e.Reason})
			}
		case plan.Drop:
			if f := y.out[e.Attempt]; f != nil {
				f.over = true
				delete(y.out, e.Attempt)
			}
		}
	}
	var answers []plan.Event
	for _, n := range d.Needs {
		e, err := y.store.Answer(n)
		if err != nil {
			y.fatal("answer: %v", err)
		}
		answers = append(answers, e)
	}
	return answers
}

// roll is a number below 100 that belongs to an attempt: how it ends does not depend on how often it is repeated.
func (y *year) roll(a dag.Attempt, what string) int {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %s", y.seed, a, what)
	return int(h.Sum64() % 100)
}

// begin starts an attempt, or a wait.
func (y *year) begin(w executor.Work, parked bool) {
	a := w.Attempt()
	r := y.runs[a.Run()]
	switch {
	case y.out[a] != nil:
		y.fatal("%s is out twice", a)
	case y.ended[a]:
		y.fatal("%s begins again after it has ended", a)
	case len(y.out) > 10*slots:
		y.fatal("%d attempts are out", len(y.out))
	case w.DAG.Version != r.version:
		y.fatal("%s runs by version %s, its run began with %s", a, w.DAG.Version, r.version)
	case r.state != dag.RunRunning:
		y.fatal("%s begins, and its run is %s", a, r.state)
	}
	f := &flight{work: w, parked: parked}
	y.out[a] = f
	long := y.length(a)
	report := executor.Report{Attempt: a, Kind: executor.Succeeded}
	switch d := w.Instance.Deferral; {
	case parked && !w.Task.Parks:
		fired := *d
		fired.Event = []byte("{}")
		report.Kind, report.Deferral = executor.Fired, &fired
	case y.roll(a, "fail") < 25 && !w.Task.DependsOnPast:
		report.Kind, report.Error = executor.Failed, "boom"
	case !w.Task.Parks && d == nil && y.roll(a, "defer") < 15:
		report.Kind, report.Deferral = executor.Deferred, &dag.Deferral{Kind: "time"}
	}
	if !parked && y.roll(a, "tell") < 30 {
		y.ends(f, 0, executor.Report{Attempt: a, Kind: executor.Started})
	}
	y.ends(f, long, report)
}

// length is how long an attempt takes; some DAGs are slow, so that runs pile up.
func (y *year) length(a dag.Attempt) time.Duration {
	long := time.Duration(1+y.roll(a, "length")) * time.Second
	if y.byID[a.DagID].rules.kind == dag.ScheduleContinuous {
		return long + time.Minute
	}
	switch h := y.roll(dag.Attempt{Key: dag.Key{DagID: a.DagID}}, "slow"); {
	case h < 12:
		return 200 * long
	case h < 30:
		return 20 * long
	}
	return long
}

// ends lets a report of a flight come later. Anything but Started ends it.
func (y *year) ends(f *flight, after time.Duration, r executor.Report) {
	y.later(y.real.Add(after), func() {
		if f.over {
			return
		}
		if r.Kind != executor.Started {
			f.over = true
			delete(y.out, r.Attempt)
		}
		r.At = y.now()
		if r.Deferral != nil && r.Deferral.Since.IsZero() {
			r.Deferral.Since = r.At
		}
		y.step(plan.Reported{Report: r})
	})
}

// committed keeps the books.
func (y *year) committed(c *store.Changes, now time.Time) {
	for i := range c.Tasks {
		t := &c.Tasks[i]
		if t.From.Finished() {
			y.fatal("finished task %s moves from %s to %s", t.Task.Key, t.From, t.Task.State)
		}
		if st := t.Task.State; st.Finished() || st == dag.StateUpForRetry {
			y.ended[t.Task.Attempt()] = true
		}
	}
	for i := range c.Runs {
		y.committedRun(&c.Runs[i], now)
	}
	for _, id := range c.BackfillsDone {
		b := y.backs[id]
		if b == nil {
			y.fatal("backfill %d is completed twice", id)
		}
		delete(y.backs, id)
		y.byID[b.DagID].backfill = false
	}
}

func (y *year) committedRun(c *store.RunChange, now time.Time) {
	r, b := &c.Run, y.byID[c.Run.DagID]
	if c.New {
		if r.Type != dag.RunScheduled {
			y.fatal("run %s of %s is of type %s", r.RunID, r.DagID, r.Type)
		}
		y.created(b, r, now)
		y.open(b, r)
		y.counts["scheduled"]++
	}
	a := y.runs[r.RunKey]
	if a.state != r.State {
		y.moved(a, r)
	}
	if r.State == dag.RunRunning && a.backfill == 0 && b.running > b.dag.MaxActiveRuns && c.From == dag.RunQueued {
		y.fatal("DAG %s has %d running runs of %d", r.DagID, b.running, b.dag.MaxActiveRuns)
	}
	if r.State.Finished() {
		y.checkEnd(r, a)
	}
}

// open enters a run that is queued.
func (y *year) open(b *book, r *dag.Run) {
	if y.known(r.RunKey) {
		y.fatal("run %s of %s is made twice", r.RunID, r.DagID)
	}
	if !r.LogicalDate.IsZero() {
		if b.dates[r.LogicalDate.UnixMicro()] {
			y.fatal("the logical date of run %s of %s is taken", r.RunID, r.DagID)
		}
		b.dates[r.LogicalDate.UnixMicro()] = true
	}
	a := &account{book: b, state: dag.RunQueued, backfill: r.BackfillID}
	y.runs[r.RunKey] = a
	b.runs = append(b.runs, r.RunKey)
	if a.backfill == 0 {
		b.active++
	}
	b.dirty = true
}

// moved follows the state of a run, whoever has changed it.
func (y *year) moved(a *account, r *dag.Run) {
	b, was := a.book, a.state
	a.state = r.State
	b.dirty = true
	if r.State == dag.RunRunning {
		if a.version == "" && r.DagVersion != b.dag.Version || a.version != "" && r.DagVersion != a.version {
			y.fatal("run %s of %s begins with version %s; it had %q, the latest is %s", r.RunID, r.DagID, r.DagVersion, a.version, b.dag.Version)
		}
	}
	if a.version = r.DagVersion; a.backfill != 0 {
		return
	}
	if was.Finished() != r.State.Finished() {
		if r.State.Finished() {
			b.active--
		} else {
			b.active++
		}
	}
	if was == dag.RunRunning {
		b.running--
	}
	if r.State == dag.RunRunning {
		b.running++
	}
}

// checkEnd: nothing in a run that has ended could go on, and its leaves decide.
func (y *year) checkEnd(r *dag.Run, a *account) {
	tasks, _ := y.store.TaskInstanceList(context.Background(), r.RunKey)
	d, want := y.dags[a.version], dag.RunSuccess
	seen := map[string]bool{}
	for i := range tasks {
		ti := &tasks[i]
		seen[ti.TaskID] = true
		if !ti.State.Finished() {
			y.fatal("run %s of %s ended as %s while task %s is %s", r.RunID, r.DagID, r.State, ti.TaskID, ti.State)
		}
		if t := d.Task(ti.TaskID); t != nil && len(t.Downstream) == 0 && ti.State.FailedState() {
			want = dag.RunFailed
		}
	}
	for _, t := range d.Tasks {
		if !seen[t.ID] {
			y.fatal("run %s of %s ended without an instance of task %s", r.RunID, r.DagID, t.ID)
		}
	}
	if r.State != want {
		y.fatal("run %s of %s is %s, want %s", r.RunID, r.DagID, r.State, want)
	}
}

// play lets time pass until the given moment; a zero one until nothing is left to happen.
func (y *year) play(until time.Time) {
	for {
		at := y.wake.Add(-y.skew)
		fromAgenda := len(y.todo) > 0 && (y.wake.IsZero() || !at.Before(y.todo[0].at))
		switch {
		case fromAgenda:
			at = y.todo[0].at
		case y.wake.IsZero():
			return
		}
		if !until.IsZero() && at.After(until) {
			y.real = until
			return
		}
		y.real = max2(y.real, at)
		if fromAgenda {
			heap.Pop(&y.todo).(happening).do()
		} else {
			y.step()
		}
	}
}
