package triggerer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/triggers"
)

// fake is a checker whose key is its args' "key", and whose answers are a function.
type fake struct {
	kind   string
	answer func(now time.Time, w triggers.Wait) triggers.Verdict
	// before, when not nil, is called at the beginning of each check.
	before func(ctx context.Context, waits []triggers.Wait)
	short  bool // answer one wait too few

	mu    sync.Mutex
	calls [][]string // ids of each check
	times []time.Time
}

func (f *fake) Kind() string { return f.kind }

func (f *fake) Key(args json.RawMessage) (string, error) {
	var v struct{ Key string }
	if err := json.Unmarshal(args, &v); err != nil {
		return "", err
	}
	if v.Key == "panic" {
		panic("in Key")
	}
	return v.Key, nil
}

func (f *fake) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	f.mu.Lock()
	ids := make([]string, len(waits))
	for i, w := range waits {
		ids[i] = strings.Fields(w.ID)[0]
	}
	slices.Sort(ids)
	f.calls = append(f.calls, ids)
	f.times = append(f.times, now)
	f.mu.Unlock()
	if f.before != nil {
		f.before(ctx, waits)
	}
	if ctx.Err() != nil {
		return nil
	}
	out := make([]triggers.Verdict, len(waits))
	for i, w := range waits {
		out[i] = f.answer(now, w)
	}
	if f.short {
		return out[1:]
	}
	return out
}

func (f *fake) checked() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func every(d time.Duration) func(time.Time, triggers.Wait) triggers.Verdict {
	return func(now time.Time, _ triggers.Wait) triggers.Verdict { return triggers.Verdict{Again: now.Add(d)} }
}

// after fires at a number of checks, looking each second.
func after(checks int) func(time.Time, triggers.Wait) triggers.Verdict {
	return func(now time.Time, w triggers.Wait) triggers.Verdict {
		if w.Checks+1 < checks {
			return triggers.Verdict{Again: now.Add(time.Second)}
		}
		return triggers.Verdict{Event: &triggers.Event{Payload: json.RawMessage(`{"checks":` + fmt.Sprint(checks) + `}`)}}
	}
}

func bareEnv(tb testing.TB) *attempt.Env {
	return &attempt.Env{Operators: attempttest.Registry(tb, &attempttest.Op{})}
}

type bench struct {
	*Loop
	rec   *attempttest.Recorder
	op    *attempttest.Op
	fake  *fake
	waits *attempttest.Waits
}

// Park stores the row as the scheduler has when it parks.
func (b *bench) Park(w executor.Work) {
	b.waits.Put(w.Instance)
	b.Loop.Park(w)
}

func start(t *testing.T, f *fake, change ...func(*Config)) *bench {
	t.Helper()
	if f.kind == "" {
		f.kind = "fake"
	}
	op := &attempttest.Op{}
	reg := triggers.NewRegistry()
	if err := reg.Register(f); err != nil {
		t.Fatal(err)
	}
	xcoms, waits := &attempttest.XComs{}, &attempttest.Waits{}
	c := Config{Env: &attempt.Env{Operators: attempttest.Registry(t, op), XComs: xcoms}, Triggers: reg, Waits: waits}
	for _, ch := range change {
		ch(&c)
	}
	rec := &attempttest.Recorder{XComs: xcoms, OnReport: func(rep executor.Report) error {
		waits.Observe(&rep)
		return nil
	}}
	b := &bench{Loop: New(c), rec: rec, op: op, fake: f, waits: waits}
	if err := b.Start(t.Context(), b.rec); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) stop(t *testing.T) {
	t.Helper()
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// deferred is an operator's attempt that waits under a key.
func deferred(task, key string, timeout time.Duration) executor.Work {
	w := attempttest.Work(task, "deferring", nil)
	d := &dag.Deferral{Kind: "fake", Args: json.RawMessage(`{"key":"` + key + `"}`), Since: time.Now()}
	if timeout > 0 {
		d.Timeout, d.Deadline = timeout, d.Since.Add(timeout)
	}
	w.Instance.Deferral = d
	return w
}

func sensor(task string) executor.Work {
	w := attempttest.Work(task, "parking", nil)
	w.Task.Parks = true
	return w
}

func parkOn(key string, timeout time.Duration) func(context.Context, operators.Task) (operators.Deferral, error) {
	return func(context.Context, operators.Task) (operators.Deferral, error) {
		trigger, err := triggers.New("fake", map[string]string{"key": key})
		return operators.Deferral{Trigger: trigger, Timeout: timeout}, err
	}
}
