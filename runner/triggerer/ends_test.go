package triggerer

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/triggers"
)

func TestOperatorFires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: after(3)})
		defer b.stop(t)
		began := time.Now()
		w := deferred("a", "k", time.Hour)
		b.Park(w)
		b.Park(w) // held already
		rep := b.rec.Await(t, attempttest.Last(w.Attempt()))
		if rep.Kind != executor.Fired || string(rep.Deferral.Event) != `{"checks":3}` || rep.Deferral.Failed != "" {
			t.Errorf("got %+v", rep)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %s", took)
		}
		synctest.Wait()
		if b.Held() != 0 || len(b.rec.All()) != 1 {
			t.Errorf("%d held, reports %v", b.Held(), b.rec.Kinds(dag.Attempt{}))
		}
		if w.Instance.Deferral.Event != nil {
			t.Error("the handed-over deferral was changed")
		}
	})
}

func TestSensorParksAndFinishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: after(2)})
		defer b.stop(t)
		b.op.OnPark = parkOn("k", time.Hour)
		w := sensor("s")
		b.Park(w)
		parked := b.rec.Await(t, attempttest.Kind(executor.Parked))
		if d := parked.Deferral; d.Kind != "fake" || d.Timeout != time.Hour ||
			!d.Deadline.Equal(d.Since.Add(time.Hour)) {
			t.Errorf("parked on %+v", d)
		}
		rep := b.rec.Await(t, attempttest.Kind(executor.Succeeded))
		if len(rep.XComs) != 1 || string(rep.XComs[0].Value) != `{"checks":2}` || rep.XComs[0].Name != "return_value" {
			t.Errorf("got %+v", rep.XComs)
		}
	})
}

func TestSensorEnds(t *testing.T) {
	t.Parallel()
	later := operators.Defer(triggers.Trigger{Kind: "fake", Args: json.RawMessage(`{"key":"second"}`)}, 0)
	for name, c := range map[string]struct {
		park   func(context.Context, operators.Task) (operators.Deferral, error)
		finish func(context.Context, operators.Task, *triggers.Event, error) (operators.Result, error)
		answer func(time.Time, triggers.Wait) triggers.Verdict
		kinds  []executor.Kind
		err    string
		final  bool
	}{
		"park fails": {
			park: func(context.Context, operators.Task) (operators.Deferral, error) {
				return operators.Deferral{}, operators.Fail(errors.New("no such thing"))
			},
			kinds: []executor.Kind{executor.Failed}, err: "no such thing", final: true,
		},
		"park hangs": {
			park: func(ctx context.Context, _ operators.Task) (operators.Deferral, error) {
				<-ctx.Done()
				return operators.Deferral{}, context.Cause(ctx)
			},
			kinds: []executor.Kind{executor.Failed}, err: "took longer than 1m0s to be parked",
		},
		"park panics": {
			park:  func(context.Context, operators.Task) (operators.Deferral, error) { panic("ouch") },
			kinds: []executor.Kind{executor.Failed}, err: "panic: ouch",
		},
		"finish panics": {
			finish: func(context.Context, operators.Task, *triggers.Event, error) (operators.Result,
				error) {
				panic("late")
			},
			kinds: []executor.Kind{executor.Parked, executor.Failed}, err: "panic: late",
		},
		"skips": {
			finish: func(context.Context, operators.Task, *triggers.Event, error) (operators.Result, error) {
				return operators.Skip("not today"), nil
			},
			kinds: []executor.Kind{executor.Parked, executor.Skipped}, err: "not today",
		},
		"times out": {
			park: parkOn("k", time.Minute), answer: every(time.Hour),
			kinds: []executor.Kind{executor.Parked, executor.Failed}, err: "Trigger timeout",
		},
		"trigger fails": {
			answer: func(time.Time, triggers.Wait) triggers.Verdict {
				return triggers.Verdict{Err: errors.New("access denied")}
			},
			kinds: []executor.Kind{executor.Parked, executor.Failed}, err: "access denied",
		},
		"unknown kind": {
			park: func(context.Context, operators.Task) (operators.Deferral, error) {
				return operators.Deferral{Trigger: triggers.Trigger{Kind: "fakes"}}, nil
			},
			kinds: []executor.Kind{executor.Parked, executor.Failed}, err: `no trigger of kind "fakes"; known: [fake]`,
		},
		"key fails": {
			park: func(context.Context, operators.Task) (operators.Deferral, error) {
				return operators.Deferral{Trigger: triggers.Trigger{Kind: "fake", Args: json.RawMessage(`[]`)}}, nil
			},
			kinds: []executor.Kind{executor.Parked, executor.Failed}, err: "trigger fake: json: cannot unmarshal",
		},
		"key panics": {
			park: parkOn("panic", 0), kinds: []executor.Kind{executor.Parked, executor.Failed}, err: "panic: in Key",
		},
		"waits twice": {
			finish: func() func(context.Context, operators.Task, *triggers.Event, error) (operators.Result, error) {
				n := 0
				return func(context.Context, operators.Task, *triggers.Event, error) (operators.Result, error) {
					if n++; n == 1 {
						return later, nil
					}
					return operators.Done(nil), nil
				}
			}(),
			kinds: []executor.Kind{executor.Parked, executor.Parked, executor.Succeeded},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fake{answer: after(1)}
				if c.answer != nil {
					f.answer = c.answer
				}
				b := start(t, f)
				defer b.stop(t)
				b.op.OnPark, b.op.OnFinish = parkOn("k", 0), c.finish
				if c.park != nil {
					b.op.OnPark = c.park
				}
				w := sensor("s")
				b.Park(w)
				last := c.kinds[len(c.kinds)-1]
				rep := b.rec.Await(t, attempttest.Kind(last))
				synctest.Wait()
				if d := cmp.Diff(c.kinds, b.rec.Kinds(w.Attempt())); d != "" {
					t.Error(d)
				}
				if !strings.Contains(rep.Error, c.err) || rep.NoRetry != c.final {
					t.Errorf("got error %q, final %v", rep.Error, rep.NoRetry)
				}
				if b.Held() != 0 || len(b.groups) != 0 {
					t.Errorf("%d held, %d groups", b.Held(), len(b.groups))
				}
			})
		})
	}
}

// The deadline holds to the moment, also while the wait's own check hangs, and the late answer changes nothing.
func TestDeadlineIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{answer: after(1), before: func(ctx context.Context, _ []triggers.Wait) {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}}
		b := start(t, f)
		defer b.stop(t)
		began := time.Now()
		w := deferred("a", "k", 90*time.Second)
		b.Park(w)
		rep := b.rec.Await(t, attempttest.Last(w.Attempt()))
		if got := time.Since(began); got != 90*time.Second || rep.Kind != executor.Fired || !rep.Deferral.TimedOut {
			t.Errorf("after %s: %+v", got, rep.Deferral)
		}
		if want := (&operators.DeferralTimeoutError{Timeout: 90 * time.Second}).Error(); rep.Deferral.Failed != want {
			t.Errorf("got %q", rep.Deferral.Failed)
		}
		close(release)
		synctest.Wait()
		if n := len(b.rec.All()); n != 1 || b.Held() != 0 {
			t.Errorf("%d reports, %d held", n, b.Held())
		}
	})
}

func TestExecutionTimeoutCoversTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Hour)})
		defer b.stop(t)
		b.op.OnPark = parkOn("k", 24*time.Hour)
		var failure error
		b.op.OnFinish = func(_ context.Context, _ operators.Task, _ *triggers.Event, err error) (operators.Result,
			error) {
			failure = err
			return operators.Result{}, err
		}
		w := sensor("s")
		w.Task.ExecutionTimeout = time.Minute
		began := time.Now()
		b.Park(w)
		rep := b.rec.Await(t, attempttest.Kind(executor.Failed))
		if !errors.Is(failure, operators.ErrExecutionTimeout) || rep.NoRetry || time.Since(began) != time.Minute {
			t.Errorf("got %v after %s", failure, time.Since(began))
		}
	})
}
