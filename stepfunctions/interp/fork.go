package interp

import (
	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// maxInlineConcurrency is how many iterations of an inline Map run at once at most.
const maxInlineConcurrency = 40

func (x *Execution) startParallel(t *thread, s *asl.State) {
	in, f := x.env(t, s, t.Input).effectiveInput()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	x.follow(t, history.ParallelStateStarted, nil)
	n := len(s.Parallel.Branches)
	t.Phase, t.Fork = forked, &fork{Results: make([]jsonvalue.Value, n), Done: make([]bool, n), Next: n}
	for i, branch := range s.Parallel.Branches {
		child := x.newThread(t.ID, i)
		child.Previous = t.Previous
		child.goTo(branch.StartAt, in)
		x.wakeUp(child)
	}
}

func (x *Execution) startMap(t *thread, s *asl.State) {
	e := x.env(t, s, t.Input)
	in, f := e.selectInput()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	e = e.with(in)
	limit, f := e.maxConcurrency()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	items, f := e.items()
	if f != nil {
		x.fail(t, s, f)
		return
	}
	x.follow(t, history.MapStateStarted,
		history.NewDetails("mapStateStartedEventDetails").Int("length", int64(len(items))))
	t.Phase = forked
	t.Fork = &fork{
		Items: items, Results: make([]jsonvalue.Value, len(items)), Done: make([]bool, len(items)), Limit: limit,
	}
	if len(items) == 0 {
		x.forkDone(t, s)
		return
	}
	started := t.Previous
	for range min(limit, len(items)) {
		x.startIteration(t, s, started)
		if t.Phase != forked || t.Fork == nil {
			// An item could not be prepared and the state has failed.
			return
		}
	}
}

// maxConcurrency returns how many iterations may run at once.
func (e *env) maxConcurrency() (int, *failure) {
	bound := e.s.Map.MaxConcurrency
	if bound == nil {
		return maxInlineConcurrency, nil
	}
	n := bound.Value
	if path := bound.Path; path != nil {
		v, err := e.Resolve(path)
		if err != nil {
			return 0, e.runtime("The MaxConcurrencyPath parameter does not reference an input value: %s", path)
		}
		var ok bool
		if n, ok = v.Int(); !ok || !v.IsIntLiteral() {
			return 0, e.runtime(`The MaxConcurrencyPath field refers to value "%s" which is not a valid integer: %s`,
				plain(v), path)
		}
		if n < 0 {
			return 0, e.runtime("MaxConcurrency cannot be negative.")
		}
	}
	if n == 0 || n > maxInlineConcurrency {
		n = maxInlineConcurrency
	}
	return int(n), nil
}

// items returns what a Map iterates over.
func (e *env) items() ([]jsonvalue.Value, *failure) {
	v, shown := e.input, "$"
	if path := e.s.Map.ItemsPath; path != nil {
		shown = path.String()
		var err error
		if v, err = e.Resolve(path); err != nil {
			return nil, e.runtime("%v", err)
		}
	}
	if v.Kind() != jsonvalue.Array {
		return nil, e.runtime(`Reference path "%s" must point to array.`, shown)
	}
	return v.Items(), nil
}

func iteration(key string, s *asl.State, index int) *history.Details {
	return history.NewDetails(key).Text("name", s.Name).Int("index", int64(index))
}

// startIteration begins the next item of a Map; previous is the event its start follows.
func (x *Execution) startIteration(t *thread, s *asl.State, previous int64) {
	index := t.Fork.Next
	t.Fork.Next++
	item := t.Fork.Items[index]
	if s.Parameters != nil {
		e := x.env(t, s, t.Input)
		in, f := e.selectInput()
		if f == nil {
			e = e.with(in)
			e.item = jsonvalue.NewObjectBuilder(2).
				Set("Index", jsonvalue.NewInt(int64(index))).Set("Value", item).Value()
			item, f = e.template(s.Parameters)
		}
		if f != nil {
			x.fail(t, s, f)
			return
		}
	}
	child := x.newThread(t.ID, index)
	child.Previous = x.emit(previous, history.MapIterationStarted, iteration("mapIterationStartedEventDetails", s, index))
	child.goTo(s.Map.Processor.StartAt, item)
	x.wakeUp(child)
}

// childSucceeded takes the output of a branch or iteration and starts the next item or ends the state.
func (x *Execution) childSucceeded(t, child *thread, output jsonvalue.Value) {
	s := x.machine.State(t.State)
	f := t.Fork
	f.Results[child.Index], f.Done[child.Index] = output, true
	t.Previous = child.Previous
	if s.Type == asl.Map {
		t.Previous = x.emit(child.Previous, history.MapIterationSucceeded,
			iteration("mapIterationSucceededEventDetails", s, child.Index))
	}
	x.removeThread(child)
	if f.Next < len(f.Done) {
		x.startIteration(t, s, child.Previous)
		return
	}
	for _, done := range f.Done {
		if !done {
			return
		}
	}
	x.forkDone(t, s)
}

// forkDone ends a Parallel or Map state with the array of its results.
func (x *Execution) forkDone(t *thread, s *asl.State) {
	typ := history.ParallelStateSucceeded
	if s.Type == asl.Map {
		typ = history.MapStateSucceeded
	}
	results := jsonvalue.NewArray(t.Fork.Results)
	t.Fork = nil
	// Success and exit both follow the last inner event.
	x.emit(t.Previous, typ, nil)
	x.complete(t, s, results)
}
