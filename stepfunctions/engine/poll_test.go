package engine

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gust/stepfunctions/handlers"
	"gust/stepfunctions/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTestEngine(t *testing.T) *Engine {
	t.Helper()
	j, err := journal.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	set, err := handlers.NewSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := New(Config{AccountID: "123456789012", MaxTasks: 1, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)}, j, set)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestPollWaitsAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newTestEngine(t)
		began := time.Now()
		out, err := e.Poll(t.Context(), "arn", "w")
		if err != nil || out.TaskToken != nil || time.Since(began) != pollTime {
			t.Errorf("%+v %v after %s", out, err, time.Since(began))
		}
	})
}

// TestParkedPollersWaitAMinute lets pollers wait that arrive one after the other, and ends the engine under the last.
func TestParkedPollersWaitAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newActivityHub()
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var ends []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.run(ctx, func(d delivery) {
				if d.ref != (taskRef{}) || d.full {
					t.Errorf("%+v", d)
				}
				ends = append(ends, time.Since(began))
			})
		}()
		for range 3 {
			h.park(&poller{arn: "arn", until: time.Now().Add(pollTime)}, false)
			time.Sleep(25 * time.Second)
		}
		time.Sleep(20 * time.Second) // 95 s: two have gone
		cancel()
		<-done
		if len(ends) != 3 || ends[0] != 60*time.Second || ends[1] != 85*time.Second || ends[2] != 95*time.Second || h.waiting() != 0 {
			t.Errorf("%v, %d wait", ends, h.waiting())
		}
	})
}
