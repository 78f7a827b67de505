package interp

import (
	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// maxInlineConcurrency is how many iterations of an inline Map run at once at most.
const maxInlineConcurrency = 40

// fork is the progress of a Parallel or an inline Map state.
type fork struct {
	// items are the inputs of a Map's iterations; nil for Parallel.
	items []jsonvalue.Value
	// results are the outputs so far; done tells which are there.
	results []jsonvalue.Value
	done    []bool
	// next is the first branch or item that has not been started, left is how many have no result yet.
	next, left int
	// limit bounds how many run at once; 0 means all.
	limit int
	// first and last are the ends of the list of the running threads, running is its length.
	first, last *thread
	running     int
	// base is the number of the part that holds the items when the execution is saved in parts; the results follow.
	base int64
}

func (x *Execution) newFork(t *thread, items []jsonvalue.Value, n, limit int) {
	t.phase = forked
	t.fork = &fork{
		items: items, results: make([]jsonvalue.Value, n), done: make([]bool, n), left: n, limit: limit, base: x.state.lastID + 1,
	}
	x.state.lastID += int64(n) + 1
	x.saved.fork(t.fork)
}

// dropFork forgets the progress of a state that starts again or ends.
func (x *Execution) dropFork(t *thread) {
	if t.fork != nil {
		x.saved.dropFork(t.fork)
		t.fork = nil
	}
}

func (f *fork) add(t *thread) {
	t.before = f.last
	if f.last == nil {
		f.first = t
	} else {
		f.last.after = t
	}
	f.last = t
	f.running++
}

func (f *fork) remove(t *thread) {
	if t.before == nil {
		f.first = t.after
	} else {
		t.before.after = t.after
	}
	if t.after == nil {
		f.last = t.before
	} else {
		t.after.before = t.before
	}
	t.before, t.after = nil, nil
	f.running--
}

func (x *Execution) startParallel(t *thread) {
	in, f := x.env(t).effectiveInput()
	if f != nil {
		x.fail(t, f)
		return
	}
	text := x.text(t, in)
	if len(text) > MaxPayloadBytes {
		x.fail(t, tooLarge(t.state.Name))
		return
	}
	x.follow(t, history.ParallelStateStarted, nil)
	branches := t.state.Parallel.Branches
	x.newFork(t, nil, len(branches), 0)
	t.fork.next = len(branches)
	for i, branch := range branches {
		child := x.newThread(t, i)
		child.previous = t.previous
		child.goTo(branch.State(branch.StartAt), in, text)
		x.wakeUp(child)
	}
}

func (x *Execution) startMap(t *thread) {
	e := x.env(t)
	in, f := e.selected(t.state.InputPath)
	if f != nil {
		x.fail(t, f)
		return
	}
	e = e.with(in)
	limit, f := e.count("MaxConcurrency", t.state.Map.MaxConcurrency)
	if f != nil {
		x.fail(t, f)
		return
	}
	var items jsonvalue.Value
	if t.state.Map.ItemReader == nil {
		if items, f = e.items(); f != nil {
			x.fail(t, f)
			return
		}
	}
	x.follow(t, history.MapStateStarted,
		history.NewDetails("mapStateStartedEventDetails").Int("length", int64(items.Len())))
	if t.state.Map.Mode == asl.Distributed {
		x.startMapRun(e, items, limit)
		return
	}
	if limit == 0 || limit > maxInlineConcurrency {
		limit = maxInlineConcurrency
	}
	x.newFork(t, items.Items(), items.Len(), int(limit))
	if items.Len() == 0 {
		x.forkDone(t)
		return
	}
	f0, started := t.fork, t.previous
	for range min(f0.limit, items.Len()) {
		x.startIteration(t, started)
		if t.fork != f0 || t.phase != forked {
			// An item could not be prepared and the state has failed.
			return
		}
	}
}

// items returns what a Map iterates over: an array, or an object where the Map is distributed.
func (e *env) items() (jsonvalue.Value, *failure) {
	m := e.s.Map
	allowed := func(v jsonvalue.Value) bool {
		return v.Kind() == jsonvalue.Array || v.Kind() == jsonvalue.Object && m.Mode == asl.Distributed
	}
	if e.jsonata() {
		v, f := e.filled(m.Items, e.input)
		switch {
		case f != nil || allowed(v):
			return v, f
		case m.Items == nil:
			return v, e.queryFailure("", "Map state input must be an array but was: %s", v)
		case m.Items.Expression() != nil:
			query := unexpected(m.Items.Expression(), jsonvalue.Array, v)
			return v, e.queryFailure(query.location, "%s", query.cause)
		}
		return v, e.queryFailure("Items", "Map state input must be an array but was: %s", v)
	}
	v, shown := e.input, "$"
	if m.ItemsPath != nil {
		shown = m.ItemsPath.FromRoot()
		var err error
		if v, err = e.Resolve(m.ItemsPath); err != nil {
			return v, e.runtime("%v", err)
		}
	}
	if !allowed(v) {
		return v, e.runtime(`Reference path "%s" must point to array.`, shown)
	}
	return v, nil
}

func iteration(key string, t *thread, index int) *history.Details {
	return history.NewDetails(key).Text("name", t.state.Name).Int("index", int64(index))
}

// startIteration begins the next item of a Map; previous is the event its start follows.
func (x *Execution) startIteration(t *thread, previous int64) {
	index := t.fork.next
	t.fork.next++
	item, f := x.env(t).selectItem(mapItem{index: int64(index), value: t.fork.items[index]})
	if f != nil {
		x.fail(t, f)
		return
	}
	text := x.text(t, item)
	if len(text) > MaxPayloadBytes {
		x.fail(t, tooLarge(t.state.Name))
		return
	}
	child := x.newThread(t, index)
	child.previous = x.emit(previous, history.MapIterationStarted, iteration("mapIterationStartedEventDetails", t, index))
	processor := t.state.Map.Processor
	child.goTo(processor.State(processor.StartAt), item, text)
	x.wakeUp(child)
}

// mapItem is one item of a Map as the context object shows it.
type mapItem struct {
	index int64
	value jsonvalue.Value
	// key is set when the items are those of an object.
	key *string
	// source is where a distributed Map has it from; empty in an inline one.
	source string
}

func (m *mapItem) object() jsonvalue.Value {
	b := jsonvalue.NewObjectBuilder(4).Set("Index", jsonvalue.NewInt(m.index))
	if m.key != nil {
		b.Set("Key", jsonvalue.NewString(*m.key))
	}
	b.Set("Value", m.value)
	if m.source != "" {
		b.Set("Source", jsonvalue.NewString(m.source))
	}
	return b.Value()
}

// selectItem applies ItemSelector to an item.
func (e *env) selectItem(m mapItem) (jsonvalue.Value, *failure) {
	if e.s.Parameters == nil {
		return m.value, nil
	}
	in, f := e.selected(e.s.InputPath)
	if f != nil {
		return in, f
	}
	inner := e.with(in)
	inner.item = m.object()
	return inner.template(e.s.Parameters)
}

// childSucceeded takes the output of a branch or iteration and starts the next item or ends the state.
func (x *Execution) childSucceeded(child *thread, output jsonvalue.Value) {
	t := child.parent
	x.touch(t)
	f := t.fork
	f.results[child.index], f.done[child.index] = output, true
	f.left--
	x.saved.result(f, child.index)
	t.previous = child.previous
	if t.state.Type == asl.Map {
		t.previous = x.emit(child.previous, history.MapIterationSucceeded,
			iteration("mapIterationSucceededEventDetails", t, child.index))
	}
	x.removeThread(child)
	switch {
	case f.next < len(f.done):
		x.startIteration(t, child.previous)
	case f.left == 0:
		x.forkDone(t)
	}
}

// forkDone ends a Parallel or Map state with the array of its results.
func (x *Execution) forkDone(t *thread) {
	typ := history.ParallelStateSucceeded
	if t.state.Type == asl.Map {
		typ = history.MapStateSucceeded
	}
	results := jsonvalue.NewArray(t.fork.results)
	x.dropFork(t)
	// Success and exit both follow the last inner event.
	x.emit(t.previous, typ, nil)
	x.complete(t, results)
}
