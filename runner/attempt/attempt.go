// Package attempt is one try of a task as its operator sees it: the operators.Task handle, the rendering and decoding
// of parameters into a fresh operator, and the translation of how it ended into a report. Workers and the trigger loop
// share it, so that a task behaves the same wherever it is.
package attempt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gust/connections"
	"gust/dag"
	"gust/operators"
	"gust/runner/executor"
	"gust/runner/tasklog"
	"gust/store"
	"gust/triggers"
)

// Env is what all attempts of a process share. Its fields are set once, before the first attempt.
type Env struct {
	// Operators holds every operator and sensor a task may name.
	Operators *operators.Registry
	// Triggers holds every trigger that a wait may name; nil leaves it to the trigger loop to sort waits.
	Triggers *triggers.Registry
	// Connections resolves connection ids. The resolver registers the secrets it returns with Mask's masker.
	Connections connections.Resolver
	// XComs reads what is committed.
	XComs store.XComs
	// Renderer renders templates; nil leaves every parameter as written.
	Renderer Renderer
	// Logs holds the attempts' log files; nil discards their lines.
	Logs *tasklog.Files
	// Mask hides secrets in error messages before they are stored; nil hides nothing. Log files have their own hook.
	Mask func(string) string
	// Now is the engine's clock; nil means time.Now.
	Now func() time.Time
	// XComMaxBytes is the largest XCom value, in bytes of JSON ([core] xcom_max_bytes); 0 means DefaultXComMaxBytes.
	XComMaxBytes int
	// MaxMapLength is [core] max_map_length, the longest list that a task may be mapped over; 0 means 1024.
	MaxMapLength int

	expansions expansions
}

// Open returns the handle of an attempt. Close it when the attempt leaves the process's hands.
func (e *Env) Open(w *executor.Work, r executor.Reporter) *Handle {
	h := &Handle{env: e, work: w, reporter: r}
	h.start = h.Now()
	if e.Logs == nil {
		h.logger = slog.New(slog.DiscardHandler)
		return h
	}
	h.log = e.Logs.Open(w.Attempt())
	h.logger = h.log.Logger()
	return h
}

// Handle is the operators.Task of one attempt. It is safe for concurrent use.
type Handle struct {
	env      *Env
	work     *executor.Work
	reporter executor.Reporter
	log      *tasklog.Log // nil: lines are discarded
	logger   *slog.Logger
	start    time.Time

	// exception and reason are what a callback is about.
	exception, reason string

	mu     sync.Mutex
	pushed map[string]json.RawMessage
	labels map[string]any // what map_index_template may use besides
	// rendered are the operator's parameters as it got them; not changed once set.
	rendered map[string]any
}

var _ operators.Task = (*Handle)(nil)

// Concerns says, before anything is rendered, what a callback is about: the text of an error, and why it is called.
func (h *Handle) Concerns(exception, reason string) { h.exception, h.reason = exception, reason }

// Concern is what Concerns was given; empty for a task.
func (h *Handle) Concern() (exception, reason string) { return h.exception, h.reason }

// Close writes out and closes the attempt's log file.
func (h *Handle) Close() {
	if h.log != nil {
		h.log.Close()
	}
}

// Work is what is being run. It must not be changed.
func (h *Handle) Work() *executor.Work { return h.work }

// Start is when the handle was opened.
func (h *Handle) Start() time.Time { return h.start }

// Attempt identifies the try.
func (h *Handle) Attempt() dag.Attempt { return h.work.Attempt() }

// Run describes the DAG run.
func (h *Handle) Run() operators.RunInfo {
	r := &h.work.Run
	return operators.RunInfo{
		RunKey: r.RunKey, Type: r.Type, LogicalDate: r.LogicalDate, RunAfter: r.RunAfter,
		IntervalStart: r.IntervalStart, IntervalEnd: r.IntervalEnd, StartDate: r.StartDate,
		Conf: r.Conf, TriggeredBy: r.TriggeredBy, NextAfter: h.work.NextAfter,
	}
}

// Spec is the task as loaded from the file.
func (h *Handle) Spec() *dag.Task { return h.work.Task }

// Log writes to the attempt's log file.
func (h *Handle) Log() *slog.Logger { return h.logger }

// Now is the engine's clock, in UTC.
func (h *Handle) Now() time.Time {
	if h.env.Now == nil {
		return time.Now().UTC()
	}
	return h.env.Now().UTC()
}

// FirstStart is when the task first ran or was parked, or the start of this attempt when it is the first.
func (h *Handle) FirstStart() time.Time {
	if first := h.work.Instance.FirstStart; !first.IsZero() {
		return first
	}
	return h.start
}

// Connection resolves a connection id.
func (h *Handle) Connection(ctx context.Context, id string) (*connections.Connection, error) {
	if h.env.Connections == nil {
		return nil, &connections.NotFoundError{ID: id}
	}
	return h.env.Connections.Connection(ctx, id)
}

// XComPush stores a value durably before it returns. The end of ctx ends the wait with ctx's cause; the value may then
// be stored or not.
func (h *Handle) XComPush(ctx context.Context, key string, value any) error {
	raw, err := h.encode(key, value)
	if err != nil {
		return err
	}
	committed := make(chan error, 1)
	h.reporter.Report(executor.Report{
		Attempt: h.Attempt(), Kind: executor.Pushed, At: h.Now(), XComs: []store.XCom{h.xcom(key, raw)},
		Committed: func(err error) { committed <- err },
	})
	select {
	case err = <-committed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("push XCom %q: %w", key, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pushed == nil {
		h.pushed = map[string]json.RawMessage{}
	}
	h.pushed[key] = raw
	return nil
}

// XComPull reads a value pushed in the same run; an empty taskID means this very attempt. Of a mapped task it is the list
// of what its instances have pushed.
func (h *Handle) XComPull(ctx context.Context, taskID, key string) (json.RawMessage, bool, error) {
	from := h.work.Instance.Key
	own := taskID == "" || taskID == from.TaskID
	if own {
		h.mu.Lock()
		raw, ok := h.pushed[key]
		h.mu.Unlock()
		if ok {
			return raw, true, nil
		}
	} else {
		if task := h.work.DAG.Task(taskID); task != nil && task.Mapped != nil {
			return h.pullMapped(ctx, taskID, key)
		}
		from.TaskID = taskID
		from.MapIndex = -1
	}
	x, err := h.get(ctx, from, key)
	if err != nil {
		return nil, false, fmt.Errorf("pull XCom %q of task %q: %w", key, from.TaskID, err)
	}
	if x == nil || own && x.Try != h.work.Instance.TryNumber {
		return nil, false, nil
	}
	return x.Value, true, nil
}

func (h *Handle) get(ctx context.Context, from dag.Key, key string) (*store.XCom, error) {
	x, err := h.env.XComs.XComGet(ctx, from, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // nil is "there is none", which is not an error here
	}
	return x, err
}

// PreviousXCom reads what an earlier try of this task pushed last under key.
func (h *Handle) PreviousXCom(ctx context.Context, key string) (json.RawMessage, bool, error) {
	x, err := h.env.XComs.XComPrevious(ctx, h.work.Instance.Key, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("pull XCom %q of the previous try: %w", key, err)
	}
	return x.Value, true, nil
}

func (h *Handle) mask(text string) string {
	if h.env.Mask == nil {
		return text
	}
	return h.env.Mask(text)
}
