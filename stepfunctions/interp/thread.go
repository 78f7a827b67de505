package interp

import (
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// phase says what a thread does at the moment.
type phase uint8

const (
	// ready: the state is about to be entered.
	ready phase = iota
	// waiting: a Wait state runs until Wake.
	waiting
	// working: a task has been handed out.
	working
	// retrying: the state failed and starts again at Wake.
	retrying
	// forked: branches or iterations run.
	forked
	// stopped: the state failed for good and took the execution with it; only a redrive gets it out of there.
	stopped
)

// thread is the flow of control in one scope: the root, a Parallel branch or a Map iteration.
type thread struct {
	ID     int32 `json:"id"`
	Parent int32 `json:"parent,omitempty"`
	// Index is the number of the branch or item.
	Index int             `json:"index,omitempty"`
	State string          `json:"state"`
	Phase phase           `json:"phase,omitempty"`
	Input jsonvalue.Value `json:"input"`
	// Previous is the event that the thread's next event follows.
	Previous int64 `json:"previous,omitempty"`
	// Entered is the event with which the state was entered.
	Entered   int64     `json:"entered,omitempty"`
	EnteredAt time.Time `json:"enteredAt,omitzero"`
	// Wake is when a wait or a retry delay ends.
	Wake        time.Time `json:"wake,omitzero"`
	TimeoutAt   time.Time `json:"timeoutAt,omitzero"`
	HeartbeatAt time.Time `json:"heartbeatAt,omitzero"`
	TaskID      int64     `json:"task,omitempty"`
	// TaskInput is what the task's worker got.
	TaskInput jsonvalue.Value `json:"taskInput,omitzero"`
	// Attempts counts the retries made by each retrier in this visit of the state.
	Attempts   []int64 `json:"attempts,omitempty"`
	RetryCount int64   `json:"retries,omitempty"`
	// Variables are those assigned in the thread's own scope.
	Variables jsonvalue.Value `json:"variables,omitzero"`
	Fork      *fork           `json:"fork,omitempty"`
}

// fork is the progress of a Parallel or Map state.
type fork struct {
	// Items are the inputs of a Map's iterations; nil for Parallel.
	Items []jsonvalue.Value `json:"items,omitempty"`
	// Results are the outputs so far; Done tells which are there.
	Results []jsonvalue.Value `json:"results"`
	Done    []bool            `json:"done"`
	// Next is the first branch or item that has not been started.
	Next int `json:"next"`
	// Limit bounds how many run at once; 0 means all.
	Limit int `json:"limit,omitempty"`
}

// goTo moves the thread to the beginning of a state.
func (t *thread) goTo(state string, input jsonvalue.Value) {
	t.State, t.Phase, t.Input = state, ready, input
	t.Attempts, t.RetryCount, t.Fork = nil, 0, nil
	t.clearTimers()
}

func (t *thread) clearTimers() {
	t.Wake, t.TimeoutAt, t.HeartbeatAt = time.Time{}, time.Time{}, time.Time{}
}

func (x *Execution) newThread(parent int32, index int) *thread {
	x.state.LastID++
	t := &thread{ID: x.state.LastID, Parent: parent, Index: index}
	x.state.Threads = append(x.state.Threads, t)
	x.live[t.ID] = t
	return t
}

// removeThread forgets a thread that ended.
func (x *Execution) removeThread(t *thread) {
	delete(x.live, t.ID)
	for i, other := range x.state.Threads {
		if other == t {
			last := len(x.state.Threads) - 1
			x.state.Threads[i] = x.state.Threads[last]
			x.state.Threads[last] = nil
			x.state.Threads = x.state.Threads[:last]
			return
		}
	}
}

// One step makes at most about this many events and bytes of history; then it is cut short, stored, and goes on with
// the next Tick. It keeps an endless loop over large data from filling the memory.
const (
	maxStepEvents = 2000
	maxStepBytes  = 4 << 20
)

// run lets every ready thread execute one state at a time, in turn, until all of them wait for something or the step
// has become long.
func (x *Execution) run() {
	head := 0
	for ; head < len(x.queue) && x.state.Status == Running; head++ {
		if len(x.step.Events) >= maxStepEvents || x.size >= maxStepBytes {
			break
		}
		t := x.queue[head]
		if x.live[t.ID] != t || t.Phase != ready {
			continue
		}
		x.enter(t)
		if x.overflow && x.state.Status == Running {
			x.failTooLong()
		}
	}
	x.state.Ready, x.state.Yielded = nil, time.Time{}
	if x.state.Status != Running {
		return
	}
	x.queue = append(x.queue[:0], x.queue[head:]...)
	for _, t := range x.queue {
		x.state.Ready = append(x.state.Ready, t.ID)
		x.state.Yielded = x.now
	}
}

func (x *Execution) wakeUp(t *thread) { x.queue = append(x.queue, t) }

// enter records that a state begins and does what can be done at once.
func (x *Execution) enter(t *thread) {
	s := x.machine.State(t.State)
	var input string
	if x.state.LastEvent == 1 {
		// The first state shows the execution's input as it was sent.
		input = x.info.Input
	} else {
		input = t.Input.String()
	}
	x.follow(t, history.StateEntered(string(s.Type)), history.NewDetails("stateEnteredEventDetails").
		Text("name", s.Name).Data("input", input))
	t.Entered, t.EnteredAt = t.Previous, x.now
	x.execute(t, s)
}

// execute runs the state's work; it is called again by a retry and a redrive.
func (x *Execution) execute(t *thread, s *asl.State) {
	switch s.Type {
	case asl.Pass:
		x.pass(t, s)
	case asl.Choice:
		x.choose(t, s)
	case asl.Wait:
		x.wait(t, s)
	case asl.Succeed:
		x.succeed(t, s)
	case asl.Fail:
		x.failState(t, s)
	case asl.Task:
		x.schedule(t, s)
	case asl.Parallel:
		x.startParallel(t, s)
	case asl.Map:
		x.startMap(t, s)
	}
}

// exit records the end of a state and moves the thread on: to the next state, or out of its scope.
func (x *Execution) exit(t *thread, s *asl.State, next string, output, assigned jsonvalue.Value) {
	text := output.String()
	if len(text) > MaxPayloadBytes {
		x.fail(t, s, tooLarge(s.Name))
		return
	}
	t.assign(assigned)
	x.follow(t, history.StateExited(string(s.Type)), history.NewDetails("stateExitedEventDetails").
		Text("name", s.Name).Data("output", text).Variables(assigned))
	if next != "" {
		t.goTo(next, output)
		x.wakeUp(t)
		return
	}
	x.endScope(t, output, text)
}

func (t *thread) assign(values jsonvalue.Value) {
	if values.Len() == 0 {
		return
	}
	if t.Variables.IsNull() {
		t.Variables = jsonvalue.EmptyObject()
	}
	for i, v := range values.Items() {
		t.Variables = t.Variables.With(values.Key(i), v)
	}
}

func (x *Execution) endScope(t *thread, output jsonvalue.Value, text string) {
	if t.Parent != 0 {
		x.childSucceeded(x.live[t.Parent], t, output)
		return
	}
	if x.overflow {
		x.failTooLong()
		return
	}
	x.emit(t.Previous, history.ExecutionSucceeded,
		history.NewDetails("executionSucceededEventDetails").Data("output", text))
	x.state.Output = &text
	x.finish(Succeeded)
}
