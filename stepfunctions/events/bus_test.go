package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gust/stepfunctions/events"
	"gust/stepfunctions/events/sqs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a target that remembers when which execution's event came.
type recorder struct {
	mu    sync.Mutex
	start time.Time
	got   []string
	// fail decides about the n-th delivery, from 1.
	fail  func(n int) error
	calls int
}

func (r *recorder) Name() string { return "recorder" }

func (r *recorder) Deliver(_ context.Context, event []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.fail != nil {
		if err := r.fail(r.calls); err != nil {
			return err
		}
	}
	var e struct{ Detail struct{ Name string } }
	if err := json.Unmarshal(event, &e); err != nil {
		return err
	}
	r.got = append(r.got, e.Detail.Name+"@"+time.Since(r.start).String())
	return nil
}

func named(names ...string) (all []events.StatusChange) {
	for _, n := range names {
		c := change("RUNNING")
		c.Name = n
		all = append(all, c)
	}
	return all
}

// inBubble runs a bus in fake time.
func inBubble(t *testing.T, c events.Config, r *recorder, test func(b *events.Bus)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r.start = time.Now()
		c.Targets, c.Log = []events.Target{r}, slog.New(slog.DiscardHandler)
		b, err := events.New(c)
		if err != nil {
			t.Fatal(err)
		}
		b.Start(t.Context())
		test(b)
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	inBubble(t, events.Config{}, r, func(b *events.Bus) {
		b.Publish(named("a", "b"))
		time.Sleep(time.Second)
		b.Publish(named("c"))
	})
	if d := cmp.Diff([]string{"a@0s", "b@0s", "c@1s"}, r.got); d != "" {
		t.Error(d)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	r := &recorder{fail: func(n int) error {
		switch n {
		case 1, 2:
			return errors.New("busy")
		}
		return nil
	}}
	inBubble(t, events.Config{}, r, func(b *events.Bus) {
		b.Publish(named("a"))
		time.Sleep(time.Minute)
	})
	if d := cmp.Diff([]string{"a@300ms"}, r.got); d != "" {
		t.Errorf("tries after 0, 100 and 300 ms: %s", d)
	}
	r = &recorder{fail: func(int) error { return errors.New("down") }}
	inBubble(t, events.Config{Attempts: 3}, r, func(b *events.Bus) {
		b.Publish(named("a"))
		time.Sleep(time.Hour)
		if s := b.Stats()[0]; s.Lost != 1 || s.Delivered != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
	if r.calls != 3 {
		t.Errorf("%d tries", r.calls)
	}
	r = &recorder{fail: func(int) error { return &events.FinalError{Err: errors.New("no such place")} }}
	inBubble(t, events.Config{}, r, func(b *events.Bus) {
		b.Publish(named("a"))
		time.Sleep(time.Hour)
	})
	if r.calls != 1 {
		t.Errorf("%d tries of a final failure", r.calls)
	}
}

func TestAFullBufferLosesAndNeverBlocks(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	inBubble(t, events.Config{Buffer: 2, Faults: events.Faults{Delay: time.Minute}}, r, func(b *events.Bus) {
		b.Publish(named("a", "b", "c", "d"))
		if s := b.Stats()[0]; s.Waiting != 2 || s.Lost != 2 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Minute)
		b.Publish(named("e"))
		time.Sleep(2 * time.Minute)
	})
	if d := cmp.Diff([]string{"a@1m0s", "b@1m0s", "e@3m0s"}, r.got); d != "" {
		t.Error(d)
	}
}

func TestStopDeliversWhatWaits(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	inBubble(t, events.Config{Faults: events.Faults{Delay: time.Hour}}, r, func(b *events.Bus) { b.Publish(named("a", "b")) })
	if d := cmp.Diff([]string{"a@0s", "b@0s"}, r.got); d != "" {
		t.Error(d)
	}
	synctest.Test(t, func(t *testing.T) {
		hang := hanging{}
		b, err := events.New(events.Config{Targets: []events.Target{hang}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		b.Start(t.Context())
		b.Publish(named("a", "b"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopping a target that hangs: %v", err)
		}
		if s := b.Stats()[0]; s.Lost != 2 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		b.Publish(named("c"))
		if s := b.Stats()[0]; s.Lost != 3 {
			t.Errorf("an event after the end: %+v", s)
		}
	})
}

// hanging is a target that never answers.
type hanging struct{}

func (hanging) Name() string { return "hanging" }

func (hanging) Deliver(ctx context.Context, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFaults(t *testing.T) {
	t.Parallel()
	names := make([]string, 1000)
	for i := range names {
		names[i] = "e"
	}
	count := func(f events.Faults) (delivered, late int) {
		r := &recorder{}
		inBubble(t, events.Config{Faults: f}, r, func(b *events.Bus) {
			b.Publish(named(names...))
			time.Sleep(time.Minute)
		})
		for _, g := range r.got {
			if strings.HasSuffix(g, "@1s") {
				late++
			}
		}
		return len(r.got), late
	}
	around := func(what string, n, want int) {
		t.Helper()
		if n < want-60 || n > want+60 {
			t.Errorf("%s: %d, about %d expected", what, n, want)
		}
	}
	n, _ := count(events.Faults{Loss: 0.3, Seed: 1})
	around("with losses", n, 700)
	again, _ := count(events.Faults{Loss: 0.3, Seed: 1})
	if again != n {
		t.Errorf("the same seed delivered %d and %d", n, again)
	}
	n, _ = count(events.Faults{Duplicates: 0.2, Seed: 1})
	around("with duplicates", n, 1200)
	n, late := count(events.Faults{Reordering: 0.5, Seed: 1})
	around("reordered", late, 500)
	if n != 1000 {
		t.Errorf("reordering delivered %d", n)
	}
	if n, _ := count(events.Faults{Loss: 1}); n != 0 {
		t.Errorf("%d events got through although all are lost", n)
	}
	if _, err := events.New(events.Config{Faults: events.Faults{Loss: 2}}); err == nil || !strings.Contains(err.Error(), "loss must be from 0 to 1, got 2") {
		t.Errorf("%v", err)
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	status := make(chan int, 1)
	bodies := make(chan string, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct{ Source string }
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v %s", err, r.Header)
		}
		bodies <- e.Source
		w.WriteHeader(<-status)
	}))
	t.Cleanup(web.Close)
	w := events.NewWebhook(web.URL)
	t.Cleanup(func() { _ = w.Close() })
	for _, c := range []struct {
		status    int
		ok, final bool
	}{{200, true, false}, {204, true, false}, {500, false, false}, {429, false, false}, {404, false, true}} {
		status <- c.status
		err := w.Deliver(t.Context(), change("RUNNING").Event())
		var final *events.FinalError
		if (err == nil) != c.ok || errors.As(err, &final) != c.final {
			t.Errorf("%d: %v", c.status, err)
		}
		if got := <-bodies; got != "aws.states" {
			t.Errorf("posted an event of %s", got)
		}
	}
	var final *events.FinalError
	if err := events.NewWebhook("http://127.0.0.1:1").Deliver(t.Context(), nil); err == nil || errors.As(err, &final) {
		t.Errorf("nobody listens: %v", err)
	}
	if err := events.NewWebhook("::").Deliver(t.Context(), nil); !errors.As(err, &final) {
		t.Errorf("no URL: %v", err)
	}
}

func TestFileAndQueue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f, err := events.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	queues := sqs.New("us-east-1", "123456789012")
	b, err := events.New(events.Config{Targets: []events.Target{f, events.NewQueue("executions", queues.Send), events.NewQueue("no good", queues.Send)},
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b.Start(t.Context())
	b.Publish(named("a", "b"))
	if err := errors.Join(b.Stop(t.Context()), f.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(text), "\n"); len(lines) != 3 || !strings.Contains(lines[0], `"name":"a"`) || !strings.Contains(lines[1], `"name":"b"`) || lines[2] != "" {
		t.Errorf("%q", text)
	}
	for i, want := range []events.Stats{{Target: path, Delivered: 2}, {Target: "queue executions", Delivered: 2}, {Target: "queue no good", Lost: 2}} {
		if d := cmp.Diff(want, b.Stats()[i]); d != "" {
			t.Error(d)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"QueueUrl":"http://x/1/executions","MaxNumberOfMessages":10}`))
	r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
	w := httptest.NewRecorder()
	queues.ServeHTTP(w, r)
	if strings.Count(w.Body.String(), "Step Functions Execution Status Change") != 2 {
		t.Errorf("%s", w.Body)
	}
	if _, err := events.OpenFile(filepath.Join(path, "x")); err == nil {
		t.Error("a file inside a file was opened")
	}
}
