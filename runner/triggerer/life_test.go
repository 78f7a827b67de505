package triggerer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/runner/tasklog"
	"gust/triggers"
)

// After a restart the first checks of different keys are spread out, those of one key stay together, and a wait whose
// deadline passed meanwhile gets one last look.
func TestRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(now time.Time, w triggers.Wait) triggers.Verdict {
			if strings.Contains(w.ID, "done") {
				return triggers.Verdict{Event: &triggers.Event{Payload: json.RawMessage(`1`)}}
			}
			return triggers.Verdict{Again: now.Add(time.Hour)}
		}}
		var works []executor.Work
		for i := range 20 {
			works = append(works, deferred(fmt.Sprintf("t%d", i), fmt.Sprintf("k%d", i%10), 0))
		}
		late, done := deferred("late", "z", time.Minute), deferred("done", "z", time.Minute)
		time.Sleep(time.Hour) // the daemon is down
		b := start(t, f)
		began := time.Now()
		for _, w := range append(works, late, done) {
			b.Park(w)
		}
		time.Sleep(lastLook)
		if n := len(f.checked()); n != 11 {
			t.Errorf("%d checks, want one for each key", n)
		}
		for i, at := range f.times {
			if want := time.Duration(i) * spreadStep; at.Sub(began) != want {
				t.Errorf("check %d after %s, want %s", i, at.Sub(began), want)
			}
		}
		if rep := b.rec.Await(t, attempttest.Last(done.Attempt())); rep.Deferral.Event == nil {
			t.Errorf("got %+v", rep.Deferral)
		}
		if rep := b.rec.Await(t, attempttest.Last(late.Attempt())); !rep.Deferral.TimedOut {
			t.Errorf("got %+v", rep.Deferral)
		}
		b.stop(t)
	})
}

// A wait whose end was stored before a crash ends again at once.
func TestStoredEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Hour)})
		defer b.stop(t)
		fired, failed, s := deferred("a", "k", 0), deferred("b", "k", 0), sensor("s")
		fired.Instance.Deferral.Event = json.RawMessage(`7`)
		failed.Instance.Deferral.Failed = "denied"
		s.Instance.Deferral = fired.Instance.Deferral
		for _, w := range []executor.Work{fired, failed, s} {
			b.Park(w)
		}
		if rep := b.rec.Await(t, attempttest.Last(fired.Attempt())); string(rep.Deferral.Event) != "7" {
			t.Errorf("got %+v", rep.Deferral)
		}
		if rep := b.rec.Await(t, attempttest.Last(failed.Attempt())); rep.Deferral.Failed != "denied" {
			t.Errorf("got %+v", rep.Deferral)
		}
		if rep := b.rec.Await(t, attempttest.Last(s.Attempt())); rep.Kind != executor.Succeeded {
			t.Errorf("got %+v", rep)
		}
	})
}

func TestDrop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Second)})
		var stopped []string
		b.op.OnStop = func(_ context.Context, t operators.Task, reason string, trigger *triggers.Trigger) error {
			stopped = append(stopped, t.Attempt().TaskID+" "+reason+" "+string(trigger.Args))
			return nil
		}
		quiet, killed, kept := deferred("quiet", "k", time.Hour), deferred("killed", "k", time.Hour),
			deferred("kept", "k", time.Hour)
		for _, w := range []executor.Work{quiet, killed, kept} {
			b.Park(w)
		}
		time.Sleep(1500 * time.Millisecond)
		b.Drop(quiet.Attempt(), "")
		b.Drop(killed.Attempt(), "marked failed")
		unknown := sensor("unknown")
		b.Drop(unknown.Attempt(), "x")
		synctest.Wait()
		if d := cmp.Diff([]string{`killed marked failed {"key":"k"}`}, stopped); d != "" {
			t.Error(d)
		}
		if b.Held() != 1 {
			t.Errorf("%d held", b.Held())
		}
		time.Sleep(time.Second)
		calls := b.fake.checked()
		if d := cmp.Diff([]string{"d.kept"}, calls[len(calls)-1]); d != "" {
			t.Error(d)
		}
		b.Drop(kept.Attempt(), "the daemon was told just before it stopped")
		b.stop(t)
		if len(stopped) != 2 || len(b.rec.All()) != 0 {
			t.Errorf("stopped %v, reports %v", stopped, b.rec.All())
		}
	})
}

// Dropping an attempt that is being parked, checked or finished discards what comes of it.
func TestDropUnderWay(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"park", "check", "finish"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				wait := func(at string) {
					if at == phase {
						<-hold
					}
				}
				f := &fake{answer: after(1), before: func(context.Context, []triggers.Wait) { wait("check") }}
				b := start(t, f)
				defer b.stop(t)
				b.op.OnPark = func(ctx context.Context, task operators.Task) (operators.Deferral, error) {
					wait("park")
					return parkOn("k", time.Hour)(ctx, task)
				}
				b.op.OnFinish = func(context.Context, operators.Task, *triggers.Event, error) (operators.Result,
					error) {
					wait("finish")
					return operators.Done(nil), nil
				}
				w := sensor("s")
				b.Park(w)
				synctest.Wait()
				b.Drop(w.Attempt(), "cleared")
				synctest.Wait()
				close(hold)
				synctest.Wait()
				if slices.ContainsFunc(b.rec.All(), attempttest.Kind(executor.Succeeded)) || b.Held() != 0 ||
					len(b.groups) != 0 {
					t.Errorf("reports %v, %d held, %d groups", b.rec.Kinds(w.Attempt()), b.Held(), len(b.groups))
				}
			})
		})
	}
}

func TestTimedOutSensorStopsItsRemoteJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Hour)})
		b.op.OnPark = parkOn("k", time.Minute)
		var stopped []string
		b.op.OnStop = func(_ context.Context, _ operators.Task, reason string, trigger *triggers.Trigger) error {
			stopped = append(stopped, reason+" "+trigger.Kind)
			return errors.New("cannot")
		}
		b.Park(sensor("s"))
		b.rec.Await(t, attempttest.Kind(executor.Failed))
		b.stop(t)
		if len(stopped) != 1 || !strings.Contains(stopped[0], "Trigger timeout") {
			t.Errorf("got %v", stopped)
		}
	})
}

// set back by an hour, the clock delays no check.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var shift time.Duration
		f := &fake{answer: func(now time.Time, _ triggers.Wait) triggers.Verdict {
			return triggers.Verdict{Again: now.Add(10 * time.Second)}
		}}
		b := start(t, f, func(c *Config) {
			c.Env.Now = func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Round(0).Add(shift)
			}
		})
		b.Park(deferred("a", "k", 0))
		time.Sleep(time.Minute)
		before := len(f.checked())
		mu.Lock()
		shift = -time.Hour
		mu.Unlock()
		time.Sleep(3 * time.Minute)
		b.stop(t)
		if got := len(f.checked()) - before; got < 12 {
			t.Errorf("%d checks in the three minutes after the clock was set back", got)
		}
	})
}

func TestVerdictsAreLogged(t *testing.T) {
	t.Parallel()
	files := &tasklog.Files{Base: t.TempDir()}
	w := deferred("a", "k", 0)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(now time.Time, w triggers.Wait) triggers.Verdict {
			v := after(2)(now, w)
			v.Log = fmt.Sprintf("look %d", w.Checks)
			return v
		}}
		b := start(t, f, func(c *Config) { c.Env.Logs = files })
		b.Park(w)
		b.rec.Await(t, attempttest.Last(w.Attempt()))
		b.stop(t)
	})
	var out strings.Builder
	if err := (&tasklog.Reader{W: &out}).Print(tasklog.Path(files.Base, w.Attempt())); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"{trigger} INFO - look 0", "{trigger} INFO - look 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Hour)})
		b.op.OnFinish = func(ctx context.Context, _ operators.Task, _ *triggers.Event, _ error) (operators.Result,
			error) {
			<-ctx.Done()
			return operators.Result{}, context.Cause(ctx)
		}
		s := sensor("s")
		s.Instance.Deferral = &dag.Deferral{Kind: "fake", Event: json.RawMessage("1")}
		b.Park(s)
		b.Park(deferred("a", "k", time.Hour))
		synctest.Wait()
		b.stop(t)
		b.stop(t)
		b.Park(deferred("late", "k", 0))
		b.Drop(s.Attempt(), "late")
		if n := len(b.rec.All()); n != 0 {
			t.Errorf("%d reports: an interrupted sensor must stay parked", n)
		}
		if err := b.Start(t.Context(), b.rec); err == nil {
			t.Error("started again after its stop")
		}
		if err := New(b.c).Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStopNamesAHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := start(t, &fake{answer: every(time.Hour), before: func(context.Context, []triggers.Wait) { <-release }})
		b.Park(deferred("a", "k", 0))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(release)
	})
}
