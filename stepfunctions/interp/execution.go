// Package interp runs one execution of a state machine as a pure machine over events: an [Execution] takes an event
// and the time, changes its own state, and returns the history events and the commands that follow. It does no I/O,
// reads no clock and starts no goroutine, so the same definition, input and worker answers always give the same
// history.
//
// The caller stores the history events and what [Execution.Save] returns together, and only then carries out the
// commands.
package interp

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/jsonvalue"
)

// MaxPayloadBytes is the largest input or output of an execution, a state or a task.
const MaxPayloadBytes = 262_144

// The longest lives of executions.
const (
	maxStandardLife = 365 * 24 * time.Hour
	maxExpressLife  = 5 * time.Minute
)

// Status is the status of an execution, in AWS's words.
type Status string

// The statuses.
const (
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	TimedOut  Status = "TIMED_OUT"
	Aborted   Status = "ABORTED"
)

// Execution is the state of one execution. It is not safe for concurrent use.
type Execution struct {
	machine *asl.Machine
	info    Info
	scope   *asl.Scope
	input   jsonvalue.Value
	// inputText is the compact text of input.
	inputText string

	state state
	root  *thread
	// tasks are the threads that wait for a task or map run, by its ID.
	tasks  map[int64]*thread
	timers timers
	queue  []*thread
	// variableBytes is the size of all variables.
	variableBytes int

	now  time.Time
	step *Step
	// size is about how many bytes the step's events take.
	size int
	// scratch is where texts are put together.
	scratch []byte
	// overflow is set when an event did not fit into the history any more.
	overflow bool
	saved    saved
}

// state is what an execution knows beside its threads.
type state struct {
	status    Status
	output    *string
	err       *string
	cause     *string
	stopTime  time.Time
	lastEvent int64
	lastID    int64
	lastTask  int64
	draws     uint64
	deadline  time.Time
	redrives  int
	redriveAt time.Time
	// yielded is set when a step was cut short: the execution goes on with the next Tick.
	yielded time.Time
}

// New returns an execution that has not started.
func New(m *asl.Machine, info Info) (*Execution, error) {
	input, err := jsonvalue.Parse(info.Input)
	if err != nil {
		return nil, err
	}
	x := &Execution{machine: m, info: info, scope: &m.Scope, input: input, inputText: input.String()}
	if info.MapState != "" {
		s := m.State(info.MapState)
		if s == nil || s.Type != asl.Map {
			return nil, fmt.Errorf("the state machine of %s has no Map state %q", info.ExecutionARN, info.MapState)
		}
		x.scope = s.Map.Processor
	}
	return x, nil
}

// Status returns the status.
func (x *Execution) Status() Status { return x.state.status }

// Output returns the JSON text of the output of a succeeded execution, else nil.
func (x *Execution) Output() *string { return x.state.output }

// Failure returns error and cause of an execution that failed, timed out or was aborted.
func (x *Execution) Failure() (name, cause *string) { return x.state.err, x.state.cause }

// StopTime returns when the execution ended; the zero time while it runs.
func (x *Execution) StopTime() time.Time { return x.state.stopTime }

// LastEventID returns the id of the newest history event.
func (x *Execution) LastEventID() int64 { return x.state.lastEvent }

// Redrives returns how often the execution was redriven and when for the last time.
func (x *Execution) Redrives() (int, time.Time) { return x.state.redrives, x.state.redriveAt }

// Wake returns when the execution next wants a [Tick]; the zero time when it has ended.
func (x *Execution) Wake() time.Time {
	if x.state.status != Running {
		return time.Time{}
	}
	if !x.state.yielded.IsZero() {
		return x.state.yielded
	}
	wake := x.state.deadline
	if at := x.timers.next(); !at.IsZero() && at.Before(wake) {
		wake = at
	}
	return wake
}

// HasTasks reports whether someone has to work on the execution after a restart: it has tasks for handlers, jobs to
// follow or map runs. A task that only waits for someone to come with its token (an activity, or an accepted
// .waitForTaskToken call) does not count.
func (x *Execution) HasTasks() bool {
	if x.state.status != Running {
		return false
	}
	for _, t := range x.tasks {
		if t.task.mapRun != nil {
			return true
		}
		r := t.state.Task.Resource
		if r.Kind != asl.Activity && !(t.task.submitted && r.Pattern == asl.WaitForTaskToken) {
			return true
		}
	}
	return false
}

// Start begins the execution.
func (x *Execution) Start(now time.Time) *Step {
	x.begin(now)
	x.state.status = Running
	x.setDeadline()
	d := history.NewDetails("executionStartedEventDetails").Data("input", x.info.Input).Text("roleArn", x.info.RoleARN)
	if x.info.VersionARN != "" {
		d.Text("stateMachineVersionArn", x.info.VersionARN)
	}
	if x.info.AliasARN != "" {
		d.Text("stateMachineAliasArn", x.info.AliasARN)
	}
	x.emit(0, history.ExecutionStarted, d)
	x.root = x.newThread(nil, 0)
	x.root.goTo(x.scope.State(x.scope.StartAt), x.input, x.inputText)
	x.wakeUp(x.root)
	x.run()
	return x.step
}

// setDeadline starts the clock of the whole execution.
func (x *Execution) setDeadline() {
	life := maxStandardLife
	if x.info.Express {
		life = maxExpressLife
	}
	// A child of a map run has the limits of its type only.
	if s := x.machine.TimeoutSeconds; s > 0 && x.info.MapState == "" && s < int64(life/time.Second) {
		life = time.Duration(s) * time.Second
	}
	x.state.deadline = x.now.Add(life)
}

// Handle applies an event. An event that no longer matters, such as the answer to a task that timed out, gives an
// empty step.
func (x *Execution) Handle(ev Event, now time.Time) *Step {
	x.begin(now)
	_, redrive := ev.(Redrive)
	if x.state.status == Running && !redrive || redrive && x.redrivable() {
		ev.apply(x)
		x.run()
		if x.overflow && x.state.status == Running {
			x.failTooLong()
		}
	}
	return x.step
}

func (x *Execution) begin(now time.Time) {
	x.now = now.Truncate(time.Millisecond)
	x.step = &Step{}
	x.size = 0
	if cap(x.scratch) > maxScratchBytes {
		x.scratch = nil
	}
}

// maxScratchBytes is how much of the scratch buffer is kept from step to step.
const maxScratchBytes = 64 << 10

// emit appends a history event and returns its id. The last place of a full history is kept for the end of the
// execution.
func (x *Execution) emit(previous int64, typ history.Type, d *history.Details) int64 {
	if !x.info.Express && x.state.lastEvent >= history.MaxEvents-1 && !strings.HasPrefix(string(typ), "Execution") {
		x.overflow = true
		return x.state.lastEvent
	}
	x.state.lastEvent++
	x.size += d.Size()
	x.step.Events = append(x.step.Events, history.Event{
		ID: x.state.lastEvent, PreviousID: previous, Time: x.now, Type: typ, Details: d,
	})
	return x.state.lastEvent
}

// follow appends a history event to a thread's chain.
func (x *Execution) follow(t *thread, typ history.Type, d *history.Details) {
	t.previous = x.emit(t.previous, typ, d)
}

// finish ends the execution.
func (x *Execution) finish(status Status) {
	x.state.status = status
	x.state.stopTime = x.now
	x.root.walk(func(t *thread) { x.stopTask(t) })
	x.queue, x.state.yielded = nil, time.Time{}
	if status == Succeeded {
		// Nothing can be redriven: no threads are needed any more.
		x.root = nil
	}
}

// random draws the next of the execution's own numbers.
func (x *Execution) random() uint64 {
	x.state.draws++
	return splitmix(seed(x.info.ExecutionARN), x.state.draws)
}

func seed(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum64()
}

// splitmix is the n-th number of the splitmix64 generator.
func splitmix(seed, n uint64) uint64 {
	z := seed + n*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// after returns the time at which a wait that begins now ends, with WaitScale applied. It is a whole millisecond, like
// every time that the execution sees.
func (x *Execution) after(d time.Duration) time.Time {
	if x.info.WaitScale > 0 && x.info.WaitScale != 1 {
		d = time.Duration(float64(d) * x.info.WaitScale)
	}
	return x.now.Add(d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// apply acts on everything that is due by now. What becomes due only by that waits for the next Tick.
func (Tick) apply(x *Execution) {
	if !x.state.deadline.After(x.now) {
		x.timeOut()
		return
	}
	for _, t := range x.timers.due(x.now) {
		if x.state.status != Running {
			return
		}
		// What came before it may have ended the thread or set it another time.
		if !t.gone && t.heapIndex < 0 && !t.due().IsZero() && !t.due().After(x.now) {
			x.ring(t)
		}
	}
}

// ring acts on a thread whose time has come.
func (x *Execution) ring(t *thread) {
	x.touch(t)
	switch t.phase {
	case waiting:
		t.wake = time.Time{}
		x.waited(t)
	case retrying:
		t.wake = time.Time{}
		x.execute(t)
	case working:
		if t.heartbeatAt.IsZero() || !t.timeoutAt.IsZero() && t.timeoutAt.Before(t.heartbeatAt) {
			x.taskTimedOut(t, asl.ErrTimeout)
		} else {
			x.taskTimedOut(t, asl.ErrHeartbeatTimeout)
		}
	default:
		// Nothing else sets a time.
	}
}

// timeOut ends an execution that ran longer than it may. Only the event names the error: AWS describes such an execution
// without one.
func (x *Execution) timeOut() {
	x.emit(0, history.ExecutionTimedOut,
		history.NewDetails("executionTimedOutEventDetails").Text("error", asl.ErrTimeout))
	x.finish(TimedOut)
}

// apply stops the execution and forgets its tasks.
func (ev Abort) apply(x *Execution) {
	x.state.err, x.state.cause = ev.Error, ev.Cause
	x.emit(0, history.ExecutionAborted, history.NewDetails("executionAbortedEventDetails").
		Optional("error", ev.Error).Optional("cause", ev.Cause))
	x.finish(Aborted)
}
