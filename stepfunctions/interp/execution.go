// Package interp runs one execution of a state machine as a pure machine over events: an [Execution] takes an event
// and the time, changes its own state, and returns the history events and the commands that follow. It does no I/O,
// reads no clock and starts no goroutine, so the same definition, input and worker answers always give the same
// history.
//
// The caller stores the history events and the [Execution.Snapshot] together, and only then carries out the commands.
package interp

import (
	"encoding/json"
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
	state   state

	input jsonvalue.Value
	now   time.Time
	step  *Step
	queue []*thread
	live  map[int32]*thread
	// size is about how many bytes the step's events take.
	size int
	// overflow is set when an event did not fit into the history any more.
	overflow bool
}

// state is what a snapshot holds.
type state struct {
	Status    Status    `json:"status"`
	Output    *string   `json:"output,omitempty"`
	Error     *string   `json:"error,omitempty"`
	Cause     *string   `json:"cause,omitempty"`
	StopTime  time.Time `json:"stop,omitzero"`
	LastEvent int64     `json:"event"`
	LastID    int32     `json:"ids"`
	LastTask  int64     `json:"tasks,omitempty"`
	Draws     uint64    `json:"draws,omitempty"`
	Deadline  time.Time `json:"deadline,omitzero"`
	Redrives  int       `json:"redrives,omitempty"`
	RedriveAt time.Time `json:"redriveAt,omitzero"`
	Threads   []*thread `json:"threads,omitempty"`
	// Ready lists the threads whose turn comes when a step was cut short at Yielded.
	Ready   []int32   `json:"ready,omitempty"`
	Yielded time.Time `json:"yielded,omitzero"`
}

// New returns an execution that has not started.
func New(m *asl.Machine, info Info) (*Execution, error) {
	input, err := jsonvalue.Parse(info.Input)
	if err != nil {
		return nil, err
	}
	return &Execution{machine: m, info: info, input: input, live: map[int32]*thread{}}, nil
}

// Restore returns the execution that a snapshot was taken of. The machine and info must be those it was started with.
func Restore(m *asl.Machine, info Info, snapshot []byte) (*Execution, error) {
	x, err := New(m, info)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(snapshot, &x.state); err != nil {
		return nil, fmt.Errorf("read the snapshot of %s: %w", info.ExecutionARN, err)
	}
	for _, t := range x.state.Threads {
		x.live[t.ID] = t
	}
	for _, id := range x.state.Ready {
		if t := x.live[id]; t != nil {
			x.queue = append(x.queue, t)
		}
	}
	return x, nil
}

// Snapshot returns everything that [Restore] needs beside the machine and info.
func (x *Execution) Snapshot() ([]byte, error) { return json.Marshal(&x.state) }

// Status returns the status.
func (x *Execution) Status() Status { return x.state.Status }

// Output returns the JSON text of the output of a succeeded execution, else nil.
func (x *Execution) Output() *string { return x.state.Output }

// Failure returns error and cause of an execution that failed, timed out or was aborted.
func (x *Execution) Failure() (name, cause *string) { return x.state.Error, x.state.Cause }

// StopTime returns when the execution ended; the zero time while it runs.
func (x *Execution) StopTime() time.Time { return x.state.StopTime }

// LastEventID returns the id of the newest history event.
func (x *Execution) LastEventID() int64 { return x.state.LastEvent }

// Redrives returns how often the execution was redriven and when for the last time.
func (x *Execution) Redrives() (int, time.Time) { return x.state.Redrives, x.state.RedriveAt }

// Wake returns when the execution next wants a [Tick]; the zero time when it only waits for answers.
func (x *Execution) Wake() time.Time {
	var wake time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (wake.IsZero() || t.Before(wake)) {
			wake = t
		}
	}
	if x.state.Status != Running {
		return wake
	}
	earlier(x.state.Deadline)
	earlier(x.state.Yielded)
	for _, t := range x.state.Threads {
		earlier(t.Wake)
		earlier(t.TimeoutAt)
		earlier(t.HeartbeatAt)
	}
	return wake
}

// HasTasks reports whether tasks have been handed out and not answered.
func (x *Execution) HasTasks() bool {
	for _, t := range x.state.Threads {
		if t.TaskID != 0 && x.state.Status == Running {
			return true
		}
	}
	return false
}

// PendingTasks returns the tasks that have been handed out and not answered, to be handed out again after a restart.
func (x *Execution) PendingTasks() []Task {
	var tasks []Task
	for _, t := range x.state.Threads {
		if t.TaskID != 0 && x.state.Status == Running {
			tasks = append(tasks, x.task(t, x.machine.State(t.State)))
		}
	}
	return tasks
}

// Start begins the execution.
func (x *Execution) Start(now time.Time) *Step {
	x.begin(now)
	x.state.Status = Running
	if x.machine.TimeoutSeconds > 0 {
		x.state.Deadline = now.Add(time.Duration(x.machine.TimeoutSeconds) * time.Second)
	}
	x.emit(0, history.ExecutionStarted, history.NewDetails("executionStartedEventDetails").
		Data("input", x.info.Input).Text("roleArn", x.info.RoleARN))
	root := x.newThread(0, 0)
	root.goTo(x.machine.StartAt, x.input)
	x.queue = append(x.queue, root)
	x.run()
	return x.step
}

// Handle applies an event. An event that no longer matters, such as the answer to a task that timed out, gives an
// empty step.
func (x *Execution) Handle(ev Event, now time.Time) *Step {
	x.begin(now)
	_, redrive := ev.(Redrive)
	if x.state.Status == Running || redrive {
		ev.apply(x)
		x.run()
		if x.overflow && x.state.Status == Running {
			x.failTooLong()
		}
	}
	return x.step
}

func (x *Execution) begin(now time.Time) {
	x.now = now.Truncate(time.Millisecond)
	x.step = &Step{}
	x.size = 0
}

// emit appends a history event and returns its id. The last place of a full history is kept for the end of the
// execution.
func (x *Execution) emit(previous int64, typ history.Type, d *history.Details) int64 {
	if x.state.LastEvent >= history.MaxEvents-1 && !strings.HasPrefix(string(typ), "Execution") {
		x.overflow = true
		return x.state.LastEvent
	}
	x.state.LastEvent++
	x.size += d.Size()
	x.step.Events = append(x.step.Events, history.Event{
		ID: x.state.LastEvent, PreviousID: previous, Time: x.now, Type: typ, Details: d,
	})
	return x.state.LastEvent
}

// follow appends a history event to a thread's chain.
func (x *Execution) follow(t *thread, typ history.Type, d *history.Details) {
	t.Previous = x.emit(t.Previous, typ, d)
}

// finish ends the execution.
func (x *Execution) finish(status Status) {
	x.state.Status = status
	x.state.StopTime = x.now
	for _, t := range x.state.Threads {
		x.cancelTask(t)
	}
	x.queue, x.state.Ready, x.state.Yielded = nil, nil, time.Time{}
	if status == Succeeded {
		// Nothing can be redriven: the snapshot needs no threads.
		x.state.Threads, x.live = nil, nil
	}
}

// random draws the next of the execution's own numbers.
func (x *Execution) random() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(x.info.ExecutionARN)) // never fails
	x.state.Draws++
	// splitmix64 over the draw's number.
	z := h.Sum64() + x.state.Draws*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// scaled applies WaitScale.
func (x *Execution) scaled(d time.Duration) time.Duration {
	if x.info.WaitScale <= 0 || x.info.WaitScale == 1 {
		return d
	}
	return time.Duration(float64(d) * x.info.WaitScale)
}
