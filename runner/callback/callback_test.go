package callback_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gust/dag"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/runner/callback"
	"gust/store"
	"gust/triggers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a loop over one run of DAG "d" with task "t", whose callbacks run a function.
type house struct {
	*callback.Loop
	operator string        // of the task
	state    dag.State     // of the task
	waits    *dag.Deferral // what the rows of attempts say that they wait for
	mu       sync.Mutex
	done     []int64
	log      strings.Builder
}

func (h *house) CallbackDone(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, id)
}

// finished are the callbacks that were reported.
func (h *house) finished() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.done)
}

func (h *house) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *house) RunGet(_ context.Context, key dag.RunKey) (*dag.Run, error) {
	if key.RunID != "r" {
		return nil, store.ErrNotFound
	}
	return &dag.Run{RunKey: key, DagVersion: "v"}, nil
}

func (h *house) TaskInstanceGet(_ context.Context, key dag.Key) (*dag.TaskInstance, error) {
	return &dag.TaskInstance{Key: key, TryNumber: 5, State: h.state}, nil
}

// WaitsGet finds the wait of the try that is stored.
func (h *house) WaitsGet(_ context.Context, attempts []dag.Attempt) ([]store.Wait, error) {
	out := make([]store.Wait, len(attempts))
	for i, a := range attempts {
		if h.waits != nil {
			out[i].Task = &dag.TaskInstance{Key: a.Key, TryNumber: a.TryNumber, Deferral: h.waits}
		}
	}
	return out, nil
}

func (h *house) DagVersionGet(context.Context, string) (*dag.DAG, error) {
	return &dag.DAG{ID: "d", Tasks: []*dag.Task{{ID: "t", Operator: h.operator}}}, nil
}

func start(t *testing.T, run func(ctx context.Context, t operators.Task) (operators.Result, error)) *house {
	t.Helper()
	h := &house{operator: "other"}
	h.begin(t, &attempttest.Op{OnExecute: run})
	return h
}

func (h *house) begin(t *testing.T, op *attempttest.Op) {
	t.Helper()
	h.Loop = callback.New(callback.Options{
		Store: h, Log: slog.New(slog.NewTextHandler(h, nil)), Workers: 2, Env: &attempt.Env{Operators: attempttest.Registry(t, op)},
	})
	if err := h.Start(t.Context(), h); err != nil {
		t.Fatal(err)
	}
}

func (h *house) stop(t *testing.T) {
	t.Helper()
	if err := h.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func request(id int64, event dag.CallbackEvent) dag.CallbackRequest {
	return dag.CallbackRequest{
		ID: id, Key: dag.Key{DagID: "d", RunID: "r", TaskID: "t", MapIndex: -1}, TryNumber: 2, Reason: "boom",
		Callback: dag.Callback{Event: event, Operator: "plain"},
	}
}

func TestCallbackSeesWhatItIsAbout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		h := start(t, func(_ context.Context, task operators.Task) (operators.Result, error) {
			exception, reason := task.(*attempt.Handle).Concern()
			seen = append(seen, task.Attempt().String()+" "+task.Spec().Operator+" "+exception+" "+reason)
			return operators.Done(nil), nil
		})
		h.Notify(request(1, dag.OnFailure))
		h.Notify(request(1, dag.OnFailure)) // is under way already
		synctest.Wait()
		h.stop(t)
		if !slices.Equal(seen, []string{"d.t r try 2 plain boom boom"}) || !slices.Equal(h.finished(), []int64{1}) {
			t.Errorf("seen %q, done %v", seen, h.finished())
		}
	})
}

func TestCallbackIsTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		h := start(t, func(context.Context, operators.Task) (operators.Result, error) {
			at = append(at, time.Since(began))
			return operators.Result{}, errors.New("no answer")
		})
		h.Notify(request(1, dag.OnSuccess))
		time.Sleep(time.Minute)
		h.stop(t)
		if !slices.Equal(at, []time.Duration{0, 2 * time.Second, 6 * time.Second}) || !slices.Equal(h.finished(), []int64{1}) {
			t.Errorf("tried at %v, done %v", at, h.finished())
		}
		if !strings.Contains(h.log.String(), "no answer") || !strings.Contains(h.log.String(), "given_up=true") {
			t.Errorf("log: %s", h.log.String())
		}
	})
}

// TestStopAttempt: what an attempt has started that was taken away is stopped, patiently; but not what another try has
// taken over.
func TestStopAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stopped []string
		failures := 5
		h := &house{operator: "deferring"}
		h.begin(t, &attempttest.Op{OnStop: func(_ context.Context, task operators.Task, reason string, trigger *triggers.Trigger) error {
			if failures > 0 {
				failures--
				return errors.New("no answer")
			}
			text := task.Attempt().String() + " " + reason
			if trigger != nil {
				text += " " + trigger.Kind + string(trigger.Args)
			}
			stopped = append(stopped, text)
			return nil
		}})
		ti := dag.TaskInstance{
			Key: request(0, "").Key, TryNumber: 2, Operator: "deferring", Deferral: &dag.Deferral{Kind: "wait", Args: []byte(`{"of":1}`)},
		}
		for i, try := range []int{2, 5, 4} { // the task is in its fifth try
			ti.TryNumber = try
			c := dag.StopRequest(&ti, "marked", time.Now())
			c.ID = int64(i + 1)
			h.Notify(c)
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			ti.Deferral = nil
		}
		h.waits = &dag.Deferral{Kind: "kept", Args: []byte(`{"of":2}`)} // in the row, not in the request
		ti.TryNumber = 3
		c := dag.StopRequest(&ti, "marked", time.Now())
		c.ID = 4
		h.Notify(c)
		time.Sleep(5 * time.Minute)
		h.stop(t)
		want := []string{`d.t r try 2 marked wait{"of":1}`, "d.t r try 5 marked", `d.t r try 3 marked kept{"of":2}`}
		if !slices.Equal(stopped, want) || !slices.Equal(h.finished(), []int64{1, 2, 3, 4}) {
			t.Errorf("stopped %q, done %v", stopped, h.finished())
		}
	})
}

// TestStopAttemptOfAFinishedTask: when no try goes on any more, what an earlier one has started is nobody else's.
func TestStopAttemptOfAFinishedTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stops := 0
		h := &house{operator: "deferring", state: dag.StateSkipped}
		h.begin(t, &attempttest.Op{OnStop: func(context.Context, operators.Task, string, *triggers.Trigger) error {
			stops++
			return nil
		}})
		c := dag.StopRequest(&dag.TaskInstance{Key: request(0, "").Key, TryNumber: 4, Operator: "deferring"}, "cleared", time.Now())
		c.ID = 1
		h.Notify(c)
		time.Sleep(time.Minute)
		h.stop(t)
		if stops != 1 {
			t.Errorf("stopped %d times, want once", stops)
		}
	})
}

// TestStopAttemptIsKept: a stop that has no answer does not hold up the loop's own, and is asked for after the next start.
func TestStopAttemptIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &house{operator: "deferring"}
		h.begin(t, &attempttest.Op{OnStop: func(ctx context.Context, _ operators.Task, _ string, _ *triggers.Trigger) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		ti := dag.TaskInstance{Key: request(0, "").Key, TryNumber: 5, Operator: "deferring"}
		h.Notify(dag.StopRequest(&ti, "marked", time.Now()))
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := h.Stop(ctx); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("stopped after %s: %v", time.Since(began), err)
		}
		if done := h.finished(); len(done) > 0 {
			t.Errorf("done %v, nothing was", done)
		}
	})
}

func TestOneSlowCallbackDoesNotHoldTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, func(ctx context.Context, task operators.Task) (operators.Result, error) {
			if _, reason := task.(*attempt.Handle).Concern(); reason == "slow" {
				<-ctx.Done()
				return operators.Result{}, operators.Fail(context.Cause(ctx))
			}
			return operators.Done(nil), nil
		})
		slow := request(1, dag.OnRetry)
		slow.Reason = "slow"
		h.Notify(slow)
		h.Notify(request(2, dag.OnRetry))
		h.Notify(request(3, dag.OnRetry))
		synctest.Wait()
		if !slices.Equal(h.finished(), []int64{2, 3}) {
			t.Errorf("done %v", h.finished())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !slices.Equal(h.finished(), []int64{2, 3, 1}) || !strings.Contains(h.log.String(), "took longer than 1m0s") {
			t.Errorf("done %v; log %s", h.finished(), h.log.String())
		}
		h.stop(t)
	})
}

func TestStopLeavesTheRestForTheNextStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, func(ctx context.Context, _ operators.Task) (operators.Result, error) {
			<-ctx.Done()
			return operators.Result{}, ctx.Err()
		})
		for id := range int64(5) {
			h.Notify(request(id, dag.OnSuccess))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := h.Stop(ctx); err != nil {
			t.Error(err)
		}
		if len(h.finished()) > 0 {
			t.Errorf("done %v", h.finished())
		}
	})
}

func TestCallbackOfARunThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		gone := request(1, dag.OnSuccess)
		gone.RunID, gone.TaskID = "deleted", ""
		h.Notify(gone)
		time.Sleep(time.Minute)
		h.stop(t)
		if !slices.Equal(h.finished(), []int64{1}) || !strings.Contains(h.log.String(), "run deleted of DAG d") {
			t.Errorf("done %v; log %s", h.finished(), h.log.String())
		}
	})
}
