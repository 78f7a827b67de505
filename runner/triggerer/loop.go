// Package triggerer is the loop that holds every parked wait of the process: deferred operators and deferrable sensors.
// A wait is a slot of some ninety bytes and two heap entries; no goroutine, no file, no timer of its own. What it waits
// for stays in its row: it is read, many rows at a time, when waits are looked at or end. So a wait is held from the
// moment when its row is stored.
//
// One goroutine owns all of that. It sleeps until the earliest entry of one heap: the next check of a group of waits
// (those of one trigger kind and key, which are checked together, one check at a time), or the deadline of a wait.
// Everything that may block happens elsewhere and comes back as a message: checks on up to Config.Checks goroutines
// for each place that they reach, the reading of rows, the parking and finishing of sensors and the stopping of remote
// jobs in small pools. News about what waits are about (Tell) go past the checks.
package triggerer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/executor"
	"gust/store"
	"gust/triggers"
)

var errParkTimeout = fmt.Errorf("the sensor took longer than %s to be parked or finished", parkTimeout)

const (
	// leastInterval is the least time between two checks of a wait.
	leastInterval = 10 * time.Millisecond
	// retryCheck is when the waits of a check that was cut short are looked at again.
	retryCheck = time.Second
	// lastLook is the time for one last check of a wait whose deadline passed while nobody looked.
	lastLook = 30 * time.Second
	// After a restart the groups' first checks are spreadStep apart, over spreadOver at most.
	spreadStep = 20 * time.Millisecond
	spreadOver = 10 * time.Second
	// parkTimeout bounds the parking or finishing of one sensor, which are meant to be quick.
	parkTimeout = time.Minute
	// noteEvery is the time over which changed states of waits are gathered before they are reported.
	noteEvery = 5 * time.Second
	// longestSleep bounds the loop's sleep while it holds waits, so that it sees a clock that was set.
	longestSleep = time.Minute
	// groupRef marks a heap entry's ref as a group's id; noteRef is the one entry that asks for noting.
	groupRef = 1 << 31
	noteRef  = 1<<32 - 1
	// maxRetryCheck bounds the pause after checks that are cut short again and again.
	maxRetryCheck = time.Minute
	// strayTime is how long a wait whose row has become another one waits to be dropped.
	strayTime = time.Minute
	// spreadWaits is how many waits of one group are looked at first in one step of the spread after a restart.
	spreadWaits = 1000
	// maxBatch bounds the waits of one check, maxLooks those of all checks under way: about half a kilobyte each.
	maxBatch, maxLooks = 100_000, 100_000
	// maxInbox is from how many messages on those who park wait: each holds a whole Work.
	maxInbox = 20_000
	// readAtOnce is how many rows are read at once.
	readAtOnce = 1000
)

// Config is what a Loop needs. Zero values of the numbers mean their defaults.
type Config struct {
	Env      *attempt.Env
	Triggers *triggers.Registry
	// Waits reads what parked attempts wait for: nothing of that is kept in memory.
	Waits store.Waits
	// Checks is how many checks may be under way at once at each place (triggers.Placed), each of one group. Default 16.
	Checks int
	// AllChecks bounds the checks at all places together; but each place may always have one. Default 8 times Checks.
	AllChecks int
	// Parkers is how many sensors may be rendered, parked and finished at once. Default 8.
	Parkers int
	// Stops is how many remote jobs may be stopped at once. Default 8.
	Stops int
	// Gather is the window for gathering: a check takes along the waits of its group that are due that much later, so
	// that waits of one key come to be looked at together. Default 500 ms; negative means none.
	Gather time.Duration
	// CheckTimeout bounds one check. Default 10 minutes.
	CheckTimeout time.Duration
	// StopTimeout bounds the stopping of one remote job. Default attempt.DefaultStopTimeout.
	StopTimeout time.Duration
	// Log is the daemon's logger. Default: discarded.
	Log *slog.Logger
	// Go begins a job that may block: a check, the parking of sensors, the stopping of remote jobs. Default: a goroutine. A
	// simulation decides itself when each of them runs.
	Go func(job func())
}

func (c *Config) defaults() {
	for _, d := range []struct {
		value    *int
		standard int
	}{{&c.Checks, 16}, {&c.Parkers, 8}, {&c.Stops, 8}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if c.AllChecks <= 0 {
		c.AllChecks = 8 * c.Checks
	}
	if c.Gather == 0 {
		c.Gather = 500 * time.Millisecond
	}
	c.Gather = max(c.Gather, 0)
	if c.CheckTimeout <= 0 {
		c.CheckTimeout = 10 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Go == nil {
		c.Go = func(job func()) { go job() }
	}
}

// Loop is the trigger loop. Make it with New.
type Loop struct {
	c        Config
	reporter executor.Reporter
	held     atomic.Int64

	ctx       context.Context // of checks, parking and finishing
	cancel    context.CancelCauseFunc
	stopCtx   context.Context // of stops, which go on a little longer
	stopStops context.CancelFunc
	done      chan struct{} // closed when the loop's goroutine has ended
	checkers  sync.WaitGroup
	parkers   pool
	stoppers  pool

	mu    sync.Mutex
	phase int // 0 new, 1 running, 2 stopped
	inbox []message
	room  *sync.Cond // the inbox was emptied
	wake  chan struct{}

	// Owned by the loop's goroutine.
	stopping     bool
	began        time.Time
	last         time.Time
	slots        slots
	heap         timeHeap // groups and deadlines
	deadlines    int      // waits with a deadline
	groups       map[groupKey]*group
	groupByID    []*group
	unusedGroups []uint32
	restarted    int
	kinds        map[string]*kind
	lanes        map[groupKey]*lane // by kind and place
	risen        []*lane            // with groups whose turn has not come
	checks       int                // under way
	looks        int                // waits in them
	ends         []ending           // to be told
	reading      bool               // of the rows of ends
	noted        map[uint32]noted
	sooner       map[uint32]int64          // when news want waits that are being checked to be looked at again
	parks        map[uint32]*executor.Work // sensors whose wait is not in a row yet
}

var _ executor.TriggerLoop = (*Loop)(nil)

// message is something for the loop's goroutine to do. A drop is done even when the loop is stopping: what it is to
// stop would go on otherwise.
type message struct {
	do   func()
	drop bool
}

// New returns a loop that is not started yet; it may be given waits already.
func New(c Config) *Loop {
	c.defaults()
	l := &Loop{
		c: c, wake: make(chan struct{}, 1), done: make(chan struct{}),
		slots: newSlots(), groups: map[groupKey]*group{}, kinds: map[string]*kind{}, lanes: map[groupKey]*lane{},
		noted: map[uint32]noted{}, sooner: map[uint32]int64{}, parks: map[uint32]*executor.Work{},
		parkers: pool{most: c.Parkers, begin: c.Go}, stoppers: pool{most: c.Stops, begin: c.Go},
	}
	l.room = sync.NewCond(&l.mu)
	return l
}

// Start begins to look at the waits. The loop gets ctx's values; only Stop ends it.
func (l *Loop) Start(ctx context.Context, r executor.Reporter) error {
	if err := l.Begin(ctx, r); err != nil {
		return err
	}
	go l.run()
	return nil
}

// Begin is Start for a simulation, which makes the loop's turns itself, and begins its jobs (Config.Go). Such a loop has
// no Stop: it is forgotten, as in a crash.
func (l *Loop) Begin(ctx context.Context, r executor.Reporter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase != 0 {
		return errors.New("trigger loop: started twice, or after its stop")
	}
	l.phase = 1
	l.reporter = r
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	l.stopCtx, l.stopStops = context.WithCancel(context.WithoutCancel(ctx))
	l.last = l.now()
	l.began = l.last.Truncate(time.Microsecond) // as precise as the stored times it is compared with
	return nil
}

// Stop forgets all waits, which are in their rows, and returns when everything that was under way has ended: checks and
// parkings are interrupted at once, the stopping of remote jobs may take until ctx ends. The error names what ignored
// its end.
func (l *Loop) Stop(ctx context.Context) error {
	l.mu.Lock()
	phase := l.phase
	l.phase = 2
	l.room.Broadcast()
	l.mu.Unlock()
	if phase == 0 {
		return nil
	}
	l.cancel(operators.ErrStopping)
	l.parkers.forget()
	ended := make(chan struct{})
	go func() {
		<-l.done
		l.checkers.Wait()
		l.parkers.goroutines.Wait()
		l.stoppers.goroutines.Wait()
		close(ended)
	}()
	defer l.stopStops()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	l.stoppers.forget()
	l.stopStops()
	select {
	case <-ended:
		return nil
	case <-time.After(time.Second):
		return fmt.Errorf("trigger loop: a trigger, sensor or operator did not return when it was to stop: %w",
			context.Cause(ctx))
	}
}

// Held is how many attempts the loop holds.
func (l *Loop) Held() int { return int(l.held.Load()) }

// Park takes over an attempt; see executor.TriggerLoop. One that is held already is ignored. While very many are being
// taken over the caller waits a little.
func (l *Loop) Park(w executor.Work) {
	l.mu.Lock()
	for l.phase == 1 && len(l.inbox) >= maxInbox {
		l.room.Wait()
	}
	l.mu.Unlock()
	l.post(func() { l.park(&w) })
}

// Drop forgets an attempt; with a reason what it started is stopped. One that is not held is ignored.
func (l *Loop) Drop(a dag.Attempt, reason string) {
	l.send(message{do: func() { l.drop(a, reason) }, drop: true})
}

// post hands something to do to the loop's goroutine.
func (l *Loop) post(do func()) { l.send(message{do: do}) }

func (l *Loop) send(m message) {
	l.mu.Lock()
	if l.phase != 2 {
		l.inbox = append(l.inbox, m)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Loop) now() time.Time {
	if l.c.Env.Now == nil {
		return time.Now()
	}
	return l.c.Env.Now()
}

func (l *Loop) run() {
	defer close(l.done)
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		sleep := l.Turn()
		if l.stopping {
			return
		}
		if sleep >= 0 {
			timer.Reset(sleep)
		} else {
			timer.Stop()
		}
		select {
		case <-l.ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// Turn does what the loop was asked for and what is due, and returns how long it may sleep then; negative is until it is
// asked for something. Turns are made by one goroutine: the loop's own after Start, the caller's after Begin.
func (l *Loop) Turn() time.Duration {
	l.mu.Lock()
	messages := l.inbox
	l.inbox = nil
	l.room.Broadcast()
	l.mu.Unlock()
	l.stopping = l.ctx.Err() != nil
	for _, m := range messages {
		if !l.stopping || m.drop { // the others may have failed for that reason alone
			m.do()
		}
	}
	if l.stopping {
		l.noteAll()
		return -1
	}
	now := l.now()
	l.watchClock(now)
	l.comeUp(now)
	l.launch(now)
	l.readEnds()
	l.held.Store(int64(l.slots.held))
	return l.sleep(now)
}

// begin begins a job that Stop waits for.
func (l *Loop) begin(job func()) {
	l.checkers.Add(1)
	l.c.Go(func() {
		defer l.checkers.Done()
		job()
	})
}

// sleep is how long the loop may sleep; negative is until a message comes.
func (l *Loop) sleep(now time.Time) time.Duration {
	if len(l.heap) == 0 {
		return -1
	}
	return min(max(time.Duration(l.heap[0].at-now.UnixNano()), 0), longestSleep)
}

// watchClock makes every wait due when the clock was set back: an entry an hour ahead may have been due in a moment.
func (l *Loop) watchClock(now time.Time) {
	back := l.last.Round(0).Sub(now.Round(0))
	l.last = now
	if back <= time.Second {
		return
	}
	l.c.Log.Warn("the clock was set back; every wait is looked at now", "by", back, "waits", l.slots.held)
	for _, g := range l.groups {
		for i, e := range g.waits {
			if l.isWait(e) {
				g.waits[i].at = min(e.at, now.UnixNano())
				l.slots.at(e.ref).due = g.waits[i].at
			}
		}
		g.waits.order()
		l.arm(g)
	}
}

// comeUp handles the entries whose time has come.
func (l *Loop) comeUp(now time.Time) {
	for len(l.heap) > 0 && l.heap[0].at <= now.UnixNano() {
		e := l.heap.pop()
		switch {
		case !l.isLive(e):
		case e.ref == noteRef:
			l.noteAll()
		case e.ref&groupRef != 0:
			l.rise(l.groupByID[e.ref&^groupRef])
		case l.slots.at(e.ref).phase == straying:
			l.recall(e.ref)
		default:
			l.timeOut(e.ref)
		}
	}
	if len(l.heap) > 2*(l.deadlines+len(l.groups))+1024 {
		l.heap.keep(l.isLive)
	}
}

// isLive tells entries that still mean something.
func (l *Loop) isLive(e entry) bool {
	switch {
	case e.ref == noteRef:
		return true
	case e.ref&groupRef != 0:
		g := l.groupByID[e.ref&^groupRef]
		return g != nil && g.armed == e.at && g.version == e.version
	}
	s := l.slots.at(e.ref)
	return s.version == e.version && (s.phase == waiting || s.phase == checking || s.phase == straying)
}
