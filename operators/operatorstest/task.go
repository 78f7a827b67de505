// Package operatorstest is the bench for tests of operators and sensors: a Task that records what an operator does, and
// ways to build an operator as a pipeline file would.
package operatorstest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/connections"
	"gust/dag"
	"gust/operators"
)

// Task is an operators.Task in memory. The zero value is not usable: start with NewTask. Its exported fields may be
// changed before the operator runs.
type Task struct {
	Identity dag.Attempt
	RunInfo  operators.RunInfo
	Task     *dag.Task
	// First is FirstStart's answer; NewTask sets it to the time of its call.
	First time.Time
	// Clock is Now's answer; nil means time.Now, which follows the clock of a testing/synctest bubble.
	Clock func() time.Time
	// Connections are what Connection finds.
	Connections map[string]*connections.Connection
	// Previous are the XComs of the previous try.
	Previous map[string]any
	// Others are the XComs of other tasks: task id, then key.
	Others map[string]map[string]any
	// OnPush, when not nil, is called before a push is recorded; its error is the push's.
	OnPush func(key string, value json.RawMessage) error

	mu     sync.Mutex
	xcoms  map[string]json.RawMessage
	order  []string
	log    bytes.Buffer
	logger *slog.Logger
}

// NewTask returns task "task" of DAG "dag", first try of a manual run, do_xcom_push on, no connections.
func NewTask(tb testing.TB) *Task {
	tb.Helper()
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	key := dag.Key{DagID: "dag", RunID: "manual__2024-01-01T00:00:00+00:00", TaskID: "task", MapIndex: -1}
	t := &Task{
		Identity: dag.Attempt{Key: key, TryNumber: 1},
		RunInfo: operators.RunInfo{
			RunKey: key.Run(), Type: dag.RunManual, LogicalDate: at, RunAfter: at, IntervalStart: at, IntervalEnd: at,
			StartDate: at,
		},
		Task:        &dag.Task{ID: "task", Owner: dag.DefaultOwner, DoXComPush: true},
		First:       time.Now(),
		Connections: map[string]*connections.Connection{},
		Previous:    map[string]any{},
		Others:      map[string]map[string]any{},
		xcoms:       map[string]json.RawMessage{},
	}
	t.logger = slog.New(slog.NewTextHandler(lockedLog{t}, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	}))
	return t
}

type lockedLog struct{ t *Task }

func (l lockedLog) Write(p []byte) (int, error) {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	return l.t.log.Write(p)
}

// NextTry returns the task as its next try sees it: what was pushed is now under PreviousXCom.
func (t *Task) NextTry(tb testing.TB) *Task {
	tb.Helper()
	n := NewTask(tb)
	n.Identity, n.RunInfo, n.Task, n.First, n.Clock = t.Identity, t.RunInfo, t.Task, t.First, t.Clock
	n.Connections, n.Others = t.Connections, t.Others
	n.Identity.TryNumber++
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, value := range t.xcoms {
		n.Previous[key] = value
	}
	return n
}

// Attempt is Identity.
func (t *Task) Attempt() dag.Attempt { return t.Identity }

// Run is RunInfo.
func (t *Task) Run() operators.RunInfo { return t.RunInfo }

// Spec is Task.
func (t *Task) Spec() *dag.Task { return t.Task }

// Connection looks in Connections.
func (t *Task) Connection(_ context.Context, id string) (*connections.Connection, error) {
	if c, ok := t.Connections[id]; ok {
		return c, nil
	}
	return nil, &connections.NotFoundError{ID: id, Known: slices.Sorted(maps.Keys(t.Connections))}
}

// XComPush records the value.
func (t *Task) XComPush(ctx context.Context, key string, value any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return err
	}
	raw := json.RawMessage(bytes.TrimRight(buf.Bytes(), "\n"))
	if t.OnPush != nil {
		if err := t.OnPush(key, raw); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.xcoms[key] = raw
	t.order = append(t.order, key)
	return nil
}

// XComPull reads what this task pushed, or Others.
func (t *Task) XComPull(_ context.Context, taskID, key string) (json.RawMessage, bool, error) {
	if taskID != "" && taskID != t.Identity.TaskID {
		return found(t.Others[taskID], key)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	raw, ok := t.xcoms[key]
	return raw, ok, nil
}

// PreviousXCom reads Previous.
func (t *Task) PreviousXCom(_ context.Context, key string) (json.RawMessage, bool, error) {
	return found(t.Previous, key)
}

func found(values map[string]any, key string) (json.RawMessage, bool, error) {
	value, ok := values[key]
	if !ok {
		return nil, false, nil
	}
	raw, err := json.Marshal(value)
	return raw, err == nil, err
}

// Log writes to LogText.
func (t *Task) Log() *slog.Logger { return t.logger }

// Now asks Clock.
func (t *Task) Now() time.Time {
	if t.Clock != nil {
		return t.Clock()
	}
	return time.Now()
}

// FirstStart is First.
func (t *Task) FirstStart() time.Time { return t.First }

// XCom returns the JSON pushed under key, or "".
func (t *Task) XCom(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.xcoms[key])
}

// Pushes lists the keys in the order of the pushes.
func (t *Task) Pushes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.order)
}

// LogText is the log so far, one "level=... msg=..." line per record, without times.
func (t *Task) LogText() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.log.String()
}

// Logged reports whether a line of the log holds text.
func (t *Task) Logged(text string) bool { return strings.Contains(t.LogText(), text) }

// Build decodes parameters into a new operator of the registry, as a pipeline file would, and validates it. A problem
// fails the test.
func Build(tb testing.TB, r *operators.Registry, name string, params map[string]any) operators.Operator {
	tb.Helper()
	op, err := TryBuild(r, name, params)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return op
}

// TryBuild is Build with the problems as an error.
func TryBuild(r *operators.Registry, name string, params map[string]any) (operators.Operator, error) {
	spec, ok := r.Lookup(name)
	if !ok {
		return nil, &unknown{name}
	}
	op := spec.New()
	if errs := spec.Schema().Decode(op, params, false); len(errs) > 0 {
		return nil, errs[0]
	}
	if v, ok := op.(operators.Validator); ok {
		if err := v.Validate(); err != nil {
			return nil, err
		}
	}
	return op, nil
}

type unknown struct{ name string }

func (u *unknown) Error() string { return "no operator is called " + u.name }

// TestFamily checks what every family of operators owes its users: the specs' documentation, a doc tag on every
// parameter, and that each name decodes.
func TestFamily(t *testing.T, r *operators.Registry) {
	t.Helper()
	for _, spec := range r.Specs() {
		if spec.Doc == "" {
			t.Errorf("%s has no documentation", spec.Name)
		}
		for _, f := range spec.Schema().Fields {
			if f.Doc == "" {
				t.Errorf("%s: parameter %s has no doc tag", spec.Name, f.Name)
			}
		}
		if _, ok := spec.New().(operators.Parker); ok != spec.Sensor {
			t.Errorf("%s: Sensor is %v, Parker is %v", spec.Name, spec.Sensor, ok)
		}
	}
}
