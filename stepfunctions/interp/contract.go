package interp

import (
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
)

// Info holds what never changes about an execution.
type Info struct {
	// ExecutionARN, ExecutionName, MachineARN and MachineName identify it.
	ExecutionARN, ExecutionName, MachineARN, MachineName string
	// VersionARN and AliasARN are what it was started by; empty when neither.
	VersionARN, AliasARN string
	// RoleARN is the role of the state machine.
	RoleARN string
	// Region is the region in the ARNs.
	Region string
	// Input is the JSON text it was started with.
	Input string
	// StartTime is when it was started.
	StartTime time.Time
	// Express makes it an express execution: five minutes at most, a history without limit, no redrive.
	Express bool
	// MapState is the name of the distributed Map state whose processor a child execution runs; empty for an execution
	// of the machine itself.
	MapState string
	// TaskToken derives the token of a task from its ID. It must always give the same answer. Nil gives tokens that
	// nobody else can check.
	TaskToken func(taskID int64) string
	// ActivityExists tells whether an activity exists when a task is handed out; nil takes every activity to exist.
	ActivityExists func(arn string) bool
	// WaitScale multiplies the length of Wait states and retry delays; 0 and 1 leave them as they are.
	WaitScale float64
}

// Step is what follows from one event.
type Step struct {
	// Events are the new history events, in order.
	Events []history.Event
	// Tasks are to be given to their handlers.
	Tasks []Task
	// MapRuns are to be started or redriven.
	MapRuns []MapRun
	// Cancelled are the IDs of tasks and map runs whose answers no longer matter. A map run among them is to be aborted
	// with its children.
	Cancelled []int64
}

// Task is work that a handler must do.
type Task struct {
	// ID names the task in its execution; the answer carries it. Tasks and map runs count together.
	ID int64
	// State is the name of the Task state.
	State string
	// Resource is what does the work.
	Resource asl.Resource
	// Input is the JSON text the worker gets.
	Input string
	// Attempt is how many retries went before, from 0.
	Attempt int64
	// Token is the task token of an activity task, or of a service integration that waits (.sync, .waitForTaskToken);
	// empty otherwise.
	Token string
	// Timeout and Heartbeat are what the state allows, 0 when it sets none. The execution itself watches both.
	Timeout, Heartbeat time.Duration
	// Credentials is the JSON text of the evaluated Credentials; empty when there are none.
	Credentials string
	// Started tells, of a task handed out again after a restart, that an activity's worker has fetched it.
	Started bool
	// Submitted tells, of a task handed out again after a restart, that its service call was accepted with the output
	// Submission: only its token or job is waited for.
	Submitted bool
	// Submission is the JSON text that TaskSubmitted brought.
	Submission string
}

// Event is something that happened outside of the execution.
type Event interface{ apply(x *Execution) }

// Tick lets the execution act on what has become due: the end of waits, retries and timeouts.
type Tick struct{}

// TaskStarted tells that a worker has fetched an activity task.
type TaskStarted struct {
	// ID is the task's.
	ID int64
	// Worker is the name the worker gave itself; empty when none.
	Worker string
}

// TaskSubmitted tells that the service call of a .sync or .waitForTaskToken integration was accepted. The task goes on
// until TaskSucceeded or TaskFailed tells how its job ended or what its token was answered with.
type TaskSubmitted struct {
	// ID is the task's.
	ID int64
	// Output is the JSON text of the service's response.
	Output string
}

// TaskHeartbeat starts the task's heartbeat interval anew.
type TaskHeartbeat struct {
	// ID is the task's.
	ID int64
}

// TaskSucceeded is a worker's result.
type TaskSucceeded struct {
	// ID is the task's.
	ID int64
	// Output is the JSON text of the result.
	Output string
}

// TaskFailed is a worker's failure.
type TaskFailed struct {
	// ID is the task's.
	ID int64
	// Error and Cause describe the failure; an empty one is left out of what is recorded.
	Error, Cause string
	// ByToken tells that the task's token was answered with it, and not that its service call failed.
	ByToken bool
}

// MapRunEnded tells how a map run ended.
type MapRunEnded struct {
	// ID is the map run's.
	ID int64
	// Output is the JSON text of the state's result.
	Output string
	// Error and Cause tell why the map run failed; nil when it succeeded.
	Error, Cause *string
}

// Abort stops the execution.
type Abort struct {
	// Error and Cause are recorded when given.
	Error, Cause *string
}

// Redrive lets an execution that did not succeed go on from where it stopped.
type Redrive struct{}
