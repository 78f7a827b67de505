package stepfunctions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gust/stepfunctions/handlers"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/mapitems"
)

// errStopped is returned for work that arrives while the service stops.
var errStopped = errors.New("the Step Functions service is stopping")

// errEnded is returned for events to an execution that cannot go on.
var errEnded = errors.New("the execution has ended")

// retryAfter is how long an event waits after the journal refused to store its effect.
const retryAfter = time.Second

// engine moves executions: it feeds events to the interpreter, stores what follows, and then carries out the commands.
//
// An execution is in memory only while it has something to do: an event in work, a handler or a map run at work. One
// that waits for a time is a row and an entry in the heap of timers; one that waits for a worker or a task token is a
// row. Express executions are the exception: they are in memory only, from begin to end, and are gone after a restart.
type engine struct {
	journal  *journal.Journal
	handlers *handlers.Set
	now      func() time.Time
	log      *slog.Logger
	config   *Config
	machines *machineCache
	timers   *timers
	tokens   tokens
	data     *mapitems.Store
	hub      *activityHub
	lastID   atomic.Int64
	// lastExpress counts the numbers of express executions down from a random negative one, so that a task token of an
	// earlier run of the service names none of this one.
	lastExpress atomic.Int64

	ctx   context.Context //nolint:containedctx // the life of the engine
	stop  context.CancelFunc
	group sync.WaitGroup
	// steps bounds how many woken executions are moved at once.
	steps chan struct{}

	mu       sync.Mutex
	closed   bool
	live     map[int64]*live
	runs     map[caller]*mapRunDriver
	runsByID map[int64]*mapRunDriver
	queue    []func()
	running  int
}

// live is an execution in memory. Its inbox, busy, cancels and early are guarded by the engine's mutex; x and row belong
// to the goroutine that made it busy.
type live struct {
	id    int64
	inbox []item
	busy  bool
	// cancels are the handlers at work.
	cancels map[int64]context.CancelFunc
	// early are the answers to tasks whose calls have not returned yet.
	early map[int64]item
	// mapRun is the number of the map run whose express child this is, else 0.
	mapRun int64
	// onEnd is told the row when an express execution ends.
	onEnd func(*journal.Execution)

	x       *interp.Execution
	row     *journal.Execution
	machine *compiled
	// split tells that parts of the snapshot are stored on their own.
	split bool
}

// express tells that the execution is in memory only.
func (l *live) express() bool { return l.id < 0 }

// item is an event for an execution. done, when set, is told the row after the event or why it was not applied.
type item struct {
	event interp.Event
	// make gives the event when it depends on the execution; nil means that there is none.
	make func(*live) interp.Event
	// check may refuse the event, looking at the execution before it.
	check func(*live) error
	// note may add to the row that is stored with the event's effect.
	note func(*journal.Execution)
	// withdraw is an activity task that is no longer on offer, else 0.
	withdraw int64
	// task is the number of the task whose handler has ended, else 0.
	task int64
	done func(*journal.Execution, error)
}

func newEngine(c *Config, j *journal.Journal, set *handlers.Set) *engine {
	e := &engine{journal: j, handlers: set, now: c.Clock, log: c.Logger, config: c, live: map[int64]*live{},
		runs: map[caller]*mapRunDriver{}, runsByID: map[int64]*mapRunDriver{}, steps: make(chan struct{}, 256), tokens: newTokens(j.Secret())}
	e.machines = newMachineCache(j)
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.timers = newTimers(e.now, e.wake)
	e.hub = newActivityHub()
	e.data = mapitems.Open(c.DataDir)
	e.lastExpress.Store(-1 - rand.Int64N(1<<62))
	return e
}

// start takes up every execution that was running when the journal was last used.
func (e *engine) start(ctx context.Context) error {
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
	for _, m := range deleting {
		if err := e.deleteMachine(ctx, m); err != nil {
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

// close stops everything and waits for it. What was running is taken up by the next start.
func (e *engine) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop()
	e.group.Wait()
}

// spawn runs f in the background unless the engine is closed.
func (e *engine) spawn(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.group.Go(f)
	}
}

// wake moves an execution whose time has come. It blocks while too many others are being moved.
func (e *engine) wake(id int64) {
	select {
	case e.steps <- struct{}{}:
	case <-e.ctx.Done():
		return
	}
	e.group.Go(func() {
		defer func() { <-e.steps }()
		e.submit(id, item{event: interp.Tick{}})
	})
}

// do applies an event and returns the row after it.
func (e *engine) do(id int64, it item) (*journal.Execution, error) {
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
func (e *engine) submit(id int64, it item) {
	e.mu.Lock()
	l := e.live[id]
	switch {
	case e.closed:
		e.mu.Unlock()
		it.finish(nil, errStopped)
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
func (it *item) finish(row *journal.Execution, err error) {
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
func (e *engine) work(l *live) {
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
		case errors.Is(err, errEnded), errors.Is(err, journal.ErrNotFound):
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
func (e *engine) postpone(l *live, items []item, err error) {
	if e.ctx.Err() == nil {
		e.log.Error("the step of an execution could not be stored", "execution", l.id, "error", err)
	}
	l.x = nil
	var kept []item
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
func (e *engine) apply(l *live, items []item) error {
	if l.x == nil {
		if err := e.load(l, items); err != nil {
			return err
		}
	}
	step := &interp.Step{}
	accepted := make([]item, 0, len(items))
	before, wake := l.x.Status(), l.x.Wake()
	noted := false
	var withdrawn []int64
	for _, it := range items {
		if it.check != nil {
			if err := it.check(l); err != nil {
				it.finish(l.row, err)
				continue
			}
		}
		event := it.event
		if it.make != nil {
			event = it.make(l)
		}
		if event != nil {
			join(step, l.x.Handle(event, e.now()))
		}
		if it.note != nil {
			it.note(l.row)
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

// store fills the row and writes it with the effects of a step. An express execution only fills the row.
func (e *engine) store(l *live, step *interp.Step, withdrawn []int64) error {
	c := e.change(l, step, withdrawn)
	if l.express() {
		return nil
	}
	return e.journal.ExecutionSave(l.row, c)
}

// carryOut does what follows from a stored step: timers, commands, and telling who waits for the end.
func (e *engine) carryOut(l *live, step *interp.Step, before interp.Status) {
	e.timers.set(l.id, l.x.Wake())
	e.command(l, step)
	if after := l.x.Status(); after != before {
		e.changed(l, after)
	}
}

// load reads an execution from the journal. Tasks that nobody works on, because the service was restarted, are handed
// out again, except for those whose answers are among the items.
func (e *engine) load(l *live, items []item) error {
	row, err := e.journal.ExecutionByID(e.ctx, l.id)
	if errors.Is(err, journal.ErrNotFound) {
		return err
	}
	if err != nil {
		return fmt.Errorf("load execution %d: %w", l.id, err)
	}
	machine, err := e.machines.revision(e.ctx, row.Revision)
	if err != nil {
		return err
	}
	if row.State == nil {
		l.row = row
		return errEnded
	}
	info, err := e.info(row, machine.role)
	if err != nil {
		return err
	}
	stored, err := e.journal.ExecutionParts(e.ctx, l.id)
	if err != nil {
		return err
	}
	parts := make([]interp.Part, len(stored))
	for i, p := range stored {
		parts[i] = interp.Part(*p)
	}
	x, err := interp.Restore(machine.machine, info, row.State, parts...)
	if err != nil {
		return err
	}
	l.row, l.x, l.machine, l.split = row, x, machine, len(parts) > 0
	if !row.HasTasks {
		return nil
	}
	e.resume(l, items)
	return nil
}

// info is what the interpreter must know about an execution.
func (e *engine) info(row *journal.Execution, role string) (interp.Info, error) {
	id := row.ID
	info := interp.Info{
		ExecutionARN: row.ARN, ExecutionName: row.Name, MachineARN: row.MachineARN, MachineName: row.MachineName,
		VersionARN: orText(row.VersionARN, ""), AliasARN: orText(row.AliasARN, ""), RoleARN: role, Region: regionOf(row.ARN),
		Input: row.Input, StartTime: row.Started, Express: isExpress(row.ARN), WaitScale: e.config.WaitScale,
		TaskToken:      func(task int64) string { return e.tokens.make(id, task) },
		ActivityExists: e.hub.known,
	}
	if row.MapRun != 0 {
		run, err := e.mapRun(row.MapRun)
		if err != nil {
			return info, err
		}
		info.MapState = run.State
	}
	return info, nil
}

// begin starts a new execution. created is false when its name is taken. onEnd may be nil; it is for express executions.
func (e *engine) begin(row *journal.Execution, m *compiled, onEnd func(*journal.Execution)) (created bool, err error) {
	l := &live{busy: true, row: row, machine: m, onEnd: onEnd, mapRun: row.MapRun}
	if isExpress(row.ARN) {
		row.ID = e.lastExpress.Add(-1)
	} else {
		row.ID = e.lastID.Add(1)
	}
	l.id = row.ID
	info, err := e.info(row, m.role)
	if err != nil {
		return false, err
	}
	if l.x, err = interp.New(m.machine, info); err != nil {
		return false, err
	}
	step := l.x.Start(row.Started)
	change := e.change(l, step, nil)
	// The execution is busy from before it can be found, so that nobody loads it a second time.
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false, errStopped
	}
	e.live[l.id] = l
	e.mu.Unlock()
	created = true
	if !l.express() {
		created, err = e.journal.ExecutionCreate(row, change)
	}
	if created && err == nil {
		if !l.express() {
			e.publish(l.row, string(interp.Running), row.Started)
		}
		e.carryOut(l, step, interp.Running)
	} else {
		// Nothing of it was stored: whoever may have put something into the inbox meant nothing.
		l.x, l.row = nil, nil
	}
	e.work(l)
	return created && err == nil, err
}

// fill copies the interpreter's view of an execution into its row.
func fill(l *live) {
	row, x := l.row, l.x
	row.Status = string(x.Status())
	row.Stopped = x.StopTime()
	row.Output = x.Output()
	row.Error, row.Cause = x.Failure()
	row.Wake = x.Wake()
	row.HasTasks = x.HasTasks()
	row.LastEvent = x.LastEventID()
	row.Redrives, row.Redriven = x.Redrives()
}

// change brings the row up to date and collects what a step adds to the journal.
func (e *engine) change(l *live, step *interp.Step, withdrawn []int64) journal.Change {
	fill(l)
	c := journal.Change{Withdrawn: withdrawn}
	if l.express() {
		return c
	}
	if len(step.Events) > 0 {
		c.Chunk.First, c.Chunk.Last = step.Events[0].ID, step.Events[len(step.Events)-1].ID
		for i := range step.Events {
			c.Chunk.Events = append(step.Events[i].Append(c.Chunk.Events), '\n')
		}
	}
	for i := range step.Tasks {
		if isActivity(&step.Tasks[i]) {
			c.Offered = append(c.Offered, journal.Offer{Activity: step.Tasks[i].Resource.ARN, Execution: l.id, Task: step.Tasks[i].ID})
		}
	}
	if l.machine.activities {
		c.Withdrawn = append(c.Withdrawn, step.Cancelled...)
	}
	for i := range step.MapRuns {
		c.MapRuns = append(c.MapRuns, e.newMapRun(l.row, &step.MapRuns[i]))
	}
	snapshot(l, &c)
	return c
}

// snapshot adds the interpreter's state. What has succeeded needs none.
func snapshot(l *live, c *journal.Change) {
	if l.x.Status() == interp.Succeeded {
		l.row.State, c.ClearParts, l.split = nil, l.split, false
		return
	}
	saved := l.x.Save()
	l.row.State, c.ClearParts = saved.State, saved.Clear && l.split
	for _, p := range saved.Parts {
		c.Parts = append(c.Parts, journal.Part(p))
	}
	l.split = l.split && !saved.Clear || len(saved.Parts) > 0
}
