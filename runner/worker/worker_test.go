package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/runner/tasklog"
	"gust/triggers"
)

type bench struct {
	Worker
	rec   *attempttest.Recorder
	op    *attempttest.Op
	xcoms *attempttest.XComs
}

func newBench(t testing.TB) *bench {
	t.Helper()
	op, xcoms := &attempttest.Op{}, &attempttest.XComs{}
	return &bench{
		Worker: Worker{Env: &attempt.Env{Operators: attempttest.Registry(t, op), XComs: xcoms}},
		rec:    &attempttest.Recorder{XComs: xcoms}, op: op, xcoms: xcoms,
	}
}

// run runs an attempt and returns its last report; the reports before must be one Started and any Pushed.
func (b *bench) run(ctx context.Context, t testing.TB, w executor.Work) executor.Report {
	t.Helper()
	b.Run(ctx, &w, b.rec)
	all := b.rec.All()
	for i, rep := range all {
		switch {
		case rep.Attempt != w.Attempt():
			t.Errorf("a report of %s", rep.Attempt)
		case i == 0 && len(all) > 1 && rep.Kind != executor.Started:
			t.Errorf("began with %d", rep.Kind)
		case i > 0 && i < len(all)-1 && rep.Kind != executor.Pushed:
			t.Errorf("a report of kind %d before the last", rep.Kind)
		}
	}
	return all[len(all)-1]
}

func TestEnds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	kinds := map[string]struct {
		res  operators.Result
		err  error
		want executor.Report
	}{
		"done":        {operators.Done(map[string]any{"a<b": 1}), nil, executor.Report{Kind: executor.Succeeded}},
		"skipped":     {operators.Skip("no file"), nil, executor.Report{Kind: executor.Skipped, Error: "no file"}},
		"rescheduled": {operators.Reschedule(at), nil, executor.Report{Kind: executor.Rescheduled, RescheduleAt: at}},
		"branch": {operators.Branch(nil, "x"), nil, executor.Report{Kind: executor.Succeeded,
			Follow: &[]string{"x"}}},
		"short circuit": {operators.Result{SkipAll: true}, nil, executor.Report{Kind: executor.Succeeded,
			SkipAll: true}},
		"failed": {operators.Result{}, errors.New("exit 1"), executor.Report{Kind: executor.Failed,
			Error: "exit 1"}},
		"failed for good": {
			operators.Result{}, fmt.Errorf("call: %w", operators.Failf("no access")),
			executor.Report{Kind: executor.Failed, Error: "call: no access", NoRetry: true},
		},
		"sensor timeout": {
			operators.Result{}, &operators.SensorTimeoutError{Ran: 61 * time.Second, Timeout: time.Minute},
			executor.Report{
				Kind: executor.Failed, NoRetry: true,
				Error: "Sensor has timed out; run duration of 61 seconds exceeds the specified timeout of 60.",
			},
		},
		"retry after": {
			operators.Result{}, operators.RetryAfter(errors.New("throttled"), time.Minute),
			executor.Report{Kind: executor.Failed, Error: "throttled", RetryAfter: time.Minute},
		},
		"contradiction": {
			operators.Result{Skipped: true, RescheduleAt: at}, nil,
			executor.Report{Kind: executor.Failed, Error: "the operator's result says several things at once"},
		},
	}
	for name, c := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.op.OnExecute = func(context.Context, operators.Task) (operators.Result, error) { return c.res, c.err }
			got := b.run(t.Context(), t, attempttest.Work("t", "plain", nil))
			if name == "done" {
				if len(got.XComs) != 1 || string(got.XComs[0].Value) != `{"a<b":1}` {
					t.Errorf("XComs %+v", got.XComs)
				}
			}
			if name == "contradiction" && strings.HasPrefix(got.Error, c.want.Error) {
				got.Error = c.want.Error
			}
			c.want.Attempt, c.want.At, c.want.XComs = got.Attempt, got.At, got.XComs
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if got.At.IsZero() || got.At.Location() != time.UTC {
				t.Errorf("at %v", got.At)
			}
		})
	}
}

func TestPanicFailsTheAttemptWithItsStack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.op.OnExecute = func(context.Context, operators.Task) (operators.Result, error) {
		var m map[string]int
		m["x"]++ //nolint:staticcheck // the panic is what is tested
		return operators.Result{}, nil
	}
	got := b.run(t.Context(), t, attempttest.Work("t", "plain", nil))
	if got.Kind != executor.Failed || got.NoRetry ||
		!strings.HasPrefix(got.Error, "panic: assignment to entry in nil map\n") ||
		!strings.Contains(got.Error, "worker_test.go:") || strings.Contains(got.Error, "runner/attempt.Guard") {
		t.Errorf("got %+v", got)
	}
}

func TestGoexitFailsTheAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.op.OnExecute = func(context.Context, operators.Task) (operators.Result, error) {
		runtime.Goexit()
		panic("unreachable")
	}
	if got := b.run(t.Context(), t, attempttest.Work("t", "plain", nil)); got.Kind != executor.Failed ||
		!strings.Contains(got.Error, "Goexit") {
		t.Errorf("got %+v", got)
	}
}

func TestDefers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.op.OnExecute = func(context.Context, operators.Task) (operators.Result, error) {
			time.Sleep(10 * time.Second)
			return operators.Defer(triggers.Trigger{Kind: "k", Args: json.RawMessage(`{}`)}, time.Minute), nil
		}
		began := time.Now().UTC()
		w := attempttest.Work("t", "deferring", nil)
		got := b.run(t.Context(), t, w)
		since := began.Add(10 * time.Second)
		want := &dag.Deferral{Kind: "k", Args: json.RawMessage(`{}`), Since: since, Timeout: time.Minute,
			Deadline: since.Add(time.Minute)}
		if d := cmp.Diff(want, got.Deferral); d != "" || got.Kind != executor.Deferred {
			t.Errorf("kind %d %s", got.Kind, d)
		}
		// execution_timeout covers the whole try and ends the wait when it is sooner.
		b.rec = &attempttest.Recorder{}
		w.Task.ExecutionTimeout = 30 * time.Second
		began = time.Now().UTC()
		got = b.run(t.Context(), t, w)
		if d := got.Deferral; !d.ByExecutionTimeout || !d.Deadline.Equal(began.Add(30*time.Second)) {
			t.Errorf("got %+v", d)
		}
	})
}

// An attempt whose task is ended by others while it pushes a value stops what it has started: no kill reaches it any more.
func TestStalePushStopsWhatWasStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stops := 0
	b.op.OnExecute = func(ctx context.Context, t operators.Task) (operators.Result, error) {
		return operators.Result{}, t.XComPush(ctx, "key", 1)
	}
	b.op.OnStop = func(context.Context, operators.Task, string, *triggers.Trigger) error {
		stops++
		return nil
	}
	b.rec.OnReport = func(r executor.Report) error {
		if r.Kind == executor.Pushed {
			return executor.ErrStale
		}
		return nil
	}
	w := attempttest.Work("t", "deferring", nil)
	b.Run(t.Context(), &w, b.rec)
	if stops != 1 {
		t.Errorf("stopped %d times, want once", stops)
	}
}

func TestDeferringNeedsResume(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.op.OnExecute = func(context.Context, operators.Task) (operators.Result, error) {
		return operators.Defer(triggers.Trigger{Kind: "k"}, 0), nil
	}
	if got := b.run(t.Context(), t, attempttest.Work("t", "plain",
		nil)); got.Error != "plain deferred itself but cannot go on after a deferral" || !got.NoRetry {
		t.Errorf("got %+v", got)
	}
}

func resumed(op string, d dag.Deferral) executor.Work {
	w := attempttest.Work("t", op, nil)
	d.Kind = "k"
	d.Args = json.RawMessage(`{"arn":1}`)
	w.Instance.Deferral = &d
	return w
}

func TestResumes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := b.run(t.Context(), t, resumed("deferring", dag.Deferral{Event: json.RawMessage(`{"ok":true}`)}))
	if got.Kind != executor.Succeeded || string(got.XComs[0].Value) != `{"ok":true}` {
		t.Errorf("got %+v", got)
	}
	b.rec = &attempttest.Recorder{}
	got = b.run(t.Context(), t, resumed("plain", dag.Deferral{Event: json.RawMessage(`1`)}))
	if got.Kind != executor.Failed || !strings.Contains(got.Error, "plain was deferred but cannot go on") {
		t.Errorf("got %+v", got)
	}
}

// A failed wait fails the operator, retryable, without running it; only a passed deadline stops the remote job. A
// sensor judges the failure itself.
func TestFailedWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		op      string
		d       dag.Deferral
		want    string
		stopped bool
		is      error
	}{
		"trigger failed": {"deferring", dag.Deferral{Failed: "denied"}, "the trigger failed: denied", false, nil},
		"timed out": {
			"deferring", dag.Deferral{Failed: "x", TimedOut: true, Timeout: time.Minute},
			"Trigger timeout: the task was deferred for more than 1m0s", true, nil,
		},
		"execution timeout": {
			"deferring", dag.Deferral{Failed: "x", TimedOut: true, ByExecutionTimeout: true},
			"execution_timeout exceeded while the task was deferred", true, nil,
		},
		"sensor": {"parking", dag.Deferral{Failed: "denied"}, "the sensor: the trigger failed: denied", false, nil},
		"sensor timed out": {
			"parking", dag.Deferral{Failed: "x", TimedOut: true, Timeout: time.Minute},
			"the sensor: Trigger timeout: the task was deferred for more than 1m0s", true, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var stopped *triggers.Trigger
			b.op.OnResume = func(context.Context, operators.Task, triggers.Event) (operators.Result, error) {
				t.Error("resumed")
				return operators.Result{}, nil
			}
			b.op.OnStop = func(_ context.Context, _ operators.Task, _ string, trigger *triggers.Trigger) error {
				stopped = trigger
				return nil
			}
			b.op.OnFinish = func(_ context.Context, _ operators.Task, _ *triggers.Event,
				failure error) (operators.Result, error) {
				return operators.Result{}, fmt.Errorf("the sensor: %w", failure)
			}
			got := b.run(t.Context(), t, resumed(c.op, c.d))
			if got.Kind != executor.Failed || got.Error != c.want || got.NoRetry {
				t.Errorf("got %+v", got)
			}
			if (stopped != nil) != c.stopped || stopped != nil && string(stopped.Args) != `{"arn":1}` {
				t.Errorf("stopped %v", stopped)
			}
		})
	}
}

// hang returns when ctx ends, with its cause, after a while.
func hang(after time.Duration) func(context.Context, operators.Task) (operators.Result, error) {
	return func(ctx context.Context, _ operators.Task) (operators.Result, error) {
		<-ctx.Done()
		time.Sleep(after)
		return operators.Result{}, fmt.Errorf("wait: %w", context.Cause(ctx))
	}
}

func TestExecutionTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.op.OnExecute = hang(time.Second)
		stops := 0
		b.op.OnStop = func(ctx context.Context, _ operators.Task, reason string, trigger *triggers.Trigger) error {
			if stops++; ctx.Err() != nil || (trigger != nil) != (stops == 2) || !strings.Contains(reason, "5s") {
				t.Errorf("ctx %v, reason %q, trigger %v", ctx.Err(), reason, trigger)
			}
			if stops == 2 {
				return errors.New("no answer")
			}
			return nil
		}
		w := attempttest.Work("t", "deferring", nil)
		w.Task.ExecutionTimeout = 5 * time.Second
		began := time.Now()
		got := b.run(t.Context(), t, w)
		if got.Kind != executor.Failed || got.NoRetry ||
			got.Error != "execution_timeout exceeded: the task ran longer than 5s" {
			t.Errorf("got %+v", got)
		}
		if took := time.Since(began); took != 6*time.Second || stops != 1 || got.Unstopped != "" {
			t.Errorf("took %s, %d stops", took, stops)
		}
		// What was deferred has used its time up already.
		b.rec = &attempttest.Recorder{}
		w.Instance.Deferral = &dag.Deferral{Event: json.RawMessage("1")}
		w.Instance.StartDate = time.Now().Add(-3 * time.Second)
		b.op.OnResume = func(ctx context.Context, task operators.Task, _ triggers.Event) (operators.Result, error) {
			return hang(0)(ctx, task)
		}
		began = time.Now()
		// Its Stop fails, and is to be tried again.
		if got = b.run(t.Context(), t, w); got.Kind != executor.Failed || time.Since(began) != 2*time.Second ||
			!strings.Contains(got.Unstopped, "5s") {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
	})
}

// The operator's own error does not make a time limit final, and a result that came in time counts.
func TestExecutionTimeoutAndResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		w := attempttest.Work("t", "plain", nil)
		w.Task.ExecutionTimeout = time.Second
		b.op.OnExecute = func(ctx context.Context, _ operators.Task) (operators.Result, error) {
			<-ctx.Done()
			return operators.Result{}, operators.Failf("signal: terminated")
		}
		if got := b.run(t.Context(), t, w); got.NoRetry ||
			got.Error != "execution_timeout exceeded: the task ran longer than 1s; then: signal: terminated" {
			t.Errorf("got %+v", got)
		}
		b.rec = &attempttest.Recorder{}
		b.op.OnExecute = func(ctx context.Context, _ operators.Task) (operators.Result, error) {
			<-ctx.Done()
			return operators.Skip("soft_fail"), nil
		}
		if got := b.run(t.Context(), t, w); got.Kind != executor.Skipped {
			t.Errorf("got %+v", got)
		}
	})
}

func TestKill(t *testing.T) {
	t.Parallel()
	for name, execute := range map[string]func(context.Context, operators.Task) (operators.Result, error){
		"returns": hang(time.Second),
		"succeeds": func(ctx context.Context, _ operators.Task) (operators.Result, error) {
			<-ctx.Done()
			return operators.Done(1), nil
		},
		"too stuck": hang(time.Hour),
		"defers": func(ctx context.Context, _ operators.Task) (operators.Result, error) {
			<-ctx.Done()
			return operators.Defer(triggers.Trigger{Kind: "k"}, 0), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.op.OnExecute = execute
				var stopped []string
				b.op.OnStop = func(ctx context.Context, _ operators.Task, reason string,
					trigger *triggers.Trigger) error {
					if ctx.Err() != nil || (trigger != nil) != (name == "defers") {
						t.Errorf("ctx %v, trigger %v", ctx.Err(), trigger)
					}
					stopped = append(stopped, reason)
					return errors.New("no access")
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Minute, func() { cancel(&operators.KilledError{Reason: "marked failed"}) })
				began := time.Now()
				got := b.run(ctx, t, attempttest.Work("t", "deferring", nil))
				if got.Kind != executor.Failed || got.Error != "killed: marked failed" || len(stopped) != 1 ||
					stopped[0] != "marked failed" {
					t.Errorf("got %+v, stopped %q", got, stopped)
				}
				if took := time.Since(began); took > time.Minute+DefaultKillGrace {
					t.Errorf("took %s", took)
				}
				time.Sleep(2 * time.Hour) // the stuck one returns, and is not heard
				if n := len(b.rec.All()); n != 2 {
					t.Errorf("%d reports", n)
				}
			})
		})
	}
}

// Killed before it began: nothing runs, but a remote job of an earlier daemon's attempt is stopped.
func TestKilledBeforeItBegan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.op.OnExecute = func(context.Context, operators.Task) (operators.Result, error) {
		t.Error("executed")
		return operators.Result{}, nil
	}
	stops := 0
	b.op.OnStop = func(context.Context, operators.Task, string, *triggers.Trigger) error { stops++; return nil }
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(operators.ErrKilled)
	if got := b.run(ctx, t, attempttest.Work("t", "deferring", nil)); got.Kind != executor.Failed ||
		got.Error != "killed" || stops != 1 {
		t.Errorf("got %+v, %d stops", got, stops)
	}
}

func TestStopThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.op.OnExecute = hang(0)
		release := make(chan struct{})
		b.op.OnStop = func(context.Context, operators.Task, string, *triggers.Trigger) error { <-release; return nil }
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(&operators.KilledError{Reason: "x"})
		began := time.Now()
		b.run(ctx, t, attempttest.Work("t", "deferring", nil))
		if took := time.Since(began); took != attempt.DefaultStopTimeout+time.Second {
			t.Errorf("took %s", took)
		}
		close(release)
	})
}

func TestDaemonStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		execute func(context.Context, operators.Task) (operators.Result, error)
		want    executor.Kind
	}{
		"interrupted": {hang(time.Second), executor.Interrupted},
		"stuck":       {hang(time.Hour), executor.Interrupted},
		"panics": {func(ctx context.Context, _ operators.Task) (operators.Result, error) {
			<-ctx.Done()
			panic("closed")
		}, executor.Interrupted},
		"ends well": {func(ctx context.Context, _ operators.Task) (operators.Result, error) {
			<-ctx.Done()
			return operators.Done(nil), nil
		}, executor.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.op.OnExecute = c.execute
				b.op.OnStop = func(context.Context, operators.Task, string, *triggers.Trigger) error {
					t.Error("stopped the remote job of an attempt that will be repeated")
					return nil
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Minute, func() { cancel(operators.ErrStopping) })
				if got := b.run(ctx, t, attempttest.Work("t", "deferring", nil)); got.Kind != c.want ||
					got.Error != "" {
					t.Errorf("got %+v", got)
				}
				b.rec = &attempttest.Recorder{}
				if got := b.run(ctx, t, attempttest.Work("t", "deferring",
					nil)); got.Kind != executor.Interrupted || len(b.rec.All()) != 1 {
					t.Errorf("begun after the stop: %+v", b.rec.All())
				}
				time.Sleep(2 * time.Hour) // the stuck one returns
			})
		})
	}
}

func TestUnknownOperator(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := b.run(t.Context(), t, attempttest.Work("t", "plai", nil))
	if got.Error != `task "t": this binary has no operator "plai"; did you mean "plain"?` {
		t.Errorf("got %q", got.Error)
	}
}

func TestLogTellsTheStory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		execute func(context.Context, operators.Task) (operators.Result, error)
		try     int
		want    []string
	}{
		"success": {nil, 1, []string{
			"INFO - Starting attempt 1 of 3 operator=plain logical_date=2026-11-21T10:00:00Z",
			"INFO - Marking task as SUCCESS duration=",
		}},
		"retry": {func(_ context.Context, task operators.Task) (operators.Result, error) {
			task.Log().With(tasklog.LoggerKey, "task.stdout").Info("hello")
			return operators.Result{}, errors.New("exit 1")
		}, 2, []string{"Starting attempt 2 of 3", "{task.stdout} INFO - hello", "ERROR - Task failed: exit 1",
			"Marking task as UP_FOR_RETRY"}},
		"last try": {func(context.Context, operators.Task) (operators.Result, error) {
			return operators.Result{}, errors.New("exit 1")
		}, 3, []string{"Marking task as FAILED"}},
		"final": {func(context.Context, operators.Task) (operators.Result, error) {
			return operators.Result{}, operators.Failf("exit 1")
		}, 1, []string{"Marking task as FAILED"}},
		"skip": {func(context.Context, operators.Task) (operators.Result, error) {
			return operators.Skip("no data"), nil
		}, 1, []string{`Marking task as SKIPPED reason="no data"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Env.Logs = &tasklog.Files{Base: t.TempDir()}
			b.op.OnExecute = c.execute
			var out strings.Builder
			w := attempttest.Work("t", "plain", nil)
			w.Instance.TryNumber = c.try
			b.rec.OnReport = func(rep executor.Report) error {
				if rep.Kind == executor.Started {
					return nil
				}
				return (&tasklog.Reader{W: &out}).Print(tasklog.Path(b.Env.Logs.Base,
					w.Attempt())) // complete before the report
			}
			b.run(t.Context(), t, w)
			rest := out.String()
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("no %q in\n%s", want, out.String())
				}
				rest = after
			}
		})
	}
}
