// Package store is the contract of Gust's state: role interfaces, their parameters and errors. Implementations live
// below it (store/sqlite); store/storetest is the conformance suite that every implementation runs.
//
// Method names are NounVerb. All times are UTC with microsecond precision; the zero time is stored as NULL.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gust/dag"
)

// Errors of every role. They are wrapped with the operation and the identity concerned; test with errors.Is.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists: a row with this identity exists already.
	ErrExists = errors.New("already exists")
	// ErrConflict: the row is no longer in the state that the transition leaves; nothing of the commit was applied.
	ErrConflict = errors.New("state changed meanwhile")
	// ErrBusy: another process holds the database; the operation may be repeated.
	ErrBusy = errors.New("database is busy")
	// ErrFull: the disk is full; nothing was applied.
	ErrFull = errors.New("disk is full")
	// ErrCorrupt: the database file is damaged.
	ErrCorrupt = errors.New("database is corrupt")
	// ErrSchema: the database's schema is older or newer than this binary's, or the file belongs to another program.
	ErrSchema = errors.New("database schema does not match")
	// ErrReadOnly: the database cannot be written to; nothing was applied.
	ErrReadOnly = errors.New("database is read-only")
	// ErrInvalid: the row breaks a rule of the schema, such as an unknown state; nothing was applied.
	ErrInvalid = errors.New("row is not legal")
	// ErrUncertain: the outcome of a commit could not be established; load the state again before going on.
	ErrUncertain = errors.New("outcome of the commit is unknown")
)

// Store is everything. Consumers ask for the roles they need.
type Store interface {
	Engine
	Dags
	Runs
	TaskInstances
	Waits
	XComs
	Edits
	Backfills
	Assets
	Variables
	Connections
	Pools
	Admin
}

// Engine is the active scheduler's access: it loads what is unfinished once, then commits batches of changes.
type Engine interface {
	// EngineLoad reads everything the scheduler continues with after a start.
	EngineLoad(ctx context.Context) (*Snapshot, error)
	// EngineRefresh reads what other processes may have changed: new queued runs, paused flags, pools. What it points to
	// is never changed.
	EngineRefresh(ctx context.Context) (*Refresh, error)
	// EngineCommit applies all changes in one durable transaction (survives power loss), or none.
	EngineCommit(ctx context.Context, changes *Changes) error
}

// Snapshot is the state a scheduler starts from.
type Snapshot struct {
	Refresh
	// Active are the unfinished runs (queued and running) with all their task instances, in any order. Waits that are Keyed
	// come without Args and State, notes are left out.
	Active []ActiveRun
	// Versions are the DAGs those runs run on, by version.
	Versions map[string]*dag.DAG
	// LastScheduled is, by dag id, the latest scheduled run (by RunAfter), finished or not.
	LastScheduled map[string]dag.Run
	ImportErrors  []ImportError
	// AssetEvents are those from the smallest AssetCursor on, LastAssetEvent is the ID of the latest of all.
	AssetEvents    []dag.AssetEvent
	LastAssetEvent int64
	// Callbacks are due and have not been carried out, oldest first.
	Callbacks []dag.CallbackRequest
}

// ActiveRun is an unfinished run.
type ActiveRun struct {
	Run   dag.Run
	Tasks []dag.TaskInstance
	// Skips are the run's XComs named SkipKey: what its branches decided. Filled in Snapshot.Active only.
	Skips []XCom
}

// SkipKey is the XCom under which a branch's or short circuit's decision is remembered (Airflow: skipmixin_key), so that
// a cleared downstream task is skipped again: {"followed": [task ids]} or {"skipped": [task ids]}.
const SkipKey = "skipmixin_key"

// Refresh is what processes other than the scheduler write.
type Refresh struct {
	Dags  []DagRow
	Pools []Pool
	// Queued are the queued runs, oldest RunAfter first.
	Queued []dag.Run
	// Edits counts the edits so far: when it has grown, rows that the scheduler holds have changed.
	Edits int64
	// Backfills are those that are not completed.
	Backfills []Backfill
	// AssetRequests are events that other processes ask for, oldest first; their ID is that of the request. No id is used
	// twice.
	AssetRequests []dag.AssetEvent
	// WaitEnds are ends that people have given to waits, oldest first. No id is used twice.
	WaitEnds []WaitEnd
}

// Changes is one batch of the scheduler. Later entries for one key win; a later RunChange or TaskChange of a key must
// leave the state that the earlier one sets.
type Changes struct {
	// Edits, when not nil, is how many edits the batch knows of (Refresh.Edits); it is ErrConflict when there have been
	// others. A batch that ends a run says so: what is cleared meanwhile would stay behind in a run that has ended.
	Edits *int64
	// Dags are DAGs as parsed. IsPaused counts only when the DAG is new to the store, so that a batch never undoes a
	// command; afterwards Pauses and DagSetPaused set it.
	Dags []DagRow
	// Pauses are DAGs that the scheduler itself pauses (max_consecutive_failed_dag_runs). Applied after Dags.
	Pauses       []string
	Versions     []*dag.DAG // stored once per version
	ImportErrors []ImportError
	// ImportErrorsGone are the files whose import error is resolved.
	ImportErrorsGone []string
	Runs             []RunChange
	Tasks            []TaskChange
	// History archives a finished try that will be followed by another.
	History []dag.TaskInstance
	XComs   []XCom
	// XComsClear starts a new try: every XCom of the task instance leaves XComGet and XComList, before XComs of the same
	// batch are written. The latest value of each name stays readable through XComPrevious. An XCom of the same batch
	// whose Try is below that of the batch's TaskChange of that key counts as cleared.
	XComsClear []dag.Key
	Heartbeat  *Heartbeat
	// BackfillsDone are backfills whose last run has ended.
	BackfillsDone []int64
	// AssetEvents are new; AssetRequestsDone are the requests that they answer.
	AssetEvents       []dag.AssetEvent
	AssetRequestsDone []int64
	// WaitEndsDone are requested ends of waits that have been applied, or came too late.
	WaitEndsDone []int64
	// Callbacks are due; CallbacksDone have been carried out, or given up.
	Callbacks     []dag.CallbackRequest
	CallbacksDone []int64
}

// Empty reports whether there is nothing to write.
func (c *Changes) Empty() bool {
	return len(c.Dags)+len(c.Pauses)+len(c.Versions)+len(c.ImportErrors)+len(c.ImportErrorsGone)+len(c.Runs)+len(c.Tasks)+
		len(c.History)+len(c.XComs)+len(c.XComsClear)+len(c.BackfillsDone)+len(c.AssetEvents)+len(c.AssetRequestsDone)+
		len(c.Callbacks)+len(c.CallbacksDone)+len(c.WaitEndsDone) == 0 && c.Heartbeat == nil
}

// RunChange writes a run. New inserts (ErrExists when there is one), otherwise the row must be in state From.
type RunChange struct {
	New  bool
	From dag.RunState
	Run  dag.Run
}

// TaskChange writes a task instance. New inserts, otherwise the row must be in state From with try number FromTry. Gone
// deletes the row: that of a mapped task whose instances take its place. KeepWait leaves the row's wait as it is, except
// that a Deferral of Task gives it a new State.
type TaskChange struct {
	New      bool
	Gone     bool
	KeepWait bool
	From     dag.State
	FromTry  int
	Task     dag.TaskInstance
}

// Heartbeat says that a scheduler is alive.
type Heartbeat struct {
	Host      string
	PID       int
	StartedAt time.Time
	At        time.Time
}

// Dags reads and pauses DAGs.
type Dags interface {
	DagList(ctx context.Context) ([]DagRow, error)
	DagGet(ctx context.Context, dagID string) (*DagRow, error)
	// DagVersionGet returns the DAG as stored for a version.
	DagVersionGet(ctx context.Context, version string) (*dag.DAG, error)
	DagSetPaused(ctx context.Context, dagID string, paused bool) error
	ImportErrorList(ctx context.Context) ([]ImportError, error)
	HeartbeatGet(ctx context.Context) (*Heartbeat, error)
}

// DagRow is a DAG as the store knows it.
type DagRow struct {
	DagID   string
	FileLoc string
	// Version is the latest good version. Stale is set when the file no longer defines the DAG.
	Version  string
	IsPaused bool
	Stale    bool
	Display  string
	Owners   string
	Tags     []string
	Schedule string // as written
	// NextRun is when the next scheduled run is due (zero: none), for display.
	NextRun      time.Time
	LastParsed   time.Time
	ParseSeconds float64
	// AssetCursor is the ID of the first asset event that the DAG has not been run for; 0 when it waits for no asset.
	AssetCursor int64
}

// ImportError is a file that could not be loaded. Text holds every problem, one per line.
type ImportError struct {
	FileLoc string
	Text    string
	At      time.Time
}

// Runs reads and creates DAG runs.
type Runs interface {
	// RunCreate inserts a queued run; ErrExists when the run id, or for non-null logical dates the date, is taken.
	RunCreate(ctx context.Context, run *dag.Run) error
	RunGet(ctx context.Context, key dag.RunKey) (*dag.Run, error)
	RunList(ctx context.Context, params *RunListParams) ([]dag.Run, error)
}

// RunListParams filters runs; zero fields do not filter. Newest RunAfter first.
type RunListParams struct {
	DagID        string
	States       []dag.RunState
	Types        []dag.RunType
	NotTypes     []dag.RunType
	LogicalDate  time.Time // exact
	LogicalFrom  time.Time // inclusive
	LogicalUntil time.Time // inclusive
	Before       time.Time // RunAfter strictly before
	Limit        int       // 0 = 100, at most 10,000
}

// TaskInstances reads task instances.
type TaskInstances interface {
	TaskInstanceGet(ctx context.Context, key dag.Key) (*dag.TaskInstance, error)
	// TaskInstanceList returns a run's task instances in insertion order.
	TaskInstanceList(ctx context.Context, run dag.RunKey) ([]dag.TaskInstance, error)
	// TaskInstanceTries returns the archived tries of a task instance, oldest first.
	TaskInstanceTries(ctx context.Context, key dag.Key) ([]dag.TaskInstance, error)
	// DeferredList returns the deferred task instances, longest waiting first.
	DeferredList(ctx context.Context, limit int) ([]dag.TaskInstance, error)
}

// Waits reads what deferred attempts wait for.
type Waits interface {
	// WaitsGet returns what is stored of these attempts' waits, in their order: the row while it holds the wait, else the
	// archived try. Of one that is found nowhere Task is nil.
	WaitsGet(ctx context.Context, attempts []dag.Attempt) ([]Wait, error)
}

// Wait is the wait of an attempt as stored. Parked says that the attempt is deferred now and its wait has not ended.
type Wait struct {
	Task   *dag.TaskInstance
	Parked bool
}

// XCom is one exchanged value.
type XCom struct {
	dag.Key
	Name string
	// Try is the try that pushed it. Value is JSON.
	Try   int
	Value json.RawMessage
	At    time.Time
}

// XComs reads exchanged values.
type XComs interface {
	// XComGet returns the value under name, or ErrNotFound.
	XComGet(ctx context.Context, key dag.Key, name string) (*XCom, error)
	// XComPrevious returns the value that an earlier try of the task instance pushed last (one that XComsClear cleared;
	// an interrupted attempt counts as earlier although it has the same try number), or ErrNotFound.
	XComPrevious(ctx context.Context, key dag.Key, name string) (*XCom, error)
	XComList(ctx context.Context, key dag.Key) ([]XCom, error)
	// XComMapped returns what the instances of a mapped task have pushed under name, by map index.
	XComMapped(ctx context.Context, run dag.RunKey, taskID, name string) ([]XCom, error)
}

// Edits changes what has run already (Airflow: clearing, marking, notes). The scheduler takes it as it finds it.
type Edits interface {
	// EditApply makes all changes in one transaction. Task instances and runs that do not exist are ErrNotFound, and
	// nothing is changed then.
	EditApply(ctx context.Context, edit *Edit) error
	// WaitEndRequest asks the scheduler to end a wait. ErrConflict when the attempt does not wait, ErrExists when an end
	// has been asked for already.
	WaitEndRequest(ctx context.Context, end *WaitEnd) error
	// RunNoteSet and TaskNoteSet replace a note; "" removes it.
	RunNoteSet(ctx context.Context, key dag.RunKey, note string) error
	TaskNoteSet(ctx context.Context, key dag.Key, note string) error
	// RunsDelete deletes finished runs with everything that belongs to them, and returns how many there were. Runs that
	// are not finished stay.
	RunsDelete(ctx context.Context, params *RunsDeleteParams) (int, error)
	// DagDelete deletes a DAG with its runs; it comes back when its file still defines it. ErrConflict while it has
	// unfinished runs.
	DagDelete(ctx context.Context, dagID string) error
}

// Edit is what to clear and mark.
type Edit struct {
	// At is the time of the edit: end dates of what is marked.
	At time.Time
	// Clear lets task instances run again. The try is archived and MaxTries becomes the try number plus Retries. What
	// runs becomes restarting, everything else has no state any more. Finished runs are queued again.
	Clear []ClearTask
	// LatestVersion lets cleared runs go on with the latest version of their DAG instead of the one they began with.
	LatestVersion bool
	// Tasks and Runs set states (success, failed, skipped; success, failed). A running attempt is killed.
	Tasks []SetTask
	Runs  []SetRun
}

// ClearTask is a task instance to be cleared; Retries are those of its task.
type ClearTask struct {
	Key     dag.Key
	Retries int
}

// SetTask sets the state of a task instance.
type SetTask struct {
	Key   dag.Key
	State dag.State
}

// SetRun sets the state of a run. Queued opens a finished one again.
type SetRun struct {
	Key   dag.RunKey
	State dag.RunState
}

// WaitEnd is the end that a person gives to a wait.
type WaitEnd struct {
	ID int64 // of the request, given by the store
	dag.Attempt
	// Event ends the wait as if its trigger had fired with it, Failed as if it had failed with this error. One is set.
	Event  json.RawMessage
	Failed string
	// Stop is the reason for which what the task has started is stopped; "" leaves it running.
	Stop string
	At   time.Time
	// Deferral is the wait as stored, nil when the attempt does not wait any more. Filled in Refresh only.
	Deferral *dag.Deferral
}

// RunsDeleteParams say which finished runs are deleted; zero fields do not filter, but one of them must be set.
type RunsDeleteParams struct {
	DagIDs, NotDagIDs []string
	RunID             string
	// EndedBefore is compared with the end of the run. The latest scheduled run of a DAG stays then: its schedule goes on
	// from it.
	EndedBefore time.Time
	// Limit bounds how many runs are deleted in this call; 0 means 1,000.
	Limit int
	// DryRun only counts, without a limit.
	DryRun bool
}

// ReprocessBehavior says what a backfill does with dates that have a run (Airflow: reprocess_behavior).
type ReprocessBehavior string

// Reprocess behaviours.
const (
	ReprocessNone      ReprocessBehavior = "none"
	ReprocessFailed    ReprocessBehavior = "failed"
	ReprocessCompleted ReprocessBehavior = "completed"
)

// Backfill is a range of runs of a DAG that people ask for.
type Backfill struct {
	ID            int64
	DagID         string
	From, To      time.Time // inclusive
	Conf          json.RawMessage
	IsPaused      bool
	Reprocess     ReprocessBehavior
	RunBackwards  bool
	MaxActiveRuns int
	CreatedAt     time.Time
	CompletedAt   time.Time // zero while it runs
	// LatestVersion lets runs that are made again go on with the latest version of the DAG. It matters to BackfillCreate
	// only and is not stored.
	LatestVersion bool
}

// Backfills stores backfills. Their runs carry dag.Run.BackfillID.
type Backfills interface {
	// BackfillCreate stores a backfill together with its runs, and gives it its ID. Runs that are new are inserted
	// queued; those of Again exist, are finished, and are cleared and queued again. ErrExists when the DAG has a backfill
	// that is not completed, or a new run's id or logical date is taken.
	BackfillCreate(ctx context.Context, b *Backfill, runs []dag.Run, again []ClearTask) error
	BackfillGet(ctx context.Context, id int64) (*Backfill, error)
	// BackfillList returns the backfills of a DAG, or of all DAGs when dagID is "", newest first.
	BackfillList(ctx context.Context, dagID string) ([]Backfill, error)
	BackfillSetPaused(ctx context.Context, id int64, paused bool) error
	// BackfillCancel completes a backfill and fails its queued runs. Those that run go on.
	BackfillCancel(ctx context.Context, id int64, at time.Time) error
}

// Assets reads and asks for asset events.
type Assets interface {
	// AssetEventList returns the latest events, newest first; name "" means of all assets. 0 means 100, at most 10,000.
	AssetEventList(ctx context.Context, name string, limit int) ([]dag.AssetEvent, error)
	// AssetEventsGet returns events by ID, in the order of their IDs; those that do not exist are left out.
	AssetEventsGet(ctx context.Context, ids []int64) ([]dag.AssetEvent, error)
	// AssetRequest asks the scheduler for an event of an asset (Airflow: materialize, create asset event).
	AssetRequest(ctx context.Context, event *dag.AssetEvent) error
	// AssetEventsDelete deletes up to limit events from before a time, the oldest first, and returns how many there were; 0
	// means 1000, which is the most. Events stay that a DAG still waits with, that a run was made for, and the latest of
	// each asset.
	AssetEventsDelete(ctx context.Context, before time.Time, limit int) (int, error)
}

// Variable is a row of variables. Value is ciphertext when Encrypted.
type Variable struct {
	Key, Value, Description string
	Encrypted               bool
}

// Variables stores Airflow variables.
type Variables interface {
	VariableGet(ctx context.Context, key string) (*Variable, error)
	VariableList(ctx context.Context) ([]Variable, error)
	VariableSet(ctx context.Context, v *Variable) error
	VariableDelete(ctx context.Context, key string) error
}

// ConnectionRow is a connection at rest: Sealed is the encrypted JSON form, everything else about it is inside.
type ConnectionRow struct {
	ID     string
	Type   string
	Sealed string
}

// Connections stores encrypted connections.
type Connections interface {
	ConnectionGet(ctx context.Context, id string) (*ConnectionRow, error)
	ConnectionList(ctx context.Context) ([]ConnectionRow, error)
	// ConnectionPut inserts, or with overwrite replaces; ErrExists without.
	ConnectionPut(ctx context.Context, row *ConnectionRow, overwrite bool) error
	ConnectionDelete(ctx context.Context, id string) error
}

// Pool limits concurrent task instances. Slots -1 is unlimited.
type Pool struct {
	Name            string
	Slots           int
	Description     string
	IncludeDeferred bool
}

// Pools stores pools. default_pool always exists.
type Pools interface {
	PoolGet(ctx context.Context, name string) (*Pool, error)
	PoolList(ctx context.Context) ([]Pool, error)
	PoolSet(ctx context.Context, p *Pool) error
	// PoolDelete refuses default_pool.
	PoolDelete(ctx context.Context, name string) error
	// PoolUsage counts, by pool, the slots of running, queued and deferred task instances.
	PoolUsage(ctx context.Context) (map[string]PoolUse, error)
}

// PoolUse is the occupation of a pool, in slots.
type PoolUse struct{ Running, Queued, Deferred, Scheduled int }

// Admin is the life of the database itself.
type Admin interface {
	// SchemaMigrate brings the schema up to date; safe when several processes do it at once.
	SchemaMigrate(ctx context.Context) error
	// SchemaCheck returns ErrSchema with both versions when the schema does not match, ErrCorrupt when it is damaged. It
	// reads the whole database; SchemaMigrate alone is the check for a start.
	SchemaCheck(ctx context.Context) error
	// SchemaReset deletes everything and migrates.
	SchemaReset(ctx context.Context) error
	Close() error
}
