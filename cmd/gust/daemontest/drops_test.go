//go:build linux

package daemontest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/server"
)

// TestKilledWhileAnswersAreLost kills `gust scheduler` while Step Functions, elsewhere, goes on. Answers to
// StartExecution are lost after its effect, and many kills come in the instant between an effect and its answer.
func TestKilledWhileAnswersAreLost(t *testing.T) {
	t.Parallel()
	c := newCrash(t, "scheduler")
	c.audit()
	var faults server.Faults
	remote := &elsewhere{rng: rand.New(rand.NewPCG(c.rng.Uint64(), 2)), started: map[string]int{}}
	service := c.serve(stepfunctions.Config{
		StateMachinesDir: c.path("machines"), WaitScale: 0.01, Faults: &faults, OnStart: remote.onStart,
		Handlers: map[string]handlers.Handler{"work": {Command: []string{"sh", "-c", "sleep 0.05; cat"}}},
	})
	c.env = append(c.env, "GUST_CONN_AWS_DEFAULT=aws://any:thing@/?region_name=us-east-1&endpoint_url="+
		url.QueryEscape(service.Endpoint()))
	c.watched = []string{c.path("journal"), c.path("home", "gust.db-wal")}
	began := time.Now()
	for range kills(t, 50, 6) {
		faults.Set(
			server.Fault{Operation: "StartExecution", Effect: server.DropAfter, Skip: c.rng.IntN(3), Count: 1 + c.rng.IntN(2)},
			server.Fault{Operation: "StartExecution", Effect: server.DropBefore, Skip: c.rng.IntN(3), Count: 1},
			server.Fault{Operation: "DescribeExecution", Effect: server.Throttle, Skip: c.rng.IntN(10), Count: 1},
		)
		c.cycle(remote.arm)
	}
	killing := time.Since(began)
	remote.arm(nil)
	faults.Set()
	last := c.finish()
	executions := c.executionsAt(service.Endpoint())
	c.check(executions)
	remote.check(c, len(executions))
	last.stop()
	c.checkNothingLeft()
	c.report(killing)
}

// serve runs a Step Functions service for the length of the test.
func (h *house) serve(cfg stepfunctions.Config) *stepfunctions.Service {
	h.t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	service, err := stepfunctions.New(cfg)
	if err == nil {
		err = service.Start(context.Background())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := service.Stop(context.Background()); err != nil {
			h.t.Errorf("stop the Step Functions service: %v", err)
		}
	})
	return service
}

// elsewhere watches a service and kills the daemon right after an effect of its.
type elsewhere struct {
	target atomic.Pointer[daemon]
	hits   atomic.Int64

	mu      sync.Mutex
	rng     *rand.Rand
	started map[string]int
}

func (e *elsewhere) arm(d *daemon) { e.target.Store(d) }

// onStart is called before StartExecution is answered.
func (e *elsewhere) onStart(arn string) {
	e.mu.Lock()
	e.started[arn]++
	hit := e.rng.IntN(3) == 0
	e.mu.Unlock()
	if !hit {
		return
	}
	if d := e.target.Swap(nil); d != nil {
		e.hits.Add(1)
		d.kill()
	}
}

func (e *elsewhere) check(c *crash, executions int) {
	c.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for arn, n := range e.started {
		if n != 1 {
			c.t.Errorf("%s was started %d times", arn, n)
		}
	}
	if len(e.started) != executions {
		c.t.Errorf("%d executions were started, %d are there", len(e.started), executions)
	}
	c.t.Logf("%d of the kills between the start of an execution and its answer", e.hits.Load())
}
