package triggerer

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/runner/executor/local"
	"gust/runner/worker"
	"gust/triggers"
)

// TestWaitingOccupiesNoWorker is the way of a task through executor, loop and executor again, with one worker: a
// deferred operator and ten sensors wait for a minute while other tasks run.
func TestWaitingOccupiesNoWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op := &attempttest.Op{OnPark: parkOn("sensors", time.Hour)}
		op.OnExecute = func(_ context.Context, task operators.Task) (operators.Result, error) {
			if task.Attempt().TaskID != "defers" {
				return operators.Done("ran"), nil
			}
			return operators.Defer(triggers.Trigger{Kind: "fake", Args: json.RawMessage(`{"key":"op"}`)},
				time.Hour), nil
		}
		reg := triggers.NewRegistry()
		if err := reg.Register(&fake{kind: "fake", answer: after(61)}); err != nil {
			t.Fatal(err)
		}
		env := &attempt.Env{Operators: attempttest.Registry(t, op), XComs: &attempttest.XComs{}}
		waits := &attempttest.Waits{}
		ex, loop := local.New(&worker.Worker{Env: env}, 1, nil), New(Config{Env: env, Triggers: reg, Waits: waits})
		works := map[string]executor.Work{"defers": attempttest.Work("defers", "deferring", nil)}
		rec := &attempttest.Recorder{OnReport: func(rep executor.Report) error {
			w := works[rep.Attempt.TaskID]
			w.Instance.Deferral = rep.Deferral
			waits.Observe(&rep)
			switch rep.Kind { // as the scheduler does, after its commit
			case executor.Deferred:
				waits.Put(w.Instance)
				loop.Park(w)
			case executor.Fired:
				ex.Dispatch(w)
			}
			return nil
		}}
		if err := ex.Start(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if err := loop.Start(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ex.Dispatch(works["defers"])
		for i := range 10 {
			loop.Park(sensor(fmt.Sprintf("s%d", i)))
		}
		synctest.Wait()
		for i := range 3 {
			ex.Dispatch(attempttest.Work(fmt.Sprintf("bash%d", i), "plain", nil))
		}
		synctest.Wait()
		if got := count(rec, executor.Succeeded); got != 3 || loop.Held() != 11 || !time.Now().Equal(began) {
			t.Errorf("%d tasks ran beside %d waits", got, loop.Held())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := count(rec, executor.Succeeded); got != 14 || loop.Held() != 0 {
			t.Errorf("%d tasks ended well, %d still wait", got, loop.Held())
		}
		if err := ex.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := loop.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func count(rec *attempttest.Recorder, k executor.Kind) int {
	n := 0
	for _, rep := range rec.All() {
		if rep.Kind == k {
			n++
		}
	}
	return n
}
