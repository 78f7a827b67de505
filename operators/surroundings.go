package operators

import (
	"context"
	"encoding/json"
	"time"

	"gust/dag"
)

// Surroundings is a Task that shows what templates see: its DAG, its instance, params, variables and the XComs of others.
// Operators that hand all of this to code of the user's ask for it with a type assertion; the engine's tasks are one.
type Surroundings interface {
	// DAG is the version that the run is of. It must not be changed.
	DAG() *dag.DAG
	// Instance is the task instance; its StartDate is that of this try.
	Instance() dag.TaskInstance
	// MergedParams are the DAG's params, the task's, and the run's conf, laid over each other: a JSON object.
	MergedParams() (json.RawMessage, error)
	// Variable reads a variable; false when it is not defined, then err may say what is.
	Variable(ctx context.Context, key string) (string, bool, error)
	// XCom reads a value of this or another run.
	XCom(ctx context.Context, q XComQuery) (json.RawMessage, bool, error)
	// PreviousSuccess is the latest successful run before this one; nil when there is none.
	PreviousSuccess(ctx context.Context) (*PreviousRun, error)
	// Neighbour is the logical date of the schedule's tick before (-1) or after (1) this run's.
	Neighbour(step int) (time.Time, bool)
	// Concern is what a callback is about: the text of an error, and why it is called. Empty for a task.
	Concern() (exception, reason string)
	// Label adds names that map_index_template may use.
	Label(names map[string]any)
}

// XComQuery names a value; empty fields mean the task's own. MapIndex nil is the value of an unmapped task, or the list
// of all values of a mapped one. PriorDates looks in earlier runs too.
type XComQuery struct {
	DagID, RunID, TaskID, Key string
	MapIndex                  *int
	PriorDates                bool
}

// PreviousRun are the dates of a run.
type PreviousRun struct {
	IntervalStart, IntervalEnd, StartDate, EndDate time.Time
}
