// Package storetest is the conformance suite of package store: every backend runs it, and new behaviour is described
// here first. The builders make legal rows for tests of other packages too.
package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gust/dag"
	"gust/store"
)

// Run checks a backend. open returns an empty, migrated store of its own for each test; the test's cleanup closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, store.Store){
		"dags":                testDags,
		"dag versions":        testDagVersions,
		"paused survives":     testPausedSurvives,
		"import errors":       testImportErrors,
		"heartbeat":           testHeartbeat,
		"run create":          testRunCreate,
		"run round trip":      testRunRoundTrip,
		"run transitions":     testRunTransitions,
		"run list":            testRunList,
		"run list limits":     testRunListLimits,
		"task round trip":     testTaskRoundTrip,
		"task transitions":    testTaskTransitions,
		"task merge":          testTaskMerge,
		"task order":          testTaskOrder,
		"task tries":          testTaskTries,
		"deferred":            testDeferred,
		"waits":               testWaits,
		"wait kept":           testWaitKept,
		"wait load":           testWaitLoad,
		"illegal rows":        testIllegalRows,
		"xcom":                testXCom,
		"xcom tries":          testXComTries,
		"xcom same batch":     testXComSameBatch,
		"xcom large":          testXComLarge,
		"xcom mapped":         testXComMapped,
		"task gone":           testTaskGone,
		"clear":               testClear,
		"mark":                testMark,
		"notes":               testNotes,
		"wait ends":           testWaitEnds,
		"runs delete":         testRunsDelete,
		"asset events delete": testAssetEventsDelete,
		"backfills":           testBackfills,
		"assets":              testAssets,
		"callbacks":           testCallbacks,
		"mark stops":          testMarkStops,
		"variables":           testVariables,
		"connections":         testConnections,
		"pools":               testPools,
		"pool usage":          testPoolUsage,
		"load":                testLoad,
		"load empty":          testLoadEmpty,
		"refresh":             testRefresh,
		"commit is atomic":    testCommitAtomic,
		"commit everything":   testCommitEverything,
		"ended context":       testEndedContext,
		"odd identities":      testOddIdentities,
		"concurrent writers":  testConcurrentWriters,
		"racing transitions":  testRacingTransitions,
		"schema":              testSchema,
		"random transitions":  testRandomTransitions,
		"time is microsecond": testTimePrecision,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// RunShared checks what several processes see of one database. database makes a new, migrated one for each test and
// returns how to open a further handle on it; the test's cleanup closes handles that are still open.
func RunShared(t *testing.T, database func(t *testing.T) (open func() store.Store)) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func() store.Store){
		"restart":                   testRestart,
		"commands meet the engine":  testCommandsMeetEngine,
		"refresh sees others":       testRefreshSeesOthers,
		"two engines conflict":      testTwoEngines,
		"readers see whole commits": testReadersSeeWholeCommits,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			test(t, database(t))
		})
	}
}

// Time is a moment n seconds after a fixed one, with a fraction that needs all of a microsecond's precision.
func Time(n int) time.Time {
	return time.Date(2026, 3, 29, 0, 59, 58, 123456000, time.UTC).Add(time.Duration(n) * time.Second)
}

// NewRun is a queued manual run. n orders runs by RunAfter and gives it its logical date.
func NewRun(dagID string, n int) dag.Run {
	return dag.Run{
		RunKey: dag.RunKey{DagID: dagID, RunID: "manual__" + Time(n).Format("2006-01-02T15:04:05.000000-07:00")},
		State:  dag.RunQueued, Type: dag.RunManual, LogicalDate: Time(n), RunAfter: Time(n), QueuedAt: Time(n),
		IntervalStart: Time(n), IntervalEnd: Time(n), TriggeredBy: dag.ByCLI,
	}
}

// Started is the run as the scheduler starts it.
func Started(run dag.Run, version string) dag.Run {
	run.State, run.StartDate, run.DagVersion = dag.RunRunning, run.RunAfter.Add(time.Second), version
	return run
}

// Finished is the run as the scheduler ends it.
func Finished(run dag.Run, state dag.RunState) dag.Run {
	run.State, run.EndDate = state, run.RunAfter.Add(time.Minute)
	return run
}

// NewTask is a task instance as it is created with its run: no state, no try.
func NewTask(run dag.RunKey, taskID string) dag.TaskInstance {
	return dag.TaskInstance{
		Key:      dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: taskID, MapIndex: -1},
		MaxTries: 2, Operator: "BashOperator", Pool: dag.DefaultPool, PoolSlots: 1, Priority: 1,
	}
}

// InState is the task instance in a state, with whatever that state requires of the row. A task that never ran gets its
// first try.
func InState(ti dag.TaskInstance, state dag.State) dag.TaskInstance {
	ti.State = state
	if state != dag.StateNone && state != dag.StateRemoved {
		ti.TryNumber = max(ti.TryNumber, 1)
	}
	ti.QueuedAt, ti.StartDate, ti.FirstStart = Time(10), Time(11), Time(11)
	if state.Finished() {
		ti.EndDate = Time(12)
	}
	switch state {
	case dag.StateUpForRetry, dag.StateUpForReschedule:
		ti.NotBefore = Time(20)
	case dag.StateDeferred:
		ti.Deferral = &dag.Deferral{Kind: "time", Args: json.RawMessage(`{"at":"2026-03-29T02:00:00Z"}`), Since: Time(11)}
	}
	return ti
}

// NewDagRow is a DAG as parsed.
func NewDagRow(dagID string) store.DagRow {
	return store.DagRow{
		DagID: dagID, FileLoc: "/dags/" + dagID + ".yaml", Version: "v1-" + dagID, Display: dagID, Owners: "airflow, data",
		Tags: []string{"example", "nightly"}, Schedule: "0 2 * * *", NextRun: Time(3600), LastParsed: Time(0),
		ParseSeconds: 0.0125,
	}
}

// NewDAG is a small DAG of that version.
func NewDAG(dagID, version string) *dag.DAG {
	d := &dag.DAG{
		ID: dagID, FileLoc: "/dags/" + dagID + ".yaml", Line: 3, Timezone: "Europe/Berlin", Version: version,
		Schedule:  dag.Schedule{Kind: dag.ScheduleCron, Cron: []string{"0 2 * * *"}, Text: "0 2 * * *"},
		StartDate: Time(0), MaxActiveRuns: dag.DefaultMaxActiveRuns, MaxActiveTasks: dag.DefaultMaxActiveTasks,
		Tags: []string{"example"}, Params: json.RawMessage(`{"limit":10}`),
		Tasks: []*dag.Task{
			{
				ID: "extract", Operator: "BashOperator", Downstream: []string{"load"}, TriggerRule: dag.AllSuccess,
				Owner: "airflow", Retries: 2, RetryDelay: dag.DefaultRetryDelay, Pool: dag.DefaultPool, PoolSlots: 1,
				PriorityWeight: 1, WeightRule: dag.WeightDownstream, Queue: dag.DefaultQueue, DoXComPush: true,
				Params: map[string]any{"bash_command": "echo '{{ ds }}'", "env": map[string]any{"A": "1"}, "n": 1.5},
			},
			{
				ID: "load", Operator: "EmptyOperator", Upstream: []string{"extract"}, TriggerRule: dag.NoneFailed,
				Owner: "airflow", Pool: dag.DefaultPool, PoolSlots: 1, PriorityWeight: 1, Inline: true,
				WeightRule: dag.WeightDownstream, Queue: dag.DefaultQueue, RetryDelay: 90 * time.Second,
			},
		},
	}
	d.Index()
	return d
}

// Commit applies changes and fails the test when that fails.
func Commit(t *testing.T, s store.Engine, changes *store.Changes) {
	t.Helper()
	if err := s.EngineCommit(t.Context(), changes); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// CreateRun stores a run with its task instances as they are and returns the run.
func CreateRun(t *testing.T, s store.Engine, run dag.Run, tasks ...dag.TaskInstance) dag.Run {
	t.Helper()
	changes := &store.Changes{Runs: []store.RunChange{{New: true, Run: run}}}
	for _, ti := range tasks {
		changes.Tasks = append(changes.Tasks, store.TaskChange{New: true, Task: ti})
	}
	Commit(t, s, changes)
	return run
}

// Move is the change that takes a task instance from before to after.
func Move(before, after dag.TaskInstance) store.TaskChange {
	return store.TaskChange{From: before.State, FromTry: before.TryNumber, Task: after}
}

func wantError(t *testing.T, err, want error, mentions ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that is %q", err, want)
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("error %q does not mention %q", err, m)
		}
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(dag.DAG{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func getTask(t *testing.T, s store.TaskInstances, key dag.Key) dag.TaskInstance {
	t.Helper()
	ti, err := s.TaskInstanceGet(t.Context(), key)
	noError(t, err)
	return *ti
}

func newXCom(key dag.Key, try int, name, value string) store.XCom {
	return store.XCom{Key: key, Name: name, Try: try, Value: json.RawMessage(value), At: Time(30 + try)}
}

func wantXCom(t *testing.T, get func() (*store.XCom, error), value string, try int) {
	t.Helper()
	x, err := get()
	if value == "" {
		wantError(t, err, store.ErrNotFound)
		return
	}
	noError(t, err)
	if string(x.Value) != value || x.Try != try {
		t.Errorf("XCom %s is %s of try %d, want %s of try %d", x.Name, x.Value, x.Try, value, try)
	}
}

func states[T any](items []T, name func(T) string) string {
	var out []string
	for _, item := range items {
		out = append(out, name(item))
	}
	return fmt.Sprint(out)
}
