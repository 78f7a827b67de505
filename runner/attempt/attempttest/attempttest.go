// Package attempttest is the bench for tests of what runs attempts: a reporter that records, XComs in memory, works,
// and an operator whose behaviour is a function.
package attempttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/executor"
	"gust/store"
	"gust/triggers"
)

// Recorder is an executor.Reporter that keeps every report and commits pushed XComs at once.
type Recorder struct {
	// XComs takes what is pushed; nil drops it.
	XComs *XComs
	// OnReport, when not nil, sees each report before it is recorded. For a Pushed report it may return the error that
	// loses it.
	OnReport func(executor.Report) error

	mu      sync.Mutex
	reports []executor.Report
	changed chan struct{}
}

// Report records.
func (r *Recorder) Report(rep executor.Report) {
	var err error
	if r.OnReport != nil {
		err = r.OnReport(rep)
	}
	if err == nil && r.XComs != nil {
		r.XComs.Put(rep.XComs...)
	}
	r.mu.Lock()
	r.reports = append(r.reports, rep)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	r.mu.Unlock()
	if rep.Committed != nil {
		rep.Committed(err)
	}
}

// All returns the reports so far.
func (r *Recorder) All() []executor.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]executor.Report(nil), r.reports...)
}

// Kinds returns the kinds of the reports so far, of one attempt, or of all when a is zero.
func (r *Recorder) Kinds(a dag.Attempt) []executor.Kind {
	var kinds []executor.Kind
	for _, rep := range r.All() {
		if a == (dag.Attempt{}) || rep.Attempt == a {
			kinds = append(kinds, rep.Kind)
		}
	}
	return kinds
}

// Await waits for a report that ok accepts and returns it.
func (r *Recorder) Await(tb testing.TB, ok func(executor.Report) bool) executor.Report {
	tb.Helper()
	seen := 0
	for {
		r.mu.Lock()
		for ; seen < len(r.reports); seen++ {
			if rep := r.reports[seen]; ok(rep) {
				r.mu.Unlock()
				return rep
			}
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-tb.Context().Done():
			tb.Fatalf("the report did not come; got %+v", r.All())
		}
	}
}

// Kind accepts reports of one kind.
func Kind(k executor.Kind) func(executor.Report) bool {
	return func(r executor.Report) bool { return r.Kind == k }
}

// Last accepts an attempt's last report.
func Last(a dag.Attempt) func(executor.Report) bool {
	return func(r executor.Report) bool {
		return r.Attempt == a && r.Kind != executor.Started && r.Kind != executor.Pushed
	}
}

// XComs are XComs in memory.
type XComs struct {
	// Err, when not nil, fails every read.
	Err error

	mu       sync.Mutex
	now      map[string]store.XCom
	previous map[string]store.XCom
}

func name(key dag.Key, name string) string { return key.String() + "\x00" + name }

// Put stores values.
func (x *XComs) Put(xcoms ...store.XCom) { x.put(&x.now, xcoms) }

// PutPrevious stores what earlier tries pushed.
func (x *XComs) PutPrevious(xcoms ...store.XCom) { x.put(&x.previous, xcoms) }

func (x *XComs) put(into *map[string]store.XCom, xcoms []store.XCom) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if *into == nil {
		*into = map[string]store.XCom{}
	}
	for _, v := range xcoms {
		(*into)[name(v.Key, v.Name)] = v
	}
}

func (x *XComs) get(from map[string]store.XCom, key dag.Key, n string) (*store.XCom, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.Err != nil {
		return nil, x.Err
	}
	v, ok := from[name(key, n)]
	if !ok {
		return nil, fmt.Errorf("xcom %s of %s: %w", n, key, store.ErrNotFound)
	}
	return &v, nil
}

// XComGet reads what was Put.
func (x *XComs) XComGet(_ context.Context, key dag.Key, n string) (*store.XCom, error) {
	return x.get(x.now, key, n)
}

// XComPrevious reads what was PutPrevious.
func (x *XComs) XComPrevious(_ context.Context, key dag.Key, n string) (*store.XCom, error) {
	return x.get(x.previous, key, n)
}

// XComMapped reads what was Put for the instances of a mapped task, up to the first that has nothing.
func (x *XComs) XComMapped(_ context.Context, run dag.RunKey, taskID, n string) ([]store.XCom, error) {
	var out []store.XCom
	for index := 0; ; index++ {
		v, err := x.get(x.now, dag.Key{DagID: run.DagID, RunID: run.RunID, TaskID: taskID, MapIndex: index}, n)
		if errors.Is(err, store.ErrNotFound) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *v)
	}
}

// XComList lists the values of a task instance.
func (x *XComs) XComList(_ context.Context, key dag.Key) ([]store.XCom, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []store.XCom
	for _, v := range x.now {
		if v.Key == key {
			out = append(out, v)
		}
	}
	return out, x.Err
}

// Work is the first attempt of a task of DAG "d" in run "r", two retries, XComs pushed.
func Work(taskID, operator string, params map[string]any) executor.Work {
	task := &dag.Task{ID: taskID, Operator: operator, Params: params, DoXComPush: true, Retries: 2}
	return executor.Work{
		DAG: &dag.DAG{ID: "d", Tasks: []*dag.Task{task}}, Task: task,
		Run: dag.Run{
			RunKey: dag.RunKey{DagID: "d", RunID: "r"}, Type: dag.RunManual,
			LogicalDate: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		},
		Instance: dag.TaskInstance{
			Key: dag.Key{DagID: "d", RunID: "r", TaskID: taskID, MapIndex: -1}, TryNumber: 1, MaxTries: 2,
		},
	}
}

// Op is an operator made of functions. A nil function does nothing. Register it with Register.
type Op struct {
	OnExecute func(context.Context, operators.Task) (operators.Result, error)
	OnResume  func(context.Context, operators.Task, triggers.Event) (operators.Result, error)
	OnStop    func(ctx context.Context, t operators.Task, reason string, trigger *triggers.Trigger) error
	OnPark    func(context.Context, operators.Task) (operators.Deferral, error)
	OnFinish  func(context.Context, operators.Task, *triggers.Event, error) (operators.Result, error)
}

// Plain is an operator that can only execute.
type Plain struct{ Op *Op }

// Execute calls OnExecute.
func (p *Plain) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	if p.Op.OnExecute == nil {
		return operators.Done(nil), nil
	}
	return p.Op.OnExecute(ctx, t)
}

// Deferring can also resume and stop.
type Deferring struct{ Plain }

// Resume calls OnResume.
func (d *Deferring) Resume(ctx context.Context, t operators.Task, e triggers.Event) (operators.Result, error) {
	if d.Op.OnResume == nil {
		return operators.Done(e.Payload), nil
	}
	return d.Op.OnResume(ctx, t, e)
}

// Stop calls OnStop.
func (d *Deferring) Stop(ctx context.Context, t operators.Task, reason string, trigger *triggers.Trigger) error {
	if d.Op.OnStop == nil {
		return nil
	}
	return d.Op.OnStop(ctx, t, reason, trigger)
}

// Parking is a sensor that can be parked.
type Parking struct{ Deferring }

// Parks is true.
func (p *Parking) Parks() bool { return true }

// Park calls OnPark.
func (p *Parking) Park(ctx context.Context, t operators.Task) (operators.Deferral, error) {
	return p.Op.OnPark(ctx, t)
}

// Finish calls OnFinish; without it an event is the result and a failure fails.
func (p *Parking) Finish(
	ctx context.Context, t operators.Task, event *triggers.Event, failure error,
) (operators.Result, error) {
	if p.Op.OnFinish != nil {
		return p.Op.OnFinish(ctx, t, event, failure)
	}
	if failure != nil {
		return operators.Result{}, failure
	}
	return operators.Done(event.Payload), nil
}

// Registry holds op under the names "plain", "deferring" and "parking".
func Registry(tb testing.TB, op *Op) *operators.Registry {
	tb.Helper()
	r := operators.NewRegistry()
	for name, make := range map[string]func() operators.Operator{
		"plain":     func() operators.Operator { return &Plain{op} },
		"deferring": func() operators.Operator { return &Deferring{Plain{op}} },
		"parking":   func() operators.Operator { return &Parking{Deferring{Plain{op}}} },
	} {
		if err := r.Register(operators.Spec{Name: name, New: make, Sensor: name == "parking"}); err != nil {
			tb.Fatal(err)
		}
	}
	return r
}
