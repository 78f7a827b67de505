package dag

import "fmt"

// State is the state of a task instance. The empty string is Airflow's None: known, not yet examined.
type State string

// Task instance states, spelled as Airflow spells them.
const (
	StateNone            State = ""
	StateScheduled       State = "scheduled"
	StateQueued          State = "queued"
	StateRunning         State = "running"
	StateSuccess         State = "success"
	StateRestarting      State = "restarting"
	StateFailed          State = "failed"
	StateUpForRetry      State = "up_for_retry"
	StateUpForReschedule State = "up_for_reschedule"
	StateUpstreamFailed  State = "upstream_failed"
	StateSkipped         State = "skipped"
	StateDeferred        State = "deferred"
	StateRemoved         State = "removed"
)

// TaskStates lists every task instance state, in the order of a task's life.
var TaskStates = []State{
	StateNone, StateScheduled, StateQueued, StateRunning, StateSuccess, StateRestarting, StateFailed,
	StateUpForRetry, StateUpForReschedule, StateUpstreamFailed, StateSkipped, StateDeferred, StateRemoved,
}

// Finished reports whether the scheduler will not move the task on its own any more.
func (s State) Finished() bool {
	switch s {
	case StateSuccess, StateFailed, StateSkipped, StateUpstreamFailed, StateRemoved:
		return true
	}
	return false
}

// Succeeded reports whether the state counts as success for a run's outcome: success or skipped.
func (s State) Succeeded() bool { return s == StateSuccess || s == StateSkipped }

// FailedState reports whether the state counts as failure for a run's outcome: failed or upstream_failed.
func (s State) FailedState() bool { return s == StateFailed || s == StateUpstreamFailed }

// Schedulable reports whether the scheduler may examine the task's dependencies in this state.
func (s State) Schedulable() bool {
	return s == StateNone || s == StateUpForRetry || s == StateUpForReschedule
}

// String prints "none" for the empty state, as Airflow's command line does.
func (s State) String() string {
	if s == StateNone {
		return "none"
	}
	return string(s)
}

// RunState is the state of a DAG run.
type RunState string

// DAG run states.
const (
	RunQueued  RunState = "queued"
	RunRunning RunState = "running"
	RunSuccess RunState = "success"
	RunFailed  RunState = "failed"
)

// Finished reports whether the run has ended.
func (s RunState) Finished() bool { return s == RunSuccess || s == RunFailed }

// RunType says what created a run. It is also the prefix of the run id.
type RunType string

// Run types.
const (
	RunScheduled RunType = "scheduled"
	RunManual    RunType = "manual"
	RunBackfill  RunType = "backfill"
	RunAsset     RunType = "asset_triggered"
)

// TriggeredBy says who asked for a run.
type TriggeredBy string

// Origins of a run, spelled as Airflow's triggered_by column.
const (
	ByTimetable TriggeredBy = "timetable"
	ByCLI       TriggeredBy = "cli"
	ByOperator  TriggeredBy = "operator"
	ByTest      TriggeredBy = "test"
	ByREST      TriggeredBy = "rest_api"
	ByAsset     TriggeredBy = "asset"
	ByBackfill  TriggeredBy = "backfill"
)

// Key identifies a task instance: (dag_id, run_id, task_id, map_index). MapIndex is -1 for an unmapped task.
type Key struct {
	DagID    string `json:"dag_id"`
	RunID    string `json:"run_id"`
	TaskID   string `json:"task_id"`
	MapIndex int    `json:"map_index"`
}

// Attempt identifies one try of a task instance. It names the log file, the fencing condition of every outcome and
// the Step Functions execution. TryNumber starts at 1.
type Attempt struct {
	Key
	TryNumber int `json:"try_number"`
}

// RunKey identifies a DAG run.
type RunKey struct {
	DagID string `json:"dag_id"`
	RunID string `json:"run_id"`
}

// Run is the run the task instance belongs to.
func (k Key) Run() RunKey { return RunKey{k.DagID, k.RunID} }

func (k Key) String() string {
	if k.MapIndex >= 0 {
		return fmt.Sprintf("%s.%s[%d] %s", k.DagID, k.TaskID, k.MapIndex, k.RunID)
	}
	return fmt.Sprintf("%s.%s %s", k.DagID, k.TaskID, k.RunID)
}

func (a Attempt) String() string { return fmt.Sprintf("%s try %d", a.Key, a.TryNumber) }
