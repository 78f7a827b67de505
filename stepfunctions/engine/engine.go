// Package engine moves executions: it feeds events to the interpreter, stores what follows in the journal, and then
// carries out the commands: it hands tasks to handlers and to workers, sets timers, drives map runs, and tells who waits
// for an end.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/events"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/mapitems"
)

// ErrStopped is returned for work that arrives while the service stops.
var ErrStopped = errors.New("the Step Functions service is stopping")

// ErrEnded is returned for events to an execution that cannot go on.
var ErrEnded = errors.New("the execution has ended")

// ErrTooManyExecutions refuses a start while as many executions run as may.
var ErrTooManyExecutions = errors.New("too many open executions")

// maxOpen is how many standard executions may run at once.
const maxOpen = 1_000_000

// ErrTaskClosed refuses the answer to a task that has ended.
var ErrTaskClosed = errors.New("the task has ended")

// ErrInvalidToken refuses a text that is no task token of this journal.
var ErrInvalidToken = errors.New("invalid task token")

// Config says how the engine runs. All fields but S3Folder, Events and WaitScale are needed.
type Config struct {
	// AccountID is the account in ARNs.
	AccountID string
	// MaxTasks is how many handlers run at once.
	MaxTasks int
	// WaitScale multiplies the length of Wait states and retry delays; 0 and 1 leave them.
	WaitScale float64
	// S3Folder is the folder that stands for S3 in distributed maps; empty means none.
	S3Folder string
	// Clock tells the time.
	Clock func() time.Time
	// Logger gets what goes wrong.
	Logger *slog.Logger
	// Events, when set, gets the status changes of standard executions after they were stored.
	Events events.Sink
	// Describe writes an execution as DescribeExecution does, for the tasks that wait for it.
	Describe func(*journal.Execution) ([]byte, error)
}

// retryAfter is how long an event waits after the journal refused to store its effect.
const retryAfter = time.Second

// Engine moves executions. It is safe for concurrent use.
//
// An execution is in memory only while it has something to do: an event in work, a handler or a map run at work. One
// that waits for a time is a row and an entry in the heap of timers; one that waits for a worker or a task token is a
// row. Express executions are the exception: they are in memory only, from begin to end, and are gone after a restart.
type Engine struct {
	journal  *journal.Journal
	handlers *handlers.Set
	now      func() time.Time
	log      *slog.Logger
	config   *Config
	// Machines are the state machines and their compiled definitions.
	Machines *MachineCache
	timers   *timers
	tokens   tokens
	data     *mapitems.Store
	hub      *activityHub
	lastID   atomic.Int64
	// lastExpress counts the numbers of express executions down from a random negative one, so that a task token of an
	// earlier run of the service names none of this one.
	lastExpress atomic.Int64
	// open counts the running standard executions.
	open atomic.Int64

	ctx   context.Context //nolint:containedctx // the life of the engine
	stop  context.CancelFunc
	group sync.WaitGroup
	// steps bounds how many woken executions are moved at once.
	steps chan struct{}

	mu     sync.Mutex
	closed bool
	live   map[int64]*live
	// runs are the map runs that are being driven, by their tasks; of two drivers of one run, the newer.
	runs     map[caller]*mapRunDriver
	runsByID map[int64]*mapRunDriver
	queue    []func()
	running  int
}

// live is an execution in memory. Its inbox, busy, cancels and early are guarded by the engine's mutex; x and row belong
// to the goroutine that made it busy.
type live struct {
	id    int64
	inbox []Item
	busy  bool
	// cancels are the handlers at work.
	cancels map[int64]context.CancelFunc
	// early are the answers to tasks whose calls have not returned yet.
	early map[int64]Item
	// mapRun is the number of the map run whose express child this is, else 0.
	mapRun int64
	// onEnd is told the row when an express execution ends.
	onEnd func(*journal.Execution)

	x       *interp.Execution
	row     *journal.Execution
	machine *Compiled
	// split tells that parts of the snapshot are stored on their own.
	split bool
}

// express tells that the execution is in memory only.
func (l *live) express() bool { return l.id < 0 }

// Item is an event for an execution.
type Item struct {
	// Event is what happened; nil when only Note is wanted.
	Event interp.Event
	// Check may refuse the event, looking at the execution before it.
	Check func(*interp.Execution, *journal.Execution) error
	// Note may add to the row that is stored with the event's effect.
	Note func(*journal.Execution)

	// make gives the event when it depends on the execution; nil means that there is none.
	make func(*live) interp.Event
	// withdraw is an activity task that is no longer on offer, else 0.
	withdraw int64
	// task is the number of the task whose handler has ended, else 0.
	task int64
	// done, when set, is told the row after the event or why it was not applied.
	done func(*journal.Execution, error)
}

// New returns an engine that does nothing before Start.
func New(c Config, j *journal.Journal, set *handlers.Set) *Engine {
	e := &Engine{journal: j, handlers: set, now: c.Clock, log: c.Logger, config: &c, live: map[int64]*live{},
		runs: map[caller]*mapRunDriver{}, runsByID: map[int64]*mapRunDriver{}, steps: make(chan struct{}, 256), tokens: newTokens(j.Secret())}
	e.Machines = newMachineCache(j)
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.timers = newTimers(e.now, e.wake)
	e.hub = newActivityHub()
	e.data = mapitems.Open(c.S3Folder)
	e.lastExpress.Store(-1 - rand.Int64N(1<<62))
	return e
}

// Start takes up every execution that was running when the journal was last used.
func (e *Engine) Start(ctx context.Context) error {
	last, err := e.journal.ExecutionLastID(ctx)
	if err != nil {
		return err
	}
	e.lastID.Store(last)
	if err := e.journal.ActivityARNs(ctx, e.hub.register); err != nil {
		return err
	}
	if err := e.journal.Offers(ctx, e.hub.offer); err != nil {
		return err
	}
	var resumed []int64
	err = e.journal.ExecutionsOpen(ctx, 0, func(o journal.OpenExecution) {
		e.open.Add(1)
		e.timers.set(o.ID, o.Wake)
		if o.HasTasks {
			resumed = append(resumed, o.ID)
		}
	})
	if err != nil {
		return err
	}
	deleting, err := e.journal.MachinesDeleting(ctx)
	if err != nil {
		return err
	}
	e.group.Go(func() { e.timers.run(e.ctx) })
	e.group.Go(func() { e.hub.run(e.ctx, e.serve) })
	for _, m := range deleting {
		if err := e.DeleteMachine(ctx, m); err != nil {
			return err
		}
	}
	e.group.Go(func() {
		for _, id := range resumed {
			e.wake(id)
		}
	})
	return nil
}

// Close stops everything and waits for it. What was running is taken up by the next start.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop()
	e.group.Wait()
}

// spawn runs f in the background unless the engine is closed.
func (e *Engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.group.Go(f)
	}
	return !e.closed
}

// wake moves an execution whose time has come. It blocks while too many others are being moved.
func (e *Engine) wake(id int64) {
	select {
	case e.steps <- struct{}{}:
	case <-e.ctx.Done():
		return
	}
	e.group.Go(func() {
		defer func() { <-e.steps }()
		e.submit(id, Item{Event: interp.Tick{}})
	})
}

// Do applies an event and returns the row after it.
func (e *Engine) Do(id int64, it Item) (*journal.Execution, error) {
	type answer struct {
		row *journal.Execution
		err error
	}
	answers := make(chan answer, 1)
	it.done = func(row *journal.Execution, err error) { answers <- answer{row, err} }
	e.submit(id, it)
	a := <-answers
	return a.row, a.err
}

// submit puts an event into an execution's inbox and works the inbox off unless someone already does.
func (e *Engine) submit(id int64, it Item) {
	e.mu.Lock()
	l := e.live[id]
	switch {
	case e.closed:
		e.mu.Unlock()
		it.finish(nil, ErrStopped)
		return
	case l == nil && id < 0:
		e.mu.Unlock()
		it.finish(nil, journal.ErrNotFound)
		return
	case l == nil:
		l = &live{id: id}
		e.live[id] = l
	}
	l.inbox = append(l.inbox, it)
	if it.task != 0 {
		// In one go with the answer's arrival: a task without canceller and answer would be handed out again.
		delete(l.cancels, it.task)
		if answer, ok := l.early[it.task]; ok {
			delete(l.early, it.task)
			l.inbox = append(l.inbox, answer)
		}
	}
	if l.busy {
		e.mu.Unlock()
		return
	}
	l.busy = true
	e.mu.Unlock()
	e.work(l)
}

// finish reports the end of an item with a copy of the row, which goes on changing.
func (it *Item) finish(row *journal.Execution, err error) {
	if it.done == nil {
		return
	}
	if row != nil {
		c := *row
		row = &c
	}
	it.done(row, err)
}

// work applies what is in the inbox, all of it in one transaction, until the inbox is empty.
func (e *Engine) work(l *live) {
	for {
		e.mu.Lock()
		items := l.inbox
		l.inbox = nil
		if len(items) == 0 {
			l.busy = false
			if len(l.cancels) == 0 && (!l.express() || l.x == nil || l.x.Status() != interp.Running) {
				delete(e.live, l.id)
			}
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		err := e.apply(l, items)
		switch {
		case errors.Is(err, ErrEnded), errors.Is(err, journal.ErrNotFound):
			for _, it := range items {
				it.finish(l.row, err)
			}
		case err != nil:
			e.postpone(l, items, err)
			return
		}
	}
}

// postpone keeps events whose effect could not be stored, for another attempt. Whoever waits for an event is told at
// once.
func (e *Engine) postpone(l *live, items []Item, err error) {
	if e.ctx.Err() == nil {
		e.log.Error("the step of an execution could not be stored", "execution", l.id, "error", err)
	}
	l.x = nil
	var kept []Item
	for _, it := range items {
		if it.done == nil {
			kept = append(kept, it)
		} else {
			it.finish(nil, err)
		}
	}
	e.mu.Lock()
	l.inbox = append(kept, l.inbox...)
	l.busy = false
	e.mu.Unlock()
	e.timers.set(l.id, e.now().Add(retryAfter))
}

// apply feeds events to the interpreter and stores what follows.
func (e *Engine) apply(l *live, items []Item) error {
	if l.x == nil {
		if err := e.load(l, items); err != nil {
			return err
		}
	}
	step := &interp.Step{}
	accepted := make([]Item, 0, len(items))
	before, wake := standing(l), l.x.Wake()
	noted := false
	var withdrawn []int64
	for _, it := range items {
		if it.Check != nil {
			if err := it.Check(l.x, l.row); err != nil {
				it.finish(l.row, err)
				continue
			}
		}
		event := it.Event
		if it.make != nil {
			event = it.make(l)
		}
		if event != nil {
			join(step, l.x.Handle(event, e.now()))
		}
		if it.Note != nil {
			it.Note(l.row)
			noted = true
		}
		if it.withdraw != 0 {
			withdrawn = append(withdrawn, it.withdraw)
		}
		accepted = append(accepted, it)
	}
	if len(step.Events) > 0 || noted || len(withdrawn) > 0 || !l.x.Wake().Equal(wake) {
		if err := e.store(l, step, withdrawn); err != nil {
			return err
		}
	}
	e.carryOut(l, step, before)
	for _, it := range accepted {
		it.finish(l.row, nil)
	}
	return nil
}

func join(step, more *interp.Step) {
	step.Events = append(step.Events, more.Events...)
	step.Tasks = append(step.Tasks, more.Tasks...)
	step.MapRuns = append(step.MapRuns, more.MapRuns...)
	step.Cancelled = append(step.Cancelled, more.Cancelled...)
}

// carryOut does what follows from a stored step: timers, commands, and telling who waits for the end.
func (e *Engine) carryOut(l *live, step *interp.Step, before standingAt) {
	e.timers.set(l.id, l.x.Wake())
	e.command(l, step, false)
	after := standing(l)
	if after.redrives > before.redrives {
		e.open.Add(1)
		e.publish(l.row, string(interp.Running), l.row.Redriven)
		before.status = interp.Running
	}
	if after.status != before.status {
		e.ended(l)
	}
}

// standingAt is where an execution stands: a redriven one may have the same status after a step as before.
type standingAt struct {
	status   interp.Status
	redrives int
}

func standing(l *live) standingAt {
	n, _ := l.x.Redrives()
	return standingAt{l.x.Status(), n}
}

// info is what the interpreter must know about an execution.
func (e *Engine) info(row *journal.Execution, role string) (interp.Info, error) {
	id := row.ID
	info := interp.Info{
		ExecutionARN: row.ARN, ExecutionName: row.Name, MachineARN: row.MachineARN, MachineName: row.MachineName,
		VersionARN: orEmpty(row.VersionARN), AliasARN: orEmpty(row.AliasARN), RoleARN: role, Region: arns.Region(row.ARN),
		Input: row.Input, StartTime: row.Started, Express: arns.IsExpress(row.ARN), WaitScale: e.config.WaitScale,
		TaskToken:      func(task int64) string { return e.tokens.make(id, task) },
		ActivityExists: e.hub.known,
	}
	if row.MapRun != 0 {
		run, err := e.MapRun(row.MapRun)
		if err != nil {
			return info, err
		}
		info.MapState = run.State
	}
	return info, nil
}

// Begin starts a new execution. created is false when its name is taken. onEnd may be nil; it is for express executions.
func (e *Engine) Begin(row *journal.Execution, m *Compiled, onEnd func(*journal.Execution)) (created bool, err error) {
	l := &live{busy: true, row: row, machine: m, onEnd: onEnd, mapRun: row.MapRun}
	if arns.IsExpress(row.ARN) {
		row.ID = e.lastExpress.Add(-1)
	} else {
		row.ID = e.lastID.Add(1)
	}
	l.id = row.ID
	if !l.express() && e.open.Load() >= maxOpen {
		return false, ErrTooManyExecutions
	}
	info, err := e.info(row, m.Role)
	if err != nil {
		return false, err
	}
	if l.x, err = interp.New(m.Machine, info); err != nil {
		return false, err
	}
	step := l.x.Start(row.Started)
	change := e.change(l, step, nil)
	// The execution is busy from before it can be found, so that nobody loads it a second time.
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false, ErrStopped
	}
	e.live[l.id] = l
	e.mu.Unlock()
	created = true
	if !l.express() {
		created, err = e.journal.ExecutionCreate(row, change)
	}
	if created && err == nil {
		if !l.express() {
			e.open.Add(1)
			e.publish(l.row, string(interp.Running), row.Started)
		}
		e.carryOut(l, step, standingAt{status: interp.Running})
	} else {
		// Nothing of it was stored: whoever may have put something into the inbox meant nothing.
		l.x, l.row = nil, nil
	}
	e.work(l)
	return created && err == nil, err
}

// Stats are the engine's counters.
type Stats struct {
	// Waiting is how many executions wait for a time, Workers how many requests for activity tasks, and InMemory how many
	// executions are being worked on or have handlers at work.
	Waiting, Workers, InMemory int
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	n := len(e.live)
	e.mu.Unlock()
	return Stats{Waiting: e.timers.len(), Workers: e.hub.waiting(), InMemory: n}
}

// RegisterActivity tells that an activity exists.
func (e *Engine) RegisterActivity(arn string) { e.hub.register(arn) }

// UnregisterActivity tells that an activity exists no longer.
func (e *Engine) UnregisterActivity(arn string) { e.hub.unregister(arn) }
