package stepfunctions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
)

// errStopped is returned for work that arrives while the service stops.
var errStopped = errors.New("the Step Functions service is stopping")

// errEnded is returned for events to an execution that has succeeded and cannot go on.
var errEnded = errors.New("the execution has ended")

// retryAfter is how long an event waits after the journal refused to store its effect.
const retryAfter = time.Second

// engine moves executions: it feeds events to the interpreter, stores what follows, and then carries out the commands.
//
// An execution is in memory only while it has something to do: an event in work or a task handed out. One that waits
// for a time is a row and an entry in the heap of timers.
type engine struct {
	journal  *journal.Journal
	handlers *handlers.Set
	now      func() time.Time
	log      *slog.Logger
	config   *Config
	machines *machineCache
	timers   *timers
	lastID   atomic.Int64

	ctx   context.Context //nolint:containedctx // the life of the engine
	stop  context.CancelFunc
	group sync.WaitGroup
	// steps bounds how many woken executions are moved at once.
	steps chan struct{}

	mu      sync.Mutex
	closed  bool
	live    map[int64]*live
	queue   []func()
	running int
}

// live is an execution in memory. Its inbox, busy and cancels are guarded by the engine's mutex; x and row belong to
// the goroutine that made it busy.
type live struct {
	id      int64
	inbox   []item
	busy    bool
	cancels map[int64]context.CancelFunc

	x   *interp.Execution
	row *journal.Execution
}

// item is an event for an execution. done, when set, is told the row after the event or why it was not applied.
type item struct {
	event interp.Event
	// check may refuse the event, looking at the row before it.
	check func(*journal.Execution) error
	// note may add to the row that is stored with the event's effect.
	note func(*journal.Execution)
	// task is the number of the task that the event answers, else 0.
	task int64
	done func(*journal.Execution, error)
}

func newEngine(c *Config, j *journal.Journal, set *handlers.Set) *engine {
	e := &engine{journal: j, handlers: set, now: c.Clock, log: c.Logger, config: c, live: map[int64]*live{},
		steps: make(chan struct{}, 256)}
	e.machines = newMachineCache(j)
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.timers = newTimers(e.now, e.wake)
	return e
}

// start takes up every execution that was running when the journal was last used.
func (e *engine) start(ctx context.Context) error {
	last, err := e.journal.ExecutionLastID(ctx)
	if err != nil {
		return err
	}
	e.lastID.Store(last)
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
	if e.closed {
		e.mu.Unlock()
		it.finish(nil, errStopped)
		return
	}
	l := e.live[id]
	if l == nil {
		l = &live{id: id}
		e.live[id] = l
	}
	l.inbox = append(l.inbox, it)
	if it.task != 0 {
		// In one go with the answer's arrival: a task without canceller and answer would be handed out again.
		delete(l.cancels, it.task)
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
			if len(l.cancels) == 0 {
				delete(e.live, l.id)
			}
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		err := e.apply(l, items)
		switch {
		case errors.Is(err, errEnded):
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
	wake := l.x.Wake()
	noted := false
	for _, it := range items {
		if it.check != nil {
			if err := it.check(l.row); err != nil {
				it.finish(l.row, err)
				continue
			}
		}
		s := l.x.Handle(it.event, e.now())
		step.Events = append(step.Events, s.Events...)
		step.Tasks = append(step.Tasks, s.Tasks...)
		step.Cancelled = append(step.Cancelled, s.Cancelled...)
		if it.note != nil {
			it.note(l.row)
			noted = true
		}
		accepted = append(accepted, it)
	}
	if len(step.Events) > 0 || noted || !l.x.Wake().Equal(wake) {
		if err := fill(l.row, l.x); err != nil {
			return err
		}
		if err := e.journal.ExecutionSave(l.row, chunk(step)); err != nil {
			return err
		}
	}
	e.timers.set(l.id, l.x.Wake())
	e.command(l, step)
	for _, it := range accepted {
		it.finish(l.row, nil)
	}
	return nil
}

// load reads an execution from the journal. Tasks that nobody works on, because the service was restarted, are handed
// out again, except for those whose answers are among the items.
func (e *engine) load(l *live, items []item) error {
	row, err := e.journal.ExecutionByID(e.ctx, l.id)
	if err != nil {
		return fmt.Errorf("load execution %d: %w", l.id, err)
	}
	machine, err := e.machines.revision(e.ctx, row.Revision)
	if err != nil {
		return err
	}
	revision, err := e.journal.RevisionGet(e.ctx, row.Revision)
	if err != nil {
		return err
	}
	if row.State == nil {
		l.row = row
		return errEnded
	}
	x, err := interp.Restore(machine, e.info(row, revision.RoleARN), row.State)
	if err != nil {
		return err
	}
	l.row, l.x = row, x
	step := &interp.Step{Tasks: x.PendingTasks()}
	for _, it := range items {
		// Naming an answered task as cancelled keeps it from being handed out.
		if it.task != 0 {
			step.Cancelled = append(step.Cancelled, it.task)
		}
	}
	e.command(l, step)
	return nil
}

func (e *engine) info(row *journal.Execution, role string) interp.Info {
	return interp.Info{
		ExecutionARN: row.ARN, ExecutionName: row.Name, MachineARN: row.MachineARN, MachineName: row.MachineName,
		RoleARN: role, Region: regionOf(row.ARN), Input: row.Input, StartTime: row.Started, WaitScale: e.config.WaitScale,
	}
}

// begin starts a new execution. created is false when its name is taken.
func (e *engine) begin(row *journal.Execution, m *asl.Machine, role string) (created bool, err error) {
	row.ID = e.lastID.Add(1)
	x, err := interp.New(m, e.info(row, role))
	if err != nil {
		return false, err
	}
	step := x.Start(row.Started)
	if err := fill(row, x); err != nil {
		return false, err
	}
	// The execution is busy from before it can be found, so that nobody loads it a second time.
	l := &live{id: row.ID, busy: true, x: x, row: row}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false, errStopped
	}
	e.live[row.ID] = l
	e.mu.Unlock()
	if created, err = e.journal.ExecutionCreate(row, chunk(step)); err == nil && created {
		e.timers.set(row.ID, x.Wake())
		e.command(l, step)
	}
	e.work(l)
	return created, err
}

// command carries out what a stored step asks for.
func (e *engine) command(l *live, step *interp.Step) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range step.Cancelled {
		if cancel := l.cancels[id]; cancel != nil {
			cancel()
			delete(l.cancels, id)
		}
	}
	for _, task := range step.Tasks {
		if l.cancels[task.ID] != nil || isCancelled(step.Cancelled, task.ID) || e.closed {
			continue
		}
		ctx, cancel := context.WithCancel(e.ctx)
		if l.cancels == nil {
			l.cancels = map[int64]context.CancelFunc{}
		}
		l.cancels[task.ID] = cancel
		arn := l.row.ARN
		e.enqueue(func() { e.perform(ctx, cancel, l.id, arn, task) })
	}
}

func isCancelled(ids []int64, id int64) bool {
	for _, c := range ids {
		if c == id {
			return true
		}
	}
	return false
}

// enqueue runs a task as soon as fewer than MaxTasks run. The mutex is held.
func (e *engine) enqueue(run func()) {
	if e.running >= e.config.MaxTasks {
		e.queue = append(e.queue, run)
		return
	}
	e.running++
	e.group.Go(func() {
		for run != nil {
			run()
			run = e.dequeue()
		}
	})
}

// dequeue returns the next task, or nil after giving the slot back.
func (e *engine) dequeue() func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 || e.closed {
		e.running--
		return nil
	}
	run := e.queue[0]
	e.queue[0] = nil
	e.queue = e.queue[1:]
	return run
}

// perform does one task and reports its end to the execution.
func (e *engine) perform(ctx context.Context, cancel context.CancelFunc, id int64, arn string, task interp.Task) {
	defer cancel()
	if ctx.Err() != nil {
		return
	}
	out, err := e.handlers.Do(ctx, handlers.Request{Resource: task.Resource, Input: task.Input, ExecutionARN: arn,
		State: task.State})
	if ctx.Err() != nil {
		// Cancelled, or the service stops: a stored task is performed again after the next start.
		return
	}
	it := item{task: task.ID}
	var failed *handlers.TaskError
	switch {
	case errors.As(err, &failed):
		it.event = interp.TaskFailed{ID: task.ID, Error: failed.Name, Cause: failed.Cause}
	case err != nil:
		it.event = interp.TaskFailed{ID: task.ID, Error: asl.ErrTaskFailed, Cause: err.Error()}
	default:
		it.event = interp.TaskSucceeded{ID: task.ID, Output: out}
	}
	e.submit(id, it)
}

// fill copies the interpreter's view of an execution into its row.
func fill(row *journal.Execution, x *interp.Execution) error {
	row.Status = string(x.Status())
	row.Stopped = x.StopTime()
	row.Output = x.Output()
	row.Error, row.Cause = x.Failure()
	row.Wake = x.Wake()
	row.HasTasks = x.HasTasks()
	row.LastEvent = x.LastEventID()
	row.Redrives, row.Redriven = x.Redrives()
	row.State = nil
	if x.Status() == interp.Succeeded {
		return nil
	}
	var err error
	row.State, err = x.Snapshot()
	return err
}

// chunk encodes a step's events for the journal.
func chunk(step *interp.Step) journal.Chunk {
	if len(step.Events) == 0 {
		return journal.Chunk{}
	}
	c := journal.Chunk{First: step.Events[0].ID, Last: step.Events[len(step.Events)-1].ID}
	for i := range step.Events {
		c.Events = append(step.Events[i].Append(c.Events), '\n')
	}
	return c
}
