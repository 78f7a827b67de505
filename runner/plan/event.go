package plan

import (
	"time"

	"gust/dag"
	"gust/dag/timetable"
	"gust/runner/executor"
	"gust/store"
)

// Config is what a State is built with.
type Config struct {
	// Slots is how many attempts the executor takes at once ([core] parallelism).
	Slots int
	// PausedAtCreation is [core] dags_are_paused_at_creation: whether a DAG seen for the first time starts paused, unless
	// the DAG itself says.
	PausedAtCreation bool
	// Timetable builds a DAG's timetable; nil means timetable.New.
	Timetable func(*dag.DAG) (timetable.Timetable, error)
	// StateLag is how long a task is scheduled or running before its row says so. 0 means 100 ms, negative none.
	StateLag time.Duration
	// MaxMapLength is [core] max_map_length: the most instances that a mapped task may have. 0 means 1024.
	MaxMapLength int
	// Replaces is the State that this one replaces while executor and trigger loop go on: what they hold and the DAGs that
	// files have delivered are kept. Lost says that its latest Decision was not committed. An attempt that is out, but
	// that the rows no longer know, is killed or dropped.
	Replaces *State
	Lost     bool

	inspect bool // see Inspect
}

const defaultStateLag = 100 * time.Millisecond

// Event is something that happened: File, Scanned, Version, Refreshed, Reported, Past, Recent, Lengths, Taken or Stopping. That
// time has passed needs no event: every Step looks at the clock it is given.
type Event interface{ event() }

// File says what a pipeline file defines now.
type File struct {
	Path string
	// DAGs are the good DAGs of the file.
	DAGs []*dag.DAG
	// Error holds every problem of the file, one per line, or "". With an Error the DAGs that the file defined earlier
	// and that are not among DAGs keep their last good version; without one they become stale.
	Error string
	// Took is how long parsing took.
	Took time.Duration
}

// Scanned says that a complete scan is over and that these are all the pipeline files: DAGs and import errors of other
// files are gone.
type Scanned struct{ Files []string }

// Version answers a Need: a DAG as stored.
type Version struct{ DAG *dag.DAG }

// Refreshed says what other processes have written.
type Refreshed struct{ store.Refresh }

// Reported is a report from the executor or the trigger loop.
type Reported struct{ executor.Report }

// Past answers a Need: the run before Run.
type Past struct {
	Run dag.RunKey
	// Previous is the run before it with its tasks, nil when there is none.
	Previous *store.ActiveRun
	// Known are those of the Need's Tasks that have no instance in Previous but in some run before that.
	Known map[string]bool
}

// Recent answers a Need: the states of a DAG's latest finished runs, newest first.
type Recent struct {
	DagID  string
	States []dag.RunState
}

// Lengths answers a Need: how many items the mapped fields of a task have, in the order of its Mapping.Fields.
type Lengths struct {
	Run    dag.RunKey
	TaskID string
	Items  []int
	// Problem says why the task cannot be expanded, "" when it can: a source that is missing or is no list or object.
	Problem string
}

// Taken says that this scheduled run could not be created because its run id or logical date is taken.
type Taken struct{ Run dag.Run }

// Runtimes answers a Need: how long the latest finished runs of the DAG of Run took.
type Runtimes struct {
	Run  dag.RunKey
	Took []time.Duration
}

// CallbackDone says that a callback has been carried out, or given up.
type CallbackDone struct{ ID int64 }

// Stopping says that no new attempt is to begin any more. What is running is still followed.
type Stopping struct{}

func (File) event()      {}
func (Scanned) event()   {}
func (Version) event()   {}
func (Refreshed) event() {}
func (Reported) event()  {}
func (Past) event()      {}
func (Recent) event()    {}
func (Lengths) event()   {}

func (CallbackDone) event() {}
func (Runtimes) event()     {}
func (Taken) event()        {}
func (Stopping) event()     {}

// Decision is what follows from a batch of events.
type Decision struct {
	// Changes are to be committed in one transaction before anything else is done with the decision.
	Changes store.Changes
	// Effects are to be released in this order, after the commit.
	Effects []Effect
	// Needs are questions to the store, to be asked after the commit and answered by an event.
	Needs []Need
	// Wake is when Step is to be called again at the latest, events or not. Zero means only on events.
	Wake time.Time
	// Parking says that the next Steps go on with parking again what an earlier life has left parked.
	Parking bool
	// Stale are the indices, within the events, of reports that were dropped: their attempt is no longer current.
	Stale []int
	// Warnings are for the log: things a user has to change before a run can go on.
	Warnings []string
	// Reload asks for a new State from a fresh snapshot: another process has re-opened a run.
	Reload bool
}

// Effect is something to do outside: Dispatch, Park, Kill, Drop or Notify.
type Effect interface{ effect() }

// Dispatch hands an attempt to the executor.
type Dispatch struct{ executor.Work }

// Park hands a wait to the trigger loop.
type Park struct{ executor.Work }

// Kill ends an attempt that the executor holds.
type Kill struct {
	Attempt dag.Attempt
	Reason  string
}

// Drop ends a wait that the trigger loop holds.
type Drop struct {
	Attempt dag.Attempt
	Reason  string
}

// Notify hands a callback to the notifier.
type Notify struct{ Callback dag.CallbackRequest }

func (Notify) effect()   {}
func (Dispatch) effect() {}
func (Park) effect()     {}
func (Kill) effect()     {}
func (Drop) effect()     {}

// Need is a question to the store: one of Version, Recent, Before and Mapped is set.
type Need struct {
	// Version asks for this DAG version, to be answered with a Version event.
	Version string
	// Recent asks for the states of this DAG's latest Limit finished runs, to be answered with a Recent event.
	Recent string
	Limit  int
	// Runtimes asks how long the latest Limit finished runs of this DAG took, for Run; to be answered with a Runtimes event.
	Runtimes string
	// Before asks for the run before this one (the latest of the same DAG with an earlier RunAfter), to be answered with
	// a Past event. With ScheduledOnly only scheduled runs count. Tasks are the tasks concerned.
	Before        *dag.Run
	ScheduledOnly bool
	Tasks         []string
	// Mapped asks for the lengths of the mapped fields of this task of DAG in Run, to be answered with a Lengths event.
	Mapped *dag.Task
	DAG    *dag.DAG
	Run    dag.RunKey
}
