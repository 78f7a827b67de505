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
	// waiting: a Wait state runs until the thread's wake.
	waiting
	// working: a task or map run has been handed out.
	working
	// retrying: the state failed and starts again at the thread's wake.
	retrying
	// forked: branches or iterations run.
	forked
	// stopped: the state failed for good and took the execution with it; only a redrive gets it out of there.
	stopped
)

// thread is the flow of control in one scope: the root, a Parallel branch or a Map iteration.
type thread struct {
	id     int64
	parent *thread
	// index is the number of the branch or item.
	index int
	// before and after are the neighbours among the parent's children.
	before, after *thread
	// gone is set when the thread has ended.
	gone bool

	state     *asl.State
	phase     phase
	input     jsonvalue.Value
	inputText string
	// previous is the event that the thread's next event follows.
	previous int64
	// entered is the event with which the state was entered; cause is the one that event follows.
	entered, cause int64
	enteredAt      time.Time
	// entering is set while the state does what it does at once on entry.
	entering bool

	// wake is when a wait or a retry delay ends; timeoutAt and heartbeatAt are when a task is given up.
	wake, timeoutAt, heartbeatAt time.Time
	// heapIndex is the thread's place in the timers, -1 when it is not there.
	heapIndex int
	// task is what the thread waits for, nil when nothing; taskID is the number of the state's newest task.
	task   *task
	taskID int64
	// attempts counts the retries made by each retrier in this visit of the state; retries is their sum.
	attempts []int64
	retries  int64
	// variables are those assigned in the thread's own scope, variableBytes is their size.
	variables     jsonvalue.Value
	variableBytes int
	fork          *fork
	// touched is set when the thread may differ from what was last saved.
	touched bool
}

func (x *Execution) newThread(parent *thread, index int) *thread {
	x.state.lastID++
	t := &thread{id: x.state.lastID, parent: parent, index: index, heapIndex: -1}
	if parent != nil {
		parent.fork.add(t)
	}
	x.touch(t)
	return t
}

// removeThread forgets a thread that ended.
func (x *Execution) removeThread(t *thread) {
	t.gone = true
	x.clearTimers(t)
	x.variableBytes -= t.variableBytes
	if t.parent != nil {
		t.parent.fork.remove(t)
	}
	x.saved.drop(t.id)
}

// walk visits the thread and everything in it. visit may remove the thread it is given.
func (t *thread) walk(visit func(*thread)) {
	if t == nil {
		return
	}
	for _, child := range t.children() {
		child.walk(visit)
	}
	visit(t)
}

// children returns the threads of the branches or iterations in the order in which they began.
func (t *thread) children() []*thread {
	if t.fork == nil || t.fork.first == nil {
		return nil
	}
	children := make([]*thread, 0, t.fork.running)
	for child := t.fork.first; child != nil; child = child.after {
		children = append(children, child)
	}
	return children
}

// goTo moves the thread to the beginning of a state; text is the compact text of the input.
func (t *thread) goTo(s *asl.State, input jsonvalue.Value, text string) {
	t.state, t.phase, t.input, t.inputText = s, ready, input, text
	t.attempts, t.retries, t.fork, t.task, t.taskID = nil, 0, nil, nil, 0
}

func (x *Execution) wakeUp(t *thread) { x.queue = append(x.queue, t) }

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
	for ; head < len(x.queue) && x.state.status == Running; head++ {
		if len(x.step.Events) >= maxStepEvents || x.size >= maxStepBytes {
			break
		}
		t := x.queue[head]
		if t.gone || t.phase != ready {
			continue
		}
		x.enter(t)
		if x.overflow && x.state.status == Running {
			x.failTooLong()
		}
	}
	x.state.yielded = time.Time{}
	if x.state.status != Running {
		return
	}
	x.queue = append(x.queue[:0], x.queue[head:]...)
	if len(x.queue) > 0 {
		x.state.yielded = x.now
	}
}

// enter records that a state begins and does what can be done at once.
func (x *Execution) enter(t *thread) {
	x.touch(t)
	input := t.inputText
	if x.state.lastEvent == 1 {
		// The first state shows the execution's input as it was sent.
		input = x.info.Input
	}
	t.cause = t.previous
	x.follow(t, enteredTypes[t.state.Type], history.NewDetails("stateEnteredEventDetails").
		Text("name", t.state.Name).Data("input", input))
	t.entered, t.enteredAt = t.previous, x.now
	t.entering = true
	x.execute(t)
	t.entering = false
}

var enteredTypes, exitedTypes = func() (entered, exited map[asl.Type]history.Type) {
	entered, exited = map[asl.Type]history.Type{}, map[asl.Type]history.Type{}
	for _, t := range []asl.Type{asl.Task, asl.Wait, asl.Pass, asl.Succeed, asl.Fail, asl.Choice, asl.Parallel, asl.Map} {
		entered[t], exited[t] = history.StateEntered(string(t)), history.StateExited(string(t))
	}
	return entered, exited
}()

// execute runs the state's work; it is called again by a retry and a redrive.
func (x *Execution) execute(t *thread) {
	switch t.state.Type {
	case asl.Pass:
		x.pass(t)
	case asl.Choice:
		x.choose(t)
	case asl.Wait:
		x.wait(t)
	case asl.Succeed:
		x.succeed(t)
	case asl.Fail:
		x.failState(t)
	case asl.Task:
		x.startTask(t)
	case asl.Parallel:
		x.startParallel(t)
	case asl.Map:
		x.startMap(t)
	}
}

// exit records the end of a state and moves the thread on: to the next state, or out of its scope. assigned are the
// variables to set, null when there are none.
func (x *Execution) exit(t *thread, next string, output, assigned jsonvalue.Value) {
	text := x.text(t, output)
	if len(text) > MaxPayloadBytes {
		x.fail(t, tooLarge(t.state.Name))
		return
	}
	if f := x.assignable(t, assigned); f != nil {
		x.fail(t, f)
		return
	}
	x.assign(t, assigned)
	x.follow(t, exitedTypes[t.state.Type], history.NewDetails("stateExitedEventDetails").
		Text("name", t.state.Name).Data("output", text).Variables(assigned))
	if next != "" {
		t.goTo(t.state.Scope.State(next), output, text)
		x.wakeUp(t)
		return
	}
	x.endScope(t, output, text)
}

// text returns the compact text of a value at a state; most often it is the state's input unchanged.
func (x *Execution) text(t *thread, v jsonvalue.Value) string {
	if v == t.input {
		return t.inputText
	}
	x.scratch = v.Append(x.scratch[:0])
	return string(x.scratch)
}

func (x *Execution) endScope(t *thread, output jsonvalue.Value, text string) {
	if t.parent != nil {
		x.childSucceeded(t, output)
		return
	}
	if x.overflow {
		x.failTooLong()
		return
	}
	x.emit(t.previous, history.ExecutionSucceeded,
		history.NewDetails("executionSucceededEventDetails").Data("output", text))
	x.state.output = &text
	x.finish(Succeeded)
}
