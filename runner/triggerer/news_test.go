package triggerer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/runner/attempt/attempttest"
	"gust/triggers"
)

// hearing is a fake whose waits are about their args' "about", and end when news say "done". Its keys are places.
type hearing struct {
	*fake
	hear func(ctx context.Context, w triggers.Wait) triggers.Verdict
}

func (h *hearing) Place(key string) string { return "at " + key }

func (h *hearing) Explain(key string) []string { return []string{"looks at " + key} }

func (h *hearing) Subject(args json.RawMessage) (string, error) {
	var v struct{ About string }
	err := json.Unmarshal(args, &v)
	if v.About == "nonsense" {
		return "", errors.New("no subject")
	}
	return v.About, err
}

func (h *hearing) Hear(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	out := make([]triggers.Verdict, len(waits))
	for i, w := range waits {
		out[i] = h.hear(ctx, w)
	}
	return out
}

// done ends a wait whose latest news is "done", and looks again in a second otherwise.
func done(_ context.Context, w triggers.Wait) triggers.Verdict {
	if last := w.News[len(w.News)-1]; string(last) == `"done"` {
		return triggers.Verdict{Event: &triggers.Event{Payload: last, At: time.Now().Add(-3 * time.Second)}}
	}
	return triggers.Verdict{Again: time.Now().Add(time.Second)}
}

func about(subject, text string) triggers.News {
	return triggers.News{Kind: "fake", Subject: subject, Text: json.RawMessage(`"` + text + `"`)}
}

func startHearing(t *testing.T, f *fake) *bench {
	t.Helper()
	f.kind = "fake"
	return start(t, f, func(c *Config) {
		c.Triggers = triggers.NewRegistry()
		if err := c.Triggers.Register(&hearing{f, done}); err != nil {
			t.Fatal(err)
		}
	})
}

// News end the waits that they are about, all of them and at once, and nothing else.
func TestTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startHearing(t, &fake{answer: every(time.Hour)})
		defer b.stop(t)
		for i := range 6 {
			w := deferred(fmt.Sprintf("t%d", i), "", 0)
			w.Instance.Deferral.Args = fmt.Appendf(nil, `{"key":"k%d","about":"s%d"}`, i%2, i/2)
			b.Park(w)
		}
		synctest.Wait()
		found, err := b.Tell(t.Context(), []triggers.News{about("s1", "done"), about("s9", "done"), about("s0", "hm"),
			{Kind: "other", Subject: "s2"}})
		if d := cmp.Diff([]bool{true, false, true, false}, found); d != "" || err != nil {
			t.Error(d, err)
		}
		synctest.Wait()
		var ended []string
		for _, r := range b.rec.All() {
			ended = append(ended, r.Attempt.TaskID)
		}
		if len(ended) != 2 || b.Held() != 4 {
			t.Errorf("ended %v, %d held", ended, b.Held())
		}
		// Those that the news did not end are looked at when they say.
		before := len(b.fake.checked())
		time.Sleep(2 * time.Second)
		if got := len(b.fake.checked()) - before; got != 2 {
			t.Errorf("%d checks after inconclusive news", got)
		}
		s := b.Stats(t.Context(), 1)
		k := s.Kinds[0]
		if k.Fired != 2 || k.Heard != 2 || k.News != 4 || k.Parked != 4 || k.Noticed.Sum != 6*time.Second || k.Checks != 4 ||
			k.Looks != 8 || k.Late.Count != 8 || s.Parked != 4 || len(s.Keys) != 1 || s.Keys[0].Parked != 2 {
			t.Errorf("got %+v", s)
		}
	})
}

// A check that is under way does not hold up news; its late answer changes nothing.
func TestTellBesideACheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := startHearing(t, &fake{answer: after(1), before: func(context.Context, []triggers.Wait) { <-release }})
		defer b.stop(t)
		w := deferred("a", "", 0)
		w.Instance.Deferral.Args = json.RawMessage(`{"key":"k","about":"s"}`)
		b.Park(w)
		synctest.Wait()
		if _, err := b.Tell(t.Context(), []triggers.News{about("s", "done")}); err != nil {
			t.Error(err)
		}
		rep := b.rec.Await(t, attempttest.Last(w.Attempt()))
		if string(rep.Deferral.Event) != `"done"` {
			t.Errorf("got %+v", rep.Deferral)
		}
		close(release)
		synctest.Wait()
		if n := len(b.rec.All()); n != 1 || b.Held() != 0 {
			t.Errorf("%d reports, %d held", n, b.Held())
		}
	})
}

func TestShow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startHearing(t, &fake{answer: every(time.Hour)})
		w, deaf, stranger := deferred("a", "", time.Minute), deferred("b", "", 0), deferred("c", "k", 0)
		w.Instance.Deferral.Args = json.RawMessage(`{"key":"k","about":"s"}`)
		deaf.Instance.Deferral.Args = json.RawMessage(`{"key":"k","about":"nonsense"}`)
		b.Park(w)
		b.Park(deaf)
		began := time.Now()
		time.Sleep(time.Second)
		got, err := b.Show(t.Context(), w.Attempt())
		if err != nil {
			t.Fatal(err)
		}
		want := &Shown{
			Attempt: w.Attempt(), Doing: "waiting", Kind: "fake", Key: "k", Place: "at k", Together: 2, HasSubject: true,
			Checks: 1, Since: began.UTC(), Deadline: began.Add(time.Minute).UTC(), LastCheck: began.UTC(),
			NextCheck: began.Add(time.Hour).UTC(), Explained: []string{"looks at k"},
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" {
			t.Error(d)
		}
		if got, err = b.Show(t.Context(), deaf.Attempt()); err != nil || got.HasSubject {
			t.Errorf("got %+v, %v", got, err)
		}
		if _, err := b.Show(t.Context(), stranger.Attempt()); !errors.Is(err, ErrNotHeld) {
			t.Errorf("got %v", err)
		}
		b.stop(t)
		if _, err := b.Show(t.Context(), w.Attempt()); !errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
	})
}
