package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/mapitems"
)

const (
	// maxChildren is how many children of a map run may run at once.
	maxChildren = 10_000
	// maxStarters is how many children of a map run are being started at once.
	maxStarters = 64

	mapRunSucceeded = "SUCCEEDED"
	mapRunFailed    = "FAILED"
	mapRunAborted   = "ABORTED"

	errExceeded   = "States.ExceedToleratedFailureThreshold"
	causeExceeded = "The specified tolerated failure threshold was exceeded"
)

// mapRunDriver runs a distributed Map: it reads the items, starts a child execution for each batch of them, and reports
// the end. It can be stopped at any moment and another one goes on: a child's name follows from the run and its first
// item.
type mapRunDriver struct {
	e    *Engine
	key  caller
	spec interp.MapRun
	// parent is the execution of the Map state as it was when the run began, machine its definition, state the snapshot
	// to evaluate ItemSelector with.
	parent  journal.Execution
	machine *Compiled
	state   []byte

	// before is the driver of the same run that has been told to abort and may still be doing so; nil when there is none.
	before *mapRunDriver
	done   chan struct{}
	// redriven tells that the run begins again because of a redrive, and not because of a restart.
	redriven bool

	ctx     context.Context //nolint:containedctx // the life of the run
	aborted atomic.Bool
	wake    chan struct{}

	// run, and bounds of spec, are guarded by mu; so is the inbox of ended children.
	mu    sync.Mutex
	run   *journal.MapRun
	inbox []childEnd
	fatal error

	// What follows belongs to the goroutine of the run.
	batches  *batchSource
	known    map[int64]childState
	running  map[int64]int64
	starting int
	failed   int64
	// active are the children, and their items, that are in memory only.
	active struct{ children, items atomic.Int64 }
}

// childEnd tells that a child has ended.
type childEnd struct {
	item, items int64
	succeeded   bool
}

// childState is a child that was there when the driver began.
type childState struct {
	id      int64
	items   int64
	status  string
	pending bool
}

// newMapRun is the row of a map run that begins.
func (e *Engine) newMapRun(parent *journal.Execution, spec *interp.MapRun) *journal.MapRun {
	run := &journal.MapRun{
		ARN: spec.ARN, Execution: parent.ID, Task: spec.ID, MachineName: parent.MachineName, Label: spec.Label, State: spec.State,
		Started: e.now().UTC(), MaxConcurrency: spec.MaxConcurrency, Redrives: spec.Redrives,
	}
	if spec.ToleratedCount != nil {
		run.ToleratedCount = *spec.ToleratedCount
	}
	if spec.ToleratedPercentage != nil {
		run.ToleratedPercentage = *spec.ToleratedPercentage
	}
	return run
}

// MapRun returns a map run by its number.
func (e *Engine) MapRun(id int64) (*journal.MapRun, error) {
	e.mu.Lock()
	d := e.runsByID[id]
	e.mu.Unlock()
	if d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		run := *d.run
		return &run, nil
	}
	return e.journal.MapRunByID(e.ctx, id)
}

// startMapRun begins to drive a map run. The mutex is held.
func (e *Engine) startMapRun(l *live, spec *interp.MapRun, resumed bool) {
	if e.closed || l.cancels[spec.ID] != nil {
		return
	}
	state, err := l.x.Snapshot()
	ctx, cancel := context.WithCancel(e.ctx)
	d := &mapRunDriver{
		e: e, key: caller{l.id, spec.ID}, spec: *spec, parent: *l.row, machine: l.machine, state: state, ctx: ctx, fatal: err,
		wake: make(chan struct{}, 1), done: make(chan struct{}), running: map[int64]int64{}, known: map[int64]childState{},
	}
	d.parent.State = nil
	d.before, d.redriven = e.runs[d.key], spec.Redrives > 0 && !resumed
	e.runs[d.key] = d
	if l.cancels == nil {
		l.cancels = map[int64]context.CancelFunc{}
	}
	l.cancels[spec.ID] = func() { d.aborted.Store(true); cancel() }
	e.group.Go(func() {
		defer cancel()
		d.drive()
	})
}

// childEnded tells the driver of a map run that a child has ended. Without a driver, the next one will see it.
func (e *Engine) childEnded(row *journal.Execution) {
	e.mu.Lock()
	d := e.runsByID[row.MapRun]
	e.mu.Unlock()
	if d != nil {
		d.push(childEnd{row.Item, row.ItemCount, row.Status == string(interp.Succeeded)})
	}
}

func (d *mapRunDriver) push(end childEnd) {
	d.mu.Lock()
	d.inbox = append(d.inbox, end)
	d.mu.Unlock()
	d.signal()
}

func (d *mapRunDriver) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// MapRunBounds are the bounds of a map run that may be changed while it is going on. Nil leaves one as it is.
type MapRunBounds struct {
	MaxConcurrency             *int64
	ToleratedFailurePercentage *float64
	ToleratedFailureCount      *int64
}

// MapRunActive returns how many children of a map run, and of their items, run in memory only: express ones.
func (e *Engine) MapRunActive(id int64) (children, items int64) {
	e.mu.Lock()
	d := e.runsByID[id]
	e.mu.Unlock()
	if d == nil {
		return 0, 0
	}
	return d.active.children.Load(), d.active.items.Load()
}

// UpdateMapRun changes the bounds of a map run. changed is false when it has ended.
func (e *Engine) UpdateMapRun(id int64, in MapRunBounds) (changed bool, err error) {
	e.mu.Lock()
	d := e.runsByID[id]
	e.mu.Unlock()
	if d == nil {
		return false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if in.MaxConcurrency != nil {
		d.spec.MaxConcurrency, d.run.MaxConcurrency = *in.MaxConcurrency, *in.MaxConcurrency
	}
	if in.ToleratedFailureCount != nil {
		d.spec.ToleratedCount, d.run.ToleratedCount = in.ToleratedFailureCount, *in.ToleratedFailureCount
	}
	if in.ToleratedFailurePercentage != nil {
		d.spec.ToleratedPercentage, d.run.ToleratedPercentage = in.ToleratedFailurePercentage, *in.ToleratedFailurePercentage
	}
	d.signal()
	return true, e.journal.MapRunSave(d.run)
}

// drive runs the map run from wherever it is to its end.
func (d *mapRunDriver) drive() {
	defer close(d.done)
	if d.before != nil {
		<-d.before.done
	}
	err := d.prepare()
	if err == nil {
		err = d.dispatch()
	}
	switch {
	case d.e.ctx.Err() != nil:
		// The service stops; the next one goes on.
	case d.aborted.Load():
		d.end(mapRunAborted, nil)
	case err != nil:
		d.fail(err)
	default:
		d.succeed()
	}
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	if d.run != nil {
		delete(d.e.runsByID, d.run.ID)
	}
	if d.e.runs[d.key] == d {
		delete(d.e.runs, d.key)
	}
}

// prepare finds out what there is to do: the row, the items, and the children that exist.
func (d *mapRunDriver) prepare() error {
	if d.fatal != nil {
		return d.fatal
	}
	run, err := d.e.journal.MapRunGet(d.e.ctx, d.spec.ARN)
	if err != nil {
		return err
	}
	if d.redriven {
		// What the driver before aborted after the redrive was stored must run again, too.
		if err := d.e.journal.MapRunChildrenPend(run.ID); err != nil {
			return err
		}
	}
	d.before = nil
	run.Status, run.Stopped = "RUNNING", time.Time{}
	d.adopt(run)
	d.e.mu.Lock()
	d.e.runsByID[run.ID] = d
	d.e.mu.Unlock()
	if d.batches, err = newBatchSource(d); err != nil {
		return err
	}
	d.mu.Lock()
	run.Items, run.Children = d.batches.items, d.batches.children
	err = d.e.journal.MapRunSave(run)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	return d.e.journal.MapRunChildren(d.e.ctx, run.ID, func(c *journal.Execution) error {
		d.known[c.Item] = childState{c.ID, c.ItemCount, c.Status, c.PendingRedrive}
		switch {
		case c.PendingRedrive:
		case c.Status == string(interp.Running):
			d.running[c.Item] = c.ID
		case c.Status != string(interp.Succeeded):
			d.failed += c.ItemCount
		}
		return nil
	})
}

// adopt takes over a row whose bounds may have been changed while the run was going on.
func (d *mapRunDriver) adopt(run *journal.MapRun) {
	d.mu.Lock()
	defer d.mu.Unlock()
	original := d.e.newMapRun(&d.parent, &d.spec)
	d.spec.MaxConcurrency = run.MaxConcurrency
	if run.ToleratedCount != original.ToleratedCount {
		d.spec.ToleratedCount = &run.ToleratedCount
	}
	if run.ToleratedPercentage != original.ToleratedPercentage {
		d.spec.ToleratedPercentage = &run.ToleratedPercentage
	}
	d.run = run
}

// dispatch starts children and waits for them until all have ended or too many have failed.
func (d *mapRunDriver) dispatch() error {
	defer d.batches.close()
	results := make(chan error, maxStarters)
	var next *mapitems.Batch
	more := true
	for {
		exceeded := d.settle()
		if d.ctx.Err() != nil || exceeded {
			return d.halt(results, exceeded)
		}
		for more && next == nil {
			batch, ok, err := d.batches.next()
			if err != nil {
				return errors.Join(err, d.halt(results, true))
			}
			if more = ok; ok && d.needed(&batch) {
				next = &batch
			}
		}
		if next != nil && len(d.running) < d.limit() && d.starting < maxStarters {
			d.start(*next, results)
			next = nil
			continue
		}
		if next == nil && len(d.running) == 0 && d.starting == 0 {
			return nil
		}
		select {
		case err := <-results:
			d.starting--
			if err != nil {
				return errors.Join(err, d.halt(results, true))
			}
		case <-d.wake:
		case <-d.ctx.Done():
		}
	}
}

func (d *mapRunDriver) limit() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.spec.MaxConcurrency; n > 0 && n < maxChildren {
		return int(n)
	}
	return maxChildren
}

// needed reports whether a batch has no child yet, or one that waits to be redriven.
func (d *mapRunDriver) needed(b *mapitems.Batch) bool {
	known, ok := d.known[b.First]
	return !ok || known.pending
}

// settle counts the children that have ended and reports whether too many have failed.
func (d *mapRunDriver) settle() (exceeded bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, end := range d.inbox {
		if _, ok := d.running[end.item]; !ok {
			continue // it had ended before the driver looked
		}
		delete(d.running, end.item)
		if !end.succeeded {
			d.failed += end.items
		}
	}
	d.inbox = d.inbox[:0]
	return d.failed > 0 && d.spec.Exceeded(d.failed, d.run.Items)
}

// start starts or redrives the child of a batch. Each start gives one result, also when the engine closes.
func (d *mapRunDriver) start(b mapitems.Batch, results chan<- error) {
	d.starting++
	row := d.child(&b)
	d.running[b.First] = 0
	known := d.known[b.First]
	if !d.e.spawn(func() { results <- d.startChild(row, known) }) {
		<-d.e.ctx.Done() // it follows at once; before it the refusal would look like a failure of the child
		results <- d.e.ctx.Err()
	}
}

// child is the execution of a batch before it starts.
func (d *mapRunDriver) child(b *mapitems.Batch) *journal.Execution {
	machine := d.parent.MachineName + "/" + d.spec.Label
	name := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s#%d", d.spec.ARN, b.First)).String()
	kind, rest := "execution", machine+":"+name
	if d.spec.Express {
		kind = "express"
		rest += ":" + uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s#%d#%d", d.spec.ARN, b.First, d.spec.Redrives)).String()
	}
	return &journal.Execution{
		ARN: arns.Make(arns.Region(d.parent.ARN), d.e.config.AccountID, kind, rest), Name: name, MachineARN: d.parent.MachineARN + "/" + d.spec.Label,
		MachineName: machine, Revision: d.parent.Revision, Started: d.e.now().UTC(), Input: b.Input, TestCase: d.parent.TestCase,
		MapRun: d.run.ID, Item: b.First, ItemCount: b.Items,
	}
}

func (d *mapRunDriver) startChild(row *journal.Execution, known childState) error {
	if known.pending && !d.spec.Express {
		_, err := d.e.Do(known.id, Item{Event: interp.Redrive{}, Note: func(e *journal.Execution) { e.PendingRedrive = false }})
		if errors.Is(err, ErrEnded) {
			err = nil
		}
		return err
	}
	if known.pending {
		// An express execution cannot go on: the child is started once more.
		if err := d.e.journal.ExecutionDelete(known.id); err != nil {
			return err
		}
	}
	var ended func(*journal.Execution)
	if d.spec.Express {
		ended = d.keep
	}
	if d.spec.Express {
		d.active.children.Add(1)
		d.active.items.Add(row.ItemCount)
	}
	created, err := d.e.Begin(row, d.machine, ended)
	if err == nil && !created {
		err = fmt.Errorf("the child execution of item %d exists already", row.Item)
	}
	return err
}

// keep stores an express child that has ended, for DescribeExecution and the results.
func (d *mapRunDriver) keep(row *journal.Execution) {
	stored := *row
	stored.ID = d.e.lastID.Add(1)
	defer d.active.children.Add(-1)
	defer d.active.items.Add(-row.ItemCount)
	if _, err := d.e.journal.ExecutionCreate(&stored, journal.Change{}); err != nil && d.e.ctx.Err() == nil {
		d.e.log.Error("the end of a child execution could not be stored", "execution", row.ARN, "error", err)
	}
}

// halt stops the children that run and waits for them. When the service itself stops, they are left as they are.
func (d *mapRunDriver) halt(results <-chan error, exceeded bool) error {
	for ; d.starting > 0; d.starting-- {
		<-results
	}
	if d.e.ctx.Err() != nil {
		return d.e.ctx.Err()
	}
	if err := d.abortChildren(); err != nil {
		return err
	}
	if exceeded {
		return &interp.Failure{Name: errExceeded, Cause: causeExceeded}
	}
	return d.ctx.Err()
}

// abortChildren aborts the children that run.
func (d *mapRunDriver) abortChildren() error {
	var ids []int64
	if d.spec.Express {
		d.e.mu.Lock()
		for id, l := range d.e.live {
			if l.mapRun == d.run.ID {
				ids = append(ids, id)
			}
		}
		d.e.mu.Unlock()
	} else {
		err := d.e.journal.MapRunChildren(d.e.ctx, d.run.ID, func(c *journal.Execution) error {
			if c.Status == string(interp.Running) {
				ids = append(ids, c.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range ids {
		_, err := d.e.Do(id, Item{Event: interp.Abort{}})
		if err != nil && !errors.Is(err, ErrEnded) && !errors.Is(err, journal.ErrNotFound) {
			return err
		}
	}
	return nil
}

// end stores the end of the run and reports it, unless it was aborted.
func (d *mapRunDriver) end(status string, event *interp.MapRunEnded) {
	if d.run == nil {
		return // it was aborted before there was anything to store
	}
	d.mu.Lock()
	d.run.Status, d.run.Stopped = status, d.e.now().UTC()
	err := d.e.journal.MapRunSave(d.run)
	d.mu.Unlock()
	if err != nil {
		d.e.log.Error("the end of a map run could not be stored", "map run", d.spec.ARN, "error", err)
	}
	if event != nil {
		d.e.submit(d.key.execution, Item{task: d.key.task, Event: *event})
	}
}

// fail ends the run with an error. What it did is written all the same.
func (d *mapRunDriver) fail(err error) {
	name, cause := "States.Runtime", err.Error()
	var failure *interp.Failure
	var data *mapitems.Error
	switch {
	case errors.As(err, &failure):
		name, cause = failure.Name, failure.Cause
	case errors.As(err, &data):
		name, cause = data.Name, data.Cause
	}
	if d.run == nil {
		d.e.submit(d.key.execution, Item{task: d.key.task, Event: interp.MapRunEnded{ID: d.key.task, Error: &name, Cause: &cause}})
		return
	}
	if d.batches != nil && d.spec.Writer != nil && d.spec.Writer.Resource != "" {
		if _, err := d.results(); err != nil {
			d.e.log.Error("the results of a failed map run could not be written", "map run", d.spec.ARN, "error", err)
		}
	}
	d.end(mapRunFailed, &interp.MapRunEnded{ID: d.key.task, Error: &name, Cause: &cause})
}

func (d *mapRunDriver) succeed() {
	output, err := d.results()
	if err != nil {
		name, cause := mapitems.ResultWriterFailed, err.Error()
		var data *mapitems.Error
		if errors.As(err, &data) {
			name, cause = data.Name, data.Cause
		}
		d.end(mapRunFailed, &interp.MapRunEnded{ID: d.key.task, Error: &name, Cause: &cause})
		return
	}
	d.end(mapRunSucceeded, &interp.MapRunEnded{ID: d.key.task, Output: output})
}

// baseMachine cuts the label off the name of a child's machine.
func baseMachine(name string) string {
	base, _, _ := strings.Cut(name, "/")
	return base
}
