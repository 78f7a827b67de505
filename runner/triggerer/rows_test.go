package triggerer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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

// stored is a wait as it comes back after a restart: without its arguments, which are in its row.
func stored(waits *attempttest.Waits, task, args string, key string, subject uint64, timeout time.Duration) executor.Work {
	w := deferred(task, "", timeout)
	row, slim := *w.Instance.Deferral, *w.Instance.Deferral
	row.Args = json.RawMessage(args)
	row.Keyed, row.Key, row.Subject = true, key, subject
	slim.Args, slim.Keyed, slim.Key, slim.Subject = nil, true, key, subject
	full := w.Instance
	full.Deferral, w.Instance.Deferral = &row, &slim
	waits.Put(full)
	return w
}

// A wait ends just when its task is cleared: the row has another try by then, and the archive says that this one was
// parked. Nothing is told about it, and the loop lives.
func TestEndOfAClearedWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Hour)})
		defer b.stop(t)
		w := stored(b.waits, "cleared", `{"key":"k"}`, "k", 0, time.Minute)
		b.Loop.Park(w)
		time.Sleep(time.Second)
		b.waits.Archive(w.Attempt())
		time.Sleep(2 * time.Minute)
		for _, rep := range b.rec.All() {
			if rep.Kind == executor.Fired {
				t.Errorf("got %+v", rep)
			}
		}
	})
}

// After a restart waits are looked at, hear news and end without anybody having handed over their arguments.
func TestArgumentsStayInTheRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startHearing(t, &fake{answer: every(time.Hour)})
		defer b.stop(t)
		heard := stored(b.waits, "heard", `{"key":"k","about":"s"}`, "k", triggers.HashSubject("s"), time.Hour)
		late := stored(b.waits, "late", `{"key":"k"}`, "k", 0, time.Minute)
		for _, w := range []executor.Work{heard, late} {
			b.Loop.Park(w)
		}
		synctest.Wait()
		if found, err := b.Tell(t.Context(), []triggers.News{about("s", "done")}); err != nil || !found[0] {
			t.Errorf("found %v, %v", found, err)
		}
		rep := b.rec.Await(t, attempttest.Last(heard.Attempt()))
		if string(rep.Deferral.Args) != `{"key":"k","about":"s"}` || string(rep.Deferral.Event) != `"done"` {
			t.Errorf("got %+v", rep.Deferral)
		}
		rep = b.rec.Await(t, attempttest.Last(late.Attempt()))
		if string(rep.Deferral.Args) != `{"key":"k"}` || !rep.Deferral.TimedOut {
			t.Errorf("got %+v", rep.Deferral)
		}
	})
}

// News whose subject only has the same hash as a wait's are not heard for it.
func TestNewsWithTheHashOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startHearing(t, &fake{answer: every(time.Hour)})
		defer b.stop(t)
		w := stored(b.waits, "a", `{"key":"k","about":"mine"}`, "k", triggers.HashSubject("theirs"), 0)
		b.Loop.Park(w)
		synctest.Wait()
		if _, err := b.Tell(t.Context(), []triggers.News{about("theirs", "done")}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(b.rec.All()); n != 0 || b.Held() != 1 {
			t.Errorf("%d reports, %d held", n, b.Held())
		}
	})
}

// A checker that sorts waits otherwise than the one that parked them is right: what it says of the arguments counts.
func TestKeysThatHaveChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var works []executor.Work
		f := &fake{kind: "fake", answer: every(time.Hour)}
		waits := &attempttest.Waits{}
		for i := range 4 {
			works = append(works, stored(waits, fmt.Sprintf("t%d", i), fmt.Sprintf(`{"key":"new%d","about":"s"}`, i%2), "old", 0, 0))
		}
		time.Sleep(time.Minute) // the daemon is down
		b := start(t, f, func(c *Config) {
			c.Waits = waits
			c.Triggers = triggers.NewRegistry()
			if err := c.Triggers.Register(&hearing{f, done}); err != nil {
				t.Fatal(err)
			}
		})
		defer b.stop(t)
		for _, w := range works {
			b.Loop.Park(w)
		}
		time.Sleep(time.Second)
		calls := f.checked() // at one time, so in any order
		slices.SortFunc(calls, slices.Compare)
		if d := cmp.Diff([][]string{{"d.t0", "d.t2"}, {"d.t1", "d.t3"}}, calls); d != "" {
			t.Error(d)
		}
		if found, err := b.Tell(t.Context(), []triggers.News{about("s", "hm")}); err != nil || !found[0] {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

// Rows that cannot be read delay looks and ends, and lose none.
func TestUnreadableRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: after(2)})
		defer b.stop(t)
		var broken atomic.Bool
		b.waits.OnGet = func([]dag.Attempt) error {
			if broken.Load() {
				return errors.New("disk on fire")
			}
			return nil
		}
		began := time.Now()
		fires, late := deferred("fires", "k", time.Hour), deferred("late", "z", 10*time.Second)
		late.Instance.Deferral.Args = json.RawMessage(`{"key":"late"}`)
		broken.Store(true)
		b.Park(fires)
		b.Park(late)
		time.Sleep(15 * time.Second)
		if n := len(b.fake.checked()); n != 0 {
			t.Errorf("%d checks of waits that nobody could read", n)
		}
		broken.Store(false)
		rep := b.rec.Await(t, attempttest.Last(late.Attempt()))
		if !rep.Deferral.TimedOut || rep.At.Sub(began) != 10*time.Second || string(rep.Deferral.Args) != `{"key":"late"}` {
			t.Errorf("after %s: %+v", rep.At.Sub(began), rep.Deferral)
		}
		if rep := b.rec.Await(t, attempttest.Last(fires.Attempt())); rep.Deferral.Event == nil {
			t.Errorf("got %+v", rep.Deferral)
		}
		if k := b.Stats(t.Context(), 0).Kinds[0]; k.Cut == 0 || k.TimedOut != 1 || k.Fired != 1 {
			t.Errorf("got %+v", k)
		}
	})
}

// A wait whose row has become another one is shown to nobody. It can still be given up, and then what it waited for is
// stopped; when nobody comes for it the scheduler is told.
func TestRowsOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Second)})
		defer b.stop(t)
		var stopped []string
		b.op.OnStop = func(_ context.Context, t operators.Task, reason string, trigger *triggers.Trigger) error {
			stopped = append(stopped, t.Attempt().TaskID+" "+reason+" "+string(trigger.Args))
			return nil
		}
		marked, gone := deferred("marked", "k", time.Hour), deferred("gone", "k", time.Hour)
		b.Park(marked)
		b.Park(gone)
		synctest.Wait()
		row := b.waits.Row(marked.Attempt())
		row.State = dag.StateFailed
		b.waits.Set(row)
		row = b.waits.Row(gone.Attempt())
		row.State, row.Deferral = dag.StateNone, nil
		b.waits.Set(row)
		time.Sleep(30 * time.Second)
		if n := len(b.fake.checked()); n != 1 || len(b.rec.All()) != 0 {
			t.Errorf("%d checks, reports %v", n, b.rec.All())
		}
		b.Drop(marked.Attempt(), "marked failed")
		synctest.Wait()
		if d := cmp.Diff([]string{`marked marked failed {"key":"k"}`}, stopped); d != "" {
			t.Error(d)
		}
		if rep := b.rec.Await(t, attempttest.Last(gone.Attempt())); rep.Kind != executor.Interrupted {
			t.Errorf("got %+v", rep)
		}
		if b.Held() != 0 {
			t.Errorf("%d held", b.Held())
		}
	})
}

// An end that another process has written into the row is the end of the wait.
func TestEndsWrittenByOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Second)})
		defer b.stop(t)
		w := deferred("a", "k", time.Hour)
		b.Park(w)
		synctest.Wait()
		row := b.waits.Row(w.Attempt())
		d := *row.Deferral
		d.Event, row.Deferral = json.RawMessage(`"by hand"`), &d
		b.waits.Put(row)
		if rep := b.rec.Await(t, attempttest.Last(w.Attempt())); string(rep.Deferral.Event) != `"by hand"` {
			t.Errorf("got %+v", rep)
		}
	})
}

// A sensor's wait begins when its row is stored; one that is not is let go.
func TestParkingThatIsNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fake{answer: every(time.Second)})
		defer b.stop(t)
		b.rec.OnReport = func(executor.Report) error { return errors.New("no longer current") }
		b.op.OnPark = parkOn("k", time.Hour)
		b.Park(sensor("s"))
		synctest.Wait()
		if n := len(b.fake.checked()); n != 0 || b.Held() != 0 {
			t.Errorf("%d checks, %d held", n, b.Held())
		}
	})
}

// A place whose checks hang delays no other, even when it has taken all that the places may have together.
func TestPlacesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{kind: "fake", answer: after(1)}
		f.before = func(ctx context.Context, waits []triggers.Wait) {
			var args struct{ Place string }
			if err := json.Unmarshal(waits[0].Args, &args); err == nil && args.Place == "slow" {
				<-ctx.Done()
			}
		}
		b := start(t, f, func(c *Config) {
			c.Triggers = triggers.NewRegistry()
			c.Checks, c.AllChecks = 4, 4
			if err := c.Triggers.Register(placed{f}); err != nil {
				t.Fatal(err)
			}
		})
		defer b.stop(t)
		at := func(task, place string, key int) executor.Work {
			w := deferred(task, "", 0)
			w.Instance.Deferral.Args = fmt.Appendf(nil, `{"key":"%s/%d","place":"%s"}`, place, key, place)
			b.Park(w)
			return w
		}
		for i := range 10 {
			at(fmt.Sprintf("slow%d", i), "slow", i)
		}
		synctest.Wait()
		if n := len(f.checked()); n != 4 {
			t.Errorf("%d checks at the slow place", n)
		}
		began := time.Now()
		var last executor.Work
		for i := range 10 {
			last = at(fmt.Sprintf("quick%d", i), "quick", i)
		}
		b.rec.Await(t, attempttest.Last(last.Attempt()))
		if took := time.Since(began); took != 0 {
			t.Errorf("the quick place was held up for %s", took)
		}
	})
}

// placed is a fake whose keys are "place/rest".
type placed struct{ *fake }

func (placed) Place(key string) string {
	place, _, _ := strings.Cut(key, "/")
	return place
}
