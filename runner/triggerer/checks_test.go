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
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/triggers"
)

// Waits of one key that are due within the window come to be looked at together, and stay together.
func TestGathers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: every(time.Minute)}
		b := start(t, f)
		for i := range 5 {
			b.Park(deferred(fmt.Sprintf("t%d", i), "k", 0))
			b.Park(deferred(fmt.Sprintf("other%d", i), fmt.Sprintf("k%d", i), 0))
			time.Sleep(100 * time.Millisecond)
		}
		f.mu.Lock()
		f.calls = nil
		f.mu.Unlock()
		time.Sleep(2 * time.Minute)
		b.stop(t)
		together := []string{"d.t0", "d.t1", "d.t2", "d.t3", "d.t4"}
		n := 0
		for _, ids := range f.checked() {
			if strings.HasPrefix(ids[0], "d.t") {
				n++
				if d := cmp.Diff(together, ids); d != "" {
					t.Error(d)
				}
			} else if len(ids) != 1 {
				t.Errorf("waits of different keys in one check: %v", ids)
			}
		}
		if n != 2 {
			t.Errorf("%d checks of the five", n)
		}
	})
}

// A checker that insists on its times (a time trigger) is asked too early at most once for each.
func TestGatheringRespectsExactTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fired := map[string]time.Time{}
		f := &fake{}
		f.answer = func(now time.Time, w triggers.Wait) triggers.Verdict {
			var args struct{ At time.Time }
			if err := json.Unmarshal(w.Args, &args); err != nil {
				return triggers.Verdict{Err: err}
			}
			if now.Before(args.At) {
				return triggers.Verdict{Again: args.At}
			}
			fired[w.ID] = now
			return triggers.Verdict{Event: &triggers.Event{}}
		}
		b := start(t, f)
		began := time.Now()
		const n = 50
		for i := range n {
			w := deferred(fmt.Sprintf("t%d", i), "", 0)
			w.Instance.Deferral.Args = fmt.Appendf(nil, `{"key":"k","at":%q}`,
				began.Add(time.Second+time.Duration(i)*10*time.Millisecond).Format(time.RFC3339Nano))
			b.Park(w)
		}
		time.Sleep(time.Minute)
		b.stop(t)
		looks := 0
		for _, ids := range f.checked() {
			looks += len(ids)
		}
		if len(fired) != n || looks > 3*n {
			t.Errorf("%d fired after %d looks", len(fired), looks)
		}
		for i := range n {
			want := began.Add(time.Second + time.Duration(i)*10*time.Millisecond)
			if got := fired[fmt.Sprintf("d.t%d r try 1", i)]; got.Sub(want) > 0 {
				t.Errorf("t%d fired %s late", i, got.Sub(want))
			}
		}
	})
}

// At most one check of a key and at most Checks in all are under way.
func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := map[string]int{}, 0
		f := &fake{answer: every(3 * time.Second)}
		f.before = func(ctx context.Context, waits []triggers.Wait) {
			key := string(waits[0].Args)
			mu.Lock()
			now[key]++
			if now[key] > 1 {
				t.Errorf("two checks of %s", key)
			}
			total := 0
			for _, n := range now {
				total += n
			}
			most = max(most, total)
			mu.Unlock()
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			mu.Lock()
			now[key]--
			mu.Unlock()
		}
		b := start(t, f, func(c *Config) { c.Checks = 4 })
		for i := range 40 {
			b.Park(deferred(fmt.Sprintf("t%d", i), fmt.Sprintf("k%d", i%10), 0))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		b.stop(t)
		mu.Lock()
		defer mu.Unlock()
		if most != 4 {
			t.Errorf("%d checks at once", most)
		}
		if n := len(f.checked()); n < 200 {
			t.Errorf("%d checks in a minute", n)
		}
	})
}

// A kind whose checks hang does not delay another.
func TestKindsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good := &fake{kind: "good", answer: after(1)}
		b := start(t, &fake{answer: after(1), before: func(ctx context.Context,
			_ []triggers.Wait) {
			<-ctx.Done()
		}}, func(c *Config) {
			c.Checks = 2
			if err := c.Triggers.Register(good); err != nil {
				t.Fatal(err)
			}
		})
		defer b.stop(t)
		for i := range 5 {
			b.Park(deferred(fmt.Sprintf("t%d", i), fmt.Sprintf("k%d", i), 0))
		}
		synctest.Wait()
		w := deferred("fine", "k", 0)
		w.Instance.Deferral.Kind = "good"
		began := time.Now()
		b.Park(w)
		if rep := b.rec.Await(t, attempttest.Last(w.Attempt())); rep.Deferral.Event == nil || time.Since(began) != 0 {
			t.Errorf("after %s: %+v", time.Since(began), rep.Deferral)
		}
	})
}

func TestBrokenCheckersFailTheirWaitsOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bad  *fake
		want string
	}{
		"panic": {&fake{answer: func(time.Time, triggers.Wait) triggers.Verdict { panic("oops") }},
			"trigger fake: panic: oops"},
		"too few": {&fake{answer: every(time.Second), short: true},
			"trigger fake: the trigger answered 1 of 2 waits"},
		"no answer": {&fake{answer: func(time.Time, triggers.Wait) triggers.Verdict { return triggers.Verdict{} }},
			"trigger fake gave 0 answers to one wait"},
		"two answers": {&fake{answer: func(now time.Time, _ triggers.Wait) triggers.Verdict {
			return triggers.Verdict{Again: now, Err: errors.New("x")}
		}}, "trigger fake gave 2 answers to one wait"},
		"kind of error": {&fake{answer: func(time.Time,
			triggers.Wait) triggers.Verdict {
			return triggers.Verdict{Err: errors.New("denied")}
		}}, "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				good := &fake{kind: "good", answer: after(2)}
				b := start(t, c.bad, func(cfg *Config) {
					if err := cfg.Triggers.Register(good); err != nil {
						t.Fatal(err)
					}
				})
				defer b.stop(t)
				bad := []executor.Work{deferred("bad1", "k", 0), deferred("bad2", "k", 0)}
				fine := deferred("fine", "k", 0)
				fine.Instance.Deferral.Kind = "good"
				for _, w := range append(bad, fine) {
					b.Park(w)
				}
				for _, w := range bad {
					rep := b.rec.Await(t, attempttest.Last(w.Attempt()))
					if rep.Kind != executor.Fired || !strings.HasPrefix(rep.Deferral.Failed, c.want) ||
						rep.Deferral.TimedOut {
						t.Errorf("got %+v", rep.Deferral)
					}
				}
				if rep := b.rec.Await(t, attempttest.Last(fine.Attempt())); rep.Deferral.Event == nil {
					t.Errorf("got %+v", rep.Deferral)
				}
			})
		})
	}
}

func TestCheckTimeoutLooksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := true
		f := &fake{answer: after(1)}
		f.before = func(ctx context.Context, _ []triggers.Wait) {
			if first {
				first = false
				<-ctx.Done()
			}
		}
		b := start(t, f, func(c *Config) { c.CheckTimeout = 5 * time.Second })
		defer b.stop(t)
		began := time.Now()
		w := deferred("a", "k", 0)
		b.Park(w)
		rep := b.rec.Await(t, attempttest.Last(w.Attempt()))
		if rep.Deferral.Event == nil || time.Since(began) != 5*time.Second+retryCheck {
			t.Errorf("after %s: %+v", time.Since(began), rep.Deferral)
		}
	})
}

// A changed state is reported, many changes at once, and the checker sees its own last state.
func TestStatesAreNoted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(now time.Time, w triggers.Wait) triggers.Verdict {
			n := 0
			if w.State != nil {
				if err := json.Unmarshal(w.State, &n); err != nil {
					return triggers.Verdict{Err: err}
				}
			}
			if n == 12 {
				return triggers.Verdict{Again: now.Add(time.Second)}
			}
			return triggers.Verdict{Again: now.Add(time.Second), State: fmt.Appendf(nil, "%d", n+1)}
		}}
		b := start(t, f)
		w := deferred("a", "k", 0)
		b.Park(w)
		time.Sleep(time.Minute)
		b.stop(t)
		var states []string
		for _, rep := range b.rec.All() {
			if rep.Kind != executor.Noted {
				t.Errorf("got %+v", rep)
				continue
			}
			states = append(states, string(rep.Deferral.State))
		}
		if len(states) == 0 || len(states) > 4 || states[len(states)-1] != "12" {
			t.Errorf("noted %v", states)
		}
		if w.Instance.Deferral.State != nil {
			t.Error("the handed-over deferral was changed")
		}
	})
}

// A graceful stop notes what is not noted yet.
func TestStopNotes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: func(now time.Time, _ triggers.Wait) triggers.Verdict {
			return triggers.Verdict{Again: now.Add(time.Hour), State: json.RawMessage(`"x"`)}
		}})
		b.Park(deferred("a", "k", 0))
		synctest.Wait()
		b.stop(t)
		if kinds := b.rec.Kinds(dag.Attempt{}); !slices.Equal(kinds, []executor.Kind{executor.Noted}) {
			t.Errorf("got %v", kinds)
		}
	})
}
